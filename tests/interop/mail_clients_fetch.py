"""Programs that fetch mail: fetchmail and mpop by POP3 (and IMAP), curl by POP3. What arrived is
compared to the byte, and what is left on the server."""
import glob
import os

from mail_clients import PASSWORD, content, ident_of

IDENTS = ("one", "two", "three")


def arrived(case, pattern, keep_headers=False):
    """{ident: content} of files that the client wrote; what it adds on top is cut off."""
    found = {}
    for path in glob.glob(case.path(pattern)):
        with open(path, "rb") as f:
            data = f.read().replace(b"\r\n", b"\n")
        ident = ident_of(data)
        found[ident if ident not in found else f"{ident} again"] = data
    return found


def compare(case, found, idents, what):
    case.same(sorted(map(str, found)), sorted(idents), f"{what}: each once")
    for ident, data in found.items():
        want = case.sent.get(ident, b"?").replace(b"\r\n", b"\n")
        case.check(data.endswith(want), f"{what}: {ident} to the byte", data[-1000:])


def big(case):
    case.put("INBOX", *IDENTS)
    case.put("INBOX", "large", lines=60000)


def fetchmail(case):
    """By POP3 kept, then by POP3 once more (nothing new), by IMAP and deleted."""
    big(case)
    ssl = f'ssl sslcertck sslcertfile "{case.target.certificate}"' if case.way == "tls" else "sslproto ''"
    if case.starttls:
        ssl = f'sslproto "TLS1.2+" sslcertck sslcertfile "{case.target.certificate}"'
    for box in ("pop", "imap"):
        os.makedirs(case.path(box))

    def fetch(protocol, port, box, server, more, what, codes=(0, 1)):
        case.write("fetchmailrc", f"""
set idfile "{case.path("ids")}"
set pidfile "{case.path("pid")}"
poll "{case.host}" protocol {protocol} port {port} auth password timeout 60 {server}
  user "{case.user}" password "{PASSWORD}" {ssl} {more}
  mda "/bin/sh -c 'cat >{case.path(box)}/$$.eml'"
""")
        return case.run(["fetchmail", "-f", case.path("fetchmailrc"), "--nosyslog", "--invisible"], what, codes=codes)

    fetch("POP3", case.pop3_port, "pop", "uidl", "keep", "POP3 keep")
    compare(case, arrived(case, "pop/*"), (*IDENTS, "large"), "POP3 keep")
    fetch("POP3", case.pop3_port, "pop", "uidl", "keep", "POP3 again")
    case.same(len(glob.glob(case.path("pop/*"))), 4, "POP3: nothing comes twice, UIDL is stable")
    case.same(len(case.state("INBOX")), 4, "kept on the server")
    case.flag("INBOX", "two", "-", "\\Seen")
    case.flag("INBOX", "one", "+", "\\Seen")
    fetch("IMAP", case.imap_port, "imap", "", "fetchall nokeep expunge 2", "IMAP nokeep")
    compare(case, arrived(case, "imap/*"), (*IDENTS, "large"), "IMAP nokeep")
    case.same(case.state("INBOX"), {}, "gone from the server")


def mpop(case):
    """Into a Maildir; kept, then removed."""
    big(case)
    box = case.path("mail")
    for d in ("", "cur", "new", "tmp"):
        os.makedirs(os.path.join(box, d), exist_ok=True)
    tls = f"tls on\ntls_starttls {'on' if case.starttls else 'off'}\ntls_trust_file {case.target.certificate}" if case.tls else "tls off"

    def fetch(keep, what):
        conf = case.write("mpoprc", f"""
account test
host {case.host}
port {case.pop3_port}
user {case.user}
password {PASSWORD}
auth {"plain" if case.tls else "user"}
{tls}
delivery maildir {box}
uidls_file {case.path("uidls")}
keep {keep}
pipelining auto
""")
        return case.run(["mpop", "-C", conf, "--all-accounts"], what)

    fetch("on", "keep on")
    compare(case, arrived(case, "mail/new/*"), (*IDENTS, "large"), "keep on")
    case.put("INBOX", "four")
    case.delete("INBOX", "two")
    fetch("on", "keep on again")
    compare(case, arrived(case, "mail/new/*"), (*IDENTS, "large", "four"), "a new one only, though numbers moved")
    fetch("off", "keep off")
    case.same(case.state("INBOX"), {}, "keep off: gone from the server")
    case.same(len(glob.glob(case.path("mail/new/*"))), 5, "and fetched once")


def curl_pop3(case):
    big(case)
    base = [*curl_of(case), "--user", f"{case.user}:{PASSWORD}"]
    url = f"{'pop3s' if case.way == 'tls' else 'pop3'}://{case.host}:{case.pop3_port}/"
    listing = case.run([*base, url], "LIST").stdout.split()
    case.same(listing[::2], ["1", "2", "3", "4"], "LIST")
    case.same([int(n) for n in listing[1::2]], [len(case.sent[i]) for i in (*IDENTS, "large")], "sizes in LIST")
    for number, ident in enumerate((*IDENTS, "large"), 1):
        case.run([*base, url + str(number), "-o", case.path("got")], "RETR")
        with open(case.path("got"), "rb") as f:
            case.check(f.read() == case.sent[ident], f"RETR of {ident} to the byte")
    top = case.run([*base, "-X", "TOP 1 1", url], "TOP").stdout
    case.same(top.encode(), b"\n".join(content("one").split(b"\r\n")[:11]) + b"\n", "TOP")
    case.run([*base, "-X", "DELE 2", "-I", url], "DELE", codes=(0, 8))
    case.same(sorted(case.state("INBOX")), ["large", "one", "three"], "DELE")
    for login in ("PLAIN", "LOGIN"):
        case.same(len(case.run([*base, "--login-options", f"AUTH={login}", url], login).stdout.split()), 6, f"AUTH {login}")
    wrong = case.run([*curl_of(case), "--user", f"{case.user}:wrong", url], "wrong password", codes=(67,))
    case.same(wrong.returncode, 67, "a wrong password is told as such")


def curl_of(case):
    """Without the user's proxies; TLS as the certificate proves it."""
    return ["curl", "-s", "-S", "--noproxy", "*", "--max-time", "60"] + (["--cacert", case.target.certificate] if case.tls else []) + (["--ssl-reqd"] if case.starttls else [])


TESTS = {"fetchmail": fetchmail, "mpop": mpop, "curl-pop3": curl_pop3}

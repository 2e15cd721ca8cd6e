#!/usr/bin/env python3
"""mta_check.py [PEER...] [plain|tls]: mail between Postern and other mail servers, within netroot.sh.

Each message is compared with what the other side stored, byte for byte behind the lines that
each server adds on top; each reply, report and word about TLS is looked at.
"""
import email
import os
import smtplib
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import mta_peers  # noqa: E402
import postern  # noqa: E402

US = "192.0.2.1"
CLIENT = "192.0.2.9"
ZONE = """
p.test MX 10 mx.p.test
p.test TXT "v=spf1 ip4:192.0.2.0/24 -all"
mx.p.test A 192.0.2.1
pf.test MX 10 mx.pf.test
mx.pf.test A 192.0.2.11
by-mx.pf.test MX 10 mx.pf.test
ex.test MX 10 mx.ex.test
mx.ex.test A 192.0.2.12
by-mx.ex.test MX 10 mx.ex.test
os.test MX 10 mx.os.test
mx.os.test A 192.0.2.13
by-mx.os.test MX 10 mx.os.test
dc.test MX 10 mx.dc.test
mx.dc.test A 192.0.2.14
"""
CONF = """
listen smtp 192.0.2.1:25
smtp {{ hostname "mx.p.test" }}
tls {{ certificate "{cert}"  key "{key}" }}
resolver {{ forward 127.0.0.1:53 }}
plugins {{ spf }}
queue {{ tls {tls}  retry 2s }}
events {{ deliveries yes }}
domain "p.test" {{ recipients list "{users}"  route local }}
listen submission 192.0.2.1:587
auth {{ users "{home}/logins" }}
sign "p.test" {{ key "s1" file "{home}/s1._domainkey.p.test.pem" }}
"""
PASSWORD = "correct horse,battery"


def message(body, more="", subject="hello"):
    return f"Date: Sun, 22 Nov 2026 12:00:00 +0000\nFrom: <sam@p.test>\nTo: <anna@there.test>\nSubject: {subject}\nMessage-ID: <1@p.test>\n{more}\n{body}"


MESSAGES = {
    "simple": message("Good morning.\n"),
    "dots": message(".\n..\n.leading\n...three\n\n.\nend\n"),
    "empty body": message(""),
    "folded header": message("x\n", "X-Long: one\n\ttwo\n three\n"),
    "longest lines": message(("a" * 998 + "\n") * 50),
    "large": message(("0123456789abcdef" * 4 + "\n") * 40000),
    "8 bits": message("Grüße aus Köln\n", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"),
    "spaces at the end": message("trailing  \n\t\n \n"),
}


def conf_of(tls, home, peers):
    cert, key = mta_peers.certificate(home, "mx.p.test")
    users = os.path.join(home, "users")
    mta_peers.write(users, "sam\nanna\nbert\n")
    command = os.path.join(postern.build_folder(), "postern")
    subprocess.run([command, "dkim", "new", "--folder", home, "--selector", "s1", "p.test"], check=True, capture_output=True)
    subprocess.run([command, "user", "add", "--stdin", "--file", f"{home}/logins", "sam@p.test"], check=True,
                   capture_output=True, input=PASSWORD, text=True)
    text = CONF.format(cert=cert, key=key, tls="must" if tls else "off", users=users, home=home)
    for peer in peers:
        how = f"lmtp {peer.address}:24" if peer.name == "dovecot" else f"smtp {peer.address}:25"
        text += f'domain "{peer.domain}" {{ recipients any  route {how} }}\n'
        if tls and peer.name in NO_SERVER_TLS:
            text += f'destination "{peer.domain}" {{ tls may }}\ndestination "by-mx.{peer.domain}" {{ tls may }}\n'
    return text

# OpenSMTPD 6.8.0p2 of Debian 12 offers STARTTLS and then fails with an internal error, whoever asks
# (openssl s_client too): mail goes in clear there, where that is allowed.
NO_SERVER_TLS = {"opensmtpd"}


class Client(postern.Session):
    """SMTP with any server; reads and writes as a client of the domain p.test."""

    def __init__(self, address, port=25):
        import socket

        self.sock = socket.create_connection((address, port), 10, source_address=(CLIENT, 0))
        self.sock.settimeout(60 * postern.patience())
        self.file = self.sock.makefile("rb")
        self.greeting = self.reply()


def give(address, sender, rcpts, content):
    session = Client(address)
    try:
        return session.send(content, sender=sender, rcpts=rcpts, helo="client.p.test")
    finally:
        session.close()


def same(stored, sent):
    """What the other side stored ends with what was sent."""
    return stored.replace(b"\r\n", b"\n").endswith(sent.encode())


def ours(server, user):
    return [m for p, m in sorted(server.mail().items(), key=lambda x: x[0]) if f"/{user}/" in f"/{p}"]


def wait_mail(read, count):
    postern.until(lambda: len(read()) >= count, 60)
    return read()


def outbound(c, server, peer, tls):
    """From us to them."""
    label = f"to {peer.name}, {'TLS' if tls else 'plain'}: "
    count = 0
    for name, text in MESSAGES.items():
        answer = give(US, "sam@p.test", [f"anna@{peer.domain}"], text)
        c.check(answer.startswith("250"), label + name + " taken", answer)
        count += 1
        found = wait_mail(lambda: peer.mail("anna"), count)
        ok = c.check(len(found) == count and any(same(m, text) for m in found), label + name + " stored as it was sent",
                     f"{len(found)} of {count}: {found[-1][-300:] if found else ''}")
        if not ok:
            print(peer.words(), [e for e in server.events("delivery")][-3:], sep="\n", flush=True)
            return
    answer = give(US, "sam@p.test", [f"anna@{peer.domain}", f"bert@{peer.domain}"], MESSAGES["simple"])
    found = wait_mail(lambda: peer.mail("bert"), 1)
    c.check(answer.startswith("250") and len(found) == 1 and same(found[0], MESSAGES["simple"]), label + "two recipients", found)
    c.check(len(wait_mail(lambda: peer.mail("anna"), count + 1)) == count + 1, label + "both of them, once each")
    events = [e for e in server.events("delivery") if e["to"].endswith("@" + peer.domain) and e["outcome"] == "delivered"]
    said = {"version" in (e.get("tls") or {}) for e in events}
    c.check(said == {tls and peer.name not in NO_SERVER_TLS}, label + "the event says what TLS there was", events[-1:])


def refused(c, server, peer, tls):
    """They refuse one recipient of two: our sender hears of it, by a report that they would read."""
    label = f"to {peer.name}, {'TLS' if tls else 'plain'}: "
    before = len(ours(server, "sam"))
    answer = give(US, "sam@p.test", [f"ghost@{peer.domain}", f"bert@{peer.domain}"], MESSAGES["simple"])
    c.check(answer.startswith("250"), label + "taken", answer)
    found = wait_mail(lambda: ours(server, "sam"), before + 1)
    if not c.check(len(found) == before + 1, label + "a report came", server.events("delivery")[-2:]):
        return
    reports = [email.message_from_bytes(m) for m in found]
    fields = [str(r.get_payload()[1].get_payload()[1]) for r in reports if r.get_content_type() == "multipart/report"]
    c.check(any(f"ghost@{peer.domain}" in f and "Action: failed" in f and "Status: 5." in f for f in fields), label + "and names who failed", fields)


# What their reports make of ENVID and ORCPT: Exim 4.96 leaves xtext as it is, OpenSMTPD 6.8 leaves
# both out.
ASKED = {"exim": ("Env+2B1", "rfc822;Anna+2Bx@ex.test"), "opensmtpd": (None, None)}


def told(c, server, peer, tls):
    """Our sender asks to be told of the delivery (RFC 3461): they do that where they offer DSN, and
    we where they don't."""
    label = f"to {peer.name}, {'TLS' if tls else 'plain'}, DSN: "
    before = ours(server, "sam")
    session = Client(US)
    for line in ("EHLO client.p.test", "MAIL FROM:<sam@p.test> RET=HDRS ENVID=Env+2B1",
                 f"RCPT TO:<anna@{peer.domain}> NOTIFY=SUCCESS ORCPT=rfc822;Anna+2Bx@{peer.domain}", "DATA"):
        answer = session.command(line)
        c.check(answer[0] in "23", label + line, answer)
    session.raw(MESSAGES["simple"].replace("\n", "\r\n").encode() + b".\r\n")
    c.check(session.reply().startswith("250"), label + "taken")
    session.close()
    found = [email.message_from_bytes(m) for m in wait_mail(lambda: ours(server, "sam"), len(before) + 1) if m not in before]
    mine = [r for r in found if "<postmaster@mx.p.test>" in r["From"]]
    if not c.check(len(found) == 1 and len(mine) == (peer.name == "dovecot"), label + "one report, of who is to make it",
                   (peer.words(), [r.as_string() for r in found])):
        return
    about, to = found[0].get_payload()[1].get_payload()
    c.check(to["Action"] == "delivered" and to["Status"].startswith("2.") and to["Final-Recipient"].endswith(f"anna@{peer.domain}"),
            label + "of the delivery", to.items())
    asked = ASKED.get(peer.name, ("Env+1", f"rfc822;Anna+x@{peer.domain}"))
    c.check((about["Original-Envelope-Id"], to["Original-Recipient"]) == asked, label + "with what was asked", (about.items(), to.items()))


def inbound(c, server, peer, tls):
    """From them to us; they find us by MX."""
    label = f"from {peer.name}, {'TLS' if tls else 'plain'}: "
    count = len(ours(server, "anna"))
    for name, text in MESSAGES.items():
        answer = give(peer.address, f"anna@{peer.domain}", ["anna@p.test"], text)
        c.check(answer.startswith("250"), label + name + " taken by it", answer)
        count += 1
        found = wait_mail(lambda: ours(server, "anna"), count)
        if not c.check(len(found) == count and any(same(m, text) for m in found), label + name + " stored as it was sent",
                       f"{len(found)} of {count}"):
            print(peer.words(), flush=True)
            return
    traces = [m.split(b"\n\n")[0].decode("utf-8", "replace") for m in ours(server, "anna")]
    mine = [t for t in traces if peer.address in t.split("Received:")[1]]
    secured = tls or peer.name == "opensmtpd"  # which uses what it is offered, with no word against it
    c.check(mine and all((" with ESMTPS " in " ".join(t.split("Received:")[1].split())) == secured for t in mine),
            label + "our trace says whether TLS was used", mine[-1:])


def submitted(c, server, peer, tls):
    """A user of ours writes to a domain that no line of the configuration names: MX leads there."""
    label = f"submitted, by MX to {peer.name}, {'TLS' if tls else 'plain'}: "
    domain = f"by-mx.{peer.domain}"
    before = len(peer.mail("anna"))
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(US, 587, local_hostname="client.p.test", source_address=(CLIENT, 0)) as session:
        session.starttls(context=insecure)
        session.login("sam@p.test", PASSWORD)
        said = session.sendmail("sam@p.test", [f"anna@{domain}", f"bert@{domain}"], MESSAGES["simple"].replace("\n", "\r\n"))
    c.check(said == {}, label + "taken", said)
    found = wait_mail(lambda: peer.mail("anna"), before + 1)
    if not c.check(len(found) == before + 1 and same(found[-1], MESSAGES["simple"]), label + "stored as it was sent", peer.words()):
        return
    head = found[-1].split(b"\n\n")[0].decode()
    c.check("DKIM-Signature: " in head and " d=p.test;" in " ".join(head.split()), label + "signed", head)
    events = [e for e in server.events("delivery") if e["to"] == f"anna@{domain}" and e["outcome"] == "delivered"]
    c.check(len(events) == 1 and events[0]["route"] == "mx" and events[0]["host"] == peer.host and events[0]["ip"] == peer.address,
            label + "the event names the host", events)


def unknown(c, server, peer, tls):
    """We refuse the recipient: they tell their sender, who is ours."""
    label = f"from {peer.name}, {'TLS' if tls else 'plain'}: "
    before = len(ours(server, "sam"))
    answer = give(peer.address, "sam@p.test", ["ghost@p.test"], MESSAGES["simple"])
    c.check(answer.startswith("250"), label + "mail to nobody taken by it", answer)
    found = wait_mail(lambda: ours(server, "sam"), before + 1)
    c.check(len(found) == before + 1 and any(b"ghost@p.test" in m and b"Return-Path: <>" in m for m in found), label + "its report came to us",
            peer.words() if len(found) == before else found[-1])


def one_way(c, names, tls):
    peers = [mta_peers.make(name, tls) for name in names]
    home = f"/peers/postern-{'tls' if tls else 'plain'}"
    os.makedirs(home)
    try:
        with postern.Server(conf_of(tls, home, peers), smtp_options="", resolver="") as server:
            server.start()
            mta_peers.wait_port(US, 25)
            for peer in peers:
                outbound(c, server, peer, tls)
                refused(c, server, peer, tls)
                told(c, server, peer, tls)
                if peer.name != "dovecot":
                    inbound(c, server, peer, tls)
                    unknown(c, server, peer, tls)
                    submitted(c, server, peer, tls)
    finally:
        for peer in peers:
            peer.stop()


def main():
    names = [n for n in sys.argv[1:] if n in mta_peers.PEERS] or list(mta_peers.PEERS)
    ways = [tls for tls, word in ((False, "plain"), (True, "tls")) if word in sys.argv or not {"plain", "tls"} & set(sys.argv)]
    c = postern.Counter("mta")
    mta_peers.write("/peers/zone", ZONE)
    dnsd = subprocess.Popen([os.path.join(postern.build_folder(), "tests", "bench", "dnsd"), "127.0.0.1:53", "/peers/zone"],
                            stdout=subprocess.DEVNULL)
    try:
        for tls in ways:
            one_way(c, names, tls)
    finally:
        dnsd.terminate()
        dnsd.wait(10)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

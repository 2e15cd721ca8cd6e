"""Programs that read mail on the server: mutt, in a terminal of tmux, curl, imapflow and Python's imaplib."""
import imaplib
import json
import os
import shlex
import ssl
import subprocess
import zlib

import postern
from mail_clients import HERE, PASSWORD, content
from mail_clients_fetch import curl_of


class Terminal:
    """A program in tmux, its keys and its screen."""

    def __init__(self, case, command):
        self.socket = case.path("tmux")
        env = {**os.environ, "HOME": case.folder, "TERM": "xterm", "LC_ALL": "C.UTF-8", "TMUX": ""}
        self.env = env
        line = "exec " + " ".join(shlex.quote(w) for w in command) + f" 2>{shlex.quote(case.path('err'))}"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", line)

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], env=self.env, capture_output=True, text=True, check=False)

    def keys(self, *words):
        self.tmux("send-keys", *words)

    def text(self, words):
        self.tmux("send-keys", "-l", words)

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout

    def shows(self, *words, seconds=30):
        return postern.until(lambda: all(w in self.screen() for w in words), seconds)

    def end(self):
        self.tmux("kill-server")


def mutt(case):
    """Index, pager, flags, a copy, a move, a search by the server, a letter kept, deletion."""
    case.put("INBOX", "one", "two", "three", "four")
    case.put("Work", "five")
    case.put("Sent")
    scheme = "imaps" if case.way == "tls" else "imap"
    user = case.user.replace("@", "%40")
    root = f"{scheme}://{user}@{case.host}:{case.imap_port}/"
    rc = case.write("muttrc", f"""
set imap_user="{case.user}" imap_pass="{PASSWORD}"
set folder="{root}" spoolfile="{root}INBOX" record="{root}Sent" postponed="{root}Sent"
set certificate_file="{case.target.certificate}" ssl_ca_certificates_file="{case.target.certificate}" ssl_verify_host=yes
set header_cache="" message_cachedir="" confirmappend=no delete=yes quit=yes move=no mark_old=no
set sort=mailbox-order imap_check_subscribed=no wait_key=no auto_tag=no pager_stop=yes ssl_starttls={"yes" if case.starttls else "no"} ssl_force_tls={"yes" if case.tls else "no"}
set realname=Anna from=anna@here.test edit_headers=no resolve=no editor="true" sleep_time=0 timeout=1 mail_check=1
""")
    screen = Terminal(case, ["mutt", "-F", rc])
    try:
        if not case.check(screen.shows("letter one", "letter four", "Msgs:4"), "its index", screen.screen()):
            return
        screen.keys("1", "Enter")  # to the first
        screen.keys("Enter")
        case.check(screen.shows("The body of one", "Grüße aus Köln"), "a letter is shown", screen.screen())
        screen.keys("i")
        screen.keys("2", "Enter", "F")
        case.check(screen.shows("! "), "flagged", screen.screen())
        screen.keys("3", "Enter", "C")  # a copy
        screen.shows("Copy to mailbox")
        screen.keys("C-u")
        screen.text("=Work")
        screen.keys("Enter")
        case.check(postern.until(lambda: "three" in case.state("Work"), 30), "a copy in another folder", screen.screen())
        screen.keys("4", "Enter", "s")  # a move
        screen.shows("Save to mailbox")
        screen.keys("C-u")
        screen.text("=Work")
        screen.keys("Enter")
        case.check(postern.until(lambda: "four" in case.state("Work"), 30), "one moved to another folder", screen.screen())
        screen.keys("$")
        case.check(postern.until(lambda: "four" not in case.state("INBOX"), 30), "and gone from its own", screen.screen())
        screen.keys("l")
        screen.shows("Limit to")
        screen.text("=b 'body of two'")  # =b: the server searches
        screen.keys("Enter")
        case.check(screen.shows("letter two") and "letter three" not in screen.screen(), "a search by the server", screen.screen())
        screen.keys("l")
        screen.shows("Limit to")
        screen.text("~A")
        screen.keys("Enter")
        case.check(screen.shows("letter three"), "and all again", screen.screen())
        case.put("INBOX", "six")
        case.check(poke(screen, "letter six"), "new mail appears", screen.screen())
        screen.keys("3", "Enter", "d", "$")
        case.check(postern.until(lambda: "three" not in case.state("INBOX"), 30), "deleted", screen.screen())
        screen.keys("c")
        screen.shows("Open mailbox")
        screen.keys("C-u")
        screen.text("=Work")
        screen.keys("Enter")
        case.check(screen.shows("letter five", "letter three", "letter four"), "another folder", screen.screen())
        screen.keys("q")
    finally:
        screen.end()
    found = case.state("INBOX")
    case.same(set(found), {"one", "two", "six"}, "INBOX at the end")
    case.check("\\Seen" in found["one"] and "\\Flagged" in found["two"], "flags at the end", found)
    case.same(set(case.state("Work")), {"three", "four", "five"}, "Work at the end")
    case.is_as_sent("Work", "moved and copied")


def poke(screen, words):
    """Keys make it look for new mail, at its own pace."""

    def look():
        screen.keys("Down")
        return words in screen.screen()

    return postern.until(look, 60)


def curl_imap(case):
    case.put("INBOX", "one", "two")
    case.put("Work", "three", flags="\\Seen")
    base = [*curl_of(case), "--user", f"{case.user}:{PASSWORD}"]
    url = f"{'imaps' if case.way == 'tls' else 'imap'}://{case.host}:{case.imap_port}/"
    listing = case.run([*base, url], "LIST").stdout
    case.check("INBOX" in listing and "Work" in listing, "LIST", listing)
    for uid, ident in ((1, "one"), (2, "two")):
        case.run([*base, f"{url}INBOX;UID={uid}", "-o", case.path("got")], "FETCH")
        with open(case.path("got"), "rb") as f:
            case.check(f.read() == case.sent[ident], f"{ident} to the byte")
    case.run([*base, f"{url}INBOX;UID=1;SECTION=HEADER", "-o", case.path("got")], "FETCH HEADER")
    with open(case.path("got"), "rb") as f:
        case.same(f.read(), case.sent["one"].split(b"\r\n\r\n")[0] + b"\r\n\r\n", "a section")
    case.sent["four"] = content("four", lines=30000)
    with open(case.path("four"), "wb") as f:
        f.write(case.sent["four"])
    case.run([*base, "-T", case.path("four"), f"{url}Work"], "APPEND")
    case.is_as_sent("Work", "APPEND")
    case.check("four" in case.state("Work"), "APPEND arrived")
    case.check("* SEARCH 2" in case.run([*base, f"{url}INBOX?HEADER%20X-Id%20two"], "SEARCH").stdout, "SEARCH")
    case.run([*base, "-X", "STORE 2 +FLAGS (\\Flagged $Label1)", f"{url}INBOX"], "STORE")
    case.same(case.state("INBOX")["two"], "$Label1 \\Flagged \\Seen", "STORE, and read by FETCH")
    moved = "MOVE" in case.session().capabilities
    case.run([*base, "-X", "UID MOVE 1 Work" if moved else "UID COPY 1 Work", f"{url}INBOX"], "MOVE")
    case.same((list(case.state("INBOX")), "one" in case.state("Work")), (["two"] if moved else ["one", "two"], True), "MOVE")
    for login in ("PLAIN", "LOGIN"):
        case.check("INBOX" in case.run([*base, "--login-options", f"AUTH={login}", url], login).stdout, f"AUTHENTICATE {login}")
    wrong = case.run([*curl_of(case), "--user", f"{case.user}:wrong", url], "wrong password", codes=(67,))
    case.same(wrong.returncode, 67, "a wrong password is told as such")


def imapflow(case):
    """npm's imapflow: CONDSTORE, MOVE, APPEND, SEARCH, IDLE, by mail_clients_flow.js."""
    case.put("INBOX", "one", "two", "three")
    case.sent["four"] = content("four", "Unique words: quixotic zebra")
    with open(case.path("four"), "wb") as f:
        f.write(case.sent["four"])
    p = case.run(["node", os.path.join(HERE, "mail_clients_flow.js"), case.host, str(case.imap_port), case.way, case.user, PASSWORD, case.target.certificate, case.path("four")], "to its end")  # fmt: skip
    found = json.loads(p.stdout.splitlines()[-1])
    case.same(found["fetched"], {i: case.sent[i].decode("latin-1") for i in ("one", "two", "three")}, "what it fetched")
    case.same(found["secure"], case.tls, "TLS")
    case.same(found["compressed"], found["compress_offered"], "COMPRESS where it is offered")
    case.check(case.target.name != "postern" or found["compressed"], "COMPRESS")
    case.same(found["search_body"], [2], "SEARCH BODY")
    case.same(found["search_appended"], 1, "SEARCH of what it appended")
    case.same(found["heard"], True, "IDLE: told of a new message")
    case.same(found["special"].get("\\Junk"), "Junk", "special use")
    case.check(found["changed"] >= 1, "changedSince gives what changed", found)
    case.same(found["status"], {"messages": 2, "unseen": 2}, "STATUS")
    case.same(case.state("INBOX"), {"four": "", "two": "$Label \\Flagged"}, "INBOX at the end")
    case.same(case.state("Shelf.Deep" if case.target.delimiter == b"." else "Shelf/Deep"), {"one": ""}, "moved into a folder it made")
    case.is_as_sent("INBOX", "appended")


class Deflated:
    """Over imaplib's classes: COMPRESS=DEFLATE (RFC 4978), which it lacks."""

    def compress(self):
        imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
        if self._simple_command("COMPRESS", "DEFLATE")[0] != "OK":
            raise ValueError("COMPRESS was refused")
        self.inflater, self.deflater = zlib.decompressobj(-15), zlib.compressobj(9, zlib.DEFLATED, -15)
        self.plain, self.wire = bytearray(), 0
        self.read, self.readline, self.send = self.read_plain, self.read_line, self.send_plain

    def fill(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise OSError("closed by the server")
        self.wire += len(data)
        self.plain += self.inflater.decompress(data)

    def read_plain(self, size):
        while len(self.plain) < size:
            self.fill()
        found = bytes(self.plain[:size])
        del self.plain[:size]
        return found

    def read_line(self):
        while b"\n" not in self.plain:
            self.fill()
        return self.read_plain(self.plain.index(b"\n") + 1)

    def send_plain(self, data):
        self.sock.sendall(self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH))


class DeflatedPlain(Deflated, imaplib.IMAP4):
    pass


class DeflatedTls(Deflated, imaplib.IMAP4_SSL):
    pass


def python(case):
    """Python's imaplib, compressed: a large message there and back, flags, a search, a copy."""
    trust = ssl.create_default_context(cafile=case.target.certificate) if case.tls else None
    client = DeflatedTls(case.host, case.imap_port, ssl_context=trust) if case.way == "tls" else DeflatedPlain(case.host, case.imap_port)
    if case.starttls:
        client.starttls(trust)
    client.login(case.user, PASSWORD)
    client.compress()
    case.sent["large"] = content("large", lines=30000)
    case.same(client.append("INBOX", "(\\Flagged)", None, case.sent["large"])[0], "OK", "APPEND")
    client.select("INBOX")
    got = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    case.check(got == case.sent["large"], "FETCH to the byte", got[:200])
    case.check(client.wire < len(got) // 3, "compressed on its way", f"{client.wire} of {len(got)} bytes")
    client.store("1", "+FLAGS", "(\\Answered $Mark)")
    case.same(client.search(None, "KEYWORD", "$Mark")[1], [b"1"], "SEARCH")
    client.create("Work")
    client.copy("1", "Work")
    client.logout()
    case.same((case.state("INBOX"), case.state("Work")), ({"large": "$Mark \\Answered \\Flagged"},) * 2, "at the end")
    case.is_as_sent("Work", "copied")


TESTS = {"python": python, "mutt": mutt, "curl-imap": curl_imap, "imapflow": imapflow}

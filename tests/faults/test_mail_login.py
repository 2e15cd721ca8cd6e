#!/usr/bin/env python3
"""Logins by IMAP and POP3, end to end, by clients that mean no good: commands sent ahead of STARTTLS
and of a login, lines and literals without an end, passwords that are guessed or sent in the clear,
many that say nothing, lines that drop within a session. Others are served all the while, nothing
is deleted that nobody wanted deleted, and no password stays in the memory of a role.
"""
import base64
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import saslclient  # noqa: E402

USER = "ann@here.test"
PASSWORD = "Aiph3ohy-kaeYee0m-ohfah9Ai"
WRONG = "eiz1Uph2-oomaiB5a-eiG8ahsh"
CONF = """
smtp {{ hostname "mx.here.test" }}
tls {{ certificate "{{root}}/cert.pem"  key "{{root}}/key.pem" }}
listen imap 127.0.0.1:{imap}
listen imaps 127.0.0.1:{imaps}
listen pop3 127.0.0.1:{pop3}
listen pop3s 127.0.0.1:{pop3s}
auth {{ users "{{root}}/users"  {auth} }}
{more}
limits {{ connections-per-minute 100000 }}
domain "here.test" {{ recipients any  route local }}
"""


def b64(data):
    return base64.b64encode(data).decode()


PLAIN = b64(f"\0{USER}\0{PASSWORD}".encode())


class Node:
    def __init__(self, auth="", more="", mails=0):
        self.ports = {kind: postern.free_port() for kind in ("imap", "imaps", "pop3", "pop3s")}
        self.server = postern.Server(CONF.format(auth=auth, more=more, **self.ports))
        root = self.server.root
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=mx.here.test", "-keyout", root + "/key.pem", "-out", root + "/cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        command = [os.path.join(postern.build_folder(), "postern"), "user", "add", USER, "--file", root + "/users", "--stdin"]
        subprocess.run(command, input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
        self.server.start()
        self.server.wait_events("users", 1)
        for n in range(mails):
            session = postern.Session(self.server)
            answer = session.send(f"Subject: {n}\n\nThis is {n}\n", rcpts=(USER,))
            session.close()
            if not answer.startswith("250"):
                raise RuntimeError(answer)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)


class Line:
    """kind: a port's; its greeting is read."""

    def __init__(self, node, kind, source="127.0.0.1", seconds=60):
        self.sock = socket.create_connection(("127.0.0.1", node.ports[kind]), seconds * postern.patience(), (source, 0))
        if kind.endswith("s"):
            self.wrap()
        self.file = self.sock.makefile("rb")
        self.greeting = self.line()

    def wrap(self):
        self.sock = ssl._create_unverified_context().wrap_socket(self.sock)

    def start_tls(self, command):
        answer = self.command(command)
        self.file.close()
        self.wrap()
        self.file = self.sock.makefile("rb")
        return answer

    def line(self):
        try:
            return self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
        except OSError:
            return ""

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())

    def command(self, text):
        self.send(text + "\r\n")
        return self.line()

    def tagged(self, text):
        """IMAP: the lines up to the tagged one, which is the last."""
        self.send(text + "\r\n")
        tag, lines = text.split(" ", 1)[0] + " ", []
        while True:
            line = self.line()
            lines.append(line)
            if not line or line.startswith(tag) or line.startswith("* BYE"):
                return lines

    def lines(self):
        """POP3: up to the dot."""
        return list(iter(self.line, "."))

    def rest(self):
        """All that still comes, up to the end."""
        try:
            return self.file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def over(self):
        return self.rest() == ""

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def works(node):
    """One login each, as a good client does it."""
    with Line(node, "pop3s") as s:
        pop3 = [s.command(f"USER {USER}"), s.command(f"PASS {PASSWORD}"), s.command("STAT"), s.command("QUIT")]
    with Line(node, "imaps") as s:
        imap = [s.tagged(f"a LOGIN {USER} {PASSWORD}")[-1], s.tagged("b NOOP")[-1]]
    return all(x.startswith("+OK") for x in pop3) and imap[0].startswith("a OK") and imap[1].startswith("b OK")


def test_clear(c):
    """Nothing that holds a password is taken in the clear, nor announced."""
    with Node() as node:
        with Line(node, "imap") as s:
            c.check("LOGINDISABLED" in s.greeting and "STARTTLS" in s.greeting and "AUTH=" not in s.greeting,
                    "the greeting says so", s.greeting)
            answers = [s.tagged(f"a LOGIN {USER} {PASSWORD}")[-1], s.tagged(f"b AUTHENTICATE PLAIN {PLAIN}")[-1],
                       s.tagged(f"c LOGIN {{{len(USER)}}}")[-1]]
            c.check(all("[PRIVACYREQUIRED]" in a for a in answers), "IMAP refuses passwords in the clear", answers)
        with Line(node, "pop3") as s:
            s.send("CAPA\r\n")
            capa = s.lines()
            c.check("STLS" in capa and "USER" not in capa and not any(w.startswith("SASL") for w in capa), "nor CAPA", capa)
            answers = [s.command(f"USER {USER}"), s.command(f"PASS {PASSWORD}"), s.command(f"AUTH PLAIN {PLAIN}")]
            c.check(all(a.startswith("-ERR") for a in answers), "POP3 refuses them", answers)
        c.check(node.server.events("login") == [], "and nobody was asked", node.server.events("login"))


def test_injection(c):
    """What stands behind STARTTLS is not run, in the clear or behind the handshake."""
    with Node() as node:
        with Line(node, "imap") as s:
            s.send(f"a STARTTLS\r\nb LOGIN {USER} {PASSWORD}\r\nc LOGOUT\r\n")
            answer = s.rest()
            c.check(answer.startswith("a BAD") and "\r\nb NO" in answer and "c OK" in answer, "IMAP, in one packet", answer)
        with Line(node, "pop3") as s:
            s.send(f"STLS\r\nUSER {USER}\r\nPASS {PASSWORD}\r\nQUIT\r\n")
            answer = [line[:4] for line in s.rest().splitlines()]
            c.check(answer == ["-ERR", "-ERR", "-ERR", "+OK "], "POP3, in one packet", answer)
        for kind, command, more in (("imap", "a STARTTLS", "b NOOP\r\n"), ("pop3", "STLS", "CAPA\r\n")):
            with Line(node, kind) as s:
                answer = s.command(command)
                s.send(more)
                c.check("OK" in answer, f"{kind}: behind the answer", answer)
                late = s.rest()
                c.check("b OK" not in late and "TOP" not in late, "plain text is no command any more", late)
        with Line(node, "pop3") as s:
            c.check(s.command("UTF8").startswith("+OK"), "what was said before TLS")
            c.check(s.start_tls("STLS").startswith("+OK"), "then STLS")
            c.check(s.command(f"PASS {PASSWORD}").startswith("-ERR"), "nothing of it is left")
            s.send("CAPA\r\n")
            capa = s.lines()
            c.check("STLS" not in capa and "USER" in capa, "CAPA is another one", capa)
        c.check(works(node), "others are served")


def test_pipelined(c):
    """What stands behind a login is worked on by the mailbox, in order, nothing lost or doubled."""
    with Node(mails=3) as node:
        script = f"USER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nLIST 2\r\nNOOP\r\nRETR 9\r\nQUIT\r\n"
        want = [r"\+OK", r"\+OK", r"\+OK 3 \d+", r"\+OK 2 \d+", r"\+OK", r"-ERR", r"\+OK"]
        for step in (len(script), 1, 7, 40):
            with Line(node, "pop3s") as s:
                for at in range(0, len(script), step):
                    s.send(script[at:at + step])
                got = s.rest().splitlines()
                c.check(len(got) == len(want) and all(re.match(w, g) for w, g in zip(want, got)),
                        f"POP3, {step} bytes at a time", got)
        script = f"a LOGIN {{{len(USER)}+}}\r\n{USER} \"{PASSWORD}\"\r\nb NOOP\r\nc NOOP\r\nd LOGOUT\r\n"
        for step in (len(script), 1, 7, 40):
            with Line(node, "imaps") as s:
                for at in range(0, len(script), step):
                    s.send(script[at:at + step])
                got = [line[:4] for line in s.rest().splitlines() if not line.startswith("*")]
                c.check(got == ["a OK", "b OK", "c OK", "d OK"], f"IMAP, {step} bytes at a time", got)
        script = f"USER {USER}\r\nPASS {WRONG}\r\nSTAT\r\nUSER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n"
        with Line(node, "pop3s") as s:
            s.send(script)
            got = [line[:4] for line in s.rest().splitlines()]
            c.check(got == ["+OK ", "-ERR", "-ERR", "+OK ", "+OK ", "+OK ", "+OK "], "a wrong password first", got)


def test_mechanisms(c):
    with Node() as node:
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
            for kind in ("imaps", "pop3s"):
                with Line(node, kind) as s:
                    client = client_of(mechanism, s.sock)
                    answer = exchange(s, kind, mechanism, client)
                    c.check(answer.startswith("+OK") or answer.startswith("a OK"), f"{mechanism} by {kind}", answer)
                    c.check(not isinstance(client, saslclient.Scram) or client.verified, "the server proves itself")
                with Line(node, kind) as s:
                    answer = exchange(s, kind, mechanism, client_of(mechanism, s.sock, WRONG))
                    c.check("[AUTH" in answer, f"{mechanism} by {kind}: a wrong password", answer)


def client_of(mechanism, sock, password=PASSWORD):
    if mechanism.endswith("-PLUS"):
        return saslclient.Scram(USER, password, binding=saslclient.tls_exporter(sock))
    kinds = {"PLAIN": saslclient.plain, "LOGIN": saslclient.login, "SCRAM-SHA-256": saslclient.Scram}
    return kinds[mechanism](USER, password)


def exchange(s, kind, mechanism, client):
    """Without an initial response, so that each message is one of the exchange."""
    answer = s.command(f"a AUTHENTICATE {mechanism}" if kind.startswith("imap") else f"AUTH {mechanism}")
    first = True
    while answer.startswith("+ ") or answer == "+":
        challenge = base64.b64decode(answer[2:])
        answer = s.command(b64(client(None if first and not challenge else challenge)))
        first = False
    while answer.startswith("* "):
        answer = s.line()
    return answer


def flood(s):
    """13 MB without a line's end; what the server does not read any more it need not take."""
    with contextlib.suppress(OSError):
        for _ in range(200):
            s.send(b"x" * 65536)


def test_floods(c):
    with Node(auth="address-failures 1000  account-failures 1000  slow-after 1000") as node:
        edges = node.server.roles("edge")
        before = sum(postern.pss_kb(p) for p in edges)
        for kind in ("imaps", "pop3s", "imap", "pop3"):
            with Line(node, kind) as s:
                flood(s)
                c.check("Too much before a login" in s.rest(), f"{kind}: a line without an end is cut off")
            with Line(node, kind) as s:
                with contextlib.suppress(OSError):
                    s.send("x y\r\n" * 2000)
                c.check(s.rest().count("\n") < 200, f"{kind}: bad commands end it")
            with Line(node, kind) as s:
                with contextlib.suppress(OSError):
                    s.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                c.check("mail server" in s.rest(), f"{kind}: no place for browsers")
        with Line(node, "imaps") as s:
            s.send("a LOGIN {4294967296+}\r\n")
            flood(s)
            c.check("* BYE [TOOBIG]" in s.rest(), "a literal without an end is cut off")
        with Line(node, "imaps") as s:
            answer = s.tagged("a LOGIN {999999999}")[-1]
            c.check(answer.startswith("a BAD"), "nor is it asked for", answer)
            c.check(s.tagged("b NOOP")[-1].startswith("b OK"), "and the next command is one")
        for kind, line in (("imaps", f"a LOGIN {USER} {WRONG}"), ("pop3s", f"USER {USER}\r\nPASS {WRONG}")):
            with Line(node, kind) as s:
                with contextlib.suppress(OSError):
                    s.send((line + "\r\n") * 50)
                c.check(0 < s.rest().count("[AUTH") < 20, f"{kind}: guesses end it")
        grown = sum(postern.pss_kb(p) for p in edges) - before
        now = node.server.roles("edge")  # the last of them may have started since
        c.check(set(edges) <= set(now), "edge lives", (edges, now, node.server.log()[-500:]))
        c.check(grown < 32 * 1024, "and is not grown", f"{grown} KB")
        c.check(works(node), "others are served")


def test_half_open(c):
    """Many that connect and stop somewhere: others are served."""
    with Node(mails=1) as node:
        idle = []
        for i in range(60):
            kind = ("imap", "pop3", "imaps", "pop3s")[i % 4]
            s = Line(node, kind, f"127.0.{i % 20 + 1}.1")
            s.send(("", "a LOGI", "USER x", "a AUTHENTICATE PLAIN\r\n")[i // 4 % 4])
            idle.append(s)
        for i in range(20):
            s = socket.create_connection(("127.0.0.1", node.ports["imaps"]), 60, (f"127.0.{i + 1}.2", 0))
            s.sendall(b"\x16\x03\x01")
            idle.append(s)
        c.check(works(node), "while they wait")
        for s in idle:
            s.close()
        c.check(works(node), "and after")


def stored(node):
    return sorted(path for path in node.server.mail() if "/ann/" in "/" + path)


def small(node, kind):
    """A POP3 client that takes little at a time, logged in."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60 * postern.patience())
    sock.connect(("127.0.0.1", node.ports[kind]))
    if kind == "pop3s":
        sock = ssl._create_unverified_context().wrap_socket(sock)
    for line in ("", f"USER {USER}\r\n", f"PASS {PASSWORD}\r\n"):
        sock.sendall(line.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            answer += sock.recv(1)
    return sock


def test_unheard(c):
    """What the line swallows stays: QUIT deletes once the client has what was said before it; and a
    client that is slow hears all of it, with the answer to QUIT behind it."""
    body = "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 10000
    with Node(more="mailbox { plain-login loopback }") as node:
        session = postern.Session(node.server)
        c.check(session.send(body, rcpts=(USER,)).startswith("250"), "a large message")
        session.close()
        for n, kind in enumerate(("pop3", "pop3s")):
            sock = small(node, kind)
            sock.sendall(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
            heard = b""
            while len(heard) < 1000:
                heard += sock.recv(1000)
            c.check(heard.startswith(b"+OK"), f"{kind}: it is on its way", heard[:50])
            sock.close()
            ends = node.server.wait_events("session", n + 1)
            c.check(len(ends) == n + 1 and ends[-1]["end"] != "logout", f"{kind}: the session ends without it", ends[-1:])
            c.check(len(stored(node)) == 1, f"{kind}: nothing is deleted", stored(node))
        for kind in ("pop3", "pop3s"):
            sock = small(node, kind)
            sock.sendall(b"RETR 1\r\n" + b"DELE 1\r\n" * (kind == "pop3s") + b"QUIT\r\n")
            time.sleep(12)  # longer than streams once had to close
            heard = b""
            while part := sock.recv(65536):
                heard += part
            sock.close()
            c.check(heard.endswith(b"+OK Bye\r\n") and len(heard) > len(body), f"{kind}: who is slow hears all", heard[-100:])
        c.check(postern.until(lambda: not stored(node)), "and what is marked goes then", stored(node))


def test_drops(c):
    """POP3 deletes at QUIT, and only then."""
    with Node(mails=4) as node:
        c.check(len(stored(node)) == 4, "four messages", stored(node))

        def logged_in():
            s = Line(node, "pop3s")
            answers = [s.command(f"USER {USER}"), s.command(f"PASS {PASSWORD}")]
            c.check(all(a.startswith("+OK") for a in answers), "in", answers)
            return s

        s = logged_in()
        c.check(s.command("DELE 1").startswith("+OK") and s.command("DELE 2").startswith("+OK"), "marked")
        s.close()
        with logged_in() as s:
            c.check(s.command("STAT").startswith("+OK 4 "), "a line that drops deletes nothing")
            s.send("DELE 1\r\nDELE 2\r\nQUI")
        with logged_in() as s:
            c.check(s.command("STAT").startswith("+OK 4 "), "half a QUIT is none")
            s.command("DELE 1")
            for pid in node.server.roles("mailbox"):
                os.kill(pid, signal.SIGKILL)
            c.check(s.over(), "the worker dies within a session")
        c.check(postern.until(lambda: works(node)), "the next one serves")
        with logged_in() as first, logged_in() as second:
            c.check(first.command("DELE 1").startswith("+OK") and second.command("DELE 1").startswith("+OK"), "two at once")
            c.check(first.command("QUIT").startswith("+OK"), "the first deletes")
            c.check(second.command("LIST 1").startswith("-ERR"), "the second marked it, too")
            c.check(second.command("STAT").startswith("+OK 3 "), "its numbers stand still")
            c.check(second.command("RETR 2").startswith("+OK"), "and it reads on")
            second.lines()
            c.check(second.command("QUIT").startswith("+OK"), "and ends well")
        c.check(len(stored(node)) == 3, "one message is deleted", stored(node))
        with logged_in() as s:
            s.send("UIDL\r\n")
            uids = s.lines()[1:]
            c.check(s.command("DELE 2").startswith("+OK") and s.command("QUIT").startswith("+OK"), "another one")
        with logged_in() as s:
            s.send("UIDL\r\n")
            left = s.lines()[1:]
            c.check([u.split()[1] for u in left] == [uids[0].split()[1], uids[2].split()[1]], "unique ids stay", left)


def test_memory(c):
    """A login done or failed leaves no password with edge, auth or mailbox."""
    with open(os.path.join(postern.build_folder(), "config.h"), encoding="ascii") as f:
        if "#define PN_SANITIZE" in f.read():
            return  # its allocator is another one
    with Node() as node:
        for kind in ("imaps", "pop3s"):
            for mechanism in ("PLAIN", "LOGIN"):
                with Line(node, kind) as s:
                    exchange(s, kind, mechanism, client_of(mechanism, s.sock))
        c.check(works(node), "logins")
        with Line(node, "imaps") as s:
            s.tagged(f"a LOGIN {{{len(USER)}+}}\r\n{USER} {{{len(PASSWORD)}+}}\r\n{PASSWORD}")
        for role in ("edge", "auth", "mailbox"):
            found = [pid for pid in node.server.roles(role) if holds(pid, PASSWORD.encode())]
            c.check(found == [], f"no password in the memory of {role}", found)


def holds(pid, secret):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            if not mode.startswith("rw") or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            try:
                mem.seek(start)
                if secret in mem.read(end - start):
                    return True
            except (OSError, OverflowError):
                continue
    return False


def main():
    c = postern.Counter("logins")
    tests = {name[5:]: fn for name, fn in globals().items() if name.startswith("test_")}
    for name in sys.argv[1:] or tests:
        tests[name](c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

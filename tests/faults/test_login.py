#!/usr/bin/env python3
"""Users who come for their mail, in a whole server: no login without TLS, what is said by whom
until a session is in its mailbox worker, guessing, limits, PROXY, slow and half-open clients, and
the death of each role at each step: the client hears a clean BYE or sees the connection closed,
and is let in again; nobody else notices.
"""
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
from mailnode import PASSWORD, Line, Node, again, log_in  # noqa: E402

WAYS = (("imap", True), ("imaps", False), ("pop3", True), ("pop3s", False))


def test_ways(c):
    with Node() as node:
        for kind, tls in WAYS:
            name = kind + ("+tls" if tls else "")
            with log_in(node, kind, tls) as s:
                c.check(s.serves(), f"{name}: in, and served")
                c.check(s.in_(s.ask("LOGOUT" if s.imap else "QUIT")), f"{name}: and out")
                c.check(s.ends() == [], f"{name}: closed")
        ended = node.server.wait_events("session", len(WAYS))
        c.check([e["end"] for e in ended] == ["logout"] * len(WAYS), "each has its event", ended)
        c.check({e["service"] for e in ended} == {"imap", "pop3"} and {e["user"] for e in ended} == {"ann@here.test"},
                "with service and user", ended)
        logins = [e for e in node.server.events("login")]
        c.check([e["result"] for e in logins] == ["ok"] * len(WAYS), "so have the logins", logins)
        c.check({e["session"] for e in logins} == {e["session"] for e in ended}, "by the same name", (logins, ended))


def test_wall(c):
    with Node() as node:
        for kind in ("imap", "pop3"):
            with Line(node, kind) as s:
                answer = s.login()
                c.check(not s.in_(answer) and "PRIVACYREQUIRED" in answer or "-ERR" in answer,
                        f"{kind}: no login without TLS", answer)
                c.check(s.ask("CAPABILITY" if s.imap else "NOOP") != "", f"{kind}: it goes on")
        with Line(node, "imap") as s:
            s.say("a CAPABILITY\r\n")
            words = " ".join(s.read_to("a "))
            c.check("LOGINDISABLED" in words and "AUTH=" not in words, "LOGINDISABLED is announced", words)
        with Line(node, "imaps") as s:
            c.check(s.login(password="wrong").startswith("NO"), "a wrong password")
            c.check(s.login().startswith("OK"), "then the right one")
        c.check([e["result"] for e in node.server.wait_events("login", 2)] == ["refused", "ok"], "auth saw just those")
    with Node(mailbox="plain-login loopback") as node:
        for kind in ("imap", "pop3"):
            with log_in(node, kind) as s:
                c.check(s.serves(), f"{kind}: without TLS from this machine, where that is allowed")
    with Node(mailbox="plain-login loopback", options="{ proxy from 127.0.0.0/8 }") as node:
        for client, allowed in (("127.0.0.9", True), ("192.0.2.7", False)):
            s = Line(node, "imap", greet=False)
            s.say(f"PROXY TCP4 {client} 192.0.2.254 40000 143\r\n")
            s.greeting = s.read()
            c.check(s.login().startswith("OK") == allowed, f"the client is who PROXY says: {client}")
            s.close()
        ips = [e["ip"] for e in node.server.wait_events("login", 1)]
        c.check(ips == ["127.0.0.9"], "and auth is told so", ips)


def test_ahead(c):
    """What is sent in one piece behind the login is the session's."""
    with Node() as node:
        with Line(node, "imaps") as s:
            s.say(f'a LOGIN ann@here.test "{PASSWORD}"\r\nb NOOP\r\nc LOGOUT\r\n')
            lines = s.ends()
            tagged = [line.split()[0] + line.split()[1] for line in lines if line[0] in "abc"]
            c.check(tagged == ["aOK", "bOK", "cOK"], "imap: all of it is answered", lines)
        with Line(node, "imap") as s:
            s.say("a STARTTLS\r\nb NOOP\r\n")
            lines = s.read_to("a ")
            c.check(not lines[-1].startswith("a OK"), "but nothing goes ahead of TLS", lines)
    with Node(mailbox="plain-login loopback") as node:
        with Line(node, "imap") as s:
            s.say(f'a LOGIN ann@here.test "{PASSWORD}"\r\nb NOOP\r\nc NOOP\r\n')
            s.sock.shutdown(socket.SHUT_WR)
            tagged = [line.split()[0] + line.split()[1] for line in s.ends() if line[0] in "abc"]
            c.check(tagged == ["aOK", "bOK", "cOK"], "a client that half-closes hears all of it", tagged)


def test_guessing(c):
    with Node(users=("ann@here.test", "bob@here.test"), auth="address-failures 3  slow-after 3  forget 1h") as node:
        for i in range(3):
            with Line(node, "imaps", source="127.0.0.8") as s:
                c.check(s.login(password=f"no {i}").startswith("NO"), "a guess")
        with Line(node, "pop3s", source="127.0.0.8") as s:
            answer = s.login()
            c.check(not s.in_(answer) and "SYS/TEMP" in answer, "then the address is shut out, by any service", answer)
        with log_in(node, source="127.0.0.9") as s:
            c.check(s.serves(), "others are not")


def test_limits(c):
    with Node(mailbox="sessions-per-user 2", limits="sessions-per-address 4  exempt 198.51.100.0/24") as node:
        held = [log_in(node), log_in(node, "pop3s")]
        with Line(node, "imaps") as s:
            c.check("UNAVAILABLE" in s.login(), "a session too many of a user")
            c.check(s.ask("NOOP").startswith("OK"), "it may go on, and try again")
            held[0].close()
            c.check(postern.until(lambda: s.login().startswith("OK")), "when one is gone")
        for h in held:
            h.close()
        waiting = [Line(node, "imap", source="127.0.0.7") for _ in range(4)]
        with Line(node, "imap", source="127.0.0.7") as s:
            c.check(s.greeting.startswith("* BYE"), "a connection too many of an address", s.greeting)
        with Line(node, "pop3", source="127.0.0.7") as s:
            c.check(s.greeting.startswith("-ERR"), "by POP3 too", s.greeting)
        with log_in(node, source="127.0.0.6") as s:
            c.check(s.serves(), "others come in")
        for w in waiting:
            w.close()


def test_slow(c):
    """Who says nothing, or a byte now and then, or no handshake, is told to go; others are served meanwhile."""
    with Node(mailbox="login-time 1s", more="timeouts { handshake 1s }") as node:
        silent = [Line(node, kind) for kind in ("imap", "pop3")]
        half_open = [socket.create_connection(("127.0.0.1", node.ports["imaps"])) for _ in range(20)]
        drip = Line(node, "imap")
        with log_in(node) as s:
            c.check(s.serves(), "others are served")
            for _ in range(100):
                try:
                    drip.say("x")
                except OSError:
                    break
                time.sleep(0.05)
            for line in silent:
                said = line.ends()
                # RFC 1939, section 3: POP3 says nothing
                c.check(len(said) == line.imap and all(x.startswith("* BYE") for x in said),
                        f"{line.kind}: silent, and closed", said)
            c.check(any(x.startswith("* BYE") for x in drip.ends()), "a byte now and then")
            for sock in half_open:
                sock.settimeout(30 * postern.patience())
                c.check(sock.recv(1) == b"", "no handshake")
                sock.close()
            c.check(s.serves(), "who is in stays")
        for line in [*silent, drip]:
            line.close()


def test_flood(c):
    """Bad bytes of all kinds before login, from many at once."""
    junk = [b"\0" * 5000, b"\xff" * 5000, b"A" * 100000, b"a LOGIN {999999999}\r\n", b"\r\n" * 3000,
            b"a AUTHENTICATE PLAIN\r\n" + b"=" * 20000 + b"\r\n", b"USER " + b"x" * 3000 + b"\r\n",
            b"a LOGIN {5}\r\n" * 500, b"CAPA\r\n" * 2000]
    with Node() as node:
        with log_in(node) as s:
            for kind in ("imap", "pop3"):
                for piece in junk:
                    lines = [Line(node, kind) for _ in range(5)]
                    for line in lines:
                        line.sock.settimeout(5)
                        try:
                            line.sock.sendall(piece)
                        except OSError:
                            pass
                    c.check(s.serves(), f"{kind}: {piece[:20]!r}: others are served")
                    for line in lines:
                        line.close()
        with log_in(node) as s:
            c.check(s.serves(), "and come in")
        c.check(node.server.process.poll() is None and "ended by signal" not in node.server.log(), "nothing died")


# ---- the death of each role ----


class Stopped:
    """A process that stands still, so that what needs it waits."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *exc):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def begin_login(node, kind):
    s = Line(node, kind)
    if s.imap:
        s.say(f'a LOGIN ann@here.test "{PASSWORD}"\r\n')
    else:
        s.say(f"USER ann@here.test\r\nPASS {PASSWORD}\r\n")
    return s


def test_deaths(c):
    """bystander: another user's session, with his own relay; which may only end with its own role."""
    for kind in ("imaps", "pop3s"):
        with Node(users=("ann@here.test", "bob@here.test"), auth="threads 1", more="edges 1") as node:
            # Auth dies while it checks, and while the mailbox worker's word is due.
            bystander = log_in(node, "imaps", user="bob@here.test")
            auth = node.role("auth")
            with Stopped(auth):
                s = begin_login(node, kind)
                with Line(node, kind) as other:  # edge has read the login when this is greeted
                    c.check(other.greeting != "", f"{kind}: others are greeted while auth stands")
                kill(auth)
            answer = s.read_to("a ")[-1] if s.imap else [s.read(), s.read()][-1]
            c.check("UNAVAILABLE" in answer or "SYS/TEMP" in answer, f"{kind}: auth dies: told to try again", answer)
            s.close()
            s = again(node, kind)
            c.check(s and s.serves(), f"{kind}: and is let in by the next auth")
            c.check(bystander.serves(), f"{kind}: a session goes on without auth")
            s.close()
            # The mailbox worker dies while its word is due.
            mailbox, auth = node.role("mailbox"), node.role("auth")
            with Stopped(mailbox):
                s = begin_login(node, kind)
                # One thread checks passwords: the first was asked for when it answers another.
                with Line(node, kind) as other:
                    c.check(not other.in_(other.login("nobody@here.test")), f"{kind}: auth answers others meanwhile")
                kill(mailbox)
            answer = s.read_to("a ")[-1] if s.imap else [s.read(), s.read()][-1]
            c.check("UNAVAILABLE" in answer or "SYS/TEMP" in answer, f"{kind}: mailbox dies: told to try again", answer)
            s.close()
            c.check(bystander.ends() == [], f"{kind}: its sessions are closed")
            bystander.close()
            s = again(node, kind)
            c.check(s and s.serves(), f"{kind}: and is let in by the next mailbox worker")
            # It dies under a session.
            kill(node.role("mailbox"))
            c.check(s.ends() == [], f"{kind}: mailbox dies: the session is closed")
            s.close()
            s = again(node, kind)
            c.check(s and s.serves(), f"{kind}: and let in again")
            # The edge that relays it dies.
            kill(node.role("edge"))
            c.check(s.ends() == [], f"{kind}: edge dies: the session is closed")
            s.close()
            s = again(node, kind)
            c.check(s and s.serves(), f"{kind}: and let in again")
            closed = [e["end"] for e in node.server.events("session")]
            c.check("closed" in closed, f"{kind}: the worker saw that its client was gone", closed)
            # Others die: no session notices.
            for role in ("queue", "admin", "resolver", "state", "auth"):
                kill(node.role(role))
                c.check(s.serves(), f"{kind}: {role} dies: the session goes on")
            s.close()


def test_plain_deaths(c):
    """A plain session is its worker's alone."""
    with Node(mailbox="plain-login loopback", more="edges 1") as node:
        s = log_in(node, "imap")
        kill(node.role("edge"))
        c.check(s.serves(), "edge dies: a plain session goes on")
        kill(node.role("mailbox"))
        c.check(s.ends() == [], "mailbox dies: it is closed")
        s.close()
        s = again(node, "imap")
        c.check(s and s.serves(), "and let in again")
        s.close()


def test_stop(c):
    """A stop is told to all who are in, plain and relayed; a reload disturbs nobody."""
    node = Node(mailbox="plain-login loopback")
    with node:
        sessions = [log_in(node, "imap"), log_in(node, "imaps")]
        generation = node.server.log().count("serving")
        node.reload(more="smtp { delimiter \"-\" }")
        c.check(postern.until(lambda: node.server.log().count("serving") > generation or "generation" in node.server.log()),
                "a reload")
        c.check(all(s.serves() for s in sessions), "a reload disturbs nobody")
        with Line(node, "imaps") as waiting:
            code = None
            node.server.process.send_signal(signal.SIGTERM)
            for s in sessions:
                said = s.ends()
                c.check(any(x.startswith("* BYE") for x in said), "a stop: BYE", said)
            said = waiting.ends()
            c.check(any(x.startswith("* BYE") for x in said), "before login too", said)
            code = node.server.process.wait(60 * postern.patience())
            c.check(code == 0, "and it ends well", code)
        for s in sessions:
            s.close()


def test_more_workers(c):
    """Users move to other workers: all are told to come again, and nothing is lost."""
    with Node(users=[f"u{i}@here.test" for i in range(6)]) as node:
        sessions = [log_in(node, "imaps", user=f"u{i}@here.test") for i in range(6)]
        for i in range(6):
            answer = postern.Session(node.server).send("Subject: x\r\n\r\nx\r\n", rcpts=(f"u{i}@here.test",))
            c.check(answer.startswith("250"), "mail is taken", answer)
        node.reload(more="mailboxes 3")
        for s in sessions:
            said = s.ends()
            c.check(any(x.startswith("* BYE") for x in said), "a session is told", said)
            s.close()
        c.check(postern.until(lambda: len(node.server.roles("mailbox")) == 3), "three workers")
        for i in range(6):
            s = again(node, user=f"u{i}@here.test")
            c.check(s is not None, "let in again")
            s.say("x SELECT INBOX\r\n")
            lines = s.read_to("x ")
            c.check("* 1 EXISTS" in lines, "with the mail that was there", lines)
            s.close()


def main():
    tests = {name[5:]: f for name, f in globals().items() if name.startswith("test_")}
    counter = postern.Counter("login")
    for name in sys.argv[1:] or tests:
        tests[name](counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

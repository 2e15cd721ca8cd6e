#!/usr/bin/env python3
"""COMPRESS=DEFLATE (RFC 4978) on the wire: on a plain line, behind STARTTLS and over implicit TLS;
IDLE, literals and large answers within it; what is no deflate, and what is far more than it seems.

    test_compress.py [TEST ...]
"""
import os
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
from mailnode import Line, Node  # noqa: E402

WAYS = {"plain": ("imap", False), "STARTTLS": ("imap", True), "implicit TLS": ("imaps", False)}
MAILBOX = "plain-login loopback"
MB = 1024 * 1024
MOST_KB = 8 * 1024  # what a bomb may cost the roles that see it


class Inflated:
    """The lines of a packed file."""

    def __init__(self, file):
        self.file, self.unpack, self.have = file, zlib.decompressobj(-15), b""

    def readline(self):
        while b"\n" not in self.have:
            more = self.file.read1(65536)
            if not more:
                break
            self.have += self.unpack.decompress(more)
        line, end, rest = self.have.partition(b"\n")
        self.have = rest
        return line + end

    def close(self):
        self.file.close()


class Packed(Line):
    """A session that compresses from its login on."""

    def __init__(self, node, way, user="ann@here.test"):
        kind, tls = WAYS[way]
        self.pack = None
        super().__init__(node, kind, tls)
        self.said = self.login(user)
        self.answer = self.ask("COMPRESS DEFLATE")
        self.pack = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.file = Inflated(self.file)

    def packed(self, data):
        return self.pack.compress(data) + self.pack.flush(zlib.Z_SYNC_FLUSH)

    def say(self, text):
        data = text.encode()
        self.sock.sendall(data if self.pack is None else self.packed(data))

    def lines(self, command):
        """All of the answer."""
        self.count += 1
        self.say(f"t{self.count} {command}\r\n")
        return self.read_to(f"t{self.count} ")


def deliver(node, text):
    return postern.Session(node.server).send(text, rcpts=("ann@here.test",)).startswith("250")


def bomb(unit, megabytes):
    """Deflate of so much of the same."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = unit * (MB // len(unit))
    return b"".join(pack.compress(data) for _ in range(megabytes)) + pack.flush(zlib.Z_SYNC_FLUSH)


def memory(node):
    return sum(postern.pss_kb(pid) for role in ("mailbox", "edge") for pid in node.server.roles(role))


def test_session(c):
    """All of a session: large answers, literals both ways, IDLE, and the end."""
    text = "Subject: packed\r\n\r\n" + ("all work and no play\r\n" * 20000)
    for way in WAYS:
        with Node(mailbox=MAILBOX) as node:
            c.check(deliver(node, text), f"{way}: a message")
            s = Packed(node, way)
            c.check(s.answer.startswith("OK"), f"{way}: COMPRESS", s.answer)
            c.check(s.ask("COMPRESS DEFLATE").startswith("NO [COMPRESSIONACTIVE]"), f"{way}: once only")
            c.check(s.ask("SELECT INBOX").startswith("OK"), f"{way}: SELECT")
            got = s.lines("FETCH 1 BODY.PEEK[TEXT]")
            c.check(got.count("all work and no play") == 20000 and "OK" in got[-1], f"{way}: a large answer", len(got))
            literal = "Subject: up\r\n\r\nx\r\n"
            c.check(s.ask(f"APPEND INBOX {{{len(literal)}+}}\r\n{literal}").startswith("OK [APPENDUID"), f"{way}: a literal")
            s.say("i IDLE\r\n")
            c.check(s.read_to("+")[-1].startswith("+"), f"{way}: IDLE")
            c.check(deliver(node, "Subject: news\r\n\r\nx\r\n"), f"{way}: news")
            c.check("* 3 EXISTS" in s.read_to("* 3 EXISTS"), f"{way}: heard in IDLE")
            s.say("DONE\r\n")
            c.check(s.read_to("i ")[-1].startswith("i OK"), f"{way}: DONE")
            # In pieces of one byte; several in one piece.
            for byte in s.packed(b"p1 NOOP\r\np2 NOOP\r\n"):
                s.sock.sendall(bytes([byte]))
            c.check(s.read_to("p2 ")[-1].startswith("p2 OK"), f"{way}: byte by byte")
            s.sock.sendall(b"".join(s.packed(b"q%d NOOP\r\n" % n) for n in range(500)))
            c.check(s.read_to("q499 ")[-1].startswith("q499 OK"), f"{way}: many at once")
            out = s.lines("LOGOUT")
            c.check(out[0].startswith("* BYE") and s.read() == "", f"{way}: LOGOUT, packed to the last word", out)
            s.close()


def test_before(c):
    """Only after login; and nothing plain may stand behind the command."""
    with Node(mailbox=MAILBOX) as node:
        with Line(node, "imap") as s:
            said = s.ask("COMPRESS DEFLATE")
            c.check(not said.startswith("OK"), "not before login", said)
        for way, (kind, tls) in WAYS.items():
            s = Line(node, kind, tls)
            s.login()
            c.check(s.ask("COMPRESS LZ4").startswith("BAD"), f"{way}: no other kind")
            s.say("a COMPRESS DEFLATE\r\nb NOOP\r\n")
            c.check(s.read().startswith("a OK"), f"{way}: it is on")
            c.check(s.ends() == [], f"{way}: plain text behind it ends the session")
            s.close()
        ends = [e.get("end") for e in node.server.wait_events("session", 4)]
        c.check(ends.count("broken") == 3, "they say why", ends)


def test_broken(c):
    """What is no deflate, and what follows its end."""
    end = zlib.compressobj(6, zlib.DEFLATED, -15)
    ended = end.compress(b"a NOOP\r\n") + end.flush(zlib.Z_FINISH)
    with Node(mailbox=MAILBOX) as node:
        for way in WAYS:
            for what, data in (("no deflate", b"\xff" * 100), ("more behind its end", ended + b"\0")):
                s = Packed(node, way)
                s.sock.sendall(data)
                lines = s.ends()
                c.check(not any("BAD" in line for line in lines), f"{way}: {what}: the session ends", lines)
                s.close()
            # Blocks of nothing are allowed, however many.
            s = Packed(node, way)
            s.sock.sendall(b"\x00\x00\x00\xff\xff" * 100000)
            c.check(s.serves(), f"{way}: blocks of nothing")
            s.close()
        ends = [e.get("end") for e in node.server.wait_events("session", 9)]
        c.check(ends.count("broken") == 6, "they say why", ends)


def test_bomb(c):
    """A little that comes to much is held to the limits that all else is held to."""
    line, commands = bomb(b"x" * 1024, 500), bomb(b"a NOOP\r\n" * 128, 500)
    with Node(mailbox=MAILBOX) as node:
        for way in WAYS:
            with Packed(node, way) as warm, Packed(node, way) as s:
                c.check(warm.serves() and s.serves(), f"{way}: in")
                before = memory(node)
                s.sock.settimeout(60 * postern.patience())
                try:
                    s.sock.sendall(line)
                except OSError:
                    pass  # it was ended meanwhile
                said = s.ends()
                after = memory(node)
                c.check(not said or "* BYE" in said[-1], f"{way}: a line without an end ends the session", said[-1:])
                print(f"{way}: {len(line)} bytes that come to 500 MB cost {after - before} KB", flush=True)
                c.check(after - before < MOST_KB, f"{way}: 500 MB of it cost no memory", (before, after))
                c.check(warm.serves(), f"{way}: others are served")
            with Packed(node, way) as s:
                s.say("a APPEND INBOX {314572800+}\r\n")
                said = s.read()
                c.check(said.startswith("a NO [TOOBIG]") or said.startswith("* BYE"), f"{way}: a literal above the limit", said)
            # Commands by the million, and nobody reads the answers.
            with Packed(node, way) as deaf, Packed(node, way) as other:
                before = memory(node)
                deaf.sock.setblocking(False)
                try:
                    deaf.sock.send(commands)
                except OSError:
                    pass
                for _ in range(200):
                    c.check(other.serves(), f"{way}: another of the same user is served meanwhile")
                after = memory(node)
                c.check(after - before < MOST_KB, f"{way}: answers that nobody reads cost no memory", (before, after))
        ends = [e.get("end") for e in node.server.wait_events("session", 15)]
        c.check(ends.count("logout") == 6, "the server ended those of lines and literals that are too long", ends)


def main():
    tests = {name[5:]: f for name, f in globals().items() if name.startswith("test_")}
    counter = postern.Counter("compress")
    for name in sys.argv[1:] or tests:
        tests[name](counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

"""A milter of ours for tests of whole servers: answers by a table, and keeps what it heard."""
import struct

from localdaemon import LocalDaemon

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = b"c", b"a", b"r", b"t", b"d"


def packet(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def reply(text):
    return packet(b"y", text.encode() + b"\0")


def header(name, value):
    return packet(b"h", name.encode() + b"\0" + value.encode() + b"\0")


class Milter(LocalDaemon):
    """answers: {command letter: bytes of packets, or a function of the data that gives them}; None
    lets go, "hang" never answers. heard: a list of (letter, data) a connection."""

    def __init__(self, path, answers=None, steps=0):
        self.answers, self.steps, self.heard = dict(answers or {}), steps, []
        super().__init__(path)

    def begin(self):
        self.heard.append([])
        return (self.heard[-1],)

    def serve(self, connection, heard):
        with connection, connection.makefile("rb") as f:
            try:
                while len(head := f.read(4)) == 4:
                    body = f.read(struct.unpack(">I", head)[0])
                    letter, data = body[:1].decode(), body[1:]
                    heard.append((letter, data))
                    if letter == "Q":
                        return
                    answer = self.answer(letter, data)
                    if answer is None:
                        return
                    if answer == "hang":
                        f.read()
                        return
                    connection.sendall(answer)
            except OSError:
                return

    def answer(self, letter, data):
        if letter == "O" and "O" not in self.answers:
            return packet(b"O", struct.pack(">III", 6, 0x1FF, self.steps))
        if letter in "DAK":
            return b""
        found = self.answers.get(letter, packet(CONTINUE))
        return found(data) if callable(found) else found

    def letters(self, n=-1):
        """The commands of a connection, without macros."""
        return "".join(letter for letter, _ in self.heard[n] if letter != "D")

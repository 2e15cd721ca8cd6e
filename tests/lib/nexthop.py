"""A next hop for tests: SMTP or LMTP on every loopback address of a port, one behaviour an address. It
says what it is told to say, or is gone at a byte of the dialogue, and remembers what it took.
"""
import socket
import struct
import threading


class Behaviour:
    """replies: {"MAIL": b"550 5.7.1 No"}, also GREETING, EHLO, RCPT (or "RCPT x@y"), DATA, CONTENT;
    a list: one for each time, the last for ever; None: silence. heard, said: gone once so many
    bytes were read or written, the first time that this happens."""

    def __init__(self, replies=None, words=("PIPELINING", "8BITMIME", "CHUNKING"), heard=None, said=None, reset=False):
        self.replies, self.words = replies or {}, words
        self.heard, self.said, self.reset = heard, said, reset
        self.taken = []  # (sender, recipients, content), in full, whether or not it could be said
        self.sessions = self.ended = 0
        self.bytes_heard = self.bytes_said = 0  # of the last session
        self.log = []  # commands
        self.lock = threading.Lock()
        self.gate = None  # an Event that content waits for

    def reply(self, command, default):
        found = self.replies.get(command, self.replies.get(command.split(" ")[0], default))
        if isinstance(found, list):
            with self.lock:
                found = found.pop(0) if len(found) > 1 else found[0]
        return found


class Gone(Exception):
    pass


class Session:
    def __init__(self, sock, behaviour):
        self.sock, self.b, self.buffer, self.lmtp = sock, behaviour, b"", False
        with behaviour.lock:
            behaviour.sessions += 1
            self.heard, behaviour.heard = behaviour.heard, None
            self.said, behaviour.said = behaviour.said, None
        behaviour.bytes_heard = behaviour.bytes_said = 0

    def read(self):
        room = 65536 if self.heard is None else self.heard - self.b.bytes_heard
        if room == 0:
            raise Gone
        data = self.sock.recv(min(room, 65536))
        if not data:
            raise Gone
        self.b.bytes_heard += len(data)
        self.buffer += data

    def at_limit(self):
        return self.heard is not None and self.b.bytes_heard >= self.heard

    def line(self):
        while b"\n" not in self.buffer:
            self.read()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode()

    def exactly(self, n):
        while len(self.buffer) < n:
            self.read()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def dotted(self):
        lines = []
        while True:
            line = self.line()
            if line == ".":
                return "".join(x[1:] + "\r\n" if x.startswith(".") else x + "\r\n" for x in lines).encode()
            lines.append(line)

    def say(self, text):
        if text is None:
            while True:  # silence, until the peer goes
                self.read()
        data = text + b"\r\n"
        if self.said is not None:
            data = data[: self.said - self.b.bytes_said]
        self.sock.sendall(data)
        self.b.bytes_said += len(data)
        if self.said is not None and self.b.bytes_said >= self.said:
            raise Gone

    def took(self, content):
        # Whoever hears the very last byte has the message, even if nobody hears of that.
        with self.b.lock:
            self.b.taken.append((self.sender, list(self.to), content))

    def content(self, content):
        answer = self.b.reply("CONTENT", b"250 2.0.0 Taken")
        if self.b.gate is not None:
            self.b.gate.wait(60)
        if answer is None or answer.startswith(b"2"):
            self.took(content)
        if self.at_limit():
            raise Gone
        for _ in self.to if self.lmtp else [None]:
            self.say(answer)

    def run(self):
        self.sender, self.to = None, []
        if self.heard == 0 or self.said == 0:
            raise Gone
        self.say(self.b.reply("GREETING", b"220 next.test ESMTP"))
        while True:
            line = self.line()
            word = line.split(" ")[0].split(":")[0].upper()
            with self.b.lock:
                self.b.log.append(line)
            if word in ("EHLO", "LHLO"):
                self.lmtp = word == "LHLO"
                words = ["next.test", *self.b.words]
                text = "\r\n".join(f"250{'-' if i + 1 < len(words) else ' '}{w}" for i, w in enumerate(words))
                self.say(self.b.reply("EHLO", text.encode()))
            elif word == "MAIL":
                answer = self.b.reply("MAIL", b"250 2.1.0 Ok")
                self.sender = line[11:].split(">")[0] if answer and answer.startswith(b"2") else None
                self.to = []
                self.say(answer)
            elif word == "RCPT":
                to = line[9:].split(">")[0]
                answer = self.b.reply("RCPT " + to, b"250 2.1.5 Ok") if self.sender is not None else b"503 5.5.1 No MAIL"
                if answer is not None and answer.startswith(b"2"):
                    self.to.append(to)
                self.say(answer)
            elif word == "DATA":
                if not self.to:
                    self.say(b"554 5.5.1 Nobody")
                    continue
                self.say(self.b.reply("DATA", b"354 Go"))
                self.content(self.dotted())
                self.sender, self.to = None, []
            elif word == "BDAT":
                content = self.exactly(int(line.split(" ")[1]))
                if not self.to:
                    self.say(b"503 5.5.1 Nobody")
                    continue
                self.content(content)
                self.sender, self.to = None, []
            elif word == "RSET":
                self.sender, self.to = None, []
                self.say(b"250 2.0.0 Ok")
            elif word == "QUIT":
                self.say(b"221 2.0.0 Bye")
                return
            else:
                self.say(b"500 5.5.2 What")


class NextHop:
    """hops: {address: Behaviour}; others are refused by a reset."""

    def __init__(self, port):
        self.hops, self.port, self.ending = {}, port, False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", port))
        self.listener.listen(256)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.ending:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        behaviour = self.hops.get(sock.getsockname()[0])
        sock.settimeout(120)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if behaviour is not None:
                Session(sock, behaviour).run()
        except (Gone, OSError):
            pass
        finally:
            if behaviour is None or behaviour.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            if behaviour is not None:
                with behaviour.lock:
                    behaviour.ended += 1

    def close(self):
        self.ending = True
        self.listener.close()

"""A Redis server for tests: as much of one as lasting state asks of it, the two scripts done by
hand. Loopback only. What it holds is `keys`: {key: (bytes, end in s or None)}.
"""
import hashlib
import socket
import threading
import time

import postern


class FakeRedis:
    def __init__(self, password=None):
        self.password, self.keys, self.scripts = password, {}, {}
        self.error = None  # bytes that every command is answered with
        self.connections = 0
        self.lock = threading.Lock()
        self.port = postern.free_port()
        self.socks, self.listener = [], None
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(16)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        """Away, with all its connections; `start` brings it back."""
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        self.listener = None
        for s in self.socks:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.socks = []

    def accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.socks.append(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, sock):
        logged_in = self.password is None
        with sock, sock.makefile("rb") as f:
            try:
                while (head := f.readline()):
                    words = []
                    for _ in range(int(head[1:])):
                        size = int(f.readline()[1:])
                        words.append(f.read(size + 2)[:-2])
                    if words[0] == b"AUTH":
                        logged_in = words[-1] == self.password
                        answer = b"+OK" if logged_in else b"-WRONGPASS no"
                    elif not logged_in:
                        answer = b"-NOAUTH Authentication required."
                    else:
                        with self.lock:
                            answer = self.error or self.run(words)
                    sock.sendall(answer + b"\r\n")
            except (OSError, ValueError):
                pass

    def run(self, words):
        command = words[0]
        if command == b"SELECT":
            return b"+OK"
        if command == b"SCRIPT":
            name = hashlib.sha1(words[2]).hexdigest().encode()
            self.scripts[name] = words[2]
            return b"$40\r\n" + name
        if command == b"GET":
            value, end = self.keys.get(words[1], (None, None))
            if value is None or time.time() >= end:
                return b"$-1"
            return b"$%d\r\n%s" % (len(value), value)
        if command == b"SET":
            self.keys[words[1]] = (words[2], time.time() + int(words[4]) / 1000)
            return b"+OK"
        script = self.scripts.get(words[1]) if command == b"EVALSHA" else words[1]
        if script is None:
            return b"-NOSCRIPT no such"
        return b":%d" % self.bucket(b"DEL" in script, words[3], int(words[4]), int(words[5]))

    def bucket(self, give, key, cost, interval):
        now = int(time.time() * 1e6)
        full = int(self.keys.get(key, (b"0", 0))[0])
        if give:
            full = full - cost if full else 0
        else:
            full = min(max(full, now), now + interval)
            if full + cost > now + interval:
                return full - now - interval - 1
            full += cost
        self.keys[key] = (b"%d" % full, max(full / 1e6, time.time()) + 1)
        return 1 if give else now + interval - full

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

#!/usr/bin/env python3
"""Logging in at a smarthost, over a whole server: with each mechanism, at servers that refuse, that
lie, and that ask for too much. A row a destination. No password is ever heard without TLS, and none
as it is where the operator did not allow that.
"""
import base64
import hashlib
import hmac
import os
import socketserver
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

USER, PASSWORD = "relay@here.test", "correct horse, battery=staple"

# What the server offers behind TLS, what it does, whether the operator says `plain yes`, what must
# come of it, and words of the reply where it is deferred.
ROWS = [
    ("SCRAM-SHA-256", "", False, "SCRAM-SHA-256", ""),
    ("PLAIN LOGIN SCRAM-SHA-256", "", True, "SCRAM-SHA-256", ""),
    ("PLAIN LOGIN", "", True, "PLAIN", ""),
    ("LOGIN", "", True, "LOGIN", ""),
    ("PLAIN LOGIN", "", False, None, "SCRAM-SHA-256 is not offered"),
    ("CRAM-MD5 XOAUTH2", "", True, None, "no mechanism fits"),
    ("", "", True, None, "not offered"),
    ("SCRAM-SHA-256", "another password", False, None, "4.7.8"),
    ("PLAIN", "another password", True, None, "4.7.8"),
    ("SCRAM-SHA-256", "wrong signature", False, None, "not that of who knows the password"),
    ("SCRAM-SHA-256", "early yes", False, None, "before it was done"),
    ("SCRAM-SHA-256", "many iterations", False, None, "more than AUTH may take"),
    ("SCRAM-SHA-256", "garbage", False, None, "4.7.0"),
    ("SCRAM-SHA-256", "no tls", False, None, "TLS is required"),
    ("SCRAM-SHA-256", "421", False, None, "4.3.2"),
    ("SCRAM-SHA-256", "cut", False, None, "4.4.2"),
    ("SCRAM-SHA-256", "empty file", False, None, "password can't be read"),
]


class Smarthost(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, offers, does, context):
        super().__init__(("127.0.0.1", 0), Session)
        self.offers, self.does, self.context = offers, does, context
        self.port = self.server_address[1]
        self.heard, self.taken = [], []  # lines in clear; the mechanism of each content
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.sock, self.tls, self.user = self.request, False, None
        self.file = self.sock.makefile("rb")
        self.say("220 smart.test")
        while self.one():
            pass

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not self.tls:
            self.server.heard.append(line)
        return line.strip().decode()

    def ask(self, challenge):
        self.say("334 " + base64.b64encode(challenge).decode())
        return base64.b64decode(self.line())

    def one(self):
        line = self.line()
        word = line[:4].upper()
        if word == "EHLO":
            words = ["smart.test"]
            if not self.tls and self.server.does != "no tls":
                words.append("STARTTLS")
            if self.tls and self.server.offers:
                words.append("AUTH " + self.server.offers)
            for w in words[:-1]:
                self.say("250-" + w)
            self.say("250 " + words[-1])
        elif word == "STAR":
            self.say("220 go")
            self.file.close()
            self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
            self.tls, self.file = True, self.sock.makefile("rb")
        elif word == "AUTH":
            return self.auth(line.split(" ")[1:])
        elif word == "DATA":
            self.say("354 go")
            while self.file.readline() not in (b".\r\n", b""):
                pass
            self.server.taken.append(self.user)
            self.say("250 2.0.0 taken")
        elif word in ("QUIT", ""):
            self.say("221 bye")
            return False
        else:
            self.say("250 ok" if self.user else "530 5.7.0 log in first")
        return True

    def auth(self, words):
        does = self.server.does
        if does == "421":
            self.say("421 4.3.2 too busy")
        if does in ("421", "cut"):
            return False
        if does == "early yes":
            self.user = words[0]
            self.say("235 2.7.0 yes")
            return True
        good = getattr(self, words[0].replace("-", "_").lower())(words[1] if len(words) > 1 else None)
        if good:
            self.user = words[0]
        self.say("235 2.7.0 yes" if good else "535 5.7.8 no")
        return True

    def password(self):
        return "wrong" if self.server.does == "another password" else PASSWORD

    def plain(self, first):
        return base64.b64decode(first) == f"\0{USER}\0{self.password()}".encode()

    def login(self, first):
        assert first is None
        user = self.ask(b"User Name\0")
        return (user.decode(), self.ask(b"Password\0").decode()) == (USER, self.password())

    def scram_sha_256(self, first):
        bare = base64.b64decode(first).decode().split(",", 2)[2]
        salt, nonce = os.urandom(16), bare.split("r=", 1)[1] + base64.b64encode(os.urandom(12)).decode()
        count = 4000000000 if self.server.does == "many iterations" else 4096
        said = f"r={nonce},s={base64.b64encode(salt).decode()},i={count}"
        if self.server.does == "garbage":
            said = "\x00\xff what is this,,=,"
        final = self.ask(said.encode("latin-1")).decode()
        without, proof = final.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self.password().encode(), salt, 4096)
        mac = lambda key, text: hmac.new(key, text, "sha256").digest()
        client_key = mac(salted, b"Client Key")
        whole = f"{bare},{said},{without}".encode()
        wanted = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.sha256(client_key).digest(), whole)))
        if base64.b64decode(proof) != wanted:
            return False
        signature = mac(mac(salted, b"Server Key"), whole)
        if self.server.does == "wrong signature":
            signature = bytes(32)
        return self.ask(b"v=" + base64.b64encode(signature)) == b""


def context(folder):
    key, cert = os.path.join(folder, "k.pem"), os.path.join(folder, "c.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=smart.test", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    return made


def check_row(c, server, i, row, host):
    offers, does, plain, want, words = row
    what = f"{offers or 'no AUTH'}{', ' if does else ''}{does}{', plain yes' if plain else ''}"
    events = postern.until(lambda: [e for e in server.events("delivery") if e["to"] == f"u@d{i}.test"])
    outcome = "delivered" if want else "deferred"
    if not c.check(bool(events) and events[0]["outcome"] == outcome, f"{what}: {outcome}", events):
        return
    c.check(host.taken == ([want] if want else []), f"{what}: by {want}", host.taken)
    c.check(words in events[0]["reply"], f"{what}: says why", events[0]["reply"])
    clear = b"".join(host.heard)
    c.check(b"AUTH" not in clear and b"MAIL" not in clear, f"{what}: nothing in clear", clear)


def test_rows(c, folder):
    made = context(folder)
    hosts = [Smarthost(row[0], row[1], made) for row in ROWS]
    conf = 'smtp { hostname "mx.here.test" }\nqueue { retry 1h }\nevents { deliveries yes }\n'
    aliases = ""
    for i, (row, host) in enumerate(zip(ROWS, hosts)):
        path = os.path.join(folder, f"password-{i}")
        with open(path, "w", encoding="utf-8") as f:
            f.write("" if row[1] == "empty file" else PASSWORD + "\nnot this line\n")
        plain = " plain yes" if row[2] else ""
        conf += f'destination "d{i}.test" {{\n  route smtp "127.0.0.1:{host.port}"\n'
        conf += f'  auth user "{USER}" password-file "{path}"{plain}\n}}\n'
        aliases += f'  alias "u{i}" to "u@d{i}.test"\n'
    conf += f'domain "here.test" {{ recipients any  route local\n{aliases}}}\n'
    # The same domain sent elsewhere by its own block: the password is not that server's.
    other = Smarthost("PLAIN", "no tls", made)
    conf += f'destination "routed.test" {{ route smtp "127.0.0.1:{hosts[2].port}"\n  tls must\n'
    conf += f'  auth user "{USER}" password-file "{folder}/password-2" plain yes }}\n'
    conf += f'domain "routed.test" {{ recipients any  route smtp 127.0.0.1:{other.port} }}\n'
    server = postern.Server(conf)
    try:
        with server:
            server.start()
            for rcpt in [f"u{i}@here.test" for i in range(len(ROWS))] + ["u@routed.test"]:
                session = postern.Session(server)
                answer = session.send("Subject: hello\r\n\r\nbody\r\n", sender="", rcpts=[rcpt])
                session.close()
                c.check(answer.startswith("250"), f"{rcpt} is taken", answer)
            for i, (row, host) in enumerate(zip(ROWS, hosts)):
                check_row(c, server, i, row, host)
            events = postern.until(lambda: [e for e in server.events("delivery") if e["to"] == "u@routed.test"])
            c.check(bool(events) and "TLS is required" in events[0]["reply"], "another next hop: no TLS, no mail", events)
            c.check(b"AUTH" not in b"".join(other.heard), "another next hop: no password", other.heard)
            c.check(PASSWORD not in server.log(), "no password in the log")
            c.check("password-16: its first line is empty" in server.log(), "an empty password is told of", server.log())
            with open(os.path.join(server.root, "log", "events.jsonl"), encoding="utf-8") as f:
                c.check(PASSWORD not in f.read(), "no password in events")
    finally:
        for host in hosts + [other]:
            host.stop()


def main():
    c = postern.Counter("smarthost")
    with postern.tempfile.TemporaryDirectory(prefix="postern-smarthost-") as folder:
        os.chmod(folder, 0o755)
        test_rows(c, folder)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

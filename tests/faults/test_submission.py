#!/usr/bin/env python3
"""Submission to a whole server: programs that people have (Python's smtplib, curl, swaks), each
mechanism by a client of ours, who may send as whom, an account that is taken for stolen, auth that
dies within a login, and clients that speak byte by byte or go at any byte.
"""
import contextlib
import json
import os
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import saslclient  # noqa: E402

PASSWORD = "correct horse=,battery"
CONF = """
smtp {{ hostname "mx.here.test" }}
tls {{ certificate "{{root}}/cert.pem"  key "{{root}}/key.pem" }}
listen submission 127.0.0.1:{starttls}
listen submissions 127.0.0.1:{tls}
auth {{ users "{{root}}/users" }}
submission {{ recipients-per-hour {per_hour} {more} }}
queue {{ retry 1h }}
destination "*" {{ route smtp "127.0.0.1:{hop}" }}
sign "here.test" {{ key "s1" file "{{root}}/dkim/s1._domainkey.here.test.pem" }}
domain "here.test" {{ recipients any  route local }}
"""


class Hop(socketserver.ThreadingTCPServer):
    """Takes all mail for elsewhere."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", postern.free_port()), HopSession)
        self.port = self.server_address[1]
        self.taken = []  # (sender, recipients, content)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class HopSession(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.serve()

    def serve(self):
        self.say("220 hop.test")
        sender, rcpts = None, []
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"MAIL":
                sender, rcpts = line.split(b"<")[1].split(b">")[0].decode(), []
            if word == b"RCPT":
                rcpts.append(line.split(b"<")[1].split(b">")[0].decode())
            if word == b"DATA":
                self.say("354 go")
                content = b""
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                    content += part
                self.server.taken.append((sender, rcpts, content.decode()))
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Node:
    """A server with users, and the world that it delivers to."""

    def __init__(self, per_hour=500, more=""):
        self.hop = Hop()
        self.starttls, self.tls = postern.free_port(), postern.free_port()
        conf = CONF.format(starttls=self.starttls, tls=self.tls, hop=self.hop.port, per_hour=per_hour, more=more)
        self.server = postern.Server(conf)
        root = self.server.root
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.here.test",
             "-addext", "subjectAltName=DNS:mx.here.test,IP:127.0.0.1", "-keyout", root + "/key.pem", "-out",
             root + "/cert.pem"], check=True, stderr=subprocess.DEVNULL)
        os.mkdir(root + "/dkim", 0o700)
        subprocess.run([os.path.join(postern.build_folder(), "postern"), "dkim", "new", "--folder", root + "/dkim", "--selector",
                        "s1", "here.test"], check=True, stdout=subprocess.DEVNULL)
        self.add("ann@here.test")
        self.server.start()

    def add(self, user):
        subprocess.run([os.path.join(postern.build_folder(), "postern"), "user", "add", user, "--stdin", "--file",
                        self.server.root + "/users"], input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)

    def context(self):
        return ssl.create_default_context(cafile=self.server.root + "/cert.pem")

    def taken(self, count):
        postern.until(lambda: len(self.hop.taken) >= count)
        return self.hop.taken

    def queue(self, *words):
        done = subprocess.run([os.path.join(postern.build_folder(), "postern"), "queue", *words, "--json", "--root",
                               self.server.root], capture_output=True, text=True, timeout=60, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exc):
        self.hop.shutdown()
        self.hop.server_close()
        self.server.__exit__(*exc)


class Line:
    """A session by hand, over TLS: from the first byte, or behind STARTTLS."""

    def __init__(self, node, starttls=False, secure=True, piece=0):
        self.piece = piece  # bytes a write; 0: all
        port = node.starttls if starttls or not secure else node.tls
        self.sock = socket.create_connection(("127.0.0.1", port), 60 * postern.patience())
        self.secure = secure and not starttls
        if self.secure:
            self.sock = node.context().wrap_socket(self.sock, server_hostname="mx.here.test")
        self.file = self.sock.makefile("rb")
        self.greeting = self.reply()
        self.hello = self.command("EHLO client.test")
        if secure and starttls:
            self.command("STARTTLS")
            self.sock = node.context().wrap_socket(self.sock, server_hostname="mx.here.test")
            self.file = self.sock.makefile("rb")
            self.hello = self.command("EHLO client.test")

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def write(self, data):
        step = self.piece or len(data) or 1
        for i in range(0, len(data), step):
            self.sock.sendall(data[i:i + step])

    def command(self, line):
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def auth(self, mechanism, client, initial=True):
        return saslclient.Dialogue(self.command).auth(mechanism, client, initial)

    def send(self, rcpts, sender="ann@here.test", content="Subject: x\r\n\r\nhello\r\n"):
        answer = self.command(f"MAIL FROM:<{sender}>")
        for r in rcpts:
            answer = self.command(f"RCPT TO:<{r}>") if answer.startswith("2") else answer
        answer = self.command("DATA") if answer.startswith("2") else answer
        if answer.startswith("354"):
            self.write(content.encode() + b".\r\n")
            answer = self.reply()
        return answer

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
            self.sock.close()


def ann(**more):
    return saslclient.Scram("ann@here.test", PASSWORD, **more)


def test_programs(c):
    with Node() as node:
        message = "From: Ann <ann@here.test>\r\nTo: u@far.test\r\nSubject: smtplib\r\n\r\nhello\r\n"
        with smtplib.SMTP("127.0.0.1", node.starttls) as s:
            s.starttls(context=ssl._create_unverified_context())
            s.login("ann@here.test", PASSWORD)
            s.sendmail("ann@here.test", ["u@far.test", "v@here.test"], message)
        sender, rcpts, content = node.taken(1)[0]
        c.check((sender, rcpts) == ("ann@here.test", ["u@far.test"]), "smtplib, STARTTLS, PLAIN", (sender, rcpts))
        for field in ("\r\nDate: ", "\r\nMessage-ID: <", "with ESMTPSA id ", "DKIM-Signature: v=1;", "d=here.test", "s=s1;"):
            c.check(field in content, "smtplib: " + field.strip(), content)
        with smtplib.SMTP_SSL("127.0.0.1", node.tls, context=ssl._create_unverified_context()) as s:
            s.ehlo()
            s.user, s.password = "ann@here.test", PASSWORD
            c.check(s.auth("LOGIN", s.auth_login)[0] == 235, "smtplib, TLS, LOGIN")
            s.sendmail("ann@here.test", ["u@far.test"], message.encode())
        c.check(len(node.taken(2)) == 2, "smtplib over TLS", node.hop.taken)
        path = node.server.root + "/message"
        with open(path, "w", encoding="ascii", newline="") as f:
            f.write(message.replace("smtplib", "curl"))
        count = 2
        for url, more in ((f"smtp://127.0.0.1:{node.starttls}", ["--ssl-reqd"]), (f"smtps://127.0.0.1:{node.tls}", [])):
            for mechanism in ("PLAIN", "LOGIN"):
                if not shutil.which("curl"):
                    continue
                done = subprocess.run(["curl", "-sS", "--cacert", node.server.root + "/cert.pem", "--user",
                                       f"ann@here.test:{PASSWORD}", "--login-options", f"AUTH={mechanism}", "--url", url,
                                       "--mail-from", "ann@here.test", "--mail-rcpt", "u@far.test", "-T", path, *more],
                                      capture_output=True, text=True, timeout=60, check=False)
                count += 1
                c.check(done.returncode == 0 and "Subject: curl" in node.taken(count)[-1][2],
                        f"curl {url.split(':')[0]} {mechanism}", done.stderr)
        for mechanism in ("PLAIN", "LOGIN"):
            if not shutil.which("swaks"):
                continue
            done = subprocess.run(["swaks", "--server", f"127.0.0.1:{node.starttls}", "-tls", "--auth", mechanism,
                                   "--auth-user", "ann@here.test", "--auth-password", PASSWORD, "--from",
                                   "ann@here.test", "--to", "u@far.test"],
                                  capture_output=True, text=True, timeout=60, check=False)
            if "Net::SSLeay" in done.stdout + done.stderr:
                continue  # Perl's TLS is not installed
            count += 1
            c.check(done.returncode == 0 and len(node.taken(count)) == count, f"swaks {mechanism}",
                    done.stdout + done.stderr)
        users = [e.get("client", {}).get("user") for e in node.server.wait_events("message", count)]
        c.check(users == ["ann@here.test"] * count, "the event has the user", users)


def test_mechanisms(c):
    with Node() as node:
        clear = Line(node, secure=False)
        c.check("AUTH" not in clear.hello and "STARTTLS" in clear.hello, "in the clear nothing is offered", clear.hello)
        answer = clear.auth("PLAIN", saslclient.plain("ann@here.test", PASSWORD))
        c.check(answer.startswith("538 5.7.11"), "nor taken", answer)
        c.check(clear.send(["u@far.test"]).startswith("530 5.7.0"), "nor mail")
        clear.close()
        for starttls in (True, False):
            first = Line(node, starttls)
            offered = [w for w in first.hello.split("\n") if w[4:].startswith("AUTH ")]
            c.check(len(offered) == 1 and offered[0].split()[2:] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"],
                    "what is offered", first.hello)
            c.check(first.send(["u@far.test"]).startswith("530 5.7.0"), "no mail without a login")
            first.close()
            rows = (
                ("PLAIN", saslclient.plain("ann@here.test", PASSWORD), saslclient.plain("ann@here.test", "x")),
                ("LOGIN", saslclient.login("ann@here.test", PASSWORD), saslclient.login("ann@here.test", "x")),
                ("SCRAM-SHA-256", ann(), saslclient.Scram("ann@here.test", "x")),
                ("SCRAM-SHA-256-PLUS", None, None),
            )
            for mechanism, right, wrong in rows:
                s = Line(node, starttls)
                binding = saslclient.tls_exporter(s.sock)
                if mechanism.endswith("PLUS"):
                    right, wrong = ann(binding=binding), ann(binding=b"x" * 32)
                answer = s.auth(mechanism, wrong, initial=mechanism != "LOGIN")
                c.check(answer.startswith("535 5.7.8"), f"{mechanism}, wrong", answer)
                answer = s.auth(mechanism, right, initial=mechanism != "LOGIN")
                c.check(answer.startswith("235 2.7.0"), f"{mechanism}, right", answer)
                c.check(getattr(right, "verified", True), f"{mechanism}: the server proved itself")
                c.check(s.send(["u@far.test"]).startswith("250"), f"{mechanism}: mail")
                s.close()
        s = Line(node)
        answer = s.auth("SCRAM-SHA-256", ann(gs2="y,,"))
        c.check(answer.startswith("535") or answer.startswith("501"), "a client that was kept from -PLUS", answer)
        answer = s.auth("LOGIN", saslclient.login("ann@here.test", PASSWORD), initial=False)
        c.check(answer.startswith("235"), "and may still log in", answer)
        s.close()
        s = Line(node)
        answer = s.command("AUTH LOGIN YW5uQGhlcmUudGVzdA==")
        c.check(answer.startswith("334"), "LOGIN with the name at once", answer)
        answer = s.command("Y29ycmVjdCBob3JzZT0sYmF0dGVyeQ==")
        c.check(answer.startswith("235"), "LOGIN with the name at once", answer)
        s.close()
        answer = postern.Session(node.server).send("x\r\n", sender="ann@here.test", rcpts=["u@far.test"])
        c.check(answer.startswith("550 5.7.1"), "port 25 is no relay", answer)


def test_senders(c):
    with Node() as node:
        s = Line(node)
        s.auth("PLAIN", saslclient.plain("ann@here.test", PASSWORD))
        c.check(s.send(["u@far.test"], sender="boss@here.test").startswith("553 5.7.1"), "another's MAIL FROM")
        answer = s.send(["u@far.test"], content="From: boss@here.test\r\n\r\nx\r\n")
        c.check(answer.startswith("550 5.7.1"), "another's From", answer)
        for field in ("Sender", "Resent-From", "Resent-Sender"):
            answer = s.send(["u@far.test"], content=f"{field}: boss@here.test\r\nFrom: ann@here.test\r\n\r\nx\r\n")
            c.check(answer.startswith(f"550 5.7.1 {field}"), "another's " + field, answer)
        answer = s.send(["u@far.test"], content="From: ann@here.test\r\nSender: ann@here.test\r\nResent-From: ann@here.test\r\n"
                                                "Resent-From: boss@here.test\r\n\r\nx\r\n")
        c.check(answer.startswith("250"), "his own Sender; another resent it before him", answer)
        answer = s.send(["u@far.test"], content="From: ann@here.test\r\n" + "X: y\r\n" * 10000 + "From: boss@here.test\r\n\r\nx\r\n")
        c.check(answer.startswith("550 5.6.0"), "another's From behind all that is looked at", answer)
        answer = s.send(["u@far.test"], sender="ann+news@here.test", content="From: ann+news@here.test\r\n\r\nx\r\n")
        c.check(answer.startswith("250"), "a tag", answer)
        s.close()


def scan_again(node, event):
    """What `postern scan --event` finds of a message that Line.send sent."""
    for name, text in (("event", json.dumps(event)), ("content", "Subject: x\r\n\r\nhello\r\n")):
        with open(f"{node.server.root}/{name}", "w", encoding="ascii", newline="") as f:
            f.write(text)
    done = subprocess.run([os.path.join(postern.build_folder(), "postern"), "scan", "--json", "--config",
                           node.server.conf_path, "--event", node.server.root + "/event", node.server.root + "/content"],
                          capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout or "{}") or done.stderr


def test_stolen(c):
    with Node(per_hour=4) as node:
        s = Line(node)
        s.auth("PLAIN", saslclient.plain("ann@here.test", PASSWORD))
        for i in range(4):
            c.check(s.send([f"u{i}@far.test"]).startswith("250"), "within the rate")
        c.check(len(node.taken(4)) == 4, "is delivered")
        for i in range(2):
            c.check(s.send([f"v{i}@far.test", "w@far.test"]).startswith("250"), "beyond it is taken, too")
        said = node.server.wait_events("account-held", 1)
        c.check(len(said) == 1 and said[0]["client"]["user"] == "ann@here.test", "an event says so, once", said)
        held = postern.until(lambda: [m for m in node.queue("list", "--held", "--user", "ann@*") if m.get("id")][1:])
        c.check(held and "recipients-per-hour" in held[0]["reason"], "postern queue shows it", held)
        c.check(len(node.hop.taken) == 4, "none of it went out", node.hop.taken)
        none = node.queue("list", "--held", "--user", "bob@here.test")
        c.check(none[-1]["count"] == 0, "of nobody else", none)
        events = [e for e in node.server.events("message") if e["outcome"] == "quarantine"]
        again = [scan_again(node, e) for e in events]
        c.check([(e["outcome"], e["recipients"]) for e in events] == [(a.get("outcome"), a.get("recipients")) for a in again]
                and len(events) == 2, "the verdict is repeated from its event", again)
        done = node.queue("release", "--held", "--user", "ann@here.test")
        c.check(done[-1]["done"] == 2, "released", done)
        c.check(len(node.taken(6)) == 6, "it goes out", len(node.hop.taken))
        s.close()


def test_auth_dies(c):
    with Node() as node:
        s = Line(node)
        answer = s.command("AUTH LOGIN")
        c.check(answer.startswith("334"), "begun", answer)
        for pid in node.server.roles("auth"):
            os.kill(pid, signal.SIGKILL)
        answer = s.command("YW5uQGhlcmUudGVzdA==")
        c.check(answer.startswith("454") or answer.startswith("334"), "auth died: the client is told, or asked on", answer)
        if answer.startswith("334"):  # it was quicker than the signal
            s.command("*")

        def again():
            answer = s.auth("PLAIN", saslclient.plain("ann@here.test", PASSWORD))
            return answer if answer.startswith("235") else None

        c.check(postern.until(again), "and may log in with the next one")
        c.check(s.send(["u@far.test"]).startswith("250"), "and send")
        s.close()


def test_bytes(c):
    with Node() as node:
        s = Line(node, piece=1)
        answer = s.auth("SCRAM-SHA-256", ann())
        c.check(answer.startswith("235"), "byte by byte", answer)
        c.check(s.send(["u@far.test"]).startswith("250"), "byte by byte: mail")
        s.close()
        for pipelined in (True, False):
            text = b"AUTH PLAIN\r\nAGFubkBoZXJlLnRlc3QAeA==\r\nMAIL FROM:<ann@here.test>\r\n"
            for end in range(0, len(text), 1 if pipelined else 7):
                s = Line(node)
                s.write(text[:end])
                if not pipelined:
                    s.sock.settimeout(0.05)
                    with contextlib.suppress(OSError):
                        s.reply()
                s.close()
        s = Line(node)
        s.write(text)
        replies = [s.reply() for _ in range(3)]
        c.check([r[:3] for r in replies] == ["334", "535", "530"], "sent ahead", replies)
        answer = s.auth("PLAIN", saslclient.plain("ann@here.test", PASSWORD))
        c.check(answer.startswith("235"), "the server is as before", answer)
        s.close()
        c.check(not any(w in node.server.log() for w in ("AddressSanitizer", "assertion", "runtime error")), "no fault",
                node.server.log()[-2000:])
        c.check(PASSWORD not in node.server.log() + json.dumps(node.server.events()), "no password is written anywhere")


def main():
    c = postern.Counter("submission")
    for test in (test_programs, test_mechanisms, test_senders, test_stolen, test_auth_dies, test_bytes):
        test(c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

"""A whole server whose users read their mail by IMAP and POP3, and a client's bare lines: what a
test says is what is sent.
"""
import contextlib
import os
import socket
import ssl
import subprocess

import postern

PASSWORD = "Aiph3ohy kaeYee0m ohfah9Ai"
CONF = """
smtp {{ hostname "mx.here.test" }}
tls {{ certificate "{{root}}/cert.pem"  key "{{root}}/key.pem" }}
listen imap  127.0.0.1:{imap}  {options}
listen imaps 127.0.0.1:{imaps} {options}
listen pop3  127.0.0.1:{pop3}  {options}
listen pop3s 127.0.0.1:{pop3s} {options}
auth {{ users "{{root}}/users" {auth} }}
mailbox {{ {mailbox} }}
limits {{ {limits} }}
{more}
domain "here.test" {{ recipients any  route local }}
"""
LIMITS = "connections-per-minute 1000000  connections-per-minute-network 1000000  sessions-per-address 30000  sessions-per-network 30000"


class Node:
    def __init__(self, users=("ann@here.test",), auth="", mailbox="", limits=LIMITS, more="", options="", args=()):
        self.ports = {kind: postern.free_port() for kind in ("imap", "imaps", "pop3", "pop3s")}
        self.settings = {"auth": auth, "mailbox": mailbox, "limits": limits, "more": more, "options": options}
        self.server = postern.Server(self.conf(), args=args)
        root = self.server.root
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=mx.here.test", "-keyout", root + "/key.pem", "-out", root + "/cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        for user in users:
            self.add(user)

    def conf(self):
        return CONF.format(**self.ports, **self.settings)

    def add(self, user):
        command = [os.path.join(postern.build_folder(), "postern"), "user", "add", user, "--stdin", "--file",
                   self.server.root + "/users"]
        subprocess.run(command, input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        self.server.start()
        return self

    def reload(self, **settings):
        self.settings.update(settings)
        self.server.write_conf(self.conf())
        self.server.process.send_signal(1)

    def role(self, name):
        """The process that serves in that role; waits for one."""
        return postern.until(lambda: self.server.roles(name))[0]

    def __enter__(self):
        self.server.__enter__()
        return self.start()

    def __exit__(self, *exc):
        self.server.__exit__(*exc)


class Line:
    """A connection of kind imap, imaps, pop3 or pop3s; tls: begun by STARTTLS or STLS."""

    def __init__(self, node, kind="imap", tls=False, source="127.0.0.1", greet=True):
        self.kind = kind
        self.imap = kind.startswith("imap")
        self.sock = socket.create_connection(("127.0.0.1", node.ports[kind]), 30 * postern.patience(), (source, 0))
        self.file = None
        self.count = 0
        if kind.endswith("s"):
            self.wrap()
        else:
            self.file = self.sock.makefile("rb")
        if greet:
            self.greeting = self.read()
        if tls:
            self.answer = self.ask("STARTTLS" if self.imap else "STLS")
            self.wrap()

    def wrap(self):
        self.sock = ssl._create_unverified_context().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def say(self, text):
        self.sock.sendall(text.encode())

    def read(self):
        """A line; "" at the end, a reset included."""
        try:
            return self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
        except (ConnectionError, ssl.SSLError):
            return ""

    def read_to(self, start):
        """Lines until one that starts so (it is the last), or the end."""
        lines = []
        while True:
            line = self.read()
            lines.append(line)
            if not line or line.startswith(start):
                return lines

    def ask(self, command):
        """The last line of the answer."""
        if not self.imap:
            self.say(command + "\r\n")
            return self.read()
        self.count += 1
        tag = f"t{self.count}"
        self.say(f"{tag} {command}\r\n")
        return self.read_to(tag + " ")[-1].partition(" ")[2]

    def login(self, user="ann@here.test", password=PASSWORD):
        if self.imap:
            return self.ask(f'LOGIN {user} "{password}"')
        answer = self.ask(f"USER {user}")
        return self.ask(f"PASS {password}") if answer.startswith("+OK") else answer

    def in_(self, answer):
        return answer.startswith("OK" if self.imap else "+OK")

    def serves(self):
        """The session is there, and answers."""
        return self.in_(self.ask("NOOP"))

    def ends(self):
        """It is closed; what it said before, as lines."""
        lines = []
        while line := self.read():
            lines.append(line)
        return lines

    def close(self):
        with contextlib.suppress(OSError):
            if self.file:
                self.file.close()
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def log_in(node, kind="imaps", tls=False, user="ann@here.test", source="127.0.0.1"):
    """A session that is in; raises where it does not come to that."""
    line = Line(node, kind, tls, source)
    answer = line.login(user)
    if not line.in_(answer):
        line.close()
        raise ConnectionError(answer)
    return line


def again(node, kind="imaps", tls=False, user="ann@here.test", seconds=30):
    """The same, as a client that tries again."""
    def attempt():
        try:
            return log_in(node, kind, tls, user)
        except OSError:
            return None
    return postern.until(attempt, seconds)

"""Postern with mailboxes, as tests of IMAP and POP3 run it; the same face as dovecot.Dovecot's, so that
a suite can be tried on another server first."""
import os
import shutil
import signal
import subprocess

import imap
import postern

CONF = """
smtp {{ hostname "mx.here.test" }}
listen lmtp 127.0.0.1:{lmtp}
listen imap 127.0.0.1:{imap}
listen imaps 127.0.0.1:{imaps}
listen pop3 127.0.0.1:{pop3}
listen pop3s 127.0.0.1:{pop3s}
mailbox {{ plain-login {plain}  sessions-per-user {per_user}  sessions {per_user}  {mailbox} }}
tls {{ certificate "{root}/cert.pem"  key "{root}/key.pem" }}
auth {{ users "{root}/users" }}
mailboxes {workers}
limits {{ exempt 127.0.0.0/8  sessions 60000 }}
domain "here.test" {{ recipients any  route local }}
"""


def is_served():
    """Whether this build has listeners for IMAP and POP3."""
    with postern.Server("") as server:
        server.write_conf(f"listen imap 127.0.0.1:{postern.free_port()}\nlisten pop3 127.0.0.1:{postern.free_port()}\n")
        command = [os.path.join(postern.build_folder(), "postern"), "check", "-c", server.conf_path]
        p = subprocess.run(command, capture_output=True, text=True, check=False)
        return "not served" not in p.stdout + p.stderr


class Postern:
    """users: {name@here.test: password}. more: lines of configuration."""

    name, host = "postern", "127.0.0.1"
    delimiter = b"/"

    def __init__(self, users, more="", workers=1, per_user=200, mailbox="", plain="loopback"):
        self.users = users
        self.imap, self.imaps, self.pop3, self.pop3s, self.lmtp = (postern.free_port() for _ in range(5))
        self.server = postern.Server("")
        self.server.write_conf(CONF.format(root=self.server.root, imap=self.imap, imaps=self.imaps, pop3=self.pop3, pop3s=self.pop3s,
                                           lmtp=self.lmtp, workers=workers, per_user=per_user, mailbox=mailbox, plain=plain) + more)  # fmt: skip
        root = self.server.root
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{root}/key.pem", "-out", self.certificate],
                       check=True, capture_output=True)  # fmt: skip
        command = os.path.join(postern.build_folder(), "postern")
        for user, password in users.items():
            subprocess.run([command, "user", "add", "--stdin", "--file", f"{root}/users", user], check=True, capture_output=True,
                           input=password, text=True)  # fmt: skip

    @property
    def process(self):
        return self.server.process

    @property
    def certificate(self):
        return f"{self.server.root}/cert.pem"

    def maildir(self, user):
        name, _, domain = user.partition("@")
        return f"{self.server.root}/mail/{domain}/{name}"

    def own(self, path):
        """All of a test belongs to one user."""

    def start(self):
        self.server.start()
        if not postern.until(self.serves):
            raise RuntimeError("nobody serves IMAP:\n" + self.server.log()[-2000:])
        return self

    def serves(self):
        try:
            imap.Imap(self.host, self.imap).close()
            return True
        except OSError:
            return False

    def processes(self):
        return postern.processes(self.server.process.pid)

    def kill_mailboxes(self):
        """Ends those that have mailboxes open, at once and without a word."""
        for pid in self.server.roles("mailbox"):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def lose_index(self, user):
        """What is a cache only goes: all below is to be made anew from the Maildir and its marks."""
        shutil.rmtree(f"{self.maildir(user)}/postern", ignore_errors=True)

    def words(self):
        return self.server.log()[-4000:]

    def stop(self):
        try:
            self.server.stop()
        finally:
            self.server.clean()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

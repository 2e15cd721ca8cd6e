"""Debian's Dovecot as a test or a benchmark runs it beside Postern, within tests/interop/netroot.sh
(whose packages PACKAGES names): IMAP, POP3 and LMTP over Maildirs, Debian's settings but for what
many sessions from one address need.
"""
import os
import pwd
import signal
import socket
import subprocess
import time

import postern

PACKAGES = ("dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd libexttextcat-2.0-0 libexttextcat-data libstemmer0d "
            "libsodium23 libwrap0 libapparmor1 libunwind8 liblua5.4-0")
UID = 5000
CONF = """
protocols = imap pop3 lmtp
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
first_valid_uid = 100
mail_max_userip_connections = 20000
default_client_limit = 12000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {home}/users
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
service imap-login {{
  process_limit = 12000
  process_min_avail = 1
  {logins}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 12000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 36100
}}
service auth {{
  client_limit = 36100
}}
service stats {{
  client_limit = 36100
}}
"""


def add_user(name, uid):
    """In the view of this system that ends with the test."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        with open("/etc/passwd", "a", encoding="ascii") as f:
            f.write(f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n")
        with open("/etc/group", "a", encoding="ascii") as f:
            f.write(f"{name}:x:{uid}:\n")


class Dovecot:
    """users: {name@domain: password}. maildir(user) is where the mail of one lies."""

    name, host = "dovecot", "127.0.0.1"
    delimiter = b"."

    def __init__(self, home, users, imap=143, imaps=993, pop3=110, pop3s=995, lmtp=24, shared_logins=False):
        self.home, self.users = home, users
        self.imap, self.imaps, self.pop3, self.pop3s, self.lmtp = imap, imaps, pop3, pop3s, lmtp
        self.process = None
        add_user("dovecot", 4007)
        add_user("dovenull", 4008)
        os.makedirs(f"{home}/boxes", exist_ok=True)
        os.chmod(home, 0o755)
        if not os.path.exists(f"{home}/cert.pem"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{home}/key.pem", "-out",
                            f"{home}/cert.pem"], check=True, capture_output=True)  # fmt: skip
        logins = "service_count = 0" if shared_logins else ""
        with open(f"{home}/dovecot.conf", "w", encoding="utf-8") as f:
            f.write(CONF.format(home=home, imap=imap, imaps=imaps, pop3=pop3, pop3s=pop3s, lmtp=lmtp, logins=logins))
        with open(f"{home}/users", "w", encoding="utf-8") as f:
            for user, password in users.items():
                f.write(f"{user}:{password}:{UID}:{UID}::{home}/boxes/{user}::\n")
        for user in users:
            os.makedirs(self.maildir(user), exist_ok=True)
            self.own(f"{home}/boxes/{user}")

    def maildir(self, user):
        return f"{self.home}/boxes/{user}/Maildir"

    @property
    def certificate(self):
        return f"{self.home}/cert.pem"

    def own(self, path):
        """Gives a tree to the user whose mail it is."""
        for folder, _, files in os.walk(path):
            os.chown(folder, UID, UID)
            for name in files:
                os.chown(os.path.join(folder, name), UID, UID)

    def start(self):
        with open(f"{self.home}/out.txt", "ab") as out:
            self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", f"{self.home}/dovecot.conf"],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
        for port in (self.imap, self.imaps, self.pop3, self.lmtp):
            if not postern.until(lambda: self.answers(port)):
                raise RuntimeError(f"dovecot does not listen at {port}:\n{self.words()}")
        return self

    def answers(self, port):
        if self.process.poll() is not None:
            raise RuntimeError(f"dovecot ended with {self.process.returncode}:\n{self.words()}")
        try:
            socket.create_connection((self.host, port), 2).close()
            return True
        except OSError:
            return False

    def processes(self):
        """{pid: role}"""
        found = {}
        for pid in postern.processes(self.process.pid):
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    found[pid] = f.read().strip()
            except OSError:
                pass
        return found

    def kill_mailboxes(self):
        """Ends those that have mailboxes open, at once and without a word."""
        for pid, role in self.processes().items():
            if role in ("imap", "pop3", "lmtp"):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def lose_index(self, user):
        """Its UIDs and keywords would go, too."""

    def words(self):
        said = ""
        for name in ("out.txt", "dovecot.log"):
            try:
                with open(f"{self.home}/{name}", encoding="utf-8", errors="replace") as f:
                    said += f.read()[-3000:]
            except OSError:
                pass
        return said

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            below = list(self.processes())
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            for pid in below:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

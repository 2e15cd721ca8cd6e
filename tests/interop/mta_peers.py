"""Mail servers of others, as tests start them within netroot.sh: each has an address, a domain,
a certificate, mailboxes below /peers, and knows names by the test's own name server."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

UID = 5000


def add_user(name, uid, home="/nonexistent"):
    """In the view of this system that ends with the test."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        with open("/etc/passwd", "a", encoding="ascii") as f:
            f.write(f"{name}:x:{uid}:{uid}::{home}:/usr/sbin/nologin\n")
        with open("/etc/group", "a", encoding="ascii") as f:
            f.write(f"{name}:x:{uid}:\n")
        with open("/etc/shadow", "a", encoding="ascii") as f:
            f.write(f"{name}:*:19000:0:99999:7:::\n")


def certificate(folder, name):
    """Paths of a self-signed one and its key."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def wait_port(address, port, process=None):
    def there():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection((address, port), 2).close()
            return True
        except OSError:
            return False
    if not postern.until(there, 30):
        raise RuntimeError(f"nobody listens at {address}:{port}")


class Peer:
    """name, domain, host, address; tls: whether its server offers STARTTLS."""

    def __init__(self, name, domain, address, tls):
        self.name, self.domain, self.address, self.tls = name, domain, address, tls
        self.host = f"mx.{domain}"
        self.home = f"/peers/{name}"
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        os.chmod("/peers", 0o755)
        self.cert, self.key = certificate(self.home, self.host)
        self.boxes = os.path.join(self.home, "boxes")
        os.makedirs(self.boxes)
        os.chown(self.boxes, UID, UID)
        self.log = open(os.path.join(self.home, "out.txt"), "ab")
        self.process = None

    def spawn(self, command, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **more)

    def mail(self, user):
        """Contents of a user's mail, by delivery."""
        found = []
        for path in glob.glob(f"{self.boxes}/{user}/**/new/*", recursive=True):
            with open(path, "rb") as f:
                found.append((os.stat(path).st_mtime_ns, f.read()))
        return [content for _, content in sorted(found)]

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.log.close()

    def words(self):
        """What it said, for a failure's sake."""
        with open(os.path.join(self.home, "out.txt"), encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]


class Postfix(Peer):
    def start(self):
        add_user("postfix", 4001)
        add_user("postdrop", 4002)
        etc = "/etc/postfix"
        write(f"{etc}/main.cf", f"""
compatibility_level = 3.6
myhostname = {self.host}
mydestination =
mynetworks = 127.0.0.0/8 192.0.2.0/24
inet_interfaces = {self.address}
smtp_bind_address = {self.address}
inet_protocols = ipv4
maillog_file = /var/log/postfix.log
maillog_file_prefixes = /var
virtual_mailbox_domains = {self.domain} by-mx.{self.domain}
virtual_mailbox_base = {self.boxes}
virtual_mailbox_maps = inline:{{ {{ anna@{self.domain} = anna/ }}, {{ bert@{self.domain} = bert/ }}, {{ anna@by-mx.{self.domain} = anna/ }}, {{ bert@by-mx.{self.domain} = bert/ }} }}
virtual_uid_maps = static:{UID}
virtual_gid_maps = static:{UID}
smtpd_tls_security_level = {"may" if self.tls else "none"}
smtpd_tls_cert_file = {self.cert}
smtpd_tls_key_file = {self.key}
smtpd_tls_received_header = yes
smtp_tls_security_level = {"encrypt" if self.tls else "none"}
smtputf8_enable = yes
smtp_dns_support_level = enabled
message_size_limit = 50000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
minimal_backoff_time = 5s
queue_run_delay = 5s
""")
        write(f"{etc}/master.cf", """
smtp      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
postlog   unix-dgram n  -       n       -       1       postlogd
""")
        os.makedirs("/var/spool/postfix", exist_ok=True)
        os.makedirs("/var/lib/postfix", exist_ok=True)
        shutil.chown("/var/lib/postfix", "postfix", "postfix")
        subprocess.run(["/usr/sbin/postfix", "set-permissions"], check=False, stdout=self.log, stderr=self.log)
        self.spawn(["/usr/sbin/postfix", "start-fg"])
        wait_port(self.address, 25, self.process)

    def stop(self):
        """Its master is not the process that was started."""
        subprocess.run(["/usr/sbin/postfix", "stop"], check=False, stdout=self.log, stderr=self.log)
        super().stop()

    def words(self):
        with open("/var/log/postfix.log", encoding="utf-8", errors="replace") as f:
            lines = f.read().splitlines()
        return "\n".join([line for line in lines if "warning" in line or "fatal" in line][-10:] + lines[-20:])


class Exim(Peer):
    def start(self):
        add_user("Debian-exim", 4003)
        spool = f"{self.home}/spool"
        os.makedirs(spool)
        shutil.chown(spool, "Debian-exim", "Debian-exim")
        shutil.chown(self.key, "Debian-exim", "Debian-exim")
        conf = "/etc/exim4/exim4.conf"  # with another one it gives up its rights
        write(conf, f"""
primary_hostname = {self.host}
domainlist local_domains = {self.domain} : by-mx.{self.domain}
hostlist relay_from_hosts = 127.0.0.0/8 : 192.0.2.0/24
spool_directory = {spool}
log_file_path = {spool}/%slog
local_interfaces = {self.address}
daemon_smtp_ports = 25
never_users =
host_lookup =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
keep_environment =
tls_advertise_hosts = {"*" if self.tls else ""}
tls_certificate = {self.cert}
tls_privatekey = {self.key}
message_size_limit = 50M
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  accept hosts = +relay_from_hosts
         domains = ! +local_domains
  require message = relay not permitted
          domains = +local_domains
  require verify = recipient
  accept
data:
  accept
begin routers
remote:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  no_more
boxes:
  driver = accept
  local_parts = anna : bert
  transport = boxes
begin transports
remote_smtp:
  driver = smtp
  interface = {self.address}
  {"hosts_require_tls = *" if self.tls else "hosts_avoid_tls = *"}
  tls_verify_hosts =
  tls_try_verify_hosts =
boxes:
  driver = appendfile
  maildir_format
  directory = {self.boxes}/$local_part_data
  user = {UID}
  group = {UID}
  create_directory
  delivery_date_add
  envelope_to_add
begin retry
*  *  F,2h,5s
""")
        self.spawn(["/usr/sbin/exim4", "-bdf", "-q5s"])
        wait_port(self.address, 25, self.process)

    def words(self):
        said = super().words()
        for path in glob.glob(f"{self.home}/spool/*nlog") + glob.glob(f"{self.home}/spool/*clog"):
            with open(path, encoding="utf-8", errors="replace") as f:
                said += f.read()[-3000:]
        return said


class OpenSmtpd(Peer):
    def start(self):
        add_user("opensmtpd", 4005, "/var/empty")
        add_user("opensmtpq", 4006, "/var/empty")
        os.makedirs("/var/empty", exist_ok=True)
        os.makedirs("/var/lib/opensmtpd/empty", exist_ok=True)
        os.chmod("/var/lib/opensmtpd/empty", 0o755)
        for user in ("anna", "bert"):
            add_user(user, UID)
            os.makedirs(f"{self.boxes}/{user}")
            os.chown(f"{self.boxes}/{user}", UID, UID)
        conf = f"{self.home}/smtpd.conf"
        pki = f'pki "{self.host}" cert "{self.cert}"\npki "{self.host}" key "{self.key}"\n' if self.tls else ""
        listen = f'tls pki "{self.host}"' if self.tls else ""
        write(conf, f"""
{pki}
table users {{ "anna" = "anna", "bert" = "bert" }}
listen on {self.address} port 25 hostname "{self.host}" {listen}
action "boxes" maildir "{self.boxes}/%{{user.username}}"
action "out" relay src {self.address} helo "{self.host}" {"tls no-verify" if self.tls else "tls no"}
match from any for domain "{self.domain}" action "boxes"
match from any for domain "by-mx.{self.domain}" action "boxes"
match from any for any action "out"
""".replace("tls no\n", "\n"))
        self.spawn(["/usr/sbin/smtpd", "-d", "-f", conf])
        wait_port(self.address, 25, self.process)


class Dovecot(Peer):
    """LMTP into Maildirs, at port 24."""

    def start(self):
        add_user("dovecot", 4007)
        add_user("dovenull", 4008)
        conf = f"{self.home}/dovecot.conf"
        write(conf, f"""
protocols = lmtp
base_dir = /run/dovecot
state_dir = /var/lib/dovecot
log_path = {self.home}/dovecot.log
ssl = {"yes" if self.tls else "no"}
ssl_cert = <{self.cert}
ssl_key = <{self.key}
hostname = {self.host}
mail_location = maildir:{self.boxes}/%n
lmtp_save_to_detail_mailbox = no
first_valid_uid = 100
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {self.home}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = {self.address}
    port = 24
  }}
}}
""")
        write(f"{self.home}/users", "".join(f"{u}:x:{UID}:{UID}::{self.boxes}/{u}::\n" for u in ("anna", "bert")))
        self.spawn(["/usr/sbin/dovecot", "-F", "-c", conf])
        wait_port(self.address, 24, self.process)

    def words(self):
        with open(f"{self.home}/dovecot.log", encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]


PEERS = {"postfix": (Postfix, "pf.test", "192.0.2.11"), "exim": (Exim, "ex.test", "192.0.2.12"),
         "opensmtpd": (OpenSmtpd, "os.test", "192.0.2.13"), "dovecot": (Dovecot, "dc.test", "192.0.2.14")}


def make(name, tls):
    kind, domain, address = PEERS[name]
    peer = kind(name, domain, address, tls)
    try:
        peer.start()
    except RuntimeError as e:
        raise RuntimeError(f"{name}: {e}\n{peer.words()}") from e
    return peer


def settle(seconds=0.2):
    time.sleep(seconds)

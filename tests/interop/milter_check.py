#!/usr/bin/env python3
"""A server whose milters are Debian's own: opendkim signs and verifies, clamav-milter finds, rspamd's
milter worker judges; each by itself, then all in a row (POSTERN_MILTER_ROOT, _LIBRARIES)."""
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "..", "faults"), os.path.join(here, "..", "lib")]
import postern  # noqa: E402
import test_clamav as samples  # noqa: E402

ROOT = os.environ["POSTERN_MILTER_ROOT"]
USER = pwd.getpwuid(os.geteuid()).pw_name
ENV = {**os.environ, "LD_LIBRARY_PATH": os.environ["POSTERN_MILTER_LIBRARIES"]}
GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

CONF = """
smtp {{ hostname "mx.here.test" }}
workers {{ count 1 }}
limits {{ exempt 0.0.0.0/0 }}
plugins {{ milter {{ grant network, dns  {servers} }} }}
include "postern:default"
domain "here.test" {{ recipients any  route local }}
"""
OPENDKIM = """
Socket {socket}
Mode {mode}
UserID {user}
PidFile {folder}/{mode}.pid
Background no
Syslog no
InternalHosts {folder}/internal
"""
SIGN = """
Canonicalization {canonicalization}
Domain sender.test
Selector sel
KeyFile {folder}/key.pem
OversignHeaders From
RequireSafeKeys no
"""
VERIFY = """
TestPublicKeys {folder}/keys
AuthservID opendkim.test
AlwaysAddARHeader yes
On-BadSignature reject
"""
CLAMD = """
DatabaseDirectory {folder}
LocalSocket {folder}/clamd.ctl
TemporaryDirectory {folder}
LogFile {folder}/clamd.log
Foreground yes
User {user}
"""
CLAMAV_MILTER = """
MilterSocket {socket}
ClamdSocket unix:{folder}/clamd.ctl
User {user}
Foreground yes
PidFile {folder}/clamav-milter.pid
TemporaryDirectory {folder}
OnInfected {infected}
OnFail Defer
RejectMsg Infected with %v
AddHeader Replace
LogFile {folder}/clamav-milter.log
"""
RSPAMD = """
options {{ pidfile = "{folder}/rspamd.pid"; filters = ""; enable_test_patterns = true; url_tld = "{folder}/tld";
  disable_hyperscan = true; hs_cache_dir = "{folder}"; control_socket = "{folder}/control.sock";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; count = 1; milter = yes; timeout = 10s;
  spam_header = "X-Spam"; upstream "local" {{ default = yes; self_scan = yes; }} }}
"""


class Peer:
    """A program of the private root, until close."""

    def __init__(self, folder, name, *args):
        with open(f"{folder}/{os.path.basename(name)}.out", "ab") as out:
            self.process = subprocess.Popen([f"{ROOT}/{name}", *args], stdout=out, stderr=out, env=ENV)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def there(address):
    """Somebody listens at ("unix", path) or ("inet", port)."""

    def try_it():
        with socket.socket(socket.AF_UNIX if address[0] == "unix" else socket.AF_INET) as s:
            try:
                s.connect(address[1] if address[0] == "unix" else ("127.0.0.1", address[1]))
            except OSError:
                return False
            return True

    return postern.until(try_it, 60)


def send(server, content, client="192.0.2.1"):
    before = len(server.events("message"))
    session = postern.Session(server, client)
    try:
        answer = session.send(content)
    finally:
        session.close()
    events = server.wait_events("message", before + 1)
    event = events[before] if len(events) > before else {}
    return answer, {s["name"]: s.get("detail", "") for s in event.get("symbols", [])}, event


def newest(server, known):
    fresh = {k: v for k, v in server.mail().items() if k not in known}
    return list(fresh.values())[0] if len(fresh) == 1 else b""


def make_key(folder):
    """A key pair, as opendkim's files and as a zone."""
    subprocess.run(["openssl", "genrsa", "-out", f"{folder}/key.pem", "2048"], check=True, capture_output=True)
    os.chmod(f"{folder}/key.pem", 0o600)
    done = subprocess.run(["openssl", "rsa", "-in", f"{folder}/key.pem", "-pubout"], check=True, capture_output=True, text=True)
    public = "".join(done.stdout.splitlines()[1:-1])
    write(f"{folder}/keys", f"sel._domainkey.sender.test v=DKIM1; k=rsa; p={public}\n")
    write(f"{folder}/internal", "192.0.2.0/24\n")
    write(f"{folder}/zone", f'sel._domainkey.sender.test TXT "v=DKIM1; k=rsa; p={public[:200]}" "{public[200:]}"\n')


def opendkim(folder, mode, address, canonicalization="relaxed/simple"):
    where = f"local:{address[1]}" if address[0] == "unix" else f"inet:{address[1]}@127.0.0.1"
    text = OPENDKIM + (SIGN if mode == "s" else VERIFY)
    conf = write(f"{folder}/opendkim-{mode}.conf", text.format(
        socket=where, mode=mode, user=USER, folder=folder, canonicalization=canonicalization))  # fmt: skip
    return Peer(folder, "usr/sbin/opendkim", "-f", "-x", conf)


def milter(name, address, rows=""):
    where = f"unix:{address[1]}" if address[0] == "unix" else f"inet:{address[1]}@127.0.0.1"
    return f'server "{name}" {{ address "{where}"  {rows} }}\n'


def own_verdict(folder, message):
    """What our own verifier says of a delivered message."""
    path = f"{folder}/delivered.eml"
    with open(path, "wb") as f:
        f.write(message)
    done = subprocess.run(
        [f"{postern.build_folder()}/postern", "scan", "--json", "--plugins", "dkim", "--dns", f"{folder}/zone", "--ip", "192.0.2.1",
         "--helo", "x", "--from", "a@sender.test", "--rcpt", "u@here.test", path],
        capture_output=True, text=True, check=False,
        env={**os.environ, "POSTERN_PLUGINS": f"{postern.build_folder()}/plugins"})  # fmt: skip
    return [d["result"] for d in json.loads(done.stdout.splitlines()[0])["auth"].get("dkim", [])] if done.stdout else done.stderr


SIGNED = (
    b"Received: from x by y; Mon, 2 Nov 2026 10:00:00 +0000\nFrom: Some Body <a@sender.test>\nTo: u@here.test\n"
    b"Subject: a subject\n that is folded\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <1@sender.test>\n\n"
    b"text, and more text\n\n.a line with a dot\n" + b"a longer line " * 20 + b"\n\n\n"
)


def with_opendkim(counter, kind):
    with postern.Server("") as server:
        folder = f"{server.root}/dkim"
        os.mkdir(folder)
        make_key(folder)
        signer = ("unix", f"{folder}/sign.sock") if kind == "unix" else ("inet", postern.free_port())
        verifier = ("unix", f"{folder}/verify.sock") if kind == "unix" else ("inet", postern.free_port())
        server.write_conf(CONF.format(servers=milter("sign", signer, "skip 198.51.100.0/24") + milter("verify", verifier, "keep 2")))
        peers = [opendkim(folder, "s", signer), opendkim(folder, "v", verifier)]
        try:
            counter.check(there(signer) and there(verifier), f"{kind}: both opendkim listen")
            server.start()
            answer, seen, _ = send(server, SIGNED)
            counter.check(answer.startswith("250") and "MILTER_AWAY" not in seen, f"{kind}: opendkim signs", f"{answer} {seen}")
            message = newest(server, {})
            head = message.split(b"\n\n")[0]
            counter.check(b"\nDKIM-Signature: " in b"\n" + head, f"{kind}: a signature is there", head.decode())
            # The second milter was shown what the first one added, and the signature is as it was made.
            counter.check(b"dkim=pass" in head and b"opendkim.test" in head, f"{kind}: the other opendkim verifies it", head.decode())
            verdict = own_verdict(folder, message)
            counter.check(verdict == ["pass"], f"{kind}: our own verifier too", str(verdict))
            answer, seen, _ = send(server, message.replace(b"more text", b"mere text"), "198.51.100.7")
            counter.check(answer[:3] in ("550", "554") and "MILTER_REJECT" in seen and seen["MILTER_REJECT"].startswith("verify: 5"),
                          f"{kind}: what was changed is refused, in opendkim's words", f"{answer} {seen}")
            known = dict(server.mail())
            for _ in range(3):
                answer, seen, _ = send(server, message, "198.51.100.7")
                counter.check(answer.startswith("250"), f"{kind}: a good signature passes, over a kept connection", f"{answer} {seen}")
            counter.check(all(b"dkim=pass" in m for k, m in server.mail().items() if k not in known), f"{kind}: and is told of")
            peers.pop().close()
            answer, seen, _ = send(server, SIGNED)
            counter.check(answer.startswith("451") and seen.get("MILTER_AWAY", "").startswith("verify: "), f"{kind}: gone", f"{answer} {seen}")
            if kind == "unix" and os.path.exists(verifier[1]):
                os.unlink(verifier[1])
            peers.append(opendkim(folder, "v", verifier))
            counter.check(there(verifier) and send(server, SIGNED)[0].startswith("250"), f"{kind}: and back")
        finally:
            for peer in peers:
                peer.close()
            if counter.failed:
                print(server.log()[-2000:])


def start_clamd(folder):
    samples.write(folder, "first.ndb", samples.ndb("First", samples.EICAR))
    clamd = Peer(folder, "usr/sbin/clamd", "-c", write(f"{folder}/clamd.conf", CLAMD.format(folder=folder, user=USER)))
    there(("unix", f"{folder}/clamd.ctl"))
    return clamd


def clamav_milter(folder, address, infected):
    where = address[1] if address[0] == "unix" else f"inet:{address[1]}@127.0.0.1"
    conf = CLAMAV_MILTER.format(folder=folder, user=USER, socket=where, infected=infected)
    return Peer(folder, "usr/sbin/clamav-milter", "-c", write(f"{folder}/clamav-milter.conf", conf))


def with_clamav(counter):
    wanted = {
        "Reject": lambda answer, seen, event: answer.startswith("550 5.7.1 Infected with First.UNOFFICIAL"),
        "Quarantine": lambda answer, seen, event: event["outcome"] == "quarantine" and "MILTER_QUARANTINE" in seen,
        "Blackhole": lambda answer, seen, event: event["outcome"] == "discard" and "MILTER_DISCARD" in seen,
        "Defer": lambda answer, seen, event: answer.startswith("451") and "MILTER_TEMPFAIL" in seen,
        "Accept": lambda answer, seen, event: answer.startswith("250"),
    }
    for infected, good in wanted.items():
        with postern.Server("") as server:
            folder = f"{server.root}/clamav"
            os.mkdir(folder)
            address = ("unix", f"{folder}/milter.ctl") if infected == "Quarantine" else ("inet", postern.free_port())
            server.write_conf(CONF.format(servers=milter("clamav", address, "reply-timeout 20s")))
            peers = [start_clamd(folder), clamav_milter(folder, address, infected)]
            try:
                counter.check(there(address), f"clamav-milter {infected}: listens")
                server.start()
                result = send(server, samples.mail(samples.zipped(samples.EICAR)))
                counter.check(good(*result), f"clamav-milter: EICAR in a zip, OnInfected {infected}", str(result[:2]))
                known = dict(server.mail())
                answer, seen, _ = send(server, samples.mail(b"harmless"))
                message = newest(server, known)
                counter.check(answer.startswith("250") and b"X-Virus-Status: Clean" in message,
                              f"clamav-milter {infected}: harmless mail passes, marked", f"{answer} {seen}")  # fmt: skip
                if infected == "Reject":
                    peers.pop(0).close()
                    answer, seen, _ = send(server, samples.mail(b"harmless"))
                    counter.check(answer.startswith("451"), "clamav-milter without its clamd: later", f"{answer} {seen}")
            finally:
                for peer in peers:
                    peer.close()
                if counter.failed:
                    print(server.log()[-2000:])


def rspamd(folder, port):
    write(f"{folder}/tld", "test\ncom\n")
    conf = write(f"{folder}/rspamd.conf", RSPAMD.format(folder=folder, port=port))
    share = f"{ROOT}/usr/share/rspamd"
    names = {"LUALIBDIR": f"{share}/lualib", "RULESDIR": f"{share}/rules", "PLUGINSDIR": f"{share}/plugins", "SHAREDIR": share,
             "DBDIR": folder, "RUNDIR": folder, "CONFDIR": folder, "LOCAL_CONFDIR": folder}  # fmt: skip
    return Peer(folder, "usr/bin/rspamd", "-i", "-f", "-u", USER, "-g", USER, "-c", conf, *[f"--var={k}={v}" for k, v in names.items()])


def text(line):
    return f"From: a@sender.test\nTo: u@here.test\nSubject: a subject\nMessage-ID: <2@sender.test>\n\n{line}\n".encode()


def with_rspamd(counter):
    with postern.Server("") as server:
        folder = f"{server.root}/rspamd"
        os.mkdir(folder)
        port = postern.free_port()
        server.write_conf(CONF.format(servers=milter("rspamd", ("inet", port), "end-timeout 15s  keep 2")))
        peer = rspamd(folder, port)
        try:
            counter.check(there(("inet", port)), "rspamd listens")
            server.start()
            answer, seen, _ = send(server, text("hello"))
            counter.check(answer.startswith("250") and "MILTER_AWAY" not in seen, "rspamd: harmless mail passes", f"{answer} {seen}")
            answer, seen, _ = send(server, text("X" + GTUBE))
            counter.check(answer.startswith("554 5.7.1") and "MILTER_REJECT" in seen, "rspamd: GTUBE is refused, in its words", f"{answer} {seen}")
            known = dict(server.mail())
            answer, seen, event = send(server, text("Y" + GTUBE))
            message = newest(server, known)
            counter.check(answer.startswith("250") and b"X-Spam: Yes" in message, "rspamd: its header is added", f"{answer} {seen} {event}")
            for _ in range(3):
                answer, seen, _ = send(server, text("hello again"))
                counter.check(answer.startswith("250") and "MILTER_AWAY" not in seen, "rspamd: over a kept connection", f"{answer} {seen}")
            known = dict(server.mail())
            answer, seen, _ = send(server, text("Z" + GTUBE))
            message = newest(server, known)
            counter.check(answer.startswith("250") and b"\nSubject: *** SPAM *** a subject\n" in message, "rspamd: its subject is there",
                          f"{answer} {seen} {message.decode()}")  # fmt: skip
        finally:
            peer.close()
            if counter.failed:
                print(server.log()[-2000:])


def all_of_them(counter):
    """One after the other, in one session each message."""
    with postern.Server("") as server:
        folder = f"{server.root}/all"
        os.mkdir(folder)
        make_key(folder)
        ports = [("inet", postern.free_port()) for _ in range(3)]
        rows = milter("opendkim", ports[0]) + milter("clamav", ports[1], "reply-timeout 20s") + milter("rspamd", ports[2])
        server.write_conf(CONF.format(servers=rows))
        peers = [opendkim(folder, "v", ports[0]), start_clamd(folder), clamav_milter(folder, ports[1], "Reject"), rspamd(folder, ports[2][1])]
        try:
            counter.check(all(there(p) for p in ports), "all three listen")
            server.start()
            session = postern.Session(server)
            for content, want in ((SIGNED, "250"), (samples.mail(samples.EICAR), "550 5.7.1 Infected"), (text("X" + GTUBE), "554 5.7.1"), (SIGNED, "250")):
                answer = session.send(content, helo="client.test")
                counter.check(answer.startswith(want), f"all three: {want}", answer)
            session.close()
            began = time.monotonic()
            for _ in range(20):
                send(server, SIGNED)
            print(f"all three: {(time.monotonic() - began) * 50:.1f} ms a session and message", flush=True)
        finally:
            for peer in peers:
                peer.close()
            if counter.failed:
                print(server.log()[-2000:])


def main():
    counter = postern.Counter("milter")
    with_opendkim(counter, "inet")
    with_opendkim(counter, "unix")
    with_clamav(counter)
    with_rspamd(counter)
    all_of_them(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

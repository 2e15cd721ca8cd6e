#!/usr/bin/env python3
"""DNS by way of the resolver role, in its jail: a forwarder on loopback, its answers and
their cache, reloads to another forwarder and to a file, names that hang beside names
that do not, and a resolver that dies.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
limits { exempt 0.0.0.0/0 }
plugins { spf  dmarc  dnsbl { zone "dnsbl.test" { code 127.0.0.2 weight 4 } } }
include "postern:default"
domain "here.test" { recipients any  route local }
"""
ZONE = """
pass.test TXT "v=spf1 include:inc.pass.test -all"
inc.pass.test TXT "v=spf1 a:mail.pass.test mx ptr ~all"
mail.pass.test A 192.0.2.10
mail.pass.test AAAA 2001:db8::10
inc.pass.test MX 5 mail.pass.test
_dmarc.pass.test TXT "v=DMARC1; p=reject"
alias.test CNAME pass.test
long.test TXT "v=spf1 {networks} -all"
2.0.0.127.dnsbl.test A 127.0.0.2
25.113.0.203.dnsbl.test A 127.0.0.2
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.dnsbl.test A 127.0.0.2
10.2.0.192.in-addr.arpa PTR mail.pass.test
broken.test SERVFAIL
""".replace("{networks}", " ".join(f"ip4:198.18.{n}.0/24" for n in range(60)))
OTHER = 'pass.test TXT "v=spf1 -all"\n_dmarc.pass.test TXT "v=DMARC1; p=none"\n'
LETTER = "From: A <a@{domain}>\nTo: u@here.test\nSubject: {subject}\nMessage-ID: <{subject}@x.test>\n\nHello.\n"


class Dns:
    """A name server of ours on loopback; stop() gives its counts."""

    def __init__(self, zone, *options):
        self.port = postern.free_port()
        self.file = tempfile.NamedTemporaryFile("w", suffix=".zone")
        self.file.write(zone)
        self.file.flush()
        self.process = subprocess.Popen(
            [os.path.join(postern.build_folder(), "tests/bench/dnsd"), *options, f"127.0.0.1:{self.port}", self.file.name],
            stdout=subprocess.PIPE,
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=10)[0]
        self.file.close()
        return json.loads(out)


class Life:
    """A server, its messages numbered by their subject."""

    def __init__(self, server, counter):
        self.server, self.c, self.count = server, counter, 0
        self.lock = threading.Lock()

    def send(self, domain, client, helo="mail.pass.test"):
        with self.lock:
            self.count += 1
            subject = f"m{self.count}"
        session = postern.Session(self.server, client)
        reply = session.send(LETTER.format(domain=domain, subject=subject), sender=f"a@{domain}", helo=helo)
        session.close()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for event in self.server.events("message"):
                if event.get("message_id", "").strip("<>") == f"{subject}@x.test":
                    return reply, event
            time.sleep(0.02)
        return reply, {}

    def expect(self, what, domain, client, spf, dmarc=None, listed=False):
        reply, event = self.send(domain, client)
        found = [a["result"] for a in event.get("auth", {}).get("spf", []) if a["identity"] == "mailfrom"]
        self.c.check(found == [spf], what, f"spf {found}, want {spf}: {reply}")
        if dmarc is not None:
            got = event.get("auth", {}).get("dmarc", {}).get("result")
            self.c.check(got == dmarc, what, f"dmarc {got}, want {dmarc}")
        names = [s["name"] for s in event.get("symbols", [])]
        self.c.check(("DNSBL_LISTED" in names) == listed, what, f"symbols {names}")
        return event


def reload(server, seconds=15):
    """Reloads; true once a new policy is in force."""
    before = server.log().count("\n")
    server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = "\n".join(server.log().split("\n")[before:])
        if "reload" in text or "generation" in text or "policy" in text:
            return True
        time.sleep(0.05)
    return bool(server.wait_events("reload", 1, 1))


def scanned(c, server):
    """A scan asks a resolver of its own, by the same configuration."""
    with tempfile.NamedTemporaryFile("w", suffix=".eml") as letter:
        letter.write(LETTER.format(domain="pass.test", subject="scan"))
        letter.flush()
        build = postern.build_folder()
        run = subprocess.run(
            [f"{build}/postern", "scan", "--config", server.conf_path, "--json", "--ip", "192.0.2.10",
             "--helo", "mail.pass.test", "--from", "a@pass.test", "--rcpt", "u@here.test", letter.name],
            capture_output=True, text=True, timeout=60, env={**os.environ, "POSTERN_PLUGINS": f"{build}/plugins"},
        )
    auth = json.loads(run.stdout)["auth"] if run.stdout.startswith("{") else {}
    spf = [a["result"] for a in auth.get("spf", []) if a["identity"] == "mailfrom"]
    c.check(spf == ["pass"] and auth.get("dmarc", {}).get("result") == "pass", "a scan over the resolver", f"{auth} {run.stderr}")


def answers(c):
    dns, other = Dns(ZONE), Dns(OTHER)
    server = postern.Server(CONF, resolver=f"resolver {{ forward 127.0.0.1:{dns.port}  timeout 2s }}\n")
    with server.start():
        life = Life(server, c)
        life.expect("include, a", "pass.test", "192.0.2.10", "pass", "pass")
        life.expect("IPv6, listed", "pass.test", "2001:db8::10", "pass", "pass", listed=True)
        life.expect("softfail of an include is no match", "pass.test", "203.0.113.25", "fail", "fail", listed=True)
        life.expect("alias", "alias.test", "192.0.2.10", "pass")
        life.expect("strings over 255 bytes", "long.test", "198.18.7.1", "pass")
        life.expect("broken", "broken.test", "192.0.2.10", "temperror", "none")
        life.expect("not there", "nowhere.test", "192.0.2.10", "none", "none")
        scanned(c, server)
        names = {(d["name"], d["type"]) for d in life.expect("again", "pass.test", "192.0.2.10", "pass").get("dns", [])}
        c.check(("pass.test", "TXT") in names, "what was asked is recorded", str(names))

        server.resolver = f"resolver {{ forward 127.0.0.1:{other.port}  timeout 2s }}\n"
        server.write_conf(CONF)
        pids = server.roles("resolver")
        c.check(reload(server), "reload to another forwarder")
        end = time.monotonic() + 5
        while time.monotonic() < end and other.process.poll() is None:
            if [a["result"] for a in life.send("pass.test", "192.0.2.10")[1].get("auth", {}).get("spf", [])][:1] == ["fail"]:
                break
        life.expect("the other forwarder answers", "pass.test", "192.0.2.10", "fail", "fail")
        c.check(server.roles("resolver") == pids, "the same resolver")

        with open(os.path.join(server.root, "dns.zone"), "w", encoding="utf-8") as f:
            f.write(ZONE)
        server.resolver = f'resolver {{ dns-file "{server.root}/dns.zone" }}\n'
        server.write_conf(CONF)
        c.check(reload(server), "reload to a file")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if [a["result"] for a in life.send("pass.test", "192.0.2.10")[1].get("auth", {}).get("spf", [])][:1] == ["pass"]:
                break
        life.expect("the file answers", "pass.test", "192.0.2.10", "pass", "pass")
        with open(os.path.join(server.root, "dns.zone"), "w", encoding="utf-8") as f:
            f.write(OTHER)
        c.check(reload(server), "reload of the file")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if [a["result"] for a in life.send("pass.test", "192.0.2.10")[1].get("auth", {}).get("spf", [])][:1] == ["fail"]:
                break
        life.expect("the changed file answers", "pass.test", "192.0.2.10", "fail", "fail")
        time.sleep(1.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as page:
            counted = re.findall(r'^postern_dns_answers_total\{[^}]*NOERROR[^}]*\} ([0-9]+)$', page.read().decode(), re.M)
        c.check(sum(map(int, counted)) > 0, "answers are counted", str(counted))
        c.check(server.stop() == 0, "clean stop")
        c.check("libunbound" not in server.log(), "nothing in the log", server.log()[-500:])
    c.check(dns.stop()["questions"] > 10, "the first was asked")
    c.check(other.stop()["questions"] > 2, "the second was asked")


def hung_of(server):
    return [e for e in server.events("message") if "hang.test" in json.dumps(e.get("envelope", {}))]


def hanging(c):
    """Senders whose name servers hang, and beside them others."""
    dns = Dns(ZONE, "-s", "hang.test")
    server = postern.Server(CONF, resolver=f"resolver {{ forward 127.0.0.1:{dns.port}  timeout 2s }}\n")
    with server.start():
        life = Life(server, c)
        life.send("pass.test", "192.0.2.10")
        slow = [threading.Thread(target=life.send, args=(f"x{n}.hang.test", "198.51.100.7")) for n in range(40)]
        for t in slow:
            t.start()
        times = []
        while any(t.is_alive() for t in slow) and len(times) < 200:
            began = time.monotonic()
            session = postern.Session(server, "192.0.2.10")
            reply = session.send(LETTER.format(domain="pass.test", subject=f"f{len(times)}"), sender="a@pass.test")
            session.close()
            times.append(time.monotonic() - began)
            c.passed += reply.startswith("250")
            c.failed += not reply.startswith("250")
        for t in slow:
            t.join()
        worst = max(times, default=0)
        c.check(len(times) >= 10, "fast senders while others hang", f"{len(times)} messages")
        print(f"{len(times)} messages while 40 hung, the slowest took {worst * 1000:.0f} ms")
        postern.until(lambda: len(hung_of(server)) >= 40)
        hung = hung_of(server)
        c.check(
            len(hung) == 40 and all(e["auth"]["spf"][0]["result"] == "temperror" for e in hung),
            "hung names are temporary errors",
            f"{len(hung)} events",
        )
    dns.stop()


def deaths(c):
    """The resolver dies while clients are there."""
    dns = Dns(ZONE, "-d", "30")
    server = postern.Server(CONF, resolver=f"resolver {{ forward 127.0.0.1:{dns.port}  timeout 2s }}\n")
    with server.start():
        life = Life(server, c)
        found = []

        def client(n):
            for k in range(4):
                _, event = life.send("pass.test", "192.0.2.10", helo=f"h{n}-{k}.test")
                found.append([a["result"] for a in event.get("auth", {}).get("spf", [])][:1])

        clients = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for t in clients:
            t.start()
        for _ in range(3):
            time.sleep(0.15)
            for pid in server.roles("resolver"):
                os.kill(pid, signal.SIGKILL)
        for t in clients:
            t.join()
        c.check(found == [["pass"]] * 32, "every message was judged", str([f for f in found if f != ["pass"]]))
        life.expect("and later ones", "pass.test", "192.0.2.10", "pass", "pass")
    dns.stop()


def moved_file(c):
    """Reloads that name a file in another folder each time, while clients are there: the
    resolver stays, and every question is answered by the one file or the other."""
    # A message may ask the one file first and then the other: the names are in both.
    strict = ZONE.replace("v=spf1 include:inc.pass.test -all", "v=spf1 -all")
    server = postern.Server(CONF, dns=ZONE)
    with server.start():
        life = Life(server, c)
        life.expect("the first file answers", "pass.test", "192.0.2.10", "pass", "pass")
        pids = server.roles("resolver")
        found, over = [], threading.Event()

        def client(n):
            k = 0
            while not over.is_set():
                _, event = life.send("pass.test", "192.0.2.10", helo=f"m{n}-{k}.test")
                found.append([a["result"] for a in event.get("auth", {}).get("spf", [])][:1])
                k += 1

        clients = [threading.Thread(target=client, args=(n,)) for n in range(6)]
        for t in clients:
            t.start()
        for n in range(6):
            folder = os.path.join(server.root, f"zones{n}")
            os.mkdir(folder)
            with open(os.path.join(folder, "dns.zone"), "w", encoding="utf-8") as f:
                f.write(strict if n % 2 == 0 else ZONE)
            server.resolver = f'resolver {{ dns-file "{folder}/dns.zone" }}\n'
            server.write_conf(CONF)
            c.check(reload(server), "reload to a file in another folder")
            # Only the new file gives the new answer.
            want, count = ["fail"] if n % 2 == 0 else ["pass"], len(found)
            end = time.monotonic() + 60
            while want not in found[count:] and time.monotonic() < end:
                time.sleep(0.02)
            c.check(want in found[count:], "the new file answers", str(found[count:][:5]))
        over.set()
        for t in clients:
            t.join()
        lost = [f for f in found if f not in (["pass"], ["fail"])]
        c.check(not lost, f"no question is lost of {len(found)} messages", str(lost[:5]))
        c.check(server.roles("resolver") == pids, "the same resolver")
        c.check(not server.events("role_died") and "starting anew" not in server.log(), "nobody died", server.log()[-500:])
        server.resolver = f'resolver {{ dns-file "{server.root}/gone/dns.zone" }}\n'
        server.write_conf(CONF)
        before = server.log().count("reload refused")
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while server.log().count("reload refused") == before and time.monotonic() < end:
            time.sleep(0.02)
        c.check(server.log().count("reload refused") == before + 1, "a file that is not there refuses the reload", server.log()[-500:])
        life.expect("and the file before serves on", "pass.test", "192.0.2.10", "pass", "pass")


def main():
    c = postern.Counter("dns")
    moved_file(c)
    answers(c)
    hanging(c)
    deaths(c)
    c.close()
    return c.failed != 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""postern doctor: a world in which all is well, then each thing wrong alone: the finding, and the
record that mends it, which put into the world does mend it. Closes with the counted line.
"""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

POSTERN = os.path.join(os.path.abspath(postern.build_folder()), "postern")
CONF = """
listen smtp {listen}:{port}
listen admin 127.0.0.1:{admin}
smtp {{ hostname "{hostname}" }}
{tls}
plugins {{ spf {dnsbl} }}
{sign}
domain "here.test" {{ recipients any  route local }}
domain ".below.test" {{ recipients any  route local }}
"""
ZONE = """
mx.here.test A 192.0.2.1
1.2.0.192.in-addr.arpa PTR mx.here.test
here.test MX 10 mx.here.test
here.test TXT "v=spf1 mx -all"
_dmarc.here.test TXT "v=DMARC1; p=reject"
"""


class World:
    def __init__(self, folder):
        self.folder = folder
        self.conf = {"listen": "192.0.2.1", "port": 25, "admin": 2580, "hostname": "mx.here.test", "dnsbl": "",
                     "tls": f'tls {{ certificate "{folder}/cert.pem"  key "{folder}/key.pem" }}',
                     "sign": f'sign "here.test" {{ key "s1" file "{folder}/s1._domainkey.here.test.pem" }}'}
        self.zone = ZONE

    def look(self, *words, domains=("here.test",), **more):
        conf, zone = os.path.join(self.folder, "c.conf"), os.path.join(self.folder, "dns")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(CONF.format(**{**self.conf, **more}))
        with open(zone, "w", encoding="utf-8") as f:
            f.write(self.zone)
        done = subprocess.run([POSTERN, "doctor", "-c", conf, "--dns", zone, "--json", *words, *domains],
                              capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")})
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, lines, done.stderr


def fixes(lines):
    """What is to be mended, and the record said right behind; the clock is this machine's affair."""
    found = []
    for i, line in enumerate(lines):
        if line.get("is") == "fix" and line["what"] != "clock":
            later = lines[i + 1] if i + 1 < len(lines) else {}
            found.append((line["what"], line["text"], later.get("publish", "")))
    return found


def without(zone, word):
    return "".join(line + "\n" for line in zone.splitlines() if not line.startswith(word))


ALONE = (
    # what is taken out of the zone, what is put in, what is said, whose record mends it
    ("mx.here.test A", "mx.here.test A 192.0.2.9", "address", "does not lead to 192.0.2.1", True),
    ("1.2.0.192", "", "ptr", "has no name", True),
    ("1.2.0.192", "1.2.0.192.in-addr.arpa PTR other.test", "ptr", "does not lead back", False),
    ("here.test MX", "", "mx", "has none", True),
    ("here.test MX", "here.test MX 0 .", "mx", "takes no mail", False),
    ("here.test MX", "here.test MX 10 mx.here.test\nhere.test MX 20 away.here.test", "mx", "no address", False),
    ("here.test MX", "here.test MX 10 mx.here.test\nhere.test MX 20 www.here.test\nwww.here.test CNAME mx.here.test", "mx", "alias", False),
    ("here.test TXT", "", "spf", "there is no record", True),
    ("here.test TXT", 'here.test TXT "v=spf1 -all"', "spf", "fail", False),
    ("here.test TXT", 'here.test TXT "v=spf1 mx -all"\nhere.test TXT "v=spf1 -all"', "spf", "permerror", False),
    ("here.test TXT", 'here.test TXT "v=spf1 mx +all"', "spf", "anybody", False),
    ("s1._domainkey", "", "dkim", "not published", True),
    ("s1._domainkey", 's1._domainkey.here.test TXT "v=DKIM1; p=AAAA"', "dkim", "another key", False),
    ("_dmarc", "", "dmarc", "none", True),
    ("_dmarc", '_dmarc.here.test TXT "v=DMARC1; p=none"\n_dmarc.here.test TXT "v=DMARC1; p=reject"', "dmarc", "several", False),
    ("_dmarc", '_dmarc.here.test TXT "v=DMARC1; p=rejekt"', "dmarc", "p=", False),
    ("_dmarc", '_dmarc.here.test TXT "v=DMARC1; rua=mailto:a@here.test"', "dmarc", "p=", False),
)


def test_alone(c, world):
    whole = world.zone
    for out, put, what, words, mends in ALONE:
        label = f"{what}: {put.splitlines()[-1] if put else 'none'}"
        world.zone = without(whole, out) + put + "\n"
        status, lines, _ = world.look()
        found = [f for f in fixes(lines) if f[0] == what and words in f[1]]
        c.check(status == 1 and found, label, lines)
        if not (mends and found):
            continue
        c.check(found[0][2] != "", label + ": a record is said", found)
        world.zone += found[0][2] + "\n"
        status, lines, _ = world.look()
        c.check(not [f for f in fixes(lines) if f[0] == what], label + ": which mends it", fixes(lines))
    world.zone = whole


def test_host(c, world):
    status, lines, _ = world.look(hostname="localhost")
    c.check(status == 1 and any(f[0] == "name" for f in fixes(lines)), "no name of the DNS", lines)
    status, lines, _ = world.look(tls="")
    c.check(status == 1 and any("no certificate" in f[1] for f in fixes(lines)), "no certificate", lines)
    status, lines, _ = world.look(sign="")
    c.check(status == 1 and any("is not signed" in f[1] for f in fixes(lines)), "no key", lines)
    world.zone += "1.2.0.192.bl.test A 127.0.0.2\n1.2.0.192.busy.test A 127.255.255.254\n1.2.0.192.dead.test TIMEOUT\n"
    status, lines, _ = world.look("--dnsbl", "bl.test", "--dnsbl", "good.test", "--dnsbl", "busy.test", "--dnsbl", "dead.test")
    said = {line["text"].split(":")[0]: line["is"] for line in lines if line.get("what") == "dnsbl"}
    c.check(said == {"192.0.2.1 is on bl.test": "fix", "192.0.2.1 is not on good.test": "ok", "busy.test": "note", "dead.test": "note"},
            "lists that were named", said)
    _, lines, _ = world.look(dnsbl='dnsbl { zone "bl.test" }')
    c.check([f for f in fixes(lines) if f[0] == "dnsbl"], "a configured list", lines)
    status, lines, _ = world.look("--address", "192.0.2.7")
    c.check(status == 1 and all("192.0.2.1" not in f[1] for f in fixes(lines)), "another address", fixes(lines))
    c.check(world.look("--address", "x")[0] == 2, "no address")
    status, lines, _ = world.look("--address", "2001:db8::1")
    c.check("mx.here.test. IN AAAA 2001:db8::1" in [line.get("publish") for line in lines], "IPv6", lines)


def test_dane(c, world):
    _, lines, _ = world.look()
    record = [line["publish"] for line in lines if line.get("publish", "").startswith("_25._tcp.")]
    c.check(len(record) == 1, "a record is said", lines)
    name, _, *rdata = record[0].split()
    data = " ".join(rdata[1:])
    whole = world.zone
    for label, text, more, want in (("proved", data, f"{name} TLSA SECURE", "ok"), ("not proved", data, "", "note"),
                                    ("of another certificate", "3 1 1 " + "00" * 32, f"{name} TLSA SECURE", "fix"),
                                    ("of another kind", "2 0 1 " + "00" * 32, f"{name} TLSA SECURE", "note")):
        world.zone = whole + f"{name} TLSA {text}\n{more}\n"
        _, lines, _ = world.look()
        said = [line["is"] for line in lines if line.get("what") == "dane"]
        c.check(said == [want], "TLSA " + label, lines)
    world.zone = whole


def test_relay(c, world):
    """A server that runs; and one that takes everything."""
    with postern.Server('smtp { hostname "mx.here.test" }\ndomain "here.test" { recipients any  route local }\n', smtp_options="") as server:
        server.start()
        _, lines, _ = world.look("--address", "192.0.2.1", listen="127.0.0.1", port=server.smtp)
        said = [line for line in lines if line.get("what") == "relay"]
        c.check([line["is"] for line in said] == ["ok"] and "550" in said[0]["text"], "ours refuses", said)
    import socketserver
    import threading

    class Open(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 open\r\n")
            for _ in self.rfile:
                self.wfile.write(b"250-yes\r\n250 yes\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Open) as relay:
        relay.daemon_threads = True
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        status, lines, _ = world.look("--address", "192.0.2.1", listen="127.0.0.1", port=relay.server_address[1])
        c.check(status == 1 and any(f[0] == "relay" for f in fixes(lines)), "an open relay", lines)
        relay.shutdown()


SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1


def own_network():
    """The world's 192.0.2.1 is asked whether it relays: it must be ours, whatever network this
    machine is in. So the test runs in a namespace that has it on lo, where one can be made."""
    if os.environ.get("POSTERN_DOCTOR_ALONE") is None:
        can = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
        if not can:
            print("doctor: no network namespace can be made here; 192.0.2.1 is asked as it stands", flush=True)
            return
        os.environ["POSTERN_DOCTOR_ALONE"] = "1"
        os.execvp("unshare", ["unshare", "-rn", sys.executable, *sys.argv])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("192.0.2.1"))
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16s16s8x", b"lo:1", address))


def main():
    own_network()
    c = postern.Counter("doctor")
    with tempfile.TemporaryDirectory(prefix="postern-doctor-") as folder:
        os.chmod(folder, 0o700)
        world = World(folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=mx.here.test",
                        "-addext", "subjectAltName=DNS:mx.here.test", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
                       check=True, capture_output=True)
        made = subprocess.run([POSTERN, "dkim", "new", "--folder", folder, "--selector", "s1", "here.test"],
                              capture_output=True, text=True, check=True)
        world.zone += made.stdout.splitlines()[-1] + "\n"
        _, lines, err = world.look()
        c.check(not fixes(lines) and len([line for line in lines if line.get("is") == "ok"]) >= 8, "all is well", [fixes(lines), err])
        _, lines, err = world.look("--root", folder)
        c.check(not err and [line["is"] for line in lines if line.get("what") == "spf"] == ["ok"], "a server with a root of its own", [lines, err])
        _, lines, _ = world.look(domains=())
        c.check(sorted({line["what"] for line in lines if "what" in line} & {"mx", "spf", "dkim", "dmarc"}) == ["dkim", "dmarc", "mx", "spf"],
                "domains of the configuration", lines)
        for name in ("bad..test", ".test", "a b.test", ""):
            status, lines, _ = world.look(domains=(name,))
            c.check(status == 1 and [what for what, _, _ in fixes(lines)] == ["domain"], f"{name!r} is no domain", lines)
        _, lines, _ = world.look(domains=("HERE.test.",))
        c.check(not fixes(lines), "a dot at the end", fixes(lines))
        test_alone(c, world)
        test_dane(c, world)
        test_host(c, world)
        test_relay(c, world)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

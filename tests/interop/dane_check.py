#!/usr/bin/env python3
"""Run by dane.sh within a network of its own: zones, servers, and a mail for each case."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import tlshop  # noqa: E402

ROOT, LIBS = os.environ["POSTERN_DANE_ROOT"], os.environ["POSTERN_DANE_LIBS"]
DNS_PORT = 5300

# Hosts: name, address, what the server does (lib/tlshop.py), records below _25._tcp.
HOSTS = [
    ("good.mx.signed.example", "192.0.2.1", "tls", ["3 0 1 {mx}"]),
    ("ta.mx.signed.example", "192.0.2.2", "tls12", ["2 0 1 {ca}"]),
    ("wrong.mx.signed.example", "192.0.2.3", "tls", ["3 0 1 {none}"]),
    ("bare.mx.signed.example", "192.0.2.4", "none", ["3 0 1 {mx}"]),
    ("broken.mx.signed.example", "192.0.2.5", "break", ["3 0 1 {mx}"]),
    ("pkix.mx.signed.example", "192.0.2.6", "tls", ["1 0 1 {mx}", "0 0 1 {ca}"]),
    ("plain.mx.signed.example", "192.0.2.7", "none", []),
    ("unproved.mx.signed.example", "192.0.2.8", "tls", []),
    ("forged.mx.signed.example", "192.0.2.9", "none", ["3 0 1 {mx}"]),
    ("expired.mx.signed.example", "192.0.2.10", "tls", ["3 0 1 {mx}"]),
    ("late.mx.signed.example", "192.0.2.11", "tls", []),  # its address is forged
    ("self.signed.example", "192.0.2.12", "tls", ["3 0 1 {mx}"]),
    ("rolled.mx.signed.example", "192.0.2.13", "tls", ["3 0 1 {none}", "3 0 1 {mx}"]),
    ("host.plain.example", "192.0.2.14", "tls", ["3 0 1 {none}"]),
    ("out.mx.signed.example", None, None, ["3 0 1 {mx}"]),  # an alias out of the zone
    ("child.sub.signed.example", "192.0.2.15", "none", ["3 0 1 {none}"]),  # an unsigned child
    ("other.name.example", "192.0.2.16", "tls", ["2 0 1 {ca}"]),  # the certificate has not this name
    ("nsec3.example", "192.0.2.17", "none", []),
    ("good.nsec3.example", "192.0.2.18", "tls", ["3 0 1 {mx}"]),
]
ALIASES = {
    "alias.mx.signed.example": "good.mx.signed.example",
    "out.mx.signed.example": "host.plain.example",
    "also.signed.example": "ok.signed.example",
}
# Cases: domain, its MX, wanted, host of the event. "clear", "tls", "proved", "deferred".
CASES = [
    ("ok.signed.example", ["good.mx.signed.example"], "proved", "good.mx.signed.example"),
    ("ta.signed.example", ["ta.mx.signed.example"], "proved", "ta.mx.signed.example"),
    ("wrong.signed.example", ["wrong.mx.signed.example"], "deferred", "wrong.mx.signed.example"),
    ("bare.signed.example", ["bare.mx.signed.example"], "deferred", "bare.mx.signed.example"),
    ("broken.signed.example", ["broken.mx.signed.example"], "deferred", "broken.mx.signed.example"),
    ("pkix.signed.example", ["pkix.mx.signed.example"], "tls", "pkix.mx.signed.example"),
    ("none.signed.example", ["plain.mx.signed.example"], "clear", "plain.mx.signed.example"),
    ("may.signed.example", ["unproved.mx.signed.example"], "tls", "unproved.mx.signed.example"),
    ("forged.signed.example", ["forged.mx.signed.example"], "deferred", None),
    ("expired.signed.example", ["expired.mx.signed.example"], "deferred", None),
    ("late.signed.example", ["late.mx.signed.example"], "deferred", None),
    ("bogus.signed.example", ["good.mx.signed.example"], "deferred", None),  # the MX is forged
    ("self.signed.example", [], "proved", "self.signed.example"),
    ("rolled.signed.example", ["rolled.mx.signed.example"], "proved", "rolled.mx.signed.example"),
    ("alias.signed.example", ["alias.mx.signed.example"], "proved", "alias.mx.signed.example"),
    ("out.signed.example", ["out.mx.signed.example"], "proved", "out.mx.signed.example"),
    ("also.signed.example", None, "proved", "good.mx.signed.example"),  # the domain is an alias
    ("two.signed.example", ["wrong.mx.signed.example", "good.mx.signed.example"], "proved", "good.mx.signed.example"),
    ("down.signed.example", ["bare.mx.signed.example", "plain.mx.signed.example"], "clear", "plain.mx.signed.example"),
    ("child.signed.example", ["child.sub.signed.example"], "clear", "child.sub.signed.example"),
    ("name.signed.example", ["other.name.example"], "deferred", "other.name.example"),
    ("unsigned.plain.example", ["wrong.mx.signed.example"], "tls", "wrong.mx.signed.example"),
    ("host.plain.example", [], "tls", "host.plain.example"),
    ("nsec3.example", [], "clear", "nsec3.example"),
    ("ok.nsec3.example", ["good.nsec3.example"], "proved", "good.nsec3.example"),
    ("dane.nsec3.example", ["nsec3.example"], "deferred", None),  # by `tls dane`: it publishes nothing
]
SIGNED = {"signed.example": [], "name.example": [], "nsec3.example": ["-n"]}
UNSIGNED = ["plain.example", "sub.signed.example"]


def run(*words):
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": LIBS})
    return done.stdout.strip()


def ldns(name, *words):
    return run(os.path.join(ROOT, "usr", "bin", name), *words)


def zone_of(name):
    return max((z for z in [*SIGNED, *UNSIGNED] if name == z or name.endswith("." + z)), key=len)


def records(digests):
    """{zone: its lines}, not signed."""
    zones = {z: [f"{z}. 60 SOA ns.{z}. me.{z}. 1 60 60 60 60", f"{z}. 60 NS ns.{z}.", f"ns.{z}. 60 A 127.0.0.53"] for z in [*SIGNED, *UNSIGNED]}
    put = lambda name, line: zones[zone_of(name)].append(f"{name}. 60 {line}")
    for name, ip, _, tlsa in HOSTS:
        if ip:
            put(name, f"A {ip}")
        for data in tlsa:
            put("_25._tcp." + name, "TLSA " + data.format(none="00" * 32, **digests))
    for name, target in ALIASES.items():
        put(name, f"CNAME {target}.")
    for domain, hosts, _, _ in CASES:
        for i, host in enumerate(hosts or []):
            put(domain, f"MX {10 * (i + 1)} {host}.")
    zones["signed.example"].append("sub.signed.example. 60 NS ns.sub.signed.example.")
    return zones


def spoil(lines, late):
    """What an attacker would do, and what neglect does."""
    out = []
    for line in lines:
        words = line.split()
        kind = words[3]
        if words[0] == "_25._tcp.forged.mx.signed.example." and kind == "TLSA":
            line = line.replace(words[7], "11" * 32)
        if words[0] == "late.mx.signed.example." and kind == "A":
            line = line.replace("192.0.2.11", "192.0.2.7")
        if words[0] == "bogus.signed.example." and kind == "MX":
            line = line.replace("good.mx", "plain.mx")
        if words[0] == "_25._tcp.expired.mx.signed.example." and kind == "RRSIG" and words[4] == "TLSA":
            line = next(s for s in late if s.split()[:1] == words[:1] and s.split()[3:5] == words[3:5])
        out.append(line)
    return out


def sign(folder, zone, options):
    path = os.path.join(folder, zone)
    os.chdir(folder)
    key = ldns("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone)
    signed = {}
    for what, dates in (("late", ["-i", "20200101000000", "-e", "20200201000000"]), ("now", [])):
        ldns("ldns-signzone", *options, *dates, "-f", f"{path}.{what}", path, key)
        with open(f"{path}.{what}", encoding="ascii") as f:
            signed[what] = [line for line in f.read().splitlines() if line.strip() and not line.startswith(";")]
    with open(f"{path}.signed", "w", encoding="ascii") as f:
        f.write("\n".join(spoil(signed["now"], signed["late"])) + "\n")
    with open(key + ".ds", encoding="ascii") as f:
        return f.read()


def name_server(folder, digests):
    """nsd with all zones; the process, and the path of their keys' digests."""
    conf = f"""server:
    ip-address: 127.0.0.53@{DNS_PORT}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    server-count: 1
remote-control:
    control-enable: no
"""
    anchors = ""
    for zone, lines in records(digests).items():
        with open(os.path.join(folder, zone), "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")
        if zone in SIGNED:
            anchors += sign(folder, zone, SIGNED[zone])
        suffix = ".signed" if zone in SIGNED else ""
        conf += f'zone:\n    name: "{zone}"\n    zonefile: "{folder}/{zone}{suffix}"\n'
    with open(os.path.join(folder, "nsd.conf"), "w", encoding="ascii") as f:
        f.write(conf)
    anchor = os.path.join(folder, "anchors")
    with open(anchor, "w", encoding="ascii") as f:
        f.write(anchors)
    with open(os.path.join(folder, "nsd.log"), "w", encoding="ascii") as log:
        nsd = subprocess.Popen([os.path.join(ROOT, "usr", "sbin", "nsd"), "-d", "-c", os.path.join(folder, "nsd.conf")],
                               stdout=log, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": LIBS})
    drill = [os.path.join(ROOT, "usr", "bin", "drill"), "-p", str(DNS_PORT), "@127.0.0.53", "signed.example", "SOA"]
    env = {**os.environ, "LD_LIBRARY_PATH": LIBS}
    ready = lambda: "NOERROR" in subprocess.run(drill, capture_output=True, text=True, check=False, env=env).stdout
    if not postern.until(ready):
        with open(os.path.join(folder, "nsd.log"), encoding="utf-8") as f:
            raise RuntimeError("nsd does not answer:\n" + f.read())
    return nsd, anchor


def check_case(c, server, hops, case):
    domain, _, want, host = case
    events = postern.until(lambda: [e for e in server.events("delivery") if e["to"] == f"u@{domain}"])
    outcome = "deferred" if want == "deferred" else "delivered"
    if not c.check(bool(events) and events[0]["outcome"] == outcome, f"{domain}: {want}", events):
        return
    event = events[0]
    c.check(event.get("host") == host, f"{domain}: host", event)
    if want == "deferred":
        c.check(host is None or event["reply"].startswith("451 4.7.5"), f"{domain}: why", event["reply"])
        return
    tls = event["tls"]
    got = "clear" if tls is None else "proved" if tls["verified"] == "dane" else "tls"
    c.check(got == want, f"{domain}: {want}", event)
    c.check(event["ip"] in hops, f"{domain}: address", event)


def check_hops(c, hops):
    """Whose server must prove itself hears no MAIL in clear, and who has the wrong one none at all."""
    for name, ip, does, _ in HOSTS:
        if ip is None:
            continue
        heard = hops[ip].mails
        if does in ("tls", "tls12"):
            c.check(all(heard), f"{name}: none in clear", heard)
        if does == "break" or name.split(".")[0] in ("bare", "forged", "expired", "late"):
            c.check(not heard, f"{name}: nothing", heard)


def test_cases(c, folder, anchor, hops):
    aliases = "".join(f'  alias "u{i}" to "u@{case[0]}"\n' for i, case in enumerate(CASES))
    conf = ('smtp { hostname "mx.here.test" }\nqueue { retry 1h }\nevents { deliveries yes }\n'
            'destination "dane.nsec3.example" { tls dane }\n'
            f'domain "here.test" {{ recipients any  route local\n{aliases}}}\n')
    resolver = f'resolver {{ forward 127.0.0.53:{DNS_PORT}  trust-anchor "{anchor}" }}\n'
    with postern.Server(conf, resolver=resolver) as server:
        server.start()
        for name in [f"u{i}" for i in range(len(CASES))]:
            session = postern.Session(server)
            answer = session.send("Subject: hello\r\n\r\nbody\r\n", sender="", rcpts=[f"{name}@here.test"])
            session.close()
            c.check(answer.startswith("250"), f"{name} is taken", answer)
        c.check(postern.until(lambda: "the trust anchor of" in server.log()), "the trust anchor is looked at", server.log())
        c.check("does not hold" not in server.log(), "and holds", server.log())
        for case in CASES:
            check_case(c, server, hops, case)
        check_hops(c, hops)
        c.check(hops["192.0.2.7"].mails == [False, False], "nobody is led to another's server", hops["192.0.2.7"].mails)


def test_stale(c, folder):
    """An anchor whose key the zone has no more: said, and mail waits."""
    with open(os.path.join(folder, "anchors"), encoding="ascii") as f:
        line = f.readline().split()
    stale = os.path.join(folder, "stale")
    with open(stale, "w", encoding="ascii") as f:
        f.write(" ".join(line[:-1] + ["00" * 32]) + "\n")
    conf = ('smtp { hostname "mx.here.test" }\nqueue { retry 1h }\n'
            'domain "here.test" { recipients any  route local  alias "u" to "u@ok.signed.example" }\n')
    resolver = f'resolver {{ forward 127.0.0.53:{DNS_PORT}  trust-anchor "{stale}" }}\n'
    with postern.Server(conf, resolver=resolver) as server:
        server.start()
        c.check(postern.until(lambda: "does not hold: nothing can be proved below it" in server.log()), "a stale anchor", server.log())
        session = postern.Session(server)
        session.send("Subject: hello\r\n\r\nbody\r\n", sender="", rcpts=["u@here.test"])
        session.close()
        events = postern.until(lambda: server.events("delivery"))
        c.check(events and events[0]["outcome"] == "deferred", "mail waits", events)


def main():
    run("ip", "link", "set", "lo", "up")
    for host in HOSTS:
        if host[1]:
            run("ip", "address", "add", host[1] + "/32", "dev", "lo")
    c = postern.Counter("dane")
    with tempfile.TemporaryDirectory(prefix="postern-dane-") as folder:
        os.chmod(folder, 0o755)
        at, digests = tlshop.certificates(folder, ["*.mx.signed.example", "ta.signed.example"])
        made = tlshop.contexts(at)
        hops = {ip: tlshop.Hop(does, made, (ip, 25)) for _, ip, does, _ in HOSTS if ip}
        nsd, anchor = name_server(folder, digests)
        try:
            test_cases(c, folder, anchor, hops)
            test_stale(c, folder)
        finally:
            nsd.terminate()
            nsd.wait(20)
            for hop in hops.values():
                hop.stop()
            os.chdir("/")
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A plugin reaches what it asked for and was granted, and nothing else: wherever its code runs.

tests/plugins/prober.c tries files, sockets, fork and exec in every callback. Closes with the
counted line.
"""
import concurrent.futures
import json
import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

BUILD = os.path.abspath(postern.build_folder())
POSTERN = os.path.join(BUILD, "postern")
STAGES = ["connect", "helo", "mail", "rcpt", "headers", "message", "after"]
PLACES = STAGES + ["prefetch", "prepare", "changed", "instance", "session", "transaction"]
IN_TEMPLATE = {"prepare", "changed"}  # which lives by forking: there a fork is no way out


def everywhere(*what):
    return {f"{w} at {p}" for w in what for p in PLACES}


# variant, what else stands in its block, what is reached where
ROWS = [
    ("none", 'hidden "{listens}"', set()),
    ("none", 'unix "/{listens}"', set()),
    ("tmp", 'unix "/{listens}"', set()),
    ("files", 'unix "/{listens}"', {"setting at prepare"}),
    ("network", 'grant network  hidden "{listens}"', everywhere("socket", "connect")),
    ("network", 'grant network  unix "/{listens}"', everywhere("socket", "connect", "unix")),
]


class Place:
    """A folder with what is tried, and listeners."""

    def __init__(self, folder):
        self.folder = folder
        self.tcp, self.unix = socket.socket(), socket.socket(socket.AF_UNIX)
        self.tcp.bind(("127.0.0.1", 0))
        self.unix.bind(os.path.join(folder, "listens"))
        for s in (self.tcp, self.unix):
            s.listen(100)
        for name in ("setting", "secret", "zone"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        for name in ("1.eml", "2.eml"):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write("Subject: x\n\ntext\n")

    def conf(self, name, *blocks):
        path = os.path.join(self.folder, name + ".conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write('smtp { hostname "mx.here.test" }\ndefaults { recipients any }\nworkers { refresh 50ms }\n')
            f.write("plugins { " + " ".join(blocks) + " }\n")
        return path

    def block(self, variant, more, name):
        plugin = os.path.join(BUILD, "tests", "plugins", f"prober_{variant}.so")
        folder, bare = self.folder, self.folder.lstrip("/")
        more = more.format(listens=f"{bare}/listens")
        port = self.tcp.getsockname()[1]
        return (f'prober {{ file "{plugin}" setting "{folder}/setting" secret "{bare}/secret" '
                f'make "{bare}/made-{name}" port {port} {more} }}')

    def scan(self, conf):
        return run("scan", "-c", conf, "--json", "--dns", os.path.join(self.folder, "zone"), "--ip", "192.0.2.1",
                   "--helo", "h.test", "--from", "a@b.test", "--rcpt", "u@here.test",
                   *(os.path.join(self.folder, name) for name in ("1.eml", "2.eml")))


def run(*words):
    p = postern.run([POSTERN, *words])
    return p.returncode, p.stdout, p.stderr


def details(out, symbol):
    return {s["detail"] for line in out.splitlines() for s in json.loads(line)["symbols"] if s["name"] == symbol}


def try_row(counter, place, number):
    variant, more, want = ROWS[number]
    name = f"{number}-{variant}"
    status, out, err = place.scan(place.conf(name, place.block(variant, more + " wait yes", name)))
    if counter.check(status == 0, f"{name}: scan", out + err):
        tried, reached = details(out, "PROBE_TRIED"), details(out, "PROBE_REACHED")
        counter.check(tried == set(PLACES), f"{name}: tried everywhere", sorted(set(PLACES) - tried))
        counter.check(reached == want, f"{name}: reached", sorted(reached ^ want))


def try_fatal(counter, place, what, where, sanitized):
    """It ends that process, or fails, and the child that it wanted never was."""
    name = f"{what}-{where}"
    wait = "wait yes" if where == "changed" else ""
    more = f"fatal {what} at {where} {wait}"
    status, out, err = place.scan(place.conf(name, place.block("none", more, name)))
    counter.check(not os.path.exists(os.path.join(place.folder, "made-" + name)), f"{name}: works", out + err)
    if sanitized or (what == "fork" and where in IN_TEMPLATE):
        counter.check(status == 0, f"{name}: is an errno", out + err)
    elif where in ("prepare", "instance"):
        counter.check(status == 3 and out == "", f"{name}: it does not start", out + err)
    elif where == "changed":  # whether workers were there by then
        counter.check(status in (0, 1, 3), f"{name}: ends its process", out + err)
    elif where == "after":
        counter.check(status == 0, f"{name}: changes no verdict", out + err)
    else:
        counter.check("prober" in details(out, "PLUGIN_FAILED"), f"{name}: ends its process", out + err)


def try_orphan(counter, place):
    """A process that it leaves behind is found, whoever its parent was."""
    status, out, err = place.scan(place.conf("orphan", place.block("none", "fatal orphan at prepare", "orphan")))
    counter.check(status == 3 and "left a process behind" in err, "an orphan is found", f"{status} {out} {err}")


SCRIPT = """# the stage after is called behind a verdict, on a server too
conf smtp { hostname "mx.here.test" }
conf plugins { prober { secret "nowhere" } }
conf domain "here.test" { recipients any  route local }
client 192.0.2.7
> 220
< EHLO friend
>| 250 
"""
MESSAGE = """< MAIL FROM:<a@b.test>
> 250
< RCPT TO:<u@here.test>
> 250
< DATA
> 354
< Subject: x
<
< .
> 250 2.0.0
"""


def check_after(counter, place):
    path = os.path.join(place.folder, "after.rpl")
    with open(path, "w", encoding="utf-8") as f:
        f.write(SCRIPT + MESSAGE + "event !symbol=PROBE_AFTER plugin=prober:ok\n" + MESSAGE +
                "event symbol=PROBE_AFTER plugin=prober:ok\n")
    status, out, err = run("plugin", "test", "--scripts", os.path.join(BUILD, "tests/plugins/prober_none.so"), path)
    counter.check(status == 0, "after a verdict of the server", out + err)


def check_grants(counter, place):
    def check(name, *blocks):
        return run("check", "--quick", "--json", "-c", place.conf(name, *blocks))

    for more, want in (("", "expected 'grant network'"), ("grant files", "expected 'grant network'"),
                       ("grant network", None)):
        status, out, err = check("grants", place.block("network", more, "grants"))
        said = "plugin 'prober' 1.0 asks for network, which is not granted, " + (want or "")
        counter.check(status == (1 if want else 0) and (not want or said in err), f"grants: {more!r}", out + err)
    status, out, err = check("dmarc", "dmarc { grant dns  organizational-domain psl }")
    counter.check(status == 1 and "asks for files" in err and "expected 'grant dns, files'" in err,
                  "a setting that needs more names all of it", out + err)
    rbl = 'dnsbl { zone "bl.test" }'
    status, out, err = check("groups", rbl, "greylist", place.block("network", "grant network", "groups"))
    groups = {p["name"]: (p["group"], p["granted"]) for p in json.loads(out)["plugins"]} if status == 0 else {}
    counter.check(len(groups) == 3 and groups["dnsbl"][0] == groups["greylist"][0] != groups["prober"][0]
                  and groups["prober"][1] == ["network"], "other needs, other processes", out + err)


def main():
    counter = postern.Counter("needs")
    with open(os.path.join(BUILD, "config.h"), encoding="utf-8") as f:
        sanitized = "#define PN_SANITIZE" in f.read()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        place = Place(folder)
        places = ["message", "changed"] if sanitized else PLACES
        jobs = [pool.submit(try_row, counter, place, i) for i in range(len(ROWS))]
        jobs += [pool.submit(try_fatal, counter, place, what, where, sanitized)
                 for what in ("fork", "exec") for where in places]
        jobs.append(pool.submit(try_orphan, counter, place))
        for job in jobs:
            job.result()
        check_grants(counter, place)
        check_after(counter, place)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

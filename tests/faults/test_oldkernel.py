#!/usr/bin/env python3
"""A kernel without Landlock or seccomp: the start says so by name, in the log, an event and
a metric, and mail is served; with `jail must` there is no start, and no reload to it.
"""
import os
import re
import signal
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

OLD = os.path.join(postern.TOP, "tests", "lib", "oldkernel.py")
CONF = """
smtp { hostname "mx.here.test" }
plugins { spf }
domain "here.test" { recipients any  route local }
"""
MUST = "jail must\n"
# what is missing, what the warning must say
ROWS = (
    ("landlock", "has no Landlock"),
    ("seccomp", "has no seccomp"),
    ("landlock,seccomp", "has neither Landlock nor seccomp"),
)


def gauges(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as page:
        text = page.read().decode()
    return {m[0]: int(m[1]) for m in re.findall(r'^postern_jail\{[^}]*part="(\w+)"[^}]*\} (\d)$', text, re.M)}


def without(counter, missing, words):
    parts = missing.split(",")
    with postern.Server(CONF) as server:
        server.wrap = [sys.executable, OLD, missing]
        server.start()
        counter.check(server.log().count(words) == 1, f"no {missing}: one warning", server.log()[-600:])
        told = server.wait_events("jail_incomplete", 1)
        want = {p: p not in parts for p in ("landlock", "seccomp")}
        counter.check(len(told) == 1 and words in told[0]["reason"], f"no {missing}: an event", str(told))
        counter.check(bool(told) and {p: told[0][p] for p in want} == want, f"no {missing}: its parts", str(told))
        numbers = {p: int(v) for p, v in want.items()}
        counter.check(postern.until(lambda: gauges(server) == numbers), f"no {missing}: a metric", str(gauges(server)))
        session = postern.Session(server)
        reply = session.send("Subject: x\r\n\r\nx\r\n")
        session.close()
        counter.check(reply.startswith("250"), f"no {missing}: mail is served", reply)
        server.write_conf(CONF + MUST)
        server.process.send_signal(signal.SIGHUP)
        refused = server.wait_events("reload_refused", 1)
        counter.check(len(refused) == 1 and words in refused[0]["reason"], f"no {missing}: no reload to must", str(refused))
    with postern.Server(CONF + MUST) as server:
        server.wrap = [sys.executable, OLD, missing]
        try:
            server.start()
            counter.check(False, f"no {missing}: must, and it serves")
        except RuntimeError:
            pass
        counter.check(
            server.process.poll() == 1 and words in server.log() and "jail must" in server.log(),
            f"no {missing}: must refuses by name", f"{server.process.poll()} {server.log()[-600:]}",
        )


def whole(counter):
    with postern.Server(CONF + MUST) as server:
        server.start()
        numbers = postern.until(lambda: gauges(server))
        counter.check(numbers == {"landlock": 1, "seccomp": 1}, "a whole jail: its metric", str(numbers))
        counter.check(not server.events("jail_incomplete"), "a whole jail: no event")


def main():
    counter = postern.Counter("oldkernel")
    for missing, words in ROWS:
        without(counter, missing, words)
    whole(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

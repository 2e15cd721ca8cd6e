#!/usr/bin/env python3
"""Kill -9 of filter workers at random moments under load: no client notices. 200 sessions
send the demo's messages while workers die; every reply must be what an undisturbed run
gave, and requests must have been replayed.

usage: test_workers.py [KILLS] (default 50)
"""
import os
import random
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

DEMO = os.path.join(postern.TOP, "contrib", "demo")
# Time for everything: what is late on a busy machine would read as another answer.
CONF = """
smtp {{ hostname "mx.here.test" }}
limits {{ exempt 0.0.0.0/0  messages-in-flight 20000 }}
budget 5m
plugins {{ spf {{ deadline 1m }}  dkim {{ deadline 1m }} }}
include "postern:default"
domain "here.test" {{ recipients any  route local  on SPF_FAIL reject "550 5.7.23 SPF said no" }}
resolver {{ forward 127.0.0.1:{dns}  timeout 1m }}
"""
MESSAGES = (
    ("1-good.eml", "192.0.2.10", "mail.friend.test", "alice@friend.test"),
    ("1-good.eml", "192.0.2.11", "other.test", "alice@friend.test"),
    ("2-forged-sender.eml", "198.51.100.66", "mailer.example", "bounce@mailer.example"),
    ("3-broken-signature.eml", "192.0.2.30", "out.shop.test", "orders@shop.test"),
    ("4-listed-client.eml", "203.0.113.25", "newsletter.test", "max@newsletter.test"),
    ("6-gtube.eml", "192.0.2.99", "mail.friend.test", "test@friend.test"),
)


def metric(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as page:
        text = page.read().decode()
    return sum(float(m) for m in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


class Killer(threading.Thread):
    def __init__(self, server, kills, seed):
        super().__init__()
        self.server, self.left, self.rnd, self.kills = server, kills, random.Random(seed), 0
        self.over = threading.Event()

    def run(self):
        while self.left and not self.over.is_set():
            time.sleep(self.rnd.uniform(0.05, 0.2))
            pids = self.server.workers()
            if pids:
                try:
                    os.kill(self.rnd.choice(pids), signal.SIGKILL)
                    self.kills += 1
                    self.left -= 1
                except ProcessLookupError:
                    pass


def transcript(server, manifest, count):
    """Reply of each message by number, without the queue id."""
    done = subprocess.run(
        [os.path.join(postern.build_folder(), "tests", "bench", "loadgen"), "-X", "-R", "-c", "200", "-m", "1",
         "-n", str(count), "-f", manifest, "-d", f"{DEMO}/mail", f"127.0.0.1:{server.smtp}"],
        capture_output=True, text=True, timeout=300, check=False,
    )
    replies = {}
    for line in done.stderr.splitlines():
        number, _, reply = line.partition(" ")
        replies[int(number)] = re.sub(r"Taken as \S+", "Taken", reply)
    return replies


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    counter = postern.Counter("workers")
    dns = postern.free_port()
    # Nothing may be cached: workers are to be in the middle of something when they die.
    zone = tempfile.NamedTemporaryFile("w", suffix=".zone")
    with open(f"{DEMO}/demo.zone", encoding="utf-8") as f:
        zone.write("$TTL 0\n" + f.read())
    zone.flush()
    dnsd = subprocess.Popen(
        [os.path.join(postern.build_folder(), "tests", "bench", "dnsd"), "-d", "150", f"127.0.0.1:{dns}", zone.name],
        stdout=subprocess.DEVNULL,
    )
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as manifest:
            manifest.write("file\tclient\thelo\tfrom\tto\n")
            for m in MESSAGES:
                manifest.write("\t".join(m) + "\tu@here.test\n")
            manifest.flush()
            with postern.Server(CONF.format(dns=dns), resolver="") as server:
                server.start()
                calm = transcript(server, manifest.name, 600)
                before = metric(server, "postern_filter_replays_total")
                killer = Killer(server, kills, seed=11)
                killer.start()
                stormy, rounds = {}, 0
                while killer.is_alive() and rounds < 40:
                    rounds += 1
                    for number, reply in transcript(server, manifest.name, 600).items():
                        if stormy.get(number) in (None, calm.get(number)):  # a wrong one stays
                            stormy[number] = reply
                killer.over.set()
                killer.join()
                time.sleep(1.5)  # counters are told once a second
                replays = metric(server, "postern_filter_replays_total") - before
                wrong = [(n, calm.get(n), stormy.get(n)) for n in calm if calm[n] != stormy.get(n)]
                failed = sum(1 for e in server.events("message") for s in e["symbols"] if s["name"] == "PLUGIN_FAILED")
                print(f"{killer.kills} kills in {rounds} rounds of 600 messages, {int(replays)} replays, {failed} PLUGIN_FAILED")
                counter.check(len(calm) == 600, "all answered", str(len(calm)))
                counter.check(killer.kills == kills, "kills", str(killer.kills))
                counter.check(replays >= kills * 3 / 5, "replays happened", str(replays))
                counter.check(not wrong, "transcripts equal", f"{len(wrong)}: {wrong[:4]}\n{server.log()[-1500:]}")
                odd = [e for e in server.events("message") if e["outcome"] == "accept" and e["client"]["ip"] == "192.0.2.11"]
                counter.check(not odd, "no message slipped past its checks", f"{len(odd)}: {odd[:1]}")
                counter.check(failed == 0, "nobody's plugin failed", str(failed))
    finally:
        dnsd.send_signal(signal.SIGTERM)
        dnsd.wait(10)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

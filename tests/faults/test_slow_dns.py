#!/usr/bin/env python3
"""One sender's name servers hang: other clients notice nothing. One worker with few threads
gets a hundred messages whose domains are never answered, from one network, and between
them ordinary messages from all over, whose times are compared with those of a calm run.

usage: test_slow_dns.py
"""
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp {{ hostname "mx.here.test" }}
limits {{ exempt 0.0.0.0/0  messages-in-flight 20000 }}
workers {{ count 1  threads 16 }}
plugins {{ spf  dmarc  dnsbl {{ zone "bl.test" {{ code 127.0.0.2 weight 4 }} }} }}
include "postern:default"
domain "here.test" {{ recipients any  route local }}
resolver {{ forward 127.0.0.1:{dns} }}
"""
ZONE = "\n".join(f'd{i}.test TXT "v=spf1 ip4:198.51.0.0/16 -all"' for i in range(50)) + "\n2.0.0.127.bl.test A 127.0.0.2"
SLOW, FAST = 100, 240


def deliver(server, client, sender, times=None):
    begun = time.monotonic()
    session = postern.Session(server, client=client, seconds=60)
    reply = session.send(f"From: <{sender}>\nSubject: hello\n\nbody\n", sender=sender, helo=sender.split("@")[1])
    session.close()
    if times is not None:
        times.append((time.monotonic() - begun) * 1000)
    return reply


def fast_ones(server, replies):
    """FAST messages, eight at once, each from a network of its own."""
    times, todo, lock = [], list(range(FAST)), threading.Lock()

    def run():
        while True:
            with lock:
                if not todo:
                    return
                i = todo.pop()
            replies.append(deliver(server, f"198.51.{i}.7", f"a@d{i % 50}.test", times))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return times


def main():
    counter = postern.Counter("slowdns")
    port = postern.free_port()
    zone = os.path.join("/tmp", f"postern-slow-{os.getpid()}.zone")
    with open(zone, "w", encoding="ascii") as f:
        f.write(ZONE + "\n")
    dnsd = subprocess.Popen(
        [os.path.join(postern.build_folder(), "tests", "bench", "dnsd"), "-d", "2", "-s", "hang.test",
         f"127.0.0.1:{port}", zone],
        stdout=subprocess.DEVNULL,
    )
    try:
        with postern.Server(CONF.format(dns=port), resolver="") as server:
            server.start()
            replies, slow_replies = [], []
            fast_ones(server, [])  # warm
            calm = fast_ones(server, replies)
            slow = [
                threading.Thread(
                    target=lambda i=i: slow_replies.append(deliver(server, f"203.0.113.{i + 1}", f"x@n{i}.hang.test"))
                )
                for i in range(SLOW)
            ]
            for t in slow:
                t.start()
            time.sleep(0.7)  # by now they hold all the threads that they can get
            stormy = fast_ones(server, replies)
            waiting = sum(t.is_alive() for t in slow)
            for t in slow:
                t.join()
            before, after = sorted(calm), sorted(stormy)
            p95 = int(FAST * 0.95)
            print(
                f"fast messages: p50 {statistics.median(before):.1f} -> {statistics.median(after):.1f} ms, "
                f"p95 {before[p95]:.1f} -> {after[p95]:.1f} ms, while {waiting} of {SLOW} slow ones waited"
            )
            counter.check(len(replies) == 2 * FAST and all(r.startswith("250") for r in replies), "all fast ones taken")
            counter.check(len(slow_replies) == SLOW, "every slow one answered", str(len(slow_replies)))
            counter.check(waiting > SLOW / 2, "slow ones were there all the while", str(waiting))
            failed = [e for e in server.events("message") if any(s["name"] == "PLUGIN_FAILED" for s in e["symbols"])]
            hung = [e for e in failed if ".hang.test" not in e["envelope"]["from"]]
            counter.check(not hung, "no fast one failed", str(hung[:1]))
    finally:
        dnsd.send_signal(signal.SIGTERM)
        dnsd.wait(10)
        os.unlink(zone)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A plugin that crashes, hangs, leaks, fails or writes to unmapped memory on chosen messages,
at each stage, on its first call and under load, through the live server: that message follows
the plugin's on_failure with PLUGIN_FAILED, and no other message is touched.
"""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp {{ hostname "mx.here.test" }}
limits {{ exempt 0.0.0.0/0 }}
plugins {{ trouble {{ file "{plugin}"  on_failure {failure}  deadline 300ms }} }}
domain "here.test" {{ recipients any  route local }}
"""
STAGES = ("helo", "mail", "rcpt", "headers", "message")


def send(server, kind="", stage="", number=0, client="192.0.2.1"):
    """One message that asks for trouble of that kind at that stage; its last reply."""
    word = f"{kind}-{stage}" if kind else "calm"
    helo = word if stage == "helo" else "client.test"
    sender = f"{word}@s.test" if stage == "mail" else f"n{number}@s.test"
    rcpt = f"{word}@here.test" if stage == "rcpt" else "u@here.test"
    subject = word if stage in ("headers", "message") else "calm"
    session = postern.Session(server, client)
    try:
        return session.send(f"Subject: {subject}\r\n\r\ntext {number}\r\n", sender, (rcpt,), helo)
    finally:
        session.close()


def failed(event):
    return [s["detail"] for s in event.get("symbols", []) if s["name"] == "PLUGIN_FAILED"]


def wait_failed(server, count, seconds=5):
    """How many events name the plugin as failed, once there are so many."""
    end = time.monotonic() + seconds
    while True:
        found = sum(failed(e) == ["trouble"] for e in server.events("message"))
        if found >= count or time.monotonic() > end:
            return found
        time.sleep(0.02)


def each_kind(counter, plugin):
    """Every kind at every stage, the first call of a fresh server included."""
    with postern.Server(CONF.format(plugin=plugin, failure="defer")) as server:
        server.start()
        expected = 0
        for kind in ("crash", "wild", "fail", "hang"):
            for stage in STAGES:
                reply = send(server, kind, stage)
                counter.check(reply.startswith("451"), f"{kind} at {stage}: deferred", reply)
                expected += 1
                found = wait_failed(server, expected)
                counter.check(found == expected, f"{kind} at {stage}: one PLUGIN_FAILED", f"{found}, not {expected}")
                reply = send(server)
                counter.check(reply.startswith("250"), f"after {kind} at {stage}: the next one passes", reply)
        reply = send(server, "leak", "message")
        counter.check(reply[:3] in ("250", "451"), "leak: answered", reply)


def by_policy(counter, plugin):
    for failure, want in (("skip", "250"), ("quarantine", "250")):
        with postern.Server(CONF.format(plugin=plugin, failure=failure)) as server:
            server.start()
            reply = send(server, "crash", "message")
            events = server.wait_events("message", 1)
            outcome = events[0]["outcome"] if events else "none"
            counter.check(reply.startswith(want), f"on_failure {failure}: answered", reply)
            counter.check(outcome == ("accept" if failure == "skip" else "quarantine"), f"on_failure {failure}: outcome", outcome)


def under_load(counter, plugin):
    """Eight threads send calm mail while a ninth sends nothing but crashes."""
    with postern.Server(CONF.format(plugin=plugin, failure="defer")) as server:
        server.start()
        stop = threading.Event()
        wrong, sent = [], [0]

        def calm(thread):
            while not stop.is_set():
                try:
                    reply = send(server, number=thread)
                except OSError as e:
                    reply = f"connection: {e}"
                sent[0] += 1
                if not reply.startswith("250"):
                    wrong.append(reply)

        threads = [threading.Thread(target=calm, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        replies = [send(server, ("crash", "wild")[i % 2], "message", client="192.0.2.77") for i in range(20)]
        stop.set()
        for t in threads:
            t.join()
        counter.check(all(r.startswith("451") for r in replies), "a stream of crashes: each deferred", str(replies[:3]))
        counter.check(not wrong and sent[0] > 100, "and nobody else is touched", f"{len(wrong)} of {sent[0]}: {wrong[:3]}")
        touched = [e for e in server.events("message") if failed(e) and e["client"]["ip"] != "192.0.2.77"]
        counter.check(not touched, "no PLUGIN_FAILED elsewhere", str(touched[:1]))
        print(f"under load: {sent[0]} calm messages beside 20 that crash the plugin")


def main():
    counter = postern.Counter("trouble")
    build = postern.build_folder()
    subprocess.run(["make", "-s", "-C", build, "tests/plugins/trouble.so"], check=True, stdout=subprocess.DEVNULL)
    plugin = os.path.join(build, "tests", "plugins", "trouble.so")
    each_kind(counter, plugin)
    by_policy(counter, plugin)
    under_load(counter, plugin)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

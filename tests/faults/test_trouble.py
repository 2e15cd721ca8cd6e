#!/usr/bin/env python3
"""A plugin that crashes, hangs, leaks, fails or writes to unmapped memory on chosen messages,
at each stage, on its first call and under load, through the live server: that message follows
the plugin's on_failure with PLUGIN_FAILED, and no other message is touched.
"""
import glob
import json
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


class Calm:
    """Others that come and go meanwhile, a thread each: what they sent, and what went wrong."""

    def __init__(self, server, count):
        self.server, self.stop = server, threading.Event()
        self.wrong, self.sent = [], [0] * count
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(count)]

    def send(self, thread):
        while not self.stop.is_set():
            try:
                reply = send(self.server, number=thread)
            except OSError as e:
                reply = f"connection: {e}"
            self.sent[thread] += 1
            if not reply.startswith("250"):
                self.wrong.append(reply)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def touched(self):
        return f"{len(self.wrong)} of {sum(self.sent)}: {self.wrong[:3]}"


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


# What a plugin may do to its whole process: kind, replies it may get, workers it may cost.
# Two where a worker says that it crashed or hangs (a common one, and the one of the replay),
# six where nobody does. Where not even the call is always known, the bounds of replay.c add
# up: one common worker, seven deaths between calls and four in one, and the last.
HOSTILE = (
    ("crash", ("451",), 2),
    ("wild", ("451",), 2),
    ("deep", ("451",), 2),
    ("jump", ("451",), 2),
    ("quit", ("451",), 2),
    ("fork", ("451",), 6),
    ("kill", ("451",), 6),
    ("stop", ("451",), 6),
    ("spin", ("451",), 2),
    ("hang", ("451",), 2),
    ("shut", ("451",), 13),
    ("junk", ("451",), 13),
    *((f"junk{i}", ("250", "451"), 13) for i in range(10)),
    ("lose", ("451",), 13),
    ("hog", ("250", "451"), 13),
)
HOSTILE_CONF = CONF + "\nworkers {{ memory 1g }}\n"


def hostile(counter, plugin, kind, replies, workers):
    """One such message while others come and go: it alone is touched, at a bounded price."""
    with postern.Server(HOSTILE_CONF.format(plugin=plugin, failure="defer")) as server:
        server.start()
        with Calm(server, 4) as calm:
            try:
                reply = send(server, kind, "message", client="192.0.2.77")
            except OSError as e:
                reply = f"connection: {e}"
            seen = list(calm.sent)

            def went_on():  # each of the others ends what it has under way, and one more
                return all(calm.sent[i] >= seen[i] + 2 for i in range(4))

            postern.until(went_on)
        counter.check(reply[:3] in replies, f"{kind}: its own message", reply)
        counter.check(not calm.wrong, f"{kind}: no other is touched", calm.touched())
        counter.check(went_on(), f"{kind}: others go on", str((seen, calm.sent)))
        if reply.startswith("451"):
            found = [e for e in server.events("message") if failed(e)]
            counter.check(
                len(found) == 1 and found[0]["client"]["ip"] == "192.0.2.77", f"{kind}: one PLUGIN_FAILED", str(found)
            )
        cost = sum(e["role"] == "filter" for e in server.wait_events("role_died", workers, 3))
        # A sanitizer build's jail refuses to fork where the other ends the process.
        counter.check((cost > 0 or kind == "fork" or "250" in replies) and cost <= workers, f"{kind}: workers lost", f"{cost}, not {workers}")
        stopped = [pid for pid in server.roles("filter") if state_of(pid) == "T"]
        counter.check(not stopped, f"{kind}: nobody is left stopped", str(stopped))
        print(f"{kind}: {reply[:40]!r}, {cost} workers lost, {sum(calm.sent)} others passed", flush=True)


def dns_again(counter, plugin):
    """Workers whose channel to the resolver was ruined are replaced: lookups work everywhere."""
    dns = "x.test. 60 IN TXT \"yes\"\n"
    with postern.Server(HOSTILE_CONF.format(plugin=plugin, failure="skip"), dns=dns) as server:
        server.start()
        for kind in ("junk0", "junk1") * 4:  # whichever socket is the resolver's
            send(server, kind, "message")

        def ask(kinds, i):
            session = postern.Session(server, "192.0.2.1")
            try:
                session.send(f"Subject: dns-message-x.test {i}\r\n\r\ntext\r\n", f"n{i}@s.test")
                kinds[i] = True
            finally:
                session.close()

        asked, good = 0, 0
        end = time.monotonic() + 40
        while good < 12 and time.monotonic() < end:
            kinds = [False] * 12
            threads = [threading.Thread(target=ask, args=(kinds, i)) for i in range(12)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            asked += 12
            last = server.wait_events("message", 8 + asked)[8 + asked - 12 :]
            good = sum(any(s["name"] == "TROUBLE_ANSWER" and s["detail"] == "yes" for s in e["symbols"]) for e in last)
        counter.check(good == 12, "after junk to the resolver: lookups work", f"{good} of the last 12")
        counter.check(bool(server.wait_events("role_died", 1)), "by a worker's end", "none died")
        print(f"dns again: after {asked - 12} messages", flush=True)


def details(verdict, name):
    return [s["detail"] for s in verdict["symbols"] if s["name"] == name]


def reproducers(counter, plugin):
    """A message that crashes the plugin for what the DNS said crashes it again in scan, which
    is given nothing but the reproducer, and has the same facts before that, bit for bit."""
    dns = 'evil.test. 60 IN TXT "crash"\nfirst.test 60 IN TXT "a;\\"b\\\\" "\\001\\255"\n'
    with postern.Server(CONF.format(plugin=plugin, failure="quarantine"), dns=dns) as server:
        server.start()
        session = postern.Session(server, "192.0.2.9")
        session.send(
            "Subject: dns-headers-first.test dns-message-evil.test\r\n\r\n>From me\r\n",
            "dns-mail-none.test@s.test", ("u@here.test",),
        )
        session.close()
        live = server.wait_events("message", 1)[0]
        counter.check(failed(live) == ["trouble"], "a crash by DNS: PLUGIN_FAILED", str(live["symbols"]))
        end = time.monotonic() + 10
        found = []
        while not found and time.monotonic() < end:
            found = glob.glob(os.path.join(server.root, "**", "reproducers", "*.json"), recursive=True)
            time.sleep(0.02)
        if not counter.check(len(found) == 1, "a reproducer is kept", str(found)):
            return
        with open(found[0], encoding="utf-8") as f:
            text = f.read()
        counter.check("evil.test" in text and "first.test" in text, "with what the crashed call was told", text)
        done = subprocess.run(
            [os.path.join(postern.build_folder(), "postern"), "scan", "-c", server.conf_path, "--json", "--batch", found[0]],
            capture_output=True, text=True, timeout=60, check=False, cwd=os.path.dirname(found[0]),
            env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")},
        )
        if not counter.check(done.stdout.startswith("{"), "scan takes the reproducer", done.stderr):
            return
        again = json.loads(done.stdout)
        for name in ("PLUGIN_FAILED", "TROUBLE_RANDOM", "TROUBLE_ANSWER", "TROUBLE_COUNT"):
            counter.check(
                details(live, name) == details(again, name), f"{name} again", f"{details(live, name)} {details(again, name)}"
            )
        counter.check(bool(details(live, "TROUBLE_RANDOM")), "there was randomness to compare")
        with open(found[0][:-5] + ".eml", "rb") as f:
            counter.check(b"\r\n>From me\r\n" in f.read(), "the content as it was")


def in_scan(counter, plugin):
    """scan has few workers: each that a message kills is followed by another."""
    with postern.Server(CONF.format(plugin=plugin, failure="quarantine")) as server:
        cases = [
            {"ip": "192.0.2.1", "helo": "h", "from": "a@s.test", "rcpt": "u@here.test", "zone": "",
             "message": f"Subject: {'calm' if i % 10 == 9 else 'crash-message'}\n\nx\n"}
            for i in range(40)
        ]  # fmt: skip
        done = subprocess.run(
            ["prlimit", "--nofile=64", os.path.join(postern.build_folder(), "postern"), "scan", "-c", server.conf_path,
             "--json", "--batch", "-"],
            input="\n".join(json.dumps(c) for c in cases), capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")},
        )  # fmt: skip
        results = [json.loads(line) for line in done.stdout.splitlines()]
        want = [["trouble"] if i % 10 != 9 else [] for i in range(40)]
        counter.check([failed(r) for r in results] == want, "in scan: each crash, and no other", done.stderr[-400:])


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


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
        with Calm(server, 8) as calm:
            replies = [send(server, ("crash", "wild")[i % 2], "message", client="192.0.2.77") for i in range(20)]
        counter.check(all(r.startswith("451") for r in replies), "a stream of crashes: each deferred", str(replies[:3]))
        counter.check(not calm.wrong and sum(calm.sent) > 100, "and nobody else is touched", calm.touched())
        touched = [e for e in server.events("message") if failed(e) and e["client"]["ip"] != "192.0.2.77"]
        counter.check(not touched, "no PLUGIN_FAILED elsewhere", str(touched[:1]))
        print(f"under load: {sum(calm.sent)} calm messages beside 20 that crash the plugin")


def main():
    counter = postern.Counter("trouble")
    build = postern.build_folder()
    subprocess.run(["make", "-s", "-C", build, "tests/plugins/trouble.so"], check=True, stdout=subprocess.DEVNULL)
    plugin = os.path.join(build, "tests", "plugins", "trouble.so")
    only = sys.argv[1:]
    for kind, replies, workers in HOSTILE:
        if not only or kind in only:
            hostile(counter, plugin, kind, replies, workers)
    if not only or "scan" in only:
        in_scan(counter, plugin)
    if not only or "dns" in only:
        dns_again(counter, plugin)
    if not only or "reproducers" in only:
        reproducers(counter, plugin)
    if only:
        return counter.close()
    each_kind(counter, plugin)
    by_policy(counter, plugin)
    under_load(counter, plugin)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Lasting state in a whole server: a greylist over days (a clock of our own), the state role
killed, its file full or broken, several edges and workers that share it.
"""
import glob
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fakeredis  # noqa: E402
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
edges 2
workers { count 2 }
plugins { greylist }
include "postern:default"
domain "here.test" { recipients any  route local }
domain "now.test" { recipients any  route local  on GREYLIST_WAIT none }
"""
MINUTE, HOUR, DAY = 60, 3600, 86400
MAIL = "Subject: x\r\nFrom: <a@sender.test>\r\n\r\nhello\r\n"


class Clock:
    """The wall clock of a server's processes."""

    def __init__(self, server):
        self.path = os.path.join(server.root, "clock")
        self.set(0)
        server.env["CLOCK_SHIFT"] = self.path
        server.env["LD_PRELOAD"] = os.path.join(postern.build_folder(), "tests/lib/clockshift.so")

    def set(self, seconds):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("<q", seconds * 1000))
        os.chmod(self.path, 0o644)


def send(server, client="192.0.2.7", sender="a@sender.test", rcpts=("u@here.test",)):
    """One message in a session of its own, ended with QUIT so that its fate is known."""
    session = postern.Session(server, client)
    answer = session.send(MAIL, sender=sender, rcpts=rcpts)
    session.command("QUIT")
    session.close()
    return answer


def symbols(event):
    return {s["name"] for s in event["symbols"]}


def over_days(counter):
    steps = [
        # at, client, sender, rcpts, reply, a symbol
        (0, "192.0.2.7", "a@sender.test", ("u@here.test",), "451 4.7.1", "GREYLIST_NEW"),
        (MINUTE, "192.0.2.7", "a@sender.test", ("u@here.test",), "451 4.7.1", "GREYLIST_EARLY"),
        (6 * MINUTE, "192.0.2.8", "a@sender.test", ("u@here.test",), "250", "GREYLIST_PASSED"),
        (7 * MINUTE, "192.0.2.9", "b@sender.test", ("u@here.test",), "250", "GREYLIST_KNOWN"),
        (7 * MINUTE, "192.0.2.9", "b@other.test", ("u@now.test",), "250", "GREYLIST_NEW"),
        (7 * MINUTE, "198.51.100.1", "b@late.test", ("u@here.test",), "451 4.7.1", "GREYLIST_NEW"),
        (3 * DAY, "198.51.100.1", "b@late.test", ("u@here.test",), "451 4.7.1", "GREYLIST_NEW"),
        (30 * DAY, "192.0.2.7", "a@sender.test", ("u@here.test",), "250", "GREYLIST_KNOWN"),
        (60 * DAY, "192.0.2.7", "a@sender.test", ("u@here.test",), "250", "GREYLIST_KNOWN"),
        (100 * DAY, "192.0.2.7", "a@sender.test", ("u@here.test",), "451 4.7.1", "GREYLIST_NEW"),
    ]
    with postern.Server(CONF) as server:
        clock = Clock(server)
        server.start()
        for i, (at, client, sender, rcpts, reply, symbol) in enumerate(steps):
            clock.set(at)
            if i == 4:  # what was decided outlives the server
                server.stop()
                server.start()
            answer = send(server, client, sender, rcpts)
            events = server.wait_events("message", i + 1)
            counter.check(answer.startswith(reply), f"over days, {i}: reply", answer)
            ok = len(events) == i + 1 and symbol in symbols(events[-1])
            counter.check(ok, f"over days, {i}: {symbol}", f"{[symbols(e) for e in events[-1:]]}")
        last = events[-1]["state"]
        counter.check(
            any(s["op"] == "get" and s["plugin"] == "greylist" and s["result"] == "none" for s in last)
            and any(s["op"] == "put" for s in last),
            "what it read and wrote is in the event",
            f"{last}",
        )


def scanned(server, event, *more):
    """The verdict of that event's message by `postern scan`, with what it was told then."""
    path = os.path.join(server.root, "event.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(event, f)
    command = [
        *postern.wrap(), os.path.join(postern.build_folder(), "postern"), "scan", "--json",
        "-c", server.conf_path, "--state", path, "--time", f"{event['time']:.3f}",
        "--ip", event["client"]["ip"], "--helo", event["client"]["helo"], "--from", event["envelope"]["from"],
        *[w for r in event["recipients"] for w in ("--rcpt", r["address"])], *more, "-",
    ]
    done = subprocess.run(
        command, input=MAIL, capture_output=True, text=True, check=False, timeout=60 * postern.patience(),
        env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")},
    )
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def repeated(counter):
    """What the server decided by state is decided again by scan, from the event alone: the same
    facts, score, outcome and reply, and the same entries of state, bit for bit."""
    conf = CONF.replace("greylist }", 'greylist  ratelimit { limit "c" { key client  tokens 2  per 1h } } }')
    with postern.Server(conf) as server:
        clock = Clock(server)
        server.start()
        for i, (at, rcpt) in enumerate(((0, "now"), (60, "now"), (120, "now"), (HOUR, "here"), (HOUR, "here"))):
            clock.set(at)
            send(server, rcpts=(f"u@{rcpt}.test",))
            event = server.wait_events("message", i + 1)[i]
            again = scanned(server, event)
            event["reply"] = event["reply"].replace(event["id"], again.get("id", ""))
            for member in ("symbols", "score", "outcome", "reply", "state"):
                counter.check(
                    event.get(member) == again.get(member), f"repeated, {i}: {member}",
                    f"{event.get(member)}\n{again.get(member, again)}",
                )
        other = dict(event, state=[dict(s, result="away") for s in event["state"]])
        runs = {p["name"]: p["status"] for p in scanned(server, other)["plugins"]}
        counter.check(runs["greylist"] == "failed", "repeated: away, as an event may say", f"{runs}")


def no_decision(counter):
    """Who goes away before anything is decided leaves nothing."""
    with postern.Server(CONF) as server:
        clock = Clock(server)
        server.start()
        session = postern.Session(server, "192.0.2.7")
        for line in ("EHLO x.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@now.test>"):
            answer = session.command(line)
        counter.check(answer.startswith("250"), "taken at RCPT", answer)
        session.command("RSET")
        session.command("QUIT")
        session.close()
        clock.set(HOUR)
        answer = send(server)
        counter.check(answer.startswith("451"), "no decision: still new", answer)
        events = server.wait_events("message", 1)
        counter.check("GREYLIST_NEW" in symbols(events[-1]), "no decision: nothing was kept")


def kill(counter):
    """kill -9 of the state role under load: nobody waits for long, nothing is lost but the last
    moment's writes, and it comes back by itself."""
    with postern.Server(CONF) as server:
        clock = Clock(server)
        server.start()
        first = send(server, "203.0.113.1", "a@kept.test")
        counter.check(first.startswith("451"), "before the kills", first)
        deadline = time.monotonic() + 10 * postern.patience()
        while state_metric(server, "postern_state_entries") < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        clock.set(HOUR)
        stop, answers, slowest = threading.Event(), [], [0.0]

        def load(number):
            n = 0
            while not stop.is_set():
                n += 1
                begun = time.monotonic()
                try:
                    answers.append(send(server, f"10.{number}.{n % 250}.1", "a@load.test")[:3])
                except OSError as e:
                    answers.append(str(e))
                slowest[0] = max(slowest[0], time.monotonic() - begun)

        threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        kills = 0
        for _ in range(4):
            time.sleep(0.3)
            for pid in server.roles("state"):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(0.5)
        stop.set()
        for t in threads:
            t.join()
        counter.check(kills >= 3, "the state role was there to be killed", f"{kills}")
        counter.check(
            len(answers) > 20 and set(answers) <= {"451", "250"}, "load went on", f"{sorted(set(answers))}"
        )
        after = send(server, "203.0.113.1", "a@kept.test")
        counter.check(after.startswith("250"), "what was written before is there", after)
        print(f"state: {kills} kills, {len(answers)} messages, the slowest {slowest[0]:.2f} s", flush=True)


def state_metric(server, name):
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=10) as f:
        for line in f.read().decode().splitlines():
            if line.startswith(name + "{") or line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
    return 0.0


def full(counter):
    """A file that is full: `on_failure` speaks, said in the event; there again with more room."""
    conf = CONF + "state { size 1m }\nlimits { exempt 0.0.0.0/0  errors 1000  transactions 1000 }\n"
    with postern.Server(conf) as server:
        clock = Clock(server)
        server.start()
        away, n = False, 0
        deadline = time.monotonic() + 60 * postern.patience()
        while not away and time.monotonic() < deadline:
            session = postern.Session(server, "192.0.2.7")
            session.command("EHLO x.test")
            for _ in range(50):
                n += 1
                session.command(f"MAIL FROM:<a@{n:06d}.{'x' * 60}.{'y' * 60}.test>")
                session.command("RCPT TO:<u@here.test>")
                session.command("RSET")
            session.command("QUIT")
            session.close()
            away = len(server.events("state-away")) != 0
        counter.check(away, "full: said so", f"{n} messages\n{server.log()[-500:]}")
        answer = send(server, "198.51.100.7", "a@full.test")
        counter.check(answer.startswith("250"), "full: on_failure skip", answer)
        event = server.wait_events("message", n + 1)[-1]
        run = [p for p in event["plugins"] if p["name"] == "greylist"]
        counter.check(
            run and run[0]["status"] == "failed" and "lasting state" in run[0]["reason"],
            "full: the event says why", f"{run}",
        )
        clock.set(10 * DAY)  # what fills it is too old by then
        back = server.wait_events("state-back", 1, seconds=20)
        counter.check(len(back) == 1, "full: there again once the old was removed", server.log()[-500:])
        answer = send(server, "198.51.100.7", "a@full.test")
        counter.check(answer.startswith("451"), "full: greylisting again", answer)


def broken(counter):
    """A file that is no database any more is set aside; the server starts."""
    with postern.Server(CONF) as server:
        folder = os.path.join(server.root, "state", "state")
        os.makedirs(folder)
        with open(os.path.join(folder, "data.mdb"), "wb") as f:
            f.write(b"not a database" * 1000)
        server.start()
        answer = send(server)
        counter.check(answer.startswith("451"), "broken: began anew", answer)
        counter.check(os.path.exists(os.path.join(folder, "data.mdb.broken")), "broken: kept aside")


def replays(counter):
    """A plugin that dies after it took and put: nothing of it is kept, and its message, asked for
    again and again, took one token."""
    plugin = os.path.join(postern.build_folder(), "tests/plugins/hoard.so")
    conf = CONF.replace("plugins { greylist }", f'plugins {{ hoard {{ file "{plugin}" on_failure defer }} }}')
    rows = [  # sender, reply, tokens left, what was found
        ("one@sender.test", "250", "99", "nothing"),
        ("crash@sender.test", "451", None, None),
        ("two@sender.test", "250", "97", "one@sender.test"),
        ("fail@sender.test", "451", None, None),
        ("three@sender.test", "250", "95", "two@sender.test"),
    ]
    with postern.Server(conf) as server:
        server.start()
        for i, (sender, reply, left, found) in enumerate(rows):
            answer = send(server, sender=sender)
            counter.check(answer.startswith(reply), f"replays, {sender}: reply", answer)
            event = server.wait_events("message", i + 1)[-1]
            details = {s["name"]: s["detail"] for s in event["symbols"]}
            counter.check(details.get("HOARD_LEFT") == left, f"replays, {sender}: left", f"{details}")
            counter.check(details.get("HOARD_FOUND") == found, f"replays, {sender}: found", f"{details}")
        pattern = os.path.join(server.root, "**", "reproducers", "*.json")
        kept = postern.until(lambda: glob.glob(pattern, recursive=True))
        with open(kept[0], encoding="utf-8") as f:
            seen = {s["op"]: s for s in json.load(f).get("state", [])}
        counter.check(
            seen.get("take", {}).get("left") == 98 and seen.get("get", {}).get("value") == "one@sender.test",
            "replays: what was read and taken is in the reproducer", f"{seen}",
        )


def shared(counter):
    """Two servers at one Redis (of our own: make interop has a real one): what one greylists
    passes at the other, a bucket is one. The role is killed, the server goes away and comes
    back, a reload names another one; each has an end and is said."""
    plugins = 'greylist  ratelimit { limit "c" { key network  tokens 5  per 1d } }'
    with fakeredis.FakeRedis(b"secret") as redis, fakeredis.FakeRedis() as other:
        more = f'\nstate {{ redis "127.0.0.1:{redis.port}"  password-file "{{root}}/secret" }}\n'
        conf = CONF.replace("plugins { greylist }", f"plugins {{ {plugins} }}") + more
        with postern.Server(conf) as a, postern.Server(conf) as b:
            clock = Clock(a)
            b.env.update(a.env)
            for server in (a, b):
                with open(os.path.join(server.root, "secret"), "w", encoding="ascii") as f:
                    f.write("secret\nno more of it\n")
                server.start()
            counter.check(send(a).startswith("451"), "shared: new at one")
            clock.set(6 * MINUTE)
            counter.check(send(b).startswith("250"), "shared: passed at the other")
            for pid in a.roles("state"):
                os.kill(pid, signal.SIGKILL)
            counter.check(send(a).startswith("250"), "shared: the role was killed, and asks anew", a.log()[-500:])
            counter.check(redis.connections == 3, "shared: a connection each", f"{redis.connections}")
            left = [s["left"] for s in a.wait_events("message", 2)[1]["state"] if s["op"] == "take"]
            counter.check(left == [2], "shared: one bucket", f"{left}")
            redis.stop()
            told = a.wait_events("state-away", 1)
            counter.check(told and told[0]["engine"] == "redis", "shared: away, said", f"{told}")
            counter.check(send(a, "198.51.100.7").startswith("250"), "shared: away, on_failure skip")
            redis.start()
            counter.check(a.wait_events("state-back", 1), "shared: there again, said")
            counter.check(send(a, "198.51.100.7").startswith("451"), "shared: and greylisting again")
            with open(a.conf_path, encoding="utf-8") as f:
                text = f.read().replace(str(redis.port), str(other.port))
            with open(a.conf_path, "w", encoding="utf-8") as f:
                f.write(text.replace(f'password-file "{a.root}/secret"', "on-away local"))
            a.process.send_signal(signal.SIGHUP)
            counter.check(postern.until(lambda: other.connections == 1), "shared: another by a reload", a.log()[-500:])
            counter.check(send(a).startswith("451"), "shared: which knows of nothing")
            other.stop()
            a.wait_events("state-away", 2)
            clock.set(12 * MINUTE)
            counter.check(send(a).startswith("250"), "shared: on-away local knows what this one put")
            seen = [s for s in a.wait_events("message", 6)[-1]["state"] if s["op"] == "get"]
            counter.check(seen and seen[0].get("local"), "shared: and the event says whose word it was", f"{seen}")


def limits(counter):
    three = "".join(f'limit "{n}" {{ key {k}  tokens {t}  per 1h }} ' for n, k, t in
                    (("c", "client", 2), ("n", "network", 5), ("s", "sender", 9)))
    conf = CONF.replace("greylist }", f"ratelimit {{ {three} }} }}")
    with postern.Server(conf) as server:
        clock = Clock(server)
        server.start()
        for i, want in enumerate(("250", "250", "451 4.7.1 Too much at once")):
            answer = send(server)
            counter.check(answer.startswith(want), f"limits: message {i}", answer)
        counter.check(send(server, "192.0.2.99").startswith("250"), "limits: another client")
        left = {s["key"]: s["left"] for s in server.wait_events("message", 4)[3]["state"]}
        want = {"c 192.0.2.99": 1, "n 192.0.2.0/24": 1, "s a@sender.test": 5}
        counter.check(left == want, "limits: several of one message", f"{left}")
        server.stop()
        server.start()
        counter.check(send(server).startswith("451"), "limits: they outlive the server")
        clock.set(31 * MINUTE)
        counter.check(send(server).startswith("250"), "limits: one came back")


def main():
    counter = postern.Counter("state")
    for part in (over_days, repeated, no_decision, replays, shared, limits, kill, full, broken):
        part(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

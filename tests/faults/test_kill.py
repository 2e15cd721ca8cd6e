#!/usr/bin/env python3
"""Kill -9 of each role at random moments under load: what got its 250 is in a mailbox
after the restart, at least once; doubles are at most what was in flight.

usage: test_kill.py [ROUNDS] (default 1 a role; more in a soak)
"""
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
domain "here.test" { recipients any  route local }
domain "queued.test" { recipients any  route local }
"""
SESSIONS = 8


class Load(threading.Thread):
    """Sends messages one after another; reconnects when the server goes away."""

    def __init__(self, server, number, stop):
        super().__init__()
        self.server, self.number, self.stop_event = server, number, stop
        self.accepted, self.sent = [], 0

    def run(self):
        session = None
        while not self.stop_event.is_set():
            self.sent += 1
            ident = f"id-{self.number}-{self.sent}"
            # every third message has two recipients, so that it takes the queue's way
            rcpts = ("u@here.test", "v@here.test") if self.sent % 3 == 0 else ("u@here.test",)
            try:
                if session is None:
                    session = postern.Session(self.server, seconds=10)
                    session.command("EHLO load.test")
                answer = session.send(f"Subject: x\r\nX-Ident: {ident};\r\n\r\nhello\r\n", rcpts=rcpts, helo=None)
                if answer.startswith("250"):
                    self.accepted += [(ident, r) for r in rcpts]
                else:
                    session.close()
                    session = None
            except OSError:
                session = None
                time.sleep(0.02)


def run(counter, role, rounds, seed):
    rnd = random.Random(seed)
    with postern.Server(CONF) as server:
        server.start()
        stop = threading.Event()
        loads = [Load(server, i, stop) for i in range(SESSIONS)]
        for load in loads:
            load.start()
        kills = 0
        for _ in range(rounds * 3):
            time.sleep(rnd.uniform(0.1, 0.4))
            if role == "all":
                server.kill_all()
                server.start()
                kills += 1
                continue
            for pid in server.roles(role)[:1]:
                os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(1)
        stop.set()
        for load in loads:
            load.join()
        accepted = {pair for load in loads for pair in load.accepted}
        end = time.monotonic() + 20
        while True:
            found = {}
            for path, content in server.mail().items():
                ident = re.search(rb"X-Ident: (id-\d+-\d+);", content)
                user = "v" if "/v/" in f"/{path}" or "v@" in path else "u"
                if ident:
                    key = (ident.group(1).decode(), f"{user}@here.test")
                    found[key] = found.get(key, 0) + 1
            missing = [k for k in accepted if k not in found]
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.1)
        doubles = sum(n - 1 for n in found.values())
        counter.check(kills > 0, f"{role}: kills", f"{kills}")
        counter.check(len(accepted) > 20, f"{role}: load went on", f"{len(accepted)} accepted")
        counter.check(not missing, f"{role}: lost", f"{len(missing)} of {len(accepted)}: {missing[:5]}\n{server.log()[-2000:]}")
        counter.check(doubles <= kills * SESSIONS * 2, f"{role}: doubles", f"{doubles}")
        print(f"{role}: {kills} kills, {len(accepted)} accepted, {len(missing)} lost, {doubles} doubled", flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    counter = postern.Counter("kill")
    for role in ("mailbox", "queue", "edge", "resolver", "state", "signer", "auth", "all"):
        run(counter, role, rounds, seed=7)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

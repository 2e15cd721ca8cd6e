#!/usr/bin/env python3
"""Three times the load that saturates the server: memory stays flat, what got 250 arrives
exactly once, everybody else is told 421 or 451, and the server is itself again afterwards.

usage: test_overload.py [SECONDS] (default 10; 60 in a soak)
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

LOADGEN = os.path.join(postern.build_folder(), "tests", "bench", "loadgen")
CONF = """
smtp { hostname "mx.here.test" }
edges 2
limits { exempt 127.0.0.0/8  sessions 400  messages-in-flight 100  bytes-in-flight 16m }
domain "here.test" { recipients any  route local }
"""
SIZE = 1024


INDEX_KB = 2  # a message, of a mailbox that is in use: what the store keeps of it in memory
INDEX_BASE_KB = 64 * 1024


def pss(server):
    """Kilobytes of the server's processes: of all but mailbox workers, and of those. A mailbox that
    mail comes into is in memory, so workers grow with what was accepted, and with nothing else."""
    others = workers = 0
    for pid, role in postern.processes(server.process.pid).items():
        if role == "mailbox":
            workers += postern.pss_kb(pid)
        else:
            others += postern.pss_kb(pid)
    return others, workers


def load(server, run, *args):
    """loadgen's numbers, its replies as {reply: count}, and what was accepted."""
    accepted = os.path.join(server.root, f"{run}.accepted")
    done = subprocess.run(
        [LOADGEN, "-R", "-z", str(SIZE), "-t", "u@here.test", "-u", run, "-o", accepted, *args, f"127.0.0.1:{server.smtp}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    replies = {}
    for line in done.stderr.splitlines():
        reply = line.partition(" ")[2] or "none"
        code = reply[:3] if reply[:3].isdigit() else reply
        replies[code] = replies.get(code, 0) + 1
    with open(accepted, encoding="ascii") as f:
        numbers = [int(line) for line in f]
    return json.loads(done.stdout), replies, numbers


def delivered(server, run):
    """How often each message of that run lies in the mailbox."""
    found = {}
    pattern = re.compile(rb"^X-Load-Id: " + run.encode() + rb"\.(\d+)\r?$", re.M)
    for path in glob.glob(os.path.join(server.root, "mail", "*", "*", "new", "*")):
        with open(path, "rb") as f:
            number = pattern.search(f.read(2048))
        if number:
            found[int(number.group(1))] = found.get(int(number.group(1)), 0) + 1
    return found


def wipe(server):
    for path in glob.glob(os.path.join(server.root, "mail", "*", "*", "new", "*")):
        os.unlink(path)


def check_delivered(counter, server, run, accepted):
    end = time.monotonic() + 60
    while True:  # what was kept in the journal comes a little later
        found = delivered(server, run)
        missing = [n for n in accepted if n not in found]
        if not missing or time.monotonic() > end:
            break
        time.sleep(0.2)
    counter.check(not missing, f"{run}: nothing is lost", f"{len(missing)} of {len(accepted)}: {missing[:5]}")
    doubles = [n for n, count in found.items() if count > 1]
    counter.check(not doubles, f"{run}: nothing comes twice", f"{len(doubles)}")


def overload(counter, server, rate, seconds):
    samples, over = [], threading.Event()

    def watch():
        while not over.wait(0.5):
            samples.append(pss(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    numbers, replies, accepted = load(server, "over", "-c", "10000", "-r", f"{rate:.0f}", "-n", f"{rate * seconds:.0f}")
    over.set()
    watcher.join()
    workers = max(w for _, w in samples)
    samples = [others for others, _ in samples]
    early, late = samples[: max(len(samples) // 4, 1)], samples[len(samples) // 2 :]
    print(
        f"asked {rate:.0f}/s for {seconds} s: {numbers['per_s']:.0f}/s accepted, replies {replies}, "
        f"PSS {min(samples)} to {max(samples)} KB and {workers} KB of mailbox workers, p99 {numbers['p99_ms']} ms",
        flush=True,
    )
    counter.check(accepted, "some are served")
    counter.check(set(replies) <= {"250", "421", "451"}, "the others hear 421 or 451", str(replies))
    counter.check(replies.get("421", 0) + replies.get("451", 0) > 0, "it was too much indeed", str(replies))
    counter.check(
        max(late) <= max(early) * 1.25 + 4096, "memory is flat", f"{max(early)} KB early, {max(late)} KB late: {samples}"
    )
    most = INDEX_BASE_KB + INDEX_KB * len(accepted)
    counter.check(workers <= most, "mailbox workers hold what their mailboxes ask for", f"{workers} KB, at most {most}")
    check_delivered(counter, server, "over", accepted)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    counter = postern.Counter("overload")
    with postern.Server(CONF, smtp_options="") as server:
        server.start()
        load(server, "warm", "-c", "20", "-n", "500")
        wipe(server)
        numbers, replies, accepted = load(server, "calm", "-c", "40", "-n", "6000")
        print(f"saturated at {numbers['per_s']:.0f}/s, replies {replies}", flush=True)
        counter.check(len(accepted) == 6000, "all are served below the limit", str(replies))
        check_delivered(counter, server, "calm", accepted)
        wipe(server)
        overload(counter, server, 3 * numbers["per_s"], seconds)
        wipe(server)
        again, replies, accepted = load(server, "after", "-c", "40", "-n", "3000")
        counter.check(len(accepted) == 3000, "all are served afterwards", str(replies))
        print(f"afterwards {again['per_s']:.0f}/s", flush=True)
        died = server.events("role_died")
        counter.check(not died, "no role died", str(died))
        counter.check(server.stop(60) == 0, "clean stop")
        shutil.rmtree(os.path.join(server.root, "mail"), ignore_errors=True)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

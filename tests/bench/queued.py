#!/usr/bin/env python3
"""make bench-queued: what a queue full of waiting mail costs.

usage: queued.py [--queued N] [--messages N] [--repeat N]

Fills a spool with N messages (1,000,000) that wait for servers that answer nobody, starts the
release build on it and prints: the time until it serves, memory a waiting message, how long
`postern queue` takes and what clients notice of it, and the rate and CPU-ms of relaying through
that server and through one whose queue is empty, in turn.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
os.environ.setdefault("POSTERN_BUILD", os.path.join(HERE, "..", "..", "build", "gcc"))
import postern  # noqa: E402
import run  # noqa: E402

PATIENCE_S = 600


def args_of(**more):
    base = {"plugins": "none", "state": None, "local": False, "shipped": False, "domain": "", "manifest": None,
            "folder": None, "size": 4096, "rate": 0, "sessions": 20, "per_session": 10, "messages": 2000}
    return argparse.Namespace(**{**base, **more})


def server_of(args, sink_port, queued):
    server = postern.Server(run.config(args, postern.free_port(), sink_port), smtp_options="", resolver="")
    if queued > 0:
        dead = f"127.0.0.1:{postern.free_port()}"
        spool = os.path.join(server.root, "spool")
        subprocess.run([os.path.join(postern.build_folder(), "tests", "bench", "fill_spool"), spool, str(queued), dead],
                       check=True)
    return server


def started(server):
    """Seconds until it serves, CPU-s of the queue until then, kB of the queue."""
    begin = time.monotonic()
    server.start(PATIENCE_S)
    took = time.monotonic() - begin
    queue = server.roles("queue")[0]
    return took, run.cpu_s(queue), postern.pss_kb(queue)


def ask(server, *words):
    """`postern queue`: seconds and bytes of what it says."""
    begin = time.monotonic()
    command = [os.path.join(postern.build_folder(), "postern"), "queue", *words, "--root", server.root]
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print(f"queue {' '.join(words)}: exit {done.returncode}: {done.stderr.decode()}", file=sys.stderr)
    return time.monotonic() - begin, len(done.stdout)


def noticed(server, words, rate=200):
    """Latencies of a steady trickle of mail while that is asked, p50 and p99 and the longest, ms."""
    tools = os.path.join(postern.build_folder(), "tests", "bench")
    command = [tools + "/loadgen", "-c", "10", "-m", "1000", "-n", str(rate * 4), "-r", str(rate), "-z", "2048",
               f"127.0.0.1:{server.smtp}"]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    took, size = ask(server, *words) if words else (0.0, 0)
    result = json.loads(load.communicate()[0].splitlines()[-1])
    return took, size, result


def compare(args, tools, sink, servers):
    for label, server in servers:
        result = run.one_run(args, server, tools, sink)
        yield label, result


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--queued", type=int, default=1000000)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    tools = os.path.join(postern.build_folder(), "tests", "bench")
    sink_port = postern.free_port()
    sink = subprocess.Popen([tools + "/sink", f"127.0.0.1:{sink_port}"], stdout=subprocess.PIPE, text=True)
    sink.seen = 0
    args = args_of(messages=chosen.messages)
    try:
        with server_of(args, sink_port, 0) as empty, server_of(args, sink_port, chosen.queued) as full:
            took, cpu, empty_kb = started(empty)
            print(f"empty queue: serves after {took:.2f} s; queue {empty_kb} kB")
            took, cpu, full_kb = started(full)
            each = (full_kb - empty_kb) * 1024 / chosen.queued
            print(f"{chosen.queued} queued: serves after {took:.2f} s, {cpu:.2f} CPU-s of the queue; "
                  f"queue {full_kb} kB: {each:.0f} bytes a message", flush=True)
            for words in ([], ["list"], ["list", "--domain", "dead7.test"], ["list", "--reason", "nothing"],
                          ["retry", "--domain", "dead7.test"]):
                took, size, seen = noticed(full, words)
                print(f"  queue {' '.join(words) or '(not asked)':28} {took:6.2f} s {size:8} bytes;  clients: "
                      f"p50 {seen['p50_ms']} p99 {seen['p99_ms']} max {seen.get('max_ms', '-')} ms", flush=True)
            best = {}
            for _ in range(chosen.repeat):
                for label, result in compare(args, tools, sink, [("empty", empty), ("full", full)]):
                    print(f"  relay, {label:5} queue: {result['delivered_per_s']:8.1f}/s delivered  {result['cpu_ms']:.4f} CPU-ms "
                          f"(queue {result['cpu_ms_by_role'].get('queue', 0):.4f})", flush=True)
                    best.setdefault(label, []).append((result["cpu_ms"], result["delivered_per_s"]))
            cpu = [min(c for c, _ in best[k]) for k in ("empty", "full")]
            rate = [max(r for _, r in best[k]) for k in ("empty", "full")]
            print(f"full against empty, best of {chosen.repeat}: CPU-ms {100 * (cpu[1] / cpu[0] - 1):+.1f} %, rate {100 * (rate[1] / rate[0] - 1):+.1f} %")
    finally:
        sink.send_signal(signal.SIGTERM)
        sink.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""rules_spamd.py BUILD SUITES [--corpus DIR] [--root DIR] [--messages N] [--times N] [--rules N]

CPU of one message: SpamAssassin's stock set run by the rules plugin (`postern scan --batch`,
release build) against `spamd -L` on the same messages and rules, in one run. spamd comes from a
private root (a Debian tree with the package spamassassin; chroot, so root is needed), listens on
the loopback only, and has one child. Both are measured over the whole process tree, behind their
start: spamd between two readings of /proc, postern as the difference of two runs, each the least
of three. What the same scan takes with no rules at all is printed apart.
"""
import argparse
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time



def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("suites")
    p.add_argument("--root", default=os.path.expanduser("~/.cache/postern-bench/roots/pf"))
    p.add_argument("--corpus", help="a folder of messages instead of the spam corpus")
    p.add_argument("--messages", type=int, default=120)
    p.add_argument("--rules", type=int, default=10, help="how many of the dearest rules are named")
    p.add_argument("--wanted", type=int, default=0, help="fail where spamd takes less than so often as much")
    p.add_argument("--times", type=int, default=10, help="how often postern reads each message")
    return p.parse_args()


def corpus(suites, folder, count):
    """Every n-th message, so that ham and spam are there as in the whole."""
    if folder:
        files = sorted(os.path.join(os.path.abspath(folder), f) for f in os.listdir(folder))
    else:
        folder = os.path.join(suites, "spam-corpus")
        with open(os.path.join(folder, "manifest.tsv"), encoding="utf-8") as f:
            files = [os.path.join(folder, line.split("\t")[0]) for line in list(f)[1:]]
    return files[:: max(1, len(files) // count)][:count]


# ---- spamd

def tree_cpu(top):
    """Seconds of a process and all below it, ended children included."""
    tick = os.sysconf("SC_CLK_TCK")
    stats = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(pid)] = (int(fields[1]), sum(map(int, fields[11:15])) / tick)
    members = {top}
    while True:
        more = {p for p, (parent, _) in stats.items() if parent in members} - members
        if not more:
            return sum(stats[p][1] for p in members if p in stats)
        members |= more


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def check(port, message):
    """One message by spamd's protocol: its score line."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        s.sendall(b"CHECK SPAMC/1.2\r\nContent-length: %d\r\n\r\n" % len(message) + message)
        s.shutdown(socket.SHUT_WR)
        reply = b""
        while chunk := s.recv(65536):
            reply += chunk
    if b"EX_OK" not in reply:
        raise RuntimeError(f"spamd said {reply[:200]!r}")


def wait_for(process, port):
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("spamd ended")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("spamd does not listen")


def spamd_ms(root, files):
    port = free_port()
    command = ["chroot", root, "/usr/sbin/spamd", "-L", "-i", "127.0.0.1", "-p", str(port),
               "--max-children=1", "--min-children=1", "-u", "debian-spamd", "-s", "null"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        texts = [open(f, "rb").read() for f in files]
        for text in texts[:2]:
            check(port, text)  # the child compiles its rules on the first
        rounds = []
        for _ in range(3):
            before = tree_cpu(process.pid)
            for text in texts:
                check(port, text)
            rounds.append(tree_cpu(process.pid) - before)
        return min(rounds) * 1000 / len(texts)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


# ---- postern

CONF = """
smtp {{ hostname "mx.dest.test" }}
plugins {{ rules {{ default no  {folder}  score-set 0  session no }} }}
domain "dest.test" {{ recipients any  route smtp 127.0.0.1:2600 }}
"""


PR_SET_CHILD_SUBREAPER = 36


def reap():
    """Workers whose template has ended are ours: wait for them, so that their CPU counts."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def scan_cpu(build, conf, files, work):
    batch = os.path.join(work, "batch")
    with open(batch, "w", encoding="utf-8") as f:
        for path in files:
            f.write(json.dumps({"ip": "192.0.2.1", "helo": "client.test", "from": "f@client.test",
                                "rcpt": ["u@dest.test"], "file": path}) + "\n")
    env = {**os.environ, "POSTERN_PLUGINS": os.path.join(build, "plugins")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([os.path.join(build, "postern"), "scan", "--config", conf, "--json",
                          "--batch", batch], env=env, capture_output=True, check=False).stdout
    reap()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if out.count(b"\n") != len(files):
        raise RuntimeError("postern scan left messages out")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def postern_ms(build, folder, files, times):
    with tempfile.TemporaryDirectory() as work:
        conf = os.path.join(work, "conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(CONF.format(folder=f'folder "{folder}"' if folder else ""))
        start = min(scan_cpu(build, conf, files[:1], work) for _ in range(3))
        all_ = min(scan_cpu(build, conf, files * times, work) for _ in range(3))
    return (all_ - start) * 1000 / (len(files) * times - 1), start * 1000


def main():
    a = arguments()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    build = os.path.abspath(a.build)
    folder = os.path.join(a.root, "usr/share/spamassassin")
    if not os.path.isdir(folder) or os.geteuid() != 0:
        print(f"rules against spamd: skipped, no root with SpamAssassin at {a.root}, or not run as root")
        return 0
    if not a.corpus and not os.path.exists(os.path.join(a.suites, "spam-corpus/manifest.tsv")):
        print("rules against spamd: skipped, no corpus (SUITES=DIR)")
        return 0
    files = corpus(os.path.abspath(a.suites), a.corpus, a.messages)
    ours, start = postern_ms(build, folder, files, a.times)
    bare, _ = postern_ms(build, None, files, a.times)
    theirs = spamd_ms(a.root, files)
    size = sum(map(os.path.getsize, files)) / len(files)
    print(f"{len(files)} messages of {size / 1024:.1f} KB on average, the stock set, no network")
    print(f"spamd -L        {theirs:8.2f} CPU-ms a message")
    print(f"postern scan    {ours:8.2f} CPU-ms a message (start {start:.0f} ms once)")
    print(f"  of it rules   {ours - bare:8.2f} CPU-ms (the same scan without rules takes {bare:.2f})")
    print(f"ratio           1/{theirs / (ours - bare):.0f} for the rules, 1/{theirs / ours:.0f} for the whole scan"
          " (wanted: 1/100, aim: 1/200)")
    subprocess.run([os.path.join(build, "tests/bench/bench_rules"), "-r", str(a.rules), folder] + files,
                   check=True)
    return 0 if theirs >= a.wanted * (ours - bare) else 1


sys.exit(main())

#!/usr/bin/env python3
"""imap.sh [option...]: mailboxes of Postern and of Debian's Dovecot, the same Maildirs, the same commands.

  --servers LIST    of "postern dovecot" (both)      --boxes LIST   of "mix small" (both)
  --scale N         a Nth of all messages and sessions (1: 10,000 mixed, 100,000 small)
  --idle LIST       sessions that IDLE ("1000 10000"; Dovecot: those up to --dovecot-idle, 1000)
  --only LIST       of "read append idle" (all)      --json         a line of JSON behind the table

Cold: the server never saw the folder; warm: a new session on what it knows. Seconds as a client sees
them; CPU of all the server's processes. What Postern's threads of sessions spend while mail comes by
LMTP alone is the indexing of its words: that is printed beside the rest. A measuring tool: nothing here
passes or fails.
"""
import argparse
import glob
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import dovecot  # noqa: E402
import imap  # noqa: E402
import imap_mail  # noqa: E402
import mailserver  # noqa: E402
import postern  # noqa: E402

PASSWORD = "bench"
IDLERS = 100  # users that the idle sessions belong to
# What the issue wants: (row, of which box, what, a number)
TARGETS = {
    ("mix", "SELECT warm"): "< 0.010", ("small", "SELECT warm"): "< 0.010",
    ("small", "FETCH FLAGS UID warm"): "<= 0.09", ("small", "FETCH ENVELOPE warm"): "<= 0.8",
    ("mix", "SEARCH BODY word again"): "100x", ("mix", "SEARCH BODY part again"): "100x",
    ("mix", "download IMAP MB/s"): "> 500", ("mix", "download POP3 MB/s"): "> 300",
    ("small", "download IMAP MB/s"): "> 500", ("small", "download POP3 MB/s"): "> 300",
    ("", "LMTP msgs/s x10"): "2x", ("", "LMTP CPU-ms/msg x10"): "<= half",
    ("", "IDLE plain KB each"): "<= 20", ("", "IDLE tls KB each"): "<= 60",
}  # fmt: skip


class Wire:
    """IMAP as fast as Python reads: only the tagged line is looked at."""

    def __init__(self, target, user, tls=False):
        self.sock = socket.create_connection((target.host, target.imaps if tls else target.imap))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = imap.unverified().wrap_socket(self.sock)
        self.buffer = bytearray(1 << 20)
        self.tags = 0
        self.sock.recv(4096)
        self.command(f"LOGIN {user} {PASSWORD}")

    def command(self, line):
        """Bytes that came."""
        self.tags += 1
        tag = b"A%d " % self.tags
        self.sock.sendall(tag + line.encode() + b"\r\n")
        return self.wait(tag)

    def wait(self, tag):
        tail, total, last = b"\r\n", 0, b""
        while True:
            n = self.sock.recv_into(self.buffer)
            if not n:
                raise EOFError(bytes(tail))
            total += n
            tail = (tail + bytes(memoryview(self.buffer)[max(0, n - 2048) : n]))[-4096:]
            at = tail.rfind(b"\r\n" + tag)
            if at >= 0 and tail.endswith(b"\r\n"):
                last = tail[at + 2 + len(tag) :]
                if not last.startswith(b"OK"):
                    raise RuntimeError(last)
                return total

    def append(self, folder, content):
        self.tags += 1
        tag = b"A%d " % self.tags
        self.sock.sendall(tag + b"APPEND %s {%d+}\r\n%s\r\n" % (folder.encode(), len(content), content))
        self.wait(tag)

    def idle(self):
        self.sock.sendall(b"I IDLE\r\n")
        self.sock.recv(4096)


def pop3_all(target, user):
    """All messages, fifty asked for at a time; bytes."""
    with socket.create_connection((target.host, target.pop3)) as sock:
        sock.recv(4096)
        for line in (f"USER {user}", f"PASS {PASSWORD}"):
            sock.sendall(line.encode() + b"\r\n")
            answer = sock.recv(4096)
            if not answer.startswith(b"+OK"):
                raise RuntimeError(answer)
        sock.sendall(b"STAT\r\n")
        count = int(sock.recv(4096).split()[1])
        total = done = asked = 0
        tail = b""
        buffer = bytearray(1 << 20)
        while done < count:
            while asked < count and asked - done < 50:
                few = range(asked + 1, min(count, asked + 25) + 1)
                sock.sendall(b"".join(b"RETR %d\r\n" % n for n in few))
                asked = few[-1]
            n = sock.recv_into(buffer)
            if not n:
                raise EOFError
            total += n
            chunk = tail + bytes(memoryview(buffer)[:n])
            done += chunk.count(b"\r\n.\r\n")
            tail = chunk[-4:]
        return total


def lmtp(target, users, messages, count):
    with socket.create_connection((target.host, target.lmtp)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = sock.makefile("rb", 1 << 16)

        def reply():
            while True:
                line = f.readline()
                if line[3:4] == b" ":
                    return line

        reply()
        sock.sendall(b"LHLO bench.test\r\n")
        reply()
        for n in range(count):
            sock.sendall(b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % users[n % len(users)].encode())
            said = [reply() for _ in range(3)]
            if not said[2].startswith(b"354"):
                raise RuntimeError(said)
            sock.sendall(messages[n % len(messages)] + b".\r\n")
            last = reply()
            if not last.startswith(b"250"):
                raise RuntimeError(last)


def at_once(functions):
    failed = []

    def guarded(function):
        try:
            function()
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def session_seconds(path):
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            head, _, tail = f.read().rpartition(")")
    except OSError:
        return 0
    if not head.endswith("(session"):
        return 0
    return sum(int(n) for n in tail.split()[11:13]) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, target, args, boxes):
        self.target, self.args, self.boxes, self.rows = target, args, boxes, {}

    def row(self, box, name, value):
        self.rows[(box, name)] = value
        print(f"  {self.target.name:8} {box or '-':6} {name}: {value:.4g}", flush=True)

    def cpu(self):
        return postern.cpu_seconds(self.target.process.pid)

    def indexing(self):
        """CPU seconds so far of threads that sessions and the indexer share."""
        return sum(session_seconds(path) for pid in self.target.processes() for path in glob.glob(f"/proc/{pid}/task/*/stat"))

    def timed(self, box, name, function):
        cpu, began = self.cpu(), time.monotonic()
        value = function()
        took = time.monotonic() - began
        self.row(box, name, took)
        self.rows[(box, name + " CPU")] = self.cpu() - cpu
        return value, took

    def read(self, box):
        user = f"{box}@here.test"
        wire = Wire(self.target, user)
        self.timed(box, "SELECT cold", lambda: wire.command("SELECT INBOX"))
        self.timed(box, "FETCH FLAGS UID cold", lambda: wire.command("FETCH 1:* (FLAGS UID)"))
        self.timed(box, "FETCH ENVELOPE cold", lambda: wire.command("FETCH 1:* ENVELOPE"))
        wire = Wire(self.target, user)
        self.timed(box, "SELECT warm", lambda: wire.command("SELECT INBOX"))
        self.timed(box, "FETCH FLAGS UID warm", lambda: wire.command("FETCH 1:* (FLAGS UID)"))
        self.timed(box, "FETCH ENVELOPE warm", lambda: wire.command("FETCH 1:* ENVELOPE"))
        self.timed(box, "SEARCH BODY word first", lambda: wire.command(f"SEARCH BODY {imap_mail.RARE}"))
        self.timed(box, "SEARCH BODY word again", lambda: wire.command(f"SEARCH BODY {imap_mail.RARE}"))
        self.timed(box, "SEARCH BODY part again", lambda: wire.command(f"SEARCH BODY {imap_mail.RARE_PART}"))
        self.timed(box, "SEARCH BODY none again", lambda: wire.command("SEARCH BODY zzqqxx"))
        got, took = self.timed(box, "download IMAP", lambda: wire.command("FETCH 1:* BODY.PEEK[]"))
        self.row(box, "download IMAP MB/s", got / 1e6 / took)
        got, took = self.timed(box, "download POP3", lambda: pop3_all(self.target, user))
        self.row(box, "download POP3 MB/s", got / 1e6 / took)

    def append(self):
        messages = imap_mail.letters()
        users = [f"a{n}@here.test" for n in range(10)]
        for sessions, count in ((1, 500), (10, 2000)):
            wires = [Wire(self.target, users[n]) for n in range(sessions)]
            each = max(1, count // self.args.scale // sessions)

            def work(wire):
                for n in range(each):
                    wire.append("INBOX", messages[n % len(messages)])

            self.rates(f"APPEND {{}} x{sessions}", sessions * each, lambda w=wires, f=work: at_once([lambda x=x: f(x) for x in w]))
        for sessions, count in ((1, 1000), (10, 4000)):
            each = max(1, count // self.args.scale // sessions)
            self.rates(f"LMTP {{}} x{sessions}", sessions * each,
                       lambda k=sessions, e=each: at_once([lambda n=n: lmtp(self.target, [users[n]], messages, e) for n in range(k)]))  # fmt: skip

    def rates(self, name, count, function):
        apart = "LMTP" in name and self.target.name == "postern"
        cpu, words, began = self.cpu(), self.indexing() if apart else 0, time.monotonic()
        function()
        took = time.monotonic() - began
        time.sleep(1)  # processes that end are counted by then
        words = self.indexing() - words if apart else 0
        self.row("", name.format("msgs/s"), count / took)
        self.row("", name.format("CPU-ms/msg"), (self.cpu() - cpu - words) * 1000 / count)
        if apart:
            self.row("", name.format("CPU-ms/msg, indexing"), words * 1000 / count)

    def pss(self):
        return sum(postern.pss_kb(p) for p in self.target.processes())

    def idle(self):
        for tls in (False, True):
            way = "tls" if tls else "plain"
            for count in sorted(int(n) // self.args.scale for n in self.args.idle.split()):
                if self.target.name == "dovecot" and count > self.args.dovecot_idle:
                    continue
                before, open_, cpu = self.pss(), [], self.cpu()
                try:
                    for n in range(count):
                        wire = Wire(self.target, f"i{n % IDLERS}@here.test", tls)
                        wire.command("SELECT INBOX")
                        wire.idle()
                        del wire.buffer
                        open_.append(wire)
                    self.rows[("", f"IDLE {way} {count} opening CPU-s")] = self.cpu() - cpu
                    time.sleep(5)
                    each = (self.pss() - before) / count
                    self.row("", f"IDLE {way} {count} KB each", each)
                    self.rows[("", f"IDLE {way} KB each")] = each
                finally:
                    for wire in open_:
                        wire.sock.close()
                    time.sleep(3)

    def run(self):
        only = self.args.only.split()
        for name, what in (("read", lambda: [self.read(b) for b in self.boxes]), ("append", self.append), ("idle", self.idle)):
            if name in only:
                try:
                    what()
                except (OSError, RuntimeError, EOFError) as e:
                    print(f"  {self.target.name}: {name} ended: {e!r}", flush=True)
        return self.rows


def table(results):
    names = list(dict.fromkeys(k for rows in results.values() for k in rows if not k[1].endswith(" CPU")))
    ours, theirs = results.get("postern", {}), results.get("dovecot", {})
    print(f"\n{'box':6} {'what':32} {'Postern':>11} {'Dovecot':>11} {'better':>8}  target")
    for key in names:
        a, b = ours.get(key), theirs.get(key)
        more_is_better = "/s" in key[1] and "CPU" not in key[1]
        ratio = (a / b if more_is_better else b / a) if a and b else None
        cells = [f"{v:11.4g}" if v is not None else f"{'-':>11}" for v in (a, b)]
        print(f"{key[0] or '-':6} {key[1]:32} {cells[0]} {cells[1]} {f'{ratio:7.2f}x' if ratio else '       -'}  {TARGETS.get(key, '')}")


def prepare(args, work):
    sources = {}
    for box in args.boxes.split():
        count = imap_mail.KINDS[box][0] // args.scale
        size = imap_mail.make(f"{work}/{box}", box, count)
        sources[box] = f"{work}/{box}"
        print(f"{box}: {count} messages, {size / 1e6:.0f} MB", flush=True)
    imap_mail.make(f"{work}/idle", "small", 20)
    return sources


def users_of(args):
    names = [f"{b}@here.test" for b in args.boxes.split()] + [f"a{n}@here.test" for n in range(10)]
    return {name: PASSWORD for name in names + [f"i{n}@here.test" for n in range(IDLERS)]}


def fill(target, sources, work):
    """Hard links of the files, so that a server's renames are its own."""
    for user, source in [(f"{b}@here.test", s) for b, s in sources.items()] + [(f"i{n}@here.test", f"{work}/idle") for n in range(IDLERS)]:
        place = target.maildir(user)
        for d in ("cur", "new", "tmp"):
            os.makedirs(f"{place}/{d}", exist_ok=True)
        for path in glob.glob(f"{source}/cur/*"):
            os.link(path, f"{place}/cur/{os.path.basename(path)}")
        target.own(os.path.dirname(place) if target.name == "dovecot" else place)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--servers", default="postern dovecot")
    parser.add_argument("--boxes", default="mix small")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--idle", default="1000 10000")
    parser.add_argument("--dovecot-idle", type=int, default=1000)
    parser.add_argument("--only", default="read append idle")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    work = tempfile.mkdtemp(prefix="bench-imap-", dir=args.folder)
    os.chmod(work, 0o755)
    tempfile.tempdir = work  # Postern's root, too, is to lie on a disk
    results = {}
    try:
        sources = prepare(args, work)
        for name in args.servers.split():
            target = (dovecot.Dovecot(f"{work}/dovecot", users_of(args), shared_logins=True) if name == "dovecot"
                      else mailserver.Postern(users_of(args), per_user=20000))  # fmt: skip
            fill(target, sources, work)
            with target:
                results[name] = Bench(target, args, args.boxes.split()).run()
        table(results)
        if args.json:
            print(json.dumps({name: {" ".join(k).strip(): v for k, v in rows.items()} for name, rows in results.items()}))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

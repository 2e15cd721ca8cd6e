#!/usr/bin/env python3
"""Lasting state in a real redis-server (POSTERN_REDIS, a folder of its programs): two nodes
share a greylist and buckets; the server is killed, hung, made a replica, loses its scripts,
asks for a password.
"""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp {{ hostname "mx.here.test" }}
edges 1
workers {{ count 2 }}
limits {{ exempt 0.0.0.0/0  errors 1000  transactions 1000 }}
state {{ redis "127.0.0.1:{port}" {more} }}
plugins {{ {plugins} }}
include "postern:default"
domain "here.test" {{ recipients any  route local }}
"""
GREYLIST = "greylist"
BUCKET = 'ratelimit { limit "c" { key client  tokens 20  per 1d } }'
MAIL = "Subject: x\r\nFrom: <a@sender.test>\r\n\r\nhello\r\n"


class Redis:
    """A redis-server of our own: its port stays when it is started again."""

    def __init__(self, *args):
        self.folder = tempfile.mkdtemp(prefix="postern-redis-")
        self.port = postern.free_port()
        self.args = list(args)
        self.process = None
        self.start()

    def start(self):
        env = {**os.environ, "LD_LIBRARY_PATH": os.environ["POSTERN_REDIS_LIBS"]}
        self.process = subprocess.Popen(
            [os.path.join(os.environ["POSTERN_REDIS"], "redis-server"), "--port", str(self.port)]
            + ["--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "yes"]
            + self.args,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
        )
        if not postern.until(self.is_there):
            raise RuntimeError("redis-server did not start")

    def is_there(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(100)[:1] in (b"+", b"-")
        except OSError:
            return False

    def ask(self, *words):
        """One command; what comes back, as it came."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"*%d\r\n" % len(words))
            for w in words:
                w = w if isinstance(w, bytes) else str(w).encode()
                s.sendall(b"$%d\r\n%s\r\n" % (len(w), w))
            s.settimeout(5)
            return s.recv(65536).decode()

    def keys(self, pattern="*"):
        return re.findall(r"^\$\d+\r\n(.*)\r$", self.ask("KEYS", pattern), re.M)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Node(postern.Server):
    """A node at that server, with a wall clock that several may share."""

    def __init__(self, redis, plugins, more="", clock=None):
        super().__init__(CONF.format(port=redis.port, plugins=plugins, more=more))
        if clock is not None:
            self.env["CLOCK_SHIFT"] = clock
            self.env["LD_PRELOAD"] = os.path.join(postern.build_folder(), "tests/lib/clockshift.so")

    def mail(self, client="192.0.2.7", sender="a@sender.test"):
        session = postern.Session(self, client)
        answer = session.send(MAIL, sender=sender)
        session.command("QUIT")
        session.close()
        return answer


def set_clock(path, seconds):
    with open(path, "r+b" if os.path.exists(path) else "wb") as f:
        f.write(struct.pack("<q", seconds * 1000))
    os.chmod(path, 0o644)


def shared_greylist(counter):
    with Redis() as redis:
        clock = os.path.join(redis.folder, "clock")
        set_clock(clock, 0)
        with Node(redis, GREYLIST, clock=clock) as a, Node(redis, GREYLIST, clock=clock) as b:
            a.start()
            b.start()
            counter.check(a.mail().startswith("451"), "greylist: new at one node")
            counter.check(b.mail().startswith("451"), "greylist: early at the other")
            early = b.wait_events("message", 1)[0]
            counter.check(
                "GREYLIST_EARLY" in [s["name"] for s in early["symbols"]], "greylist: it knows of the first"
            )
            set_clock(clock, 400)
            counter.check(b.mail().startswith("250"), "greylist: passed at the other")
            counter.check(a.mail("192.0.2.9").startswith("250"), "greylist: known at the first")
            known = a.wait_events("message", 2)[1]
            counter.check("GREYLIST_KNOWN" in [s["name"] for s in known["symbols"]], "greylist: known by that")
            keys = redis.keys("postern:v:greylist/*")
            counter.check(len(keys) == 1, "greylist: one entry", f"{keys}")
            ttl = int(redis.ask("PTTL", keys[0])[1:])
            counter.check(34 * 86400e3 < ttl <= 35 * 86400e3, "greylist: and how long it stays", f"{ttl}")


def shared_bucket(counter):
    """Whatever the nodes' clocks say: one is an hour ahead. 20 tokens for 60 messages at once."""
    with Redis() as redis:
        clock = os.path.join(redis.folder, "clock")
        set_clock(clock, 3600)
        with Node(redis, BUCKET) as a, Node(redis, BUCKET, clock=clock) as b:
            nodes = [a.start(), b.start()]
            answers = []

            def some(node):
                for _ in range(15):
                    answers.append(node.mail()[:3])

            threads = [threading.Thread(target=some, args=(nodes[i % 2],)) for i in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            counter.check(
                sorted(answers) == ["250"] * 20 + ["451"] * 40, "bucket: 20 for both nodes together", f"{sorted(answers)}"
            )
            counter.check(b.mail("192.0.2.8").startswith("250"), "bucket: another client")
            keys = redis.keys("postern:b:*")
            counter.check(len(keys) == 2, "bucket: its keys", f"{keys}")
            redis.ask("SCRIPT", "FLUSH")
            counter.check(a.mail("192.0.2.9").startswith("250"), "bucket: scripts are loaded anew")
            counter.check(a.mail().startswith("451"), "bucket: and it is what it was")
            # A client that goes away before anything is decided gets its token back.
            full = redis.ask("GET", "postern:b:ratelimit/c 192.0.2.9")
            session = postern.Session(a, "192.0.2.9")
            for line in ("EHLO x.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@here.test>"):
                session.command(line)
            session.command("RSET")
            session.command("QUIT")
            session.close()
            back = postern.until(lambda: redis.ask("GET", "postern:b:ratelimit/c 192.0.2.9") == full, 5)
            counter.check(back, "bucket: given back")


class Load:
    """Messages through a node, one behind another on each of four threads."""

    def __init__(self, *nodes):
        self.answers, self.slowest, self.stop = [], 0.0, threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(nodes[i % len(nodes)], i)) for i in range(4)
        ]

    def run(self, node, number):
        n = 0
        while not self.stop.is_set():
            n += 1
            begun = time.monotonic()
            try:
                answer = node.mail(f"10.{number}.{n % 250}.1", f"a@{n}.load.test")[:3]
            except OSError as e:
                answer = str(e)
            self.answers.append(answer)
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()


def away(counter, name, hurt, heal, more, want):
    """Under load the server goes away and comes back. want: what new senders hear meanwhile."""
    with Redis() as redis, Node(redis, GREYLIST, more) as a, Node(redis, GREYLIST, more) as b:
        a.start()
        b.start()
        with Load(a, b) as load:
            postern.until(lambda: len(load.answers) > 20)
            before = len(load.answers)
            hurt(redis)
            told = [n.wait_events("state-away", 1, 20) for n in (a, b)]
            counter.check(all(told), f"{name}: both say so", f"{told}")
            n = len(load.answers)
            postern.until(lambda: len(load.answers) > n + 20)
            meanwhile = load.answers[n + 8 :]
            event = a.events("message")[-1]
            heal(redis)
            back = [n.wait_events("state-back", 1, 20) for n in (a, b)]
            counter.check(all(back), f"{name}: both say that it is back", f"{back}")
            n = len(load.answers)
            postern.until(lambda: len(load.answers) > n + 20)
            after = load.answers[n + 8 :]
        counter.check(set(load.answers[:before]) == {"451"}, f"{name}: greylisting before", f"{set(load.answers[:before])}")
        counter.check(set(meanwhile) == {want}, f"{name}: {want} meanwhile", f"{set(meanwhile)}")
        counter.check(set(after) == {"451"}, f"{name}: greylisting after", f"{set(after)}")
        counter.check(set(load.answers) <= {"250", "451"}, f"{name}: nothing else", f"{set(load.answers)}")
        runs = {p["name"]: p for p in event["plugins"]}
        if want == "250":
            said = runs["greylist"]["status"] == "failed" and "lasting state" in runs["greylist"]["reason"]
        else:
            said = any(s.get("local") for s in event["state"])
        counter.check(said, f"{name}: said in the event", f"{runs.get('greylist')} {event.get('state')}")
        counter.check(
            told[0] and told[0][0]["engine"] == "redis" and told[0][0]["meanwhile"] == ("plugin" if want == "250" else "local"),
            f"{name}: with what it does meanwhile", f"{told[0]}",
        )
        print(f"redis: {name}: {len(load.answers)} messages, the slowest {load.slowest:.2f} s", flush=True)


def killed(counter):
    away(counter, "killed", lambda r: r.kill(), lambda r: r.start(), "", "250")


def killed_local(counter):
    away(counter, "killed, on-away local", lambda r: r.kill(), lambda r: r.start(), "on-away local", "451")


def hung(counter):
    away(counter, "hung", lambda r: r.process.send_signal(signal.SIGSTOP),
         lambda r: r.process.send_signal(signal.SIGCONT), "", "250")


def hung_local(counter):
    away(counter, "hung, on-away local", lambda r: r.process.send_signal(signal.SIGSTOP),
         lambda r: r.process.send_signal(signal.SIGCONT), "on-away local", "451")


def replica(counter):
    away(counter, "a replica", lambda r: r.ask("REPLICAOF", "127.0.0.1", "1"),
         lambda r: r.ask("REPLICAOF", "NO", "ONE"), "", "250")


def local_knows(counter):
    """What this node put is known to it while the server is away; a token taken of its own goes
    back there."""
    with Redis() as redis:
        clock = os.path.join(redis.folder, "clock")
        set_clock(clock, 0)
        with Node(redis, GREYLIST + "\n" + BUCKET.replace("20", "2"), "on-away local", clock) as node:
            node.start()
            counter.check(node.mail().startswith("451"), "local: new, by the shared one")
            set_clock(clock, 400)
            redis.kill()
            node.wait_events("state-away", 1)
            counter.check(node.mail().startswith("250"), "local: passed, by its own")
            counter.check(node.mail("192.0.2.99").startswith("250"), "local: known by its own")
            taken = [s for s in node.wait_events("message", 3)[2]["state"] if s["op"] == "take"]
            counter.check(taken and taken[0].get("local") and taken[0]["left"] == 1, "local: a bucket of its own", f"{taken}")


def login(counter):
    """A password and a user, a database, a prefix; and each of them wrong."""
    with Redis("--requirepass", "first secret") as redis:
        redis.ask = lambda *w, ask=redis.ask: logged_in(redis, *w)
        commands = "+get +set +del +time +eval +evalsha +script|load +select".split()  # postern-state(7)
        redis.ask("ACL", "SETUSER", "mail", "on", ">other", "~p:*", "-@all", *commands)
        secret = os.path.join(redis.folder, "secret")
        rows = [  # what, password file's bytes, settings, state-away's detail or None
            ("no password", None, "", "NOAUTH"),
            ("a wrong one", "wrong\n", "", "WRONGPASS"),
            ("an empty file", "\n", "", "password file"),
            ("the right one", "first secret\r\nsecond line\n", 'database 3  prefix "x/"', None),
            ("a user", "other\n", 'user "mail"  prefix "p:"', None),
            ("a user that may not write there", "other\n", 'user "mail"', "NOPERM"),
        ]
        for what, password, more, want in rows:
            if password is not None:
                with open(secret, "w", encoding="ascii") as f:
                    f.write(password)
                more += f' password-file "{secret}"'
            with Node(redis, GREYLIST + "\n" + BUCKET, more) as node:
                node.start()
                if want is None:
                    counter.check(node.mail().startswith("451"), f"login, {what}: it works", node.log()[-300:])
                    session = postern.Session(node, "192.0.2.77")
                    for line in ("EHLO x.test", "MAIL FROM:<a@x.test>", "RCPT TO:<u@here.test>", "QUIT"):
                        session.command(line)
                    session.close()
                    event = node.wait_events("message", 2)[1]
                    failed = [p["name"] for p in event["plugins"] if p["status"] != "ok"]
                    counter.check(not failed and not node.events("state-away"), f"login, {what}: buckets too", f"{failed} {node.log()[-300:]}")
                else:
                    said = node.wait_events("state-away", 1)
                    counter.check(said and want in said[0]["detail"], f"login, {what}: said", f"{said}")
                    told = password is not None and password.strip() != "" and password.strip() in node.log()
                    counter.check(not told, f"login, {what}: no password in the log")
                    counter.check(node.mail().startswith("250"), f"login, {what}: on_failure")
        found = logged_in(redis, "KEYS", "*", db=3)
        counter.check("x/v:greylist/" in found, "login: database and prefix", found)
        counter.check("p:v:greylist/" in redis.ask("KEYS", "*"), "login: the user's prefix")


def logged_in(redis, *words, db=0):
    with socket.create_connection(("127.0.0.1", redis.port), 5) as s:
        s.settimeout(5)
        answer = b""
        for line in (("AUTH", "first secret"), ("SELECT", db), words):
            parts = [str(w).encode() for w in line]
            s.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            answer = s.recv(65536)
        return answer.decode()


def jail(counter):
    """One connection, to that server alone; none where there is none; and a new server by reload."""
    with Redis() as redis, Redis() as other, Node(redis, GREYLIST) as node:
        node.start()
        node.mail()
        pid = node.roles("state")[0]
        ports = remote_ports(pid)
        counter.check(ports == [redis.port], "jail: its connections", f"{ports}")
        with open(node.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(node.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace(str(redis.port), str(other.port)))
        node.process.send_signal(signal.SIGHUP)
        moved = postern.until(lambda: [remote_ports(p) for p in node.roles("state")] == [[other.port]], 20)
        counter.check(moved, "jail: the new server's after a reload", node.log()[-500:])
        node.mail(sender="a@moved.test")
        counter.check(postern.until(lambda: other.keys("postern:v:*")), "jail: and what is put goes there")


def remote_ports(pid):
    """Whom its TCP sockets are connected to; none of a process that is gone."""
    try:
        return ports_of(pid)
    except OSError:
        return []


def ports_of(pid):
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        if target.startswith("socket:"):
            inodes.add(target[8:-1])
    ports = []
    for path in (f"/proc/{pid}/net/tcp", f"/proc/{pid}/net/tcp6"):
        with open(path, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                words = line.split()
                if words[9] in inodes:
                    ports.append(int(words[2].rsplit(":", 1)[1], 16))
    return ports


def main():
    counter = postern.Counter("redis")
    wanted = sys.argv[1:]
    parts = (shared_greylist, shared_bucket, killed, killed_local, hung, hung_local, replica, local_knows, login, jail)
    for part in parts:
        if not wanted or part.__name__ in wanted:
            part(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Many sessions of users who read their mail: what 10,000 idle ones cost in memory over all roles,
plain and with TLS; one user's long commands and slow readers while others are served.

    test_sessions.py [TEST ...] [--sessions N]
"""
import argparse
import base64
import hashlib
import hmac
import os
import resource
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import saslclient  # noqa: E402
from mailnode import PASSWORD, Line, Node, log_in  # noqa: E402

PLAIN_KB, TLS_KB = 20, 60  # of PSS, a session
MAILBOX = "plain-login loopback  sessions 100000  sessions-per-user 100000"


class QuickScram(saslclient.Scram):
    """The slow part of SCRAM is done once for all sessions of a user."""

    salted = {}

    def __call__(self, challenge):
        if not challenge or challenge.startswith(b"v="):
            return super().__call__(challenge)
        fields = dict(f.split("=", 1) for f in challenge.decode().split(","))
        key = (fields["s"], fields["i"])
        if key not in self.salted:
            self.salted[key] = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]),
                                                   int(fields["i"]))
        salted = self.salted[key]
        bound = base64.b64encode(self.gs2.encode()).decode()
        without_proof = f"c={bound},r={fields['r']}"
        message = f"{self.first},{challenge.decode()},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_final = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def scram_in(line, user):
    client = QuickScram(user, PASSWORD)
    line.say(f"a AUTHENTICATE SCRAM-SHA-256 {base64.b64encode(client(None)).decode()}\r\n")
    answer = line.read()
    while answer.startswith("+"):
        line.say(base64.b64encode(client(base64.b64decode(answer[2:]))).decode() + "\r\n")
        answer = line.read()
    while answer.startswith("*"):
        answer = line.read()
    if not answer.startswith("a OK"):
        raise ConnectionError(answer)


def idle(node, kind, user, source, select):
    """A session in IDLE, and nothing of Python's kept that it does not need."""
    line = Line(node, kind, source=source)
    scram_in(line, user)
    if select:
        line.ask("SELECT INBOX")
    line.say("i IDLE\r\n")
    if not line.read().startswith("+"):
        raise ConnectionError("no IDLE")
    line.file.close()
    line.file = None
    return line


def roles_kb(node):
    return {role: sum(postern.pss_kb(pid) for pid in node.server.roles(role))
            for role in ("edge", "mailbox", "auth", "admin", "supervisor")}


def many(c, kind, limit_kb, count, select):
    users = [f"u{i}@here.test" for i in range(10)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard // 2 - 200)
    with Node(users=users, mailbox=MAILBOX, more="limits { sessions 200000 }", auth="waiting 1000") as node:
        for user in users:  # what is made once is not a session's
            idle(node, kind, user, "127.0.0.1", select).close()
        postern.until(lambda: len(node.server.events("session")) >= len(users))
        before = roles_kb(node)
        sessions, failed = [], []
        lock = threading.Lock()

        def work(first):
            for i in range(first, count, 8):
                try:
                    s = idle(node, kind, users[i % len(users)], f"127.0.{1 + i // 20000}.1", select)
                    with lock:
                        sessions.append(s)
                except OSError as e:
                    failed.append(e)
                    return

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        c.check(not failed and len(sessions) == count, f"{kind}: {count} sessions in IDLE", failed[:1])
        after = roles_kb(node)
        if sessions:
            each = {role: round((after[role] - before[role]) / len(sessions), 2) for role in after}
            total = sum(each.values())
            print(f"{kind}: {len(sessions)} idle sessions: {total:.2f} KB of PSS each over all roles ({each}); "
                  f"roles before {before}", flush=True)
            c.check(total <= limit_kb, f"{kind}: an idle session costs {limit_kb} KB at most", each)
        with log_in(node, "imaps", user=users[0]) as s:
            c.check(s.serves(), f"{kind}: one more is served")
        for s in sessions:
            s.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_plain(c, count):
    many(c, "imap", PLAIN_KB, count, True)


def test_idle_tls(c, count):
    many(c, "imaps", TLS_KB, count, True)


def test_slow_readers(c, count):
    """Who asks for much and reads nothing holds what one answer holds, and nobody else up."""
    del count
    readers, size = 40, 4 * 1024 * 1024
    with Node(users=("ann@here.test", "bob@here.test"), mailbox=MAILBOX) as node:
        body = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)
        c.check(postern.Session(node.server).send(body, rcpts=("ann@here.test",)).startswith("250"), "a large message")
        before = {role: roles_kb(node)[role] for role in ("edge", "mailbox")}
        slow = []
        for i in range(readers):
            s = Line(node, "imap" if i % 2 else "imaps")
            s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.check(s.login().startswith("OK"), "in")
            s.ask("SELECT INBOX")
            s.say("a FETCH 1 BODY.PEEK[]\r\n" * 20)
            slow.append(s)
        with log_in(node, "imaps", user="bob@here.test") as other:
            for _ in range(50):
                c.check(other.serves(), "another is served meanwhile")
        after = {role: roles_kb(node)[role] for role in before}
        each = sum(after.values()) - sum(before.values())
        each //= readers
        print(f"slow readers: {readers}, {each} KB each of {20 * size // 1024} KB asked for", flush=True)
        c.check(each < 2048, "what waits for them is bounded", each)
        with log_in(node, "imaps") as again:
            c.check(again.serves(), "the same user is served too")
        for s in slow:
            s.close()
        ended = node.server.wait_events("session", readers + 2)
        c.check(len(ended) == readers + 2, "and their sessions end with them", len(ended))


def main():
    tests = {name[5:]: f for name, f in globals().items() if name.startswith("test_")}
    parser = argparse.ArgumentParser()
    parser.add_argument("tests", nargs="*", default=list(tests))
    parser.add_argument("--sessions", type=int, default=10000)
    args = parser.parse_args()
    counter = postern.Counter("sessions")
    for name in args.tests:
        tests[name](counter, args.sessions)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

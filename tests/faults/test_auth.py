#!/usr/bin/env python3
"""The auth role within a whole server: users who change while it runs, guessing that is slowed and
shut out, more logins at once than it checks, passwords that are nowhere in its memory afterwards,
and its death at each step of a login: the client is told to try again, and can; others go on.
"""
import base64
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import saslclient  # noqa: E402

PASSWORD = "Aiph3ohy kaeYee0m ohfah9Ai"
WRONG = "eiz1Uph2 oomaiB5a eiG8ahsh"
CONF = """
smtp {{ hostname "mx.here.test" }}
tls {{ certificate "{{root}}/cert.pem"  key "{{root}}/key.pem" }}
listen submissions 127.0.0.1:{port}
auth {{ users "{{root}}/users"  {more} }}
limits {{ connections-per-minute 10000 }}
domain "here.test" {{ recipients any  route local }}
"""


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Node:
    """A server that users log in to, over TLS."""

    def __init__(self, more="", users=("ann@here.test",)):
        self.port = postern.free_port()
        self.server = postern.Server(CONF.format(port=self.port, more=more))
        root = self.server.root
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=mx.here.test", "-keyout", root + "/key.pem", "-out", root + "/cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        self.users = root + "/users"
        for user in users:
            self.user("add", user)
        self.server.start()

    def user(self, verb, name, password=PASSWORD):
        command = [os.path.join(postern.build_folder(), "postern"), "user", verb, name, "--file", self.users]
        more = ["--stdin"] if verb in ("add", "passwd") else []
        subprocess.run(command + more, input=password, text=True, check=True, stdout=subprocess.DEVNULL)

    def read(self, count):
        """Waits until the file of users was read so often."""
        return self.server.wait_events("users", count)

    def auth_pid(self):
        return postern.until(lambda: self.server.roles("auth"))[0]

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)


class Line:
    def __init__(self, node, source="127.0.0.1"):
        context = ssl._create_unverified_context()
        plain = socket.create_connection(("127.0.0.1", node.port), 60 * postern.patience(), (source, 0))
        self.sock = context.wrap_socket(plain)
        self.file = self.sock.makefile("rb")
        self.reply()
        self.hello = self.command("EHLO client.test")

    def reply(self):
        while True:
            line = self.file.readline().decode().rstrip("\r\n")
            if line[3:4] != "-":
                return line

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def command(self, line):
        self.say(line)
        return self.reply()

    def auth(self, mechanism, client):
        return saslclient.Dialogue(self.command).auth(mechanism, client, mechanism != "LOGIN")

    def plain(self, user="ann@here.test", password=PASSWORD):
        return self.auth("PLAIN", saslclient.plain(user, password))

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def once(node, user="ann@here.test", password=PASSWORD, source="127.0.0.1", mechanism="PLAIN"):
    """The reply to one login on a connection of its own."""
    client = {"PLAIN": saslclient.plain, "LOGIN": saslclient.login, "SCRAM-SHA-256": saslclient.Scram}[mechanism]
    with Line(node, source) as s:
        return s.auth(mechanism, client(user, password))


def test_users(c):
    with Node() as node:
        node.read(1)
        c.check(once(node).startswith("235"), "a user")
        c.check(once(node, "bob@here.test").startswith("535"), "no user")
        node.user("add", "bob@here.test")
        c.check(node.read(2)[-1]["count"] == 2, "`postern user add` is noticed")
        c.check(once(node, "bob@here.test", source="127.0.0.2").startswith("235"), "and he may log in")
        node.user("passwd", "ann@here.test", "another one")
        node.read(3)
        c.check(once(node, source="127.0.0.2").startswith("535"), "`passwd`: the old one is none any more")
        c.check(once(node, password="another one").startswith("235"), "the new one is")
        c.check(once(node, password="another one", mechanism="SCRAM-SHA-256").startswith("235"), "by SCRAM too")
        node.user("del", "bob@here.test")
        c.check(node.read(4)[-1]["count"] == 1, "`del` is noticed")
        c.check(once(node, "bob@here.test", source="127.0.0.3").startswith("535"), "and he is nobody")
        with open(node.users, encoding="utf-8") as f:
            good = f.read()
        with open(node.users, "a", encoding="utf-8") as f:
            f.write("nonsense\n")
        refused = node.server.wait_events("users-refused", 1)
        c.check("line 2, column 1" in refused[0]["detail"], "a bad line is named", refused)
        c.check(once(node, password="another one").startswith("235"), "and users stay as they were")
        with open(node.users, "w", encoding="utf-8") as f:
            f.write(good)
        node.read(5)
        os.unlink(node.users)
        c.check(postern.until(lambda: "users stay as they are" in node.server.log()), "that it is gone is said")
        c.check(once(node, password="another one").startswith("235"), "and users stay as they were")
        os.kill(node.auth_pid(), signal.SIGKILL)
        c.check(postern.until(lambda: once(node, password="another one").startswith("235")), "for the next auth too")
        with open(node.users, "w", encoding="utf-8") as f:
            f.write(good)
        c.check(len(node.read(7)) >= 7, "it is there again")
        node.server.process.send_signal(signal.SIGHUP)
        c.check(len(node.server.wait_events("reloaded", 1)) == 1, "a reload")
        c.check(once(node, password="another one").startswith("235"), "changes nothing of it")
    with Node(users=()) as node:
        c.check(once(node).startswith("454"), "no file at all: try again")
        node.user("add", "ann@here.test")
        node.read(1)
        c.check(once(node).startswith("235"), "until there is one")


def test_guessing(c):
    with Node("address-failures 4  account-failures 8  slow-after 100  forget 1h") as node:
        node.read(1)
        c.check(once(node, source="127.0.0.9").startswith("235"), "ann logs in somewhere")
        answers = [once(node, f"u{i}@here.test", WRONG, "127.0.0.2")[:3] for i in range(4)]
        c.check(answers == ["535"] * 4, "an address that guesses", answers)
        answer = once(node, source="127.0.0.2")
        c.check(answer.startswith("454 4.7.0"), "is shut out, with the right password too", answer)
        c.check(once(node, source="127.0.0.2", mechanism="SCRAM-SHA-256").startswith("454 4.7.0"), "and by SCRAM")
        c.check(once(node, source="127.0.0.3").startswith("235"), "others are not")
        wrong = [once(node, password=f"{WRONG}{i}", source=f"127.0.1.{i}", mechanism="SCRAM-SHA-256")[:3] for i in range(8)]
        c.check(wrong == ["535"] * 8, "an account that is guessed at from everywhere", wrong)
        c.check(once(node, source="127.0.2.1").startswith("454 4.7.0"), "is shut")
        c.check(once(node, source="127.0.0.9").startswith("235"), "but where it logged in before")
        answers = [once(node, password=WRONG, source="127.0.0.3")[:3] for _ in range(12)]
        c.check(answers == ["535"] * 12, "an old password again and again is one guess", answers)
        shut = [e for e in node.server.events("login") if e["result"] == "shut"]
        c.check({(e["ip"], e["user"]) for e in shut} == {("127.0.0.2", "ann@here.test"), ("127.0.2.1", "ann@here.test")},
                "events say who", shut)


def test_many(c):
    """More at once than there is room for: each is answered, and can try again."""
    with Node("threads 1  waiting 4") as node:
        node.read(1)
        answers, lock, start = [], threading.Lock(), threading.Barrier(24)

        def client(i):
            with Line(node, f"127.0.0.{i + 1}") as s:
                start.wait()
                answer = s.plain()
                with lock:
                    answers.append(answer[:3])
                while answer.startswith("454"):
                    answer = s.plain()
                with lock:
                    answers.append(answer[:3])

        threads = [threading.Thread(target=client, args=(i,)) for i in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        c.check(len(answers) == 48 and set(answers) <= {"235", "454"}, "each is answered", answers)
        c.check(answers.count("235") >= 24, "and each gets in in the end", answers)
        results = {e["result"] for e in node.server.events("login")}
        c.check(results <= {"ok", "busy"}, "events", results)


def holds(pid, secret):
    """Where a process has it in memory."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights, *rest = line.split()
            if "rw" not in rights:
                continue
            low, high = (int(x, 16) for x in span.split("-"))
            with contextlib.suppress(OSError, ValueError):
                mem.seek(low)
                if secret in mem.read(high - low):
                    found.append(rest[-1] if len(rest) > 3 else span)
    return found


def may_look(pid):
    try:
        with open(f"/proc/{pid}/mem", "rb"):
            return True
    except PermissionError:
        return False


def test_memory(c):
    """What was sent as a password is nowhere in auth afterwards: not in what it freed either."""
    with open(os.path.join(postern.build_folder(), "config.h"), encoding="ascii") as f:
        if "#define PN_SANITIZE" in f.read():
            return  # its allocator is another one
    with Node() as node:
        node.read(1)
        pid = node.auth_pid()
        if not may_look(pid):
            print("not allowed to look into a process: memory is not looked at", flush=True)
            return
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            for password, want in ((WRONG, "535"), (PASSWORD, "235")):
                answer = once(node, password=password, mechanism=mechanism)
                c.check(answer.startswith(want), f"{mechanism}: {want}", answer)
                # its end too: an allocator writes into what is freed, at the beginning
                found = [holds(pid, s.encode()) for s in (password, password[-10:])]
                c.check(found == [[], []], f"{mechanism}, {want}: no copy of the password", found)
        c.check(holds(pid, b"ann@here.test"), "where the file of users is, and is found")
        log = node.server.log() + json.dumps(node.server.events())
        c.check(not any(s in log for s in (PASSWORD, WRONG, "$y$", "SCRAM-SHA-256$")), "nor in the log and events")


def die_at(node, mechanism, step):
    """Auth is killed when the client has said `step` things; the last reply."""
    client = {"LOGIN": saslclient.login, "SCRAM-SHA-256": saslclient.Scram}[mechanism]("ann@here.test", PASSWORD)
    with Line(node) as s:
        answer = s.command(f"AUTH {mechanism}")
        for _ in range(step):
            answer = s.command(base64.b64encode(client(base64.b64decode(answer[4:]))).decode())
        pid = node.auth_pid()
        os.kill(pid, signal.SIGKILL)
        postern.until(lambda: pid not in node.server.roles("auth"))
        if answer.startswith("334"):
            answer = s.command("AAAA")
        return answer, postern.until(lambda: s.plain().startswith("235"))


def test_death(c):
    with Node() as node:
        node.read(1)
        with Line(node) as other:
            c.check(other.plain().startswith("235"), "somebody else logs in before")
            c.check(other.command("MAIL FROM:<ann@here.test>").startswith("250"), "and is within a message")
            for mechanism, steps in (("LOGIN", 2), ("SCRAM-SHA-256", 3)):
                for step in range(steps):
                    answer, again = die_at(node, mechanism, step)
                    c.check(answer.startswith("454"), f"{mechanism}, killed after {step}: try again", answer)
                    c.check(again, f"{mechanism}, killed after {step}: who tries gets in", again)
            for i in range(2):  # somewhere within yescrypt
                with Line(node) as s:
                    s.say("AUTH PLAIN " + b64(f"\0ann@here.test\0{PASSWORD}"))
                    os.kill(node.auth_pid(), signal.SIGKILL)
                    answer = s.reply()
                    c.check(answer[:3] in ("454", "235"), f"killed while it hashes, {i}", answer)
                    again = answer.startswith("235") or postern.until(lambda: s.plain().startswith("235"))
                    c.check(again, f"killed while it hashes, {i}: who tries gets in")
            c.check(other.command("RCPT TO:<u@here.test>").startswith("250"), "the other goes on")
            c.check(other.command("DATA").startswith("354"), "to send")
            c.check(other.command("From: ann@here.test\r\n\r\nx\r\n.").startswith("250"), "his message")
        answer = postern.Session(node.server).send("Subject: x\r\n\r\nhello\r\n")
        c.check(answer.startswith("250"), "and mail that needs no login passes", answer)
        pid = node.auth_pid()
        os.kill(pid, signal.SIGSTOP)
        with Line(node) as s:
            s.say("AUTH PLAIN " + b64(f"\0ann@here.test\0{PASSWORD}"))
            answer = postern.Session(node.server).send("Subject: x\r\n\r\nhello\r\n")
            c.check(answer.startswith("250"), "while it hangs, too", answer)
            os.kill(pid, signal.SIGCONT)
            c.check(s.reply().startswith("235"), "and when it goes on, so does the login")


def main():
    c = postern.Counter("auth")
    for test in (test_users, test_guessing, test_many, test_memory, test_death):
        test(c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

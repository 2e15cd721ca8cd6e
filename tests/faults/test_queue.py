#!/usr/bin/env python3
"""The queue of a whole server: a next hop that is down, refuses, comes back; reports to
senders; quarantine; and what an operator sees and does with `postern queue`.
"""
import email
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

DNS = """
from.test TXT "v=spf1 ip4:192.0.2.1 -all"
forged.test TXT "v=spf1 -all"
"""
CONF = """
smtp {{ hostname "mx.here.test" }}
plugins {{ spf }}
spool {{ segment 1m }}
queue {{ retry {retry}  expire {expire} }}
domain "dest.test" {{ recipients any  route smtp 127.0.0.1:{hop} }}
domain "asked.test" {{ recipients verify  route smtp 127.0.0.1:{hop} }}
domain "from.test" {{ recipients any  route local }}
domain "here.test" {{ recipients any  route local  quarantine at 0.5  on SPF_FAIL weight 1 }}
"""


class Hop(socketserver.ThreadingTCPServer):
    """A next hop. Recipients called `bad` are refused; keeps what it took."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), HopSession)
        self.taken = []
        self.eight = True  # announces 8BITMIME
        self.asked = 0  # RCPT commands
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class HopSession(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 hop.test")
        rcpts = []
        for line in self.rfile:
            word = line[:4].upper()
            self.server.asked += word == b"RCPT"
            if word == b"EHLO":
                self.say("250-hop.test\r\n250 8BITMIME" if self.server.eight else "250 hop.test")
            elif word == b"RCPT" and b"<bad@" in line:
                self.say("550 5.1.1 No user of that name")
            elif word == b"RCPT" and b"<long" in line:
                self.say("550 5.7.1 " + "for reasons that are many " * 18)
            elif word == b"RCPT" and b"<busy@" in line:
                self.say("451 4.2.1 Not now")
            elif word == b"DATA":
                self.say("354 go")
                content = b""
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                    content += part[1:] if part.startswith(b".") else part
                self.server.taken.append((list(rcpts), content))
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                if word == b"MAIL":
                    rcpts = []
                if word == b"RCPT":
                    rcpts.append(line[9:].split(b">")[0].decode())
                self.say("250 ok")


def queue(server, *words):
    """postern queue WORDS: exit status, output, lines as JSON (with --json)."""
    done = subprocess.run(
        [os.path.join(postern.build_folder(), "postern"), "queue", *words, "--root", server.root],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    lines = []
    if "--json" in words:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, done.stdout + done.stderr, lines


def start(retry="1h", expire="5d"):
    hop = postern.free_port()
    server = postern.Server(CONF.format(hop=hop, retry=retry, expire=expire), dns=DNS)
    server.start()
    return server, hop


def send(server, rcpts, sender="s@from.test", client="192.0.2.1"):
    session = postern.Session(server, client=client)
    answer = session.send("Subject: hello\r\n\r\nbody\r\n.dot\r\n", sender=sender, rcpts=rcpts)
    session.close()
    return answer


def ends_of(server):
    return sorted(e["outcome"] for e in server.events("delivery") if e["outcome"] != "deferred")


def waiting(server):
    return queue(server, "list", "--json")[2][:-1]


def test_down(c):
    server, port = start()
    with server:
        c.check(queue(server, "list")[:2] == (0, "0 messages\n"), "empty list", repr(queue(server, "list")))
        c.check(send(server, ["u@dest.test", "v@dest.test"]).startswith("250"), "taken while the hop is down")
        found = postern.until(lambda: [m for m in waiting(server) if m["to"][0]["tries"] == 1])
        c.check(len(found) == 1 and len(found[0]["to"]) == 2, "listed", found)
        c.check("4.4" in found[0]["to"][0]["reply"] and found[0]["to"][0]["state"] == "waiting", "its reply", found)
        ident = found[0]["id"]
        status, text, _ = queue(server, "list")
        c.check(status == 0 and ident in text and "u@dest.test" in text and "1 message\n" in text, "list for people", text)
        status, text, _ = queue(server, "show", ident)
        c.check(status == 0 and "Subject: hello\r\n\r\nbody\r\n.dot\r\n" in text.replace("\n", "\r\n").replace("\r\r", "\r"),
                "show has the content", text)
        events = server.wait_events("delivery", 2)
        c.check([e["outcome"] for e in events] == ["deferred"] * 2, "deferred events", events)
        hop = Hop(port)
        time.sleep(0.1)
        # The hop is closed for half a minute after a failure; a release asks at once.
        status, text, _ = queue(server, "release", ident)
        c.check(status == 0 and f"{ident} released" in text, "release", text)
        c.check(postern.until(lambda: hop.taken), "delivered after a release")
        c.check(hop.taken and hop.taken[0][0] == ["u@dest.test", "v@dest.test"], "both in one transaction", hop.taken)
        c.check(hop.taken and hop.taken[0][1].endswith(b"Subject: hello\r\n\r\nbody\r\n.dot\r\n"), "content", hop.taken)
        c.check(postern.until(lambda: not waiting(server)), "nothing is left")
        hop.stop()
    return server


def test_restart_and_drop(c):
    server, port = start()
    with server:
        for n in range(5):
            send(server, [f"u{n}@dest.test"])
        postern.until(lambda: len([m for m in waiting(server) if m["to"][0]["tries"] == 1]) == 5)
        server.stop()
        server.start()
        found = waiting(server)
        c.check(len(found) == 5 and all(m["to"][0]["tries"] == 1 for m in found), "states outlive a restart", found)
        status, text, _ = queue(server, "drop", found[0]["id"], found[1]["id"], "0000000000000")
        c.check(status == 1 and text.count(" dropped\n") == 2 and "2 messages dropped, 1 not\n" in text and "no such message" in text, "drop", text)
        c.check(len(postern.until(lambda: len(waiting(server)) == 3 and waiting(server)) or []) == 3, "three are left")
        status, text, _ = queue(server, "show", found[0]["id"])
        c.check(status == 1 and "no such message" in text, "a dropped one is gone", text)
        server.stop()
        server.start()
        c.check(len(waiting(server)) == 3, "dropped for good")
        c.check(queue(server, "frob")[0] == 2 and queue(server)[0] == 2, "words it does not know", [queue(server, "frob"), queue(server)])
    status, text, _ = queue(server, "list")
    c.check(status == 3 and "no server answers" in text, "no server", text)


def test_retry(c):
    server, port = start(retry="300ms")
    with server:
        send(server, ["busy@dest.test", "u@dest.test"])
        hop = Hop(port)
        c.check(postern.until(lambda: hop.taken, 45), "tried again by itself")
        c.check(postern.until(lambda: any(m["to"][0]["tries"] >= 3 for m in waiting(server)), 45), "the busy one goes on", waiting(server))
        c.check(len(hop.taken) == 1, "the other one has it once", hop.taken)
        hop.stop()


def report_of(server, user):
    found = [m for p, m in server.mail().items() if f"/{user}/" in f"/{p}"]
    return email.message_from_bytes(found[0]) if found else None


def test_report(c):
    server, port = start(retry="200ms", expire="1500ms")
    hop = Hop(port)
    with server:
        send(server, ["bad@dest.test", "u@dest.test"], sender="s@from.test")
        m = postern.until(lambda: report_of(server, "s"))
        c.check(m is not None, "a report came", server.log()[-1000:])
        if m is not None:
            c.check(m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status", "its type")
            c.check(m["Return-Path"] == "<>" and m["To"] == "<s@from.test>" and m["Auto-Submitted"] == "auto-replied", "its header", m)
            words, status, header = m.get_payload()
            c.check("bad@dest.test" in words.get_payload() and "550 5.1.1 No user of that name" in words.get_payload(), "its words")
            blocks = status.get_payload()
            c.check(blocks[0]["Reporting-MTA"] == "dns; mx.here.test", "reporting MTA", blocks[0])
            c.check(len(blocks) == 2 and blocks[1]["Final-Recipient"] == "rfc822; bad@dest.test"
                    and blocks[1]["Action"] == "failed" and blocks[1]["Status"] == "5.1.1"
                    and blocks[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 No user of that name", "status", blocks[1:])
            c.check("Subject: hello" in header.get_payload() and "body" not in header.get_payload(), "the header alone")
        c.check(postern.until(lambda: len(hop.taken) == 1), "the other recipient has it")
        send(server, ["busy@dest.test"], sender="Late+tag@from.test")
        m = postern.until(lambda: report_of(server, "late"))
        c.check(m is not None and m.get_payload()[1].get_payload()[1]["Status"] == "4.4.7", "given up after its time", m)
        send(server, ["bad@dest.test"], sender="s@unknown.test")
        held = postern.until(lambda: queue(server, "list", "--held", "--json")[2][:-1])
        c.check(len(held) == 1 and held[0]["kind"] == "held" and "backscatter" in held[0]["reason"], "no backscatter", held)
        c.check(postern.until(lambda: not waiting(server)), "nothing is left", waiting(server))
        postern.until(lambda: len(ends_of(server)) >= 3)
        c.check(ends_of(server) == ["failed", "failed", "held"], "events", ends_of(server))
    hop.stop()


def test_eight(c):
    """8-bit content and a hop that does not announce 8BITMIME: it fails, the sender hears of it."""
    server, port = start()
    hop = Hop(port)
    hop.eight = False
    with server:
        session = postern.Session(server)
        answer = session.send("Subject: hello\r\n\r\n\xe4\r\n".encode(), sender="s@from.test", rcpts=["u@dest.test"])
        c.check(answer.startswith("250"), "8-bit content is taken", answer)
        m = postern.until(lambda: report_of(server, "s"))
        c.check(m is not None, "its sender has a report", server.log()[-1000:])
        if m is not None:
            status = m.get_payload()[1].get_payload()[1]
            c.check(status["Status"] == "5.6.3" and f"127.0.0.1:{port}" in status["Diagnostic-Code"]
                    and "8BITMIME" in status["Diagnostic-Code"], "which says why, and of which hop", status)
        c.check(not hop.taken, "nothing went there", hop.taken)
        answer = session.send("Subject: hello\r\n\r\nplain\r\n", sender="s@from.test", rcpts=["u@dest.test"])
        session.close()
        c.check(postern.until(lambda: len(hop.taken) == 1), "what is ASCII goes", hop.taken)
    hop.stop()


def test_long_report(c):
    """As many recipients as a message may have, each refused in as many words as fit."""
    server, port = start()
    with server:
        hop = Hop(port)
        c.check(send(server, [f"long{i:060}@dest.test" for i in range(1000)])[:3] == "250", "taken")
        c.check(postern.until(lambda: report_of(server, "s"), 30), "the sender gets one report")
        c.check(postern.until(lambda: not waiting(server)), "and nothing stays in the queue")
        hop.stop()


def test_quarantine(c):
    server, _ = start()
    with server:
        c.check(send(server, ["q@here.test"], sender="x@forged.test").startswith("250"), "taken into quarantine")
        held = postern.until(lambda: queue(server, "list", "--held", "--json")[2][:-1])
        c.check(len(held) == 1 and held[0]["kind"] == "quarantine" and held[0]["from"] == "x@forged.test", "listed", held)
        c.check("quarantine when score >= 0.5" in held[0]["reason"] and ".conf:" in held[0]["reason"], "with the line that held it", held)
        c.check(not server.mail() and not waiting(server), "not delivered, not in the journal")
        name = held[0]["id"]
        status, text, _ = queue(server, "show", name.split(".")[0], "--held")
        c.check(status == 0 and "Subject: hello" in text and "quarantine:" in text, "shown", text)
        server.stop()
        server.start()
        status, text, _ = queue(server, "release", name, name, "--held")
        c.check(status == 1 and f"{name} released" in text, "released, and the second time it is not", text)
        mail = postern.until(server.mail)
        time.sleep(0.2)
        mail = server.mail()
        c.check(len(mail) == 1 and b"Subject: hello" in list(mail.values())[0], "delivered after all", mail)
        c.check(postern.until(lambda: queue(server, "list", "--held")[1] == "0 messages\n"), "quarantine is empty", queue(server, "list", "--held"))
        send(server, ["q@here.test"], sender="x@forged.test")
        held = postern.until(lambda: queue(server, "list", "--held", "--json")[2][:-1])
        status, text, _ = queue(server, "drop", held[0]["id"], "--held")
        c.check(status == 0 and queue(server, "list", "--held")[1] == "0 messages\n", "dropped", text)
        c.check(queue(server, "drop", held[0]["id"], "--held")[0] == 1, "and not twice")
        c.check(len(server.mail()) == 1, "a dropped one is delivered to nobody")


def kill_queue(server):
    for pid in server.roles("queue"):
        os.kill(pid, signal.SIGKILL)


def asked(server, *words):
    """queue(), again while the role comes back."""
    end = time.monotonic() + 30
    while (got := queue(server, *words))[0] != 0 and time.monotonic() < end:
        time.sleep(0.05)
    return got


def test_answer_is_kept(c):
    """What was answered stands, though the role dies with the answer."""
    server, port = start()
    with server:
        for n in range(4):
            send(server, ["q@here.test"], sender="x@forged.test")
            held = postern.until(lambda: asked(server, "list", "--held", "--json")[2][:-1])
            status, text, _ = queue(server, "release", held[0]["id"], "--held")
            kill_queue(server)
            c.check(status == 0 and "released" in text, "released from quarantine", text)
            c.check(postern.until(lambda: len(server.mail()) >= n + 1, 30), "and delivered, though the queue died", server.mail())
            c.check(asked(server, "list", "--held")[1] == "0 messages\n", "it is in quarantine no more")
        for _ in range(3):
            send(server, ["u@dest.test"])
            found = postern.until(lambda: [m for m in waiting(server) if m["to"][0]["tries"] == 1], 30)
            status, text, _ = queue(server, "drop", found[0]["id"])
            kill_queue(server)
            c.check(status == 0 and "dropped" in text, "dropped", text)
            c.check(asked(server, "list")[1] == "0 messages\n", "and gone, though the queue died")
        send(server, ["u@dest.test"])
        found = postern.until(lambda: [m for m in waiting(server) if m["to"][0]["tries"] == 1], 30)
        hop = Hop(port)
        status, text, _ = queue(server, "release", found[0]["id"])
        kill_queue(server)
        c.check(status == 0 and "released" in text, "released", text)
        c.check(postern.until(lambda: hop.taken, 30), "and tried at once, though the queue died")
        hop.stop()


def rcpt(server, address):
    session = postern.Session(server)
    session.command("EHLO client.test")
    session.command("MAIL FROM:<s@from.test>")
    answer = session.command(f"RCPT TO:<{address}>")
    session.close()
    return answer


def test_verify(c):
    server, port = start()
    with server:
        c.check(rcpt(server, "u@asked.test").startswith("451 4.4.0"), "the next hop is down")
        c.check(rcpt(server, "postmaster@asked.test").startswith("250"), "postmaster always is")
    server, port = start(retry="200ms")
    hop = Hop(port)
    with server:
        for _ in range(3):
            c.check(rcpt(server, "u@asked.test").startswith("250"), "known there")
            c.check(rcpt(server, "bad@asked.test").startswith("550 5.1.1"), "not known there")
        c.check(hop.asked == 2, "answers are remembered", hop.asked)
        for _ in range(2):
            c.check(rcpt(server, "busy@asked.test").startswith("451 4.4.0"), "not known now")
        c.check(hop.asked == 4, "what is not known is asked again", hop.asked)
        c.check(send(server, ["u@asked.test", "w@asked.test"]).startswith("250"), "a message, one of two asked about")
        c.check(postern.until(lambda: hop.taken), "and delivered over the same connection")
        hop.stop()
        time.sleep(0.1)
        c.check(rcpt(server, "u@asked.test").startswith("250"), "remembered while the hop is down")


def test_survivor(c):
    """One message that waits must not keep the journal of all that came after it."""
    server, port = start()
    with server:
        send(server, ["u@dest.test"])
        ident = postern.until(lambda: waiting(server))[0]["id"]
        session = postern.Session(server)
        session.command("EHLO client.test")
        body = "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 2500
        for _ in range(80):
            session.send(body, rcpts=("v@from.test", "w@from.test"), helo=None)
        session.close()
        files = lambda: len([f for f in os.listdir(server.root + "/spool") if f.startswith("journal-")])  # noqa: E731
        most = files()
        c.check(postern.until(lambda: files() <= 9, 20), "the journal shrinks", f"{most}, then {files()}")
        c.check(most > 10, "and had grown", most)
        server.stop()
        server.start()
        found = waiting(server)
        c.check(len(found) == 1 and found[0]["id"] == ident and found[0]["to"][0]["tries"] == 1, "moved with its states", found)
        c.check("Subject: hello" in queue(server, "show", ident)[1], "and its content")
        hop = Hop(port)
        queue(server, "release", ident)
        c.check(postern.until(lambda: hop.taken), "and delivered in the end")
        hop.stop()


def test_operator(c):
    """Filters, hold and bounce, as an operator types them."""
    server, port = start()
    with server:
        for to, sender in (("u@dest.test", "s@from.test"), ("v@dest.test", "x@from.test"), ("w@dest.test", "x@forged.test")):
            send(server, [to], sender=sender)
        postern.until(lambda: len([m for m in waiting(server) if m["to"][0]["tries"] == 1]) == 3)
        for words, want in ((("drop",), "ids are expected, or filters, or --all"), (("frob",), "retry"), (("show", "--all"), "one id"),
                            (("hold", "0000000000007", "--to", "x"), "only one of them")):
            status, text, _ = queue(server, *words)
            c.check(status == 2 and want in text, f"wrong words: {words}", text)
        status, text, _ = queue(server, "drop", "--older", "long")
        c.check(status == 1 and "--older expects a duration" in text, "a wrong age", text)
        status, text, _ = queue(server, "hold", "--held", "--all")
        c.check(status == 1 and "held mail is released or dropped" in text, "held mail is not held again", text)
        status, text, lines = queue(server, "list", "--from", "*@from.test", "--json")
        c.check(status == 0 and lines[-1]["count"] == 2 and [m["to"][0]["address"] for m in lines[:-1]] == ["u@dest.test", "v@dest.test"], "a filtered list", text)
        c.check(queue(server, "list", "--from", "*@from.test", "--to", "w@*")[1] == "0 messages\n", "none agrees with all")
        status, text, _ = queue(server, "drop", "--all", "--dry-run")
        c.check(status == 0 and text.count("would be dropped\n") == 4 and "3 messages would be dropped" in text, "dry run", text)
        status, text, _ = queue(server, "hold", "--from", "*forged*")
        c.check(status == 0 and "1 message held\n" in text, "hold", text)
        status, text, _ = queue(server, "bounce", "--from", "s@from.test")
        c.check(status == 0 and "1 message bounced\n" in text, "bounce", text)
        m = postern.until(lambda: report_of(server, "s"))
        c.check(m is not None and m.get_payload()[1].get_payload()[1]["Final-Recipient"] == "rfc822; u@dest.test"
                and "Given up by the operator" in m.get_payload()[0].get_payload(), "its sender has a report", m)
        server.stop()
        server.start()
        c.check([m["to"][0]["address"] for m in waiting(server)] == ["v@dest.test"], "one is left, over a restart", waiting(server))
        held = queue(server, "list", "--held", "--json")[2]
        c.check(held[-1]["count"] == 1 and held[0]["reason"] == "held by an operator", "one is held", held)
        hop = Hop(port)
        status, text, _ = queue(server, "release", "--held", "--domain", "dest.test")
        c.check(status == 0 and "1 message released\n" in text, "release", text)
        status, text, _ = queue(server, "retry", "--all")
        c.check(status == 0 and "retried" in text, "retry", text)
        c.check(postern.until(lambda: sorted(t[0] for t in hop.taken) == [["v@dest.test"], ["w@dest.test"]]), "both are delivered", hop.taken)
        hop.stop()


def test_frozen(c):
    """Mail to a frozen domain waits over a restart and beyond its time; other mail goes on."""
    server, port = start(retry="200ms", expire="1500ms")
    hop = Hop(port)
    with server:
        status, text, _ = queue(server, "freeze", "dest.test", "*.sub.test", "@")
        c.check(status == 1 and "dest.test frozen\n" in text and "that is no domain" in text and "2 domains frozen, 1 not\n" in text, "freeze", text)
        status, text, _ = queue(server, "freeze", "DEST.test")
        c.check(status == 1 and "it is frozen already" in text, "twice", text)
        status, text, _ = queue(server, "frozen")
        c.check(status == 0 and text.startswith("dest.test  since 2") and "*.sub.test" in text and "2 domains\n" in text, "which", text)
        send(server, ["u@dest.test"])
        send(server, ["u@here.test"], client="192.0.2.1")
        c.check(postern.until(lambda: any("/u/" in p for p in server.mail())), "another domain's mail is delivered")
        found = postern.until(lambda: waiting(server))
        c.check(len(found) == 1 and found[0]["to"][0]["frozen"] and found[0]["to"][0]["tries"] == 0, "it waits untried", found)
        ident = found[0]["id"]
        status, text, _ = queue(server, "retry", ident)
        c.check(status == 1 and "thaw that first" in text, "retry is refused", text)
        c.check("its domain is frozen" in queue(server, "list")[1], "list says so", queue(server, "list"))
        server.stop()
        server.start()
        time.sleep(2)  # past its time
        found = waiting(server)
        c.check(len(found) == 1 and found[0]["to"][0].get("frozen"), "and waits over a restart, given up by nobody", found)
        c.check(not hop.taken and not [e for e in server.events("delivery") if e["outcome"] == "failed"], "nothing was tried", server.events("delivery"))
        status, text, _ = queue(server, "thaw", "dest.test", "other.test")
        c.check(status == 1 and "dest.test thawed\n" in text and "other.test: it is not frozen" in text, "thaw", text)
        c.check(postern.until(lambda: len(hop.taken) == 1), "delivered once it is thawed", waiting(server))
        c.check(queue(server, "frozen")[1].count("\n") == 2, "one is left", queue(server, "frozen"))
        for words in (["freeze"], ["thaw", "--all"], ["frozen", "x"]):
            c.check(queue(server, *words)[0] == 2, f"usage: {words}", queue(server, *words))
    hop.stop()


def main():
    c = postern.Counter("queue")
    test_frozen(c)
    test_down(c)
    test_restart_and_drop(c)
    test_retry(c)
    test_report(c)
    test_eight(c)
    test_long_report(c)
    test_quarantine(c)
    test_answer_is_kept(c)
    test_operator(c)
    test_verify(c)
    test_survivor(c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

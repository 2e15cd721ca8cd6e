#!/usr/bin/env python3
"""Aliases and forwards on a whole server: to mailboxes and to another's server, under which
sender, what of it is kept, which reports come back and which never did, loops; and what event,
scan and `postern queue show` say of it.
"""
import json
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import socketserver  # noqa: E402

DNS = """
from.test TXT "v=spf1 ip4:192.0.2.1 -all"
here.test TXT "v=spf1 ip4:192.0.2.1 -all"
forged.test TXT "v=spf1 -all"
"""
CONF = """
smtp {{ hostname "mx.here.test" }}
plugins {{ spf }}
queue {{ retry 1h  tls off }}
events {{ deliveries yes }}
destination "far.test" {{ route smtp "127.0.0.1:{hop}" }}
destination "from.test" {{ route smtp "127.0.0.1:{hop}" }}
forward {{ sender-domain "{srs}"  secret-file "{{root}}/secrets"  depth 4  recipients 10 }}
domain "here.test" {{
    recipients list "{{root}}/users"  route local
    junk at 5  on SPF_FAIL weight 6
    alias "info" to "anna" "bert@far.test"
    alias "office" to "info", "anna"
    alias "away" to "bert@far.test" "carl@far.test"
    alias "gone" to "bad@far.test"
    alias "robot" to "anna" "dora@far.test"
    alias "later" to "busy@far.test"
    alias-file "{{root}}/aliases"
}}
domain "other.test" {{ recipients list "{{root}}/users"  route local  catch-all "anna@here.test" }}
"""
SECRETS = "# first signs\nthe first secret of this test\n"
TEXT = "From: s@from.test\r\nSubject: x\r\n\r\nhello\r\n"


class Hop(socketserver.ThreadingTCPServer):
    """A server of somebody else's: keeps what it took."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", postern.free_port()), HopSession)
        self.taken = []  # (sender, recipients, content)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class HopSession(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 hop.test")
        sender, rcpts = "", []
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            word = line[:4].upper()
            if word == "MAIL":
                sender, rcpts = line[line.index("<") + 1 : line.index(">")], []
                self.say("250 ok")
            elif word == "RCPT" and "<bad@" in line:
                self.say("550 5.1.1 No user of that name")
            elif word == "RCPT" and "<busy@" in line:
                self.say("451 4.2.1 Not now")
            elif word == "RCPT":
                rcpts.append(line[line.index("<") + 1 : line.index(">")])
                self.say("250 ok")
            elif word == "DATA":
                self.say("354 go")
                content = b""
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                    content += part[1:] if part.startswith(b".") else part
                self.server.taken.append((sender, list(rcpts), content.decode()))
                self.say("250 2.0.0 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Play:
    def __init__(self, t, srs):
        self.t, self.hop = t, Hop()
        self.server = postern.Server(CONF.format(hop=self.hop.port, srs=srs), DNS)
        self.put("secrets", SECRETS)
        self.put("users", "anna\nbert\n")
        self.put("aliases", "list: anna, bert,\n   dora@far.test\n")
        self.server.start()

    def put(self, name, text):
        with open(os.path.join(self.server.root, name), "w", encoding="utf-8") as f:
            f.write(text)

    def send(self, *rcpts, sender="s@from.test", text=TEXT, client="192.0.2.1"):
        session = postern.Session(self.server, client)
        try:
            return session.send(text, sender, rcpts)
        finally:
            session.close()

    def rcpt(self, address, sender=""):
        session = postern.Session(self.server)
        try:
            session.command("EHLO x.test")
            session.command(f"MAIL FROM:<{sender}>")
            return session.command(f"RCPT TO:<{address}>")
        finally:
            session.close()

    def took(self, count):
        return postern.until(lambda: len(self.hop.taken) >= count and self.hop.taken)

    def mailbox(self, user):
        return [text for name, text in self.server.mail().items() if name.startswith(f"here.test/{user}/")]

    def queue(self, *words):
        command = [os.path.join(postern.build_folder(), "postern"), "queue", *words, "--root", self.server.root]
        return postern.run(command)

    def reload(self):
        before = len(self.server.events("reloaded"))
        self.server.process.send_signal(signal.SIGHUP)
        return postern.until(lambda: len(self.server.events("reloaded")) > before)

    def end(self):
        self.server.stop()
        self.server.clean()
        self.hop.stop()


def test_there(t, p):
    """To a mailbox and to another's server; once each; with its sender rewritten."""
    t.check(p.send("office@here.test").startswith("250"), "an alias is taken")
    taken = p.took(1)
    t.check(taken and len(taken) == 1 and taken[0][1] == ["bert@far.test"], "it goes on", taken)
    sender, _, content = taken[0]
    t.check(sender.startswith("SRS0=") and sender.endswith("=from.test=s@" + p.srs), "by its new sender", sender)
    t.check(content.startswith("Delivered-To: office@here.test\r\n"), "it says for whom", content[:200])
    t.check("hello" in content, "whole")
    mail = postern.until(lambda: p.mailbox("anna"))
    t.check(len(mail) == 1 and b"Delivered-To: office@here.test" in mail[0], "and to the mailbox", mail)
    t.check(b"Return-Path: <s@from.test>" in mail[0], "there by the sender that it came with")
    event = p.server.wait_events("message", 1)[0]
    expands = event["recipients"][0]["expands"]
    t.check([e["address"] for e in expands] == ["anna@here.test", "bert@far.test"], "the event says who", expands)
    t.check(len(expands[1]["by"]) == 2 and 'alias "office"' in expands[1]["by"][0] and 'alias "info"' in expands[1]["by"][1],
            "by which lines", expands)
    t.check("postern.conf:" in expands[1]["by"][0], "and where they stand", expands)
    t.check(event["envelope"]["forwarded_from"] == sender, "and under which sender", event["envelope"])
    done = [e for e in p.server.wait_events("delivery", 2) if e["to"] == "bert@far.test"]
    t.check(done and done[0]["from"] == "s@from.test" and done[0]["mail_from"] == sender and
            "office@here.test, by" in done[0]["by"], "so does the delivery's", done)
    return sender


def test_known(t, p):
    t.check(p.rcpt("nobody@here.test").startswith("550 5.1.1"), "who is not known is refused")
    t.check(p.rcpt("nobody+info@here.test").startswith("550 5.1.1"), "whatever its tag says")
    t.check(p.rcpt("INFO+x@here.test").startswith("250"), "a tag is no other alias")
    t.check(p.rcpt("anybody@other.test").startswith("250"), "catch-all takes all others")
    t.check(p.rcpt("x@far.test").startswith("550 5.7.1"), "a forward opens no relay")


def test_shared(t, p):
    """Several aliases of one message: nobody twice, each copy for its own."""
    before = len(p.hop.taken)
    mails = len(p.mailbox("anna"))
    t.check(p.send("info@here.test", "away@here.test", "anna@here.test", "list@here.test").startswith("250"), "taken")
    taken = p.took(before + 3)[before:]
    got = sorted(r for _, rcpts, _ in taken for r in rcpts)
    t.check(got == ["bert@far.test", "carl@far.test", "dora@far.test"], "each of them once", got)
    for sender, rcpts, content in taken:
        want = {"bert@far.test": "info", "carl@far.test": "away", "dora@far.test": "list"}[rcpts[0]]
        t.check(content.startswith(f"Delivered-To: {want}@here.test") and content.count("Delivered-To") == 1,
                "and only his own is told", content[:200])
        t.check(sender.startswith("SRS0="), "by the new sender", sender)
    postern.until(lambda: len(p.mailbox("anna")) > mails)
    t.check(postern.until(lambda: p.queue("list").stdout == "0 messages\n"), "nothing is left to do", p.queue("list").stdout)
    t.check(len(p.mailbox("anna")) == mails + 1, "the mailbox has it once", p.mailbox("anna"))


def test_ours(t, p):
    """Senders that need no other address keep theirs."""
    for sender in ("anna@here.test", ""):
        before = len(p.hop.taken)
        t.check(p.send("away@here.test", sender=sender).startswith("250"), "taken", sender)
        taken = p.took(before + 1)
        t.check(taken and taken[-1][0] == sender and taken[-1][1] == ["bert@far.test", "carl@far.test"],
                "in one transaction, as it came", taken and taken[-1][:2])


def test_again(t, p, sender):
    """What was rewritten elsewhere, and here."""
    before = len(p.hop.taken)
    p.send("away@here.test", sender="SRS0=HHHH=TT=a.test=u@b.test")
    taken = p.took(before + 1)
    t.check(taken and taken[-1][0].startswith("SRS1=") and taken[-1][0].endswith("=b.test==HHHH=TT=a.test=u@" + p.srs),
            "SRS0 of others becomes SRS1", taken and taken[-1][0])
    one = taken[-1][0]
    before = len(p.hop.taken)
    p.send("away@here.test", sender=sender)
    taken = p.took(before + 1)
    t.check(taken and taken[-1][0] == sender, "our own stays", taken and taken[-1][0])
    return one


def test_back(t, p, sender, one):
    """Reports come back, for those alone that we made."""
    before = len(p.hop.taken)
    t.check(p.send(sender, sender="").startswith("250"), "a report is taken")
    taken = p.took(before + 1)
    t.check(taken and taken[-1][:2] == ("", ["s@from.test"]), "and goes to whom it is for", taken and taken[-1][:2])
    event = p.server.events("message")[-1]
    t.check("report" in event["recipients"][0]["expands"][0]["by"][0], "the event says why", event["recipients"])
    t.check(p.rcpt(sender.lower()).startswith("250"), "letters' case is others' business")
    t.check(p.rcpt(sender, "x@from.test").startswith("550 5.7.1"), "nothing but reports is taken there")
    forged = sender.replace("=s@", "=t@")
    t.check(p.rcpt(forged).startswith("550 5.1.1"), "for nobody else", p.rcpt(forged))
    for i in range(5, 13):
        other = sender[:i] + ("A" if sender[i] != "A" else "B") + sender[i + 1 :]
        t.check(p.rcpt(other).startswith("550 5.1.1"), "each letter counts", other)
    t.check(p.rcpt("SRS0=AAAAAAAA=AA=far.test=x@" + p.srs).startswith("550 5.1.1"), "not what strangers made")
    t.check(p.rcpt("SRS0@" + p.srs).startswith("550"), "nor what has not its form", p.rcpt("SRS0@" + p.srs))
    t.check(p.rcpt(one).startswith("250"), "SRS1 is opened too")


def answers(p, sender):
    """Whether an edge opens that address; none may be there yet."""
    try:
        return p.rcpt(sender).startswith("250")
    except OSError:
        return False


def test_rotate(t, p, sender):
    p.put("secrets", "another secret of this test\n" + SECRETS)
    t.check(p.reload(), "a new secret is read at a reload")
    before = len(p.hop.taken)
    p.send("away@here.test")
    taken = p.took(before + 1)
    t.check(taken and taken[-1][0] != sender and taken[-1][0].startswith("SRS0="), "the first one signs")
    t.check(p.rcpt(sender).startswith("250") and p.rcpt(taken[-1][0]).startswith("250"), "all open")
    p.put("secrets", "short\n")
    p.server.process.send_signal(signal.SIGHUP)
    said = postern.until(lambda: p.server.events("reload_refused"))
    t.check(said and "secrets: line 1: the secret is too short" in json.dumps(said), "a bad file is told", said)
    t.check(p.rcpt(sender).startswith("250"), "and what was there stays")
    edges = p.server.roles("edge")
    for pid in edges:
        os.kill(pid, signal.SIGKILL)
    postern.until(lambda: len(set(p.server.roles("edge")) - set(edges)) == len(edges))
    t.check(postern.until(lambda: answers(p, sender)), "for an edge that starts anew too")
    p.put("secrets", "another secret of this test\n")
    t.check(postern.until(lambda: p.rcpt(sender).startswith("550 5.1.1")), "without a reload the old one goes when the file says so")
    t.check(p.rcpt(sender).startswith("550 5.1.1") and p.rcpt(taken[-1][0]).startswith("250"), "and opens no more")


def test_junk(t, p):
    """What is junk here does not go to another's server from us."""
    before = len(p.hop.taken)
    t.check(p.send("info@here.test", sender="x@forged.test").startswith("250"), "junk is taken")
    mail = postern.until(lambda: [b for n, b in p.server.mail().items() if ".Junk/" in n])
    t.check(mail and len(mail) == 1, "the mailbox has it as junk")
    held = postern.until(lambda: "bert@far.test" in p.queue("list", "--held").stdout and p.queue("list", "--held").stdout)
    t.check(held and "not sent on to another's server" in held, "the forward is kept, with the reason", held)
    t.check("for info@here.test, by" in (held or ""), "and the way it came", held)
    expands = [e for e in p.server.events("message") if e["envelope"]["from"] == "x@forged.test"][0]["recipients"][0]["expands"]
    t.check("kept" in expands[1] and "kept" not in expands[0], "the event says so", expands)
    t.check(len(p.hop.taken) == before, "and it did not go")


def test_loop(t, p):
    text = "Received: x\r\nDelivered-To: Info@Here.test\r\n" + TEXT
    t.check(p.send("info@here.test", text=text).startswith("554 5.4.6"), "what comes back is refused")
    t.check(p.send("info@here.test", "anna@here.test", text=text).startswith("250"), "who has a mailbox gets it")
    held = postern.until(lambda: "Delivered-To" in p.queue("list", "--held").stdout)
    t.check(held, "and the loop ends in quarantine, with the reason")


def test_limit(t, p):
    session = postern.Session(p.server)
    session.command("EHLO x.test")
    session.command("MAIL FROM:<s@from.test>")
    answers = [session.command(f"RCPT TO:<list+{i}@here.test>") for i in range(5)]
    session.close()
    t.check([a[:3] for a in answers] == ["250", "250", "250", "452", "452"], "so many and no more stand in one message", answers)


def test_bounce(t, p):
    """A forward that is refused is reported to the sender, who never heard of the address; by
    its own sender, not by the rewritten one."""
    before = len(p.hop.taken)
    t.check(p.send("gone@here.test").startswith("250"), "taken")
    taken = p.took(before + 1)
    t.check(taken and taken[-1][:2] == ("", ["s@from.test"]), "the report goes to the sender", taken and taken[-1][:2])


def test_report_to_alias(t, p):
    """A sender that stands for others: they have the report."""
    before, mails = len(p.hop.taken), len(p.mailbox("anna"))
    t.check(p.send("gone@here.test", sender="robot@here.test").startswith("250"), "taken")
    taken = p.took(before + 1)
    t.check(taken and taken[-1][:2] == ("", ["dora@far.test"]), "the report goes on to those elsewhere", taken and taken[-1][:2])
    mail = postern.until(lambda: len(p.mailbox("anna")) > mails and p.mailbox("anna"))
    t.check(mail and any(b"To: <robot@here.test>" in m and b"gone@here.test" in m or b"bad@far.test" in m for m in mail),
            "and to mailboxes here", mail)
    names = list(p.server.mail())
    t.check(not any("robot" in n for n in names), "which the alias has none of", names)


def test_show(t, p):
    t.check(p.send("later@here.test").startswith("250"), "taken")
    lines = postern.until(lambda: [json.loads(x) for x in p.queue("list", "--json").stdout.splitlines() if '"busy@far.test"' in x])
    t.check(lines, "it waits")
    text = p.queue("show", lines[0]["id"]).stdout if lines else ""
    t.check("for later@here.test, by" in text and 'alias "later"' in text, "show says by which line", text[:600])
    t.check("from SRS0=" in text, "and under which sender", text[:600])
    out = postern.run([os.path.join(postern.build_folder(), "postern"), "scan", "-c", p.server.conf_path, "--plugins", "",
                       "--ip", "192.0.2.1", "--helo", "x", "--from", "s@from.test", "--rcpt", "office@here.test", "-"], stdin=TEXT).stdout
    t.check('office@here.test -> bert@far.test by' in out and 'alias "office", then ' in out, "so does scan", out)


def test_no_secret(t):
    """Senders stay as they are where nothing says otherwise; a bad secret refuses the start."""
    hop = Hop()
    conf = CONF.format(hop=hop.port, srs="here.test")
    plain = "\n".join("" if line.startswith("forward ") else line for line in conf.splitlines())
    server = postern.Server(plain, DNS)
    for name, text in (("users", "anna\nbert\n"), ("aliases", "")):
        with open(os.path.join(server.root, name), "w", encoding="utf-8") as f:
            f.write(text)
    with server:
        server.start()
        session = postern.Session(server)
        t.check(session.send(TEXT, "s@from.test", ["away@here.test"]).startswith("250"), "taken without SRS")
        session.close()
        taken = postern.until(lambda: hop.taken)
        t.check(taken and taken[0][0] == "s@from.test", "by the sender that it came with", taken)
        session = postern.Session(server)
        session.command("EHLO x")
        session.command("MAIL FROM:<>")
        answer = session.command("RCPT TO:<SRS0=AAAAAAAA=AA=far.test=x@here.test>")
        session.close()
        t.check(answer.startswith("550 5.1.1"), "nothing comes back then", answer)
        server.write_conf(conf)
        with open(os.path.join(server.root, "secrets"), "w", encoding="utf-8") as f:
            f.write("short\n")
        server.stop()
        try:
            server.start()
            t.check(False, "a bad secret refuses the start")
        except RuntimeError as e:
            t.check("the secret is too short" in str(e) and "short\n" not in str(e), "a bad secret refuses the start", str(e))
    hop.stop()


def main():
    t = postern.Counter("forward")
    for srs in ("srs.test", "here.test"):
        p = Play(t, srs)
        p.srs = srs
        try:
            sender = test_there(t, p)
            test_known(t, p)
            test_shared(t, p)
            test_ours(t, p)
            one = test_again(t, p, sender)
            test_back(t, p, sender, one)
            test_bounce(t, p)
            test_report_to_alias(t, p)
            test_junk(t, p)
            test_loop(t, p)
            test_limit(t, p)
            test_rotate(t, p, sender)
            test_show(t, p)
        finally:
            p.end()
    test_no_secret(t)
    return t.close()


if __name__ == "__main__":
    sys.exit(main())

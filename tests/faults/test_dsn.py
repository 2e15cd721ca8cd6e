#!/usr/bin/env python3
"""Delivery status notifications (RFC 3461, 3464) of a whole server: each NOTIFY with each outcome
at each kind of next hop, with DSN and without; what is passed on; that mail waits; that nobody is
told who may not be; and that what is delivered is reported though the queue dies meanwhile.
"""
import email
import itertools
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

DNS = """
from.test TXT "v=spf1 ip4:192.0.2.0/24 -all"
forged.test TXT "v=spf1 -all"
"""
CONF = """
smtp {{ hostname "mx.here.test" }}
plugins {{ spf }}
limits {{ messages-per-minute 10000  recipients-per-minute 10000  connections-per-minute 10000  messages-per-minute-network 10000  recipients-per-minute-network 10000  connections-per-minute-network 10000 }}
queue {{ retry 200ms  expire {expire}  delay-warning {warning}  {more} }}
{hops}
domain "from.test" {{ recipients any  route local }}
domain "local.test" {{ recipients any  route local  alias "one" to "single"  alias "all" to "first" "second" }}
"""
HOPS = ("smtp-dsn", "smtp", "lmtp-dsn", "lmtp")
NOTIFY = [None, "NEVER"] + [
    ",".join(words)
    for n in (1, 2, 3)
    for words in itertools.combinations(("SUCCESS", "FAILURE", "DELAY"), n)
]


class Hop(socketserver.ThreadingTCPServer):
    """A next hop of one kind. Recipients are answered by what they are called: bad, busy, and
    nothing (content: refused behind DATA). Keeps the commands of what it took."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port, kind):
        super().__init__(("127.0.0.1", port), HopSession)
        self.kind = kind
        self.busy = True
        self.taken = []  # (MAIL, [RCPT...], content)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class HopSession(socketserver.StreamRequestHandler):
    def say(self, *lines):
        self.wfile.write(b"".join(line.encode() + b"\r\n" for line in lines))

    def content(self):
        self.say("354 go")
        content = b""
        for part in self.rfile:
            if part == b".\r\n":
                break
            content += part[1:] if part.startswith(b".") else part
        return content

    def rcpt(self, line):
        if b"<bad" in line:
            self.say("550 5.1.1 No user of that name")
        elif b"<busy" in line and self.server.busy:
            self.say("451 4.2.1 Not now")
        else:
            self.rcpts.append(line.decode())
            self.say("250 2.1.5 ok")

    def data(self):
        content = self.content()
        refused = any("<content" in r for r in self.rcpts)
        answers = len(self.rcpts) if self.server.kind.startswith("lmtp") else 1
        if not refused:
            self.server.taken.append((self.mail, list(self.rcpts), content))
        for _ in range(answers):
            self.say("554 5.6.0 Not such words" if refused else "250 2.0.0 taken")

    def handle(self):
        try:
            self.talk()
        except ConnectionError:
            pass  # it was killed

    def talk(self):
        self.mail, self.rcpts = "", []
        self.say("220 hop.test")
        for line in self.rfile:
            word = line[:4].upper()
            if word in (b"EHLO", b"LHLO"):
                self.say("250-hop.test", *(["250-DSN"] if self.server.kind.endswith("-dsn") else []), "250 8BITMIME")
            elif word == b"MAIL":
                self.mail, self.rcpts = line.decode(), []
                self.say("250 2.1.0 ok")
            elif word == b"RCPT":
                self.rcpt(line)
            elif word == b"DATA":
                self.data()
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


def queue(server, *words):
    """postern queue WORDS: exit status, output, lines as JSON (with --json)."""
    done = subprocess.run(
        [os.path.join(postern.build_folder(), "postern"), "queue", *words, "--root", server.root],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in words else []
    return done.returncode, done.stdout + done.stderr, lines


def is_empty(server):
    status, text, _ = queue(server, "list")
    return status == 0 and text == "0 messages\n"


class World:
    """A server with a hop of each kind behind it."""

    def __init__(self, expire="5d", warning="0", more=""):
        self.hops = {kind: Hop(postern.free_port(), kind) for kind in HOPS}
        rows = [
            f'domain "{kind}.test" {{ recipients any  route {kind.split("-")[0]} 127.0.0.1:{hop.server_address[1]} }}'
            for kind, hop in self.hops.items()
        ]
        self.server = postern.Server(
            CONF.format(expire=expire, warning=warning, more=more, hops="\n".join(rows)), dns=DNS
        )

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)
        for hop in self.hops.values():
            hop.stop()

    def reports(self):
        """{user: [report...]} of from.test's mailboxes."""
        found = {}
        for path, content in self.server.mail().items():
            domain, user = path.split("/")[:2]
            if domain == "from.test":
                found.setdefault(user, []).append(email.message_from_bytes(content))
        return found

    def taken(self, kind, local):
        return [t for t in self.hops[kind].taken if any(f"<{local}@" in r for r in t[1])]


class Case:
    """A message to one recipient, from a sender of its own."""

    def __init__(self, number, notify, outcome, hop):
        self.number, self.notify, self.outcome, self.hop = number, notify, outcome, hop
        self.sender = f"s{number}@from.test"
        self.local = f"{outcome}{number}"
        self.rcpt = f"{self.local}@{hop.capitalize()}.test"  # a domain as somebody types it
        self.ret = (None, "FULL", "HDRS")[number % 3]
        self.envid = f"Id+2B{number}" if number % 2 else None
        self.orcpt = f"rfc822;Orig+3D{number}@x.test" if number % 4 else None

    def __str__(self):
        return f"NOTIFY={self.notify} {self.outcome} at {self.hop}"

    def mail(self):
        ret = f" RET={self.ret}" if self.ret else ""
        return f"MAIL FROM:<{self.sender}>{ret}" + (f" ENVID={self.envid}" if self.envid else "")

    def rcpt_to(self):
        notify = f" NOTIFY={self.notify}" if self.notify else ""
        return f"RCPT TO:<{self.rcpt}>{notify}" + (f" ORCPT={self.orcpt}" if self.orcpt else "")

    def passed(self):
        """The commands at the next hop."""
        dsn = self.hop.endswith("-dsn")
        words = " ".join(self.mail().split(" ")[1:] if dsn else self.mail().split(" ")[1:2])
        to = self.rcpt_to().replace(self.rcpt, f"{self.local}@{self.hop}.test").split(" ")
        return words, " ".join(to[1:] if dsn else to[1:2])

    def asks(self, what):
        return what in (self.notify or "").split(",")

    def want(self):
        """The action that is reported, by RFC 3461, section 5.2; None: no report comes."""
        if self.outcome == "good":
            made = {"smtp": "relayed", "lmtp": "delivered", "local": "delivered"}
            return made.get(self.hop) if self.asks("SUCCESS") else None
        return "failed" if self.notify is None or self.asks("FAILURE") else None


def send(session, case):
    for line in (case.mail(), case.rcpt_to(), "DATA"):
        answer = session.command(line)
        if answer[0] not in "23":
            return f"{line}: {answer}"
    session.raw(b"Subject: hello\r\nFrom: x@from.test\r\n\r\nthe body\r\n.\r\n")
    return session.reply()


def send_one(server, case):
    session = postern.Session(server)
    session.command("EHLO client.test")
    answer = send(session, case)
    session.close()
    return answer


def send_all(c, server, cases):
    for n in range(0, len(cases), 50):
        session = postern.Session(server, client=f"192.0.2.{n // 50 + 1}")
        answer = session.command("EHLO client.test")
        c.check("DSN" in answer.replace("-", " ").split(), "DSN is announced", answer)
        for case in cases[n : n + 50]:
            answer = send(session, case)
            c.check(answer.startswith("250"), f"{case}: taken", answer)
        session.close()


def check_report(c, case, report, action):
    """One recipient's block, all fields."""
    c.check(report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status",
            f"{case}: type", report.get_content_type())
    c.check(report["Return-Path"] == "<>" and report["To"] == f"<{case.sender}>" and report["From"].endswith("<postmaster@mx.here.test>"),
            f"{case}: header", report.items())
    words, status, returned = report.get_payload()
    blocks = status.get_payload()
    c.check(words.get_content_type() == "text/plain" and status.get_content_type() == "message/delivery-status" and len(blocks) == 2,
            f"{case}: parts", blocks)
    about, to = blocks
    c.check(about["Reporting-MTA"] == "dns; mx.here.test" and about["Arrival-Date"], f"{case}: of the message", about.items())
    c.check(about["Original-Envelope-Id"] == (case.envid and case.envid.replace("+2B", "+")), f"{case}: its ENVID", about.items())
    c.check(to["Original-Recipient"] == (case.orcpt and case.orcpt.replace("+3D", "=")), f"{case}: its ORCPT", to.items())
    c.check(to["Final-Recipient"] == f"rfc822; {case.rcpt}", f"{case}: as the client wrote it", to.items())
    c.check(to["Action"] == action, f"{case}: action", to.items())
    c.check(to["Status"][0] == {"failed": "4" if case.outcome == "busy" else "5", "delayed": "4"}.get(action, "2"),
            f"{case}: status", to.items())
    far = case.hop != "local"
    c.check(to["Remote-MTA"] == ("dns; [127.0.0.1]" if far else None), f"{case}: who said so", to.items())
    c.check((to["Diagnostic-Code"] or "").startswith("smtp; "), f"{case}: what was said", to.items())
    c.check((to["Will-Retry-Until"] is not None) == (action == "delayed"), f"{case}: until when", to.items())
    full = action == "failed" and case.ret == "FULL"
    c.check(returned.get_content_type() == ("message/rfc822" if full else "text/rfc822-headers"), f"{case}: what is returned", returned.get_content_type())
    c.check("Subject: hello" in returned.as_string() and ("the body" in returned.as_string()) == full, f"{case}: and how much", returned.as_string())


def check_cases(c, world, cases):
    found = world.reports()
    for case in cases:
        reports, action = found.get(case.sender.split("@")[0], []), case.want()
        c.check(len(reports) == (action is not None), f"{case}: reports", [r.as_string() for r in reports])
        if len(reports) == 1 and action is not None:
            check_report(c, case, reports[0], action)
        if case.outcome == "good" and case.hop != "local":
            taken = world.taken(case.hop, case.local)
            c.check(len(taken) == 1, f"{case}: once at the next hop", taken)
            mail, rcpt = case.passed()
            c.check(taken and taken[0][0].strip() == f"MAIL {mail}" and taken[0][1][0].strip() == f"RCPT {rcpt}",
                    f"{case}: what the next hop is asked", taken)


def test_each(c):
    numbers = itertools.count(1)
    cases = [
        Case(next(numbers), notify, outcome, hop)
        for hop in (*HOPS, "local")
        for outcome in (("good",) if hop == "local" else ("good", "bad", "content", "busy"))
        for notify in NOTIFY
    ]
    with World(expire="1s") as world:
        send_all(c, world.server, cases)
        c.check(postern.until(lambda: is_empty(world.server), 120), "all is settled", queue(world.server, "list")[1])
        check_cases(c, world, cases)
        made = [e for e in world.server.events("report")]
        c.check(len(made) == sum(case.want() is not None for case in cases), "an event for each report", len(made))


def test_delayed(c):
    """A sender hears once that his mail waits; and in the end that it is there, if he asked."""
    cases = [Case(n, notify, "busy", hop) for n, (hop, notify) in enumerate(itertools.product(HOPS, NOTIFY), 1)]
    with World(warning="1ms") as world:
        server = world.server
        send_all(c, server, cases)

        def tried(times):
            found = queue(server, "list", "--to", "busy*", "--json")[2][:-1]
            return len(found) == len(cases) and all(m["to"][0]["tries"] >= times for m in found) and found

        found = postern.until(lambda: tried(4), 120)
        told = {m["from"]: m["to"][0].get("warned", False) for m in found or []}
        server.stop()  # who was told is known behind a restart too
        server.start()
        c.check(postern.until(lambda: tried(8), 120), "all are tried again")
        want = {case.sender: case.notify is None or case.asks("DELAY") for case in cases}
        c.check(told == want, "who was told", {k: told.get(k) for k in want if want[k] != told.get(k)})
        for hop in world.hops.values():
            hop.busy = False
        c.check(postern.until(lambda: is_empty(server), 120), "all is delivered", queue(server, "list")[1])
        reports = world.reports()
        for case in cases:
            got = {r.get_payload()[1].get_payload()[1]["Action"]: r for r in reports.get(case.sender.split("@")[0], [])}
            last = {"smtp": "relayed", "lmtp": "delivered"}.get(case.hop) if case.asks("SUCCESS") else None
            actions = {a for a in ("delayed" if want[case.sender] else None, last) if a}
            c.check(set(got) == actions and len(reports.get(case.sender.split("@")[0], [])) == len(actions), f"{case}: reports", got.keys())
            if "delayed" in got:
                check_report(c, case, got["delayed"], "delayed")


def test_nobody(c):
    """No report to the null sender, nor to one who may be forged, whatever is asked for."""
    with World(expire="1s") as world:
        server = world.server
        session = postern.Session(server)
        session.command("EHLO client.test")
        for n, sender in enumerate(("", "x@forged.test", "x@unknown.test")):
            for outcome in ("good", "bad"):
                for line in (f"MAIL FROM:<{sender}> RET=FULL ENVID=x",
                             f"RCPT TO:<{outcome}{n}@smtp.test> NOTIFY=SUCCESS,FAILURE,DELAY", "DATA"):
                    answer = session.command(line)
                    c.check(answer[0] in "23", f"<{sender}> {outcome}: {line}", answer)
                session.raw(b"Subject: x\r\n\r\nx\r\n.\r\n")
                c.check(session.reply().startswith("250"), f"<{sender}> {outcome}: taken")
        session.close()
        c.check(postern.until(lambda: is_empty(server), 60), "all is settled", queue(server, "list")[1])
        held = queue(server, "list", "--held", "--json")[2][:-1]
        c.check(sorted(m["to"][0]["address"] for m in held) == [f"bad{n}@smtp.test" for n in range(3)], "what failed is held for the operator", held)
        c.check(len(world.hops["smtp"].taken) == 3 and not server.events("report"), "and nothing was reported", server.events("report"))


def test_several(c):
    """Recipients of one message: those alike share a report, and nobody else is named in it."""
    with World() as world:
        session = postern.Session(world.server)
        session.command("EHLO client.test")
        session.command("MAIL FROM:<many@from.test>")
        rows = [("bad1", "FAILURE"), ("bad2", None), ("bad3", "NEVER"), ("good1", "SUCCESS"), ("good2", None), ("good3", "SUCCESS")]
        for local, notify in rows:
            answer = session.command(f"RCPT TO:<{local}@smtp.test>" + (f" NOTIFY={notify}" if notify else ""))
            c.check(answer.startswith("250"), local, answer)
        # Once more, otherwise: what is asked for in all.
        session.command("RCPT TO:<bad3@smtp.test> NOTIFY=FAILURE")
        session.command("DATA")
        session.raw(b"Subject: x\r\n\r\nx\r\n.\r\n")
        session.reply()
        session.close()
        c.check(postern.until(lambda: is_empty(world.server), 60), "all is settled")
        found = {}
        for report in world.reports().get("many", []):
            for to in report.get_payload()[1].get_payload()[1:]:
                found.setdefault(to["Action"], []).append(to["Final-Recipient"].split("; ")[1].split("@")[0])
        c.check({k: sorted(v) for k, v in found.items()} == {"failed": ["bad1", "bad2", "bad3"], "relayed": ["good1", "good3"]}, "two reports", found)
        c.check(len(world.reports()["many"]) == 2, "and no more", len(world.reports()["many"]))


def test_alias(c):
    """An alias of one is delivered to as if it were that one; one of several is expanded (RFC 3461, 5.2.7)."""
    with World() as world:
        session = postern.Session(world.server)
        session.command("EHLO client.test")
        for sender, to, notify in (("one", "one", "SUCCESS"), ("all", "all", "SUCCESS"), ("quiet", "all", "NEVER"), ("usual", "all", None)):
            session.command(f"MAIL FROM:<{sender}@from.test>")
            answer = session.command(f"RCPT TO:<{to}@local.test>" + (f" NOTIFY={notify}" if notify else ""))
            c.check(answer.startswith("250"), to, answer)
            session.command("DATA")
            session.raw(b"Subject: x\r\n\r\nx\r\n.\r\n")
            c.check(session.reply().startswith("250"), f"{to}: taken")
        session.close()
        c.check(postern.until(lambda: is_empty(world.server) and len(world.server.mail()) == 7 + 2, 60), "all is settled", list(world.server.mail()))
        blocks = {k: [r.get_payload()[1].get_payload()[1:] for r in v] for k, v in world.reports().items()}
        got = {k: [[(b["Action"], b["Final-Recipient"]) for b in r] for r in v] for k, v in blocks.items()}
        c.check(got == {"one": [[("delivered", "rfc822; one@local.test")]], "all": [[("expanded", "rfc822; all@local.test")]]},
                "reports name the alias alone", got)


def test_cut(c):
    """Who asks something of reports is not sent on while he waits: nobody would answer for that."""
    cases = [Case(n, notify, "good", hop) for n, (hop, notify) in enumerate(itertools.product(HOPS, NOTIFY), 1)]
    with World(more="cut-through yes") as world:
        send_all(c, world.server, cases)
        c.check(postern.until(lambda: is_empty(world.server), 120), "all is settled", queue(world.server, "list")[1])
        check_cases(c, world, cases)


def test_killed(c):
    """What was delivered is reported, though the queue dies about then."""
    with World() as world:
        server, rounds = world.server, 12
        for n in range(rounds):
            case = Case(n * 3, "SUCCESS", "good", "smtp")
            # While there is no queue its edges say 451: then it is sent again.
            c.check(postern.until(lambda: send_one(server, case).startswith("250")), f"{n}: taken")
            if n % 2 == 0:
                postern.until(lambda: world.taken("smtp", f"good{n * 3}"))
            for pid in server.roles("queue"):
                os.kill(pid, signal.SIGKILL)
            postern.until(lambda: server.roles("queue"))
        c.check(postern.until(lambda: is_empty(server), 120), "all is settled", queue(server, "list")[1])
        reports = world.reports()
        for n in range(rounds):
            got = [r.get_payload()[1].get_payload()[1]["Action"] for r in reports.get(f"s{n * 3}", [])]
            c.check(got and set(got) == {"relayed"}, f"{n}: reported", got)
            c.check(world.taken("smtp", f"good{n * 3}"), f"{n}: and delivered")


def test_shown(c):
    """What an operator sees of it."""
    with World(warning="1ms") as world:
        server = world.server
        c.check(send_one(server, Case(7, "DELAY,SUCCESS", "busy", "smtp")).startswith("250"), "taken")
        found = postern.until(lambda: [m for m in queue(server, "list", "--to", "busy*", "--json")[2][:-1] if m["to"][0].get("warned")])
        c.check(found and found[0]["ret"] == "FULL" and found[0]["envid"] == "Id+2B7", "of the message", found)
        to = found[0]["to"][0]
        c.check(to["notify"] == "SUCCESS,DELAY" and to["orcpt"] == "rfc822;Orig+3D7@x.test" and to["given"] == "busy7@Smtp.test", "of the recipient", to)
        status, text, _ = queue(server, "show", found[0]["id"])
        c.check(status == 0 and "RET=FULL  ENVID=Id+2B7\n" in text
                and "reports: NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Orig+3D7@x.test (its sender knows that it waits)" in text, "for people", text)
        # Refused at the moment of a try.
        status = postern.until(lambda: queue(server, "hold", found[0]["id"])[0] == 0)
        held = queue(server, "list", "--held", "--json")[2]
        c.check(status and held[0]["to"][0]["notify"] == "SUCCESS,DELAY" and held[0]["envid"] == "Id+2B7", "of what is held too", held)
        for hop in world.hops.values():
            hop.busy = False
        c.check(queue(server, "release", "--held", "--all")[0] == 0 and postern.until(lambda: is_empty(server)), "released")
        got = [r.get_payload()[1].get_payload()[1]["Action"] for r in world.reports().get("s7", [])]
        c.check(sorted(got) == ["delayed", "relayed"], "and then what was asked for is kept to", got)


def test_eight(c):
    """8-bit mail that is returned: whole where its way takes it, else its header (RFC 6522, 3)."""
    with World() as world:
        session = postern.Session(world.server)
        session.command("EHLO client.test")
        for sender, smtputf8, content in (
            ("high@from.test", "", b"Subject: x\r\n\r\n\xe4\r\n"),
            ("global@from.test", " SMTPUTF8", "Subject: \u00e4\r\n\r\n\u00fc\r\n".encode()),
        ):
            session.command(f"MAIL FROM:<{sender}> BODY=8BITMIME RET=FULL{smtputf8}")
            session.command("RCPT TO:<bad@smtp.test> ORCPT=utf-8;\\x{FC}@x.test")
            session.command("DATA")
            session.raw(content + b".\r\n")
            c.check(session.reply().startswith("250"), f"{sender}: taken")
        session.close()
        found = postern.until(lambda: len(world.reports()) == 2 and world.reports()) or {}
        for user, kind, body in (("high", "message/rfc822", b"\xe4"), ("global", "message/global", "\u00fc".encode())):
            for report in found.get(user, []):
                _, status, returned = report.get_payload()
                c.check(status.get_content_type() == "message/global-delivery-status", f"{user}: ORCPT beyond ASCII", status.get_content_type())
                c.check("Original-Recipient: utf-8;\u00fc@x.test".encode() in report.as_bytes(), f"{user}: written out", report.as_bytes())
                c.check(returned.get_content_type() == kind and body in returned.as_bytes(), f"{user}: returned whole", returned.as_bytes())


def main():
    c = postern.Counter("dsn")
    for test in (test_each, test_delayed, test_nobody, test_several, test_alias, test_cut, test_killed, test_shown, test_eight):
        test(c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

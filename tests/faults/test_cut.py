#!/usr/bin/env python3
"""Cut-through on a live server: what a next hop refuses is refused in the session, what it puts
off or does not answer is kept and sent later; and at every byte of the dialogue with it the next
hop goes away: nothing is lost, and a message is there twice only where that was counted.
"""
import concurrent.futures
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
from nexthop import Behaviour, NextHop  # noqa: E402

CONF = (
    'smtp { hostname "mx.here.test" }\nlimits { exempt 0.0.0.0/0 }\nevents { deliveries yes }\n'
    "queue { cut-through yes  retry 400ms  idle 100ms  connections 500  connections-per-network 500 }\n"
)
MAIL = b"From: a@sender.test\r\nSubject: hello\r\n\r\n.text\r\n"
PLAIN = ("8BITMIME",)


class Rig:
    """A server, its next hop, and a domain for each behaviour."""

    def __init__(self, rows, conf=""):
        self.port = postern.free_port()
        self.hop = NextHop(self.port)
        text = CONF + conf
        for i, b in enumerate(rows):
            address = f"127.77.{i // 200}.{i % 200 + 1}"
            self.hop.hops[address] = b
            text += f'domain "d{i}.test" {{ recipients any  route smtp {address}:{self.port} }}\n'
        self.server = postern.Server(text)

    def __enter__(self):
        self.server.__enter__()
        self.server.start()
        return self

    def __exit__(self, *exc):
        self.server.__exit__(*exc)
        self.hop.close()

    def send(self, *rcpts, content=MAIL, sender="a@sender.test"):
        """Replies to RCPT, and to content if there was any."""
        session = postern.Session(self.server)
        try:
            session.command("EHLO c.test")
            session.command(f"MAIL FROM:<{sender}>")
            said = [session.command(f"RCPT TO:<{r}>") for r in rcpts]
            if any(s.startswith("250") for s in said) and session.command("DATA").startswith("354"):
                session.raw(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                said.append(session.reply())
            return said
        finally:
            session.close()


def delivered(b, times=1):
    return postern.until(lambda: len(b.taken) >= times, 60)


def answers(count):
    """What the next hop says, and what the client hears."""
    ok, kept = "250 2.0.0", "250 2.0.0"
    rows = [
        ("taken", Behaviour(), ["250 2.1.5", ok], 1, 1),
        ("taken by DATA", Behaviour(words=PLAIN), ["250 2.1.5", ok], 1, 1),
        ("the recipient refused", Behaviour({"RCPT": b"550 5.1.1 Nobody of that name"}), ["550 5.1.1 Nobody of that name"], 0, 1),
        ("in many words", Behaviour({"RCPT": b"550-5.1.1 No\r\n550-5.1.1 body\r\n550 5.1.1 " + 600 * b"x"}), ["550 5.1.1 No body xxx"], 0, 1),
        ("the sender refused", Behaviour({"MAIL": b"553 5.1.8 Not from there"}), ["553 5.1.8 Not from there"], 0, 1),
        ("the message refused", Behaviour({"CONTENT": b"554 5.7.1 Looks bad"}), ["250 2.1.5", "554 5.7.1 Looks bad"], 0, 1),
        ("at DATA", Behaviour({"DATA": b"554 5.7.0 No"}, words=PLAIN), ["250 2.1.5", "554 5.7.0 No"], 0, 1),
        ("the message put off", Behaviour({"CONTENT": [b"451 4.7.1 Later", b"250 2.0.0 Ok"]}), ["250 2.1.5", kept], 1, None),
        ("the recipient put off", Behaviour({"RCPT": [b"450 4.2.1 Later", b"250 2.1.5 Ok"]}), ["250 2.1.5", kept], 1, None),
        ("the sender put off", Behaviour({"MAIL": [b"451 4.2.1 Later", b"250 2.1.0 Ok"]}), ["250 2.1.5", kept], 1, None),
        ("the greeting refused", Behaviour({"GREETING": [b"554 5.3.2 Not now", b"220 Hello"]}), ["250 2.1.5", kept], 1, None),
        ("421 at content", Behaviour({"CONTENT": [b"421 4.3.2 Closing", b"250 2.0.0 Ok"]}), ["250 2.1.5", kept], 1, None),
        ("more than it takes", Behaviour(words=("SIZE 100",)), ["250 2.1.5", "552 5.3.4"], 0, 1),
        ("8 bits, and it takes seven", Behaviour(words=()), ["250 2.1.5", kept], 0, None),
        ("no SMTP", Behaviour({"CONTENT": [b"hello", b"250 2.0.0 Ok"]}), ["250 2.1.5", kept], 1, None),
    ]  # fmt: skip
    with Rig([b for _, b, *_ in rows]) as rig:
        for i, (label, b, want, copies, sessions) in enumerate(rows):
            said = rig.send(f"u@d{i}.test", content=MAIL + b"\xc3\xa4\r\n" if "8 bits" in label else MAIL)
            count.check(len(said) == len(want) and all(s.replace("\n", " ").startswith(w) for s, w in zip(said, want)), label, said)
            if sessions is not None:
                count.check(len(b.taken) == copies and b.sessions == sessions, f"{label}: it was so before the reply", (len(b.taken), b.sessions))
            count.check(copies == 0 or delivered(b), f"{label}: it is there")
        count.check(rows[0][1].taken[0][2].endswith(MAIL), "as it was sent", rows[0][1].taken[0])
        count.check(b"Received: from c.test" in rows[1][1].taken[0][2], "with our lines")
        count.check(all(len(b.taken) <= 1 for _, b, *_ in rows), "once", [len(b.taken) for _, b, *_ in rows])
        count.check(not rig.server.events("message_maybe_doubled") or rows[-1][0] == "no SMTP", "no doubles but where no reply was one")
        messages = rig.server.wait_events("message", len(rows))
        refused = [e for e in messages if e["outcome"] == "reject"]
        count.check(len(refused) == 6, "refusals in the events", [e["outcome"] for e in messages])
        cuts = [e for e in rig.server.events("delivery") if e.get("cut_through")]
        count.check(all(e.get("ip", "").startswith("127.77.") for e in cuts), "which say of which server", cuts[:1])
        count.check({e["outcome"] for e in cuts} == {"delivered", "failed", "deferred"}, "and in those of deliveries", cuts)


def several(count):
    """More than one recipient, more than one next hop, outcomes and edits that differ, a limit."""
    rows = [Behaviour({"RCPT no@d0.test": b"550 5.1.1 No"}), Behaviour(), Behaviour(), Behaviour(), Behaviour()]
    conf = (
        'domain "quarantined.test" { recipients any  route smtp 127.77.0.1:PORT  quarantine at 0 }\n'
        'domain "junk.test" { recipients any  route smtp 127.77.0.2:PORT  junk at 0 }\n'
        'destination "d3.test" { connections 1 }\n'
        'domain "lmtp.test" { recipients any  route lmtp 127.77.0.5:PORT }\n'
    )
    rig = Rig(rows, conf)
    with open(rig.server.conf_path, encoding="utf-8") as f:
        text = f.read().replace("PORT", str(rig.port))
    with open(rig.server.conf_path, "w", encoding="utf-8") as f:
        f.write(text)
    with rig:
        said = rig.send("u@d0.test", "no@d0.test", "v@d0.test")
        count.check([s[:9] for s in said] == ["250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.0.0"], "one of three refused", said)
        count.check(rows[0].taken and rows[0].taken[0][1] == ["u@d0.test", "v@d0.test"], "the others have it", rows[0].taken)
        said = rig.send("u@d1.test", "v@d2.test")
        count.check(said[-1][:9] == "250 2.0.0" and delivered(rows[1]) and delivered(rows[2]), "two next hops", said)
        said = rig.send("u@quarantined.test")
        count.check(said[-1][:9] == "250 2.0.0" and len(rows[0].taken) == 1, "quarantine does not go on", rows[0].taken[1:])
        said = rig.send("u@d1.test", "v@junk.test")
        count.check(said[-1][:9] == "250 2.0.0" and delivered(rows[1], 3), "outcomes that differ", (said, rows[1].taken))
        copies = {tuple(to): b"X-Spam-Flag: YES" in text for _, to, text in rows[1].taken[1:]}
        count.check(copies == {("u@d1.test",): False, ("v@junk.test",): True}, "and their lines", copies)
        said = rig.send("v@junk.test", "w@junk.test")
        count.check(len(rows[1].taken) == 4 and b"X-Spam-Flag: YES" in rows[1].taken[3][2], "junk for all goes on as one", said)
        said = rig.send("u@lmtp.test")
        count.check(said[-1][:9] == "250 2.0.0" and len(rows[4].taken) == 1, "LMTP, one", (said, rows[4].log))
        said = rig.send("u@lmtp.test", "v@lmtp.test")
        count.check(said[-1][:9] == "250 2.0.0" and delivered(rows[4], 2), "LMTP, two", said)

        def outcome(to):
            return [e for e in rig.server.events("delivery") if e["to"] == to]

        found = postern.until(lambda: outcome("v@lmtp.test"))
        count.check(found and not found[0].get("cut_through"), "LMTP, two by the journal", found)
        # While one holds the only connection another goes by the journal, and is there in the end.
        first = postern.Session(rig.server)
        for line in ("EHLO c.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@d3.test>"):
            count.check(first.command(line).startswith("250"), f"the limit: {line}")
        said = rig.send("v@d3.test")
        count.check(said[-1][:9] == "250 2.0.0" and not rows[3].taken, "the limit: the second is kept", said)
        first.close()
        count.check(delivered(rows[3]), "the limit: and sent when the first is gone")
        # Its client goes, or changes its mind: nothing is sent, and the connection serves on.
        session = postern.Session(rig.server)
        for line in ("EHLO c.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@d2.test>", "RSET", "MAIL FROM:<b@sender.test>",
                     "RCPT TO:<w@d2.test>"):  # fmt: skip
            count.check(session.command(line).startswith("250"), f"RSET: {line}")
        session.command("DATA")
        session.raw(MAIL + b".\r\n")
        count.check(session.reply().startswith("250") and rows[2].taken[-1][:2] == ("b@sender.test", ["w@d2.test"]), "RSET: the second", rows[2].taken)
        session.close()


def killed(count):
    """The queue, or the edge, dies while the next hop looks at the content: no 250, nothing lost."""
    row = Behaviour()
    with Rig([row]) as rig:
        for role in ("queue", "edge"):
            row.gate = threading.Event()
            session = postern.Session(rig.server)
            for line in ("EHLO c.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@d0.test>", "DATA"):
                session.command(line)
            session.raw(MAIL + b".\r\n")
            gate, before = row.gate, len(row.taken)
            count.check(postern.until(lambda: any(x.startswith("BDAT") for x in row.log)), f"{role}: content is there")
            for pid in rig.server.roles(role):
                os.kill(pid, 9)
            try:
                reply = session.reply()
            except OSError:
                reply = ""
            count.check(reply[:9] in ("", "451 4.3.0"), f"{role} killed: no 250", reply)
            gate.set()
            row.gate, row.log = None, []
            session.close()

            def again():
                try:
                    return rig.send("u@d0.test")[-1].startswith("250")
                except OSError:
                    return False

            count.check(postern.until(again) and postern.until(lambda: len(row.taken) > before), f"{role} killed: the next one is sent")


def dawdle(rig, b, to):
    """A client that is slow to send: a minute, and the connection is another's."""
    session = postern.Session(rig.server, seconds=200)
    for line in ("EHLO c.test", "MAIL FROM:<a@sender.test>", f"RCPT TO:<{to}>"):
        session.command(line)
    let_go = postern.until(lambda: "QUIT" in b.log, 120)
    session.command("DATA")
    session.raw(MAIL + b".\r\n")
    reply = session.reply()
    session.close()
    return let_go, reply


def silent(count):
    """No answer within twenty seconds, at each step; a client that takes more than a minute. All
    at once, for that takes its time."""
    rows = [
        Behaviour({"GREETING": [None, b"220 Hello"]}),
        Behaviour({"MAIL": [None, b"250 2.1.0 Ok"]}),
        Behaviour({"RCPT": [None, b"250 2.1.5 Ok"]}),
        Behaviour({"DATA": [None, b"354 Go"]}, words=PLAIN),
        Behaviour({"CONTENT": [None, b"250 2.0.0 Ok"]}),
    ]
    held = Behaviour()
    with Rig([*rows, held]) as rig, concurrent.futures.ThreadPoolExecutor(8) as pool:
        slow = pool.submit(dawdle, rig, held, f"u@d{len(rows)}.test")
        for i, said in enumerate(pool.map(lambda i: rig.send(f"u@d{i}.test"), range(len(rows)))):
            count.check([s[:9] for s in said] == ["250 2.1.5", "250 2.0.0"], f"silence {i}", said)
        for i, b in enumerate(rows):
            count.check(delivered(b, 2 if i == 4 else 1), f"silence {i}: it is there", b.log)
        doubled = rig.server.wait_events("message_maybe_doubled", 1)
        count.check(len(doubled) == 1 and len(rows[4].taken) == 2, "that of the content counted as double", doubled)
        let_go, reply = slow.result()
        count.check(let_go and reply.startswith("250 2.0.0"), "a slow client holds no connection", reply)
        count.check(delivered(held) and len(held.taken) == 1 and held.sessions == 2, "and its message goes by the journal", held.log)


def every_byte(count, words):
    """Gone behind each byte that was heard, and each that was said."""
    probe = Behaviour(words=words)
    with Rig([probe]) as rig:
        rig.send("u@d0.test")
        postern.until(lambda: probe.ended == 1)
        heard, said = probe.bytes_heard - len("QUIT\r\n"), probe.bytes_said - len("221 2.0.0 Bye\r\n")
    rows = [Behaviour(words=words, heard=n, reset=n % 2 == 1) for n in range(heard + 8)]
    rows += [Behaviour(words=words, said=n, reset=n % 2 == 1) for n in range(said + 8)]
    name = "DATA" if words == PLAIN else "BDAT"
    with Rig(rows) as rig, concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: rig.send(f"u@d{i}.test"), range(len(rows))))
        bad = [(i, r) for i, r in enumerate(replies) if [s[:9] for s in r] != ["250 2.1.5", "250 2.0.0"]]
        count.check(not bad, f"{name}: each is answered 250", bad[:3])
        count.check(postern.until(lambda: all(b.taken for b in rows), 120), f"{name}: none is lost", [i for i, b in enumerate(rows) if not b.taken][:5])

        def settled():
            events = rig.server.events("delivery")
            return len({e["id"] for e in events if e["outcome"] == "delivered"}) >= len(rows)

        count.check(postern.until(settled, 120), f"{name}: the queue is through with them")
        doubles = {i for i, b in enumerate(rows) if len(b.taken) > 1}
        counted = len(rig.server.events("message_maybe_doubled"))
        count.check(all(len(b.taken) <= 2 for b in rows), f"{name}: twice at most")
        count.check(0 < len(doubles) <= counted, f"{name}: doubles are counted", (len(doubles), counted))
        whole = range(heard)  # gone before all of it was heard: it can't be there twice
        count.check(not doubles & set(whole), f"{name}: none before its last byte", sorted(doubles & set(whole))[:5])
        print(f"{name}: {len(rows)} faults, lost 0, doubled {len(doubles)}, counted {counted}", flush=True)


def main():
    count = postern.Counter("cut")
    answers(count)
    several(count)
    killed(count)
    every_byte(count, PLAIN)
    every_byte(count, ("PIPELINING", "8BITMIME", "CHUNKING"))
    silent(count)
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A verdict is repeated from its event: a server with all plugins takes messages; then its milter
is gone and its names have changed, and `postern scan --event` must find for each message what the
event says: outcome, reply, recipients with their reasons, symbols, authentication results, edits,
DNS and lasting state. Closes with the counted line.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fakemilter  # noqa: E402
import postern  # noqa: E402
from fakemilter import CONTINUE, DISCARD, REJECT, header, packet, reply  # noqa: E402

DEMO = os.path.join(postern.TOP, "contrib", "demo")
EDITS = "headers body recipients sender"
CONF = """
smtp { hostname "mx.here.test" }
limits { exempt 0.0.0.0/0  message-size 256k }
plugins {
    client
    spf
    dkim
    dmarc
    dnsbl { zone "dnsbl.test" }
    rules { default no  load "{root}/ours.cf" }
    greylist { delay 5m  window 2d  remember 35d  known-after 2  skip 192.0.2.0/25  skip 203.0.113.0/24 }
    ratelimit { limit "client" { key client  tokens 3  per 1h }  limit "known" { key recipient  tokens 90  per 1h } }
    milter {
        grant network, dns
        edits EDITS
        server "one" { address "unix:{root}/milter"  end-timeout 2s  failures 0  on_failure skip }
    }
}
include "postern:default"
domain "here.test" { recipients any  route local }
domain "list.test" { recipients list "{root}/users"  route local }
domain "off.test" { recipients any  route local  plugins off milter  on HAS_OFFER weight 1.5 }
domain "known.test" { recipients any  route local  plugins off ratelimit }
domain "late.test" { recipients any  route local  on GREYLIST_WAIT none  on MILTER_REJECT weight 2.25 }
"""
RULES = """
body HAS_OFFER /special offer/i
score HAS_OFFER 1.25
header HAS_LIST exists:List-Id
score HAS_LIST -0.1
meta HAS_BOTH HAS_OFFER && HAS_LIST
score HAS_BOTH 0.7
full WITHOUT_END /(\\w+\\s+)+:/
score WITHOUT_END 0.9
"""
ZONE = """
mx.plain.test A 192.0.2.40
40.2.0.192.in-addr.arpa PTR mx.plain.test
plain.test TXT "v=spf1 mx -all"
plain.test MX 10 mx.plain.test
slow.test TIMEOUT
quoted.test TXT "v=spf1 ip4:192.0.2.41 ~all" "; \\"a\\\\b\\" \\228"
six.test TXT "v=spf1 a:six.test -all"
six.test AAAA 2001:db8::7
10.2.0.192.dnsbl.test TIMEOUT
"""
TEXT = "From: a@plain.test\r\nSubject: hello\r\n{more}\r\n{body}\r\n"
CHANGES = (
    header("X-Milter", "was here\n\tand there") + packet(b"i", b"\0\0\0\0X-Top\0first\0")
    + packet(b"m", b"\0\0\0\1Subject\0another\0") + packet(b"e", b"<b@sender.test>\0")
    + packet(b"+", b"<x@here.test>\0") + packet(b"+", b"<other@list.test>\0") + packet(b"+", b"<x@elsewhere.test>\0")
    + packet(b"-", b"<v@here.test>\0") + packet(b"b", b"another\r\nbody\r\n") + packet(CONTINUE)
)  # fmt: skip
LARGE = b"".join(packet(b"b", 60000 * b"x" + b"\r\n") for _ in range(5)) + packet(CONTINUE)


def text(more="", body="text"):
    return TEXT.format(more=more, body=body)


class Row:
    def __init__(self, label, message, client="192.0.2.40", sender="a@plain.test", rcpts=("u@here.test",), milter=None,
                 want="250", steps=None, hurried=()):
        self.label, self.message, self.client, self.sender, self.rcpts = label, message, client, sender, rcpts
        self.milter, self.want, self.steps, self.hurried = milter or {}, want, steps, hurried


def demo(name):
    with open(os.path.join(DEMO, "mail", name), encoding="utf-8", newline="") as f:
        return f.read().replace("\r\n", "\n").replace("\n", "\r\n")


def bad(data):
    return packet(REJECT) if b"bad@" in data else packet(CONTINUE)


ROWS = [
    Row("nothing to say", text()),
    Row("all signed", demo("1-good.eml"), "192.0.2.10", "alice@friend.test"),
    Row("forged, and asked for again", demo("1-good.eml"), "198.51.100.66", "alice@friend.test", ("u@late.test",)),
    Row("seen for the first time", text(), "198.51.100.9", "a@first.test", ("u@here.test", "v@here.test"), want="451"),
    Row("one is to wait, one is not", text(), "198.51.100.10", "a@first.test", ("u@late.test", "v@here.test",
        "w@late.test", "nobody@list.test")),
    Row("on a list", text("List-Id: <x.test>\r\n", "a special offer"), "203.0.113.25", "n@newsletter.test"),
    Row("names that time out", text(), "192.0.2.41", "a@slow.test"),
    Row("text that must be quoted", text(), "192.0.2.41", "a@quoted.test"),
    Row("a rule that gives up by the clock", text(body="special offer " + 240000 * "a" + ":"), "192.0.2.42",
        hurried=["rules"]),
    Row("IPv6", text(), "2001:db8::7", "a@six.test", ("u@late.test",)),
    Row("too much", text(), want="250"),
    Row("still more", text(), want="250"),
    Row("too much at last", text(), want="451"),
    Row("the milter rejects", text(), "192.0.2.51", milter={"E": reply("554 5.7.0 By a milter")}, want="554"),
    Row("one of three recipients", text(), "192.0.2.52", rcpts=("u@here.test", "bad@here.test", "v@here.test"),
        milter={"R": bad}),
    Row("the milter discards", text(), "192.0.2.53", milter={"E": packet(DISCARD)}),
    Row("the milter quarantines", text(), "192.0.2.54", milter={"E": packet(b"q", b"looks bad\0") + packet(CONTINUE)}),
    Row("the milter changes everything", text(), "192.0.2.55", rcpts=("u@here.test", "v@here.test"), milter={"E": CHANGES}),
    Row("a body that is too much", text(), "192.0.2.56", milter={"E": LARGE}, want="45"),
    Row("the milter is away", text(), "192.0.2.57", milter={"E": lambda data: None}),
    Row("the milter hangs", text(), "192.0.2.58", milter={"E": lambda data: "hang"}),
]  # fmt: skip

# Without edits that all recipients share they need not agree on who is asked.
APART = [
    Row("the milter rejects, for all but one", text(body="special offer"), "192.0.2.60", "a@b.test",
        ("u@here.test", "v@off.test", "w@late.test"), {"E": reply("554 5.7.0 By a milter; (with) \"words\"")}),
    Row("the first does not want it", text(body="special offer"), "192.0.2.61", "a@b.test",
        ("v@off.test", "u@here.test"), {"R": bad, "E": header("X", "y") + packet(CONTINUE)}),
    Row("one of two is bad to it, the other does not want it", text(), "192.0.2.62", "a@b.test",
        ("bad@here.test", "v@off.test", "bad@late.test"), {"R": bad}),
    Row("one whose domain wants no limits", text(), "198.51.100.21", "a@d.test", ("v@known.test", "u@late.test")),
    Row("one of the third network is to wait", text(), "198.51.100.20", "a@c.test", ("v@off.test", "u@late.test")),
]  # fmt: skip


def scan(server, event, message, *more):
    """What scan finds, or its words."""
    paths = [os.path.join(server.root, name) for name in ("event.json", "message.eml")]
    with open(paths[0], "w", encoding="utf-8") as f:
        json.dump(event, f, ensure_ascii=False)
    with open(paths[1], "w", encoding="utf-8", newline="") as f:
        f.write(message or "")
    command = [*postern.wrap(), os.path.join(postern.build_folder(), "postern"), "scan", "-c", server.conf_path, "--json"]
    p = postern.run([*command, "--event", paths[0], *more, *(paths[1:] if message is not None else [])],
                    env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")})  # fmt: skip
    try:
        return json.loads(p.stdout), p
    except json.JSONDecodeError:
        return {}, p


def of_others(event, name):
    return [entry for entry in event.get(name, []) if entry.get("plugin") != "milter"]


def repeats(counter, server, row, event):
    refused = len(event["envelope"]["to"]) == 0
    found, p = scan(server, event, None if refused else row.message)
    counter.check(found != {}, f"{row.label}: it can be scanned", p.stderr)
    for name in ("id", "outcome", "reply", "score", "recipients", "symbols", "auth", "edits", "edits_refused"):
        counter.check(found.get(name) == event.get(name), f"{row.label}: {name}",
                      f"\n  scan  {json.dumps(found.get(name))}\n  event {json.dumps(event.get(name))}")  # fmt: skip
    for name in ("state", "standing"):
        counter.check(of_others(found, name) == of_others(event, name), f"{row.label}: {name}",
                      f"\n  scan  {json.dumps(found.get(name))}\n  event {json.dumps(event.get(name))}")  # fmt: skip
    known = [json.dumps(d) for d in event["dns"]]
    counter.check(all(json.dumps(d) in known for d in found.get("dns", [])), f"{row.label}: DNS",
                  f"\n  scan  {json.dumps(found.get('dns'))}\n  event {json.dumps(event['dns'])}")  # fmt: skip
    # What hung on the clock is taken as it was.
    hurried = [p["name"] for p in event["plugins"] if "reason" in p and p["status"] == "ok"]
    counter.check(hurried == list(row.hurried), f"{row.label}: who left something out", event["plugins"])
    was = {p["name"]: "given" if "reason" in p else p["status"] for p in event["plugins"]}
    now = {p["name"]: p["status"] for p in found.get("plugins", [])}
    counter.check(now.get("milter") == "given" and {n: s for n, s in now.items() if n != "milter"} ==
                  {n: s for n, s in was.items() if n != "milter"}, f"{row.label}: who ran", f"{was} {now}")  # fmt: skip


ALL = "client,spf,dkim,dmarc,dnsbl,rules,greylist,ratelimit,milter"


def repeats_given(counter, server, row, event):
    """The same where nothing runs."""
    found, p = scan(server, event, row.message if event["envelope"]["to"] else None, "--given", ALL)
    for name in ("outcome", "reply", "score", "recipients", "symbols", "auth", "edits", "edits_refused"):
        counter.check(found.get(name) == event.get(name), f"{row.label}: {name}, all given",
                      f"\n  scan  {json.dumps(found.get(name))} {p.stderr}\n  event {json.dumps(event.get(name))}")  # fmt: skip


def take(counter, server, milter, row):
    before = len(server.events("message"))
    milter.answers = row.milter
    session = postern.Session(server, row.client)
    for line in ("EHLO mx.plain.test", f"MAIL FROM:<{row.sender}>"):
        session.command(line)
    replies = [session.command(f"RCPT TO:<{rcpt}>") for rcpt in row.rcpts]
    answer = next((r for r in replies if r[0] == "2"), replies[-1])
    if answer[0] == "2":
        session.command("DATA")
        session.raw(row.message.encode() + b".\r\n")
        answer = session.reply()
    session.close()
    events = server.wait_events("message", before + 1)
    counter.check(answer.startswith(row.want), f"{row.label}: the server's answer", answer)
    return events[before] if len(events) > before else None


def words(counter, server, event):
    """What is wrong, and what stands in place of what."""
    found, _ = scan(server, event, text(), "--given", "")
    counter.check("MILTER_AWAY" in [s["name"] for s in found.get("symbols", [])], "none is given: the milter is asked", found)
    found, _ = scan(server, event, text(), "--given", "milter,spf")
    given = sorted(p["name"] for p in found.get("plugins", []) if p["status"] == "given")
    counter.check(given == ["milter", "spf"] and found.get("auth") == event["auth"], "two are given", found)
    for label, code, wrong, more in (
        ("no plugin of that name", 2, event, ["--given", "nobody"]),
        ("an option that the event speaks of", 2, event, ["--time", "1"]),
        ("no event of a message", 3, {**event, "event": "session"}, []),
        ("a schema of tomorrow", 3, {**event, "schema": 2}, []),
        ("no client", 3, {**event, "client": 1}, []),
        ("no time", 3, {**event, "time": "now"}, []),
        ("no recipients", 3, {**event, "envelope": {}}, []),
        ("lists that are none", 0, {**event, "dns": 1, "plugins": 2, "symbols": 3, "auth": 4, "edits": 5}, []),
    ):
        p = scan(server, wrong, text(), *more)[1]
        counter.check(p.returncode == code and (p.stderr != "") == (code != 0), label, f"{p.returncode} {p.stderr}")


def play(counter, rows, edits, more=None):
    with open(os.path.join(DEMO, "demo.zone"), encoding="utf-8") as f:
        zone = f.read() + ZONE
    with postern.Server(CONF.replace("EDITS", edits), zone) as server:
        for name, content in (("ours.cf", RULES), ("users", "known@list.test\n")):
            with open(os.path.join(server.root, name), "w", encoding="utf-8") as f:
                f.write(content)
        milter = fakemilter.Milter(f"{server.root}/milter")
        server.start()
        events = [take(counter, server, milter, row) for row in rows]
        server.stop()
        milter.close()
        with open(os.path.join(server.root, "dns.zone"), "w", encoding="utf-8") as f:
            f.write("gone.test A 192.0.2.1\n")
        for row, event in zip(rows, events):
            if counter.check(event is not None, f"{row.label}: an event"):
                repeats(counter, server, row, event)
                repeats_given(counter, server, row, event)
        if more is not None:
            more(counter, server, events[0])


def main():
    counter = postern.Counter("event")
    play(counter, ROWS, EDITS, words)
    play(counter, APART, "headers recipients")
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

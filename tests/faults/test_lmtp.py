#!/usr/bin/env python3
"""LMTP on a live server (RFC 2033): another program's client, a reply a recipient, outcomes that
differ from one to the next, mailbox and next hop, roles that are killed meanwhile, and the verdict
repeated from its event.
"""
import json
import os
import smtplib
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = (
    'smtp { hostname "mx.here.test" }\nlisten lmtp 127.0.0.1:PORT\nmailboxes 1\n'
    'domain "here.test" { recipients any  route local }\n'
    'domain "listed.test" { recipients list "{root}/users"  route local }\n'
    'domain "no.test" { recipients any  route local  reject at 0 "550 5.7.1 Not this" }\n'
    'domain "also.test" { recipients any  route local  reject at 0 "554 5.7.1 Nor here" }\n'
    'domain "apart.test" { recipients any  route local  quarantine at 0 }\n'
)
MAIL = b"From: a@sender.test\r\nSubject: hello\r\n\r\ntext\r\n"


class Client(smtplib.LMTP):
    """One that keeps each reply; smtplib's own sendmail makes an error of some."""

    def mail_each(self, sender, rcpts, content=MAIL):
        """Replies to RCPT, and those to content."""
        assert self.docmd("MAIL", f"FROM:<{sender}>")[0] == 250
        said = [self.docmd("RCPT", f"TO:<{r}>") for r in rcpts]
        taken = [s for s in said if s[0] == 250]
        first = self.docmd("DATA")
        if first[0] != 354:
            return said, [first]
        self.send(content + b".\r\n")
        return said, [self.getreply() for _ in taken]


def text(replies):
    return ["%d %s" % (code, words.decode().split(" ", 1)[0]) for code, words in replies]


def differ(count, server, port):
    with Client("127.0.0.1", port, "c.test") as c:
        count.check(c.docmd("EHLO", "c.test")[0] == 500, "no EHLO here")
        count.check(c.docmd("LHLO", "c.test")[0] == 250, "but LHLO")
        rcpts = ["u@here.test", "x@no.test", "nobody@listed.test", "u@also.test", "u@apart.test", "U@here.test", "u@here.test"]
        said, content = c.mail_each("a@sender.test", rcpts)
        count.check(text(said)[2] == "550 5.1.1", "unknown at RCPT", said)
        want = ["250 2.0.0", "550 5.7.1", "554 5.7.1", "250 2.0.0", "250 2.0.0", "250 2.0.0"]
        count.check(text(content) == want, "each its own", content)
        said, content = c.mail_each("a@sender.test", ["nobody@listed.test"])
        count.check(text(content) == ["503 5.5.1"], "no recipient, no content", content)
        c.rset()
        said, content = c.mail_each("a@sender.test", ["x@no.test", "u@also.test"])
        count.check(text(content) == ["550 5.7.1", "554 5.7.1"], "none of them", content)
    events = server.wait_events("message", 3)
    count.check(len(events) == 3 and events[0]["client"].get("protocol") == "lmtp", "events", len(events))
    outcomes = {r["address"]: r["outcome"] for r in events[0]["recipients"]}
    count.check(outcomes == {"u@here.test": "accept", "x@no.test": "reject", "u@also.test": "reject", "u@apart.test": "quarantine"},
                "and what became of each", outcomes)  # fmt: skip
    count.check(postern.until(lambda: len(server.mail("*")) == 1), "one mailbox, one copy", server.mail().keys())
    body = list(server.mail().values())[0]
    count.check(b"with LMTP id" in body, "the protocol in Received", body)
    return events


def repeat(count, server, event):
    """scan --event finds what the server did."""
    paths = [os.path.join(server.root, name) for name in ("event.json", "message.eml")]
    with open(paths[0], "w", encoding="utf-8") as f:
        json.dump(event, f)
    with open(paths[1], "wb") as f:
        f.write(MAIL)
    command = [*postern.wrap(), os.path.join(postern.build_folder(), "postern"), "scan", "-c", server.conf_path, "--json"]
    p = postern.run([*command, "--event", *paths],
                    env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")})  # fmt: skip
    try:
        found = json.loads(p.stdout)
    except json.JSONDecodeError:
        count.check(False, "the verdict repeated", p.stderr)
        return
    for name in ("outcome", "reply", "recipients"):
        count.check(found[name] == event[name], f"the verdict repeated: {name}", (found[name], event[name]))


def killed(count, server, port):
    """A role dies while content is under way: whoever was answered 250 gets it, once at least."""
    answered = 0
    for role in ("mailbox", "queue", "mailbox", "queue"):
        for rcpts in (["k@here.test"], ["k@here.test", "x@no.test", "l@here.test"]):
            with Client("127.0.0.1", port, "c.test") as c:
                c.docmd("LHLO", "c.test")
                c.docmd("MAIL", "FROM:<a@sender.test>")
                for r in rcpts:
                    c.docmd("RCPT", f"TO:<{r}>")
                c.docmd("DATA")
                for pid in server.roles(role):
                    os.kill(pid, 9)
                c.send(MAIL + b".\r\n")
                replies = text([c.getreply() for _ in rcpts])
            ours = [r for r, to in zip(replies, rcpts) if to.endswith("@here.test")]
            refused = [r for r, to in zip(replies, rcpts) if to.endswith("@no.test")]
            count.check(all(r in ("250 2.0.0", "451 4.3.0") for r in ours) and len(set(ours)) == 1, f"{role} killed", replies)
            count.check(all(r == "550 5.7.1" for r in refused), "who is refused is refused", replies)
            answered += sum(r == "250 2.0.0" for r in ours)
            postern.until(lambda: server.roles(role))
    found = postern.until(lambda: len([p for p in server.mail() if "/k/" in p or "/l/" in p or "k@" in p or "l@" in p]) >= answered)
    count.check(found, "all that was answered 250 is there", (answered, list(server.mail())))


def main():
    count = postern.Counter("lmtp")
    port = postern.free_port()
    with postern.Server(CONF.replace("PORT", str(port))) as server:
        with open(os.path.join(server.root, "users"), "w", encoding="ascii") as f:
            f.write("u\n")
        server.start()
        events = differ(count, server, port)
        repeat(count, server, events[0])
        killed(count, server, port)
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Full mailboxes, said at RCPT on each way that mail comes in: port 25, LMTP, submission; for tags
and for aliases, whose targets are all asked; where the policy has no quota at all and some users
have one of their own, over workers that die; and what the queue does for the full one among several.
"""
import os
import signal
import smtplib
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

PASSWORD = "Ooph3ohy kaeYee0m"
LATER, NEVER, ROOM = "452 4.2.2", "552 5.2.2", "250 2.1.5"
CONF = """
smtp {{ hostname "mx.here.test" }}
tls {{ certificate "{{root}}/cert.pem"  key "{{root}}/key.pem" }}
listen lmtp 127.0.0.1:{lmtp}
listen submission 127.0.0.1:{submission}
auth {{ users "{{root}}/users" }}
edges 1
mailboxes 2
queue {{ retry 1s }}
domain "here.test" {{ recipients any  route local
    alias "one" to "a"
    alias "both" to "a", "b"
    alias "nest" to "one", "both"
    alias "keep" to "keep", "a"
    alias "out" to "a", "x@else.test"
}}
domain "hard.test" {{ recipients any  route local  mailbox {{ over-quota reject }}
    alias "hard" to "h", "h+tag"
    alias "mixed" to "h", "a@here.test"
    alias "some" to "h", "b@here.test"
}}
destination "*" {{ route smtp "127.0.0.1:{nobody}" }}
"""
TEXT = "From: s@from.test\r\nSubject: x\r\n\r\nhello\r\n"
FULL = ("a@here.test", "b@here.test", "h@hard.test")
count = postern.Counter("quota")


def command(server, *words):
    return postern.run([os.path.join(postern.build_folder(), "postern"), *words, "--root", server.root])


def limit(server, user, messages):
    words = ["none", "--messages", str(messages)] if messages else ["default"]
    count.check(command(server, "mailbox", "quota", user, *words).returncode == 0, f"quota of {user}")


def at_rcpt(server, rcpt):
    session = postern.Session(server)
    session.command("EHLO client.test")
    session.command("MAIL FROM:<a@sender.test>")
    answer = session.command(f"RCPT TO:<{rcpt}>")
    session.close()
    return answer


def send(server, *rcpts):
    session = postern.Session(server)
    answer = session.send(TEXT, rcpts=rcpts)
    session.close()
    return answer


def mail_of(server, user):
    local, domain = user.split("@")
    return [m for path, m in server.mail().items() if f"{domain}/{local}/" in path]


def want(server, rcpt, code):
    answer = at_rcpt(server, rcpt)
    count.check(answer.startswith(code), f"{rcpt}: {code}", answer)


def told(server):
    """Edges know that there are quotas."""
    return postern.until(lambda: at_rcpt(server, "a@here.test").startswith(LATER))


def aliases(server):
    limit(server, "a@here.test", 1)
    count.check(told(server), "his own quota counts, where policy has none")
    for rcpt, code in (("A@here.test", LATER), ("a+tag@here.test", LATER), ("b@here.test", ROOM),
                       ("one@here.test", LATER), ("one+tag@here.test", LATER), ("both@here.test", ROOM),
                       ("nest@here.test", ROOM), ("keep@here.test", ROOM), ("out@here.test", ROOM),
                       ("nobody-yet@here.test", ROOM)):
        want(server, rcpt, code)
    for user in ("b@here.test", "h@hard.test"):
        limit(server, user, 1)
    count.check(postern.until(lambda: at_rcpt(server, "b@here.test").startswith(LATER)), "another one's")
    count.check(postern.until(lambda: at_rcpt(server, "h@hard.test").startswith(NEVER)), "for good, by its domain")
    for rcpt, code in (("both@here.test", LATER), ("nest@here.test", LATER), ("keep@here.test", ROOM),
                       ("out@here.test", ROOM), ("hard@hard.test", NEVER), ("h+x@hard.test", NEVER),
                       ("mixed@hard.test", LATER), ("some@hard.test", LATER), ("a@here.test", LATER)):
        want(server, rcpt, code)
    answer = send(server, "one@here.test", "c@here.test")
    count.check(answer.startswith(LATER), "one of two recipients", answer)


def several(server):
    """Some have room: it is taken, and the full one has it as soon as he has room."""
    limit(server, "b@here.test", 9)
    answer = send(server, "both@here.test")
    count.check(answer.startswith("250"), "one of them has room", answer)
    count.check(postern.until(lambda: len(mail_of(server, "b@here.test")) == 2), "who gets it")
    waits = postern.until(lambda: "4.2.2" in command(server, "queue", "list", "--json").stdout)
    count.check(waits, "for the other it waits", command(server, "queue", "list", "--json").stdout)
    limit(server, "a@here.test", None)
    count.check(postern.until(lambda: len(mail_of(server, "a@here.test")) == 2), "until he has room")
    limit(server, "a@here.test", 1)


def other_ways(server, ports):
    with smtplib.LMTP("127.0.0.1", ports["lmtp"], "c.test") as c:
        c.docmd("LHLO", "c.test")
        c.docmd("MAIL", "FROM:<s@sender.test>")
        said = [c.docmd("RCPT", f"TO:<{r}>")[0] for r in ("a@here.test", "one@here.test", "hard@hard.test", "b@here.test")]
        count.check(said == [452, 452, 552, 250], "LMTP", said)
        c.docmd("DATA")
        c.send(TEXT.encode() + b".\r\n")
        count.check(c.getreply()[0] == 250, "the one that has room")
    context = ssl.create_default_context(cafile=server.root + "/cert.pem")
    with smtplib.SMTP("127.0.0.1", ports["submission"], "c.test") as c:
        c.starttls(context=context)
        c.login("ann@here.test", PASSWORD)
        c.docmd("MAIL", "FROM:<ann@here.test>")
        said = [c.docmd("RCPT", f"TO:<{r}>")[0] for r in ("a@here.test", "one@here.test", "h@hard.test", "x@else.test")]
        count.check(said == [452, 452, 552, 250], "submission", said)
        c.docmd("RSET")
        c.sendmail("ann@here.test", ["some@hard.test"], TEXT.replace("s@from", "ann@here"))
    report = postern.until(lambda: mail_of(server, "ann@here.test"))
    count.check(report and b"5.2.2" in report[0] and b"<some@hard.test>" in report[0], "who is full for good is reported", report)
    count.check(report and b"h@hard.test" not in report[0], "under the name that it was sent to", report)


def restarted(server):
    for what in ("known", "known again once it was looked at"):
        for pid in server.roles("mailbox"):
            os.kill(pid, signal.SIGKILL)
        count.check(postern.until(lambda: len(server.roles("mailbox")) == 2), "workers come back")
        if what != "known":
            postern.until(lambda: send(server, "a@here.test").startswith(LATER))
        count.check(told(server), what)
        os.remove(os.path.join(server.root, "mail", ".postern-quotas"))


def main():
    ports = {kind: postern.free_port() for kind in ("lmtp", "submission", "nobody")}
    with postern.Server(CONF.format(**ports)) as server:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", server.root + "/key.pem", "-out",
                        server.root + "/cert.pem"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([os.path.join(postern.build_folder(), "postern"), "user", "add", "ann@here.test", "--stdin", "--file",
                        server.root + "/users"], input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
        server.start()
        for user in FULL:
            count.check(send(server, user).startswith("250"), f"{user} has a message")
        aliases(server)
        several(server)
        other_ways(server, ports)
        restarted(server)
    return count.close()


sys.exit(main())

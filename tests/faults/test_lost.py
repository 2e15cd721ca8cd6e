#!/usr/bin/env python3
"""What is lost between roles that live: a record whose descriptor found no room, for that
moment only; mail is deferred, and all is well again once there is room. And roles that
stand still.
"""
import os
import resource
import signal
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
edges 1
domain "here.test" { recipients any  route local }
domain "dest.test" { recipients any  route smtp 127.0.0.1:9 }
"""
LARGE = "Subject: large\r\n\r\n" + "0123456789abcdef" * 4 * 40000  # beyond limits.memory-size


def message(text="hello"):
    return f"From: <a@sender.test>\r\nSubject: {text}\r\n\r\n{text}\r\n"


def send(server, rcpt, content=None):
    session = postern.Session(server)
    try:
        return session.send(content or message(), rcpts=(rcpt,))
    finally:
        session.close()


def without_descriptors(pid):
    """No descriptor more for that process; what it had before."""
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def descriptors(counter, server):
    for role, rcpt, content in (("queue", "u@dest.test", None), ("mailbox", "u@here.test", None), ("queue", "u@dest.test", LARGE)):
        pid = server.roles(role)[0]
        what = f"{role}, {'large' if content else 'small'}"
        answer = send(server, rcpt, content)
        counter.check(answer[:3] == "250", f"{what}: taken before", answer)
        was = without_descriptors(pid)
        answer = send(server, rcpt, content)
        counter.check(answer[:3] in ("250", "451", "452"), f"{what}: an answer without descriptors", answer)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, was)
        answer = send(server, rcpt, content)
        counter.check(answer[:3] == "250", f"{what}: taken again", answer)
        counter.check(server.roles(role) == [pid], f"{what}: the same process serves")


def peers(counter, server):
    """A role that comes anew while its peer has no room for the channel to it."""
    edge, queue = server.roles("edge")[0], server.roles("queue")[0]
    was = without_descriptors(edge)
    os.kill(queue, 9)
    postern.until(lambda: server.roles("queue") not in ([], [queue]))
    postern.until(lambda: "is lost: no descriptor" in server.log())
    resource.prlimit(edge, resource.RLIMIT_NOFILE, was)
    answer = postern.until(lambda: (lambda a: a[:3] == "250" and a)(send(server, "u@dest.test")))
    counter.check(bool(answer), "the queue has a channel again", server.log()[-2000:])
    counter.check(server.roles("edge") == [edge], "the same edge serves")
    events = server.wait_events("role_repaired", 1)
    counter.check([e["name"] for e in events] == ["edge-0"], "an event says so", str(events))


def counted(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def frozen(counter, server):
    """A role that stands still holds nobody: its mail goes elsewhere, or is deferred."""
    for role, rcpt, want in (("mailbox", "frozen@here.test", "250"), ("queue", "u@dest.test", "451")):
        pid = server.roles(role)[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = send(server, rcpt)
        finally:
            os.kill(pid, signal.SIGCONT)
        counter.check(answer[:3] == want, f"{role} stopped: an answer all the same", answer)
        answer = postern.until(lambda r=rcpt: (lambda a: a[:3] == "250" and a)(send(server, r)))
        counter.check(bool(answer), f"{role} goes on: taken")
        counter.check(server.roles(role) == [pid], f"{role}: the same process serves")
    mail = postern.until(lambda: [p for p in server.mail() if "frozen" in p][2:])
    counter.check(len(mail) >= 1, "what the stopped mailbox was given is there, twice", str(list(server.mail())))
    counter.check(postern.until(lambda: counted(server, "postern_handover_late_total") >= 2), "late answers are counted")
    counter.check(counted(server, "postern_handover_timeouts_total") >= 2, "and what was not answered in time")


def main():
    counter = postern.Counter("lost")
    with postern.Server(CONF).start() as server:
        descriptors(counter, server)
        peers(counter, server)
    with postern.Server(CONF + "timeouts { handover 1s }").start() as server:
        frozen(counter, server)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

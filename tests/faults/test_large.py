#!/usr/bin/env python3
"""Large messages on a live server: content goes to a file of the queue's while it comes
in. What becomes of it when a role dies in the middle, and that no file stays behind.
"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = 'limits { memory-size 256k }\ndomain "here.test" { recipients any  route local }\n'
QUEUED = 'limits { memory-size 256k }\nedges 1\ndomain "here.test" { recipients any  route smtp 127.0.0.1:1 }\n'
LINE = b"x" * 76 + b"\r\n"
BODY = b"Subject: large\r\n\r\n" + LINE * 26000  # two megabytes


def files(server):
    folder = os.path.join(server.root, "spool", "content")
    return os.listdir(folder) if os.path.isdir(folder) else []


def begin(server, size=None):
    session = postern.Session(server)
    session.command("EHLO c.test")
    session.command("MAIL FROM:<a@b.test>" + (f" SIZE={size}" if size else ""))
    session.command("RCPT TO:<u@here.test>")
    assert session.command("DATA").startswith("354")
    return session


def send_until(server, body=BODY, seconds=15):
    """A message, tried until it is taken: a role may just be coming back."""
    end = time.monotonic() + seconds
    while True:
        session = postern.Session(server)
        answer = session.send(body)
        session.close()
        if answer.startswith("250") or time.monotonic() > end:
            return answer
        time.sleep(0.2)


def next_queue(count):
    """The queue dies while its file is being filled, and another comes: that message is
    handed over all the same, and no later one suffers."""
    small = b"Subject: small\r\n\r\n"
    with postern.Server(QUEUED) as server:
        server.start()
        session = begin(server)
        session.raw(BODY)
        count.check(postern.until(lambda: len(files(server)) == 1), "a file for what is to be queued")
        os.kill(server.roles("queue")[0], signal.SIGKILL)
        answer = send_until(server, small)
        count.check(answer.startswith("250"), "the next queue takes mail", answer)
        session.raw(b".\r\n")
        answer = session.reply()
        count.check(answer.startswith("250"), "and what began with the one before", answer)
        answer = session.send(small, helo=None)
        count.check(answer.startswith("250"), "and more", answer)
        session.close()
        count.check(len(files(server)) == 1, "its content has a file again", files(server))


def edited(count):
    """A plugin makes another body: its file takes the place of the one that came in."""
    plugin = os.path.join(postern.build_folder(), "tests", "plugins", "editor.so")
    conf = QUEUED + f'plugins {{ editor {{ file "{plugin}"  edits body }} }}\n'
    more, less = b"X-Edit: big 2000000\r\n\r\nsmall\r\n", b"X-Edit: body small/\r\n" + BODY
    with postern.Server(conf) as server:
        server.start()
        session = postern.Session(server)
        answer = session.send(more)
        count.check(answer.startswith("250"), "a large body in place of a small one", answer)
        sizes = [os.path.getsize(os.path.join(server.root, "spool", "content", f)) for f in files(server)]
        count.check(len(sizes) == 1 and sizes[0] >= 2000000, "it has a file", sizes)
        answer = session.send(less, helo=None)
        count.check(answer.startswith("250"), "a small body in place of a large one", answer)
        count.check(postern.until(lambda: len(files(server)) == 1), "whose file is given back", files(server))
        session.close()
        os.kill(server.roles("queue")[0], signal.SIGKILL)
        session = postern.Session(server)
        answer = session.send(more)
        session.close()
        count.check(answer[0] in "24", "the queue is gone when the file is wanted", answer)
        taken = 1 + answer.startswith("250")
        answer = send_until(server, more)
        count.check(answer.startswith("250"), "the next queue has a file", answer)
        count.check(postern.until(lambda: len(files(server)) == taken + 1), "one a message", files(server))


def main():
    count = postern.Counter("large")
    next_queue(count)
    edited(count)
    with postern.Server(CONF) as server:
        server.start()
        for size in (None, len(BODY)):
            session = begin(server, size)
            session.raw(BODY)
            count.check(postern.until(lambda: len(files(server)) == 1), "a file holds what comes in")
            session.raw(b".\r\n")
            answer = session.reply()
            count.check(answer.startswith("250"), "taken", answer)
            session.close()
        count.check(postern.until(lambda: not files(server)), "the file goes when the mailbox has it", files(server))
        mails = list(server.mail().values())
        count.check(len(mails) == 2 and all(m.count(b"x" * 76) == 26000 for m in mails), "both arrived whole")

        session = begin(server)
        session.raw(BODY)
        count.check(postern.until(lambda: len(files(server)) == 1), "a file again")
        session.close()
        count.check(postern.until(lambda: not files(server)), "a client that goes leaves none", files(server))

        session = begin(server)
        session.raw(BODY)
        count.check(postern.until(lambda: len(files(server)) == 1), "a file once more")
        os.kill(server.roles("queue")[0], signal.SIGKILL)
        session.raw(b".\r\n")
        answer = session.reply()
        count.check(answer[0] in "24", "the queue dies in the middle", answer)
        count.check(session.command("NOOP").startswith("250"), "the session goes on")
        session.close()
        count.check(send_until(server).startswith("250"), "the next one is taken")
        count.check(postern.until(lambda: not files(server)), "no file stays behind", files(server))

        session = begin(server)
        session.raw(BODY)
        count.check(postern.until(lambda: len(files(server)) == 1), "and once more")
        for pid in server.roles("edge"):
            os.kill(pid, signal.SIGKILL)
        count.check(postern.until(lambda: not files(server)), "an edge that dies leaves none", files(server))
        session.close()
        count.check(send_until(server).startswith("250"), "the next edge takes it")
        count.check(postern.until(lambda: not files(server)), "and gives the file back", files(server))
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

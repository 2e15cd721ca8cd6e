#!/usr/bin/env python3
"""`postern mailbox check` and `rebuild`, and files that lie: a message that was cut, or grew, is a
fault to both as long as it is so and no longer; what the index is made of is never its torn bytes;
an index whose file somebody removed is made anew while its user works.
"""
import glob
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import imap  # noqa: E402
import mailnode  # noqa: E402
import postern  # noqa: E402

USER = "ann@here.test"
PART = "--b\r\nContent-Type: text/plain; name=part%d\r\n\r\n" + "some words of no weight\r\n" * 20
MESSAGE = (
    "From: a@a.test\r\nSubject: cut\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + "".join(PART % i for i in range(3))
    + "--b\r\n\r\nxylophone\r\n--b--\r\n"
).encode()
PLAIN = b"From: a@a.test\r\nSubject: whole\r\n\r\nzither\r\n"
count = postern.Counter("checks")


def ask(node, verb):
    """Exit status, the last line, the UIDs that are faulty."""
    command = [os.path.join(postern.build_folder(), "postern"), "mailbox", verb, USER, "--json", "--root", node.server.root]
    p = postern.run(command)
    lines = [json.loads(line) for line in p.stdout.splitlines()]
    return p.returncode, lines[-1], [o.get("uid") for o in lines if "fault" in o]


def session(node):
    client = imap.Imap("127.0.0.1", node.ports["imap"])
    client.login(USER, mailnode.PASSWORD)
    client.ok("SELECT", "INBOX")
    return client


def home(node):
    return os.path.join(node.server.root, "mail", "here.test", "ann")


def seen(client):
    """What a client is shown of the second message."""
    got = client.fetch("2", "(BODYSTRUCTURE ENVELOPE RFC822.SIZE)")[2]
    return str(got["BODYSTRUCTURE"]), str(got["ENVELOPE"]), got["RFC822.SIZE"]


def torn(node, change, label):
    """change: what becomes of the second message's file. Then it is mended."""
    client = session(node)
    before = seen(client)
    path = next(f for f in glob.glob(home(node) + "/cur/*") + glob.glob(home(node) + "/new/*") if f.partition(",U=")[2].partition(":")[0].endswith(".2"))
    copy = os.path.join(node.server.root, "copy")
    shutil.copy(path, copy)
    change(path)
    for verb in ("check", "rebuild", "check", "rebuild"):
        status, last, faults = ask(node, verb)
        count.check(status == 1 and last["faults"] == 1 and faults == [2], f"{label}: {verb}", last)
    count.check(client.search("BODY zither") == [1, 3], f"{label}: others are found all the same")
    with open(copy, "rb") as f, open(path, "r+b") as to:
        to.truncate(0)
        to.write(f.read())
    status, last, faults = ask(node, "check")
    count.check(status == 0 and last["faults"] == 0, f"{label}: mended, and all is well", (last, faults))
    count.check(client.search("BODY xylophone") == [2], f"{label}: it is searched as it is")
    count.check(seen(client) == before, f"{label}: and shown")
    client.close()


def cut(path):
    os.truncate(path, 1000)


def grow(path):
    with open(path, "ab") as f:
        f.write(b"--b\n\nmore\n--b--\n")


def blank(path):
    os.truncate(path, 0)


def removed(node, what, label):
    """The index, or some of it, while a session is at work."""
    client = session(node)
    client.fetch("1:*", "(ENVELOPE FLAGS)")
    path = os.path.join(home(node), "postern", what)
    count.check(os.path.exists(path), f"{label}: it is there")
    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def again():
        client.fetch("1:*", "(ENVELOPE FLAGS)")
        if what == "words":  # which a search of so few messages does without
            ask(node, "rebuild")
        return os.path.exists(path)

    count.check(postern.until(again, 30), f"{label}: it is there again")
    status, last, _ = ask(node, "check")
    count.check(status == 0 and last["faults"] == 0 and last["messages"] == 3, f"{label}: and right", last)
    count.check(sorted(client.fetch("1:*", "(FLAGS)")) == [1, 2, 3], f"{label}: the session goes on")
    client.close()


def main():
    with mailnode.Node(mailbox="plain-login loopback") as node:
        client = session(node)
        for message in (PLAIN, MESSAGE, PLAIN):
            count.check(client.append("INBOX", message).status == "OK", "an APPEND")
        client.close()
        torn(node, cut, "cut")
        torn(node, grow, "grown")
        torn(node, blank, "empty")
        removed(node, "index.db", "the index")
        removed(node, "words", "the words")
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

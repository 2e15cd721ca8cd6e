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


def second(node):
    """The second message's file."""
    return next(f for f in glob.glob(home(node) + "/cur/*") + glob.glob(home(node) + "/new/*") if f.partition(",U=")[2].partition(":")[0].endswith(".2"))


def torn(node, change, label):
    """change: what becomes of the second message's file. Then it is mended."""
    client = session(node)
    before = seen(client)
    path = second(node)
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


def damaged(node, spoil, label, want=1):
    """An index that is damaged while nobody has it open: the check that finds it says so, once.
    want: how many faults that is."""
    node.server.stop()
    path = os.path.join(home(node), "postern", "index.db")
    with open(path, "r+b") as f:
        spoil(f, os.path.getsize(path))
    node.start()
    status, last, faults = ask(node, "check")
    count.check(status == want and last["faults"] == want and last["messages"] == 3, f"{label}: {want} faults", (last, faults))
    status, last, _ = ask(node, "check")
    count.check(status == 0 and last["faults"] == 0, f"{label}: mended by that", last)
    client = session(node)
    count.check(sorted(client.fetch("1:*", "(ENVELOPE)")) == [1, 2, 3], f"{label}: nothing is lost")
    client.close()


def noise(f, size):
    f.write(b"\xa5" * size)


def scratches(f, size):
    """In each page: rows are not what was written."""
    for at in range(4096 - 150, size, 4096):
        f.seek(at)
        f.write(b"\xa5" * 100)


def older(f, size):
    """Another version's: made anew, too, but that is no damage."""
    f.seek(60)
    f.write(b"\0\0\0\x01")


def copied(node):
    """Copies of a message that is cut, which share its file: they are what it is."""
    client = session(node)
    before = seen(client)
    path = second(node)
    with open(path, "rb") as f:
        whole = f.read()
    os.truncate(path, 700)
    client.ok("COPY", "2", "Archive")
    client.ok("SELECT", "Archive")
    client.command("FETCH", "1", "(BODYSTRUCTURE)")
    with open(path, "r+b") as f:
        f.write(whole)
    status, last, faults = ask(node, "check")
    count.check(status == 0 and last["faults"] == 0, "copied: no faults", (last, faults))
    got = client.fetch("1", "(BODYSTRUCTURE ENVELOPE RFC822.SIZE)")[1]
    count.check((str(got["BODYSTRUCTURE"]), str(got["ENVELOPE"]), got["RFC822.SIZE"]) == before, "copied: it is shown as it is", got)
    client.command("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
    client.ok("EXPUNGE")
    client.close()


def stranger(node):
    """Two of the same bytes that somebody drops in, one of which is read while it is cut: then both
    are shown alike to a client that does not know UTF-8."""
    client = session(node)
    for n in (1, 2):
        name = f"{home(node)}/tmp/{n}.x.y"
        with open(name, "wb") as f:
            f.write("From: a@a.test\nSubject: Gr\u00fc\u00dfe\nTo: \u00fc@b.test\n\nhello\n".encode())
        os.rename(name, f"{home(node)}/new/{n}.x.y")
    client.ok("NOOP")
    path = glob.glob(home(node) + "/*/1.x*")[0]
    with open(path, "rb") as f:
        whole = f.read()
    os.truncate(path, 12)
    client.command("FETCH", "4", "BODY.PEEK[]")
    with open(path, "r+b") as f:
        f.write(whole)
    got = client.fetch("4:5", "(BODY.PEEK[HEADER])")
    shown = [got[n]["BODY[HEADER]"] for n in (4, 5)]
    count.check(shown[0] == shown[1] and max(shown[0]) < 128, "a stranger's: read while it was cut", shown)
    client.ok("STORE", "4:5", "+FLAGS.SILENT", "(\\Deleted)")
    client.ok("EXPUNGE")
    client.close()


def marks_of(client):
    got = client.ok("STATUS", "INBOX", "(UIDVALIDITY HIGHESTMODSEQ)").untagged
    return next(r.value for r in got if r.word == "STATUS")[1]


def restored(node):
    """A backup as the README makes it, flags that are set behind it, and the backup again: a client
    that knows the flags is told that they are not so."""
    mail, copy = os.path.join(node.server.root, "mail"), os.path.join(node.server.root, "backup.tar")
    node.server.stop()
    postern.run(["tar", "-C", mail, "--exclude=./*/*/postern", "-cf", copy, "."])
    node.start()
    client = session(node)
    for sign in "+-+-+":
        client.ok("STORE", "1:2", f"{sign}FLAGS", "(\\Flagged)")
    knows = marks_of(client)
    client.close()
    node.server.stop()
    shutil.rmtree(mail)
    os.mkdir(mail, 0o700)
    postern.run(["tar", "-C", mail, "-xpf", copy])
    node.start()
    client = imap.Imap("127.0.0.1", node.ports["imap"])
    client.login(USER, mailnode.PASSWORD)
    client.ok("ENABLE", "QRESYNC")
    result = client.ok("SELECT", "INBOX", f"(QRESYNC ({knows['UIDVALIDITY']} {knows['HIGHESTMODSEQ']}))")
    told = sorted(r.value[0] for r in result.untagged if r.word == "FETCH")
    count.check(told == [1, 2, 3], "restored: all flags are told", result.untagged)
    count.check(marks_of(client)["HIGHESTMODSEQ"] > knows["HIGHESTMODSEQ"], "restored: numbers go on", marks_of(client))
    client.close()


def dated(node):
    """Dates that no file can have are taken, and an index made anew says what the first one said."""
    client = session(node)
    for date in ("01-Jan-0001 00:00:00 +0000", "01-Jan-1970 00:00:00 +0000", "31-Dec-9999 23:59:59 -0100"):
        count.check(client.append("INBOX", PLAIN, date=date).status == "OK", f"an APPEND of {date}")
    before = {n: got["INTERNALDATE"] for n, got in client.fetch("1:*", "(INTERNALDATE)").items()}
    client.close()
    node.server.stop()
    for path in glob.glob(home(node) + "/postern/index.db*"):
        os.unlink(path)
    node.start()
    client = session(node)
    after = {n: got["INTERNALDATE"] for n, got in client.fetch("1:*", "(INTERNALDATE)").items()}
    count.check(after == before and len(after) == 6, "dates stay", (before, after))
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
        copied(node)
        stranger(node)
        removed(node, "index.db", "the index")
        removed(node, "words", "the words")
        damaged(node, noise, "noise")
        damaged(node, scratches, "scratches")
        damaged(node, older, "another version", want=0)
        restored(node)
        dated(node)
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

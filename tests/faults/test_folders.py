#!/usr/bin/env python3
"""Folders by IMAP on a whole server: those that are there at first login, what becomes of a session
whose folder another one deletes, quotas, and thousands of changes with the role killed in between:
what was said to be done is done, and nothing is there by halves.
"""
import imaplib
import os
import random
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import mailnode  # noqa: E402
import postern  # noqa: E402

USER = "ann@here.test"
MESSAGE = b"From: a@a.test\r\nSubject: x\r\n\r\nhello\r\n"
ROUNDS = 6  # a role that dies again and again is begun again later and later
count = postern.Counter("folders")


def login(node):
    """A session; waits until the role is there again."""

    def attempt():
        try:
            client = imaplib.IMAP4("127.0.0.1", node.ports["imap"], timeout=30)
            client.login(USER, mailnode.PASSWORD)
            return client
        except (OSError, imaplib.IMAP4.error):
            return None

    client = postern.until(attempt, 60)
    if client is None:
        print(node.server.log()[-3000:])
    return client


def listed(client):
    """Names that exist, with their flags."""
    found = {}
    for line in client.list()[1]:
        flags, _, name = line.decode().partition(') "/" ')
        if "\\Noselect" not in flags:
            found[name.strip('"')] = flags
    return found


def first_login(node):
    client = login(node)
    uses = {name: flags.split()[-1] for name, flags in listed(client).items() if name != "INBOX"}
    want = {"Archive": "\\Archive", "Drafts": "\\Drafts", "Junk": "\\Junk", "Sent": "\\Sent", "Trash": "\\Trash"}
    count.check(uses == want, "folders at first login", uses)
    count.check(len(client.lsub()[1]) == 5, "they are subscribed", client.lsub())
    client.delete("Archive")
    client.logout()
    client = login(node)
    count.check("Archive" not in listed(client), "what is thrown away stays away")
    client.logout()


def deleted_below(node):
    one, other = login(node), login(node)
    one.create("Short")
    one.append("Short", "", None, MESSAGE)
    one.select("Short")
    count.check(other.delete("Short")[0] == "OK", "another session deletes it")
    try:
        one.noop()
        gone = one.noop()[0] != "OK"
    except (imaplib.IMAP4.abort, OSError):
        gone = True
    count.check(gone, "whoever has it open is told")
    again = login(node)
    count.check(again.select("Short")[0] == "NO", "it is gone")
    count.check(again.create("Short")[0] == "OK" and again.select("Short")[1] == [b"0"], "and may come anew, empty")
    count.check(again.rename("Short", "Long/er")[0] == "OK" and "Long/er" in listed(again), "renamed")
    again.logout()
    other.logout()


def quota(node):
    postern.run([os.path.join(postern.build_folder(), "postern"), "mailbox", "quota", USER, "none", "--messages", "3",
                 "--root", node.server.root])
    client = login(node)
    answers = [client.append("INBOX", "", None, MESSAGE) for _ in range(4)]
    count.check([a[0] for a in answers] == ["OK"] * 3 + ["NO"], "as many as there is room for", answers)
    count.check(b"OVERQUOTA" in answers[3][1][0], "and why no more", answers[3])
    client.select("INBOX")
    copied = client.copy("1", "Sent")
    count.check(copied[0] == "NO" and b"OVERQUOTA" in copied[1][0], "a copy needs room, too", copied)
    count.check(client.getquota('""')[1][0].endswith(b"(MESSAGE 3 3)"), "QUOTA", client.getquota('""'))
    client.logout()
    postern.run([os.path.join(postern.build_folder(), "postern"), "mailbox", "quota", USER, "default", "--root",
                 node.server.root])


def junk_events(node):
    """Each way into the folder for junk and out of it is one event, and nothing else is."""
    client = login(node)
    client.create("Elsewhere")
    for i in range(4):
        client.append("INBOX", "", None, b"Message-ID: <%d@a.test>\r\n" % i + MESSAGE)
    before = len(node.server.events("moved"))
    client.select("INBOX")
    first = int(client.search(None, "HEADER", "Message-ID", "<0@a.test>")[1][0])
    client._simple_command("MOVE", f"{first}:{first + 1}", "Junk")
    client.noop()
    client.copy(str(first), "Junk")  # as clients without MOVE do it
    client.store(str(first), "+FLAGS", "\\Deleted")
    client.expunge()
    client.append("Junk", "", None, b"Message-ID: <4@a.test>\r\n" + MESSAGE)  # as programs that synchronise do it
    client.append("Elsewhere", "", None, MESSAGE)
    client.copy(str(first), "Elsewhere")
    client.select("Junk")
    client.copy("1", "Junk")
    client.rename("Junk", "Spam")
    client.select("Spam")
    client._simple_command("MOVE", "1", "Elsewhere")
    client.copy("1", "INBOX")
    want = [("INBOX", "Junk", True, 2, ["<0@a.test>", "<1@a.test>"]), ("INBOX", "Junk", True, 1, ["<2@a.test>"]),
            ("", "Junk", True, 1, ["<4@a.test>"]), ("Spam", "Elsewhere", False, 1, ["<0@a.test>"]),
            ("Spam", "INBOX", False, 1, ["<1@a.test>"])]
    events = postern.until(lambda: len(node.server.events("moved")) >= before + len(want)) and node.server.events("moved")
    found = [(e["from"], e["to"], e["junk"], e["messages"], e["message_ids"]) for e in (events or [])[before:]]
    count.check(found == want, "what is told of junk", found)
    count.check(all(e["user"] == USER and e["service"] == "imap" for e in events or [{"user": 0}]), "and whose it was", events)
    client.rename("Spam", "Junk")
    client.logout()


def counts(client):
    """Messages of each folder."""
    return {name: int(re.search(rb"MESSAGES (\d+)", client.status(f'"{name}"', "(MESSAGES)")[1][0]).group(1))
            for name in listed(client)}


def send(node):
    session = postern.Session(node.server)
    answer = session.send(MESSAGE.decode(), rcpts=(USER,))
    session.close()
    return answer


def named(node):
    """Folders as policy calls them; junk follows the folder's use, not its name."""
    count.check(send(node).startswith("250"), "junk before the first login")
    client = login(node)
    uses = {name: flags.split()[-1] for name, flags in listed(client).items() if name != "INBOX"}
    want = {"Archive": "\\Archive", "Drafts": "\\Drafts", "Post/Unfug": "\\Junk", "Gesendet": "\\Sent",
            "Trash": "\\Trash"}
    count.check(uses == want, "folders as policy calls them", uses)
    count.check(len(client.lsub()[1]) == 5, "they are subscribed", client.lsub())
    count.check(counts(client)["Post/Unfug"] == 1, "junk went into the one that policy names", counts(client))
    count.check(client.rename("Post/Unfug", "Mine")[0] == "OK", "its user renames it")
    count.check("\\Junk" in listed(client)["Mine"], "the use goes along", listed(client))
    count.check(send(node).startswith("250") and counts(client).get("Mine") == 2, "and so does junk", counts(client))
    client.delete("Mine")
    count.check(send(node).startswith("250"), "junk without a folder for it")
    found = listed(client)
    count.check("\\Junk" in found.get("Post/Unfug", "") and counts(client)["Post/Unfug"] == 1, "makes one", found)
    node.reload(mailbox="plain-login loopback")
    sent = postern.until(lambda: client.create("Junk")[0] == "OK" and send(node).startswith("250"))
    count.check(sent and counts(client)["Post/Unfug"] == 2, "a new name moves nothing", counts(client))
    client.logout()


def change(client, names, rng):
    """One change of what there is; (what it is to be, what it may be if nobody answered)."""
    kind = rng.choice(("create", "delete", "rename", "create"))
    top = rng.choice("ABCDEF")
    if kind == "create":
        name = f"{top}/{rng.randrange(20)}"
        return name in names, names | {name}, lambda: client.create(name)
    if kind == "delete":
        name = rng.choice(sorted(names) or ["none"])
        return name not in names, names - {name}, lambda: client.delete(name)
    to = rng.choice("GHIJK")
    below = {n for n in names if n == top or n.startswith(top + "/")}
    moved = {to + n[len(top):] for n in below}
    refused = not below or moved & names or to in names
    return refused, names if refused else (names - below) | moved, lambda: client.rename(top, to)


def killed(node):
    rng = random.Random(5)
    client, names, done = login(node), set(), 0
    wrong = []
    for turn in range(ROUNDS):
        last = rng.randrange(5, 60)
        for step in range(last):
            refused, wanted, act = change(client, names, rng)
            said = act()[0]
            if (said == "NO") != bool(refused):
                wrong.append((turn, step, said, sorted(names), sorted(wanted)))
            names = names if refused else wanted
            done += 1
        # One more, whose answer nobody waits for.
        wanted = names | {f"Z/{turn}"}
        client.send(b"zz CREATE Z/%d\r\nzy RENAME Z Y%d\r\n" % (turn, turn))
        for pid in node.server.roles("mailbox"):
            os.kill(pid, signal.SIGKILL)
        client = login(node)
        there = {n for n in listed(client) if re.fullmatch(r"[A-KYZ]\d*(/\d+)*", n)}
        may = (names, wanted, names | {f"Y{turn}/{turn}"})
        if there not in may:
            wrong.append((turn, "after", sorted(there ^ names)))
        for name in there - names:
            client.delete(name)
    count.check(not wrong, "each change is as it was said, over kills", wrong[:2])
    count.check(done > 100, "many of them", done)
    left = [e for _, dirs, _ in os.walk(node.server.root + "/mail") for e in dirs if e.startswith("gone-")]
    count.check(client.select("INBOX")[0] == "OK", "and the session goes on", left)
    client.logout()


with mailnode.Node(mailbox="plain-login loopback") as whole:
    first_login(whole)
    deleted_below(whole)
    quota(whole)
    junk_events(whole)
    killed(whole)
with mailnode.Node(mailbox="plain-login loopback folders { sent Gesendet junk Post/Unfug }",
                   more="defaults { junk at 0 }") as whole:
    named(whole)
sys.exit(count.close())

#!/usr/bin/env python3
"""Maildirs that others filled, met for the first time, and a server that is killed at any moment after that, or
a machine whose power is cut: between the first word of a mailbox, the filling of the index, and the renames that follow.
What was told of once is so for good: UIDVALIDITY, UIDs, flags, sizes; and each message is there once.
"""
import argparse
import os
import random
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import blackout  # noqa: E402
import imap  # noqa: E402
import mailserver  # noqa: E402
import postern  # noqa: E402
import stranger  # noqa: E402

PASSWORD = "cold"
COUNT = 320  # more than are renamed at once
# How far it comes before the end: what is asked of it, and whether renames have begun, or are done.
MOMENTS = ("selected", "uids", "sizes", "envelopes", "flags", "renaming", "renamed", "more")


def content(n):
    return f"From: <a@sender.test>\nSubject: s{n}\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\n" + f"line {n}\n" * (n % 7 + 1)


def name_of(n):
    return f"cur/{1700000000 + n}.M{n}.other:2,{'S' if n % 2 else ''}" if n % 5 else f"new/{1700000000 + n}.M{n}.other"


def fill(target, user):
    """Before the server runs."""
    place = target.maildir(user)
    for d in ("tmp", "new", "cur"):
        os.makedirs(f"{place}/{d}", exist_ok=True)
    for n in range(COUNT):
        with open(f"{place}/{name_of(n)}", "w", encoding="ascii") as f:
            f.write(content(n))


def drop_in(target, user):
    """As many again while it runs, by one who goes by the rules, and heard of by the recorder."""
    place = target.maildir(user)
    steps = []
    for n in range(COUNT, 2 * COUNT):
        steps += [("write", f"{place}/tmp/{n}", content(n)), ("rename", f"{place}/tmp/{n}", f"{place}/{name_of(n)}")]
    (target.touch if isinstance(target, blackout.Blackout) else stranger.touch)(steps)


def named(target, user):
    """Files with UIDs in their names."""
    return sum(",U=" in name for d in ("new", "cur") for name in os.listdir(f"{target.maildir(user)}/{d}"))


def has_list(target, user):
    return os.path.exists(f"{target.maildir(user)}/postern-uids")


class Told:
    """What a client was told of a mailbox: {uid: [subject, flags, size]}, None where it was not."""

    def __init__(self):
        self.validity = self.next = None
        self.mails = {}

    def session(self, target, user):
        client = imap.Imap(target.host, target.imap)
        client.login(user, PASSWORD)
        result = client.ok("SELECT", "INBOX")
        codes = {r.value.code: r.value.args for r in result.untagged if r.word == "OK"}
        return client, codes["UIDVALIDITY"], codes["UIDNEXT"]

    def learn(self, client, items):
        for uid, got in client.fetch("1:*", f"({items})", uid=True).items():
            mail = self.mails.setdefault(uid, [None, None, None])
            if "ENVELOPE" in got:
                mail[0] = got["ENVELOPE"][1]
            if "FLAGS" in got:
                mail[1] = frozenset(f for f in got["FLAGS"] if f.upper() != "\\RECENT")
            if "RFC822.SIZE" in got:
                mail[2] = got["RFC822.SIZE"]


def begin(target, user, moment, told):
    """Up to a moment; nothing is closed."""
    client, validity, uidnext = told.session(target, user)
    told.validity, told.next = validity, uidnext
    if moment == "selected":
        return client
    told.learn(client, {"uids": "UID", "sizes": "UID RFC822.SIZE", "envelopes": "UID ENVELOPE"}.get(moment, "UID ENVELOPE FLAGS"))
    if moment == "flags":
        client.ok("UID STORE", "5:9", "+FLAGS.SILENT", "(\\Flagged)")
        for uid in range(5, 10):
            told.mails[uid][1] |= {"\\Flagged"}
    elif moment in ("renaming", "renamed"):
        enough = COUNT // 3 if moment == "renaming" else COUNT
        postern.until(lambda: named(target, user) >= enough and (moment == "renaming" or not has_list(target, user)))
    elif moment == "more":
        drop_in(target, user)
        client.ok("NOOP")
        told.next = COUNT + 1
    return client


def compare(count, target, user, what, told, least):
    """Another session against what was told before."""
    now = Told()
    client, now.validity, now.next = now.session(target, user)
    count.check(now.validity == told.validity, f"{what}: UIDVALIDITY", f"{told.validity} became {now.validity}")
    count.check(now.next >= told.next, f"{what}: UIDNEXT", f"{told.next} became {now.next}")
    now.learn(client, "UID ENVELOPE FLAGS RFC822.SIZE")
    subjects = sorted(mail[0] for mail in now.mails.values())
    count.check(len(set(subjects)) == len(subjects) and len(subjects) >= least, f"{what}: each message once", f"{len(subjects)} of {least}")
    wrong = [uid for uid, mail in told.mails.items() for a, b in zip(mail, now.mails.get(uid, [b""] * 3)) if a is not None and a != b]
    count.check(not wrong, f"{what}: what was told is so", f"UIDs {wrong[:9]}: {[(told.mails[u], now.mails.get(u)) for u in wrong[:2]]}")
    sizes = [uid for uid, mail in now.mails.items() if mail[2] != len(content(int(mail[0][1:])).replace("\n", "\r\n"))]
    count.check(not sizes, f"{what}: sizes", str(sizes[:9]))
    client.close()
    return now


def end(target, rng):
    """At once and without a word; and begun again."""
    if isinstance(target, blackout.Blackout):
        target.cut_power(rng.getrandbits(30))
        return
    for pid in postern.processes(target.process.pid):
        os.kill(pid, signal.SIGKILL)
    target.process.wait()
    target.start()


def play(count, kind, rng):
    users = {f"{moment}@here.test": PASSWORD for moment in MOMENTS}
    target = kind(users)
    for user in users:
        fill(target, user)
    with target:
        for moment, user in zip(MOMENTS, users):
            what, told = f"{kind.__name__}, {moment}", Told()
            client = begin(target, user, moment, told)
            for _ in range(2):
                end(target, rng)
                told = compare(count, target, user, what, told, COUNT)
            client.close()
            count.check(postern.until(lambda u=user: not has_list(target, u)), f"{what}: renamed at last")
            compare(count, target, user, what, told, COUNT)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    if not mailserver.is_served():
        print("cold: skipped, this build serves no IMAP")
        return 77
    count, rng = postern.Counter("cold"), random.Random(args.seed)
    for kind in [mailserver.Postern] + [blackout.Blackout] * blackout.is_built():
        play(count, kind, rng)
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""SEARCH on a whole server: answers are those of a plain reading of the mails, whatever becomes of
the index of words: made, grown, merged, cut, overwritten, deleted, while sessions come and go and
the mailbox role is killed.

usage: test_search.py [--mails N (400)]
"""
import argparse
import glob
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import imap  # noqa: E402
import mailserver  # noqa: E402
import postern  # noqa: E402

USER, PASSWORD = "u@here.test", "correct horse"
WORDS = "the gate of a wall is small and postern keeps it Zebra walks in mail server lists unsubscribe here".split()
NEEDLES = ["the", "postern", "zebra", "wall is", "a", "ate", "unsubscribe here", "not there", "THE GATE", "x-tag-3"]


class Mail:
    def __init__(self, rng, n):
        self.subject = f"{'Re: ' if n % 4 == 0 else ''}{rng.choice(WORDS)} {rng.choice(WORDS)}"
        self.lines = [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 12))) for _ in range(rng.randrange(1, 60))]
        self.tag = f"x-tag-{n % 50}"
        self.day = 1 + n % 28

    def text(self):
        return (f"From: <{self.tag}@a.test>\nTo: u@here.test\nSubject: {self.subject}\nDate: {self.day} Jan 2026 10:00:00 +0000\n"
                f"\n" + "\n".join(self.lines) + "\n")  # fmt: skip

    def body(self):
        return " ".join(self.lines).lower()


class Run:
    def __init__(self, server, count, mails):
        self.server, self.count, self.rng = server, count, random.Random(7)
        self.words = os.path.join(server.maildir(USER), "postern", "words")
        self.mails = [Mail(self.rng, n) for n in range(mails)]
        self.session = None

    def put(self):
        """As another program would: files in a Maildir."""
        folder = os.path.join(self.server.maildir(USER), "cur")
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.server.maildir(USER), part), exist_ok=True)
        for n, mail in enumerate(self.mails):
            with open(os.path.join(folder, f"{1700000000 + n}.M{n}P1.other:2,"), "w", encoding="ascii") as f:
                f.write(mail.text())

    def login(self):
        self.session = imap.Imap(self.server.host, self.server.imap)
        self.session.login(USER, PASSWORD)
        self.session.ok("SELECT", "INBOX")

    def check(self, what):
        for needle in NEEDLES:
            low = needle.lower()
            for key, has in (("BODY", lambda m: low in m.body()), ("SUBJECT", lambda m: low in m.subject.lower()),
                             ("FROM", lambda m: low in f"<{m.tag}@a.test>")):  # fmt: skip
                want = [n for n, mail in enumerate(self.mails, 1) if has(mail)]
                got = self.session.search(f'{key} "{needle}"')
                self.count.check(list(got) == want, f"{what}: {key} {needle}", f"{len(got)} found, {len(want)} there")

    def files(self):
        return sorted(glob.glob(os.path.join(self.words, "*")))

    def damage(self):
        """Each in turn: a byte, a hole, an end, another's content, nothing at all."""
        for kind in ("byte", "zeros", "cut", "swap", "empty"):
            for path in self.files():
                with open(path, "rb") as f:
                    data = bytearray(f.read())
                at = self.rng.randrange(len(data))
                if kind == "byte":
                    data[at] ^= 0x41
                elif kind == "zeros":
                    data[at : at + 4096] = bytes(len(data[at : at + 4096]))
                elif kind == "swap":
                    data.reverse()
                else:
                    data = data[: at if kind == "cut" else 0]
                with open(path, "wb") as f:
                    f.write(data)
            self.check(f"index files damaged ({kind})")
            self.count.check(self.files() != [], f"the index is made again ({kind})")

    def change(self):
        for _ in range(30):
            mail = Mail(self.rng, len(self.mails))
            self.count.check(self.session.append("INBOX", mail.text().replace("\n", "\r\n").encode()).status == "OK", "APPEND")
            self.mails.append(mail)
        self.session.ok("NOOP")
        self.check("after APPEND")
        gone = sorted(self.rng.sample(range(1, len(self.mails) + 1), len(self.mails) // 3))
        self.session.ok("STORE", imap.compact(gone), "+FLAGS.SILENT (\\Deleted)")
        self.session.ok("EXPUNGE")
        self.mails = [mail for n, mail in enumerate(self.mails, 1) if n not in set(gone)]
        self.check("after EXPUNGE")

    def others(self):
        """A session that goes in the midst of its search disturbs nobody."""
        shutil.rmtree(self.words)
        for _ in range(5):
            short = imap.Imap(self.server.host, self.server.imap)
            short.login(USER, PASSWORD)
            short.ok("SELECT", "INBOX")
            short.begin("SEARCH", 'BODY "the"')
            short.close()
        self.check("after sessions that went")
        self.server.kill_mailboxes()
        if not postern.until(self.again):
            self.count.check(False, "nobody serves after the mailbox role was killed", self.server.words())
        self.check("after a kill")

    def again(self):
        try:
            self.login()
            return True
        except (OSError, imap.Refused, imap.Ungrammatical):
            return False

    def sorts(self):
        by_day = sorted(range(1, len(self.mails) + 1), key=lambda n: (self.mails[n - 1].day, n))
        for command, want in (("SORT (DATE) UTF-8 ALL", by_day), ("SORT (REVERSE DATE) UTF-8 ALL", sorted(by_day, key=lambda n: (-self.mails[n - 1].day, n)))):
            result = self.session.ok(*command.split(" ", 1))
            got = [r.value for r in result.untagged if r.word == "SORT"]
            numbers = got[0][0] if got and isinstance(got[0], tuple) else got[0] if got else None
            self.count.check(numbers is not None and list(numbers) == want, command)
        for kind in ("REFERENCES", "ORDEREDSUBJECT"):
            result = self.session.ok("THREAD", f"{kind} UTF-8 ALL")
            flat = sorted(int(n) for r in result.untagged if r.word == "THREAD" for n in "".join(c if c.isdigit() else " " for c in repr(r.value)).split())
            self.count.check(flat == list(range(1, len(self.mails) + 1)), f"THREAD {kind} has each message once")

    # ---- where it gives up

    def told(self, *words):
        """(status, code, what the untagged answer found) of a command."""
        r = self.session.command(*words)
        found = [v.value[2].get("ALL", []) if v.word == "ESEARCH" else v.value if v.word == "THREAD" else list(v.value[0])
                 for v in r.untagged if v.word in ("SEARCH", "ESEARCH", "SORT", "THREAD")]  # fmt: skip
        return r.status, r.code, found

    def unreadable(self):
        """A message that can't be read, in turn for each command that would: told of as such, not as
        one that does not match. Its file is a link to itself until the folder is read again."""
        self.session.ok("CREATE", "Few")
        for n in range(6):
            self.session.append("Few", b"Subject: s\r\n\r\nneedle %d\r\n" % n)
        self.session.ok("SELECT", "Few")
        key, rest = "BODY needle", [1, 2, 3, 4, 5]
        asked = ((["SEARCH", key], [rest]), (["SEARCH", "RETURN (ALL)", key], [rest[:-1]]), (["SEARCH", "RETURN (SAVE)", key], []),
                 (["SORT", "(ARRIVAL) UTF-8", key], [rest[:2]]), (["THREAD", "REFERENCES UTF-8", key], [[[1]]]))  # fmt: skip
        for words, want in asked:
            last = sorted(glob.glob(self.server.maildir(USER) + "/.Few/cur/*"), key=lambda path: int(path.split("U=")[1].split(".")[1].split(":")[0]))[-1]
            kept = f"{self.server.maildir(USER)}/.Few/tmp/{os.path.basename(last)}"
            for _ in range(10):  # a machine that stalls may leave time to read the folder
                self.session.ok("SEARCH", "RETURN (SAVE)", "1")
                began = time.monotonic()
                os.rename(last, kept)
                os.symlink(os.path.basename(last), last)
                got = self.told(*words)
                if got[0] == "NO" or time.monotonic() - began < 0.05:
                    break
                os.rename(kept, last)
                self.session.ok("NOOP")
            self.count.check(got == ("NO", "UNAVAILABLE", want), f"{' '.join(words)}: one can't be read", got)
            if "(SAVE)" in words[1]:
                self.count.check(self.told("SEARCH", "RETURN (ALL)", "$") == ("OK", None, [[]]), "and nothing is saved")
            os.unlink(last)
            self.session.ok("NOOP")
            status, code, _ = self.told(*words)
            self.count.check((status, code) == ("OK", None), f"{' '.join(words)}: it is gone", (status, code))

    def too_much(self):
        """What is too much, or of no known charset, is refused, and the session goes on."""
        self.session.ok("SELECT", "INBOX")
        deep = "(" * 101 + "ALL" + ")" * 101
        long = "x" * 5000
        many = " ".join(["SEEN"] * 4001)
        slow = " ".join(["BODY x"] * 201)
        for key, code in ((deep, "LIMIT"), (f"BODY {long}", "LIMIT"), (many, "LIMIT"), (slow, "LIMIT"), ("CHARSET X-NONE BODY x", "BADCHARSET")):
            got = self.told("SEARCH", key)
            self.count.check(got == ("NO", code, []), f"SEARCH {key[:20]} is too much", got)
            if "CHARSET" in key:
                continue
            for words in (["SORT", "(ARRIVAL)"], ["THREAD", "REFERENCES"]):
                got = self.told(*words, "UTF-8", key)
                self.count.check(got == ("NO", code, []), f"{words[0]} {key[:20]} is too much", got)
        for words in (["SORT", "(ARRIVAL)"], ["THREAD", "REFERENCES"]):
            got = self.told(*words, "X-NONE", "ALL")
            self.count.check(got == ("NO", "BADCHARSET", []), f"{words[0]} of no charset", got)
        self.check("after what was too much")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=400)
    args = parser.parse_args()
    if not mailserver.is_served():
        print("search: this build serves no IMAP")
        return 77
    count = postern.Counter("search")
    server = mailserver.Postern({USER: PASSWORD})
    run = Run(server, count, args.mails)
    run.put()
    with server:
        run.login()
        run.check("at first")
        count.check(run.files() != [], "an index is made")
        run.check("with an index")
        shutil.rmtree(run.words)
        run.check("index deleted")
        run.damage()
        run.change()
        run.sorts()
        run.too_much()
        run.unreadable()
        run.session.ok("SELECT", "INBOX")
        run.others()
        run.session.close()
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

"""Those who change mailboxes in the model-based test and are no IMAP session: deliveries by LMTP,
a POP3 client, and a stranger who knows nothing of servers and handles the Maildir's files.
Generators as in mailbox_client.py.
"""
import glob
import os
import poplib
import random
import smtplib
import threading

import imap
import stranger
from mailbox_view import Fault
from mailbox_world import Creation, Effect, remove, set_flags

LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


class Task(threading.Thread):
    """A function under way beside the burst; `result` waits for it."""

    def __init__(self, function):
        super().__init__()
        self.function, self.error, self.value = function, None, None
        self.start()

    def run(self):
        try:
            self.value = self.function()
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def result(self):
        self.join()
        if self.error:
            raise self.error
        return self.value


class Others:
    """pop_read, pop_deleted: what the POP3 client of this burst did, by ident: it may meet
    messages that the burst itself brought."""

    def __init__(self, target, user, password, world, log):
        self.target, self.user, self.password, self.world, self.log = target, user, password, world, log
        self.uidls, self.delivered = {}, 0
        self.pop_read, self.pop_deleted = set(), set()
        self.unanswered = set()  # of the last session of LMTP
        self.touch = getattr(target, "touch", stranger.touch)

    def do_lmtp(self, rng):
        """One to three messages in a session. A delivery that was not answered may come twice:
        once for the answer that was lost, once by whoever took it over."""
        letters = [self.world.new_message(rng) for _ in range(rng.randint(1, 3))]
        said = []

        def talk():
            try:
                with smtplib.LMTP(self.target.host, self.target.lmtp, "client.test", timeout=60) as lmtp:
                    lmtp.ehlo_or_helo_if_needed()
                    for ident, content in letters:
                        said.append((ident, self.deliver(lmtp, content)))
            except (smtplib.SMTPException, OSError):
                pass

        task = Task(talk)
        yield
        task.result()
        self.log.append(f"lmtp {said}")
        done = {i for i, code in said if code == 250}
        self.unanswered = {i for i, _ in letters} - {i for i, _ in said}
        refused = {i for i, code in said if 500 <= code < 600}
        if refused:
            raise Fault(f"LMTP refused {said}")
        return [], [Creation("INBOX", i, {frozenset()}, None, 1 if i in done else 0, 1) for i, _ in letters]

    def deliver(self, lmtp, content):
        for command, want in ((f"MAIL FROM:<a@sender.test>", 250), (f"RCPT TO:<{self.user}>", 250), ("DATA", 354)):
            code = lmtp.docmd(command)[0]
            if code != want:
                return code
        lmtp.send(content + b".\r\n")
        return lmtp.getreply()[0]

    def do_pop3(self, rng):
        """Reads some, deletes some; what QUIT says yes to is gone, and only that."""
        inbox = self.world.boxes["INBOX"]
        by_ident = {}
        for uid, m in inbox.messages.items():
            by_ident.setdefault(m.ident, set()).add(uid)
        self.pop_read, self.pop_deleted = read, deleted = set(), set()
        draws = random.Random(rng.random())
        task = Task(lambda: self.talk_pop3(draws, read, deleted))
        yield
        certain = task.result()
        # Where there are several copies, which of them went is not known here.
        uids = {u for i in deleted for u in by_ident.get(i, ())}
        once = {u for i in deleted for u in by_ident.get(i, ()) if len(by_ident[i]) == 1}
        seen = {u for i in read for u in by_ident.get(i, ())}  # a server may take RETR for reading
        return [Effect("INBOX", seen, set_flags("+", frozenset(["\\Seen"])), False, "RETR"), Effect("INBOX", once, remove, certain, "POP3"),
                Effect("INBOX", uids - once, remove, False, "POP3")], []  # fmt: skip

    def talk_pop3(self, rng, read, deleted):
        """Whether what it deleted is gone for certain."""
        try:
            pop = (poplib.POP3_SSL(self.target.host, self.target.pop3s, timeout=60, context=imap.unverified()) if rng.random() < 0.3
                   else poplib.POP3(self.target.host, self.target.pop3, timeout=60))  # fmt: skip
            pop.user(self.user)
            pop.pass_(self.password)
            names = dict(line.decode().split(" ", 1) for line in pop.uidl()[1])
            if len(set(names.values())) != len(names):
                raise Fault(f"POP3: UIDL names twice the same: {names}")
            for number in rng.sample(sorted(names), min(len(names), 3)):
                self.read_one(pop, rng, number, names[number], read, deleted)
            self.log.append(f"pop3 DELE {sorted(deleted)}")
            if rng.random() < 0.2:
                deleted.clear()  # without QUIT nothing goes
                pop.close()
                return True
            pop.quit()
            return True
        except (poplib.error_proto, OSError, EOFError) as e:
            self.log.append(f"pop3 {e!r}")
            return False

    def read_one(self, pop, rng, number, name, read, deleted):
        try:
            head = b"\r\n".join(pop.top(int(number), 0)[1])
            ident = head.split(b"X-Id: ", 1)[1].split(b"\r\n")[0].decode()
            if self.uidls.setdefault(name, ident) != ident:
                raise Fault(f"POP3: UIDL {name} was {self.uidls[name]}, is {ident}")
            read.add(ident)
            content = b"\r\n".join(pop.retr(int(number))[1]) + b"\r\n"
            if not content.endswith(self.world.contents[ident]):
                raise Fault(f"POP3: RETR of {ident} gave {content[:300]!r}")
        except poplib.error_proto as e:
            self.log.append(f"pop3 {number}: {e!r}")  # another session expunged it
            return
        if rng.random() < 0.6:
            pop.dele(int(number))
            deleted.add(ident)

    # ---- the stranger

    def folder(self, box):
        return self.target.maildir(self.user) + ("" if box == "INBOX" else f"/.{box.replace('/', '.')}")

    def files(self, box):
        """{ident: [path]} of all messages of a folder."""
        found = {}
        for path in glob.glob(f"{glob.escape(self.folder(box))}/cur/*") + glob.glob(f"{glob.escape(self.folder(box))}/new/*"):
            try:
                with open(path, "rb") as f:
                    head = f.read(4096)
            except FileNotFoundError:
                continue
            found.setdefault(head.split(b"X-Id: ", 1)[1].split(b"\n")[0].strip().decode(), []).append(path)
        return found

    def do_drop(self, rng):
        """A new file, in new/ or, with flags, in cur/."""
        box = rng.choice(list(self.world.boxes))
        ident, content = self.world.new_message(rng)
        self.delivered += 1
        name = f"{1700000000 + self.delivered}.X{self.delivered}.stranger"
        letters = "" if rng.random() < 0.5 else "".join(sorted(rng.sample("DFRS", rng.randint(1, 3))))
        tmp = f"{self.folder(box)}/tmp/{name}"
        yield
        self.touch([("write", tmp, content.replace(b"\r\n", b"\n").decode("latin-1"))])
        self.target.own(tmp)
        self.touch([("rename", tmp, f"{self.folder(box)}/cur/{name}:2,{letters}" if letters else f"{self.folder(box)}/new/{name}")])
        self.log.append(f"stranger drops {name} ({ident}, {letters!r}) into {box}")
        return [], [Creation(box, ident, {frozenset(LETTERS[c] for c in letters)})]

    def do_take(self, rng):
        """Removes a file."""
        yield
        box = rng.choice(list(self.world.boxes))
        uid, path = self.one(rng, box)
        if path is None:
            return [], []
        self.touch([("remove", path)])
        self.log.append(f"stranger removes UID {uid} of {box}: {os.path.basename(path)}")
        return [Effect(box, [uid], remove, True, "a stranger's removal")], []

    def do_mark(self, rng):
        """Renames a file to other flags; the keywords' letters stay."""
        yield
        box = rng.choice(list(self.world.boxes))
        uid, path = self.one(rng, box)
        if path is None or ":2," not in path:
            return [], []
        base, old = path.rsplit(":2,", 1)
        letters = "".join(rng.sample("DFRST", rng.randint(0, 3)))
        keywords = "".join(c for c in old if c.islower())
        self.touch([("rename", path, f"{base}:2,{''.join(sorted(letters + keywords))}")])
        self.log.append(f"stranger marks UID {uid} of {box} {letters!r}")
        kept = {f for f in self.world.boxes[box].messages[uid].flags if not f.startswith("\\")}
        return [Effect(box, [uid], set_flags("", frozenset(kept | {LETTERS[c] for c in letters})), True, "a stranger's rename")], []

    def one(self, rng, box):
        """A message of which there is one copy, and its file."""
        messages, files = self.world.boxes[box].messages, self.files(box)
        single = [u for u, m in sorted(messages.items()) if len(files.get(m.ident, [])) == 1]
        if not single:
            return None, None
        uid = rng.choice(single)
        return uid, files[messages[uid].ident][0]

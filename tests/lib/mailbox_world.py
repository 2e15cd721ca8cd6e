"""The truth about folders as a model knows it, and what a burst of commands may have made of it.

Commands that were sent at the same time may take effect in any order, a message's in any of its
own; one that was never answered (its server was killed) may have taken effect or not. So for each
message the states are computed that some order gives, and what is found must be one of them.
"""
import datetime
import itertools
import time

from mailbox_view import Fault

WORDS = "alabaster bramble cinnamon dromedary elderberry foxglove gooseberry hawthorn".split()
SUBJECTS = ("{}", "{}", "Re: {}", "[list] {}", "Fwd: [list] RE: {}", "{} (fwd)")
GONE = None  # the state of a message that is not there


def seconds(text):
    """Since 1970, of an INTERNALDATE."""
    return int(datetime.datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())


class Message:
    """date: INTERNALDATE, in seconds since 1970. size: RFC822.SIZE."""

    def __init__(self, ident, flags, modseq, date, size):
        self.ident, self.flags, self.modseq, self.date, self.size = ident, flags, modseq, date, size


class Box:
    """One folder as it was last read: {uid: Message}."""

    def __init__(self, uidvalidity, uidnext, highest, messages):
        self.uidvalidity, self.uidnext, self.highest, self.messages = uidvalidity, uidnext, highest, messages


class Effect:
    """On messages that are there: change(state) -> states it may leave, for one uid. certain: the
    server said OK, so it took place; else each message may have been spared."""

    def __init__(self, box, uids, change, certain, what, moved_to=None):
        self.box, self.uids, self.change, self.certain, self.what = box, set(uids), change, certain, what
        self.moved_to = moved_to  # a MOVE that was not answered: what is gone must be there


class Creation:
    """A message that is to appear. uid: where the server said so. flags: None for whatever the
    source may have had. least, most: how often. date: its INTERNALDATE; None: some time from now on."""

    def __init__(self, box, ident, flags, uid=None, least=1, most=1, date=None):
        self.box, self.ident, self.flags, self.uid = box, ident, flags, uid
        self.least, self.most = least, most
        self.date, self.begun = date, int(time.time()) - 1

    def fits(self, message):
        """Whether this may be it."""
        if self.flags is not None and message.flags not in self.flags:
            return False
        return message.date == self.date if self.date is not None else self.begun <= message.date <= time.time() + 1


def set_flags(how, flags):
    """STORE's change of a state."""

    def change(state):
        if state is GONE:
            return [GONE]
        if how == "+":
            return [state | flags]
        return [state - flags] if how == "-" else [flags]

    return change


def remove(state):
    return [GONE]


def expunge(known):
    """known: the session had been told of \\Deleted, so that it must go."""

    def change(state):
        if state is GONE or "\\Deleted" not in state:
            return [state]
        return [GONE] if known else [GONE, state]

    return change


def outcomes(state, effects, uid):
    """All states that `effects` may leave of a message, in whatever order they came."""
    effects = [e for e in effects if uid in e.uids]
    found = set()
    for order in itertools.permutations(effects):
        states = {state}
        for e in order:
            after = {s for before in states for s in e.change(before)}
            states = after if e.certain else states | after
        found |= states
    return found


class World:
    words = WORDS

    def __init__(self):
        self.boxes = {}  # name: Box
        self.idents = {}  # (name, uid): ident, of all that ever were
        self.contents = {}  # ident: bytes, as they were sent
        self.chains = {}  # ident: those that it names as References
        self.made = []  # names of folders that are there from the first login, and stay empty
        self.buried = {}  # (name, uidvalidity): (UIDNEXT, {uid: ident}), of folders that went or were renamed
        self.open = lambda: []  # names of folders that sessions have open

    def new_message(self, rng):
        """(ident, content): words that a search can find, a body that is some lines or many."""
        ident = f"m{len(self.contents) + 1}"
        words = rng.sample(WORDS, 3)
        lines = [" ".join(words)] + [f"line {n} of {ident}" for n in range(rng.choice([0, 1, 5, 300]))]
        subject = rng.choice(SUBJECTS).format(rng.choice([words[0], words[0].upper()]))
        date = f"{rng.randint(20, 22)} Nov 2026 {rng.randint(0, 23):02}:00:00 {rng.choice(['+0000', '-0500', '+0900'])}"
        head = [f"From: Friend {rng.randint(1, 9)} <{ident}@sender.test>", "To: u@here.test", f"Subject: {subject}", f"Date: {date}"]
        text = "\r\n".join([*head, f"X-Id: {ident}", *self.references(rng, ident), "", *lines, ""])
        self.contents[ident] = text.encode()
        return ident, self.contents[ident]

    def references(self, rng, ident):
        """Header fields: an answer to some message that there was, or that there never was."""
        parent = rng.choice([None, "lost", *list(self.chains)[-30:]])
        chain = [*self.chains.get(parent, []), parent] if parent else []
        self.chains[ident] = chain
        names = " ".join(f"<{i}@sender.test>" for i in chain[rng.choice([0, 0, -1, -2]) :])
        how = "In-Reply-To" if len(chain) == 1 and rng.random() < 0.5 else "References"
        return [f"Message-ID: <{ident}@sender.test>"] + ([f"{how}: {names}"] if chain else [])

    def check_names(self, names):
        """Of all folders; those that the server made by itself stay."""
        want = sorted([*self.boxes, *self.made])
        if sorted(names) != want:
            raise Fault(f"there are folders {sorted(names)}, not {want}")

    def turn(self, turn, names):
        """Takes the change of folders for done, if their names say so."""
        after = {*names}
        was = {*self.boxes, *self.made}
        will = (was - set(turn.names)) | {n for n in turn.names.values() if n}
        if after != will and (turn.certain or after != was):
            raise Fault(f"{turn.what}: of folders {sorted(was)} came {sorted(after)}, not {sorted(will)}")
        if after != will:
            return
        moved = {}
        for old, new in turn.names.items():
            box = self.boxes.pop(old, None)
            idents = {u: self.idents.pop((n, u)) for n, u in list(self.idents) if n == old}
            if box:
                past = self.buried.get((old, box.uidvalidity), (0, {}))[1]
                self.buried[(old, box.uidvalidity)] = (box.uidnext, {**past, **idents})
            moved[new] = (box, idents)
        for new, (box, idents) in moved.items():
            if new is not None:
                self.boxes[new] = box  # None: made, and to be read
                self.idents.update({(new, u): i for u, i in idents.items()})

    def check_born(self, name, new):
        """A folder that had another life under this name, or whose name had another folder."""
        uidnext, idents = self.buried.get((name, new.uidvalidity), (0, {}))
        if new.uidnext < uidnext:
            raise Fault(f"{name}: UIDVALIDITY {new.uidvalidity} is one that it had, with UIDNEXT {uidnext}, which is {new.uidnext} now")
        for uid, message in new.messages.items():
            if idents.get(uid, message.ident) != message.ident:
                raise Fault(f"{name}: UID {new.uidvalidity}.{uid} was message {idents[uid]}, is {message.ident}")

    def check_content(self, name, uid, content, size, date):
        ident = self.idents.get((name, uid))
        if ident is None:
            return  # it came during this burst
        if not content.endswith(self.contents[ident]):
            raise Fault(f"{name}: the content of UID {uid} is not that of {ident}: {content[:300]!r}")
        if size is not None and size != len(content):
            raise Fault(f"{name}: RFC822.SIZE of UID {uid} is {size}, BODY[] has {len(content)} bytes")
        known = self.boxes[name].messages.get(uid)
        if known and date is not None and date != known.date:
            raise Fault(f"{name}: INTERNALDATE of UID {uid} is {date}, was {known.date}")

    def check_moves(self, before, effects):
        """What an unanswered MOVE took away must be where it was to go. before: the boxes as they were."""
        for e in effects:
            if e.moved_to is None:
                continue
            others = [o for o in effects if o is not e and o.box == e.box]
            for uid in e.uids & set(before[e.box].messages):
                was = before[e.box].messages[uid]
                if uid in self.boxes[e.box].messages or GONE in outcomes(was.flags, others, uid):
                    continue
                fresh = set(self.boxes[e.moved_to].messages) - set(before[e.moved_to].messages)
                if not any(self.boxes[e.moved_to].messages[u].ident == was.ident for u in fresh):
                    raise Fault(f"{was.ident} left {e.box} by {e.what}, and never arrived")

    def check(self, name, new, effects, creations, killed=False):
        """Whether `new` may follow what was, and takes it as the truth."""
        old = self.boxes.get(name)
        self.check_born(name, new)
        if old is None and new.messages and name in self.boxes:
            raise Fault(f"{name} was just made, and has messages")
        if old is not None:
            self.check_box(name, old, new)
            self.check_old(name, old, new, [e for e in effects if e.box == name])
            self.check_new(name, old, new, [c for c in creations if c.box == name], killed)
        for uid, message in new.messages.items():
            known = self.idents.setdefault((name, uid), message.ident)
            if known != message.ident:
                raise Fault(f"{name}: UID {uid} was message {known} and is {message.ident} now")
        self.boxes[name] = new

    def check_box(self, name, old, new):
        if new.uidvalidity != old.uidvalidity:
            raise Fault(f"{name}: UIDVALIDITY {old.uidvalidity} became {new.uidvalidity}")
        if new.uidnext < old.uidnext:
            raise Fault(f"{name}: UIDNEXT fell from {old.uidnext} to {new.uidnext}")
        if new.messages and max(new.messages) >= new.uidnext:
            raise Fault(f"{name}: UIDNEXT {new.uidnext} is not beyond UID {max(new.messages)}")
        if None not in (old.highest, new.highest) and new.highest < old.highest:
            raise Fault(f"{name}: HIGHESTMODSEQ fell from {old.highest} to {new.highest}")
        for uid, message in new.messages.items():
            if None not in (new.highest, message.modseq) and message.modseq > new.highest:
                raise Fault(f"{name}: MODSEQ {message.modseq} of UID {uid} is beyond HIGHESTMODSEQ {new.highest}")

    def check_old(self, name, old, new, effects):
        for uid, was in old.messages.items():
            now = new.messages.get(uid)
            state = now.flags if now else GONE
            may = outcomes(was.flags, effects, uid)
            if state not in may:
                raise Fault(f"{name}: UID {uid} ({was.ident}) was {show(was.flags)}, is {show(state)}, may be "
                            f"{[show(s) for s in may]} by {[e.what for e in effects if uid in e.uids]}")  # fmt: skip
            if now and (now.date, now.size) != (was.date, was.size):
                raise Fault(f"{name}: UID {uid} ({was.ident}) was of {was.date} and {was.size} bytes, is of {now.date} and {now.size}")
            if now and None not in (now.modseq, was.modseq):
                if now.modseq < was.modseq or (now.modseq == was.modseq and now.flags != was.flags):
                    raise Fault(f"{name}: UID {uid}: {show(was.flags)} had MODSEQ {was.modseq}, {show(now.flags)} has {now.modseq}")

    def check_new(self, name, old, new, creations, killed):
        fresh = {uid: m for uid, m in new.messages.items() if uid not in old.messages}
        for uid, m in fresh.items():
            if uid < old.uidnext:
                raise Fault(f"{name}: a new message {m.ident} has UID {uid}, though UIDNEXT was {old.uidnext}")
        for c in creations:
            if c.uid is not None:
                self.idents.setdefault((name, c.uid), c.ident)
                if c.uid < old.uidnext:
                    raise Fault(f"{name}: {c.ident} was given UID {c.uid}, though UIDNEXT was {old.uidnext}")
                if c.least and (c.uid not in fresh or fresh[c.uid].ident != c.ident):
                    raise Fault(f"{name}: {c.ident} is not at UID {c.uid}, which the server named")
        for ident in {m.ident for m in fresh.values()} | {c.ident for c in creations}:
            found = [m for m in fresh.values() if m.ident == ident]
            made = [c for c in creations if c.ident == ident]
            least, most = sum(c.least for c in made), sum(c.most for c in made)
            if not least <= len(found) <= most:
                raise Fault(f"{name}: {ident} appeared {len(found)} times, not {least} to {most}")
            for m in found:
                if not any(c.fits(m) for c in made):
                    may = [([show(f) for f in c.flags or []], c.date or f"from {c.begun} on") for c in made]
                    raise Fault(f"{name}: {ident} came with {show(m.flags)} of {m.date}, not one of {may}")


def show(flags):
    return "gone" if flags is GONE else "(" + " ".join(sorted(flags)) + ")"

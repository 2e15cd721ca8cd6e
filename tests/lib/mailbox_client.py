"""Sessions of the model-based test: each command is a generator that sends, yields, and at last
gives (effects, creations), what the model is to expect. So several are under way at once.
"""
import imap
from mailbox_folders import Folders
from mailbox_queries import Queries
from mailbox_view import Fault, View
from mailbox_world import Creation, Effect, expunge, remove, seconds, set_flags

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "project-x"]
KEEPS_NUMBERS = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")
GONE = (ConnectionError, OSError)


def some_date(rng):
    """For APPEND: in this zone and that, years and days apart."""
    day = f"{rng.randint(1, 3):2}-{rng.choice(['Jan', 'Feb', 'Dec'])}-{rng.choice([1968, 1999, 2026, 2026, 2040])}"
    return f"{day} {rng.randint(0, 23):02}:{rng.choice(['00:00', '59:59', '30:01'])} {rng.choice(['+0000', '+0100', '-1130', '+1400'])}"


class Snapshot:
    """What a client knew of a folder, whole, at a moment: for QRESYNC."""

    def __init__(self, folder, uidvalidity, highest, flags):
        self.folder, self.uidvalidity, self.highest, self.flags = folder, uidvalidity, highest, dict(flags)


class Client(Queries, Folders):
    """solo: whether its command is the only one under way, so that the server's word is exact."""

    def __init__(self, name, target, user, password, world, log):
        self.name, self.target, self.user, self.password = name, target, user, password
        self.world, self.log = world, log
        self.imap = self.idling = None
        self.view = View()
        self.dead, self.read_only, self.solo = True, False, True
        self.snapshots = []

    # ---- connection

    def connect(self, rng):
        tls = rng.random() < 0.25
        port = self.target.imaps if tls else self.target.imap
        self.imap = imap.Imap(self.target.host, port, tls, untagged=lambda r: self.view.told(r), log=Lines(self.log, self.name))
        self.imap.login(self.user, self.password)
        self.dead, self.idling, self.read_only = False, None, False
        mode = rng.choice(["", "CONDSTORE", "QRESYNC", "QRESYNC", "IMAP4REV2"])
        self.view.condstore = self.view.qresync = self.view.rev2 = False
        if mode in self.imap.capabilities:
            enabled = [w for r in self.imap.ok("ENABLE", mode).untagged if r.word == "ENABLED" for w in r.value]
            if mode not in enabled:
                raise Fault(f"ENABLE {mode} was not granted: {enabled}")
            self.view.condstore = mode in ("CONDSTORE", "QRESYNC")
            self.view.qresync = mode == "QRESYNC"
            self.imap.utf8 = self.view.rev2 = mode == "IMAP4REV2"

    def disconnect(self):
        if self.imap:
            self.imap.close()
        self.dead, self.idling = True, None
        self.view.reset(None)

    def start(self, *words):
        """The command's tag; None: the server is gone."""
        verb = words[0].split(" ")[0]
        self.view.expunge_allowed = verb not in KEEPS_NUMBERS
        self.view.fetching = "FETCH" in words[0]
        try:
            return self.imap.begin(*words)
        except GONE:
            self.dead = True
            return None

    def finish(self, tag):
        if tag is None:
            return None
        try:
            result = self.imap.end(tag)
        except GONE:
            self.dead = True
            return None
        self.view.expunge_allowed = False
        if result.status == "BAD":
            raise Fault(f"{self.name}: BAD {result.text}")
        return result

    def run(self, *words):
        return self.finish(self.start(*words))

    def catch_up(self):
        """Asks for the names and flags of messages that were only counted."""
        while not self.dead and not self.idling and self.view.folder and self.view.unknown():
            before = self.view.unknown()
            self.run("FETCH", imap.compact(before), "(UID FLAGS MODSEQ)" if self.view.condstore else "(UID FLAGS)")
            if not self.dead and set(before) & set(self.view.unknown()):
                # They may be gone; then a NOOP tells so.
                self.run("NOOP")
                if len(self.view.unknown()) >= len(before):
                    raise Fault(f"{self.name}: FETCH says nothing of {before}, and NOOP does not expunge them")

    def some(self, rng, most=5):
        """Numbers of a few messages, in view."""
        count = len(self.view.messages)
        return sorted(rng.sample(range(1, count + 1), min(count, rng.randint(1, most)))) if count else []

    def chosen(self, rng):
        """(prefix of the command, set, uids), by number or by UID."""
        numbers = self.some(rng)
        uids = [self.view.messages[n - 1].uid for n in numbers]
        saved = self.view.saved & {*self.view.uids()} if self.view.saved else None
        if saved and rng.random() < 0.3:
            return rng.choice(["", "UID "]), "$", sorted(saved)
        if rng.random() < 0.5:
            return "", imap.compact(numbers), uids
        more = [max(uids) + 10000000] if rng.random() < 0.1 else []
        return "UID ", imap.compact(uids + more), uids

    # ---- commands

    def do_noop(self, rng):
        tag = self.start("NOOP")
        yield
        self.finish(tag)
        return [], []

    def do_store(self, rng):
        prefix, numbers, uids = self.chosen(rng)
        how, silent = rng.choice(["+", "+", "-", ""]), rng.random() < 0.3
        flags = frozenset(rng.sample(FLAGS, rng.randint(0 if how == "" else 1, 3)))
        since, modifier = None, []
        if self.view.condstore and rng.random() < 0.4:
            known = [m.modseq for m in self.view.messages if m.uid in uids and m.modseq]
            since = rng.choice((known or [1]) + [(self.view.highest or 1)]) - rng.choice([0, 0, 1])
            modifier = [f"(UNCHANGEDSINCE {max(since, 0)})"]
        order = [m.uid for m in self.view.messages]
        tag = self.start(prefix + "STORE", numbers, *modifier, f"{how}FLAGS{'.SILENT' if silent else ''}", f"({' '.join(sorted(flags))})")
        yield
        result = self.finish(tag)
        certain = result is not None and result.status == "OK"
        modified = []
        if result is not None and result.code == "MODIFIED":
            modified = result.args if prefix else [order[n - 1] for n in result.args]
            if since is None or not set(modified) <= set(uids):
                raise Fault(f"{self.name}: MODIFIED {modified} of {uids}")
        if certain and since is not None and self.solo:
            self.check_modified(uids, since, modified)
        if certain and silent:
            self.apply_silently([u for u in uids if u not in modified], how, flags)
        what = f"{self.name} {how}FLAGS {sorted(flags)}"
        return [Effect(self.view.folder, [u for u in uids if u not in modified], set_flags(how, flags), certain, what)], []

    def check_modified(self, uids, since, modified):
        truth = self.world.boxes[self.view.folder].messages
        want = {u for u in uids if u in truth and truth[u].modseq > since}
        if want != {u for u in modified if u in truth}:
            found = {u: truth[u].modseq for u in uids if u in truth}
            raise Fault(f"{self.name}: UNCHANGEDSINCE {since} of {found}: MODIFIED {modified}")

    def apply_silently(self, uids, how, flags):
        for m in self.view.messages:
            if m.uid in uids and m.flags is not None:
                m.flags = set_flags(how, flags)(m.flags)[0] if self.solo else None

    def do_copy(self, rng):
        return (yield from self.copy(rng, False))

    def do_move(self, rng):
        return (yield from self.copy(rng, True))

    def copy(self, rng, move):
        prefix, numbers, uids = self.chosen(rng)
        box = self.view.folder
        others = [b for b in self.world.boxes if not move or b != box]
        to = rng.choice(others)
        tag = self.start(prefix + ("MOVE" if move else "COPY"), numbers, to.encode())
        yield
        result = self.finish(tag)
        what = f"{self.name} {'MOVE' if move else 'COPY'} to {to}"
        if result is None:
            effects = [Effect(box, uids, remove, False, what, moved_to=to)] if move else []
            return effects, [self.creation(to, box, u, None, 0) for u in uids]
        # RFC 6851: MOVE tells COPYUID in an untagged OK; COPY in its own.
        codes = [r.value for r in result.untagged if r.word == "OK" and r.value.code == "COPYUID"] + ([result] if result.code == "COPYUID" else [])
        pairs = [pair for c in codes for pair in zip(c.args[1], c.args[2])]
        if not {a for a, _ in pairs} <= set(uids) or len({a for a, _ in pairs}) != len(pairs):
            raise Fault(f"{self.name}: COPYUID of {pairs}, asked for {uids}")
        if result.status != "OK" and pairs:
            raise Fault(f"{self.name}: {result.status} with COPYUID")
        there = [u for u in uids if u in self.world.boxes[box].messages]
        if self.solo and result.status == "OK" and sorted(a for a, _ in pairs) != sorted(there):
            raise Fault(f"{self.name}: COPYUID of {pairs}, there were {there}")
        effects = [Effect(box, [a for a, _ in pairs], remove, True, what)] if move else []
        return effects, [self.creation(to, box, a, b, 1) for a, b in pairs]

    def creation(self, to, box, source, uid, least):
        made = Creation(to, self.world.idents[(box, source)], None, uid, least)
        made.source = (box, source)
        return made

    def do_expunge(self, rng):
        box, wanted, words = self.view.folder, None, ["EXPUNGE"]
        if rng.random() < 0.5:
            wanted = {self.view.messages[n - 1].uid for n in self.some(rng, 20)}
            words = ["UID EXPUNGE", imap.compact(wanted)]
        effects = self.expunges(box, wanted, words[0])
        tag = self.start(*words)
        yield
        result = self.finish(tag)
        for e in effects:
            e.certain = result is not None and result.status == "OK"
        return effects, []

    def expunges(self, box, wanted, what):
        all_uids = set(self.world.boxes[box].messages)
        known = {u for u in all_uids if self.view.has_deleted(u)}
        if wanted is not None:
            known, all_uids = known & wanted, all_uids & wanted
        what = f"{self.name} {what}"
        return [Effect(box, known, expunge(True), True, what), Effect(box, all_uids - known, expunge(False), True, what)]

    def do_close(self, rng):
        box = self.view.folder
        effects = [] if self.read_only else self.expunges(box, None, "CLOSE")
        tag = self.start("CLOSE")
        yield
        result = self.finish(tag)
        for e in effects:
            e.certain = result is not None and result.status == "OK"
        self.view.reset(None)
        return effects, []

    def do_append(self, rng):
        to = rng.choice(list(self.world.boxes))
        count = rng.randint(2, 3) if "MULTIAPPEND" in self.imap.capabilities and rng.random() < 0.3 else 1
        words, made = ["APPEND", to.encode()], []
        for _ in range(count):
            ident, content = self.world.new_message(rng)
            flags = frozenset(rng.sample([f for f in FLAGS if f != "\\Deleted"], rng.randint(0, 2)))
            date = rng.choice([None, some_date(rng)])
            made.append(Creation(to, ident, {flags}, date=date and seconds(date)))
            words += [f"({' '.join(sorted(flags))})"] + ([f'"{date}"'] if date else [])
            words += [imap.Literal(content)]
        tag = self.start(*words)
        yield
        result = self.finish(tag)
        if result is None:
            for c in made:
                c.least = 0
            return [], made
        if result.status != "OK" or result.code != "APPENDUID":
            raise Fault(f"{self.name}: APPEND: {result.status} {result.code} {result.text}")
        uids = result.args[1]
        if len(uids) != len(made):
            raise Fault(f"{self.name}: APPENDUID {uids} for {len(made)} messages")
        for c, uid in zip(made, uids):
            c.uid = uid
        return [], made

    def do_fetch(self, rng):
        """Content, as it was sent; those that are gone may be missing."""
        prefix, numbers, uids = self.chosen(rng)
        tag = self.start(prefix + "FETCH", numbers, "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[])")
        yield
        result = self.finish(tag)
        box, got = self.view.folder, {}
        for r in result.untagged if result else []:
            if r.word == "FETCH" and r.value[1].get("BODY[]"):
                got[r.value[1]["UID"]] = r.value[1]
        for uid, items in got.items():
            self.world.check_content(box, uid, items["BODY[]"], items.get("RFC822.SIZE"), seconds(items["INTERNALDATE"]))
        there = [u for u in uids if u in self.world.boxes[box].messages]
        if result and self.solo and not set(there) <= set(got):
            raise Fault(f"{self.name}: FETCH of {uids} gave {sorted(got)}, there are {there}: {result.status} {result.text}")
        return [], []

    def do_idle(self, rng):
        try:
            self.view.expunge_allowed = True
            self.idling = self.imap.idle()
        except GONE:
            self.dead = True
        yield
        return [], []

    def end_idle(self):
        tag, self.idling = self.idling, None
        try:
            self.imap.done(tag)
        except GONE:
            self.dead = True
        self.view.expunge_allowed = False

    def hear(self):
        """Reads what came while idle."""
        try:
            self.imap.listen(0)
        except GONE:
            self.dead = True

    def do_select(self, rng):
        """Anew, or with what was known once (RFC 7162, 3.2.5)."""
        box = rng.choice(list(self.world.boxes))
        self.read_only = rng.random() < 0.1
        words = ["EXAMINE" if self.read_only else "SELECT", box.encode()]
        past = [s for s in self.snapshots if s.folder == box and s.uidvalidity == self.world.boxes[box].uidvalidity]
        known = rng.choice(past) if past and self.view.qresync and rng.random() < 0.8 else None
        if known:
            uids = f" {imap.compact(known.flags)}" if known.flags and rng.random() < 0.7 else ""
            words.append(f"(QRESYNC ({known.uidvalidity} {known.highest}{uids}))")
        elif not self.view.condstore and "CONDSTORE" in self.imap.capabilities and rng.random() < 0.2:
            words.append("(CONDSTORE)")
            self.view.condstore = True
        self.view.reset(box, True)
        tag = self.start(*words)
        yield
        result = self.finish(tag)
        self.view.selecting = False
        if result is None:
            return [], []
        if result.status != "OK":
            raise Fault(f"{self.name}: SELECT {box}: {result.status} {result.text}")
        if result.code != ("READ-ONLY" if self.read_only else "READ-WRITE"):
            raise Fault(f"{self.name}: {words[0]} gave {result.code}")
        if known:
            self.resync(known, bool(uids))
        return [], []

    def resync(self, known, named):
        """What was known, less what vanished, and what was fetched make up the whole; but for
        newer messages, where the client named those that it asks for."""
        fetched = {m.uid: m for m in self.view.messages if m.uid is not None}
        vanished = self.view.vanished_earlier
        if vanished & set(fetched):
            raise Fault(f"{self.name}: VANISHED (EARLIER) and fetched: {vanished & set(fetched)}")
        uids = sorted((set(known.flags) - vanished) | set(fetched))
        if not (len(uids) <= len(self.view.messages) if named else len(uids) == len(self.view.messages)):
            raise Fault(f"{self.name}: QRESYNC since {known.highest}: {len(uids)} messages by its words {uids}, {len(self.view.messages)} by EXISTS; "
                        f"vanished {sorted(vanished)}, known {sorted(known.flags)}, fetched {sorted(fetched)}")  # fmt: skip
        for m, uid in zip(self.view.messages, uids):
            if m.uid not in (None, uid):
                raise Fault(f"{self.name}: QRESYNC: {m.uid} where {uid} must be")
            m.uid = uid
            if m.flags is None:
                m.flags = known.flags.get(uid)

    def compare(self):
        """After a NOOP, and while nobody does anything: what was told must be the truth."""
        box = self.world.boxes[self.view.folder]
        if self.view.uids() != sorted(box.messages):
            return f"{self.name} sees UIDs {self.view.uids()} in {self.view.folder}, there are {sorted(box.messages)}"
        truth = {u: m.flags for u, m in box.messages.items()}
        if self.view.flags() != truth:
            differ = {u: (sorted(f), sorted(truth[u])) for u, f in self.view.flags().items() if f != truth[u]}
            return f"{self.name} sees other flags in {self.view.folder} than there are: {differ}"
        return None

    def remember(self):
        box = self.world.boxes[self.view.folder]
        if box.highest is not None:
            self.snapshots.append(Snapshot(self.view.folder, box.uidvalidity, box.highest, self.view.flags()))
            del self.snapshots[:-30]


class Lines:
    """A log that all sessions share."""

    def __init__(self, log, name):
        self.log, self.name = log, name

    def append(self, line):
        self.log.append(f"{self.name} {line}")
        if len(self.log) > 4000:
            del self.log[:2000]

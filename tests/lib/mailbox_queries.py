"""Commands of the model-based test that only ask: exact where nobody else is at it."""
import imap
import mailbox_order
from mailbox_keys import Keys
from mailbox_view import Fault, plain

RETURNS = ("MIN", "MAX", "ALL", "COUNT", "SAVE", "SAVE")
STATUS = "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"


class Queries:
    """Of mailbox_client.Client."""

    def ask_folder(self, rng, make, saved=None):
        """make(criteria): the command's words behind UID. Gives (the result, uid or not, numbers or
        UIDs that match, {number or UID: content}); None where there is nothing to compare. saved: what
        "$" stands for, as Keys has it."""
        if self.solo:
            self.run("NOOP")
            self.catch_up()
        if self.dead:
            return None
        box = self.view.folder
        keys = Keys(rng, self.world, box, self.view, saved)
        criteria, matches = keys.draw()
        self.asks_modseq = keys.modseq
        self.by_uid = uid = rng.random() < 0.5
        words = make(criteria)
        tag = self.start(("UID " if uid else "") + words[0], *words[1:])
        yield
        result = self.finish(tag)
        if result is None or not self.solo:
            return None
        if result.status != "OK":
            raise Fault(f"{self.name}: {' '.join(words)}: {result.status} {result.text}")
        truth = self.world.boxes[box].messages
        found = {m.uid if uid else n: truth[m.uid] for n, m in enumerate(self.view.messages, 1) if m.uid in truth and matches(m.uid, truth[m.uid])}
        return result, words, found

    def compare_answer(self, words, got, want):
        if got != want:
            raise Fault(f"{self.name}: {' '.join(words)} gave {got}, not {want}")

    def do_search(self, rng):
        """In its plain form, or with RETURN (RFC 4731 and 5182)."""
        options = None
        if "SEARCHRES" in self.imap.capabilities and rng.random() < 0.6:
            options = set(rng.sample(RETURNS, rng.randint(0, 3)))
        words = [] if options is None else ["RETURN", f"({' '.join(sorted(options))})"]
        before, self.view.saved = self.view.saved, None if options and "SAVE" in options else self.view.saved
        asked = yield from self.ask_folder(rng, lambda criteria: ["SEARCH", *words, criteria], before)
        if not asked:
            return [], []
        result, words, found = asked
        got = [r for r in result.untagged if r.word in ("SEARCH", "ESEARCH")]
        if options is not None or self.view.rev2:
            options = options or {"ALL"}
            self.compare_answer(words, [r.value[2] for r in got], [self.extended(options, found)] * (options != {"SAVE"}))
        else:
            self.compare_answer(words, [(sorted(r.value[0]), r.value[1]) for r in got], [(sorted(found), self.highest(found))])
        if "SAVE" in (options or ()):
            ends = options & {"MIN", "MAX"} and not options & {"ALL", "COUNT"}
            kept = {f({*found}) for word, f in (("MIN", min), ("MAX", max)) if word in options and found} if ends else {*found}
            self.view.saved = {n if self.by_uid else self.view.messages[n - 1].uid for n in kept}
        return [], []

    def extended(self, options, found):
        """What ESEARCH says of them."""
        want = {"COUNT": len(found)} if "COUNT" in options else {}
        if found:
            told = {"MIN": min(found), "MAX": max(found), "ALL": sorted(found)}
            want.update({word: told[word] for word in told if word in options})
            ends = {told[word] for word in ("MIN", "MAX") if word in options}
            of = {n: found[n] for n in ends} if ends and not options & {"ALL", "COUNT"} else found
            want.update({"MODSEQ": self.highest(of)} if self.asks_modseq else {})
        return want

    def highest(self, found):
        return max(m.modseq for m in found.values()) if found and self.asks_modseq else None

    def mails(self, found):
        return {n: mailbox_order.stored(self.world.contents[m.ident], m) for n, m in found.items()}

    def do_sort(self, rng):
        keys = rng.sample(sorted(mailbox_order.KEYS), rng.randint(1, 3))
        order = [(rng.random() < 0.4, k) for k in keys]
        said = " ".join(f"REVERSE {k}" if reverse else k for reverse, k in order)
        asked = yield from self.ask_folder(rng, lambda criteria: ["SORT", f"({said})", "UTF-8", criteria], self.view.saved)
        if asked:
            result, words, found = asked
            got = [(list(r.value[0]), r.value[1]) for r in result.untagged if r.word == "SORT"]
            self.compare_answer(words, got, [(mailbox_order.sort(found, self.mails(found), order), self.highest(found))])
        return [], []

    def do_thread(self, rng):
        kind, compute = rng.choice([("REFERENCES", mailbox_order.references), ("ORDEREDSUBJECT", mailbox_order.ordered_subject)])
        asked = yield from self.ask_folder(rng, lambda criteria: ["THREAD", kind, "UTF-8", criteria], self.view.saved)
        if asked:
            result, words, found = asked
            got = [r.value for r in result.untagged if r.word == "THREAD"]
            self.compare_answer(words, got, [compute(found, self.mails(found))])
        return [], []

    def do_changed(self, rng):
        """CHANGEDSINCE of RFC 7162: those and no others, each with its MODSEQ."""
        known = [m.modseq for m in self.world.boxes[self.view.folder].messages.values() if m.modseq is not None]
        since = max(1, rng.choice(known or [1]) - rng.choice([0, 0, 1]))
        if not known or "CONDSTORE" not in self.imap.capabilities:
            return (yield from self.do_noop(rng))
        if self.solo:
            self.run("NOOP")
            self.catch_up()
        self.view.condstore = True  # the command turns it on
        tag = self.start("UID FETCH", "1:*", "(FLAGS)", f"(CHANGEDSINCE {since})")
        yield
        result = self.finish(tag)
        if result is None or not self.solo:
            return [], []
        truth = self.world.boxes[self.view.folder].messages
        told = [r.value[1] for r in result.untagged if r.word == "FETCH"]
        got = {items["UID"]: (plain(items["FLAGS"]), items["MODSEQ"]) for items in told}
        self.compare_answer([f"CHANGEDSINCE {since}"], got, {u: (m.flags, m.modseq) for u, m in truth.items() if m.modseq > since})
        return [], []

    # ---- of folders

    def check_status(self, result, boxes):
        """Each is told of once, and as it is."""
        told = [r.value for r in result.untagged if r.word == "STATUS"]
        names = [name.decode() for name, _ in told if name.decode() in self.world.boxes]
        if sorted(names) != sorted(boxes):
            raise Fault(f"{self.name}: STATUS of {names}, asked for {boxes}")
        for name, found in told:
            truth = self.world.boxes.get(name.decode())
            if truth is None or name.decode() == self.view.folder:  # of its own folder: as seen
                continue
            want = {"MESSAGES": len(truth.messages), "UIDNEXT": truth.uidnext, "UIDVALIDITY": truth.uidvalidity,
                    "UNSEEN": sum("\\Seen" not in m.flags for m in truth.messages.values())}  # fmt: skip
            if found != want:
                raise Fault(f"{self.name}: STATUS {name} {found}, not {want}")

    def do_status(self, rng):
        box = rng.choice(list(self.world.boxes))
        tag = self.start("STATUS", box.encode(), STATUS)
        yield
        result = self.finish(tag)
        if result and self.solo:
            self.check_status(result, [box])
        return [], []

    def do_list(self, rng):
        """LIST-STATUS (RFC 5819): all folders, and what is in them."""
        tag = self.start("LIST", '""', "*", "RETURN", f"(STATUS {STATUS})")
        yield
        result = self.finish(tag)
        if result and self.solo:
            self.world.check_names(imap.listed(result))
            self.check_status(result, list(self.world.boxes))
        return [], []

    def do_quota(self, rng):
        """RFC 9208: STORAGE in units of 1024 bytes of RFC822.SIZE, all folders together."""
        tag = self.start("GETQUOTAROOT", "INBOX")
        yield
        result = self.finish(tag)
        if result is None or not self.solo:
            return [], []
        used = {name: of[0] for r in result.untagged if r.word == "QUOTA" for name, of in r.value[1].items()}
        count = sum(len(b.messages) for b in self.world.boxes.values())
        size = sum(m.size for b in self.world.boxes.values() for m in b.messages.values())
        if used and "MESSAGE" in used and used["MESSAGE"] != count:
            raise Fault(f"{self.name}: a quota of {used}, there are {count} messages")
        if used and not (size + 1023) // 1024 == used["STORAGE"]:
            raise Fault(f"{self.name}: a quota of {used}, there are {size} bytes")
        return [], []

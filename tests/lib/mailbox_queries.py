"""Commands of the model-based test that only ask: exact where nobody else is at it."""
import imap
import mailbox_order
from mailbox_view import Fault

STATUS = "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"


class Queries:
    """Of mailbox_client.Client."""

    def ask_folder(self, rng, make):
        """make(criteria): the command's words behind UID. Gives (the result, uid or not, numbers or
        UIDs that match, {number or UID: content}); None where there is nothing to compare."""
        if self.solo:
            self.run("NOOP")
            self.catch_up()
        if self.dead:
            return None
        box = self.view.folder
        criteria, matches = self.world.search_key(rng, box, self.view)
        uid = rng.random() < 0.5
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
        asked = yield from self.ask_folder(rng, lambda criteria: ["SEARCH", criteria])
        if asked:
            result, words, found = asked
            got = [r.value[0] if r.word == "SEARCH" else r.value[2].get("ALL", []) for r in result.untagged if r.word in ("SEARCH", "ESEARCH")]
            self.compare_answer(words, [sorted(g) for g in got], [sorted(found)])
        return [], []

    def mails(self, found):
        return {n: mailbox_order.mail(self.world.contents[m.ident]) for n, m in found.items()}

    def do_sort(self, rng):
        keys = rng.sample(sorted(mailbox_order.KEYS), rng.randint(1, 3))
        order = [(rng.random() < 0.4, k) for k in keys]
        said = " ".join(f"REVERSE {k}" if reverse else k for reverse, k in order)
        asked = yield from self.ask_folder(rng, lambda criteria: ["SORT", f"({said})", "UTF-8", criteria])
        if asked:
            result, words, found = asked
            got = [list(r.value[0]) for r in result.untagged if r.word == "SORT"]
            self.compare_answer(words, got, [mailbox_order.sort(found, self.mails(found), order)])
        return [], []

    def do_thread(self, rng):
        kind, compute = rng.choice([("REFERENCES", mailbox_order.references), ("ORDEREDSUBJECT", mailbox_order.ordered_subject)])
        asked = yield from self.ask_folder(rng, lambda criteria: ["THREAD", kind, "UTF-8", criteria])
        if asked:
            result, words, found = asked
            got = [r.value for r in result.untagged if r.word == "THREAD"]
            self.compare_answer(words, got, [compute(found, self.mails(found))])
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
        size = sum(self.world.sizes.get((n, u), 0) for n, b in self.world.boxes.items() for u in b.messages)
        if used and "MESSAGE" in used and used["MESSAGE"] != count:
            raise Fault(f"{self.name}: a quota of {used}, there are {count} messages")
        if used and not (size + 1023) // 1024 == used["STORAGE"]:
            raise Fault(f"{self.name}: a quota of {used}, there are {size} bytes")
        return [], []

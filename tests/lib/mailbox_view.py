"""What one IMAP session was told of its folder, kept as RFC 9051 and 7162 want a client to keep it;
a `Fault` where what the server says can't be.
"""


class Fault(Exception):
    pass


class Told:
    """A message as told: None where nothing was said yet."""

    def __init__(self):
        self.uid = self.flags = self.modseq = None
        self.flags_modseq = None  # the one that came with the flags


def plain(flags):
    """Without \\Recent, which belongs to sessions."""
    return frozenset(flags) - {"\\Recent"}


class View:
    """expunge_allowed, fetching: set by whoever sends commands (RFC 9051, 7.5.1; RFC 7162, 3.2)."""

    def __init__(self, condstore=False, qresync=False, rev2=False):
        self.condstore, self.qresync, self.rev2 = condstore, qresync, rev2
        self.messages, self.folder, self.selecting = [], None, False
        self.expunge_allowed = self.fetching = False
        self.uidvalidity = self.uidnext = self.highest = None
        self.vanished_earlier = set()
        self.saved = set()  # UIDs that "$" stands for, or stood for before some vanished; None: not known

    def reset(self, folder, selecting=False):
        self.__init__(self.condstore, self.qresync, self.rev2)
        self.folder, self.selecting = folder, selecting

    def uids(self):
        return [m.uid for m in self.messages]

    def flags(self):
        return {m.uid: m.flags for m in self.messages}

    def unknown(self):
        """Numbers of messages whose UID or flags were not told."""
        return [n for n, m in enumerate(self.messages, 1) if m.uid is None or m.flags is None]

    def has_deleted(self, uid):
        return any(m.uid == uid and m.flags is not None and "\\Deleted" in m.flags for m in self.messages)

    def told(self, response):
        """Each untagged response, in order."""
        name = "on_" + response.word.lower()
        if hasattr(self, name):
            getattr(self, name)(response.value)

    def need_folder(self, what):
        if self.folder is None:
            raise Fault(f"{what} while no folder is selected")

    def on_ok(self, text):
        if text.code == "UIDVALIDITY":
            self.uidvalidity = text.args
        elif text.code == "UIDNEXT":
            self.uidnext = text.args
        elif text.code == "HIGHESTMODSEQ":
            if self.highest is not None and text.args < self.highest:
                raise Fault(f"HIGHESTMODSEQ fell from {self.highest} to {text.args}")
            self.highest = text.args
        elif text.code == "CLOSED":
            self.reset(self.folder, True)

    def on_exists(self, count):
        self.need_folder("EXISTS")
        if self.selecting:  # a last word about the folder before is none about this one
            self.messages = []
        if count < len(self.messages):
            raise Fault(f"EXISTS fell from {len(self.messages)} to {count}")
        while len(self.messages) < count:
            self.messages.append(Told())

    def is_of_before(self):
        return self.selecting and not self.messages

    def may_expunge(self, what):
        self.need_folder(what)
        if not self.expunge_allowed:
            raise Fault(f"{what} where messages must keep their numbers")

    def on_expunge(self, number):
        if self.is_of_before():
            return
        self.may_expunge("EXPUNGE")
        if self.qresync:
            raise Fault("EXPUNGE after ENABLE QRESYNC")
        if number > len(self.messages):
            raise Fault(f"EXPUNGE {number} of {len(self.messages)}")
        del self.messages[number - 1]

    def on_vanished(self, value):
        earlier, uids = value
        if not self.qresync:
            raise Fault("VANISHED without ENABLE QRESYNC")
        if earlier:
            self.vanished_earlier |= set(uids)
            return
        if self.is_of_before():
            return
        self.may_expunge("VANISHED")
        for uid in uids:
            del self.messages[self.place(uid)]

    def place(self, uid):
        """Where it is, or where one that was counted and never named may be it."""
        known = self.uids()
        if uid in known:
            return known.index(uid)
        after = next((n for n, u in enumerate(known) if u is not None and u > uid), len(known))
        if after == 0 or known[after - 1] is not None:
            raise Fault(f"VANISHED {uid}, which is not in view")
        return after - 1

    def on_fetch(self, value):
        number, items = value
        if self.is_of_before():
            return
        self.need_folder("FETCH")
        if number > len(self.messages):
            raise Fault(f"FETCH of {number} of {len(self.messages)}")
        message = self.messages[number - 1]
        if self.rev2 and "UID" not in items and not self.fetching:
            raise Fault(f"FETCH of {number} without UID, though IMAP4rev2 is on")
        if "UID" in items:
            self.name_it(number, message, items["UID"])
        modseq = items.get("MODSEQ")
        if modseq is not None and message.modseq is not None and modseq < message.modseq:
            raise Fault(f"MODSEQ of UID {message.uid} fell from {message.modseq} to {modseq}")
        if "FLAGS" in items:
            flags = plain(items["FLAGS"])
            if self.condstore and modseq is None and not self.fetching:
                raise Fault(f"flags of {number} without MODSEQ though CONDSTORE is on")
            changed = message.flags is not None and flags != message.flags
            if changed and None not in (modseq, message.flags_modseq) and modseq <= message.flags_modseq:
                raise Fault(f"UID {message.uid}: other flags, the same MODSEQ {modseq}")
            message.flags, message.flags_modseq = flags, modseq
        if modseq is not None:
            message.modseq = modseq

    def name_it(self, number, message, uid):
        if message.uid not in (None, uid):
            raise Fault(f"message {number} had UID {message.uid}, now {uid}")
        before = [m.uid for m in self.messages[: number - 1] if m.uid is not None]
        after = [m.uid for m in self.messages[number:] if m.uid is not None]
        if (before and before[-1] >= uid) or (after and after[0] <= uid):
            raise Fault(f"UID {uid} of message {number} does not ascend: {before[-1:]} {after[:1]}")
        message.uid = uid

"""Keys of SEARCH (RFC 9051, 6.4.4; RFC 7162; RFC 5182) as the model-based test draws them, and which
messages they are to find.
"""
import datetime

from mailbox_order import mail

FLAG_KEYS = (("\\Seen", "SEEN"), ("\\Flagged", "FLAGGED"), ("\\Deleted", "DELETED"), ("project-x", "KEYWORD project-x"))
DAY = 24 * 60 * 60
BY_DAY = {"BEFORE": lambda day, limit: day < limit, "ON": lambda day, limit: day == limit, "SINCE": lambda day, limit: day >= limit}


def spell(day):
    """A day of SEARCH, of its number since 1970."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).strftime("%-d-%b-%Y")


class Keys:
    """Each draws a key: (its words, a function of UID and Message). Of one folder as it is known.
    saved: UIDs that "$" stands for; None: not known here."""

    def __init__(self, rng, world, name, view, saved):
        self.rng, self.world, self.name, self.view, self.saved = rng, world, name, view, saved
        self.box = world.boxes[name]
        self.uids = sorted(self.box.messages) or [1]
        self.modseq = False  # one asks for MODSEQ, and it is told then

    def draw(self):
        """One key or two, within NOT and OR at times."""
        kind = self.rng.randrange(6)
        one, first = self.leaf()
        if kind > 3:
            return one, first
        if kind == 3:
            return f"NOT {one}", lambda u, m: not first(u, m)
        other, second = self.leaf()
        if kind == 2:
            return f"OR {one} {other}", lambda u, m: first(u, m) or second(u, m)
        return f"{one} {other}", lambda u, m: first(u, m) and second(u, m)

    def leaf(self):
        kinds = [self.flag, self.uid, self.body, self.text, self.header, self.size, self.size, self.arrival, self.arrival, self.sent]
        if self.box.highest is not None and self.view.condstore:
            kinds += [self.changed, self.changed]
        if self.saved is not None:
            kinds += [self.dollar] * 3
        return self.rng.choice(kinds)()

    def flag(self):
        flag, key = self.rng.choice(FLAG_KEYS)
        return key, lambda u, m: flag in m.flags

    def uid(self):
        uid = self.rng.choice(self.uids)
        return f"UID {uid}:*", lambda u, m: u >= uid or u == self.uids[-1]

    def body(self):
        word = self.rng.choice(self.world.words)
        return f"BODY {word}", lambda u, m: word in self.world.contents[m.ident].split(b"\r\n\r\n", 1)[1].decode()

    def text(self):
        part = self.rng.choice(self.world.words)[1:5]
        return f"TEXT {part.upper()}", lambda u, m: part in self.world.contents[m.ident].decode().lower()

    def header(self):
        ident = f"m{len(self.world.contents)}"
        return f"HEADER X-Id {ident}", lambda u, m: ident in m.ident

    def size(self):
        """At the size of a message, and one byte beside it."""
        size = self.box.messages[self.rng.choice(self.uids)].size if self.box.messages else 100
        size = max(0, size + self.rng.choice([-1, 0, 0, 1]))
        if self.rng.random() < 0.5:
            return f"LARGER {size}", lambda u, m: m.size > size
        return f"SMALLER {size}", lambda u, m: m.size < size

    def arrival(self):
        """By INTERNALDATE, which is told in UTC."""
        day = self.day([m.date // DAY for m in self.box.messages.values()])
        word = self.rng.choice(sorted(BY_DAY))
        return f"{word} {spell(day)}", lambda u, m: BY_DAY[word](m.date // DAY, day)

    def sent(self):
        """By the field Date, in its own zone."""
        days = {m.ident: mail(self.world.contents[m.ident]).day for m in self.box.messages.values()}
        day = self.day(sorted(days.values()))
        word = self.rng.choice(sorted(BY_DAY))
        return f"SENT{word} {spell(day)}", lambda u, m: BY_DAY[word](days[m.ident], day)

    def day(self, days):
        return self.rng.choice(days or [20000]) + self.rng.choice([-1, 0, 0, 1])

    def changed(self):
        since = max(1, self.rng.choice([m.modseq for m in self.box.messages.values()] or [1]) + self.rng.choice([0, 0, 1]))
        self.modseq = True
        return f"MODSEQ {since}", lambda u, m: m.modseq >= since

    def dollar(self):
        return self.rng.choice(["$", "UID $"]), lambda u, m: u in self.saved

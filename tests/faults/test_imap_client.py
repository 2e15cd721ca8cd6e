#!/usr/bin/env python3
"""The tests' own IMAP client (tests/lib/imap.py): it takes what the grammar allows and nothing else. A
client that took all would prove nothing about the server."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import imap  # noqa: E402
import postern  # noqa: E402
from mailbox_view import Fault, View  # noqa: E402

ENVELOPE = b'("Sun, 22 Nov 2026 12:00:00 +0000" {3}\r\n"x" (("Ann" NIL "a" "b.test")(NIL NIL "c" "d")) NIL NIL NIL NIL NIL NIL "<1@b>")'
TEXT = b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)'
GOOD = [
    b"* OK [UIDVALIDITY 7] text", b"* NO text", b"* BYE gone", b"* 0 EXISTS", b"* 3 EXPUNGE", b"* SEARCH", b"* SEARCH 1 2 (MODSEQ 4)",
    b'* ESEARCH (TAG "A1") UID ALL 1:3,5 COUNT 4', b"* ESEARCH", b"* VANISHED (EARLIER) 1:2,9", b"* VANISHED 3",
    b"* OK [COPYUID 1 1:2 3:4] done", b"* OK [HIGHESTMODSEQ 9223372036854775807] m", b'* LIST (\\HasNoChildren) "." INBOX',
    b'* LIST () NIL "a b" ("CHILDINFO" ("SUBSCRIBED"))', b"* THREAD (1 2 (3)(4 5))(6)", b"* THREAD ((1)(2))", b"* THREAD",
    b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2)", b"* STATUS {3}\r\na b (SIZE 4294967296)", b'* NAMESPACE (("" "/")) NIL NIL',
    b'* QUOTA "" (STORAGE 1 2)', b"* QUOTA r ()", b"* QUOTAROOT INBOX r", b'* ID ("name" "x" "y" NIL)', b"* ID NIL", b"* ENABLED",
    b"* 1 FETCH (FLAGS (\\Seen a) UID 3 MODSEQ (5) BODY[HEADER.FIELDS (X-Id)] {3}\r\nabc)", b"* 1 FETCH (BODY[] NIL)",
    b"* 1 FETCH (BODY[1.2.MIME]<3> \"x\" BINARY[1] ~{2}\r\n\0\0 BINARY.SIZE[1] 2)", b"* 1 FETCH (ENVELOPE " + ENVELOPE + b")",
    b"* 1 FETCH (BODYSTRUCTURE (" + TEXT + TEXT + b' "MIXED" ("BOUNDARY" "x") ("INLINE" NIL) ("en" "de") "loc"))',
    b'* 1 FETCH (BODYSTRUCTURE ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 ' + ENVELOPE + b" " + TEXT + b" 3))",
    b'* 1 FETCH (INTERNALDATE " 1-Feb-2026 10:00:00 +0100" RFC822.SIZE 0)',
]  # fmt: skip
BAD = [
    b"* 0 EXPUNGE", b"* 0 FETCH (UID 1)", b"* 1 FETCH (UID 0)", b"* 1 FETCH ()", b"* 1 FETCH (UID 1 UID 1)", b"* 1 FETCH (UID 4294967296)",
    b"* SEARCH 0", b"* SEARCH 1 ", b"* SEARCH  1", b"* FLAGS (a A)", b"* OK [COPYUID 1 1:2 3] x", b"* OK [UIDNEXT 0] x", b"* FOO", b"* 1 EXISTS ",
    b"* 1 FETCH (FLAGS (\\Seen) )", b"* 1 FETCH (FLAGS(\\Seen))", b"* 1 FETCH (BODY[HEADER] {3}\r\na\0b)", b"* 1 FETCH (BODY[0] NIL)",
    b"* 1 FETCH (BODY[MIME] NIL)", b"* 1 FETCH (ENVELOPE (NIL NIL NIL))", b"* 1 FETCH (ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL))",
    b"* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" () NIL NIL \"7BIT\" 3 1))", b"* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL NIL 3 1))",
    b"* 1 FETCH (BODY " + TEXT + b")", b'* 1 FETCH (INTERNALDATE "1-Feb-2026 10:00:00 +0100")', b"* THREAD (1 (2))", b"* THREAD ()",
    b"* VANISHED", b"* VANISHED 1:*", b'* LIST () ".." x', b"* STATUS INBOX ()x", b"* OK [CLOSED]x", b'* ESEARCH UID ALL 1 ALL 2',
    b"* OK t\xc3\xa4xt", b'* LIST () "/" "\xc3\xa4"', b"* NAMESPACE NIL NIL",
]  # fmt: skip


def grammar(count):
    for line in GOOD:
        try:
            imap.Parser(line).untagged()
            count.check(True, "")
        except imap.Ungrammatical as e:
            count.check(False, f"{line!r} is grammatical", e)
    for line in BAD:
        try:
            found = imap.Parser(line).untagged()
            count.check(False, f"{line!r} is refused", found)
        except imap.Ungrammatical:
            count.check(True, "")
    for n in range(len(GOOD[-3])):
        try:
            imap.Parser(GOOD[-3][:n]).untagged()
            count.check(False, f"cut off at {n}, it is refused")
        except imap.Ungrammatical:
            count.check(True, "")


def seen(lines, **more):
    """What a session's view says to responses; None: nothing."""
    view = View(**more)
    view.reset("INBOX")
    view.expunge_allowed = True
    try:
        for line in lines:
            if line == "no expunge":
                view.expunge_allowed = False
            else:
                view.told(imap.Parser(line).untagged())
    except Fault as e:
        return str(e)
    return None


def views(count):
    three = [b"* 3 EXISTS", b"* 1 FETCH (UID 4 FLAGS ())", b"* 2 FETCH (UID 6 FLAGS ())", b"* 3 FETCH (UID 9 FLAGS ())"]
    modseq = [b"* 1 EXISTS", b"* 1 FETCH (UID 4 FLAGS () MODSEQ (5))"]
    for lines, more, fault in (
        (three + [b"* 2 EXPUNGE", b"* 2 FETCH (UID 9)"], {}, None),
        (three + [b"* 4 EXPUNGE"], {}, "EXPUNGE 4 of 3"),
        (three + [b"* 2 EXISTS"], {}, "EXISTS fell"),
        (three + [b"* 2 EXPUNGE", b"* 2 FETCH (UID 6)"], {}, "had UID"),
        (three + ["no expunge", b"* 2 EXPUNGE"], {}, "keep their numbers"),
        (three + [b"* 4 EXISTS", b"* 4 FETCH (UID 8)"], {}, "does not ascend"),
        (three + [b"* 5 FETCH (UID 10)"], {}, "FETCH of 5 of 3"),
        (three + [b"* VANISHED 6"], {}, "without ENABLE"),
        (three + [b"* VANISHED 6", b"* 2 FETCH (UID 9)"], {"qresync": True}, None),
        (three + [b"* VANISHED 7"], {"qresync": True}, "not in view"),
        (three + [b"* 4 EXISTS", b"* VANISHED 11"], {"qresync": True}, None),
        (three + [b"* 1 EXPUNGE"], {"qresync": True}, "EXPUNGE after ENABLE"),
        (modseq + [b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (6))"], {"condstore": True}, None),
        (modseq + [b"* 1 FETCH (FLAGS (\\Seen) MODSEQ (5))"], {"condstore": True}, "the same MODSEQ"),
        (modseq + [b"* 1 FETCH (FLAGS () MODSEQ (4))"], {"condstore": True}, "fell from 5"),
        (modseq + [b"* 1 FETCH (FLAGS (\\Seen))"], {"condstore": True}, "without MODSEQ"),
    ):
        found = seen(lines, **more)
        count.check((found is None) == (fault is None) and (fault or "") in (found or ""), f"{lines[-2:]} {more}", found)


def main():
    count = postern.Counter("imapclient")
    grammar(count)
    views(count)
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

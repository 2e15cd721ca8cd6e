#!/usr/bin/env python3
"""Messages in UTF-8 for clients that don't read it (RFC 6858): all that IMAP and POP3 say of a
surrogate agrees with its bytes, whoever asked before, and after the role was killed; a client that
reads UTF-8 has the message itself.
"""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import imap  # noqa: E402
import mailnode  # noqa: E402
import postern  # noqa: E402

USER = "ann@here.test"
HEAD = "From: Jos\u00e9 <jos\u00e9@ex\u00e4mple.test>\r\nTo: ann@here.test\r\n"
MESSAGES = [
    "From: a@a.test\r\nSubject: plain\r\n\r\nplain\r\n",
    HEAD + "Subject: Gr\u00fc\u00dfe\r\n\r\nhello\r\n",
    HEAD + "Subject: \u65e5\u672c\u8a9e " + "\u65e5" * 60 + "\r\nX-Other: \u0416\r\n\r\nZeile \u00fc\r\n",
    HEAD + "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain;"
    " name=\"\u00fc.txt\"\r\nContent-Disposition: attachment; filename=\"\u00fc.txt\"\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    + HEAD + "Subject: in\u00fcre\r\n\r\ntwo\r\n--b--\r\n",
    HEAD + "Cc: \u00e4@b.test, c@d.test;\r\n group: x@y.test, \u00fc@z.test;\r\n\r\n",
    HEAD + "\r\n",
]  # fmt: skip
count = postern.Counter("surrogates")
uidls = []  # as first told: a message has one name, in whatever form it is shown


def session(node, utf8=False):
    def attempt():
        try:
            client = imap.Imap("127.0.0.1", node.ports["imap"])
            client.login(USER, mailnode.PASSWORD)
            return client
        except (OSError, imap.Refused):
            return None

    client = postern.until(attempt, 30)
    if utf8:
        client.ok("ENABLE UTF8=ACCEPT")
        client.utf8 = True
    client.ok("SELECT INBOX")
    return client


def text(value):
    return bytes(value) if value is not None else b""


def by_imap(client, label):
    """The bytes of each message; and all that is said of them. STATUS is of the longer of the two
    forms, as it may not be too little (RFC 8438)."""
    items = "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BINARY.SIZE[1] BINARY.PEEK[1] BODY.PEEK[]<0.40>)"
    found = {}
    for seq in range(1, len(MESSAGES) + 1):
        got = {k.upper(): v for k, v in client.fetch(str(seq), items)[seq].items()}
        whole = text(got["BODY[]"])
        count.check(int(got["RFC822.SIZE"]) == len(whole), f"{label} {seq}: RFC822.SIZE", (got["RFC822.SIZE"], len(whole)))
        count.check(text(got["BODY[HEADER]"]) + text(got["BODY[TEXT]"]) == whole, f"{label} {seq}: header and text are all")
        count.check(int(got["BINARY.SIZE[1]"]) == len(text(got["BINARY[1]"])), f"{label} {seq}: BINARY.SIZE")
        count.check(text(got["BODY[]<0>"]) == whole[:40], f"{label} {seq}: its beginning")
        found[seq] = whole
    total = sum(len(v) for v in found.values())
    said = str(client.ok("STATUS", "INBOX", "(MESSAGES SIZE)").untagged)
    size = re.search(r"SIZE\D+(\d+)", said)
    count.check(size and (int(size.group(1)) > total if client.utf8 else int(size.group(1)) == total), f"{label}: STATUS SIZE", (said, total))
    for seq, whole in found.items():
        hit = client.search(f"LARGER {len(whole) - 1} SMALLER {len(whole) + 1}")
        count.check(seq in hit, f"{label} {seq}: SEARCH by size", hit)
    return found


def lines(line, first):
    """What follows a positive answer, to its end, without the stuffing."""
    line.say(first + "\r\n")
    answer = line.file.readline()
    got = []
    while answer.startswith(b"+OK"):
        one = line.file.readline()
        if one in (b".\r\n", b""):
            break
        got.append(one[1:] if one.startswith(b".") else one)
    return answer, b"".join(got)


def by_pop3(node, utf8, label):
    line = mailnode.Line(node, "pop3")
    for command in (["UTF8"] if utf8 else []) + ["USER " + USER, "PASS " + mailnode.PASSWORD]:
        line.ask(command)
    found = {}
    listed = dict(map(int, row.split()) for row in lines(line, "LIST")[1].decode().splitlines())
    named = lines(line, "UIDL")[1].decode().splitlines()
    uidls[:] = uidls or named
    count.check(named == uidls and len({*named}) == len(MESSAGES), f"{label}: UIDL", (named, uidls))
    line.say("STAT\r\n")
    stat = list(map(int, line.read().split()[1:3]))
    for n, size in listed.items():
        answer, found[n] = lines(line, f"RETR {n}")
        count.check(size == len(found[n]), f"{label} {n}: LIST", (size, len(found[n])))
        count.check(found[n].startswith(lines(line, f"TOP {n} 0")[1]), f"{label} {n}: TOP")
    count.check(stat == [len(found), sum(len(v) for v in found.values())], f"{label}: STAT", stat)
    line.say("QUIT\r\n")
    return found


def ascii_only(found):
    return all(max(v, default=0) < 128 for v in (m.partition(b"\r\n\r\n")[0] for m in found.values()))


def compare(node, label):
    plain = session(node)
    shown = by_imap(plain, label)
    count.check(ascii_only(shown), f"{label}: no header has UTF-8")
    reader = session(node, utf8=True)
    whole = by_imap(reader, label + " UTF-8")
    count.check([whole[i + 1] for i in range(len(MESSAGES))] == [m.encode() for m in MESSAGES], f"{label}: as they came")
    count.check(by_pop3(node, False, label + " POP3") == shown, f"{label}: POP3 shows the same")
    count.check(by_pop3(node, True, label + " POP3 UTF8") == whole, f"{label}: and with UTF8")
    plain.close()
    reader.close()


def main():
    with mailnode.Node(mailbox="plain-login loopback") as node:
        writer = session(node, utf8=True)
        for message in MESSAGES:
            content = message.encode()
            tag = writer.begin("APPEND", "INBOX", f"UTF8 (~{{{len(content)}+}}")
            writer.send(content + b")\r\n")
            count.check(writer.end(tag).status == "OK", "APPEND")
        compare(node, "at once")
        os.kill(node.role("mailbox"), signal.SIGKILL)
        compare(node, "after a kill")
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

"""A strict IMAP client for tests (RFC 3501, 9051 and the extensions that Postern speaks). What a
server says is parsed whole, to Python values, and `Ungrammatical` is raised where the grammar
does not hold: a test that reads it with this module checks its form for nothing.

Strings are bytes, numbers int, NIL None, flags a frozenset of str; a response is a Response with
its word, and what the word's grammar says in `value`.
"""
import re
import select
import socket
import ssl
import time
from collections import namedtuple

Response = namedtuple("Response", "word value")  # of an untagged one; see RESPONSES below
Text = namedtuple("Text", "code args text")  # of OK, NO, BAD, BYE, PREAUTH: "[code args] text"
Result = namedtuple("Result", "status code args text untagged")  # of a command
Literal = namedtuple("Literal", "data")  # an argument that is sent as one, whatever it holds
Address = namedtuple("Address", "name adl mailbox host")
Envelope = namedtuple("Envelope", "date subject sent_from sender reply_to to cc bcc in_reply_to message_id")

ATOM = rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+'
DATE_TIME = rb'"[ 0-3][0-9]-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"'
SET = rb"[1-9][0-9]*(?::[1-9][0-9]*)?(?:,[1-9][0-9]*(?::[1-9][0-9]*)?)*"
SYSTEM_FLAGS = {f.lower(): f for f in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent", "\\*")}
STATUSES = ("OK", "NO", "BAD", "BYE", "PREAUTH")


class Ungrammatical(Exception):
    pass


class Refused(Exception):
    """A command that had to succeed did not."""


def expand(ranges):
    """The numbers of a parsed sequence set."""
    return [n for a, b in ranges for n in range(min(a, b), max(a, b) + 1)]


def compact(numbers):
    """A sequence set's text; "" for none."""
    out = []
    for n in sorted(set(numbers)):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in out)


class Parser:
    """One response, its literals included and without the last CRLF."""

    def __init__(self, data, utf8=False):
        self.data, self.at, self.utf8 = data, 0, utf8

    def fail(self, what):
        near = self.data[max(0, self.at - 40) : self.at] + b" >>> " + self.data[self.at : self.at + 60]
        raise Ungrammatical(f"{what} expected at byte {self.at} of {len(self.data)}: {near!r}")

    def match(self, pattern):
        found = re.compile(pattern, re.I).match(self.data, self.at)
        if found:
            self.at = found.end()
        return found

    def need(self, pattern, what):
        found = self.match(pattern)
        return found.group() if found else self.fail(what)

    def is_next(self, text):
        return self.data.startswith(text, self.at)

    def has(self, text):
        if self.is_next(text):
            self.at += len(text)
            return True
        return False

    def token(self, text):
        if not self.has(text):
            self.fail(repr(text.decode()))

    def sp(self):
        self.token(b" ")

    def end(self):
        if self.at != len(self.data):
            self.fail("the end")

    def number(self, least=0, bits=32):
        value = int(self.need(rb"[0-9]+", "a number"))
        if not least <= value < 1 << bits:
            self.fail(f"a number of {bits} bits, {least} at least")
        return value

    def modseq(self):
        return self.number(1, 63)

    def sequence_set(self):
        text = self.need(SET, "a sequence set").decode()
        return [(int(r.split(":")[0]), int(r.split(":")[-1])) for r in text.split(",")]

    def atom(self):
        return self.need(ATOM, "an atom").decode()

    def quoted(self):
        text = self.need(rb'"(?:[^"\\\r\n\x00]|\\["\\])*"', "a quoted string")
        if not self.utf8 and any(c > 127 for c in text):
            self.fail("7 bits in a quoted string")
        return re.sub(rb'\\(["\\])', rb"\1", text[1:-1])

    def literal(self):
        head = self.need(rb"~?\{[0-9]+\}\r\n", "a literal")
        size = int(head.strip(b"~{}\r\n"))
        data = self.data[self.at : self.at + size]
        if b"\0" in data and not head.startswith(b"~"):
            self.fail("no NUL in a literal")
        self.at += size
        return data

    def string(self, binary=False):
        if self.is_next(b'"'):
            return self.quoted()
        if self.is_next(b"{") or (binary and self.is_next(b"~{")):
            return self.literal()
        return self.fail("a string")

    def nstring(self, binary=False):
        return None if self.match(rb"NIL(?![^ )\]])") else self.string(binary)

    def astring(self):
        if self.is_next(b'"') or self.is_next(b"{"):
            return self.string()
        return self.need(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+', "an astring")

    def flag(self):
        text = self.need(rb"\\\*|\\?" + ATOM, "a flag").decode()
        return SYSTEM_FLAGS.get(text.lower(), text)

    def listed(self, item, empty=True):
        """( item SP item ... )"""
        self.token(b"(")
        found = []
        if empty and self.has(b")"):
            return found
        while True:
            found.append(item())
            if self.has(b")"):
                return found
            self.sp()

    def flags(self):
        found = self.listed(self.flag)
        if len({f.lower() for f in found}) != len(found):
            self.fail("each flag once")
        return frozenset(found)

    # ---- RFC 9051, 7.1: words with a text

    def text(self):
        code, args = None, None
        if self.has(b"["):
            code, args = self.code()
            self.token(b"]")
            if self.at < len(self.data):
                self.sp()
        rest = self.data[self.at :]
        if re.search(rb"[\r\n\x00]", rest) or (not self.utf8 and any(c > 127 for c in rest)):
            self.fail("text of 7 bits")
        self.at = len(self.data)
        return Text(code, args, rest.decode())

    def code(self):
        word = self.need(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+', "a code").decode().upper()
        if word in ("UIDNEXT", "UIDVALIDITY", "UNSEEN"):
            self.sp()
            return word, self.number(1)
        if word == "HIGHESTMODSEQ":
            self.sp()
            return word, self.modseq()
        if word == "PERMANENTFLAGS":
            self.sp()
            return word, self.flags()
        if word == "CAPABILITY":
            return word, self.words()
        if word == "BADCHARSET":
            return word, self.listed(self.astring, False) if self.has(b" ") else []
        if word == "APPENDUID":
            self.sp()
            validity = self.number(1)
            self.sp()
            return word, (validity, expand(self.sequence_set()))
        if word == "COPYUID":
            self.sp()
            validity = self.number(1)
            self.sp()
            source = self.sequence_set()
            self.sp()
            target = expand(self.sequence_set())
            if len(expand(source)) != len(target):
                self.fail("COPYUID with as many as were copied")
            return word, (validity, expand(source), target)
        if word == "MODIFIED":
            self.sp()
            return word, expand(self.sequence_set())
        if word in ("ALERT", "READ-ONLY", "READ-WRITE", "TRYCREATE", "CLOSED", "NOMODSEQ", "UIDNOTSTICKY", "PARSE"):
            return word, None
        return word, self.need(rb"[^\]\r\n\x00]*", "the code's text").decode().strip() or None

    def words(self):
        found = []
        while self.has(b" "):
            found.append(self.atom().upper())
        return found

    # ---- RFC 9051, 7.3 and on: data

    def mailbox(self):
        name = self.astring()
        return b"INBOX" if name.upper() == b"INBOX" else name

    def list(self):
        self.sp()
        flags = self.flags()
        self.sp()
        delimiter = self.nstring()
        if delimiter is not None and len(delimiter) != 1:
            self.fail("a delimiter of one letter")
        self.sp()
        name, more = self.mailbox(), {}
        if self.has(b" "):
            for key, value in self.listed(self.list_extended):
                more[key] = value
        return flags, delimiter, name, more

    def list_extended(self):
        key = self.astring().decode().upper()
        self.sp()
        return key, self.listed(self.astring) if self.is_next(b"(") else self.nstring()

    def status(self):
        self.sp()
        name = self.mailbox()
        self.sp()
        return name, dict(self.listed(self.status_item))

    def status_item(self):
        key = self.atom().upper()
        self.sp()
        bits = {"MESSAGES": 32, "RECENT": 32, "UIDNEXT": 32, "UIDVALIDITY": 32, "UNSEEN": 32, "DELETED": 32,
                "SIZE": 63, "HIGHESTMODSEQ": 63, "APPENDLIMIT": 32}
        if key not in bits:
            self.fail("a STATUS item")
        if key == "APPENDLIMIT" and self.match(rb"NIL"):
            return key, None
        return key, self.number(0, bits[key])

    def numbers(self):
        """SEARCH and SORT: numbers, and perhaps (MODSEQ n)."""
        found, modseq = [], None
        while self.has(b" "):
            if self.has(b"(MODSEQ "):
                modseq = self.modseq()
                self.token(b")")
                break
            found.append(self.number(1))
        return found, modseq

    def esearch(self):
        """tag, whether UIDs, {MIN MAX ALL COUNT MODSEQ}"""
        tag, uid, found = None, False, {}
        if self.has(b" ("):
            self.token(b"TAG ")
            tag = self.string()
            self.token(b")")
        if self.match(rb" UID(?= |$)"):
            uid = True
        while self.has(b" "):
            key = self.atom().upper()
            self.sp()
            if key in found:
                self.fail("each result once")
            if key == "ALL":
                found[key] = expand(self.sequence_set())
            elif key in ("MIN", "MAX", "COUNT"):
                found[key] = self.number(0 if key == "COUNT" else 1)
            elif key == "MODSEQ":
                found[key] = self.modseq()
            else:
                self.fail("a search result")
        return tag, uid, found

    def thread(self):
        """RFC 5256, 5: a list of threads; each a list of numbers and, at its end, of threads."""
        if not self.has(b" "):
            return []
        found = []
        while self.is_next(b"("):
            found.append(self.one_thread())
        return found

    def one_thread(self):
        self.token(b"(")
        found = []
        while True:
            if self.is_next(b"("):
                branches = []
                while self.is_next(b"("):
                    branches.append(self.one_thread())
                if len(branches) < 2:
                    self.fail("two branches at least")
                found.append(branches)
                break
            found.append(self.number(1))
            if not self.has(b" "):
                break
        self.token(b")")
        return found

    def vanished(self):
        self.sp()
        earlier = self.has(b"(EARLIER) ")
        return earlier, expand(self.sequence_set())

    def namespace(self):
        return [self.one_namespace() for _ in range(3)]

    def one_namespace(self):
        self.sp()
        if self.match(rb"NIL"):
            return None
        self.token(b"(")
        found = []
        while not self.has(b")"):
            self.token(b"(")
            prefix = self.string()
            self.sp()
            found.append((prefix, self.nstring()))
            self.token(b")")
        return found

    def quota(self):
        self.sp()
        root = self.astring()
        self.sp()
        return root, {name: (used, limit) for name, used, limit in self.listed(self.quota_resource)}

    def quota_resource(self):
        name = self.atom().upper()
        self.sp()
        used = self.number(0, 63)
        self.sp()
        return name, used, self.number(0, 63)

    def quotaroot(self):
        self.sp()
        name, roots = self.mailbox(), []
        while self.has(b" "):
            roots.append(self.astring())
        return name, roots

    def id(self):
        self.sp()
        if self.match(rb"NIL"):
            return None
        pairs = self.listed(self.nstring)
        if len(pairs) % 2:
            self.fail("pairs")
        return dict(zip(pairs[::2], pairs[1::2]))

    # ---- FETCH

    def fetch(self):
        self.sp()
        found = {}
        for key, value in self.listed(self.fetch_item, False):
            if key in found:
                self.fail(f"{key} once")
            found[key] = value
        return found

    def fetch_item(self):
        name = self.need(rb"BODYSTRUCTURE|BODY|BINARY\.SIZE|BINARY|[A-Z0-9.]+", "a FETCH item").decode().upper()
        if name in ("BODY", "BINARY", "BINARY.SIZE") and self.is_next(b"["):
            return self.fetch_section(name)
        self.sp()
        if name == "FLAGS":
            return name, self.flags()
        if name == "UID":
            return name, self.number(1)
        if name == "RFC822.SIZE":
            return name, self.number(0, 63)
        if name == "MODSEQ":
            return name, self.listed(self.modseq, False)[0]
        if name == "INTERNALDATE":
            return name, self.need(DATE_TIME, "a date-time")[1:-1].decode()
        if name == "ENVELOPE":
            return name, self.envelope()
        if name in ("BODY", "BODYSTRUCTURE"):
            return name, self.body(name == "BODYSTRUCTURE")
        if name in ("RFC822", "RFC822.HEADER", "RFC822.TEXT"):
            return name, self.nstring()
        return self.fail("a FETCH item")

    def fetch_section(self, name):
        self.token(b"[")
        section = self.need(rb"(?:[1-9][0-9]*(?:\.[1-9][0-9]*)*)?", "a section").decode()
        if name == "BODY":
            if section and self.has(b"."):
                section += "."
            if not section or section.endswith("."):
                words = rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT" + (rb"|MIME" if section else rb"")
                word = self.match(words)
                if word:
                    section += word.group().decode().upper()
                elif section.endswith("."):
                    self.fail("a section's word")
            if "FIELDS" in section:
                self.sp()
                section += " (" + " ".join(f.decode().upper() for f in self.listed(self.astring, False)) + ")"
        self.token(b"]")
        origin = self.match(rb"<([0-9]+)>") if name != "BINARY.SIZE" else None
        key = f"{name}[{section}]" + (origin.group().decode() if origin else "")
        self.sp()
        return key, self.number(0) if name == "BINARY.SIZE" else self.nstring(name == "BINARY")

    def envelope(self):
        self.token(b"(")
        fields = [self.nstring()]
        self.sp()
        fields.append(self.nstring())
        for _ in range(6):
            self.sp()
            fields.append(self.addresses())
        for _ in range(2):
            self.sp()
            fields.append(self.nstring())
        self.token(b")")
        return Envelope(*fields)

    def addresses(self):
        if self.match(rb"NIL"):
            return []
        self.token(b"(")
        found = []
        while True:
            parts = self.listed(self.nstring, False)
            if len(parts) != 4:
                self.fail("an address of four")
            found.append(Address(*parts))
            if self.has(b")"):
                return found

    def body(self, extended):
        self.token(b"(")
        part = self.multipart(extended) if self.is_next(b"(") else self.one_part(extended)
        self.token(b")")
        return part

    def multipart(self, extended):
        parts = []
        while self.is_next(b"("):
            parts.append(self.body(extended))
        self.sp()
        part = {"type": "multipart", "subtype": self.string().decode().lower(), "parts": parts}
        if extended and self.has(b" "):
            part["params"] = self.params()
            self.extension(part)
        return part

    def one_part(self, extended):
        kind = self.string().decode().lower()
        self.sp()
        part = {"type": kind, "subtype": self.string().decode().lower()}
        self.sp()
        part["params"] = self.params()
        for key in ("id", "description"):
            self.sp()
            part[key] = self.nstring()
        self.sp()
        part["encoding"] = self.string().decode().lower()
        self.sp()
        part["octets"] = self.number(0)
        if kind == "message" and part["subtype"] in ("rfc822", "global"):
            self.sp()
            part["envelope"] = self.envelope()
            self.sp()
            part["body"] = self.body(extended)
        if kind == "text" or "body" in part:
            self.sp()
            part["lines"] = self.number(0, 63)
        if extended and self.has(b" "):
            part["md5"] = self.nstring()
            self.extension(part)
        return part

    def params(self):
        if self.match(rb"NIL"):
            return {}
        flat = self.listed(self.string, False)
        if len(flat) % 2:
            self.fail("pairs of strings")
        return {k.decode("latin-1").lower(): v for k, v in zip(flat[::2], flat[1::2])}

    def extension(self, part):
        """Disposition, language, location, each with all before it (RFC 9051, body-ext-1part)."""
        if not self.has(b" "):
            return
        if self.match(rb"NIL"):
            part["disposition"] = None
        else:
            self.token(b"(")
            word = self.string().decode("latin-1").lower()
            self.sp()
            part["disposition"] = (word, self.params())
            self.token(b")")
        if not self.has(b" "):
            return
        part["language"] = self.listed(self.string, False) if self.is_next(b"(") else self.nstring()
        if self.has(b" "):
            part["location"] = self.nstring()

    # ---- a whole response

    def untagged(self):
        self.token(b"* ")
        if self.data[self.at : self.at + 1].isdigit():
            n = self.number()
            self.sp()
            word = self.atom().upper()
            if word == "FETCH":
                value = (n or self.fail("a sequence number"), self.fetch())
            elif word in ("EXISTS", "RECENT", "EXPUNGE"):
                value = n if n or word != "EXPUNGE" else self.fail("a sequence number")
            else:
                self.fail("EXISTS, RECENT, EXPUNGE or FETCH")
        else:
            word = self.atom().upper()
            if word in STATUSES:
                self.sp()
                value = self.text()
            elif word in RESPONSES:
                value = RESPONSES[word](self)
            else:
                self.fail("a response that is known")
        self.end()
        return Response(word, value)

    def tagged(self):
        """tag, status, Text"""
        tag = self.need(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+', "a tag").decode()
        self.sp()
        status = self.need(rb"OK|NO|BAD", "OK, NO or BAD").decode()
        self.sp()
        text = self.text()
        self.end()
        return tag, status, text


def sp_flags(parser):
    parser.sp()
    return parser.flags()


RESPONSES = {
    "CAPABILITY": Parser.words,
    "ENABLED": Parser.words,
    "LIST": Parser.list,
    "LSUB": Parser.list,
    "STATUS": Parser.status,
    "SEARCH": Parser.numbers,
    "SORT": Parser.numbers,
    "ESEARCH": Parser.esearch,
    "THREAD": Parser.thread,
    "FLAGS": sp_flags,
    "VANISHED": Parser.vanished,
    "NAMESPACE": Parser.namespace,
    "QUOTA": Parser.quota,
    "QUOTAROOT": Parser.quotaroot,
    "ID": Parser.id,
}


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def quote(data):
    """An argument: quoted where it may be, else a literal."""
    if len(data) < 1000 and all(32 <= c < 127 for c in data):
        return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(data)


class Imap:
    """One connection. untagged: a function that is given each untagged response as it is read,
    besides what `command` returns. log: a list that gets what was said, for a failure's sake."""

    def __init__(self, host, port, tls=False, seconds=60, untagged=None, log=None):
        self.sock = socket.create_connection((host, port), seconds)
        self.sock.settimeout(seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seconds, self.on_untagged, self.log = seconds, untagged, log
        self.buffer, self.tags, self.utf8 = bytearray(), 0, False
        self.pending = {}  # tag: Result's untagged, of commands under way
        self.capabilities = []
        self.loose = []  # untagged responses while no command was under way
        if tls:
            self.sock = unverified().wrap_socket(self.sock)
        greeting = Parser(self.read_response()).untagged()
        if greeting.word not in ("OK", "PREAUTH", "BYE"):
            raise Ungrammatical(f"a greeting: {greeting}")
        self.greeting = greeting
        self.note(greeting)

    # ---- bytes

    def fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("closed by the server")
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def line(self):
        start = 0
        while True:
            end = self.buffer.find(b"\r\n", start)
            if end >= 0:
                return self.take(end + 2)
            start = max(0, len(self.buffer) - 1)
            self.fill()

    def read_response(self):
        """The bytes of one, with literals, without its last CRLF."""
        line = self.line()
        found = [line]
        has_literals = line.startswith(b"* ") and line[2:].split(b" ")[0].strip().upper().decode("latin-1") not in STATUSES
        while has_literals:
            size = re.search(rb"\{([0-9]+)\}\r\n$", found[-1])
            if not size:
                break
            found.append(self.take(int(size.group(1))))
            found.append(self.line())
        response = b"".join(found)[:-2]
        outside = b"".join(found[::2]).replace(b"\r\n", b"")
        if b"\r" in outside or b"\n" in outside or b"\0" in outside:
            raise Ungrammatical(f"bare CR, LF or NUL: {outside[:200]!r}")
        if self.log is not None:
            self.log.append("S: " + response[:400].decode("latin-1"))
        return response

    def send(self, data):
        if self.log is not None:
            self.log.append("C: " + data[:300].decode("latin-1").rstrip())
        self.sock.sendall(data)

    # ---- responses

    def note(self, response):
        if response.word in ("OK", "PREAUTH") and response.value.code == "CAPABILITY":
            self.capabilities = response.value.args
        elif response.word == "CAPABILITY":
            self.capabilities = response.value
        for found in self.pending.values():
            found.append(response)
        if not self.pending:
            self.loose.append(response)
        if self.on_untagged:
            self.on_untagged(response)

    def step(self):
        """Reads one response: (tag, status, Text), "+" or a Response."""
        data = self.read_response()
        parser = Parser(data, self.utf8)
        if data.startswith(b"* "):
            response = parser.untagged()
            self.note(response)
            return response
        if data.startswith(b"+"):
            if data[1:2] not in (b" ", b""):
                parser.fail("a continuation")
            return "+"
        tag, status, text = parser.tagged()
        if tag not in self.pending:
            raise Ungrammatical(f"a tag that nobody waits for: {data!r}")
        if text.code == "CAPABILITY":
            self.capabilities = text.args
        return tag, status, text

    def ready(self, seconds):
        """Whether the server says something within that time."""
        if self.buffer or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            return True
        return bool(select.select([self.sock], [], [], max(0, seconds))[0])

    # ---- commands

    def begin(self, *words):
        """Sends a command and returns its tag. str: as it stands; bytes: as a string, quoted if it
        may be; Literal: as a literal, for which the server's word is waited. Between words: a space."""
        self.tags += 1
        tag = f"T{self.tags}"
        self.pending[tag] = []
        line = tag.encode()
        for word in words:
            if isinstance(word, bytes):
                word = quote(word)
            if isinstance(word, str):
                line += b" " + word.encode()
            elif isinstance(word, Literal):
                refused = self.send_literal(line + b" ", word.data)
                if refused:
                    self.refused = refused
                    return tag
                line = b""
            else:
                line += b" " + word
        self.refused = None
        self.send(line + b"\r\n")
        return tag

    def send_literal(self, line, data):
        """None, or the tagged response that the server gave instead of its "+"."""
        plus = "LITERAL+" in self.capabilities or ("LITERAL-" in self.capabilities and len(data) <= 4096)
        self.send(line + b"{%d%s}\r\n" % (len(data), b"+" if plus else b""))
        while not plus:
            answer = self.step()
            if answer == "+":
                break
            if isinstance(answer, tuple) and not isinstance(answer, Response):
                return answer
        self.send(data)
        return None

    def end(self, tag):
        """Waits for the command's result. In the order in which they were begun."""
        answer, self.refused = getattr(self, "refused", None), None
        while True:
            if answer is not None and not isinstance(answer, Response) and answer != "+":
                if answer[0] == tag:
                    break
                raise Ungrammatical(f"{answer[0]} was answered before {tag}")
            answer = self.step()
        return Result(answer[1], answer[2].code, answer[2].args, answer[2].text, self.pending.pop(tag))

    def command(self, *words):
        return self.end(self.begin(*words))

    def ok(self, *words):
        """A command that must succeed."""
        result = self.command(*words)
        if result.status != "OK":
            raise Refused(f"{words!r}: {result.status} {result.code} {result.text}")
        return result

    def login(self, user, password):
        result = self.ok("LOGIN", user.encode(), password.encode())
        if result.code != "CAPABILITY" and not any(r.word == "CAPABILITY" for r in result.untagged):
            self.ok("CAPABILITY")
        return result

    def starttls(self):
        self.ok("STARTTLS")
        self.sock = unverified().wrap_socket(self.sock)
        self.ok("CAPABILITY")

    def append(self, folder, content, flags="", date=None):
        words = ["APPEND", folder.encode() if isinstance(folder, str) else folder] + ([f"({flags})"] if flags else []) + ([f'"{date}"'] if date else [])
        return self.command(*words, Literal(content))

    def fetch(self, numbers, items, uid=False):
        """{sequence number (UID): items}; what came for a message in several responses is joined."""
        result = self.ok("UID FETCH" if uid else "FETCH", numbers, items)
        found = {}
        for seq, got in (r.value for r in result.untagged if r.word == "FETCH"):
            found.setdefault(seq, {}).update(got)
        return {got["UID"]: got for got in found.values() if "UID" in got} if uid else found

    def search(self, criteria, uid=False):
        result = self.ok("UID SEARCH" if uid else "SEARCH", criteria)
        for r in result.untagged:
            if r.word == "SEARCH":
                return r.value[0]
            if r.word == "ESEARCH":
                return r.value[2].get("ALL", [])
        raise Ungrammatical("no result of SEARCH")

    def idle(self):
        """Begins it, and waits for the server's word; `done` ends it."""
        tag = self.begin("IDLE")
        while self.step() != "+":
            pass
        return tag

    def done(self, tag):
        self.send(b"DONE\r\n")
        return self.end(tag)

    def listen(self, seconds):
        """Reads what comes unasked, until nothing did for that long or `seconds` are over."""
        end = time.monotonic() + seconds
        while self.ready(end - time.monotonic()):
            self.step()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def listed(result):
    """Names of all folders that LIST told of, but those that can't be selected."""
    return [r.value[2].decode() for r in result.untagged if r.word == "LIST" and not r.value[0] & {"\\NonExistent", "\\Noselect"}]

#!/usr/bin/env python3
"""mail_clients.py [--dovecot] [NAME...]: mail programs of others on our mailboxes, within netroot.sh
(clients.sh). Each test has a user of its own, once over a plain connection, once over TLS and once
over TLS begun by STARTTLS or STLS, where the server lets nobody in without. What counts is what the server holds afterwards, read by a strict client of our own, and what the
program holds: contents to the byte, and flags.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import imap  # noqa: E402
import postern  # noqa: E402

PASSWORD = "sesam-Oeffne_dich7"
WAYS = ("plain", "tls", "starttls")
WORDS = ["bramble", "cinnamon", "dromedary", "elderberry", "foxglove"]


def content(ident, body="", lines=3):
    """A message as it travels; its X-Id says which it is."""
    text = [f"From: Anna <anna@sender.test>", "To: u@here.test", f"Subject: letter {ident}", "Date: Sun, 22 Nov 2026 12:00:00 +0000",
            f"Message-ID: <{ident}@sender.test>", f"X-Id: {ident}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit", "", body or f"The body of {ident}", "Grüße aus Köln", "From the start of a line", ".",
            "..two dots"]  # fmt: skip
    text += [f"line {n} of {ident}, {WORDS[n % len(WORDS)]}" for n in range(lines)]
    return ("\r\n".join(text) + "\r\n").encode()


def ident_of(data):
    head = data.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    for line in head.split(b"\n"):
        if line.lower().startswith(b"x-id: "):
            return line[6:].strip().decode()
    return None


def without_marks(data):
    """Less the header lines by which mbsync and offlineimap know what they uploaded."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(line for line in lines if not line.lower().startswith((b"x-tuid:", b"x-offlineimap:")))


class Case:
    """One client on one mailbox. tls: whether it is to use TLS; starttls: and to begin it by a command."""

    def __init__(self, count, target, user, way, folder):
        self.count, self.target, self.user, self.way, self.folder = count, target, user, way, folder
        self.tls, self.starttls = way != "plain", way == "starttls"
        self.host = "localhost" if self.tls else target.host
        self.imap_port = target.imaps if way == "tls" else target.imap
        self.pop3_port = target.pop3s if way == "tls" else target.pop3
        self.sent = {}  # ident: content
        os.makedirs(folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def session(self):
        session = imap.Imap(self.target.host, self.target.imaps, True) if self.starttls else imap.Imap(self.target.host, self.target.imap)
        session.login(self.user, PASSWORD)
        return session

    def put(self, folder, *idents, flags="", lines=3):
        """Messages onto the server."""
        with self.session() as s:
            s.command("CREATE", folder.encode())
            for ident in idents:
                self.sent[ident] = content(ident, lines=lines)
                self.count.check(s.append(folder, self.sent[ident], flags).status == "OK", f"{ident} put into {folder}")

    def flag(self, folder, ident, how, flags):
        """Flags on the server, as another client sets them."""
        with self.session() as s:
            s.ok("SELECT", folder.encode())
            uids = s.search(f"HEADER X-Id {ident}", True)
            s.ok("UID STORE", imap.compact(uids), f"{how}FLAGS", f"({flags})")

    def delete(self, folder, ident):
        with self.session() as s:
            s.ok("SELECT", folder.encode())
            uids = s.search(f"HEADER X-Id {ident}", True)
            s.ok("UID STORE", imap.compact(uids), "+FLAGS", "(\\Deleted)")
            s.ok("UID EXPUNGE", imap.compact(uids))

    def state(self, folder):
        """{ident: flags} on the server, sorted; an ident that is there twice gets a mark."""
        found = {}
        for ident, flags, _ in self.read(folder):
            found[ident if ident not in found else ident + " again"] = " ".join(sorted(flags - {"\\Recent"}))
        return dict(sorted(found.items()))

    def read(self, folder):
        """[(ident, flags, content)]"""
        with self.session() as s:
            result = s.command("EXAMINE", folder.encode())
            if result.status != "OK":
                return []
            if not any(r.word == "EXISTS" and r.value for r in result.untagged):
                return []
            got = s.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
            return [(ident_of(i["BODY[]"]), i["FLAGS"], i["BODY[]"]) for i in got.values()]

    def is_as_sent(self, folder, what):
        """All that the server holds there is to the byte what somebody sent."""
        for ident, _, data in self.read(folder):
            sent = without_marks(self.sent.get(ident, b"?"))
            self.check(without_marks(data) == sent and data.count(b"\r\n") == data.count(b"\n"), f"{what}: {ident} as it was sent", data)

    def check(self, ok, what, detail=""):
        return self.count.check(ok, f"{self.name} ({self.way}): {what}", detail)

    def same(self, found, want, what):
        return self.check(found == want, what, f"{found}, not {want}")

    def run(self, command, what, seconds=120, codes=(0,), stdin="", **more):
        """Runs it; what it said is shown only where it failed."""
        env = {**os.environ, "HOME": self.folder, "LC_ALL": "C.UTF-8", **more.pop("env", {})}
        p = postern.run(command, seconds, stdin, env=env, cwd=self.folder, **more)
        if p.returncode not in codes:
            self.check(False, f"{what}: exit {p.returncode}", (p.stdout + p.stderr)[-1500:])
        return p


def run(count, target, tests, ways):
    with target:
        for name, way in ((n, w) for n in tests for w in ways):
            case = Case(count, target, f"{name}-{way}@here.test", way, f"/tmp/clients/{name}-{way}")
            case.name = name
            before = count.failed
            try:
                tests[name](case)
            except (imap.Refused, imap.Ungrammatical, OSError, ValueError, KeyError, IndexError) as e:
                case.check(False, "to its end", repr(e))
            print(f"{name} over {way}: {'as it should be' if count.failed == before else 'FAILED'}", flush=True)
        if count.failed:
            print("the server's words:\n" + target.words())


def main():
    import mail_clients_fetch
    import mail_clients_read
    import mail_clients_sync

    tests = {**mail_clients_sync.TESTS, **mail_clients_read.TESTS, **mail_clients_fetch.TESTS}
    names = [a for a in sys.argv[1:] if not a.startswith("--")] or list(tests)
    count = postern.Counter("clients")
    users = {f"{name}-{way}@here.test": PASSWORD for name in tests for way in WAYS}
    os.makedirs("/tmp/clients")
    if "--dovecot" in sys.argv:
        import dovecot

        run(count, dovecot.Dovecot("/tmp/dovecot", users), {n: tests[n] for n in names}, WAYS)
        return count.close()
    import mailserver

    if not mailserver.is_served():
        print("clients: skipped, this build serves no IMAP")
        return 77
    run(count, mailserver.Postern(users), {n: tests[n] for n in names}, ("plain", "tls"))
    run(count, mailserver.Postern(users, plain="never"), {n: tests[n] for n in names}, ("starttls",))
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Plays replay scripts (*.rpl) on a server of the test's own and compares every answer.

usage: play.py [-v] [SCRIPT...]      (without any: those of its folder)

A script reads as documentation. Its lines:

  # words                 a comment
  conf TEXT               configuration (a line or a part of one, in order)
  dns  TEXT               a line of the DNS file
  file NAME TEXT          a line of a file in the server's root ("{root}/NAME" in conf)
  client ADDRESS          a new session of that client (PROXY)
  < LINE                  sent, with CRLF; \\r \\n \\t \\0 \\\\ and \\xNN stand for bytes
  <| BYTES                sent as it stands, nothing added
  > PREFIX                the next reply line begins so
  >| PREFIX               as >, and lines before it are passed over
  closed                  the server closes the connection
  event KEY=VALUE ...     the next message event: outcome score reply symbol because auth
                          dns plugin, or a.b for a member; "!symbol=X" where it must not be
  refused TEXT            the next "refused" event's detail holds the text
  mail N                  so many messages are in the mailboxes by now
  mail has TEXT           the newest of them holds the text; "lacks" the other way round
  mail at PATH has TEXT   the newest below that path of the mail folder

Each script gets a server of its own. Closes with "replay: N passed, N failed".
"""
import concurrent.futures
import glob
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402


class Mismatch(Exception):
    pass


def unescape(text):
    def one(m):
        c = m.group(1)
        if c[0] == "x":
            return chr(int(c[1:], 16))
        return {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}[c]

    return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, text).encode("latin-1")


def member(event, path):
    for key in path.split("."):
        if not isinstance(event, dict) or key not in event:
            return None
        event = event[key]
    return event


def holds(event, key, want):
    if key == "symbol":
        return any(s["name"] == want for s in event.get("symbols", []))
    if key == "because":
        return any(want in b for r in event.get("recipients", []) for b in r.get("because", []))
    if key == "plugin":
        name, _, status = want.partition(":")
        return any(p["name"] == name and p["status"] == (status or "ok") for p in event.get("plugins", []))
    if key == "auth":
        method, _, result = want.partition(":")
        got = event.get("auth", {}).get(method)
        got = got if isinstance(got, list) else [got] if got else []
        return any(a.get("result") == result for a in got)
    if key == "dns":
        return any(d["name"].lower() == want for d in event.get("dns", []))
    got = member(event, key)
    if isinstance(got, bool):
        got = "true" if got else "false"
    elif isinstance(got, (int, float)):
        return float(want) == float(got)
    return str(got) == want if key != "reply" else str(got).startswith(want)


class Player:
    def __init__(self, path):
        self.path = path
        self.server = None
        self.session = None
        self.events_seen = self.refusals_seen = 0
        self.pending = []  # reply lines not yet compared
        with open(path, encoding="utf-8") as f:
            self.lines = [(n, line.rstrip("\n")) for n, line in enumerate(f, 1)]

    def words(self, name):
        return "\n".join(t[len(name) + 1 :].lstrip() for _, t in self.lines if t.startswith(name + " "))

    def reply_line(self):
        if not self.session.file:
            raise Mismatch("no session")
        if not self.pending:
            line = self.session.file.readline()
            if not line:
                raise Mismatch("the server closed the connection")
            self.pending.append(line.decode("utf-8", "replace").rstrip("\r\n"))
        return self.pending.pop(0)

    def expect(self, prefix, skip):
        while True:
            line = self.reply_line()
            if line.startswith(prefix):
                return
            if not skip:
                raise Mismatch(f"got  {line}\n      want {prefix}")

    def start_client(self, address):
        if self.session:
            self.session.close()
        self.session = postern.Session(self.server, address, greet=False)
        self.pending = []

    def event(self, text):
        events = self.server.wait_events("message", self.events_seen + 1)
        if len(events) <= self.events_seen:
            raise Mismatch("no further message event")
        event = events[self.events_seen]
        self.events_seen += 1
        for word in re.findall(r'(?:[^\s"]|"[^"]*")+', text):
            key, _, want = word.partition("=")
            want = want.strip('"')
            negative = key.startswith("!")
            if holds(event, key.lstrip("!"), want) == negative:
                raise Mismatch(f"event does not hold {word}: {event}")

    def refused(self, text):
        events = self.server.wait_events("refused", self.refusals_seen + 1)
        if len(events) <= self.refusals_seen:
            raise Mismatch("no further refused event")
        detail = events[self.refusals_seen]["detail"]
        self.refusals_seen += 1
        if text not in detail:
            raise Mismatch(f"refused event says: {detail}")

    def mail(self, text):
        what, _, rest = text.partition(" ")
        where = ""
        if what == "at":
            where, what, rest = rest.split(" ", 2)
        end = time.monotonic() + 5 * postern.patience()
        while True:
            mail = {p: c for p, c in self.server.mail().items() if p.startswith(where)}
            if what.isdigit():
                ok = len(mail) == int(what)
            else:
                newest = max(mail, key=lambda p: os.path.basename(p), default=None)
                ok = newest is not None and (unescape(rest) in mail[newest]) == (what == "has")
            if ok:
                return
            if time.monotonic() > end:
                raise Mismatch(f"mail {text}: there are {len(mail)}: {list(mail.items())[:3]}")
            time.sleep(0.02)

    def closed(self):
        rest = self.session.file.read()
        if rest:
            raise Mismatch(f"not closed but {rest[:200]}")

    def line(self, text):
        word, _, rest = text.partition(" ")
        if word in ("", "conf", "dns", "file") or text.startswith("#"):
            return
        if word == "client":
            self.start_client(rest.strip())
        elif word == "<":
            self.session.raw(unescape(rest) + b"\r\n")
        elif word == "<|":
            self.session.raw(unescape(rest))
        elif word in (">", ">|"):
            self.expect(rest, word == ">|")
        elif word == "closed":
            self.closed()
        elif word == "event":
            self.event(rest)
        elif word == "refused":
            self.refused(rest)
        elif word == "mail":
            self.mail(rest)
        else:
            raise Mismatch(f"unknown line: {text}")

    def write_files(self):
        for line in self.words("file").splitlines():
            name, _, text = line.partition(" ")
            with open(os.path.join(self.server.root, name), "a", encoding="utf-8") as f:
                f.write(text + "\n")

    def play(self):
        number = 0
        self.server = postern.Server(self.words("conf"), self.words("dns"))
        try:
            self.write_files()
            self.server.start()
            for number, text in self.lines:
                self.line(text)
            if self.session:
                self.session.close()
            if self.server.stop() != 0:
                raise Mismatch(f"posternd ended with {self.server.process.returncode}")
            return None
        except (Mismatch, OSError, RuntimeError) as e:
            return f"{self.path}:{number}: {e}\n--- log\n{self.server.log()[-3000:]}"
        finally:
            self.server.clean()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    scripts = [a for a in sys.argv[1:] if a != "-v"] or sorted(glob.glob(os.path.join(here, "*.rpl")))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for path, error in zip(scripts, pool.map(lambda p: Player(p).play(), scripts)):
            if error:
                failed += 1
                print("FAIL", error, flush=True)
            else:
                passed += 1
                if "-v" in sys.argv:
                    print("ok  ", path)
    print(f"replay: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed else 1


if __name__ == "__main__":
    sys.exit(main())

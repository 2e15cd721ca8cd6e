#!/usr/bin/env python3
"""sign_check.py VERIFY.js: a server signs, others verify. See sign.sh."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CLIENT = "192.0.2.1"
NAMESERVER = "127.53.71.1"
HEADER = (
    "From: Joe  <joe@a.test>\r\nTo: \tann@b.test,\r\n   bob@b.test  \r\nSubject:is it?\r\n"
    "Date: Sun, 15 Jun 2025 10:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n"
)
BODY = "Hi.\r\n\r\nWe lost  the game. \r\n\tJoe\r\n"
MIME = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="b"\r\n'

CASES = {
    "plain": HEADER + "\r\n" + BODY,
    "no body": HEADER + "\r\n",
    "only line ends": HEADER + "\r\n\r\n\r\n\r\n",
    "blanks at the end": HEADER + "\r\n" + BODY + " \t\r\n \r\n\r\n",
    "blank lines within": HEADER + "\r\na\r\n \r\n\t\r\n\r\nb  c\r\n",
    "long lines": HEADER + "\r\n" + "x " * 20000 + "\r\n",
    "8 bits": HEADER.replace("is it?", "\u00e4\u00f6 \u2603") + "\r\n\u00e4 g\u00e4me\r\n",
    "the least": "From: joe@a.test\r\nDate: Sun, 15 Jun 2025 10:00:00 +0000\r\n\r\nx\r\n",
    "an empty Subject": "From: joe@a.test\r\nDate: Sun, 15 Jun 2025 10:00:00 +0000\r\nSubject:\r\nTo: \r\n\r\nx\r\n",
    "fields twice": "Received: by z\r\nSubject: a\r\n" + HEADER + "Subject: b\r\nCc: c@d.test\r\n\r\nx\r\n",
    "a list's fields": HEADER + "List-Id: <l.a.test>\r\nList-Unsubscribe: <mailto:u@a.test>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nSender: l@a.test\r\n\r\nx\r\n",
    "an answer": HEADER + "In-Reply-To: <0@a.test>\r\nReferences: <0@a.test>\r\n <00@a.test>\r\n\r\n> x\r\n",
    "parts": HEADER + MIME + "\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two\r\n--b--\r\n",
    "dots": HEADER + "\r\n.\r\n..\r\n.x\r\n",
    "another's signature": "DKIM-Signature: v=1; a=rsa-sha256; d=c.test; s=none; h=From;\r\n"
    "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWJj\r\n" + HEADER + "\r\nx\r\n",
    "large": HEADER + "\r\n" + "line  of words \t\r\n" * 60000,
}
CHANGED = {"plain": (b"We lost", b"We won!"), "fields twice": (b"Subject: b", b"Subject: c")}
# libopendkim calls a header with two Subjects a syntax error, whoever signed it
NOT_OPENDKIM = {"fields twice", "fields twice, changed"}
WANT = {"s1": "rsa-sha256", "s2": "ed25519-sha256"}


def make_keys(server):
    """Blocks of the configuration, and the records by name."""
    folder, records, rows = os.path.join(server.root, "keys"), {}, ""
    os.mkdir(folder, 0o700)
    for selector, algorithm in (("s1", "rsa-2048"), ("s2", "ed25519")):
        command = [os.path.join(postern.build_folder(), "postern"), "dkim", "new", "--json", "--folder", folder,
                   "--selector", selector, "--algorithm", algorithm, "a.test"]  # fmt: skip
        made = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        records[made["name"]] = made["record"]
        rows += f'key "{selector}" file "{made["file"]}" '
    return f'sign "a.test" {{ {rows} clients {CLIENT} }}\n', records


def zone_of(records):
    """As our own name server reads it: strings of 255 bytes at most."""
    return "".join(
        f"{name} TXT " + " ".join(f'"{part}"' for part in re.findall(".{1,250}", text)) + "\n" for name, text in records.items()
    )


def signed(server, folder):
    """Sends each case; the files of what was delivered, CRLF, by name."""
    files = {}
    for number, (name, content) in enumerate(CASES.items()):
        session = postern.Session(server, client=CLIENT)
        session.command("EHLO client.test")
        session.command("MAIL FROM:<joe@a.test> BODY=8BITMIME")
        session.command("RCPT TO:<u@here.test>")
        session.command("DATA")
        stuffed = re.sub(rb"(?m)^\.", b"..", content.encode("utf-8"))
        session.raw(stuffed + b".\r\n")
        answer = session.reply()
        session.close()
        if not answer.startswith("250"):
            sys.exit(f"{name}: {answer}")
        mail = postern.until(lambda n=number: len(server.mail()) == n + 1 and server.mail())
        files[name] = os.path.join(folder, f"{number}.eml")
        with open(files[name], "wb") as f:
            f.write(newest(mail, files).replace(b"\n", b"\r\n"))
    return files


seen = set()


def newest(mail, files):
    (path,) = set(mail) - seen
    seen.add(path)
    return mail[path]


def changed(files, folder):
    out = {}
    for name, (old, new) in CHANGED.items():
        with open(files[name], "rb") as f:
            content = f.read()
        path = os.path.join(folder, f"changed-{len(out)}.eml")
        with open(path, "wb") as f:
            f.write(content.replace(old, new))
        out[f"{name}, changed"] = path
    return out


def note(c, good, *columns):
    c.check(good, " ".join(columns))
    print(f"{'ok' if good else 'MISS':5} {columns[0]:28} {columns[1]:18} {columns[2]}", flush=True)


def by_mailauth(c, script, records, folder, files, good):
    keys = os.path.join(folder, "keys.json")
    with open(keys, "w", encoding="ascii") as f:
        json.dump(records, f)
    env = {**os.environ, "NODE_PATH": os.environ["POSTERN_MAILAUTH"]}
    done = subprocess.run(["node", script, keys, *files.values()], stdout=subprocess.PIPE, env=env, check=True)
    for name, line in zip(files, done.stdout.splitlines()):
        ours = {r["selector"]: r for r in json.loads(line) if r["selector"] in WANT}
        right = {s: r["algorithm"] for s, r in ours.items()} == WANT
        results = sorted({r["result"] for r in ours.values()})
        note(c, right and (set(results) == {"pass"} if good else "pass" not in results), name, "mailauth", f"{', '.join(results)} x{len(ours)}")


def by_testmsg(c, folder, files, good):
    """It says nothing of what verifies; of several signatures it tells the best."""
    conf = os.path.join(folder, "resolv.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"nameserver {NAMESERVER}\n")
    script = f'mount --bind "{conf}" /etc/resolv.conf && exec "$0"'
    for name, path in files.items():
        if name in NOT_OPENDKIM:
            continue
        with open(path, "rb") as f:
            content = f.read()
        for selector in WANT:
            # each alone: only then each is seen to be right
            alone = re.sub(rb"(?ms)^DKIM-Signature: v=1; (?!.{0,200}s=%s;).*?\r\n(?![ \t])" % selector.encode(), b"", content)
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, os.environ["POSTERN_TESTMSG"]],
                                  input=alone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # fmt: skip
            said = done.stdout.decode("utf-8", "replace").strip()
            right = alone.count(b"DKIM-Signature:") == 1 and (done.returncode == 0 and not said) == good
            note(c, right, name, f"opendkim {selector}", said or "verified")


def main():
    c = postern.Counter("sign")
    with postern.Server("") as server:
        block, records = make_keys(server)
        server.write_conf(f'smtp {{ hostname "mx.here.test" }}\n{block}domain "here.test" {{ recipients any  route local }}')
        server.start()
        folder = os.path.join(server.root, "out")
        os.mkdir(folder)
        files = signed(server, folder)
        broken = changed(files, folder)
        if "POSTERN_MAILAUTH" in os.environ:
            by_mailauth(c, sys.argv[1], records, folder, files, True)
            by_mailauth(c, sys.argv[1], records, folder, broken, False)
        if "POSTERN_TESTMSG" in os.environ:
            zone = os.path.join(folder, "zone")
            with open(zone, "w", encoding="ascii") as f:
                f.write(zone_of(records))
            dnsd = subprocess.Popen([os.path.join(postern.build_folder(), "tests", "bench", "dnsd"), f"{NAMESERVER}:53", zone],
                                    stdout=subprocess.DEVNULL)  # fmt: skip
            try:
                by_testmsg(c, folder, files, True)
                by_testmsg(c, folder, broken, False)
            finally:
                dnsd.terminate()
                dnsd.wait()
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

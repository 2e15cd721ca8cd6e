"""Maildirs for tests/bench/imap.py: the same bytes at each run, by a seed. `mix`: 60 % of 2 to 8 KB,
30 % of 20 to 80, 10 % of 200 to 800, attachments as base64; `small`: 2 to 9 KB of text."""
import base64
import os
import random

RARE, RARE_PART = "quixotically", "xotical"  # in the text of a few messages
RARE_EVERY = 2000
KINDS = {"mix": (10000, 400), "small": (100000, 400)}


def vocabulary(rng):
    letters = "aaabcdeeeefghiiiklmnnooprsstttuvwz"
    return ["".join(rng.choice(letters) for _ in range(rng.randint(2, 11))) for _ in range(20000)]


def text(rng, words, size):
    lines, have = [], 0
    while have < size:
        line = " ".join(rng.choices(words, k=10))
        lines.append(line)
        have += len(line) + 1
    return "\n".join(lines) + "\n"


def one(rng, words, kind):
    size = rng.randint(2000, 8000)
    more = ""
    draw = rng.random()
    if kind == "mix" and draw > 0.6:
        size = rng.randint(20000, 80000) if draw < 0.9 else rng.randint(200000, 800000)
        data = base64.encodebytes(rng.randbytes(size * 3 // 5)).decode()
        more = f"--=_b\nContent-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: attachment; filename=\"a.pdf\"\nContent-Transfer-Encoding: base64\n\n{data}--=_b--\n"
        size //= 5
    body = text(rng, words, size)
    if more:
        body = f"This is MIME.\n--=_b\nContent-Type: text/plain; charset=utf-8\n\n{body}" + more
    mime = 'multipart/mixed; boundary="=_b"' if more else "text/plain; charset=utf-8"
    name, subject = " ".join(rng.choices(words, k=2)), " ".join(rng.choices(words, k=6))
    return (f"Received: from a.test (a.test [192.0.2.1]) by mx.here.test with ESMTP id {rng.getrandbits(40):x};\n\tSun, 22 Nov 2026 10:00:00 +0000\n"
            f"Date: Sun, 22 Nov 2026 {rng.randint(0, 23):02}:00:00 +0000\nFrom: {name} <{name.split()[0]}@sender.test>\nTo: <u@here.test>\n"
            f"Subject: {subject}\nMessage-ID: <{rng.getrandbits(64):x}@sender.test>\nMIME-Version: 1.0\nContent-Type: {mime}\n\n{body}")  # fmt: skip


def make(folder, kind, count):
    """Fills folder/cur and returns its size in bytes."""
    rng = random.Random(f"{kind} mail")
    words = vocabulary(rng)
    originals = [one(rng, words, kind) for _ in range(KINDS[kind][1])]
    for d in ("cur", "new", "tmp"):
        os.makedirs(f"{folder}/{d}", exist_ok=True)
    total = 0
    for n in range(count):
        content = f"Return-Path: <news@sender.test>\nX-Number: {n:08}\n" + originals[n * 37 % len(originals)]
        if n % RARE_EVERY == RARE_EVERY // 2:
            head, body = content.split("\n\n", 1)
            at = body.index("\n", body.index("utf-8\n\n") + 8 if "=_b" in body else 0) + 1
            content = head + "\n\n" + body[:at] + f"and {RARE} said\n" + body[at:]
        data = content.encode()
        total += len(data)
        with open(f"{folder}/cur/{1700000000 + n}.M{n}P1.bench,S={len(data)}:2,{'S' if n % 3 else ''}", "wb") as f:
            f.write(data)
    return total


def letters(count=200):
    """Small messages to append and deliver, with CRLF."""
    rng = random.Random("letters")
    words = vocabulary(rng)
    return [one(rng, words, "small").replace("\n", "\r\n").encode() for _ in range(count)]

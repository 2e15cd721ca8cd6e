#!/usr/bin/env python3
"""Sends the demo's messages over SMTP and prints what became of each, and why.

usage: send.py HOST PORT MAIL_FOLDER EVENTS_FILE

Client addresses are given by PROXY (v1), from 127.0.0.2, which the demo's
configuration names. Outcome, score and reasons are read from the event log.
"""
import base64
import glob
import io
import json
import os
import shutil
import socket
import sys
import textwrap
import time
import zipfile

# file: client, HELO, reverse-path, what it shows
CASES = {
    "1-good.eml": ("192.0.2.10", "mail.friend.test", "alice@friend.test", "good mail"),
    "2-forged-sender.eml": ("198.51.100.66", "mailer.example", "bounce@mailer.example", "forged sender"),
    "3-broken-signature.eml": ("192.0.2.30", "out.shop.test", "orders@shop.test", "broken signature"),
    "4-listed-client.eml": ("203.0.113.25", "newsletter.test", "max@newsletter.test", "listed client"),
    "5-virus": ("192.0.2.10", "mail.friend.test", "alice@friend.test", "EICAR in a zip"),
    "6-gtube.eml": ("192.0.2.10", "mail.friend.test", "test@friend.test", "GTUBE"),
    "7-rule-heavy.eml": ("198.51.100.77", "promo.test", "winner77182@promo.test", "rule-heavy spam"),
}
RECIPIENT = "robin@here.test"


def virus_message():
    """The EICAR test file in a zip. Put together here, so that no file of the tree trips a scanner."""
    eicar = base64.b64decode(
        "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo="
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        info = zipfile.ZipInfo("invoice.com", (2026, 11, 22, 9, 30, 0))
        z.writestr(info, eicar)
    body = "\r\n".join(textwrap.wrap(base64.b64encode(packed.getvalue()).decode(), 76))
    return (
        "From: Alice Mason <alice@friend.test>\r\nTo: robin@here.test\r\nSubject: The invoice\r\n"
        "Date: Sun, 22 Nov 2026 09:31:00 +0000\r\nMessage-ID: <20261122.5@friend.test>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="gate"\r\n\r\n--gate\r\nContent-Type: text/plain\r\n\r\n'
        "The invoice is in the archive.\r\n--gate\r\nContent-Type: application/zip; name=invoice.zip\r\n"
        "Content-Disposition: attachment; filename=invoice.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + body
        + "\r\n--gate--\r\n"
    ).encode()


class Session:
    def __init__(self, host, port, client):
        self.sock = socket.create_connection((host, port), 10, source_address=("127.0.0.2", 0))
        self.sock.settimeout(60)
        self.file = self.sock.makefile("rb")
        self.sock.sendall(f"PROXY TCP4 {client} 192.0.2.1 40000 25\r\n".encode())
        self.reply()

    def reply(self):
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            if line[3:4] != b"-":
                return line.decode("utf-8", "replace").rstrip()

    def command(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, helo, sender, content):
        for line in (f"EHLO {helo}", f"MAIL FROM:<{sender}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            answer = self.command(line)
            if answer[0] not in "23":
                return answer
        lines = content.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
        stuffed = b"\r\n".join(b"." + s if s.startswith(b".") else s for s in lines)
        self.sock.sendall(stuffed + b"\r\n.\r\n")
        answer = self.reply()
        self.command("QUIT")
        return answer


def event_of(events, offset, seconds=5):
    """The message event written behind offset."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.path.exists(events):
            with open(events, encoding="utf-8") as f:
                f.seek(offset)
                for line in f:
                    if line.endswith("\n") and json.loads(line).get("event") == "message":
                        return json.loads(line)
        time.sleep(0.02)
    return {}


def reasons(event):
    facts = sorted(event.get("symbols", []), key=lambda s: -abs(s.get("weight", 0)))
    text = ", ".join(
        s["name"] + (f"({s['detail']})" if s.get("detail") and len(s["detail"]) < 30 else "") + f" {s['weight']:+g}"
        for s in facts
        if s.get("weight")
    )
    because = [b for r in event.get("recipients", []) for b in r.get("because", [])]
    return (because[:1] or ["nothing against it"]) + ([text] if text else [])


def main():
    host, port, folder, events = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    width = min(max(shutil.get_terminal_size((110, 24)).columns, 100), 160)
    print(f"{'message':<18}{'outcome':<12}{'score':>6}  {'reply and reasons'}")
    print("-" * width)
    bad = 0
    for path in sorted(glob.glob(os.path.join(folder, "*.eml")) + ["5-virus"], key=os.path.basename):
        name = os.path.basename(path)
        client, helo, sender, label = CASES[name]
        content = virus_message() if name == "5-virus" else open(path, "rb").read()
        offset = os.path.getsize(events) if os.path.exists(events) else 0
        answer = Session(host, port, client).send(helo, sender, content)
        event = event_of(events, offset)
        if not event:
            bad += 1
        lines = [answer] + reasons(event)
        first = f"{label:<18}{event.get('outcome', '?'):<12}{event.get('score', 0):>6g}  "
        for text in lines:
            for piece in textwrap.wrap(text, width - 38) or [""]:
                print((first or " " * 38) + piece)
                first = ""
    print("-" * width)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

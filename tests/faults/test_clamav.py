#!/usr/bin/env python3
"""The virus scanner in a whole server: samples wrapped in every way, new signatures that are
taken up while mail comes in, broken ones that are not, and clamd in place of the library.
"""
import base64
import gzip
import io
import json
import os
import quopri
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
from localdaemon import LocalDaemon  # noqa: E402

# In halves, so that no scanner takes this file for it.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CONF = """
smtp {{ hostname "mx.here.test" }}
workers {{ count 1  refresh 50ms }}
limits {{ exempt 0.0.0.0/0 }}
plugins {{ clamav {{ {clamav} }} }}
domain "here.test" {{ recipients any  route local  on VIRUS_FOUND reject "550 5.7.1 Virus" }}
"""


def ndb(name, content):
    return f"{name}:0:*:{content.hex()}\n"


def mail(data, how="base64"):
    text = base64.encodebytes(data) if how == "base64" else quopri.encodestring(data) if how == "quoted-printable" else data + b"\n"
    return (
        b"From: a@s.test\nSubject: sample\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\n\nsee the file\n--b\nContent-Type: application/octet-stream; name=sample\n"
        b"Content-Transfer-Encoding: " + how.encode() + b"\n\n" + text + b"--b--\n"
    )


def zipped(data, name="sample"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, data)
    return out.getvalue()


def tarred(data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        info = tarfile.TarInfo("sample")
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def nested(inner):
    return (
        b"From: a@s.test\nSubject: a mail in a mail\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n"
        b"--o\nContent-Type: message/rfc822\n\n" + inner + b"\n--o--\n"
    )


def send(server, content):
    session = postern.Session(server)
    try:
        return session.send(content)
    finally:
        session.close()


def wraps(counter, server):
    for name, content in {
        "bare, as base64": mail(EICAR),
        "as quoted-printable": mail(EICAR, "quoted-printable"),
        "as 7bit": mail(EICAR, "7bit"),
        "in a zip": mail(zipped(EICAR)),
        "in a tar.gz": mail(tarred(EICAR)),
        "in a gz": mail(gzip.compress(EICAR)),
        "in a zip in a zip": mail(zipped(zipped(EICAR), "inner.zip")),
        "in a mail in a mail": nested(mail(EICAR)),
        "in a zip in a mail in a mail": nested(mail(zipped(EICAR))),
        "in a mail in a zip": mail(zipped(mail(EICAR), "sample.eml")),
    }.items():
        reply = send(server, content)
        counter.check(reply.startswith("550 5.7.1 Virus"), f"EICAR {name}: refused", reply)
    reply = send(server, mail(zipped(b"harmless " * 100)))
    counter.check(reply.startswith("250"), "a harmless zip passes", reply)


def locked():
    """A zip whose file says that it is encrypted."""
    out = bytearray(zipped(b"secret " * 50))
    for at in (6, out.index(b"PK\1\2") + 8):
        out[at] |= 1
    return bytes(out)


def facts(counter, server):
    """Not errors: the message goes its way, and says what it carried."""
    cut = zipped(os.urandom(4000))[:2000]
    for name, content, symbol in (
        ("an encrypted zip", locked(), "VIRUS_ENCRYPTED"),
        ("a zip that was cut", cut, "VIRUS_BROKEN"),
        ("no 7z at all", b"7z\xbc\xaf\x27\x1c\0\4" + b"x" * 100, "VIRUS_BROKEN"),
    ):
        before = len(server.events("message"))
        send(server, mail(content))
        server.wait_events("message", before + 1)
        seen = [s["name"] for s in server.events("message")[-1]["symbols"]]
        counter.check(symbol in seen and "PLUGIN_FAILED" not in seen, f"{name}: {symbol}", str(seen))


def write(folder, name, text):
    """As freshclam does: whole, then renamed into its place."""
    with open(f"{folder}/{name}.new", "w", encoding="ascii") as f:
        f.write(text)
    os.rename(f"{folder}/{name}.new", f"{folder}/{name}")


def fresh_signatures(counter, server, folder):
    second = b"a second kind of sample, which nobody knew before"
    counter.check(send(server, mail(second)).startswith("250"), "an unknown sample passes")
    replies, stop = [], threading.Event()

    def traffic():
        while not stop.is_set():
            replies.append(send(server, mail(EICAR)))

    thread = threading.Thread(target=traffic)
    thread.start()
    write(folder, "second.ndb", ndb("Second", second))
    counter.check(postern.until(lambda: server.events("reloaded")), "new signatures: a new generation serves", server.log()[-500:])
    stop.set()
    thread.join()
    counter.check(server.events("plugin_changed")[0]["plugin"] == "clamav", "an event says whose files changed")
    counter.check(
        bool(replies) and all(r.startswith("550 5.7.1 Virus") for r in replies),
        f"no gap: each of {len(replies)} samples sent meanwhile was found",
        str(sorted(set(replies))),
    )
    counter.check(send(server, mail(second)).startswith("550 5.7.1 Virus"), "the sample is known now")
    reloads = len(server.events("reloaded"))
    write(folder, "third.ndb", "this is no signature\n")
    counter.check(postern.until(lambda: server.events("reload_refused")), "broken signatures: refused")
    reason = server.events("reload_refused")[-1]["reason"] if server.events("reload_refused") else ""
    counter.check("clamav" in reason and "signatures" in reason, "the event says why", reason)
    counter.check(send(server, mail(second)).startswith("550 5.7.1 Virus"), "the old ones serve on")
    refusals = len(server.events("reload_refused"))
    time.sleep(0.5)
    counter.check(len(server.events("reload_refused")) == refusals, "and the broken ones are tried once")
    os.unlink(f"{folder}/third.ndb")
    third = b"and a third kind, in a file that is whole"
    write(folder, "third.ndb", ndb("Third", third))
    counter.check(postern.until(lambda: len(server.events("reloaded")) > reloads), "whole ones are taken after them")
    counter.check(send(server, mail(third)).startswith("550 5.7.1 Virus"), "and used")


class Clamd(LocalDaemon):
    """A clamd of ours: finds what holds EICAR in base64."""

    asked = 0

    def serve(self, connection):
        with connection, connection.makefile("rb") as f:
            if f.read(10) != b"zINSTREAM\0":
                return
            data = b""
            while size := int.from_bytes(f.read(4), "big"):
                data += f.read(size)
            self.asked += 1
            bad = base64.b64encode(EICAR)[:60] in data.replace(b"\r\n", b"")
            connection.sendall(b"stream: Fake.Eicar FOUND\0" if bad else b"stream: OK\0")


def repeats(counter, server, event):
    """The verdict is found again from its event, with no clamd there."""
    with open(f"{server.root}/event.json", "w", encoding="utf-8") as f:
        json.dump(event, f)
    with open(f"{server.root}/sample.eml", "wb") as f:
        f.write(mail(EICAR).replace(b"\n", b"\r\n"))
    command = [os.path.join(postern.build_folder(), "postern"), "scan", "-c", server.conf_path, "--json"]
    p = subprocess.run([*command, "--event", f"{server.root}/event.json", f"{server.root}/sample.eml"],
                       capture_output=True, text=True, check=False)  # fmt: skip
    found = json.loads(p.stdout) if p.stdout else {}
    same = all(found.get(name) == event.get(name) for name in ("outcome", "reply", "score", "recipients", "symbols"))
    counter.check(same, "clamd away: scan --event finds the same verdict", p.stderr + p.stdout + str(event))


def by_clamd(counter):
    with postern.Server("") as server:
        clamd = Clamd(f"{server.root}/clamd.ctl")
        setting = f'mode clamd  clamd "unix:{clamd.path}"  max-time 1s'
        server.write_conf(CONF.format(clamav=setting + "  grant network"))
        server.start()
        reply = send(server, mail(EICAR))
        counter.check(reply.startswith("550 5.7.1 Virus"), "clamd: a sample is refused", reply + server.log()[-500:])
        counter.check(send(server, mail(b"hello")).startswith("250"), "clamd: harmless mail passes")
        counter.check(clamd.asked == 2, "clamd: it was asked", str(clamd.asked))
        clamd.close()
        repeats(counter, server, server.wait_events("message", 2)[0])
        reply = send(server, mail(b"hello"))
        counter.check(reply.startswith("451"), "clamd away: mail is deferred", reply)
        clamd.open()
        counter.check(send(server, mail(EICAR)).startswith("550 5.7.1 Virus"), "clamd back: asked again")
        server.write_conf(CONF.format(clamav=setting))
        before = len(server.events("reload_refused"))
        server.process.send_signal(1)
        counter.check(postern.until(lambda: len(server.events("reload_refused")) > before), "without the grant: refused")
        counter.check("expected 'grant network'" in server.log(), "and says what it needs", server.log()[-500:])
        clamd.close()


def main():
    counter = postern.Counter("clamav")
    if not os.path.exists(os.path.join(postern.build_folder(), "plugins", "clamav.so")):
        print("clamav: skipped, the plugin was not built")
        return 77
    with postern.Server("") as server:
        folder = f"{server.root}/signatures"
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        write(folder, "first.ndb", ndb("First", EICAR))
        server.write_conf(CONF.format(clamav=f'database "{folder}"'))
        server.start()
        wraps(counter, server)
        facts(counter, server)
        fresh_signatures(counter, server, folder)
        if counter.failed:
            print(server.log()[-4000:])
    by_clamd(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

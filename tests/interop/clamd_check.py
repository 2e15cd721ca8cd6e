#!/usr/bin/env python3
"""A server with `mode clamd`, over a UNIX socket and over TCP, beside a real clamd
(POSTERN_CLAMD) with a signature of ours: the samples of tests/faults/test_clamav.py."""
import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "..", "faults"), os.path.join(here, "..", "lib")]
import postern  # noqa: E402
import test_clamav as samples  # noqa: E402

CLAMD = """
DatabaseDirectory {db}
{listen}
TemporaryDirectory {db}
LogFile {db}/clamd.log
Foreground yes
User {user}
AlertEncrypted yes
AlertExceedsMax yes
MaxFiles 20
StreamMaxLength 1M
"""


def start_clamd(folder, listen):
    conf = f"{folder}/clamd.conf"
    with open(conf, "w", encoding="ascii") as f:
        f.write(CLAMD.format(db=folder, listen=listen, user=os.popen("id -un").read().strip()))
    return subprocess.Popen([os.environ["POSTERN_CLAMD"], "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def symbols(server, content):
    before = len(server.events("message"))
    reply = samples.send(server, content)
    server.wait_events("message", before + 1)
    return reply, [(s["name"], s.get("detail", "")) for s in server.events("message")[before]["symbols"]]


def play(counter, name, listen, address):
    with postern.Server("") as server:
        folder = f"{server.root}/clamd"
        os.mkdir(folder)
        samples.write(folder, "first.ndb", samples.ndb("First", samples.EICAR))
        listen, address = listen.format(folder=folder), address.format(folder=folder)
        server.write_conf(samples.CONF.format(clamav=f'mode clamd  clamd "{address}"  grant network  max-time 8s'))
        server.start()
        clamd = start_clamd(folder, listen)
        try:
            # It is asked until it is there: the first message waits for it.
            reply = samples.send(server, samples.mail(b"hello"))
            counter.check(reply.startswith("250"), f"{name}: harmless mail, while clamd starts", reply)
            for what, content in (
                ("base64", samples.mail(samples.EICAR)),
                ("quoted-printable", samples.mail(samples.EICAR, "quoted-printable")),
                ("zip", samples.mail(samples.zipped(samples.EICAR))),
                ("tar.gz", samples.mail(samples.tarred(samples.EICAR))),
                ("a mail in a mail", samples.nested(samples.mail(samples.EICAR))),
            ):
                reply, seen = symbols(server, content)
                good = reply.startswith("550 5.7.1 Virus") and ("VIRUS_FOUND", "First.UNOFFICIAL") in seen
                counter.check(good, f"{name}: EICAR as {what}", f"{reply} {seen}")
            reply, seen = symbols(server, samples.mail(samples.locked()))
            counter.check("VIRUS_ENCRYPTED" in dict(seen), f"{name}: an encrypted zip", f"{reply} {seen}")
            reply, seen = symbols(server, samples.mail(os.urandom(1500000)))
            counter.check("VIRUS_UNSCANNABLE" in dict(seen), f"{name}: more than StreamMaxLength", f"{reply} {seen}")
            clamd.terminate()
            clamd.wait(20)
            clamd = start_clamd(folder, listen)
            reply = samples.send(server, samples.mail(samples.EICAR))
            counter.check(reply.startswith("550 5.7.1 Virus"), f"{name}: found while clamd starts anew", reply)
        finally:
            clamd.terminate()
            clamd.wait(20)
            if counter.failed:
                print(server.log()[-3000:])


def main():
    counter = postern.Counter("clamd")
    port = postern.free_port()
    play(counter, "UNIX", "LocalSocket {folder}/clamd.ctl", "unix:{folder}/clamd.ctl")
    play(counter, "TCP", f"TCPSocket {port}\nTCPAddr 127.0.0.1", f"inet:127.0.0.1:{port}")
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

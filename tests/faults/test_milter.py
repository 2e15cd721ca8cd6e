#!/usr/bin/env python3
"""Milters in a whole server: what they answer at every stage and what a client hears of it, edits,
a worker that dies between two stages, milters that hang, lie and die at every command.
"""
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fakemilter  # noqa: E402
import postern  # noqa: E402
from fakemilter import ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, header, packet, reply  # noqa: E402

CONF = """
smtp {{ hostname "mx.here.test" }}
workers {{ count 1 }}
limits {{ exempt 0.0.0.0/0 }}
plugins {{ milter {{ grant network, dns  {servers} }} }}
include "postern:default"
domain "here.test" {{ recipients any  route local  {policy} }}
"""
MAIL = b"From: a@sender.test\nSubject: hello\n\nsome text\n"


def server_of(path, rows="", policy="", edits=""):
    server = postern.Server("")
    one = f'{edits} server "one" {{ address "unix:{server.root}/{path}"  {rows} }}'
    server.write_conf(CONF.format(servers=one, policy=policy))
    return server


def send(server, rcpts=("u@here.test",)):
    """The last reply, and the event."""
    before = len(server.events("message"))
    session = postern.Session(server)
    try:
        answer = session.send(MAIL, rcpts=rcpts)
    finally:
        session.close()
    events = server.wait_events("message", before + 1)
    return answer, events[before] if len(events) > before else {}


def symbols(event):
    return {s["name"]: s.get("detail", "") for s in event.get("symbols", [])}


def answers(counter):
    """Each answer at each stage, in the words that the client hears."""
    words = {
        "reject": (packet(REJECT), "550 5.7.1 Message refused", "MILTER_REJECT"),
        "tempfail": (packet(TEMPFAIL), "451 4.7.1 Please try again later", "MILTER_TEMPFAIL"),
        "a reply": (reply("554 5.7.0 By a milter"), "554 5.7.0 By a milter", "MILTER_REJECT"),
        "a reply for later": (reply("452 4.2.2 Full"), "452 4.2.2 Full", "MILTER_TEMPFAIL"),
        "a reply of lines": (reply("550-5.7.1 No\r\n550 5.7.1 way"), "550 5.7.1 No way", "MILTER_REJECT"),
        "a reply that lies": (reply("550 4.7.1 Twisted"), "550 5.7.1 Message refused", "MILTER_REJECT"),
        "accept": (packet(ACCEPT), "250", "MILTER_ACCEPT"),
    }
    with server_of("milter") as server:
        milter = fakemilter.Milter(f"{server.root}/milter")
        server.start()
        answer, event = send(server)
        counter.check(answer.startswith("250") and not symbols(event), "nothing to say", f"{answer} {event}")
        told = postern.until(lambda: "OCHMRTLLNBEQ" in [milter.letters(i) for i in range(len(milter.heard))])
        counter.check(told, "all of the session is told", str([milter.letters(i) for i in range(len(milter.heard))]))
        for letter, stage in (("C", "connect"), ("H", "helo"), ("M", "mail"), ("R", "rcpt"), ("T", "data"),
                              ("L", "header"), ("N", "end of headers"), ("B", "body"), ("E", "end")):
            for what, (said, want, symbol) in words.items():
                milter.answers = {letter: said}
                answer, event = send(server)
                good = answer.startswith(want) and (not event or symbol in symbols(event))
                counter.check(good, f"{what} at {stage}", f"{answer} {symbols(event)}")
        milter.answers = {"E": packet(DISCARD)}
        before = len(server.mail())
        answer, event = send(server)
        counter.check(answer.startswith("250") and event.get("outcome") == "discard" and len(server.mail()) == before,
                      "discard", f"{answer} {event}")
        milter.answers = {"E": packet(b"q", b"looks bad\0") + packet(CONTINUE)}
        answer, event = send(server)
        good = event.get("outcome") == "quarantine" and symbols(event).get("MILTER_QUARANTINE") == "one: looks bad"
        counter.check(good and len(server.mail()) == before, "quarantine", f"{answer} {event}")
        milter.answers = {"R": lambda data: packet(REJECT if b"bad@" in data else CONTINUE)}
        answer, event = send(server, ("u@here.test",))
        counter.check(answer.startswith("250"), "a recipient that it takes", answer)
        session = postern.Session(server)
        session.command("EHLO x")
        session.command("MAIL FROM:<a@sender.test>")
        replies = [session.command(f"RCPT TO:<{r}@here.test>") for r in ("u", "bad", "v")]
        counter.check([r[:3] for r in replies] == ["250", "550", "250"], "and one that it does not", str(replies))
        session.close()
        if counter.failed:
            print(server.log()[-3000:])


def arrival(counter):
    """What the client said with MAIL, where it came to, and its TLS."""
    port = postern.free_port()
    with server_of("milter") as server:
        key, cert = f"{server.root}/key.pem", f"{server.root}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=mx.here.test"], check=True, capture_output=True)
        with open(server.conf_path, "a", encoding="utf-8") as f:
            f.write(f'tls {{ certificate "{cert}" key "{key}" }}\nlisten smtps 127.0.0.1:{port}\n')
        milter = fakemilter.Milter(f"{server.root}/milter")
        server.start()

        def told():
            return [[(letter, data) for letter, data in c if letter in "DM"] for c in milter.heard if any(x == "M" for x, _ in c)]

        session = postern.Session(server)
        session.command("EHLO x")
        session.command("MAIL FROM:<a@sender.test> BODY=8bitmime SIZE=99")
        answer = session.command("RCPT TO:<u@here.test> HOLDFOR=1")
        counter.check(answer.startswith("555"), "an argument that a recipient can't have", answer)
        session.command("RCPT TO:<u@here.test>")
        session.command("DATA")
        session.raw(b"Subject: x\r\n\r\n.\r\n")
        counter.check(session.reply().startswith("250"), "taken")
        session.close()
        heard = dict(told()[-1])
        counter.check(heard["M"] == b"<a@sender.test>\0BODY=8bitmime\0SIZE=99\0", "arguments of MAIL", str(heard["M"]))
        macros = b"".join(data for letter, data in told()[-1] if letter == "D")
        for want in (b"{daemon_port}\x0025\0", b"{if_addr}\x00192.0.2.254\0", b"{if_name}\0mx.here.test\0"):
            counter.check(want in macros, f"{want} of the PROXY header", str(macros))
        counter.check(b"tls_version" not in macros, "no TLS, no word of it", str(macros))
        event = server.wait_events("message", 1)[0]
        counter.check(event["envelope"].get("mail_args") == "BODY=8bitmime SIZE=99", "and in the event", str(event["envelope"]))
        counter.check((event["client"].get("local_ip"), event["client"].get("local_port")) == ("192.0.2.254", 25), "where it came to",
                      str(event["client"]))

        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=30) as s:
            version, (cipher, _, bits) = s.sock.version(), s.sock.cipher()
            s.sendmail("a@sender.test", ["u@here.test"], MAIL.decode())
        macros = b"".join(data for letter, data in told()[-1] if letter == "D")
        for name, value in (("tls_version", version), ("cipher", cipher), ("cipher_bits", bits), ("daemon_port", port),
                            ("if_addr", "127.0.0.1")):
            counter.check(f"{{{name}}}\0{value}\0".encode() in macros, f"{name} is {value}", str(macros))
        client = server.wait_events("message", 2)[1]["client"]
        counter.check((client["tls"], client.get("tls_cipher"), client.get("tls_bits"), client.get("local_port")) ==
                      (version, cipher, bits, port), "and in the event", str(client))


def offered(milter):
    """Actions that the milter was offered in the last session."""
    return int.from_bytes(dict(milter.heard[-1])["O"][4:8], "big")


def edits(counter):
    with server_of("milter") as server:
        said = header("X-Milter", "was here\n\tand there") + packet(b"+", b"<x@here.test>\0") + packet(CONTINUE)
        milter = fakemilter.Milter(f"{server.root}/milter", {"E": said})
        server.start()
        answer, event = send(server)
        bodies = list(server.mail().values())
        counter.check(answer.startswith("250") and len(bodies) == 1 and b"X-Milter: was here\n\tand there\n" in bodies[0],
                      "a field is added", f"{answer} {bodies}")
        counter.check(symbols(event).get("MILTER_EDIT_REFUSED") == "one: add-recipient <x@here.test>",
                      "what was not granted is named", str(event))  # fmt: skip
        counter.check(offered(milter) == 0x131, "and was not offered", hex(offered(milter)))
        milter.answers = {"E": packet(b"b", b"x" * 65535) * 1100 + packet(CONTINUE)}
        answer, event = send(server)
        counter.check(answer.startswith("250") and symbols(event) == {"MILTER_EDIT_REFUSED": "one: replace-body"},
                      "a body that was not granted takes no memory", f"{answer} {symbols(event)}")
        for count, want in ((128, "250"), (129, "451")):
            milter.answers = {"E": header("X-Many", "1") * count + packet(CONTINUE)}
            answer, event = send(server)
            made = [e["op"] for e in event["edits"]]
            found = {} if count == 128 else {"MILTER_EDIT_REFUSED": "one: all edits, one is too many", "PLUGIN_EDITS_DROPPED": "milter"}
            counter.check(answer.startswith(want) and symbols(event) == found and len(made) == (count if not found else 0),
                          f"{count} edits are made, or none of them", f"{answer} {symbols(event)} {len(made)}")  # fmt: skip
        milter.close()
    everything = (
        packet(b"i", b"\0\0\0\0X-Top\0first\0") + packet(b"m", b"\0\0\0\1Subject\0another\0") + packet(b"m", b"\0\0\0\1X-Gone\0\0")
        + packet(b"e", b"<b@sender.test>\0") + packet(b"+", b"<x@here.test>\0") + packet(b"-", b"<u@here.test>\0")
        + packet(b"b", b"another\n") + packet(b"b", b"body\r\n") + packet(CONTINUE)
    )  # fmt: skip
    with server_of("milter", edits="edits headers, body, recipients, sender") as server:
        milter = fakemilter.Milter(f"{server.root}/milter", {"E": everything})
        server.start()
        answer, event = send(server)
        found = server.mail()
        message = b"".join(found.values())
        counter.check(offered(milter) == 0x1FF, "all is offered that is granted", hex(offered(milter)))
        counter.check(len(found) == 1 and "x/" in list(found)[0], "one recipient in place of another", f"{answer} {list(found)}")
        counter.check(message.startswith(b"Return-Path: <b@sender.test>\n"), "another sender", message.decode())
        counter.check(b"X-Top: first\n" in message and b"\nSubject: another\n" in message, "fields", message.decode())
        counter.check(message.endswith(b"\n\nanother\nbody\n"), "another body", message.decode())
        counter.check("MILTER_EDIT_REFUSED" not in symbols(event), "nothing is refused", str(symbols(event)))
        milter.close()


def unknown_commands(counter):
    """Commands that the server does not know: the milter hears of them before the next step, and what it
    answers is a fact. `scan --event` asks it again in the same way."""
    with server_of("milter", edits="edits none") as server:
        milter = fakemilter.Milter(f"{server.root}/milter", {"U": reply("502 5.5.2 Not here")})
        server.start()
        session = postern.Session(server)
        session.raw(b"XFIRST a b\r\n")
        session.reply()
        for line in ("EHLO x", "XSECOND", "MAIL FROM:<a@sender.test>"):
            session.command(line)
        session.raw(b"XTHIRD \xff\r\n")
        answer = session.reply()
        counter.check(answer.startswith("500 5.5.1"), "the client hears what it always does", answer)
        session.command("RCPT TO:<u@here.test>")
        session.command("X" * 600)
        session.command("XFIFTH")
        session.command("DATA")
        session.raw(MAIL.replace(b"\n", b"\r\n") + b".\r\n")
        answer = session.reply()
        session.close()
        event = server.wait_events("message", 1)[0]
        counter.check(answer.startswith("250") and symbols(event).get("MILTER_UNKNOWN") == "one: 502 5.5.2 Not here",
                      "its refusal is a fact, and no more", f"{answer} {symbols(event)}")  # fmt: skip
        want = [("U", b"XFIRST a b\0"), ("U", b"XSECOND\0"), ("U", b"XTHIRD \xff\0"), ("U", b"X" * 512 + b"\0")]

        def heard(n):
            return [x for x in milter.heard[n] if x[0] == "U"]

        postern.until(lambda: milter.letters().endswith("Q"))
        counter.check(milter.letters() == "OCUHUMURUTLLNBEQ", "each before the next step", milter.letters())
        counter.check(heard(-1) == want, "whole lines, up to a length", str(heard(-1)))
        said = [(u.get("line", u.get("line64")), u["step"]) for u in event["unknown"]]
        counter.check(said == [("XFIRST a b", 1), ("XSECOND", 2), ("WFRISVJEIP8=", 3), ("X" * 512, 4)], "in the event", str(said))
        counter.check(event["client"].get("unknown_commands") == 5, "which counts them all", str(event["client"]))

        paths = [f"{server.root}/{name}" for name in ("event.json", "mail.eml")]
        with open(paths[0], "w", encoding="utf-8") as f:
            json.dump(event, f)
        with open(paths[1], "wb") as f:
            f.write(MAIL)
        done = subprocess.run(
            [f"{postern.build_folder()}/postern", "scan", "--config", server.conf_path, "--json", "--event", paths[0], "--given", "",
             paths[1]],
            capture_output=True, text=True, check=False,
            env={**os.environ, "POSTERN_PLUGINS": f"{postern.build_folder()}/plugins"})  # fmt: skip
        postern.until(lambda: milter.letters().endswith("Q"))
        counter.check(milter.letters() == "OCUHUMURUTLLNBEQ" and heard(-1) == want, "and again from the event",
                      milter.letters() + done.stdout + done.stderr)  # fmt: skip
        again = json.loads(done.stdout or "{}")
        counter.check(symbols(again) == symbols(event), "with the same facts", str(symbols(again)))
        milter.close()


def kept_connections(counter):
    """One that was kept died meanwhile: the session is told over another one, wherever that shows."""
    for letter, steps in (("C", 0), ("H", 0x1), ("M", 0x3), ("R", 0x7), ("E", 0x37F)):
        with server_of("milter", "keep 2 failures 1 pause 1h") as server:
            milter = fakemilter.Milter(f"{server.root}/milter", steps=steps)
            server.start()
            first = send(server)[0]
            counter.check(postern.until(lambda m=milter: m.letters().endswith("K")), f"{letter}: kept", milter.letters())
            dead = [True]

            def once(data, dead=dead):
                was, dead[0] = dead[0], False
                return None if was else packet(CONTINUE)

            milter.answers = {letter: once}
            second, event = send(server)
            told = [milter.letters(i) for i in range(len(milter.heard))]
            counter.check(first[:3] == second[:3] == "250" and "MILTER_AWAY" not in symbols(event), f"{letter}: taken",
                          f"{second} {symbols(event)} {told}")  # fmt: skip
            counter.check(len(told) == 2 and told[0].endswith(letter) and letter in told[1], f"{letter}: asked anew", str(told))
            counter.check("left alone" not in server.log(), f"{letter}: no failure", server.log()[-500:])
            milter.close()


def failures(counter):
    """It dies, hangs and lies at every command: mail is deferred, or passes, by on_failure."""
    ways = {
        "lets go": lambda data: None,
        "a length of none": lambda data: b"\0\0\0\0",
        "a length of too many": lambda data: b"\x7f\xff\xff\xff",
        "half a packet": lambda data: b"\0\0\0\5y55",
        "no answer": lambda data: packet(b"z"),
        "hangs": lambda data: "hang",
    }
    for rows, want in (("on_failure defer", "451"), ("on_failure skip", "250"), ("on_failure reject", "550")):
        with server_of("milter", rows + " reply-timeout 100ms end-timeout 100ms failures 0") as server:
            milter = fakemilter.Milter(f"{server.root}/milter")
            server.start()
            before = server.workers()
            for letter in "OCHMRTLNBE":
                for what, way in ways.items():
                    milter.answers = {letter: way}
                    answer, event = send(server)
                    good = answer.startswith(want) and (not event or "MILTER_AWAY" in symbols(event))
                    counter.check(good, f"{rows}, {what} at {letter}", f"{answer} {symbols(event)}")
            milter.answers = {}
            # An answer may take longer than 100 ms here, so that it failed once more.
            counter.check(postern.until(lambda: send(server)[0].startswith("250"), 20), f"{rows}, and well again")
            counter.check(server.workers() == before, "no worker was lost")
            if counter.failed:
                print(server.log()[-3000:])
            milter.close()


def left_alone(counter):
    """After failures in a row nobody waits for it; when it is back, it is asked again."""
    with server_of("milter", "on_failure skip failures 3 pause 1h") as server:
        server.start()
        seen = [symbols(send(server)[1]).get("MILTER_AWAY", "") for _ in range(4)]
        counter.check(all("can't be reached" in s for s in seen[:2]), "a failure a session", str(seen))
        counter.check(all("left alone" in s for s in seen[2:]), "from the third on, at MAIL, it is left alone", str(seen))
        counter.check("it is left alone for 3600000 ms" in server.log(), "the log says so", server.log()[-1000:])
    with server_of("milter", "on_failure skip failures 1 pause 100ms") as server:
        server.start()
        counter.check("MILTER_AWAY" in symbols(send(server)[1]), "away", server.log()[-1000:])
        milter = fakemilter.Milter(f"{server.root}/milter", {"E": packet(REJECT)})
        back = postern.until(lambda: send(server)[0].startswith("550"))
        counter.check(back, "and asked again when it is back")
        milter.close()


def worker_dies(counter):
    """Between RCPT and DATA: the fresh worker tells the milter of the session again."""
    with server_of("milter") as server:
        milter = fakemilter.Milter(f"{server.root}/milter", {"E": header("X-Milter", "yes") + packet(CONTINUE)})
        server.start()
        session = postern.Session(server)
        for line in ("EHLO client.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<u@here.test>", "RCPT TO:<v@here.test>"):
            session.command(line)
        counter.check(milter.letters() == "OCHMRR", "told up to the recipients", milter.letters())
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        counter.check(postern.until(lambda: server.workers()), "a fresh worker comes")
        session.command("DATA")
        session.raw(MAIL.replace(b"\n", b"\r\n") + b".\r\n")
        answer = session.reply()
        session.close()
        counter.check(answer.startswith("250"), "the message is taken", answer + server.log()[-2000:])
        postern.until(lambda: milter.letters().endswith("Q"))
        told = [milter.letters(i) for i in range(len(milter.heard))]
        counter.check(told == ["OCHMRR", "OCHMRRTLLNBEQ"], "the fresh worker told it all again", str(told))
        counter.check(postern.until(lambda: len(server.mail()) == 2), "both have it", str(list(server.mail())))
        counter.check(all(b"X-Milter: yes" in m for m in server.mail().values()), "and its edit counts")
        milter.close()


def many(counter):
    """Sessions side by side, while it starts anew: each message is taken or deferred, none is lost."""
    with server_of("milter", "keep 2  failures 0") as server:
        milter = fakemilter.Milter(f"{server.root}/milter")
        server.start()
        replies = []

        def client():
            for _ in range(10):
                session = postern.Session(server)
                replies.append(session.send(MAIL))
                session.close()

        threads = [threading.Thread(target=client) for _ in range(8)]
        for t in threads:
            t.start()
        for _ in range(3):
            milter.close()
            milter.open()
        for t in threads:
            t.join()
        good = len(replies) == 80 and all(r[:3] in ("250", "451") for r in replies)
        counter.check(good, "each has an answer", str([r for r in replies if r[:3] not in ("250", "451")]))
        taken = sum(r.startswith("250") for r in replies)
        counter.check(postern.until(lambda: len(server.mail()) >= taken) and len(server.mail()) == taken, "and is there", str(taken))
        counter.check(send(server)[0].startswith("250"), "the last one is taken")
        kept = postern.until(lambda: any("K" in milter.letters(i) for i in range(len(milter.heard))))
        counter.check(kept, "connections are kept")
        milter.close()


def scanned(counter):
    with server_of("milter") as server:
        milter = fakemilter.Milter(f"{server.root}/milter", {"E": reply("550 5.7.1 By a milter")})
        path = f"{server.root}/mail.eml"
        with open(path, "wb") as f:
            f.write(MAIL)
        done = subprocess.run(
            [f"{postern.build_folder()}/postern", "scan", "--config", server.conf_path, "--ip", "192.0.2.1", "--helo", "x",
             "--from", "a@sender.test", "--rcpt", "u@here.test", path],
            capture_output=True, text=True, check=False,
            env={**os.environ, "POSTERN_PLUGINS": f"{postern.build_folder()}/plugins"})  # fmt: skip
        counter.check(done.returncode == 1 and "By a milter" in done.stdout, "postern scan asks it", done.stdout + done.stderr)
        milter.close()


SCRIPT = """
conf smtp {{ hostname "mx.here.test" }}
conf plugins {{ milter {{ grant network, dns
conf     edits headers, body, recipients, sender
conf     server "one" {{ address "unix:{path}"  failures 0  keep {keep} }} }} }}
conf include "postern:default"
conf domain "here.test" {{ recipients any  route local }}
client 192.0.2.7
> 220
< EHLO friend
>| 250\x20
< MAIL FROM:<a@good.test>
> 250
< RCPT TO:<u@here.test>
> 250
< DATA
> 354
< From: a@good.test
< Subject: hello
<
< text
< .
> 250
event outcome=quarantine symbol=MILTER_QUARANTINE
"""


def proved(counter):
    """The plugin test with a milter that wants everything changed: each allocation fails once, the
    client goes at every stage, messages are hostile; nothing crashes, leaks or differs."""
    everything = (
        header("X-A", "1") + packet(b"i", b"\0\0\0\1X-B\0b\0") + packet(b"m", b"\0\0\0\1Subject\0new\0")
        + packet(b"e", b"<b@good.test>\0") + packet(b"-", b"<u@here.test>\0") + packet(b"+", b"<v@here.test>\0")
        + packet(b"b", b"new\r\n") + packet(b"q", b"held\0") + packet(CONTINUE)
    )  # fmt: skip
    for keep in (0, 2):
        with postern.Server("") as server:
            milter = fakemilter.Milter(f"{server.root}/milter", {"E": everything})
            script = f"{server.root}/edits.rpl"
            with open(script, "w", encoding="utf-8") as f:
                f.write(SCRIPT.format(path=f"{server.root}/milter", keep=keep).replace("\\x20", " "))
            build = postern.build_folder()
            done = subprocess.run([f"{build}/postern", "plugin", "test", f"{build}/plugins/milter.so", script],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            counter.check(done.returncode == 0, f"plugin test, keep {keep}", done.stdout[-3000:] + done.stderr[-1000:])
            counter.check("0 failed" in done.stdout, f"plugin test, keep {keep}: all passed", done.stdout[-300:])
            milter.close()


def main():
    counter = postern.Counter("milter")
    if not os.path.exists(os.path.join(postern.build_folder(), "plugins", "milter.so")):
        print("milter: skipped, the plugin was not built")
        return 77
    answers(counter)
    arrival(counter)
    edits(counter)
    unknown_commands(counter)
    kept_connections(counter)
    failures(counter)
    left_alone(counter)
    worker_dies(counter)
    many(counter)
    scanned(counter)
    proved(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

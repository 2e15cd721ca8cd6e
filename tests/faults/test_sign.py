#!/usr/bin/env python3
"""Signatures of our own mail: what is signed and verifies, what is not, several keys, a signer
that dies, stands still, or gets other keys."""
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

OURS, OTHERS = "192.0.2.1", "198.51.100.7"
MAIL = "From: Joe <joe@{domain}>\r\nTo: u@here.test\r\nSubject: is\r\n it?\r\n\r\nHi.  \r\n\r\n\tJoe\r\n\r\n\r\n"


def program():
    return os.path.join(postern.build_folder(), "postern")


def make_key(folder, domain, selector, algorithm):
    """The key's file; its record is added to the zone's."""
    command = [program(), "dkim", "new", "--folder", folder, "--selector", selector, "--algorithm", algorithm, domain]
    with open(os.path.join(folder, "zone"), "a", encoding="ascii") as f:
        subprocess.run(command, stdout=f, check=True)
    return os.path.join(folder, f"{selector}._domainkey.{domain}.pem")


def new_key(server, domain, selector, algorithm):
    folder = os.path.join(server.root, "keys")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return make_key(folder, domain, selector, algorithm)


def conf(blocks="", handover="1m", more=""):
    return f"""
smtp {{ hostname "mx.here.test" }}
timeouts {{ handover {handover} }}
limits {{ memory-size 64k }}
{blocks}
{more}
domain "here.test" {{ recipients any  route local }}
"""


def block(domain, *keys):
    rows = " ".join(f'key "{s}" file "{f}"' for s, f in keys)
    return f'sign "{domain}" {{ {rows}  clients {OURS} }}\n'


def scan(server, content):
    """[(selector, domain, algorithm, result)] of the signatures, by our own verifier."""
    folder = os.path.join(server.root, "keys")
    path, config = os.path.join(folder, "mail"), os.path.join(folder, "scan.conf")
    with open(path, "wb") as f:
        f.write(content)
    with open(config, "w", encoding="ascii") as f:
        f.write('plugins { dkim }\ndomain "here.test" { recipients any }\n')
    command = [program(), "scan", "--json", "--config", config, "--plugins", "dkim", "--dns", os.path.join(folder, "zone"),
               "--ip", OURS, "--helo", "x.test", "--from", "x@x.test", "--rcpt", "u@here.test", path]  # fmt: skip
    env = {**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")}
    line = subprocess.run(command, stdout=subprocess.PIPE, env=env, check=False).stdout
    dkim = json.loads(line).get("auth", {}).get("dkim", [])
    return [(d["selector"], d["domain"], d["algorithm"], d["result"]) for d in dkim if "selector" in d]


def send(server, content, client=OURS, rcpts=("u@here.test",)):
    session = postern.Session(server, client=client)
    try:
        return session.send(content, rcpts=rcpts)
    finally:
        session.close()


def delivered(server, mark):
    """The one message with that mark, once it is there."""
    found = postern.until(lambda: [m for m in server.mail().values() if mark in m])
    return found[0] if found else b""


def reload(server):
    before = server.log().count("generation ")
    server.process.send_signal(signal.SIGHUP)
    postern.until(lambda: server.log().count("generation ") > before)


def test_what(c):
    """Who is signed for, by which keys; who is not."""
    with postern.Server(conf()) as server:
        ours = [("s1", new_key(server, "here.test", "s1", "rsa-2048")), ("s2", new_key(server, "here.test", "s2", "ed25519"))]
        deep = [("s1", new_key(server, "deep.here.test", "s1", "ed25519"))]
        server.write_conf(conf(block("Here.Test", *ours) + block("deep.here.test", *deep)))
        server.start()
        both = [("s1", "here.test", "rsa-sha256", "pass"), ("s2", "here.test", "ed25519-sha256", "pass")]
        rows = (
            ("the domain", "here.test", OURS, both),
            ("one below it", "sub.HERE.test", OURS, both),
            ("the longest name counts", "x.deep.here.test", OURS, [("s1", "deep.here.test", "ed25519-sha256", "pass")]),
            ("another domain", "there.test", OURS, []),
            ("one that only ends so", "nothere.test", OURS, []),
            ("from elsewhere", "here.test", OTHERS, []),
        )  # fmt: skip
        for i, (label, domain, client, want) in enumerate(rows):
            answer = send(server, MAIL.format(domain=domain) + f"mark-{i};\r\n", client)
            c.check(answer.startswith("250"), f"{label}: taken", answer)
            got = scan(server, delivered(server, f"mark-{i};".encode()))
            c.check(got == want, label, f"{got}")
        events = server.wait_events("message", len(rows))
        told = [e.get("signed") for e in events]
        one, two = {"domain": "here.test", "keys": 2}, {"domain": "deep.here.test", "keys": 1}
        c.check(told == [one, one, two, None, None, None], "events say what was signed", f"{told}")
        # what can't be signed goes on, and the event says why
        answer = send(server, "From: a@here.test\r\nFrom: b@here.test\r\n\r\nmark-x;\r\n")
        c.check(answer.startswith("250"), "two Froms are taken", answer)
        c.check(scan(server, delivered(server, b"mark-x;")) == [], "and not signed")
        why = server.wait_events("message", len(rows) + 1)[-1].get("unsigned")
        c.check(why == "more than one From field", "the event says why", f"{why}")
        c.check(server.stop() == 0, "clean stop")


def test_groups(c):
    """Recipients whose header differs: each gets signatures of its own."""
    dns = 'here.test TXT "v=spf1 -all"\n'
    more = 'plugins { spf }\ndomain "junk.test" { recipients any  route local  junk at 0.5  on SPF_FAIL weight 1 }\n'
    with postern.Server(conf(), dns=dns) as server:
        keys = [("s1", new_key(server, "here.test", "s1", "ed25519")), ("s2", new_key(server, "here.test", "s2", "rsa-2048"))]
        server.write_conf(conf(block("here.test", *keys), more=more))
        server.start()
        session = postern.Session(server, client=OURS)
        answer = session.send(MAIL.format(domain="here.test"), sender="j@here.test", rcpts=("u@here.test", "v@junk.test"))
        session.close()
        c.check(answer.startswith("250"), "taken", answer)
        mail = postern.until(lambda: len(server.mail()) == 2 and list(server.mail().values())) or []
        c.check(sorted(b"X-Spam-Flag: YES" in m for m in mail) == [False, True], "two headers")
        got = [[x[3] for x in scan(server, m)] for m in mail]
        c.check(got == [["pass", "pass"]] * 2, "each is signed", f"{got}")


def submit(server, port, content, mark):
    """One message of joe@here.test's, who logs in; what was delivered."""
    context = ssl.create_default_context(cafile=server.root + "/cert.pem")
    with smtplib.SMTP_SSL("127.0.0.1", port, context=context, timeout=60 * postern.patience()) as s:
        s.login("joe@here.test", "secret words")
        s.sendmail("joe@here.test", ["u@here.test"], content + mark + "\r\n")
    return delivered(server, mark.encode())


def test_submitted(c):
    """What users submit, with what was added to it; others' names are not signed for."""
    for own in ("own", "any"):
        with postern.Server(conf()) as server:
            port, root = postern.free_port(), server.root
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.here.test",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", root + "/key.pem", "-out", root + "/cert.pem"],
                           check=True, stderr=subprocess.DEVNULL)  # fmt: skip
            subprocess.run([program(), "user", "add", "joe@here.test", "--stdin", "--file", root + "/users"],
                           input="secret words", text=True, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
            more = f"""tls {{ certificate "{root}/cert.pem"  key "{root}/key.pem" }}
listen submissions 127.0.0.1:{port}
auth {{ users "{root}/users" }}
submission {{ from {own} }}
"""
            keys = [("s1", new_key(server, "here.test", "s1", "ed25519"))]
            other = [("s1", new_key(server, "there.test", "s1", "ed25519"))]
            server.write_conf(conf(block("here.test", *keys) + block("there.test", *other), more=more))
            server.start()
            signed = [("s1", "here.test", "ed25519-sha256", "pass")]
            mail = submit(server, port, "From: Joe <joe@here.test>\r\nSubject: x\r\n\r\n", "mark-1;")
            c.check(scan(server, mail) == signed, f"from {own}: submitted", f"{mail[:2000]}")
            mail = submit(server, port, "Subject: x\r\n\r\n", "mark-2;")
            c.check(b"\nFrom: " in mail and b"\nDate: " in mail, f"from {own}: what lacked was added", f"{mail[:2000]}")
            c.check(scan(server, mail) == signed, f"from {own}: and signed", f"{mail[:2000]}")
            if own == "any":
                mail = submit(server, port, "From: ceo@there.test\r\n\r\n", "mark-3;")
                c.check(b"mark-3;" in mail and scan(server, mail) == [], "another's name is not signed for", f"{mail[:2000]}")


def test_sizes(c):
    """Bodies of none to several pieces, in memory and in a file, to one and to two recipients."""
    with postern.Server(conf()) as server:
        keys = [("s1", new_key(server, "here.test", "s1", "ed25519"))]
        server.write_conf(conf(block("here.test", *keys)))
        server.start()
        for size in (0, 1, 60_000, 131_072, 600_000, 3_000_000):
            line = "x  y\t" * 14 + "\r\n"
            body = (line * (size // len(line) + 1))[:size].rstrip("\r\n")
            mark = f"mark-{size};"
            rcpts = ("u@here.test", "v@here.test") if size % 2 == 0 else ("u@here.test",)
            answer = send(server, f"From: j@here.test\r\nX-Mark: {mark}\r\n\r\n{body}", rcpts=rcpts)
            c.check(answer.startswith("250"), f"{size} bytes: taken", answer)
            got = scan(server, delivered(server, mark.encode()))
            c.check([g[3] for g in got] == ["pass"], f"{size} bytes verify", f"{got}")
        c.check(server.stop() == 0, "clean stop")


def test_killed(c):
    """The signer dies again and again under load: nothing goes out unsigned."""
    with postern.Server(conf()) as server:
        keys = [("s1", new_key(server, "here.test", "s1", "ed25519"))]
        server.write_conf(conf(block("here.test", *keys)))
        server.start()
        answers = []

        def load(number):
            session = postern.Session(server, client=OURS, seconds=60)
            session.command("EHLO load.test")
            for i in range(40):
                answers.append(session.send(MAIL.format(domain="here.test") + f"mark-{number}-{i};\r\n", helo=None))
            session.close()

        threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        kills = 0
        while any(t.is_alive() for t in threads):
            if len(answers) >= 25 * (kills + 1):
                for pid in server.roles("signer"):
                    os.kill(pid, signal.SIGKILL)
                kills += 1
            time.sleep(0.005)
        taken = sum(a.startswith("250") for a in answers)
        c.check(kills > 0, "the signer was killed", f"{kills}")
        c.check(taken == len(answers) == 160, "all is taken", f"{taken}: {[a for a in answers if a[0] != '2'][:3]}")
        mail = postern.until(lambda: len(server.mail()) == taken and server.mail()) or {}
        unsigned = [m for m in mail.values() if b"DKIM-Signature:" not in m]
        c.check(len(mail) == taken and not unsigned, "all is signed", f"{len(unsigned)} of {len(mail)} are not")
        got = scan(server, next(iter(mail.values())))
        c.check([g[3] for g in got] == ["pass"], "and verifies", f"{got}")
        print(f"signer: {kills} kills, {taken} taken, {len(unsigned)} unsigned", flush=True)


def test_still(c):
    """It stands still: what must be signed waits, then is deferred; other mail goes on."""
    with postern.Server(conf()) as server:
        keys = [("s1", new_key(server, "here.test", "s1", "ed25519"))]
        server.write_conf(conf(block("here.test", *keys), handover="2s"))
        server.start()
        answer = send(server, MAIL.format(domain="here.test"))
        c.check(answer.startswith("250"), "before it: taken", answer)
        pid = server.roles("signer")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = send(server, MAIL.format(domain="here.test"))
            c.check(answer.startswith("451 4.3.0 The message can't be signed now"), "deferred", answer)
            answer = send(server, MAIL.format(domain="there.test"))
            c.check(answer.startswith("250"), "others go on", answer)
        finally:
            os.kill(pid, signal.SIGCONT)
        answer = send(server, MAIL.format(domain="here.test") + "mark-z;\r\n")
        c.check(answer.startswith("250"), "when it goes on: taken", answer)
        got = scan(server, delivered(server, b"mark-z;"))
        c.check([g[3] for g in got] == ["pass"], "and signed", f"{got}")
        c.check(len(server.mail()) == 3, "the deferred one is nowhere")


def test_reload(c):
    """Other keys by a reload, and by their files alone; bad ones are refused."""
    with postern.Server(conf()) as server:
        first = new_key(server, "here.test", "s1", "ed25519")
        second = new_key(server, "here.test", "s2", "rsa-2048")
        server.write_conf(conf())
        server.start()

        sent = []

        def selectors():
            sent.append(f"mark-{len(sent)};")
            answer = send(server, MAIL.format(domain="here.test") + sent[-1] + "\r\n")
            c.check(answer.startswith("250"), f"{sent[-1]}: taken", answer)
            return [(g[0], g[3]) for g in scan(server, delivered(server, sent[-1].encode()))]

        def becomes(want, what):
            """Roles take up a generation in their own time."""
            got = []
            postern.until(lambda: got.append(selectors()) or got[-1] == want)
            c.check(got[-1] == want, what, f"{got[-1]}")

        c.check(selectors() == [], "no block, no signature")
        server.write_conf(conf(block("here.test", ("s1", first))))
        reload(server)
        becomes([("s1", "pass")], "a block by a reload")
        server.write_conf(conf(block("here.test", ("s2", second), ("s1", first))))
        reload(server)
        becomes([("s2", "pass"), ("s1", "pass")], "one key more")
        # the file is another: no reload is needed
        os.rename(first, first + ".old")
        os.remove(os.path.join(server.root, "keys", "zone"))
        new_key(server, "here.test", "s1", "ed25519")
        os.rename(second, second + ".old")
        new_key(server, "here.test", "s2", "rsa-2048")
        postern.until(lambda: "the new ones are used from now on" in server.log())
        becomes([("s2", "pass"), ("s1", "pass")], "new keys by their files")
        # what is no key
        with open(first, "w", encoding="ascii") as f:
            f.write("nothing\n")
        postern.until(lambda: "no private key in it" in server.log())
        server.process.send_signal(signal.SIGHUP)
        postern.until(lambda: "reload refused" in server.log())
        c.check("reload refused" in server.log() and first in server.log(), "what is no key is refused")
        becomes([("s2", "pass"), ("s1", "pass")], "those before serve on")
        os.remove(first)
        server.write_conf(conf())
        reload(server)
        becomes([], "the block goes, and so do signatures")
        c.check("PRIVATE" not in server.log(), "no key is in the log")


def test_report(c):
    """A report that we write is signed; while the signer stands still it waits."""
    dns = 'from.test TXT "v=spf1 ip4:192.0.2.1 -all"\n'
    more = 'plugins { spf }\ndomain "from.test" { recipients any  route local }\n'
    hop = f'domain "dest.test" {{ recipients any  route smtp 127.0.0.1:{postern.free_port()} }}\n'
    # nobody listens there, and it is given up at once
    queue = "queue { retry 1s  expire 1s }\n"
    with postern.Server(conf(), dns=dns) as server:
        key = new_key(server, "here.test", "s1", "rsa-2048")
        server.write_conf(conf(block("here.test", ("s1", key)), more=more + hop + queue))
        server.start()

        def reports():
            return [m for m in server.mail().values() if b"Mail Delivery System <" in m]

        def fail():
            session = postern.Session(server, client=OURS)
            answer = session.send("Subject: x\r\n\r\nbody\r\n", sender="s@from.test", rcpts=("u@dest.test",))
            session.close()
            c.check(answer.startswith("250"), "taken", answer)

        fail()
        postern.until(reports)
        got = [scan(server, m) for m in reports()]
        c.check(got == [[("s1", "here.test", "rsa-sha256", "pass")]], "the report is signed", f"{got}")
        pid = server.roles("signer")[0]
        os.kill(pid, signal.SIGSTOP)
        fail()
        os.kill(pid, signal.SIGCONT)
        postern.until(lambda: len(reports()) == 2)
        got = [scan(server, m) for m in reports()]
        c.check([[x[3] for x in g] for g in got] == [["pass"], ["pass"]], "the next waited for its own", f"{got}")


def main():
    counter = postern.Counter("sign")
    for test in (test_what, test_submitted, test_groups, test_sizes, test_killed, test_still, test_reload, test_report):
        test(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Lists of the DNS that fail their proof: said before any mail came, in every verdict, again
by a worker that takes the place of a dead one, and taken back when the list is well; `scan`
repeats the verdict from the event.

usage: test_proof.py
"""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
limits { exempt 0.0.0.0/0 }
workers { count 1 }
plugins { dnsbl { zone "all.test"  zone "good.test"  zone "none.test" { check from }  prove-every 2s } }
domain "here.test" { recipients any  route local }
"""
WELL = """
2.0.0.127.good.test A 127.0.0.2
7.2.0.192.good.test A 127.0.0.2
"""
ILL = WELL + "*.all.test A 127.0.0.2\nb.test.none.test A 127.0.0.2\n"
CURED = WELL + "2.0.0.127.all.test A 127.0.0.2\ntest.none.test A 127.0.0.2\nb.test.none.test A 127.0.0.2\n"
SUSPENDED = [
    ("DNSBL_LISTED", "good.test"),
    ("DNSBL_SUSPENDED", "all.test: lists everything"),
    ("DNSBL_SUSPENDED", "none.test: lists nothing, not even its test points"),
]


def symbols(event):
    return sorted((s["name"], s["detail"]) for s in event.get("symbols", []))


def send(server):
    """One message; its event."""
    before = len(server.events("message"))
    session = postern.Session(server, client="192.0.2.7")
    session.send("Subject: hello\n\nHello.\n", sender="a@b.test", helo="h.test")
    session.close()
    postern.until(lambda: len(server.events("message")) > before)
    return server.events("message")[-1]


def scanned(c, server, event):
    """Nothing but what the event has."""
    case = {
        "ip": "192.0.2.7", "helo": "h.test", "from": "a@b.test", "rcpt": "u@here.test", "message": "Subject: hello\n\nHello.\n",
        "zone": "\n".join(f"{d['name']} {d['type']} {a}" for d in event["dns"] for a in d["answers"]) + "\n",
    }
    build = postern.build_folder()
    for standing in (event["standing"], None):
        line = json.dumps({**case, "standing": standing} if standing else case)
        done = subprocess.run(
            [f"{build}/postern", "scan", "--config", server.conf_path, "--json", "--batch", "-"],
            input=line, capture_output=True, text=True, timeout=60 * postern.patience(), check=False,
            env={**os.environ, "POSTERN_PLUGINS": f"{build}/plugins"},
        )
        found = json.loads(done.stdout or "{}")
        if standing:
            c.check(symbols(found) == symbols(event), "scan repeats the verdict", done.stdout + done.stderr)
            c.check(found.get("standing") == standing, "and its standing", done.stdout)
        else:
            c.check(symbols(found) == SUSPENDED[:1], "and proves nothing itself", done.stdout)


def crashing_tick(c):
    """A tick that crashes on what the DNS says: not a reason to refuse a start, or mail."""
    ticker = os.path.join(postern.build_folder(), "tests", "plugins", "ticker.so")
    conf = CONF.replace("plugins { dnsbl", f'plugins {{ ticker {{ file "{ticker}" }}  dnsbl')
    with postern.Server(conf, dns=WELL + 'tick.test TXT "crash"\n') as server:
        server.start()
        said = "plugin ticker: a worker died while it was in its tick"
        c.check(postern.until(lambda: said in server.log()), "the first tick crashed", server.log())
        event = send(server)
        c.check(("TICKER_NOTHING", "") in symbols(event), "mail is taken, and looked at", str(event))
        c.check(server.log().count(said) == 1, "once", server.log())
        c.check(server.stop() == 0, "clean stop")


def main():
    c = postern.Counter("proof")
    crashing_tick(c)
    with postern.Server(CONF, dns=ILL) as server:
        server.start()
        log = server.log()
        c.check("list all.test is suspended: it lists everything" in log, "said at the start", log)
        c.check("list none.test is suspended: it lists nothing" in log, "the other too", log)
        c.check("good.test" not in log, "one that works is not spoken of", log)
        event = send(server)
        c.check(symbols(event) == SUSPENDED, "in the verdict", str(symbols(event)))
        c.check(not any("all.test" in d["name"] for d in event["dns"]), "and not asked", str(event["dns"]))
        scanned(c, server, event)

        said = server.log().count("all.test is suspended")
        pids = server.workers()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        c.check(pids and postern.until(lambda: server.log().count("all.test is suspended") > said), "said again", server.log())
        event = send(server)
        c.check(symbols(event) == SUSPENDED, "a new worker proves them too", str(symbols(event)))

        with open(os.path.join(server.root, "dns.zone"), "w", encoding="utf-8") as f:
            f.write(CURED)
        server.process.send_signal(signal.SIGHUP)
        postern.until(lambda: symbols(send(server)) == [("DNSBL_LISTED", "good.test"), ("DNSBL_LISTED", "none.test b.test")])
        event = send(server)
        c.check("standing" not in event, "well again after a reload: nothing to say", str(event.get("standing")))
        c.check(server.stop() == 0, "clean stop")
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

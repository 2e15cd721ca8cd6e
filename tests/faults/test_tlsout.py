#!/usr/bin/env python3
"""TLS towards next hops, over a whole server: what is done where STARTTLS is not offered, is
refused, breaks or stalls, and where DNS says by DANE who the server has to be. A row a
destination: what its server does, what DNS and the operator say, and what must come of it.
Wherever TLS is a must, no MAIL is ever heard in clear.
"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
import tlshop  # noqa: E402

# What a server does: lib/tlshop.py.
# TLSA records: "match", "match-ta", "wrong", "unusable", "both" (one that matches behind a wrong
# one), "insecure" (without a proof), "fail", "timeout", "" (none, proved).
# What must come of it: "clear", "tls", "known" (TLS, its name by an authority), "proved" (by
# DANE; all of them delivered so), "deferred", "untried" (deferred
# without a connection).
ROWS = [
    # level, server, TLSA, wanted, words of the reply where it is deferred
    ("off", "tls", "", "clear", ""),
    ("off", "tls", "match", "clear", ""),
    ("may", "tls", "", "known", ""),
    ("may", "tls12", "", "known", ""),
    ("may", "self", "", "tls", ""),
    ("may", "none", "", "clear", ""),
    ("may", "refuse", "", "clear", ""),
    ("may", "break", "", "clear", ""),
    ("may", "cut", "", "clear", ""),
    ("may", "stall", "", "clear", ""),
    ("may", "inject", "", "deferred", "4.7.5"),
    ("may", "tls", "insecure", "known", ""),
    ("may", "none", "insecure", "clear", ""),
    ("may", "tls", "match", "proved", ""),
    ("may", "tls12", "match", "proved", ""),
    ("may", "tls", "both", "proved", ""),
    ("may", "tls", "match-ta", "proved", ""),
    ("may", "tls", "wrong", "deferred", "4.7.5 certificate refused"),
    ("may", "none", "match", "deferred", "4.7.5 TLS is required and not offered"),
    ("may", "refuse", "match", "deferred", "4.7.0 not now"),
    ("may", "break", "match", "deferred", "4.7.5"),
    ("may", "cut", "match", "deferred", "4.7.5"),
    ("may", "stall", "match", "deferred", "4.7.5"),
    ("may", "tls", "unusable", "known", ""),
    ("may", "none", "unusable", "deferred", "4.7.5 TLS is required and not offered"),
    ("may", "break", "unusable", "deferred", "4.7.5"),
    ("may", "tls", "fail", "untried", "4.7.5 Whether"),
    ("may", "tls", "timeout", "untried", "4.7.5 Whether"),
    ("may", "self", "unusable", "tls", ""),
    ("must", "tls", "", "known", ""),
    ("must", "self", "", "deferred", "4.7.5 certificate refused"),
    ("must", "self", "unusable", "deferred", "4.7.5 certificate refused"),
    ("must", "none", "", "deferred", "4.7.5 TLS is required and not offered"),
    ("must", "refuse", "", "deferred", "4.7.0 not now"),
    ("must", "break", "", "deferred", "4.7.5"),
    ("must", "cut", "", "deferred", "4.7.5"),
    ("must", "stall", "", "deferred", "4.7.5"),
    ("must", "tls", "match", "proved", ""),
    ("must", "tls", "wrong", "deferred", "4.7.5 certificate refused"),
    ("must", "tls", "fail", "untried", "4.7.5 Whether"),
    ("dane", "tls", "match", "proved", ""),
    ("dane", "tls", "wrong", "deferred", "4.7.5 certificate refused"),
    ("dane", "none", "match", "deferred", "4.7.5 TLS is required and not offered"),
    ("dane", "stall", "match", "deferred", "4.7.5"),
    ("dane", "tls", "", "untried", "4.7.5 DANE is required, and DNSSEC proves no"),
    ("dane", "tls", "insecure", "untried", "4.7.5 DANE is required, and DNSSEC proves no"),
    ("dane", "tls", "unusable", "untried", "4.7.5 DANE is required, and the server's"),
    ("dane", "tls", "fail", "untried", "4.7.5 Whether"),
]


def zone(i, tlsa, port, digests):
    """What DNS says of the i-th destination's host."""
    name = f"m{i}.signed.test"
    ask = f"_{port}._tcp.{name} TLSA"
    wrong = f"{ask} 3 0 1 {'00' * 32}\n"
    lines = f"{name} A 127.0.0.1\n{name} A SECURE\n{name} AAAA SECURE\n"
    return lines + {
        "": f"{ask} SECURE\n",
        "match": f"{ask} 3 0 1 {digests['mx']}\n{ask} SECURE\n",
        "match-ta": f"{ask} 2 0 1 {digests['ca']}\n{ask} SECURE\n",
        "both": f"{wrong}{ask} 3 0 1 {digests['mx']}\n{ask} SECURE\n",
        "wrong": f"{wrong}{ask} SECURE\n",
        "unusable": f"{ask} 1 0 1 {digests['mx']}\n{ask} 3 9 1 {digests['mx']}\n{ask} SECURE\n",
        "insecure": wrong,
        "fail": f"{ask} SERVFAIL\n",
        "timeout": f"{ask} TIMEOUT\n",
    }[tlsa]


def check_event(c, what, event, i, row, hop):
    """The event says where the try went, and what became of TLS there."""
    want = row[3]
    if want == "untried":
        c.check("ip" not in event and "tls" not in event, f"{what}: the event names no server", event)
        return
    where = (event.get("destination"), event.get("host"), event.get("ip"), event.get("port"))
    c.check(where == (f"d{i}.test", f"m{i}.signed.test", "127.0.0.1", hop.port), f"{what}: where", where)
    c.check(event.get("attempt_ms", -1) >= 0, f"{what}: how long", event)
    if want in ("tls", "known", "proved"):
        tls = event["tls"] or {}
        version = "TLSv1.2" if row[1] == "tls12" else "TLSv1.3"
        verified = {"tls": "none", "known": "pki", "proved": "dane"}[want]
        c.check((tls.get("version"), tls.get("verified")) == (version, verified) and tls.get("cipher"), f"{what}: tls", tls)
    else:
        c.check(event["tls"] is None, f"{what}: in clear", event["tls"])


def check_connections(c, server):
    """Connections that came to nothing have a line of their own, also where one in clear followed."""
    failed = {e["destination"]: e for e in server.events("connection")}
    for i, row in enumerate(ROWS):
        broke = row[3] == "deferred" or (row[3] == "clear" and row[1] in ("break", "cut", "stall") and row[0] != "off")
        event = failed.get(f"d{i}.test")
        c.check((event is not None) == broke, f"row {i} {row}: a line for a failed connection", event)
        if event is not None and row[3] == "clear":
            c.check(event["reply"].startswith("4.7.5 ") and event["tls"] is None, f"row {i} {row}: what it says", event)


def check_row(c, server, i, row, hop):
    level, does, tlsa, want, words = row
    what = f"{level}, {does}, TLSA {tlsa or 'none'}"
    own = lambda: [e for e in server.events("delivery") if e["to"] == f"u@d{i}.test"]
    outcome = "deferred" if want in ("deferred", "untried") else "delivered"
    events = postern.until(own)
    if not c.check(bool(events) and events[0]["outcome"] == outcome, f"{what}: {outcome}", events):
        return
    encrypted = want in ("tls", "known", "proved")
    check_event(c, what, events[0], i, row, hop)
    if outcome == "delivered":
        c.check(hop.taken == [encrypted] and hop.mails == [encrypted], f"{what}: {want}", (hop.mails, hop.taken))
    else:
        c.check(not hop.mails and not hop.taken, f"{what}: no MAIL was heard", (hop.mails, hop.taken))
        c.check(words in events[0]["reply"], f"{what}: says why", events[0]["reply"])
        c.check((hop.connections == 0) == (want == "untried"), f"{what}: connections", hop.connections)


def test_rows(c, folder):
    at, digests = tlshop.certificates(folder, ["*.signed.test"])
    made = tlshop.contexts(at)
    hops = [tlshop.Hop(row[1], made) for row in ROWS]
    conf = 'smtp { hostname "mx.here.test" }\nqueue { retry 1h  tls-authorities "AT" }\nevents { deliveries yes }\n'.replace("AT", at["ca.pem"])
    conf += "timeouts { next-hop { hello 3s } }\n"
    dns = ""
    aliases = ""
    for i, (row, hop) in enumerate(zip(ROWS, hops)):
        conf += f'destination "d{i}.test" {{ route smtp "m{i}.signed.test:{hop.port}"  tls {row[0]} }}\n'
        aliases += f'  alias "u{i}" to "u@d{i}.test"\n'
        dns += zone(i, row[2], hop.port, digests)
    conf += f'domain "here.test" {{ recipients any  route local\n{aliases}}}\n'
    server = postern.Server(conf, dns=dns)
    try:
        with server:
            server.start()
            for i in range(len(ROWS)):
                send(c, server, f"u{i}@here.test")
            for i, (row, hop) in enumerate(zip(ROWS, hops)):
                check_row(c, server, i, row, hop)
            check_connections(c, server)
    finally:
        for hop in hops:
            hop.stop()


def send(c, server, rcpt):
    session = postern.Session(server)
    answer = session.send("Subject: hello\r\n\r\nbody\r\n", sender="", rcpts=[rcpt])
    session.close()
    c.check(answer.startswith("250"), f"{rcpt} is taken", answer)


def test_reload(c):
    """A connection in clear that is kept open is not used once the operator asks for TLS."""
    hop = tlshop.Hop("none", {})
    conf = ('smtp {{ hostname "mx.here.test" }}\nqueue {{ retry 1h  idle 5m }}\nevents {{ deliveries yes }}\n'
            'destination "d.test" {{ route smtp "127.0.0.1:{port}"  tls {tls} }}\n'
            'domain "here.test" {{ recipients any  route local  alias "u" to "u@d.test" }}\n')
    server = postern.Server(conf.format(port=hop.port, tls="may"))
    outcomes = lambda: [e["outcome"] for e in server.events("delivery")]
    try:
        with server:
            server.start()
            send(c, server, "u@here.test")
            c.check(postern.until(lambda: outcomes() == ["delivered"]), "in clear", outcomes())
            send(c, server, "u@here.test")
            c.check(postern.until(lambda: outcomes() == ["delivered"] * 2), "again", outcomes())
            c.check(hop.connections == 1, "by the same connection", hop.connections)
            server.write_conf(conf.format(port=hop.port, tls="must"))
            server.process.send_signal(signal.SIGHUP)
            c.check(postern.until(lambda: "generation 2" in server.log() or server.events("reload")), "reloaded", server.log())
            send(c, server, "u@here.test")
            c.check(postern.until(lambda: outcomes() == ["delivered"] * 2 + ["deferred"]), "then deferred", outcomes())
            c.check(hop.mails == [False, False], "no MAIL more in clear", hop.mails)
    finally:
        hop.stop()


def main():
    c = postern.Counter("tlsout")
    with postern.tempfile.TemporaryDirectory(prefix="postern-tlsout-") as folder:
        test_rows(c, folder)
    test_reload(c)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Sessions on a live server: IPv6, a session's time, many recipients, and a message far
over the limit, which must cost no memory.
"""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import postern  # noqa: E402

CONF = (
    "limits { message-size 4m  recipients 300 }\ntimeouts { session 1s }\n"
    'domain "here.test" { recipients any  route local }\n'
)


def edge_rss_kb(server):
    total = 0
    for pid in server.roles("edge"):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
    return total


def over_ipv6(count, server, port):
    try:
        with socket.create_connection(("::1", port), 5) as s:
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"EHLO [IPv6:::1]\r\n")
            while f.readline()[3:4] == b"-":
                pass
            s.sendall(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<u@here.test>\r\nDATA\r\nx\n\r\n.\r\n")
            replies = [f.readline() for _ in range(4)]
    except OSError as e:
        count.check(False, "a client over IPv6", e)
        return
    count.check(replies[-1].startswith(b"550 5.6.0"), "a client over IPv6", replies)
    count.check(postern.until(lambda: any(e["client"]["ip"] == "::1" for e in server.events("refused"))), "its address in the event")


def recipient_rate(count):
    """Over all sessions of an address, whichever edge has them, and of its network."""
    conf = (
        "edges 2\nlimits { recipients-per-minute 60  recipients-per-minute-network 90 }\n"
        'domain "here.test" { recipients any  route local }\n'
    )

    def ask(server, client, rcpts):
        session = postern.Session(server, client=client)
        session.command("EHLO c.test")
        session.raw(b"MAIL FROM:<a@b.test>\r\n" + b"".join(b"RCPT TO:<u%d@here.test>\r\n" % i for i in range(rcpts)))
        codes = [session.reply()[:9] for _ in range(rcpts + 1)][1:]
        session.close()
        return codes

    with postern.Server(conf) as server:
        server.start()
        one = [c for _ in range(4) for c in ask(server, "192.0.2.1", 100)]
        other = ask(server, "192.0.2.2", 100)
        far = ask(server, "198.51.100.1", 50)
        taken = one.count("250 2.1.5")  # sixty, and one more each second that this takes
        count.check(60 <= taken < 200, "recipients a minute from an address", taken)
        count.check(set(one) == {"250 2.1.5", "451 4.7.1"}, "the others are told to wait", set(one))
        count.check(0 < other.count("250 2.1.5") < 60 or taken > 90, "and from a network", other.count("250 2.1.5"))
        count.check(far == ["250 2.1.5"] * 50, "no other network", far[-1])
        count.check(server.wait_events("limited", 1), "an event says so")


def connect_from(server, address):
    sock = socket.create_connection(("127.0.0.1", server.smtp), 5, (address, 0))
    sock.settimeout(20)
    return sock


def heard(sock):
    """What comes next; nothing where the server closed, whether it had read all or not."""
    try:
        return sock.recv(1000)
    except ConnectionResetError:
        return b""


def who_may_proxy(count):
    """A PROXY header counts from the named networks, where it must come, and from no other."""
    with postern.Server('domain "here.test" { recipients any  route local }', smtp_options="{ proxy from 127.0.0.2/32 }") as server:
        server.start()
        header = b"PROXY TCP4 192.0.2.7 192.0.2.254 40000 25\r\n"
        plain = connect_from(server, "127.0.0.1")
        got = heard(plain)
        count.check(got.startswith(b"220"), "who is not named is greeted at once", got)
        plain.sendall(header)
        got = heard(plain)
        count.check(got.startswith(b"500"), "and PROXY is no command", got)
        plain.close()
        named = connect_from(server, "127.0.0.2")
        named.sendall(header)
        got = heard(named)
        count.check(got.startswith(b"220"), "who is named is greeted behind the header", got)
        named.close()
        silent = connect_from(server, "127.0.0.2")
        silent.sendall(b"EHLO client.test\r\n")
        got = heard(silent)
        count.check(got == b"", "and turned away without one", got)
        silent.close()
        count.check(server.wait_events("proxy-refused", 1), "an event says so")


def probing(count):
    """Who asks for names that nobody has is known by his own name, where there is a plugin
    that asks for it; and each of those he tried is in the event."""
    conf = 'plugins { client }\ndomain "here.test" { recipients list "LIST" }\n'
    dns = "9.2.0.192.in-addr.arpa PTR probe.b.test\nprobe.b.test A 192.0.2.9\n"
    with postern.Server("", dns=dns) as server:
        names = os.path.join(server.root, "names")
        with open(names, "w", encoding="ascii") as f:
            f.write("known\n")
        server.write_conf(conf.replace("LIST", names))
        server.start()

        def probe():  # nobody waits for what plugins find of him: it may come late
            session = postern.Session(server, client="192.0.2.9")
            for line in ("EHLO probe.b.test", "MAIL FROM:<a@b.test>"):
                session.command(line)
            answers = [session.command(f"RCPT TO:<{name}@here.test>")[:3] for name in ("a", "b", "c")]
            before = len(server.events("message"))
            session.command("RSET")
            event = server.wait_events("message", before + 1)[before]
            session.close()
            count.check(answers == ["550"] * 3, "nobody of that name", str(answers))
            refused = [r["address"] for r in event["envelope"]["refused"]]
            count.check(refused == ["a@here.test", "b@here.test", "c@here.test"], "each is named", str(event["envelope"]))
            return event["client"]["ptr"] == "probe.b.test" and event

        event = postern.until(probe)
        if count.check(event, "and the client"):
            found = {s["name"] for s in event["symbols"]}
            count.check({"CLIENT_NAME", "CLIENT_HELO_CONFIRMED"} <= found, "as is what the plugin found", str(found))


def main():
    count = postern.Counter("session")
    who_may_proxy(count)
    recipient_rate(count)
    probing(count)
    six = postern.free_port()
    conf = CONF + (f"listen smtp [::1]:{six}\n" if socket.has_ipv6 else "")
    with postern.Server(conf) as server:
        server.start()
        if socket.has_ipv6:
            over_ipv6(count, server, six)

        session = postern.Session(server)
        for line in ("EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@here.test>", "DATA"):
            session.command(line)
        idle = postern.Session(server)
        idle.command("EHLO c.test")
        answer = idle.reply()
        count.check(answer.startswith("421 4.4.2"), "a session has its time, though nothing is said", answer)
        idle.close()
        session.raw(b"Subject: slow\r\n\r\nx\r\n.\r\n")
        answer = session.reply()
        count.check(answer.startswith("250"), "content goes on when the time is over", answer)
        answer = session.reply()
        count.check(answer.startswith("421 4.4.2"), "then the session is closed", answer)
        session.close()

        session = postern.Session(server)
        session.command("EHLO c.test")
        session.raw(b"MAIL FROM:<a@b.test>\r\n" + b"".join(b"RCPT TO:<u%d@here.test>\r\n" % i for i in range(400)))
        codes = [session.reply()[:9] for _ in range(401)]
        count.check(codes.count("250 2.1.5") == 300, "300 recipients are taken", codes.count("250 2.1.5"))
        count.check(codes[301:] == ["452 4.5.3"] * 100, "the others are told to wait", codes[301:303])
        answer = session.command("DATA")
        session.raw(b"Subject: many\r\n\r\nx\r\n.\r\n")
        answer = session.reply()
        count.check(answer.startswith("250"), "one message for all", answer)
        session.close()

        session = postern.Session(server)
        session.command("EHLO c.test")
        answer = session.command("MAIL FROM:<a@b.test> SIZE=5000000")
        count.check(answer.startswith("552 5.3.4"), "too large by its own word", answer)
        for line in ("MAIL FROM:<a@b.test>", "RCPT TO:<u@here.test>", "DATA"):
            session.command(line)
        before = edge_rss_kb(server)
        chunk = (b"x" * 998 + b"\r\n") * 64
        for _ in range(12 * 16):  # twelve megabytes
            session.raw(chunk)
        grown = edge_rss_kb(server) - before
        session.raw(b".\r\n")
        answer = session.reply()
        count.check(answer.startswith("552 5.3.4"), "too large in fact", answer)
        count.check(grown < 4096, "and no memory for it", f"{grown} KB")
        session.close()
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Many destinations at once, over a whole server: some are slow, some dead, some say nothing, some
greylist, break TLS, answer 421, let in two connections, or drop us in the middle of the content.
Every message must be accounted for, and none may wait for another destination:

    while the servers that say nothing go on saying nothing, and the dead stay dead, all mail to the
    others must arrive. Only then do the silent speak and the dead rise, and the rest must arrive too.

So nothing here is decided by the clock; it only fills the table that is printed.

    test_destinations.py [DESTINATIONS [MESSAGES]]     500 10000: make destinations
"""
import asyncio
import collections
import os
import resource
import statistics
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

# Of each hundred destinations, how many are of which kind.
SHARES = {
    "good": 44,
    "slow": 8,  # each reply takes its time
    "silent": 8,  # accepts the connection and says nothing, until it is told to
    "dead": 8,  # refuses the connection, until it is told not to
    "greylisting": 8,  # 451 to each recipient the first time
    "TLS broken": 8,  # STARTTLS, and then no TLS
    "421": 4,  # ends every other session at MAIL
    "dropping": 4,  # is gone in the middle of a message's content, the first time
    "crowded": 4,  # two connections at once, 421 to more
    "refusing": 4,  # 550 to each recipient
}
PARTED = ("silent", "dead")  # what waits for the second act
SLOW_S = 0.15


def kinds(count):
    """A kind for each destination, mixed, every one there as soon as there are enough."""
    wheel = []
    left = dict(SHARES)
    while any(left.values()):
        for kind in left:
            if left[kind] > 0:
                wheel.append(kind)
                left[kind] -= 1
    return [wheel[i % len(wheel)] for i in range(count)]


class Destination:
    """One next hop, at an address of its own in a network of its own."""

    def __init__(self, number, kind):
        self.number, self.kind = number, kind
        self.name = f"d{number}.test"
        self.address = f"127.{64 + number // 250}.{number % 250}.1"
        self.taken = collections.Counter()  # messages by number: how often each content was taken
        self.seen = collections.Counter()
        self.sessions = self.open = self.most = 0


class Internet:
    """All of them, on one loop in a thread."""

    def __init__(self, destinations, port):
        self.destinations, self.port = destinations, port
        self.second = None  # the second act
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.second = asyncio.Event()
        self.loop.run_until_complete(self.listen([d for d in self.destinations if d.kind != "dead"]))
        ready.set()
        self.loop.run_forever()

    async def listen(self, destinations):
        for d in destinations:
            await asyncio.start_server(lambda r, w, d=d: self.serve(d, r, w), d.address, self.port, backlog=100)

    def second_act(self):
        async def act():
            self.second.set()
            await self.listen([d for d in self.destinations if d.kind == "dead"])

        asyncio.run_coroutine_threadsafe(act(), self.loop).result()

    async def serve(self, d, reader, writer):
        d.sessions += 1
        d.open += 1
        d.most = max(d.most, d.open)
        try:
            await Session(self, d, reader, writer).talk()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # gone
        finally:
            d.open -= 1
            writer.close()


class Session:
    def __init__(self, net, d, reader, writer):
        self.net, self.d, self.reader, self.writer = net, d, reader, writer
        self.number, self.mails = d.sessions, 0
        self.rcpts = []

    async def say(self, *lines):
        if self.d.kind == "slow":
            await asyncio.sleep(SLOW_S)
        for i, line in enumerate(lines):
            self.writer.write(line.replace(" ", "-" if i < len(lines) - 1 else " ", 1).encode() + b"\r\n")
        await self.writer.drain()

    async def talk(self):
        if self.d.kind == "silent":
            await self.net.second.wait()
        if self.d.kind == "crowded" and self.d.open > 2:
            return await self.say("421 4.3.2 two are enough")
        await self.say("220 hop.test")
        while True:
            line = (await self.reader.readline()).decode()
            if not await self.one(line[:4].upper(), line.strip()):
                return None

    async def one(self, word, line):
        if word == "EHLO":
            offer = ["250 STARTTLS"] if self.d.kind == "TLS broken" else []
            await self.say("250 hop.test", "250 PIPELINING", *offer, "250 8BITMIME")
        elif word == "STAR":
            await self.say("220 go")
            await self.reader.read(1000)
            self.writer.write(b"what you said is Greek to me\r\n")
            return False
        elif word == "MAIL":
            self.rcpts = []
            self.mails += 1
            if self.d.kind == "421" and self.number % 2 == 1:
                await self.say("421 4.3.2 not in this session")
                return False
            await self.say("250 2.1.0 ok")
        elif word == "RCPT":
            await self.say(self.rcpt(int(line.split("<u")[1].split("@")[0])))
        elif word == "DATA":
            return await self.data()
        else:
            await self.say("221 2.0.0 bye" if word == "QUIT" else "250 2.0.0 ok")
            return word not in ("QUIT", "")
        return True

    def rcpt(self, number):
        self.d.seen[number] += 1
        if self.d.kind == "refusing":
            return "550 5.1.1 nobody of that name"
        if self.d.kind == "greylisting" and self.d.seen[number] == 1:
            return "451 4.7.1 greylisted, come again"
        self.rcpts.append(number)
        return "250 2.1.5 ok"

    async def data(self):
        if not self.rcpts:
            await self.say("554 5.5.1 no valid recipients")
            return True
        await self.say("354 go")
        if self.d.kind == "dropping" and self.d.seen[self.rcpts[0]] == 1:
            await self.reader.readexactly(20)
            return False
        content = await self.reader.readuntil(b"\r\n.\r\n")
        if f"Subject: message {self.rcpts[0]}\r\n".encode() not in content:
            await self.say("554 5.6.0 this is another message")
            return True
        self.d.taken.update(self.rcpts)
        await self.say("250 2.0.0 taken")
        return True


def configuration(destinations, port):
    conf = 'smtp { hostname "mx.here.test" }\nevents { deliveries yes  rotate 1g }\n'
    conf += "queue { retry 500ms, 1s, 2s, 4s  expire 1h  idle 1s }\n"
    conf += "limits { transactions 1000000  messages-per-minute 0  messages-per-minute-network 0 "
    conf += "recipients-per-minute 0  recipients-per-minute-network 0 }\n"
    conf += "timeouts { next-hop { greeting 1h } }\n"
    for d in destinations:
        conf += f'domain "{d.name}" {{ recipients any  route smtp {d.address}:{port} }}\n'
    return conf


def submit(server, destinations, numbers, refused):
    """One client's share: a transaction in one write where the server lets it."""
    session = postern.Session(server, seconds=600)
    session.command("EHLO client.test")
    for n in numbers:
        d = destinations[n % len(destinations)]
        session.raw(f"MAIL FROM:<s{n % 7}@sender{n % 5}.test>\r\nRCPT TO:<u{n}@{d.name}>\r\nDATA\r\n".encode())
        answers = [session.reply() for _ in range(3)]
        if not answers[2].startswith("354"):
            refused.append((n, answers))
            continue
        session.raw(f"Subject: message {n}\r\n\r\n{'Good morning. ' * 20}\r\n.\r\n".encode())
        answer = session.reply()
        if not answer.startswith("250"):
            refused.append((n, answer))
    session.close()


def submit_all(server, destinations, messages, clients=8):
    refused = []
    threads = [
        threading.Thread(target=submit, args=(server, destinations, range(i, messages, clients), refused))
        for i in range(clients)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return refused


def missing(destinations, messages, wanted):
    """How many messages to destinations of these kinds have not arrived."""
    count = 0
    for n in range(messages):
        d = destinations[n % len(destinations)]
        count += d.kind in wanted and n not in d.taken
    return count


def table(destinations, messages, events):
    tries, waits, held = collections.Counter(), collections.defaultdict(list), collections.Counter()
    kind_of = {d.name: d.kind for d in destinations}
    for e in events:
        if "to" not in e:
            continue
        kind = kind_of[e["to"].split("@")[1]]
        if e["outcome"] == "delivered":
            waits[kind].append(e["ms"] / 1000)
        elif e["outcome"] == "held":
            held[kind] += 1
        else:
            tries[kind] += 1
    print(f"{'destinations':<22}{'messages':>9}{'arrived':>9}{'twice':>7}{'held':>6}{'put off':>9}{'sessions':>10}"
          f"{'at once':>9}{'median s':>10}{'last s':>8}")
    for kind in SHARES:
        those = [d for d in destinations if d.kind == kind]
        if not those:
            continue
        sent = sum(1 for n in range(messages) if destinations[n % len(destinations)].kind == kind)
        arrived = sum(len(d.taken) for d in those)
        twice = sum(sum(d.taken.values()) for d in those) - arrived
        times = waits[kind] or [0]
        print(f"{len(those):>4} {kind:<17}{sent:>9}{arrived:>9}{twice:>7}{held[kind]:>6}{tries[kind]:>9}"
              f"{sum(d.sessions for d in those):>10}{max(d.most for d in those):>9}"
              f"{statistics.median(times):>10.1f}{max(times):>8.1f}")
    return held


def play(c, count, messages):
    port = postern.free_port()
    destinations = [Destination(i, kind) for i, kind in enumerate(kinds(count))]
    net = Internet(destinations, port)
    others = [k for k in SHARES if k not in PARTED and k != "refusing"]
    server = postern.Server(configuration(destinations, port))
    with server:
        server.start()
        refused = submit_all(server, destinations, messages)
        c.check(not refused, f"{messages} messages to {count} destinations are taken", refused[:3])
        postern.until(lambda: missing(destinations, messages, others) == 0, 120)
        left = missing(destinations, messages, others)
        c.check(left == 0, "all mail to the others arrives while some are silent and some dead", left)
        parted = missing(destinations, messages, PARTED)
        c.check(parted == sum(1 for n in range(messages) if destinations[n % count].kind in PARTED),
                "and nothing has arrived at those yet", parted)
        net.second_act()
        everybody = [k for k in SHARES if k != "refusing"]
        postern.until(lambda: missing(destinations, messages, everybody) == 0, 120)
        left = missing(destinations, messages, everybody)
        c.check(left == 0, "the rest arrives when they speak and rise", left)
        ended = lambda: [e for e in server.events("delivery") if e["outcome"] in ("delivered", "held", "failed")]
        postern.until(lambda: len(ended()) >= messages, 60)
        events = server.events("delivery")
        held = table(destinations, messages, events)
        refusing = sum(1 for n in range(messages) if destinations[n % count].kind == "refusing")
        c.check(len(ended()) == messages, "each message has one end", len(ended()))
        c.check(held == collections.Counter({"refusing": refusing} if refusing else {}), "held is what was refused", held)
        twice = sum(sum(d.taken.values()) - len(d.taken) for d in destinations)
        c.check(twice == 0, "nothing arrives twice", twice)
        crowd = max((d.most for d in destinations), default=0)
        c.check(crowd <= 20, "no destination has more connections than it may", crowd)


def main():
    count, messages = (int(w) for w in (sys.argv[1:3] + ["50", "500"][len(sys.argv) - 1 :])[:2])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    c = postern.Counter("destinations")
    play(c, count, messages)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

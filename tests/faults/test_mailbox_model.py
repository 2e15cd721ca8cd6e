#!/usr/bin/env python3
"""Several sessions at once on the same mailboxes, random commands, and a model of what must come of
them: each session's view is checked response by response, and the folders behind each burst.

usage: test_mailbox_model.py [--seconds N (30)] [--seed N] [--steps N] [--lines N] [--dovecot] [--alone] [--no-kill]
       [--power | --no-power]

A burst is one to four commands of different sessions at the same time: IMAP (any mixture of plain,
CONDSTORE, QRESYNC and IMAP4rev2 sessions, some over TLS), POP3, deliveries by LMTP, a stranger in
the Maildir; at times the mailbox role is killed under it, and its index lost. Half of the time (with --power all of it, with
--no-power none) is for a server whose power is cut as well (blackout.py). A run with the same seed draws the same
commands (with --alone, one at a time, it does the same to the end); what fails prints its seed.
--dovecot: against Debian's Dovecot, within tests/interop/netroot.sh.
"""
import argparse
import os
import random
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import blackout  # noqa: E402
import imap  # noqa: E402
import postern  # noqa: E402
from mailbox_client import Client, Lines  # noqa: E402
from mailbox_others import Others  # noqa: E402
from mailbox_view import Fault, plain  # noqa: E402
from mailbox_world import GONE, Box, Message, World, outcomes, seconds  # noqa: E402

USER, PASSWORD = "u@here.test", "correct horse"
BOXES = ("INBOX", "Work")
SEED = 20261122  # of a run that names none, so that CI does the same each time
DEAF_STEPS = 500  # the first power cut of most seeds comes within fifty
NO_FOLDER = {"append": 4, "select": 8, "status": 1, "list": 1, "quota": 1, "folder": 3, "noop": 1}
IN_FOLDER = {"store": 12, "copy": 4, "move": 4, "expunge": 4, "fetch": 5, "search": 8, "sort": 5, "thread": 3, "changed": 2, "noop": 4, "append": 4,
             "select": 4, "close": 1, "idle": 3, "status": 1, "list": 1, "quota": 1, "folder": 2}  # fmt: skip
ASKS = ("fetch", "search", "sort", "thread", "changed")
OTHERS = {"lmtp": 6, "pop3": 2, "drop": 2, "take": 2, "mark": 2}


def draw(rng, weights):
    return rng.choices(list(weights), list(weights.values()))[0]


class Oracle:
    """A session that only reads, and always anew."""

    def __init__(self, target, world, log):
        self.target, self.world, self.log, self.imap = target, world, log, None

    def connect(self):
        self.imap = imap.Imap(self.target.host, self.target.imap, log=Lines(self.log, "oracle"))
        self.imap.login(USER, PASSWORD)

    def names(self):
        return imap.listed(self.imap.ok("LIST", '""', "*"))

    def read(self, name, all_names):
        result = self.imap.ok("EXAMINE", name.encode(), "(CONDSTORE)")
        codes = {r.value.code: r.value.args for r in result.untagged if r.word == "OK"}
        got = {}
        if any(r.word == "EXISTS" and r.value for r in result.untagged):
            got = self.imap.fetch("1:*", "(UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE)", True)
        unnamed = [u for u in got if all_names or (name, u) not in self.world.idents]
        idents = {u: self.world.idents.get((name, u)) for u in got}
        if unnamed:
            for uid, items in self.imap.fetch(imap.compact(unnamed), "(UID BODY.PEEK[HEADER.FIELDS (X-Id)])", True).items():
                idents[uid] = items["BODY[HEADER.FIELDS (X-ID)]"].decode().partition(": ")[2].strip()
        self.imap.ok("UNSELECT")  # or it would be ended where the folder goes
        messages = {u: Message(idents[u], plain(items["FLAGS"]), items["MODSEQ"], seconds(items["INTERNALDATE"]), items["RFC822.SIZE"])
                    for u, items in sorted(got.items())}  # fmt: skip
        return Box(codes["UIDVALIDITY"], codes["UIDNEXT"], codes.get("HIGHESTMODSEQ"), messages)


class Run:
    def __init__(self, target, seed, args):
        self.target, self.seed, self.args = target, seed, args
        self.log, self.world = [], World()
        self.oracle = Oracle(target, self.world, self.log)
        self.clients = [Client(f"s{n}", target, USER, PASSWORD, self.world, self.log) for n in range(1, 6)]
        self.others = Others(target, USER, PASSWORD, self.world, self.log)
        self.steps, self.kills, self.counts = 0, 0, {}
        self.cuts_power = hasattr(target, "cut_power")

    def begin(self):
        self.oracle.connect()
        self.oracle.imap.command("CREATE", BOXES[1].encode())
        self.world.made = [n for n in self.oracle.names() if n not in BOXES]
        self.world.open = lambda: [c.view.folder for c in self.clients if c.view.folder and not c.dead]
        for box in BOXES:
            self.world.check(box, self.oracle.read(box, True), [], [])

    def reconnect(self, rng):
        for client in self.clients:
            if client.dead:
                client.disconnect()
                client.connect(rng)

    def step(self):
        self.steps += 1
        rng = random.Random(f"{self.seed}/{self.steps}")
        self.log.append(f"---- step {self.steps}")
        self.reconnect(rng)
        for client in self.clients:
            if client.idling:
                if rng.random() < 0.3:
                    client.end_idle()
                else:
                    client.hear()
            client.catch_up()
        end = not self.args.no_kill and rng.random() < (0.03 if self.cuts_power else 0.02)
        kill = "power" if end and self.cuts_power and rng.random() < 0.7 else "kill" if end else None
        jobs = self.draw_jobs(rng, kill)
        effects, creations = self.burst(jobs, rng, kill)
        self.settle(effects, creations, kill)
        self.views(rng, any(kind in ("drop", "take", "mark", "lmtp", "pop3") for kind, _, _ in jobs))

    def draw_jobs(self, rng, kill):
        """[(kind, client or None, generator)]. No delivery while the role is killed: its content would be
        in the journal, and come at any later step, perhaps twice (test_lmtp.py looks at that). When
        the power is cut it may be there too; then all that waits is delivered first."""
        most = 1 if self.args.alone else rng.choice([1, 1, 1, 2, 3, 4])
        free = [c for c in self.clients if not c.idling and not c.dead]
        rng.shuffle(free)
        jobs = []
        if rng.random() < 0.15 or not free:
            kind = draw(rng, {k: n for k, n in OTHERS.items() if not (kill == "kill" and k == "lmtp")})
            jobs.append((kind, None, getattr(self.others, "do_" + kind)(rng)))
            if kind in ("drop", "take", "mark"):
                most = 1  # strangers know no locks: what they do at the same time as a server is their risk
        for client in free[: most - len(jobs)]:
            weights = dict(IN_FOLDER if client.view.folder else NO_FOLDER)
            if client.view.folder:
                if len(client.view.messages) > 60:
                    weights.update(expunge=20, store=20, append=1, copy=0)
                if client.read_only:
                    for kind in ("store", "move", "expunge"):
                        del weights[kind]
                if not client.view.messages:
                    for kind in ("store", "move", "expunge", "copy", *ASKS):
                        weights.pop(kind, None)
            if jobs or self.args.dovecot:
                weights.pop("folder")
            kind = draw(rng, weights)
            jobs.append((kind, client, getattr(client, "do_" + kind)(rng)))
            if kind == "folder":
                break
        for kind, client, _ in jobs:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if client:
                client.solo = len(jobs) == 1
        return jobs

    def burst(self, jobs, rng, kill):
        effects, creations, waiting = [], [], []
        self.others.pop_read, self.others.pop_deleted = set(), set()
        for kind, client, job in jobs:
            if kill and client:
                client.solo = False
            try:
                next(job)
                waiting.append(job)
            except StopIteration as done:
                effects += done.value[0]
                creations += done.value[1]
        if kill:
            time.sleep(rng.choice([0, 0, 0.001, 0.003, 0.01]))
            self.end(kill, rng)
            if rng.random() < 0.3:
                self.log.append("the index is lost")
                self.target.lose_index(USER)
        for job in waiting:
            try:
                next(job)
            except StopIteration as done:
                effects += done.value[0]
                creations += done.value[1]
        return effects, creations

    def end(self, kill, rng):
        self.kills += 1
        if kill == "kill":
            self.log.append("kill -9")
            self.target.kill_mailboxes()
            return
        self.target.cut_power(rng.getrandbits(32))
        self.log.append(f"the power is cut: {self.target.last}")

    def settle(self, effects, creations, kill):
        """Reads the truth, and whether it may be. What is delivered may take a moment to appear."""
        if kill:
            for client in self.clients:
                client.dead = True
            postern.until(self.comes_back)
        if kill == "power":
            if not self.target.settle():
                raise Fault(f"what waits in the queue is not delivered: {self.target.queue('list')}")
            for c in creations:  # from the journal, and by the delivery that was not answered
                c.most += c.box == "INBOX" and c.ident in self.others.unanswered
        self.source_flags(effects, creations)
        for client in self.clients:
            if client.turn:
                self.world.turn(client.turn, self.oracle.names())
                client.turn = None
        if kill:
            self.world.check_names(self.oracle.names())
        before = dict(self.world.boxes)
        for box in list(self.world.boxes):
            expected = [c for c in creations if c.box == box and c.least and c.uid is None]

            def read():
                self.now = self.oracle.read(box, kill or self.steps % 50 == 0)
                idents = [m.ident for m in self.now.messages.values()]
                # What was killed may still be put in order while it is read.
                settled = not kill or self.now.highest == self.oracle.read(box, False).highest
                return settled and all(c.ident in idents for c in expected)

            postern.until(read, 20)
            self.world.check(box, self.now, effects, creations, kill)
        self.world.check_moves(before, effects)

    def comes_back(self):
        try:
            self.oracle.connect()
            return True
        except (OSError, imap.Refused):
            return False

    def source_flags(self, effects, creations):
        """A copy has flags that its source had at some moment of the burst, and is read by POP3 or
        deleted by it as any other."""
        for c in creations:
            source = getattr(c, "source", None)
            was = self.world.boxes[source[0]].messages.get(source[1]) if source else None
            if was:
                c.date = was.date
                c.flags = outcomes(was.flags, [Loose(e) for e in effects if e.box == source[0]], source[1]) - {GONE}
                if any("\\Deleted" in f for f in c.flags) and any("EXPUNGE" in e.what or "CLOSE" in e.what for e in effects if e.box == c.box):
                    c.least = 0
            if c.box == "INBOX" and c.ident in self.others.pop_read:
                c.flags = c.flags and c.flags | {f | {"\\Seen"} for f in c.flags}
                c.least = 0 if c.ident in self.others.pop_deleted else c.least

    def views(self, rng, by_others):
        """Some sessions ask with a NOOP, and must see what is; idle ones hear it in time."""
        for client in self.clients:
            if client.dead or not client.view.folder:
                continue
            if client.idling:
                if rng.random() < 0.2:
                    self.must_hear(client)
                continue
            if rng.random() < 0.3:
                self.must_see(client, by_others)

    def must_see(self, client, patiently):
        def look():
            client.run("NOOP")
            client.catch_up()
            return client.dead or client.compare() is None

        if not (postern.until(look, 20) if patiently or not client.solo else look()):
            raise Fault(f"after NOOP {client.compare()}")
        if not client.dead:
            client.remember()

    def must_hear(self, client):
        truth = self.world.boxes[client.view.folder].messages

        def look():
            client.hear()
            known = {u: f for u, f in client.view.flags().items() if u is not None and f is not None}
            return client.dead or (len(client.view.messages) == len(truth) and all(u in truth and truth[u].flags == f for u, f in known.items()))

        if not postern.until(look, 60):
            raise Fault(f"{client.name} was not told while idle: {client.compare()}")


class Loose:
    """An effect that may or may not have come before a copy was made."""

    def __init__(self, effect):
        self.uids, self.change, self.certain = effect.uids, effect.change, False


def play(count, target, seed, args):
    run = Run(target, seed, args)
    end = time.monotonic() + args.seconds
    try:
        run.begin()
        while time.monotonic() < end and (not args.steps or run.steps < args.steps):
            run.step()
    except (Fault, imap.Ungrammatical, imap.Refused, OSError, KeyError, ValueError, IndexError) as e:
        last = "\n".join(run.log[-args.lines :])
        detail = "" if isinstance(e, Fault) else traceback.format_exc()
        print(f"the last lines of all sessions:\n{last}\n{detail}", flush=True)
        count.check(False, f"seed {seed}, step {run.steps}", e)
    done = ", ".join(f"{n} {kind}" for kind, n in sorted(run.counts.items()))
    cuts = getattr(target, "cuts", 0)
    print(f"seed {seed}: {run.steps} steps, {run.kills - cuts} kills, {cuts} power cuts; {done}", flush=True)
    count.check(run.steps > 0 and sum(len(b.messages) for b in run.world.boxes.values()) + len(run.world.contents) > 0, "something was done")


def hears_nothing(count, args, kind):
    """The test of this test: a disk on which syncs of files, or of folders, do nothing loses mail,
    and that is found."""
    with blackout.Blackout({USER: PASSWORD}, mailbox="quota 4g", deaf=kind) as target:
        run = Run(target, args.seed, args)
        try:
            run.begin()
            while run.steps < DEAF_STEPS:
                run.step()
            count.check(False, f"{target.cuts} power cuts without a sync of {kind}: nothing was missed")
        except (Fault, imap.Refused, OSError, RuntimeError, subprocess.CalledProcessError) as e:
            count.check(target.cuts > 0, f"without a sync of {kind} a power cut is felt", e)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--lines", type=int, default=80)
    for flag in ("--dovecot", "--alone", "--no-kill"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--power", action=argparse.BooleanOptionalAction)
    args = parser.parse_args()
    count = postern.Counter("model")
    if args.dovecot:
        import dovecot

        with dovecot.Dovecot("/tmp/dovecot", {USER: PASSWORD}) as target:
            play(count, target, args.seed, args)
    else:
        import mailserver

        if not mailserver.is_served():
            print("model: skipped, this build serves no IMAP")
            return 77
        kinds = [mailserver.Postern] * (args.power is not True) + [blackout.Blackout] * (args.power is not False and blackout.is_built())
        if not kinds:
            print("model: skipped, no power can be cut in this build")
            return 77
        args.seconds /= len(kinds)
        for kind in kinds:
            with kind({USER: PASSWORD}, mailbox="quota 4g") as target:
                play(count, target, args.seed, args)
        if blackout.Blackout in kinds:
            hears_nothing(count, args, "files")
            hears_nothing(count, args, "folders")
    return count.close()


if __name__ == "__main__":
    sys.exit(main())

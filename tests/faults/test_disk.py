#!/usr/bin/env python3
"""The spool on a disk of its own that fills up, or can't be written: clients hear 452 or 451,
what got 250 is kept and delivered, and the server is itself again once the disk is, with
no operator. The disk is a small tmpfs in a mount namespace of the server's; where such a
thing can't be made, this says so and counts as skipped.
"""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402
from test_queue import Hop, queue  # noqa: E402

CONF = """
smtp {{ hostname "mx.here.test" }}
limits {{ disk-reserve {reserve}  exempt 0.0.0.0/0 }}
spool {{ segment 1m }}
queue {{ retry 500ms  expire 5d }}
domain "dest.test" {{ recipients any  route smtp 127.0.0.1:{hop} }}
"""
BODY = "Subject: {name}\r\n\r\n" + ("x" * 70 + "\r\n") * 600  # 42 KB


def unshare():
    """Words that begin a mount namespace, or None: none can be had."""
    for words in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        try:
            done = subprocess.run([*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return words
    return None


class Disk:
    """A server whose spool is a tmpfs of so many megabytes. hold() keeps a descriptor open
    outside of the server's life, so that the namespace stays while it starts again."""

    def __init__(self, words, megabytes, reserve):
        self.hop_port = postern.free_port()
        self.server = postern.Server(CONF.format(hop=self.hop_port, reserve=reserve))
        self.spool = os.path.join(self.server.root, "spool")
        os.mkdir(self.spool)
        script = f'mount -t tmpfs -o size={megabytes}m,mode=0700 tmpfs "{self.spool}" && exec "$@"'
        self.server.wrap = [*words, "sh", "-c", script, "sh"]
        self.words = words

    def inside(self, *command):
        enter = ["nsenter", "-t", str(self.server.process.pid), "-m"]
        if "-r" in self.words:
            enter += ["-U", "--preserve-credentials"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=20, check=False)

    def free(self):
        """Kilobytes that are free on it."""
        return int(self.inside("df", "--output=avail", "-k", self.spool).stdout.split()[-1])

    def fill(self, leave=0):
        """Takes all but so many kilobytes, whatever the queue takes meanwhile."""
        ballast, size = os.path.join(self.spool, "ballast"), 0

        def one():
            nonlocal size
            more = self.free() - leave
            if more > 0 and self.inside("fallocate", "-l", f"{size + more}k", ballast).returncode == 0:
                size += more
            return self.free() <= leave

        return postern.until(one, 30)

    def empty(self):
        return self.inside("rm", "-f", os.path.join(self.spool, "ballast")).returncode == 0


def send(disk, name, seconds=60):
    """One message; its last reply. A server that is gone for a moment is asked again."""
    session = postern.Session(disk.server, seconds=seconds)
    answer = session.send(BODY.format(name=name), sender="s@from.test", rcpts=["u@dest.test"])
    session.close()
    return answer


def taken(hop):
    """Subjects of what the next hop took."""
    return [re.match(rb"(?s).*?Subject: ([^\r]*)", content).group(1).decode() for _, content in hop.taken]


def send_until(disk, prefix, stop, kept, seconds=60, most=2000):
    """Sends until an answer makes stop(answer) true; those of 250 are noted in kept."""
    end = time.monotonic() + seconds
    answer = ""
    for n in range(most):
        name = f"{prefix}{n}"
        answer = send(disk, name)
        if answer.startswith("250"):
            kept.append(name)
        if stop(answer) or time.monotonic() > end:
            break
    return answer


def delivered(c, disk, kept, hop):
    """The next hop gets all that was kept."""
    found = postern.until(lambda: set(kept) <= set(taken(hop)), 60)
    got = taken(hop)
    c.check(found, "nothing that got 250 is lost", f"{len(set(kept) - set(got))} of {len(kept)}")
    c.check(set(got) <= set(kept), "and nothing else came", sorted(set(got) - set(kept)))
    c.check(postern.until(lambda: queue(disk.server, "list")[1] == "0 messages\n", 60), "the queue is empty", queue(disk.server, "list")[1][-200:])


def taken_again(c, disk, kept, name, seconds=60):
    """The disk has room: mail is taken, and nobody had to do anything."""
    answer = postern.until(lambda: (lambda a: a.startswith("250") and a)(send(disk, name)), seconds)
    if c.check(answer, "mail is taken again, by itself", disk.server.log()[-500:]):
        kept.append(name)


def all_delivered(c, disk, kept):
    hop = Hop(disk.hop_port)
    delivered(c, disk, kept, hop)
    hop.stop()


def full(c, words):
    """It runs into the reserve: 452 at MAIL, while there is room for what was begun."""
    disk, kept = Disk(words, 48, "16m"), []
    with disk.server as server:
        server.start()
        c.check(send(disk, "first").startswith("250"), "mail is taken")
        kept.append("first")
        answer = send_until(disk, "f", lambda a: not a.startswith("250"), kept)
        c.check(answer.startswith("452 4.3.1"), "then 452", answer)
        c.check(disk.free() > 8 * 1024, "before it is too late", f"{disk.free()} KB are free")
        session = postern.Session(server)
        session.command("EHLO c.test")
        answer = session.command("MAIL FROM:<s@from.test>")
        session.close()
        c.check(answer.startswith("452 4.3.1"), "at MAIL", answer)
        c.check("the disk has less than its reserve left" in server.log(), "and the operator reads why")
        c.check(not server.events("role_died"), "no role died", server.log()[-500:])
        hop = Hop(disk.hop_port)
        delivered(c, disk, kept, hop)
        taken_again(c, disk, kept, "again")
        delivered(c, disk, kept, hop)
        hop.stop()


def brim(c, words):
    """Somebody else fills it to the last byte, under the reserve's eyes and without one."""
    disk, kept = Disk(words, 48, "0"), []
    with disk.server as server:
        server.start()
        for n in range(5):
            answer = send(disk, f"before{n}")
            c.check(answer.startswith("250"), "mail is taken", answer)
            kept.append(f"before{n}")
        c.check(disk.fill(), "the disk is full")
        answer = send_until(disk, "b", lambda a: not a.startswith("250"), kept)
        c.check(answer[:3] in ("452", "451"), "what finds no room hears 452", answer)
        large = BODY.format(name="large") + ("y" * 70 + "\r\n") * 40000
        session = postern.Session(server, seconds=60)
        answer = session.send(large, sender="s@from.test", rcpts=["u@dest.test"])
        session.close()
        c.check(answer[:3] in ("452", "451"), "a large one too", answer)
        c.check(not server.events("role_died"), "no role died", server.log()[-500:])
        before = len(server.events("role_died"))
        for pid in server.roles("queue"):
            os.kill(pid, signal.SIGKILL)
        c.check(postern.until(lambda: len(server.events("role_died")) > before, 30), "the queue is killed on the full disk")
        answer = send_until(disk, "k", lambda a: a[:3] in ("451", "452"), kept, most=40)
        c.check(answer[:3] in ("451", "452"), "still no room", answer)
        c.check(disk.empty(), "the disk has room again")
        taken_again(c, disk, kept, "after")
        all_delivered(c, disk, kept)


def read_only(c, words):
    """The queue starts on a disk that can't be written. (One that is written can't be made
    read-only under it; what a failing write does, tests/unit/test_queue_command.c shows.)"""
    disk, kept = Disk(words, 48, "1m"), []
    with disk.server as server:
        server.start()
        for n in range(5):
            c.check(send(disk, f"before{n}").startswith("250"), "mail is taken")
            kept.append(f"before{n}")
        os.kill(server.process.pid, signal.SIGSTOP)  # or it would be quicker than we are
        for pid in server.roles("queue"):
            os.kill(pid, signal.SIGKILL)
        remounted = postern.until(lambda: disk.inside("mount", "-o", "remount,ro", disk.spool).returncode == 0)
        os.kill(server.process.pid, signal.SIGCONT)
        c.check(remounted, "the disk is read-only")
        c.check(postern.until(lambda: server.log().count("Read-only file system") >= 2, 60), "the operator reads why", server.log()[-500:])
        for n in range(3):
            answer = send(disk, f"no{n}")
            c.check(answer[:3] in ("451", "452"), "clients are told to come later", answer)
        c.check(disk.inside("mount", "-o", "remount,rw", disk.spool).returncode == 0, "it can be written again")
        taken_again(c, disk, kept, "after", 90)
        all_delivered(c, disk, kept)


def main():
    words = unshare()
    if words is None:
        print("disk: skipped, no mount namespace can be made here (unshare -m)", flush=True)
        return 77
    c = postern.Counter("disk")
    full(c, words)
    brim(c, words)
    read_only(c, words)
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

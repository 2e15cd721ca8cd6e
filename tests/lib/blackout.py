"""A server whose power can be cut: all of its processes run over tests/faults/power/recorder.so, and
blackout makes of what that noted a disk as a power cut may leave it (see disk.h there).
"""
import json
import os
import subprocess
import sys

import mailserver
import postern
import stranger

FOLDERS = ("mail", "spool")  # below the server's root: what is to be there after a power cut


def tool(name):
    return os.path.join(postern.build_folder(), "tests", "faults", "power", name)


def is_built():
    """Sanitizers must be loaded before anything else, so they do without."""
    program = os.path.join(postern.build_folder(), "posternd")
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return all(map(os.path.exists, (tool("blackout"), tool("recorder.so")))) and "san.so" not in libraries


class Blackout(mailserver.Postern):
    """deaf: "files" or "folders", whose syncs count for nothing."""

    def __init__(self, users, deaf="", **more):
        super().__init__(users, **more)
        root = self.server.root
        self.tape, self.cuts, self.last = f"{root}/tape", 0, ""
        for folder in FOLDERS:
            os.makedirs(f"{root}/{folder}", exist_ok=True)
        self.recorded = {"LD_PRELOAD": tool("recorder.so"), "POSTERN_TAPE": self.tape, "POSTERN_TAPE_DEAF": deaf}
        self.server.env.update(self.recorded)

    def run(self, *words):
        return subprocess.run([tool("blackout"), words[0], self.tape, *words[1:]], check=True, capture_output=True, text=True).stdout

    def start(self):
        self.run("begin", self.server.root, *FOLDERS)
        return super().start()

    def kill_mailboxes(self):
        self.run("kill", *map(str, self.server.roles("mailbox")))

    def touch(self, steps):
        command = [sys.executable, stranger.__file__]
        env = {**os.environ, **self.recorded}
        subprocess.run(command, input=json.dumps(steps), text=True, check=True, env=env)

    def lose_index(self, user):
        self.touch([("clear", f"{self.maildir(user)}/postern")])

    def cut_power(self, seed):
        """At once, for all of them. What was found on the disk is started on."""
        self.run("kill", *map(str, postern.processes(self.server.process.pid)))
        self.server.process.wait()
        self.last = self.run("cut", str(seed), self.server.root, *FOLDERS).strip()
        self.cuts += 1
        self.start()


    def settle(self):
        """Delivers what waits in the queue, and waits until nothing does: whether that came."""
        def is_empty():
            self.queue("retry", "--all")
            return self.queue("list").stdout == "0 messages\n"

        return postern.until(is_empty, 20)

    def queue(self, *words):
        command = [os.path.join(postern.build_folder(), "postern"), "queue", *words, "--root", self.server.root]
        return subprocess.run(command, capture_output=True, text=True, check=False)

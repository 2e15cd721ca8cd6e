"""A server of our own for a test: a root folder, a configuration, ports that are free, and
what a test asks of it (events, mailboxes, roles by name). Loopback only; ends what it starts.
"""
import glob
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def build_folder():
    return os.environ.get("POSTERN_BUILD", os.path.join(TOP, "build", "check"))


ports_given = {}  # by number, and the name that keeps it ours


def script_is_built(path):
    """Whether the engines that a replay script names are built: "# needs PLUGIN ENGINE"."""
    with open(path, encoding="utf-8") as f:
        needs = [line.split()[2:4] for line in f if line.startswith("# needs ")]
    for plugin, engine in needs:
        command = [os.path.join(build_folder(), "postern"), "plugin", "show", "--json"]
        folder = ["--folder", os.path.join(build_folder(), "plugins")]
        p = subprocess.run([*command, *folder, plugin], stdout=subprocess.PIPE, check=False)
        rows = json.loads(p.stdout or "{}").get("settings", [])
        if not any(engine in row.get("choices", "").split("|") for row in rows):
            return False
    return True


def free_port(host="127.0.0.1"):
    """A port that nobody has, below those that the kernel gives to outgoing connections, and by
    chance. It is ours for as long as we run: an abstract socket of its number tells the tests
    beside us so, which may have chosen it before anybody listens there."""
    while True:
        port = random.randrange(10000, 32000)
        if port in ports_given:
            continue
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0postern-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((host, port))
        except OSError:
            name.close()
            continue
        ports_given[port] = name
        return port


def wrap():
    """What programs are run under: valgrind and its arguments, say (tests/valgrind.sh)."""
    return shlex.split(os.environ.get("POSTERN_WRAP", ""))


def patience():
    """How many times longer than usual a test waits for what has to come."""
    return int(os.environ.get("POSTERN_PATIENCE", "1"))


def cpu_seconds(pid):
    """What a process, those below it and those of them that ended took of the CPU."""
    ticks = 0
    for p in processes(pid):
        try:
            with open(f"/proc/{p}/stat", encoding="ascii") as f:
                ticks += sum(int(x) for x in f.read().rpartition(")")[2].split()[11:15])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def run(command, seconds=120, stdin="", **more):
    """subprocess.run of a program of ours, for its text. How busy the machine is does not count:
    it is ended where it took so many seconds of the CPU, or took nothing of it for so long."""
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    used = still = 0
    while True:
        try:
            out, err = p.communicate(stdin, timeout=2)
            return subprocess.CompletedProcess(command, p.returncode, out, err)
        except subprocess.TimeoutExpired:
            stdin = None  # it is under way
            now = cpu_seconds(p.pid)
            still = 0 if now != used else still + 2
            used = now
            if max(used, still) > seconds * patience():
                p.kill()
                p.communicate()
                raise


def processes(pid):
    """pid and all below it: {pid: role}; a role is a word of the command line."""
    found, todo = {}, [pid]
    while todo:
        p = todo.pop()
        try:
            with open(f"/proc/{p}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            for path in glob.glob(f"/proc/{p}/task/*/children"):
                with open(path, encoding="ascii") as f:
                    todo += [int(c) for c in f.read().split()]
        except OSError:
            continue
        role = "supervisor"
        if b"--role" in words:
            role = words[words.index(b"--role") + 1].decode()
        for w in words:
            if w.startswith(b"--role="):
                role = w[7:].decode()
        found[p] = role
    return found


def pss_kb(pid):
    """What a process adds to memory, in kilobytes; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def until(what, seconds=30):
    """What `what()` gives once that is true, or at the end of all patience."""
    end = time.monotonic() + seconds * patience()
    while True:
        found = what()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.02)


class Server:
    """conf is the configuration without `listen smtp`; {root} {smtp} {admin} in it are filled in."""

    def __init__(self, conf, dns="", args=(), smtp_options="{ proxy from 127.0.0.0/8 }", resolver=None):
        self.root = tempfile.mkdtemp(prefix="postern-test-")
        os.chmod(self.root, 0o755)
        self.smtp = free_port()
        self.admin = free_port()
        self.log_path = os.path.join(self.root, "log.txt")
        self.conf_path = os.path.join(self.root, "postern.conf")
        self.args = list(args)
        self.env = {}  # beyond our own
        self.smtp_options = smtp_options
        self.wrap, self.no_drop = wrap(), True  # test_jail sets them
        self.process = None
        with open(os.path.join(self.root, "dns.zone"), "w", encoding="utf-8") as f:
            f.write(dns)
        self.resolver = f'resolver {{ dns-file "{self.root}/dns.zone" }}\n' if resolver is None else resolver
        self.write_conf(conf)

    def write_conf(self, conf):
        text = (
            f"listen smtp 127.0.0.1:{self.smtp} {self.smtp_options}\n"
            f"listen admin 127.0.0.1:{self.admin}\n" + self.resolver
        )
        conf = conf.replace("{root}", self.root).replace("{smtp}", str(self.smtp))
        with open(self.conf_path, "w", encoding="utf-8") as f:
            f.write(text + conf.replace("{admin}", str(self.admin)) + "\n")

    def start(self, seconds=30):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.wrap
            + [os.path.join(build_folder(), "posternd"), "-c", self.conf_path, "--root", self.root]
            + (["--no-drop"] if self.no_drop else [])
            + self.args,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "POSTERN_PLUGINS": os.path.join(build_folder(), "plugins"), **self.env},
        )
        log.close()
        end = time.monotonic() + seconds * patience()
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"posternd ended with {self.process.returncode}:\n{self.log()}")
            try:
                session = Session(self)
                session.close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("posternd was not ready in time:\n" + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, seconds=20):
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * patience())
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise

    def roles(self, name):
        """Process ids of a role, by its command line (workers included)."""
        return sorted(pid for pid, role in processes(self.process.pid).items() if role == name)

    def workers(self):
        """Process ids of filter workers, not of templates."""
        found = []
        for pid in self.roles("filter"):
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    if f.read().startswith("worker"):
                        found.append(pid)
            except OSError:
                pass
        return found

    def kill_all(self):
        for pid in processes(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

    def clean(self):
        if self.process is not None and self.process.poll() is None:
            self.kill_all()
        shutil.rmtree(self.root, ignore_errors=True)

    def events(self, kind=None):
        found = []
        path = os.path.join(self.root, "log", "events.jsonl")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    if not line.endswith("\n"):
                        break  # it is being written; what is read next would be its rest
                    event = json.loads(line)
                    if kind is None or event["event"] == kind:
                        found.append(event)
        return found

    def wait_events(self, kind, count, seconds=10):
        end = time.monotonic() + seconds * patience()
        while True:
            found = self.events(kind)
            if len(found) >= count or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def mail(self, pattern="*"):
        """Contents of all delivered files: {path below the mail root: bytes}."""
        found = {}
        base = os.path.join(self.root, "mail")
        for folder in ("new", "cur"):
            for path in glob.glob(os.path.join(base, "**", folder, "*"), recursive=True) + glob.glob(
                os.path.join(base, "**", ".*", folder, "*"), recursive=True
            ):
                with open(path, "rb") as f:
                    found[os.path.relpath(path, base)] = f.read()
        return found

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            self.clean()


class Session:
    """An SMTP session, by hand: what is sent is what the test wrote."""

    def __init__(self, server, client=None, seconds=30, greet=True):
        self.sock = socket.create_connection(("127.0.0.1", server.smtp), 5)
        self.sock.settimeout(seconds * patience())
        self.file = self.sock.makefile("rb")
        if client is None:
            client = "192.0.2.1"
        if "proxy" in server.smtp_options:
            family = "TCP6" if ":" in client else "TCP4"
            us = "2001:db8::1" if ":" in client else "192.0.2.254"
            self.sock.sendall(f"PROXY {family} {client} {us} 40000 25\r\n".encode())
        self.greeting = self.reply() if greet else None

    def reply(self):
        """All lines of the next reply; "" when the connection is closed."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("closed by the server" + (f" after {lines}" if lines else ""))
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def raw(self, data):
        self.sock.sendall(data)

    def command(self, line):
        self.raw(line.encode() + b"\r\n")
        return self.reply()

    def send(self, content, sender="a@sender.test", rcpts=("u@here.test",), helo="client.test"):
        """One message; the last reply, whichever command it came for."""
        for line in (
            [f"EHLO {helo}"] if helo else []
        ) + [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]:
            answer = self.command(line)
            if answer[0] not in "23":
                return answer
        if isinstance(content, str):
            content = content.encode()
        lines = content.replace(b"\r\n", b"\n").split(b"\n")
        if lines and lines[-1] == b"":
            lines.pop()
        self.raw(b"".join((b"." if s.startswith(b".") else b"") + s + b"\r\n" for s in lines) + b".\r\n")
        return self.reply()

    def close(self):
        try:
            self.sock.close()
        finally:
            self.file.close()


class Counter:
    """Counts checks, prints those that fail, and closes with the counted line."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def check(self, ok, what, detail=""):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}" + (f": {detail}" if detail else ""), flush=True)
        return ok

    def close(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed else 1

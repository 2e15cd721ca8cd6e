#!/usr/bin/env python3
"""postern user: passwords from a terminal or standard input, verifiers that another library
confirms, edits that leave the rest of the file alone, writers that wait for each other.
Closes with the counted line.
"""
import base64
import fcntl
import hashlib
import hmac
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

POSTERN = os.path.join(os.path.abspath(postern.build_folder()), "postern")
ANN = "ann@here.test"
passed = failed = 0


def check(label, cond, *shown):
    global passed, failed
    if cond:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {label}:", *shown)


def fork_with_terminal():
    """As a shell does it: whoever runs us in the background may have switched signals off."""
    pid, tty = pty.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
    return pid, tty


class Users:
    """A file of users of its own."""

    def __init__(self, folder, text=None):
        self.path = os.path.join(tempfile.mkdtemp(dir=folder), "users")
        if text is not None:
            self.write(text)

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)

    def text(self):
        with open(self.path, encoding="utf-8") as f:
            return f.read()

    def command(self, *words):
        return [*postern.wrap(), POSTERN, "user", *words, "--file", self.path]

    def run(self, *words, given=b""):
        p = subprocess.run(self.command(*words), input=given, capture_output=True, check=False)
        return p.returncode, p.stdout.decode(), p.stderr.decode()

    def set(self, verb, name, password):
        return self.run(verb, name, "--stdin", given=password)

    def type(self, words, answers):
        """On a terminal of its own: status, all that it showed, whether it asked without echo."""
        pid, tty = fork_with_terminal()
        if pid == 0:
            command = self.command(*words)
            os.execvp(command[0], command)
        shown, silent = b"", True
        for answer in answers:
            prompts = shown.count(b": ")
            while shown.count(b": ") == prompts and (more := read_some(tty)):
                shown += more
            silent &= not termios.tcgetattr(tty)[3] & termios.ECHO
            os.write(tty, answer)
        while more := read_some(tty):
            shown += more
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(tty)
        return status, shown, silent


def read_some(tty):
    try:
        select.select([tty], [], [], 30 * postern.patience())
        return os.read(tty, 1000)
    except OSError:  # nobody has the other side any more
        return b""


def confirm(label, line, password):
    """By libraries that are not ours."""
    name, yescrypt, scram, iterations_salt, server, options = split(line)
    iterations, salt = iterations_salt
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt), int(iterations))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    check(label + ": StoredKey", base64.b64decode(scram) == key, line)
    key = hmac.digest(salted, b"Server Key", "sha256")
    check(label + ": ServerKey", base64.b64decode(server) == key, line)
    check(label + ": yescrypt", crypt.crypt(password.decode(), yescrypt) == yescrypt, line)
    check(label + ": the rest", name == ANN and options == "" and int(iterations) >= 4096, line)


def split(line):
    name, yescrypt, head, middle, server, options = line.split(":", 5)
    salt, stored = middle.split("$")
    mechanism, iterations = head.split("$")
    assert mechanism == "SCRAM-SHA-256", line
    return name, yescrypt, stored, (iterations, salt), server, options


def test_terminal(folder):
    users = Users(folder)
    status, shown, silent = users.type(["add", ANN], [b"pencil\n", b"pencil\n"])
    check("typed twice", status == 0 and b"added" in shown and silent, status, shown)
    check("nothing echoed", b"pencil" not in shown, shown)
    confirm("typed", users.text().rstrip("\n"), b"pencil")
    before = users.text()
    status, shown, _ = users.type(["passwd", ANN], [b"one\n", b"two\n"])
    check("typed differently", status == 1 and b"differ" in shown, status, shown)
    status, shown, _ = users.type(["passwd", ANN], [b"one\n", b"\x03"])
    check("interrupted", status == -2, status, shown)
    status, shown, _ = users.type(["passwd", ANN], [b"\x04"])
    check("end of file", status == 3 and b"no password" in shown, status, shown)
    status, shown, _ = users.type(["passwd", ANN], [b"x" * 257 + b"\n"] * 2)
    check("too long", status == 1 and b"longer than 256" in shown, status, shown)
    check("the file as it was", users.text() == before, users.text())
    status, shown, _ = users.type(["verify", ANN], [b"pencil\n"])
    check("verified", status == 0 and b"Password: " in shown, status, shown)
    status, shown, _ = users.type(["verify", ANN], [b"pencim\n"])
    check("not verified", status == 1, status, shown)


def test_echo_returns(folder):
    """Whatever ends it, the terminal is as it was: seen by a shell that stays behind."""
    users = Users(folder, "")
    for label, answer in (("typed", b"p\n"), ("interrupted", b"\x03")):
        pid, tty = fork_with_terminal()
        if pid == 0:
            script = 'trap : INT; "$@"; stty -a | grep -ow -e "-*echo"'
            os.execvp("sh", ["sh", "-c", script, "sh", *users.command("verify", ANN)])
        shown = b""
        while b"Password: " not in shown and (more := read_some(tty)):
            shown += more
        os.write(tty, answer)
        while more := read_some(tty):
            shown += more
        os.waitpid(pid, 0)
        os.close(tty)
        check("echo is back, " + label, shown.split()[-1:] == [b"echo"], shown)


def test_stdin(folder):
    users = Users(folder)
    for label, given, why in (
        ("empty", b"", "empty"),
        ("a line feed alone", b"\n", "empty"),
        ("a NUL", b"a\0b\n", "NUL"),
        ("two lines", b"a\nb\n", "control"),
        ("CR", b"a\r\n", "control"),
        ("one too many", b"x" * 257, "longer"),
        ("far too many", b"x" * 100000, "longer"),
        ("at the limit, and a line", b"x" * 256 + b"\nx", "longer"),
        ("no UTF-8", b"\xff", "UTF-8"),
    ):
        status, _, err = users.set("add", ANN, given)
        check("refused: " + label, status == 1 and why in err, status, err)
    check("no file was made", not os.path.exists(users.path))
    for label, given in (("at the limit", b"x" * 256), ("and its line feed", b"x" * 256 + b"\n")):
        status, _, err = users.set("passwd" if os.path.exists(users.path) else "add", ANN, given)
        check(label, status == 0, status, err)
        confirm(label, users.text().rstrip("\n"), b"x" * 256)
    users.set("passwd", ANN, "f\u00fcr\u00a0\u2168\n".encode())
    confirm("by SASLprep", users.text().rstrip("\n"), "f\u00fcr IX".encode())
    status, *_ = users.set("verify", ANN, "fu\u0308r IX".encode())
    check("typed another way", status == 0, status)
    status, _, err = users.run("add", "bob@here.test", "secret")
    check("never on the command line", status == 2 and "usage" in err, status, err)
    check("no terminal", without_terminal(users) == 3)


def without_terminal(users):
    p = subprocess.run(users.command("add", "bob@here.test"), stdin=subprocess.DEVNULL,
                       capture_output=True, check=False, start_new_session=True)
    return p.returncode


def test_edits(folder):
    users = Users(folder)
    users.set("add", "Ann@HERE.test", b"a")
    users.set("add", "bob@here.test", b"b")
    ann, bob = users.text().splitlines()
    mode = os.stat(users.path)
    check("mode 0640", stat.S_IMODE(mode.st_mode) == 0o640, oct(mode.st_mode))
    check("two salts", split(ann)[3] != split(bob)[3])
    kept = f"# who\n\n{bob}quota=1 later=x\n  # end\n{ann}\n# last"
    users.write(kept)
    status, _, err = users.set("passwd", "bob@here.test", b"new")
    lines, want = users.text().split("\n"), kept.split("\n")
    check("changed", status == 0 and lines[2] != want[2], err)
    check("its options stay", lines[2].endswith(":quota=1 later=x"), lines[2])
    check("all else stays", lines[:2] + lines[3:] == want[:2] + want[3:], lines)
    check("the old one is gone", users.set("verify", "bob@here.test", b"b")[0] == 1)
    check("the new one is it", users.set("verify", "bob@here.test", b"new")[0] == 0)
    status, _, err = users.set("add", "ANN@here.test", b"x")
    check("a user already", status == 1 and "already" in err, err)
    rows = [json.loads(line) for line in users.run("list", "--json")[1].splitlines()]
    check("list", [r["user"] for r in rows] == ["bob@here.test", ANN], rows)
    check("options in it", rows[0]["options"] == {"quota": "1", "later": "x"}, rows)
    _, shown, _ = users.run("show", ANN)
    check("show tells no verifier", "$" not in shown and "scram-sha-256" in shown, shown)
    status, out, _ = users.run("del", ANN, "--json")
    check("deleted", status == 0 and json.loads(out) == {"user": ANN, "deleted": True}, out)
    want = lines[:4] + lines[5:]
    check("and nothing else", users.text().split("\n") == want, users.text())
    check("gone", users.run("show", ANN)[0] == 1 and users.set("verify", ANN, b"a")[0] == 1)
    check("nothing left beside", os.listdir(os.path.dirname(users.path)) == ["users"])


def test_odd(folder):
    users = Users(folder)
    users.set("add", ANN, b"a")
    line = users.text()
    _, yescrypt, *_ = split(line)
    users.write(f"{ANN}:{yescrypt}\n")
    check("without SCRAM", users.set("verify", ANN, b"a")[0] == 0)
    users.set("passwd", ANN, b"b")
    users.write(users.text().replace(split(users.text())[1], yescrypt))
    status, _, err = users.set("verify", ANN, b"a")
    check("two passwords in a line", status == 1 and "not of one password" in err, status, err)
    bad = "# x\n\nann@here.test:secret\n"
    users.write(bad)
    for verb in ("add", "passwd", "verify"):
        status, _, err = users.set(verb, ANN, b"x")
        check(f"{verb} in a bad file", status == 3 and f"{users.path}:3:15: expected" in err, err)
    check("left as it was", users.text() == bad)


def waits_for_lock(pid):
    with open("/proc/locks", encoding="ascii") as f:
        return any("->" in line and f" {pid} " in line for line in f)


def test_writers(folder):
    users = Users(folder, "")
    names = [f"u{i}@here.test" for i in range(8)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    running = [subprocess.Popen(users.command("add", n, "--stdin"), **pipes) for n in names]
    for p in running:
        p.stdin.write(b"x\n")
        p.stdin.close()
    check("eight at once", [p.wait() for p in running] == [0] * 8)
    _, out, _ = users.run("list", "--json")
    check("none was lost", sorted(json.loads(x)["user"] for x in out.splitlines()) == names, out)
    # One that waits while the file is replaced goes on with what is there then.
    with open(users.path, encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        p = subprocess.Popen(users.command("del", names[0]), stdout=subprocess.DEVNULL)
        postern.until(lambda: waits_for_lock(p.pid) or p.poll() is not None)
        check("waits", p.poll() is None)
        text = users.text()
        other = Users(folder, "# another\n" + text)
        os.rename(other.path, users.path)
    check("then goes on", p.wait() == 0)
    text = users.text()
    check("on the new file", text.startswith("# another\n") and names[0] not in text, text)


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs us in the background ignores it for us
    with tempfile.TemporaryDirectory(prefix="postern-user-") as folder:
        for test in (test_terminal, test_echo_returns, test_stdin, test_edits, test_odd, test_writers):
            test(folder)
    print(f"user: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed else 1


if __name__ == "__main__":
    sys.exit(main())

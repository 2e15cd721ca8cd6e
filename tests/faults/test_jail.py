#!/usr/bin/env python3
"""The jail of every role, on the release build (POSTERN_BUILD): /proc of each process (user,
no_new_privs, seccomp, descriptors), and a probe in each that tries what it may not.

As root the role users are put into a passwd file that only the server under test sees (a
mount namespace); as another user nothing is dropped, and the rest is checked.
"""
import glob
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

ROLES = ("compile", "resolver", "edge", "filter", "queue", "mailbox", "auth", "admin", "state", "signer")
FIRST_UID = 61200
CONF = """
smtp { hostname "mx.here.test" }
plugins { spf }
edges 2
workers { count 2 }
domain "here.test" { recipients any  route local }
"""
# a group whose plugin was granted the network: it may have sockets, and nothing more
NETWORK_CONF = CONF.replace(
    "spf", 'milter { grant network, dns  server "away" { address "unix:/nonexistent"  on_failure skip } }'
)

# what a role may, of the acts in server/ipc/jail_probe.c; all else is refused
MAY = {
    "admin": {"accept"},
    "resolver": {"inet-socket"},
    "edge": {"accept"},
    "template": {"fork"},
    "worker": set(),
    "queue": {"inet-socket"},
    "mailbox": set(),
    "state": set(),
    "signer": set(),
    "auth": set(),
}
ACTS = {
    "read-file", "write-file", "read-parent", "inet-socket", "unix-socket", "bind-port", "listen", "accept",
    "fork", "exec", "signal-parent", "trace-parent", "exec-memory", "become-root", "new-namespace", "mount",
}  # fmt: skip

NETWORK_MAY = {**MAY, "template": {"fork", "inet-socket", "unix-socket"}, "worker": {"inet-socket", "unix-socket"}}

# files and folders a role may hold open, below the root
PATHS = {
    "admin": ("log", "state"),
    "queue": ("spool",),
    "mailbox": ("mail",),
    "template": ("run/group-",),
    "worker": ("run/group-",),
    "state": ("state/state",),
    "auth": ("state/auth",),
}
LISTENS = {"admin", "edge"}


def can_drop():
    return os.geteuid() == 0 and shutil.which("unshare") is not None


def user_files(folder):
    """passwd and group with the role users behind those of this machine."""
    paths = []
    for name, line in (("passwd", "postern-{r}:x:{n}:{n}::/nonexistent:/usr/sbin/nologin"), ("group", "postern-{r}:x:{n}:")):
        with open(f"/etc/{name}", encoding="utf-8") as f:
            lines = [s for s in f.read().splitlines() if not s.startswith("postern-")]
        lines += [line.format(r=role, n=FIRST_UID + i) for i, role in enumerate(ROLES)]
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        os.chmod(path, 0o644)
        paths.append(path)
    return paths


def wrapper(server):
    passwd, group = user_files(server.root)
    script = f'mount --bind "{passwd}" /etc/passwd && mount --bind "{group}" /etc/group && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh"]


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def processes(server):
    """{pid: name} of all roles; the names are those of the log."""
    pids = postern.processes(server.process.pid)
    return {pid: status_of(pid)["Name"].strip() for pid in pids if pid != server.process.pid}


def kind_of(name):
    return name.split("-")[0]


def started(server):
    """processes() once each role runs and no other name does: one of a child that is not yet what
    it is to be is that of its parent."""
    postern.until(lambda: {kind_of(name) for name in processes(server).values()} == set(MAY))
    return processes(server)


def listening_inodes():
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                found |= {line.split()[9] for line in list(f)[1:] if line.split()[3] == "0A"}
    with open("/proc/net/unix", encoding="ascii") as f:
        for line in list(f)[1:]:
            words = line.split()
            if int(words[3], 16) & 0x10000 and len(words) > 7:
                found.add(words[6])
    return found


def check_descriptors(counter, server, pid, name, listening):
    kind = kind_of(name)
    bad, targets = [], {}
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            targets[int(os.path.basename(path))] = os.readlink(path)
        except OSError:
            continue
    for number, target in sorted(targets.items()):
        if target.startswith("pipe:[") and list(targets.values()).count(target) == 2:
            continue  # the event loop's own, both ends
        if target.startswith(("anon_inode:[eventpoll]", "anon_inode:[eventfd]", "/memfd:", "/dev/null")):
            continue
        if target.startswith("socket:["):
            if target[8:-1] in listening and kind not in LISTENS:
                bad.append(f"{number} is a listener")
            continue
        if number in (1, 2) and target == server.log_path:
            continue
        below = os.path.relpath(target, server.root)
        if not any(below == p or below.startswith(p) for p in PATHS.get(kind, ())):
            bad.append(f"{number} -> {target}")
    counter.check(not bad, f"{name}: descriptors", ", ".join(bad))


def check_process(counter, server, pid, name, dropped, listening):
    kind = kind_of(name)
    status = status_of(pid)
    counter.check(status["NoNewPrivs"] == "1", f"{name}: no_new_privs", status["NoNewPrivs"])
    counter.check(status["Seccomp"] == "2", f"{name}: seccomp", status["Seccomp"])
    uids, gids = set(status["Uid"].split()), set(status["Gid"].split())
    if dropped:
        role = "filter" if kind in ("template", "worker") else kind
        want = str(FIRST_UID + ROLES.index(role))
        counter.check(uids == {want} and gids == {want}, f"{name}: user", f"{uids} {gids}, want {want}")
        counter.check(not status["Groups"].split(), f"{name}: groups", status["Groups"])
        counter.check(int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, f"{name}: capabilities")
    else:
        counter.check(uids == {str(os.geteuid())}, f"{name}: user", str(uids))
    check_descriptors(counter, server, pid, name, listening)


def check_probes(counter, server, names, may):
    outcomes = {}
    for name, act, outcome in re.findall(r"^info (\S+): probe (\S+) (allowed|refused)$", server.log(), re.M):
        outcomes.setdefault(name, {})[act] = outcome
    for name in names:
        got = outcomes.get(name, {})
        counter.check(set(got) == ACTS, f"{name}: probes", f"missing {sorted(ACTS - set(got))}")
        allowed = {act for act, outcome in got.items() if outcome == "allowed"}
        want = may[kind_of(name)]
        counter.check(allowed == want, f"{name}: may", f"allowed {sorted(allowed)}, want {sorted(want)}")


def check_folders(counter, server):
    """With role users each folder is its role's alone."""
    for folder, role in (("spool", "queue"), ("mail", "mailbox"), ("log", "admin"), ("state/state", "state"), ("state/auth", "auth")):
        st = os.stat(os.path.join(server.root, folder))
        counter.check(
            st.st_uid == FIRST_UID + ROLES.index(role) and stat.S_IMODE(st.st_mode) & 0o007 == 0,
            f"folder {folder}",
            f"uid {st.st_uid} mode {st.st_mode:o}",
        )


def run(counter, probe, dropped, conf=CONF, may=None):
    with postern.Server(conf, args=["--probe"] if probe else []) as server:
        if dropped:
            server.wrap, server.no_drop = wrapper(server), False
        server.start()
        answer = postern.Session(server).send("Subject: x\r\n\r\nhello\r\n")
        counter.check(answer.startswith("250"), "a message passes", answer)
        names = started(server)
        kinds = {kind_of(name) for name in names.values()}
        counter.check(kinds == set(MAY), "all roles run", f"{sorted(kinds)}")
        listening = listening_inodes()
        for pid, name in sorted(names.items()):
            check_process(counter, server, pid, name, dropped, listening)
        if probe:
            check_probes(counter, server, names.values(), may or MAY)
        if dropped:
            check_folders(counter, server)
        counter.check(server.stop() == 0, "clean stop")


def run_missing_users(counter):
    """As root without role users: refused, with the command that makes them."""
    if os.geteuid() != 0:
        return
    with open("/etc/passwd", encoding="utf-8") as f:
        if "postern-" in f.read():
            return
    with postern.Server(CONF) as server:
        server.no_drop = False
        try:
            server.start()
            counter.check(False, "start without role users is refused")
        except RuntimeError as e:
            counter.check("systemd-sysusers" in str(e), "the refusal names the command", str(e))
            counter.check("\\x0a" not in str(e), "it is one line", str(e))


def run_kills(counter):
    """The filter itself, where it kills: the unit test of this build."""
    program = os.path.join(postern.build_folder(), "tests", "unit", "test_jail")
    if not os.path.exists(program):
        return
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    counter.check(done.returncode == 0, "unit test of the jail", done.stdout)


def main():
    counter = postern.Counter("jail")
    run_missing_users(counter)
    dropped = can_drop()
    if not dropped:
        print("not root: users are not dropped here", flush=True)
    for probe in (False, True):
        run(counter, probe, dropped)
    if os.path.exists(os.path.join(postern.build_folder(), "plugins", "milter.so")):
        run(counter, True, dropped, NETWORK_CONF, NETWORK_MAY)
    run_kills(counter)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

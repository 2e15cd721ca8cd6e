#!/usr/bin/env python3
"""Life of a server from outside: deaths and their events, reloads that are taken and
refused, certificates renewed, sessions that outlive a reload and a stop, the control
socket, and the pages for a monitor."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

HOST = 'smtp { hostname "mx.here.test" }\n'
CONF = HOST + 'edges 1\ndomain "here.test" { recipients any  route local }\n'


def page(server, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return 0, ""


def control(server, *words):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(os.path.join(server.root, "run", "control.sock"))
        s.sendall(json.dumps({"command": list(words)}).encode() + b"\n")
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    return [json.loads(line) for line in data.decode().splitlines()]


def reload(server, conf, event):
    before = len(server.events(event))
    server.write_conf(conf)
    server.process.send_signal(signal.SIGHUP)
    return postern.until(lambda: len(server.events(event)) > before)


def deaths(counter, server):
    for role in ("resolver", "queue", "mailbox", "edge"):
        before = len(server.events("role_died"))
        pid = server.roles(role)[0]
        os.kill(pid, signal.SIGKILL)
        counter.check(postern.until(lambda r=role, p=pid: server.roles(r) and p not in server.roles(r)), f"{role} starts again")
        found = postern.until(lambda n=before: server.events("role_died")[n:])
        event = found[0] if found else {}
        counter.check(
            event.get("role") == role and "KILL" in event.get("reason", "") and event["schema"] == 1,
            f"{role}: its death is an event",
            str(event),
        )
    # what was told while admin was dead is told afterwards
    os.kill(server.roles("admin")[0], signal.SIGKILL)
    counter.check(
        postern.until(lambda: [e for e in server.events("role_died") if e["role"] == "admin"]), "admin's own death is an event"
    )
    counter.check(postern.until(lambda: page(server, "/ready")[0] == 200), "ready again")

    def delivered():
        try:
            return postern.Session(server).send("Subject: x\r\n\r\nhello\r\n").startswith("250")
        except OSError:
            return False

    counter.check(postern.until(delivered), "mail passes again")


def reloads(counter, server):
    session = postern.Session(server)
    session.command("EHLO client.test")
    counter.check(session.command("MAIL FROM:<a@b.test>").startswith("250"), "a transaction begins")
    pid = server.roles("edge")[0]
    other = CONF.replace('domain "here.test"', 'domain "there.test"')
    counter.check(reload(server, other, "reloaded"), "a reload is taken")
    counter.check(session.command("RCPT TO:<u@here.test>").startswith("250"), "what began before keeps its policy")
    session.command("RSET")
    counter.check(session.command("MAIL FROM:<a@b.test>").startswith("250"), "the session goes on")
    fresh = postern.Session(server)
    for line, want in (("EHLO c.test", "250"), ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<u@there.test>", "250")):
        counter.check(fresh.command(line).startswith(want), f"a new session has the new policy: {line}")
    fresh.close()
    counter.check(server.roles("edge")[0] == pid, "the same edge serves on")
    bad = {
        "an unknown word": CONF + "nonsense 1\n",
        "a value out of range": CONF + "limits { recipients 0 }\n",
        "a missing brace": CONF + 'domain "x.test" { recipients any\n',
        "a plugin that is not there": CONF + "plugins { nothere }\n",
        "a missing key": CONF + f'tls {{ certificate "{server.root}/none.pem" key "{server.root}/none.key" }}\n',
        "a port of somebody else's": CONF + f"listen smtp 127.0.0.1:{server.taken}\n",
    }
    for what, conf in bad.items():
        counter.check(reload(server, conf, "reload_refused"), f"{what}: refused")
        counter.check(
            session.command("NOOP").startswith("250") and page(server, "/ready")[0] == 200, f"{what}: the old state serves on"
        )
    counter.check("postern.conf:" in server.log(), "the log says where")
    broken_plugins(counter, server, session)
    counter.check(reload(server, CONF, "reloaded"), "a good one is taken after them")
    session.close()


def broken_plugins(counter, server, session):
    """Each is refused, in words that say why, whatever it does to the process that loads it."""
    folder = os.path.join(postern.build_folder(), "tests", "plugins")
    with open(f"{server.root}/noelf.so", "w", encoding="ascii") as f:
        f.write("this is no shared object\n")
    os.chmod(f"{server.root}/noelf.so", 0o644)
    shutil.copy(f"{folder}/broken_refuses.so", f"{server.root}/writable.so")
    os.chmod(f"{server.root}/writable.so", 0o666)
    cases = {
        "no ELF": (f"{server.root}/noelf.so", "noelf.so"),
        "a file that all may write": (f"{server.root}/writable.so", "writ"),
        "a foreign ABI": (f"{folder}/broken_abi.so", "ABI"),
        "no symbol": (f"{folder}/broken_symbol.so", "postern_plugin"),
        "a crash while it is loaded": (f"{folder}/broken_load.so", "died while it loaded"),
        "a crash in prepare": (f"{folder}/broken_prepare.so", "template"),
        "a refusal of prepare": (f"{folder}/broken_refuses.so", "broken"),
        "a crash in instance_new": (f"{folder}/broken_instance.so", "worker"),
    }
    for what, (path, words) in cases.items():
        seen = len(server.log())
        conf = CONF + f'plugins {{ broken {{ file "{path}" }} }}\n'
        counter.check(reload(server, conf, "reload_refused"), f"{what}: refused")
        counter.check(words in server.log()[seen:], f"{what}: the log says why", server.log()[seen:])
        counter.check(
            session.command("NOOP").startswith("250") and page(server, "/ready")[0] == 200, f"{what}: the old state serves on"
        )
    counter.check(postern.until(lambda: not server.roles("filter")), "nothing of them is left")


def old_plugins(counter, server):
    """A session ends with the plugins that it began with, even if their worker dies."""
    conf = CONF + "workers { count 2 }\nplugins { dkim }\n"
    counter.check(reload(server, conf, "reloaded"), "plugins are loaded")
    session = postern.Session(server)
    for line in ("EHLO client.test", "MAIL FROM:<a@b.test>", "RCPT TO:<u@here.test>"):
        session.command(line)
    old = server.workers()
    counter.check(len(old) == 2, "two workers", str(old))
    counter.check(reload(server, conf + "# again\n", "reloaded"), "loaded anew")
    counter.check(len(server.workers()) == 4, "the old workers serve on", str(server.workers()))
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    counter.check(postern.until(lambda: len(server.workers()) == 4 and not set(old) & set(server.workers())), "are started again")
    before = len(server.events("message"))
    session.command("DATA")
    session.raw(b"Subject: x\r\n\r\nhello\r\n.\r\n")
    counter.check(session.reply().startswith("250"), "the session's message passes")
    event = postern.until(lambda: server.events("message")[before:])[0]
    counter.check([p["status"] for p in event["plugins"]] == ["ok"], "checked", str(event["plugins"]))
    session.close()
    counter.check(postern.until(lambda: len(server.workers()) == 2), "then they are let go", str(server.workers()))
    counter.check(reload(server, CONF, "reloaded"), "no plugins")
    counter.check(postern.until(lambda: not server.roles("filter")), "no templates", str(server.roles("filter")))


def generation(n):
    """Configurations that differ in what an edge does, each with a domain of its own."""
    return HOST + f"""edges 1
limits {{ recipients {n}  message-size {n}m }}
smtp {{ greet-delay {n}ms }}
timeouts {{ session {n}h }}
domain "gen{n}.test" {{ recipients any  route local }}
"""


def generations(counter, server):
    """Two reloads while sessions are in the middle: each transaction ends by the policy that
    it began with, and what follows in its session has the newest."""
    counter.check(reload(server, generation(1), "reloaded"), "the first generation")
    sessions = []
    for n in (1, 2, 3):
        session = postern.Session(server)
        counter.check(f"SIZE {n * 1024 * 1024}" in session.command("EHLO c.test"), f"generation {n} says its size")
        counter.check(session.command("MAIL FROM:<a@b.test>").startswith("250"), f"a transaction in generation {n}")
        sessions.append(session)
        if n < 3:
            counter.check(reload(server, generation(n + 1), "reloaded"), f"generation {n + 1} comes")
    pid = server.roles("edge")
    for n, session in enumerate(sessions, 1):
        for other in sorted((1, 2, 3), key=lambda other, own=n: other == own):
            want = "250" if other == n else "550"
            answer = session.command(f"RCPT TO:<u@gen{other}.test>")
            counter.check(answer.startswith(want), f"generation {n}: a recipient of generation {other}", answer)
        answers = [session.command(f"RCPT TO:<v{i}@gen{n}.test>")[:3] for i in range(3)]
        want = ["250"] * (n - 1) + ["452"] * (4 - n)
        counter.check(answers == want, f"generation {n}: its limit of recipients", str(answers))
    before = len(server.events("message"))
    for n, session in enumerate(sessions, 1):
        session.command("DATA")
        session.raw(b"Subject: x\r\n\r\nof generation %d\r\n.\r\n" % n)
        counter.check(session.reply().startswith("250"), f"generation {n}: its message is taken")
    events = postern.until(lambda: len(server.events("message")) >= before + 3 and server.events("message")[before:])
    policies = {e["policy"] for e in events or []}
    counter.check(len(policies) == 3, "each event names its policy", str(policies))
    for n, session in enumerate(sessions, 1):
        session.command("MAIL FROM:<a@b.test>")
        answer = session.command("RCPT TO:<u@gen3.test>")
        counter.check(answer.startswith("250"), f"session {n}: its next message has the newest policy", answer)
        session.close()
    counter.check(server.roles("edge") == pid, "the same edge all the while")


def fewer_with_sessions(counter, server):
    """An edge that is one too many ends behind the transactions that it has."""
    counter.check(reload(server, CONF.replace("edges 1", "edges 3"), "reloaded"), "three edges for sessions")
    counter.check(postern.until(lambda: len(server.roles("edge")) == 3), "are there", str(server.roles("edge")))
    sessions = [postern.Session(server) for _ in range(12)]
    for session in sessions:
        session.command("EHLO c.test")
        session.command("MAIL FROM:<a@b.test>")
        session.command("RCPT TO:<u@here.test>")
    counter.check(reload(server, CONF, "reloaded"), "one edge, while twelve messages are under way")
    for session in sessions:
        session.command("DATA")
        session.raw(b"Subject: x\r\n\r\nhello\r\n.\r\n")
    answers = [session.reply()[:3] for session in sessions]
    counter.check(answers == ["250"] * 12, "all are taken", str(answers))
    for session in sessions:
        session.close()
    counter.check(postern.until(lambda: len(server.roles("edge")) == 1), "then one is left", str(server.roles("edge")))


def more_and_fewer(counter, server):
    counter.check(reload(server, CONF.replace("edges 1", "edges 3"), "reloaded"), "three edges")
    counter.check(postern.until(lambda: len(server.roles("edge")) == 3), "are there", str(server.roles("edge")))
    counter.check(reload(server, CONF, "reloaded"), "one edge")
    counter.check(postern.until(lambda: len(server.roles("edge")) == 1), "is left", str(server.roles("edge")))
    extra = postern.free_port()
    counter.check(reload(server, CONF + f"listen smtp 127.0.0.1:{extra}\n", "reloaded"), "one listener more")
    with socket.create_connection(("127.0.0.1", extra), 5) as s:
        counter.check(s.recv(100).startswith(b"220"), "it answers")
    counter.check(reload(server, CONF, "reloaded"), "and gone")

    def closed():
        try:
            socket.create_connection(("127.0.0.1", extra), 1).close()
            return False
        except OSError:
            return True

    counter.check(postern.until(closed), "it is closed")


def edges(server):
    """{name: pid} of those that serve."""
    roles = control(server, "status")[0]["roles"]
    return {r["name"]: r["pid"] for r in roles if r["role"] == "edge" and r["state"] == "ready"}


def all_numbers_used(counter, server):
    """An edge that is not done keeps its number, and there are 64: the next ones wait for it."""
    many = CONF.replace("edges 1", "edges 64") + "timeouts { drain 10m }\n"
    counter.check(reload(server, many, "reloaded"), "64 edges")
    counter.check(postern.until(lambda: len(edges(server)) == 64), "serve", str(edges(server)))
    last = [edges(server)[f"edge-{n}"] for n in (61, 62, 63)]
    for pid in last:
        os.kill(pid, signal.SIGSTOP)  # so that they are not done
    counter.check(reload(server, many.replace("edges 64", "edges 61"), "reloaded"), "three fewer")
    counter.check(len(edges(server)) == 61, "serve", str(edges(server)))
    seen = len(server.log())
    counter.check(reload(server, many, "reloaded"), "64 again")
    counter.check("3 more edges start as others are done" in server.log()[seen:], "three wait", server.log()[seen:][-300:])
    session = postern.Session(server)
    counter.check(session.command("NOOP").startswith("250"), "the others serve")
    session.close()
    counter.check(len(server.roles("edge")) == 64, "no edge is beyond the table", str(len(server.roles("edge"))))
    for n, pid in enumerate(last, 62):
        os.kill(pid, signal.SIGCONT)
        counter.check(postern.until(lambda n=n: len(edges(server)) == n), "one is done: its number is used again", str(edges(server)))
        counter.check(set(last[n - 61 :]) <= set(server.roles("edge")), "the others are waited for")
    names = [f"edge-{n}" for n in range(64)]
    counter.check(sorted(edges(server)) == sorted(names), "each has a number of its own", str(edges(server)))
    counter.check(reload(server, CONF, "reloaded"), "one edge once more")
    counter.check(postern.until(lambda: len(server.roles("edge")) == 1), "is left, once more", str(len(server.roles("edge"))))


def certificate(server, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", f"/CN={name}", "-keyout", f"{server.root}/key.pem", "-out", f"{server.root}/cert.pem"],
        check=True,
        capture_output=True,
    )


def served_name(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        with context.wrap_socket(raw) as s:
            der = s.getpeercert(binary_form=True)
            s.recv(100)
    return der


def certificates(counter, server):
    port = postern.free_port()
    tls = f'tls {{ certificate "{server.root}/cert.pem" key "{server.root}/key.pem" }}\nlisten smtps 127.0.0.1:{port}\n'
    certificate(server, "first.test")
    counter.check(reload(server, CONF + tls, "reloaded"), "TLS is switched on")
    first = served_name(port)
    counter.check(b"first.test" in first, "the certificate is served")
    certificate(server, "second.test")
    counter.check(reload(server, CONF + tls, "reloaded"), "a renewed certificate")
    counter.check(b"second.test" in served_name(port), "is served")
    generation = control(server, "status")[0]["generation"]
    session = postern.Session(server)
    certificate(server, "third.test")
    counter.check(postern.until(lambda: b"third.test" in served_name(port)), "one that only lies there is served, too")
    counter.check(session.command("NOOP").startswith("250"), "sessions go on")
    session.close()
    counter.check(len(postern.until(lambda: server.events("certificates"))) == 1, "which is an event")
    counter.check(control(server, "status")[0]["generation"] == generation, "and no reload")
    shutil.copy(f"{server.root}/key.pem", f"{server.root}/good.pem")
    with open(f"{server.root}/key.pem", "w", encoding="ascii") as f:
        f.write("no key\n")
    counter.check(postern.until(lambda: server.events("certificates_refused")), "a broken one is refused")
    counter.check(b"third.test" in served_name(port), "and the good one served on")
    os.rename(f"{server.root}/good.pem", f"{server.root}/key.pem")
    counter.check(postern.until(lambda: len(server.events("certificates")) == 2), "until it is mended")
    with open(f"{server.root}/key.pem", "w", encoding="ascii") as f:
        f.write("no key\n")
    counter.check(reload(server, CONF + tls, "reload_refused"), "a broken key is refused")
    counter.check(b"third.test" in served_name(port), "the good one is served on")


def asks(counter, server):
    status = control(server, "status")
    names = {role["name"] for role in status[0].get("roles", [])} if status else set()
    counter.check({"admin", "resolver", "queue", "edge-0", "mailbox-0"} <= names, "status", str(status))
    before = len(server.events("reloaded"))
    counter.check(control(server, "reload")[0]["ok"], "reload by the control socket")
    counter.check(postern.until(lambda: len(server.events("reloaded")) > before), "is done")
    counter.check(not control(server, "sing")[0]["ok"], "an unknown command")
    counter.check(not control(server, "nobody", "sing")[0]["ok"], "an unknown role")
    counter.check(page(server, "/health") == (200, "alive\n"), "/health")
    counter.check(page(server, "/other")[0] == 404, "another page")
    text = page(server, "/metrics")[1]
    counter.check('postern_role_up{name="edge-0"} 1' in text, "/metrics", text[:500])


def crowded(counter, server):
    """Whoever connects and says nothing keeps nobody out."""
    silent = [socket.create_connection(("127.0.0.1", server.admin)) for _ in range(70)]
    for _ in range(70):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(os.path.join(server.root, "run", "control.sock"))
    counter.check(page(server, "/health") == (200, "alive\n"), "/health in a crowd")
    counter.check(control(server, "status")[0]["ok"], "the control socket in a crowd")
    for s in silent:
        s.close()


def second_start(counter, server):
    """A second server on the same folders is refused, and the first one's socket stays."""
    second = subprocess.run(
        [os.path.join(postern.build_folder(), "posternd"), "-c", server.conf_path, "--root", server.root, "--no-drop"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    counter.check(second.returncode == 1 and "control.sock" in second.stderr, "a second start", second.stderr)
    counter.check(control(server, "status")[0]["ok"], "the first one is still there to be asked")


def not_ready(counter, server):
    """A role that dies again and again waits longer and longer: meanwhile nothing is ready."""

    def seen():
        for pid in server.roles("queue"):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return page(server, "/ready")[0] == 503

    counter.check(postern.until(seen, 60), "not ready while there is no queue")
    counter.check(postern.until(lambda: page(server, "/ready")[0] == 200, 60), "ready with it")


def terminal(counter, server):
    """What a terminal that closes, or Ctrl-C, sends to each process is the supervisor's to act on."""

    def all_roles():
        return {name: sorted(server.roles(name)) for name in ("edge", "queue", "mailbox", "resolver", "admin", "filter", "template")}

    before = all_roles()
    session = postern.Session(server)
    for pids in before.values():
        for pid in pids:
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGINT)
    counter.check(session.command("EHLO client.test").startswith("250"), "sessions go on")
    session.close()
    session = postern.Session(server)
    counter.check(session.send("Subject: y\r\n\r\ny\r\n", rcpts=("u@here.test",)).startswith("250"), "mail is taken")
    session.close()
    counter.check(all_roles() == before and before["edge"], "no role ends", (before, all_roles()))


def stops(counter, server):
    session = postern.Session(server)
    session.command("EHLO client.test")
    session.command("MAIL FROM:<a@b.test>")
    session.command("RCPT TO:<u@here.test>")
    counter.check(session.command("DATA").startswith("354"), "a message is under way")
    server.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            postern.Session(server, seconds=2).close()
            return False
        except OSError:
            return True

    counter.check(postern.until(refused), "no new session while stopping")
    session.raw(b"Subject: last\r\n\r\nlast words\r\n.\r\n")
    answer = session.reply()
    counter.check(answer.startswith("250"), "the message under way is taken", answer)
    session.close()
    counter.check(server.process.wait(20) == 0, "it ends with 0")
    counter.check(any(b"last words" in content for content in server.mail().values()), "and is in the mailbox")


def main():
    counter = postern.Counter("supervision")
    with postern.Server(CONF) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        server.taken = taken.getsockname()[1]
        server.start()
        asks(counter, server)
        crowded(counter, server)
        second_start(counter, server)
        deaths(counter, server)
        reloads(counter, server)
        more_and_fewer(counter, server)
        all_numbers_used(counter, server)
        generations(counter, server)
        fewer_with_sessions(counter, server)
        old_plugins(counter, server)
        certificates(counter, server)
        not_ready(counter, server)
        terminal(counter, server)
        stops(counter, server)
        if counter.failed:
            print(server.log())
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A plugin reaches what it asked for and was granted, and nothing else: wherever its code runs.

tests/plugins/prober.c tries files and sockets in prepare, in instance_new and at each stage.
Closes with the counted line.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

BUILD = postern.build_folder()
POSTERN = os.path.join(BUILD, "postern")
STAGES = ["connect", "helo", "mail", "rcpt", "headers", "message"]
PLACES = STAGES + ["prepare", "instance_new"]
# variant, grants, what is reached where
ROWS = [
    ("none", "", set()),
    ("files", "", {"setting at prepare"}),
    ("network", "grant network", {f"{w} at {p}" for w in ("socket", "connect") for p in PLACES}),
]


def run(folder, conf, *words):
    path = os.path.join(folder, "needs.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(conf)
    p = subprocess.run([POSTERN, words[0], "-c", path, *words[1:]], capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout, p.stderr


def block(folder, variant, grants, port, more=""):
    plugin = os.path.join(BUILD, "tests", "plugins", f"prober_{variant}.so")
    return (
        f'smtp {{ hostname "mx.here.test" }}\ndefaults {{ recipients any }}\nplugins {{ prober {{ file "{plugin}" '
        f'setting "{folder}/setting" secret "{folder}/secret" port {port} {grants} }} {more} }}\n'
    )


def main():
    counter = postern.Counter("needs")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        port = listener.getsockname()[1]
        for name in ("setting", "secret", "zone"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        message = os.path.join(folder, "m.eml")
        with open(message, "w", encoding="utf-8") as f:
            f.write("Subject: x\n\ntext\n")
        scan = ["scan", "--json", "--dns", os.path.join(folder, "zone"), "--ip", "192.0.2.1", "--helo", "h.test",
                "--from", "a@b.test", "--rcpt", "u@here.test", message]
        for variant, grants, want in ROWS:
            status, out, err = run(folder, block(folder, variant, grants, port), *scan)
            if not counter.check(status == 0, f"{variant}: scan", out + err):
                continue
            symbols = json.loads(out)["symbols"]
            tried = {s["detail"] for s in symbols if s["name"] == "PROBE_TRIED"}
            reached = {s["detail"] for s in symbols if s["name"] == "PROBE_REACHED"}
            counter.check(tried == set(PLACES), f"{variant}: tried everywhere", sorted(tried))
            counter.check(reached == want, f"{variant}: reached", sorted(reached ^ want))
        status, out, err = run(folder, block(folder, "network", "", port), "check", "--quick")
        counter.check(status == 1 and "asks for network" in err, "check names a need that is not granted", out + err)
        status, out, err = run(folder, block(folder, "network", "grant files", port), "check", "--quick")
        counter.check(status == 1 and "expected 'grant network'" in err, "and what a new version asks for more",
                      out + err)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

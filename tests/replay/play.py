#!/usr/bin/env python3
"""Plays replay scripts (*.rpl) by `postern plugin test`, several at once.

usage: play.py [-v] [SCRIPT...]      (without any: those of its folder, and of plugins)

server/cli/rpl.h says what stands in a script. Each gets a server of its own. One with a line
"# needs PLUGIN ENGINE" is played only where the plugin was built with that engine. Closes
with "replay: N passed, N failed".
"""
import concurrent.futures
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402


def play(path):
    """None, or what the program said."""
    if not postern.script_is_built(path):
        return None
    command = [os.path.join(postern.build_folder(), "postern"), "plugin", "test", "--scripts", path]
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if p.returncode == 0:
        return None
    return f"{path}: exit status {p.returncode}\n{(p.stdout + p.stderr).decode('utf-8', 'replace')}"


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    scripts = [a for a in sys.argv[1:] if a != "-v"] or sorted(
        glob.glob(os.path.join(here, "*.rpl")) + glob.glob(os.path.join(postern.TOP, "plugins", "*", "*.rpl"))
    )
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for path, error in zip(scripts, pool.map(play, scripts)):
            if error:
                failed += 1
                print("FAIL", error, flush=True)
            else:
                passed += 1
                if "-v" in sys.argv:
                    print("ok  ", path)
    print(f"replay: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed else 1


if __name__ == "__main__":
    sys.exit(main())

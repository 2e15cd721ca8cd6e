#!/usr/bin/env python3
"""make plugin-test [FUZZ=SECONDS] [POINTS=N]: `postern plugin test` on every plugin of the tree,
as it is without settings, and by each replay script that runs it. Closes with the counted line.
"""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.abspath(postern.build_folder())


def scripts_of(name):
    own = glob.glob(os.path.join(TOP, "plugins", name, "*.rpl"))
    for path in glob.glob(os.path.join(TOP, "tests", "replay", "*.rpl")):
        with open(path, encoding="utf-8") as f:
            conf = "".join(line[5:] for line in f if line.startswith("conf "))
        block = re.search(r"\bplugins \{(.*)", conf, re.S)
        if block and re.search(rf"(^|[\s{{}}]){name}(\s|\{{|\}}|$)", block.group(1)):
            own.append(path)
    return [path for path in sorted(own) if postern.script_is_built(path)]


def prove(counter, folder, plugin, script):
    name = os.path.basename(plugin)[:-3]
    words = [os.path.join(BUILD, "postern"), "plugin", "test", "--json", "--save", folder]
    words += ["--points", os.environ.get("POINTS", "40")]
    if os.environ.get("FUZZ"):
        words += ["--fuzz", os.environ["FUZZ"]]
    p = subprocess.run([*words, plugin, *([script] if script else [])], capture_output=True, text=True, check=False)
    what = f"{name} {os.path.basename(script) if script else 'without settings'}"
    if not counter.check(p.returncode == 0, what, (p.stdout + p.stderr)[:4000]):
        return
    found = json.loads(p.stdout)
    libraries = "".join(f"; {x['name']} crashes in {x['trials']} of its own" for x in found["libraries"])
    print(f"ok   {what}: {found['passed']} trials, {found['allocations_failed']} allocations failed{libraries}", flush=True)


def main():
    counter = postern.Counter("plugin-test")
    jobs = []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        for plugin in sorted(glob.glob(os.path.join(BUILD, "plugins", "*.so"))):
            for script in [None, *scripts_of(os.path.basename(plugin)[:-3])]:
                jobs.append(pool.submit(prove, counter, folder, plugin, script))
        for job in jobs:
            job.result()
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""run.py BUILD TEST...: the fault tests, several side by side (JOBS of them, as many as there
are processors): most of their time is waiting for a clock, a limit or a server's end.

Prints what each printed last and its seconds as it ends, and what all add up to. A test says
"NAME: N passed, N failed" as its last line, or exits 77 where this machine can't run it.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAST_LINES = 40


def run(build, test):
    """(exit status, what was printed, seconds). Nothing is kept of one that hangs but its name:
    each has limits of its own."""
    begun = time.monotonic()
    p = subprocess.run(
        [sys.executable, os.path.join(HERE, test)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "POSTERN_BUILD": build, "PYTHONUNBUFFERED": "1"},
        text=True, errors="replace", check=False,
    )
    return p.returncode, p.stdout, time.monotonic() - begun


def counted(status, text):
    """(passed, failed) of a test's closing line; one that died without it, or behind it, failed."""
    found = re.findall(r"^[a-z]+: (\d+) passed, (\d+) failed$", text, re.M)
    passed, failed = (int(n) for n in found[-1]) if found else (0, 1)
    return passed, failed or int(status != 0)


def main():
    build, tests = os.path.abspath(sys.argv[1]), sys.argv[2:]
    jobs = int(os.environ.get("JOBS") or os.cpu_count())
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(run, build, test): test for test in tests}
        for done in concurrent.futures.as_completed(running):
            status, text, seconds = done.result()
            print("\n".join(text.rstrip().splitlines()[-LAST_LINES:]))
            print(f"--- {running[done]}: {seconds:.0f} s", flush=True)
            if status == 77:
                skipped += 1
                continue
            well, ill = counted(status, text)
            passed, failed = passed + well, failed + ill
    print(f"faults: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

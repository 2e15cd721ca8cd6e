#!/usr/bin/env python3
"""Where the plugin spf's two engines differ.

  spf_engines.py BUILD [SUITE]   prints the table, over our own cases or a suite of OpenSPF's
                                 form (rfc7208-tests.json)
  spf_engines.py                 (in make check) is the README's copy the one over our own
                                 cases, and is our engine right in all of them?
"""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
import postern  # noqa: E402
import spfsuite  # noqa: E402

README = os.path.join(TOP, "plugins", "spf", "README.md")


def shown(result, explanation):
    return result if explanation in (None, "DEFAULT") else f"{result}: {explanation}"


def compare(build, suite):
    """(lines of the table, right answers of each engine, all)"""
    runs = {engine: spfsuite.run(build, suite, engine) for engine in ("native", "libspf2")}
    right = {e: sum(spfsuite.is_right(t, r, x) for _, t, r, x in run) for e, run in runs.items()}
    lines = ["| case | RFC 7208 | native | libspf2 |", "|---|---|---|---|"]
    for (name, test, result, words), (_, _, other, others) in zip(*runs.values()):
        if (result, words) == (other, others) or all(
            spfsuite.is_right(test, *answer) for answer in ((result, words), (other, others))
        ):
            continue
        want = test["result"] if isinstance(test["result"], str) else " or ".join(test["result"])
        wants = shown(want, test.get("explanation"))
        lines.append(f"| {name} ({test['spec']}) | {wants} | {shown(result, words)} | {shown(other, others)} |")
    return lines, right, len(runs["native"])


def sentence(right, count):
    return f"Of {count} cases, native is right in {right['native']}, libspf2 in {right['libspf2']}."


def check():
    c = postern.Counter("spf_engines")
    build = postern.build_folder()
    if spfsuite.engines(build) != ["native", "libspf2"]:
        print("spf_engines: built without libspf2")
        return 77
    lines, right, count = compare(build, None)
    with open(README, encoding="utf-8") as f:
        found = re.search(r"<!-- spf_engines.py -->\n(.*?)<!-- end -->", f.read(), re.S)
    want = sentence(right, count) + "\n\n" + "\n".join(lines) + "\n"
    c.check(right["native"] == count, "our engine is right in all cases", f"{right['native']} of {count}")
    c.check(found is not None and found.group(1) == want, "the README has this table", want)
    return c.close()


def main():
    if len(sys.argv) == 1:
        return check()
    lines, right, count = compare(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    print(sentence(right, count) + "\n\n" + "\n".join(lines))
    return 0


sys.exit(main())

#!/usr/bin/env python3
"""`postern plugin test` finds each mistake that tests/plugins/careless.c can make, names its
trial, repeats it alone, and finds nothing where there is none. Closes with the counted line.
"""
import concurrent.futures
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

BUILD = postern.build_folder()
POSTERN = os.path.join(BUILD, "postern")
SCRIPT = """# one message
conf smtp { hostname "mx.here.test" }
conf plugins { careless { does %s } }
conf domain "here.test" { recipients any  route local }
dns a.sender.test A 192.0.2.1
time 1700000000
client 192.0.2.7
> 220
< EHLO friend
>| 250 
< MAIL FROM:<a@sender.test>
> 250
< RCPT TO:<u@here.test>
> 250
< DATA
> 354
< From: a@sender.test
<
< text
< .
> 250 2.0.0
event outcome=accept plugin=careless:ok
"""
# what it does, the kind that is found, what the trial's name holds, what the text holds
ROWS = [
    ("nothing", None, "", ""),
    ("alloc", "crash", "/alloc/", "crashes"),
    ("pool", "crash", "/alloc/", "crashes"),
    ("error", "leak", "/alloc/", "blocks"),
    ("prepare", "start", "/start/alloc/", "while it starts"),
    ("leak", "leak", "/leak", "careless.so+0x"),
    ("fd", "leak", "/leak", "6 descriptors"),
    ("thread", "leak", "/leak", "threads"),
    ("counts", "differs", "/again", "CARELESS"),
    ("forgets", "differs", "/replaced/", "CARELESS"),
    ("halfway", "crash", "/end/", "crashes"),
    ("servfail", "crash", "/dns/servfail", "crashes"),
    ("slow", "hang", "/dns/slow", "hangs"),
    ("network", "jail", "/plain", "that its needs don't ask for: connect"),
    ("deep", "crash", "hostile:", "crashes"),
    ("tick", "crash", "/tick", "crashes"),
    ("tick-leak", "leak", "/tick", "careless.so+0x"),
    ("hands", "crash", "/alloc/", "crashes"),
    ("library", None, "", ""),
]
# What misuser.c does, and what is said of it; None: nothing is wrong.
MISUSES = [
    ("need", "state_get: POSTERN_NEED_STATE is not among its needs"),
    ("row", 'set_str: "dose" is no row'),
    ("symbol", "fact: 7 is no index of its 1 symbols"),
    ("weight", "fact_weighted: a weight is at most 1000000 thousandths"),
    ("stage", "header_get: there is no message before POSTERN_HEADERS"),
    ("edit", "remove_rcpt: only in POSTERN_HEADERS and POSTERN_MESSAGE"),
    ("prefetch", "dns_lookup: prefetch waits for nothing"),
    ("kept", "header_get: with a call that is over"),
    ("client", "writes to what client() lent it"),
    ("message", "writes to the message that the host lent it"),
    ("number", "returns 42, which is no status"),
    ("invalid", "returns -4, POSTERN_INVALID"),
    ("stranger", 'note_get: plugin "greylist" is not in its `after`'),
    ("none", None),
    ("nothing", None),
]
# A sanitizer's build is jailed by errors, not by signals, and sees a NULL before it is used.
NOT_SANITIZED = {"network", "library"}


def run(*words):
    p = postern.run([POSTERN, "plugin", "test", *words], seconds=600)
    return p.returncode, p.stdout, p.stderr


def sanitized():
    with open(os.path.join(BUILD, "config.h"), encoding="utf-8") as f:
        return "#define PN_SANITIZE" in f.read()


def try_row(counter, folder, row):
    does, kind, trial, text = row
    script = os.path.join(folder, does + ".rpl")
    name = "careless_plain.so" if does == "forgets" else "careless.so"
    plugin = os.path.join(BUILD, "tests", "plugins", name)
    with open(script, "w", encoding="utf-8") as f:
        f.write(SCRIPT % does)
    status, out, err = run("--json", "--points", "20", "--save", folder, plugin, script)
    counter.check(status == (1 if kind else 0), f"{does}: exit {status}", out + err)
    if status not in (0, 1):
        return
    found = json.loads(out)["findings"]
    if kind is None:
        libraries = [x["name"] for x in json.loads(out)["libraries"]]
        want = ["fragile.so"] if does == "library" else []
        counter.check(not found and libraries == want, f"{does}: nothing", out)
        return
    mine = [f for f in found if f["kind"] == kind and trial in f["trial"] and text in f["text"]]
    if not counter.check(mine, f"{does}: {kind} at {trial}", out):
        return
    status, out, err = run("--json", "--only", mine[0]["trial"], plugin, script)
    again = json.loads(out)["findings"] if status in (0, 1) else []
    counter.check(any(f["trial"] == mine[0]["trial"] for f in again), f"{does}: again by --only", out + err)
    if "saved" in mine[0]:
        status, out, err = run("--json", plugin, mine[0]["saved"])
        counter.check(status == 1, f"{does}: again by the script that was saved", out + err)


def try_misuse(counter, folder, row):
    does, want = row
    script = os.path.join(folder, f"misuse-{does}.rpl")
    plugin = os.path.join(BUILD, "tests", "plugins", "misuser.so")
    text = (SCRIPT % does).replace("careless", "misuser")
    if does != "invalid":  # which the script sees as well
        text = text.replace("plugin=misuser:ok", 'plugin=misuser:ok symbol="MISUSER:whole" !symbol="MISUSER:much"')
    with open(script, "w", encoding="utf-8") as f:
        f.write(text)
    status, out, err = run("--json", "--points", "0", plugin, script)
    if not counter.check(status == (1 if want else 0), f"misuse {does}: exit {status}", out + err) or not want:
        return
    said = [f["text"] for f in json.loads(out)["findings"] if f["kind"] == "misuse"]
    counter.check(len(said) == 1 and said[0].startswith(want), f"misuse {does}", out)


def try_page(counter, folder):
    """The example of the manual page is a script that holds."""
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "contrib", "man", "postern-replay.5")
    path = os.path.join(folder, "page.rpl")
    with open(page, encoding="utf-8") as f, open(path, "w", encoding="utf-8") as out:
        out.write(f.read().split(".Bd -literal\n")[1].split(".Ed\n")[0].replace("\\&", ""))
    status, out, err = run("--scripts", path)
    counter.check(status == 0, "the example of postern-replay(5)", out + err)


def try_words(counter, folder):
    """What a stranger reads: places of the script's own, and no line that can't fail."""
    careless = os.path.join(BUILD, "tests", "plugins", "careless.so")
    for name, text, want in (
        ("conf", SCRIPT.replace("does %s", "dose 7"), "conf.rpl:3:27: unknown setting 'dose'"),
        ("dns", SCRIPT.replace("sender.test A", "sender.test B") % "nothing", "dns.rpl:5:19: unknown type"),
        ("event", (SCRIPT % "nothing").replace("outcome", "!outcme"), "event.rpl:22: '!outcme=accept', expected KEY=VALUE"),
        ("other", (SCRIPT % "nothing").replace("outcome=accept", "outcome=junk"),
         'other.rpl:22: event does not hold outcome=junk\n      it has "accept"\n'),
        ("symbol", (SCRIPT % "nothing").replace("outcome=accept", "symbol=NO_SUCH"),
         "symbol.rpl:22: event does not hold symbol=NO_SUCH\n      it has CARELESS:"),
        ("status", (SCRIPT % "nothing").replace("careless:ok", "careless:failed"),
         "status.rpl:22: event does not hold plugin=careless:failed\n      it has careless:ok\n"),
    ):
        path = os.path.join(folder, name + ".rpl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        status, out, err = run("--scripts", careless, path)
        counter.check(status == 1 and f"{folder}/{want}" in out, f"words of {name}", out + err)


def main():
    counter = postern.Counter("prove")
    with tempfile.TemporaryDirectory() as folder:
        rows = [r for r in ROWS if len(sys.argv) < 2 or r[0] in sys.argv[1:]]
        rows = [r for r in rows if r[0] not in NOT_SANITIZED or not sanitized()]
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda row: try_row(counter, folder, row), rows))
            list(pool.map(lambda row: try_misuse(counter, folder, row), MISUSES))
        try_words(counter, folder)
        try_page(counter, folder)
        good = os.path.join(folder, "good.rpl")
        with open(good, "w", encoding="utf-8") as f:
            f.write(SCRIPT % "nothing")
        bad = os.path.join(folder, "bad.rpl")
        with open(bad, "w", encoding="utf-8") as f:
            f.write("client 192.0.2.1\nsurprise me\n")
        careless = os.path.join(BUILD, "tests", "plugins", "careless.so")
        for words, want in (
            ([], 2),
            (["--points", "x", good], 2),
            (["--points", "0", careless, good], 0),
            ([careless, bad], 2),
            ([careless, os.path.join(folder, "none.rpl")], 3),
            ([os.path.join(folder, "none.so"), good], 3),
            (["--only", "no such trial", careless, good], 2),
            (["--help"], 0),
            ([os.path.join(BUILD, "tests", "plugins", "shout_major.so")], 1),
        ):
            status, out, err = run(*words)
            counter.check(status == want, f"{words}: exit {status}, not {want}", out + err)
        text = os.path.join(folder, "text.so")
        with open(text, "w", encoding="utf-8") as f:
            f.write("no plugin\n" * 1000)
        status, out, err = run(text, good)
        counter.check(status != 0 and err.count(text) + out.count(text) == 1, "what is none: its path, once", out + err)
        status, out, _ = run("--json", "--fuzz", "1", "--seed", "7", "--save", folder, careless, good)
        counter.check(status == 0 and json.loads(out)["seed"] == "7", "fuzz with a seed", out)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

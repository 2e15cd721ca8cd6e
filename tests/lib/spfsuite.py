"""OpenSPF's RFC 7208 suite: its scenarios with their zonedata as a DNS FILE.

By the suite's convention an SPF entry stands for TXT where a name has no TXT entry, and
"TXT: NONE" says that it has none.
"""
import json
import os
import subprocess
import tempfile

import postern
import spfcases


def escaped(text, plain):
    return "".join(chr(b) if chr(b) in plain else f"\\{b:03d}" for b in text.encode())


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def name_of(text):
    return escaped(text, LETTERS + "-_.*") or "."


def strings(value):
    parts = value if isinstance(value, list) else [value]
    return " ".join('"' + escaped(p, LETTERS + " .-_:=/%{}+~?!,@") + '"' for p in parts or [""])


def rdata(kind, value):
    if kind == "TXT":
        return strings(value)
    if kind == "MX":
        return f"{value[0]} {name_of(value[1])}"
    return name_of(value) if kind in ("PTR", "CNAME") else value


def zone_of(zonedata):
    lines = []
    for name, entries in zonedata.items():
        has_txt = any(isinstance(e, dict) and "TXT" in e for e in entries)
        for entry in entries:
            if entry == "TIMEOUT":
                lines.append(f"{name_of(name)} TIMEOUT")
                continue
            for kind, value in entry.items():
                if kind == "RCODE":
                    lines.append(f"{name_of(name)} {'NXDOMAIN' if value == 3 else 'SERVFAIL'}")
                elif value != "NONE" and not (kind == "SPF" and has_txt):
                    kind = "TXT" if kind == "SPF" else kind
                    lines.append(f"{name_of(name)} {kind} {rdata(kind, value)}")
    return "\n".join(lines) + "\n"


def scenarios(path):
    """(zone, {name: test}) of each; path: a file of them, or None for our own."""
    if path is None:
        loaded = spfcases.suite()
    else:
        with open(path, encoding="utf-8") as f:
            loaded = json.load(f)
    for scenario in loaded:
        yield zone_of(scenario["zonedata"]), scenario["tests"]


def answer_of(found):
    """Result and explanation for the envelope's domain, of auth.spf."""
    for one in found:
        if one["identity"] == "mailfrom":
            return one["result"], one.get("explanation", "DEFAULT")
    return "nothing", "DEFAULT"


def is_right(test, result, explanation):
    allowed = test["result"] if isinstance(test["result"], list) else [test["result"]]
    return result in allowed and explanation == test.get("explanation", explanation)


CONF = """
smtp {{ hostname "mx.here.test" }}
plugins {{ spf {{ engine {engine} }} }}
include "postern:default"
domain "here.test" {{ recipients any  route local }}
"""


def tool(build, *args, **more):
    build = os.path.abspath(build)
    return subprocess.run(
        [*postern.wrap(), os.path.join(build, "postern"), *args],
        stdout=subprocess.PIPE,
        env={**os.environ, "POSTERN_PLUGINS": os.path.join(build, "plugins")},
        check=False,
        **more,
    ).stdout.decode("utf-8", "replace")


def engines(build):
    folder = os.path.join(os.path.abspath(build), "plugins")
    rows = json.loads(tool(build, "plugin", "show", "--json", "--folder", folder, "spf"))["settings"]
    return next(row["choices"] for row in rows if row["name"] == "engine").split("|")


def run(build, path, engine="native"):
    """[(name, test, result, explanation)] of a suite, by `postern scan --batch`."""
    cases, tests = [], []
    for zone, scenario in scenarios(path):
        for name, test in scenario.items():
            tests.append((name, test))
            cases.append(
                {
                    "id": name,
                    "ip": test["host"],
                    "helo": test["helo"],
                    "from": test["mailfrom"],
                    "rcpt": ["user@here.test"],
                    "message": "Subject: x\r\n\r\nx\r\n",
                    "zone": zone,
                }
            )
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(CONF.format(engine=engine))
        conf.flush()
        lines = tool(
            build,
            *("scan", "--config", conf.name, "--json", "--plugins", "spf", "--batch", "-"),
            input="".join(json.dumps(c) + "\n" for c in cases).encode(),
        ).splitlines()
    if len(lines) != len(cases):
        print(f"{len(cases)} cases, {len(lines)} answers")
    lines += ["{}"] * (len(cases) - len(lines))
    return [(*t, *answer_of(json.loads(line).get("auth", {}).get("spf", []))) for t, line in zip(tests, lines)]

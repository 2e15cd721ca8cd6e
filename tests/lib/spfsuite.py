"""OpenSPF's RFC 7208 suite: its scenarios with their zonedata as a DNS FILE.

By the suite's convention an SPF entry stands for TXT where a name has no TXT entry, and
"TXT: NONE" says that it has none.
"""
import json


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
    """(zone, {name: test}) of each."""
    with open(path, encoding="utf-8") as f:
        for scenario in json.load(f):
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

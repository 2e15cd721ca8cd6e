#!/usr/bin/env python3
"""dkim_check.py BUILD FOLDER: verifies what dkim_sign.js wrote into FOLDER by `postern scan`.

Each case must verify with both engines. Those marked `flip` are then changed, each byte of
header and body in five ways, and verified again. What must become of a signature is worked
out here from RFC 6376 alone: where the canonical forms (section 3.4) come out the same it
still verifies, anywhere else it must not.
"""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile

build, folder = sys.argv[1], sys.argv[2]
engines = ("native", "libopendkim")
passed = failed = 0


def read(name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()


# ---- what RFC 6376 says of a message

BLANKS = b" \t\r\n"


def fields_of(header):
    return [x for x in re.split(rb"\r\n(?![ \t])", header) if x]


def canon_field(field, relaxed):
    if not relaxed:
        return field
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t")
    return name.strip(b" \t").lower() + b":" + value


def canon_body(body, relaxed):
    lines = body.split(b"\r\n")
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", x).rstrip(b" ") for x in lines]
    while lines and lines[-1] == b"":
        lines.pop()
    if not lines:
        return b"" if relaxed else b"\r\n"
    return b"\r\n".join(lines) + b"\r\n"


def tags_of(field):
    tags = {}
    for item in field.partition(b":")[2].split(b";"):
        name, equals, value = item.partition(b"=")
        if equals:
            tags[name.strip(BLANKS)] = value.strip(BLANKS)
    return tags


def signed_by(field, fields, body):
    """All that this signature vouches for, or None where it can't be read."""
    tags = tags_of(field)
    header_form, _, body_form = tags.get(b"c", b"simple").lower().partition(b"/")
    relaxed = header_form.strip() == b"relaxed"
    left = list(fields)
    out = []
    for name in tags[b"h"].lower().split(b":"):
        for i in range(len(left) - 1, -1, -1):
            if left[i].partition(b":")[0].strip(b" \t").lower() == name.strip():
                out.append(canon_field(left.pop(i), relaxed))
                break
    own = re.sub(rb"(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*", rb"\1\2", field.partition(b":")[2])
    out.append(canon_field(field.partition(b":")[0] + b":" + own, relaxed))
    text = canon_body(body, body_form.strip() == b"relaxed")
    if b"l" in tags:
        length = int(tags[b"l"])
        if length > len(text):
            return None
        text = text[:length]
    given = base64.b64decode(re.sub(rb"[ \t\r\n]", b"", tags[b"b"]), validate=True)
    return out, text, given


FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def parted(message):
    """The header ends at the empty line, or before a line that is of no field where none follows."""
    lines = message.split(b"\r\n")
    end = lines.index(b"") if b"" in lines else len(lines)
    for i in range(1, end):
        if lines[i][:1] not in (b" ", b"\t") and not any(FIELD.match(x) for x in lines[i:end]):
            return b"\r\n".join(lines[:i]), b"\r\n".join(lines[i:])
    return b"\r\n".join(lines[:end]), b"\r\n".join(lines[end + 1:])


def vouched(message):
    """selector -> what is signed; LF is CRLF, as `scan` reads it."""
    message = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    header, body = parted(message)
    fields = fields_of(header)
    out = {}
    for field in fields:
        if field.partition(b":")[0].strip(b" \t").lower() != b"dkim-signature":
            continue
        try:
            out[tags_of(field)[b"s"].decode()] = signed_by(field, fields, body)
        except (KeyError, ValueError):
            continue
    return out


# ---- what Postern says

def scan(engine, now, messages):
    with tempfile.TemporaryDirectory() as d:
        conf = os.path.join(d, "postern.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f'plugins {{ dkim {{ engine {engine} }} }}\ndomain "b.test" {{ recipients any }}\n')
        batch = os.path.join(d, "batch")
        with open(batch, "w", encoding="ascii") as f:
            for i, m in enumerate(messages):
                path = os.path.join(d, f"{i}.eml")
                with open(path, "wb") as e:
                    e.write(m)
                f.write(json.dumps({"ip": "192.0.2.1", "helo": "a.test", "from": "joe@a.test",
                                    "rcpt": "ann@b.test", "file": path, "time": now}) + "\n")
        run = subprocess.run([os.path.join(build, "postern"), "scan", "--config", conf, "--plugins", "dkim",
                              "--dns", os.path.join(folder, "keys.zone"), "--json", "--batch", batch],
                             capture_output=True, check=False)
    lines = [json.loads(x) for x in run.stdout.splitlines()]
    if len(lines) != len(messages):
        sys.exit(f"scan gave {len(lines)} results for {len(messages)} messages:\n{run.stderr.decode()[-2000:]}")
    return [x.get("auth", {}).get("dkim", []) for x in lines]


def valid(results):
    return {r.get("selector") for r in results
            if r.get("signature") == "valid" and r["result"] in ("pass", "neutral")}


def note(good, *columns):
    global passed, failed
    passed += good
    failed += not good
    print(f"{'ok' if good else 'MISS':5} {columns[0]:36} {columns[1]:12} {columns[2]}")


def plain(plan):
    cases = plan["cases"]
    for engine in engines:
        for case, results in zip(cases, scan(engine, plan["now"], [read(c["file"]) for c in cases])):
            want = "neutral" if case.get("length") is not None else "pass"
            got = [f"{r['result']}/{r.get('signature', '')}" for r in results]
            note(got == [f"{want}/valid"] * case["count"], case["name"], engine,
                 ", ".join(sorted(set(got))) + f" x{len(got)}")


def changes(message):
    for i, byte in enumerate(message):
        for new in {bytes([byte ^ 1]), bytes([byte ^ 0x20]), b" ", b"", bytes([byte, byte])} - {bytes([byte])}:
            if b"\0" not in new:
                yield i, new, message[:i] + new + message[i + 1:]


def flips(plan, engine):
    for case in plan["cases"]:
        if not case["flip"]:
            continue
        message = read(case["file"])
        before = vouched(message)
        # libopendkim takes form feeds, vertical tabs and bare CRs of the header for blanks.
        todo = [x for x in changes(message) if engine == "native" or not re.search(rb"\r(?!\n)|[\v\f]", x[2])]
        undone = broken = 0
        wrong = []
        for (at, new, changed), results in zip(todo, scan(engine, plan["now"], [x[2] for x in todo])):
            after, got = vouched(changed), valid(results)
            for selector, signed in before.items():
                same = after.get(selector) == signed
                undone += same
                broken += not same
                if (selector in got) != same:
                    wrong.append(f"byte {at} {message[at:at + 1]!r} -> {new!r} {selector}: {results}")
        note(not wrong and broken > 0, case["name"], engine,
             f"{len(message)} bytes, {len(todo)} changes: {broken} break it, {undone} undone by its form")
        for line in wrong[:5]:
            print("      " + line)


def main():
    plan = json.loads(read("cases.json"))
    print("---- signed by mailauth")
    plain(plan)
    for engine in engines:
        print("---- each byte changed: by bit 0, by bit 5, to a blank, left out, doubled")
        flips(plan, engine)
    print(f"dkim: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

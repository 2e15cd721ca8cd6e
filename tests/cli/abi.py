#!/usr/bin/env python3
"""A plugin built with the header of an older minor loads and runs; a newer or foreign one is
refused by name. tests/plugins/whole.c uses all of 1.0. Closes with the counted line.
"""
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.abspath(postern.build_folder())
POSTERN = os.path.join(BUILD, "postern")
PLUGINS = os.path.join(BUILD, "tests", "plugins")
CONF = """smtp { hostname "mx.here.test" }
plugins { whole {
    string "a b", c  bool yes  int -5  address 192.0.2.9  network 192.0.2.0/24
    zone "one.test" { code 127.0.0.2 }
    zone "two.test" { code 127.0.0.2, 127.0.0.3 }
} }
domain "here.test" { recipients any  route local }
"""
DNS = "a.test A 192.0.2.1\na.test A 192.0.2.2\na.test MX 10 mx.a.test\n"
MESSAGE = """From: Ann <A@Sender.test>
Subject: =?utf-8?q?f=C3=BCr?=
 you
X-Old: yes
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

See http://shop.test/now
--b
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable
Content-Disposition: attachment; filename=x.html

<p>f=FCr
--b--
"""


def script():
    lines = ["# all of plugin ABI 1.0"]
    lines += ["conf " + line for line in CONF.splitlines()] + ["dns  " + line for line in DNS.splitlines()]
    lines += ["time 1700000000", "client 192.0.2.7", "> 220", "< EHLO friend", ">| 250 "]
    lines += ["< MAIL FROM:<a@sender.test>", "> 250", "< RCPT TO:<u@here.test>", "> 250"]
    lines += ["< RCPT TO:<v@here.test>", "> 250", "< DATA", "> 354"]
    lines += ["< " + line for line in MESSAGE.splitlines()] + ["< .", "> 250 2.0.0"]
    lines += ["event symbol=WHOLE_RIGHT !symbol=WHOLE_WRONG symbol=WHOLE_NAMED plugin=whole:ok"]
    return "\n".join(lines) + "\n"


def run(*words):
    p = postern.run([POSTERN, *words], seconds=300)
    return p.returncode, p.stdout, p.stderr


def wanted():
    """The names of its rows: none may be missing."""
    with open(os.path.join(TOP, "tests", "plugins", "whole.c"), encoding="utf-8") as f:
        table = re.search(r"checks\[\] = \{(.*?)\};", f.read(), re.S).group(1)
    return set(re.findall(r'\{"(\w+)", ', table)) | {"on connect", "on helo", "on mail", "on headers"}


def try_built(counter, folder, built, abi):
    plugin = os.path.join(PLUGINS, built + ".so")
    status, out, err = run("plugin", "show", "--json", plugin)
    counter.check(status == 0 and json.loads(out)["abi"] == abi, f"{built}: ABI {abi}", out + err)
    conf, message, zone, play = (os.path.join(folder, n) for n in ("whole.conf", "m.eml", "zone", "whole.rpl"))
    for path, text in ((conf, CONF.replace("whole {", f'whole {{ file "{plugin}"')), (message, MESSAGE), (zone, DNS),
                       (play, script())):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    status, out, err = run("scan", "-c", conf, "--json", "--dns", zone, "--time", "1700000000", "--port", "40000",
                           "--ip", "192.0.2.7", "--helo", "friend", "--from", "a@sender.test", "--rcpt", "u@here.test",
                           "--rcpt", "v@here.test", message)
    if counter.check(status == 0, f"{built}: scan", out + err):
        found = json.loads(out)
        details = {name: {s["detail"] for s in found["symbols"] if s["name"] == name}
                   for name in ("WHOLE_RIGHT", "WHOLE_WRONG")}
        counter.check(details["WHOLE_RIGHT"] == wanted(), f"{built}: right", wanted() - details["WHOLE_RIGHT"])
        counter.check(not details["WHOLE_WRONG"], f"{built}: wrong", details["WHOLE_WRONG"])
        counter.check([e["op"] for e in found["edits"]] == ["add-header", "remove-header"], f"{built}: edits", found["edits"])
    status, out, err = run("plugin", "test", "--json", "--points", "30", plugin, play)
    found = json.loads(out)["findings"] if status in (0, 1) else None
    # It asks for what the host must refuse, on purpose.
    counter.check(found is not None and all(f["kind"] == "misuse" for f in found), f"{built}: is played and proved",
                  out + err)


def main():
    counter = postern.Counter("abi")
    with tempfile.TemporaryDirectory() as folder:
        status, out, err = run("plugin", "show", "--json", os.path.join(PLUGINS, "whole.so"))
        now = json.loads(out)["abi"] if counter.check(status == 0, "today's", out + err) else "?"
        try_built(counter, folder, "whole_1_0", "1.0")
        try_built(counter, folder, "whole", now)
        conf = os.path.join(folder, "shout.conf")
        major, minor = now.split(".")
        later = f"{major}.{int(minor) + 1}"
        for built, want in (
            ("shout_major", f"built for plugin ABI 2.{minor}, this Postern has {now} (it takes {major}.0 to {now})"),
            ("shout_minor", f"built for plugin ABI {later}, this Postern has {now} (it takes {major}.0 to {now})"),
            ("shout_uses", f"says plugin ABI 1.0, but uses what came later than {now}, this Postern's"),
            ("shout_hidden", "exports no `postern_plugin`: not a plugin"),
        ):
            plugin = os.path.join(PLUGINS, built + ".so")
            with open(conf, "w", encoding="utf-8") as f:
                f.write(f'smtp {{ hostname "mx.here.test" }}\nplugins {{ shout {{ file "{plugin}" }} }}\n')
            for words in (("plugin", "show", plugin), ("check", "-c", conf), ("plugin", "test", plugin)):
                status, out, err = run(*words)
                counter.check(status == 1 and f"{plugin}: {want}" in out + err, f"{built}: postern {words[0]} {words[1]}",
                              out + err)
    return counter.close()


if __name__ == "__main__":
    sys.exit(main())

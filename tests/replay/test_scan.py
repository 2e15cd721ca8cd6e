#!/usr/bin/env python3
"""postern scan: the contract that scripts rely on, on a small world of our own."""
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

DEMO = os.path.join(postern.TOP, "contrib", "demo")
CONF = """
smtp { hostname "mx.here.test" }
plugins { spf  dkim }
include "postern:default"
domain "here.test" { recipients any  route local  on SPF_FAIL reject "550 5.7.23 SPF said no" }
"""


def scan(*args, stdin=""):
    done = postern.run(
        [*postern.wrap(), os.path.join(postern.build_folder(), "postern"), "scan", *args],
        stdin=stdin,
        env={**os.environ, "POSTERN_PLUGINS": os.path.join(postern.build_folder(), "plugins")},
    )
    return done.returncode, done.stdout, done.stderr


def main():
    c = postern.Counter("scan")
    with tempfile.TemporaryDirectory() as folder:
        conf = os.path.join(folder, "postern.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(CONF)
        who = ["--ip", "192.0.2.10", "--helo", "mail.friend.test", "--from", "alice@friend.test", "--rcpt", "robin@here.test"]
        base = ["-c", conf, "--dns", f"{DEMO}/demo.zone", "--time", "1795309323"]
        good = f"{DEMO}/mail/1-good.eml"

        code, out, err = scan(*base, "--json", *who, good)
        c.check(code == 0, "an accepted message exits 0", f"{code} {err}")
        v = json.loads(out or "{}")
        c.check(v.get("outcome") == "accept" and v.get("file") == good, "accepted", out)
        c.check(v["auth"]["spf"][0]["result"] == "pass" and v["auth"]["dkim"][0]["result"] == "pass", "spf and dkim pass", out)
        c.check(v["auth"]["dkim"][0]["bits"] == 2048, "bits is a number", out)
        total = round(sum(s["weight"] for s in v["symbols"]), 3)
        c.check(total == v["score"], "the ledger sums exactly", f"{total} {v['score']}")
        c.check(any(d["name"] == "friend.test" and d["type"] == "TXT" for d in v["dns"]), "DNS is recorded", out)
        again = json.loads(scan(*base, "--json", *who, good)[1])
        for run in (v, again):
            for p in run["plugins"]:
                p["ms"] = 0
        c.check(v == again, "a verdict repeats, bit for bit")

        early = ["--plugins", "client", "--dns", f"{DEMO}/demo.zone", "--json", "--early", "greeting,command"]
        v = json.loads(scan(*early, *who, good)[1] or "{}")
        names = [s["name"] for s in v.get("symbols", [])]
        want = ["CLIENT_EARLY_GREETING", "CLIENT_NAME", "CLIENT_HELO_CONFIRMED", "CLIENT_EARLY_COMMAND"]
        c.check(names == want, "what the client did not wait for is told", str(names))
        code, _, err = scan("--early", "greeting,soon", *who, good)
        c.check(code == 2 and "--early" in err, "in words that are known", f"{code} {err}")

        seen = {"mail_args": "SIZE=12 BODY=8BITMIME", "tls": True, "tls_version": "TLSv1.3", "tls_cipher": "C", "tls_bits": 256,
                "local_ip": "192.0.2.25", "local_port": 25, "ip": "192.0.2.10", "helo": "h", "from": "a@friend.test",
                "rcpt": "u@here.test", "message": "Subject: x\r\n\r\n"}
        for change, want in (({}, (0, 1)), ({"local_port": 65536}, (3,)), ({"tls_bits": "x"}, (3,)), ({"local_ip": "x"}, (3,)),
                             ({"mail_args": 1}, (3,))):
            with open(f"{folder}/seen.json", "w", encoding="ascii") as f:
                f.write(json.dumps(seen | change) + "\n")
            code, _, err = scan("--plugins", "", "--json", "--batch", f"{folder}/seen.json")
            c.check(code in want, f"a batch says how the client came: {change}", f"{code} {err}")

        forged = [a if a != "192.0.2.10" else "198.51.100.1" for a in who]
        code, out, err = scan(*base, "--json", *forged, good)
        v = json.loads(out or "{}")
        c.check(code == 1 and v.get("outcome") == "reject", "a refused one exits 1", f"{code} {out}")
        c.check(v["reply"] == "550 5.7.23 SPF said no", "with the policy's words", out)
        c.check(v["recipients"][0]["because"][0].startswith("postern.conf:5:"), "and the line that said so", out)

        code, out, err = scan(*base, "--json", "--auth", "spf=fail smtp.mailfrom=x.test; dkim=pass header.d=x.test", *who, good)
        v = json.loads(out or "{}")
        given = {p["name"]: p["status"] for p in v["plugins"]}
        c.check(given == {"spf": "given", "dkim": "given"}, "--auth stands for the plugins", out)
        c.check(v["auth"]["spf"][0] == {"result": "fail", "identity": "mailfrom", "domain": "x.test"}, "as it was given", out)

        batch = "\n".join(
            json.dumps(x)
            for x in (
                {"ip": "::ffff:192.0.2.10", "helo": "h", "from": "a@friend.test", "rcpt": "u@here.test", "message": "A: 1\n\nx\n"},
                {"ip": "2001:db8::1", "helo": "h", "from": "@friend.test", "rcpt": ["u@here.test", "v@here.test"], "message": "",
                 "zone": "friend.test TXT \"v=spf1 ip6:2001:db8::/32 -all\"\n"},
                {"ip": "192.0.2.1", "helo": "h", "from": "a@slow.test", "rcpt": "u@here.test", "message": "", "zone": "slow.test TIMEOUT\n"},
            )
        )
        code, out, err = scan(*base, "--json", "--batch", "-", stdin=batch)
        lines = [json.loads(x) for x in out.splitlines()]
        c.check([x["auth"]["spf"][0]["result"] for x in lines] == ["pass", "pass", "temperror"], "a batch, each with its own DNS", out + err)
        c.check(len(lines) == 3 and len(lines[1]["recipients"]) == 2, "in order", out)

        code, out, err = scan(*base, *who, f"{DEMO}/mail")
        c.check("6 messages:" in out, "a folder, for people", out[-300:])
        code, out, err = scan(*base, "--plugins", "spf,nope", *who, good)
        c.check(code == 2 and not out and "'nope' is not configured" in err, "an unknown plugin", (code, out, err))
        code, out, err = scan(*base, *who, "/nowhere")
        c.check(code == 3 and "No such file" in err, "a file that is not there exits 3", f"{code} {err}")
        code, out, err = scan(*base, good)
        c.check(code == 2 and "usage" in err, "no envelope: usage", f"{code} {err}")
        with open(conf, "a", encoding="utf-8") as f:
            f.write("plugns { }\n")
        code, out, err = scan(*base, *who, good)
        c.check(code == 3 and f"{conf}:6:1:" in err, "a mistake is named by file, line and column", f"{code} {err}")
    return c.close()


if __name__ == "__main__":
    sys.exit(main())

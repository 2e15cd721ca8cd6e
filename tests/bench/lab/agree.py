#!/usr/bin/env python3
"""agree.py EVENTS MANIFEST: do the events of a run say what the corpus' manifest says?

SPF pass where the manifest says so, a valid aligned DKIM signature where `signed`, DMARC pass
where either holds, DNSBL_LISTED where `listed`. Prints the share of messages for which all
four agree, and the first that do not.
"""
import csv
import json
import sys


def found(event):
    auth = event.get("auth", {})
    spf = any(r["result"] == "pass" for r in auth.get("spf", []) if r.get("identity", "mailfrom") == "mailfrom")
    dkim = any(r["result"] == "pass" for r in auth.get("dkim", []))
    dmarc = auth.get("dmarc", {}).get("result") == "pass"
    listed = any(s["name"] == "DNSBL_LISTED" for s in event["symbols"])
    return spf, dkim, dmarc, listed


def main():
    with open(sys.argv[2], encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    want = {}
    for r in rows:
        spf, signed, listed = r["spf"] == "pass", r["signed"] == "1", r["listed"] == "1"
        want[(r["mail_from"], r["claimed_ip"], r["rcpt"])] = (spf, signed, spf or signed, listed)
    agreed = total = 0
    shown = 0
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            event = json.loads(line)
            if event.get("event") != "message":
                continue
            key = (event["envelope"]["from"], event["client"]["ip"], event["envelope"]["to"][0])
            if key not in want:
                continue
            total += 1
            if found(event) == want[key]:
                agreed += 1
            elif shown < 5:
                shown += 1
                print("differs:", key, "found (spf, dkim, dmarc, listed)", found(event), "manifest", want[key])
    print(f"{agreed} of {total} messages agree ({100 * agreed / max(total, 1):.2f} %)")
    return 0 if total and agreed >= 0.995 * total else 1


if __name__ == "__main__":
    sys.exit(main())

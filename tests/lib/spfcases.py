"""Cases of our own for both engines of the plugin spf, in the form of OpenSPF's suite.

Each asks a question that an engine may answer otherwise than RFC 7208 does; a case is
(name, client, record, result, explanation, sender), the last two as far as they matter. The
n-th case's record is that of dN.test, and its sender u@dN.test.
"""
V4, V6, MAPPED = "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"
L63 = "a" * 63
HOSTS = {"h.test": [{"A": "192.0.2.200"}, {"AAAA": "2001:db8::200"}], "n.test": [{"TXT": "no address"}]}


def txt(text):
    return {"TXT": text}


def addresses(names, ip="127.0.0.2"):
    return {name: [{"A": ip}] for name in names}


NETWORKS = " ".join(f"ip4:198.51.100.{i}" for i in range(100))
POINTERS = {
    "1.2.0.192.in-addr.arpa": [{"PTR": "other.test"}, {"PTR": "h.d0.test"}],
    "2.2.0.192.in-addr.arpa": ["TIMEOUT"],
    "3.2.0.192.in-addr.arpa": [{"PTR": "slow.d2.test"}],
    "slow.d2.test": ["TIMEOUT"],
    "4.2.0.192.in-addr.arpa": [{"PTR": f"p{i:02}.d3.test"} for i in range(12)],
    **{f"p{i:02}.d3.test": [{"A": "192.0.2.4" if i == 11 else "192.0.2.99"}] for i in range(12)},
    **addresses(["h.d0.test", "other.test"], V4),
}

# (RFC 7208's section, what the zone has besides, cases)
SCENARIOS = [
    (
        "4.5",
        {},
        [
            ("a version, and no more", V4, "v=spf1", "neutral"),
            ("the version in another case", V4, "V=SPF1 -all", "fail"),
            ("an error behind a match", V4, "v=spf1 +all oops", "permerror"),
            ("100 networks of IPv4", V4, f"v=spf1 {NETWORKS} -all", "fail"),
            ("a record of 2,049 bytes", V4, "v=spf1 -all" + " " * 2038, "fail"),
            ("a modifier of 401 bytes", V4, "v=spf1 x=" + "0" * 399 + " -all", "fail"),
        ],
    ),
    (
        "5.6",
        {"m.test": [{"MX": [5, "h.test"]}]},
        [
            ("`a/0`", V4, "v=spf1 a:h.test/0 -all", "pass"),
            ("`a/0`, client of IPv6", V6, "v=spf1 a:h.test/0 -all", "fail"),
            ("`a//0`", V6, "v=spf1 a:h.test//0 -all", "pass"),
            ("`a//0`, mapped client", MAPPED, "v=spf1 a:h.test//0 -all", "fail"),
            ("`a/0`, no address", V4, "v=spf1 a:n.test/0 -all", "fail"),
            ("`a/24//64`", V6, "v=spf1 a:h.test/24//64 -all", "pass"),
            ("`mx/0`", V4, "v=spf1 mx:m.test/0 -all", "pass"),
            ("`mx//0`", V6, "v=spf1 mx:m.test//0 -all", "pass"),
            ("`ip4:0.0.0.0/0`", V4, "v=spf1 ip4:0.0.0.0/0 -all", "pass"),
            ("`ip4:0.0.0.0/0`, client of IPv6", V6, "v=spf1 ip4:0.0.0.0/0 -all", "fail"),
            ("`ip6:::/0`", V6, "v=spf1 ip6:::/0 -all", "pass"),
            ("`ip6:::/0`, client of IPv4", V4, "v=spf1 ip6:::/0 -all", "fail"),
            ("`ip6:2001:db8::/33`", V6, "v=spf1 ip6:2001:db8::/33 -all", "pass"),
            ("`ip6` written out", V6, "v=spf1 ip6:2001:0db8:0000:0000:0000:0000:0000:0001 -all", "pass"),
            ("60 networks of IPv4", V4, "v=spf1 " + " ".join(NETWORKS.split()[:60]) + " -all", "fail"),
            ("26 networks of IPv6", V6, "v=spf1 " + "ip6:2001:db9::1 " * 26 + "-all", "fail"),
        ],
    ),
    (
        "6.1",
        {"f.test": [txt("v=spf1 -all")]},
        [
            ("`redirect` before a mechanism that matches", V4, "v=spf1 redirect=f.test ?ip4:192.0.2.1", "neutral"),
            ("`redirect` behind all mechanisms", V4, "v=spf1 ip4:192.0.2.9 redirect=f.test", "fail"),
            ("`redirect` before one that does not match", V4, "v=spf1 redirect=f.test ip4:192.0.2.9", "fail"),
            ("`redirect` before `all`", V4, "v=spf1 redirect=f.test ?all", "neutral"),
            ("`redirect` to itself", V4, "v=spf1 redirect=d4.test", "permerror"),
            ("`redirect` to nothing", V4, "v=spf1 redirect=nothing.test", "permerror"),
            ("an unknown modifier", V4, "v=spf1 moo=cow -all", "fail"),
            ("`exp-text`, which is unknown too", V4, "v=spf1 -all exp-text=hello", "fail", "DEFAULT"),
        ],
    ),
    (
        "5.2",
        {
            "p.test": [txt("v=spf1 +all")],
            "f.test": [txt("v=spf1 -all")],
            "e.test": [txt("v=spf1 a:.. +all")],
            "t.test": ["TIMEOUT"],
        },
        [
            ("`include` that passes", V4, "v=spf1 include:p.test -all", "pass"),
            ("`include` that fails", V4, "v=spf1 include:f.test ?all", "neutral"),
            ("`include` of nothing", V4, "v=spf1 include:nothing.test ?all", "permerror"),
            ("`include` with an error", V4, "v=spf1 include:e.test ?all", "permerror"),
            ("`include` without an answer", V4, "v=spf1 include:t.test ?all", "temperror"),
            ("`include` of itself", V4, "v=spf1 include:d5.test ?all", "permerror"),
        ],
    ),
    (
        "4.6.4",
        {
            "s.test": [txt("v=spf1 " + "a:h.test " * 5 + "?all")],
            "m10.test": [{"MX": [i, f"x{i}.test"]} for i in range(10)],
            "m11.test": [{"MX": [i, f"x{i}.test"]} for i in range(11)],
            **addresses([f"x{i}.test" for i in range(11)]),
        },
        [
            ("ten terms", V4, "v=spf1 " + "a:h.test " * 10 + "-all", "fail"),
            ("eleven terms", V4, "v=spf1 " + "a:h.test " * 11 + "-all", "permerror"),
            ("eleven terms in two records", V4, "v=spf1 include:s.test " + "a:h.test " * 5 + "-all", "permerror"),
            ("two voids", V4, "v=spf1 a:v1.test a:v2.test -all", "fail"),
            ("three voids", V4, "v=spf1 a:v1.test mx:v2.test exists:v3.test -all", "permerror"),
            ("ten exchangers", V4, "v=spf1 mx:m10.test -all", "fail"),
            ("eleven exchangers", V4, "v=spf1 mx:m11.test -all", "permerror"),
        ],
    ),
    (
        "5.5",
        POINTERS,
        [
            ("`ptr`", V4, "v=spf1 ptr -all", "pass"),
            ("`ptr` without an answer", "192.0.2.2", "v=spf1 ptr ?all", "neutral"),
            ("`ptr` to a name without an answer", "192.0.2.3", "v=spf1 ptr ?all", "neutral"),
            ("`ptr` to a twelfth name", "192.0.2.4", "v=spf1 ptr ?all", "neutral"),
        ],
    ),
    (
        "7.3",
        {**POINTERS, **addresses(["h.d0.test.p.test"])},
        [("`%{p}`, of several names", V4, "v=spf1 exists:%{p}.p.test -all", "pass")],
    ),
    (
        "7.3",
        {
            **addresses(["a.b.c.m.test", "d2.test.m.test", f"{L63}.{L63}.{L63}.aa.m.test", "a~b.m.test", "b.a.m.test"]),
            **addresses([".".join("20010db8000000000000000000000001") + ".m.test"]),
        },
        [
            ("delimiters `+` and `=`", V4, "v=spf1 exists:%{l+=}.m.test -all", "pass", None, "a+b=c@d0.test"),
            ("delimiters `,` and `/`", V4, "v=spf1 exists:%{l,/}.m.test -all", "pass", None, "a/b,c@d1.test"),
            ("`%{d200}`: all labels", V4, "v=spf1 exists:%{d200}.m.test -all", "pass"),
            ("a name of over 253 bytes", V4, f"v=spf1 exists:{L63}.{L63}.{L63}.{L63}.aa.m.test -all", "pass"),
            ("`%{L}`", V4, "v=spf1 exists:%{L}.m.test -all", "pass", None, "a~b@d4.test"),
            ("`%{l2r-}`", V4, "v=spf1 exists:%{l2r-}.m.test -all", "pass", None, "a-b-c@d5.test"),
            ("`%{lR-}`", V4, "v=spf1 exists:%{lR-}.m.test -all", "pass", None, "a-b@d6.test"),
            ("`%{i}` of IPv6", V6, "v=spf1 exists:%{i}.m.test -all", "pass"),
        ],
    ),
    (
        "6.2",
        {"e.test": [txt("%{i} is not %{d}'s")], "t.test": [txt("one"), txt("two")]},
        [
            ("words and macros", V4, "v=spf1 -all exp=e.test", "fail", "192.0.2.1 is not d0.test's"),
            ("words of a `redirect`", V4, "v=spf1 redirect=d0.test", "fail", "192.0.2.1 is not d0.test's"),
            ("words of an `include`", V4, "v=spf1 include:d0.test -all", "fail", "DEFAULT"),
            ("two texts", V4, "v=spf1 -all exp=t.test", "fail", "DEFAULT"),
        ],
    ),
    ("4.6", {}, [("a client of 127.0.0.0/8", "127.0.0.1", "v=spf1 -all", "fail")]),
]


def suite():
    """As json.load() would give OpenSPF's."""
    for section, zone, cases in SCENARIOS:
        zone, tests = {**HOSTS, **zone}, {}
        for i, (name, host, record, result, *more) in enumerate(cases):
            more += [None] * (2 - len(more))
            zone[f"d{i}.test"] = zone.get(f"d{i}.test", []) + [txt(record)]
            tests[name] = {
                "spec": section,
                "host": host,
                "helo": "helo.test",
                "mailfrom": more[1] or f"u@d{i}.test",
                "result": result,
                **({"explanation": more[0]} if more[0] else {}),
            }
        yield {"zonedata": zone, "tests": tests}

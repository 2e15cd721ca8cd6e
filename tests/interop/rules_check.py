#!/usr/bin/env python3
"""rules_check.py BUILD WORK: small rule files on small messages, by SpamAssassin and by the plugin.

Each case is a rule file of a few lines; what it hits, with which scores, must be the same. Where
it is not, KNOWN says why: by the line that makes the difference. The rules and messages are ours.
"""
import os
import subprocess
import sys

build, work = os.path.abspath(sys.argv[1]), sys.argv[2]
here = os.path.dirname(os.path.abspath(__file__))

PLUGINS = ("MIMEHeader ReplaceTags Check HTTPSMismatch BodyEval HTMLEval HeaderEval MIMEEval RelayEval "
           "URIEval FreeMail WLBLEval").split()
ALWAYS = ("util_rb_tld com net org de uk test example\nutil_rb_2tld co.uk\n"
          "trusted_networks 10.0.0.0/8\ninternal_networks 10.0.0.0/8\n")
MAIL = """Received: from x.test (x.test [192.0.2.9]) by mx.test (Postfix) with ESMTP id 1; Mon, 1 Jan 2024 00:00:00 +0000
From: Ann <ann@a.test>
To: Bob <bob@b.test>
Cc: c@c.test
Subject: Hello World 42
X-Two: one
X-Two: two
X-Empty:
X-Hash: a#b
X-Bs: a\\b
X-Sl: a/b
Message-ID: <i@a.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=BB

--BB
Content-Type: text/plain; charset=utf-8
X-P: p1

Hello there world. foo foo foo bar
second line # hash

Para two: http://www.example.com/path?q=1 and www.other.net
--BB
Content-Type: text/html; charset=utf-8
X-P: p2

<p>Html <b>part</b> foo</p><a href="http://link.test/x">l</a>
--BB--
"""
LENIENT = "the original refuses the line, we read it"
KNOWN = {  # a line of the case: why it is not the same
    "header AA Subject:raw: =~ /Hello/": LENIENT,
    "header AA X-Sl =~ /a/b/": LENIENT,
    "header AA X-None =~ /d/ [if-unset:d]": LENIENT,
    "header AA Subject =~ /\\QHello World\\E/": "\\Q is PCRE2's; in the original it is a word of Perl's strings",
    "header AA Subject =~ /(?(1)a|Hello)/": "PCRE2 wants the group to be there: left out by name",
    "header AA Subject =~ //": "an empty pattern is left out by name; in the original it always matches",
    "mimeheader AA Content-Type !~ /text/": "the original hits whatever the parts say",
    "tflags __X multiple maxhits=0": "0 is no limit here, one in the original",
    "score AA .5": LENIENT,
    "score AA 5.": LENIENT,
    "meta MM -1": LENIENT,
    "meta MM .5": LENIENT,
    "meta MM 3-__FF": LENIENT,
    "meta MM +__TT": "left out by name: a sign that does nothing",
    "meta MM __TT ? 2 : 3": "left out by name: not documented",
    "meta MM __TT ^ __NN": "left out by name: the documentation says that there is none",
    "meta MM 3 > 2 > 1": "(3 > 2) > 1, as in C; Perl 5.32 and later chain them",
    "meta MM (__TT && 5) == 5": "&& and || give 1 or 0",
    "meta MM (__FF || 7) == 4": "&& and || give 1 or 0",
    "meta MM local_tests_only": "a name that nobody defines",
    "meta MM !MM": "an expression of itself is left out by name",
    "meta NN !(AA": "a rule that is left out is unknown, not one that has not hit",
    "meta NN !AA # unknown": "a rule that is left out is unknown, not one that has not hit",
    "if (version >= 4.0.1)": "a condition that is not understood is false; the original reads on",
    "endif x": LENIENT,
    "require_version 3.0.0": "a set of another version loads too",
    "include x.cf # within if 0": "the original includes all the same",
}

cases = []


def case(*lines, files=None):
    cases.append(("\n".join(lines) + "\n", files or {}))


def header_rules():
    for spec in """Subject =~ /Hello/|Subject=~/Hello/|Subject =~/Hello/|Subject=~ /Hello/|Subject: =~ /Hello/|Subject:raw =~ /^ Hello/
Subject:raw: =~ /Hello/|subject =~ /Hello/|Subject:foo =~ /Hello/|From:addr:raw =~ /^ann/|Subject !~ /Hello/|Subject !~ /Bye/|X-None !~ /x/
X-None =~ /^$/|X-Empty =~ /^$/|X-Empty !~ /./|Subject ~ /Hello/|Subject == /Hello/|Subject /Hello/|Subject|=~ /x/|Subject =~|Subject =~ Hello
Subject =~ m/Hello/|Subject =~ m{Hello}|Subject =~ m(Hello)|Subject =~ m[Hello]|Subject =~ m<Hello>|Subject =~ m!Hello!|Subject =~ m,Hello,
Subject =~ m%Hello%|Subject =~ m"Hello"|Subject =~ m'Hello'|Subject =~ qr/Hello/|Subject =~ s/Hello/x/|Subject =~ /Hello|Subject =~ /Hello/ x
Subject =~ /HELLO/i|Subject =~ /HELLO/I|Subject =~ /Hello/q|Subject =~ /Hello/n|Subject =~ /Hello/p|Subject =~ /Hel lo/x|Subject =~ /(/|Subject =~ //
Subject =~ /[/|Subject =~ /\\/|X-Sl =~ /a\\/b/|X-Sl =~ m{a/b}|X-Sl =~ /a/b/|Subject =~ m{H(e.)llo?|H.llo}|X-Bs =~ /a\\\\b/|X-Hash =~ /a#b/|X-Hash =~ /a\\#b/
X-Hash =~ /a[\\#]b/ # comment|Subject =~ /Hello/#comment|Subject =~ /^Hello World 42$/|Subject =~ /42\\n$/|Subject =~ /42\\z/|X-Two =~ /one\\ntwo/
X-Two =~ /^two/|X-Two =~ /^two/m|X-Two =~ /one.two/|X-Two =~ /one.two/s|X-None =~ /d/ [if-unset: d]|X-None =~ /d/ [if-unset:d]|X-None =~ /^d $/ [if-unset: d ]
X-None !~ /d/ [if-unset: d]|X-Empty =~ /x/ [if-unset: x]|X-None:addr =~ /x/ [if-unset: x]|ToCc =~ /bob.*\\n.*c@c/|tocc =~ /bob/|messageid =~ /i@/
MESSAGEID =~ /i@/|all =~ /Subject/|ALL =~ /^Subject: Hello/m|X-Spam-Relays-Untrusted =~ /ip=192/|X-Spam-Relays-Bogus =~ /./|ALL-TRUSTED =~ /^Received/
ALL-TRUSTED =~ /^From/m|ALL-UNTRUSTED =~ /^From/m|exists:Subject|exists:subject|exists:X-None|exists:X-Empty|exists:Subject:|exists:Subject:raw|exists: Subject
exists:Subject =~ /Hello/|Subject =~ /(?i)HELLO/|Subject =~ /(?<!x)Hello/|Subject =~ /(?>Hel)lo/|Subject =~ /H++ello/|Subject =~ /\\QHello World\\E/
Subject =~ /[[:upper:]]ello/|Subject =~ /(?(1)a|Hello)/|Subject =~ /(l)\\1/|Subject =~ /(?#c)Hello/|Subject =~ /[z-a]/""".replace("\n", "|").split("|"):
        case("header AA " + spec, "body BB /foo/")
    for kind in ("body", "rawbody", "full", "uri"):
        for pattern in ("/Hello/", "=~ /Hello/", "/hello/i", "m{foo}", "/foo", "foo", "", "/Hello there/", "/world\\. foo/", "/bar second/",
                        "/hash Para/", "/bar\\nsecond/", "/bar.second/s", "/^Para/", "/^second/m", "/two:$/", "/link\\.test/",
                        "m{^http://www\\.example\\.com/path\\?q=1$}", "/Html part foo/", "/<b>/", "/boundary=BB/", "/# hash/", "/\\# hash/"):
            case(f"{kind} AA {pattern}", f"{kind} __FF /o/", "tflags __FF multiple", *(f"meta N{k} __FF == {k}" for k in range(40)))
    for spec in ("Content-Type =~ /text.plain/", "Content-Type !~ /text/", "X-P =~ /p2/", "X-P:raw =~ /^ p1\\n$/", "X-None =~ /x/ [if-unset: x]",
                 "Subject =~ /Hello/", "Content-Type=~/html/", "ALL =~ /x-p/i", "ALL:raw =~ /X-P: p1\\n/", "From:addr =~ /ann/", "Content-Type =~ /a.*b/s"):
        case("mimeheader AA " + spec)


def about_rules():
    one = "header AA Subject =~ /Hello/"
    for score in ("2", "2.5", "-1", "0", "0.0", "+1", ".5", "5.", "1 2", "1 2 3 4", "1 2 3 4 5", "0 1 1 1", "1 0 0 0", "", "x", "(1)", "0.001",
                  "9999", "0.01 0.02 0.03 0.04", "nan", "1 # c", "1.2.3"):
        case(one, f"score AA {score}", "meta MM AA", "meta NN !AA")
    case("score AA 3", one)
    case(one, "score AA 3", "score AA (2)")
    case(one, "score AA 1 2 3 4", "score AA (1)")
    case(one, "score AA (2)")
    case("header T_A Subject =~ /Hello/", "tflags T_A nice")
    case("header __AA Subject =~ /Hello/", "score __AA 0", "meta MM __AA")
    for line in ("Score AA 5", "SCORE AA 5", "bogus line", "priority AA 5", "test AA ok x", "require_version 3.0.0", "lang en score AA 5", "lang fr score AA 5",
                 "lang EN_us score AA 5", "lang", "# score AA 5", "  score   AA   5  ", "score\tAA\t5", "score AA 5\r"):
        case(one, line)
    for flags in ("multiple", "multiple maxhits=2", "maxhits=2", "multiple maxhits=0", "multiple maxhits=1", "nice", "noautolearn", "nosubject", "multiple nosubject", "bogus"):
        for rule in ("body __X /foo/", "header __X X-Two =~ /o/", "rawbody __X /foo/", "full __X /foo/", "uri __X /e/", "body __X /Hello/"):
            case(rule, one, f"tflags __X {flags}", *(f"meta N{k} __X == {k}" for k in range(12)))
    count = [f"meta N{k} __X == {k}" for k in range(12)]
    for lines in (("body __X /foo/", "tflags __X multiple", "tflags __X nice"), ("body __X /foo/", "tflags __X multiple", "body __X /bar/"),
                  ("body __X /$/", "tflags __X multiple"), ("body __X /^/", "tflags __X multiple"), ("body __X /foo foo/", "tflags __X multiple")):
        case(*lines, *count)
    for later in ("header AA Subject =~ /Nope/", "body AA /nope/", "header AA Subject =~ /(/", "header AA Subject", "body AA foo", "meta AA ((", "meta AA", "meta AA 0"):
        case(one, later)
        case(later, one)


def expressions():
    for text in """__TT|!__TT|! __NN|__TT && __NN|__TT || __NN|__TT||__NN&&__NN|(__TT||__NN)&&__NN|__TT and __TT|__TT ^ __NN|__TT + __TT == 2|__FF == 4|__FF > 3
__FF >= 5|__FF < 5|__FF != 4|__FF - 4|4 - __FF|3-__FF|__FF * 2 == 8|__FF / 2 == 2|__FF / __NN|2 * __TT - __FF|-__TT|+__TT|-1|1|0|0.5|.5|__TT == !__NN
(__TT|__TT)|()|__UNDEF|!__UNDEF|__UNDEF == 0|__TT ? 2 : 3|__TT __TT|&& __TT|__TT &&|__TT ! = 0|__TT <> 1|((__TT + __FF) * 2) > 9|1 + 2 * 3 == 7
10 - 2 - 3 == 5|16 / 4 / 2 == 2|!__NN + 1 == 2|3 > 2 > 1|3 > 2 == 1|(__TT && 5) == 5|(__FF || 7) == 4|(__TT < 1) == 0|abs(__TT)|"a"|__TT # c|01 == 1
rules_matching(__*)|rules_matching(__??) >= 5|rules_matching(NONE*)|!rules_matching(NONE*)|local_tests_only|!MM""".replace("\n", "|").split("|"):
        case("body __FF /foo/", "tflags __FF multiple", "header __TT Subject =~ /Hello/", "header __NN Subject =~ /Nope/", "meta MM " + text)
    one = "header AA Subject =~ /Hello/"
    case(*(["meta M0 AA", one] + [f"meta M{i} M{i - 1}" for i in range(1, 60)]))
    case(*([f"meta M{i} M{i - 1}" for i in range(59, 0, -1)] + ["meta M0 AA", one]))
    case("meta MM " + " + ".join(["AA"] * 500) + " == 500", one)
    case(one, "score AA 0", "meta MM AA", "meta NN !AA")
    case("body AA eval:bogus()", "meta MM AA", "meta NN !AA # unknown")


def conditions():
    plugin = "Mail::SpamAssassin::Plugin::"
    for line in ("if 1", "if 0", "if (0)", "if !0", "if (version >= 3)", "if (version >= 4.000001)", "if (version > 4.000001)", "if (version >= 4.0.1)",
                 "if (perl_version >= 5.010000)", f"if (plugin({plugin}MIMEHeader))", f"if plugin ({plugin}MIMEHeader)", f"if (plugin({plugin}Nope))", f"if !plugin({plugin}Nope)",
                 f"if (has({plugin}MIMEHeader::has_all_header))", f"if (has({plugin}MIMEHeader::has_nope))", "if can(Mail::SpamAssassin::Conf::feature_registryboundaries)",
                 "if can(Mail::SpamAssassin::Conf::feature_nope)", "if can(Mail::SpamAssassin::Conf::perl_min_version_5010000)", "if (version >= 3 && version < 5)",
                 "if (version >= 3) && (version < 5)", "if (0 || 1) && 0", "if 1 == 1", "if 1 # c", f"ifplugin {plugin}MIMEHeader", f"ifplugin {plugin}Nope", "IF 1", "If 0",
                 f"IFPLUGIN {plugin}Nope", "if(version >= 3)", "if local_tests_only", f"if (perl_version >= 5.010 && plugin({plugin}MIMEHeader))"):
        case(line, "header AA Subject =~ /Hello/", "else", "body BB /foo/", "endif", "body CC /foo/")
    case("if 1", "if 0", "body AA /foo/", "else", "body BB /foo/", "endif", "body CC /foo/", "endif")
    case("if 0", "if 1", "body AA /foo/", "endif", "else", "body BB /foo/", "endif")
    case("if 0", "body AA /foo/", "endif x", "body BB /foo/")
    one = {"x.cf": "body XX /foo/\n", "sub/y.cf": "include z.cf\n", "sub/z.cf": "body ZZ /foo/\n"}
    for lines in (("include x.cf",), ("include sub/y.cf",), ("include none.cf",), ("include ./x.cf",), ("INCLUDE x.cf",), ("include x.cf", "body XX /nope/"),
                  ("if 0", "include x.cf # within if 0", "endif")):
        case(*lines, "body AA /foo/", files=one)


def tags():
    for lines in ("replace_tag O [o0];body XX /f<O><O>/", "replace_tag O [o0];replace_tag OO <O><O>;body XX /f<OO>/", "replace_tag O o;replace_inter SP \\s?;body XX /<inter SP>f<O><O>/",
                  "replace_tag F f;replace_tag O o;replace_inter SP o;body XX /<inter SP><F><O>/", "replace_pre P \\b;replace_tag F f;body XX /<pre P><F>oo/",
                  "replace_post P o;replace_tag F f;body XX /<post P><F>o/", "replace_start %;replace_end %;replace_tag O o;body XX /f%O%o/", "replace_tag O o;replace_tag O x;body XX /f<O>o/",
                  "replace_tag O o;header XX Subject !~ /Hell<O>/", "replace_tag O o;uri XX /c<O>m/", "Replace_Tag O o;body XX /f<O>o/", "replace_tag o o;body XX /f<o>o/"):
        case("replace_rules XX", *lines.split(";"))
    for first in ("(?<WORD>Hello)", "(?P<WORD>Hello)", "(?'WORD'Hello)", "(?<WORD>Nope)", "(?<word>Hello)"):
        case(f"header __AA Subject =~ /{first}/", "body BB /%{WORD} there/", "body CC /%{WORD}|foo/")


ADDRESSES = """a@b.test|Ann <a@b.test>|"Ann B" <a@b.test>|a@b.test (Ann B)|<a@b.test>|< a@b.test >|<a @b.test>|Ann a@b.test|"a@b.test" <a@b.test>|a@b.test <a@b.test>
"x@y.test" <a@b.test>|'Ann' <a@b.test>|"'Ann'" <a@b.test>|Ann <>|<>|Ann|Group: a@b.test, c@d.test;|undisclosed-recipients:;|Ann <a@b.test>, Bob <c@d.test>|a@b.test; c@d.test
"Ann, B" <a@b.test>, c@d.test (C, D)|=?utf-8?Q?J=C3=BCrgen?= <j@b.test>|=?iso-8859-1?q?J=FCrgen?= M <j@b.test>|"=?utf-8?B?SsO8cmdlbg==?=" <j@b.test>|Ann <<a@b.test>>
a@b|a@|@b.test|a@b@c.test|"a b"@c.test|<"a b"@c.test>|A@B.TEST|A+c=d@Sub.B.Co.UK|a@[192.0.2.1]|<mailto:a@b.test>|"Ann \\"Q\\" B" <a@b.test>|a@b.test c@d.test
Ann<a@b.test>|Ann <a@b.test>; Bob <c@d.test>|a_b@c_d.test|a@b.invalid|'a@b.test'|=?utf-8?Q?PayPal?=|"ex"am@b.test|a@1.2.3.4""".replace("\n", "|").split("|")


def on_addresses():
    """One rule file, a message for each address."""
    rules, n = [], 0
    for part in ("addr", "name", "addr:first", "addr:last", "host", "domain", "addr:host", "addr:domain", "ip"):
        for pattern in ("^$", "^Ann$", "^Ann", "^a", "@", "\\n", "^b\\.test$", "^y\\.test$", "^d\\.test", "test$", "[A-Z]", "\\xc3\\xbc", "^\\\"", "\\[", "'", "^Pay"):
            n += 1
            rules.append(f"header F{n} From:{part} =~ /{pattern}/")
    return "\n".join(rules) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)


def run(jobs):
    site = os.path.join(work, "site")
    write(os.path.join(site, "init.pre"), "".join(f"loadplugin Mail::SpamAssassin::Plugin::{p}\n" for p in PLUGINS))
    write(os.path.join(site, "none"), "")
    out = subprocess.run(["perl", os.path.join(here, "rules_hits.pl"), site], input="".join("\t".join(j) + "\n" for j in jobs),
                         capture_output=True, text=True, errors="replace", check=False).stdout
    theirs = {tuple(line.split("\t")[:2]): sorted(h.upper() for h in line.split("\t")[2].split()) for line in out.splitlines() if line.count("\t") == 2}
    ours = {}
    for rules, *mails in jobs:
        out = subprocess.run([os.path.join(build, "tests/conformance/rules_facts"), "-s", "default=no", "-s", "load=" + rules, "-s", "session=no", "-s", "score-set=0"] + mails,
                             capture_output=True, text=True, errors="replace", check=False).stdout
        for line in out.splitlines():
            ours[rules, line.split("\t")[0]] = sorted(line.partition("\t")[2].split())
    return theirs, ours


def main():
    for fill in (header_rules, about_rules, expressions, conditions, tags):
        fill()
    mail = os.path.join(work, "mail")
    write(mail, MAIL)
    jobs, text = [], {}
    for n, (rules, files) in enumerate(cases):
        path = os.path.join(work, str(n), "rules.cf")
        write(path, ALWAYS + rules)
        for name, content in files.items():
            write(os.path.join(work, str(n), name), content)
        jobs.append([path, mail])
        text[path] = rules
    mails = []
    for n, address in enumerate(ADDRESSES):
        mails.append(os.path.join(work, f"address{n}"))
        write(mails[-1], f"From: {address}\nSubject: s\n\nx\n")
    path = os.path.join(work, "addresses", "rules.cf")
    text[path] = on_addresses()
    write(path, ALWAYS + text[path])
    jobs.append([path] + mails)
    theirs, ours = run(jobs)
    passed = failed = known = 0
    for rules, *messages in jobs:
        why = next((w for line, w in KNOWN.items() if line in text[rules].splitlines()), None)
        for message in messages:
            t, o = theirs.get((rules, message)), ours.get((rules, message))
            if t is not None and t == o:
                passed += 1
            elif why is not None:
                known += 1
            else:
                failed += 1
                what = open(message, encoding="utf-8").readline().strip() if len(messages) > 1 else text[rules].replace("\n", "; ")[:200]
                print(f"DIFFERS {what}\n  original {' '.join(t or ['?'])}\n  ours     {' '.join(o or ['?']) if o != [] else ''}")
    print(f"      {known} more differ for a reason that is written down here")
    print(f"rules: {passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())

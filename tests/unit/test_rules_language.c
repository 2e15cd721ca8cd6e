/* The language of SpamAssassin's rule files, as its documentation tells of it, page by page:
 * Mail::SpamAssassin::Conf, PerMsgStatus, Plugin::MIMEHeader and Plugin::ReplaceTags. */
#include "rules_play.h"
#include "unit.h"

#include "buf.h"

#include <stdio.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void play_all(const struct rules_row *rows, size_t count, const char *mail,
                     const struct rules_world *world)
{
    for (size_t i = 0; i < count; i++)
        rules_play(&rows[i], mail, world);
}

/* ---- header fields */

/* The forms that the documentation lists for ":addr" and ":name". */
static void test_addresses(void)
{
    static const struct {
        const char *from, *addr, *name;
    } rows[] = {
        {"example@foo.test", "example@foo.test", ""},
        {"example@foo.test (Foo Blah)", "example@foo.test", "Foo Blah"},
        {"example@foo.test (Foo Blah), <example@bar.test>", "example@foo.test\\nexample@bar.test",
         "Foo Blah"},
        {"example@foo.test, example@bar.test", "example@foo.test\\nexample@bar.test", ""},
        {"display: example@foo.test (Foo Blah), example@bar.test ;",
         "example@foo.test\\nexample@bar.test", "Foo Blah"},
        {"Foo Blah <example@foo.test>", "example@foo.test", "Foo Blah"},
        {"\"Foo Blah\" <example@foo.test>", "example@foo.test", "Foo Blah"},
        {"\"'Foo Blah'\" <example@foo.test>", "example@foo.test", "Foo Blah"},
        {"example@foo.test (Foo Blah), \"Bar Baz\" <example@bar.test>",
         "example@foo.test\\nexample@bar.test", "Foo Blah\\nBar Baz"},
        {"=?utf-8?q?Foo_Bl=C3=A4h?= <example@foo.test>", "example@foo.test", "Foo Bl\\xc3\\xa4h"},
        {"\"example@foo.test\" <example@foo.test>", "example@foo.test", "example@foo\\.test"},
        {"a@bar.test <example@foo.test>", "example@foo.test", "a@bar\\.test"},
        {"\"ex am\"@foo.test", "\"ex am\"@foo.test", ""},
        {"Foo <\"ex am\"@foo.test>", "\"ex am\"@foo.test", "Foo"},
        {"example@[192.0.2.1]", "example@\\[192.0.2.1\\]", ""},
        {"\"ex\"am@foo.test", "\"ex\"am@foo.test", ""},
        {"<example @foo.test>", "", ""},
        {"<mailto:example@foo.test>", "", ""},
        {"example@foo.test@bar.test", "example@foo.test", ""},
        {"=?utf-8?q?B=C3=A4nk?=", "", "B\\xc3\\xa4nk"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char rules[400], mail[300];
        (void)snprintf(rules, sizeof rules,
                       "header A From:addr =~ m{^%s$}\nheader B From:name =~ m{^%s$}\n",
                       rows[i].addr, rows[i].name);
        (void)snprintf(mail, sizeof mail, "From: %s\n\nx\n", rows[i].from);
        rules_play(&(struct rules_row){rows[i].from, rules, "A=1 B=1"}, mail, NULL);
    }
}

static void test_headers(void)
{
    static const char mail[] = "Return-Path: <r@a.test>\n"
                               "From: Ann <ann@mail.shop.a.test>\n"
                               "To: b@b.test\n"
                               "Subject: =?iso-8859-1?q?gr=FC=DF?=\n"
                               "\t   dich\n"
                               "X-Two: first\n"
                               "X-Two:   second\n"
                               "X-Empty:\n"
                               "X-Originating-IP: [2001:db8::1]\n"
                               "X-Four: from 192.0.2.33, they say\n"
                               "X-Bare: see www.bare.test\n"
                               "Resent-Message-Id: <2@a.test>\n"
                               "Message-Id: <1@a.test>\n"
                               "\nx\n";
    static const struct rules_row rows[] = {
        {"decoded, folds are blanks", "header A Subject =~ /^gr\xc3\xbc\xc3\x9f dich$/", "A=1"},
        {"raw", "header A Subject:raw =~ /^ =\\?iso-8859-1\\?q\\?gr=FC=DF\\?=\\n\\t   dich\\n$/",
         "A=1"},
        {"raw, not decoded", "header A Subject:raw =~ /\xc3\xbc/", ""},
        {"several are lines", "header A X-Two =~ /^first\\nsecond$/", "A=1"},
        {"of lines with /m", "header A X-Two =~ /^second$/m\nheader B X-Two =~ /^second$/", "A=1"},
        {"the first and the last",
         "header A X-Two:first =~ /^first$/\nheader B X-Two:last =~ /^second$/", "A=1 B=1"},
        {"order of parts", "header A From:addr:raw =~ /^ann\\@/\nheader B From:raw:addr =~ /^ann/",
         "A=1 B=1"},
        {"host", "header A From:addr:host =~ /^mail\\.shop\\.a\\.test$/", "A=1"},
        {"host of text", "header A X-Bare:host =~ /^www\\.bare\\.test$/", "A=1"},
        {"domain", "header A From:addr:domain =~ /^a\\.test$/", "A=1"},
        {"IPv4", "header A X-Four:ip =~ /^192\\.0\\.2\\.33$/", "A=1"},
        {"IPv4 reversed", "header A X-Four:revip =~ /^33\\.2\\.0\\.192$/", "A=1"},
        {"IPv6", "header A X-Originating-IP:ip =~ /^2001:db8::1$/", "A=1"},
        {"IPv6 reversed",
         "header A X-Originating-IP:revip =~ /^1\\.0\\.0\\.0\\..*\\.1\\.0\\.0\\.2$/", "A=1"},
        {"no address", "header A Subject:ip =~ /./", ""},
        {"not", "header A Subject !~ /dich/\nheader B Subject !~ /mich/\nheader C X-None !~ /x/",
         "B=1 C=1"},
        {"operators without blanks", "header A Subject=~/dich/\nheader B Subject!~/mich/",
         "A=1 B=1"},
        {"a colon behind the name",
         "header A Subject: =~ /dich/\nheader B exists:Subject:", "A=1 B=1"},
        {"qr, and a flag for groups that don't capture",
         "header A Subject =~ qr{DICH}i\nheader B Subject =~ /(d)ich/np", "A=1 B=1"},
        {"only four names of relays", "header A X-Spam-Relays-Others =~ /./", ""},
        {"if-unset", "header A X-None =~ /^NO$/ [if-unset: NO]", "A=1"},
        {"if-unset with a blank at its end", "header A X-None =~ /^NO $/ [if-unset:  NO ]", "A=1"},
        {"if-unset of a field that is there",
         "header A X-Empty =~ /^NO$/ [if-unset: NO]\nheader B To =~ /NO/ [if-unset: NO]", ""},
        {"if-unset of a part", "header A X-None:addr =~ /^n\\@o$/ [if-unset: n@o]", "A=1"},
        {"exists", "header A exists:X-Empty\nheader B exists:X-None\nheader C exists:x-two",
         "A=1 C=1"},
        {"exists, without a name", "header A exists:subject\nmeta B !A", "A=1"},
        {"names without case", "header A sUBJECT =~ /dich/", "A=1"},
        {"names of all capitals with case", "header A All =~ /./\nheader B MessageId =~ /./", ""},
        {"ALL", "header A ALL =~ /^To: b\\@b\\.test\\nSubject: gr\xc3\xbc/m", "A=1"},
        {"ALL:raw", "header A ALL:raw =~ /^Subject: =\\?iso.*\\n\\t   dich$/m", "A=1"},
        {"ToCc", "header A ToCc =~ /^b\\@b/", "A=1"},
        {"MESSAGEID", "header A MESSAGEID =~ /^<2\\@a\\.test>\\n<1\\@a\\.test>$/", "A=1"},
        {"EnvelopeFrom",
         "header A EnvelopeFrom =~ /^env\\@a\\.test$/\n"
         "header B EnvelopeFrom:domain =~ /^a\\.test$/",
         "A=1 B=1"},
        {"multiple", "header __A ALL =~ /^X-/m\ntflags __A multiple\nmeta B __A == 6", "B=1"},
        {"multiple, at most",
         "header __A ALL =~ /^X-/m\ntflags __A multiple maxhits=4\n"
         "meta B __A == 4",
         "B=1"},
    };
    static const struct rules_row mailbox[] = {
        {"EnvelopeFrom of a mailbox", "header A EnvelopeFrom =~ /^r\\@a\\.test$/", "A=1"}};

    play_all(rows, COUNT(rows), mail, NULL);
    rules_play(&mailbox[0], mail, &(struct rules_world){.session = "no"});
}

/* Of several fields each name is decoded with its own field, and of text that is many things
 * what stands last behind an at sign is the host. */
static void test_parts_of_fields(void)
{
    static const char mail[] = "From: \"x@shown.test\" <a@Mail.Real.TEST>\n"
                               "To: =?utf-8?q?J=C3=B6rg?= <j@b.test>\n"
                               "To: =?utf-8?q?R=C3=BCdiger?= <r@b.test>\n"
                               "Cc: =?utf-8?q?K=C3=A4the?= <k@b.test>\n"
                               "References: <1@one.test> <2@two.test>\n"
                               "X-Ip: x 158.85.217.216.dial.test [192.0.2.9]:25\n"
                               "X-Bad: a@b-.test b_c.test d..test -e.test f.test\n"
                               "Reply-To: b@c_d.nowhere.\n"
                               "no field\nSubject: s\n\nx\n";
    static const struct rules_row rows[] = {
        {"the last field's name",
         "header A To:name:last =~ /^R\xc3\xbc"
         "diger$/",
         "A=1"},
        {"names of two fields",
         "header A To:name =~ /^J\xc3\xb6rg\\nR\xc3\xbc"
         "diger$/",
         "A=1"},
        {"names of ToCc",
         "header A ToCc:name =~ /^J\xc3\xb6rg\\nR\xc3\xbc"
         "diger\\nK\xc3\xa4the$/",
         "A=1"},
        {"the last host",
         "header A References:host =~ /^two\\.test$/\n"
         "header B From:host =~ /^Mail\\.Real\\.TEST$/",
         "A=1 B=1"},
        {"domains in small letters",
         "header A From:addr:domain =~ /^real\\.test$/\n"
         "header B From:domain =~ /^real\\.test$/",
         "A=1 B=1"},
        {"an address's host is any",
         "header A Reply-To:addr:host =~ /^c_d\\.nowhere\\.$/\n"
         "header B Reply-To:addr:domain =~ /^c_d\\.nowhere$/",
         "A=1 B=1"},
        {"labels that are none", "header A X-Bad:host =~ /^f\\.test$/", "A=1"},
        {"an address, not digits of a name",
         "header A X-Ip:ip =~ /^192\\.0\\.2\\.9$/\nheader B X-Ip:revip =~ /^9\\.2\\.0\\.192$/",
         "A=1 B=1"},
        {"a line that is no field", "header A ALL =~ /no field/\nheader B ALL:raw =~ /^no field$/m",
         "B=1"},
    };

    play_all(rows, COUNT(rows), mail, NULL);
}

/* ---- where it came from */

static void test_relays(void)
{
    static const char mail[] = "X-Above: 1\n"
                               "Received: from inner.a.test (out.a.test [198.51.100.4])\n"
                               "\tby mx.a.test with ESMTP id 7\n"
                               "X-Below: 2\n"
                               "Received: from [10.0.0.1] (port=5) by out.a.test\n"
                               "From: a@a.test\n\nx\n";
    static const char dns[] = "7.2.0.192.in-addr.arpa PTR forged.bank.test\n"
                              "7.2.0.192.in-addr.arpa PTR mx.a.test\n"
                              "forged.bank.test A 203.0.113.1\n"
                              "mx.a.test A 192.0.2.7\n"
                              "8.2.0.192.in-addr.arpa PTR forged.bank.test\n"
                              "9.2.0.192.in-addr.arpa SERVFAIL\n"
                              "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
                              ".ip6.arpa PTR six.a.test\n"
                              "six.a.test AAAA 2001:db8::1\n";
    static const struct rules_row untrusted[] = {
        {"the client's name, which leads back",
         "header A X-Spam-Relays-Untrusted =~ /^\\[ ip=192\\.0\\.2\\.7 rdns=mx\\.a\\.test "
         "helo=helo\\.test by=mx\\.here\\.test /",
         "A=1"},
        {"the relays behind it",
         "header A X-Spam-Relays-Untrusted =~ /^[^\\]]+ \\] \\[ ip=198\\.51\\.100\\.4 "
         "rdns=out\\.a\\.test helo=inner\\.a\\.test by=mx\\.a\\.test /",
         "A=1"},
        {"External is Untrusted", "header A X-Spam-Relays-External =~ /^\\[ ip=192\\.0\\.2\\.7 /",
         "A=1"},
        {"nobody is trusted",
         "header A X-Spam-Relays-Trusted =~ /ip=/\nheader B X-Spam-Relays-Internal =~ /ip=/", ""},
        {"reverse-path", "header A X-Spam-Relays-Untrusted =~ / envfrom=env\\@a\\.test /", "A=1"},
        {"all fields are of untrusted relays",
         "header A ALL-UNTRUSTED =~ /^X-Above: 1\\nReceived:.*\\nX-Below/\n"
         "header B ALL-EXTERNAL =~ /X-Above/\nheader C ALL-TRUSTED =~ /./",
         "A=1 B=1"}};
    static const struct rules_row trusted[] = {
        {"a trusted client",
         "trusted_networks 192.0.2.0/24\nheader A X-Spam-Relays-Trusted =~ /^\\[ "
         "ip=192\\.0\\.2\\.7 "
         "[^\\[]+$/\nheader B X-Spam-Relays-Untrusted =~ /^\\[ ip=198\\.51\\.100\\.4 /",
         "A=1 B=1"},
        {"its fields",
         "trusted_networks 192.0.2.0/24\nheader A ALL-TRUSTED =~ /X-Above/\n"
         "header B ALL-TRUSTED =~ /X-Below/\nheader C ALL-UNTRUSTED =~ /^Received: from inner/\n"
         "header D ALL-UNTRUSTED =~ /X-Above/\nheader E ALL-TRUSTED =~ /Received: from inner.*$/",
         "A=1 C=1 E=1"},
        {"two trusted",
         "trusted_networks 192.0.2.0/24 198.51.100.4\n"
         "header A X-Spam-Relays-Trusted =~ /ip=192.+ip=198/\n"
         "header B X-Spam-Relays-Untrusted =~ /^\\[ ip=10\\.0\\.0\\.1 /\n"
         "header C ALL-TRUSTED =~ /X-Below/",
         "A=1 B=1 C=1"}};
    static const struct rules_row nameless[] = {
        {"no name", "header A X-Spam-Relays-Untrusted =~ /^\\[ ip=\\S+ rdns= helo=/", "A=1"}};
    static const struct rules_row six[] = {
        {"IPv6",
         "header A X-Spam-Relays-Untrusted =~ /^\\[ ip=2001:db8::1 rdns=six\\.a\\.test helo=/",
         "A=1"}};
    static const struct rules_row lines[] = {
        {"header lines alone",
         "header A X-Spam-Relays-Untrusted =~ /^\\[ ip=198\\.51\\.100\\.4 /\n"
         "header B ALL-UNTRUSTED =~ /^Received: from inner/\nheader C ALL-UNTRUSTED =~ /X-Above/",
         "A=1 B=1"},
        {"what our own server wrote is trusted, whoever the client is",
         "header A ALL-TRUSTED =~ /^X-Above: 1\\nReceived: from inner.* id 7$/", "A=1"}};

    play_all(untrusted, COUNT(untrusted), mail, &(struct rules_world){.dns = dns});
    play_all(trusted, COUNT(trusted), mail, &(struct rules_world){.dns = dns});
    rules_play(&nameless[0], mail, &(struct rules_world){.dns = dns, .ip = "192.0.2.8"});
    rules_play(&nameless[0], mail, &(struct rules_world){.dns = dns, .ip = "192.0.2.9"});
    rules_play(&nameless[0], mail, &(struct rules_world){.dns = dns, .ip = "192.0.2.10"});
    rules_play(&six[0], mail, &(struct rules_world){.dns = dns, .ip = "2001:db8::1"});
    play_all(lines, COUNT(lines), mail, &(struct rules_world){.dns = dns, .session = "no"});
}

/* ---- texts */

static void test_texts(void)
{
    static const char mail[] = "Subject: the subject\n"
                               "MIME-Version: 1.0\n"
                               "Content-Type: multipart/mixed;\n\tboundary=b\n"
                               "\n"
                               "preamble\n"
                               "--b\n"
                               "Content-Type: text/plain; charset=iso-8859-1\n"
                               "Content-Transfer-Encoding: quoted-printable\n"
                               "\n"
                               "soft=\n"
                               "line gr=FC=DF\n"
                               "of one\n"
                               "paragraph\n"
                               "\n"
                               "and   two   of   them\n"
                               "--b\n"
                               "Content-Type: text/html\n"
                               "Content-Transfer-Encoding: base64\n"
                               "X-Part: folded\n\tonce\n"
                               "\n"
                               /* <p>base <b>sixty</b>four<br>page</p> */
                               "PHA+YmFzZSA8Yj5zaXh0eTwvYj5mb3VyPGJyPnBhZ2U8L3A+Cg==\n"
                               "--b\n"
                               "Content-Type: image/png; name=\"x.png\"\n"
                               "Content-Disposition: attachment; filename=\"x.png\"\n"
                               "Content-Transfer-Encoding: base64\n"
                               "\n"
                               "bm8gdGV4dCBhdCBhbGw=\n"
                               "--b--\n"
                               "epilogue\n";
    static const struct rules_row rows[] = {
        {"body: a paragraph a line",
         "body A /^softline gr\xc3\xbc\xc3\x9f of one paragraph$/\n"
         "body B /^and two of them/\nbody C /paragraph\\s+and/",
         "A=1 B=1"},
        {"body: HTML as text", "body A /base sixtyfour page/\nbody B /<b>/", "A=1"},
        {"body: no images, no preamble", "body A /no text/\nbody B /preamble|epilogue/", ""},
        {"body: the subject first",
         "body A /^the subject$/\nbody B /^the subject$/\n"
         "tflags B nosubject",
         "A=1"},
        {"rawbody: lines and tags stay",
         "rawbody A /one\\nparagraph\\n\\nand   two/\n"
         "rawbody B /<b>sixty<.b>/\nrawbody C /the subject/",
         "A=1 B=1"},
        {"rawbody: decoded as bytes", "rawbody A /softline gr\\xfc\\xdf\\nof/", "A=1"},
        {"rawbody: no images", "rawbody A /no text|bm8gdGV4/", ""},
        {"full: all of it as it came",
         "full A /^Subject: the subject\\nMIME-Version/\nfull B /soft=\\nline gr=FC=DF/\n"
         "full C /bm8gdGV4dCBhdCBhbGw=\\n--b--\\nepilogue\\n$/\nfull D /boundary=b\\n\\npreamble/",
         "A=1 B=1 C=1 D=1"},
        {"full: line ends as the documentation asks for", "full A /epilogue\\r?$/", "A=1"},
        {"mimeheader: each part by itself",
         "mimeheader A Content-Type =~ /^text.html$/\nmimeheader B Content-Type =~ /plain.*html/s\n"
         "mimeheader C content-type =~ /^multipart.mixed; boundary=b$/",
         "A=1 C=1"},
        {"mimeheader: folds",
         "mimeheader A X-Part =~ /^folded once$/\n"
         "mimeheader B X-Part:raw =~ /^folded\\n\\tonce\\n/",
         "A=1 B=1"},
        {"mimeheader: in none of the parts",
         "mimeheader A Content-Type !~ /audio/\nmimeheader B Content-Type !~ /multipart/\n"
         "mimeheader C X-Part !~ /twice/\nmimeheader D X-None !~ /./\nmimeheader E X-Part !~ "
         "/once/",
         "A=1 C=1 D=1"},
        {"mimeheader: ALL",
         "mimeheader A ALL =~ /^Content-Type: text.html\\n.*^X-Part: folded once\\n/ms\n"
         "mimeheader B ALL:raw =~ /^X-Part: folded\\n\\tonce\\n\\z/m\n"
         "mimeheader C ALL =~ /plain.*html/s",
         "A=1 B=1"},
        {"mimeheader: if-unset", "mimeheader A X-Part =~ /^NO$/ [if-unset: NO]", "A=1"},
        {"mimeheader: multiple",
         "mimeheader __A Content-Type =~ /text/\ntflags __A multiple\n"
         "meta B __A == 2",
         "B=1"},
        {"multiple of each kind",
         "body __A /o/\ntflags __A multiple\nrawbody __B /o/\ntflags __B multiple\n"
         "full __C /^Content-Type:/m\ntflags __C multiple\nmeta D __A == 6\nmeta E __B == 6\n"
         "meta F __C == 4",
         "D=1 E=1 F=1"},
        {"maxhits", "full __A /e/\ntflags __A multiple maxhits=3\nmeta B __A == 3", "B=1"},
        {"maxhits without multiple", "full __A /e/\ntflags __A maxhits=3\nmeta B __A == 1", "B=1"},
    };

    play_all(rows, COUNT(rows), mail, NULL);
}

/* Encoded words in the header of a part hide nothing. */
static void test_part_words(void)
{
    static const char mail[] =
        "Subject: =?utf-8?Q?caf=C3=A9?=\n"
        "Content-Type: multipart/mixed; boundary=b\n"
        "\n"
        "--b\n"
        "Content-Type: application/zip; name=\"=?utf-8?B?aW52b2ljZS5leGU=?=\"\n"
        "Content-Disposition: attachment;\n"
        "\tfilename=\"=?utf-8?Q?pay?=\n"
        " =?utf-8?Q?slip=2Eexe?=\"\n"
        "Content-Description:=?iso-8859-1?q?Gr=FC=DFe?=  dear\n"
        "Content-ID: <=?utf-8?q?id?=@a.test>\n"
        "Message-ID: <=?utf-8?q?id?=@a.test>\n"
        "X-Broken: =?utf-8?q?never closed\n"
        "no field =?utf-8?q?at?=\n"
        "\n"
        "--b--\n";
    static const struct rules_row rows[] = {
        {"a name", "mimeheader A Content-Type =~ /name=\"?invoice\\.exe/", "A=1"},
        {"as it came", "mimeheader A Content-Type:raw =~ /B\\?aW52b2ljZS5leGU=/", "A=1"},
        {"over a fold",
         "mimeheader A Content-Disposition =~ /^attachment; filename=\"payslip\\.exe\"$/", "A=1"},
        {"of another charset",
         "mimeheader A Content-Description =~ /^Gr\xc3\xbc\xc3\x9f"
         "e  dear$/",
         "A=1"},
        {"fields of machines stay",
         "mimeheader A Message-ID =~ /^<=.utf-8/\nmimeheader B Content-ID =~ /^<id\\@/", "A=1 B=1"},
        {"what is none stays", "mimeheader A X-Broken =~ /^=.utf-8.q.never closed$/", "A=1"},
        {"the message's own", "mimeheader A Subject =~ /^caf\xc3\xa9$/", "A=1"},
        {"ALL",
         "mimeheader A ALL =~ /^Content-Type: "
         ".*invoice\\.exe.*\\n.*payslip\\.exe\"\\nContent-Desc/m\n"
         "mimeheader B ALL:raw =~ /invoice|payslip/\nmimeheader C ALL =~ /^Message-ID: <=.utf/m",
         "A=1 C=1"},
    };

    play_all(rows, COUNT(rows), mail, NULL);
}

/* Lines of more than 2 KB and raw text of more than 4 are cut, at blanks where there are any. */
/* What hides a word from rules, but not from who reads the message. */
static void test_disguises(void)
{
    static const struct {
        const char *label, *head, *body, *rules;
    } rows[] = {
        {"UTF-16", "text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64",
         "dgBpAGEAZwByAGEA", "body A /^viagra/"},
        {"UTF-7", "text/plain; charset=utf-7", "v+AGkAYQ-gra", "body A /^viagra/"},
        {"UTF-7 in name only", "text/plain; charset=utf-7", "viagra", "body A /^viagra/"},
        {"uuencode that is none", "text/plain\nContent-Transfer-Encoding: x-uuencode", "buy viagra",
         "body A /^buy viagra/\nrawbody B /buy/"},
        {"references without a semicolon", "text/html", "via&shygra &ltb>&ampx; &bogusx",
         "body A /^via\xc2\xadgra <b>&x; &bogusx/"},
        {"but not in attributes", "text/html", "<a href='http://a.test/?b=1&copyright=2'>x</a>",
         "uri A /&copyright=2$/"},
        {"line ends in links", "text/html", "<a href='ht\ntp://ev\r\n\til.test/a\nb'>x</a>",
         "uri A m{^http://evil\\.test/ab$}\nuri B /\\s/"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char mail[400];
        (void)snprintf(mail, sizeof mail, "MIME-Version: 1.0\nContent-Type: %s\n\n%s\n",
                       rows[i].head, rows[i].body);
        rules_play(
            &(struct rules_row){rows[i].label, rows[i].rules,
                                strstr(rows[i].rules, "rawbody") != NULL ? "A=1 B=1" : "A=1"},
            mail, NULL);
    }
}

static void test_cuts(void)
{
    struct pn_buf mail;
    pn_buf_init(&mail, 100000);
    (void)pn_buf_addz(&mail, "Subject: s\n\n");
    for (int i = 0; i < 300; i++)
        (void)pn_buf_addz(&mail, "word after ");
    (void)pn_buf_addz(&mail, "end\n");
    for (int i = 0; i < 100; i++)
        (void)pn_buf_addf(&mail, "%060d <%d>\n", i, i);
    static const struct rules_row rows[] = {
        {"a body line", "body A /^s$/\nbody B /^(?:word|after) .{2000,2048}$/\nbody C /.{2060}/",
         "A=1 B=1"},
        {"a raw piece", "rawbody A /^.{2048,4096}$/s\nrawbody B /.{4097}/s", "A=1"},
        {"not within the full text", "full A /.{9000}/s", "A=1"}};
    play_all(rows, COUNT(rows), pn_buf_cstr(&mail), NULL);
    pn_buf_fini(&mail);
}

/* ---- what stands around rules */

static void test_conditions(void)
{
    static const char is[] = "body A /x/\n";
    static const struct {
        const char *condition, *facts;
    } rows[] = {
        {"if (version > 3.000000)", "A=1"},
        {"if (version >= 4.000001)", "A=1"},
        {"if version > 4.000001", ""},
        {"if (version < 5) && (version > 2)", "A=1"},
        {"if version > 3.004001 && perl_version >= 5.018000", "A=1"},
        {"if perl_version >= 7", ""},
        {"if plugin(Mail::SpamAssassin::Plugin::FreeMail)", "A=1"},
        {"if plugin (Mail::SpamAssassin::Plugin::FreeMail)", "A=1"},
        {"if !plugin(Mail::SpamAssassin::Plugin::FreeMail)", ""},
        {"if !plugin(Mail::Other)", "A=1"},
        {"if can(Mail::SpamAssassin::Conf::perl_min_version_5010000)", "A=1"},
        {"if can(Mail::SpamAssassin::Conf::feature_header_address_parser)", "A=1"},
        {"if has(Mail::SpamAssassin::Plugin::BodyEval::has_check_body_length)", "A=1"},
        {"if !can(Mail::SpamAssassin::Conf::feature_of_tomorrow)", "A=1"},
        {"if can(Mail::SpamAssassin::Conf::compat_x)", ""},
        {"enable_compat x\nif can(Mail::SpamAssassin::Conf::compat_x)", "A=1"},
        {"enable_compat y\nif can(Mail::SpamAssassin::Conf::compat_x)", ""},
        {"ifplugin Mail::SpamAssassin::Plugin::FreeMail", "A=1"},
        {"if 1", "A=1"},
        {"if (0)", ""},
        {"if 2 * 3 - 6", ""},
        {"if 0\nelse", "A=1"},
        {"if 1\nelse", ""},
        {"if perl_version >= 5.036 && perl_version == 5.036", "A=1"},
        {"if has(Mail::SpamAssassin::Plugin::BodyEval::has_tomorrow)", ""},
        {"if has(Mail::SpamAssassin::Plugin::MIMEHeader::has_tflags_range)", ""},
        {"ifplugin Mail::SpamAssassin::Plugin::Dmarc", "A=1"},
        {"if 0\nif 1\nendif\nelse", "A=1"},
        {"if 0\nif 0\nelse\nbody B /x/\nendif", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char rules[400];
        (void)snprintf(rules, sizeof rules, "%s\n%sendif\n", rows[i].condition, is);
        rules_play(&(struct rules_row){rows[i].condition, rules, rows[i].facts}, "From: a\n\nx\n",
                   NULL);
    }
}

static void test_lines(void)
{
    rules_play_file("deep/a.inc", "include b.inc\nbody A /x/\n");
    rules_play_file("deep/b.inc", "body B /x/\ninclude ../c.inc\n");
    rules_play_file("c.inc", "body C /x/\n");
    static const struct rules_row rows[] = {
        {"include beside the file that includes", "include deep/a.inc\n", "B=1 C=1 A=1"},
        {"redefined", "body A /y/\nscore A 2\nbody A /x/\n", "A=2"},
        {"redefined as another kind", "body A /x/\nheader A From =~ /b/\n", ""},
        {"score behind and before", "score A 2\nbody A /x/\nbody B /x/\nscore B 3\n", "A=2 B=3"},
        {"score 0", "body A /x/\nscore A 0\nmeta B !A\n", "B=1"},
        {"a score over another", "body A /x/\nscore A 2\nscore A (1)\n", "A=3"},
        {"by name", "body T_A /x/\nbody __B /x/\nbody C /x/\ntflags C nice\n", "T_A=0.01 C=-1"},
        {"comments and escaped signs", "body A /x/ # y\nbody B /\\#/\n# body C /x/\n", "A=1"},
        {"flags", "body A /X/i\nbody B / x /x\nfull C /a.+x$/s\nfull D /^x$/m\n",
         "A=1 B=1 C=1 D=1"},
        {"other delimiters", "body A m/x/\nbody B m{x}i\nbody C m,x,\nbody D m!X!i\n",
         "A=1 B=1 C=1 D=1"},
        {"another language", "lang de body A /x/\nbody B /x/\nlang de describe B Wort\n", "B=1"},
        {"our language", "lang en body A /x/\nlang EN_us score A 2\nlang e body B /x/\nlang\n",
         "A=2 B=1"},
        {"words in capitals, with hyphens",
         "Body A /x/\nSCORE A 2\nIf 0\nbody B /x/\nENDIF\n"
         "Replace-Tag X [xy]\nbody C /<X>/\nreplace-rules C\n",
         "A=2 C=1"},
        {"flags over others",
         "body __A / /\ntflags __A multiple\ntflags __A nice\nmeta B __A == 1\n"
         "body C /x/\ntflags C nice\ntflags C net\n",
         "C=1 B=1"},
        {"score 0 of a sub-rule", "body __A /x/\nscore __A 0\nmeta B __A\nmeta C !__A\n", "C=1"},
        {"a score too small to be told is one all the same", "body A /x/\nscore A 0.0001\n",
         "A=0.001"},
        {"an empty match counts once",
         "rawbody __A /$/\ntflags __A multiple\nmeta B __A == 2\n"
         "body __C /x*/\ntflags __C multiple nosubject\nmeta D __C == 3\n",
         "B=1 D=1"},
        {"tags of all three forms",
         "header __A X-Has =~ /(?P<ONE>x)/\nheader __B X-Has =~ /(?'TWO'x)/\n"
         "body C /%{ONE}/\nbody D /%{TWO}/\n",
         "C=1 D=1"},
        {"what only orders",
         "body A /x/\npriority A 500\nreuse A B\nrequire_version 4.000000\n"
         "test A ok x\ndescribe A words\n",
         "A=1"},
        {"meta",
         "body __A /x/\nbody __B /y/\nmeta C __A && !(__B || __D)\nmeta D (3*__A - "
         "2*__B) > 2\nmeta E __A - 1\nmeta F 0 - __A\n",
         "C=1 D=1 F=1"},
        {"meta, and and or are names", "body __A /x/\nmeta B __A && !and && !or\n", "B=1"},
        {"rules_matching",
         "body __F_1 /x/\nbody __F_2 /a/\nbody __F_33 /x/\nbody __f_4 /x/\n"
         "meta A rules_matching(__F_*) == 2\nmeta B rules_matching(__F_?) == 1\n"
         "meta C rules_matching(__NONE_*)\nmeta D !rules_matching(__NONE*) && "
         "rules_matching(__F_1) && __F_33\n",
         "A=1 B=1 D=1"},
        {"a tag", "body __A /(?<WORD>x)/\nheader B X-Has =~ /^%{WORD}$/\nheader C X-Has =~ /%{NO}/",
         "B=1"},
        {"what looks like a tag", "header A X-Odd =~ /^\\%{WORD}$/", "A=1"},
    };
    play_all(rows, COUNT(rows), "From: a\nX-Has: x\nX-Odd: %{WORD}\n\nx\n", NULL);
}

/* A pattern that would read a large text over and over gives up by the clock, by its name, and
 * the others are tried. */
static void test_holds(void)
{
    static char mail[70000];

    memset(mail, 'a', sizeof mail - 1);
    memcpy(mail, "From: x\n\n", 9);
    rules_play_slow(&(struct rules_row){"words without an end",
                                        "full A /(\\w+\\s+)+:/\nfull B /^From: x/\n",
                                        "RULES_GAVE_UP=0(A) B=1"},
                    mail, "rule A gave up: it took too long");
}

static void test_replace(void)
{
    static const struct rules_row rows[] = {
        {"tags", "replace_tag A [a4@]\nreplace_tag G [gk]\nbody X /vi<A><G>r<A>/i\nreplace_rules X",
         "X=1"},
        {"not without replace_rules", "replace_tag A [a4@]\nbody X /vi<A>gra/", ""},
        {"a tag within a tag",
         "replace_tag A [a4@]\nreplace_tag AK <A>[gk]\nbody X /vi<AK>r<A>/\n"
         "replace_rules X",
         "X=1"},
        {"between",
         "replace_tag A [a4]\nreplace_tag K k\nreplace_inter D \\d?\n"
         "body X /v<inter D><A><K>/\nreplace_rules X",
         "X=1"},
        {"not before the first",
         "replace_tag A [a4]\nreplace_tag K k\nreplace_inter D \\d\n"
         "body X /<inter D><A>1<K>/\nreplace_rules X",
         "X=1"},
        {"before and behind",
         "replace_tag S s\nreplace_pre P [\\[(]\nreplace_post Q [\\])]\n"
         "body X /<pre P><post Q><S>/\nreplace_rules X",
         "X=1"},
        {"other signs",
         "replace_start %\nreplace_end !\nreplace_tag A [a4@]\nbody X /vi%A!kr/\n"
         "replace_rules X",
         "X=1"},
        {"several rules at once, before they are there",
         "replace_rules X Y\nreplace_tag A [a4@]\nbody X /vi<A>k/\nuri Y /vi<A>/\n", "X=1"},
        {"no tag of that name", "body X /<NONE>/\nreplace_rules X", "X=1"},
        {"header", "replace_tag A [a4@]\nheader X From =~ /^<A>$/\nreplace_rules X", "X=1"},
    };
    play_all(rows, COUNT(rows), "From: a\n\nvi4kr@ v4 v41k (s) <NONE>\n", NULL);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"addresses", test_addresses},
                                             {"headers", test_headers},
                                             {"parts of fields", test_parts_of_fields},
                                             {"relays", test_relays},
                                             {"texts", test_texts},
                                             {"words in parts", test_part_words},
                                             {"disguises", test_disguises},
                                             {"cuts", test_cuts},
                                             {"conditions", test_conditions},
                                             {"lines", test_lines},
                                             {"replace", test_replace},
                                             {"holds", test_holds},
                                             {NULL, NULL}};
    rules_play_begin();
    int status = unit_main("rules_language", tests, argc, argv);
    rules_play_end();
    return status;
}

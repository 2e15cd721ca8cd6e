/*
 * What RFC 7208's public suite asks for, kind by kind, in rows of our own: each names the
 * section that decides it. Our engine is right in all of them; tests/conformance/spf-engines
 * shows where libspf2 is not.
 */
#include "unit.h"

#include "fakehost.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define V4          "192.0.2.1"
#define V6          "2001:db8::1"
#define MAPPED      "::ffff:192.0.2.1"
#define TEN         "aaaaaaaaaa"
#define L63         TEN TEN TEN TEN TEN TEN "aaa"
#define R           "a.test TXT \"v=spf1 "

struct row {
    const char *label, *ip, *helo, *from, *dns;
    const char *want; /* "fail", or "fail: explanation" */
};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, rows[i].dns);
        char got[1500];
        unit_row(rows[i].label);
        fakehost_client(h, rows[i].ip, rows[i].helo);
        fakehost_envelope(h, rows[i].from, "u@here.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        /* "spf=fail identity=mailfrom domain=a.test explanation=x; spf=..." */
        struct pn_str auth = fakehost_auth(h), first = auth;
        size_t end = pn_str_find(auth, ';', 0);
        if (end != SIZE_MAX)
            first = pn_str_slice(auth, 0, end);
        struct pn_str rest = pn_str_slice(first, 4, first.len);
        struct pn_str result = pn_str_split(&rest, ' ');
        const char *words = rest.p == NULL ? NULL : memmem(rest.p, rest.len, "explanation=", 12);
        size_t at = words == NULL ? rest.len : (size_t)(words - rest.p) + 12;
        (void)snprintf(got, sizeof got, "%.*s%s%.*s", PN_FMT(result), words == NULL ? "" : ": ",
                       words == NULL ? 0 : (int)(rest.len - at), words == NULL ? "" : rest.p + at);
        UNIT_STR(pn_str_of(got), pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

/* Sections 2.3, 2.4, 4.3: which identity, and which names are none. */
static void test_identities(void)
{
    static const struct row rows[] = {
        {"4.3: a label of 63", V4, "", "u@" L63 ".test", L63 ".test TXT \"v=spf1 -all\"", "fail"},
        {"4.3: a label of 64", V4, "", "u@a" L63 ".test", "", "none"},
        {"4.3: an empty label", V4, "", "u@a..test", "", "none"},
        {"4.3: one label", V4, "", "u@localhost", "localhost TXT \"v=spf1 -all\"", "none"},
        {"4.3: an address literal", V4, "", "u@[192.0.2.1]", "", "none"},
        {"2.4: HELO of a null path is a literal", V4, "[192.0.2.1]", "", "", "none"},
        {"2.4: HELO of a null path", V4, "a.test", "", R "-all\"", "fail"},
        {"4.3: no local part", V4, "", "@a.test",
         R "exists:%{l}.x.test -all\"\npostmaster.x.test A 127.0.0.2", "pass"},
        {"a name that ends in a dot", V4, "", "u@a.test.", R "-all\"", "fail"},
        {"2.3: HELO counts beside it", V4, "h.test", "u@a.test",
         R "+all\"\nh.test TXT \"v=spf1 -all\"", "pass"},
    };
    run_rows(rows, COUNT(rows));
}

/* Sections 3 to 4.5: lookup and selection of the record. */
static void test_selection(void)
{
    static const struct row rows[] = {
        {"3.3: strings are joined without a blank", V4, "", "u@a.test",
         "a.test TXT \"v=spf1 \" \"ip4:192.\" \"0.2.1 -all\"", "pass"},
        {"3.3: joined to no version", V4, "", "u@a.test", "a.test TXT \"v=spf1\" \"-all\"", "none"},
        {"4.5: a version, and no more", V4, "", "u@a.test", "a.test TXT \"v=spf1\"", "neutral"},
        {"4.5: version without its blank", V4, "", "u@a.test", "a.test TXT \"v=spf1-all\"", "none"},
        {"4.5: a later version", V4, "", "u@a.test", "a.test TXT \"v=spf10 -all\"", "none"},
        {"4.5: case", V4, "", "u@a.test", "a.test TXT \"V=sPf1 -aLL\"", "fail"},
        {"4.5: two", V4, "", "u@a.test", R "-all\"\n" R "?all\"", "permerror"},
        {"4.5: two that say the same", V4, "", "u@a.test", R "-all\"\na.test TXT \"V=SPF1 -all\"",
         "permerror"},
        {"4.5: others beside it", V4, "", "u@a.test", R "-all\"\na.test TXT \"v=spf2.0/pra\"",
         "fail"},
        {"3.1: type 99 is not asked for", V4, "", "u@a.test", "a.test TXT NODATA", "none"},
        {"4.4: no answer", V4, "", "u@a.test", "a.test TXT TIMEOUT", "temperror"},
        {"4.4: server failure", V4, "", "u@a.test", "a.test TXT SERVFAIL", "temperror"},
        {"4.4: no such domain", V4, "", "u@a.test", "a.test NXDOMAIN", "none"},
        {"3.1: bytes beyond ASCII", V4, "", "u@a.test", R "\\226\\128\\168all\"", "permerror"},
        {"3.1: in a mechanism", V4, "", "u@a.test", R "a:\\239.test -all\"", "permerror"},
        {"3.1: in another's text", V4, "", "u@a.test", R "-all\"\na.test TXT \"\\226\\128\"",
         "fail"},
        {"4.6.1: a tab is no blank", V4, "", "u@a.test", R "a\\009-all\"", "permerror"},
        {"4.6.1: blanks", V4, "", "u@a.test", R " ip4:192.0.2.1   -all  \"", "pass"},
        {"a NUL", V4, "", "u@a.test", R "a:x\\000.test -all\"", "permerror"},
    };
    run_rows(rows, COUNT(rows));
}

/* Sections 4.6 to 4.8, 6.1: modifiers, order, the default. */
static void test_modifiers(void)
{
    static const struct row rows[] = {
        {"4.6: an error behind a match", V4, "", "u@a.test", R "+all a:..\"", "permerror"},
        {"4.6.1: a modifier's name", V4, "", "u@a.test", R "a-b_c.d=x ip4:192.0.2.1 -all\"",
         "pass"},
        {"4.6.1: a digit first", V4, "", "u@a.test", R "1a=x -all\"", "permerror"},
        {"4.6.1: a bad byte in the name", V4, "", "u@a.test", R "a/b=x -all\"", "permerror"},
        {"6: unknown ones are nothing", V4, "", "u@a.test", R "moo=%{d}cow/24 -all\"", "fail"},
        {"6: but right macros", V4, "", "u@a.test", R "moo=%{x} -all\"", "permerror"},
        {"6: default=pass is unknown", V4, "", "u@a.test", R "default=pass\"", "neutral"},
        {"6: no qualifier", V4, "", "u@a.test", R "-redirect=b.test\"", "permerror"},
        {"6.1: redirect waits for the end", V4, "", "u@a.test",
         R "redirect=b.test ?ip4:192.0.2.1\"\nb.test TXT \"v=spf1 -all\"", "neutral"},
        {"6.1: and then counts", V4, "", "u@a.test",
         R "redirect=b.test ip4:192.0.2.2\"\nb.test TXT \"v=spf1 -all\"", "fail"},
        {"6.1: all makes nothing of it", V4, "", "u@a.test",
         R "?all redirect=b.test\"\nb.test TXT \"v=spf1 -all\"", "neutral"},
        {"6.1: its own policy is told", V4, "", "u@a.test",
         R "redirect=b.test\"\nb.test TXT \"v=spf1 exists:%{d}.x.test -all\"\n"
           "b.test.x.test A 127.0.0.2",
         "pass"},
        {"6.1: no record there", V4, "", "u@a.test", R "redirect=b.test\"", "permerror"},
        {"6.1: an error there", V4, "", "u@a.test", R "redirect=b.test\"\nb.test TXT \"v=spf1 x\"",
         "permerror"},
        {"6.1: trouble there", V4, "", "u@a.test", R "redirect=b.test\"\nb.test TXT SERVFAIL",
         "temperror"},
        {"6: twice", V4, "", "u@a.test", R "redirect=b.test redirect=b.test\"", "permerror"},
        {"6.1: no domain", V4, "", "u@a.test", R "redirect=\"", "permerror"},
        {"6.2: exp twice", V4, "", "u@a.test", R "-all exp=e.test exp=e.test\"", "permerror"},
        {"6.2: exp of no domain", V4, "", "u@a.test", R "-all exp=\"", "permerror"},
        {"4.7: nothing matches", V4, "", "u@a.test", R "ip4:192.0.2.2\"", "neutral"},
        {"4.8: an empty label from a macro is no name", V4, "", "@a.test", R "a:%{l}..test -all\"",
         "fail"},
        {"4.8: names over 253 lose labels from the left", V4, "", "u@a.test",
         R "exists:" L63 "." L63 "." L63 "." L63 "." TEN ".x.test -all\"\n" L63 "." L63 "." L63
           "." TEN ".x.test A 127.0.0.2",
         "pass"},
    };
    run_rows(rows, COUNT(rows));
}

/* Sections 5.1 and 5.2. */
static void test_all_include(void)
{
    static const struct row rows[] = {
        {"5.1: all with a dot", V4, "", "u@a.test", R "-all.\"", "permerror"},
        {"5.1: with a value", V4, "", "u@a.test", R "-all:a.test\"", "permerror"},
        {"5.1: with a length", V4, "", "u@a.test", R "-all/8\"", "permerror"},
        {"5.1: what is behind it is nothing", V4, "", "u@a.test", R "?all -all\"", "neutral"},
        {"5.2: fail there is no match", V4, "", "u@a.test",
         R "include:b.test ~all\"\nb.test TXT \"v=spf1 -all\"", "softfail"},
        {"5.2: softfail", V4, "", "u@a.test", R "include:b.test ?all\"\nb.test TXT \"v=spf1 ~all\"",
         "neutral"},
        {"5.2: neutral", V4, "", "u@a.test", R "include:b.test -all\"\nb.test TXT \"v=spf1 ?all\"",
         "fail"},
        {"5.2: temperror", V4, "", "u@a.test", R "include:b.test -all\"\nb.test TXT TIMEOUT",
         "temperror"},
        {"5.2: permerror", V4, "", "u@a.test", R "include:b.test -all\"\nb.test TXT \"v=spf1 x\"",
         "permerror"},
        {"5.2: none", V4, "", "u@a.test", R "include:b.test -all\"", "permerror"},
        {"5.2: no domain", V4, "", "u@a.test", R "include -all\"", "permerror"},
        {"5.2: with a length", V4, "", "u@a.test", R "include:b.test/24 -all\"", "permerror"},
        {"5.2: redirect there is its own", V4, "", "u@a.test",
         R "include:b.test -all\"\nb.test TXT \"v=spf1 redirect=c.test\"\n"
           "c.test TXT \"v=spf1 +all\"",
         "pass"},
    };
    run_rows(rows, COUNT(rows));
}

#define A_AT(bits) R "a" bits " -all\"\na.test A 192.0.2.200\na.test AAAA 2001:db8::200"
#define MX_AT(bits)                                                                                \
    R "mx" bits " -all\"\na.test MX 5 m.test\nm.test A 192.0.2.200\nm.test AAAA 2001:db8::200"

/* Sections 5.3, 5.4 and 5.6: lengths of 0 are right, a mapped client is IPv4's. */
static void test_lengths(void)
{
    static const struct row rows[] = {
        {"a/0", V4, "", "u@a.test", A_AT("/0"), "pass"},
        {"a/0 of IPv6", V6, "", "u@a.test", A_AT("/0"), "fail"},
        {"a/0 of a mapped client", MAPPED, "", "u@a.test", A_AT("/0"), "pass"},
        {"a/0 without an address", V4, "", "u@a.test", R "a:n.test/0 -all\"", "fail"},
        {"a//0", V6, "", "u@a.test", A_AT("//0"), "pass"},
        {"a//0 of IPv4", V4, "", "u@a.test", A_AT("//0"), "fail"},
        {"a//0 of a mapped client", MAPPED, "", "u@a.test", A_AT("//0"), "fail"},
        {"a/24//64", V4, "", "u@a.test", A_AT("/24//64"), "pass"},
        {"a/24//64 of IPv6", V6, "", "u@a.test", A_AT("/24//64"), "pass"},
        {"a/25", V4, "", "u@a.test", A_AT("/25"), "fail"},
        {"a/33", V4, "", "u@a.test", A_AT("/33"), "permerror"},
        {"a//129", V4, "", "u@a.test", A_AT("//129"), "permerror"},
        {"a/032", V4, "", "u@a.test", A_AT("/032"), "permerror"},
        {"a/-1", V4, "", "u@a.test", A_AT("/-1"), "permerror"},
        {"mx/0", V4, "", "u@a.test", MX_AT("/0"), "pass"},
        {"mx/0 of IPv6", V6, "", "u@a.test", MX_AT("/0"), "fail"},
        {"mx//0", V6, "", "u@a.test", MX_AT("//0"), "pass"},
        {"mx//0 of a mapped client", MAPPED, "", "u@a.test", MX_AT("//0"), "fail"},
        {"mx/24//64", V6, "", "u@a.test", MX_AT("/24//64"), "pass"},
        {"mx/33", V4, "", "u@a.test", MX_AT("/33"), "permerror"},
        {"ip4/0", V4, "", "u@a.test", R "ip4:0.0.0.0/0 -all\"", "pass"},
        {"ip4/0 of IPv6", V6, "", "u@a.test", R "ip4:0.0.0.0/0 -all\"", "fail"},
        {"ip4/00", V4, "", "u@a.test", R "ip4:0.0.0.0/00 -all\"", "permerror"},
        {"ip4//32", V4, "", "u@a.test", R "ip4:192.0.2.1//32 -all\"", "permerror"},
        {"ip4 of three", V4, "", "u@a.test", R "ip4:192.0.2 -all\"", "permerror"},
        {"ip4 with a port", V4, "", "u@a.test", R "ip4:192.0.2.1:25 -all\"", "permerror"},
        {"ip4 of IPv6", V4, "", "u@a.test", R "ip4:2001:db8::1 -all\"", "permerror"},
        {"ip6/0", V6, "", "u@a.test", R "ip6:::/0 -all\"", "pass"},
        {"ip6/0 of IPv4", V4, "", "u@a.test", R "ip6:::/0 -all\"", "fail"},
        {"ip6/0 of a mapped client", MAPPED, "", "u@a.test", R "ip6:::/0 -all\"", "fail"},
        {"ip6 of a mapped network", MAPPED, "", "u@a.test", R "ip6:::ffff:192.0.2.1 -all\"",
         "fail"},
        {"ip6/33", "2001:db8:8000::1", "", "u@a.test", R "ip6:2001:db8::/33 -all\"", "fail"},
        {"ip6/129", V6, "", "u@a.test", R "ip6:2001:db8::/129 -all\"", "permerror"},
        {"ip6 of IPv4", V6, "", "u@a.test", R "ip6:192.0.2.1 -all\"", "permerror"},
        {"ip6 written out", V6, "", "u@a.test", R "ip6:2001:0DB8:0:0:0:0:0:1 -all\"", "pass"},
    };
    run_rows(rows, COUNT(rows));
}

/* Section 7.1's domain-spec, in a, mx, ptr and exists. */
static void test_domains(void)
{
    static const struct {
        const char *label, *spec, *want;
    } rows[] = {
        {"no domain", ":", "permerror"},
        {"one label", ":localhost", "permerror"},
        {"one label and a dot", ":museum.", "permerror"},
        {"digits at the end", ":111.222.33.44", "permerror"},
        {"a port", ":b.test:8080", "permerror"},
        {"a hyphen in the top label", ":b.te-st", "fail"},
        {"a hyphen at its end", ":b.test-", "permerror"},
        {"an underscore in it", ":b.te_st", "permerror"},
        {"a letter among its digits", ":b.1t1", "fail"},
        {"a dot at the end", ":b.test.", "fail"},
        {"an exclamation mark", ":a!b.test", "fail"},
        {"a NUL", ":b\\000.test", "permerror"},
        {"an empty label", ":b..test", "fail"},
        {"a label of 64", ":a" L63 ".test", "fail"},
        {"a macro that is none", ":%{x}.test", "permerror"},
        {"a macro in its middle", ":b.%{d", "permerror"},
        {"a macro of explanations", ":%{t}.test", "permerror"},
        {"a percent sign alone", ":b%.test", "permerror"},
        {"a percent sign and a letter", ":%a.test", "permerror"},
        {"percent signs", ":%%%_%-.test", "fail"},
    };
    static const char *const mechanisms[] = {"a", "mx", "ptr", "exists"};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(mechanisms); k++) {
            char dns[500], label[100];
            (void)snprintf(dns, sizeof dns, R "%s%s -all\"", mechanisms[k], rows[i].spec);
            (void)snprintf(label, sizeof label, "%s: %s", mechanisms[k], rows[i].label);
            const struct row row = {label, V4, "", "u@a.test", dns, rows[i].want};
            run_rows(&row, 1);
        }
}

/* Sections 5.3 to 5.7. */
static void test_lookups(void)
{
    static const struct row rows[] = {
        {"5.3: the second address", V4, "", "u@a.test",
         R "a -all\"\na.test A 192.0.2.9\n"
           "a.test A 192.0.2.1",
         "pass"},
        {"5.3: trouble", V4, "", "u@a.test", R "a -all\"\na.test A TIMEOUT", "temperror"},
        {"5.3: of IPv6 only AAAA is asked for", V6, "", "u@a.test",
         R "a -all\"\na.test A TIMEOUT\na.test AAAA 2001:db8::1", "pass"},
        {"5.4: no MX, and no A in its place", V4, "", "u@a.test", R "mx -all\"\na.test A 192.0.2.1",
         "fail"},
        {"5.4: trouble with a name", V4, "", "u@a.test",
         R "mx -all\"\na.test MX 5 m.test\nm.test A TIMEOUT", "temperror"},
        {"5.5: with a length", V4, "", "u@a.test", R "ptr/0 -all\"", "permerror"},
        {"5.5: below a target", V4, "", "u@a.test",
         R "ptr:b.test -all\"\n1.2.0.192.in-addr.arpa PTR h.b.test\nh.b.test A 192.0.2.1", "pass"},
        {"5.5: not the client's", V4, "", "u@a.test",
         R "ptr -all\"\n1.2.0.192.in-addr.arpa PTR h.a.test\nh.a.test A 192.0.2.9", "fail"},
        {"5.5: another case", V4, "", "u@a.test",
         R "ptr -all\"\n1.2.0.192.in-addr.arpa PTR H.A.TEST\nh.a.test A 192.0.2.1", "pass"},
        {"5.5: IPv6", V6, "", "u@a.test",
         R "ptr -all\"\n1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa "
           "PTR h.a.test\nh.a.test AAAA 2001:db8::1",
         "pass"},
        {"5.5: trouble is no match", V4, "", "u@a.test",
         R "ptr ?all\"\n1.2.0.192.in-addr.arpa PTR TIMEOUT", "neutral"},
        {"5.5: trouble with a name is no match", V4, "", "u@a.test",
         R "ptr ?all\"\n1.2.0.192.in-addr.arpa PTR h.a.test\nh.a.test A TIMEOUT", "neutral"},
        {"5.7: A, of whatever value", V4, "", "u@a.test",
         R "exists:b.test -all\"\nb.test A 0.0.0.0", "pass"},
        {"5.7: A of an IPv6 client too", V6, "", "u@a.test",
         R "exists:b.test -all\"\nb.test A 127.0.0.2", "pass"},
        {"5.7: AAAA does not count", V6, "", "u@a.test",
         R "exists:b.test -all\"\nb.test AAAA 2001:db8::1", "fail"},
        {"5.7: trouble", V4, "", "u@a.test", R "exists:b.test -all\"\nb.test A SERVFAIL",
         "temperror"},
        {"5.7: with a length", V4, "", "u@a.test", R "exists:b.test/8 -all\"", "permerror"},
        {"5.7: no domain", V4, "", "u@a.test", R "exists -all\"", "permerror"},
    };
    run_rows(rows, COUNT(rows));
}

#define EXP(text) R "-all exp=e.test\"\ne.test TXT " text

/* Section 6.2. */
static void test_explanations(void)
{
    static const struct row rows[] = {
        {"words", V4, "", "u@a.test", EXP("\"Go away.\""), "fail: Go away."},
        {"blanks, and macros behind them", V4, "", "u@a.test", EXP("\"%{s} is not %{o}'s %{v}\""),
         "fail: u@a.test is not a.test's in-addr"},
        {"of IPv6", V6, "", "u@a.test", EXP("\"%{v} %{c}\""), "fail: ip6 2001:db8::1"},
        {"c, r, t are for these", V4, "", "u@a.test", EXP("\"%{c}%{r1}\""), "fail: 192.0.2.1test"},
        {"upper case is escaped", V4, "", "j&j@a.test", EXP("\"?u=%{L}\""), "fail: ?u=j%26j"},
        {"strings are joined", V4, "", "u@a.test", EXP("\"a\" \"b\""), "fail: ab"},
        {"two texts are none", V4, "", "u@a.test", EXP("one\ne.test TXT two"), "fail"},
        {"no text", V4, "", "u@a.test", R "-all exp=e.test\"", "fail"},
        {"trouble", V4, "", "u@a.test", R "-all exp=e.test\"\ne.test TXT TIMEOUT", "fail"},
        {"a wrong macro", V4, "", "u@a.test", EXP("\"%{x}\""), "fail"},
        {"an open macro", V4, "", "u@a.test", EXP("\"%{i\""), "fail"},
        {"bytes beyond ASCII", V4, "", "u@a.test", EXP("\"\\195\\169\""), "fail"},
        {"it is no void lookup", V4, "", "u@a.test", R "a:v1.test a:v2.test -all exp=e.test\"",
         "fail"},
        {"nor a term", V4, "", "u@a.test",
         R "a:h.test a:h.test a:h.test a:h.test a:h.test a:h.test a:h.test a:h.test a:h.test "
           "a:h.test -all exp=e.test\"\nh.test A 192.0.2.9\ne.test TXT x",
         "fail: x"},
        {"only of a fail", V4, "", "u@a.test", R "~all exp=e.test\"\ne.test TXT x", "softfail"},
        {"not of an include", V4, "", "u@a.test",
         R "include:b.test -all\"\nb.test TXT \"v=spf1 -all exp=e.test\"\ne.test TXT x", "fail"},
        {"of the record that was redirected to", V4, "", "u@a.test",
         R "redirect=b.test exp=e.test\"\nb.test TXT \"v=spf1 -all exp=f.test\"\n"
           "e.test TXT x\nf.test TXT \"%{d}\"",
         "fail: b.test"},
        {"which has none", V4, "", "u@a.test",
         R "redirect=b.test exp=e.test\"\nb.test TXT \"v=spf1 -all\"\ne.test TXT x", "fail"},
        {"a domain with a dot", V4, "", "u@a.test", R "-all exp=e.test.\"\ne.test TXT x",
         "fail: x"},
        {"a name of letters past the redirect", V4, "", "u@a.test",
         R "-all exp=%{d2}.e.test\"\na.test.e.test TXT x", "fail: x"},
    };
    run_rows(rows, COUNT(rows));
}

/* Section 7. */
static void test_macros(void)
{
    static const struct row rows[] = {
        {"7.3: several delimiters", V4, "", "a-b+c_d=e@a.test",
         R "exists:%{l3r+-_=}.x.test -all\"\nc.b.a.x.test A 127.0.0.2", "pass"},
        {"7.3: split at a hyphen, reversed", V4, "", "a-b-c@a.test",
         R "exists:%{lr-}.x.test -all\"\nc.b.a.x.test A 127.0.0.2", "pass"},
        {"7.2: i of IPv6", V6, "", "u@a.test",
         R "exists:%{i}.x.test -all\"\n"
           "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.x.test A 127.0.0.2",
         "pass"},
        {"7.2: v of IPv6", V6, "", "u@a.test",
         R "exists:%{v}.x.test -all\"\nip6.x.test A 127.0.0.2", "pass"},
        {"7.2: p of IPv6", V6, "", "u@a.test",
         R "exists:%{p}.x.test -all\"\n"
           "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR h.b.test\n"
           "h.b.test AAAA 2001:db8::1\nh.b.test.x.test A 127.0.0.2",
         "pass"},
        {"7.2: p that is not the client's", V4, "", "u@a.test",
         R "exists:%{p}.x.test -all\"\n1.2.0.192.in-addr.arpa PTR h.b.test\n"
           "unknown.x.test A 127.0.0.2",
         "pass"},
        {"7.2: h", V4, "h.test", "u@a.test",
         R "exists:%{h}.x.test -all\"\nh.test.x.test A 127.0.0.2", "pass"},
        {"7.2: h that is a literal", V4, "[192.0.2.1]", "u@a.test", R "exists:%{h}.x.test -all\"",
         "fail"},
        {"7.2: h in the middle of a name", V4, "h.test", "u@a.test",
         R "a:%{H}.bar -all\"\nh.test.bar A 192.0.2.1", "pass"},
        {"7.3: upper case, in a name", V4, "", "a~b@a.test",
         R "exists:%{L}.x.test -all\"\na~b.x.test A 127.0.0.2", "pass"},
        {"7.1: zero labels", V4, "", "u@a.test", R "exists:%{d0}.x.test -all\"", "permerror"},
        {"7.1: a delimiter that is none", V4, "", "u@a.test", R "exists:%{d|}.x.test -all\"",
         "permerror"},
        {"7.1: a letter behind the delimiter", V4, "", "u@a.test", R "exists:%{d.r}.x.test -all\"",
         "permerror"},
        {"7.1: an open macro", V4, "", "u@a.test", R "exists:%{d.x.test -all\"", "permerror"},
        {"7.1: a macro at the end is a top label", V4, "", "u@a.test",
         R "a:b.%{d1} -all\"\nb.test A 192.0.2.1", "pass"},
    };
    run_rows(rows, COUNT(rows));
}

#define H5(n) "a:h" n ".test a:h" n ".test a:h" n ".test a:h" n ".test a:h" n ".test "
#define HOST  "\nh.test A 192.0.2.9"

/* Section 4.6.4, over the whole check. */
static void test_limits(void)
{
    static const struct row rows[] = {
        {"ten through an include", V4, "", "u@a.test",
         R "include:b.test " H5("") " -all\"\nb.test TXT \"v=spf1 a:h.test a:h.test a:h.test "
                                    "a:h.test ?all\"" HOST,
         "fail"},
        {"eleven through an include", V4, "", "u@a.test",
         R "include:b.test " H5("") " -all\"\nb.test TXT \"v=spf1 " H5("") "?all\"" HOST,
         "permerror"},
        {"what is behind a match is not asked for", V4, "", "u@a.test",
         R H5("") "ip4:192.0.2.1 " H5("") "a:h.test -all\"" HOST, "pass"},
        {"redirect is a term", V4, "", "u@a.test",
         R H5("") H5("") "redirect=b.test\"\nb.test TXT \"v=spf1 -all\"" HOST, "permerror"},
        {"ip4, ip6 and all are none", V4, "", "u@a.test",
         R H5("") H5("") "ip4:192.0.2.9 ip6:2001:db8::9 -all\"" HOST, "fail"},
        {"a loop by redirect", V4, "", "u@a.test",
         R "redirect=b.test\"\nb.test TXT \"v=spf1 redirect=a.test\"", "permerror"},
        {"a loop by include", V4, "", "u@a.test",
         R "include:b.test\"\nb.test TXT \"v=spf1 include:a.test\"", "permerror"},
        {"voids over two records", V4, "", "u@a.test",
         R "a:v1.test include:b.test -all\"\nb.test TXT \"v=spf1 a:v2.test a:v3.test ?all\"",
         "permerror"},
        {"of a name without the type", V4, "", "u@a.test",
         R "a:h.test mx:h.test exists:h.test -all\"\nh.test AAAA 2001:db8::9", "permerror"},
    };
    run_rows(rows, COUNT(rows));
    unit_row("names of a ptr beyond ten");
    for (unsigned right = 9; right < 13; right += 3) {
        char dns[2000];
        int n = snprintf(dns, sizeof dns, R "ptr -all\"\n");
        for (unsigned k = 0; k < 12; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n,
                          "1.2.0.192.in-addr.arpa PTR h%02u.a.test\nh%02u.a.test A 192.0.2.%u\n", k,
                          k, k == right - 1 ? 1 : 9);
        const struct row row = {right == 9 ? "ptr: the ninth name" : "ptr: the twelfth",
                                V4,
                                "",
                                "u@a.test",
                                dns,
                                right == 9 ? "pass" : "fail"};
        run_rows(&row, 1);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"identities", test_identities},
        {"selection", test_selection},
        {"modifiers", test_modifiers},
        {"all_include", test_all_include},
        {"lengths", test_lengths},
        {"domains", test_domains},
        {"lookups", test_lookups},
        {"explanations", test_explanations},
        {"macros", test_macros},
        {"limits", test_limits},
        {NULL, NULL},
    };
    return unit_main("spf_kinds", tests, argc, argv);
}

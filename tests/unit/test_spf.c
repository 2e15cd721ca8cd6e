#include "unit.h"

#include "fakehost.h"
#include "spf_macro.h"
#include "spf_record.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

static struct postern_str str(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* ---- macros (RFC 7208, section 7.4 has the first of them) ---- */

static struct postern_str validated(void *ctx)
{
    (void)ctx;
    return POSTERN_STR("mx.example.org");
}

static void test_expand(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
        {"%{p}", "mx.example.org"},
        {"%{p1}", "org"},
        {"%{h}|%{c}|%{r}|%{t}", "mail.example.com|192.0.2.3|here.test|1700000000"},
        {"%%%_%-", "% %20"},
        {"%{S}", "strong-bad%40email.example.com"},
        {"%{d000001}", "com"},
        {"%{d99999999999999999999}", "email.example.com"},
        {"%{i+,/_=-}", "192.0.2.3"},
        {"", ""},
    };
    struct spf_query q = {.is_ipv4 = true,
                          .ip = {[10] = 0xff, 0xff, 192, 0, 2, 3},
                          .ip_text = POSTERN_STR("192.0.2.3"),
                          .local = POSTERN_STR("strong-bad"),
                          .domain = POSTERN_STR("email.example.com"),
                          .helo = POSTERN_STR("mail.example.com"),
                          .receiver = POSTERN_STR("here.test"),
                          .now = 1700000000};
    struct spf_macro_env env = {&q, q.domain, validated, NULL};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[256];
        struct spf_text out = {room, 0, sizeof room, false};
        unit_row(rows[i].text);
        UNIT_TRUE(spf_macro_ok(str(rows[i].text), SPF_MACRO_EXPLAIN));
        spf_macro_expand(str(rows[i].text), &env, &out);
        UNIT_STR(((struct pn_str){out.p, out.len}), pn_str_of(rows[i].want));
        size_t len = out.len;
        for (size_t max = 0; max < len; max++) { /* room too small: no byte beyond it */
            out = (struct spf_text){room, 0, max, false};
            spf_macro_expand(str(rows[i].text), &env, &out);
            UNIT_TRUE(out.full && out.len <= max);
        }
    }
    unit_row("IPv6");
    char room[256];
    struct spf_text out = {room, 0, sizeof room, false};
    q.is_ipv4 = false;
    memcpy(q.ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xcb\x01", 16);
    spf_macro_expand(POSTERN_STR("%{ir}.%{v}"), &env, &out);
    UNIT_STR(((struct pn_str){out.p, out.len}),
             PN_STR("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6"));
}

static void test_macro_syntax(void)
{
    static const struct {
        const char *text;
        bool domain, any, explain;
    } rows[] = {
        {"", false, true, true},
        {"a.b", true, true, true},
        {"a.b.", true, true, true},
        {"a", false, true, true},
        {"a..", false, true, true},
        {"a.1", false, true, true},
        {"a.1a", true, true, true},
        {"a.b-", false, true, true},
        {"a.-b", false, true, true},
        {"a.b-c", true, true, true},
        {"a.b_c", false, true, true},
        {"%{d}", true, true, true},
        {"%{d}.com", true, true, true},
        {"%{d}com", false, true, true},
        {"a.com%{d}", true, true, true},
        {"a/b.com", true, true, true},
        {"a b.com", false, false, true},
        {"a\tb.com", false, false, false},
        {"\xc3\xa9.com", false, false, false},
        {"%", false, false, false},
        {"%a", false, false, false},
        {"%{", false, false, false},
        {"%{}", false, false, false},
        {"%{d", false, false, false},
        {"%{x}", false, false, false},
        {"%{d0}", false, false, false},
        {"%{d00}", false, false, false},
        {"%{dr2}", false, false, false},
        {"%{d!}", false, false, false},
        {"%{c}", false, false, true},
        {"%{t}.%{r}", false, false, true},
        {"%%", true, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        UNIT_INT(spf_macro_ok(str(rows[i].text), SPF_MACRO_DOMAIN), rows[i].domain);
        UNIT_INT(spf_macro_ok(str(rows[i].text), SPF_MACRO_ANY), rows[i].any);
        UNIT_INT(spf_macro_ok(str(rows[i].text), SPF_MACRO_EXPLAIN), rows[i].explain);
    }
}

/* ---- records ---- */

static void test_record(void)
{
    static const struct {
        const char *terms, *want; /* NULL: right */
    } rows[] = {
        {"", NULL},
        {" ", NULL},
        {"  -all  ", NULL},
        {" +A ?MX ~pTr -ALL", NULL},
        {" a:x.test/24//64 mx/24 a//0 a/0", NULL},
        {" ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:::1 ip4:1.2.3.4/32 ip6:::/0", NULL},
        {" include:x.test exists:%{ir}.x.test redirect=y.test exp=z.test", NULL},
        {" foo=%{d}bar foo= moo.cow-far_out=man:dog/cat", NULL},
        {" all:x.test", "value behind \"all\""},
        {" all/8", "value behind \"all\""},
        {" foo", "unknown mechanism"},
        {" :x", "unknown mechanism"},
        {" -", "unknown mechanism"},
        {" --all", "unknown mechanism"},
        {" -redirect=x.test", "unknown mechanism"},
        {" all\t", "unknown mechanism"},
        {" a:", "bad domain"},
        {" a:/24", "bad domain"},
        {" a:localhost", "bad domain"},
        {" a/33", "bad prefix length"},
        {" a/032", "bad prefix length"},
        {" a//129", "bad prefix length"},
        {" a/24/24", "bad domain"},
        {" a/", "bad domain"},
        {" a//", "bad domain"},
        {" a/24//", "bad domain"},
        {" a/x", "bad domain"},
        {" mx:x.test//64/24", "bad domain"},
        {" ptr/24", "bad domain"},
        {" ptr:", "bad domain"},
        {" include", "mechanism without its value"},
        {" include:", "bad domain"},
        {" include/24", "bad domain"},
        {" exists", "mechanism without its value"},
        {" ip4", "mechanism without its value"},
        {" ip4:", "bad network"},
        {" ip4/24", "bad network"},
        {" ip4:1.2.3", "bad network"},
        {" ip4:1.2.3.4/33", "bad network"},
        {" ip4:1.2.3.4//32", "bad network"},
        {" ip4:1.2.3.256", "bad network"},
        {" ip4:01.2.3.4", "bad network"},
        {" ip4:1.2.3.4:25", "bad network"},
        {" ip6:1.2.3.4", "bad network"},
        {" ip6:::/129", "bad network"},
        {" ip6:", "bad network"},
        {" ip6:1:2:3:4:5:6:7:8:9", "bad network"},
        {" redirect=", "bad domain of a modifier"},
        {" redirect=a", "bad domain of a modifier"},
        {" exp=%{c}", "bad domain of a modifier"},
        {" exp=a.b exp=c.d", "modifier given twice"},
        {" redirect=a.b redirect=c.d", "modifier given twice"},
        {" foo=\x7f", "bad modifier"},
        {" -foo=x", "unknown mechanism"},
        {" 1foo=x", "unknown mechanism"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char txt[256];
        struct spf_record record;
        const char *problem = NULL;
        unit_row(rows[i].terms);
        (void)snprintf(txt, sizeof txt, "v=spf1%s", rows[i].terms);
        bool ok = spf_record_read(str(txt), &record, &problem);
        UNIT_INT(ok, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_STR(pn_str_of(problem), pn_str_of(rows[i].want));
    }
}

static void test_record_is(void)
{
    static const struct {
        const char *txt;
        bool want;
    } rows[] = {{"v=spf1", true},        {"v=spf1 ", true},   {"V=SPF1 a", true},
                {"v=spf10", false},      {"v=spf", false},    {" v=spf1", false},
                {"v=spf1\t-all", false}, {"v=spf2.0", false}, {"", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].txt);
        UNIT_INT(spf_record_is(str(rows[i].txt)), rows[i].want);
    }
}

/* ---- the plugin: records in, facts out ---- */

struct row {
    const char *label, *ip, *helo, *from, *dns, *facts, *auth;
};

static void run_rows(const struct row *rows, size_t count, const struct fake_row *settings)
{
    for (size_t i = 0; i < count; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, settings, rows[i].dns);
        unit_row(rows[i].label);
        fakehost_client(h, rows[i].ip, rows[i].helo);
        fakehost_envelope(h, rows[i].from, "u@here.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts));
        UNIT_STR(fakehost_auth(h), pn_str_of(rows[i].auth));
        fakehost_free(&h);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define MF(result)  "spf=" result " identity=mailfrom domain=a.test"

static void test_results(void)
{
    static const struct row rows[] = {
        {"pass", "192.0.2.1", "", "u@a.test", "a.test TXT \"v=spf1 ip4:192.0.2.0/24 -all\"",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"fail, words of the domain", "198.51.100.1", "", "u@a.test",
         "a.test TXT \"v=spf1 -all exp=e.a.test\"\ne.a.test TXT \"%{i} is not %{o}'s\"",
         "SPF_FAIL=2(a.test)", MF("fail") " explanation=198.51.100.1 is not a.test's"},
        {"softfail", "192.0.2.1", "", "u@a.test", "a.test TXT \"v=spf1 ~all\"",
         "SPF_SOFTFAIL=0.7(a.test)", MF("softfail")},
        {"neutral", "192.0.2.1", "", "u@a.test", "a.test TXT \"v=spf1\"", "SPF_NEUTRAL=0(a.test)",
         MF("neutral")},
        {"none", "192.0.2.1", "", "u@a.test", "a.test TXT \"v=spf10 -all\"", "SPF_NONE=0(a.test)",
         MF("none")},
        {"no such domain", "192.0.2.1", "", "u@a.test", "", "SPF_NONE=0(a.test)", MF("none")},
        {"temperror", "192.0.2.1", "", "u@a.test", "a.test TIMEOUT",
         "SPF_TEMPERROR=0(a.test: a record could not be looked up)", MF("temperror")},
        {"permerror", "192.0.2.1", "", "u@a.test",
         "a.test TXT \"v=spf1 -all\"\na.test TXT \"v=spf1 ?all\"",
         "SPF_PERMERROR=0.3(a.test: more than one record)", MF("permerror")},
        {"an error behind a match counts too", "192.0.2.1", "", "u@a.test",
         "a.test TXT \"v=spf1 +all oops\"", "SPF_PERMERROR=0.3(a.test: unknown mechanism)",
         MF("permerror")},
        {"null path: HELO", "192.0.2.1", "a.test", "",
         "a.test TXT \"v=spf1 exists:%{l}.b.test\"\n"
         "postmaster.b.test A 127.0.0.2",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"null path, HELO an address", "192.0.2.1", "[192.0.2.1]", "", "",
         "SPF_NONE=0([192.0.2.1])", "spf=none identity=mailfrom domain=[192.0.2.1]"},
        {"HELO fails", "192.0.2.1", "h.test", "u@a.test",
         "a.test TXT \"v=spf1 +all\"\nh.test TXT \"v=spf1 -all\"",
         "SPF_PASS=-0.1(a.test) SPF_HELO_FAIL=1(h.test)",
         MF("pass") "; spf=fail identity=helo domain=h.test"},
        {"last at sign", "192.0.2.1", "", "\"x@y\"@a.test", "a.test TXT \"v=spf1 +all\"",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"no at sign", "192.0.2.1", "", "a.test", "a.test TXT \"v=spf1 +all\"",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"a last dot", "192.0.2.1", "", "u@a.test.",
         "a.test TXT \"v=spf1 exists:%{d}.x.test -all\"\n"
         "a.test.x.test A 127.0.0.1",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"in another script", "192.0.2.1", "",
         "u@B\xc3\x9c"
         "CHER.test",
         "xn--bcher-kva.test TXT \"v=spf1 exists:%{o}.x.test -all\"\n"
         "xn--bcher-kva.test.x.test A 127.0.0.1",
         "SPF_PASS=-0.1(xn--bcher-kva.test)",
         "spf=pass identity=mailfrom domain=xn--bcher-kva.test"},
        {"domain that can't be", "192.0.2.1", "", "u@a..test", "", "SPF_NONE=0(a..test)",
         "spf=none identity=mailfrom domain=a..test"},
        {"bytes that no detail shows", "192.0.2.1", "", "u@\xff\x01.test", "",
         "SPF_NONE=0(??.test)", "spf=none identity=mailfrom domain=??.test"},
        {"mapped client is IPv4", "::ffff:192.0.2.1", "", "u@a.test",
         "a.test TXT \"v=spf1 ip6:::/0 a -all\"\na.test A 192.0.2.1", "SPF_PASS=-0.1(a.test)",
         MF("pass")},
        {"IPv6 by address", "2001:db8::1", "", "u@a.test",
         "a.test TXT \"v=spf1 a//32 -all\"\na.test AAAA 2001:db8:1::2", "SPF_PASS=-0.1(a.test)",
         MF("pass")},
        {"a backslash is a byte", "192.0.2.1", "", "b\\099@a.test",
         "a.test TXT \"v=spf1 exists:%{l}.x.test -all\"\nb\\\\099.x.test A 127.0.0.1",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"explanation with a client's bytes", "192.0.2.1", "", "\xc3\xa9@a.test",
         "a.test TXT \"v=spf1 -all exp=e.test\"\ne.test TXT \"%{l}\"", "SPF_FAIL=2(a.test)",
         MF("fail")},
    };
    run_rows(rows, COUNT(rows), NULL);
}

static void test_mechanisms(void)
{
    static const struct row rows[] = {
        {"mx", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 mx/31 -all\"\na.test MX 5 m1.test\na.test MX 9 m2.test\n"
         "m1.test A 192.0.2.1\nm2.test A 192.0.2.8",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"null mx", "192.0.2.9", "", "u@a.test", "a.test TXT \"v=spf1 mx -all\"\na.test MX 0 .",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"ptr below", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 ptr -all\"\n9.2.0.192.in-addr.arpa PTR other.test\n"
         "9.2.0.192.in-addr.arpa PTR h.a.test\nh.a.test A 192.0.2.9",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"ptr not validated", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 ptr -all\"\n9.2.0.192.in-addr.arpa PTR a.test\na.test A 192.0.2.8",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"ptr, not a suffix of a label", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 ptr -all\"\n9.2.0.192.in-addr.arpa PTR xa.test\nxa.test A 192.0.2.9",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"%{p} prefers the domain", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 exists:%{p}.x.test -all\"\n9.2.0.192.in-addr.arpa PTR zz.test\n"
         "9.2.0.192.in-addr.arpa PTR h.a.test\n9.2.0.192.in-addr.arpa PTR a.test\n"
         "zz.test A 192.0.2.9\nh.a.test A 192.0.2.9\na.test A 192.0.2.9\na.test.x.test A 127.0.0.1",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"%{p} unknown", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 exists:%{p}.x.test -all\"\nunknown.x.test A 127.0.0.1",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"include passes", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 ?include:b.test -all\"\nb.test TXT \"v=spf1 +all\"",
         "SPF_NEUTRAL=0(a.test)", MF("neutral")},
        {"include fails: no match", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 include:b.test ~all\"\n"
         "b.test TXT \"v=spf1 -all exp=e.test\"\ne.test TXT \"not this one\"",
         "SPF_SOFTFAIL=0.7(a.test)", MF("softfail")},
        {"include of none", "192.0.2.9", "", "u@a.test", "a.test TXT \"v=spf1 include:b.test\"",
         "SPF_PERMERROR=0.3(a.test: include of a domain without a record)", MF("permerror")},
        {"include in trouble", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 include:b.test\"\nb.test TXT SERVFAIL",
         "SPF_TEMPERROR=0(a.test: a record could not be looked up)", MF("temperror")},
        {"redirect", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 redirect=b.test exp=a.test\"\n"
         "b.test TXT \"v=spf1 -all exp=e.%{d}\"\ne.b.test TXT \"of %{d}\"",
         "SPF_FAIL=2(a.test)", MF("fail") " explanation=of b.test"},
        {"redirect to nothing", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 redirect=b.test\"",
         "SPF_PERMERROR=0.3(a.test: redirect to a domain without a record)", MF("permerror")},
        {"redirect before all is nothing", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 redirect=b.test ?all\"", "SPF_NEUTRAL=0(a.test)", MF("neutral")},
        {"redirect to itself", "192.0.2.9", "", "u@a.test", "a.test TXT \"v=spf1 redirect=a.test\"",
         "SPF_PERMERROR=0.3(a.test: more than 10 terms that ask DNS)", MF("permerror")},
        {"include of itself", "192.0.2.9", "", "u@a.test", "a.test TXT \"v=spf1 include:a.test\"",
         "SPF_PERMERROR=0.3(a.test: more than 10 terms that ask DNS)", MF("permerror")},
        {"two explanations are none", "192.0.2.9", "", "u@a.test",
         "a.test TXT \"v=spf1 -all exp=e.test\"\ne.test TXT one\ne.test TXT two",
         "SPF_FAIL=2(a.test)", MF("fail")},
    };
    run_rows(rows, COUNT(rows), NULL);
}

/* Ten terms that ask, ten exchangers, ten names, two voids: at the limit and one over. */
static void test_limits(void)
{
    static const struct {
        const char *label, *record;
        unsigned hosts, exchangers;
        const char *want;
    } rows[] = {
        {"ten terms",
         "a:h1.test a:h2.test a:h3.test a:h4.test a:h5.test a:h6.test a:h7.test "
         "a:h8.test a:h9.test a:h10.test -all",
         11, 0, "SPF_FAIL=2(a.test)"},
        {"eleven terms",
         "a:h1.test a:h2.test a:h3.test a:h4.test a:h5.test a:h6.test a:h7.test "
         "a:h8.test a:h9.test a:h10.test a:h11.test -all",
         11, 0, "SPF_PERMERROR=0.3(a.test: more than 10 terms that ask DNS)"},
        {"ten exchangers", "mx -all", 11, 10, "SPF_FAIL=2(a.test)"},
        {"eleven exchangers", "mx -all", 11, 11,
         "SPF_PERMERROR=0.3(a.test: more than 10 mail exchangers)"},
        {"two voids", "a:v1.test exists:v2.test -all", 0, 0, "SPF_FAIL=2(a.test)"},
        {"three voids", "a:v1.test mx:v2.test exists:v3.test -all", 0, 0,
         "SPF_PERMERROR=0.3(a.test: too many lookups without an answer)"},
        {"voids of exchangers", "mx -all", 0, 3,
         "SPF_PERMERROR=0.3(a.test: too many lookups without an answer)"},
        {"a term behind the match asks nothing", "ip4:192.0.2.0/24 a:v1.test a:v2.test a:v3.test",
         0, 0, "SPF_PASS=-0.1(a.test)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char dns[4096];
        int n = snprintf(dns, sizeof dns, "a.test TXT \"v=spf1 %s\"\n", rows[i].record);
        for (unsigned k = 1; k <= rows[i].hosts; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, "h%u.test A 198.51.100.%u\n", k, k);
        for (unsigned k = 1; k <= rows[i].exchangers; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, "a.test MX 5 h%u.test\n", k);
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, dns);
        unit_row(rows[i].label);
        fakehost_client(h, "192.0.2.1", "");
        fakehost_envelope(h, "u@a.test", "u@here.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        UNIT_TRUE(fakehost_asked_count(h) <= 23);
        fakehost_free(&h);
    }
}

/* Of a wide tree of includes no more is asked than the limits allow. */
static void test_amplification(void)
{
    char dns[16384];
    int n = 0;
    for (unsigned i = 0; i < 60; i++) {
        n += snprintf(dns + n, sizeof dns - (size_t)n, "%s%u.test TXT \"v=spf1", "n", i);
        for (unsigned k = 1; k <= 10; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, " include:n%u.test", (i * 10 + k) % 60);
        n += snprintf(dns + n, sizeof dns - (size_t)n, "\"\n");
    }
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, dns);
    fakehost_envelope(h, "u@n0.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h),
             PN_STR("SPF_PERMERROR=0.3(n0.test: more than 10 terms that ask DNS)"));
    UNIT_TRUE(fakehost_asked_count(h) < 60);
    fakehost_free(&h);
}

static void test_settings(void)
{
    static const struct fake_row no_helo[] = {{"check-helo", {"no"}},
                                              {"void-lookups", {"0"}},
                                              {"skip", {"10.0.0.0/8", "2001:db8::1"}},
                                              {NULL}};
    static const struct row rows[] = {
        {"HELO is not asked", "192.0.2.1", "h.test", "u@a.test",
         "a.test TXT \"v=spf1 +all\"\nh.test TXT \"v=spf1 -all\"", "SPF_PASS=-0.1(a.test)",
         MF("pass")},
        {"no void", "192.0.2.1", "h.test", "u@a.test", "a.test TXT \"v=spf1 a:b.test\"",
         "SPF_PERMERROR=0.3(a.test: too many lookups without an answer)", MF("permerror")},
        {"skipped", "10.1.2.3", "h.test", "u@a.test", "a.test TXT \"v=spf1 -all\"", "", ""},
        {"skipped by IPv6", "2001:db8::1", "h.test", "u@a.test", "a.test TXT \"v=spf1 -all\"", "",
         ""},
        {"beside the network", "11.1.2.3", "h.test", "u@a.test", "a.test TXT \"v=spf1 -all\"",
         "SPF_FAIL=2(a.test)", MF("fail")},
    };
    run_rows(rows, COUNT(rows), no_helo);
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, "a.test TXT \"v=spf1 -all\"");
    fakehost_auth_id(h, "user");
    fakehost_envelope(h, "u@a.test", "");
    unit_row("a user of ours");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
}

static void test_host_limits(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, "a.test TXT \"v=spf1 a -all\"");
    fakehost_envelope(h, "u@a.test", "");
    fakehost_limits(h, 100, 1000, 0);
    unit_row("no time left");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_DEADLINE);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_reset(h);
    fakehost_envelope(h, "u@a.test", "");
    fakehost_limits(h, 1, 1000, 5000);
    unit_row("no lookup left");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("SPF_TEMPERROR=0(a.test: a lookup failed)"));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"expand", test_expand},
        {"macro_syntax", test_macro_syntax},
        {"record", test_record},
        {"record_is", test_record_is},
        {"results", test_results},
        {"mechanisms", test_mechanisms},
        {"limits", test_limits},
        {"amplification", test_amplification},
        {"settings", test_settings},
        {"host_limits", test_host_limits},
        {NULL, NULL},
    };
    return unit_main("spf", tests, argc, argv);
}

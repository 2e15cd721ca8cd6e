#include "unit.h"

#include "fakehost.h"
#include "spf_guard.h"
#include "spf_libspf2.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define MF(result)  "spf=" result " identity=mailfrom domain=a.test"

static struct postern_str str(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* CVE-2023-42118: "v=spf1 exists:", so many %{i}, and a literal. */
static size_t overflowing(char *to, unsigned macros, size_t literal)
{
    size_t n = 14;
    memcpy(to, "v=spf1 exists:", n);
    for (unsigned i = 0; i < macros; i++, n += 4)
        memcpy(to + n, "%{i}", 4);
    memset(to + n, 'a', literal);
    memcpy(to + n + literal, ".test", 5);
    return n + literal + 5;
}

/* ---- what a record must be */

static void test_screen(void)
{
    static const struct {
        const char *txt, *want;
    } rows[] = {
        {"v=spf1", NULL},
        {"v=spf1 a mx -all", NULL},
        {"v=spf1 oops", "unknown mechanism"},
        {"v=spf1 a:%{x}", "bad domain"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *problem = spf_guard_screen(str(rows[i].txt));
        unit_row(rows[i].txt);
        UNIT_STR(pn_str_of(problem == NULL ? "" : problem),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
    }
}

static void test_screen_limits(void)
{
    char txt[32768];
    unit_row("a term as long as can be, and one byte more");
    for (size_t more = 0; more < 2; more++) {
        size_t n = (size_t)snprintf(txt, sizeof txt, "v=spf1 x=%0*d", SPF_GUARD_TERM_MAX - 2, 0);
        memset(txt + n, '0', more);
        UNIT_INT(spf_guard_screen((struct postern_str){txt, n + more}) == NULL, more == 0);
    }
    unit_row("terms");
    for (size_t more = 0; more < 2; more++) {
        size_t n = 6;
        memcpy(txt, "v=spf1", 6);
        for (size_t i = 1; i < SPF_GUARD_TERMS_MAX + more; i++, n += 3)
            memcpy(txt + n, "  a", 3);
        UNIT_INT(spf_guard_screen((struct postern_str){txt, n}) == NULL, more == 0);
    }
    unit_row("length");
    for (size_t more = 0; more < 2; more++) {
        memcpy(txt, "v=spf1 a", 8);
        memset(txt + 8, ' ', SPF_GUARD_RECORD_MAX);
        UNIT_INT(spf_guard_screen((struct postern_str){txt, SPF_GUARD_RECORD_MAX + more}) == NULL,
                 more == 0);
    }
    unit_row("a NUL");
    UNIT_TRUE(spf_guard_screen((struct postern_str){"v=spf1 a\0b", 10}) != NULL);
    unit_row("CVE-2023-42118");
    for (size_t literal = 0; literal <= 20000; literal += 500)
        UNIT_TRUE(spf_guard_screen((struct postern_str){txt, overflowing(txt, 127, literal)}) !=
                  NULL);
}

/* ---- the library, through the plugin */

#ifdef HAVE_LIBSPF2
static const struct fake_row settings[] = {{"engine", {"libspf2"}}, {NULL}};

#define TWO " ip6:2001:db8::9 ip6:2001:db8::9"
#define SIX TWO TWO TWO

static void run(const char *label, const char *ip, const char *from, const char *dns,
                const char *facts, const char *auth)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, dns);
    unit_row(label);
    fakehost_client(h, ip, "");
    fakehost_envelope(h, from, "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(facts));
    UNIT_STR(fakehost_auth(h), pn_str_of(auth));
    fakehost_free(&h);
}

static void test_results(void)
{
    static const struct {
        const char *label, *ip, *from, *dns, *facts, *auth;
    } rows[] = {
        {"pass", "192.0.2.1", "u@a.test", "a.test TXT \"v=spf1 ip4:192.0.2.0/24 -all\"",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"fail, words of the domain", "198.51.100.1", "u@a.test",
         "a.test TXT \"v=spf1 -all exp=e.a.test\"\ne.a.test TXT \"%{i}%_of%_%{o}\"",
         "SPF_FAIL=2(a.test)", MF("fail") " explanation=198.51.100.1 of a.test"},
        {"fail without words", "198.51.100.1", "u@a.test", "a.test TXT \"v=spf1 -all\"",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"words with blanks and macros behind them", "198.51.100.1", "u@a.test",
         "a.test TXT \"v=spf1 redirect=b.test\"\nb.test TXT \"v=spf1 -all exp=e.%{d}\"\n"
         "e.b.test TXT \"%{i} is not %{d}'s\"",
         "SPF_FAIL=2(a.test)", MF("fail") " explanation=198.51.100.1 is not b.test's"},
        {"words of an include are nobody's", "198.51.100.1", "u@a.test",
         "a.test TXT \"v=spf1 include:b.test -all\"\nb.test TXT \"v=spf1 -all exp=e.test\"\n"
         "e.test TXT \"not these\"",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"softfail", "192.0.2.1", "u@a.test", "a.test TXT \"v=spf1 ~all\"",
         "SPF_SOFTFAIL=0.7(a.test)", MF("softfail")},
        {"neutral", "192.0.2.1", "u@a.test", "a.test TXT \"v=spf1 ?all\"", "SPF_NEUTRAL=0(a.test)",
         MF("neutral")},
        {"none", "192.0.2.1", "u@a.test", "a.test TXT \"v=spf10 -all\"", "SPF_NONE=0(a.test)",
         MF("none")},
        {"no such domain", "192.0.2.1", "u@a.test", "", "SPF_NONE=0(a.test)", MF("none")},
        {"temperror", "192.0.2.1", "u@a.test", "a.test TIMEOUT",
         "SPF_TEMPERROR=0(a.test: DNS lookup failure)", MF("temperror")},
        {"two records", "192.0.2.1", "u@a.test",
         "a.test TXT \"v=spf1 -all\"\na.test TXT \"v=spf1 ?all\"",
         "SPF_PERMERROR=0.3(a.test: Multiple SPF or TXT records for domain.)", MF("permerror")},
        {"a record that does not reach it", "192.0.2.1", "u@a.test", "a.test TXT \"v=spf1 +all x\"",
         "SPF_PERMERROR=0.3(a.test: unknown mechanism)", MF("permerror")},
        {"what it has no room for", "192.0.2.1", "u@a.test",
         "a.test TXT \"v=spf1" SIX SIX SIX SIX " ip6:2001:db8::9 ip6:2001:db8::9 -all\"",
         "SPF_PERMERROR=0.3(a.test: Too many mechanisms)", MF("permerror")},
        {"what it has room for", "192.0.2.1", "u@a.test",
         "a.test TXT \"v=spf1" SIX SIX SIX SIX " ip6:2001:db8::9 -all\"", "SPF_FAIL=2(a.test)",
         MF("fail")},
        {"mx", "192.0.2.8", "u@a.test",
         "a.test TXT \"v=spf1 mx -all\"\na.test MX 5 m1.test\na.test MX 9 .\n"
         "m1.test A 192.0.2.8",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"ptr", "192.0.2.9", "u@a.test",
         "a.test TXT \"v=spf1 ptr -all\"\n9.2.0.192.in-addr.arpa PTR h.a.test\n"
         "h.a.test A 192.0.2.9",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"IPv6", "2001:db8::1", "u@a.test",
         "a.test TXT \"v=spf1 a//64 -all\"\n"
         "a.test AAAA 2001:db8::2",
         "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"a mapped client is IPv4", "::ffff:192.0.2.1", "u@a.test",
         "a.test TXT \"v=spf1 a -all\"\na.test A 192.0.2.1", "SPF_PASS=-0.1(a.test)", MF("pass")},
        {"loopback has no free ride", "127.0.0.1", "u@a.test", "a.test TXT \"v=spf1 -all\"",
         "SPF_FAIL=2(a.test)", MF("fail")},
        {"nor has ::1", "::1", "u@a.test", "a.test TXT \"v=spf1 -all\"", "SPF_FAIL=2(a.test)",
         MF("fail")},
        {"domain that can't be", "192.0.2.1", "u@a..test", "", "SPF_NONE=0(a..test)",
         "spf=none identity=mailfrom domain=a..test"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        run(rows[i].label, rows[i].ip, rows[i].from, rows[i].dns, rows[i].facts, rows[i].auth);
}

/* One record for every name. */
struct one {
    struct postern_dns_record record;
    struct postern_dns_answer answer;
};

static int lookup(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer)
{
    struct one *one = ctx;
    (void)name;
    one->answer =
        (struct postern_dns_answer){.count = type == POSTERN_DNS_TXT, .records = &one->record};
    *answer = &one->answer;
    return POSTERN_OK;
}

/* In one process with the test: it would die of what got through. */
static void test_crash(void)
{
    static char txt[32768];
    for (unsigned macros = 1; macros <= 127; macros += 14)
        for (size_t literal = 0; literal <= 20000; literal += 250) {
            struct spf_outcome out;
            struct one one;
            const struct spf_query q = {.is_ipv4 = true,
                                        .ip = {[10] = 0xff, 0xff, 192, 0, 2, 1},
                                        .ip_text = POSTERN_STR("192.0.2.1"),
                                        .domain = POSTERN_STR("a.test"),
                                        .voids_max = 2,
                                        .lookup = lookup,
                                        .ctx = &one};
            one.record =
                (struct postern_dns_record){.data = {txt, overflowing(txt, macros, literal)}};
            UNIT_INT(spf_libspf2_check(&q, &out), POSTERN_OK);
            if (macros * 4 + literal + 12 > SPF_GUARD_TERM_MAX)
                UNIT_INT(out.result, SPF_PERMERROR);
        }
}

/* Ten includes a record, five levels deep: 66,430 lookups if nobody counts. */
static void test_include_tree(void)
{
    static char dns[65536];
    size_t n = 0;
    for (unsigned level = 0; level < 5; level++)
        for (unsigned i = 0; i < (level == 0 ? 1 : 10); i++) {
            n += (size_t)snprintf(dns + n, sizeof dns - n, "l%un%u.test TXT", level, i);
            n += (size_t)snprintf(dns + n, sizeof dns - n, " \"v=spf1\"");
            for (unsigned k = 0; k < 10 && level < 4; k++)
                n += (size_t)snprintf(dns + n, sizeof dns - n, " \" include:l%un%u.test\"",
                                      level + 1, k);
            n += (size_t)snprintf(dns + n, sizeof dns - n, "\n");
        }
    struct fakehost *h = fakehost_new(&postern_plugin, settings, dns);
    fakehost_client(h, "192.0.2.1", "");
    fakehost_envelope(h, "u@l0n0.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h),
             PN_STR("SPF_PERMERROR=0.3(l0n0.test: more than 10 terms that ask DNS)"));
    UNIT_TRUE(fakehost_asked_count(h) <= 11);
    fakehost_free(&h);
}

/* Limits over the whole check: at each, and one over. */
static void test_limits(void)
{
    static const struct {
        const char *label, *record;
        unsigned hosts, exchangers, pointers;
        const char *want;
    } rows[] = {
        {"ten terms",
         "a:h1.test a:h2.test a:h3.test a:h4.test a:h5.test a:h6.test a:h7.test "
         "a:h8.test a:h9.test a:h10.test -all",
         11, 0, 0, "SPF_FAIL=2(a.test)"},
        {"eleven terms",
         "a:h1.test a:h2.test a:h3.test a:h4.test a:h5.test a:h6.test a:h7.test "
         "a:h8.test a:h9.test a:h10.test a:h11.test -all",
         11, 0, 0, "SPF_PERMERROR=0.3(a.test: more than 10 terms that ask DNS)"},
        {"ten exchangers", "mx -all", 11, 10, 0, "SPF_FAIL=2(a.test)"},
        {"eleven exchangers", "mx -all", 11, 11, 0,
         "SPF_PERMERROR=0.3(a.test: more than 10 mail exchangers)"},
        {"eleven names by ptr", "ptr -all", 11, 0, 11, "SPF_FAIL=2(a.test)"},
        {"two voids", "a:v1.test exists:v2.test -all", 0, 0, 0, "SPF_FAIL=2(a.test)"},
        {"three voids", "a:v1.test mx:v2.test exists:v3.test -all", 0, 0, 0,
         "SPF_PERMERROR=0.3(a.test: too many lookups without an answer)"},
        {"names of ptr are no voids", "ptr -all", 0, 0, 9, "SPF_FAIL=2(a.test)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char dns[4096];
        int n = snprintf(dns, sizeof dns, "a.test TXT \"v=spf1 %s\"\n", rows[i].record);
        for (unsigned k = 1; k <= rows[i].hosts; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, "h%u.test A 198.51.100.%u\n", k, k);
        for (unsigned k = 1; k <= rows[i].exchangers; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, "a.test MX 5 h%u.test\n", k);
        for (unsigned k = 1; k <= rows[i].pointers; k++)
            n += snprintf(dns + n, sizeof dns - (size_t)n, "1.2.0.192.in-addr.arpa PTR h%u.test\n",
                          k);
        run(rows[i].label, "192.0.2.1", "u@a.test", dns, rows[i].want,
            strstr(rows[i].want, "FAIL=2") != NULL ? MF("fail") : MF("permerror"));
    }
}

static void test_deadline(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "a.test TXT \"v=spf1 a -all\"");
    fakehost_envelope(h, "u@a.test", "");
    fakehost_limits(h, 100, 1000, 0);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_DEADLINE);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
}

/* Nobody else is in its process; who does not choose it need not know of it. */
static void test_alone(void)
{
    const struct postern_need_if *n = postern_plugin.needs_if;
    UNIT_INT(postern_plugin.needs, POSTERN_NEED_DNS);
    UNIT_TRUE(strcmp(n[0].row, "engine") == 0 && strcmp(n[0].value, "libspf2") == 0);
    UNIT_INT(n[0].needs, POSTERN_NEED_ALONE);
    UNIT_TRUE(n[1].row == NULL);
}
#endif

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"screen", test_screen},
        {"screen_limits", test_screen_limits},
#ifdef HAVE_LIBSPF2
        {"results", test_results},
        {"crash", test_crash},
        {"include_tree", test_include_tree},
        {"limits", test_limits},
        {"deadline", test_deadline},
        {"alone", test_alone},
#endif
        {NULL, NULL},
    };
    return unit_main("spf_guard", tests, argc, argv);
}

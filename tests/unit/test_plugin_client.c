#include "unit.h"

#include "client.h"
#include "fakehost.h"
#include "net.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

static struct postern_str view(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* ---- names by themselves */

static void test_helo_read(void)
{
    static char long_label[] =
        "a123456789012345678901234567890123456789012345678901234567890123.test";
    char longest[CLIENT_NAME_MAX + 2];
    static const struct {
        const char *helo;
        enum client_helo want;
        const char *ip;
    } rows[] = {
        {"mail.b.test", CLIENT_HELO_NAME, NULL},
        {"MAIL.B.TEST", CLIENT_HELO_NAME, NULL},
        {"x-1.b.test", CLIENT_HELO_NAME, NULL},
        {"1.b.test", CLIENT_HELO_NAME, NULL},
        {"b.4est", CLIENT_HELO_NAME, NULL},
        {"friend", CLIENT_HELO_SHORT, NULL},
        {"localhost", CLIENT_HELO_SHORT, NULL},
        {"localhost.localdomain", CLIENT_HELO_SHORT, NULL},
        {"pc.LAN", CLIENT_HELO_SHORT, NULL},
        {"pc.office.local", CLIENT_HELO_SHORT, NULL},
        {"local.b.test", CLIENT_HELO_NAME, NULL},
        {"", CLIENT_HELO_BAD, NULL},
        {".", CLIENT_HELO_BAD, NULL},
        {"b.test.", CLIENT_HELO_BAD, NULL},
        {".b.test", CLIENT_HELO_BAD, NULL},
        {"b..test", CLIENT_HELO_BAD, NULL},
        {"-a.b.test", CLIENT_HELO_BAD, NULL},
        {"a-.b.test", CLIENT_HELO_BAD, NULL},
        {"a_b.test", CLIENT_HELO_BAD, NULL},
        {"a b.test", CLIENT_HELO_BAD, NULL},
        {"caf\xc3\xa9.test", CLIENT_HELO_BAD, NULL},
        {"b.123", CLIENT_HELO_BAD, NULL},
        {"1.2.3", CLIENT_HELO_BAD, NULL},
        {"192.0.2.256", CLIENT_HELO_BAD, NULL},
        {long_label, CLIENT_HELO_BAD, NULL},
        {long_label + 1, CLIENT_HELO_NAME, NULL},
        {"192.0.2.7", CLIENT_HELO_ADDRESS, "192.0.2.7"},
        {"2001:db8::7", CLIENT_HELO_ADDRESS, "2001:db8::7"},
        {"::ffff:192.0.2.7", CLIENT_HELO_ADDRESS, "192.0.2.7"},
        {"[192.0.2.7]", CLIENT_HELO_LITERAL, "192.0.2.7"},
        {"[IPv6:2001:db8::7]", CLIENT_HELO_LITERAL, "2001:db8::7"},
        {"[ipv6:2001:DB8::7]", CLIENT_HELO_LITERAL, "2001:db8::7"},
        {"[2001:db8::7]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[IPv6:192.0.2.7]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[192.0.2]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[192.0.2.7", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[192.0.2.07]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[IPv6:]", CLIENT_HELO_LITERAL_BAD, NULL},
        {"[x:192.0.2.7]", CLIENT_HELO_LITERAL_BAD, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char ip[16];
        struct pn_ip want;
        unit_row(rows[i].helo);
        UNIT_INT(client_helo_read(view(rows[i].helo), ip), rows[i].want);
        if (rows[i].ip != NULL) {
            UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &want));
            UNIT_INT(memcmp(ip, want.b, sizeof ip), 0);
        }
    }
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 2 == 0 ? 'a' : '.';
    unsigned char ip[16];
    UNIT_INT(client_helo_read((struct postern_str){longest, CLIENT_NAME_MAX}, ip),
             CLIENT_HELO_NAME);
    longest[CLIENT_NAME_MAX] = 'a';
    UNIT_INT(client_helo_read((struct postern_str){longest, CLIENT_NAME_MAX + 1}, ip),
             CLIENT_HELO_BAD);
    UNIT_INT(client_helo_read((struct postern_str){"192.0.2.7\0x", 11}, ip), CLIENT_HELO_BAD);
}

static void test_has_address(void)
{
    static const struct {
        const char *ip, *name;
        bool want;
    } rows[] = {
        {"192.0.2.7", "192-0-2-7.isp.test", true},
        {"192.0.2.7", "host7-2-0-192.isp.test", true},
        {"192.0.2.7", "7.2.0.192.isp.test", true},
        {"192.0.2.7", "ip192x000x002x007.isp.test", true},
        {"192.0.2.7", "h192000002007.isp.test", true},
        {"192.0.2.7", "007002000192.isp.test", true},
        {"192.0.2.7", "pC0000207.isp.test", true},
        {"192.0.2.7", "070200c0.isp.test", true},
        {"192.0.2.7", "r1-192-0-2-7.isp.test", true},
        {"192.0.2.7", "192-0-2-7", true},
        {"192.0.2.7", "mail.b.test", false},
        {"192.0.2.7", "192-0-2-8.isp.test", false},
        {"192.0.2.7", "192-0-2.isp.test", false},
        {"192.0.2.7", "192-0-7-2.isp.test", false},
        {"192.0.2.7", "1192-0-2-7.isp.test", false},
        {"192.0.2.7", "192-0-2-71.isp.test", false},
        {"192.0.2.7", "192-0-1-2-7.isp.test", false},
        {"192.0.2.7", "", false},
        {"1.1.1.1", "1.1.1.test", false},
        {"1.1.1.1", "1.1.1.1.test", true},
        {"2001:db8::7", "2001-db8-0-0-0-0-0-7.isp.test", true},
        {"2001:db8::7", "7-0-0-0-0-0-db8-2001.isp.test", true},
        {"2001:db8::7", "2001-0db8-0000-0000-0000-0000-0000-0007.isp.test", true},
        {"2001:db8::7", "20010db8000000000000000000000007.isp.test", true},
        {"2001:db8::7", "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.isp.test",
         true},
        {"2001:db8::7", "mx7.b.test", false},
        {"2001:db8::7", "2001-db8-0-0-0-0-0-8.isp.test", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_ip ip;
        unit_row(rows[i].name);
        UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &ip));
        UNIT_INT(client_name_has_address(view(rows[i].name), ip.b, pn_ip_is_v4(&ip)), rows[i].want);
    }
}

static bool one_more(void *ctx, size_t n, struct postern_str *word)
{
    *word = POSTERN_STR("Kunde");
    return ctx == NULL && n == 0;
}

static void test_word(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"dsl7.isp.test", "dsl"},
        {"a-DHCP-7.isp.test", "DHCP"},
        {"7.dynamic.isp.test", "dynamic"},
        {"kunde3.isp.test", "kunde"},
        {"mail.b.test", ""},
        {"pool.test", ""},       /* its own name */
        {"mx.dsl.test", ""},     /* the provider's */
        {"dynamics.b.test", ""}, /* another word */
        {"x.mydsl.b.test", ""},
        {"dsl", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].name);
        struct postern_str got = client_name_word(view(rows[i].name), one_more, NULL);
        UNIT_STR(((struct pn_str){got.p, got.len}), pn_str_of(rows[i].want));
    }
    UNIT_INT(client_name_word(view("kunde3.isp.test"), one_more, (void *)rows).len, 0);
}

/* ---- the plugin */

#define ZONE                                                                                       \
    "7.2.0.192.in-addr.arpa PTR mail.b.test\n"                                                     \
    "mail.b.test A 192.0.2.7\n"                                                                    \
    "8.2.0.192.in-addr.arpa PTR liar.b.test\n"                                                     \
    "liar.b.test A 192.0.2.99\n"                                                                   \
    "9.2.0.192.in-addr.arpa PTR a.isp.test\n"                                                      \
    "9.2.0.192.in-addr.arpa PTR dsl-192-0-2-9.isp.test\n"                                          \
    "9.2.0.192.in-addr.arpa PTR z.isp.test\n"                                                      \
    "dsl-192-0-2-9.isp.test A 192.0.2.9\n"                                                         \
    "z.isp.test A 192.0.2.1\n"                                                                     \
    "z.isp.test A 192.0.2.9\n"                                                                     \
    "10.2.0.192.in-addr.arpa PTR 10-2-0-192.isp.test\n"                                            \
    "11.2.0.192.in-addr.arpa PTR TIMEOUT\n"                                                        \
    "12.2.0.192.in-addr.arpa PTR slow.isp.test\n"                                                  \
    "slow.isp.test A SERVFAIL\n"                                                                   \
    "13.2.0.192.in-addr.arpa PTR a.b.test\n"                                                       \
    "13.2.0.192.in-addr.arpa PTR slow.isp.test\n"                                                  \
    "a.b.test A 192.0.2.13\n"                                                                      \
    "14.2.0.192.in-addr.arpa PTR dhcp.r.isp.test\n"                                                \
    "dhcp.r.isp.test A 192.0.2.14\n"                                                               \
    "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.b.test\n"    \
    "six.b.test AAAA 2001:db8::7\n"                                                                \
    "gone.b.test NXDOMAIN\n"                                                                       \
    "only.six.b.test AAAA 2001:db8::99\n"                                                          \
    "half.b.test AAAA SERVFAIL\n"                                                                  \
    "half.b.test A NODATA\n"                                                                       \
    "text.b.test TXT \"x\"\n"

static const struct fake_row settings[] = {{"skip", {"198.51.100.0/24", "2001:db8:ffff::/48"}},
                                           {"max-names", {"2"}},
                                           {"our-name", {"here.test", "mail.here.test"}},
                                           {"our-address", {"203.0.113.1"}},
                                           {"generic-word", {"kunde"}},
                                           {NULL}};

static void test_settings(void)
{
    static const char *const bad[] = {"dyn-1", "pool7", ".", "d\xc3\xbcnn"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct fake_row rows[] = {{"generic-word", {"kunde", bad[i]}}, {NULL}};
        char want[100];
        struct fakehost *h = fakehost_new(&postern_plugin, rows, "");
        (void)snprintf(want, sizeof want, "test.conf:1:1: expected letters alone, not \"%s\"\n",
                       bad[i]);
        unit_row(bad[i]);
        UNIT_STR(fakehost_setup_error(h), pn_str_of(want));
        fakehost_free(&h);
    }
}

static void run_stage(enum postern_stage stage, const struct fake_row *rows, const char *ip,
                      const char *helo, uint32_t early, const char *facts, const char *auth)
{
    struct fakehost *h = fakehost_new(&postern_plugin, rows, ZONE);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_client(h, ip, helo);
    fakehost_early(h, early);
    UNIT_INT(fakehost_run(h, stage), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(facts));
    UNIT_STR(fakehost_auth(h), pn_str_of(auth));
    fakehost_free(&h);
}

static void test_name(void)
{
    static const struct {
        const char *ip, *facts, *auth;
    } rows[] = {
        {"192.0.2.7", "CLIENT_NAME=0(mail.b.test)", "iprev=pass ip=192.0.2.7 name=mail.b.test"},
        {"192.0.2.8", "CLIENT_NAME_UNCONFIRMED=1(liar.b.test)", "iprev=fail ip=192.0.2.8"},
        {"192.0.2.9",
         "CLIENT_NAME_GENERIC=0.5(dsl-192-0-2-9.isp.test (address)) "
         "CLIENT_NAME=0(dsl-192-0-2-9.isp.test)",
         "iprev=pass ip=192.0.2.9 name=dsl-192-0-2-9.isp.test"},
        {"192.0.2.10",
         "CLIENT_NAME_GENERIC=0.5(10-2-0-192.isp.test (address)) "
         "CLIENT_NAME_UNCONFIRMED=1(10-2-0-192.isp.test)",
         "iprev=fail ip=192.0.2.10"},
        {"192.0.2.11", "CLIENT_NAME_TEMPERROR=0(PTR)", "iprev=temperror ip=192.0.2.11"},
        {"192.0.2.12", "CLIENT_NAME_TEMPERROR=0(slow.isp.test)", "iprev=temperror ip=192.0.2.12"},
        {"192.0.2.13", "CLIENT_NAME=0(a.b.test)", "iprev=pass ip=192.0.2.13 name=a.b.test"},
        {"192.0.2.14",
         "CLIENT_NAME_GENERIC=0.5(dhcp.r.isp.test (dhcp)) CLIENT_NAME=0(dhcp.r.isp.test)",
         "iprev=pass ip=192.0.2.14 name=dhcp.r.isp.test"},
        {"192.0.2.99", "CLIENT_NAME_NONE=1", "iprev=permerror ip=192.0.2.99"},
        {"2001:db8::7", "CLIENT_NAME=0(six.b.test)", "iprev=pass ip=2001:db8::7 name=six.b.test"},
        {"2001:db8::8", "CLIENT_NAME_NONE=1", "iprev=permerror ip=2001:db8::8"},
        {"198.51.100.7", "", ""},
        {"2001:db8:ffff::1", "", ""},
        {"127.0.0.1", "", ""},
        {"::1", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *facts = rows[i].facts;
        char with_many[300];
        unit_row(rows[i].ip);
        if (strcmp(rows[i].ip, "192.0.2.9") == 0) { /* has three */
            (void)snprintf(with_many, sizeof with_many, "CLIENT_NAME_MANY=0(3) %s", facts);
            facts = with_many;
        }
        run_stage(POSTERN_CONNECT, settings, rows[i].ip, "", 0, facts, rows[i].auth);
    }
    unit_row("all of them: the given name is taken");
    run_stage(POSTERN_CONNECT, NULL, "192.0.2.9", "", 0, "CLIENT_NAME=0(z.isp.test)",
              "iprev=pass ip=192.0.2.9 name=z.isp.test");
}

static void test_helo(void)
{
    static const struct fake_row quiet[] = {{"helo-lookup", {"no"}}, {NULL}};
    static const struct {
        const char *ip, *helo, *want;
        const struct fake_row *rows;
    } rows[] = {
        {"192.0.2.7", "mail.b.test", "CLIENT_HELO_CONFIRMED=0(mail.b.test)", settings},
        {"192.0.2.7", "liar.b.test", "CLIENT_HELO_ELSEWHERE=0.2(liar.b.test)", settings},
        {"192.0.2.7", "gone.b.test", "CLIENT_HELO_UNKNOWN=0.5(gone.b.test)", settings},
        {"192.0.2.7", "text.b.test", "CLIENT_HELO_UNKNOWN=0.5(text.b.test)", settings},
        {"192.0.2.7", "only.six.b.test", "CLIENT_HELO_ELSEWHERE=0.2(only.six.b.test)", settings},
        {"192.0.2.7", "slow.isp.test", "CLIENT_HELO_TEMPERROR=0(slow.isp.test)", settings},
        {"192.0.2.7", "half.b.test", "CLIENT_HELO_TEMPERROR=0(half.b.test)", settings},
        {"2001:db8::7", "six.b.test", "CLIENT_HELO_CONFIRMED=0(six.b.test)", settings},
        {"2001:db8::7", "mail.b.test", "CLIENT_HELO_ELSEWHERE=0.2(mail.b.test)", settings},
        {"192.0.2.7", "[192.0.2.7]", "CLIENT_HELO_LITERAL=0.2([192.0.2.7])", settings},
        {"192.0.2.7", "[192.0.2.8]", "CLIENT_HELO_LITERAL_OTHER=1([192.0.2.8])", settings},
        {"2001:db8::7", "[IPv6:2001:db8:0::7]", "CLIENT_HELO_LITERAL=0.2([IPv6:2001:db8:0::7])",
         settings},
        {"192.0.2.7", "[192.0.2]", "CLIENT_HELO_LITERAL_BAD=1([192.0.2])", settings},
        {"192.0.2.7", "192.0.2.7", "CLIENT_HELO_ADDRESS=1.5(192.0.2.7)", settings},
        {"192.0.2.7", "friend", "CLIENT_HELO_SHORT=0.5(friend)", settings},
        {"192.0.2.7", "a_b.test", "CLIENT_HELO_BAD=1(a_b.test)", settings},
        {"192.0.2.7", "a\tb", "CLIENT_HELO_BAD=1(a\tb)", settings},
        {"192.0.2.7", "\xff.test", "CLIENT_HELO_BAD=1", settings},
        {"192.0.2.7", "MX.here.test", "CLIENT_HELO_OURS=3(MX.here.test)", NULL},
        {"192.0.2.7", "here.test", "CLIENT_HELO_OURS=3(here.test)", settings},
        {"192.0.2.7", "Mail.Here.Test", "CLIENT_HELO_OURS=3(Mail.Here.Test)", settings},
        {"192.0.2.7", "here.test", "CLIENT_HELO_UNKNOWN=0.5(here.test)", NULL},
        {"192.0.2.7", "[203.0.113.1]", "CLIENT_HELO_OURS=3([203.0.113.1])", settings},
        {"192.0.2.7", "203.0.113.1", "CLIENT_HELO_OURS=3(203.0.113.1)", settings},
        {"192.0.2.7", "liar.b.test", "", quiet},
        {"192.0.2.7", "friend", "CLIENT_HELO_SHORT=0.5(friend)", quiet},
        {"192.0.2.7", "", "", settings},
        {"198.51.100.7", "friend", "", settings},
        {"127.0.0.1", "localhost", "", settings},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].helo);
        run_stage(POSTERN_HELO, rows[i].rows, rows[i].ip, rows[i].helo, 0, rows[i].want, "");
    }
}

/* Who says that it is the address to which it connected. */
static void test_helo_local(void)
{
    static const struct {
        const char *ip, *local, *helo, *want;
    } rows[] = {
        {"192.0.2.7", "203.0.113.25", "[203.0.113.25]", "CLIENT_HELO_OURS=3([203.0.113.25])"},
        {"192.0.2.7", "203.0.113.25", "203.0.113.25", "CLIENT_HELO_OURS=3(203.0.113.25)"},
        {"192.0.2.7", "203.0.113.25", "[203.0.113.26]",
         "CLIENT_HELO_LITERAL_OTHER=1([203.0.113.26])"},
        {"2001:db8::7", "2001:db8::25", "[IPv6:2001:db8:0::25]",
         "CLIENT_HELO_OURS=3([IPv6:2001:db8:0::25])"},
        {"203.0.113.25", "203.0.113.25", "[203.0.113.25]",
         "CLIENT_HELO_LITERAL=0.2([203.0.113.25])"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, "");
        unit_row(rows[i].helo);
        fakehost_client(h, rows[i].ip, rows[i].helo);
        fakehost_local(h, rows[i].local, 25);
        UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

static void test_early(void)
{
    enum { ALL = POSTERN_EARLY_GREETING | POSTERN_EARLY_HELO | POSTERN_EARLY_COMMAND };
    unit_row("greeting");
    run_stage(POSTERN_CONNECT, settings, "192.0.2.99", "", ALL,
              "CLIENT_EARLY_GREETING=3 CLIENT_NAME_NONE=1", "iprev=permerror ip=192.0.2.99");
    run_stage(POSTERN_HELO, settings, "192.0.2.7", "", ALL, "CLIENT_EARLY_HELO=1.5", "");
    run_stage(POSTERN_HEADERS, settings, "192.0.2.7", "", ALL, "CLIENT_EARLY_COMMAND=1", "");
    unit_row("skipped");
    run_stage(POSTERN_CONNECT, settings, "198.51.100.7", "", ALL, "", "");
    run_stage(POSTERN_HELO, settings, "198.51.100.7", "x", ALL, "", "");
    run_stage(POSTERN_HEADERS, settings, "198.51.100.7", "x", ALL, "", "");
    unit_row("others");
    run_stage(POSTERN_HEADERS, settings, "192.0.2.7", "", POSTERN_EARLY_GREETING, "", "");
}

/* What is asked, once each, and what is not. */
static void test_questions(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, ZONE);
    fakehost_client(h, "192.0.2.9", "friend");
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
    UNIT_STR(fakehost_asked(h),
             PN_STR("PTR 9.2.0.192.in-addr.arpa, A a.isp.test, A dsl-192-0-2-9.isp.test"));
    fakehost_reset(h);
    fakehost_auth_id(h, "user");
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
    UNIT_INT(fakehost_asked_count(h), 0);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, settings, ZONE);
    fakehost_client(h, "192.0.2.7", "gone.b.test");
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
    UNIT_STR(fakehost_asked(h), PN_STR("A gone.b.test")); /* what is not there has no AAAA */
    fakehost_free(&h);
}

/* The host's limits end the call, whichever question meets them. */
static void test_limits(void)
{
    for (unsigned lookups = 0; lookups < 3; lookups++) {
        struct fakehost *h = fakehost_new(&postern_plugin, settings, ZONE);
        fakehost_client(h, "192.0.2.9", "liar.b.test");
        fakehost_limits(h, lookups, 1 << 20, 5000);
        UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_LIMIT);
        UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_LIMIT);
        fakehost_free(&h);
    }
    struct fakehost *h = fakehost_new(&postern_plugin, settings, ZONE);
    fakehost_client(h, "192.0.2.9", "liar.b.test");
    fakehost_limits(h, 10, 1 << 20, 0);
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_DEADLINE);
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_DEADLINE);
    UNIT_STR(fakehost_auth(h), PN_STR(""));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"settings", test_settings},
                                             {"HELO by itself", test_helo_read},
                                             {"names with an address", test_has_address},
                                             {"words", test_word},
                                             {"the client's name", test_name},
                                             {"HELO", test_helo},
                                             {"our address in HELO", test_helo_local},
                                             {"early", test_early},
                                             {"questions", test_questions},
                                             {"limits", test_limits},
                                             {NULL, NULL}};
    return unit_main("client", tests, argc, argv);
}

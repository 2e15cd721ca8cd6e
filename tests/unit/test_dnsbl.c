#include "unit.h"

#include "dnsbl_ask.h"
#include "dnsbl_proof.h"
#include "fakehost.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

static struct postern_str str(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* ---- names and codes ---- */

static void test_code(void)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"127.0.0.2", true},
        {"127.0.0.0/24", true},
        {"127.0.0.0/8", true},
        {"127.0.0.1", true},
        {"127.0.0.0/7", false},
        {"127.0.0.0/33", false},
        {"127.0.0.0/", false},
        {"127.0.0.0/8x", false},
        {"127.255.255.254", false},
        {"127.255.255.0", false},
        {"127.255.254.1", true},
        {"128.0.0.2", false},
        {"10.0.0.1", false},
        {"127.0.0", false},
        {"", false},
        {"127.0.0.0/99999999999", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dnsbl_code code;
        unit_row(rows[i].text);
        UNIT_INT(dnsbl_code_parse(str(rows[i].text), &code), rows[i].want);
    }
}

static void test_domain(void)
{
    static const struct {
        const char *text, *want; /* NULL: none */
    } rows[] = {
        {"A.Test", "a.test"},
        {"a.test.", "a.test"},
        {"_x.a-b.test", "_x.a-b.test"},
        {"test", NULL},
        {"", NULL},
        {".", NULL},
        {"a..test", NULL},
        {".a.test", NULL},
        {"a.test..", NULL},
        {"192.0.2.1", NULL},
        {"[192.0.2.1]", NULL},
        {"a b.test", NULL},
        {"caf\xc3\xa9.test", "xn--caf-dma.test"},
        {"CAF\xc3\x89.test", "xn--caf-dma.test"},
        {"caf\xc3.test", NULL},
        {"\xe3\x80\x82.test", NULL},
        {"a.b1", "a.b1"},
        {"a.test/x", NULL},
        {"123456789012345678901234567890123456789012345678901234567890123.test",
         "123456789012345678901234567890123456789012345678901234567890123.test"},
        {"1234567890123456789012345678901234567890123456789012345678901234.test", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[DNSBL_NAME_MAX + 1];
        size_t len = dnsbl_domain(str(rows[i].text), room);
        unit_row(rows[i].text);
        UNIT_INT(len != 0, rows[i].want != NULL);
        if (len != 0 && rows[i].want != NULL)
            UNIT_STR(((struct pn_str){room, len}), pn_str_of(rows[i].want));
    }
    char room[DNSBL_NAME_MAX + 1], name[DNSBL_NAME_MAX + 2], long_zone[200];
    struct dnsbl_zone zone = {.ipv4 = true};
    memset(name, 'a', sizeof name);
    for (size_t i = 60; i < sizeof name; i += 60)
        name[i] = '.';
    unit_row("a name as long as can be, and one byte more");
    UNIT_INT(dnsbl_domain((struct postern_str){name, DNSBL_NAME_MAX}, room), DNSBL_NAME_MAX);
    UNIT_INT(dnsbl_domain((struct postern_str){name, DNSBL_NAME_MAX + 1}, room), 0);
    memcpy(long_zone, name, sizeof long_zone);
    UNIT_TRUE(dnsbl_zone_name(&zone, (struct postern_str){long_zone, DNSBL_ZONE_MAX - 1}));
    UNIT_TRUE(
        dnsbl_ask_name(&zone, (struct postern_str){name, DNSBL_NAME_MAX - DNSBL_ZONE_MAX}, room));
    UNIT_INT(strlen(room), DNSBL_NAME_MAX);
    UNIT_TRUE(!dnsbl_ask_name(
        &zone, (struct postern_str){name, DNSBL_NAME_MAX - DNSBL_ZONE_MAX + 1}, room));
    UNIT_TRUE(!dnsbl_zone_name(&zone, (struct postern_str){name, DNSBL_ZONE_MAX + 2}));
}

/* ---- the plugin ---- */

#define ROWS(...)   ((const struct fake_row[]){__VA_ARGS__, {NULL}})
#define BLOCKS(...) ((const struct fake_block[]){__VA_ARGS__, {NULL}})
#define WEIGHT(w)   ROWS({"weight", {w}})

static const struct fake_row plain[] = {{"zone", .blocks = BLOCKS({"bl.test", NULL})}, {NULL}};
static const struct fake_row coded[] = {
    {"zone",
     .blocks = BLOCKS({"bl.test", ROWS({"code", .blocks = BLOCKS({"127.0.0.2", WEIGHT("4")},
                                                                 {"127.0.0.8/29", WEIGHT("2")},
                                                                 {"127.0.1.0/24", NULL})})})},
    {NULL}};
static const struct fake_row rest[] = {
    {"zone",
     .blocks = BLOCKS({"bl.test", ROWS({"weight", {"0.5"}},
                                       {"code", .blocks = BLOCKS({"127.0.0.2", WEIGHT("4")})})})},
    {NULL}};
static const struct fake_row bits[] = {
    {"zone", .blocks = BLOCKS({"bl.test", ROWS({"bit", .blocks = BLOCKS({"2", WEIGHT("3")},
                                                                        {"8", WEIGHT("1.5")})})})},
    {NULL}};
static const struct fake_row two[] = {
    {"zone", .blocks = BLOCKS({"BL.test.", NULL},
                              {"wl.test", ROWS({"allow", {"yes"}}, {"weight", {"-2"}})})},
    {"skip", {"198.51.100.0/24"}},
    {NULL}};

struct row {
    const char *label;
    const struct fake_row *settings;
    const char *ip, *dns, *want;
};

static void test_client(void)
{
    static const struct row rows[] = {
        {"not listed", plain, "192.0.2.7", "", ""},
        {"listed", plain, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.2", "DNSBL_LISTED=3(bl.test)"},
        {"IPv6", plain, "2001:db8::7",
         "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test A 127.0.0.2",
         "DNSBL_LISTED=3(bl.test)"},
        {"mapped", plain, "::ffff:192.0.2.7", "7.2.0.192.bl.test A 127.0.0.2",
         "DNSBL_LISTED=3(bl.test)"},
        {"several answers, one listing", plain, "192.0.2.7",
         "7.2.0.192.bl.test A 127.0.0.2\n7.2.0.192.bl.test A 127.0.0.3", "DNSBL_LISTED=3(bl.test)"},
        {"refused us", plain, "192.0.2.7", "7.2.0.192.bl.test A 127.255.255.254",
         "DNSBL_ERROR=0(bl.test: answered 127.255.255.254)"},
        {"was sold", plain, "192.0.2.7", "*.bl.test A 203.0.113.9",
         "DNSBL_ERROR=0(bl.test: answered 203.0.113.9)"},
        {"127.0.0.1 is no listing", plain, "192.0.2.7", "*.bl.test A 127.0.0.1",
         "DNSBL_ERROR=0(bl.test: answered 127.0.0.1)"},
        {"trouble beside a listing", plain, "192.0.2.7",
         "7.2.0.192.bl.test A 127.255.255.1\n7.2.0.192.bl.test A 127.0.0.4",
         "DNSBL_LISTED=3(bl.test)"},
        {"silent", plain, "192.0.2.7", "7.2.0.192.bl.test TIMEOUT",
         "DNSBL_ERROR=0(bl.test: no answer)"},
        {"broken", plain, "192.0.2.7", "7.2.0.192.bl.test SERVFAIL",
         "DNSBL_ERROR=0(bl.test: lookup failed)"},
        {"no data", plain, "192.0.2.7", "7.2.0.192.bl.test TXT x", ""},
        {"code", coded, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.2", "DNSBL_LISTED=4(bl.test)"},
        {"code by network", coded, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.15",
         "DNSBL_LISTED=2(bl.test)"},
        {"beside the network", coded, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.16", ""},
        {"code without a weight", coded, "192.0.2.7", "7.2.0.192.bl.test A 127.0.1.9",
         "DNSBL_LISTED=3(bl.test)"},
        {"the heaviest of two", coded, "192.0.2.7",
         "7.2.0.192.bl.test A 127.0.0.2\n7.2.0.192.bl.test A 127.0.0.10",
         "DNSBL_LISTED=4(bl.test)"},
        {"no code names it, but the zone weighs", rest, "192.0.2.7",
         "7.2.0.192.bl.test A 127.0.0.77", "DNSBL_LISTED=0.5(bl.test)"},
        {"bit", bits, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.10", "DNSBL_LISTED=3(bl.test)"},
        {"other bit", bits, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.12",
         "DNSBL_LISTED=1.5(bl.test)"},
        {"no bit", bits, "192.0.2.7", "7.2.0.192.bl.test A 127.0.0.4", ""},
        {"bit of another byte", bits, "192.0.2.7", "7.2.0.192.bl.test A 127.0.2.2", ""},
        {"good and bad", two, "192.0.2.7",
         "7.2.0.192.bl.test A 127.0.0.2\n7.2.0.192.wl.test A 127.0.0.2",
         "DNSBL_LISTED=3(bl.test) DNSBL_ALLOWED=-2(wl.test)"},
        {"one list silent, the other not", two, "192.0.2.7",
         "7.2.0.192.bl.test TIMEOUT\n7.2.0.192.wl.test A 127.0.0.2",
         "DNSBL_ERROR=0(bl.test: no answer) DNSBL_ALLOWED=-2(wl.test)"},
        {"skipped", two, "198.51.100.9", "9.100.51.198.bl.test A 127.0.0.2", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, rows[i].dns);
        unit_row(rows[i].label);
        fakehost_client(h, rows[i].ip, "h.test");
        fakehost_envelope(h, "u@a.test", "");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        fakehost_reset(h);
        fakehost_auth_id(h, "user");
        fakehost_envelope(h, "u@a.test", "");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), PN_STR(""));
        fakehost_free(&h);
    }
}

static const struct fake_row names[] = {
    {"zone", .blocks = BLOCKS({"nm.test", ROWS({"check", {"helo", "from", "header-from", "url"}},
                                               {"ask", {"parents"}})})},
    {NULL}};
static const struct fake_row exact[] = {
    {"zone", .blocks = BLOCKS({"nm.test", ROWS({"check", {"from", "url"}}, {"ask", {"host"}},
                                               {"url-addresses", {"yes"}})})},
    {"max-names", {"2"}},
    {NULL}};

#define LETTER                                                                                     \
    "From: A <a@spam.test>, b@Fine.example\n\nsee http://www.bad.example/x and "                   \
    "http://192.0.2.9/ and http://www.bad.example/y http://third.example/"

static void test_names(void)
{
    static const struct {
        const char *label;
        const struct fake_row *settings;
        const char *helo, *from, *dns, *want, *asked;
    } rows[] = {
        {"names of the envelope", names, "mail.h.test", "u@x.y.a.test",
         "h.test.nm.test A 127.0.0.2\na.test.nm.test A 127.0.0.2\ny.a.test.nm.test A 127.0.0.2",
         "DNSBL_LISTED=3(nm.test h.test) DNSBL_LISTED=3(nm.test y.a.test) "
         "DNSBL_LISTED=3(nm.test spam.test) DNSBL_LISTED=3(nm.test bad.example)",
         "A mail.h.test.nm.test, A h.test.nm.test, A x.y.a.test.nm.test, A y.a.test.nm.test, "
         "A a.test.nm.test, A spam.test.nm.test, A fine.example.nm.test, "
         "A www.bad.example.nm.test, A bad.example.nm.test, A third.example.nm.test"},
        {"nothing that is a name", names, "[192.0.2.1]", "", "",
         "DNSBL_LISTED=3(nm.test spam.test) DNSBL_LISTED=3(nm.test bad.example)",
         "A spam.test.nm.test, A fine.example.nm.test, A www.bad.example.nm.test, "
         "A bad.example.nm.test, A third.example.nm.test"},
        {"whole names, addresses in links, two names at most", exact, "h.test", "u@x.a.test",
         "9.2.0.192.nm.test A 127.0.0.3\na.test.nm.test A 127.0.0.2",
         "DNSBL_LISTED=3(nm.test) DNSBL_LEFT_OUT=0(links to more than 2 hosts)",
         "A x.a.test.nm.test, A www.bad.example.nm.test, A 9.2.0.192.nm.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str dns = pn_str_of(rows[i].dns);
        char zone[2048];
        (void)snprintf(zone, sizeof zone,
                       "%.*s\nspam.test.nm.test A 127.0.0.2\n"
                       "bad.example.nm.test A 127.0.0.2\n",
                       PN_FMT(dns));
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, zone);
        unit_row(rows[i].label);
        fakehost_client(h, "192.0.2.1", rows[i].helo);
        fakehost_envelope(h, rows[i].from, "");
        fakehost_message(h, PN_STR(LETTER));
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        UNIT_STR(fakehost_asked(h), pn_str_of(rows[i].asked));
        fakehost_free(&h);
    }
}

static const struct fake_row many[] = {
    {"max-names", {"200"}},
    {"max-questions", {"300"}},
    {"zone", .blocks = BLOCKS({"a.test", ROWS({"check", {"url"}}, {"ask", {"parents"}},
                                              {"max-questions", {"300"}})},
                              {"b.test", ROWS({"check", {"url"}})})},
    {NULL}};

/* More links than any list should be asked about. */
static void test_many(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, many, NULL);
    static char text[64 * 1024];
    int n = snprintf(text, sizeof text, "Subject: x\n\n");
    for (int i = 0; i < 1000; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "http://h%d.x%d.example/\n", i, i);
    fakehost_message(h, pn_str_of(text));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_INT(fakehost_asked_count(h), 300);
    UNIT_STR(fakehost_facts(h), PN_STR("DNSBL_LEFT_OUT=0(a.test: 150 questions) "
                                       "DNSBL_LEFT_OUT=0(b.test: 150 questions) "
                                       "DNSBL_LEFT_OUT=0(links to more than 200 hosts)"));
    fakehost_reset(h);
    fakehost_message(h, pn_str_of(text));
    fakehost_limits(h, 7, 8 << 20, 5000);
    unit_row("the host lets ask seven");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    fakehost_reset(h);
    fakehost_message(h, pn_str_of(text));
    fakehost_limits(h, 700, 100, 5000);
    unit_row("no memory");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_LIMIT);
    fakehost_limits(h, 700, 8 << 20, 0);
    unit_row("no time");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_DEADLINE);
    fakehost_free(&h);
}

/* ---- names of other kinds ---- */

static void test_registered(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"a.b.co.uk", "b.co.uk"},
        {"b.co.uk", "b.co.uk"},
        {"co.uk", "co.uk"},
        {"x.y.example", "y.example"},
        {"evil.blogspot.com", "evil.blogspot.com"},
        {"a.b.kobe.jp", "a.b.kobe.jp"},
        {"x.a.b.kobe.jp", "a.b.kobe.jp"},
        {"xn--bcher-kva.test", "xn--bcher-kva.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_str got = dnsbl_registered(psl_builtin(), rows[i].name);
        unit_row(rows[i].name);
        UNIT_STR(((struct pn_str){got.p, got.len}), pn_str_of(rows[i].want));
        got = dnsbl_registered(NULL, rows[i].name);
        UNIT_STR(((struct pn_str){got.p, got.len}), pn_str_of(rows[i].name));
    }
}

static void test_below_and_ip(void)
{
    static const struct {
        const char *name, *parent;
        bool want;
    } rows[] = {
        {"a.test", "a.test", true}, {"b.a.test", "a.test", true}, {"ba.test", "a.test", false},
        {"test", "a.test", false},  {"a.test", "test", true},
    };
    static const struct {
        const char *text;
        bool want, is_ipv4;
    } ips[] = {
        {"192.0.2.1", true, true},
        {"2001:db8::1", true, false},
        {"::ffff:192.0.2.1", true, true},
        {"", false, false},
        {"192.0.2", false, false},
        {"192.0.2.1.", false, false},
        {"a.test", false, false},
        {"2001:0db8:0000:0000:0000:0000:0000:0001:0000000000000", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].name);
        UNIT_INT(dnsbl_below(str(rows[i].name), str(rows[i].parent)), rows[i].want);
    }
    for (size_t i = 0; i < sizeof ips / sizeof ips[0]; i++) {
        unsigned char ip[16];
        bool is_ipv4 = false;
        unit_row(ips[i].text);
        UNIT_INT(dnsbl_ip(str(ips[i].text), ip, &is_ipv4), ips[i].want);
        UNIT_INT(is_ipv4, ips[i].is_ipv4);
    }
}

/* ---- what is asked ---- */

#define ZONE(...) .blocks = BLOCKS({"z.test", ROWS(__VA_ARGS__)})

static const struct fake_row domains[] = {{"zone", ZONE({"check", {"url", "from"}})}, {NULL}};
static const struct fake_row both_names[] = {
    {"zone", ZONE({"check", {"url"}}, {"ask", {"domain", "host"}})}, {NULL}};
static const struct fake_row spared_domain[] = {{"zone", ZONE({"check", {"url", "from"}})},
                                                {"skip-domain", {"Good.Example.", "x.test"}},
                                                {NULL}};
static const struct fake_row only_addresses[] = {
    {"zone", ZONE({"check", {"url"}}, {"url-addresses", {"only"}})}, {NULL}};
static const struct fake_row not_v4[] = {
    {"zone", ZONE({"check", {"client", "url"}}, {"url-addresses", {"yes"}}, {"ipv4", {"no"}})},
    {NULL}};
static const struct fake_row not_v6[] = {
    {"zone", ZONE({"check", {"client", "url"}}, {"url-addresses", {"only"}}, {"ipv6", {"no"}})},
    {NULL}};
static const struct fake_row few[] = {
    {"zone", ZONE({"check", {"from", "header-from", "url"}}, {"max-questions", {"2"}})}, {NULL}};
static const struct fake_row few_in_all[] = {
    {"max-questions", {"3"}},
    {"zone", .blocks = BLOCKS({"a.test", ROWS({"check", {"from", "header-from", "url"}})},
                              {"b.test", ROWS({"check", {"from", "header-from", "url"}})})},
    {NULL}};
static const struct fake_row sparing[] = {
    {"zone", .blocks = BLOCKS({"bl.test", ROWS({"check", {"client", "url"}})},
                              {"wl.test", ROWS({"check", {"client", "url"}}, {"allow", {"yes"}},
                                               {"spares", {"yes"}})},
                              {"other.test", ROWS({"check", {"client"}}, {"allow", {"yes"}})})},
    {NULL}};
static const struct fake_row reasons[] = {
    {"zone", .blocks = BLOCKS({"bl.test", ROWS({"check", {"client", "from"}}, {"reason", {"yes"}},
                                               {"max-questions", {"3"}})})},
    {NULL}};

#define V6 "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

static void test_asked(void)
{
    static const char letter[] = "From: a@mail.own.example\n\nhttp://www.bad.co.uk/ "
                                 "http://b\xc3\xbc"
                                 "cher.example/ http://good.example/ "
                                 "http://a.good.example/ http://192.0.2.9/ "
                                 "http://[2001:db8::9]/ http://x.bad.co.uk/ http://co.uk/\n";
    static const struct {
        const char *label;
        const struct fake_row *settings;
        const char *dns, *want, *asked;
    } rows[] = {
        {"registered domains, each once", domains, "bad.co.uk.z.test A 127.0.0.2",
         "DNSBL_LISTED=3(z.test bad.co.uk)",
         "A own.example.z.test, A bad.co.uk.z.test, A xn--bcher-kva.example.z.test, "
         "A good.example.z.test, A co.uk.z.test"},
        {"and hosts", both_names, "x.bad.co.uk.z.test A 127.0.0.2",
         "DNSBL_LISTED=3(z.test x.bad.co.uk)",
         "A www.bad.co.uk.z.test, A bad.co.uk.z.test, A xn--bcher-kva.example.z.test, "
         "A good.example.z.test, A a.good.example.z.test, A x.bad.co.uk.z.test, A co.uk.z.test"},
        {"domains that are skipped", spared_domain, "", "",
         "A own.example.z.test, A bad.co.uk.z.test, A xn--bcher-kva.example.z.test, "
         "A co.uk.z.test"},
        {"links to addresses", only_addresses, V6 ".z.test A 127.0.0.2", "DNSBL_LISTED=3(z.test)",
         "A 9.2.0.192.z.test, A " V6 ".z.test"},
        {"without IPv4", not_v4, "7.2.0.192.z.test A 127.0.0.2", "",
         "A bad.co.uk.z.test, A xn--bcher-kva.example.z.test, A good.example.z.test, A " V6
         ".z.test, A co.uk.z.test"},
        {"without IPv6", not_v6, "7.2.0.192.z.test A 127.0.0.2", "DNSBL_LISTED=3(z.test)",
         "A 7.2.0.192.z.test, A 9.2.0.192.z.test"},
        {"a budget over stages, what two kinds ask counts once", few,
         "own.example.z.test A 127.0.0.2",
         "DNSBL_LISTED=3(z.test own.example) DNSBL_LEFT_OUT=0(z.test: 3 questions)",
         "A own.example.z.test, A bad.co.uk.z.test"},
        {"a budget of all", few_in_all, "",
         "DNSBL_LEFT_OUT=0(a.test: 3 questions) DNSBL_LEFT_OUT=0(b.test: 4 questions)",
         "A own.example.a.test, A own.example.b.test, A bad.co.uk.a.test"},
        {"who is known as good is not asked for elsewhere", sparing,
         "7.2.0.192.wl.test A 127.0.0.2\n7.2.0.192.bl.test A 127.0.0.2\n"
         "good.example.wl.test A 127.0.0.2\nbad.co.uk.bl.test A 127.0.0.2\n"
         "good.example.bl.test A 127.0.0.2",
         "DNSBL_ALLOWED=-1(wl.test) DNSBL_LISTED=3(bl.test bad.co.uk) "
         "DNSBL_ALLOWED=-1(wl.test good.example)",
         "A 7.2.0.192.wl.test, A 7.2.0.192.other.test, A bad.co.uk.wl.test, "
         "A xn--bcher-kva.example.wl.test, A good.example.wl.test, A co.uk.wl.test, "
         "A bad.co.uk.bl.test, A xn--bcher-kva.example.bl.test, A co.uk.bl.test"},
        {"a list of the good in trouble spares nothing", sparing,
         "*.wl.test TIMEOUT\n7.2.0.192.bl.test A 127.0.0.2",
         "DNSBL_LISTED=3(bl.test) DNSBL_ERROR=0(wl.test: no answer)",
         "A 7.2.0.192.wl.test, A 7.2.0.192.other.test, A 7.2.0.192.bl.test, A bad.co.uk.wl.test, "
         "A xn--bcher-kva.example.wl.test, A good.example.wl.test, A co.uk.wl.test, "
         "A bad.co.uk.bl.test, A xn--bcher-kva.example.bl.test, A good.example.bl.test, "
         "A co.uk.bl.test"},
        {"reasons, as far as the budget reaches", reasons,
         "7.2.0.192.bl.test A 127.0.0.2\n7.2.0.192.bl.test TXT \"spam \\007 \\200\"\n"
         "own.example.bl.test A 127.0.0.2\nown.example.bl.test TXT no",
         "DNSBL_LISTED=3(bl.test: spam ? ?) DNSBL_LISTED=3(bl.test own.example) "
         "DNSBL_LEFT_OUT=0(bl.test: 1 question)",
         "A 7.2.0.192.bl.test, A own.example.bl.test, TXT 7.2.0.192.bl.test"},
        {"no reason given", reasons, "7.2.0.192.bl.test A 127.0.0.2", "DNSBL_LISTED=3(bl.test)",
         "A 7.2.0.192.bl.test, A own.example.bl.test, TXT 7.2.0.192.bl.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, rows[i].dns);
        unit_row(rows[i].label);
        fakehost_client(h, "192.0.2.7", "mx.example");
        fakehost_envelope(h, "u@own.example", "");
        fakehost_message(h, pn_str_of(letter));
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        UNIT_STR(fakehost_asked(h), pn_str_of(rows[i].asked));
        fakehost_free(&h);
    }
}

static void test_reason(void)
{
    char room[8];
    dnsbl_reason(POSTERN_STR("1234567"), room, sizeof room);
    UNIT_STR(pn_str_of(room), PN_STR("1234567"));
    dnsbl_reason(POSTERN_STR("12345678"), room, sizeof room);
    UNIT_STR(pn_str_of(room), PN_STR("1234567"));
    dnsbl_reason(POSTERN_STR(""), room, sizeof room);
    UNIT_STR(pn_str_of(room), PN_STR(""));
}

/* ---- the proof ---- */

#define V6_2 "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
#define V6_1 "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

static void test_points(void)
{
    static const struct {
        const char *label;
        struct dnsbl_zone zone;
        const char *want; /* a point each; "!": must not be listed */
    } rows[] = {
        {"addresses",
         {.kinds = 1, .ipv4 = true, .ipv6 = true},
         "2.0.0.127.z !1.0.0.127.z " V6_2 ".z !" V6_1 ".z "},
        {"IPv4 alone", {.kinds = 1, .ipv4 = true}, "2.0.0.127.z !1.0.0.127.z "},
        {"IPv6 alone", {.kinds = 1, .ipv6 = true}, V6_2 ".z !" V6_1 ".z "},
        {"names", {.kinds = 1 << DNSBL_FROM, .ipv4 = true}, "test.z !invalid.z "},
        {"links", {.kinds = 1 << DNSBL_URL, .url_names = true, .ipv4 = true}, "test.z !invalid.z "},
        {"links to addresses alone",
         {.kinds = 1 << DNSBL_URL, .url_addresses = true, .ipv4 = true},
         "2.0.0.127.z !1.0.0.127.z "},
        {"all", {.kinds = 3, .ipv4 = true}, "2.0.0.127.z !1.0.0.127.z test.z !invalid.z "},
        {"nothing", {.kinds = 1}, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dnsbl_zone zone = rows[i].zone;
        char room[DNSBL_NAME_MAX + 1], got[400] = "";
        bool must;
        UNIT_TRUE(dnsbl_zone_name(&zone, POSTERN_STR("z")));
        for (unsigned n = 0; dnsbl_point(&zone, n, room, &must); n++)
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s ", must ? "" : "!",
                           room);
        unit_row(rows[i].label);
        UNIT_STR(pn_str_of(got), pn_str_of(rows[i].want));
    }
}

static void test_standing(void)
{
    static const struct {
        const char *standing;
        enum dnsbl_state want; /* of bl.test */
    } rows[] = {
        {"", DNSBL_IN_USE},
        {"bl.test=everything", DNSBL_EVERYTHING},
        {"x=nothing bl.test=nothing", DNSBL_ANSWERLESS},
        {"bl.test=refused y=nothing", DNSBL_REFUSES},
        {"xbl.test=nothing", DNSBL_IN_USE},
        {"bl.test2=nothing", DNSBL_IN_USE},
        {"bl.test", DNSBL_IN_USE},
        {"bl.test=", DNSBL_IN_USE},
        {"bl.test=nothin", DNSBL_IN_USE},
        {"bl.test=nothings", DNSBL_IN_USE},
        {"  bl.test=nothing", DNSBL_ANSWERLESS},
    };
    struct dnsbl_zone zone;
    char room[40] = "";
    UNIT_TRUE(dnsbl_zone_name(&zone, POSTERN_STR("bl.test")));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].standing);
        UNIT_INT(dnsbl_standing_find(str(rows[i].standing), &zone), rows[i].want);
    }
    unit_row("room for two and not for three");
    UNIT_TRUE(dnsbl_standing_add(room, sizeof room, &zone, DNSBL_EVERYTHING));
    UNIT_TRUE(dnsbl_standing_add(room, sizeof room, &zone, DNSBL_REFUSES));
    UNIT_TRUE(!dnsbl_standing_add(room, sizeof room, &zone, DNSBL_REFUSES));
    UNIT_STR(pn_str_of(room), PN_STR("bl.test=everything bl.test=refused"));
}

static const struct fake_row unproved[] = {{"zone", ZONE({"proof", {"no"}})}, {NULL}};
static const struct fake_row proved[] = {
    {"prove-every", {"30m"}},
    {"zone", .blocks = BLOCKS({"z.test", ROWS({"check", {"client", "from"}})},
                              {"y.test", ROWS({"proof", {"no"}})})},
    {NULL}};
static const struct fake_row v4_only[] = {{"zone", ZONE({"ipv6", {"no"}})}, {NULL}};

static const struct fake_row two_proved[] = {
    {"zone",
     .blocks = BLOCKS({"z.test", ROWS({"ipv6", {"no"}})}, {"x.test", ROWS({"ipv6", {"no"}})})},
    {NULL}};

#define GOOD4     "2.0.0.127.z.test A 127.0.0.2\n"
#define GOOD6     V6_2 ".z.test A 127.0.0.2\n"
#define GOODNAME  "test.z.test A 127.0.0.2\n"
#define SUSPENDED "warn: list z.test is suspended: it "

static void test_tick(void)
{
    enum { MINUTE = 60 * 1000 };
    static const struct {
        const char *label;
        const struct fake_row *settings;
        const char *before, *dns, *want, *log;
        uint32_t next;
    } rows[] = {
        {"as it should be", proved, "", GOOD4 GOOD6 GOODNAME, "", "", 30 * MINUTE},
        {"no point of IPv6", proved, "", GOOD4 GOODNAME, "", "", 30 * MINUTE},
        {"one point of many", proved, "", GOODNAME, "", "", 30 * MINUTE},
        {"nothing", proved, "", "", "z.test=nothing",
         SUSPENDED "lists nothing, not even its test points (`proof no` where it never had any)\n",
         10 * MINUTE},
        {"everything", proved, "", "*.z.test A 127.0.0.2", "z.test=everything",
         SUSPENDED "lists everything\n", 10 * MINUTE},
        {"127.0.0.1 is listed", v4_only, "", GOOD4 "1.0.0.127.z.test A 127.0.0.3",
         "z.test=everything", SUSPENDED "lists everything\n", 10 * MINUTE},
        {"INVALID is listed", proved, "", GOOD4 GOODNAME "invalid.z.test A 127.0.0.1",
         "z.test=everything", SUSPENDED "lists everything\n", 10 * MINUTE},
        {"sold", proved, "", "*.z.test A 203.0.113.1", "z.test=refused",
         SUSPENDED "refuses us, or is no list any more\n", 10 * MINUTE},
        {"refused", v4_only, "", "*.z.test A 127.255.255.254", "z.test=refused",
         SUSPENDED "refuses us, or is no list any more\n", 10 * MINUTE},
        {"still refused: said once", v4_only, "z.test=refused", "*.z.test A 127.255.255.254",
         "z.test=refused", "", 10 * MINUTE},
        {"another fault", v4_only, "z.test=refused", "", "z.test=nothing",
         SUSPENDED "lists nothing, not even its test points (`proof no` where it never had any)\n",
         10 * MINUTE},
        {"well again", v4_only, "z.test=refused", GOOD4, "",
         "info: list z.test passed its proof, and is in use again\n", 60 * MINUTE},
        {"no answer", v4_only, "", "*.z.test TIMEOUT", "",
         "warn: list z.test could not be proved: no answer for its test points\n", MINUTE},
        {"half an answer", v4_only, "", GOOD4 "1.0.0.127.z.test SERVFAIL", "",
         "warn: list z.test could not be proved: no answer for its test points\n", MINUTE},
        {"no answer, and suspended before", v4_only, "z.test=everything", "*.z.test SERVFAIL",
         "z.test=everything",
         "warn: list z.test could not be proved: no answer for its test points\n", MINUTE},
        {"a name without an address", v4_only, "", "2.0.0.127.z.test TXT x", "z.test=nothing",
         SUSPENDED "lists nothing, not even its test points (`proof no` where it never had any)\n",
         10 * MINUTE},
        {"no proof wanted", unproved, "", "", "", "", 60 * MINUTE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, rows[i].dns);
        uint32_t next;
        unit_row(rows[i].label);
        fakehost_give_standing(h, rows[i].before);
        UNIT_INT(fakehost_tick(h, &next), POSTERN_OK);
        UNIT_STR(fakehost_standing(h), pn_str_of(rows[i].want));
        UNIT_STR(fakehost_log(h), pn_str_of(rows[i].log));
        UNIT_INT(next, rows[i].next);
        fakehost_limits(h, 1000, 1 << 20, 0);
        UNIT_INT(fakehost_tick(h, &next), POSTERN_OK);
        UNIT_INT(next, rows[i].settings == unproved ? 60 * MINUTE : MINUTE);
        UNIT_STR(fakehost_standing(h), pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

/* Said when it begins, then once an hour; after an answer it begins anew. */
static void test_unproved(void)
{
    enum { MINUTE = 60 * 1000 };
#define NO_ANSWER  "*.z.test TIMEOUT\n*.x.test TIMEOUT\n"
#define WARNED     "warn: lists z.test, x.test could not be proved: no answer for their test points\n"
#define ONE_WARNED "warn: list x.test could not be proved: no answer for its test points\n"
    static const struct {
        int minute;
        const char *dns, *want;
    } rows[] = {
        {0, NO_ANSWER, WARNED},
        {1, NO_ANSWER, ""},
        {59, NO_ANSWER, ""},
        {60, NO_ANSWER, WARNED},
        {61, GOOD4 "*.x.test TIMEOUT", ""},
        {62, NO_ANSWER, "warn: list z.test could not be proved: no answer for its test points\n"},
        {120, NO_ANSWER, ONE_WARNED},
        {100, NO_ANSWER, ONE_WARNED}, /* the clock was set back */
    };
    struct fakehost *h = fakehost_new(&postern_plugin, two_proved, "");
    size_t seen = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t next;
        unit_row(rows[i].want);
        fakehost_dns(h, rows[i].dns);
        fakehost_time(h, INT64_C(1700000000000) + rows[i].minute * MINUTE);
        UNIT_INT(fakehost_tick(h, &next), POSTERN_OK);
        struct pn_str log = fakehost_log(h);
        UNIT_STR(pn_str_slice(log, seen, log.len), pn_str_of(rows[i].want));
        seen = log.len;
    }
    fakehost_free(&h);
}

/* A list that is suspended is not asked, and said to be so where it would have been. */
static void test_suspended(void)
{
    static const struct {
        const char *standing, *want, *asked;
    } rows[] = {
        {"bl.test=everything", "DNSBL_SUSPENDED=0(bl.test: lists everything)",
         "A 7.2.0.192.wl.test"},
        {"bl.test=nothing wl.test=refused",
         "DNSBL_SUSPENDED=0(bl.test: lists nothing, not even its test points) "
         "DNSBL_SUSPENDED=0(wl.test: refuses us, or is no list any more)",
         ""},
        {"gone.test=nothing", "DNSBL_LISTED=3(bl.test)",
         "A 7.2.0.192.bl.test, A 7.2.0.192.wl.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, two, "*.bl.test A 127.0.0.2");
        unit_row(rows[i].standing);
        fakehost_give_standing(h, rows[i].standing);
        fakehost_client(h, "192.0.2.7", "h.test");
        fakehost_envelope(h, "u@a.test", "");
        fakehost_message(h, PN_STR("\n\nhttp://a.example/\n"));
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        UNIT_STR(fakehost_asked(h), pn_str_of(rows[i].asked));
        fakehost_free(&h);
    }
}

static const struct fake_row bad_zone[] = {{"zone", .blocks = BLOCKS({"bl..test", NULL})}, {NULL}};
static const struct fake_row bad_code[] = {
    {"zone",
     .blocks = BLOCKS({"bl.test", ROWS({"code", .blocks = BLOCKS({"127.255.255.1", NULL})})})},
    {NULL}};
static const struct fake_row bad_bit[] = {
    {"zone", .blocks = BLOCKS({"bl.test", ROWS({"bit", .blocks = BLOCKS({"3", NULL})})})}, {NULL}};

static const struct fake_row bad_spares[] = {{"zone", ZONE({"spares", {"yes"}})}, {NULL}};
static const struct fake_row unasked[] = {{"zone", ZONE({"ipv4", {"no"}}, {"ipv6", {"no"}})},
                                          {NULL}};
static const struct fake_row unasked_urls[] = {
    {"zone",
     ZONE({"check", {"url"}}, {"url-addresses", {"only"}}, {"ipv4", {"no"}}, {"ipv6", {"no"}})},
    {NULL}};
static const struct fake_row bad_skip[] = {{"skip-domain", {"a..b"}}, {NULL}};

static void test_settings(void)
{
    static const struct {
        const struct fake_row *settings;
        const char *want;
    } rows[] = {
        {NULL, "warn: dnsbl has no zone: nothing is looked up\n"},
        {bad_zone, "test.conf:1:1: no name of a zone (at most 180 bytes): \"bl..test\"\n"},
        {bad_code, "test.conf:1:1: a code is an address or network within 127.0.0.0/8 and outside "
                   "127.255.255.0/24, not \"127.255.255.1\"\n"},
        {bad_bit, "test.conf:1:1: a bit is 1, 2, 4, 8, 16, 32, 64 or 128, not \"3\"\n"},
        {bad_spares, "test.conf:1:1: only a list of the good (allow yes) spares questions: "
                     "\"z.test\"\n"},
        {unasked, "test.conf:1:1: neither names nor addresses are left to ask of zone "
                  "\"z.test\"\n"},
        {unasked_urls, "test.conf:1:1: neither names nor addresses are left to ask of zone "
                       "\"z.test\"\n"},
        {bad_skip, "warn: dnsbl has no zone: nothing is looked up\n"
                   "test.conf:1:1: no domain: \"a..b\"\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, NULL);
        UNIT_STR(fakehost_setup_error(h), pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"code", test_code},
        {"domain", test_domain},
        {"client", test_client},
        {"names", test_names},
        {"many", test_many},
        {"registered", test_registered},
        {"below and ip", test_below_and_ip},
        {"asked", test_asked},
        {"reason", test_reason},
        {"points", test_points},
        {"standing", test_standing},
        {"tick", test_tick},
        {"unproved", test_unproved},
        {"suspended", test_suspended},
        {"settings", test_settings},
        {NULL, NULL},
    };
    return unit_main("dnsbl", tests, argc, argv);
}

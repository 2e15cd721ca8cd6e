#include "unit.h"

#include "dnsbl_zone.h"
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
        {"caf\xc3\xa9.test", NULL},
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
    struct dnsbl_zone zone;
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
    {"zone",
     .blocks = BLOCKS({"nm.test", ROWS({"check", {"helo", "from", "header-from", "url"}})})},
    {NULL}};
static const struct fake_row exact[] = {
    {"zone", .blocks = BLOCKS({"nm.test", ROWS({"check", {"from", "url"}}, {"parents", {"no"}},
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
         "9.2.0.192.nm.test A 127.0.0.3\na.test.nm.test A 127.0.0.2", "DNSBL_LISTED=3(nm.test)",
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
    {"zone",
     .blocks = BLOCKS({"a.test", ROWS({"check", {"url"}})}, {"b.test", ROWS({"check", {"url"}})})},
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
    fakehost_reset(h);
    fakehost_message(h, pn_str_of(text));
    fakehost_limits(h, 7, 1 << 20, 5000);
    unit_row("the host lets ask seven");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    fakehost_reset(h);
    fakehost_message(h, pn_str_of(text));
    fakehost_limits(h, 700, 100, 5000);
    unit_row("no memory");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    fakehost_limits(h, 700, 1 << 20, 0);
    unit_row("no time");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_DEADLINE);
    fakehost_free(&h);
}

static const struct fake_row bad_zone[] = {{"zone", .blocks = BLOCKS({"bl..test", NULL})}, {NULL}};
static const struct fake_row bad_code[] = {
    {"zone",
     .blocks = BLOCKS({"bl.test", ROWS({"code", .blocks = BLOCKS({"127.255.255.1", NULL})})})},
    {NULL}};
static const struct fake_row bad_bit[] = {
    {"zone", .blocks = BLOCKS({"bl.test", ROWS({"bit", .blocks = BLOCKS({"3", NULL})})})}, {NULL}};

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
        {"code", test_code},   {"domain", test_domain}, {"client", test_client},
        {"names", test_names}, {"many", test_many},     {"settings", test_settings},
        {NULL, NULL},
    };
    return unit_main("dnsbl", tests, argc, argv);
}

#include "unit.h"

#include "fakehost.h"
#include "greylist.h"

extern const struct postern_plugin postern_plugin;

enum { SECOND = 1000, MINUTE = 60 * SECOND };
#define HOUR  (60 * INT64_C(60000))
#define DAY   (24 * HOUR)
#define START INT64_C(1700000000000)

/* A message at a time; what is said of it, and what becomes of it. */
struct visit {
    const char *label;
    int64_t at; /* since the start */
    const char *ip, *from, *want;
    char fate; /* 't'aken, 'r'efused, 'd'ropped */
};

static void play(const struct fake_row *settings, const struct visit *rows, size_t count)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    for (size_t i = 0; i < count; i++) {
        unit_row(rows[i].label);
        fakehost_time(h, START + rows[i].at);
        fakehost_client(h, rows[i].ip, "helo.test");
        fakehost_envelope(h, rows[i].from, "u@here.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        if (rows[i].fate != 'd')
            fakehost_decided(h, rows[i].fate == 't');
        fakehost_reset(h);
    }
    fakehost_free(&h);
}

#define NEW(pair) "GREYLIST_NEW=0(" pair ") GREYLIST_WAIT=0(new)"
#define EARLY(s)  "GREYLIST_EARLY=0(" s ") GREYLIST_WAIT=0(early)"
#define PASSED(s) "GREYLIST_PASSED=0(" s ")"
#define KNOWN(n)  "GREYLIST_KNOWN=0(" n ")"

static void test_over_time(void)
{
    static const struct visit rows[] = {
        {"new", 0, "192.0.2.7", "a@A.test", NEW("192.0.2.0/24 a.test"), 'r'},
        {"at once", SECOND, "192.0.2.7", "a@a.test", EARLY("1 s"), 'r'},
        {"just too early", 5 * MINUTE - 1, "192.0.2.7", "a@a.test", EARLY("4 min"), 'r'},
        {"the client went away", 5 * MINUTE, "192.0.2.7", "a@a.test", PASSED("5 min"), 'd'},
        {"a neighbour passes, and is refused", 6 * MINUTE, "192.0.2.9", "b@a.test", PASSED("6 min"),
         'r'},
        {"so it is counted from here", 7 * MINUTE, "192.0.2.9", "b@a.test", PASSED("7 min"), 't'},
        {"known", 8 * MINUTE, "192.0.2.9", "b@a.test", KNOWN("1"), 't'},
        {"another domain", 8 * MINUTE, "192.0.2.9", "b@b.test", NEW("192.0.2.0/24 b.test"), 'r'},
        {"another network", 8 * MINUTE, "192.0.3.9", "b@a.test", NEW("192.0.3.0/24 a.test"), 'r'},
        {"the null sender", 8 * MINUTE, "192.0.2.9", "", NEW("192.0.2.0/24 <>"), 'r'},
        {"IPv6", 8 * MINUTE, "2001:db8:1:2:3::4", "a@a.test", NEW("2001:db8:1:2::/64 a.test"), 'r'},
        {"the same network", 20 * MINUTE, "2001:db8:1:2::5", "a@a.test", PASSED("12 min"), 't'},
        {"too late: new again", 2 * DAY + 8 * MINUTE, "192.0.2.9", "b@b.test",
         NEW("192.0.2.0/24 b.test"), 'r'},
        {"still known", 35 * DAY + 8 * MINUTE - 1, "192.0.2.9", "b@a.test", KNOWN("2"), 't'},
        {"forgotten", 71 * DAY, "192.0.2.9", "b@a.test", NEW("192.0.2.0/24 a.test"), 'd'},
        {"dropped: new once more", 71 * DAY + HOUR, "192.0.2.9", "b@a.test",
         NEW("192.0.2.0/24 a.test"), 'r'},
    };
    play(NULL, rows, sizeof rows / sizeof rows[0]);
}

/* A clock that was wrong for a while puts nobody off until it would be right. */
static void test_clock_set_back(void)
{
    static const struct visit rows[] = {
        {"a year ahead", 365 * DAY, "192.0.2.7", "a@a.test", NEW("192.0.2.0/24 a.test"), 'r'},
        {"set back", 0, "192.0.2.7", "a@a.test", NEW("192.0.2.0/24 a.test"), 'r'},
        {"early", MINUTE, "192.0.2.7", "a@a.test", EARLY("60 s"), 'r'},
        {"it waited", 5 * MINUTE, "192.0.2.7", "a@a.test", PASSED("5 min"), 't'},
        {"known stays known", 0, "192.0.2.7", "a@a.test", KNOWN("1"), 't'},
    };
    play(NULL, rows, sizeof rows / sizeof rows[0]);
}

static void test_well_known(void)
{
    static const struct fake_row settings[] = {
        {"known-after", {"2"}}, {"remember", {"10d"}}, {"remember-known", {"100d"}}, {NULL}};
    static const struct visit rows[] = {
        {"new", 0, "192.0.2.7", "a@a.test", NEW("192.0.2.0/24 a.test"), 'r'},
        {"once", HOUR, "192.0.2.7", "a@a.test", PASSED("60 min"), 't'},
        {"twice", 10 * DAY, "192.0.2.7", "a@a.test", KNOWN("1"), 't'},
        {"long after", 110 * DAY - 1, "192.0.2.7", "a@a.test", KNOWN("2"), 'd'},
        {"too long after", 110 * DAY, "192.0.2.7", "a@a.test", NEW("192.0.2.0/24 a.test"), 'd'},
    };
    play(settings, rows, sizeof rows / sizeof rows[0]);
}

static void test_skip(void)
{
    static const struct fake_row settings[] = {{"skip", {"192.0.2.0/28", "2001:db8::/32"}},
                                               {"skip-domain", {"Good.test", ".below.test"}},
                                               {"ipv4-bits", {"32"}},
                                               {"ipv6-bits", {"128"}},
                                               {NULL}};
    static const struct visit rows[] = {
        {"network", 0, "192.0.2.15", "a@a.test", "", 'r'},
        {"outside", 0, "192.0.2.16", "a@a.test", NEW("192.0.2.16/32 a.test"), 'r'},
        {"IPv6", 0, "2001:db8::1", "a@a.test", "", 'r'},
        {"outside, IPv6", 0, "2001:db9::1", "a@a.test", NEW("2001:db9::1/128 a.test"), 'r'},
        {"domain", 0, "192.0.2.99", "a@GOOD.test", "", 'r'},
        {"below it", 0, "192.0.2.99", "a@x.good.test", NEW("192.0.2.99/32 x.good.test"), 'r'},
        {"below the other", 0, "192.0.2.99", "a@x.below.test", "", 'r'},
        {"the other itself", 0, "192.0.2.99", "a@below.test", NEW("192.0.2.99/32 below.test"), 'r'},
        {"ends alike", 0, "192.0.2.99", "a@notgood.test", NEW("192.0.2.99/32 notgood.test"), 'r'},
    };
    play(settings, rows, sizeof rows / sizeof rows[0]);
}

static void test_users_and_spf(void)
{
    static const struct {
        const char *label, *user, *result, *properties, *want;
    } rows[] = {
        {"a user of ours", "u", "none", "", ""},
        {"SPF passed", "", "pass", "identity=mailfrom domain=a.test", NEW("spf a.test")},
        {"for HELO only", "", "pass", "identity=helo domain=a.test", NEW("192.0.2.0/24 a.test")},
        {"failed", "", "fail", "identity=mailfrom domain=a.test", NEW("192.0.2.0/24 a.test")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, "");
        unit_row(rows[i].label);
        fakehost_client(h, "192.0.2.7", "helo.test");
        fakehost_auth_id(h, rows[i].user);
        fakehost_envelope(h, "a@a.test", "u@here.test");
        fakehost_give_auth(h, "spf", rows[i].result, rows[i].properties);
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

static void test_trouble(void)
{
    static const struct fake_row bad[] = {{"delay", {"1d"}}, {"window", {"1d"}}, {NULL}};
    static const char *const strange[] = {".", "@a.test", "u@a.test", "a b"};
    static const struct fake_row missing[] = {{"skip-list", {"/nowhere/list"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, "");
    fakehost_client(h, "192.0.2.7", "helo.test");
    fakehost_envelope(h, "a@a.test", "u@here.test");
    fakehost_state_away(h, true);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_AWAY);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_state_away(h, false);
    fakehost_state(h, "192.0.2.0/24 a.test", "what nobody wrote");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(NEW("192.0.2.0/24 a.test")));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, bad, "");
    UNIT_STR(fakehost_setup_error(h),
             PN_STR("test.conf:1:1: delay is not below window: nobody could pass\n"));
    fakehost_free(&h);
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        const struct fake_row settings[] = {{"skip-domain", {"a.test", strange[i]}}, {NULL}};
        unit_row(strange[i]);
        h = fakehost_new(&postern_plugin, settings, "");
        UNIT_STR(fakehost_setup_error(h),
                 PN_STR("test.conf:1:1: expected a domain, or a dot and one\n"));
        fakehost_free(&h);
    }
    h = fakehost_new(&postern_plugin, missing, "");
    UNIT_TRUE(fakehost_setup_error(h).len != 0);
    fakehost_free(&h);
}

static void test_value(void)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"0 0", true},
        {"1700000000000 7", true},
        {"", false},
        {"1", false},
        {"1 ", false},
        {" 1", false},
        {"1 2 ", false},
        {"-1 2", false},
        {"1 4294967294", true},
        {"1 4294967295", false},
        {"1  2", false},
        {"x 2", false},
        {"99999999999999999999 1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct greylist_entry e;
        char text[GREYLIST_VALUE_MAX];
        unit_row(rows[i].text);
        struct postern_str s = {rows[i].text, strlen(rows[i].text)};
        bool ok = greylist_value_get(s, &e);
        UNIT_INT(ok, rows[i].want);
        if (ok)
            UNIT_STR(((struct pn_str){text, greylist_value_put(text, &e)}),
                     pn_str_of(rows[i].text));
    }
}

static void test_key(void)
{
    static const char from[] = "a@caf\xc3\xa9 \x01X.test.";
    char text[GREYLIST_KEY_MAX], many[400] = "a@";
    size_t len = greylist_key(text, POSTERN_STR("192.0.2.254/31"),
                              (struct postern_str){from, sizeof from - 1});
    UNIT_STR(((struct pn_str){text, len}), PN_STR("192.0.2.254/31 caf????x.test"));
    memset(many + 2, 'x', sizeof many - 2);
    many[sizeof many - 1] = 'z';
    len = greylist_key(text, POSTERN_STR("192.0.0.0/8"), (struct postern_str){many, sizeof many});
    UNIT_INT(len, GREYLIST_KEY_MAX);
    UNIT_INT(text[len - 1], 'z');
}

static void test_list(void)
{
    static const struct {
        const char *label, *text, *domain;
        bool parses, has;
    } rows[] = {
        {"empty", "", "a.test", true, false},
        {"one", "a.test", "A.TEST", true, true},
        {"comments and blanks", "# good\r\n\r\n  A.test # why\r\n\tb.test\n", "b.test", true, true},
        {"below", ".a.test", "x.y.a.test", true, true},
        {"itself not", ".a.test", "a.test", true, false},
        {"not below", "a.test", "x.a.test", true, false},
        {"the null sender", "a.test", "", true, false},
        {"a dot", ".", "", false, false},
        {"an address", "u@a.test", "", false, false},
        {"two words", "a.test b.test", "", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct greylist_list list;
        char err[100];
        unit_row(rows[i].label);
        bool ok = greylist_list_parse(&list, rows[i].text, strlen(rows[i].text), err, sizeof err);
        UNIT_INT(ok, rows[i].parses);
        if (ok) {
            struct postern_str d = {rows[i].domain, strlen(rows[i].domain)};
            UNIT_INT(greylist_list_has(&list, d), rows[i].has);
            greylist_list_free(&list);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"over time", test_over_time},
                                             {"clock set back", test_clock_set_back},
                                             {"well known", test_well_known},
                                             {"skip", test_skip},
                                             {"users and spf", test_users_and_spf},
                                             {"trouble", test_trouble},
                                             {"value", test_value},
                                             {"key", test_key},
                                             {"list", test_list},
                                             {NULL, NULL}};
    return unit_main("greylist", tests, argc, argv);
}

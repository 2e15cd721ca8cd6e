#include "unit.h"

#include "fakehost.h"
#include "kit_policy.h"
#include "ratelimit.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

#define ROWS(...)   ((const struct fake_row[]){__VA_ARGS__, {NULL}})
#define BLOCKS(...) ((const struct fake_block[]){__VA_ARGS__, {NULL}})
#define LIMIT(...)                                                                                 \
    {                                                                                              \
        {"limit", .blocks = BLOCKS(__VA_ARGS__)},                                                  \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

enum { SECOND = 1000 };
#define START INT64_C(1700000000000)

static const struct fake_row per_client[] =
    LIMIT({"c", ROWS({"key", {"client"}}, {"tokens", {"2"}}, {"per", {"10s"}})});
static const struct fake_row per_pair[] =
    LIMIT({"p", ROWS({"key", {"sender", "recipient"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
static const struct fake_row networks[] =
    LIMIT({"n", ROWS({"key", {"network"}}, {"tokens", {"1"}}, {"per", {"1h"}},
                     {"ipv4-bits", {"16"}}, {"ipv6-bits", {"48"}}, {"skip", {"192.0.2.0/24"}})});
static const struct fake_row users[] =
    LIMIT({"u", ROWS({"key", {"user"}}, {"users", {"only"}}, {"tokens", {"3"}}, {"per", {"1h"}},
                     {"cost", {"recipients"}}, {"stage", {"message"}})});
static const struct fake_row kilobytes[] =
    LIMIT({"k", ROWS({"key", {"sender-domain"}}, {"tokens", {"2"}}, {"per", {"1h"}},
                     {"cost", {"kilobytes"}})});
static const struct fake_row by_symbol[] =
    LIMIT({"s", ROWS({"key", {"symbol"}}, {"symbol", {"A_SIGN", "B_SIGN"}}, {"tokens", {"1"}},
                     {"per", {"1h"}})});
static const struct fake_row two[] = LIMIT(
    {"one", ROWS({"key", {"helo"}}, {"stage", {"helo"}}, {"tokens", {"1"}}, {"per", {"1h"}})},
    {"two", ROWS({"key", {"client"}}, {"stage", {"mail"}}, {"tokens", {"1"}}, {"per", {"1h"}})});

struct row {
    const char *label;
    const struct fake_row *settings;
    int64_t at;
    const char *ip, *user, *from, *rcpts;
    size_t size; /* of the content; 0: none */
    const char *want;
    char fate; /* 't'aken, 'd'ropped */
};

static void run_row(struct fakehost *h, const struct row *r)
{
    static char content[8192];
    memset(content, 'x', sizeof content);
    fakehost_time(h, START + r->at);
    fakehost_client(h, r->ip, "Helo.test");
    fakehost_auth_id(h, r->user);
    fakehost_envelope(h, r->from, r->rcpts);
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
    if (r->size != 0) {
        fakehost_message(h, (struct pn_str){content, r->size});
        UNIT_INT(fakehost_run(h, POSTERN_HEADERS), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    }
    UNIT_STR(fakehost_facts(h), pn_str_of(r->want));
    if (r->fate == 't')
        fakehost_decided(h, true);
    fakehost_reset(h);
}

/* Rows of the same settings follow each other on one host. */
static void test_limits(void)
{
    static const struct row rows[] = {
        {"first", per_client, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"second", per_client, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"third", per_client, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 0, "RATELIMIT=0(c)", 't'},
        {"another client", per_client, 0, "192.0.2.2", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"too early", per_client, 5 * SECOND - 1, "192.0.2.1", "", "a@a.test", "u@x.test", 0,
         "RATELIMIT=0(c)", 't'},
        {"one came back", per_client, 5 * SECOND, "192.0.2.1", "", "a@a.test", "u@x.test", 0, "",
         'd'},
        {"and once more, since it was given back", per_client, 5 * SECOND, "192.0.2.1", "",
         "a@a.test", "u@x.test", 0, "", 't'},
        {"but no more", per_client, 5 * SECOND, "192.0.2.1", "", "a@a.test", "u@x.test", 0,
         "RATELIMIT=0(c)", 't'},
        {"a pair", per_pair, 0, "192.0.2.1", "", "A@a.test", "U@x.test", 0, "", 't'},
        {"again, by the recipient", per_pair, 0, "192.0.2.9", "", "a@A.test", "u@x.test", 0,
         "RATELIMIT=0(p)@0", 't'},
        {"the newest recipient", per_pair, 0, "192.0.2.9", "", "a@a.test", "v@x.test u@x.test", 0,
         "RATELIMIT=0(p)@1", 't'},
        {"the null sender", per_pair, 0, "192.0.2.9", "", "", "u@x.test", 0, "", 't'},
        {"a network", networks, 0, "198.51.1.1", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"the same", networks, 0, "198.51.2.2", "", "a@a.test", "u@x.test", 0, "RATELIMIT=0(n)",
         't'},
        {"the next", networks, 0, "198.52.2.2", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"skipped", networks, 0, "192.0.2.2", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"skipped again", networks, 0, "192.0.2.2", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"IPv6", networks, 0, "2001:db8:1:2::1", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"its network", networks, 0, "2001:db8:1:3::1", "", "a@a.test", "u@x.test", 0,
         "RATELIMIT=0(n)", 't'},
        {"a stranger", users, 0, "192.0.2.1", "", "a@a.test", "u@x.test v@x.test", 9, "", 't'},
        {"a user, two recipients", users, 0, "192.0.2.1", "Me", "a@a.test", "u@x.test v@x.test", 9,
         "", 't'},
        {"two more are too many", users, 0, "192.0.2.1", "me", "a@a.test", "u@x.test v@x.test", 9,
         "RATELIMIT=0(u)", 't'},
        {"one is not", users, 0, "192.0.2.1", "me", "a@a.test", "u@x.test", 9, "", 't'},
        {"a kilobyte", kilobytes, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 1024, "", 't'},
        {"a byte more", kilobytes, 0, "192.0.2.1", "", "b@a.test", "u@x.test", 1025,
         "RATELIMIT=0(k)", 't'},
        {"more than it ever holds", kilobytes, 0, "192.0.2.1", "", "b@b.test", "u@x.test", 2049,
         "RATELIMIT=0(k)", 't'},
        {"two limits", two, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 0, "", 't'},
        {"both", two, 0, "192.0.2.1", "", "a@a.test", "u@x.test", 0,
         "RATELIMIT=0(one) RATELIMIT=0(two)", 't'},
        {"one", two, 0, "192.0.2.2", "", "a@a.test", "u@x.test", 0, "RATELIMIT=0(one)", 't'},
    };
    struct fakehost *h = NULL;
    const struct fake_row *now = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        if (rows[i].settings != now) {
            fakehost_free(&h);
            now = rows[i].settings;
            h = fakehost_new(&postern_plugin, now, "");
            UNIT_STR(fakehost_setup_error(h), PN_STR(""));
        }
        run_row(h, &rows[i]);
    }
    fakehost_free(&h);
}

static void test_symbols(void)
{
    static const struct {
        const char *label, *name, *detail, *want;
    } rows[] = {
        {"none", NULL, NULL, ""},
        {"another", "C_SIGN", "x", ""},
        {"one", "A_SIGN", "x", ""},
        {"again", "A_SIGN", "x", "RATELIMIT=0(s)"},
        {"another detail", "A_SIGN", "y", ""},
        {"the other", "B_SIGN", "x", ""},
    };
    struct fakehost *h = fakehost_new(&postern_plugin, by_symbol, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        fakehost_envelope(h, "a@a.test", "u@x.test");
        if (rows[i].name != NULL)
            fakehost_give_fact(h, "rules", rows[i].name, rows[i].detail, 0);
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].want));
        fakehost_decided(h, true);
        fakehost_reset(h);
    }
    fakehost_free(&h);
}

/* Long and strange words: keys differ where they do. */
static void test_keys(void)
{
    const struct fake_row settings[] =
        LIMIT({"x", ROWS({"key", {"sender"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    char from[600];
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    for (int i = 0; i < 4; i++) {
        (void)snprintf(from, sizeof from, "%0500d%s@a.test", i % 2,
                       i < 2 ? "\xc3\xa9" : "\xc3\xa8");
        unit_row(from);
        fakehost_envelope(h, from, "u@x.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), PN_STR(""));
        fakehost_decided(h, true);
        fakehost_reset(h);
    }
    fakehost_free(&h);
}

static void test_settings(void)
{
    const struct fake_row early[] = LIMIT(
        {"x", ROWS({"key", {"sender"}}, {"stage", {"helo"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row user[] = LIMIT(
        {"x", ROWS({"key", {"user"}}, {"stage", {"connect"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row strangers[] =
        LIMIT({"x", ROWS({"key", {"client"}}, {"users", {"none"}}, {"stage", {"connect"}},
                         {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row nobody[] = LIMIT(
        {"x", ROWS({"key", {"user"}}, {"users", {"none"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row symbol[] =
        LIMIT({"x", ROWS({"key", {"symbol"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row many[] = LIMIT({"x", ROWS({"key", {"client"}},
                                                    {"symbol",
                                                     {"A", "B", "C", "D", "E", "F", "G", "H", "I",
                                                      "J", "K", "L", "M", "N", "O", "P", "Q"}},
                                                    {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row part[] =
        LIMIT({"x", ROWS({"key", {"client", "client"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row name[] =
        LIMIT({"x y", ROWS({"key", {"client"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct fake_row same[] =
        LIMIT({"x", ROWS({"key", {"client"}}, {"tokens", {"1"}}, {"per", {"1h"}})},
              {"x", ROWS({"key", {"helo"}}, {"tokens", {"1"}}, {"per", {"1h"}})});
    const struct {
        const char *want;
        const struct fake_row *settings;
    } rows[] = {{"not known at that stage", early},
                {"not known at that stage", user},
                {"not known at that stage", strangers},
                {"it would count nothing", nobody},
                {"more than 16 symbols", many},
                {"needs the row symbol", symbol},
                {"stands twice", part},
                {"without blanks", name},
                {"another one has this name", same}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, "");
        unit_row(rows[i].want);
        struct pn_str said = fakehost_setup_error(h);
        UNIT_TRUE(memmem(said.p, said.len, rows[i].want, strlen(rows[i].want)) != NULL);
        fakehost_free(&h);
    }
}

/* NULL, or the stage where the limit of these settings counts: what the plugin reads and what its
 * stages_if say are the same. */
static void check_stage(const char *const part[4], unsigned *good)
{
    static const char *const names[4] = {"key", "stage", "cost", "users"};
    struct fake_row limit[8] = {{"tokens", {"1"}}, {"per", {"1h"}}};
    char text[400] = "plugins { ratelimit { limit \"x\" { tokens 1; per 1h";
    struct kit k;
    size_t n = 2, len = strlen(text);
    for (int i = 0; i < 4; i++)
        if (*part[i] != '\0') {
            limit[n++] = (struct fake_row){names[i], {part[i]}};
            len += (size_t)snprintf(text + len, sizeof text - len, "; %s %s", names[i], part[i]);
        }
    (void)snprintf(text + len, sizeof text - len, " } } }");
    const struct fake_row settings[] = {
        {"limit", .blocks = (const struct fake_block[]){{"x", limit}, {NULL}}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    if (fakehost_setup_error(h).len == 0) {
        const struct ratelimit_instance *in = fakehost_instance(h);
        unit_row(text);
        kit_open(&k, text, "");
        UNIT_STR(kit_problems(&k), PN_STR(""));
        if (k.policy != NULL)
            UNIT_INT(pn_plugin_stages(pn_policy_plugin(k.policy, 0)), 1U << in->limits[0].stage);
        kit_close(&k);
        ++*good;
    }
    fakehost_free(&h);
}

static void test_stages(void)
{
    static const char *const keys[] = {"client",    "network",       "helo", "sender",
                                       "recipient", "sender-domain", "user", "recipient-domain"};
    static const char *const stages[] = {"",     "connect", "helo",   "mail",
                                         "rcpt", "headers", "message"};
    static const char *const costs[] = {"", "one", "recipients", "kilobytes"};
    static const char *const whose[] = {"", "any", "only", "none"};
    unsigned good = 0;
    kit_know(&postern_plugin);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] * 7 * 4 * 4; i++)
        check_stage((const char *const[4]){keys[i / 112], stages[i / 16 % 7], costs[i / 4 % 4],
                                           whose[i % 4]},
                    &good);
    UNIT_TRUE(good > 400);
}

static void test_away(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, per_client, "");
    fakehost_envelope(h, "a@a.test", "u@x.test");
    fakehost_state_away(h, true);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_AWAY);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"limits", test_limits},
                                             {"symbols", test_symbols},
                                             {"keys", test_keys},
                                             {"settings", test_settings},
                                             {"away", test_away},
                                             {"stages", test_stages},
                                             {NULL, NULL}};
    return unit_main("ratelimit", tests, argc, argv);
}

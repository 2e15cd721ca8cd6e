#include "unit.h"

#include "facts.h"

#include <postern/plugin.h>

#include <stdio.h>

enum { POOL_MAX = 8 * 1024 * 1024 };

static struct pn_fact fact(const char *name, const char *plugin, const char *detail, uint32_t rcpt)
{
    return (struct pn_fact){pn_str_of(name), pn_str_of(plugin), pn_str_of(detail), 1500, rcpt};
}

static void test_symbol_doubles(void)
{
    static const struct {
        const char *label, *name, *plugin, *detail;
        uint32_t rcpt;
        size_t want_count;
    } rows[] = {
        {"first", "SPF_FAIL", "spf", "", PN_FACT_ALL_RCPTS, 1},
        {"the same", "SPF_FAIL", "spf", "", PN_FACT_ALL_RCPTS, 1},
        {"another detail", "SPF_FAIL", "spf", "x", PN_FACT_ALL_RCPTS, 2},
        {"another recipient", "SPF_FAIL", "spf", "x", 0, 3},
        {"another plugin", "SPF_FAIL", "spf2", "x", 0, 4},
        {"another name", "SPF_PASS", "spf", "x", 0, 5},
        {"detail and name do not run together", "SPF_FAI", "Lspf", "x", 0, 6},
        {"again, later", "SPF_FAIL", "spf", "x", 0, 6},
    };
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_fact add = fact(rows[i].name, rows[i].plugin, rows[i].detail, rows[i].rcpt);
        unit_row(rows[i].label);
        UNIT_TRUE(pn_facts_add_symbol(&f, &add));
        UNIT_INT(f.symbol_count, rows[i].want_count);
    }
    UNIT_TRUE(pn_facts_find(&f, PN_STR("SPF_PASS")) == &f.symbols[4]);
    UNIT_TRUE(pn_facts_find(&f, PN_STR("SPF")) == NULL);
    pn_pool_free(&pool);
}

static void test_symbol_limit(void)
{
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    char detail[16];
    pn_facts_init(&f, pool);
    for (int i = 0; i < PN_FACTS_SYMBOLS_MAX; i++) {
        (void)snprintf(detail, sizeof detail, "%d", i);
        struct pn_fact add = fact("N", "p", detail, PN_FACT_ALL_RCPTS);
        if (!pn_facts_add_symbol(&f, &add))
            break;
    }
    UNIT_INT(f.symbol_count, PN_FACTS_SYMBOLS_MAX);
    struct pn_fact more = fact("N", "p", "one too many", PN_FACT_ALL_RCPTS);
    UNIT_TRUE(!pn_facts_add_symbol(&f, &more));
    struct pn_fact again = fact("N", "p", "1999", PN_FACT_ALL_RCPTS);
    UNIT_TRUE(pn_facts_add_symbol(&f, &again));
    UNIT_INT(f.symbol_count, PN_FACTS_SYMBOLS_MAX);
    /* That a plugin failed is known all the same. */
    for (int i = 0; i < 2 * PN_FACTS_RUNS_MAX; i++) {
        (void)snprintf(detail, sizeof detail, "%d", i / 2);
        struct pn_fact own =
            fact(i % 2 == 0 ? PN_SYMBOL_FAILED : PN_SYMBOL_DROPPED, "p", detail, PN_FACT_ALL_RCPTS);
        UNIT_TRUE(pn_facts_add_symbol(&f, &own));
    }
    struct pn_fact last = fact(PN_SYMBOL_FAILED, "p", "one too many", PN_FACT_ALL_RCPTS);
    UNIT_TRUE(!pn_facts_add_symbol(&f, &last));
    pn_pool_free(&pool);
}

static void test_small_pool(void)
{
    struct pn_pool *pool = pn_pool_new(512);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    struct pn_fact a = fact("A", "p", "", 0), b = fact("B", "p", "", 0);
    UNIT_TRUE(pn_facts_add_symbol(&f, &a) || f.symbol_count == 0);
    UNIT_TRUE(!pn_facts_add_symbol(&f, &b));
    pn_pool_free(&pool);
}

static void test_detail_cut(void)
{
    static const struct {
        const char *label, *tail;
        size_t fill, want;
    } rows[] = {
        {"empty", "", 0, 0},
        {"at the limit", "", 200, 200},
        {"one too many", "", 201, 200},
        {"two-byte character over the limit", "\xc3\xa4", 199, 199},
        {"two-byte character just within", "\xc3\xa4z", 198, 200},
        {"four-byte character over the limit", "\xf0\x9f\x98\x80z", 197, 197},
    };
    char text[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pool *pool = pn_pool_new(POOL_MAX);
        struct pn_facts f;
        pn_facts_init(&f, pool);
        memset(text, 'x', sizeof text);
        (void)snprintf(text + rows[i].fill, sizeof text - rows[i].fill, "%s", rows[i].tail);
        struct pn_fact add = fact("A", "p", text, 0);
        unit_row(rows[i].label);
        UNIT_TRUE(pn_facts_add_symbol(&f, &add));
        UNIT_INT(f.symbols[0].detail.len, rows[i].want);
        pn_pool_free(&pool);
    }
}

static void test_notes(void)
{
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    struct pn_note one = {PN_STR("a"), PN_STR("k"), PN_STR("1")};
    struct pn_note other = {PN_STR("b"), PN_STR("k"), PN_STR("2")};
    struct pn_note again = {PN_STR("a"), PN_STR("k"), PN_STR("3")};
    UNIT_TRUE(pn_facts_set_note(&f, &one) && pn_facts_set_note(&f, &other));
    UNIT_TRUE(pn_facts_set_note(&f, &again));
    UNIT_INT(f.note_count, 2);
    UNIT_STR(f.notes[0].value, PN_STR("3"));
    UNIT_STR(f.notes[1].value, PN_STR("2"));
    for (int i = 2; i < PN_FACTS_NOTES_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        struct pn_note n = {PN_STR("a"), pn_str_of(key), PN_STR("v")};
        UNIT_TRUE(pn_facts_set_note(&f, &n));
    }
    struct pn_note over = {PN_STR("a"), PN_STR("over"), PN_STR("v")};
    UNIT_TRUE(!pn_facts_set_note(&f, &over));
    UNIT_TRUE(pn_facts_set_note(&f, &one));
    pn_pool_free(&pool);
}

static void test_runs(void)
{
    static const struct {
        const char *label;
        enum pn_plugin_status status, want;
        uint32_t us, want_us;
        const char *reason, *want_reason;
    } rows[] = {
        {"first", PN_PLUGIN_OK, PN_PLUGIN_OK, 10, 10, "", ""},
        {"adds", PN_PLUGIN_OK, PN_PLUGIN_OK, 5, 15, "", ""},
        {"ok, but in part", PN_PLUGIN_OK, PN_PLUGIN_OK, 0, 15, "hurried", "hurried"},
        {"and so it stays", PN_PLUGIN_OK, PN_PLUGIN_OK, 0, 15, "", "hurried"},
        {"skipped is worse than ok", PN_PLUGIN_SKIPPED, PN_PLUGIN_SKIPPED, 0, 15, "budget",
         "budget"},
        {"ok does not heal", PN_PLUGIN_OK, PN_PLUGIN_SKIPPED, 1, 16, "", "budget"},
        {"failed is worst", PN_PLUGIN_FAILED, PN_PLUGIN_FAILED, 0, 16, "died", "died"},
        {"timeout is less", PN_PLUGIN_TIMEOUT, PN_PLUGIN_FAILED, 4, 20, "waits", "died"},
        {"saturates", PN_PLUGIN_OK, PN_PLUGIN_FAILED, UINT32_MAX, UINT32_MAX, "", "died"},
    };
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_plugin_run run = {PN_STR("spf"), rows[i].status, rows[i].us,
                                    pn_str_of(rows[i].reason)};
        unit_row(rows[i].label);
        UNIT_TRUE(pn_facts_add_run(&f, &run));
        UNIT_INT(f.run_count, 1);
        UNIT_INT(f.runs[0].status, rows[i].want);
        UNIT_INT(f.runs[0].us, rows[i].want_us);
        UNIT_STR(f.runs[0].reason, pn_str_of(rows[i].want_reason));
    }
    pn_pool_free(&pool);
}

static void test_dns_doubles(void)
{
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    struct pn_str answers[PN_FACTS_ANSWERS_MAX + 1];
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        answers[i] = PN_STR("1234");
    pn_facts_init(&f, pool);
    struct pn_dns_seen a = {PN_STR("x.test"), 1, 0, false, 2, answers};
    struct pn_dns_seen same = {PN_STR("X.test"), 1, 3, false, 0, NULL};
    struct pn_dns_seen txt = {PN_STR("x.test"), 16, 3, true, 0, NULL};
    struct pn_dns_seen many = {PN_STR("y.test"), 1, 0, false, PN_FACTS_ANSWERS_MAX + 1, answers};
    UNIT_TRUE(pn_facts_add_dns(&f, &a) && pn_facts_add_dns(&f, &same) &&
              pn_facts_add_dns(&f, &txt));
    UNIT_INT(f.dns_count, 2);
    UNIT_INT(f.dns[0].rcode, 0);
    UNIT_STR(f.dns[0].answers[1], PN_STR("1234"));
    UNIT_TRUE(!pn_facts_add_dns(&f, &many));
    pn_pool_free(&pool);
}

static void fill(struct pn_facts *f)
{
    static const struct pn_pair pairs[] = {{PN_STR_INIT("domain"), PN_STR_INIT("x.test")},
                                           {PN_STR_INIT("identity"), PN_STR_INIT("mailfrom")}};
    static const struct pn_str answers[] = {PN_STR_INIT("v=spf1 -all"), PN_STR_INIT("")};
    struct pn_fact s = fact("SPF_FAIL", "spf", "x.test", PN_FACT_ALL_RCPTS);
    s.weight = -2500;
    struct pn_auth auth = {PN_STR("spf"), PN_STR("spf"), PN_STR("fail"), 2, pairs};
    struct pn_note note = {PN_STR("spf"), PN_STR("key"), {"v\0w", 3}};
    struct pn_fact_edit edit = {PN_FACT_REMOVE_RCPT, PN_STR("dkim"), PN_STR(""), PN_STR("a@b.c"),
                                3};
    struct pn_plugin_run run = {PN_STR("spf"), PN_PLUGIN_TIMEOUT, 77, PN_STR("waits")};
    struct pn_dns_seen dns = {PN_STR("x.test"), 16, 0, true, 2, answers};
    UNIT_TRUE(pn_facts_add_symbol(f, &s) && pn_facts_add_auth(f, &auth) &&
              pn_facts_set_note(f, &note) && pn_facts_add_edit(f, &edit) &&
              pn_facts_add_run(f, &run) && pn_facts_add_dns(f, &dns));
}

static void check_filled(const struct pn_facts *f)
{
    UNIT_INT(f->symbol_count, 1);
    UNIT_INT(f->symbols[0].weight, -2500);
    UNIT_INT(f->symbols[0].rcpt, PN_FACT_ALL_RCPTS);
    UNIT_STR(f->symbols[0].detail, PN_STR("x.test"));
    const struct pn_auth *auth = pn_facts_auth(f, PN_STR("SPF"), 0);
    UNIT_TRUE(auth != NULL && pn_facts_auth(f, PN_STR("spf"), 1) == NULL);
    if (auth != NULL) {
        UNIT_STR(auth->result, PN_STR("fail"));
        UNIT_STR(pn_auth_get(auth, PN_STR("identity")), PN_STR("mailfrom"));
        UNIT_STR(pn_auth_get(auth, PN_STR("none")), PN_STR(""));
    }
    UNIT_STR(f->notes[0].value, ((struct pn_str){"v\0w", 3}));
    UNIT_INT(f->edits[0].op, PN_FACT_REMOVE_RCPT);
    UNIT_STR(f->edits[0].value, PN_STR("a@b.c"));
    UNIT_INT(f->edits[0].index, 3);
    UNIT_STR(f->runs[0].reason, PN_STR("waits"));
    UNIT_INT(f->dns[0].type, 16);
    UNIT_TRUE(f->dns[0].secure);
    UNIT_STR(f->dns[0].answers[0], PN_STR("v=spf1 -all"));
}

/* Whole, cut at every byte, and with every byte spoiled in turn (which must not crash). */
static void test_wire(void)
{
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts from, to;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    pn_facts_init(&from, pool);
    fill(&from);
    pn_facts_put(&out, &from);
    struct pn_rd r = pn_rd_of(pn_buf_str(&out));
    pn_facts_init(&to, pool);
    UNIT_TRUE(pn_facts_get(&r, &to) && pn_rd_done(&r));
    check_filled(&to);
    for (size_t cut = 0; cut < out.len; cut++) {
        r = pn_rd_of(pn_str_slice(pn_buf_str(&out), 0, cut));
        pn_facts_init(&to, pool);
        UNIT_TRUE(!pn_facts_get(&r, &to));
    }
    for (size_t i = 0; i < out.len; i++) {
        out.p[i] ^= (char)0xff;
        r = pn_rd_of(pn_buf_str(&out));
        pn_facts_init(&to, pool);
        (void)pn_facts_get(&r, &to);
        out.p[i] ^= (char)0xff;
    }
    pn_buf_fini(&out);
    pn_pool_free(&pool);
}

static void test_wire_refuses(void)
{
    static const struct {
        const char *label;
        size_t at; /* in the form of no facts at all */
        unsigned char byte;
    } rows[] = {
        {"unknown version", 0, 1},
        {"a symbol that is not there", 1, 1},
        {"more than the rest can hold", 4, 0xff},
        {"a run that is not there", 17, 1},
        {"state that is not there", 25, 1},
    };
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    pn_facts_init(&f, pool);
    pn_facts_put(&out, &f);
    UNIT_INT(out.len, 1 + 7 * 4);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        char was = out.p[rows[i].at];
        out.p[rows[i].at] = (char)rows[i].byte;
        struct pn_rd r = pn_rd_of(pn_buf_str(&out));
        UNIT_TRUE(!pn_facts_get(&r, &f));
        out.p[rows[i].at] = was;
    }
    pn_buf_fini(&out);
    pn_pool_free(&pool);
}

static struct pn_state_seen state(const char *plugin, const char *key, uint8_t op, uint32_t step,
                                  const char *value)
{
    return (struct pn_state_seen){.plugin = pn_str_of(plugin),
                                  .key = pn_str_of(key),
                                  .op = op,
                                  .result = PN_STATE_OK,
                                  .step = step,
                                  .value = pn_str_of(value)};
}

/* What is the same question again, and what is another. */
static void test_state_doubles(void)
{
    static const struct {
        const char *plugin, *key;
        uint8_t op;
        uint32_t step;
        const char *value;
        size_t want_count;
        const char *want; /* what is kept of it */
    } rows[] = {
        {"a", "k", PN_STATE_GET, 2, "1", 1, "1"}, {"a", "k", PN_STATE_GET, 3, "2", 1, "1"},
        {"b", "k", PN_STATE_GET, 2, "3", 2, "3"}, {"a", "l", PN_STATE_GET, 2, "4", 3, "4"},
        {"a", "k", PN_STATE_PUT, 2, "5", 4, "5"}, {"a", "k", PN_STATE_PUT, 2, "6", 4, "6"},
        {"a", "k", PN_STATE_PUT, 3, "7", 5, "7"}, {"a", "k", PN_STATE_TAKE, 2, "", 6, ""},
        {"a", "k", PN_STATE_TAKE, 2, "", 6, ""},  {"a", "k", PN_STATE_TAKE, 3, "", 7, ""},
    };
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_state_seen s =
            state(rows[i].plugin, rows[i].key, rows[i].op, rows[i].step, rows[i].value);
        UNIT_TRUE(pn_facts_add_state(&f, &s));
        UNIT_INT(f.state_count, rows[i].want_count);
        const struct pn_state_seen *got =
            pn_facts_state(&f, s.plugin, (enum pn_state_op)s.op, s.key, s.step);
        UNIT_TRUE(got != NULL);
        if (got != NULL)
            UNIT_STR(got->value, pn_str_of(rows[i].want));
    }
    UNIT_TRUE(pn_facts_state(&f, PN_STR("a"), PN_STATE_PUT, PN_STR("k"), 4) == NULL);
    for (uint32_t i = 0; f.state_count < PN_FACTS_STATE_MAX; i++) {
        struct pn_state_seen s = state("c", "k", PN_STATE_TAKE, i, "");
        UNIT_TRUE(pn_facts_add_state(&f, &s));
    }
    struct pn_state_seen more = state("d", "k", PN_STATE_GET, 0, "");
    UNIT_TRUE(!pn_facts_add_state(&f, &more));
    pn_pool_free(&pool);
}

/* What can't have been written so. */
static void test_state_wire(void)
{
    static const struct {
        const char *label;
        uint8_t op, result, when;
        size_t key, value;
        bool want;
    } rows[] = {
        {"plain", PN_STATE_PUT, PN_STATE_AWAY, POSTERN_STATE_REFUSED, POSTERN_STATE_KEY_MAX,
         POSTERN_STATE_VALUE_MAX, true},
        {"an operation too many", PN_STATE_OPS, 0, 0, 1, 0, false},
        {"a result too many", 0, PN_STATE_RESULTS, 0, 1, 0, false},
        {"a fate too many", PN_STATE_PUT, 0, POSTERN_STATE_REFUSED + 1, 1, 0, false},
        {"a long key", 0, 0, 0, POSTERN_STATE_KEY_MAX + 1, 0, false},
        {"a long value", 0, 0, 0, 1, POSTERN_STATE_VALUE_MAX + 1, false},
    };
    static char bytes[2048];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pool *pool = pn_pool_new(POOL_MAX);
        struct pn_facts f, got;
        struct pn_buf out;
        pn_buf_init(&out, SIZE_MAX);
        pn_facts_init(&f, pool);
        pn_facts_init(&got, pool);
        struct pn_state_seen s = {.plugin = PN_STR("p"),
                                  .key = {bytes, rows[i].key},
                                  .op = rows[i].op,
                                  .result = rows[i].result,
                                  .when = rows[i].when,
                                  .session = true,
                                  .step = 7,
                                  .left = 8,
                                  .ttl_ms = 9,
                                  .value = {bytes, rows[i].value}};
        unit_row(rows[i].label);
        UNIT_TRUE(pn_facts_add_state(&f, &s));
        pn_facts_put(&out, &f);
        struct pn_rd r = pn_rd_of(pn_buf_str(&out));
        UNIT_INT(pn_facts_get(&r, &got) && pn_rd_done(&r), rows[i].want);
        if (rows[i].want && got.state_count == 1) {
            UNIT_INT(got.state[0].step + got.state[0].left + got.state[0].ttl_ms, 24);
            UNIT_TRUE(got.state[0].session);
            UNIT_STR(got.state[0].value, s.value);
        }
        pn_buf_fini(&out);
        pn_pool_free(&pool);
    }
}

static void test_merge(void)
{
    struct pn_pool *pool = pn_pool_new(POOL_MAX);
    struct pn_facts f, other;
    pn_facts_init(&f, pool);
    pn_facts_init(&other, pool);
    struct pn_fact a = fact("A", "p", "", 0), b = fact("B", "q", "", 0);
    UNIT_TRUE(pn_facts_add_symbol(&f, &a) && pn_facts_add_symbol(&other, &b) &&
              pn_facts_add_symbol(&other, &a));
    UNIT_TRUE(pn_facts_merge(&f, &other));
    UNIT_INT(f.symbol_count, 2);
    UNIT_STR(f.symbols[1].name, PN_STR("B"));
    fill(&other);
    pn_facts_init(&f, pool);
    struct pn_facts empty;
    pn_facts_init(&empty, pool);
    UNIT_TRUE(pn_facts_merge(&empty, &f) && empty.symbol_count == 0);
    pn_facts_init(&other, pool);
    fill(&other);
    UNIT_TRUE(pn_facts_merge(&empty, &other));
    check_filled(&empty);
    pn_pool_free(&pool);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"symbol doubles", test_symbol_doubles},
        {"symbol limit", test_symbol_limit},
        {"small pool", test_small_pool},
        {"detail is cut", test_detail_cut},
        {"notes", test_notes},
        {"runs", test_runs},
        {"dns doubles", test_dns_doubles},
        {"state doubles", test_state_doubles},
        {"state wire", test_state_wire},
        {"wire", test_wire},
        {"wire refuses", test_wire_refuses},
        {"merge", test_merge},
        {NULL, NULL},
    };
    return unit_main("facts", tests, argc, argv);
}

/* The shipped policies: no number stands in C, so each of their weights and thresholds moves
 * the result, and each is what it was meant to be. */
#include "unit.h"

#include "decide.h"
#include "kit_policy.h"
#include "shipped.h"

#include <stdio.h>
#include <string.h>

static int32_t score_of(struct kit *k, const char *name)
{
    struct pn_fact fact = {.name = pn_str_of(name), .plugin = PN_STR("x"), .weight = 77};
    bool counts;
    fact.detail = PN_STR("");
    fact.rcpt = PN_FACT_ALL_RCPTS;
    return pn_decide_weight(k->policy, pn_policy_default_domain(k->policy), &fact, &counts);
}

static enum pn_outcome outcome_at(struct kit *k, int32_t score)
{
    struct pn_facts facts;
    struct pn_decision got;
    struct pn_fact fact = {.name = PN_STR("SOMETHING"), .plugin = PN_STR("x"), .weight = score};
    struct pn_decide_input in = {.facts = &facts};
    fact.detail = PN_STR("");
    fact.rcpt = PN_FACT_ALL_RCPTS;
    in.sender = in.recipient = in.auth_id = PN_STR("");
    pn_facts_init(&facts, k->pool);
    UNIT_TRUE(pn_facts_add_symbol(&facts, &fact));
    pn_decide(k->policy, pn_policy_default_domain(k->policy), &in, k->pool, &got);
    return got.outcome;
}

/* The next line of a shipped policy's defaults that says `on NAME weight N`. */
static bool next_weight(struct pn_str *text, struct pn_str *name)
{
    while (text->p != NULL) {
        struct pn_str line = pn_str_trim(pn_str_split(text, '\n'));
        if (pn_str_starts(line, PN_STR("submitted ")))
            break;
        if (!pn_str_starts(line, PN_STR("on ")))
            continue;
        line = pn_str_slice(line, 3, line.len);
        *name = pn_str_split(&line, ' ');
        if (line.p != NULL && pn_str_starts(line, PN_STR("weight ")))
            return true;
    }
    return false;
}

static size_t weights_move(const struct pn_embedded *shipped)
{
    struct pn_str text = {(const char *)shipped->text, shipped->len}, name;
    struct kit before, after;
    char conf[300];
    size_t count = 0;
    (void)snprintf(conf, sizeof conf, "include \"postern:%s\"", shipped->name);
    kit_open(&before, conf, "");
    UNIT_TRUE(before.policy != NULL);
    for (; before.policy != NULL && next_weight(&text, &name); count++) {
        char symbol[100];
        (void)snprintf(symbol, sizeof symbol, "%.*s", PN_FMT(name));
        unit_row(symbol);
        UNIT_TRUE(score_of(&before, symbol) != 77);
        (void)snprintf(conf, sizeof conf,
                       "include \"postern:%s\"\ndefaults { on %s weight 42.125 }", shipped->name,
                       symbol);
        kit_open(&after, conf, "");
        UNIT_TRUE(after.policy != NULL && score_of(&after, symbol) == 42125);
        kit_close(&after);
        unit_row("");
    }
    kit_close(&before);
    return count;
}

static void test_weights_move(void)
{
    for (const struct pn_embedded *s = pn_shipped; s->name != NULL; s++)
        UNIT_TRUE(weights_move(s) > 1);
}

/* What each fact weighs in the shipped policies. Who changes one changes it here too, and
 * by that says it was meant. */
static void test_shipped_weights(void)
{
    static const struct {
        const char *name;
        int32_t careful, strict;
    } rows[] = {
        {"VIRUS_UNSCANNABLE", 3000, 3000},
        {"VIRUS_ENCRYPTED", 2000, 2000},
        {"DMARC_REJECT", 6000, 6000},
        {"DMARC_QUARANTINE", 4000, 4000},
        {"DMARC_FAIL", 1000, 1000},
        {"DMARC_PASS", -500, -500},
        {"DMARC_NONE", 0, 0},
        {"SPF_FAIL", 2500, 4000},
        {"SPF_SOFTFAIL", 1000, 2000},
        {"SPF_PERMERROR", 500, 500},
        {"SPF_NEUTRAL", 0, 0},
        {"SPF_NONE", 0, 0},
        {"SPF_TEMPERROR", 0, 0},
        {"DKIM_INVALID", 200, 200},
        {"DKIM_NONE", 0, 0},
        {"DKIM_TEMPERROR", 0, 0},
        {"CLIENT_NAME_NONE", 1000, 1000},
        {"CLIENT_NAME_UNCONFIRMED", 1000, 1000},
        {"CLIENT_NAME_GENERIC", 500, 500},
        {"CLIENT_HELO_OURS", 3000, 3000},
        {"CLIENT_HELO_ADDRESS", 1500, 1500},
        {"CLIENT_HELO_BAD", 1000, 1000},
        {"CLIENT_HELO_LITERAL_BAD", 1000, 1000},
        {"CLIENT_HELO_LITERAL_OTHER", 1000, 1000},
        {"CLIENT_HELO_SHORT", 500, 500},
        {"CLIENT_HELO_UNKNOWN", 500, 500},
        {"CLIENT_HELO_LITERAL", 200, 200},
        {"CLIENT_HELO_ELSEWHERE", 200, 200},
        {"CLIENT_EARLY_GREETING", 3000, 3000},
        {"CLIENT_EARLY_HELO", 1500, 1500},
        {"CLIENT_EARLY_COMMAND", 1000, 1000},
        {"CLIENT_NAME", 0, 0},
        {"CLIENT_NAME_MANY", 0, 0},
        {"CLIENT_NAME_TEMPERROR", 0, 0},
        {"CLIENT_HELO_CONFIRMED", 0, 0},
        {"CLIENT_HELO_TEMPERROR", 0, 0},
        {"PLUGIN_FAILED", 0, 0},
    };
    size_t lines = 0;
    for (const struct pn_embedded *s = pn_shipped; s->name != NULL; s++) {
        struct pn_str text = {(const char *)s->text, s->len}, name;
        bool strict = strcmp(s->name, "strict") == 0;
        struct kit k;
        char conf[100];
        (void)snprintf(conf, sizeof conf, "include \"postern:%s\"", s->name);
        kit_open(&k, conf, "");
        UNIT_TRUE(k.policy != NULL);
        for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
            unit_row(rows[i].name);
            UNIT_INT(score_of(&k, rows[i].name), strict ? rows[i].strict : rows[i].careful);
        }
        while (next_weight(&text, &name)) {
            bool listed = false;
            for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
                listed = listed || pn_str_eq(name, pn_str_of(rows[i].name));
            unit_row("every line that gives a weight is in the table");
            UNIT_TRUE(listed);
            lines++;
        }
        kit_close(&k);
    }
    UNIT_TRUE(lines >= sizeof rows / sizeof rows[0]);
}

static void test_thresholds_move(void)
{
    static const struct {
        const char *shipped, *line;
        int32_t at;
        enum pn_outcome was, is;
    } rows[] = {{"default", "junk at 9", 6000, PN_JUNK, PN_ACCEPT},
                {"default", "reject at 20", 15000, PN_REJECT, PN_JUNK},
                {"default", "reject at 10", 10000, PN_JUNK, PN_REJECT},
                {"strict", "junk at 6", 5000, PN_JUNK, PN_ACCEPT},
                {"strict", "quarantine at 10", 9000, PN_QUARANTINE, PN_JUNK},
                {"strict", "reject at 13", 12000, PN_REJECT, PN_QUARANTINE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit before, after;
        char text[300];
        unit_row(rows[i].line);
        (void)snprintf(text, sizeof text, "include \"postern:%s\"", rows[i].shipped);
        kit_open(&before, text, "");
        UNIT_TRUE(before.policy != NULL && outcome_at(&before, rows[i].at) == rows[i].was);
        (void)snprintf(text, sizeof text, "include \"postern:%s\"\ndefaults { %s }",
                       rows[i].shipped, rows[i].line);
        kit_open(&after, text, "");
        UNIT_TRUE(after.policy != NULL && outcome_at(&after, rows[i].at) == rows[i].is);
        kit_close(&before);
        kit_close(&after);
    }
}

/* RFC 9989, section 7.4: the careful policy does not refuse for a DMARC policy alone. */
static void test_dmarc_alone(void)
{
    static const struct {
        const char *policy;
        enum pn_outcome want;
    } rows[] = {{"include \"postern:default\"", PN_JUNK},
                {"include \"postern:strict\"", PN_REJECT}};
    static const char *const names[] = {"DMARC_REJECT", "SPF_FAIL", "DKIM_INVALID"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        struct pn_facts facts;
        struct pn_decision got;
        struct pn_decide_input in = {.facts = &facts};
        in.sender = in.recipient = in.auth_id = PN_STR("");
        unit_row(rows[i].policy);
        kit_open(&k, rows[i].policy, "");
        UNIT_TRUE(k.policy != NULL);
        if (k.policy != NULL) {
            pn_facts_init(&facts, k.pool);
            for (size_t n = 0; n < 3; n++) {
                struct pn_fact f = {.name = pn_str_of(names[n]), .plugin = PN_STR("x")};
                f.detail = PN_STR("");
                f.rcpt = PN_FACT_ALL_RCPTS;
                UNIT_TRUE(pn_facts_add_symbol(&facts, &f));
            }
            pn_decide(k.policy, pn_policy_default_domain(k.policy), &in, k.pool, &got);
            UNIT_INT(got.outcome, rows[i].want);
        }
        kit_close(&k);
    }
}

/* What a user's program leaves out we add: there it weighs nothing. */
static void test_submitted(void)
{
    static const char *const names[] = {"MISSING_DATE", "MISSING_FROM", "MISSING_MESSAGE_ID",
                                        "MISSING_MID"};
    for (const struct pn_embedded *s = pn_shipped; s->name != NULL; s++) {
        struct kit k;
        char conf[100];
        (void)snprintf(conf, sizeof conf, "include \"postern:%s\"", s->name);
        kit_open(&k, conf, "");
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const struct pn_fact f = {
                .name = pn_str_of(names[i]), .plugin = PN_STR("rules"), .weight = 1500};
            bool counts;
            unit_row(names[i]);
            UNIT_INT(pn_decide_weight(k.policy, pn_policy_submitted(k.policy), &f, &counts), 0);
            UNIT_INT(pn_decide_weight(k.policy, pn_policy_default_domain(k.policy), &f, &counts),
                     1500);
        }
        kit_close(&k);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"weights move", test_weights_move},
        {"weights", test_shipped_weights},
        {"thresholds move", test_thresholds_move},
        {"dmarc alone", test_dmarc_alone},
        {"submitted", test_submitted},
        {NULL, NULL},
    };
    return unit_main("shipped", tests, argc, argv);
}

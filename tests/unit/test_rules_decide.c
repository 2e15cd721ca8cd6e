/* Expressions of the rules plugin, decided by as few names as may be; marks of rules. */
#include "unit.h"

#include "rules_decide.h"
#include "rules_marks.h"

#include <stdio.h>
#include <stdlib.h>

/* Names are one letter: A to E are rules whose value comes when they are asked for, each
 * dearer than the one before; Z is known to be 0, Y to be 1 and T to be 2; X comes to any
 * number; U is unknown and V may be; N is nobody. */
struct world {
    double value[5];
    double most[5];
    char asked[32]; /* in order */
    size_t count;
    uint8_t state[128];
    double number[128];
};

static struct postern_str P(const char *cstr) {
    return (struct postern_str){cstr, strlen(cstr)};
}

static bool
resolve(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    (void)arg;
    *out = name.p[0] == 'N' ? RULES_NOBODY : (uint32_t)(unsigned char)name.p[0] % 128;
    return name.len == 1 && argument.p == NULL;
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    const struct world *w = arg;

    if (name >= 'A' && name <= 'E')
        return (struct rules_value){w->value[name - 'A'], true};
    return (struct rules_value){name == 'X'   ? -2
                                : name == 'T' ? 2
                                              : name == 'Y',
                                name != 'U' && name != 'V'};
}

static struct rules_guess bounds(const void *arg, uint32_t name)
{
    const struct world *w = arg;

    if (name == 'V')
        return (struct rules_guess){0, 1, false, false, true};
    return (struct rules_guess){0, w->most[name - 'A'], false, false, false};
}

static void settle(struct world *w, uint32_t name)
{
    struct rules_value v = lookup(w, name);

    w->state[name] = rules_state_of(v);
    w->number[name] = v.number;
}

static void ask(void *arg, uint32_t name)
{
    struct world *w = arg;

    UNIT_TRUE(rules_state_is_open(w->state[name]));
    w->asked[w->count++] = (char)name;
    settle(w, name);
}

static void begin(struct world *w)
{
    for (uint32_t name = 0; name < sizeof(w->state); name++)
        settle(w, name);
    for (uint32_t name = 'A'; name <= 'E'; name++)
        w->state[name] = w->most[name - 'A'] == 1 ? RULES_OPEN_BOOL : RULES_OPEN;
    w->state['X'] = RULES_OPEN_ANY;
    w->state['V'] = RULES_OPEN;
}

static uint32_t cost(const void *arg, uint32_t name)
{
    (void)arg;
    return name - 'A';
}

static struct rules_value decide(const char *text, struct world *w, const char **error)
{
    struct rules_arena a = {.used = 0};
    struct rules_answers answers = {w->state, w->number, bounds, ask, w};
    struct rules_value v = {0, false};
    struct rules_meta m;
    struct rules_tree t;

    begin(w);
    *error = rules_meta_compile(&m, P(text), &a, resolve, NULL);
    if (*error == NULL)
        *error = rules_tree_new(&t, &m, cost, NULL, &a);
    if (*error == NULL)
        v = rules_tree_decide(&t, &answers);
    rules_arena_free(&a);
    return v;
}

/* A 1, B 0, C 1, D 3 of 5 at most, E 0. */
static void test_asked(void)
{
    static const struct {
        const char *in, *want, *asked;
    } rows[] = {{"A", "1", "A"},
                {"3", "3", ""},
                {"Z", "0", ""},
                {"!Z", "1", ""},
                {"A && Z", "0", ""},
                {"Z && A", "0", ""},
                {"E && B && A", "0", "AB"},
                {"(E && B) || Y", "1", ""},
                {"C || A || B", "1", "A"},
                {"B || E", "0", "BE"},
                {"!(A || B) && C", "0", "A"}, /* C costs 2, the brackets 0 + 1 */
                {"!!A && !B", "1", "AB"},
                {"A && (B || (C && Z))", "0", "AB"},
                {"A + B + C > 3", "0", ""},
                {"A + B + C > 2", "0", "AB"},
                {"A + B + C > 1", "1", "ABC"},
                {"A + Y + Y > 1", "1", ""},
                {"A + C >= 0", "1", ""},
                {"D > 5", "0", ""},
                {"D > 4", "0", "D"},
                {"D < 6", "1", ""},
                {"D <= 5", "1", ""},
                {"D == 6", "0", ""},
                {"D != 6", "1", ""},
                {"D == 3", "1", "D"},
                {"A - D < 2", "1", ""},
                {"-D > 0", "0", ""},
                {"Y - A - B - C", "-1", "ABC"},
                {"D * 2 > 100", "0", "D"},
                {"(D * 14) / 10 > 4", "1", "D"},
                {"X + A > 100", "0", "AX"},
                {"X && B", "0", "B"},
                {"X", "-2", "X"},
                {"!X", "0", "X"},
                {"A / Z", "?", "A"},
                {"U", "?", ""},
                {"U && B", "0", "B"},
                {"U && A", "?", "A"},
                {"U || A", "1", "A"},
                {"U + A > 0", "?", ""},
                {"V + Y > 0", "?", "V"},
                {"V || Y", "1", ""},
                {"V && Z", "0", ""},
                {"T + A", "3", "A"},
                {"T && N", "0", ""},
                {"N || A", "1", "A"},
                {"T > 1", "1", ""},
                {"!T", "0", ""},
                {"A &&", "operand missing", ""}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w = {.value = {1, 0, 1, 3, 0}, .most = {1, 1, 1, 5, 1}};
        const char *error;
        char got[32] = "?";
        struct rules_value v = decide(rows[i].in, &w, &error);

        if (v.known)
            (void)snprintf(got, sizeof(got), "%g", v.number);
        unit_row(rows[i].in);
        UNIT_STR(pn_str_of(error != NULL ? error : got), pn_str_of(rows[i].want));
        UNIT_STR(pn_str_of(w.asked), pn_str_of(rows[i].asked));
    }
}

/* ---- the same as all at once, whatever the expression ---- */

static uint32_t seed = 7;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

struct text {
    char p[4000];
    size_t len;
};

static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);

    memcpy(t->p + t->len, s, n + 1);
    t->len += n;
}

static void make(struct text *t, unsigned depth)
{
    static const char *const names[] = {"A", "B", "C", "D", "E", "X", "Y", "Z", "U", "V", "T", "2"};
    static const char *const two[] = {"&&", "&&", "||", "||", "+",  "-",  "*",
                                      "/",  ">",  "<",  ">=", "<=", "==", "!="};
    uint32_t operands = 1 + draw(4);

    put(t, draw(4) == 0 ? "!(" : "(");
    for (uint32_t i = 0; i < operands; i++) {
        if (i > 0)
            put(t, two[draw(14)]);
        if (depth > 0 && draw(3) == 0)
            make(t, depth - 1);
        else
            put(t, names[draw(12)]);
    }
    put(t, ")");
}

static void test_random(void)
{
    for (int round = 0; round < 20000; round++) {
        struct world w = {.count = 0};
        struct rules_arena a = {.used = 0};
        struct rules_value want = {0, false};
        struct rules_value got;
        struct text t = {.len = 0};
        struct rules_meta m;
        const char *error;

        for (int i = 0; i < 5; i++) {
            w.most[i] = 1 + draw(4);
            w.value[i] = draw((uint32_t)w.most[i] + 1);
        }
        make(&t, 3);
        UNIT_TRUE(rules_meta_compile(&m, P(t.p), &a, resolve, NULL) == NULL);
        want = rules_meta_run(&m, lookup, &w);
        got = decide(t.p, &w, &error);
        unit_row(t.p);
        UNIT_TRUE(error == NULL && got.known == want.known &&
                  (!want.known || got.number == want.number));
        rules_arena_free(&a);
    }
}

static void test_limits(void)
{
    static const struct {
        const char *label, *first, *more;
        size_t times;
        const char *error;
    } rows[] = {{"operands beside one another", "A", "&&B", 990, NULL},
                {"a long sum", "A", "-B", 990, NULL},
                {"as deep as may be", "A", "/B", RULES_TREE_DEPTH_MAX - 1, NULL},
                {"one deeper", "A", "/B", RULES_TREE_DEPTH_MAX, "expression nested too deeply"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w = {.value = {1, 1, 1, 1, 1}, .most = {1, 1, 1, 1, 1}};
        struct text t = {.len = 0};
        const char *error;

        put(&t, rows[i].first);
        for (size_t k = 0; k < rows[i].times; k++)
            put(&t, rows[i].more);
        unit_row(rows[i].label);
        (void)decide(t.p, &w, &error);
        UNIT_STR(pn_str_of(error == NULL ? "" : error),
                 pn_str_of(rows[i].error == NULL ? "" : rows[i].error));
    }
}

/* ---- marks ---- */

static void test_marks(void)
{
    struct rules_marks m;

    UNIT_TRUE(rules_marks_init(&m, 400));
    for (int round = 0; round < 2; round++) {
        rules_marks_add(&m, 1, 5, 0);
        rules_marks_add(&m, 0, 6, 0);
        rules_marks_add(&m, 1, 9, 0);
        UNIT_INT(m.rule[1].count, 2);
        UNIT_INT(m.mark[m.rule[1].first - 1].at, 5);
        UNIT_INT(m.mark[m.mark[m.rule[1].first - 1].next - 1].at, 9);
        UNIT_INT(m.mark[m.rule[1].last - 1].next, 0);
        for (size_t i = 0; i < RULES_MARKS_OF_RULE; i++)
            rules_marks_add(&m, 2, i, 0);
        UNIT_TRUE(!m.rule[2].everywhere);
        rules_marks_add(&m, 2, 1000, 0);
        UNIT_TRUE(m.rule[2].everywhere);
        UNIT_INT(m.rule[2].count, RULES_MARKS_OF_RULE);
        UNIT_TRUE(m.rule[3].first == 0 && !m.rule[3].everywhere);
        rules_marks_reset(&m);
        UNIT_TRUE(m.rule[1].first == 0 && !m.rule[2].everywhere);
    }
    for (uint32_t i = 0; i < 400; i++)
        for (size_t k = 0; k < RULES_MARKS_OF_RULE; k++)
            rules_marks_add(&m, i, k, 0);
    UNIT_INT(m.count, RULES_MARKS_MAX);
    UNIT_TRUE(!m.rule[0].everywhere && m.rule[399].everywhere);
    rules_marks_fini(&m);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"what is asked", test_asked},
                                             {"decided as all at once", test_random},
                                             {"at the limit", test_limits},
                                             {"marks", test_marks},
                                             {NULL, NULL}};

    return unit_main("rules_decide", tests, argc, argv);
}

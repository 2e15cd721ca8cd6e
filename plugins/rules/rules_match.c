#include "rules_match.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024, /* the default of 32 KB is too little for "(.|a)*" */
    HEAP_MAX_KB = 20 * 1024,     /* of the interpreter, where there is no JIT */
    GROUPS_MAX = 32,
    GAVE_UP_MAX = 20, /* rules that the verdict names */

    /* PCRE2 counts steps anew at each place where a match may begin, and one of them may read all
     * of the text: in a large one they are fewer, and tried a slice of places at a time, so that
     * the clock is looked at in between. */
    SMALL_TEXT = 16 * 1024,
    STEPS_MIN = 500,
    SLICE_FIRST = 64,
    SLICE_BYTES = 1 << 28, /* places in it, times the text's length */
    CALLS_AT_ONCE = 64,    /* of matches in short texts */
    RULE_MS = 500,         /* for one rule, */
    RULE_SHARE = 10,       /* and one part in so many of what is left of the callback's time */
    TOO_LONG = -1000       /* beside PCRE2's errors */
};

struct rules_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    struct rules_captures captures;
    struct rules_arena *arena;
    struct postern_call *call;
    uint32_t limit;
    const char *rule; /* the name of the one at work */
    unsigned calls;   /* for it */
    unsigned gave_up; /* times, in this message */
    bool by_clock;    /* one of them */
    uint32_t began;   /* what was left then; 0: the clock was not looked at yet */
};

void rules_matcher_free(struct rules_matcher *m)
{
    if (m == NULL)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

struct rules_matcher *rules_matcher_new(uint32_t match_limit)
{
    struct rules_matcher *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->data = pcre2_match_data_create(GROUPS_MAX, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (m->data == NULL || m->context == NULL || m->stack == NULL) {
        rules_matcher_free(m);
        return NULL;
    }
    m->limit = match_limit;
    (void)pcre2_set_heap_limit(m->context, HEAP_MAX_KB);
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return m;
}

void rules_matcher_begin(struct rules_matcher *m, struct postern_call *call,
                         struct rules_arena *arena)
{
    m->call = call;
    m->arena = arena;
    m->captures.count = 0;
    m->rule = NULL;
    m->gave_up = 0;
    m->by_clock = false;
}

bool rules_matcher_was_hurried(const struct rules_matcher *m)
{
    return m->by_clock;
}

const struct rules_captures *rules_matcher_captures(const struct rules_matcher *m)
{
    return &m->captures;
}

/* A fact, so that the verdict says of what it knows nothing; and a line in the log, why. */
static void say_gave_up(struct rules_matcher *m, const struct rule *rule, int error)
{
    struct postern_call *c = m->call;
    char text[RULES_NAME_MAX + 160];
    PCRE2_UCHAR why[80];
    int n;

    if (pcre2_get_error_message(error, why, sizeof(why)) < 0)
        why[0] = '\0';
    n = snprintf(text, sizeof(text), "rule %.*s gave up: %s", (int)rule->name.len, rule->name.p,
                 error == TOO_LONG ? "it took too long" : (const char *)why);
    if (n > 0 && (size_t)n < sizeof(text))
        c->host->log(c, POSTERN_LOG_WARN, (struct postern_str){text, (size_t)n});
    m->by_clock |= error == TOO_LONG;
    if (m->gave_up++ < GAVE_UP_MAX)
        (void)c->host->fact(c, RULES_GAVE_UP, rule->name);
}

/* ---- a rule has so long, and no longer ---- */

static uint32_t left_ms(const struct rules_matcher *m)
{
    return m->call == NULL ? 0 : m->call->host->left_ms(m->call);
}

static bool took_too_long(struct rules_matcher *m)
{
    uint32_t left = left_ms(m);
    uint32_t spent = left < m->began ? m->began - left : 0;

    if (m->began == 0)
        m->began = left;
    return spent > RULE_MS || spent > m->began / RULE_SHARE;
}

static void begin_rule(struct rules_matcher *m, const struct rule *rule)
{
    if (m->rule == rule->name.p)
        return;
    m->rule = rule->name.p;
    m->calls = 0;
    m->began = 0;
}

static int match_once(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                      size_t at, size_t last)
{
    (void)pcre2_set_offset_limit(m->context, last);
    return (rule->jit ? pcre2_jit_match : pcre2_match)(rule->code,
                                                       (PCRE2_SPTR)(text.p == NULL ? "" : text.p),
                                                       text.len, at, 0, m->data, m->context);
}

static int match_slices(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                        size_t at, size_t last)
{
    size_t most = SLICE_BYTES / text.len + 1;
    size_t width = SLICE_FIRST < most ? SLICE_FIRST : most;

    for (;;) {
        size_t to = last - at >= width ? at + width - 1 : last;
        uint32_t before = left_ms(m);
        int n;

        if (took_too_long(m))
            return TOO_LONG;
        n = match_once(m, rule, text, at, to);
        if (n != PCRE2_ERROR_NOMATCH || to == last)
            return n;
        at = to + 1;
        if (left_ms(m) == before) /* quick: more at once */
            width = width * 4 < most ? width * 4 : most;
    }
}

/* "\G" matches where a slice begins. */
static bool is_sliced(const struct rule *rule, struct postern_str text)
{
    return text.len > SMALL_TEXT &&
           memmem(rule->pattern.text.p, rule->pattern.text.len, "\\G", 2) == NULL;
}

static int match(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                 size_t at, size_t last)
{
    uint32_t limit = m->limit / (uint32_t)(1 + text.len / SMALL_TEXT);

    begin_rule(m, rule);
    (void)pcre2_set_match_limit(m->context, limit < STEPS_MIN ? STEPS_MIN : limit);
    if (is_sliced(rule, text) && at <= last)
        return match_slices(m, rule, text, at, last);
    if (++m->calls % CALLS_AT_ONCE == 0 && took_too_long(m))
        return TOO_LONG;
    return match_once(m, rule, text, at, last);
}

int rules_match_at(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                   size_t *at, size_t last)
{
    const size_t *offsets;
    int n = match(m, rule, text, *at, last);

    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        if (m->call != NULL)
            say_gave_up(m, rule, n);
        return -1;
    }
    offsets = pcre2_get_ovector_pointer(m->data);
    /* An empty match, wherever it was, moves on as well. */
    *at = offsets[1] > offsets[0] && offsets[1] > *at ? offsets[1]
                                                      : (offsets[1] > *at ? offsets[1] : *at) + 1;
    if (rule->gives_tags)
        rules_captures_take(&m->captures, rule->code, m->data, text, m->arena);
    return 1;
}

double rules_match_most(const struct rule *rule)
{
    return !rule->multiple ? 1 : rule->max_hits > 0 ? rule->max_hits : RULES_HITS_MAX;
}

void rules_match_from(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                      size_t at, size_t last, struct rules_value *v)
{
    double most = rules_match_most(rule);

    while (v->known && v->number < most && at <= last) {
        int n = rules_match_at(m, rule, text, &at, last);

        if (n == 0)
            return;
        v->number += n > 0;
        v->known = n > 0;
    }
}

struct rules_value rules_match(struct rules_matcher *m, const struct rule *rule,
                               struct postern_str text)
{
    struct rules_value v = {0, true};

    rules_match_from(m, rule, text, 0, text.len, &v);
    return v;
}

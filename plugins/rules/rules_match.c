#include "rules_match.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024, /* the default of 32 KB is too little for "(.|a)*" */
    HEAP_MAX_KB = 20 * 1024,     /* of the interpreter, where there is no JIT */
    GROUPS_MAX = 32
};

struct rules_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    struct rules_captures captures;
    struct rules_arena *arena;
    struct postern_call *call;
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
    (void)pcre2_set_match_limit(m->context, match_limit);
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
}

const struct rules_captures *rules_matcher_captures(const struct rules_matcher *m)
{
    return &m->captures;
}

static void say_gave_up(struct postern_call *c, const struct rule *rule, int error)
{
    char text[RULES_NAME_MAX + 160];
    PCRE2_UCHAR why[80];
    int n;

    if (pcre2_get_error_message(error, why, sizeof(why)) < 0)
        why[0] = '\0';
    n = snprintf(text, sizeof(text), "rule %.*s gave up: %s", (int)rule->name.len, rule->name.p,
                 (const char *)why);
    if (n > 0 && (size_t)n < sizeof(text))
        c->host->log(c, POSTERN_LOG_WARN, (struct postern_str){text, (size_t)n});
}

int rules_match_at(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                   size_t *at, size_t last)
{
    const size_t *offsets;
    int n;

    (void)pcre2_set_offset_limit(m->context, last);
    n = (rule->jit ? pcre2_jit_match : pcre2_match)(rule->code,
                                                    (PCRE2_SPTR)(text.p == NULL ? "" : text.p),
                                                    text.len, *at, 0, m->data, m->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        if (m->call != NULL)
            say_gave_up(m->call, rule, n);
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

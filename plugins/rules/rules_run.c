#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_run.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024, /* the default of 32 KB is too little for "(.|a)*" */
    HEAP_MAX_KB = 20 * 1024,     /* of the interpreter, where there is no JIT */
    HITS_MAX = 1000              /* of one rule with tflags multiple */
};

struct rules_run {
    const struct rules_set *set;
    struct rules_text *text;
    struct rules_value *values; /* of each rule */
    size_t *tried;              /* of each rule: beginnings before this one were tried */
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

void rules_run_free(struct rules_run *r)
{
    if (r == NULL)
        return;
    rules_text_free(r->text);
    free(r->values);
    free(r->tried);
    pcre2_match_data_free(r->data);
    pcre2_match_context_free(r->context);
    pcre2_jit_stack_free(r->stack);
    free(r);
}

struct rules_run *rules_run_new(const struct rules_set *set, size_t max_text, uint32_t match_limit)
{
    struct rules_run *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->set = set;
    r->text = rules_text_new(set, max_text);
    r->values = calloc(set->count + 1, sizeof(*r->values));
    r->tried = calloc(set->count + 1, sizeof(*r->tried));
    r->data = pcre2_match_data_create(1, NULL);
    r->context = pcre2_match_context_create(NULL);
    r->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (r->text == NULL || r->values == NULL || r->tried == NULL || r->data == NULL ||
        r->context == NULL || r->stack == NULL) {
        rules_run_free(r);
        return NULL;
    }
    (void)pcre2_set_match_limit(r->context, match_limit);
    (void)pcre2_set_heap_limit(r->context, HEAP_MAX_KB);
    pcre2_jit_stack_assign(r->context, NULL, r->stack);
    return r;
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

/* 1 or 0: does it match, beginning at [*at, last]; -1: it gave up. *at goes behind the
 * match. */
static int match_at(struct rules_run *r, struct postern_call *c, const struct rule *rule,
                    struct postern_str text, size_t *at, size_t last)
{
    int n;

    (void)pcre2_set_offset_limit(r->context, last);
    n = pcre2_match(rule->code, (PCRE2_SPTR)(text.p == NULL ? "" : text.p), text.len, *at, 0,
                    r->data, r->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        say_gave_up(c, rule, n);
        return -1;
    }
    const size_t *offsets = pcre2_get_ovector_pointer(r->data);
    *at = offsets[1] > *at ? offsets[1] : *at + 1; /* an empty match moves on as well */
    return 1;
}

/* Adds the matches that begin at [at, last] to v, as far as the rule counts. */
static void match_more(struct rules_run *r, struct postern_call *c, const struct rule *rule,
                       struct postern_str text, size_t at, size_t last, struct rules_value *v)
{
    double most = !rule->multiple ? 1 : rule->max_hits > 0 ? rule->max_hits : HITS_MAX;

    while (v->known && v->number < most && at <= last) {
        int n = match_at(r, c, rule, text, &at, last);

        if (n == 0)
            return;
        v->number += n > 0;
        v->known = n > 0;
    }
}

static struct rules_value match(struct rules_run *r, struct postern_call *c,
                                const struct rule *rule, struct postern_str text)
{
    struct rules_value v = {0, true};

    match_more(r, c, rule, text, 0, text.len, &v);
    return v;
}

/* ---- kinds ---- */

static void run_headers(struct rules_run *r, struct postern_call *c)
{
    const struct rules_set *set = r->set;

    for (size_t i = 0; i < set->order_count[RULES_HEADER]; i++) {
        uint32_t index = set->order[RULES_HEADER][i];
        const struct rule *rule = &set->rules[index];
        struct postern_str text = rules_text_header(r->text, rule->header, NULL);
        struct rules_value v = match(r, c, rule, text);

        if (rule->negate && v.known)
            v.number = v.number == 0;
        r->values[index] = v;
    }
    for (size_t i = 0; i < set->order_count[RULES_EXISTS]; i++) {
        uint32_t index = set->order[RULES_EXISTS][i];
        bool present;

        (void)rules_text_header(r->text, set->rules[index].header, &present);
        r->values[index] = (struct rules_value){present, true};
    }
}

/* A rule that matches in the text of all lines may have matched over a line end: it must
 * match in one paragraph, or one URL, by itself. */
static struct rules_value match_lines(struct rules_run *r, struct postern_call *c,
                                      const struct rule *rule, struct postern_str list)
{
    struct rules_value sum = match(r, c, rule, list);

    if (!sum.known || sum.number == 0)
        return sum;
    sum.number = 0;
    while (list.len > 0 && sum.known) {
        const char *lf = memchr(list.p, '\n', list.len);
        size_t n = lf == NULL ? list.len : (size_t)(lf - list.p);

        match_more(r, c, rule, (struct postern_str){list.p, n}, 0, n, &sum);
        n += lf != NULL;
        list.p += n;
        list.len -= n;
    }
    return sum;
}

static struct postern_str text_for(struct rules_run *r, enum rules_kind kind, size_t *subject)
{
    *subject = 0;
    if (kind == RULES_BODY)
        return rules_text_body(r->text, subject);
    if (kind == RULES_RAWBODY)
        return rules_text_rawbody(r->text);
    if (kind == RULES_FULL)
        return rules_text_full(r->text);
    return rules_text_urls(r->text);
}

/* The one text of a kind, while it is searched. */
struct search {
    struct rules_run *run;
    struct postern_call *call;
    struct postern_str text;
    size_t subject;
    bool lines;      /* a rule is of one line: paragraphs, URLs */
    size_t from, to; /* the line at hand */
};

static void next_line(struct search *s)
{
    const char *lf;

    s->from = s->to == 0 ? 0 : s->to + 1;
    lf = !s->lines ? NULL : memchr(s->text.p + s->from, '\n', s->text.len - s->from);
    s->to = lf == NULL ? s->text.len : (size_t)(lf - s->text.p);
}

/*
 * A literal of a rule has its mark here: the rule is tried at the beginnings from which it
 * can reach that, once each. Both bounds of them grow with the mark, though the literals
 * of one rule are of several lengths: so what is before `tried` has been tried. Rules
 * that count are tried on the whole line.
 */
static void try_here(void *arg, uint32_t index, size_t mark)
{
    struct search *s = arg;
    const struct rule *rule = &s->run->set->rules[index];
    size_t *tried = &s->run->tried[index];
    size_t last = mark - rule->shortest;
    size_t first;

    if (s->run->values[index].number != 0 && !rule->multiple)
        return;
    while (mark > s->to)
        next_line(s);
    first = s->from;
    if (rule->multiple)
        last = s->to;
    else if (rule->reach < RULES_LEAD_ANY && mark - s->from > rule->reach)
        first = mark - rule->reach;
    if (first < *tried)
        first = *tried;
    if (first > last || (rule->no_subject && s->from < s->subject))
        return;
    *tried = last + 1;
    match_more(s->run, s->call, rule, (struct postern_str){s->text.p + s->from, s->to - s->from},
               first - s->from, last - s->from, &s->run->values[index]);
}

/* One search tells which rules can match at all, and where. */
static void run_texts(struct rules_run *r, struct postern_call *c, enum rules_kind kind)
{
    const struct rules_set *set = r->set;
    struct search s = {.run = r, .call = c, .lines = kind == RULES_BODY || kind == RULES_URI};

    if (set->order_count[kind] == 0)
        return;
    s.text = text_for(r, kind, &s.subject);
    if (set->search[kind] != NULL)
        rules_search_run(set->search[kind], s.text, try_here, &s);
    for (size_t i = 0; i < set->order_count[kind]; i++) {
        uint32_t index = set->order[kind][i];
        const struct rule *rule = &set->rules[index];
        struct postern_str seen = s.text;

        if (rule->has_literals)
            continue;
        if (rule->no_subject)
            seen = (struct postern_str){seen.p + s.subject, seen.len - s.subject};
        r->values[index] = s.lines ? match_lines(r, c, rule, seen) : match(r, c, rule, seen);
    }
}

static struct rules_value value_of(const void *arg, uint32_t name)
{
    const struct rules_run *r = arg;

    return name < r->set->count ? r->values[name] : (struct rules_value){0, false};
}

static void run_expressions(struct rules_run *r)
{
    const struct rules_set *set = r->set;

    for (size_t i = 0; i < set->order_count[RULES_META]; i++) {
        uint32_t index = set->order[RULES_META][i];

        r->values[index] = rules_meta_run(&set->rules[index].meta, value_of, r);
    }
}

/* ---- the message ---- */

/* Until it is run, a rule that is there has not hit; one that is not there is unknown. */
static void begin(struct rules_run *r, struct postern_call *c)
{
    for (size_t i = 0; i < r->set->count; i++)
        r->values[i] = (struct rules_value){0, r->set->rules[i].kind != RULES_NONE};
    memset(r->tried, 0, r->set->count * sizeof(*r->tried));
    rules_text_begin(r->text, c);
}

static int state(struct rules_run *r, struct postern_call *c)
{
    const struct rules_set *set = r->set;
    int status = POSTERN_OK;

    for (int kind = RULES_HEADER; kind < RULES_KINDS; kind++)
        for (size_t i = 0; i < set->order_count[kind] && status == POSTERN_OK; i++) {
            uint32_t index = set->order[kind][i];
            const struct rule *rule = &set->rules[index];

            if (r->values[index].known && r->values[index].number != 0 && rule_is_stated(rule))
                status = c->host->fact_named(c, rule->symbol, POSTERN_STR(""), rule->score);
        }
    return status == POSTERN_LIMIT ? POSTERN_OK : status;
}

int rules_run_message(struct rules_run *r, struct postern_call *call)
{
    begin(r, call);
    run_headers(r, call);
    run_texts(r, call, RULES_BODY);
    run_texts(r, call, RULES_RAWBODY);
    run_texts(r, call, RULES_FULL);
    run_texts(r, call, RULES_URI);
    run_expressions(r);
    return state(r, call);
}

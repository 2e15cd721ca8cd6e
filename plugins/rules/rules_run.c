#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_run.h"

#include "rules_capture.h"
#include "rules_eval.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024, /* the default of 32 KB is too little for "(.|a)*" */
    HEAP_MAX_KB = 20 * 1024,     /* of the interpreter, where there is no JIT */
    HITS_MAX = 1000,             /* of one rule with tflags multiple */
    GROUPS_MAX = 32
};

struct seen {
    uint32_t line, count;
};

struct rules_run {
    const struct rules_set *set;
    struct rules_text *text;
    struct rules_value *values; /* of each rule */
    size_t *tried;              /* of each rule: beginnings before this one were tried */
    struct seen *seen;          /* of each rule: its windows in the line at hand */
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    struct rules_captures captures;
};

void rules_run_free(struct rules_run *r)
{
    if (r == NULL)
        return;
    rules_text_free(r->text);
    free(r->values);
    free(r->tried);
    free(r->seen);
    pcre2_match_data_free(r->data);
    pcre2_match_context_free(r->context);
    pcre2_jit_stack_free(r->stack);
    free(r);
}

struct rules_run *rules_run_new(const struct rules_set *set, size_t max_text, uint32_t match_limit,
                                bool session)
{
    struct rules_run *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->set = set;
    r->text = rules_text_new(set, max_text, session);
    r->values = calloc(set->count + 1, sizeof(*r->values));
    r->tried = calloc(set->count + 1, sizeof(*r->tried));
    r->seen = calloc(set->count + 1, sizeof(*r->seen));
    r->data = pcre2_match_data_create(GROUPS_MAX, NULL);
    r->context = pcre2_match_context_create(NULL);
    r->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (r->text == NULL || r->values == NULL || r->tried == NULL || r->seen == NULL ||
        r->data == NULL || r->context == NULL || r->stack == NULL) {
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
    n = (rule->jit ? pcre2_jit_match : pcre2_match)(rule->code,
                                                    (PCRE2_SPTR)(text.p == NULL ? "" : text.p),
                                                    text.len, *at, 0, r->data, r->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        say_gave_up(c, rule, n);
        return -1;
    }
    const size_t *offsets = pcre2_get_ovector_pointer(r->data);
    *at = offsets[1] > *at ? offsets[1] : *at + 1; /* an empty match moves on as well */
    if (rule->gives_tags)
        rules_captures_take(&r->captures, rule->code, r->data, text, rules_text_arena(r->text));
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

/* Of parts each is looked at by itself; of fields all at once. */
static struct rules_value match_header(struct rules_run *r, struct postern_call *c,
                                       const struct rule *rule)
{
    struct rules_value sum = {0, true};
    struct rules_lines v;

    if ((r->set->headers[rule->header].parts & RULES_PARTS) == 0) {
        sum = match(r, c, rule, rules_text_header(r->text, rule->header, NULL));
        if (rule->negate && sum.known)
            sum.number = sum.number == 0;
        return sum;
    }
    v = rules_text_values(r->text, rule->header);
    for (size_t i = 0; i < v.count && sum.known; i++) {
        struct rules_value one = match(r, c, rule, v.line[i]);

        sum.known = one.known;
        sum.number += rule->negate ? one.number == 0 : one.number;
    }
    if (!rule->multiple && sum.number > 1)
        sum.number = 1;
    return sum;
}

/* Marks a rule of which a string stands in the text. */
static void mark_rule(void *arg, uint32_t index, size_t mark)
{
    struct rules_run *r = arg;

    (void)mark;
    r->tried[index] = 1;
}

/* Which of the rules that look at long-awaited strings have them. */
static void search_headers(struct rules_run *r)
{
    for (uint32_t h = 0; h < r->set->header_count; h++)
        if (r->set->header_search[h] != NULL)
            rules_search_run(r->set->header_search[h], rules_text_header(r->text, h, NULL),
                             mark_rule, r);
}

static void run_headers(struct rules_run *r, struct postern_call *c)
{
    const struct rules_set *set = r->set;

    search_headers(r);

    for (size_t i = 0; i < set->order_count[RULES_HEADER]; i++) {
        uint32_t index = set->order[RULES_HEADER][i];

        if (set->rules[index].takes_tags)
            continue;
        if (set->rules[index].has_literals && r->tried[index] == 0)
            r->values[index].number = set->rules[index].negate;
        else
            r->values[index] = match_header(r, c, &set->rules[index]);
    }
    for (size_t i = 0; i < set->order_count[RULES_EXISTS]; i++) {
        uint32_t index = set->order[RULES_EXISTS][i];
        bool present;

        (void)rules_text_header(r->text, set->rules[index].header, &present);
        r->values[index] = (struct rules_value){present, true};
    }
}

/* A rule that matches in the text of all lines may have matched over a line end: it must
 * match in one line, one piece or one URI, by itself. */
static struct rules_value match_lines(struct rules_run *r, struct postern_call *c,
                                      const struct rule *rule, struct rules_lines lines)
{
    struct rules_value sum = {1, true};
    size_t i = rule->no_subject && rule->kind == RULES_BODY ? 1 : 0;

    if (!rule->by_line && lines.count > 1)
        sum = match(r, c, rule, lines.text);
    if (!sum.known || sum.number == 0)
        return sum;
    sum.number = 0;
    for (; i < lines.count && sum.known; i++)
        match_more(r, c, rule, lines.line[i], 0, lines.line[i].len, &sum);
    return sum;
}

static struct rules_lines lines_for(struct rules_run *r, enum rules_kind kind)
{
    if (kind == RULES_BODY)
        return rules_text_body(r->text);
    if (kind == RULES_RAWBODY)
        return rules_text_rawbody(r->text);
    if (kind == RULES_FULL)
        return rules_text_full(r->text);
    return rules_text_uris(r->text);
}

/* The one text of a kind, while it is searched. */
struct search {
    struct rules_run *run;
    struct postern_call *call;
    struct rules_lines lines;
    size_t line;     /* the one at hand */
    size_t from, to; /* and where it is in the text */
};

static void enter_line(struct search *s)
{
    s->from = (size_t)(s->lines.line[s->line].p - s->lines.text.p);
    s->to = s->from + s->lines.line[s->line].len;
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
    while (mark > s->to && s->line + 1 < s->lines.count) {
        s->line++;
        enter_line(s);
    }
    first = s->from;
    if (rule->multiple)
        last = s->to;
    else if (rule->reach < RULES_LEAD_ANY && mark - s->from > rule->reach)
        first = mark - rule->reach;
    if (first < *tried)
        first = *tried;
    if (first > last || first >= s->to || (rule->no_subject && s->line == 0))
        return;
    *tried = rule->multiple ? s->to : last + 1;
    match_more(s->run, s->call, rule, s->lines.line[s->line], first - s->from, last - s->from,
               &s->run->values[index]);
}

/* A window of a rule begins here: the rule is tried on this line, once. */
static void try_line(void *arg, uint32_t index, size_t at)
{
    struct search *s = arg;
    const struct rule *rule = &s->run->set->rules[index];
    size_t *tried = &s->run->tried[index];

    if (s->run->values[index].number != 0 && !rule->multiple)
        return;
    while (at >= s->to && s->line + 1 < s->lines.count) {
        s->line++;
        enter_line(s);
    }
    if (*tried >= s->to || (rule->no_subject && s->line == 0))
        return;
    if (rule->windows_least > 1) {
        struct seen *seen = &s->run->seen[index];

        if (seen->count == 0 || seen->line != s->line)
            *seen = (struct seen){(uint32_t)s->line, 0};
        if (++seen->count < rule->windows_least)
            return;
    }
    *tried = s->to;
    match_more(s->run, s->call, rule, s->lines.line[s->line], 0, s->to - s->from,
               &s->run->values[index]);
}

/* One search tells which rules can match at all, and where. */
static void run_texts(struct rules_run *r, struct postern_call *c, enum rules_kind kind)
{
    const struct rules_set *set = r->set;
    struct search s = {.run = r, .call = c};

    if (set->order_count[kind] == 0)
        return;
    s.lines = lines_for(r, kind);
    if (set->search[kind] != NULL && s.lines.count > 0) {
        enter_line(&s);
        rules_search_run(set->search[kind], s.lines.text, try_here, &s);
    }
    if (set->windows[kind] != NULL && s.lines.count > 0) {
        s.line = 0;
        enter_line(&s);
        rules_windows_run(set->windows[kind], s.lines.text, try_line, &s);
    }
    for (size_t i = 0; i < set->order_count[kind]; i++) {
        uint32_t index = set->order[kind][i];
        const struct rule *rule = &set->rules[index];

        if (!rule->has_literals && !rule->has_windows && !rule->takes_tags)
            r->values[index] = match_lines(r, c, rule, s.lines);
    }
}

static void run_evals(struct rules_run *r)
{
    const struct rules_set *set = r->set;

    for (size_t i = 0; i < set->order_count[RULES_EVAL]; i++) {
        uint32_t index = set->order[RULES_EVAL][i];
        const struct rule *rule = &set->rules[index];
        struct rules_eval_call call = {r->text, rule->args, rule->arg_count, rule->code};

        r->values[index] = (struct rules_value){rule->eval->fn(&call), true};
    }
}

/* ---- rules that take what others have captured ---- */

static struct rules_value run_tagged(struct rules_run *r, struct postern_call *c,
                                     const struct rule *rule)
{
    struct rules_value v = {0, true};
    struct rule with = *rule;

    with.code = rules_captures_compile(&r->captures, &rule->pattern, rules_text_arena(r->text));
    if (with.code == NULL)
        return v; /* a tag that it wants is not there */
    with.by_line = true;
    v = rule->kind == RULES_HEADER ? match_header(r, c, &with)
                                   : match_lines(r, c, &with, lines_for(r, rule->kind));
    pcre2_code_free(with.code);
    return v;
}

static void run_all_tagged(struct rules_run *r, struct postern_call *c)
{
    const struct rules_set *set = r->set;

    for (int kind = RULES_HEADER; kind < RULES_EVAL; kind++)
        for (size_t i = 0; i < set->order_count[kind]; i++) {
            uint32_t index = set->order[kind][i];

            if (set->rules[index].takes_tags)
                r->values[index] = run_tagged(r, c, &set->rules[index]);
        }
}

static struct rules_value value_of(const void *arg, uint32_t name)
{
    const struct rules_run *r = arg;

    return name < r->set->count ? r->values[name] : (struct rules_value){0, true};
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

/* Until it is run, a rule that is there has not hit; one that is left out is unknown, and a
 * name that nobody defines counts as not hit. */
static void begin(struct rules_run *r, struct postern_call *c)
{
    for (size_t i = 0; i < r->set->count; i++)
        r->values[i] = (struct rules_value){0, r->set->rules[i].kind != RULES_NONE ||
                                                   r->set->rules[i].line == 0};
    memset(r->tried, 0, r->set->count * sizeof(*r->tried));
    memset(r->seen, 0, r->set->count * sizeof(*r->seen));
    rules_text_begin(r->text, c);
    r->captures.count = 0;
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
    run_evals(r);
    run_all_tagged(r, call);
    run_expressions(r);
    return state(r, call);
}

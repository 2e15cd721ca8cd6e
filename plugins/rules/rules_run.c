#include "rules_run.h"

#include "rules_eval.h"
#include "rules_marks.h"
#include "rules_match.h"

#include <stdlib.h>
#include <time.h>

struct rules_run {
    const struct rules_set *set;
    struct rules_text *text;
    uint8_t *state; /* of each rule: see rules_decide.h */
    double *number; /* of each rule, where its state says so */
    struct rules_marks marks;
    struct rules_matcher *matcher;
    bool givers_asked; /* rules that capture for others */
    rules_meter *meter;
    void *meter_arg;
    int64_t inner; /* nanoseconds of what was asked for within what is asked for */
};

void rules_run_free(struct rules_run *r)
{
    if (r == NULL)
        return;
    rules_text_free(r->text);
    free(r->state);
    free(r->number);
    rules_marks_fini(&r->marks);
    rules_matcher_free(r->matcher);
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
    r->state = calloc(set->count + 1, sizeof(*r->state));
    r->number = calloc(set->count + 1, sizeof(*r->number));
    r->matcher = rules_matcher_new(match_limit);
    if (!rules_marks_init(&r->marks, set->count) || r->text == NULL || r->state == NULL ||
        r->number == NULL || r->matcher == NULL) {
        rules_run_free(r);
        return NULL;
    }
    return r;
}

/* ---- one search of each text tells which rules can match at all, and where ---- */

/* The rule has something to show: so may the expressions that it is a key of. */
static void wake(struct rules_run *r, uint32_t index)
{
    const struct rules_set *set = r->set;

    for (uint32_t i = set->wakes_from[index]; i < set->wakes_from[index + 1]; i++)
        r->state[set->wakes[i]] = set->when_open[set->wakes[i]];
}

static void open_rule(struct rules_run *r, uint32_t index)
{
    if (rules_state_is_open(r->state[index]))
        return;
    r->state[index] = r->set->when_open[index];
    wake(r, index);
}

static void mark_rule(void *arg, uint32_t index, size_t mark, size_t reach)
{
    struct rules_run *r = arg;

    open_rule(r, index);
    rules_marks_add(&r->marks, index, mark, reach);
}

/* A window begins there: as a mark, which is the end of something, it is one byte on. */
static void mark_window(void *arg, uint32_t index, size_t at)
{
    const struct rules_run *r = arg;

    mark_rule(arg, index, at + 1, r->set->rules[index].windows_lead + 1);
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

static void search_texts(struct rules_run *r)
{
    const struct rules_set *set = r->set;

    for (int kind = RULES_BODY; kind <= RULES_URI; kind++) {
        struct postern_str text;

        if (set->search[kind] == NULL && set->windows[kind] == NULL)
            continue;
        text = lines_for(r, (enum rules_kind)kind).text;
        if (set->search[kind] != NULL)
            rules_search_run(set->search[kind], text, 0, mark_rule, r);
        if (set->windows[kind] != NULL)
            rules_windows_run(set->windows[kind], text, mark_window, r);
    }
}

/* Of headers it matters only that they have a string of the rule. */
static void mark_header(void *arg, uint32_t index, size_t mark, size_t reach)
{
    (void)mark;
    (void)reach;
    open_rule(arg, index);
}

static void open_header(struct rules_run *r, uint32_t header)
{
    const struct rules_set *set = r->set;

    for (size_t i = set->header_from[header]; i < set->header_from[header + 1]; i++) {
        const struct rules_present *p = &set->header_rules[i];

        r->state[p->rule] = p->state;
        if (p->state != RULES_ZERO)
            wake(r, p->rule);
    }
}

static void search_headers(struct rules_run *r)
{
    const struct rules_set *set = r->set;

    for (uint32_t h = 0; h < set->header_count; h++) {
        bool parts = (set->headers[h].parts & RULES_PARTS) != 0;
        struct postern_str text;
        struct rules_lines v = {.line = &text, .count = 1};
        bool present;

        if (set->header_from[h] == set->header_from[h + 1])
            continue;
        if (parts)
            v = rules_text_values(r->text, h);
        else
            text = rules_text_header(r->text, h, &present);
        if (parts ? v.count == 0 : !present)
            continue;
        open_header(r, h);
        for (size_t i = 0; i < v.count && set->search[RULES_HEADER] != NULL; i++)
            rules_search_run(set->search[RULES_HEADER], v.line[i], h, mark_header, r);
    }
}

/* ---- kinds ---- */

/* Of parts each is looked at by itself; of fields all at once. What must not stand there must
 * stand in none of them. */
static struct rules_value match_header(struct rules_run *r, const struct rule *rule)
{
    struct rules_value sum = {0, true};

    if ((r->set->headers[rule->header].parts & RULES_PARTS) == 0) {
        sum = rules_match(r->matcher, rule, rules_text_header(r->text, rule->header, NULL));
    } else {
        struct rules_lines v = rules_text_values(r->text, rule->header);

        for (size_t i = 0; i < v.count && sum.known; i++)
            rules_match_from(r->matcher, rule, v.line[i], 0, v.line[i].len, &sum);
    }
    if (rule->negate && sum.known)
        sum.number = sum.number == 0;
    return sum;
}

/* A rule that matches in the text of all lines may have matched over a line end: it must
 * match in one line, one piece or one URI, by itself. */
static struct rules_value match_lines(struct rules_run *r, const struct rule *rule,
                                      struct rules_lines lines)
{
    struct rules_value sum = {1, true};
    size_t i = rule->no_subject && rule->kind == RULES_BODY ? 1 : 0;

    if (!rule->by_line && !r->set->plain && lines.count > 1 && !lines.cut)
        sum = rules_match(r->matcher, rule, lines.text);
    if (!sum.known || sum.number == 0)
        return sum;
    sum.number = 0;
    for (; i < lines.count && sum.known; i++)
        rules_match_from(r->matcher, rule, lines.line[i], 0, lines.line[i].len, &sum);
    return sum;
}

/* The lines of a text, one at hand. */
struct place {
    struct rules_lines lines;
    size_t line;
    size_t from, to; /* where it is in the text */
};

static void enter_line(struct place *p, size_t line)
{
    p->line = line;
    p->from = (size_t)(p->lines.line[line].p - p->lines.text.p);
    p->to = p->from + p->lines.line[line].len;
}

/* The first line at or behind this one that ends at or behind the mark, or the last. */
static void go_to(struct place *p, size_t mark)
{
    size_t low = p->line;
    size_t high = p->lines.count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        enter_line(p, middle);
        if (mark > p->to)
            low = middle + 1;
        else
            high = middle;
    }
    enter_line(p, low);
}

/* Places at which a match may begin, both in the text. */
struct bounds {
    size_t first, last;
};

/*
 * A string of the rule has its mark in this line, or a window its beginning: a match begins
 * within these bounds. They grow with the mark, though the strings of one rule are of several
 * lengths: so what is before what has been tried has been tried, too.
 */
static struct bounds bounds_of(const struct rule *rule, const struct place *p, size_t mark,
                               size_t reach)
{
    struct bounds b = {p->from, mark - rule->shortest};

    if (reach < RULES_LEAD_ANY && mark - p->from > reach)
        b.first = mark - reach;
    if (reach >= RULES_LEAD_ANY && rule->has_windows)
        b.last = p->to - 1; /* they may be many */
    return b;
}

/* The same with marks behind that one whose bounds begin in these, or so near that it is no
 * worth to try twice. *i becomes the last of them. */
static struct bounds bounds_from(const struct rules_run *r, const struct rule *rule,
                                 const struct place *p, size_t reach, uint32_t *i)
{
    enum { NEAR = 16 };
    const struct rules_mark *marks = r->marks.mark;
    struct bounds b = bounds_of(rule, p, marks[*i - 1].at, reach);

    for (uint32_t next = marks[*i - 1].next; next != 0; next = marks[next - 1].next) {
        struct bounds more;

        if (marks[next - 1].at > p->to)
            break;
        more = bounds_of(rule, p, marks[next - 1].at, reach);
        if (more.first > b.last + (reach > rule->shortest ? NEAR : 0))
            break;
        b.last = more.last;
        *i = next;
    }
    return b;
}

/* Counts the matches that begin there; *tried goes behind them. */
static void try_bounds(struct rules_run *r, const struct rule *rule, const struct place *p,
                       struct bounds b, size_t *tried, struct rules_value *v)
{
    double most = rules_match_most(rule);
    size_t first = b.first < *tried ? *tried : b.first;

    while (v->known && v->number < most && first <= b.last && first < p->to) {
        size_t at = first - p->from;
        int n = rules_match_at(r->matcher, rule, p->lines.line[p->line], &at, b.last - p->from);

        *tried = n > 0 ? p->from + at : b.last + 1;
        first = *tried;
        v->number += n > 0;
        v->known = n >= 0;
    }
}

/* Are there as many windows in the line, that one and those behind it, as a match has? */
static bool are_enough(const struct rules_run *r, const struct rule *rule, uint32_t i,
                       const struct place *p)
{
    uint32_t count = 0;

    for (; i != 0 && count < rule->windows_least && r->marks.mark[i - 1].at <= p->to; count++)
        i = r->marks.mark[i - 1].next;
    return count == rule->windows_least;
}

/* The rule's marks, one by one. */
static struct rules_value match_marks(struct rules_run *r, const struct rule *rule,
                                      const struct rules_marked *marked)
{
    struct rules_value v = {0, true};
    struct place p = {.lines = lines_for(r, rule->kind)};
    size_t tried = 0;

    for (uint32_t i = marked->first; i != 0 && v.known; i = r->marks.mark[i - 1].next) {
        size_t mark = r->marks.mark[i - 1].at;
        struct bounds bounds;

        if (v.number >= rules_match_most(rule))
            break;
        go_to(&p, mark);
        if (mark > p.to || (rule->no_subject && rule->kind == RULES_BODY && p.line == 0) ||
            (rule->has_windows && !are_enough(r, rule, i, &p)))
            continue;
        bounds = bounds_from(r, rule, &p, marked->reach, &i);
        try_bounds(r, rule, &p, bounds, &tried, &v);
    }
    return v;
}

static struct rules_value match_text(struct rules_run *r, const struct rule *rule, uint32_t index)
{
    const struct rules_marked *marked = &r->marks.rule[index];

    if (marked->first != 0 && !marked->everywhere)
        return match_marks(r, rule, marked);
    return match_lines(r, rule, lines_for(r, rule->kind));
}

/* ---- rules that take what others have captured ---- */

static void ask(void *arg, uint32_t index);

/* They have to be tried before, all of them. */
static void ask_givers(struct rules_run *r)
{
    const struct rules_set *set = r->set;

    if (r->givers_asked)
        return;
    r->givers_asked = true;
    for (int kind = RULES_HEADER; kind < RULES_EVAL; kind++)
        for (size_t i = 0; i < set->order_count[kind]; i++)
            if (set->rules[set->order[kind][i]].gives_tags)
                ask(r, set->order[kind][i]);
}

static struct rules_value match_either(struct rules_run *r, const struct rule *rule)
{
    return rule->kind == RULES_HEADER ? match_header(r, rule)
                                      : match_lines(r, rule, lines_for(r, rule->kind));
}

static struct rules_value match_tagged(struct rules_run *r, const struct rule *rule)
{
    struct rules_value v = {0, true};
    struct rule with = *rule;

    with.by_line = true;
    with.gives_tags = false;
    if (rule->code != NULL && !rule->negate && !r->set->plain) {
        v = match_either(r, &with);
        if (v.known && v.number == 0)
            return v; /* whatever the tags' values are */
    }
    with = *rule;
    with.by_line = true;
    ask_givers(r);
    with.code = rules_captures_compile(rules_matcher_captures(r->matcher), &rule->pattern,
                                       rules_text_arena(r->text));
    if (with.code == NULL)
        return (struct rules_value){0, true}; /* a tag that it wants is not there */
    with.jit = false;
    v = match_either(r, &with);
    pcre2_code_free(with.code);
    return v;
}

/* ---- asking ---- */

static struct rules_value run_eval(struct rules_run *r, const struct rule *rule)
{
    struct rules_eval_call call = {r->text, rule->args, rule->arg_count, rule->code};

    return (struct rules_value){rule->eval->fn(&call), true};
}

static struct rules_guess bounds(const void *arg, uint32_t index)
{
    const struct rules_run *r = arg;
    const struct rule *rule = &r->set->rules[index];

    return (struct rules_guess){rule->least, rule->most, false, false, rule->doubtful};
}

/* Expressions lead to others no deeper than RULES_NEST_MAX: see rules_finish.c. */
static struct rules_value find_value(struct rules_run *r, const struct rule *rule, uint32_t index)
{
    struct rules_answers answers = {r->state, r->number, bounds, ask, r};

    switch (rule->kind) {
    case RULES_HEADER:
        return rule->takes_tags ? match_tagged(r, rule) : match_header(r, rule);
    case RULES_EVAL:
        return run_eval(r, rule);
    case RULES_META:
        return rules_tree_decide(&rule->tree, &answers);
    default:
        return rule->takes_tags ? match_tagged(r, rule) : match_text(r, rule, index);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct rules_value find_metered(struct rules_run *r, const struct rule *rule, uint32_t index)
{
    int64_t before = r->inner;
    int64_t start = now_ns();
    struct rules_value v;
    int64_t took;

    r->inner = 0;
    v = find_value(r, rule, index);
    took = now_ns() - start;
    r->meter(r->meter_arg, rule, took - r->inner);
    r->inner = before + took;
    return v;
}

void rules_run_meter(struct rules_run *r, rules_meter *fn, void *arg)
{
    r->meter = fn;
    r->meter_arg = arg;
}

static void ask(void *arg, uint32_t index)
{
    struct rules_run *r = arg;
    const struct rule *rule = &r->set->rules[index];
    struct rules_value v;

    if (!rules_state_is_open(r->state[index]))
        return;
    v = r->meter == NULL ? find_value(r, rule, index) : find_metered(r, rule, index);
    r->state[index] = rules_state_of(v);
    r->number[index] = v.number;
}

/* ---- the message ---- */

static void begin(struct rules_run *r, struct postern_call *c)
{
    memcpy(r->state, r->set->at_first, r->set->count);
    rules_marks_reset(&r->marks);
    rules_text_begin(r->text, c);
    rules_matcher_begin(r->matcher, c, rules_text_arena(r->text));
    r->givers_asked = false;
}

/* Expressions stand behind what they name. */
static void ask_all(struct rules_run *r)
{
    for (int kind = RULES_HEADER; kind < RULES_KINDS; kind++)
        for (size_t i = 0; i < r->set->order_count[kind]; i++)
            ask(r, r->set->order[kind][i]);
}

static int state(struct rules_run *r, struct postern_call *c)
{
    const struct rules_set *set = r->set;
    int status = POSTERN_OK;

    for (size_t i = 0; i < set->stated_count && status == POSTERN_OK; i++) {
        uint32_t index = set->stated[i];
        const struct rule *rule = &set->rules[index];

        ask(r, index);
        if (r->state[index] == RULES_ONE || r->state[index] == RULES_NUMBER)
            status = c->host->fact_named(c, rule->symbol, POSTERN_STR(""), rule->score);
    }
    if (status != POSTERN_OK && status != POSTERN_LIMIT)
        return status;
    return rules_matcher_was_hurried(r->matcher) ? POSTERN_PART : POSTERN_OK;
}

int rules_run_message(struct rules_run *r, struct postern_call *call)
{
    int status;

    begin(r, call);
    search_headers(r);
    search_texts(r);
    if (r->set->plain)
        ask_all(r);
    for (size_t i = 0; i < r->set->early_count; i++)
        ask(r, r->set->early[i]);
    status = state(r, call);
    rules_text_end(r->text);
    return status;
}

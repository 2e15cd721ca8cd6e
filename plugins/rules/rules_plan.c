/* What is known of each rule before a message comes, and which rules are asked for then. */
#include "rules_keys.h"
#include "rules_match.h"

/* Roughly so dear is it to ask, one to another: of several operands the cheap ones come first. */
enum {
    COST_EXISTS = 1,
    COST_HEADER = 4,
    COST_URI = 8,
    COST_EVAL = 16,
    COST_TEXT = 30,
    COST_WINDOWS = 100, /* they say less of where */
    COST_ALL = 200,     /* tried on all of the text */
    COST_TAGS = 1000    /* compiled first */
};

enum { ABSENT_LIMIT = 10000 }; /* steps of a match with the text of a header that is not there */

static uint32_t own_cost(const struct rule *r)
{
    if (r->takes_tags)
        return COST_TAGS;
    switch (r->kind) {
    case RULES_EXISTS:
        return COST_EXISTS;
    case RULES_HEADER:
        return COST_HEADER;
    case RULES_EVAL:
        return COST_EVAL;
    case RULES_URI:
        return COST_URI;
    case RULES_BODY:
    case RULES_RAWBODY:
    case RULES_FULL:
        return r->has_literals ? COST_TEXT : r->has_windows ? COST_WINDOWS : COST_ALL;
    default:
        return 0;
    }
}

static uint32_t cost_of(const void *arg, uint32_t index)
{
    const struct rules_set *set = arg;

    return index < set->count && set->rules[index].needed ? set->rules[index].cost : 0;
}

static bool is_of_parts(const struct rules_set *set, const struct rule *r)
{
    return (set->headers[r->header].parts & RULES_PARTS) != 0;
}

/* Counts of lines, parts or matches; a test may give any number. */
static void bound(struct rule *r)
{
    r->least = 0;
    r->most = 1;
    if (r->kind == RULES_EVAL) {
        r->least = -INFINITY;
        r->most = INFINITY;
    } else if (r->multiple) {
        r->most = rules_match_most(r);
    }
}

/* A rule that is not understood is unknown, and so is what is divided by 0. */
static bool is_unknown(const struct rule *r)
{
    return r->kind == RULES_NONE && r->line != 0;
}

/* What an expression has of those it names, all of which are planned. */
static void take_from_named(struct rules_set *set, struct rule *r)
{
    for (size_t i = 0; i < r->meta.count; i++) {
        const struct rules_step *s = &r->meta.steps[i];
        const struct rule *named;

        r->doubtful |= s->op == RULES_OP_DIVIDE;
        if (s->op != RULES_OP_NAME || s->name >= set->count)
            continue;
        named = &set->rules[s->name];
        r->doubtful |= named->doubtful || is_unknown(named);
        if (named->kind == RULES_META && named->nest >= r->nest)
            r->nest = named->nest + 1;
    }
}

static uint8_t state_when_open(const struct rule *r)
{
    if (r->doubtful)
        return RULES_OPEN;
    if (r->least == 0 && r->most == 1)
        return RULES_OPEN_BOOL;
    return r->least == -INFINITY && r->most == INFINITY ? RULES_OPEN_ANY : RULES_OPEN;
}

static const char *plan_expression(struct rules_set *set, uint32_t index)
{
    struct rule *r = &set->rules[index];
    const char *error = rules_tree_new(&r->tree, &r->meta, cost_of, set, &set->arena);

    if (error != NULL)
        return error;
    take_from_named(set, r);
    r->cost = r->tree.node[r->tree.top].cost;
    r->least = 0;
    r->most = 1;
    if (!rules_tree_is_bool(&r->tree)) {
        r->least = -INFINITY;
        r->most = INFINITY;
    }
    set->when_open[index] = state_when_open(r);
    set->at_first[index] =
        !set->plain && rules_keys_find(set, r) ? RULES_ZERO : set->when_open[index];
    if (r->nest == RULES_NEST_MAX) {
        set->early[set->early_count++] = index;
        r->nest = 0;
    }
    return NULL;
}

/* Expressions stand behind what they name. */
static void plan_expressions(struct rules_set *set)
{
    uint32_t *order = set->order[RULES_META];
    size_t kept = 0;

    for (size_t i = 0; i < set->order_count[RULES_META]; i++) {
        struct rule *r = &set->rules[order[i]];
        const char *error = plan_expression(set, order[i]);

        if (error == NULL) {
            order[kept++] = order[i];
            continue;
        }
        rules_set_drop(set, r, error);
        set->at_first[order[i]] = RULES_UNKNOWN;
    }
    set->order_count[RULES_META] = kept;
}

/* The value of a header rule where there is no such header; unknown: it has to be asked for. */
static struct rules_value when_absent(const struct rules_set *set, const struct rule *r,
                                      struct rules_matcher *m)
{
    struct rules_value v = {0, true};

    if (r->kind == RULES_EXISTS)
        return v;
    if (is_of_parts(set, r))
        return (struct rules_value){r->negate, true};
    if (r->takes_tags || r->gives_tags || set->plain)
        return (struct rules_value){0, false};
    v = rules_match(m, r, set->headers[r->header].unset);
    return (struct rules_value){r->negate ? v.number == 0 : v.number, v.known};
}

/* Where the search finds nothing of a rule it has not hit. */
static uint8_t first_state(const struct rules_set *set, const struct rule *r,
                           struct rules_matcher *m)
{
    enum rules_state s;

    if (!r->needed || r->kind == RULES_NONE)
        return is_unknown(r) ? RULES_UNKNOWN : RULES_ZERO;
    if (r->kind != RULES_HEADER && r->kind != RULES_EXISTS)
        return r->has_literals || r->has_windows ? RULES_ZERO : state_when_open(r);
    s = rules_state_of(when_absent(set, r, m));
    return s == RULES_ZERO || s == RULES_ONE ? s : state_when_open(r);
}

/* What a header's rules come to if it is there, and has no string of theirs. */
static void set_present(struct rules_set *set)
{
    for (size_t i = 0; i < set->header_from[set->header_count]; i++) {
        struct rules_present *p = &set->header_rules[i];
        const struct rule *r = &set->rules[p->rule];

        if (r->kind == RULES_EXISTS)
            p->state = RULES_ONE;
        else if (!r->has_literals)
            p->state = set->when_open[p->rule];
        else
            p->state = r->negate ? RULES_ONE : RULES_ZERO;
    }
}

bool rules_plan(struct rules_set *set)
{
    struct rules_matcher *m = rules_matcher_new(ABSENT_LIMIT);

    set->at_first = rules_alloc(&set->arena, set->count + 1);
    set->when_open = rules_alloc(&set->arena, set->count + 1);
    set->stated = rules_alloc(&set->arena, (set->count + 1) * sizeof(*set->stated));
    set->early = rules_alloc(&set->arena, (set->count + 1) * sizeof(*set->early));
    if (m == NULL || set->at_first == NULL || set->when_open == NULL || set->stated == NULL ||
        set->early == NULL) {
        rules_matcher_free(m);
        return false;
    }
    for (size_t i = 0; i < set->count; i++) {
        set->rules[i].cost = own_cost(&set->rules[i]);
        bound(&set->rules[i]);
        set->when_open[i] = state_when_open(&set->rules[i]);
        set->at_first[i] = first_state(set, &set->rules[i], m);
    }
    rules_matcher_free(m);
    plan_expressions(set);
    set_present(set);
    for (int kind = RULES_HEADER; kind < RULES_KINDS; kind++)
        for (size_t i = 0; i < set->order_count[kind]; i++)
            if (rule_is_stated(&set->rules[set->order[kind][i]]))
                set->stated[set->stated_count++] = set->order[kind][i];
    return rules_keys_finish(set);
}

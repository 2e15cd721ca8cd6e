/* What is sought in texts: the strings and windows of all needed rules of a kind. */
#include "rules_set.h"

enum { SCRATCH_MAX = 64 << 20 };

static bool add_literals(struct rules_set *set, uint32_t index, const struct rules_literals *found)
{
    struct rule *r = &set->rules[index];
    uint32_t kind = r->kind == RULES_HEADER ? r->header : 0;

    r->shortest = UINT32_MAX;
    for (size_t i = 0; i < found->count; i++) {
        struct postern_str text = rules_dup(&set->arena, found->item[i].text);
        size_t mark = text.p == NULL ? 0
                                     : rules_search_add(set->search[r->kind], text, kind, index,
                                                        found->item[i].lead);

        if (mark == 0)
            return false;
        r->shortest = mark < r->shortest ? (uint32_t)mark : r->shortest;
    }
    r->has_literals = found->count > 0;
    return true;
}

/* Where no string can be sought, windows of sets may be; if there are too many, the rule is
 * tried always. */
static bool add_windows(struct rules_set *set, uint32_t index)
{
    struct rules_window windows[RULES_WINDOWS_MAX];
    struct rule *r = &set->rules[index];
    struct rules_windowing found = {.count = 0};

    if (r->sought.text.p != NULL)
        found = rules_windows_of(&r->sought, windows);
    if (found.count == 0)
        return true;
    if (set->windows[r->kind] == NULL && (set->windows[r->kind] = rules_windows_new()) == NULL)
        return false;
    r->has_windows = rules_windows_add(set->windows[r->kind], windows, found.count, index);
    r->windows_least = found.least;
    r->windows_lead = (uint32_t)found.lead;
    r->shortest = 1; /* behind a mark, which is the end of a window's first byte */
    return true;
}

/* What must not stand in any of several parts can't be told by a string of it, and what takes
 * tags has not hit where there are none. */
static bool may_seek(const struct rules_set *set, const struct rule *r)
{
    return !r->negate || ((set->headers[r->header].parts & RULES_PARTS) == 0 && !r->takes_tags);
}

/* Where strings are met often windows say more: of what is behind them, too. */
static bool add_text_rule(struct rules_set *set, uint32_t index,
                          const struct rules_literals *literals)
{
    const double often = 0.0005;
    const struct rule *r = &set->rules[index];

    if (literals->count > 0 && literals->share < often)
        return add_literals(set, index, literals);
    return add_windows(set, index) && (r->has_windows || add_literals(set, index, literals));
}

static bool add_rule(struct rules_set *set, uint32_t index)
{
    struct rule *r = &set->rules[index];
    struct rules_arena scratch = {.limit = SCRATCH_MAX};
    struct rules_literals literals = {.count = 0};
    bool good = true;

    if (r->kind < RULES_HEADER || r->kind > RULES_URI || r->kind == RULES_EXISTS)
        return true;
    if (r->sought.text.p != NULL)
        literals = rules_pattern_literals(&r->sought, &scratch);
    if (r->kind != RULES_HEADER)
        good = add_text_rule(set, index, &literals);
    else if (may_seek(set, r))
        good = add_literals(set, index, &literals);
    rules_arena_free(&scratch);
    return good;
}

/* To try a few rules costs less than a pass over all of the message does. */
static bool is_worth(const struct rules_set *set, enum rules_kind kind)
{
    enum { FEW = 6 };

    return !set->plain && (kind != RULES_FULL || set->order_count[kind] >= FEW);
}

static bool seek_kind(struct rules_set *set, enum rules_kind kind)
{
    uint32_t *order = rules_alloc(&set->arena, set->count * sizeof(*order));
    bool any = false;

    set->search[kind] = rules_search_new();
    if (order == NULL || set->search[kind] == NULL)
        return false;
    set->order[kind] = order;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->rules[i].needed && set->rules[i].kind == kind)
            order[set->order_count[kind]++] = i;
    for (size_t i = 0; i < set->order_count[kind] && is_worth(set, kind); i++) {
        if (!add_rule(set, order[i]))
            return false;
        any |= set->rules[order[i]].has_literals;
    }
    if (set->windows[kind] != NULL && !rules_windows_finish(set->windows[kind]))
        return false;
    if (any)
        return rules_search_finish(set->search[kind]);
    rules_search_free(set->search[kind]);
    set->search[kind] = NULL;
    return true;
}

/* Rules of headers by what they look at: counted, then put in their places. */
static bool group_by_header(struct rules_set *set)
{
    static const enum rules_kind kinds[] = {RULES_HEADER, RULES_EXISTS};
    size_t count = set->order_count[RULES_HEADER] + set->order_count[RULES_EXISTS];
    size_t *from = rules_alloc(&set->arena, (set->header_count + 2) * sizeof(*from));

    set->header_rules = rules_alloc(&set->arena, (count + 1) * sizeof(*set->header_rules));
    set->header_from = from;
    if (set->header_rules == NULL || from == NULL)
        return false;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < set->order_count[kinds[k]]; i++)
            from[set->rules[set->order[kinds[k]][i]].header + 2]++;
    for (size_t h = 2; h < set->header_count + 2; h++)
        from[h] += from[h - 1];
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < set->order_count[kinds[k]]; i++) {
            uint32_t index = set->order[kinds[k]][i];

            set->header_rules[from[set->rules[index].header + 1]++].rule = index;
        }
    return true;
}

bool rules_seek(struct rules_set *set)
{
    bool good = true;

    for (int kind = RULES_HEADER; good && set->count > 0 && kind < RULES_META; kind++)
        good = seek_kind(set, (enum rules_kind)kind);
    return good && group_by_header(set);
}

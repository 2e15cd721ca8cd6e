/*
 * Which expressions need not be looked at. Of most it can be said that they are 0 as long as
 * none of a few rules has anything to show: one of those that && joins, all of those that ||
 * joins. These are the expression's keys; it is open only when one of them is woken.
 */
#include "rules_keys.h"

enum {
    KEYS_MAX = 64,
    OFTEN = 4 /* a header that is there wakes so many times as often as a string that is met */
};

struct keys {
    bool zero; /* the value is known to be 0 while no key is woken; false: nothing is known */
    unsigned cost;
    size_t count;
    uint32_t rule[KEYS_MAX];
};

static const struct keys nothing = {.zero = false};
static const struct keys always = {.zero = true};

static void add_key(struct keys *k, uint32_t index, unsigned cost)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->rule[i] == index)
            return;
    if (k->count == KEYS_MAX) {
        *k = nothing;
        return;
    }
    k->rule[k->count++] = index;
    k->cost += cost;
}

static unsigned cost_of_key(const struct rule *r)
{
    return r->kind == RULES_EXISTS || (r->kind == RULES_HEADER && !r->has_literals) ? OFTEN : 1;
}

static void add_keys_of(const struct rules_set *set, const struct rule *r, struct keys *k)
{
    for (size_t i = 0; i < r->key_count && k->zero; i++)
        add_key(k, r->keys[i], cost_of_key(&set->rules[r->keys[i]]));
}

static struct keys of_name(const struct rules_set *set, uint32_t index)
{
    struct keys k = always;
    const struct rule *r;

    if (index >= set->count)
        return k;
    r = &set->rules[index];
    if (set->at_first[index] != RULES_ZERO)
        return nothing;
    if (r->kind == RULES_META)
        add_keys_of(set, r, &k);
    else if (r->needed && r->kind >= RULES_HEADER && r->kind <= RULES_URI)
        add_key(&k, index, cost_of_key(r));
    return k; /* what is not run stays 0 */
}

static struct keys keys_of(const struct rules_set *set, const struct rules_tree *t, uint32_t n);

static struct keys of_all(const struct rules_set *set, const struct rules_tree *t, uint32_t n)
{
    struct keys all = always;

    for (uint32_t c = t->node[n].child; c != 0 && all.zero; c = t->node[c].next) {
        struct keys one = keys_of(set, t, c);

        if (!one.zero)
            return nothing;
        for (size_t i = 0; i < one.count && all.zero; i++)
            add_key(&all, one.rule[i], cost_of_key(&set->rules[one.rule[i]]));
    }
    return all;
}

static struct keys of_best(const struct rules_set *set, const struct rules_tree *t, uint32_t n)
{
    struct keys best = nothing;

    for (uint32_t c = t->node[n].child; c != 0; c = t->node[c].next) {
        struct keys one = keys_of(set, t, c);

        if (one.zero && (!best.zero || one.cost < best.cost))
            best = one;
    }
    return best;
}

/* "X > 2" and the like, which 0 is not. */
static struct keys of_comparison(const struct rules_set *set, const struct rules_tree *t,
                                 uint32_t n)
{
    const struct rules_node *left = &t->node[t->node[n].child];
    const struct rules_node *right = &t->node[left->next];
    enum rules_op op = t->node[n].op;

    if (right->op == RULES_OP_NUMBER &&
        ((op == RULES_OP_GT && right->number >= 0) || (op == RULES_OP_GE && right->number > 0) ||
         (op == RULES_OP_EQ && right->number != 0)))
        return keys_of(set, t, t->node[n].child);
    return nothing;
}

/* The tree is no deeper than RULES_TREE_DEPTH_MAX. */
static struct keys keys_of(const struct rules_set *set, const struct rules_tree *t, uint32_t n)
{
    switch (t->node[n].op) {
    case RULES_OP_NUMBER:
        return t->node[n].number == 0 ? always : nothing;
    case RULES_OP_NAME:
        return of_name(set, t->node[n].name);
    case RULES_OP_OR:
    case RULES_OP_ADD:
    case RULES_OP_NEGATE:
        return of_all(set, t, n);
    case RULES_OP_AND:
        return of_best(set, t, n);
    default:
        return of_comparison(set, t, n);
    }
}

bool rules_keys_find(struct rules_set *set, struct rule *r)
{
    struct keys k = keys_of(set, &r->tree, r->tree.top);

    if (!k.zero)
        return false;
    r->keys = rules_alloc(&set->arena, (k.count + 1) * sizeof(*r->keys));
    if (r->keys == NULL)
        return false;
    memcpy(r->keys, k.rule, k.count * sizeof(*r->keys));
    r->key_count = k.count;
    return true;
}

bool rules_keys_finish(struct rules_set *set)
{
    size_t count = 0;
    uint32_t *from = rules_alloc(&set->arena, (set->count + 2) * sizeof(*from));

    set->wakes_from = from;
    if (from == NULL)
        return false;
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->rules[i].key_count; k++, count++)
            from[set->rules[i].keys[k] + 2]++;
    for (size_t i = 2; i < set->count + 2; i++)
        from[i] += from[i - 1];
    set->wakes = rules_alloc(&set->arena, (count + 1) * sizeof(*set->wakes));
    if (set->wakes == NULL)
        return false;
    for (uint32_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->rules[i].key_count; k++)
            set->wakes[from[set->rules[i].keys[k] + 1]++] = i;
    return true;
}

/*
 * A rule file of a stranger's: read, finished, its searches and expressions run over the
 * same bytes. Patterns are compiled but not matched: that is PCRE2's business, in limits.
 */
#include "rules_set.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct postern_str load(void *arg, struct rules_arena *a, struct postern_str path)
{
    (void)path;
    return rules_dup(a, *(const struct postern_str *)arg);
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    (void)arg;
    return (struct rules_value){(double)(name % 3), name % 5 != 0};
}

static void count(void *arg, uint32_t id, size_t to, size_t reach)
{
    const struct rules_set *set = arg;

    if (id >= set->count || to < set->rules[id].shortest || reach < set->rules[id].shortest)
        abort();
}

static void check(struct rules_set *set, struct postern_str text)
{
    for (int kind = 0; kind < RULES_KINDS; kind++)
        if (set->search[kind] != NULL)
            rules_search_run(set->search[kind], text, 0, count, set);
    for (size_t i = 0; i < set->order_count[RULES_META]; i++) {
        const struct rule *r = &set->rules[set->order[RULES_META][i]];

        (void)rules_meta_run(&r->meta, lookup, NULL);
        for (size_t k = 0; k < r->meta.count; k++)
            if (r->meta.steps[k].op == RULES_OP_NAME && r->meta.steps[k].name != UINT32_MAX &&
                r->meta.steps[k].name >= set->count)
                abort();
    }
    for (int kind = 0; kind < RULES_KINDS; kind++)
        for (size_t i = 0; i < set->order_count[kind]; i++)
            if (!set->rules[set->order[kind][i]].needed)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules_set set = {.count = 0};
    struct postern_str text = {(const char *)data, size};
    struct postern_str copy = rules_dup(&set.arena, text);

    if (copy.p != NULL && rules_set_read(&set, POSTERN_STR("a.cf"), copy, load, &text) &&
        rules_set_finish(&set))
        check(&set, text);
    rules_set_free(&set);
    return 0;
}

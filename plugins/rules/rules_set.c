#include "rules_set.h"

#include <stdlib.h>

void rules_set_skip(struct rules_set *set, const char *why, struct postern_str file, unsigned line)
{
    size_t i = 0;

    set->skipped++;
    while (i < set->reason_count && set->reasons[i].why != why)
        i++;
    if (i == RULES_REASONS_MAX)
        return;
    if (i == set->reason_count)
        set->reasons[set->reason_count++] = (struct rules_reason){why, 0, file, line};
    set->reasons[i].count++;
}

static size_t slot_of(const struct rules_set *set, struct postern_str name)
{
    size_t slot = rules_hash(name) & (set->slots - 1);

    while (set->table[slot] != 0 && !rules_eq(set->rules[set->table[slot] - 1].name, name))
        slot = (slot + 1) & (set->slots - 1);
    return slot;
}

const struct rule *rules_set_find(const struct rules_set *set, struct postern_str name)
{
    size_t slot;

    if (set->slots == 0)
        return NULL;
    slot = slot_of(set, name);
    return set->table[slot] == 0 ? NULL : &set->rules[set->table[slot] - 1];
}

static bool grow(struct rules_set *set)
{
    size_t room = set->room == 0 ? 256 : set->room * 2;
    struct rule *rules;
    uint32_t *table;

    if (set->count < set->room)
        return true;
    if (set->count >= RULES_MAX)
        return false;
    rules = realloc(set->rules, room * sizeof(*rules));
    if (rules == NULL)
        return false;
    set->rules = rules;
    table = calloc(2 * room, sizeof(*table));
    if (table == NULL)
        return false;
    free(set->table);
    set->table = table;
    set->slots = 2 * room;
    set->room = room;
    for (size_t i = 0; i < set->count; i++)
        set->table[slot_of(set, set->rules[i].name)] = (uint32_t)i + 1;
    return true;
}

struct rule *rules_set_rule(struct rules_set *set, struct postern_str name)
{
    const struct rule *old = rules_set_find(set, name);
    struct rule r = {.kind = RULES_NONE};

    if (old != NULL)
        return &set->rules[old - set->rules];
    if (!grow(set))
        return NULL;
    r.name = rules_dup(&set->arena, name);
    if (r.name.p == NULL)
        return NULL;
    set->rules[set->count] = r;
    set->table[slot_of(set, r.name)] = (uint32_t)set->count + 1;
    return &set->rules[set->count++];
}

bool rule_is_stated(const struct rule *r)
{
    return r->kind != RULES_NONE && r->score != 0 && !rules_starts(r->name, POSTERN_STR("__"));
}

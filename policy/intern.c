#include "intern.h"

#include "mem.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

void pn_intern_init(struct pn_intern *t)
{
    *t = (struct pn_intern){.slot_count = FIRST_SLOTS};
    t->slots = pn_calloc(FIRST_SLOTS, sizeof *t->slots);
}

void pn_intern_fini(struct pn_intern *t)
{
    free(t->strings);
    free(t->slots);
    *t = (struct pn_intern){.count = 0};
}

/* The slot that holds s, or the free one where it belongs. */
static uint32_t *slot_of(const struct pn_intern *t, struct pn_str s)
{
    uint32_t mask = t->slot_count - 1;
    uint32_t at = (uint32_t)pn_str_hash(s, 0, false) & mask;
    while (t->slots[at] != 0 && !pn_str_eq(t->strings[t->slots[at] - 1], s))
        at = (at + 1) & mask;
    return &t->slots[at];
}

static void widen(struct pn_intern *t)
{
    free(t->slots);
    t->slot_count *= 2;
    t->slots = pn_calloc(t->slot_count, sizeof *t->slots);
    for (uint32_t i = 0; i < t->count; i++)
        *slot_of(t, t->strings[i]) = i + 1;
}

uint32_t pn_intern_add(struct pn_intern *t, struct pn_str s, bool *is_new)
{
    uint32_t *slot = slot_of(t, s);
    if (is_new != NULL)
        *is_new = *slot == 0;
    if (*slot != 0)
        return *slot - 1;
    if (t->count >= t->slot_count / 2) {
        widen(t);
        slot = slot_of(t, s);
    }
    t->strings = pn_grow(t->strings, &t->cap, t->count, sizeof *t->strings);
    t->strings[t->count] = s;
    *slot = ++t->count;
    return t->count - 1;
}

bool pn_intern_find(const struct pn_intern *t, struct pn_str s, uint32_t *number)
{
    const uint32_t *slot = slot_of(t, s);
    *number = *slot == 0 ? 0 : *slot - 1;
    return *slot != 0;
}

#include "state_cells.h"

#include "mem.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 256 };

void state_cells_init(struct state_cells *c, uint64_t seed)
{
    *c = (struct state_cells){.slot_count = SLOTS_FIRST, .seed = seed};
    c->slots = pn_calloc(c->slot_count, sizeof *c->slots);
}

void state_cells_fini(struct state_cells *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        while (c->slots[i] != NULL) {
            struct state_cell *cell = c->slots[i];
            c->slots[i] = cell->next;
            free(cell);
        }
    free(c->slots);
    *c = (struct state_cells){.seed = c->seed};
}

static struct state_cell **place_of(const struct state_cells *c, struct pn_str key, uint64_t hash)
{
    struct state_cell **at = &c->slots[hash & (c->slot_count - 1)];
    while (*at != NULL && ((*at)->hash != hash || !pn_str_eq(state_cell_key(*at), key)))
        at = &(*at)->next;
    return at;
}

static void grow(struct state_cells *c)
{
    struct state_cells more = *c;
    more.slot_count = 2 * c->slot_count;
    more.slots = pn_calloc(more.slot_count, sizeof *more.slots);
    for (size_t i = 0; i < c->slot_count; i++)
        while (c->slots[i] != NULL) {
            struct state_cell *cell = c->slots[i];
            struct state_cell **to = &more.slots[cell->hash & (more.slot_count - 1)];
            c->slots[i] = cell->next;
            cell->next = *to;
            *to = cell;
        }
    free(c->slots);
    *c = more;
}

void state_cells_set(struct state_cells *c, struct pn_str key, struct pn_str value,
                     int64_t expires_ms)
{
    uint64_t hash = pn_str_hash(key, c->seed, false);
    size_t size = sizeof(struct state_cell) + key.len + value.len;
    struct state_cell *cell = pn_alloc(size);
    if (c->count >= c->slot_count)
        grow(c);
    struct state_cell **at = place_of(c, key, hash), *old = *at;
    *cell = (struct state_cell){.next = old == NULL ? NULL : old->next,
                                .hash = hash,
                                .expires_ms = expires_ms,
                                .key_len = (uint32_t)key.len,
                                .value_len = (uint32_t)value.len};
    memcpy(cell->bytes, key.p, key.len);
    if (value.len != 0)
        memcpy(cell->bytes + key.len, value.p, value.len);
    *at = cell;
    c->bytes += size;
    c->count++;
    if (old == NULL)
        return;
    c->bytes -= sizeof *old + old->key_len + old->value_len;
    c->count--;
    free(old);
}

const struct state_cell *state_cells_find(const struct state_cells *c, struct pn_str key)
{
    return c->count == 0 ? NULL : *place_of(c, key, pn_str_hash(key, c->seed, false));
}

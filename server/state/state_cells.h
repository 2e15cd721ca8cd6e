/*
 * What an engine has in memory until it is written: a table of keys. Keys and values are
 * copied and owned by it. The same key again replaces the value.
 */
#ifndef STATE_CELLS_H
#define STATE_CELLS_H

#include "str.h"

struct state_cell {
    struct state_cell *next; /* of its slot */
    uint64_t hash;
    int64_t expires_ms;
    uint32_t key_len, value_len;
    char bytes[]; /* key, value */
};

struct state_cells {
    struct state_cell **slots; /* a power of two */
    size_t slot_count, count;
    size_t bytes; /* of all cells */
    uint64_t seed;
};

void state_cells_init(struct state_cells *c, uint64_t seed);
void state_cells_fini(struct state_cells *c);
void state_cells_set(struct state_cells *c, struct pn_str key, struct pn_str value,
                     int64_t expires_ms);
/* Borrowed until it is set again; NULL: not there. */
const struct state_cell *state_cells_find(const struct state_cells *c, struct pn_str key);

static inline struct pn_str state_cell_key(const struct state_cell *c)
{
    return (struct pn_str){c->bytes, c->key_len};
}
static inline struct pn_str state_cell_value(const struct state_cell *c)
{
    return (struct pn_str){c->bytes + c->key_len, c->value_len};
}

#endif

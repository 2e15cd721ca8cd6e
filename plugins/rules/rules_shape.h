/*
 * The shape of a pattern: which bytes may stand where. Read from its text into a tree that
 * matches no less than the pattern does (counts become "once or more", what looks around
 * becomes nothing), so what must stand in every match of the tree must in the pattern's.
 */
#ifndef RULES_SHAPE_H
#define RULES_SHAPE_H

#include "rules_pattern.h"

enum { RULES_SHAPE_PLACES_MAX = 20000, RULES_SHAPE_NODES_MAX = 40000, RULES_SHAPE_DEPTH_MAX = 60 };

struct rules_bytes { /* a set of them */
    uint64_t bit[4];
};

static inline bool rules_bytes_has(const struct rules_bytes *b, unsigned char c)
{
    return (b->bit[c >> 6] >> (c & 63) & 1) != 0;
}

static inline void rules_bytes_add(struct rules_bytes *b, unsigned char c)
{
    b->bit[c >> 6] |= (uint64_t)1 << (c & 63);
}

static inline void rules_bytes_join(struct rules_bytes *b, const struct rules_bytes *o)
{
    for (int i = 0; i < 4; i++)
        b->bit[i] |= o->bit[i];
}

enum rules_shape_kind {
    RULES_SHAPE_EMPTY,
    RULES_SHAPE_BYTE, /* one byte of a set: a place */
    RULES_SHAPE_ALL,  /* children one behind the other */
    RULES_SHAPE_ANY,  /* one of the children */
    RULES_SHAPE_MANY  /* the child, once or more */
};

struct rules_shape_node {
    enum rules_shape_kind kind;
    bool optional;        /* may match nothing */
    uint32_t child, next; /* the first one, the one beside; 0: none */
    uint32_t place;
    uint32_t least; /* of MANY: so often at least; of ANY: how many places are below */
    uint32_t most;  /* of MANY: so often at most, RULES_LEAD_ANY: any number of times */
};

struct rules_shape {
    struct rules_shape_node *node;
    size_t nodes;
    struct rules_bytes *place;
    size_t places;
    size_t node_room, place_room;
    uint32_t top;
};

/* False: it holds something that is not understood, or is too large. `loose` makes it smaller:
 * where a letter may be written in many ways it matches more. Memory is of the arena. */
bool rules_shape_read(struct rules_shape *s, const struct rules_pattern *p, bool loose,
                      struct rules_arena *a);

#endif

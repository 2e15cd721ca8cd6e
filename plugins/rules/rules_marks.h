/*
 * Where in a text strings of rules stand, kept by rule until it is asked for. A rule with
 * very many of them, or when there are very many in all, counts as one to be tried
 * everywhere.
 */
#ifndef RULES_MARKS_H
#define RULES_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RULES_MARKS_OF_RULE = 256, RULES_MARKS_MAX = 65536 };

struct rules_mark {
    uint32_t at;
    uint32_t next; /* of the same rule, further on: index + 1; 0: none */
};

struct rules_marked {     /* one rule */
    uint32_t first, last; /* index + 1; 0: none */
    uint32_t count;
    uint32_t reach; /* the furthest of all its marks */
    bool everywhere;
};

struct rules_marks {
    struct rules_mark *mark;
    size_t count, room;
    struct rules_marked *rule;
    uint32_t *marked; /* rules that have marks */
    size_t marked_count;
};

bool rules_marks_init(struct rules_marks *m, size_t rules);
void rules_marks_fini(struct rules_marks *m);
/* Forgets all. */
void rules_marks_reset(struct rules_marks *m);
/* Marks of a rule are added in their order. reach: how far before it a match may begin. */
void rules_marks_add(struct rules_marks *m, uint32_t rule, size_t at, size_t reach);

#endif

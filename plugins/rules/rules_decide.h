/*
 * Expressions decided with as few of their names asked for as may be.
 *
 * A tree is made of an expression's steps, whose && and || have all their operands beside
 * one another, the cheap ones in front. Before a name is asked for, its least and most are
 * known: a rule of which no string stands in the text has not hit, any other comes to 1 or
 * to its count. Often that decides: "A && B" where B is 0, "A + B + C > 2" where two of them are.
 * The outcome is that of rules_meta_run, whatever was left unasked.
 *
 * Of most names all that is known fits into a byte, and these bytes lie beside one another: an
 * expression that is decided without asking looks at nothing else.
 *
 * What a name stands for may be an expression itself: whoever answers for it comes back to
 * rules_tree_decide, and sees to it that this has an end (see rules_finish.c).
 */
#ifndef RULES_DECIDE_H
#define RULES_DECIDE_H

#include "rules_meta.h"

#include <math.h>

enum { RULES_TREE_DEPTH_MAX = 100 };

/* The name that nobody defines: it is 0. */
#define RULES_NOBODY UINT32_MAX

struct rules_node {
    enum rules_op op;     /* ADD has what is subtracted as NEGATE */
    uint32_t cost;        /* of all names below */
    uint32_t child, next; /* the first one, the one beside; 0: none */
    union {
        uint32_t name;
        double number;
    };
};

struct rules_tree {
    struct rules_node *node; /* node 0 is none */
    uint32_t top;
};

/* What is known of a value: itself (`settled`), or its bounds. */
struct rules_guess {
    double least, most;
    bool settled;
    bool known;    /* of a settled one */
    bool doubtful; /* of one that is not: it may turn out to be unknown */
};

/* What is known of a name. */
enum rules_state {
    RULES_ZERO, /* settled */
    RULES_ONE,
    RULES_NUMBER, /* that of `number` */
    RULES_UNKNOWN,
    RULES_OPEN_BOOL, /* not asked for yet: 0 or 1, */
    RULES_OPEN_ANY,  /* any number, */
    RULES_OPEN       /* what `bounds` says */
};

struct rules_answers {
    const uint8_t *state;                                         /* rules_state of each name */
    const double *number;                                         /* of each name */
    struct rules_guess (*bounds)(const void *arg, uint32_t name); /* without work */
    void (*ask)(void *arg, uint32_t name);                        /* from then on it is settled */
    void *arg;
};

static inline bool rules_state_is_open(uint8_t state)
{
    return state >= RULES_OPEN_BOOL;
}

/* The state of a value; its number matters for RULES_NUMBER only. */
static inline enum rules_state rules_state_of(struct rules_value v)
{
    return !v.known        ? RULES_UNKNOWN
           : v.number == 0 ? RULES_ZERO
           : v.number == 1 ? RULES_ONE
                           : RULES_NUMBER;
}

typedef uint32_t rules_cost(const void *arg, uint32_t name);

/* Makes the tree of an expression; NULL, or what is wrong. Memory is the arena's. */
const char *rules_tree_new(struct rules_tree *t, const struct rules_meta *m, rules_cost *cost,
                           const void *arg, struct rules_arena *a);
struct rules_value rules_tree_decide(const struct rules_tree *t, const struct rules_answers *a);
/* Is it 0 or 1 always, where it is known? */
bool rules_tree_is_bool(const struct rules_tree *t);

#endif

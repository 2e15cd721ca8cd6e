/*
 * Expressions decided with as few of their names asked for as may be.
 *
 * A tree is made of an expression's steps, whose && and || have all their operands beside
 * one another, the cheap ones in front. Before a name is asked for, its least and most are
 * known: a rule of which no string stands in the text has not hit, any other comes to 1 or
 * to its count. Often that decides: "A && B" where B is 0, "A + B + C > 2" where two of them are.
 * The outcome is that of rules_meta_run, whatever was left unasked.
 *
 * What a name stands for may be an expression itself: whoever answers for it comes back to
 * rules_tree_decide, and sees to it that this has an end (see rules_finish.c).
 */
#ifndef RULES_DECIDE_H
#define RULES_DECIDE_H

#include "rules_meta.h"

#include <math.h>

enum { RULES_TREE_DEPTH_MAX = 100 };

struct rules_node {
    enum rules_op op; /* ADD has what is subtracted as NEGATE */
    uint32_t name;
    double number;
    uint32_t cost;        /* of all names below */
    uint32_t child, next; /* the first one, the one beside; 0: none */
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

struct rules_answers {
    struct rules_guess (*peek)(const void *arg, uint32_t name); /* without work */
    void (*ask)(void *arg, uint32_t name);                      /* from then on it is settled */
    void *arg;
};

typedef uint32_t rules_cost(const void *arg, uint32_t name);

/* Makes the tree of an expression; NULL, or what is wrong. Memory is the arena's. */
const char *rules_tree_new(struct rules_tree *t, const struct rules_meta *m, rules_cost *cost,
                           const void *arg, struct rules_arena *a);
struct rules_value rules_tree_decide(const struct rules_tree *t, const struct rules_answers *a);
/* Is it 0 or 1 always, where it is known? */
bool rules_tree_is_bool(const struct rules_tree *t);

#endif

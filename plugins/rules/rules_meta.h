/*
 * Expressions over rules: "(A && !B) || C + D > 1". Also the conditions of "if" lines,
 * whose names are asked for at once: version, plugin(NAME), can(NAME).
 *
 *   ||   &&   == != < <= > >=   + -   * /   ! -   ( )  numbers  names
 *
 * from loosest to tightest. Compiled to a list of steps for a stack machine; nesting,
 * length and stack are limited. A value may be unknown (a rule that is not there, or could
 * not be run): && and || know their result when one side decides it, everything else
 * with an unknown in it is unknown, and an unknown expression does not hit.
 */
#ifndef RULES_META_H
#define RULES_META_H

#include "rules_str.h"

enum { RULES_META_STEPS_MAX = 2000, RULES_META_DEPTH_MAX = 60 };

struct rules_value {
    double number;
    bool known;
};

enum rules_op {
    RULES_OP_NUMBER,
    RULES_OP_NAME,
    RULES_OP_NOT,
    RULES_OP_NEGATE,
    RULES_OP_OR,
    RULES_OP_AND,
    RULES_OP_EQ,
    RULES_OP_NE,
    RULES_OP_LT,
    RULES_OP_LE,
    RULES_OP_GT,
    RULES_OP_GE,
    RULES_OP_ADD,
    RULES_OP_SUBTRACT,
    RULES_OP_MULTIPLY,
    RULES_OP_DIVIDE
};

struct rules_step {
    enum rules_op op;
    uint32_t name; /* what `resolve` gave */
    double number;
};

struct rules_meta {
    const struct rules_step *steps;
    size_t count;
};

/* A name, with its argument where one stood in brackets (else .p is NULL), to a number for
 * the step. False: it can't be used. */
typedef bool rules_resolve(void *arg, struct postern_str name, struct postern_str argument,
                           uint32_t *out);
/* NULL, or what is wrong. The steps are from the arena. */
const char *rules_meta_compile(struct rules_meta *m, struct postern_str text, struct rules_arena *a,
                               rules_resolve *resolve, void *arg);

/* What comes of two known values; of all but && and ||. */
struct rules_value rules_meta_two(enum rules_op op, double a, double b);

typedef struct rules_value rules_lookup(const void *arg, uint32_t name);
struct rules_value rules_meta_run(const struct rules_meta *m, rules_lookup *lookup,
                                  const void *arg);

#endif

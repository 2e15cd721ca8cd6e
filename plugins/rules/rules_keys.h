/* Expressions that are 0 until one of a few rules has something to show: see rules_keys.c. */
#ifndef RULES_KEYS_H
#define RULES_KEYS_H

#include "rules_set.h"

/* Finds the keys of an expression whose tree is made; false: it has none, and has to be
 * asked for. Those that it names were here before, and at_first knows all rules. */
bool rules_keys_find(struct rules_set *set, struct rule *r);
/* Puts down what each rule wakes. False when memory ran out. */
bool rules_keys_finish(struct rules_set *set);

#endif

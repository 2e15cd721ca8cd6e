/*
 * What the plugin says of a set: at start, how many lines it does not use for which reason
 * (or each by name); to `postern plugin show rules`, what of the set there is, runs, and is
 * left out, rule by rule.
 */
#ifndef RULES_SAY_H
#define RULES_SAY_H

#include "rules_set.h"

void rules_say_left(struct postern_setup *s, const struct rules_set *set);
/* For the plugin's `info`: patterns that did not need to be compiled are tried here. */
int rules_say_info(struct postern_setup *s, struct rules_set *set);

#endif

/*
 * One pattern on one text: PCRE2 with its limits. A rules_matcher is scratch memory for one
 * thread at a time: match data, a JIT stack, what was captured of the message at hand.
 */
#ifndef RULES_MATCH_H
#define RULES_MATCH_H

#include "rules_capture.h"
#include "rules_set.h"

struct rules_matcher;

/* The plugin's one symbol of its own, by its place in the table; the detail is the rule. */
enum { RULES_GAVE_UP };

/* match_limit: steps of backtracking in one match; beyond it a rule gives up, which verdict and
 * log are told. NULL when memory ran out. */
struct rules_matcher *rules_matcher_new(uint32_t match_limit);
void rules_matcher_free(struct rules_matcher *m);
/* The next message: what is captured goes to the arena. Without one, nothing is told. */
void rules_matcher_begin(struct rules_matcher *m, struct postern_call *call,
                         struct rules_arena *arena);
const struct rules_captures *rules_matcher_captures(const struct rules_matcher *m);
/* A rule gave up by the clock: another time it might come to its end. */
bool rules_matcher_was_hurried(const struct rules_matcher *m);

/* How often it may count at most. */
double rules_match_most(const struct rule *rule);
/* 1 or 0: does it match, beginning at [*at, last]; -1: it gave up. *at goes behind the match. */
int rules_match_at(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                   size_t *at, size_t last);
/* Adds the matches that begin at [at, last] to *v, as far as the rule counts; *v becomes
 * unknown where it gives up. */
void rules_match_from(struct rules_matcher *m, const struct rule *rule, struct postern_str text,
                      size_t at, size_t last, struct rules_value *v);
/* How often it matches in all of the text, as far as it counts. */
struct rules_value rules_match(struct rules_matcher *m, const struct rule *rule,
                               struct postern_str text);

#endif

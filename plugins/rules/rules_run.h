/*
 * Running a set over one message. A rules_run is scratch memory for one thread at a time:
 * match data, a JIT stack, texts.
 */
#ifndef RULES_RUN_H
#define RULES_RUN_H

#include "rules_text.h"

struct rules_run;

/* match_limit: steps of backtracking in one match; beyond it the rule gives up. session: see
 * rules_text.h. */
struct rules_run *rules_run_new(const struct rules_set *set, size_t max_text, uint32_t match_limit,
                                bool session);
void rules_run_free(struct rules_run *r);
/* States a fact for each rule that hits; a rule that gives up is named in the log. */
int rules_run_message(struct rules_run *r, struct postern_call *call);

/* For measuring: told of each rule that was asked for, and how long that took without those
 * that it asked for itself. */
typedef void rules_meter(void *arg, const struct rule *rule, int64_t ns);
void rules_run_meter(struct rules_run *r, rules_meter *fn, void *arg);

#endif

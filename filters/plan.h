/*
 * The plan: which plugins run, in which order, in which group of workers, worked out
 * once a policy generation. Edge (runner.h), template and worker read the same plan;
 * a plugin is named by its index in it, and sets of plugins are masks of 64 bits.
 *
 * The order of the array is the order of the ledger. A plugin with an `after` list
 * has a higher rank than those it names and stands behind them.
 */
#ifndef PN_PLAN_H
#define PN_PLAN_H

#include "policy.h"

#include <postern/plugin.h>

enum { PN_PLAN_PLUGINS_MAX = 64, PN_PLAN_GROUPS_MAX = PN_PLAN_PLUGINS_MAX };

struct pn_plan_plugin {
    struct pn_str name;
    struct pn_str file;
    const struct postern_block *settings; /* may be NULL in tests */
    unsigned needs;                       /* POSTERN_NEED_* granted */
    unsigned edits;                       /* PN_EDITS_* granted */
    unsigned methods;                     /* PN_METHOD_* */
    unsigned stages;                      /* bits 1 << POSTERN_* that it has */
    unsigned rank;
    uint64_t after; /* those of other groups that it waits for */
    uint64_t local; /* those of its own group; they stand before it */
    unsigned group;
    enum postern_on_failure on_failure;
    uint32_t deadline_ms; /* of one callback */
    bool alone;           /* one message a process */
};

struct pn_plan {
    uint32_t refs;
    uint32_t generation;      /* the supervisor's serial number */
    struct pn_policy *policy; /* a reference; may be NULL in tests */
    uint32_t budget_ms;       /* of all checks of one message */
    unsigned group_count;
    unsigned count;
    struct pn_plan_plugin plugins[PN_PLAN_PLUGINS_MAX];
};

/* Takes a reference to policy. */
struct pn_plan *pn_plan_new(struct pn_policy *policy, uint32_t generation);
struct pn_plan *pn_plan_ref(struct pn_plan *plan);
void pn_plan_unref(struct pn_plan **plan);
/* The plugins that this domain wants (NULL: all). */
uint64_t pn_plan_wanted(const struct pn_plan *plan, const struct pn_domain *domain);
/* Those that may change what all recipients of a message share: body or sender. */
uint64_t pn_plan_shared(const struct pn_plan *plan);
/* Does one of them state results of this PN_METHOD_*? */
bool pn_plan_states(const struct pn_plan *plan, unsigned method);
/* Those that have a stage. */
uint64_t pn_plan_at(const struct pn_plan *plan, unsigned stage);
/* The index of a name, or -1. */
int pn_plan_find(const struct pn_plan *plan, struct pn_str name);
const char *pn_stage_name(unsigned stage); /* "connect" */

#endif

#include "plan.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

const char *pn_stage_name(unsigned stage)
{
    static const char *const names[POSTERN_STAGES] = {
        [POSTERN_CONNECT] = "connect", [POSTERN_HELO] = "helo",       [POSTERN_MAIL] = "mail",
        [POSTERN_RCPT] = "rcpt",       [POSTERN_HEADERS] = "headers", [POSTERN_MESSAGE] = "message",
        [POSTERN_AFTER] = "after"};
    return stage < POSTERN_STAGES ? names[stage] : "?";
}

static void take_after(struct pn_plan *plan, unsigned index)
{
    struct pn_plan_plugin *p = &plan->plugins[index];
    uint64_t after = pn_plugin_after(pn_policy_plugin(plan->policy, index));
    for (unsigned i = 0; i < plan->count; i++)
        if ((after >> i & 1) != 0)
            *(plan->plugins[i].group == p->group ? &p->local : &p->after) |= UINT64_C(1) << i;
}

static void take_row(struct pn_plan *plan, unsigned i)
{
    const struct pn_plugin_row *row = pn_policy_plugin(plan->policy, i);
    plan->plugins[i] = (struct pn_plan_plugin){
        .name = pn_plugin_name(row),
        .file = pn_plugin_file(row),
        .settings = pn_plugin_settings(plan->policy, row),
        .needs = pn_plugin_needs(row),
        .edits = pn_plugin_edits(row),
        .methods = pn_plugin_methods(row),
        .stages = pn_plugin_stages(row),
        .rank = pn_plugin_rank(row),
        .group = pn_plugin_group(row),
        .on_failure = (enum postern_on_failure)pn_plugin_on_failure(row),
        .deadline_ms = pn_plugin_deadline_ms(row),
        .alone = pn_plugin_alone(row),
    };
}

struct pn_plan *pn_plan_new(struct pn_policy *policy, uint32_t generation)
{
    struct pn_plan *plan = pn_calloc(1, sizeof *plan);
    size_t count = pn_policy_plugin_count(policy), groups = pn_policy_group_count(policy);
    pn_assert(count <= PN_PLAN_PLUGINS_MAX && groups <= PN_PLAN_PLUGINS_MAX);
    *plan = (struct pn_plan){.refs = 1,
                             .generation = generation,
                             .policy = pn_policy_ref(policy),
                             .budget_ms = (uint32_t)pn_policy_int(policy, "budget"),
                             .group_count = (unsigned)groups,
                             .count = (unsigned)count};
    for (unsigned i = 0; i < plan->count; i++)
        take_row(plan, i);
    for (unsigned i = 0; i < plan->count; i++)
        take_after(plan, i);
    return plan;
}

struct pn_plan *pn_plan_ref(struct pn_plan *plan)
{
    plan->refs++;
    return plan;
}

void pn_plan_unref(struct pn_plan **planp)
{
    struct pn_plan *plan = *planp;
    *planp = NULL;
    if (plan == NULL || --plan->refs != 0)
        return;
    if (plan->policy != NULL)
        pn_policy_unref(&plan->policy);
    free(plan);
}

static uint64_t all_of(const struct pn_plan *plan)
{
    return plan->count == 64 ? UINT64_MAX : (UINT64_C(1) << plan->count) - 1;
}

uint64_t pn_plan_wanted(const struct pn_plan *plan, const struct pn_domain *domain)
{
    uint64_t wanted = 0;
    if (domain == NULL || plan->policy == NULL)
        return all_of(plan);
    for (unsigned i = 0; i < plan->count; i++)
        if (pn_domain_wants_plugin(plan->policy, domain, i))
            wanted |= UINT64_C(1) << i;
    return wanted;
}

uint64_t pn_plan_shared(const struct pn_plan *plan)
{
    uint64_t shared = 0;
    for (unsigned i = 0; i < plan->count; i++)
        if ((plan->plugins[i].edits & (PN_EDITS_BODY | PN_EDITS_SENDER)) != 0)
            shared |= UINT64_C(1) << i;
    return shared;
}

bool pn_plan_states(const struct pn_plan *plan, unsigned method)
{
    for (unsigned i = 0; i < plan->count; i++)
        if ((plan->plugins[i].methods & method) != 0)
            return true;
    return false;
}

uint64_t pn_plan_at(const struct pn_plan *plan, unsigned stage)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < plan->count; i++)
        at |= (uint64_t)(plan->plugins[i].stages >> stage & 1) << i;
    return at;
}

int pn_plan_find(const struct pn_plan *plan, struct pn_str name)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (pn_str_eq(plan->plugins[i].name, name))
            return (int)i;
    return -1;
}

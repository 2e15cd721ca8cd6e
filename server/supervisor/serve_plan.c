#include "serve_plan.h"

#include <sched.h>

uint32_t plan_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (uint32_t)n;
}

void plan_fini(struct plan *plan)
{
    pn_pool_free(&plan->pool);
    *plan = (struct plan){.pool = NULL};
}

#include "auth_settings.h"

#include "mem.h"
#include "policy.h"

#include <sched.h>
#include <stdlib.h>

/* Half of the processors: the rest is for those who carry mail. */
static unsigned by_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 2 ? 1 : (unsigned)n / 2;
}

bool auth_settings_of(struct pn_generation *gen, struct auth_settings *out, struct pn_buf *err)
{
    struct pn_policy *p = pn_policy_open(gen->policy_fd, err);
    struct pn_net net;
    gen->policy_fd = -1;
    if (p == NULL)
        return false;
    *out = (struct auth_settings){
        .rules = {.slow_after = (uint32_t)pn_policy_int(p, "auth.slow-after"),
                  .address_max = (uint32_t)pn_policy_int(p, "auth.address-failures"),
                  .account_max = (uint32_t)pn_policy_int(p, "auth.account-failures"),
                  .forget_ms = (uint64_t)pn_policy_int(p, "auth.forget")},
        .threads = (unsigned)pn_policy_int(p, "auth.threads"),
        .waiting = (unsigned)pn_policy_int(p, "auth.waiting"),
        .mailboxes = (uint32_t)pn_policy_int(p, "mailboxes"),
        .plain_login = pn_str_eq(pn_policy_str(p, "mailbox.plain-login"), PN_STR("loopback"))};
    if (out->threads == 0)
        out->threads = by_cpus();
    for (size_t i = 0; pn_policy_net_at(p, "auth.shared", i, &net); i++) {
        out->shared =
            pn_grow(out->shared, &out->shared_cap, out->shared_count, sizeof out->shared[0]);
        out->shared[out->shared_count++] = net;
    }
    pn_policy_unref(&p);
    return true;
}

void auth_settings_fini(struct auth_settings *set)
{
    free(set->shared);
    *set = (struct auth_settings){.shared = NULL};
}

bool auth_settings_shared(const struct auth_settings *set, const struct pn_ip *ip)
{
    for (size_t i = 0; i < set->shared_count; i++)
        if (pn_net_has(&set->shared[i], ip))
            return true;
    return false;
}

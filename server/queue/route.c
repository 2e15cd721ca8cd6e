/* Where an address goes that did not come through an edge: the sender of a report. */
#include "queue_int.h"

#include "expand.h"

/* Whose mailbox: without the tag, in lower case, as the edge names it. */
static struct pn_str user_of(const struct pn_policy *p, const struct pn_domain *d,
                             struct pn_pool *pool, struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct pn_str local = pn_str_slice(address, 0, at - 1);
    struct pn_buf b;
    pn_buf_init(&b, PN_ENVELOPE_TEXT_MAX);
    local = pn_domain_user(p, d, local);
    (void)(pn_buf_adds(&b, local) && pn_buf_adds(&b, pn_str_slice(address, at - 1, address.len)));
    for (size_t i = 0; i < b.len; i++)
        b.p[i] = pn_lower(b.p[i]);
    struct pn_str user = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return user;
}

static bool by_policy(const struct pn_policy *p, const struct pn_domain *d, struct pn_str address,
                      struct pn_pool *pool, struct pn_recipient *to)
{
    struct pn_route route;
    struct pn_buf b;
    pn_domain_route(p, d, &route);
    if (route.kind == PN_ROUTE_LOCAL) {
        to->via = PN_VIA_LOCAL;
        to->user = user_of(p, d, pool, address);
        return to->user.p != NULL;
    }
    pn_buf_init(&b, PN_ENVELOPE_TEXT_MAX);
    pn_endpoint_print(&b, &route.ip, route.port);
    to->via = route.kind == PN_ROUTE_LMTP ? PN_VIA_LMTP : PN_VIA_SMTP;
    to->next_hop = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return to->next_hop.p != NULL;
}

bool route_address(struct queue *q, struct pn_str address, struct pn_pool *pool,
                   struct pn_recipient *to)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    *to = (struct pn_recipient){.address = address, .notify = PN_NOTIFY_NEVER};
    if (at <= 1 || at == address.len)
        return false;
    struct pn_str domain = pn_str_slice(address, at, address.len);
    const struct pn_domain *d = q->policy == NULL ? NULL : pn_policy_domain(q->policy, domain);
    if (d != NULL)
        return by_policy(q->policy, d, address, pool, to);
    to->via = PN_VIA_MX;
    to->next_hop = domain;
    return true;
}

/* Whom it stands for by today's policy; count 0: nobody but itself. */
static struct pn_expansion expand(const struct queue *q, struct pn_str address,
                                  struct pn_pool *pool)
{
    struct pn_expansion x = {.count = 0};
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct pn_str domain = pn_str_slice(address, at, address.len);
    const struct pn_domain *d = q->policy == NULL ? NULL : pn_policy_domain(q->policy, domain);
    if (d == NULL || pn_expand(q->policy, d, address, pool, &x) != PN_EXPAND_DONE)
        x.count = 0; /* what does not end well is tried as it is */
    return x;
}

uint32_t route_report(struct queue *q, struct pn_str address, struct pn_pool *pool,
                      struct pn_recipient **to)
{
    struct pn_expansion x = expand(q, address, pool);
    uint32_t count = 0;
    *to = pn_pool_alloc(pool, (x.count + 1) * sizeof **to);
    if (*to == NULL)
        return 0;
    for (size_t i = 0; i < x.count; i++) {
        struct pn_recipient *one = &(*to)[count];
        struct pn_buf b;
        if (!route_address(q, x.targets[i].address, pool, one))
            continue;
        pn_buf_init(&b, PN_ENVELOPE_TEXT_MAX);
        (void)(pn_buf_adds(&b, address) && pn_buf_addz(&b, ", by "));
        pn_expand_print(&b, &x.targets[i]);
        one->by = pn_pool_dup(pool, pn_buf_str(&b));
        pn_buf_fini(&b);
        count += one->by.p != NULL;
    }
    if (count == 0)
        count = route_address(q, address, pool, &(*to)[0]);
    return count;
}

/* Where an address goes that did not come through an edge: the sender of a report. */
#include "queue_int.h"

/* Whose mailbox: without the tag, in lower case, as the edge names it. */
static struct pn_str user_of(const struct pn_policy *p, struct pn_pool *pool, struct pn_str address)
{
    struct pn_str delimiter = pn_policy_str(p, "smtp.delimiter");
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct pn_str local = pn_str_slice(address, 0, at - 1);
    size_t tag = delimiter.len == 1 ? pn_str_find(local, delimiter.p[0], 1) : SIZE_MAX;
    struct pn_buf b;
    pn_buf_init(&b, PN_ENVELOPE_TEXT_MAX);
    (void)(pn_buf_adds(&b, tag == SIZE_MAX ? local : pn_str_slice(local, 0, tag)) &&
           pn_buf_adds(&b, pn_str_slice(address, at - 1, address.len)));
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
        to->user = user_of(p, pool, address);
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

/* Mailboxes here that are full: said at RCPT, before the content is sent for nothing. */
#include "edge.h"

bool rcpt_must_ask_quota(const struct transaction *t, const struct txn_rcpt *r)
{
    struct pn_route route;
    if (!t->s->gen->quotas || r->home == NULL || r->stands_for != NULL)
        return false;
    pn_domain_route(t->s->gen->policy, r->home, &route);
    return route.kind == PN_ROUTE_LOCAL;
}

void rcpt_ask_quota(struct transaction *t, const struct txn_rcpt *r, outbox_fn *fn)
{
    static const struct pn_reply away = {0, PN_STR_INIT("")};
    struct edge *edge = t->s->edge;
    struct pn_quota_ask ask = {.bytes = t->declared, .user = forward_user(t, r->address, r->local)};
    uint32_t workers = (uint32_t)pn_policy_int(edge->gen->policy, "mailboxes");
    t->token =
        ask.user.len == 0 ? 0 : outbox_quota(edge, pn_mailbox_of(ask.user, workers), &ask, fn, t);
    if (t->token == 0)
        fn(t, &away);
}

const char *rcpt_quota_said(const struct pn_reply *reply)
{
    return reply->code == 452 ? "452 4.2.2 The mailbox is full, try again later" : NULL;
}

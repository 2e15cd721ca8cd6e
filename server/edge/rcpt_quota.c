/*
 * Mailboxes here that are full: said at RCPT, before the content is sent for nothing.
 *
 * An address that stands for others is refused only where each of them has a mailbox here and none
 * has room: then nobody would get the message. Where somebody has room it is taken; the queue tries
 * the full ones again, or tells the sender, as for any recipient.
 */
#include "edge.h"

#include "expand.h"
#include "mailbox_policy.h"

enum step {
    ASKED,    /* one of them; on_said goes on */
    ROOM,     /* somebody has, as far as anybody knows here */
    ALL_ASKED /* and nobody has */
};

static enum step ask_next(struct transaction *t);

static bool is_local(const struct transaction *t, const struct pn_domain *domain)
{
    struct pn_route route;
    if (domain == NULL)
        return false;
    pn_domain_route(t->s->gen->policy, domain, &route);
    return route.kind == PN_ROUTE_LOCAL;
}

/* The n-th of those that get what comes for the last recipient. */
static bool target_of(const struct transaction *t, size_t n, struct pn_expand_target *out)
{
    const struct txn_rcpt *r = &t->rcpts[t->rcpt_count - 1];
    if (r->stands_for != NULL && n < r->stands_for->count)
        *out = r->stands_for->targets[n];
    else if (r->stands_for == NULL && n == 0)
        *out =
            (struct pn_expand_target){.address = r->address, .local = r->local, .domain = r->home};
    else
        return false;
    return true;
}

static void on_said(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    bool full = reply->code == 452 || reply->code == 552;
    t->token = 0;
    t->quota.later = t->quota.later || reply->code == 452;
    enum step step = full ? ask_next(t) : ROOM;
    if (step != ASKED)
        t->quota.done(t, step == ROOM     ? NULL
                         : t->quota.later ? "452 4.2.2 The mailbox is full, try again later"
                                          : "552 5.2.2 The mailbox is full");
}

/* Is there anything to ask about mailboxes of that domain, kept by that worker? */
static bool has_quotas(const struct transaction *t, const struct pn_domain *domain,
                       unsigned mailbox)
{
    return pn_domain_has_quota(t->s->gen->policy, domain) || outbox_has_quotas(t->s->edge, mailbox);
}

/* One after the other, and no more once somebody has room: mostly that is the first. */
static enum step ask_next(struct transaction *t)
{
    struct edge *edge = t->s->edge;
    struct pn_expand_target target;
    if (!target_of(t, t->quota.next++, &target))
        return ALL_ASKED;
    if (!is_local(t, target.domain))
        return ROOM;
    /* By today's number of workers, as deliveries go. */
    uint32_t workers = (uint32_t)pn_policy_int(edge->gen->policy, "mailboxes");
    struct pn_quota_ask ask = {.bytes = t->declared,
                               .user = forward_user(t, target.address, target.local)};
    unsigned mailbox = pn_mailbox_of(ask.user, workers);
    if (ask.user.len == 0 || !has_quotas(t, target.domain, mailbox))
        return ROOM;
    t->token = outbox_quota(edge, mailbox, &ask, on_said, t);
    return t->token == 0 ? ROOM : ASKED;
}

bool rcpt_ask_quota(struct transaction *t, void (*done)(struct transaction *t, const char *refusal))
{
    t->quota = (struct txn_quota){.done = done};
    return ask_next(t) == ASKED;
}

/* What clients ask of reports (RFC 3461), on its way to the queue, which makes them. */
#include "edge.h"

bool dsn_ask(struct transaction *t, const struct pn_smtp_rcpt *from, struct txn_rcpt *r)
{
    r->dsn = from->dsn;
    if (r->dsn.orcpt.len != 0)
        r->dsn.orcpt = pn_pool_dup(t->pool, r->dsn.orcpt);
    if (from->to.domain.len != 0 && !pn_str_eq(from->to.address, r->address))
        r->given = pn_pool_dup(t->pool, from->to.address);
    return (from->dsn.orcpt.len == 0 || r->dsn.orcpt.p != NULL) &&
           (r->given.len == 0 || r->given.p != NULL);
}

bool dsn_asked(const struct transaction *t, const struct txn_rcpt *r)
{
    return t->dsn.ret != 0 || t->dsn.envid.len != 0 || r->dsn.notify != 0 || r->dsn.orcpt.len != 0;
}

/* What it asks for in all: silence gives way to anything else, and nothing to what is the
 * usual. */
void dsn_join(struct txn_rcpt *there, const struct txn_rcpt *again)
{
    enum { USUAL = PN_NOTIFY_FAILURE | PN_NOTIFY_DELAY };
    uint8_t a = there->dsn.notify == 0 ? USUAL : there->dsn.notify;
    uint8_t b = again->dsn.notify == 0 ? USUAL : again->dsn.notify;
    uint8_t both = a | b;
    if (there->dsn.notify != again->dsn.notify)
        there->dsn.notify = both == PN_NOTIFY_NEVER ? both : both & (uint8_t)~PN_NOTIFY_NEVER;
    if (there->dsn.orcpt.len == 0)
        there->dsn.orcpt = again->dsn.orcpt;
}

void dsn_fill(const struct txn_rcpt *r, struct pn_recipient *out)
{
    out->notify = r->dsn.notify;
    out->orcpt = r->dsn.orcpt;
    out->given = r->given;
}

bool dsn_expand(struct pn_recipient *to, struct pn_str address, size_t count,
                struct pn_recipient *alias)
{
    bool several = count > 1, asked = dsn_wants_success(to);
    bool gets = to->hand == PN_HAND_DELIVER || to->hand == PN_HAND_JUNK;
    if (to->given.len == 0)
        to->given = address; /* what it becomes is nobody's business */
    *alias = *to;
    alias->hand = PN_HAND_EXPANDED;
    alias->via = PN_VIA_LOCAL;
    alias->user = address;
    if (several && asked) {
        to->notify &= (uint8_t)~PN_NOTIFY_SUCCESS;
        to->notify = to->notify == 0 ? PN_NOTIFY_NEVER : to->notify;
    }
    return several && asked && gets;
}

bool dsn_wants_success(const struct pn_recipient *r)
{
    return (r->notify & PN_NOTIFY_SUCCESS) != 0;
}

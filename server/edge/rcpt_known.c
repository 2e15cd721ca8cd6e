/* Whom we take mail for: what is asked of a recipient before plugins and policy, whether the
 * client names it or a plugin does. */
#include "edge.h"

#include "alabel.h"
#include "mem.h"

#include <stdlib.h>

void rcpt_canonical(struct transaction *t, const struct pn_smtp_mailbox *to, struct txn_rcpt *out)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * PN_SMTP_PATH_MAX);
    pn_smtp_mailbox_canonical(&b, to);
    if (to->domain.len == 0) /* <postmaster>: RFC 5321, section 4.5.1 */
        (void)(pn_buf_addc(&b, '@') && pn_buf_adds(&b, t->s->gen->hostname));
    /* By its A-label, as DNS, the policy and mailboxes have it; what is no name is nobody's. */
    struct pn_alabel room;
    struct pn_str ascii = pn_alabel_address(pn_buf_str(&b), &room);
    out->address = pn_pool_dup(t->pool, ascii.p == NULL ? pn_buf_str(&b) : ascii);
    size_t at = out->address.len;
    while (at > 0 && out->address.p[at - 1] != '@')
        at--;
    char *local = pn_pool_strdup(t->pool, pn_str_slice(out->address, 0, at == 0 ? 0 : at - 1));
    for (char *c = local; c != NULL && *c != '\0'; c++)
        *c = pn_lower(*c);
    out->local = pn_str_of(local);
    pn_buf_fini(&b);
}

struct pn_str rcpt_domain(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return pn_str_slice(address, at, address.len);
}

/* `mixed split`, of this domain or of one taken before: one policy a message. */
static bool differs(const struct transaction *t, const struct txn_rcpt *r)
{
    const struct pn_plan *plan = t->s->gen->plan;
    /* Body and sender are the same for all: one plugin may not change them for some. */
    if (t->seen_count != 0 && (pn_plan_wanted(plan, r->domain) & pn_plan_shared(plan)) != t->shared)
        return true;
    if (t->s->kind != PN_LISTEN_SMTP || t->seen_count == 0 ||
        (!t->split && !pn_domain_mixed_split(r->domain)))
        return false;
    return t->groups_differ || pn_domain_group(r->domain) != t->group;
}

const char *rcpt_refusal(const struct transaction *t, struct txn_rcpt *r,
                         const struct pn_smtp_mailbox *to)
{
    const struct session *s = t->s;
    if (to->literal)
        return "550 5.1.2 Address literals are not taken here";
    if (r->address.p == NULL || r->local.p == NULL ||
        t->rcpt_count + t->expanded >= PN_ENVELOPE_RECIPIENTS_MAX)
        return "452 4.5.3 Too many recipients";
    const char *refusal = NULL;
    r->domain = r->home = pn_policy_domain(s->gen->policy, rcpt_domain(r->address));
    if (forward_report(t, r, &refusal)) {
        r->home = r->domain;
        if (refusal == NULL && differs(t, r))
            refusal = "452 4.5.3 This recipient's policy differs, send to it apart";
        return refusal;
    }
    if (r->home == NULL && to->domain.len == 0)
        r->home = pn_policy_default_domain(s->gen->policy);
    if (r->home == NULL && s->user == NULL)
        return pn_policy_str(s->gen->policy, "replies.relay").p;
    r->domain = s->user == NULL ? r->home : pn_policy_submitted(s->gen->policy);
    r->local = pn_domain_user(s->gen->policy, r->home, r->local);
    enum pn_recipients kind = r->home == NULL ? PN_RCPT_ANY : pn_domain_recipients(r->home);
    refusal = r->home == NULL ? NULL : forward_find(t, r);
    if (refusal != NULL)
        return refusal;
    if (r->stands_for == NULL && (kind == PN_RCPT_LIST || kind == PN_RCPT_LOCAL) &&
        !pn_domain_has_user(s->gen->policy, r->home, r->local))
        return pn_policy_str(s->gen->policy, "replies.unknown").p;
    if (differs(t, r))
        return "452 4.5.3 This recipient's policy differs, send to it apart";
    return NULL;
}

/* ---- an address given twice gets the message once ---- */

/* A mailbox here has no case; what another host does with an address is not known. */
static bool is_same(const struct txn_rcpt *r, struct pn_str address)
{
    return pn_str_eq(r->address, address) ||
           (r->home != NULL && pn_domain_is_local(r->home) && pn_str_ieq(r->address, address));
}

/* The slot of an address in the table of those taken: its own, or a free one. */
static uint32_t *slot_of(const struct transaction *t, struct pn_str address)
{
    size_t i = pn_str_hash(address, t->id, true) & (t->seen_cap - 1);
    while (t->seen[i] != 0 && !is_same(&t->rcpts[t->seen[i] - 1], address))
        i = (i + 1) & (t->seen_cap - 1);
    return &t->seen[i];
}

void rcpt_remember(struct transaction *t, size_t index)
{
    const struct pn_domain *domain = t->rcpts[index].domain;
    const struct pn_plan *plan = t->s->gen->plan;
    if (t->seen_count == 0) {
        t->group = pn_domain_group(domain);
        t->shared = pn_plan_wanted(plan, domain) & pn_plan_shared(plan);
    }
    t->groups_differ = t->groups_differ || pn_domain_group(domain) != t->group;
    t->split = t->split || pn_domain_mixed_split(domain);
    if (2 * (t->seen_count + 1) > t->seen_cap) {
        free(t->seen);
        t->seen_cap = t->seen_cap == 0 ? 16 : 2 * t->seen_cap;
        t->seen = pn_calloc(t->seen_cap, sizeof *t->seen);
        for (size_t i = 0; i < index; i++)
            if (!t->rcpts[i].refused)
                *slot_of(t, t->rcpts[i].address) = (uint32_t)i + 1;
    }
    *slot_of(t, t->rcpts[index].address) = (uint32_t)index + 1;
    t->seen_count++;
}

struct txn_rcpt *rcpt_taken(const struct transaction *t, struct pn_str address)
{
    uint32_t at = t->seen_cap == 0 ? 0 : *slot_of(t, address);
    return at == 0 ? NULL : &t->rcpts[at - 1];
}

/* ---- recipients verify ---- */

bool rcpt_must_verify(const struct txn_rcpt *r)
{
    return r->stands_for == NULL && r->home != NULL &&
           pn_domain_recipients(r->home) == PN_RCPT_VERIFY &&
           !pn_str_eq(r->local, PN_STR("postmaster")) && !pn_str_eq(r->local, PN_STR("abuse"));
}

void rcpt_verify(struct transaction *t, const struct txn_rcpt *r, outbox_fn *fn)
{
    static const struct pn_reply away = {451, PN_STR_INIT("")};
    struct pn_route route;
    struct pn_buf b;
    pn_domain_route(t->s->gen->policy, r->home, &route);
    pn_buf_init(&b, 512);
    pn_endpoint_print(&b, &route.ip, route.port);
    struct pn_verify ask = {.via = route.kind == PN_ROUTE_LMTP ? PN_VIA_LMTP : PN_VIA_SMTP,
                            .next_hop = pn_buf_str(&b),
                            .address = r->address};
    t->token = outbox_verify(t->s->edge, &ask, fn, t);
    pn_buf_fini(&b);
    if (t->token == 0)
        fn(t, &away);
}

const char *rcpt_verified(const struct transaction *t, const struct pn_reply *reply)
{
    return reply->code / 100 == 2 ? NULL
           : reply->code / 100 == 5
               ? pn_policy_str(t->s->gen->policy, "replies.unknown").p
               : "451 4.4.0 The recipient can't be verified now, try again later";
}

struct txn_rcpt *txn_add_rcpt(struct transaction *t, const struct txn_rcpt *r)
{
    t->rcpts = pn_grow(t->rcpts, &t->rcpt_cap, t->rcpt_count, sizeof *t->rcpts);
    t->rcpts[t->rcpt_count] = *r;
    t->expanded += r->stands_for == NULL ? 0 : r->stands_for->count;
    return &t->rcpts[t->rcpt_count++];
}

/* RCPT: whom we take mail for, and what policy says before content. */
#include "edge.h"

#include "alabel.h"
#include "mem.h"

#include <stdlib.h>

/* Refused without a trace in the envelope, beyond the limit of recipients. */
enum { TURNED_AWAY_MORE = 100 };

/* The recipient in the one form that everything later uses. */
static void canonical(struct transaction *t, const struct pn_smtp_mailbox *to, struct txn_rcpt *out)
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

static struct pn_str domain_of(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return pn_str_slice(address, at, address.len);
}

/* Without the tag behind the delimiter: user+tag is user. */
static struct pn_str without_tag(const struct session *s, struct pn_str local)
{
    struct pn_str delimiter = pn_policy_str(s->gen->policy, "smtp.delimiter");
    size_t at = delimiter.len == 1 ? pn_str_find(local, delimiter.p[0], 1) : SIZE_MAX;
    return at == SIZE_MAX ? local : pn_str_slice(local, 0, at);
}

/* `mixed split`, of this domain or of one taken before: one policy a message. */
static bool differs(const struct transaction *t, const struct txn_rcpt *r)
{
    if (t->s->kind != PN_LISTEN_SMTP || t->seen_count == 0 ||
        (!t->split && !pn_domain_mixed_split(r->domain)))
        return false;
    return t->groups_differ || pn_domain_group(r->domain) != t->group;
}

/* What no plugin has a say in: NULL, or the reply. */
static const char *check_recipient(struct transaction *t, struct txn_rcpt *r,
                                   const struct pn_smtp_mailbox *to)
{
    const struct session *s = t->s;
    if (to->literal)
        return "550 5.1.2 Address literals are not taken here";
    if (r->address.p == NULL || r->local.p == NULL)
        return "452 4.5.3 Too many recipients";
    r->domain = pn_policy_domain(s->gen->policy, domain_of(r->address));
    if (r->domain == NULL && to->domain.len == 0)
        r->domain = pn_policy_default_domain(s->gen->policy);
    if (r->domain == NULL)
        return pn_policy_str(s->gen->policy, "replies.relay").p;
    r->local = without_tag(s, r->local);
    enum pn_recipients kind = pn_domain_recipients(r->domain);
    if ((kind == PN_RCPT_LIST || kind == PN_RCPT_LOCAL) &&
        !pn_domain_has_user(s->gen->policy, r->domain, r->local))
        return pn_policy_str(s->gen->policy, "replies.unknown").p;
    if (differs(t, r))
        return "452 4.5.3 This recipient's policy differs, send to it apart";
    return NULL;
}

/* ---- an address given twice gets the message once ---- */

/* The slot of an address in the table of those taken: its own, or a free one. */
static uint32_t *slot_of(struct transaction *t, struct pn_str address)
{
    size_t i = pn_str_hash(address, t->id, false) & (t->seen_cap - 1);
    while (t->seen[i] != 0 && !pn_str_eq(t->rcpts[t->seen[i] - 1].address, address))
        i = (i + 1) & (t->seen_cap - 1);
    return &t->seen[i];
}

static void remember(struct transaction *t, size_t index)
{
    const struct pn_domain *domain = t->rcpts[index].domain;
    if (t->seen_count == 0)
        t->group = pn_domain_group(domain);
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

static bool is_taken(struct transaction *t, struct pn_str address)
{
    return t->seen_cap != 0 && *slot_of(t, address) != 0;
}

/* ---- decisions ---- */

static void refuse_last(struct transaction *t, struct pn_str reply)
{
    struct txn_rcpt *r = &t->rcpts[t->rcpt_count - 1];
    r->refused = true;
    r->refusal = reply;
    t->refused_count++;
    turn_answer(t->s, reply);
}

/* The stages before content ran: does a line of the policy act on what they found? */
static void rcpt_decide(struct transaction *t)
{
    size_t i = t->rcpt_count - 1;
    struct pn_decision decision;
    txn_decide(t, &t->rcpts[i], i, true, &decision);
    if (pn_outcome_refuses(decision.outcome)) {
        refuse_last(t, decision.reply);
        return;
    }
    remember(t, i);
    pn_smtp_server_accept(t->s->smtp);
}

static void on_rcpt_checked(void *ctx, enum pn_check_end end)
{
    struct transaction *t = ctx;
    if (end == PN_CHECK_OVERLOAD)
        refuse_last(t, PN_STR("451 4.3.2 Too busy, try again later"));
    else
        rcpt_decide(t);
}

/* True: the reply waits for what the plugins find. Where no line of the policy could act on
 * that yet they only get a start, and not even that while they are busy: then everything is
 * asked in one go when the content is here. */
static bool check_early(struct transaction *t, const struct txn_rcpt *r)
{
    struct session *s = t->s;
    if (pn_domain_acts_early(s->gen->policy, r->domain))
        return pn_check_run(s->check, POSTERN_RCPT, on_rcpt_checked, t);
    if (pn_runner_at_leisure(s->edge->runner))
        (void)pn_check_run(s->check, POSTERN_RCPT, NULL, NULL);
    return false;
}

/* What a client may know of a recipient is known: on to the plugins. */
static void rcpt_check(struct transaction *t)
{
    struct session *s = t->s;
    const struct txn_rcpt *r = &t->rcpts[t->rcpt_count - 1];
    if (s->check != NULL) {
        pn_check_early(s->check, session_early(s));
        pn_check_rcpt(s->check, r->address, pn_plan_wanted(s->gen->plan, r->domain));
        if (s->gen->early_stages && check_early(t, r))
            return;
    }
    rcpt_decide(t);
}

/* Nobody that we take mail for: named in the event alone, where there are not too many. */
static void turn_away(struct transaction *t, const struct txn_rcpt *r, struct pn_str reply)
{
    t->turned_away++;
    if (t->away_count < TXN_AWAY_NAMED && r->address.p != NULL) {
        t->away = pn_grow(t->away, &t->away_cap, t->away_count, sizeof *t->away);
        t->away[t->away_count] = *r;
        t->away[t->away_count].refused = true;
        if (r->domain == NULL)
            t->away[t->away_count].domain = pn_policy_default_domain(t->s->gen->policy);
        t->away[t->away_count++].refusal = reply;
    }
    turn_answer(t->s, reply);
}

/* ---- recipients verify ---- */

static bool must_verify(const struct txn_rcpt *r)
{
    return pn_domain_recipients(r->domain) == PN_RCPT_VERIFY &&
           !pn_str_eq(r->local, PN_STR("postmaster")) && !pn_str_eq(r->local, PN_STR("abuse"));
}

/* It was never one of ours: what plugins count as the n-th recipient stays so. */
static void forget_last(struct transaction *t, struct pn_str reply)
{
    t->rcpt_count--;
    turn_away(t, &t->rcpts[t->rcpt_count], reply);
}

static void on_verified(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    t->token = 0;
    if (reply->code / 100 == 2)
        rcpt_check(t);
    else if (reply->code / 100 == 5)
        forget_last(t, pn_policy_str(t->s->gen->policy, "replies.unknown"));
    else
        forget_last(t, PN_STR("451 4.4.0 The recipient can't be verified now, try again later"));
}

/* Asks the next hop, by way of the queue. */
static void verify(struct transaction *t)
{
    const struct txn_rcpt *r = &t->rcpts[t->rcpt_count - 1];
    static const struct pn_reply away = {451, PN_STR_INIT("")};
    struct pn_route route;
    struct pn_buf b;
    pn_domain_route(t->s->gen->policy, r->domain, &route);
    pn_buf_init(&b, 512);
    pn_endpoint_print(&b, &route.ip, route.port);
    struct pn_verify ask = {.via = route.kind == PN_ROUTE_LMTP ? PN_VIA_LMTP : PN_VIA_SMTP,
                            .next_hop = pn_buf_str(&b),
                            .address = r->address};
    t->token = outbox_verify(t->s->edge, &ask, on_verified, t);
    pn_buf_fini(&b);
    if (t->token == 0)
        on_verified(t, &away);
}

void txn_rcpt(struct session *s, const struct pn_smtp_rcpt *rcpt)
{
    struct transaction *t = s->txn;
    struct txn_rcpt r = {.refused = false};
    /* Before anything is said of the recipient: who only guesses names is slowed down. */
    if (session_limited(s, PN_RATE_RCPT)) {
        turn_answer(s, PN_STR("451 4.7.1 Too many recipients from you, try again later"));
        return;
    }
    /* The engine limits those taken, and 5yz replies; a 4yz costs memory and look-ups too. */
    if (t->refused_count >= s->gen->smtp[0].rcpt_max ||
        t->turned_away >= s->gen->smtp[0].rcpt_max + TURNED_AWAY_MORE) {
        turn_answer(s, PN_STR("452 4.5.3 Too many recipients refused"));
        return;
    }
    canonical(t, &rcpt->to, &r);
    const char *refusal = check_recipient(t, &r, &rcpt->to);
    if (refusal != NULL) {
        turn_away(t, &r, pn_str_of(refusal));
        return;
    }
    if (is_taken(t, r.address)) {
        pn_smtp_server_accept(s->smtp);
        return;
    }
    t->rcpts = pn_grow(t->rcpts, &t->rcpt_cap, t->rcpt_count, sizeof *t->rcpts);
    t->rcpts[t->rcpt_count++] = r;
    if (must_verify(&t->rcpts[t->rcpt_count - 1]))
        verify(t);
    else
        rcpt_check(t);
}

/* RCPT: whom we take mail for, and what policy says before content. */
#include "edge.h"

#include "mem.h"

/* Refused without a trace in the envelope, beyond the limit of recipients. */
enum { TURNED_AWAY_MORE = 100 };

/* ---- decisions ---- */

static void refuse_last(struct transaction *t, struct pn_str reply)
{
    struct txn_rcpt *r = &t->rcpts[t->rcpt_count - 1];
    r->refused = true;
    r->refusal = reply;
    t->refused_count++;
    turn_answer(t->s, reply);
}

/* t->rcpts[i] is taken, or was before: even then LMTP has one more reply for it. */
static void accept_rcpt(struct transaction *t, size_t i)
{
    if (txn_replies_each(t)) {
        t->replies = pn_grow(t->replies, &t->reply_cap, t->reply_count, sizeof *t->replies);
        t->replies[t->reply_count++] = (uint32_t)i;
    }
    pn_smtp_server_accept(t->s->smtp);
}

/* Nothing we know speaks against it, and the next hop, if it was asked, may have said no. */
static void on_cut(struct transaction *t, struct pn_str refusal)
{
    size_t i = t->rcpt_count - 1;
    if (refusal.len != 0) {
        refuse_last(t, refusal);
        return;
    }
    rcpt_remember(t, i);
    accept_rcpt(t, i);
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
    if (!cut_rcpt(t, &t->rcpts[i], on_cut))
        on_cut(t, PN_STR(""));
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

/* Who probes for names shall be known by his own: at leisure, and nobody waits for it. */
static void look_at_client(struct session *s)
{
    if (s->check != NULL && s->gen->early_stages && pn_runner_at_leisure(s->edge->runner))
        (void)pn_check_run(s->check, POSTERN_HELO, NULL, NULL);
}

/* Nobody that we take mail for: named in the event alone, where there are not too many. */
static void turn_away(struct transaction *t, const struct txn_rcpt *r, struct pn_str reply)
{
    t->turned_away++;
    look_at_client(t->s);
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

/* It was never one of ours: what plugins count as the n-th recipient stays so. */
static void forget_last(struct transaction *t, struct pn_str reply)
{
    const struct txn_rcpt *r = &t->rcpts[--t->rcpt_count];
    t->expanded -= r->stands_for == NULL ? 0 : r->stands_for->count;
    turn_away(t, r, reply);
}

static void on_verified(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    t->token = 0;
    const char *refusal = rcpt_verified(t, reply);
    if (refusal == NULL)
        rcpt_check(t);
    else
        forget_last(t, pn_str_of(refusal));
}

/* ---- quotas ---- */

static void on_quota(struct transaction *t, const char *refusal)
{
    if (refusal == NULL)
        rcpt_check(t);
    else
        forget_last(t, pn_str_of(refusal));
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
    if (rcpt->dsn.notify != 0 || rcpt->dsn.orcpt.len != 0)
        cut_end(t); /* reports are the journal's */
    rcpt_canonical(t, &rcpt->to, &r);
    const char *refusal = rcpt_refusal(t, &r, &rcpt->to);
    if (refusal != NULL) {
        turn_away(t, &r, pn_str_of(refusal));
        return;
    }
    if (!dsn_ask(t, rcpt, &r)) {
        turn_away(t, &r, PN_STR("452 4.5.3 Too many recipients"));
        return;
    }
    struct txn_rcpt *before = rcpt_taken(t, r.address);
    if (before != NULL) {
        dsn_join(before, &r);
        accept_rcpt(t, (size_t)(before - t->rcpts));
        return;
    }
    const struct txn_rcpt *added = txn_add_rcpt(t, &r);
    if (rcpt_must_verify(added))
        rcpt_verify(t, added, on_verified);
    else if (!rcpt_ask_quota(t, on_quota))
        rcpt_check(t);
}

/*
 * Cut-through, edge's half (queue/cut.h has the whole): recipients are asked for at the next hop
 * when the client names them, its refusals are ours, and the message goes there before the client
 * has its reply. What could not go so any more is taken as ever: the journal, then 250.
 *
 *   none --1st RCPT--> begun --TAKE that fits--> the queue's answer is the client's reply
 *     |                  |
 *     +-- off <----------+   a recipient elsewhere, or an alias; 4yz or nothing from the queue;
 *                            other recipients, sender, outcomes or lines than were asked for
 *
 * Fits: all who are taken were asked for there, and get the same bytes with the same outcome,
 * from the sender that was named.
 */
#include "edge.h"

#include "cut_record.h"

/* Nothing goes that way any more. */
static void off(struct transaction *t)
{
    if (t->cut_begun && !t->cut_off)
        outbox_cut_drop(t->s->edge, t->id);
    t->cut_off = true;
}

/* Is the i-th recipient one whose message may go on at once? */
static bool wants(const struct transaction *t, const struct txn_rcpt *r)
{
    const struct edge_generation *g = t->s->gen;
    enum pn_listen_kind kind = t->s->kind;
    bool listens = kind == PN_LISTEN_SMTP || kind == PN_LISTEN_SMTPS || kind == PN_LISTEN_LMTP;
    return g->cut_through && !t->cut_off && listens && r->domain != NULL && r->stands_for == NULL &&
           t->declared <= g->memory_max && !dsn_asked(t, r);
}

static void on_answer(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    t->token = 0;
    if (reply->code / 100 == 5) {
        t->cut_done(t, outbox_reply(t->pool, reply));
        return;
    }
    if (reply->code / 100 == 2)
        t->cut_count++;
    else
        off(t);
    t->cut_done(t, PN_STR(""));
}

bool cut_rcpt(struct transaction *t, const struct txn_rcpt *r,
              void (*done)(struct transaction *t, struct pn_str refusal))
{
    struct pn_recipient to = {.address = r->address};
    if (!wants(t, r)) {
        off(t);
        return false;
    }
    forward_route(t, r->domain, r->local, &to);
    struct pn_cut_rcpt ask = {.id = t->id,
                              .via = to.via,
                              .flags = t->smtputf8 ? PN_ENV_SMTPUTF8 : 0,
                              .next_hop = to.next_hop,
                              .reverse_path = t->from,
                              .address = r->address};
    bool there = to.via == PN_VIA_SMTP || to.via == PN_VIA_LMTP;
    t->token = there ? outbox_cut(t->s->edge, &ask, on_answer, t) : 0;
    if (t->token == 0) {
        off(t);
        return false;
    }
    t->cut_begun = true;
    t->cut_done = done;
    return true;
}

static bool fits(const struct transaction *t, const struct pn_envelope *env)
{
    const struct pn_recipient *first = &env->recipients[0];
    if (env->recipient_count != t->cut_count || env->group_count != 1 ||
        (env->flags & PN_ENV_CONTENT_FILE) != 0 || !pn_str_eq(env->reverse_path, t->from) ||
        (first->hand != PN_HAND_DELIVER && first->hand != PN_HAND_JUNK))
        return false;
    for (uint32_t i = 0; i < env->recipient_count; i++) {
        const struct pn_recipient *r = &env->recipients[i];
        if (r->hand != first->hand || r->via != first->via || r->from.len != 0 ||
            !pn_str_eq(r->next_hop, first->next_hop))
            return false;
    }
    return true;
}

bool cut_fits(struct transaction *t, const struct pn_envelope *env)
{
    bool yes = t->cut_begun && !t->cut_off && fits(t, env);
    if (!yes)
        off(t);
    return yes;
}

bool cut_sent(const struct transaction *t)
{
    return t->cut_begun && !t->cut_off;
}

void cut_end(struct transaction *t)
{
    off(t);
}

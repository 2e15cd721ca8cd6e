/* From a settled verdict to the reply: refuse, or hand over and wait until it is durable. */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

/* Each recipient's own reply, in the order of RCPT; the last one ends the transaction. */
static void answer_each(struct transaction *t)
{
    struct session *s = t->s;
    const struct pn_verdict *v = &t->verdict;
    size_t count = t->reply_count;
    struct pn_str *of = pn_calloc(t->rcpt_count, sizeof *of);
    struct pn_str *replies = pn_calloc(count, sizeof *replies);
    for (size_t i = 0; i < v->rcpt_count; i++)
        of[v->rcpts[i].index] = v->rcpts[i].decision.reply;
    for (size_t i = 0; i < count; i++)
        replies[i] = of[t->replies[i]];
    for (size_t i = 0; i < count; i++)
        turn_answer(s, replies[i]);
    free(replies);
    free(of);
}

/* It is done as was decided, or the verdict says by now what was done. */
static void answer(struct transaction *t)
{
    t->token = 0;
    event_message(t);
    edge_count(t->s->edge, t->verdict.outcome);
    if (txn_replies_each(t))
        answer_each(t);
    else
        turn_answer(t->s, t->verdict.reply);
}

/* Nobody has it. */
static void fail(struct transaction *t, struct pn_str reply)
{
    pn_verdict_replied(&t->verdict, reply);
    answer(t);
}

/* Who was to have it did not want it. */
static void refuse(struct transaction *t, struct pn_str reply)
{
    pn_verdict_refused(&t->verdict, reply);
    answer(t);
}

static void on_taken(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    /* A file of the queue's goes back if it was not taken. Without an answer it may have been:
     * the answer decides (outbox.c), or the channel's end. */
    t->content.given = reply->code / 100 == 2 || reply->code == 0;
    if (reply->code / 100 == 2)
        answer(t);
    else if (reply->code == 0)
        fail(t, PN_STR("451 4.3.0 The queue did not answer, try again later"));
    else if (reply->code / 100 == 5 && cut_sent(t))
        refuse(t, outbox_reply(t->pool, reply));
    else
        fail(t, outbox_reply(t->pool, reply));
}

static enum pn_hand hand_of(enum pn_outcome outcome)
{
    return outcome == PN_JUNK         ? PN_HAND_JUNK
           : outcome == PN_QUARANTINE ? PN_HAND_QUARANTINE
                                      : PN_HAND_DELIVER;
}

static void add_reason(struct pn_buf *b, const struct pn_because *why)
{
    (void)pn_buf_addf(b, "%.*s%s%.*s", PN_FMT(why->where), why->where.len == 0 ? "" : " ",
                      PN_FMT(why->text));
}

/* Why it lies in quarantine: the line that decided, and that the envelope was mixed where
 * that kept it from being refused. */
static struct pn_str held_reason(struct transaction *t, const struct pn_decision *d)
{
    const struct pn_because *last = &d->because[d->because_count - 1];
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    add_reason(&b, &d->because[0]);
    if (d->because_count > 1 && pn_str_starts(last->text, PN_STR("mixed envelope"))) {
        (void)pn_buf_addz(&b, "; ");
        add_reason(&b, last);
    }
    struct pn_str text = pn_pool_dup(t->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text.p == NULL ? PN_STR("") : text;
}

static void fill_recipient(struct transaction *t, const struct pn_verdict_rcpt *v,
                           const struct txn_rcpt *r, struct pn_recipient *out)
{
    const struct pn_decision *d = &v->decision;
    *out = (struct pn_recipient){.address = r->address, .hand = (uint8_t)hand_of(d->outcome)};
    dsn_fill(r, out);
    if (out->hand == PN_HAND_QUARANTINE && t->s->user != NULL)
        out->hand = PN_HAND_HOLD; /* the user's own: somebody looks, then it goes on */
    forward_route(t, r->home, r->local, out);
    if (d->outcome == PN_QUARANTINE && d->because_count != 0)
        out->reason = held_reason(t, d);
}

static bool spf_passed(const struct pn_facts *facts)
{
    const struct pn_auth *a;
    for (size_t n = 0; (a = pn_facts_auth(facts, PN_STR("spf"), n)) != NULL; n++)
        if (pn_str_eq(a->result, PN_STR("pass")) &&
            pn_str_eq(pn_auth_get(a, PN_STR("identity")), PN_STR("mailfrom")))
            return true;
    return false;
}

/* Those that stand for themselves first: what was decided for them counts, whoever else leads
 * to them. False: the pool's limit. */
static bool put_recipients(struct transaction *t, struct pn_envelope *env, const uint16_t *of)
{
    struct forwarder f;
    bool ok = true;
    forward_begin(&f, t, env);
    for (int others = 0; others < 2; others++) {
        for (size_t i = 0; ok && i < t->verdict.rcpt_count; i++) {
            const struct pn_verdict_rcpt *v = &t->verdict.rcpts[i];
            struct pn_recipient to;
            if (!pn_verdict_gets(v) || (v->stands_for != NULL) != (others != 0))
                continue;
            fill_recipient(t, v, &t->rcpts[v->index], &to);
            to.group = of[i];
            ok = forward_put(&f, v, &to);
        }
    }
    forward_end(&f);
    return ok;
}

/* All who get it. NULL: the pool's limit. */
static struct pn_envelope *envelope(struct transaction *t)
{
    struct session *s = t->s;
    char ip[PN_IP_TEXT_MAX];
    struct pn_envelope *env = pn_pool_alloc(t->pool, sizeof *env);
    struct trace_group same[TRACE_GROUPS_MAX];
    uint16_t *of = pn_pool_alloc(t->pool, t->verdict.rcpt_count * sizeof *of);
    size_t group_room, rcpt_room = forward_room(t, &group_room);
    struct pn_edit_group *groups = pn_pool_alloc(t->pool, group_room * sizeof *groups);
    struct pn_recipient *rcpts = pn_pool_alloc(t->pool, rcpt_room * sizeof *rcpts);
    if (env == NULL || of == NULL || groups == NULL || rcpts == NULL)
        return NULL;
    uint32_t group_count = trace_groups(t, same, of);
    for (uint32_t i = 0; i < group_count; i++)
        if (!trace_edits(t, i, same[i], &groups[i]))
            return NULL;
    *env = (struct pn_envelope){.id = t->id,
                                .arrived_ms = pn_clock_wall_ms(),
                                .size = t->content.len,
                                .generation = s->gen->serial,
                                .reverse_path = t->onward,
                                .ret = t->dsn.ret,
                                .envid = t->dsn.envid,
                                .helo = pn_str_of(s->helo == NULL ? "" : s->helo),
                                .submitter = session_user(s),
                                .group_count = group_count,
                                .groups = groups,
                                .recipients = rcpts};
    env->client = pn_pool_dup(t->pool, pn_str_of(pn_ip_text(&s->ip, ip)));
    bool eight = t->body_8bit || t->eight || pn_smtp_server_info(s->smtp)->eight;
    env->flags =
        (eight ? PN_ENV_8BITMIME : 0) | (t->smtputf8 ? PN_ENV_SMTPUTF8 : 0) |
        (pn_str_eq(t->onward, t->from) && spf_passed(t->verdict.facts) ? PN_ENV_SPF_PASS : 0) |
        (s->user != NULL ? PN_ENV_SUBMITTED : 0);
    return put_recipients(t, env, of) ? env : NULL;
}

static void take(struct transaction *t)
{
    struct pn_envelope *env = t->env;
    int fd = content_fd(t);
    env->content_file = content_file(t);
    if (env->content_file != 0) { /* its own file the queue knows */
        env->flags |= PN_ENV_CONTENT_FILE;
        fd = -1;
    }
    bool cut = cut_fits(t, env);
    t->token = outbox_take(t->s->edge, env, fd, on_taken, t);
    if (cut && t->token != 0)
        outbox_patience(t->s->edge, t->token, PN_CUT_WAIT_MS);
    t->content.given = t->token != 0;
    if (t->token == 0)
        fail(t, PN_STR("451 4.3.0 The queue takes no mail now, try again later"));
}

/* The mailbox said it, or nothing: what it could not take for now goes to the queue. */
static void on_delivered(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    /* The user has no room: his sender's server keeps the message, or tells its sender. */
    bool full = reply->code == 452 && pn_str_starts(reply->text, PN_STR("4.2.2"));
    if (reply->code >= 200 && reply->code < 300)
        answer(t);
    else if (full || reply->code >= 500)
        fail(t, outbox_reply(t->pool, reply));
    else
        take(t);
}

/* One recipient with a mailbox here: its worker syncs it, no journal is needed. */
static bool deliver(struct transaction *t, const struct pn_envelope *env)
{
    const struct pn_recipient *r = &env->recipients[0];
    struct edge *edge = t->s->edge;
    if (env->recipient_count != 1 || r->via != PN_VIA_LOCAL ||
        (r->hand != PN_HAND_DELIVER && r->hand != PN_HAND_JUNK) || dsn_wants_success(r))
        return false;
    struct pn_deliver d = {.id = env->id,
                           .arrived_ms = env->arrived_ms,
                           .size = env->size,
                           .reverse_path = env->reverse_path,
                           .recipient = r->address,
                           .user = r->user,
                           .folder = r->folder,
                           .edits = env->groups[r->group]};
    /* By today's number of workers, as the queue reckons, not by the session's policy. */
    uint32_t workers = (uint32_t)pn_policy_int(edge->gen->policy, "mailboxes");
    unsigned mailbox = pn_mailbox_of(r->user, workers);
    t->token = outbox_deliver(edge, mailbox, &d, content_fd(t), on_delivered, t);
    return t->token != 0;
}

static bool nobody_gets_it(const struct transaction *t)
{
    for (size_t i = 0; i < t->verdict.rcpt_count; i++)
        if (pn_verdict_gets(&t->verdict.rcpts[i]))
            return false;
    return true;
}

static void hand_on(struct transaction *t, bool signed_)
{
    if (!signed_)
        fail(t, PN_STR("451 4.3.0 The message can't be signed now, try again later"));
    else if (!deliver(t, t->env))
        take(t);
}

/* What is handed on is there as it shall be. */
static void hand_over(struct transaction *t, bool kept)
{
    if (!kept) {
        fail(t,
             PN_STR("451 4.3.0 The message could not be changed as it must be, try again later"));
        return;
    }
    t->env = envelope(t);
    if (t->env == NULL)
        fail(t, PN_STR("451 4.3.0 Too many lines to add to the message, try again later"));
    else
        sign_begin(t, t->env, hand_on);
}

void act(struct transaction *t)
{
    if (nobody_gets_it(t))
        answer(t);
    else
        edits_content(t, hand_over);
}

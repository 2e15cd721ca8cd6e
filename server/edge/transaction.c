/* One message: its recipients, its content, what the plugins found, what is decided. */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "reply.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

const struct pn_facts *txn_facts(struct transaction *t)
{
    static const struct pn_facts none;
    return t->s->check == NULL ? &none : pn_check_facts(t->s->check);
}

bool txn_replies_each(const struct transaction *t)
{
    return t->s->kind == PN_LISTEN_LMTP;
}

/* ---- MAIL ---- */

static uint64_t seed(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v)
        v = pn_clock_mono_ns();
    return v;
}

static bool has_plugins(const struct session *s)
{
    return s->gen->plan->count != 0;
}

/* The check, made if there is none. */
static struct pn_check *check_of(struct session *s)
{
    char name[32];
    if (s->check == NULL) {
        struct pn_check_client client = {.ip = s->ip,
                                         .port = s->port,
                                         .tls = s->tls_on,
                                         .early = session_early(s),
                                         .seed = seed()};
        client.id = pn_str_of(session_name(s, name));
        client.auth_id = session_user(s);
        client.tls_info = session_tls(s);
        client.local = s->local;
        client.local_port = s->local_port;
        s->check = pn_check_new(s->edge->runner, &client);
        unknown_tell(s, true);
        if (s->helo != NULL)
            pn_check_helo(s->check, pn_str_of(s->helo));
        unknown_tell(s, false);
    }
    return s->check;
}

void txn_mail(struct session *s, const struct pn_smtp_mail *mail)
{
    struct edge *edge = s->edge;
    struct pn_buf from;
    const char *refusal = submit_sender(s, &mail->from);
    if (refusal != NULL) {
        turn_answer(s, pn_str_of(refusal));
        return;
    }
    if (session_limited(s, PN_RATE_MAIL)) {
        turn_answer(s, PN_STR("451 4.7.1 Too many messages from you, try again later"));
        return;
    }
    if (edge->disk_full) {
        turn_answer(s, PN_STR("452 4.3.1 No room for mail now, try again later"));
        return;
    }
    if (s->counted && !pn_cap_take(edge->limits, PN_CAP_MESSAGES, 1, s->gen->flight_messages_max)) {
        turn_answer(s, PN_STR("451 4.3.2 Too much mail at once, try again later"));
        return;
    }
    client_name_ask(s);
    struct transaction *t = pn_calloc(1, sizeof *t);
    t->s = s;
    t->pool = pn_pool_new(TXN_POOL_MAX);
    t->id = pn_queue_id_make(&edge->ids);
    (void)pn_queue_id_text(t->id, t->id_text);
    t->began_ns = pn_clock_mono_ns();
    t->now_ms = pn_clock_wall_ms();
    t->content.memory.fd = -1;
    t->declared = mail->size;
    pn_buf_init(&from, PN_SMTP_PATH_MAX + 2);
    if (mail->from.address.len != 0)
        pn_smtp_mailbox_canonical(&from, &mail->from);
    t->from = from.len == 0 ? PN_STR("") : pn_pool_dup(t->pool, pn_buf_str(&from));
    pn_buf_fini(&from);
    t->mail_args = pn_pool_dup(t->pool, mail->args);
    t->cut_off = mail->dsn.ret != 0 || mail->dsn.envid.len != 0;
    t->body_8bit = mail->body_8bit;
    t->smtputf8 = mail->smtputf8;
    t->dsn = (struct pn_smtp_dsn_mail){mail->dsn.ret, PN_STR("")};
    if (mail->dsn.envid.len != 0)
        t->dsn.envid = pn_pool_dup(t->pool, mail->dsn.envid);
    s->txn = t;
    if (has_plugins(s)) {
        struct pn_check_mail check = {.from = t->from, .id = pn_str_of(t->id_text)};
        check.args = t->mail_args;
        check.now_ms = t->now_ms;
        check.seed = seed();
        pn_check_mail(check_of(s), &check);
    }
    pn_smtp_server_accept(s->smtp);
}

/* ---- decisions ---- */

void txn_decide(struct transaction *t, const struct txn_rcpt *r, size_t i, bool early,
                struct pn_decision *out)
{
    struct pn_decide_input in = {.facts = txn_facts(t),
                                 .sender = t->from,
                                 .recipient = r->address,
                                 .rcpt = (uint32_t)i,
                                 .client = t->s->ip,
                                 .auth_id = session_user(t->s),
                                 .held = t->hold,
                                 .early = early};
    pn_decide(t->s->gen->policy, r->domain, &in, t->pool, out);
}

/* ---- content ---- */

/* What the core itself reads in the header. The refusal, or NULL. */
static const char *look_at(struct transaction *t, struct pn_str content)
{
    struct pn_message *m = pn_message_new(content, NULL);
    if (m == NULL)
        return "552 5.3.4 Message too large";
    const char *refusal = NULL;
    const struct pn_field *id = pn_field_find(m, NULL, PN_STR("Message-ID"), 1);
    if (id != NULL)
        t->message_id =
            pn_pool_dup(t->pool, pn_str_slice(pn_str_trim(pn_field_value(m, id)), 0, 256));
    if (pn_field_count(m, NULL, PN_STR("Received")) > t->s->gen->hops_max)
        refusal = "554 5.4.6 Too many hops: the message loops";
    if (refusal == NULL && t->s->user != NULL)
        refusal = submit_look(t, m);
    pn_message_free(&m);
    return refusal;
}

static const char *read_header(struct transaction *t)
{
    struct pn_str header, map;
    if (!content_header(t, &header, &map))
        return "451 4.3.2 No room for the message, try again later";
    const char *refusal = look_at(t, header);
    pn_unmap(&map);
    return refusal;
}

/* What it is about; not yet of whom. */
static void verdict_begin(struct transaction *t)
{
    t->verdict = (struct pn_verdict){
        .id = pn_str_of(t->id_text), .policy = t->s->gen->policy, .facts = txn_facts(t)};
}

/* Makes room for the verdict on n of the recipients. False: the pool's limit. */
static bool verdict_room(struct transaction *t, size_t n)
{
    struct pn_str *envelope = pn_pool_alloc(t->pool, t->rcpt_count * sizeof *envelope);
    struct pn_verdict_rcpt *rcpts = pn_pool_alloc(t->pool, n * sizeof *rcpts);
    if (n == 0 || envelope == NULL || rcpts == NULL)
        return false;
    for (size_t i = 0; i < t->rcpt_count; i++)
        envelope[i] = t->rcpts[i].address;
    t->verdict.rcpts = rcpts;
    t->verdict.envelope = envelope;
    t->verdict.envelope_count = t->rcpt_count;
    return true;
}

/* Decides for the i-th recipient. Borrowed. */
static struct pn_decision *verdict_add(struct transaction *t, const struct txn_rcpt *r, size_t i,
                                       bool early)
{
    struct pn_verdict_rcpt *v = &t->verdict.rcpts[t->verdict.rcpt_count++];
    v->address = r->address;
    v->domain = r->domain;
    v->index = (uint32_t)i;
    v->added = r->added;
    v->removed = r->removed;
    v->edit = r->edit;
    v->stands_for = r->stands_for;
    txn_decide(t, r, i, early, &v->decision);
    if (!early)
        forward_decide(t, v);
    return &v->decision;
}

static void on_after(void *ctx, enum pn_check_end end)
{
    (void)end; /* nothing there changes what was decided */
    act(ctx);
}

static void no_memory(struct transaction *t)
{
    turn_answer_all(t->s, PN_STR("452 4.3.1 Out of memory for this message, try again later"));
}

/* Those of the client, those added, those removed. */
static unsigned rcpt_class(const struct txn_rcpt *r)
{
    return r->removed ? 2 : r->added;
}

/* Who is to have it is known. */
static void decide(struct transaction *t)
{
    if (!verdict_room(t, t->rcpt_count - t->refused_count)) {
        no_memory(t);
        return;
    }
    submit_count(t);
    for (unsigned class = 0; class < 3; class ++)
        for (size_t i = 0; i < t->rcpt_count; i++)
            if (!t->rcpts[i].refused && rcpt_class(&t->rcpts[i]) == class)
                (void)verdict_add(t, &t->rcpts[i], i, false);
    pn_verdict_settle(&t->verdict, txn_replies_each(t), t->pool);
    t->ran = true;
    if (t->s->check == NULL || !pn_check_run(t->s->check, POSTERN_AFTER, on_after, t))
        act(t);
}

static void verdict(struct transaction *t)
{
    verdict_begin(t);
    if (!edits_begin(t, decide))
        no_memory(t);
}

/* Refused before there was a verdict. */
static void refuse_content(struct transaction *t, struct pn_str reply)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_REPLY_MAX);
    (void)(pn_buf_addz(&b, "content: ") && pn_buf_adds(&b, reply));
    event_session(t->s, "refused", pn_buf_str(&b));
    pn_buf_fini(&b);
    turn_answer_all(t->s, reply);
}

static void on_content_checked(void *ctx, enum pn_check_end end)
{
    struct transaction *t = ctx;
    if (end == PN_CHECK_OVERLOAD)
        refuse_content(t, PN_STR("451 4.3.2 Too busy, try again later"));
    else
        verdict(t);
}

void txn_content(struct session *s)
{
    struct transaction *t = s->txn;
    t->size = t->content.len;
    const char *refusal = NULL;
    if (!content_close(t))
        refusal = "452 4.3.1 No room for the message, try again later";
    else if (t->size != 0)
        refusal = read_header(t);
    else if (s->user != NULL)
        refusal = submit_look(t, NULL);
    if (refusal != NULL) {
        refuse_content(t, pn_str_of(refusal));
        return;
    }
    if (s->check != NULL) {
        pn_check_early(s->check, session_early(s));
        pn_check_content(s->check, content_fd(t), t->size);
        if (pn_check_run(s->check, POSTERN_MESSAGE, on_content_checked, t))
            return;
    }
    verdict(t);
}

/* ---- the end ---- */

/* No line of the policy refused this one: the next hop did, or there was no room. */
static void refused_otherwise(const struct txn_rcpt *r, struct pn_decision *d)
{
    d->outcome = pn_str_starts(r->refusal, PN_STR("4")) ? PN_DEFER : PN_REJECT;
    d->reply = r->refusal;
    d->because[0] = (struct pn_because){PN_STR(""), PN_STR("refused at RCPT")};
    d->because_count = 1;
}

/* Every recipient was refused before content: that is a verdict too. Where we take mail for
 * none of them, it is theirs. */
static void refused_event(struct transaction *t)
{
    verdict_begin(t);
    if (!verdict_room(t, t->rcpt_count == 0 ? t->away_count : t->rcpt_count))
        return;
    for (size_t i = 0; i < t->rcpt_count; i++) {
        struct pn_decision *d = verdict_add(t, &t->rcpts[i], i, true);
        if (!pn_outcome_refuses(d->outcome))
            refused_otherwise(&t->rcpts[i], d);
    }
    for (size_t i = 0; i < t->away_count && t->rcpt_count == 0; i++)
        refused_otherwise(&t->away[i], verdict_add(t, &t->away[i], 0, true));
    pn_verdict_settle(&t->verdict, false, t->pool);
    event_message(t);
}

/* Without an event nothing was decided: the client went away, or had no say; nor where no
 * recipient was one of ours. */
static enum pn_fate fate_of(const struct transaction *t)
{
    return !t->evented || t->rcpt_count == 0 ? PN_FATE_DROPPED
           : pn_verdict_taken(&t->verdict)   ? PN_FATE_TAKEN
                                             : PN_FATE_REFUSED;
}

void txn_done(struct session *s)
{
    struct transaction *t = s->txn;
    if (t == NULL)
        return;
    s->txn = NULL;
    if (!t->evented && t->rcpt_count + t->away_count != 0 && t->refused_count == t->rcpt_count)
        refused_event(t);
    if (t->token != 0)
        outbox_forget(s->edge, t->token);
    cut_end(t);
    edge_fate(s, fate_of(t));
    if (s->check != NULL)
        pn_check_reset(s->check);
    trace_end(t);
    edits_end(t);
    sign_end(t);
    content_end(t);
    if (s->counted)
        pn_cap_give(s->edge->limits, PN_CAP_MESSAGES, 1);
    free(t->rcpts);
    free(t->away);
    free(t->seen);
    free(t->replies);
    pn_pool_free(&t->pool);
    free(t);
}

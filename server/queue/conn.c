/*
 * One connection to a next hop. The engine must not be freed within its callbacks, so
 * `ended` only marks it; whoever called the engine ends with conn_after.
 */
#include "hop.h"

#include "assert.h"
#include "attempt.h"
#include "client.h"
#include "clock.h"
#include "command_suppress.h"
#include "cut.h"
#include "edit.h"
#include "hop_login_job.h"
#include "hop_turn.h"
#include "log.h"
#include "mem.h"
#include "shun.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    KEEP_MAX = 16 * 1024, /* a reply that is not whole yet */
    WRITE_MAX = 2 * 1024 * 1024,
    WHY_MAX = 400,
    EDIT_BYTES = 1024 * 1024
};

struct conn {
    struct conn *next, **at;
    struct conn *idle_next, **idle_at; /* while it is free: in the queue's list */
    struct hop *hop;
    struct pn_stream *stream;
    struct pn_smtp_client *client;
    struct pn_timer *idle;
    struct parcel *parcel; /* NULL: none is on its way */
    struct probe *probe;   /* the same */
    struct cut *cut;       /* the same */
    uint32_t cut_to;       /* its recipients so far */
    uint64_t mails;
    bool ready;              /* was ready once */
    bool free;               /* takes a mail now */
    bool over;               /* the engine ended */
    bool broken;             /* and not in order, with a mail under way */
    bool shaking;            /* hands, for TLS */
    bool tls_fault;          /* it ended for want of TLS: the address may serve others */
    bool try_plain;          /* TLS failed: the next connection does without */
    struct tls_host *tls;    /* counted */
    struct tls_plan plan;    /* by which it was made */
    struct attempt *attempt; /* the connection's, then each mail's; counted */
    size_t address;          /* the hop's, by index */
    struct hop_address peer;
    struct pn_smtp_wait wait; /* for what, when that was last asked */
    struct login_job *login;  /* NULL: none was asked for */
    char *name;               /* ours, for EHLO: a reload may change the settings'; owned */
    char why[WHY_MAX];        /* over, never ready: "4.4.1 Connection refused" */

    /* of the parcel's mail, as the engine wants it */
    struct pn_message *message; /* kept from mail to mail for its memory */
    struct pn_edits *edits;
    struct pn_segments segments;
    struct pn_str *parts; /* owned */
    struct pn_str to[PARCEL_RECIPIENTS_MAX];
    struct pn_smtp_dsn_rcpt dsn_to[PARCEL_RECIPIENTS_MAX];
};

static void mail_fini(struct conn *c)
{
    pn_segments_fini(&c->segments);
    pn_segments_init(&c->segments);
    pn_edits_free(&c->edits);
    free(c->parts);
    c->parts = NULL;
    if (c->parcel != NULL) {
        struct parcel *p = c->parcel;
        c->parcel = NULL;
        parcel_free(p);
    }
}

/* Whether it takes a mail now; who is free the longest is the first to go for others. */
static void set_free(struct conn *c, bool is_free)
{
    struct queue *q = c->hop->queue;
    if (c->free == is_free)
        return;
    c->free = is_free;
    if (is_free) {
        c->idle_next = NULL;
        c->idle_at = q->idle_end;
        *q->idle_end = c;
        q->idle_end = &c->idle_next;
        return;
    }
    *c->idle_at = c->idle_next;
    if (c->idle_next != NULL)
        c->idle_next->idle_at = c->idle_at;
    else
        q->idle_end = c->idle_at;
}

static void conn_free(struct conn *c)
{
    struct hop *hop = c->hop;
    pn_assert(c->parcel == NULL);
    set_free(c, false);
    *c->at = c->next;
    if (c->next != NULL)
        c->next->at = c->at;
    hop->conn_count--;
    hop->queue->conn_count--;
    hop->connecting -= !c->ready;
    turn_closed(hop->queue, &c->peer.ip);
    login_job_free(&c->login);
    pn_smtp_client_free(&c->client);
    if (c->stream != NULL)
        pn_stream_close(&c->stream);
    pn_timer_free(&c->idle);
    pn_segments_fini(&c->segments);
    pn_message_free(&c->message);
    tls_host_unref(&c->tls);
    attempt_unref(&c->attempt);
    free(c->name);
    free(c);
}

/* It is not dead who only wants no more connections. */
static bool stands(const struct hop *hop, const struct hop_address *to)
{
    for (const struct conn *c = hop->conns; c != NULL; c = c->next)
        if (c->ready && c->peer.port == to->port && pn_ip_eq(&c->peer.ip, &to->ip))
            return true;
    return false;
}

/* A reply is waited for until it is whole: what comes a byte at a time holds nothing longer.
 * Content has the time that each piece of it makes, but no more in all than the slowest of lines
 * needs. */
static void be_patient(struct conn *c)
{
    enum { SLOWEST = 1 }; /* bytes a millisecond: a modem of 9,600 baud */
    const struct pn_smtp_wait wait = pn_smtp_client_wait(c->client);
    bool same = c->wait.what == wait.what && c->wait.replies == wait.replies;
    uint64_t ms = wait.ms;
    if (wait.sending && c->parcel != NULL)
        ms += c->parcel->m->work->env.size / SLOWEST;
    pn_stream_timeout(c->stream, wait.ms);
    if (!same)
        pn_stream_deadline(c->stream,
                           ms == 0 ? 0 : pn_loop_now(c->hop->queue->loop) + ms * PN_NS_PER_MS);
    c->wait = wait;
}

/* Behind every call of the engine from outside. */
static void after(struct conn *c)
{
    struct hop *hop = c->hop;
    if (!c->over && c->cut != NULL && cut_is_lost(c->cut) && pn_smtp_client_is_held(c->client))
        pn_smtp_client_hold_drop(c->client);
    if (!c->over) {
        be_patient(c);
        return;
    }
    bool again = c->ready || c->try_plain;
    if (!again && !c->tls_fault && !stands(hop, &c->peer))
        shun_note(hop->queue, &c->peer, dest_shun_ms(hop->dest));
    size_t address = c->address;
    bool broken = c->broken;
    char why[WHY_MAX];
    struct attempt *attempt = attempt_ref(c->attempt);
    memcpy(why, c->why, sizeof why);
    if (!c->ready)
        event_connection(hop->queue, hop->name, attempt, why);
    conn_free(c);
    if (broken && turn_broken(hop))
        hop_fail_by(hop, 451, pn_str_of(why), true, attempt);
    else if (again)
        hop_pump(hop);
    else
        hop_conn_failed(hop, address, pn_str_of(why), attempt);
    attempt_unref(&attempt);
}

/* ---- the engine's calls ---- */

static bool on_write(void *ctx, const struct pn_str *parts, size_t count)
{
    struct conn *c = ctx;
    if (c->stream == NULL || !pn_stream_writev(c->stream, parts, count))
        return false; /* on_close comes */
    return pn_stream_pending(c->stream) == 0;
}

static void on_start_tls(void *ctx)
{
    struct conn *c = ctx;
    const struct pn_tls_want want = tls_want_of(c->tls, c->plan.verify);
    c->shaking = true;
    pn_stream_start_tls_with(c->stream, c->hop->queue->tls, &want);
}

static void on_said(void *ctx, const char *why, struct pn_str text, bool last)
{
    struct conn *c = ctx;
    if (c->over)
        return;
    if (why != NULL)
        pn_smtp_client_login_end(c->client, why);
    else
        pn_smtp_client_login(c->client, text, last);
    after(c);
}

/* Who may be shown the password itself: whom the operator trusts so far, and who is proved. */
static void on_login(void *ctx, bool first, struct pn_str words)
{
    struct conn *c = ctx;
    const struct dest *dest = c->hop->dest;
    if (first && dest->password.len == 0) {
        pn_smtp_client_login_end(c->client, "AUTH is required, and its password can't be read");
        return;
    }
    if (first) {
        const struct pn_tls_info *info = pn_stream_tls(c->stream);
        bool plain = dest->is.plain || (info != NULL && tls_is_proved(c->tls, info->verified));
        struct login *login = login_new(dest->is.user, dest->password, plain);
        login_job_free(&c->login);
        c->login = login_job_new(c->hop->queue->threads, login, on_said, c);
    }
    login_job_step(c->login, first, words);
}

/* Whether lines that we add are beyond ASCII: its own bytes the envelope knows of. */
static bool adds_8bit(const struct pn_edit_group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        if (!pn_str_is_ascii(group->edits[i].value))
            return true;
    return false;
}

static struct pn_edits *edits_of(const struct pn_edit_group *group)
{
    struct pn_edits *edits = pn_edits_new(EDIT_BYTES);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct pn_header_edit *e = &group->edits[i];
        const struct pn_edit edit = {(enum pn_edit_op)e->op, e->name, e->value, e->nth};
        if (pn_edits_put(edits, &edit) != PN_EDIT_OK)
            pn_edits_free(&edits);
        if (edits == NULL)
            break;
    }
    return edits;
}

static void fill_recipients(struct conn *c)
{
    const struct parcel *p = c->parcel;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct pn_recipient *to = &p->m->work->env.recipients[p->indices[i]];
        c->to[i] = to->address;
        c->dsn_to[i] = (struct pn_smtp_dsn_rcpt){report_onward(p->m, p->indices[i]), to->orcpt};
    }
}

/* Content with a group's edits, as parts. False: it can't be had. */
static bool render(struct conn *c, struct message *m, uint32_t group)
{
    struct pn_str content;
    if (!message_content(m, &content))
        return false;
    if (c->message == NULL)
        c->message = pn_message_new(content, NULL);
    else if (!pn_message_reset(c->message, content))
        return false;
    c->edits = edits_of(&m->work->env.groups[group]);
    if (c->message == NULL || c->edits == NULL)
        return false;
    pn_edits_render(c->edits, c->message, &c->segments);
    c->parts = pn_calloc(c->segments.count, sizeof *c->parts);
    for (size_t i = 0; i < c->segments.count; i++)
        c->parts[i] = pn_segment_bytes(&c->segments.v[i], c->message);
    return true;
}

/* Makes the parcel's mail and gives it to the engine. False: its content can't be had. */
static bool send_parcel(struct conn *c)
{
    struct parcel *p = c->parcel;
    struct message *m = p->m;
    const struct pn_recipient *first = &m->work->env.recipients[p->indices[0]];
    if (!render(c, m, first->group))
        return false;
    fill_recipients(c);
    const struct pn_smtp_outgoing mail = {
        .from = first->from.len != 0 ? first->from : m->work->env.reverse_path,
        .to = c->to,
        .to_count = p->count,
        .dsn = {m->work->env.ret, m->work->env.envid},
        .dsn_to = c->dsn_to,
        .content = c->parts,
        .content_count = c->segments.count,
        .body_8bit = (m->work->env.flags & PN_ENV_8BITMIME) != 0 ||
                     adds_8bit(&m->work->env.groups[first->group]),
        .smtputf8 = (m->work->env.flags & PN_ENV_SMTPUTF8) != 0};
    set_free(c, false);
    c->mails++;
    attempt_unref(&c->attempt);
    c->attempt = attempt_new(c->hop, c->tls, &c->peer, pn_stream_tls(c->stream));
    pn_smtp_client_send(c->client, &mail);
    return true;
}

static void send_probe(struct conn *c)
{
    c->to[0] = pn_str_of(c->probe->address);
    const struct pn_smtp_outgoing mail = {.from = PN_STR(""),
                                          .to = c->to,
                                          .to_count = 1,
                                          .smtputf8 = !pn_str_is_ascii(c->to[0]),
                                          .probe = true};
    set_free(c, false);
    c->mails++;
    pn_smtp_client_send(c->client, &mail);
}

/* The operator may want more of TLS by now than it has. */
static bool still_good(const struct conn *c)
{
    const struct pn_tls_info *info = pn_stream_tls(c->stream);
    const struct tls_plan now = tls_plan((enum tls_level)c->hop->dest->is.tls, c->tls,
                                         pn_tls_has_authorities(c->hop->queue->tls), false);
    return tls_plan_serves(&now, info != NULL, info == NULL ? PN_TLS_UNVERIFIED : info->verified);
}

static void send_cut(struct conn *c, struct cut *cut)
{
    struct pn_smtp_outgoing mail;
    c->to[0] = pn_str_of(cut_first(cut));
    c->cut = cut;
    c->cut_to = 1;
    cut_opened(cut, c, &mail);
    mail.to = c->to;
    set_free(c, false);
    c->mails++;
    pn_smtp_client_send(c->client, &mail);
}

/* One who asks; false: it was given up meanwhile. */
static bool send_asking(struct conn *c)
{
    struct probe *p = c->probe;
    if (p->peer != NULL) {
        send_probe(c);
        return true;
    }
    struct cut *cut = p->cut;
    c->probe = NULL;
    free(p);
    if (cut != NULL)
        send_cut(c, cut);
    return cut != NULL;
}

/* Gives it what waits first; false: nothing does. */
static bool next_work(struct conn *c)
{
    while ((c->probe = hop_take_probe(c->hop)) != NULL)
        if (send_asking(c))
            return true;
    while ((c->parcel = hop_take(c->hop)) != NULL) {
        if (send_parcel(c))
            return true;
        struct parcel *p = c->parcel;
        for (uint32_t i = 0; i < p->count; i++)
            run_settled(p->m, p->indices[i], 451, PN_STR("4.3.0 Content can't be read"));
        mail_fini(c);
    }
    return false;
}

/* It may take a mail: one that waits, else it is kept for a while. */
static void go_on(struct conn *c)
{
    struct queue *q = c->hop->queue;
    set_free(c, false);
    if (q->draining || !still_good(c) || c->mails >= c->hop->dest->is.messages_per_connection) {
        pn_smtp_client_quit(c->client);
    } else if (!next_work(c)) {
        set_free(c, true);
        pn_timer_set(c->idle, q->settings.idle_ms);
        turn_look(q); /* somebody may want its place */
    }
}

static void on_ready(void *ctx)
{
    struct conn *c = ctx;
    c->ready = true;
    shun_forget(c->hop->queue, &c->peer);
    c->hop->connecting--;
    go_on(c);
}

/* A server's words settle a recipient: does it report what becomes of its mail? */
static void note_server(const struct conn *c, uint32_t index)
{
    uint8_t heard = HEARD_WORDS;
    heard |= c->hop->via == PN_VIA_LMTP ? 0 : HEARD_RELAYED;
    heard |= pn_smtp_client_offer(c->client)->dsn ? HEARD_DSN : 0;
    c->parcel->m->rcpts[index].heard = heard;
}

static void on_rcpt(void *ctx, size_t index, enum pn_smtp_from from,
                    const struct pn_smtp_reply *reply)
{
    struct conn *c = ctx;
    struct pn_buf b;
    if (c->cut != NULL) {
        /* What still lies here the next hop has not got. */
        bool sent = pn_smtp_client_sent(c->client) && pn_stream_pending(c->stream) == 0;
        cut_settled(c->cut, from, reply, sent, c->attempt);
        return;
    }
    pn_buf_init(&b, 2000);
    pn_smtp_reply_print(&b, reply);
    if (from == PN_SMTP_FROM_US) /* our words: they say of whom */
        (void)pn_buf_addf(&b, " [next hop %s]", c->hop->name);
    if (c->probe != NULL) {
        struct probe *p = c->probe;
        c->probe = NULL;
        probe_settle(p, from == PN_SMTP_FROM_RCPT, reply->code,
                     pn_str_slice(pn_buf_str(&b), 4, b.len));
        pn_buf_fini(&b);
        return;
    }
    if (from != PN_SMTP_FROM_US)
        note_server(c, c->parcel->indices[index]);
    if (from == PN_SMTP_FROM_RCPT)
        suppress_note(c->hop->queue, &c->parcel->m->work->env.recipients[c->parcel->indices[index]],
                      reply);
    run_settled_by(c->parcel->m, c->parcel->indices[index], reply->code,
                   pn_str_slice(pn_buf_str(&b), 4, b.len), c->attempt);
    pn_buf_fini(&b);
}

static void on_taken(void *ctx, size_t index, const struct pn_smtp_reply *reply)
{
    struct conn *c = ctx;
    (void)index; /* one is asked at a time */
    cut_taken(c->cut, reply);
}

static void on_done(void *ctx, bool ready)
{
    struct conn *c = ctx;
    struct cut *cut = c->cut;
    mail_fini(c);
    c->cut = NULL;
    if (cut != NULL)
        cut_over(cut);
    if (ready)
        turn_done(c->hop);
    if (ready)
        go_on(c);
}

static void on_ended(void *ctx, enum pn_smtp_end how, const struct pn_smtp_reply *reply)
{
    struct conn *c = ctx;
    struct pn_buf b;
    c->tls_fault |= how == PN_SMTP_END_TLS;
    c->over = true;
    c->broken = c->ready && !c->free && how != PN_SMTP_END_QUIT;
    set_free(c, false);
    pn_buf_init(&b, 4000);
    pn_smtp_reply_print(&b, reply);
    (void)snprintf(c->why, sizeof c->why, "%.*s", PN_FMT(pn_str_slice(pn_buf_str(&b), 4, b.len)));
    pn_buf_fini(&b);
    if (c->shaking)
        memcpy(c->why, "4.7.5", 5);
    if (pn_smtp_reply_class(reply) == 5) /* of the connection, not of a mail: later again */
        c->why[0] = c->why[0] == '5' ? '4' : c->why[0];
}

static const struct pn_smtp_client_ops client_ops = {.write = on_write,
                                                     .tls = on_start_tls,
                                                     .login = on_login,
                                                     .ready = on_ready,
                                                     .taken = on_taken,
                                                     .rcpt = on_rcpt,
                                                     .done = on_done,
                                                     .ended = on_ended};

/* ---- the stream's calls ---- */

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct conn *c = ctx;
    size_t used = pn_smtp_client_input(c->client, bytes);
    after(c);
    return used;
}

static void on_drained(void *ctx)
{
    struct conn *c = ctx;
    pn_smtp_client_drained(c->client);
    after(c);
}

static void on_tls(void *ctx)
{
    struct conn *c = ctx;
    c->shaking = false;
    attempt_encrypted(c->attempt, pn_stream_tls(c->stream));
    pn_smtp_client_tls(c->client);
    after(c);
}

/* However it broke: an attacker who can stop it could strip STARTTLS just as well. */
static void handshake_broke(struct conn *c)
{
    struct hop *hop = c->hop;
    size_t i = c->address;
    c->tls_fault = true;
    c->try_plain = c->plan.clear_after && i < hop->address_count &&
                   c->peer.port == hop->addresses[i].port &&
                   pn_ip_eq(&c->peer.ip, &hop->addresses[i].ip);
    if (c->try_plain)
        hop->broke[i] = true;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct conn *c = ctx;
    if (c->shaking)
        handshake_broke(c);
    if (!c->over) /* why is the stream's */
        pn_smtp_client_lost(c->client, how == PN_CLOSE_TIMEOUT ? "timed out" : why);
    pn_stream_free(&c->stream);
    c->over = true;
    after(c);
}

static const struct pn_stream_ops stream_ops = {on_read, on_drained, on_tls, on_close};

static void on_idle(void *ctx)
{
    struct conn *c = ctx;
    if (!c->free)
        return;
    set_free(c, false);
    pn_smtp_client_quit(c->client);
    after(c);
}

/* ---- for cut.c ---- */

void conn_cut_rcpt(struct conn *c, struct pn_str address)
{
    c->to[c->cut_to++] = address;
    pn_smtp_client_hold_rcpt(c->client);
    after(c);
}

bool conn_cut_content(struct conn *c, struct message *m)
{
    if (!render(c, m, 0)) {
        mail_fini(c);
        return false;
    }
    attempt_unref(&c->attempt);
    c->attempt = attempt_new(c->hop, c->tls, &c->peer, pn_stream_tls(c->stream));
    pn_smtp_client_hold_content(c->client, c->parts, c->segments.count);
    after(c);
    return true;
}

void conn_cut_drop(struct conn *c)
{
    pn_smtp_client_hold_drop(c->client);
    after(c);
}

void conn_cut_abort(struct conn *c, const char *why, bool theirs)
{
    pn_smtp_client_lost(c->client, why);
    c->broken = c->broken && theirs;
    after(c);
}

/* ---- for hop.c ---- */

/* The password is the destination's next hop's, and nobody else's: a `domain` block may send
 * the same domain elsewhere. */
static bool logs_in(const struct hop *hop)
{
    const struct pn_destination *is = &hop->dest->is;
    return is->user.len != 0 && pn_str_ieq(pn_str_of(hop->name), is->next_hop);
}

void conn_open(struct hop *hop)
{
    struct queue *q = hop->queue;
    const struct hop_address *address = &hop->addresses[hop->current];
    struct sockaddr_storage to;
    socklen_t len = pn_endpoint_to_sockaddr(&address->ip, address->port, &to);
    struct conn *c = pn_calloc(1, sizeof *c);
    char *name = pn_strdup(q->settings.hostname);
    const struct tls_plan plan = hop_tls_plan(hop, hop->current);
    pn_assert(plan.refusal == NULL);
    const struct pn_smtp_client_config config = {.name = pn_str_of(name),
                                                 .lmtp = hop->via == PN_VIA_LMTP,
                                                 .waits = &q->settings.waits,
                                                 .login = logs_in(hop),
                                                 .tls = plan.use};
    *c = (struct conn){.next = hop->conns,
                       .at = &hop->conns,
                       .hop = hop,
                       .address = hop->current,
                       .tls = tls_host_ref(hop->hosts[hop->current]),
                       .plan = plan,
                       .peer = *address,
                       .name = name};
    c->attempt = attempt_new(hop, c->tls, &c->peer, NULL);
    if (c->next != NULL)
        c->next->at = &c->next;
    hop->conns = c;
    hop->conn_count++;
    hop->connecting++;
    q->conn_count++;
    turn_opened(q, &c->peer.ip);
    pn_segments_init(&c->segments);
    c->client = pn_smtp_client_new(&config, &client_ops, c);
    c->idle = pn_timer_new(q->loop, on_idle, c);
    c->stream = pn_stream_connect(q->loop, (const struct sockaddr *)&to, len, NULL, 0, &stream_ops,
                                  c, (struct pn_stream_limits){KEEP_MAX, WRITE_MAX});
    pn_stream_timeout(c->stream, q->settings.connect_ms);
}

bool conn_give_idle(struct hop *hop)
{
    for (struct conn *c = hop->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (!c->free)
            continue;
        if (!still_good(c)) {
            on_idle(c); /* the line is looked at again when it is gone */
            continue;
        }
        pn_timer_clear(c->idle);
        if (!next_work(c))
            return false;
        after(c);
        return true;
    }
    return false;
}

void conn_close_idle(struct queue *q, const struct pn_ip *ip)
{
    struct conn *c = q->idle_first;
    while (c != NULL && ip != NULL && !turn_same_net(ip, &c->peer.ip))
        c = c->idle_next;
    if (c != NULL)
        on_idle(c);
}

void conn_drain(struct hop *hop)
{
    for (struct conn *c = hop->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->free)
            on_idle(c);
    }
}

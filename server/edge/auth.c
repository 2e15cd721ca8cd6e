/*
 * Logins of clients: what they say to AUTH goes to the auth role, and what that says goes back
 * (sasl.h). One exchange a session, of whichever protocol; a session that goes, or a client that
 * gives up, ends it.
 */
#include "edge.h"

#include "log.h"
#include "mem.h"
#include "sasl.h"

#include <stdlib.h>

enum { QUEUE_MAX = 4 * 1024 * 1024, BUCKETS = 1024 };

struct login {
    struct login *next; /* of its bucket */
    struct session *s;
    struct edge_auth *auth;
    struct pn_timer *timer; /* auth's answer is due */
    uint64_t id;
};

struct edge_auth {
    struct edge *edge;
    struct pn_channel *channel; /* NULL: the role is away */
    uint64_t last_id;
    struct login *buckets[BUCKETS];
};

static const struct pn_smtp_reply
    refused = PN_SMTP_REPLY_INIT(535, 5, 7, 8, "Authentication credentials invalid"),
    malformed = PN_SMTP_REPLY_INIT(501, 5, 5, 2, "This is no message of the mechanism"),
    shut = PN_SMTP_REPLY_INIT(454, 4, 7, 0, "Too many failed logins, try again later"),
    busy = PN_SMTP_REPLY_INIT(454, 4, 3, 0, "Logins can't be checked now, try again later");

/* ---- exchanges ---- */

static void put_in(struct edge_auth *a, struct login *l)
{
    l->next = a->buckets[l->id % BUCKETS];
    a->buckets[l->id % BUCKETS] = l;
}

static struct login **place_of(struct edge_auth *a, uint64_t id)
{
    struct login **at = &a->buckets[id % BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* The session has no exchange any more. */
static void forget(struct login *l)
{
    struct login **at = place_of(l->auth, l->id);
    *at = l->next;
    l->s->login = NULL;
    pn_timer_free(&l->timer);
    free(l);
}

/* The session may be gone afterwards. */
static void answer(struct session *s, enum pn_sasl_status status)
{
    static const struct pn_smtp_reply *const replies[PN_SASL_STATUSES] = {
        [PN_SASL_REFUSED] = &refused,
        [PN_SASL_MALFORMED] = &malformed,
        [PN_SASL_SHUT] = &shut,
        [PN_SASL_BUSY] = &busy,
    };
    if (s->access != NULL)
        access_said(s, status);
    else if (status == PN_SASL_OK)
        pn_smtp_server_accept(s->smtp);
    else
        pn_smtp_server_answer(s->smtp, replies[status]);
}

/* It is over. */
static void end(struct login *l, enum pn_sasl_status status)
{
    struct session *s = l->s;
    forget(l);
    answer(s, status);
}

static bool tell(struct edge_auth *a, uint16_t type, struct pn_buf *body)
{
    bool sent = !body->overflow && a != NULL && a->channel != NULL &&
                pn_channel_send(a->channel, type, pn_buf_str(body), NULL, 0);
    if (body->p != NULL)
        pn_sasl_wipe((struct pn_str){body->p, body->cap});
    pn_buf_fini(body);
    return sent;
}

static void send_cancel(struct login *l)
{
    struct pn_buf body;
    pn_buf_init(&body, 64);
    pn_sasl_cancel_put(&body, l->id);
    if (!tell(l->auth, PN_REC_SASL_CANCEL, &body))
        pn_debug("auth is told nothing of an exchange that was given up");
}

static void on_late(void *arg)
{
    struct login *l = arg;
    send_cancel(l);
    end(l, PN_SASL_BUSY);
}

/* Auth has the word. */
static void await(struct login *l)
{
    if (l->timer == NULL)
        l->timer = pn_timer_new(l->auth->edge->loop, on_late, l);
    pn_timer_set(l->timer, PN_SASL_WAIT_MS);
}

/* ---- the client ---- */

static const char with_binding[] = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN",
                  without_binding[] = "SCRAM-SHA-256 PLAIN LOGIN";

struct pn_str auth_words(const struct session *s)
{
    unsigned char exporter[PN_SASL_EXPORTER];
    bool binds = s->stream != NULL && pn_stream_exporter(s->stream, exporter);
    explicit_bzero(exporter, sizeof exporter);
    return binds ? pn_str_of(with_binding) : pn_str_of(without_binding);
}

static bool binds(const struct session *s)
{
    return s->access != NULL ? access_binds(s) : s->smtp_config.auth.p == with_binding;
}

static enum pn_sasl_service service_of(const struct session *s)
{
    if (!session_reads(s))
        return PN_SASL_SMTP;
    return s->kind == PN_LISTEN_IMAP || s->kind == PN_LISTEN_IMAPS ? PN_SASL_IMAP : PN_SASL_POP3;
}

void auth_begin(struct session *s, const struct pn_smtp_auth *auth)
{
    struct edge_auth *a = s->edge->auth;
    unsigned char exporter[PN_SASL_EXPORTER];
    char name[32];
    enum pn_sasl_mechanism mechanism = PN_SASL_PLAIN;
    struct pn_buf body;
    if (a == NULL || a->channel == NULL || !pn_sasl_mechanism_find(auth->mechanism, &mechanism)) {
        answer(s, PN_SASL_BUSY);
        return;
    }
    struct pn_sasl_begin begin = {.id = ++a->last_id,
                                  .service = (uint8_t)service_of(s),
                                  .mechanism = (uint8_t)mechanism,
                                  .tls = s->tls_on,
                                  .has_initial = auth->has_initial,
                                  .ip = s->ip,
                                  .session = pn_str_of(session_name(s, name)),
                                  .initial = auth->initial};
    if (binds(s) && pn_stream_exporter(s->stream, exporter))
        begin.exporter = (struct pn_str){(const char *)exporter, sizeof exporter};
    /* Room at once: a buffer that grows leaves secrets behind. */
    pn_buf_init(&body, PN_RECORD_MAX);
    (void)pn_buf_reserve(&body, auth->initial.len + 1024);
    pn_sasl_begin_put(&body, &begin);
    explicit_bzero(exporter, sizeof exporter);
    if (!tell(a, PN_REC_SASL_BEGIN, &body)) {
        answer(s, PN_SASL_BUSY);
        return;
    }
    struct login *l = pn_calloc(1, sizeof *l);
    *l = (struct login){.s = s, .auth = a, .id = begin.id};
    s->login = l;
    put_in(a, l);
    await(l);
}

void auth_response(struct session *s, struct pn_str message)
{
    struct login *l = s->login;
    struct pn_buf body;
    if (l == NULL) { /* auth went while the client thought */
        answer(s, PN_SASL_BUSY);
        return;
    }
    struct pn_sasl_answer said = {.id = l->id, .message = message};
    pn_buf_init(&body, PN_RECORD_MAX);
    (void)pn_buf_reserve(&body, message.len + 64);
    pn_sasl_answer_put(&body, &said);
    if (tell(l->auth, PN_REC_SASL_ANSWER, &body)) {
        await(l);
        return;
    }
    send_cancel(l);
    end(l, PN_SASL_BUSY);
}

void auth_cancel(struct session *s)
{
    if (s->login == NULL)
        return;
    send_cancel(s->login);
    forget(s->login);
}

void auth_forget(struct session *s)
{
    auth_cancel(s);
    free(s->user);
    free(s->senders);
    s->user = s->senders = NULL;
}

/* ---- auth ---- */

static void let_in(struct session *s, const struct pn_sasl_said *said)
{
    s->user = pn_strndup(said->user.p, said->user.len);
    s->senders = pn_strndup(said->senders.p, said->senders.len);
    if (s->check != NULL)
        pn_check_auth(s->check, said->user);
}

static void on_said(struct login *l, const struct pn_sasl_said *said)
{
    struct session *s = l->s;
    enum pn_sasl_status status = (enum pn_sasl_status)said->status;
    if (status == PN_SASL_CHALLENGE) {
        pn_timer_free(&l->timer);
        if (s->access != NULL)
            access_challenge(s, said->message);
        else
            pn_smtp_server_challenge(s->smtp, said->message);
        return;
    }
    if (status == PN_SASL_OK && s->access != NULL && !access_admit(s, said))
        status = PN_SASL_BUSY;
    else if (status == PN_SASL_OK && s->access == NULL)
        let_in(s, said);
    end(l, status);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct edge_auth *a = ctx;
    struct pn_sasl_said said;
    if (record->type != PN_REC_SASL_SAID || !pn_sasl_said_get(record->body, &said))
        return false;
    struct login *l = *place_of(a, said.id);
    if (l != NULL && l->timer == NULL)
        return false; /* it was the client's turn */
    if (l != NULL)
        on_said(l, &said);
    pn_sasl_wipe(record->body); /* it may hold a token */
    return true;
}

/* Whoever waits for it is told; whose turn it is learns with his next word. */
static void forget_all(struct edge_auth *a)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (a->buckets[i] != NULL) {
            struct login *l = a->buckets[i];
            if (l->timer == NULL)
                forget(l);
            else
                end(l, PN_SASL_BUSY);
        }
    }
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct edge_auth *a = ctx;
    (void)how;
    pn_channel_free(&a->channel);
    pn_control_missing(a->edge->control, PN_ROLE_AUTH, 0);
    forget_all(a);
}

void edge_auth_peer(struct edge *edge, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (edge->auth == NULL) {
        edge->auth = pn_calloc(1, sizeof *edge->auth);
        edge->auth->edge = edge;
    }
    struct edge_auth *a = edge->auth;
    if (a->channel != NULL) { /* the one before died; its end was not read yet */
        pn_channel_free(&a->channel);
        forget_all(a);
    }
    a->channel = pn_channel_new(edge->loop, peer->fd, &ops, a, QUEUE_MAX);
    peer->fd = -1;
}

void edge_auth_free(struct edge *edge)
{
    if (edge->auth == NULL)
        return;
    pn_channel_free(&edge->auth->channel);
    free(edge->auth);
    edge->auth = NULL;
}

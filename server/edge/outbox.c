/*
 * What was handed to queue and mailboxes and is not answered yet. Who waits for an answer
 * waits for timeouts.handover at most: a role that stands still must not hold our clients.
 * The entry stays, for the answer may come: then what was handed over may be there twice.
 */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum { QUEUE_MAX = 8 * 1024 * 1024 };

static void on_overdue(void *arg);

static uint64_t remember(struct edge *edge, uint64_t token, unsigned peer, outbox_fn *fn, void *ctx)
{
    edge->outbox =
        pn_grow(edge->outbox, &edge->outbox_cap, edge->outbox_count, sizeof *edge->outbox);
    uint64_t wait_ms = edge->gen->handover_ms;
    edge->outbox[edge->outbox_count++] =
        (struct outbox_entry){.token = token,
                              .fn = fn,
                              .ctx = ctx,
                              .peer = peer,
                              .due_ns = pn_clock_mono_ns() + wait_ms * PN_NS_PER_MS};
    if (edge->outbox_timer == NULL)
        edge->outbox_timer = pn_timer_new(edge->loop, on_overdue, edge);
    if (edge->outbox_count == 1)
        pn_timer_set(edge->outbox_timer, wait_ms);
    return token;
}

/* Who waited is told; what it then does may add entries behind. */
static void overdue(struct edge *edge, size_t i)
{
    static const struct pn_reply none = {0, PN_STR_INIT("no answer in time")};
    struct outbox_entry e = edge->outbox[i];
    edge->outbox[i].fn = NULL;
    edge->outbox[i].file_fn = NULL;
    edge->outbox[i].late = true;
    edge->unanswered += !e.quota;
    if (e.peer < EDGE_MAILBOXES_MAX && !e.quota)
        edge->mailboxes[e.peer].stalled_ns =
            pn_clock_mono_ns() + edge->gen->handover_ms * PN_NS_PER_MS;
    if (e.fn != NULL)
        e.fn(e.ctx, &none);
    if (e.file_fn != NULL)
        e.file_fn(e.ctx, 0, -1, -1);
}

static void on_overdue(void *arg)
{
    struct edge *edge = arg;
    uint64_t now = pn_clock_mono_ns(), next = UINT64_MAX;
    for (size_t i = 0; i < edge->outbox_count; i++) {
        const struct outbox_entry *e = &edge->outbox[i];
        if (e->fn == NULL && e->file_fn == NULL)
            continue;
        if (e->due_ns <= now)
            overdue(edge, i);
        else if (e->due_ns < next)
            next = e->due_ns;
    }
    if (next != UINT64_MAX)
        pn_timer_set(edge->outbox_timer, (next - now) / PN_NS_PER_MS + 1);
    else if (edge->outbox_count != 0) /* only late ones: for those that come meanwhile */
        pn_timer_set(edge->outbox_timer, edge->gen->handover_ms);
}

/* The answer that nobody waited for any more: mail that was taken all the same, or a file
 * that the queue did not want. */
static void came_late(struct edge *edge, const struct outbox_entry *e, const struct pn_reply *reply)
{
    bool taken = reply != NULL && reply->code / 100 == 2;
    edge->answered_late += taken && e->mail;
    if (!taken && e->file != 0)
        outbox_drop_file(edge, e->file);
}

/* Answers the entry at index i and drops it. fn may hand over anew. */
static void settle(struct edge *edge, size_t i, const struct pn_reply *reply)
{
    struct outbox_entry e = edge->outbox[i];
    edge->outbox[i] = edge->outbox[--edge->outbox_count];
    if (e.late)
        came_late(edge, &e, reply);
    if (e.fn != NULL)
        e.fn(e.ctx, reply);
    if (e.file_fn != NULL)
        e.file_fn(e.ctx, 0, -1, -1);
}

/* Only whom it was handed to may answer for it. */
static bool settle_token(struct edge *edge, uint64_t token, unsigned peer,
                         const struct pn_reply *reply)
{
    for (size_t i = 0; i < edge->outbox_count; i++) {
        if (edge->outbox[i].token == token && edge->outbox[i].peer == peer) {
            settle(edge, i, reply);
            return true;
        }
    }
    return false;
}

void outbox_forget(struct edge *edge, uint64_t token)
{
    for (size_t i = 0; i < edge->outbox_count; i++)
        if (edge->outbox[i].token == token) {
            edge->outbox[i].fn = NULL;
            edge->outbox[i].file_fn = NULL;
        }
}

uint64_t outbox_deliver(struct edge *edge, unsigned mailbox, struct pn_deliver *deliver,
                        int content_fd, outbox_fn *fn, void *ctx)
{
    struct pn_buf body;
    if (mailbox >= EDGE_MAILBOXES_MAX || edge->mailboxes[mailbox].channel == NULL ||
        edge->mailboxes[mailbox].stalled_ns > pn_loop_now(edge->loop))
        return 0;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    deliver->token = ++edge->next_token;
    bool sent = pn_deliver_put(&body, deliver) &&
                pn_handover_send(edge->mailboxes[mailbox].channel, PN_REC_DELIVER,
                                 pn_buf_str(&body), content_fd);
    pn_buf_fini(&body);
    if (!sent)
        return 0;
    (void)remember(edge, deliver->token, mailbox, fn, ctx);
    edge->outbox[edge->outbox_count - 1].mail = true;
    return deliver->token;
}

bool outbox_has_quotas(const struct edge *edge, unsigned mailbox)
{
    return mailbox < EDGE_MAILBOXES_MAX && edge->mailboxes[mailbox].quotas;
}

uint64_t outbox_quota(struct edge *edge, unsigned mailbox, struct pn_quota_ask *ask, outbox_fn *fn,
                      void *ctx)
{
    struct pn_buf body;
    if (mailbox >= EDGE_MAILBOXES_MAX || edge->mailboxes[mailbox].channel == NULL ||
        edge->mailboxes[mailbox].stalled_ns > pn_loop_now(edge->loop))
        return 0;
    pn_buf_init(&body, PN_RECORD_MAX / 2);
    ask->token = ++edge->next_token;
    pn_quota_ask_put(&body, ask);
    bool sent = pn_channel_send(edge->mailboxes[mailbox].channel, PN_REC_QUOTA_ASK,
                                pn_buf_str(&body), NULL, 0);
    pn_buf_fini(&body);
    if (!sent)
        return 0;
    (void)remember(edge, ask->token, mailbox, fn, ctx);
    struct outbox_entry *e = &edge->outbox[edge->outbox_count - 1];
    e->quota = true;
    e->due_ns = pn_clock_mono_ns() + OUTBOX_QUOTA_MS * (uint64_t)PN_NS_PER_MS;
    /* Others that are due before wait as much longer at most. */
    pn_timer_set(edge->outbox_timer, OUTBOX_QUOTA_MS);
    return ask->token;
}

uint64_t outbox_take(struct edge *edge, const struct pn_envelope *env, int content_fd,
                     outbox_fn *fn, void *ctx)
{
    struct pn_buf body;
    if (edge->queue == NULL)
        return 0;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    bool sent = pn_envelope_put(&body, env) &&
                pn_handover_send(edge->queue, PN_REC_TAKE, pn_buf_str(&body), content_fd);
    pn_buf_fini(&body);
    /* Queue ids are large, tokens count from one: they share the table without meeting. */
    if (!sent)
        return 0;
    (void)remember(edge, env->id, EDGE_PEER_QUEUE, fn, ctx);
    edge->outbox[edge->outbox_count - 1].mail = true;
    edge->outbox[edge->outbox_count - 1].file = env->content_file;
    return env->id;
}

uint64_t outbox_verify(struct edge *edge, struct pn_verify *verify, outbox_fn *fn, void *ctx)
{
    struct pn_buf body;
    if (edge->queue == NULL)
        return 0;
    pn_buf_init(&body, PN_RECORD_MAX / 2);
    verify->token = ++edge->next_token;
    pn_verify_put(&body, verify);
    bool sent = pn_channel_send(edge->queue, PN_REC_VERIFY, pn_buf_str(&body), NULL, 0);
    pn_buf_fini(&body);
    return sent ? remember(edge, verify->token, EDGE_PEER_QUEUE, fn, ctx) : 0;
}

uint64_t outbox_cut(struct edge *edge, struct pn_cut_rcpt *ask, outbox_fn *fn, void *ctx)
{
    struct pn_buf body;
    if (edge->queue == NULL)
        return 0;
    pn_buf_init(&body, PN_RECORD_MAX / 2);
    ask->token = ++edge->next_token;
    pn_cut_rcpt_put(&body, ask);
    bool sent = pn_channel_send(edge->queue, PN_REC_CUT_RCPT, pn_buf_str(&body), NULL, 0);
    pn_buf_fini(&body);
    if (!sent)
        return 0;
    (void)remember(edge, ask->token, EDGE_PEER_QUEUE, fn, ctx);
    outbox_patience(edge, ask->token, PN_CUT_WAIT_MS);
    return ask->token;
}

/* If the queue can't be told it is away, and its cuts with it. */
void outbox_cut_drop(struct edge *edge, uint64_t id)
{
    struct pn_buf body;
    if (edge->queue == NULL)
        return;
    pn_buf_init(&body, 64);
    pn_cut_drop_put(&body, &(struct pn_cut_drop){id});
    if (!pn_channel_send(edge->queue, PN_REC_CUT_DROP, pn_buf_str(&body), NULL, 0))
        pn_warn("the queue could not be told that a message is not cut through");
    pn_buf_fini(&body);
}

void outbox_patience(struct edge *edge, uint64_t token, uint64_t ms)
{
    for (size_t i = 0; i < edge->outbox_count; i++)
        if (edge->outbox[i].token == token)
            edge->outbox[i].due_ns += ms * PN_NS_PER_MS;
}

struct pn_str outbox_reply(struct pn_pool *pool, const struct pn_reply *reply)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_REPLY_MAX);
    (void)pn_buf_addf(&b, "%u %.*s", (unsigned)reply->code,
                      PN_FMT(pn_str_slice(reply->text, 0, PN_REPLY_MAX - 10)));
    struct pn_str text = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text.p != NULL ? text : PN_STR("451 4.3.0 Try again later");
}

static bool on_verified(struct edge *edge, struct pn_str body)
{
    struct pn_delivered answer;
    return pn_delivered_get(body, &answer) &&
           settle_token(edge, answer.token, EDGE_PEER_QUEUE, &answer.reply);
}

uint64_t outbox_want_file(struct edge *edge, uint64_t size, outbox_file_fn *fn, void *ctx)
{
    struct pn_buf body;
    uint64_t token = edge->next_token + 1;
    if (edge->queue == NULL)
        return 0;
    pn_buf_init(&body, 64);
    pn_content_want_put(&body, &(struct pn_content_want){token, size});
    bool sent = pn_channel_send(edge->queue, PN_REC_WANT_CONTENT_FILE, pn_buf_str(&body), NULL, 0);
    pn_buf_fini(&body);
    if (!sent)
        return 0;
    edge->next_token = token;
    (void)remember(edge, token, EDGE_PEER_QUEUE, NULL, ctx);
    edge->outbox[edge->outbox_count - 1].file_fn = fn;
    return token;
}

/* If the queue can't be told it is away, and sweeps when it comes back. */
void outbox_drop_file(struct edge *edge, uint64_t file)
{
    struct pn_buf body;
    if (edge->queue == NULL)
        return;
    pn_buf_init(&body, 64);
    pn_content_file_put(&body, &(struct pn_content_file){.file = file});
    if (!pn_channel_send(edge->queue, PN_REC_DROP_CONTENT_FILE, pn_buf_str(&body), NULL, 0))
        pn_warn("a content file could not be given back now");
    pn_buf_fini(&body);
}

static bool on_taken(struct edge *edge, struct pn_record *record)
{
    struct pn_taken taken;
    return pn_taken_get(record->body, &taken) &&
           settle_token(edge, taken.id, EDGE_PEER_QUEUE, &taken.reply);
}

static bool on_content_file(struct edge *edge, struct pn_record *record)
{
    struct pn_content_file file;
    if (!pn_content_file_get(record->body, &file) || record->nfds != (file.file == 0 ? 0 : 2))
        return false;
    for (size_t i = 0; i < edge->outbox_count; i++) {
        struct outbox_entry e = edge->outbox[i];
        if (e.token != file.token || e.peer != EDGE_PEER_QUEUE)
            continue;
        edge->outbox[i] = edge->outbox[--edge->outbox_count];
        if (e.file_fn == NULL && file.file != 0)
            outbox_drop_file(edge, file.file); /* too late */
        if (e.file_fn == NULL)
            return true;
        int rw = record->fds[0], ro = record->fds[1];
        if (file.file == 0)
            rw = ro = -1;
        else
            record->fds[0] = record->fds[1] = -1; /* taken */
        e.file_fn(e.ctx, file.file, rw, ro);
        return true;
    }
    return false;
}

/* A file came that we had no descriptor for. */
static bool on_queue_cut(void *ctx, struct pn_record *record)
{
    struct edge *edge = ctx;
    struct pn_content_file file;
    if (record->type != PN_REC_CONTENT_FILE || !pn_content_file_get(record->body, &file))
        return false;
    if (file.file != 0)
        outbox_drop_file(edge, file.file);
    (void)settle_token(edge, file.token, EDGE_PEER_QUEUE, NULL);
    return true;
}

static bool on_room(struct edge *edge, const struct pn_record *record)
{
    uint32_t room;
    if (!pn_u32_get(record->body, &room))
        return false;
    edge->disk_full = room == 0;
    return true;
}

static bool on_queue(void *ctx, struct pn_record *record)
{
    switch (record->type) {
    case PN_REC_TAKEN:
        return on_taken(ctx, record);
    case PN_REC_CONTENT_FILE:
        return on_content_file(ctx, record);
    case PN_REC_ROOM:
        return on_room(ctx, record);
    case PN_REC_VERIFIED:
    case PN_REC_CUT_ANSWER:
        return on_verified(ctx, record->body);
    default:
        return false;
    }
}

static bool on_delivered(void *ctx, struct pn_record *record)
{
    struct edge_mailbox *mailbox = ctx;
    struct pn_delivered delivered;
    if (record->type == PN_REC_SESSION_TAKEN)
        return access_taken(mailbox->edge, (unsigned)(mailbox - mailbox->edge->mailboxes),
                            record->body);
    if (record->type == PN_REC_SESSION_ASK)
        return relay_asked(mailbox->edge, (unsigned)(mailbox - mailbox->edge->mailboxes),
                           record->body);
    if (record->type == PN_REC_HAS_QUOTAS) {
        mailbox->quotas = true;
        return record->body.len == 0;
    }
    if ((record->type != PN_REC_DELIVERED && record->type != PN_REC_QUOTA_SAID) ||
        !pn_delivered_get(record->body, &delivered))
        return false;
    mailbox->stalled_ns = 0;
    return settle_token(mailbox->edge, delivered.token,
                        (unsigned)(mailbox - mailbox->edge->mailboxes), &delivered.reply);
}

/* The channel is dead: nobody will answer what went over it. */
static void lost(struct edge *edge, unsigned peer)
{
    static const struct pn_reply none = {0, PN_STR_INIT("no answer")};
    for (size_t i = 0; i < edge->outbox_count;) {
        if (edge->outbox[i].peer == peer) {
            settle(edge, i, &none);
            i = 0; /* whoever waited may have handed over elsewhere: the table changed */
        } else {
            i++;
        }
    }
}

static void on_queue_end(void *ctx, enum pn_channel_end how)
{
    struct edge *edge = ctx;
    (void)how;
    pn_channel_free(&edge->queue);
    pn_control_missing(edge->control, PN_ROLE_QUEUE, 0);
    edge->disk_full = false;
    lost(edge, EDGE_PEER_QUEUE);
}

static void on_mailbox_end(void *ctx, enum pn_channel_end how)
{
    struct edge_mailbox *mailbox = ctx;
    struct edge *edge = mailbox->edge;
    unsigned number = (unsigned)(mailbox - edge->mailboxes);
    (void)how;
    pn_channel_free(&mailbox->channel);
    pn_control_missing(edge->control, PN_ROLE_MAILBOX, number);
    lost(edge, number);
    access_mailbox_gone(edge, number);
}

bool outbox_peer(struct edge *edge, struct pn_peer *peer)
{
    static const struct pn_channel_ops queue_ops = {
        .on_record = on_queue, .on_end = on_queue_end, .on_cut = on_queue_cut};
    static const struct pn_channel_ops mailbox_ops = {.on_record = on_delivered,
                                                      .on_end = on_mailbox_end};
    struct pn_channel **slot;
    const struct pn_channel_ops *ops;
    void *ctx = edge;
    unsigned number = EDGE_PEER_QUEUE;
    if (peer->role == PN_ROLE_QUEUE) {
        slot = &edge->queue;
        ops = &queue_ops;
    } else if (peer->role == PN_ROLE_MAILBOX && peer->number < EDGE_MAILBOXES_MAX) {
        number = peer->number;
        ctx = &edge->mailboxes[number];
        edge->mailboxes[number].edge = edge;
        slot = &edge->mailboxes[number].channel;
        ops = &mailbox_ops;
    } else {
        return false;
    }
    if (*slot != NULL) { /* the one before died; its end may not have been read yet */
        pn_channel_free(slot);
        lost(edge, number);
        access_mailbox_gone(edge, number);
    }
    if (number < EDGE_MAILBOXES_MAX) {
        edge->mailboxes[number].stalled_ns = 0;
        edge->mailboxes[number].quotas = false;
    }
    edge->queue_serial += number == EDGE_PEER_QUEUE;
    *slot = pn_channel_new(edge->loop, peer->fd, ops, ctx, QUEUE_MAX);
    peer->fd = -1;
    return true;
}

void outbox_free(struct edge *edge)
{
    edge->outbox_count = 0;
    pn_timer_free(&edge->outbox_timer);
    free(edge->outbox);
    pn_channel_free(&edge->queue);
    for (unsigned i = 0; i < EDGE_MAILBOXES_MAX; i++)
        pn_channel_free(&edge->mailboxes[i].channel);
}

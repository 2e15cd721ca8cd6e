/*
 * Messages come in: a TAKE is decoded, its content made durable if it is large, its
 * record written; then it is answered, and runs with the content descriptor it came with.
 */
#include "queue_int.h"

#include "clock.h"
#include "content.h"
#include "cut.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    HELD_BYTES_MAX = 256 * 1024 * 1024, /* of content kept open for the first try */
    ROOM_CHECK_MS = 1000,
    ROOM_CHECK_BYTES = 4 * 1024 * 1024 /* or as soon as so much more was taken */
};

/* What a message needs only until it is answered. */
struct taking {
    struct pn_job job; /* first: large content to a file of its own */
    struct message *m;
    struct edge_peer *peer; /* NULL: a message of our own */
    void (*done)(void *ctx, int error);
    void *ctx;
    uint64_t file;  /* of ours: where its content is; 0: in its record */
    uint64_t given; /* the edge's that it comes from; 0: none */
    int own;        /* of the file; -1: there is none yet */
    uint32_t crc;
    int error;
};

static void answer(struct edge_peer *peer, uint64_t id, uint16_t code, struct pn_str text)
{
    struct pn_buf b;
    const struct pn_taken taken = {id, {code, text}};
    if (peer->channel == NULL)
        return; /* its client has no answer either and sends again */
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_taken_put(&b, &taken);
    if (!pn_channel_send(peer->channel, PN_REC_TAKEN, pn_buf_str(&b), NULL, 0))
        pn_warn("an answer to an edge could not be sent");
    pn_buf_fini(&b);
}

void take_peer_answer(struct edge_peer *peer, uint16_t type, uint64_t token, uint16_t code,
                      struct pn_str text)
{
    struct pn_buf b;
    const struct pn_delivered d = {token, {code, text}};
    if (peer->channel == NULL)
        return;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_delivered_put(&b, &d);
    if (!pn_channel_send(peer->channel, type, pn_buf_str(&b), NULL, 0))
        pn_warn("an answer to an edge could not be sent");
    pn_buf_fini(&b);
}

static void peer_release(struct edge_peer *peer)
{
    if (peer->channel != NULL || peer->takes > 0)
        return; /* something is still to be answered, or could be */
    struct edge_peer **at = &peer->queue->edges;
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    free(peer);
}

void take_peer_release(struct edge_peer *peer)
{
    peer->takes--;
    peer_release(peer);
}

/* Tells who gave it, and lets the taking go. Returns the message. */
static struct message *finish(struct taking *t, int error, uint16_t code, struct pn_str text)
{
    struct taking was = *t;
    free(t);
    was.m->work->taking = NULL;
    if (was.peer != NULL) {
        answer(was.peer, was.m->id, code, text);
        take_peer_release(was.peer);
    } else {
        was.done(was.ctx, error);
    }
    return was.m;
}

static void refuse(struct taking *t, int error)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    bool full = error == ENOSPC || error == EDQUOT;
    pn_warn("message %s could not be kept: %s", pn_queue_id_text(t->m->id, id), strerror(error));
    if (t->file != 0)
        (void)content_remove(spool_content_folder(t->m->queue->spool), t->file);
    message_free(finish(t, error, full ? 452 : 451,
                        full ? PN_STR("4.3.1 No room for the message now")
                             : PN_STR("4.3.0 The message could not be stored")));
}

void take_written(struct message *m)
{
    struct queue *q = m->queue;
    struct taking *t = m->work->taking;
    char id[PN_QUEUE_ID_TEXT_MAX], text[64];
    if (m->work->op.error != 0) {
        refuse(t, m->work->op.error);
        return;
    }
    int n = snprintf(text, sizeof text, "2.0.0 Queued as %s", pn_queue_id_text(m->id, id));
    (void)finish(t, 0, 250, (struct pn_str){text, (size_t)n});
    /* Beyond the bound it is read back when its turn comes. */
    if (q->bytes_held > HELD_BYTES_MAX || q->fds_held > q->fds_max)
        message_unload(m);
    run_message(m);
}

static void write_message(struct taking *t)
{
    struct message *m = t->m;
    m->writing = OP_MESSAGE;
    m->work->op = (struct spool_op){.type = SPOOL_MESSAGE,
                                    .id = m->id,
                                    .meta = pn_buf_str(&m->work->meta),
                                    .content_file = t->file,
                                    .content_size = m->work->env.size,
                                    .content_crc = t->crc};
    if (t->file == 0 && !message_content(m, &m->work->op.content)) {
        m->writing = OP_NONE;
        refuse(t, errno);
        return;
    }
    m->work->op.paged = t->file == 0 && m->work->content_mapped;
    m->queue->ops++;
    spool_submit(m->queue->spool, &m->work->op);
}

/* On the pool. */
static void copy_run(struct pn_job *job)
{
    struct taking *t = (struct taking *)job;
    int folder = spool_content_folder(t->m->queue->spool);
    t->error = content_copy(folder, t->file, t->m->work->content_fd, t->m->work->env.size, &t->crc,
                            &t->own);
    if (t->given != 0) /* what fails is swept at the next start */
        (void)content_remove(folder, t->given);
}

static void content_done(struct pn_job *job)
{
    struct taking *t = (struct taking *)job;
    t->m->loading = false;
    if (t->error != 0) {
        t->file = 0; /* nothing stayed */
        refuse(t, t->error);
        return;
    }
    /* From here on it is read where nobody can change it. */
    (void)close(t->m->work->content_fd);
    t->m->work->content_fd = t->own;
    write_message(t);
}

/* Into the journal: in its record, or a file of its own. */
static void keep(struct taking *t)
{
    struct queue *q = t->m->queue;
    if (t->given != 0 || t->m->work->env.size > SPOOL_INLINE_MAX)
        t->file = q->next_file++;
    if (t->file == 0) {
        write_message(t);
    } else {
        t->m->loading = true;
        pn_threads_submit(q->threads, &t->job);
    }
}

void take_cut_done(struct message *m, uint16_t code, struct pn_str text, bool sent)
{
    struct taking *t = m->work->taking;
    bool settled = code / 100 == 2 || code / 100 == 5;
    m->queue->active--;
    run_cut(m, code, text);
    if (settled) {
        event_cut(code / 100 == 2 ? CUT_EVENT_DELIVERED : CUT_EVENT_REFUSED);
        message_free(finish(t, 0, code, text));
        return;
    }
    event_cut(CUT_EVENT_KEPT);
    if (sent)
        event_doubled(m, text);
    keep(t);
}

static void tell_room(struct edge_peer *peer)
{
    struct pn_buf b;
    if (peer->channel == NULL)
        return;
    pn_buf_init(&b, 16);
    pn_u32_put(&b, !peer->queue->no_room);
    (void)pn_channel_send(peer->channel, PN_REC_ROOM, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
}

/* Looks at the disk; edges are told when it changes, so that they refuse at MAIL. */
static void check_room(void *ctx)
{
    struct queue *q = ctx;
    struct statvfs st;
    bool none = fstatvfs(q->folder, &st) == 0 &&
                (uint64_t)st.f_bavail * st.f_frsize <= q->settings.disk_reserve;
    if (none != q->no_room) {
        q->no_room = none;
        if (none)
            pn_warn("the disk has less than its reserve left: no mail is taken");
        else
            pn_info("the disk has room again");
        for (struct edge_peer *peer = q->edges; peer != NULL; peer = peer->next)
            tell_room(peer);
    }
    q->room_unseen = 0;
    pn_timer_set(q->room_timer, ROOM_CHECK_MS);
}

void take_init(struct queue *q)
{
    q->room_timer = pn_timer_new(q->loop, check_room, q);
    check_room(q);
}

uint16_t take_objection(struct queue *q, struct pn_str *text)
{
    if (q->draining)
        *text = PN_STR("4.3.2 Shutting down");
    else if (q->bytes_held > 4ULL * HELD_BYTES_MAX || q->fds_held > 2 * q->fds_max)
        *text = PN_STR("4.3.2 Too much mail at once");
    else if (q->message_count >= q->settings.messages_max)
        *text = PN_STR("4.3.2 Queue is full");
    else if (q->no_room)
        *text = PN_STR("4.3.1 No room for the message now");
    else
        return 0;
    return text->p[4] == '1' ? 452 : 451;
}

/* Where its content is: what came with the record, or the file that the edge filled. */
static int claim(const struct message *m, struct taking *t, int content_fd)
{
    if ((m->work->env.flags & PN_ENV_CONTENT_FILE) == 0)
        return content_fd;
    if (content_fd >= 0 || t->peer == NULL)
        return -1;
    t->given = m->work->env.content_file;
    return take_file_claim(t->peer, t->given);
}

enum start { STARTED, START_MALFORMED, START_NO_FILE };

/* Takes content_fd if it started. The taking is t's copy. */
static enum start start(struct queue *q, struct pn_str envelope, uint64_t id, int content_fd,
                        const struct taking *from)
{
    struct message *m = message_new(q, id);
    struct taking *t = pn_alloc(sizeof *t);
    *t = *from;
    t->job = (struct pn_job){.run = copy_run, .done = content_done};
    t->own = -1;
    t->m = m;
    bool ok = message_set_envelope(m, envelope) && m->work->env.id == id;
    /* Content is looked at where it is read: short of its size it is not kept, and what
     * could still change is never mapped. */
    int fd = ok ? claim(m, t, content_fd) : -1;
    if (fd < 0) {
        message_free(m);
        free(t);
        return ok && content_fd < 0 && from->peer != NULL ? START_NO_FILE : START_MALFORMED;
    }
    m->work->taking = t;
    message_hold(m, fd);
    if (t->peer != NULL)
        t->peer->takes++;
    event_taken();
    q->room_unseen += m->work->env.size;
    if (q->room_unseen >= ROOM_CHECK_BYTES)
        check_room(q);
    q->active++;
    if (t->peer != NULL && cut_take(t->peer, m))
        return STARTED;
    q->active--;
    keep(t);
    return STARTED;
}

static bool on_take(struct edge_peer *peer, struct pn_record *record)
{
    struct pn_handover h;
    if (!pn_handover_open(record, &h))
        return false;
    struct pn_rd rd = pn_rd_of(h.body);
    (void)pn_rd_u8(&rd);
    uint64_t id = pn_rd_u64(&rd);
    struct pn_str text;
    uint16_t code = take_objection(peer->queue, &text);
    if (code == 0 && message_find(peer->queue, id) != NULL) {
        code = 451;
        text = PN_STR("4.3.0 Queue id in use");
    }
    enum start how = START_MALFORMED;
    if (code == 0 && pn_rd_ok(&rd) && h.body.len <= PN_ENVELOPE_MAX)
        how = start(peer->queue, h.body, id, h.content_fd, &(struct taking){.peer = peer});
    if (how == START_NO_FILE) {
        code = 451;
        text = PN_STR("4.3.0 The file of its content is gone");
    }
    if (code != 0)
        answer(peer, id, code, text);
    if (how != STARTED && h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return code != 0 || how == STARTED;
}

void take_signed(struct queue *q, const struct pn_envelope *env, int content_fd,
                 void (*done)(void *ctx, int error), void *ctx)
{
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    bool ok = !q->closed && message_find(q, env->id) == NULL && pn_envelope_put(&body, env) &&
              start(q, pn_buf_str(&body), env->id, content_fd,
                    &(struct taking){.done = done, .ctx = ctx}) == STARTED;
    pn_buf_fini(&body);
    if (ok)
        return;
    (void)close(content_fd);
    done(ctx, EINVAL);
}

/* We could not take its content: said at once where its id came with it, else its edge
 * waits no longer than it does for us. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    struct edge_peer *peer = ctx;
    struct pn_handover h;
    if (record->type != PN_REC_TAKE || !pn_handover_open(record, &h))
        return record->type == PN_REC_TAKE;
    struct pn_rd rd = pn_rd_of(h.body);
    (void)pn_rd_u8(&rd);
    uint64_t id = pn_rd_u64(&rd);
    if (pn_rd_ok(&rd))
        answer(peer, id, 451, PN_STR("4.3.2 No descriptor left for the message"));
    if (h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return true;
}

static bool on_record(void *ctx, struct pn_record *record)
{
    switch (record->type) {
    case PN_REC_TAKE:
        return on_take(ctx, record);
    case PN_REC_WANT_CONTENT_FILE:
        return take_file_want(ctx, record->body);
    case PN_REC_DROP_CONTENT_FILE:
        return take_file_drop(ctx, record->body);
    case PN_REC_VERIFY:
        return verify_ask(ctx, record->body);
    case PN_REC_CUT_RCPT:
        return cut_ask(ctx, record->body);
    case PN_REC_CUT_DROP:
        return cut_drop_record(ctx, record->body);
    default:
        return false;
    }
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct edge_peer *peer = ctx;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("an edge sent what it may not; its channel is closed");
    pn_channel_free(&peer->channel);
    take_files_end(peer);
    cut_peer_end(peer);
    peer_release(peer);
}

void take_peer(struct queue *q, struct pn_peer *from)
{
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_cut = on_cut};
    struct edge_peer *peer = pn_calloc(1, sizeof *peer);
    *peer = (struct edge_peer){.next = q->edges, .queue = q};
    peer->channel = pn_channel_new(q->loop, from->fd, &ops, peer, QUEUE_PEER_BYTES);
    from->fd = -1;
    q->edges = peer;
    if (q->no_room)
        tell_room(peer);
}

void take_end_all(struct queue *q)
{
    for (struct edge_peer *peer = q->edges, *next; peer != NULL; peer = next) {
        next = peer->next;
        pn_channel_free(&peer->channel);
        take_files_end(peer);
        cut_peer_end(peer);
        peer_release(peer);
    }
}

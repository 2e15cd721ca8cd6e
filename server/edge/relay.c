/*
 * Sessions with TLS after login: the client's bytes go in the clear, over a pair of sockets, to
 * the mailbox worker that has the session, and back. Who reads slowly makes the other wait: at
 * most a read and what the sockets hold lies here. While nothing passes no buffer is held. A client
 * that takes nothing for too long is left: a worker that gave it up can't be heard behind what lies
 * here. A relay has the place of its session among those that limits count.
 */
#include "edge.h"

#include "log.h"
#include "mem.h"
#include "pass.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { UNREAD_MAX = 64 * 1024, WRITE_MAX = UNREAD_MAX + 2 * PN_STREAM_READ_MAX, KEEPALIVE_S = 300 };

struct relay {
    struct relay *next, **prev;
    struct edge *edge;
    struct pn_stream *outer, *inner; /* inner NULL: the worker is done, its last words go out */
    struct place *place;
    uint64_t id, stall_ms;
};

static void relay_end(struct relay *r)
{
    struct edge *edge = r->edge;
    pn_stream_close_then(&r->outer, place_leave, r->place);
    pn_stream_free(&r->inner);
    *r->prev = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    edge->relay_count--;
    free(r);
    edge_stop_if_idle(edge);
}

static size_t pass_on(struct pn_stream *from, struct pn_stream *to, struct pn_str bytes)
{
    (void)pn_stream_write(to, bytes);
    if (pn_stream_pending(to) > UNREAD_MAX)
        pn_stream_pause(from);
    return bytes.len;
}

static size_t on_outer_read(void *ctx, struct pn_str bytes)
{
    struct relay *r = ctx;
    if (r->inner == NULL)
        return bytes.len;
    return pass_on(r->outer, r->inner, bytes);
}

static size_t on_inner_read(void *ctx, struct pn_str bytes)
{
    struct relay *r = ctx;
    size_t used = pass_on(r->inner, r->outer, bytes);
    if (pn_stream_pending(r->outer) > UNREAD_MAX)
        pn_stream_timeout(r->outer, r->stall_ms);
    return used;
}

static void on_outer_drained(void *ctx)
{
    struct relay *r = ctx;
    pn_stream_timeout(r->outer, 0);
    if (r->inner == NULL)
        relay_end(r);
    else
        pn_stream_resume(r->inner);
}

static void on_inner_drained(void *ctx)
{
    struct relay *r = ctx;
    pn_stream_resume(r->outer);
}

/* The client says no more, and may listen yet. */
static void on_outer_eof(void *ctx)
{
    struct relay *r = ctx;
    if (r->inner != NULL)
        pn_stream_end(r->inner);
}

/* The worker is done. What it said last goes to the client yet, for as long as that takes it; what
 * the client says is heard by nobody. */
static void on_inner_close(void *ctx, enum pn_close how, const char *why)
{
    struct relay *r = ctx;
    (void)how;
    (void)why;
    pn_stream_free(&r->inner);
    if (pn_stream_pending(r->outer) == 0) {
        relay_end(r);
        return;
    }
    pn_stream_pause(r->outer);
    pn_stream_timeout(r->outer, r->stall_ms);
}

static void on_outer_close(void *ctx, enum pn_close how, const char *why)
{
    (void)how;
    (void)why;
    relay_end(ctx);
}

static const struct pn_stream_ops outer_ops = {.on_read = on_outer_read,
                                               .on_eof = on_outer_eof,
                                               .on_drained = on_outer_drained,
                                               .on_close = on_outer_close},
                                  inner_ops = {.on_read = on_inner_read,
                                               .on_drained = on_inner_drained,
                                               .on_close = on_inner_close};
static const struct pn_stream_limits limits = {0, WRITE_MAX};

struct pn_stream *relay_inner(struct edge *edge, int fd)
{
    struct pn_stream *inner = pn_stream_new(edge->loop, fd, &inner_ops, NULL, limits);
    pn_stream_hear_out(inner); /* what a worker says last may stand behind what it reads no more */
    pn_stream_pause(inner);
    return inner;
}

/* A client whose network is gone without a word is found out in the end. */
static void keep_alive(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_S}, sizeof(int));
}

void relay_begin(struct session *s, struct pn_stream **inner, uint64_t id)
{
    struct edge *edge = s->edge;
    struct relay *r = pn_calloc(1, sizeof *r);
    *r = (struct relay){.next = edge->relays,
                        .prev = &edge->relays,
                        .edge = edge,
                        .outer = s->stream,
                        .inner = *inner,
                        .place = session_place(s),
                        .id = id,
                        .stall_ms = s->gen->data_ms};
    s->stream = *inner = NULL;
    if (r->next != NULL)
        r->next->prev = &r->next;
    edge->relays = r;
    edge->relay_count++;
    keep_alive(pn_stream_fd(r->outer));
    pn_stream_rehome(r->outer, &outer_ops, r, limits);
    pn_stream_rehome(r->inner, &inner_ops, r, limits);
    pn_stream_resume(r->outer);
    pn_stream_resume(r->inner);
}

/* What the worker said lies in the pair, here, and with the kernel. */
static uint64_t left_of(const struct relay *r)
{
    size_t unheard = pn_stream_unheard(r->outer);
    if (r->inner == NULL || unheard == SIZE_MAX)
        return UINT64_MAX;
    return (uint64_t)unheard + pn_stream_unread(r->inner);
}

bool relay_asked(struct edge *edge, unsigned mailbox, struct pn_str body)
{
    struct pn_session_left left;
    struct pn_channel *to = edge->mailboxes[mailbox].channel;
    struct pn_buf b;
    if (!pn_session_left_get(body, &left))
        return false;
    struct relay *r = edge->relays; /* the newest first: few ask */
    while (r != NULL && r->id != left.id)
        r = r->next;
    left.bytes = r == NULL ? UINT64_MAX : left_of(r);
    pn_buf_init(&b, 64);
    pn_session_left_put(&b, &left);
    if (to != NULL && !pn_channel_send(to, PN_REC_SESSION_LEFT, pn_buf_str(&b), NULL, 0))
        pn_warn("mailbox-%u could not be told what a client has", mailbox); /* it asks again */
    pn_buf_fini(&b);
    return true;
}

void relays_drain(struct edge *edge)
{
    for (unsigned i = 0; edge->relays != NULL && i < EDGE_MAILBOXES_MAX; i++)
        if (edge->mailboxes[i].channel != NULL &&
            !pn_channel_send(edge->mailboxes[i].channel, PN_REC_SESSIONS_END, PN_STR(""), NULL, 0))
            pn_warn("mailbox-%u could not be told that sessions end", i);
}

void relays_free(struct edge *edge)
{
    while (edge->relays != NULL)
        relay_end(edge->relays);
}

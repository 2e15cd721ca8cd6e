/* The way to the state role: what a message leaves behind once its fate is known. */
#include "edge.h"

#include "log.h"
#include "mem.h"
#include "records.h"

#include <stdlib.h>

/* What waits while that role starts anew; beyond it the oldest news are worth least. */
enum { QUEUE_MAX = 1024 * 1024, WAITING_MAX = 4 * 1024 * 1024, TAG = sizeof(uint32_t) };

struct edge_state {
    struct edge *edge;
    struct pn_channel *channel; /* NULL: the role is away */
    struct pn_buf waiting;      /* records: length, body */
};

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct edge_state *st = ctx;
    (void)how;
    pn_channel_free(&st->channel);
    pn_control_missing(st->edge->control, PN_ROLE_STATE, 0);
}

/* It tells an edge nothing. */
static bool on_record(void *ctx, struct pn_record *record)
{
    (void)ctx;
    (void)record;
    return false;
}

static bool send_now(struct edge_state *st, struct pn_str body)
{
    return st->channel != NULL && pn_channel_send(st->channel, PN_REC_STATE_END, body, NULL, 0);
}

static void send_body(void *ctx, struct pn_str body)
{
    struct edge_state *st = ctx;
    uint32_t len = (uint32_t)body.len;
    if (send_now(st, body))
        return;
    if (st->waiting.len + TAG + body.len > WAITING_MAX)
        st->edge->state_lost++;
    else
        (void)(pn_buf_add(&st->waiting, &len, TAG) && pn_buf_adds(&st->waiting, body));
}

static void send_waiting(struct edge_state *st)
{
    size_t at = 0;
    while (at < st->waiting.len) {
        uint32_t len;
        memcpy(&len, st->waiting.p + at, TAG);
        if (!send_now(st, (struct pn_str){st->waiting.p + at + TAG, len}))
            break;
        at += TAG + len;
    }
    pn_buf_consume(&st->waiting, at);
}

static void on_room(void *ctx)
{
    send_waiting(ctx);
}

static struct edge_state *state_of(struct edge *edge)
{
    if (edge->state == NULL) {
        edge->state = pn_calloc(1, sizeof *edge->state);
        edge->state->edge = edge;
        pn_buf_init(&edge->state->waiting, WAITING_MAX);
    }
    return edge->state;
}

void edge_state_peer(struct edge *edge, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_room = on_room};
    struct edge_state *st = state_of(edge);
    pn_channel_free(&st->channel); /* the one before died; its end was not read yet */
    st->channel = pn_channel_new(edge->loop, peer->fd, &ops, st, QUEUE_MAX);
    peer->fd = -1;
    send_waiting(st);
}

void edge_state_free(struct edge *edge)
{
    if (edge->state == NULL)
        return;
    pn_channel_free(&edge->state->channel);
    pn_buf_fini(&edge->state->waiting);
    free(edge->state);
    edge->state = NULL;
}

void edge_fate(struct session *s, enum pn_fate fate)
{
    if (s->check != NULL)
        pn_check_fate(s->check, fate, send_body, state_of(s->edge));
}

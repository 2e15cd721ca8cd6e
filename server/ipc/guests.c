#include "guests.h"

#include "log.h"
#include "mem.h"

#include <stdlib.h>

struct entry {
    struct pn_guest guest;
    struct entry *next;
    struct pn_guests *all;
};

struct pn_guests {
    struct pn_loop *loop;
    const struct pn_guests_ops *ops;
    void *ctx;
    struct entry *entries;
    struct pn_timer *drain_timer;
    bool draining;
};

static void entry_free(struct entry *e)
{
    struct entry **at = &e->all->entries;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->all->ops->on_gone(&e->guest);
    pn_channel_free(&e->guest.channel);
    free(e);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct entry *e = ctx;
    return e->all->ops->on_record(&e->guest, record);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct entry *e = ctx;
    struct pn_guests *g = e->all;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("a peer sent what is no question; its channel is closed");
    entry_free(e);
    if (g->draining && g->entries == NULL)
        pn_loop_stop(g->loop);
}

void pn_guests_add(struct pn_guests *g, struct pn_peer *from)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if ((g->ops->roles & 1U << from->role) == 0)
        return;
    struct entry *e = pn_calloc(1, sizeof *e);
    *e = (struct entry){.guest = {.role = from->role, .ctx = g->ctx}, .next = g->entries, .all = g};
    e->guest.channel = pn_channel_new(g->loop, from->fd, &ops, e, g->ops->queue);
    from->fd = -1;
    g->entries = e;
    if (g->ops->on_come != NULL)
        g->ops->on_come(&e->guest);
}

static void on_drain_end(void *arg)
{
    struct pn_guests *g = arg;
    pn_loop_stop(g->loop);
}

void pn_guests_drain(struct pn_guests *g, uint32_t limit_ms)
{
    g->draining = true;
    pn_timer_set(g->drain_timer, limit_ms);
    if (g->entries == NULL)
        pn_loop_stop(g->loop);
}

struct pn_guests *pn_guests_new(struct pn_loop *loop, const struct pn_guests_ops *ops, void *ctx)
{
    struct pn_guests *g = pn_calloc(1, sizeof *g);
    *g = (struct pn_guests){.loop = loop, .ops = ops, .ctx = ctx};
    g->drain_timer = pn_timer_new(loop, on_drain_end, g);
    return g;
}

void pn_guests_free(struct pn_guests **guests)
{
    struct pn_guests *g = *guests;
    if (g == NULL)
        return;
    *guests = NULL;
    while (g->entries != NULL)
        entry_free(g->entries);
    pn_timer_free(&g->drain_timer);
    free(g);
}

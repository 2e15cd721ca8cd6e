#include "runner_int.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"

#include <stdlib.h>

/* ---- workers */

static void on_end(void *ctx, enum pn_channel_end how)
{
    (void)how;
    remote_died(ctx);
}

/* Its page, or findings that were too large for a record: which is not known any more. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    (void)ctx;
    (void)record;
    return false;
}

static void on_room(void *ctx)
{
    ask_retry(((struct remote *)ctx)->runner);
}

static const struct pn_channel_ops remote_ops = {
    .on_record = remote_on_record, .on_end = on_end, .on_room = on_room, .on_cut = on_cut};

void pn_runner_add_worker(struct pn_runner *r, struct pn_peer *peer)
{
    struct remote *m = pn_calloc(1, sizeof *m);
    *m = (struct remote){.next = r->remotes,
                         .runner = r,
                         .number = peer->number,
                         .group = peer->group,
                         .generation = peer->generation,
                         .solo = (peer->flags & PN_PEER_SOLO) != 0,
                         .token = peer->token};
    m->channel = pn_channel_new(r->loop, peer->fd, &remote_ops, m, REMOTE_QUEUE_MAX);
    peer->fd = -1;
    r->remotes = m;
    if (m->solo && m->group < GROUPS_MAX && r->solo[m->group].wanted > 0)
        r->solo[m->group].wanted--;
}

bool pn_runner_ready(const struct pn_runner *r)
{
    for (unsigned g = 0; g < r->plan->group_count; g++) {
        bool there = false;
        for (unsigned i = 0; i < r->plan->count; i++)
            there |= r->plan->plugins[i].group == g && r->plan->plugins[i].alone;
        for (const struct remote *m = r->remotes; m != NULL; m = m->next)
            there |= m->page != NULL && !m->solo && m->group == g &&
                     m->generation == r->plan->generation;
        if (!there)
            return false;
    }
    return true;
}

bool pn_runner_at_leisure(const struct pn_runner *r)
{
    uint64_t workers = 0;
    for (const struct remote *m = r->remotes; m != NULL; m = m->next)
        workers += !m->solo;
    return r->stats.inflight < workers;
}

/* ---- time */

static void cut_late(struct pn_runner *r, uint64_t now)
{
    /* A check that is cut may free itself or others: begin anew after each. */
    for (struct pn_check *c = r->checks; c != NULL;) {
        struct pn_check *next = c->next;
        if (c->running && now >= check_budget_end(c)) {
            check_cut(c, "no answer within the message's time");
            next = r->checks;
        }
        c = next;
    }
}

static void on_tick(void *arg)
{
    struct pn_runner *r = arg;
    uint64_t now = pn_clock_mono_ns();
    r->ticking = false;
    replay_look(r, now);
    replay_next(r);
    ask_retry(r);
    cut_late(r, now);
    runner_tick_on(r);
}

/* ---- generations */

void pn_runner_plan(struct pn_runner *r, struct pn_plan *plan, struct pn_str hostname)
{
    pn_plan_ref(plan);
    pn_plan_unref(&r->plan);
    r->plan = plan;
    free((void *)(uintptr_t)r->hostname.p);
    r->hostname = (struct pn_str){pn_strndup(hostname.p, hostname.len), hostname.len};
    remotes_drop_old(r);
}

void pn_runner_stats(const struct pn_runner *r, struct pn_runner_stats *out)
{
    *out = r->stats;
}

struct pn_runner *pn_runner_new(struct pn_loop *loop, struct pn_plan *plan, struct pn_str hostname,
                                const struct pn_runner_ops *ops, void *ctx)
{
    struct pn_runner *r = pn_calloc(1, sizeof *r);
    r->loop = loop;
    r->ops = ops;
    r->ctx = ctx;
    r->plan = pn_plan_ref(plan);
    r->hostname = (struct pn_str){pn_strndup(hostname.p, hostname.len), hostname.len};
    r->waiting.last = &r->waiting.first;
    r->suspects.last = &r->suspects.first;
    r->tick = pn_timer_new(loop, on_tick, r);
    pn_buf_init(&r->scratch, PN_REQUEST_BYTES_MAX);
    return r;
}

void pn_runner_fair(struct pn_runner *r)
{
    r->fair = true;
}

void pn_runner_free(struct pn_runner **runner)
{
    struct pn_runner *r = *runner;
    if (r == NULL)
        return;
    *runner = NULL;
    pn_assert(r->checks == NULL);
    while (r->remotes != NULL)
        remote_close(r->remotes);
    pn_timer_free(&r->tick);
    pn_plan_unref(&r->plan);
    pn_buf_fini(&r->scratch);
    free((void *)(uintptr_t)r->hostname.p);
    free(r);
}

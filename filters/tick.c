/*
 * Ticks: what plugins look after between messages (postern_plugin.tick). A unit of the
 * scheduler each, on the threads that messages use too; a timer of the loop says when.
 *
 * It is noted in the page under a request that no runner has (PN_PAGE_TICK, channel 0): if
 * it takes the worker along, nobody's message is blamed. The watchdog holds it to its
 * deadline as any call.
 */
#include "worker_int.h"

#include "clock.h"
#include "dns.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum {
    TICK_POOL_MAX = 4 * 1024 * 1024,
    NEXT_MS = 60 * 60 * 1000,
    NEXT_MIN_MS = 1000,
    NEXT_MAX_MS = 24 * 60 * 60 * 1000,
    AGAIN_MS = 60 * 1000 /* of one that failed */
};

struct tick {
    struct sched_unit unit; /* first */
    struct pn_worker *worker;
    struct host_plugin *plugin;
    struct host_standing standing;
    struct host_waits waits;
    struct pn_timer *timer;
    struct tick *next;
    uint32_t next_ms;
    uint64_t bit; /* in the worker's note of what ticks */
    bool ran;     /* once at least, or nobody waits for it; the loop's */
};

static void wait_begin(void *ctx, struct host_call *h)
{
    (void)h;
    sched_wait_begin(((struct tick *)ctx)->worker->sched);
}

static void wait_end(void *ctx, struct host_call *h)
{
    (void)h;
    sched_wait_end(((struct tick *)ctx)->worker->sched);
}

static const struct pn_facts *nothing_done(struct host_call *h, size_t n)
{
    (void)h;
    (void)n;
    return NULL;
}

/* Calls it in a message that is none. */
static int call(struct tick *t, unsigned thread, uint32_t *next_ms)
{
    struct pn_worker *w = t->worker;
    struct pn_step step = {.stage = POSTERN_CONNECT};
    struct pn_request request = {.steps = &step, .step_count = 1, .log_id = PN_STR("tick")};
    uint32_t deadline_ms = w->options.plan->plugins[t->plugin->index].deadline_ms;
    uint64_t begun = pn_clock_mono_ns();
    struct pn_facts facts, none;
    struct host_call h;
    struct pn_pool *pool = pn_pool_new(TICK_POOL_MAX);
    struct pn_ticking *note = w->options.ticking;
    pn_facts_init(&facts, pool);
    pn_facts_init(&none, pool);
    request.now_ms[0] = pn_clock_wall_ms();
    request.seed[0] = begun;
    host_call_init(&h, t->plugin, &request, 0);
    h.tick = true;
    h.questions = pn_questions_new(w->asker);
    h.state = w->state;
    h.earlier = &none;
    h.done_facts = nothing_done;
    h.facts = &facts;
    h.pool = h.life = pool;
    h.slot = &w->page->slot[thread];
    h.waits = &t->waits;
    h.deadline = begun + (uint64_t)deadline_ms * PN_NS_PER_MS;
    pn_page_enter(h.slot, PN_PAGE_TICK, 0, 0, (uint8_t)t->plugin->index, POSTERN_CONNECT,
                  deadline_ms, begun);
    if (note != NULL)
        (void)atomic_fetch_or(&note->now, t->bit);
    int rc = t->plugin->desc->tick(&h.call, next_ms);
    if (note != NULL)
        (void)atomic_fetch_and(&note->now, ~t->bit);
    pn_page_leave(h.slot);
    pn_questions_free(&h.questions);
    pn_pool_free(&pool);
    return rc;
}

static void tell_first(struct pn_worker *w)
{
    if (w->ticks_due == 0 && w->on_first_ticks != NULL)
        w->on_first_ticks(w->options.ctx);
}

static void arm(void *arg)
{
    struct tick *t = arg;
    pn_timer_set(t->timer, t->next_ms);
    if (t->ran)
        return;
    t->ran = true;
    t->worker->ticks_due--;
    tell_first(t->worker);
}

static void run(struct sched_unit *unit, unsigned thread)
{
    struct tick *t = (struct tick *)unit;
    uint32_t next = NEXT_MS;
    if (call(t, thread, &next) < 0) {
        pn_warn("plugin %s: its tick failed; it is called again in a minute",
                t->plugin->desc->name);
        next = AGAIN_MS;
    }
    t->next_ms = next < NEXT_MIN_MS ? NEXT_MIN_MS : next > NEXT_MAX_MS ? NEXT_MAX_MS : next;
    pn_loop_post(t->worker->loop, arm, t);
}

static void on_time(void *arg)
{
    struct tick *t = arg;
    watchdog_stir(t->worker->watchdog);
    sched_submit(t->worker->sched, &t->unit);
}

/* One that took a worker along is not called at once in the next: that one is to serve. */
static uint64_t put_off_ms(const struct pn_ticking *note, unsigned i)
{
    uint64_t now = pn_clock_mono_ns();
    return note == NULL || note->due[i] <= now ? 0 : (note->due[i] - now) / PN_NS_PER_MS + 1;
}

void ticks_start(struct pn_worker *w, void (*on_first)(void *ctx))
{
    w->on_first_ticks = on_first;
    for (unsigned i = 0; i < w->options.count; i++) {
        struct host_plugin *p = &w->options.plugins[i];
        if (p->desc->tick == NULL || p->standing != NULL)
            continue;
        struct tick *t = pn_calloc(1, sizeof *t);
        t->unit = (struct sched_unit){.run = run, .plugin = -1};
        t->worker = w;
        t->plugin = p;
        t->waits = (struct host_waits){.begin = wait_begin, .end = wait_end, .ctx = t};
        (void)pthread_mutex_init(&t->standing.lock, NULL);
        p->standing = &t->standing;
        t->timer = pn_timer_new(w->loop, on_time, t);
        t->bit = UINT64_C(1) << i;
        t->next = w->ticks;
        w->ticks = t;
        uint64_t wait_ms = put_off_ms(w->options.ticking, i);
        t->ran = wait_ms != 0;
        w->ticks_due += !t->ran;
        pn_timer_set(t->timer, wait_ms);
    }
    tell_first(w);
}

void ticks_free(struct pn_worker *w)
{
    while (w->ticks != NULL) {
        struct tick *t = w->ticks;
        w->ticks = t->next;
        pn_loop_forget(w->loop, t);
        pn_timer_free(&t->timer);
        t->plugin->standing = NULL;
        (void)pthread_mutex_destroy(&t->standing.lock);
        free(t);
    }
}

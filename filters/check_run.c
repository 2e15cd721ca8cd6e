/* Running a check: which plugins in which step, wave by wave, to the end or the budget's. */
#include "runner_int.h"

#include "clock.h"
#include "pool.h"

enum { RUN_POOL_MAX = 64 * 1024 * 1024 };

/* ---- which plugins, in which run */

/* Those that are called in a step: before the first recipient nobody knows who wants
 * what, so all are. */
static uint64_t mask_of(const struct pn_check *c, const struct check_step *s)
{
    uint64_t not = c->session_failed;
    if (s->stage >= POSTERN_MAIL || c->in_transaction)
        not |= c->given | c->skipped | c->failed;
    uint64_t at = pn_plan_at(c->plan, s->stage) & ~not ;
    return s->stage >= POSTERN_RCPT ? at & s->wanted : at;
}

static uint64_t group_mask(const struct pn_plan *plan, unsigned group)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < plan->count; i++)
        mask |= (uint64_t)(plan->plugins[i].group == group) << i;
    return mask;
}

/* Sets `ran` of the run's steps; returns all plugins in them. */
static uint64_t plan_run(struct pn_check *c)
{
    uint64_t all = 0;
    for (size_t i = c->done_count; i < c->run_end; i++) {
        c->steps[i].ran = mask_of(c, &c->steps[i]);
        all |= c->steps[i].ran;
    }
    return all;
}

/* Does one of these wait for another group? Then stages go one by one. */
static bool crosses(const struct pn_check *c, uint64_t plugins)
{
    for (unsigned i = 0; i < c->plan->count; i++)
        if ((plugins >> i & 1) != 0 && (c->plan->plugins[i].after & plugins) != 0)
            return true;
    return false;
}

/* The next wave: not called yet, and what they wait for in other groups is done. In its
 * own group a plugin may have to wait for one that must wait: `local` names those. */
static uint64_t next_wave(const struct pn_check *c, uint64_t plugins)
{
    uint64_t left = plugins & ~c->called, wave = left;
    for (unsigned i = 0; i < c->plan->count; i++) {
        const struct pn_plan_plugin *p = &c->plan->plugins[i];
        if (((p->after & left) | (p->local & left & ~wave)) != 0)
            wave &= ~(UINT64_C(1) << i);
    }
    return wave;
}

/* ---- runs */

static void start_wave(struct pn_check *c, uint64_t wave)
{
    c->called |= wave;
    c->open++; /* held, so that no answer ends the wave while it is sent out */
    for (unsigned g = 0; g < c->plan->group_count; g++) {
        uint64_t plugins = wave & group_mask(c->plan, g);
        if (plugins != 0)
            ask_dispatch(ask_new(c, g, plugins));
    }
    c->open--;
}

/* Begins what is due, step by step where nothing is to be called. False: all is done. */
static bool start_run(struct pn_check *c)
{
    while (c->done_count < c->asked_count) {
        c->run_end = c->asked_count;
        uint64_t plugins = plan_run(c);
        if (plugins == 0) {
            c->done_count = c->run_end;
            break;
        }
        if (crosses(c, plugins) && c->run_end > c->done_count + 1) {
            c->run_end = c->done_count + 1;
            plugins = plan_run(c);
            if (plugins == 0) {
                c->done_count++;
                continue;
            }
        }
        c->running = true;
        c->called = 0;
        c->run_start = pn_clock_mono_ns();
        c->run_pool = pn_pool_new(RUN_POOL_MAX);
        start_wave(c, next_wave(c, plugins));
        return true;
    }
    return false;
}

/* The last thing done with c: its owner may free it. */
static void finish(struct pn_check *c, enum pn_check_end end)
{
    void (*done)(void *, enum pn_check_end) = c->done;
    c->running = false;
    c->done = NULL;
    if (done != NULL)
        done(c->ctx, end);
}

static void say_overload(void *arg)
{
    struct pn_check *c = arg;
    finish(c, PN_CHECK_OVERLOAD);
}

bool pn_check_run(struct pn_check *c, unsigned stage,
                  void (*done)(void *ctx, enum pn_check_end end), void *ctx)
{
    size_t asked = 0;
    for (size_t i = 0; i < c->step_count; i++)
        if (c->steps[i].stage <= stage)
            asked = i + 1;
    if (asked > c->asked_count)
        c->asked_count = asked;
    if (!c->running && c->runner->waiting.count >= WAITING_MAX && c->done_count < asked) {
        c->running = true;
        c->runner->stats.overloads++;
        pn_loop_defer(c->runner->loop, say_overload, c);
    }
    if (!c->running && !start_run(c))
        return false;
    c->done = done;
    c->ctx = ctx;
    return true;
}

void check_answered(struct pn_check *c)
{
    uint64_t all = 0;
    if (c->open != 0)
        return;
    for (size_t i = c->done_count; i < c->run_end; i++)
        all |= c->steps[i].ran;
    uint64_t wave = next_wave(c, all);
    if (wave != 0) {
        start_wave(c, wave);
        return;
    }
    check_missing(c, "its worker said nothing of it");
    check_merge(c);
    if (!start_run(c))
        finish(c, PN_CHECK_WHOLE);
}

void check_cut(struct pn_check *c, const char *why)
{
    while (c->asks != NULL) {
        const struct ask *a = c->asks;
        /* Nobody was there to take it: not a slow check but none. And one that was pulled out
         * for a call behind its deadline, or for its worker's death, has failed, though it is
         * not known for sure who did. `on_failure` says what that means. */
        if (a->state == ASK_WAITING || (a->alone && a->state == ASK_SUSPECT))
            check_no_worker(c, a->plugins);
        else if (a->state == ASK_SUSPECT || (!a->alone && a->state == ASK_SOLO))
            check_no_replay(c, a->plugins);
        ask_abandon(c->asks);
    }
    check_missing(c, why);
    check_merge(c);
    c->done_count = c->asked_count; /* what was not begun is not called any more */
    finish(c, PN_CHECK_PART);
}

#include "runner_int.h"

#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

/* A worker notes its own faults; one that died without a note was killed from outside,
 * or by a plugin in a way that no process survives long enough to note. */
enum { UNNOTED_DEATHS = 5 };

/* So often may a request be in a worker that dies while none of its calls runs, before it
 * is taken for the reason, and is sent alone. */
enum { LOST_MAX = 3 };

/* ---- what a page says about an ask */

static const struct pn_page_slot *slot_of(const struct remote *m, const struct ask *a,
                                          const struct pn_page_slot *from)
{
    const struct pn_page_slot *s = from == NULL ? m->page->slot : from + 1;
    for (; m->page != NULL && s < m->page->slot + PN_PAGE_SLOTS; s++)
        if (atomic_load_explicit(&s->request, memory_order_acquire) == a->id && s->tag == m->tag)
            return s;
    return NULL;
}

static bool hung(const struct pn_page_slot *s)
{
    return atomic_load(&s->hung) != 0;
}

static bool any_hung(const struct remote *m)
{
    for (unsigned i = 0; m->page != NULL && i < PN_PAGE_SLOTS; i++)
        if (atomic_load(&m->page->slot[i].request) != 0 && hung(&m->page->slot[i]))
            return true;
    return false;
}

static const struct pn_page_slot *hung_slot(const struct remote *m, const struct ask *a)
{
    const struct pn_page_slot *s = NULL;
    while (m->page != NULL && (s = slot_of(m, a, s)) != NULL)
        if (hung(s))
            return s;
    return NULL;
}

/* ---- a failure that counts */

static void report(const struct ask *a, const struct pn_page_slot *s, struct pn_str reason)
{
    const struct pn_check *c = a->check;
    const struct pn_runner *r = a->runner;
    struct pn_buf body;
    pn_buf_init(&body, PN_FAILURE_CASE_MAX);
    struct pn_failure f = {.plugin = c->plan->plugins[s->plugin].name,
                           .stage = pn_str_of(pn_stage_name(s->stage)),
                           .reason = reason,
                           .id = c->in_transaction ? c->mail.id : c->client.id,
                           .content_fd = c->content_fd,
                           .content_size = c->content_size};
    check_case(a, &f, &body);
    f.body = pn_buf_str(&body);
    if (body.overflow)
        pn_warn("no reproducer of %.*s: it would be too large", PN_FMT(f.id));
    else if (r->ops->on_failure != NULL)
        r->ops->on_failure(r->ctx, &f);
    pn_buf_fini(&body);
}

/* The plugin failed alone: that is its finding; the others, and its own stages before
 * that, run again. */
static void convict(struct ask *a, const struct pn_page_slot *s, bool stuck)
{
    bool hangs = hung(s) || stuck;
    uint32_t ms = s->deadline_ms;
    char what[PN_PAGE_WHAT_MAX + 64];
    char text[PN_PAGE_WHAT_MAX];
    (void)snprintf(text, sizeof text, "%.*s", PN_PAGE_WHAT_MAX - 1, s->what);
    if (hangs)
        (void)snprintf(what, sizeof what, "hangs: no end after %u.%u s%s%s", ms / 1000,
                       ms / 100 % 10, text[0] != '\0' ? ", in " : "", text);
    else
        (void)snprintf(what, sizeof what, "crashes");
    struct pn_finding f = {.step = s->step,
                           .plugin = s->plugin,
                           .status = hangs ? PN_PLUGIN_TIMEOUT : PN_PLUGIN_FAILED,
                           .us = hangs ? ms * 1000 : 0,
                           .reason = pn_str_of(what)};
    a->runner->stats.failures++;
    pn_warn("plugin %.*s %s in stage %s of %.*s, alone in its worker",
            PN_FMT(a->check->plan->plugins[s->plugin].name), what, pn_stage_name(s->stage),
            PN_FMT(a->check->mail.id));
    report(a, s, f.reason);
    check_found(a->check, &f, -1);
    if (!check_stop_plugin(a->check, s->plugin, s->step))
        a->plugins &= ~(UINT64_C(1) << s->plugin);
    a->suspects = 0;
    a->died_in = -1;
}

/* After a verdict: the rest of the ask, or its end. */
static void go_on(struct ask *a)
{
    struct pn_check *c = a->check;
    a->id = ++a->runner->next_id;
    if (a->plugins != 0) {
        ask_suspect(a);
        return;
    }
    ask_unlink_of_run(a);
    ask_free(a);
    check_answered(c);
}

/* ---- deaths */

/* Between calls: somebody else's doing, unless it goes on. Which of the plugins it is
 * then can't be said. */
static void died_between(struct ask *a)
{
    if (++a->lost >= LOST_MAX + UNNOTED_DEATHS) {
        pn_warn("workers die of %.*s, alone in them, and no plugin says so",
                PN_FMT(a->check->mail.id));
        a->runner->stats.failures++;
        check_lost(a->check, a->plugins);
        a->plugins = 0;
    }
    go_on(a);
}

/* a was alone in m; s is what it was in, or NULL. */
static void died_alone(struct remote *m, struct ask *a, const struct pn_page_slot *s)
{
    bool crashed = m->page != NULL && atomic_load(&m->page->crashed) != 0;
    if (s == NULL) {
        died_between(a);
        return;
    }
    if (a->died_in == s->plugin || hung(s))
        a->suspects++;
    else
        a->suspects = 1;
    a->died_in = s->plugin;
    if (hung(s) || m->stuck || crashed || a->suspects >= UNNOTED_DEATHS)
        convict(a, s, m->stuck);
    go_on(a);
}

static void sort_out(struct remote *m, struct ask *a, bool by_watchdog)
{
    /* Who ends itself for a call that hangs was not killed by the others. */
    const struct pn_page_slot *s = by_watchdog ? hung_slot(m, a) : slot_of(m, a, NULL);
    a->remote = NULL;
    if (a->check == NULL) {
        ask_free(a);
    } else if (a->state == ASK_SOLO) {
        died_alone(m, a, s);
    } else if (s != NULL || ++a->lost >= LOST_MAX) {
        a->id = ++a->runner->next_id;
        ask_suspect(a);
    } else {
        ask_dispatch(a);
    }
}

/* No message is to blame, and none suffers: its requests go elsewhere. */
static void look_for_tick(const struct remote *m)
{
    const struct pn_plan *plan = m->runner->plan;
    for (unsigned i = 0; m->page != NULL && i < PN_PAGE_SLOTS; i++) {
        const struct pn_page_slot *s = &m->page->slot[i];
        if (atomic_load(&s->request) != PN_PAGE_TICK || s->plugin >= plan->count ||
            m->generation != plan->generation)
            continue;
        if (hung(s))
            pn_warn("plugin %.*s hangs in its tick, worker %u with it",
                    PN_FMT(plan->plugins[s->plugin].name), m->number);
        else if (atomic_load(&m->page->crashed) != 0)
            pn_warn("worker %u crashed while plugin %.*s was in its tick", m->number,
                    PN_FMT(plan->plugins[s->plugin].name));
    }
}

void remote_died(struct remote *m)
{
    struct pn_runner *r = m->runner;
    look_for_tick(m);
    bool by_watchdog = any_hung(m);
    remote_unlink(m);
    r->stats.worker_deaths++;
    if (r->ops->lost_worker != NULL)
        r->ops->lost_worker(r->ctx, m->number);
    while (m->asks != NULL) { /* callbacks may abandon those still in the list */
        struct ask *a = m->asks;
        m->asks = a->next;
        sort_out(m, a, by_watchdog);
    }
    remote_free(m);
    ask_retry(r);
    replay_next(r);
}

/* ---- calls that hang in a common worker: no need to wait for its end */

static void look_at(struct remote *m, uint64_t now)
{
    for (struct ask *a = m->asks, *next; a != NULL; a = next) {
        next = a->next;
        const struct pn_page_slot *s = hung_slot(m, a);
        if (s != NULL && a->check != NULL && a->state == ASK_SENT) {
            remote_take_ask(m, a);
            a->id = ++m->runner->next_id;
            ask_suspect(a);
            continue;
        }
        s = slot_of(m, a, NULL);
        uint64_t more_ms = m->runner->fair ? STUCK_FAIR_MS : STUCK_MS;
        uint64_t limit = s == NULL ? 0 : (s->deadline_ms + more_ms) * PN_NS_PER_MS;
        m->stuck |= s != NULL && now > s->start_ns + limit && atomic_load(&m->page->draining) == 0;
    }
    if (m->stuck) /* its watchdog would have spoken: all of it is beyond help */
        remote_died(m);
}

void replay_look(struct pn_runner *r, uint64_t now)
{
    for (struct remote *m = r->remotes, *next; m != NULL; m = next) {
        next = m->next;
        if (m->page != NULL && m->count != 0)
            look_at(m, now);
    }
}

/* ---- solo workers */

static struct remote *idle_solo(struct pn_runner *r, unsigned group, uint32_t generation)
{
    for (struct remote *m = r->remotes; m != NULL; m = m->next)
        if (m->solo && !m->kept && !m->used && m->page != NULL && m->count == 0 &&
            m->group == group && m->generation == generation)
            return m;
    return NULL;
}

/* Solo workers of a group: in all, and those that have nothing to do or are coming. */
static void count_solos(const struct pn_runner *r, unsigned group, unsigned *all, unsigned *idle)
{
    *all = *idle = r->solo[group].wanted;
    for (const struct remote *m = r->remotes; m != NULL; m = m->next)
        if (m->solo && m->group == group) {
            ++*all;
            *idle += !m->kept && !m->used && m->count == 0 ? 1 : 0;
        }
}

/* How many wait for one, up to and with a; replays of a group share one. */
static unsigned waiting_solo(const struct pn_runner *r, const struct ask *a)
{
    unsigned n = 1;
    for (const struct ask *b = r->suspects.first; b != a && a->alone; b = b->next)
        n += b->group == a->group ? 1 : 0;
    return n;
}

static unsigned busy_solos(const struct pn_runner *r, unsigned group)
{
    unsigned n = 0;
    for (const struct remote *m = r->remotes; m != NULL; m = m->next)
        n += m->solo && m->group == group && (m->count != 0 || m->kept) ? 1 : 0;
    return n;
}

static void want(struct pn_runner *r, const struct ask *a, uint64_t now)
{
    bool late = now - r->solo[a->group].since > (uint64_t)SOLO_WAIT_MS * PN_NS_PER_MS;
    unsigned most = a->alone ? SOLO_MAX : 1;
    if (late)
        r->solo[a->group].wanted = 0;
    unsigned all, idle;
    count_solos(r, a->group, &all, &idle);
    if (all >= most || idle >= waiting_solo(r, a))
        return;
    r->solo[a->group].wanted++;
    r->solo[a->group].since = now;
    struct pn_want_solo w = {
        .token = ++r->next_token, .group = a->group, .generation = a->check->plan->generation};
    r->ops->want_solo(r->ctx, &w);
}

/* Replays of one group go one at a time; a group with `alone yes` may have some. */
static bool may_go(const struct pn_runner *r, const struct ask *a)
{
    return busy_solos(r, a->group) < (a->alone ? (unsigned)SOLO_MAX : 1U);
}

static bool start_replay(struct pn_runner *r, struct ask *a, uint64_t now)
{
    struct remote *m = a->check->home[a->group];
    if (m == NULL || !m->solo)
        m = may_go(r, a) ? idle_solo(r, a->group, a->check->plan->generation) : NULL;
    if (m == NULL || m->count != 0) {
        want(r, a, now);
        return false;
    }
    (void)list_remove(&r->suspects, a);
    a->state = ASK_SOLO;
    if (ask_send(a, m)) {
        r->stats.replays += a->alone ? 0 : 1;
        m->used = a->alone;
        return true;
    }
    a->state = ASK_SUSPECT;
    list_add(&r->suspects, a);
    return false;
}

static bool needed(const struct pn_runner *r, const struct remote *m)
{
    for (const struct ask *a = r->suspects.first; a != NULL; a = a->next)
        if (a->group == m->group && a->check->plan->generation == m->generation)
            return true;
    return false;
}

void replay_next(struct pn_runner *r)
{
    uint64_t now = pn_clock_mono_ns();
    for (struct ask *a = r->suspects.first, *next; a != NULL; a = next) {
        next = a->next;
        (void)start_replay(r, a, now);
    }
    for (struct remote *m = r->remotes, *next; m != NULL; m = next) {
        next = m->next;
        if (m->solo && !m->kept && m->count == 0 && (m->used || !needed(r, m)))
            remote_close(m);
    }
}

#include "worker_int.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum { OBJECT_POOL_MAX = 32 * 1024 * 1024 };

static const struct postern_plugin *desc_of(const struct pn_worker *w, unsigned plugin)
{
    return w->by_index[plugin] == NULL ? NULL : w->by_index[plugin]->desc;
}

bool visit_needed(const struct pn_worker *w, const struct pn_request *q)
{
    for (unsigned i = 0; i < w->options.count; i++) {
        const struct host_plugin *p = &w->options.plugins[i];
        if (p->desc->session_new == NULL && p->desc->transaction_new == NULL)
            continue;
        for (uint32_t s = q->first_new; s < q->step_count; s++)
            if ((q->steps[s].wanted >> p->index & 1) != 0 && p->desc->on[q->steps[s].stage] != NULL)
                return true;
    }
    return false;
}

/* ---- whose turn it is */

static void clean(struct sched_unit *unit, unsigned thread);

static struct visit *find(struct link *l, uint64_t session)
{
    struct visit *v = l->visits;
    while (v != NULL && v->session != session)
        v = v->next;
    return v;
}

/* Under link->lock. */
static struct visit *make(struct link *l, const struct task *t)
{
    struct visit *v = pn_calloc(1, sizeof *v);
    link_ref(l);
    *v = (struct visit){.next = l->visits, .link = l, .session = t->request.session};
    v->last_waiting = &v->waiting;
    v->unit = (struct sched_unit){.run = clean, .network = t->unit.network, .plugin = -1};
    l->visits = v;
    return v;
}

/* Under link->lock: starts what is next; one thing at a time runs in a session. */
static void go_on(struct visit *v)
{
    if (v->busy)
        return;
    struct sched_unit *next = NULL;
    if (v->ended || v->transaction_ended) {
        next = &v->unit;
    } else if (v->waiting != NULL) {
        struct task *t = v->waiting;
        v->waiting = t->next_kept;
        if (v->waiting == NULL)
            v->last_waiting = &v->waiting;
        next = &t->unit;
    }
    v->busy = next != NULL;
    if (next != NULL)
        sched_submit(v->link->worker->sched, next);
}

void visit_submit(struct task *t)
{
    struct link *l = t->link;
    (void)pthread_mutex_lock(&l->lock);
    struct visit *v = find(l, t->request.session);
    t->visit = v != NULL ? v : make(l, t);
    t->next_kept = NULL;
    *t->visit->last_waiting = t;
    t->visit->last_waiting = &t->next_kept;
    go_on(t->visit);
    (void)pthread_mutex_unlock(&l->lock);
}

void visit_cancel(struct link *l, uint64_t session, bool whole)
{
    (void)pthread_mutex_lock(&l->lock);
    struct visit *v = find(l, session);
    if (v != NULL) {
        v->ended = v->ended || whole;
        v->transaction_ended = true;
        go_on(v);
    }
    (void)pthread_mutex_unlock(&l->lock);
}

void visit_end_all(struct link *l)
{
    (void)pthread_mutex_lock(&l->lock);
    for (struct visit *v = l->visits; v != NULL; v = v->next) {
        v->ended = true;
        go_on(v);
    }
    (void)pthread_mutex_unlock(&l->lock);
}

/* ---- objects */

static void object_end_transaction(struct visit *v, unsigned i, unsigned thread)
{
    struct pn_worker *w = v->link->worker;
    struct object *o = &v->objects[i];
    if (o->has_transaction) {
        const struct postern_plugin *d = desc_of(w, i);
        pn_page_enter(&w->page->slot[thread], v->last_request, v->link->tag, 0, (uint8_t)i,
                      POSTERN_AFTER, w->options.plan->plugins[i].deadline_ms, pn_clock_mono_ns());
        d->transaction_free(w->by_index[i]->instance, o->transaction);
        pn_page_leave(&w->page->slot[thread]);
        o->has_transaction = false;
        o->transaction = NULL;
    }
    pn_pool_free(&o->transaction_pool);
}

static void object_end(struct visit *v, unsigned i, unsigned thread)
{
    struct pn_worker *w = v->link->worker;
    struct object *o = &v->objects[i];
    object_end_transaction(v, i, thread);
    if (o->has_session) {
        const struct postern_plugin *d = desc_of(w, i);
        pn_page_enter(&w->page->slot[thread], v->last_request, v->link->tag, 0, (uint8_t)i,
                      POSTERN_AFTER, w->options.plan->plugins[i].deadline_ms, pn_clock_mono_ns());
        d->session_free(w->by_index[i]->instance, o->session);
        pn_page_leave(&w->page->slot[thread]);
        o->has_session = false;
    }
    pn_pool_free(&o->session_pool);
}

/* Drops tasks whose views nobody can hold any more: those of transactions but this one. */
static void drop_kept(struct visit *v, bool all, uint32_t transaction)
{
    for (struct task **at = &v->kept; *at != NULL;) {
        struct task *t = *at;
        if (!all && (t->request.transaction == 0 || t->request.transaction == transaction)) {
            at = &t->next_kept;
            continue;
        }
        *at = t->next_kept;
        task_free(t);
    }
}

static void unlink_visit(struct visit *v)
{
    struct visit **at = &v->link->visits;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
}

/* Under link->lock, which it gives back: frees v if nothing is left in it, else goes on. */
static void settle(struct visit *v)
{
    struct link *l = v->link;
    v->busy = false;
    bool gone = v->waiting == NULL && !visit_keeps(v) && v->kept == NULL;
    if (gone)
        unlink_visit(v);
    else
        go_on(v);
    (void)pthread_mutex_unlock(&l->lock);
    if (gone) {
        free(v);
        link_unref(l);
    }
}

static void clean(struct sched_unit *unit, unsigned thread)
{
    struct visit *v = (struct visit *)((char *)unit - offsetof(struct visit, unit));
    struct link *l = v->link;
    (void)pthread_mutex_lock(&l->lock);
    bool whole = v->ended;
    v->ended = v->transaction_ended = false;
    (void)pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < PLUGINS_MAX; i++) {
        if (whole)
            object_end(v, i, thread);
        else
            object_end_transaction(v, i, thread);
    }
    drop_kept(v, whole, 0);
    (void)pthread_mutex_lock(&l->lock);
    settle(v);
}

bool visit_keeps(const struct visit *v)
{
    for (unsigned i = 0; i < PLUGINS_MAX; i++)
        if (v->objects[i].has_session || v->objects[i].has_transaction)
            return true;
    return false;
}

bool visit_has_session(const struct visit *v, unsigned plugin)
{
    return v->objects[plugin].has_session;
}

bool visit_has_transaction(const struct visit *v, unsigned plugin, uint32_t serial)
{
    return v->objects[plugin].has_transaction && v->objects[plugin].serial == serial;
}

int visit_enter(struct visit *v, struct host_call *h)
{
    const struct postern_plugin *d = h->plugin->desc;
    struct object *o = &v->objects[h->plugin->index];
    unsigned thread = (unsigned)(h->slot - v->link->worker->page->slot);
    bool in_transaction = h->step->stage >= POSTERN_MAIL;
    int rc = POSTERN_OK;
    if (d->session_new == NULL && d->transaction_new == NULL)
        return POSTERN_OK;
    if (o->session_pool == NULL)
        o->session_pool = pn_pool_new(OBJECT_POOL_MAX);
    if (o->serial != h->request->transaction) {
        struct pn_page_slot slot = *h->slot; /* freeing notes itself there */
        object_end_transaction(v, h->plugin->index, thread);
        pn_page_enter(h->slot, slot.request, slot.tag, slot.step, slot.plugin, slot.stage,
                      slot.deadline_ms, slot.start_ns);
        o->serial = h->request->transaction;
    }
    if (in_transaction && o->transaction_pool == NULL)
        o->transaction_pool = pn_pool_new(OBJECT_POOL_MAX);
    h->life = in_transaction ? o->transaction_pool : o->session_pool;
    if (d->session_new != NULL && !o->has_session) {
        struct pn_pool *life = h->life;
        h->life = o->session_pool;
        rc = d->session_new(&h->call, &o->session);
        h->life = life;
        o->has_session = rc == POSTERN_OK;
    }
    h->call.session = o->session;
    if (rc == POSTERN_OK && d->transaction_new != NULL && in_transaction && !o->has_transaction) {
        rc = d->transaction_new(&h->call, &o->transaction);
        o->has_transaction = rc == POSTERN_OK;
    }
    h->call.transaction = o->transaction;
    return rc;
}

void visit_leave(struct task *t)
{
    struct visit *v = t->visit;
    struct link *l = v->link;
    v->last_request = t->request.id;
    drop_kept(v, false, t->request.transaction);
    if (visit_keeps(v)) {
        t->next_kept = v->kept;
        v->kept = t;
    } else {
        drop_kept(v, true, 0);
        task_free(t);
    }
    (void)pthread_mutex_lock(&l->lock);
    settle(v);
}

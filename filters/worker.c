#include "worker_int.h"

#include "assert.h"
#include "log.h"
#include "mem.h"
#include "records.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- channels */

void link_ref(struct link *l)
{
    (void)atomic_fetch_add(&l->refs, 1);
}

void link_unref(struct link *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    (void)close(l->fd);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

static bool on_check(struct link *l, struct pn_record *record)
{
    struct pn_handover h;
    if (!pn_handover_open(record, &h))
        return false;
    struct task *t = task_new(l, h.body, h.content_fd);
    pn_handover_close(&h);
    if (t == NULL)
        return false;
    (void)pthread_mutex_lock(&l->lock);
    t->next_live = l->tasks;
    l->tasks = t;
    (void)pthread_mutex_unlock(&l->lock);
    watchdog_stir(l->worker->watchdog);
    if (visit_needed(l->worker, &t->request))
        visit_submit(t);
    else
        sched_submit(l->worker->sched, &t->unit);
    return true;
}

/* request 0: all of the session; session 0: all of the channel. */
static void cancel_tasks(struct link *l, uint64_t session, uint64_t request)
{
    (void)pthread_mutex_lock(&l->lock);
    for (struct task *t = l->tasks; t != NULL; t = t->next_live)
        if ((session == 0 || t->request.session == session) &&
            (request == 0 || t->request.id == request))
            atomic_store(&t->cancelled, true);
    (void)pthread_mutex_unlock(&l->lock);
}

static bool on_cancel(struct link *l, struct pn_str body)
{
    struct pn_cancel c;
    if (!pn_cancel_get(body, &c) || c.session == 0)
        return false;
    cancel_tasks(l, c.session, c.what == PN_CANCEL_REQUEST ? c.request : 0);
    if (c.what != PN_CANCEL_REQUEST)
        visit_cancel(l, c.session, c.what == PN_CANCEL_SESSION);
    return true;
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct link *l = ctx;
    switch (record->type) {
    case PN_REC_CHECK:
        return on_check(l, record);
    case PN_REC_CHECK_CANCEL:
        return on_cancel(l, record->body);
    default:
        return false;
    }
}

/* A message that can't be looked at must not pass as if it had been: its runner gives it to
 * another worker, and the supervisor puts a fresh one in our place. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    (void)ctx;
    (void)record;
    return false;
}

static void end_link(struct link *l)
{
    struct link **at = &l->worker->links;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    cancel_tasks(l, 0, 0);
    visit_end_all(l);
    pn_channel_free(&l->channel);
    link_unref(l);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct link *l = ctx;
    struct pn_worker *w = l->worker;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("a runner sent what is no request; its channel is closed");
    end_link(l);
    if (w->links == NULL && w->options.on_idle != NULL)
        w->options.on_idle(w->options.ctx);
}

void pn_worker_note_crashes(struct pn_worker *w)
{
    pn_page_note_crashes(w->page);
}

bool pn_worker_idle(const struct pn_worker *w)
{
    return w->links == NULL;
}

void pn_worker_link(struct pn_worker *w, int fd)
{
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_cut = on_cut};
    char bytes[16];
    struct pn_buf body = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    struct link *l = pn_calloc(1, sizeof *l);
    l->worker = w;
    l->tag = ++w->next_tag;
    l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pn_assert(l->fd >= 0);
    atomic_init(&l->refs, 1);
    (void)pthread_mutex_init(&l->lock, NULL);
    l->next = w->links;
    w->links = l;
    l->channel = pn_channel_new(w->loop, fd, &ops, l, RECORDS_MAX);
    pn_page_tag_put(&body, &(struct pn_page_tag){l->tag});
    (void)pn_channel_send(l->channel, PN_REC_CHECK_PAGE, pn_buf_str(&body), &w->page_fd, 1);
}

void pn_worker_resolver(struct pn_worker *w, int fd)
{
    pn_asker_channel(w->asker, fd);
}

void pn_worker_state(struct pn_worker *w, int fd)
{
    pn_state_asker_channel(w->state, fd);
}

void pn_worker_ticks(struct pn_worker *w, void (*on_first)(void *ctx))
{
    ticks_start(w, on_first);
}

static void say_state_lost(void *arg)
{
    struct pn_worker *w = arg;
    w->options.on_state_lost(w->options.ctx);
}

/* From any thread. */
static void on_state_lost(void *ctx)
{
    struct pn_worker *w = ctx;
    pn_loop_post(w->loop, say_state_lost, w);
}

/* ---- life */

/* Plugins with sockets of their own block where we can't see it. */
static unsigned running_of(const struct pn_worker_options *o)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    /* Twice: some are about to sleep for a moment (PATIENCE_NS in host_dns.c). */
    unsigned running = cpus < 2 ? 4 : 2 * (unsigned)cpus;
    for (unsigned i = 0; i < o->count; i++)
        if (((o->plugins[i].desc->needs | o->plugins[i].needs) & POSTERN_NEED_NETWORK) != 0)
            running = PN_WORKER_THREADS / 2;
    return running;
}

/* As much as a message may have. */
static uint64_t body_max(const struct pn_plan *plan)
{
    enum { UNTOLD = 50 * 1024 * 1024 }; /* as the row's default */
    return plan->policy == NULL ? UNTOLD
                                : (uint64_t)pn_policy_int(plan->policy, "limits.message-size");
}

struct pn_worker *pn_worker_new(struct pn_loop *loop, const struct pn_worker_options *options)
{
    struct pn_worker *w = pn_calloc(1, sizeof *w);
    w->loop = loop;
    w->options = *options;
    w->body_max = body_max(options->plan);
    w->page = pn_page_new(&w->page_fd);
    pn_assert(w->page != NULL);
    for (unsigned i = 0; i < options->count; i++)
        w->by_index[options->plugins[i].index] = &options->plugins[i];
    w->waits =
        (struct host_waits){task_wait_begin, task_wait_end, task_answered, task_remembered, w};
    w->asker = pn_asker_new();
    w->state = pn_state_asker_new();
    if (options->on_state_lost != NULL)
        pn_state_asker_on_lost(w->state, on_state_lost, w);
    w->sched = sched_new(options->threads != 0 ? options->threads : PN_WORKER_THREADS,
                         options->running != 0 ? options->running : running_of(options),
                         options->share != 0 ? options->share : PN_WORKER_SHARE, PN_WORKER_STACK);
    w->watchdog = watchdog_new(w->page, w->asker, w->options.fair);
    return w;
}

void pn_worker_free(struct pn_worker **worker)
{
    struct pn_worker *w = *worker;
    if (w == NULL)
        return;
    *worker = NULL;
    while (w->links != NULL)
        end_link(w->links);
    sched_free(&w->sched);
    ticks_free(w);
    watchdog_free(&w->watchdog);
    pn_asker_free(&w->asker);
    pn_state_asker_free(&w->state);
    pn_loop_forget(w->loop, w);
    const struct pn_page *page = w->page;
    pn_page_unmap(&page);
    (void)close(w->page_fd);
    free(w);
}

bool pn_worker_instances(struct host_plugin *plugins, unsigned count, struct pn_buf *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct host_plugin *p = &plugins[i];
        struct host_setup setup;
        if (p->desc->instance_new == NULL)
            continue;
        host_setup_init(&setup, p, err);
        if (p->desc->instance_new(&setup.setup, &p->instance) != POSTERN_OK) {
            if (err->len == 0)
                (void)pn_buf_addf(
                    err, "plugin %s: instance_new failed, and did not say why (setup_error)",
                    p->desc->name);
            pn_worker_instances_free(plugins, i);
            return false;
        }
    }
    return true;
}

void pn_worker_instances_free(struct host_plugin *plugins, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (plugins[i].desc->instance_free != NULL) {
            plugins[i].desc->instance_free(plugins[i].instance);
            plugins[i].instance = NULL;
        }
}

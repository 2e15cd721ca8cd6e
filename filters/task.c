#include "worker_int.h"

#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "records.h"
#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TASK_POOL_MAX = 16 * 1024 * 1024,
    INLINE_MAX = PN_RECORD_MAX - 256, /* as in handover_send.c */
    PARALLEL_MAX = 4,                 /* threads in one message */
    COPY_MAX = 120 * 1024             /* content up to this is read, beyond it mapped */
};

/* ---- making */

static void run(struct sched_unit *unit, unsigned thread);

struct task *task_new(struct link *l, struct pn_str body, int fd)
{
    struct task *t = pn_calloc(1, sizeof *t);
    t->worker = l->worker;
    t->fd = fd;
    t->pool = pn_pool_new(TASK_POOL_MAX);
    (void)pthread_mutex_init(&t->lock, NULL);
    struct pn_str copy = pn_pool_dup(t->pool, body);
    if (copy.p == NULL || !pn_request_get(copy, t->pool, &t->request)) {
        task_free(t);
        return NULL;
    }
    link_ref(l);
    t->link = l;
    t->unit =
        (struct sched_unit){.run = run, .network = sched_network(&t->request.client), .plugin = -1};
    t->budget_end = pn_clock_mono_ns() + (uint64_t)t->request.budget_ms * PN_NS_PER_MS;
    return t;
}

void task_free(struct task *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        pn_pool_free(&t->calls[i].pool);
        pn_memfile_fini(&t->calls[i].body);
    }
    free(t->calls);
    if (t->has_message)
        host_message_fini(&t->message);
    pn_questions_free(&t->questions);
    pn_unmap(&t->map);
    free(t->copy);
    if (t->fd >= 0)
        (void)close(t->fd);
    pn_pool_free(&t->pool);
    (void)pthread_mutex_destroy(&t->lock);
    if (t->link != NULL)
        link_unref(t->link);
    free(t);
}

/* A copy into memory that is warm costs less than a mapping, whose end interrupts every
 * thread. False: it could not be read. */
static bool read_content(struct task *t)
{
    size_t size = (size_t)t->request.content_size;
    t->copy = pn_alloc(size + 1);
    return pn_read_whole_at(t->fd, t->copy, size, 0, EIO) == 0;
}

/* Content is read or mapped once for all calls. False: it is not there as it should be. */
static bool open_content(struct task *t)
{
    if (t->fd < 0)
        return true;
    bool small = t->request.content_size <= COPY_MAX;
    if (small ? !read_content(t)
              : pn_map_fd(t->fd, true, &t->map) != 0 || t->map.len != t->request.content_size)
        return false;
    struct pn_str content = {t->copy, (size_t)t->request.content_size};
    host_message_init(&t->message, small ? content : t->map, t->fd);
    t->has_message = true;
    return true;
}

static bool repeats(const struct task *t, const struct host_plugin *p, uint8_t stage)
{
    const struct postern_plugin *d = p->desc;
    if (t->visit == NULL)
        return false;
    if (d->session_new != NULL && !visit_has_session(t->visit, p->index))
        return true;
    return d->transaction_new != NULL && stage >= POSTERN_MAIL &&
           !visit_has_transaction(t->visit, p->index, t->request.transaction);
}

/* New steps whole; of earlier ones what a plugin without its objects must see again. */
static void plan_calls(struct task *t)
{
    const struct pn_worker *w = t->worker;
    size_t cap = 0;
    for (uint32_t s = 0; s < t->request.step_count; s++) {
        const struct pn_step *step = &t->request.steps[s];
        for (unsigned i = 0; i < w->options.count; i++) {
            const struct host_plugin *p = &w->options.plugins[i];
            bool old = s < t->request.first_new;
            if ((step->wanted >> p->index & 1) == 0 || p->desc->on[step->stage] == NULL ||
                (old && !repeats(t, p, step->stage)))
                continue;
            t->calls = pn_grow(t->calls, &cap, t->count, sizeof *t->calls);
            t->calls[t->count++] = (struct task_call){
                .step = s, .plugin = (uint8_t)p->index, .repeat = old, .body.fd = -1};
        }
    }
}

static bool begin(struct task *t)
{
    struct pn_rd r = pn_rd_of(t->request.facts);
    pn_facts_init(&t->earlier, t->pool);
    bool ok = open_content(t) &&
              (t->request.facts.len == 0 || (pn_facts_get(&r, &t->earlier) && pn_rd_done(&r)));
    t->questions = pn_questions_new(t->worker->asker);
    for (size_t i = 0; ok && i < t->earlier.dns_count; i++)
        pn_questions_give(t->questions, &t->earlier.dns[i]);
    if (ok)
        plan_calls(t);
    return ok;
}

/* ---- choosing the next call; under the lock */

static bool ready(const struct task *t, uint32_t at)
{
    const struct task_call *c = &t->calls[at];
    uint64_t before = t->worker->by_index[c->plugin]->after | UINT64_C(1) << c->plugin;
    for (uint32_t i = t->low; i < at; i++)
        if (t->calls[i].state != CALL_DONE && (before >> t->calls[i].plugin & 1) != 0)
            return false;
    return true;
}

static struct task_call *find_ready(struct task *t)
{
    while (t->low < t->count && t->calls[t->low].state == CALL_DONE)
        t->low++;
    for (uint32_t i = t->low; i < t->count; i++)
        if (t->calls[i].state == CALL_TODO && ready(t, i))
            return &t->calls[i];
    return NULL;
}

static void skip_rest(struct task *t, const char *why)
{
    for (uint32_t i = t->low; i < t->count; i++)
        if (t->calls[i].state == CALL_TODO) {
            t->calls[i].state = CALL_DONE;
            t->calls[i].status = PN_PLUGIN_SKIPPED;
            t->calls[i].reason = pn_str_of(why);
            t->done++;
        }
}

/* Queues the task once more, so that another thread comes. */
static void ask_for_thread(struct task *t, int plugin)
{
    if (t->pending)
        return;
    t->pending = true;
    t->unit.plugin = plugin;
    sched_submit(t->worker->sched, &t->unit);
}

static struct task_call *next_call(struct task *t)
{
    if (atomic_load(&t->cancelled))
        skip_rest(t, "cancelled");
    else if (pn_clock_mono_ns() >= t->budget_end)
        skip_rest(t, "the message's time was up");
    struct task_call *c = find_ready(t);
    if (c == NULL)
        return NULL;
    if (!sched_plugin_enter(t->worker->sched, c->plugin)) {
        ask_for_thread(t, c->plugin);
        return NULL;
    }
    c->state = CALL_RUNNING;
    return c;
}

/* ---- running one */

struct call_run {
    struct host_call host;
    struct task *task;
    uint32_t index;
};

/* Facts of calls of this request that are surely done: its own earlier ones and those
 * of plugins in its `after`. */
static const struct pn_facts *done_facts(struct host_call *h, size_t n)
{
    const struct call_run *r = (struct call_run *)h;
    const struct task *t = r->task;
    uint64_t may = h->plugin->after | UINT64_C(1) << h->plugin->index;
    for (uint32_t i = 0; i < r->index; i++) {
        const struct task_call *c = &t->calls[i];
        if ((may >> c->plugin & 1) != 0 && !c->repeat && c->pool != NULL && n-- == 0)
            return &c->facts;
    }
    return NULL;
}

void task_wait_begin(void *ctx, struct host_call *h)
{
    struct pn_worker *w = ctx;
    struct task *t = ((struct call_run *)h)->task;
    sched_wait_begin(w->sched);
    if ((t->request.flags & PN_REQUEST_ALONE) != 0 || !sched_spare(w->sched))
        return;
    (void)pthread_mutex_lock(&t->lock);
    if (t->inside < PARALLEL_MAX && find_ready(t) != NULL)
        ask_for_thread(t, -1);
    (void)pthread_mutex_unlock(&t->lock);
}

void task_wait_end(void *ctx, struct host_call *h)
{
    struct pn_worker *w = ctx;
    (void)h;
    sched_wait_end(w->sched);
}

static const char *status_word(int rc)
{
    switch (rc) {
    case POSTERN_LIMIT:
        return "reached a limit";
    case POSTERN_DEADLINE:
        return "its time was up";
    case POSTERN_INVALID:
        return "was refused an argument";
    case POSTERN_AWAY:
        return "lasting state is out of reach";
    default:
        return "said that it failed";
    }
}

/* "its time was up: waits for TXT x.test, 5.0 s" */
static struct pn_str reason_of(struct task_call *c, const struct host_call *h, int rc)
{
    struct pn_buf text;
    pn_buf_init(&text, 300);
    (void)pn_buf_addz(&text, status_word(rc));
    if (rc == POSTERN_DEADLINE && h->waiting.len != 0)
        (void)pn_buf_addf(&text, ": waits for %.*s, %u.%u s", PN_FMT(h->waiting), c->us / 1000000,
                          c->us / 100000 % 10);
    struct pn_str copy = pn_pool_dup(c->pool, pn_buf_str(&text));
    pn_buf_fini(&text);
    return copy;
}

/* It proposed more edits than there is room for, and goes without. */
static void drop_edits(struct task_call *c, const struct host_call *h)
{
    struct pn_str name = pn_str_of(h->plugin->desc->name);
    pn_memfile_fini(&c->body);
    (void)pn_facts_add_symbol(&c->facts, &(struct pn_fact){.name = PN_STR(PN_SYMBOL_DROPPED),
                                                           .plugin = name,
                                                           .detail = name,
                                                           .rcpt = PN_FACT_ALL_RCPTS});
}

static void judge(struct task_call *c, const struct host_call *h, int rc)
{
    if (rc >= 0 && !c->repeat) {
        if (rc == POSTERN_PART)
            c->reason = PN_STR("time was short: it left something out");
        if (h->edits_dropped)
            drop_edits(c, h);
        return;
    }
    pn_facts_init(&c->facts, c->pool); /* what a failed call said does not count */
    pn_memfile_fini(&c->body);
    if (rc >= 0)
        return;
    c->status = rc == POSTERN_DEADLINE ? PN_PLUGIN_TIMEOUT : PN_PLUGIN_FAILED;
    c->reason = reason_of(c, h, rc);
}

static uint64_t earlier_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Makes the call ready and notes it in the page; what is found goes to facts. Returns when
 * it began. */
static uint64_t enter_call(struct call_run *r, struct task *t, struct task_call *c, unsigned thread,
                           struct pn_facts *facts)
{
    struct pn_worker *w = t->worker;
    struct host_call *h = &r->host;
    uint64_t begun = pn_clock_mono_ns();
    uint32_t deadline_ms = w->options.plan->plugins[c->plugin].deadline_ms;
    host_call_init(h, w->by_index[c->plugin], &t->request, c->step);
    r->task = t;
    r->index = (uint32_t)(c - t->calls);
    h->message = t->has_message && h->step->stage >= POSTERN_HEADERS ? &t->message : NULL;
    h->questions = t->questions;
    h->state = w->state;
    h->earlier = &t->earlier;
    h->done_facts = done_facts;
    h->facts = facts;
    h->pool = h->life = facts->pool;
    h->slot = &w->page->slot[thread];
    h->waits = &w->waits;
    h->body_max = w->body_max;
    h->deadline = earlier_of(begun + (uint64_t)deadline_ms * PN_NS_PER_MS, t->budget_end);
    pn_page_enter(h->slot, t->request.id, t->link->tag, c->step, c->plugin, h->step->stage,
                  deadline_ms, begun);
    return begun;
}

static void run_call(struct task *t, struct task_call *c, unsigned thread)
{
    struct call_run r;
    struct host_call *h = &r.host;
    c->pool = pn_pool_new(HOST_POOL_MAX);
    pn_facts_init(&c->facts, c->pool);
    uint64_t begun = enter_call(&r, t, c, thread, &c->facts);
    if (!c->repeat && (t->worker->options.plan->plugins[c->plugin].edits & PN_EDITS_BODY) != 0)
        h->body = &c->body;
    int rc = t->visit == NULL ? POSTERN_OK : visit_enter(t->visit, h);
    if (rc == POSTERN_OK)
        rc = h->plugin->desc->on[h->step->stage](&h->call);
    pn_page_leave(h->slot);
    if (h->asked)
        pn_questions_send(t->questions);
    c->us += (uint32_t)((pn_clock_mono_ns() - begun) / 1000);
    judge(c, h, rc);
}

/* All plugins' questions, in one record before the first call waits for one. What else is
 * said here is dropped; time and a crash are the plugin's, as in a call. */
static void prefetch(struct task *t, unsigned thread)
{
    struct pn_pool *pool = NULL;
    for (uint32_t i = 0; i < t->count; i++) {
        struct task_call *c = &t->calls[i];
        const struct postern_plugin *desc = t->worker->by_index[c->plugin]->desc;
        struct call_run r;
        struct pn_facts facts;
        unsigned stage = t->request.steps[c->step].stage;
        if (c->repeat || desc->prefetch[stage] == NULL)
            continue;
        if (pool == NULL)
            pool = pn_pool_new(HOST_POOL_MAX);
        pn_facts_init(&facts, pool);
        uint64_t begun = enter_call(&r, t, c, thread, &facts);
        r.host.waits = NULL;
        r.host.prefetch = true;
        desc->prefetch[stage](&r.host.call);
        pn_page_leave(r.host.slot);
        c->us = (uint32_t)((pn_clock_mono_ns() - begun) / 1000);
        pn_pool_reset(pool);
    }
    if (pool != NULL)
        pn_questions_send(t->questions);
    pn_pool_free(&pool);
}

/* ---- answering */

/* The last call with a new body: those before it are overruled. NULL: there is none, or the
 * file can't be sealed, and then the body that its facts speak of is missing. */
static struct task_call *with_body(struct task *t)
{
    for (uint32_t i = t->count; i-- > 0;)
        if (t->calls[i].body.fd >= 0)
            return pn_memfile_seal(&t->calls[i].body) == 0 ? &t->calls[i] : NULL;
    return NULL;
}

/* Encodes the facts of all calls behind one another; items get views when it is whole. */
static bool put_items(struct task *t, const struct task_call *body, struct pn_finding *items,
                      uint32_t *count, struct pn_buf *facts)
{
    size_t *ends = pn_calloc(t->count + 1, sizeof *ends);
    *count = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        struct task_call *c = &t->calls[i];
        /* A repeated call speaks only if it failed: its objects are not what they were. */
        if (c->silent ||
            (c->repeat && c->status != PN_PLUGIN_FAILED && c->status != PN_PLUGIN_TIMEOUT))
            continue;
        bool any = c->pool != NULL && c->facts.symbol_count + c->facts.auth_count +
                                              c->facts.note_count + c->facts.edit_count +
                                              c->facts.dns_count + c->facts.state_count !=
                                          0;
        if (any)
            pn_facts_put(facts, &c->facts);
        items[*count] = (struct pn_finding){.step = c->step,
                                            .plugin = c->plugin,
                                            .status = c->status,
                                            .us = c->us,
                                            .body = c == body,
                                            .reason = c->reason};
        ends[++*count] = facts->len;
    }
    for (uint32_t i = 0; i < *count; i++)
        items[i].facts = pn_str_slice(pn_buf_str(facts), ends[i], ends[i + 1]);
    free(ends);
    return !facts->overflow;
}

static void send_body(struct link *l, struct pn_str body, int new_body)
{
    int fd = -1, fds[2] = {-1, -1};
    unsigned count = 0;
    if (body.len > INLINE_MAX) {
        fd = pn_memfile_of("findings", body);
        if (fd < 0) {
            pn_error("no memory file for findings: %s", strerror(errno));
            return;
        }
        body = PN_STR("");
    }
    if (fd >= 0)
        fds[count++] = fd;
    if (new_body >= 0)
        fds[count++] = new_body;
    /* A runner reads at once or is gone, so this does not wait for long. */
    (void)pn_channel_send_fd(l->fd, PN_REC_CHECK_DONE, body, fds, count);
    if (fd >= 0)
        (void)close(fd);
}

/* To the runner at once where it asked for that: the call may end this process. One of dns
 * and state is NULL. */
static void tell(struct host_call *h, const struct pn_dns_seen *dns,
                 const struct pn_state_seen *state)
{
    struct task *t = ((struct call_run *)h)->task;
    struct pn_finding item = {.step = h->step_number, .plugin = (uint8_t)h->plugin->index};
    struct pn_findings f = {t->request.id, PN_FINDINGS_TOLD, 1, &item};
    struct pn_facts facts;
    struct pn_buf bytes, body;
    if ((t->request.flags & PN_REQUEST_TELL) == 0)
        return;
    struct pn_pool *pool = pn_pool_new(TASK_POOL_MAX);
    pn_buf_init(&bytes, PN_REQUEST_BYTES_MAX);
    pn_buf_init(&body, PN_REQUEST_BYTES_MAX);
    pn_facts_init(&facts, pool);
    if (dns != NULL ? pn_facts_add_dns(&facts, dns) : pn_facts_add_state(&facts, state)) {
        pn_facts_put(&bytes, &facts);
        item.facts = pn_buf_str(&bytes);
        if (pn_findings_put(&body, &f))
            send_body(t->link, pn_buf_str(&body), -1);
    }
    pn_buf_fini(&bytes);
    pn_buf_fini(&body);
    pn_pool_free(&pool);
}

void task_answered(void *ctx, struct host_call *h, const struct pn_dns_seen *seen)
{
    (void)ctx;
    tell(h, seen, NULL);
}

void task_remembered(void *ctx, struct host_call *h, const struct pn_state_seen *seen)
{
    (void)ctx;
    tell(h, NULL, seen);
}

static void unlink_task(struct task *t)
{
    struct link *l = t->link;
    (void)pthread_mutex_lock(&l->lock);
    struct task **at = &l->tasks;
    while (*at != t)
        at = &(*at)->next_live;
    *at = t->next_live;
    (void)pthread_mutex_unlock(&l->lock);
}

static void answer(struct task *t, bool bad)
{
    struct pn_buf body, facts;
    struct pn_findings f = {.id = t->request.id};
    const struct task_call *with = bad ? NULL : with_body(t);
    f.items = pn_calloc(t->count + 1, sizeof *f.items);
    pn_buf_init(&body, PN_REQUEST_BYTES_MAX);
    pn_buf_init(&facts, PN_REQUEST_BYTES_MAX);
    if (bad || !put_items(t, with, f.items, &f.count, &facts)) {
        f.flags |= PN_FINDINGS_BAD;
        f.count = 0;
    }
    if (t->visit != NULL && visit_keeps(t->visit))
        f.flags |= PN_FINDINGS_KEPT;
    if (!pn_findings_put(&body, &f)) {
        pn_buf_clear(&body);
        f.flags |= PN_FINDINGS_BAD;
        f.count = 0;
        (void)pn_findings_put(&body, &f);
    }
    unlink_task(t);
    send_body(t->link, pn_buf_str(&body), f.count == 0 || with == NULL ? -1 : with->body.fd);
    free(f.items);
    pn_buf_fini(&facts);
    pn_buf_fini(&body);
}

/* A plugin that failed is called no more for this message. */
static void silence(struct task *t, const struct task_call *failed)
{
    for (uint32_t i = (uint32_t)(failed - t->calls) + 1; i < t->count; i++) {
        struct task_call *c = &t->calls[i];
        if (c->plugin != failed->plugin || c->state != CALL_TODO)
            continue;
        c->state = CALL_DONE;
        c->silent = true;
        t->done++;
    }
}

/* Runs what can be run. True: this thread saw the last call done, and answers. */
static bool work(struct task *t, unsigned thread)
{
    for (struct task_call *c; (c = next_call(t)) != NULL;) {
        (void)pthread_mutex_unlock(&t->lock);
        run_call(t, c, thread);
        sched_plugin_leave(t->worker->sched, c->plugin);
        (void)pthread_mutex_lock(&t->lock);
        c->state = CALL_DONE;
        t->done++;
        if (c->status != PN_PLUGIN_OK)
            silence(t, c);
    }
    bool last = t->done == t->count && !t->answered;
    t->answered = t->answered || last;
    return last;
}

static void run(struct sched_unit *unit, unsigned thread)
{
    struct task *t = (struct task *)unit; /* its first member */
    bool bad = false;
    (void)pthread_mutex_lock(&t->lock);
    t->pending = false;
    t->inside++;
    if (!t->started) { /* the only thread in it yet */
        t->started = true;
        bad = !begin(t);
        if (!bad) { /* and it stays the only one: nobody was asked for yet */
            (void)pthread_mutex_unlock(&t->lock);
            prefetch(t, thread);
            (void)pthread_mutex_lock(&t->lock);
        }
    }
    if (work(t, thread)) {
        (void)pthread_mutex_unlock(&t->lock);
        answer(t, bad);
        (void)pthread_mutex_lock(&t->lock);
    }
    t->inside--;
    bool over = t->answered && t->inside == 0 && !t->pending;
    (void)pthread_mutex_unlock(&t->lock);
    if (!over)
        return;
    if (t->visit != NULL)
        visit_leave(t);
    else
        task_free(t);
}

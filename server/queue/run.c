/* Which recipients are due, to which route each goes, and what became of it. */
#include "attempt.h"

#include "assert.h"
#include "clock.h"
#include "frozen.h"
#include "last_reply.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SOON_MS = 1000,         /* when no try could be made: a peer is away or full */
    CLOCK_MS = 5000,        /* between looks at the wall clock */
    WAIT_MIN_MS = 60000,    /* other waits than those of the settings are no longer */
    KEEP_LOADED_MS = 60000, /* a message due later lets go of envelope and content */
    LOAD_TRIES = 5,         /* from a disk with errors */
    FROZEN_MS = 3600000,    /* between looks at one of a frozen domain; a thaw does not wait */
    UNTRIED_MS = 600000,    /* so long a message that is too old waits for a peer of ours */
    REPLY_MAX = 500
};

/* ---- the heap: messages with nothing under way, by when they are due ---- */

static void heap_put(struct queue *q, size_t at, struct message *m)
{
    q->heap[at] = m;
    m->heap_at = (uint32_t)at + 1;
}

static void heap_up(struct queue *q, size_t at)
{
    struct message *m = q->heap[at];
    while (at > 0 && q->heap[(at - 1) / 2]->due_ms > m->due_ms) {
        heap_put(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(q, at, m);
}

static void heap_down(struct queue *q, size_t at)
{
    struct message *m = q->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= q->heap_count)
            break;
        if (child + 1 < q->heap_count && q->heap[child + 1]->due_ms < q->heap[child]->due_ms)
            child++;
        if (q->heap[child]->due_ms >= m->due_ms)
            break;
        heap_put(q, at, q->heap[child]);
        at = child;
    }
    heap_put(q, at, m);
}

void run_remove(struct message *m)
{
    struct queue *q = m->queue;
    if (m->heap_at == 0)
        return;
    size_t at = m->heap_at - 1;
    m->heap_at = 0;
    struct message *last = q->heap[--q->heap_count];
    if (last == m)
        return;
    heap_put(q, at, last);
    heap_up(q, at);
    heap_down(q, last->heap_at - 1);
}

static void arm(struct queue *q)
{
    if (q->heap_count == 0 || q->draining || q->active >= q->active_max)
        return;
    int64_t wait = q->heap[0]->due_ms - pn_clock_wall_ms();
    pn_timer_set(q->timer, wait < 0 ? 0 : (uint64_t)wait);
}

static int64_t longest_wait(const struct queue *q)
{
    uint64_t ms = dests_longest_retry_ms(q->dests);
    return ms > WAIT_MIN_MS ? (int64_t)ms : WAIT_MIN_MS;
}

void run_later(struct message *m)
{
    struct queue *q = m->queue;
    pn_assert(m->under_way == 0 && !m->loading && m->heap_at == 0);
    int64_t due = INT64_MAX, now = pn_clock_wall_ms(), longest = longest_wait(q);
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        int64_t most = r->frozen && longest < FROZEN_MS ? FROZEN_MS : longest;
        if (r->due_ms > now + most) /* it was said while the clock was ahead */
            r->due_ms = now;
        if ((r->state == RCPT_WAITING || rcpt_is_told(r)) && r->due_ms < due)
            due = r->due_ms;
    }
    m->due_ms = due;
    if (due > now + KEEP_LOADED_MS || q->fds_held > q->fds_max)
        message_unload(m);
    q->heap = pn_grow(q->heap, &q->heap_cap, q->heap_count, sizeof(struct message *));
    heap_put(q, q->heap_count++, m);
    heap_up(q, q->heap_count - 1);
    arm(q);
}

static void on_due(void *ctx)
{
    struct queue *q = ctx;
    int64_t now = pn_clock_wall_ms();
    while (q->heap_count > 0 && q->heap[0]->due_ms <= now && q->active < q->active_max &&
           !q->draining) {
        struct message *m = q->heap[0];
        run_remove(m);
        run_message(m);
    }
    arm(q);
}

/* A clock that was set back would leave what waits waiting until it has caught up. */
static void look_at_clock(void *ctx)
{
    struct queue *q = ctx;
    int64_t now = pn_clock_wall_ms();
    if (now < q->clock_ms) {
        struct message **all = q->heap;
        size_t count = q->heap_count;
        q->heap = NULL;
        q->heap_count = q->heap_cap = 0;
        for (size_t i = 0; i < count; i++) {
            all[i]->heap_at = 0;
            run_later(all[i]);
        }
        free(all);
    }
    q->clock_ms = now;
    pn_timer_set(q->clock_timer, CLOCK_MS);
}

void run_init(struct queue *q)
{
    q->began_ns = pn_clock_mono_ns();
    q->timer = pn_timer_new(q->loop, on_due, q);
    again_init(q);
    q->clock_timer = pn_timer_new(q->loop, look_at_clock, q);
    look_at_clock(q);
}

/* ---- a message's turn ---- */

/* Who ordered something hears of it once that is on disk. */
static void note(struct message *m)
{
    struct message_wait *ordered = m->work == NULL ? NULL : m->work->ordered;
    if (ordered == NULL) {
        message_note(m);
        return;
    }
    m->work->ordered = NULL;
    message_note_for(m, ordered);
}

/* Its tries are all settled: the next waits its time. */
static void rest(struct message *m)
{
    struct queue *q = m->queue;
    again_forget(m);
    if (bounce(m))
        return; /* and comes back */
    q->active--;
    note(m);
    if (m->open > 0)
        run_later(m);
    arm(q);
}

static void route(struct message *m, uint32_t index)
{
    if (m->work->env.recipients[index].via == PN_VIA_LOCAL)
        local_try(m, index);
    else
        hop_try(m, index);
}

void run_unpin(struct message *m)
{
    pn_assert(m->under_way > 0);
    if (--m->under_way == 0)
        rest(m);
}

static void set_reply(struct replies *replies, struct rcpt *r, uint16_t code, struct pn_str text)
{
    struct pn_buf b;
    pn_buf_init(&b, REPLY_MAX);
    if (code != 0)
        (void)pn_buf_addf(&b, "%u ", code);
    (void)pn_buf_adds(&b, pn_str_slice(text, 0, REPLY_MAX - 10));
    const char *old = r->reply;
    r->reply = reply_keep(replies, pn_buf_str(&b));
    reply_drop(replies, old);
    pn_buf_fini(&b);
}

/* What the operator wants of it goes the way of a refusal, or of what policy keeps back. */
static void obey(struct replies *replies, struct rcpt *r)
{
    if (r->order == ORDER_HOLD) {
        r->state = RCPT_KEPT_BACK;
    } else if (r->order == ORDER_BOUNCE) {
        set_reply(replies, r, 554, PN_STR("5.3.0 Given up by the operator of this server"));
        r->state = RCPT_FAILING;
    }
}

/* Its mail was taken, by whom rcpt.heard says. */
static void succeed(struct message *m, uint32_t index)
{
    struct rcpt *r = &m->rcpts[index];
    r->state = report_success(m, index);
    r->noted = false;
    r->due_ms = 0;
    m->open -= !rcpt_is_told(r);
}

/* No try is made: policy keeps it back, or all there is to it is its report. */
static bool goes_nowhere(struct message *m, uint32_t index)
{
    struct rcpt *r = &m->rcpts[index];
    uint8_t hand = m->work->env.recipients[index].hand;
    if (hand == PN_HAND_QUARANTINE || hand == PN_HAND_HOLD) {
        r->state = RCPT_KEPT_BACK;
    } else if (hand == PN_HAND_EXPANDED) {
        set_reply(m->queue->replies, r, 250, PN_STR("2.0.0 Passed on to several others"));
        succeed(m, index);
    } else {
        return false;
    }
    return true;
}

static void dispatch(struct message *m)
{
    int64_t now = pn_clock_wall_ms();
    m->under_way++; /* so that it does not come to rest within */
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        if (r->state != RCPT_WAITING || r->due_ms > now)
            continue;
        if (m->work->ordered != NULL) {
            obey(m->queue->replies, r);
            continue;
        }
        if (goes_nowhere(m, i))
            continue;
        r->frozen = frozen_holds(m->queue->frozen, m->work->env.recipients[i].address);
        if (r->frozen) {
            r->due_ms = now + FROZEN_MS;
            continue;
        }
        r->state = RCPT_UNDER_WAY;
        r->heard = 0;
        m->under_way++;
        route(m, i);
    }
    bounce_keep_back(m);
    hop_flush(m->queue);
    run_unpin(m);
}

void run_again(struct message *m)
{
    if (m->under_way > 0 && m->work->ordered == NULL)
        dispatch(m);
}

/* Reads back what was let go of: on the pool. */
struct load {
    struct pn_job job; /* first */
    struct message *m;
    struct pn_buf meta;
    int content_fd;
    int error;
};

static void load_run(struct pn_job *job)
{
    struct load *load = (struct load *)job;
    struct message *m = load->m;
    if (!spool_meta(m->queue->spool, &m->ref, &load->meta))
        load->error = errno;
    else if ((load->content_fd = spool_content(m->queue->spool, &m->ref)) < 0)
        load->error = errno;
}

/* No fault of the message's. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

bool run_unreadable(struct message *m, int error)
{
    bool wrong = error == EBADMSG || error == ENOENT || error == EMSGSIZE;
    m->load_fails += m->load_fails < UINT8_MAX && !is_shortage(error);
    if (!wrong && m->load_fails < LOAD_TRIES)
        return false;
    message_damage(m, error == EBADMSG ? "its bytes are not those that were written"
                                       : strerror(error));
    return true;
}

/* By no destination's schedule: it is not theirs that failed. */
static int64_t load_wait_ms(const struct queue *q, unsigned fails)
{
    return (int64_t)dest_retry_ms(dests_find(q->dests, PN_STR(""), false), fails);
}

static void load_failed(struct message *m, int error)
{
    struct queue *q = m->queue;
    char id[PN_QUEUE_ID_TEXT_MAX];
    if (run_unreadable(m, error)) {
        q->active--;
        note(m);
        arm(q);
        return;
    }
    pn_warn("message %s can't be read back now: %s; it is tried again later",
            pn_queue_id_text(m->id, id), strerror(error));
    int64_t later = pn_clock_wall_ms() + load_wait_ms(q, m->load_fails);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (m->rcpts[i].state == RCPT_WAITING)
            m->rcpts[i].due_ms = later;
    rest(m);
}

static void load_done(struct pn_job *job)
{
    struct load *load = (struct load *)job;
    struct message *m = load->m;
    m->loading = false;
    message_unload(m);
    bool ok = load->error == 0 && message_set_meta(m, pn_buf_str(&load->meta));
    if (ok) {
        m->load_fails = 0;
        message_hold(m, load->content_fd);
        dispatch(m);
    } else {
        if (load->content_fd >= 0)
            (void)close(load->content_fd);
        load_failed(m, load->error == 0 ? EBADMSG : load->error);
    }
    pn_buf_fini(&load->meta);
    free(load);
}

static void start_load(struct message *m)
{
    struct load *load = pn_calloc(1, sizeof *load);
    *load = (struct load){.job = {.run = load_run, .done = load_done}, .m = m, .content_fd = -1};
    pn_buf_init(&load->meta, m->ref.meta_len);
    m->loading = true;
    pn_threads_submit(m->queue->threads, &load->job);
}

void run_message(struct message *m)
{
    struct queue *q = m->queue;
    if (q->active >= q->active_max || q->draining) {
        run_later(m);
        return;
    }
    q->active++;
    if (!message_loaded(m) || m->work->content_fd < 0)
        start_load(m);
    else
        dispatch(m);
}

/* ---- outcomes ---- */

/* Mail that no try was made for expires too, or it would wait for ever for a worker that
 * never comes. But a server that was away for days may yet have a worker on its way. */
static bool is_expired(const struct message *m, const struct dest *dest, bool tried)
{
    const struct queue *q = m->queue;
    uint64_t up_ms = (pn_clock_mono_ns() - q->began_ns) / PN_NS_PER_MS;
    uint64_t expire_ms = dest->is.expire_ms;
    uint64_t patience = expire_ms < UNTRIED_MS ? expire_ms : UNTRIED_MS;
    return pn_clock_wall_ms() - m->work->env.arrived_ms > (int64_t)expire_ms &&
           (tried || up_ms > patience);
}

/* counts: a try was made. */
static void defer(struct message *m, uint32_t index, bool counts)
{
    struct rcpt *r = &m->rcpts[index];
    const struct dest *dest = hop_dest(m->queue, &m->work->env.recipients[index]);
    uint64_t wait = SOON_MS;
    if (counts) {
        r->tries += r->tries < UINT16_MAX;
        wait = dest_retry_ms(dest, r->tries);
    }
    r->expired = is_expired(m, dest, counts);
    if (r->expired) {
        r->state = RCPT_FAILING;
        return;
    }
    r->state = RCPT_WAITING;
    r->due_ms = pn_clock_wall_ms() + (int64_t)wait;
    r->noted &= !counts; /* a try that was none is not worth a record */
}

/* One try less is under way. Who waits again need not wait for the others. */
static void settled_one(struct message *m, const struct rcpt *r)
{
    if (--m->under_way == 0)
        rest(m);
    else if (r->state == RCPT_WAITING)
        again_at(m, r->due_ms);
    else if (m->open > 0) /* else its end comes with the last pin */
        message_note(m);
}

int64_t run_expires_ms(const struct message *m, uint32_t index)
{
    const struct dest *dest = hop_dest(m->queue, &m->work->env.recipients[index]);
    return m->work->env.arrived_ms + (int64_t)dest->is.expire_ms;
}

void run_settled(struct message *m, uint32_t index, uint16_t code, struct pn_str text)
{
    run_settled_by(m, index, code, text, NULL);
}

void run_settled_by(struct message *m, uint32_t index, uint16_t code, struct pn_str text,
                    struct attempt *by)
{
    struct rcpt *r = &m->rcpts[index];
    pn_assert(r->state == RCPT_UNDER_WAY && m->under_way > 0);
    attempt_settles(m, index, by);
    set_reply(m->queue->replies, r, code, text);
    if (code >= 200 && code < 300) {
        succeed(m, index);
        event_delivered(m, index);
    } else if (code >= 500) {
        r->state = RCPT_FAILING;
    } else {
        defer(m, index, code != 0);
        if (code != 0 && r->state == RCPT_WAITING)
            event_delivery(m, index);
    }
    settled_one(m, r);
}

void run_postponed(struct message *m, uint32_t index, uint64_t ms, struct pn_str why)
{
    struct rcpt *r = &m->rcpts[index];
    pn_assert(r->state == RCPT_UNDER_WAY && m->under_way > 0);
    set_reply(m->queue->replies, r, 0, why);
    r->state = RCPT_WAITING; /* however old: its turn will come, and that try may be the last */
    r->due_ms = pn_clock_wall_ms() + (int64_t)ms;
    settled_one(m, r);
}

void run_cut(struct message *m, uint16_t code, struct pn_str text)
{
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        set_reply(m->queue->replies, r, code, text);
        if (code / 100 == 2)
            r->state = RCPT_DELIVERED;
        else if (code / 100 == 5)
            r->state = RCPT_FAILED;
        else
            defer(m, i, true);
        if (code / 100 == 2)
            event_delivered(m, i);
        else
            event_delivery(m, i);
    }
}

/*
 * What is given up, and what is kept back: recipients in RCPT_FAILING are reported to the
 * sender (report.c), or held where a report would be backscatter; those that policy quarantined
 * or held go to their file. All of it is durable before the recipient counts as done.
 */
#include "queue_int.h"

#include "clock.h"
#include "held.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { AGAIN_MS = 60 * 1000, REASON_MAX = 600 };

/* Where these recipients go on: durable, or tried again in a minute. */
void bounce_conclude(struct message *m, const uint32_t *indices, uint32_t count, int error,
                     uint8_t state)
{
    for (uint32_t i = 0; i < count; i++) {
        struct rcpt *r = &m->rcpts[indices[i]];
        r->noted = false;
        if (error == 0) {
            r->state = state;
            m->open--;
            event_delivery(m, indices[i]);
        } else {
            r->state = RCPT_WAITING;
            r->due_ms = pn_clock_wall_ms() + AGAIN_MS;
        }
    }
}

/* ---- held ---- */

struct hold {
    struct pn_job job; /* first */
    struct message *m;
    uint8_t kind;
    uint32_t count;
    uint32_t *indices; /* owned */
    struct pn_buf reason;
    int error;
};

/* On the pool. The message is pinned: its envelope and content stay. */
static void hold_run(struct pn_job *job)
{
    struct hold *h = (struct hold *)job;
    const struct held held = {.id = h->m->id,
                              .kind = h->kind,
                              .since_ms = pn_clock_wall_ms(),
                              .reason = pn_buf_str(&h->reason),
                              .envelope = message_envelope(h->m),
                              .indices = h->indices,
                              .count = h->count,
                              .size = h->m->work->env.size};
    h->error = held_put(h->m->queue->held, &held, h->m->work->content_fd);
}

static void hold_done(struct pn_job *job)
{
    struct hold *h = (struct hold *)job;
    struct message *m = h->m;
    char id[PN_QUEUE_ID_TEXT_MAX];
    if (h->error != 0)
        pn_error("message %s could not be held: %s", pn_queue_id_text(m->id, id),
                 strerror(h->error));
    bounce_conclude(m, h->indices, h->count, h->error, RCPT_HELD);
    pn_buf_fini(&h->reason);
    free(h->indices);
    free(h);
    run_unpin(m);
}

/* Takes indices. */
static void hold(struct message *m, uint8_t kind, uint32_t *indices, uint32_t count,
                 struct pn_str reason)
{
    struct hold *h = pn_calloc(1, sizeof *h);
    *h = (struct hold){.job = {.run = hold_run, .done = hold_done},
                       .m = m,
                       .kind = kind,
                       .count = count,
                       .indices = indices};
    pn_buf_init(&h->reason, REASON_MAX);
    (void)pn_buf_adds(&h->reason, pn_str_slice(reason, 0, REASON_MAX));
    m->under_way++;
    pn_threads_submit(m->queue->threads, &h->job);
}

static uint32_t *pick(const struct message *m, bool (*is)(const struct message *m, uint32_t index),
                      uint32_t *count)
{
    uint32_t *indices = pn_calloc(m->rcpt_count, sizeof *indices);
    *count = 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (is(m, i))
            indices[(*count)++] = i;
    if (*count == 0) {
        free(indices);
        indices = NULL;
    }
    return indices;
}

static bool to_quarantine(const struct message *m, uint32_t i)
{
    return m->rcpts[i].state == RCPT_KEPT_BACK && m->rcpts[i].order != ORDER_HOLD &&
           m->work->env.recipients[i].hand == PN_HAND_QUARANTINE;
}

static bool to_hold(const struct message *m, uint32_t i)
{
    return m->rcpts[i].state == RCPT_KEPT_BACK && m->rcpts[i].order != ORDER_HOLD &&
           m->work->env.recipients[i].hand == PN_HAND_HOLD;
}

static bool to_hold_by_order(const struct message *m, uint32_t i)
{
    return m->rcpts[i].state == RCPT_KEPT_BACK && m->rcpts[i].order == ORDER_HOLD;
}

void bounce_keep_back(struct message *m)
{
    static bool (*const tests[HELD_KIND_COUNT])(const struct message *, uint32_t) = {
        [HELD_QUARANTINE] = to_quarantine, [HELD_HELD] = to_hold};
    for (uint8_t kind = 0; kind < HELD_KIND_COUNT; kind++) {
        uint32_t count, *indices = pick(m, tests[kind], &count);
        if (indices != NULL)
            hold(m, kind, indices, count, m->work->env.recipients[indices[0]].reason);
    }
    uint32_t count, *indices = pick(m, to_hold_by_order, &count);
    if (indices != NULL)
        hold(m, HELD_HELD, indices, count, PN_STR("held by an operator"));
}

/* ---- age ---- */

enum { AGE_CHECK_MS = 3600 * 1000 };

struct expiry {
    struct pn_job job; /* first */
    struct queue *q;
    int64_t before_s;
    size_t removed;
};

static void expire_run(struct pn_job *job)
{
    struct expiry *e = (struct expiry *)job;
    e->removed = held_expire(e->q->held, e->before_s);
}

static void expire_done(struct pn_job *job)
{
    struct expiry *e = (struct expiry *)job;
    if (e->removed > 0)
        pn_info("%zu held messages were removed for their age", e->removed);
    free(e);
}

void bounce_expire_held(void *arg)
{
    struct queue *q = arg;
    struct expiry *e = pn_calloc(1, sizeof *e);
    int64_t age = (int64_t)q->settings.hold_age_ms;
    *e = (struct expiry){.job = {.run = expire_run, .done = expire_done}, .q = q};
    e->before_s = age == 0 ? INT64_MIN : (pn_clock_wall_ms() - age) / 1000;
    pn_threads_submit(q->threads, &e->job);
    pn_timer_set(q->age_timer, AGE_CHECK_MS);
}

/* ---- failures ---- */

static bool is_failing(const struct message *m, uint32_t i)
{
    return m->rcpts[i].state == RCPT_FAILING;
}

/* The client asked for no report (RFC 3461, section 5.2.6 (b)), or this is one. */
static bool is_silent(const struct message *m, uint32_t i)
{
    return is_failing(m, i) && ((m->work->env.flags & PN_ENV_DSN) != 0 || report_is_silent(m, i));
}

/* No report of it can be made. */
static void hold_failing(struct message *m)
{
    uint32_t count, *indices = pick(m, is_failing, &count);
    bool null = m->work->env.reverse_path.len == 0;
    struct pn_buf reason;
    pn_buf_init(&reason, REASON_MAX);
    (void)pn_buf_addf(&reason, "%s: ",
                      null            ? "refused, and the sender is null"
                      : report_may(m) ? "refused, and no report can go to its sender"
                                      : "refused, and a report would be backscatter");
    struct pn_str reply = pn_str_of(m->rcpts[indices[0]].reply);
    (void)pn_buf_adds(&reason, pn_str_slice(reply, 0, 500));
    hold(m, HELD_HELD, indices, count, pn_buf_str(&reason));
    pn_buf_fini(&reason);
}

bool bounce(struct message *m)
{
    uint32_t count, *indices = pick(m, is_silent, &count);
    if (indices != NULL) {
        bounce_conclude(m, indices, count, 0, RCPT_FAILED);
        free(indices);
    }
    m->under_way++; /* what ends at once does not come to rest within */
    if (report_make(m, REPORT_FAILED) == REPORT_NOWHERE)
        hold_failing(m);
    (void)report_make(m, REPORT_SUCCESS);
    (void)report_make(m, REPORT_DELAYED);
    return --m->under_way > 0;
}

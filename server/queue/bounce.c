/*
 * What is given up, and what is kept back: recipients in RCPT_FAILING are reported to the
 * sender, or held where a report would be backscatter; those that policy quarantined
 * or held go to their file. All of it is durable before the recipient counts as done.
 *
 * A report is made only where the reverse-path is known to be the sender's own: SPF
 * passed, or a user of ours submitted it. Nothing is ever sent to the null sender.
 */
#include "queue_int.h"

#include "clock.h"
#include "dsn.h"
#include "held.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { AGAIN_MS = 60 * 1000, REASON_MAX = 600 };

/* A report's own words with the header that it quotes, and what a recipient adds: its address
 * and reply twice, where it was sent, and how the sender wrote it; three bytes for each that
 * is not ASCII. No report may be too
 * large to be made: it would be tried for ever. */
enum { REPORT_BYTES = 256 * 1024, REPORT_RECIPIENT_BYTES = 15 * PN_ENVELOPE_TEXT_MAX };

/* Where these recipients go on: durable, or tried again in a minute. */
static void conclude(struct message *m, const uint32_t *indices, uint32_t count, int error,
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
    conclude(m, h->indices, h->count, h->error, RCPT_HELD);
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

/* ---- reports ---- */

struct report {
    struct message *m;
    uint32_t count;
    uint32_t *indices; /* owned */
};

static void report_kept(void *ctx, int error)
{
    struct report *r = ctx;
    struct message *m = r->m;
    conclude(m, r->indices, r->count, error, RCPT_FAILED);
    free(r->indices);
    free(r);
    run_unpin(m);
}

static bool write_report(struct message *m, const struct report *r, uint64_t id, struct pn_buf *out)
{
    char text[PN_QUEUE_ID_TEXT_MAX], about[PN_QUEUE_ID_TEXT_MAX];
    struct pn_str content;
    if (!message_content(m, &content))
        return false;
    struct dsn_recipient *to = pn_calloc(r->count, sizeof *to);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct pn_recipient *from = &m->work->env.recipients[r->indices[i]];
        const struct rcpt *state = &m->rcpts[r->indices[i]];
        to[i] = (struct dsn_recipient){.address = from->address,
                                       .orcpt = from->orcpt,
                                       .reply = pn_str_of(state->reply),
                                       .expired = state->expired};
        if (from->via != PN_VIA_LOCAL)
            to[i].server = from->next_hop;
    }
    const struct dsn dsn = {.hostname = pn_str_of(m->queue->settings.hostname),
                            .id = pn_str_of(pn_queue_id_text(id, text)),
                            .about = pn_str_of(pn_queue_id_text(m->id, about)),
                            .to = m->work->env.reverse_path,
                            .envid = m->work->env.envid,
                            .arrived_ms = m->work->env.arrived_ms,
                            .now_ms = pn_clock_wall_ms(),
                            .recipients = to,
                            .count = r->count,
                            .content = content};
    bool ok = dsn_write(out, &dsn);
    free(to);
    return ok;
}

/* Keeps the report as a message of ours, to its sender. Takes r's ownership. */
static void send_report(struct message *m, struct report *r, struct pn_recipient *to)
{
    struct queue *q = m->queue;
    struct pn_buf text;
    struct pn_edit_group none = {0};
    struct pn_envelope env = {.id = pn_queue_id_make(&q->ids),
                              .arrived_ms = pn_clock_wall_ms(),
                              .flags = PN_ENV_DSN | (m->work->env.flags & PN_ENV_SMTPUTF8),
                              .generation = m->work->env.generation,
                              .group_count = 1,
                              .groups = &none,
                              .recipient_count = 1,
                              .recipients = to};
    pn_buf_init(&text, REPORT_BYTES + (size_t)r->count * REPORT_RECIPIENT_BYTES);
    int fd = -1;
    m->under_way++;
    if (write_report(m, r, env.id, &text)) {
        env.size = text.len;
        fd = pn_memfile_of("report", pn_buf_str(&text));
    }
    if (fd >= 0)
        take_own(q, &env, fd, report_kept, r);
    else
        report_kept(r, EIO); /* the content can't be read now */
    pn_buf_fini(&text);
}

static bool is_failing(const struct message *m, uint32_t i)
{
    return m->rcpts[i].state == RCPT_FAILING;
}

/* The client asked for no report (RFC 3461, section 4.1). */
static bool is_silent(const struct message *m, uint32_t i)
{
    uint8_t notify = m->work->env.recipients[i].notify;
    return is_failing(m, i) && notify != 0 && (notify & PN_NOTIFY_FAILURE) == 0;
}

bool bounce(struct message *m)
{
    uint32_t count, *indices;
    bool own = (m->work->env.flags & PN_ENV_DSN) != 0, null = m->work->env.reverse_path.len == 0;
    bool may = !null && (m->work->env.flags & (PN_ENV_SPF_PASS | PN_ENV_SUBMITTED)) != 0;
    indices = pick(m, own ? is_failing : is_silent, &count);
    if (indices != NULL) { /* a report that can't be delivered is not reported */
        conclude(m, indices, count, 0, RCPT_FAILED);
        free(indices);
    }
    indices = pick(m, is_failing, &count);
    if (indices == NULL)
        return false;
    struct pn_pool *pool = pn_pool_new(64 * 1024);
    struct pn_recipient to;
    bool routed = may && route_address(m->queue, m->work->env.reverse_path, pool, &to);
    if (routed) {
        struct report *r = pn_calloc(1, sizeof *r);
        *r = (struct report){m, count, indices};
        send_report(m, r, &to);
    }
    pn_pool_free(&pool);
    if (routed)
        return true;
    struct pn_buf reason;
    pn_buf_init(&reason, REASON_MAX);
    (void)pn_buf_addf(&reason, "%s: ",
                      null  ? "refused, and the sender is null"
                      : may ? "refused, and no report can go to its sender"
                            : "refused, and a report would be backscatter");
    struct pn_str reply = pn_str_of(m->rcpts[indices[0]].reply);
    (void)pn_buf_adds(&reason, pn_str_slice(reply, 0, 500));
    hold(m, HELD_HELD, indices, count, pn_buf_str(&reason));
    pn_buf_fini(&reason);
    return true;
}

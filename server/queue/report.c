/*
 * Reports to senders (RFC 3461, section 5.2): recipients in RCPT_FAILING are reported if their
 * sender did not ask for silence, or held where that can't be; those who have it are reported
 * where that was asked for, and those who wait for long.
 *
 * A report is made only where the reverse-path is known to be the sender's own: SPF passed,
 * or a user of ours submitted it; else it would be backscatter, of successes too, and no next
 * hop is asked for those either. Nothing is ever sent to the null sender, and no report is
 * reported.
 *
 * A report is durable before its recipients count as reported. What a crash forgets is said
 * twice: a delivery whose report is due is noted as such (RCPT_REPORTING), so it is not done
 * again.
 */
#include "queue_int.h"

#include "attempt.h"
#include "clock.h"
#include "dsn.h"
#include "dsn_param.h"
#include "mem.h"
#include "memfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

_Static_assert((int)PN_NOTIFY_NEVER == (int)PN_SMTP_NOTIFY_NEVER &&
                   (int)PN_NOTIFY_SUCCESS == (int)PN_SMTP_NOTIFY_SUCCESS &&
                   (int)PN_NOTIFY_FAILURE == (int)PN_SMTP_NOTIFY_FAILURE &&
                   (int)PN_NOTIFY_DELAY == (int)PN_SMTP_NOTIFY_DELAY,
               "an envelope's flags are the engine's");

/* A report's own words with the header that it quotes, and what a recipient adds: its address
 * and reply twice, where it was sent, and how the sender wrote it; three bytes for each that
 * is not ASCII, as in what is returned. No report may be too large to be made: it would be
 * tried for ever. */
enum {
    REPORT_BYTES = 256 * 1024,
    REPORT_RECIPIENT_BYTES = 21 * PN_ENVELOPE_TEXT_MAX,
    QUOTED_TIMES = 4,
    AGAIN_MS = 60 * 1000,
    BOUNDARY_BYTES = 33
};

struct report {
    struct message *m;
    enum report_kind kind;
    uint32_t count;
    uint32_t *indices; /* owned */
};

/* ---- who is to be told of what ---- */

static bool asks_for(const struct message *m, uint32_t i, uint8_t what)
{
    return (m->work->env.recipients[i].notify & what) != 0;
}

static bool asks_nothing(const struct message *m, uint32_t i)
{
    return m->work->env.recipients[i].notify == 0;
}

bool report_may(const struct message *m)
{
    const struct pn_envelope *env = &m->work->env;
    return env->reverse_path.len != 0 && (env->flags & PN_ENV_DSN) == 0 &&
           (env->flags & (PN_ENV_SPF_PASS | PN_ENV_SUBMITTED)) != 0;
}

bool report_is_silent(const struct message *m, uint32_t i)
{
    return !asks_nothing(m, i) && !asks_for(m, i, PN_NOTIFY_FAILURE);
}

uint8_t report_onward(const struct message *m, uint32_t i)
{
    uint8_t asked = m->work->env.recipients[i].notify;
    uint8_t left = asked & (uint8_t) ~(PN_NOTIFY_SUCCESS | PN_NOTIFY_DELAY);
    if (asked == 0 || report_may(m))
        return asked;
    return left == 0 ? PN_NOTIFY_NEVER : left;
}

uint8_t report_success(const struct message *m, uint32_t i)
{
    uint8_t heard = m->rcpts[i].heard;
    if (!asks_for(m, i, PN_NOTIFY_SUCCESS) || (heard & HEARD_DSN) || !report_may(m))
        return RCPT_DELIVERED; /* or the next hop reports it */
    return (heard & HEARD_RELAYED) != 0 ? RCPT_RELAYING : RCPT_REPORTING;
}

static bool is_due(const struct message *m, uint32_t i, enum report_kind kind)
{
    const struct rcpt *r = &m->rcpts[i];
    const struct queue *q = m->queue;
    int64_t now = pn_clock_wall_ms();
    switch (kind) {
    case REPORT_FAILED:
        return r->state == RCPT_FAILING;
    case REPORT_SUCCESS:
        return rcpt_is_told(r) && r->due_ms <= now;
    default:
        return r->state == RCPT_WAITING && !r->warned && r->tries > 0 && q->settings.warn_ms > 0 &&
               now - m->work->env.arrived_ms >= (int64_t)q->settings.warn_ms &&
               (asks_nothing(m, i) || asks_for(m, i, PN_NOTIFY_DELAY)) && report_may(m);
    }
}

static uint32_t *pick(const struct message *m, enum report_kind kind, uint32_t *count)
{
    uint32_t *indices = NULL;
    *count = 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        if (!is_due(m, i, kind))
            continue;
        if (indices == NULL)
            indices = pn_calloc(m->rcpt_count, sizeof *indices);
        indices[(*count)++] = i;
    }
    return indices;
}

/* ---- what became of the report ---- */

/* Those who have their mail are done, and tried again in a minute if that could not be told. */
static void conclude_success(struct message *m, const struct report *r, int error)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct rcpt *to = &m->rcpts[r->indices[i]];
        to->noted = false;
        to->due_ms = error == 0 ? 0 : pn_clock_wall_ms() + AGAIN_MS;
        if (error != 0)
            continue;
        to->state = RCPT_DELIVERED;
        m->open--;
    }
}

/* A warning that could not be kept is not tried again before a restart. */
static void conclude_warned(struct message *m, const struct report *r, int error)
{
    for (uint32_t i = 0; i < r->count && error == 0; i++)
        m->rcpts[r->indices[i]].noted = false;
}

static void end_report(struct report *r, int error)
{
    if (r->kind == REPORT_FAILED)
        bounce_conclude(r->m, r->indices, r->count, error, RCPT_FAILED);
    else if (r->kind == REPORT_SUCCESS)
        conclude_success(r->m, r, error);
    else
        conclude_warned(r->m, r, error);
    free(r->indices);
    free(r);
}

static void report_kept(void *ctx, int error)
{
    struct message *m = ((struct report *)ctx)->m;
    end_report(ctx, error);
    run_unpin(m);
}

/* ---- the report ---- */

static uint8_t action_of(const struct report *r, uint32_t index)
{
    if (r->kind != REPORT_SUCCESS)
        return r->kind == REPORT_FAILED ? DSN_FAILED : DSN_DELAYED;
    if (r->m->work->env.recipients[index].hand == PN_HAND_EXPANDED)
        return DSN_EXPANDED;
    return r->m->rcpts[index].state == RCPT_RELAYING ? DSN_RELAYED : DSN_DELIVERED;
}

static void fill_recipient(const struct report *r, uint32_t index, struct dsn_recipient *out,
                           char ip[PN_IP_TEXT_MAX])
{
    const struct message *m = r->m;
    const struct pn_recipient *to = &m->work->env.recipients[index];
    const struct rcpt *state = &m->rcpts[index];
    *out = (struct dsn_recipient){.action = action_of(r, index),
                                  .expired = state->expired,
                                  .address = to->given.len != 0 ? to->given : to->address,
                                  .orcpt = to->orcpt,
                                  .reply = pn_str_of(state->reply)};
    /* A field with the server's name says that the words are that one's. */
    if ((state->heard & HEARD_WORDS) != 0)
        out->server = attempt_server(m, index, ip);
    else if (out->action == DSN_RELAYED) /* before a restart */
        out->server = to->next_hop;
    if (r->kind == REPORT_DELAYED)
        out->until_ms = run_expires_ms(m, index);
}

/* Nobody can have written it into the message that is returned. */
static struct pn_str make_boundary(char text[BOUNDARY_BYTES])
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        random[0] = random[1] = (uint64_t)pn_clock_mono_ns();
    int n = snprintf(text, BOUNDARY_BYTES, "%016llx%016llx", (unsigned long long)random[0],
                     (unsigned long long)random[1]);
    return (struct pn_str){text, (size_t)n};
}

static bool write_report(const struct report *r, struct dsn *dsn, struct pn_buf *out)
{
    const struct message *m = r->m;
    const struct pn_envelope *env = &m->work->env;
    char about[PN_QUEUE_ID_TEXT_MAX], boundary[BOUNDARY_BYTES];
    struct dsn_recipient *to = pn_calloc(r->count, sizeof *to);
    char(*ips)[PN_IP_TEXT_MAX] = pn_calloc(r->count, sizeof *ips);
    for (uint32_t i = 0; i < r->count; i++)
        fill_recipient(r, r->indices[i], &to[i], ips[i]);
    dsn->hostname = pn_str_of(m->queue->settings.hostname);
    dsn->boundary = make_boundary(boundary);
    dsn->about = pn_str_of(pn_queue_id_text(m->id, about));
    dsn->to = env->reverse_path;
    dsn->envid = env->envid;
    dsn->helo = env->helo;
    dsn->client = env->client;
    dsn->arrived_ms = env->arrived_ms;
    dsn->now_ms = pn_clock_wall_ms();
    dsn->recipients = to;
    dsn->count = r->count;
    dsn->smtputf8 = (env->flags & PN_ENV_SMTPUTF8) != 0;
    bool ok = dsn_write(out, dsn);
    free(to);
    free(ips);
    return ok;
}

/* RET=FULL, up to the size that the operator allows: of what is larger the header goes. */
static bool returns_all(const struct message *m)
{
    return m->work->env.ret == 'F' && m->work->env.size <= m->queue->settings.return_max;
}

/* A mailbox here takes any byte, and so does what takes addresses beyond ASCII (RFC 6531,
 * section 3.1, item 8); of others it is not known. */
static bool takes_eight(const struct pn_envelope *report)
{
    bool local = true;
    for (uint32_t i = 0; i < report->recipient_count; i++)
        local = local && report->recipients[i].via == PN_VIA_LOCAL;
    return local || (report->flags & PN_ENV_SMTPUTF8) != 0;
}

/* Its text; the memory file, or -1: the content can't be read now. */
static int make_report(const struct report *r, struct pn_envelope *env)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    struct message *m = r->m;
    struct pn_buf text;
    struct dsn dsn = {.id = pn_str_of(pn_queue_id_text(env->id, id)),
                      .full = returns_all(m),
                      .eight = takes_eight(env)};
    int fd = -1;
    size_t quoted = dsn.full ? QUOTED_TIMES * (size_t)m->work->env.size : 0;
    pn_buf_init(&text, REPORT_BYTES + (size_t)r->count * REPORT_RECIPIENT_BYTES + quoted);
    if (message_content(m, &dsn.content) && write_report(r, &dsn, &text)) {
        env->size = text.len;
        env->flags |= pn_str_is_ascii(pn_buf_str(&text)) ? 0 : PN_ENV_8BITMIME;
        fd = pn_memfile_of("report", pn_buf_str(&text));
    }
    pn_buf_fini(&text);
    return fd;
}

/* Keeps the report as a message of ours, to the sender. Takes r, pins its message. */
static void send_report(struct report *r, struct pn_recipient *to, uint32_t to_count)
{
    struct message *m = r->m;
    struct queue *q = m->queue;
    struct pn_edit_group none = {0};
    bool wide = !pn_str_is_ascii(m->work->env.reverse_path);
    struct pn_envelope env = {.id = pn_queue_id_make(&q->ids),
                              .arrived_ms = pn_clock_wall_ms(),
                              .flags = PN_ENV_DSN | (wide ? PN_ENV_SMTPUTF8 : 0),
                              .generation = m->work->env.generation,
                              .group_count = 1,
                              .groups = &none,
                              .recipient_count = to_count,
                              .recipients = to};
    m->under_way++;
    int fd = make_report(r, &env);
    if (fd < 0) {
        report_kept(r, EIO);
        return;
    }
    event_report(m, r->kind, env.id, r->count);
    take_own(q, &env, fd, report_kept, r);
}

enum report_end report_make(struct message *m, enum report_kind kind)
{
    struct pn_recipient *to;
    uint32_t count, routed = 0, *indices = pick(m, kind, &count);
    if (indices == NULL)
        return REPORT_NONE;
    struct report *r = pn_calloc(1, sizeof *r);
    *r = (struct report){m, kind, count, indices};
    for (uint32_t i = 0; i < count && kind == REPORT_DELAYED; i++)
        m->rcpts[indices[i]].warned = true;
    struct pn_pool *pool = pn_pool_new(QUEUE_POOL_MAX);
    if (report_may(m))
        routed = route_report(m->queue, m->work->env.reverse_path, pool, &to);
    if (routed != 0) {
        if (kind == REPORT_SUCCESS)
            message_note(m); /* goes with the report: what is delivered stays so */
        send_report(r, to, routed);
    } else if (kind == REPORT_SUCCESS) {
        end_report(r, 0); /* nobody can be told */
    } else {
        free(r->indices);
        free(r);
    }
    pn_pool_free(&pool);
    return routed != 0 ? REPORT_BEGUN : REPORT_NOWHERE;
}

/* What became of mail in the queue: event lines, and counters. */
#include "attempt.h"

#include "clock.h"
#include "json.h"

enum { EVENT_MAX = 16 * 1024, EVENT_SCHEMA = 1 };

enum metric {
    M_MESSAGES,
    M_TAKEN,
    M_DELIVERED,
    M_DEFERRED,
    M_FAILED,
    M_HELD,
    M_DAMAGED,
    M_CONNECTIONS,
    M_SEGMENTS,
    M_BATCHES,
    M_EVENTS_LOST,
    M_REPORTS_FAILED, /* and the others, as enum report_kind has them */
    M_REPORTS_SUCCESS,
    M_REPORTS_DELAYED,
    M_CUT, /* by enum cut_event, in its order */
    METRICS = M_CUT + CUT_EVENT_LOST + 1
};

#define CUT(name)                                                                                  \
    {                                                                                              \
        "postern_cut_through_total", "outcome=\"" name "\"",                                       \
            "Messages sent on while their client waited; doubled: also counted as kept, the next " \
            "hop may have it as well.",                                                            \
            PN_COUNTER, 0                                                                          \
    }

static struct pn_metric metrics[METRICS] = {
    [M_CUT + CUT_EVENT_DELIVERED] = CUT("delivered"),
    [M_CUT + CUT_EVENT_REFUSED] = CUT("refused"),
    [M_CUT + CUT_EVENT_KEPT] = CUT("kept"),
    [M_CUT + CUT_EVENT_DOUBLED] = CUT("doubled"),
    [M_CUT + CUT_EVENT_LOST] = CUT("not-sent"),
    [M_MESSAGES] = {"postern_queue_messages", NULL, "Messages in the queue.", PN_GAUGE, 0},
    [M_TAKEN] = {"postern_queue_taken_total", NULL, "Messages taken.", PN_COUNTER, 0},
    [M_DELIVERED] = {"postern_queue_recipients_total", "outcome=\"delivered\"",
                     "Recipients by outcome of a try.", PN_COUNTER, 0},
    [M_DEFERRED] = {"postern_queue_recipients_total", "outcome=\"deferred\"",
                    "Recipients by outcome of a try.", PN_COUNTER, 0},
    [M_FAILED] = {"postern_queue_recipients_total", "outcome=\"failed\"",
                  "Recipients by outcome of a try.", PN_COUNTER, 0},
    [M_HELD] = {"postern_queue_recipients_total", "outcome=\"held\"",
                "Recipients by outcome of a try.", PN_COUNTER, 0},
    [M_DAMAGED] = {"postern_queue_damaged", NULL, "Messages in the queue that can't be read back.",
                   PN_GAUGE, 0},
    [M_CONNECTIONS] = {"postern_queue_connections", NULL, "Connections to next hops.", PN_GAUGE, 0},
    [M_SEGMENTS] = {"postern_spool_segments", NULL, "Segments of the journal.", PN_GAUGE, 0},
    [M_BATCHES] = {"postern_spool_batches_total", NULL, "Batches written, one sync each.",
                   PN_COUNTER, 0},
    [M_EVENTS_LOST] = {"postern_queue_events_lost_total", NULL, "Event lines that found no room.",
                       PN_COUNTER, 0},
    [M_REPORTS_FAILED] = {"postern_queue_reports_total", "kind=\"failed\"", "Reports to senders.",
                          PN_COUNTER, 0},
    [M_REPORTS_SUCCESS] = {"postern_queue_reports_total", "kind=\"delivered\"",
                           "Reports to senders.", PN_COUNTER, 0},
    [M_REPORTS_DELAYED] = {"postern_queue_reports_total", "kind=\"delayed\"", "Reports to senders.",
                           PN_COUNTER, 0},
};

static void fill(void *ctx)
{
    struct queue *q = ctx;
    struct spool_stats stats = {0};
    if (q->spool != NULL) /* admin is told from the start, the spool opens later */
        stats = spool_stats(q->spool);
    metrics[M_MESSAGES].value = (int64_t)q->message_count;
    metrics[M_DAMAGED].value = (int64_t)q->damaged;
    metrics[M_CONNECTIONS].value = q->conn_count;
    metrics[M_SEGMENTS].value = (int64_t)stats.segments;
    metrics[M_BATCHES].value = (int64_t)stats.batches;
}

void event_init(struct queue *q)
{
    q->admin = pn_admin_link_new(q->loop, metrics, METRICS, fill, q);
    pn_admin_link_commands(q->admin, queue_command);
}

void event_taken(void)
{
    metrics[M_TAKEN].value++;
}

static const char *outcome_of(uint8_t state)
{
    switch (state) {
    case RCPT_DELIVERED:
    case RCPT_REPORTING:
    case RCPT_RELAYING:
        metrics[M_DELIVERED].value++;
        return "delivered";
    case RCPT_FAILED:
        metrics[M_FAILED].value++;
        return "failed";
    case RCPT_HELD:
        metrics[M_HELD].value++;
        return "held";
    case RCPT_DROPPED:
        return "dropped";
    default:
        metrics[M_DEFERRED].value++;
        return "deferred";
    }
}

/* What each line begins with; b is its own. */
static struct pn_json line_begin(struct pn_buf *b, struct pn_str event, int64_t now_ms)
{
    struct pn_buf ts;
    pn_buf_init(b, EVENT_MAX);
    pn_buf_init(&ts, 64);
    pn_clock_rfc3339(&ts, now_ms);
    struct pn_json j = pn_json_to(b);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", event);
    pn_json_i64(&j, "schema", EVENT_SCHEMA);
    pn_buf_fini(&ts);
    return j;
}

static void line_end(struct queue *q, struct pn_buf *b, struct pn_json *j)
{
    pn_json_object_end(j);
    if (b->overflow || !pn_admin_link_event(q->admin, pn_buf_str(b)))
        metrics[M_EVENTS_LOST].value++;
    pn_buf_fini(b);
}

static void event_about(struct message *m, const char *what, struct pn_str reason)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    struct pn_buf b;
    struct pn_json j = line_begin(&b, pn_str_of(what), pn_clock_wall_ms());
    pn_json_str(&j, "id", pn_str_of(pn_queue_id_text(m->id, id)));
    pn_json_str(&j, "reason", reason);
    line_end(m->queue, &b, &j);
}

void event_connection(struct queue *q, const char *next_hop, const struct attempt *a,
                      const char *reply)
{
    struct pn_buf b;
    struct pn_json j = line_begin(&b, PN_STR("connection"), pn_clock_wall_ms());
    pn_json_str(&j, "next_hop", pn_str_of(next_hop));
    attempt_print(a, &j);
    pn_json_str(&j, "reply", pn_str_of(reply));
    line_end(q, &b, &j);
}

void event_damaged(struct message *m)
{
    event_about(m, "message_damaged", pn_str_of(message_damaged(m)));
}

void event_doubled(struct message *m, struct pn_str reason)
{
    event_cut(CUT_EVENT_DOUBLED);
    event_about(m, "message_maybe_doubled", reason);
}

void event_cut(enum cut_event what)
{
    metrics[M_CUT + what].value++;
}

void event_report(struct message *m, enum report_kind kind, uint64_t id, uint32_t count)
{
    static const char *const kinds[REPORT_KIND_COUNT] = {
        [REPORT_FAILED] = "failed", [REPORT_SUCCESS] = "delivered", [REPORT_DELAYED] = "delayed"};
    char text[PN_QUEUE_ID_TEXT_MAX], about[PN_QUEUE_ID_TEXT_MAX];
    struct pn_buf b;
    metrics[M_REPORTS_FAILED + (int)kind].value++;
    struct pn_json j = line_begin(&b, PN_STR("report"), pn_clock_wall_ms());
    pn_json_str(&j, "id", pn_str_of(pn_queue_id_text(id, text)));
    pn_json_str(&j, "about", pn_str_of(pn_queue_id_text(m->id, about)));
    pn_json_str(&j, "kind", pn_str_of(kinds[kind]));
    pn_json_str(&j, "to", m->work->env.reverse_path);
    pn_json_i64(&j, "recipients", count);
    line_end(m->queue, &b, &j);
}

void event_delivered(struct message *m, uint32_t index)
{
    if (m->queue->settings.event_each)
        event_delivery(m, index);
    else
        metrics[M_DELIVERED].value++;
}

void event_delivery(struct message *m, uint32_t index)
{
    static const char *const ways[PN_VIA_COUNT] = {[PN_VIA_LOCAL] = "local",
                                                   [PN_VIA_SMTP] = "smtp",
                                                   [PN_VIA_LMTP] = "lmtp",
                                                   [PN_VIA_MX] = "mx"};
    const struct pn_recipient *to = &m->work->env.recipients[index];
    const struct rcpt *r = &m->rcpts[index];
    char id[PN_QUEUE_ID_TEXT_MAX];
    struct pn_buf b;
    int64_t now = pn_clock_wall_ms();
    struct pn_json j = line_begin(&b, PN_STR("delivery"), now);
    pn_json_str(&j, "id", pn_str_of(pn_queue_id_text(m->id, id)));
    pn_json_str(&j, "from", m->work->env.reverse_path);
    pn_json_str(&j, "to", to->address);
    if (to->by.len != 0)
        pn_json_str(&j, "by", to->by);
    if (to->from.len != 0)
        pn_json_str(&j, "mail_from", to->from);
    pn_json_str(&j, "outcome", pn_str_of(outcome_of(r->state)));
    pn_json_str(&j, "route", pn_str_of(ways[to->via]));
    pn_json_str(&j, "next_hop", to->via == PN_VIA_LOCAL ? to->user : to->next_hop);
    attempt_json(m, index, &j);
    pn_json_str(&j, "reply", pn_str_of(r->reply));
    if (m->work->taking != NULL)
        pn_json_bool(&j, "cut_through", true);
    pn_json_i64(&j, "tries", r->tries);
    pn_json_i64(&j, "size", (int64_t)m->work->env.size);
    pn_json_i64(&j, "ms", now - m->work->env.arrived_ms);
    line_end(m->queue, &b, &j);
}

/* What the edge counts for a monitor. */
#include "edge.h"

#include "mem.h"
#include "metrics.h"

enum {
    M_SESSIONS,
    M_SESSIONS_TOTAL,
    M_EVENTS_LOST,
    M_REQUESTS,
    M_REPLAYS,
    M_WORKERS_LOST,
    M_UNANSWERED,
    M_LATE,
    M_OUTCOMES,
    METRICS = M_OUTCOMES + PN_REJECT + 1
};

#define OUTCOME(name)                                                                              \
    {                                                                                              \
        "postern_messages_total", "outcome=\"" name "\"", "Messages by what became of them.",      \
            PN_COUNTER, 0                                                                          \
    }

static const struct pn_metric metric_rows[METRICS] = {
    [M_SESSIONS] = {"postern_sessions", NULL, "SMTP sessions now.", PN_GAUGE, 0},
    [M_SESSIONS_TOTAL] = {"postern_sessions_total", NULL, "SMTP sessions.", PN_COUNTER, 0},
    [M_EVENTS_LOST] = {"postern_events_lost_total", NULL, "Event lines that found no writer.",
                       PN_COUNTER, 0},
    [M_REQUESTS] = {"postern_filter_requests_total", NULL, "Requests to filter workers.",
                    PN_COUNTER, 0},
    [M_REPLAYS] = {"postern_filter_replays_total", NULL,
                   "Requests sent again because a worker died or hung.", PN_COUNTER, 0},
    [M_WORKERS_LOST] =
        {"postern_filter_workers_lost_total", NULL,
         "Filter workers that died or stood still with requests of this edge or none.", PN_COUNTER,
         0},
    [M_UNANSWERED] = {"postern_handover_timeouts_total", NULL,
                      "What mailbox or queue did not answer in time.", PN_COUNTER, 0},
    [M_LATE] = {"postern_handover_late_total", NULL,
                "What they did all the same, later: mail that may be there twice.", PN_COUNTER, 0},
    [M_OUTCOMES + PN_ACCEPT] = OUTCOME("accept"),
    [M_OUTCOMES + PN_JUNK] = OUTCOME("junk"),
    [M_OUTCOMES + PN_QUARANTINE] = OUTCOME("quarantine"),
    [M_OUTCOMES + PN_DISCARD] = OUTCOME("discard"),
    [M_OUTCOMES + PN_DEFER] = OUTCOME("defer"),
    [M_OUTCOMES + PN_REJECT] = OUTCOME("reject"),
};

void edge_count(struct edge *edge, enum pn_outcome outcome)
{
    edge->metrics[M_OUTCOMES + outcome].value++;
}

void edge_metrics_fill(void *ctx)
{
    struct edge *edge = ctx;
    struct pn_runner_stats stats;
    pn_runner_stats(edge->runner, &stats);
    edge->metrics[M_SESSIONS].value = (int64_t)edge->session_count;
    edge->metrics[M_SESSIONS_TOTAL].value = (int64_t)edge->sessions_total;
    edge->metrics[M_EVENTS_LOST].value = (int64_t)edge->events_lost;
    edge->metrics[M_UNANSWERED].value = (int64_t)edge->unanswered;
    edge->metrics[M_LATE].value = (int64_t)edge->answered_late;
    edge->metrics[M_REQUESTS].value = (int64_t)stats.requests;
    edge->metrics[M_REPLAYS].value = (int64_t)stats.replays;
    edge->metrics[M_WORKERS_LOST].value = (int64_t)stats.worker_deaths;
}

struct pn_metric *edge_metrics_new(size_t *count)
{
    struct pn_metric *metrics = pn_alloc(sizeof metric_rows);
    memcpy(metrics, metric_rows, sizeof metric_rows);
    *count = METRICS;
    return metrics;
}

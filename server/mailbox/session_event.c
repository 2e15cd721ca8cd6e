/* What is told of sessions: event lines, and counters. */
#include "clock.h"
#include "json.h"
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum { EVENT_MAX = 64 * 1024 };

static struct pn_json begin(struct pn_buf *out, const char *event, const struct visit *v)
{
    char ip[PN_IP_TEXT_MAX];
    struct pn_buf ts;
    pn_buf_init(out, EVENT_MAX);
    struct pn_json j = pn_json_to(out);
    pn_buf_init(&ts, 64);
    pn_clock_rfc3339(&ts, pn_clock_wall_ms());
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", pn_str_of(event));
    pn_json_i64(&j, "schema", 1);
    pn_json_str(&j, "session", pn_str_of(v->name));
    pn_json_str(&j, "service", pn_str_of(pn_sasl_service_name((enum pn_sasl_service)v->service)));
    pn_json_str(&j, "user", pn_str_of(v->reader->name));
    pn_json_str(&j, "ip", pn_str_of(pn_ip_text(&v->ip, ip)));
    pn_buf_fini(&ts);
    return j;
}

/* An event that can't be sent is counted by the link. */
void visit_event(struct visit *v)
{
    struct pn_buf line;
    struct pn_json j = begin(&line, "session", v);
    uint64_t ms = (pn_clock_mono_ns() - v->began_ns) / PN_NS_PER_MS;
    if (v->tls)
        pn_json_str(&j, "cipher", pn_str_of(v->cipher));
    pn_json_i64(&j, "ms", (int64_t)ms);
    pn_json_i64(&j, "bytes_in", (int64_t)v->bytes_in);
    pn_json_i64(&j, "bytes_out", (int64_t)v->bytes_out);
    if (v->engine != NULL)
        pn_json_i64(&j, "commands", (int64_t)v->engine->commands);
    pn_json_str(&j, "end", pn_str_of(v->end == NULL ? "closed" : v->end));
    pn_json_object_end(&j);
    (void)pn_admin_link_event(v->mailbox->admin, pn_buf_str(&line));
    pn_buf_fini(&line);
}

/* ---- from threads ---- */

static struct said_line *take_lines(struct mailbox *mb)
{
    (void)pthread_mutex_lock(&mb->lines_lock);
    struct said_line *lines = mb->lines;
    mb->lines = NULL;
    (void)pthread_mutex_unlock(&mb->lines_lock);
    return lines;
}

static void on_lines(void *arg)
{
    struct mailbox *mb = arg;
    struct said_line *next, *in_order = NULL;
    for (struct said_line *l = take_lines(mb); l != NULL; l = next) { /* the newest comes first */
        next = l->next;
        l->next = in_order;
        in_order = l;
    }
    for (struct said_line *l = in_order; l != NULL; l = next) {
        next = l->next;
        (void)pn_admin_link_event(mb->admin, pn_buf_str(&l->line));
        pn_buf_fini(&l->line);
        free(l);
    }
}

void visit_moved(void *ctx, struct pn_str from, struct pn_str to, bool into_junk, uint64_t messages,
                 struct pn_str message_ids)
{
    struct visit *v = ctx;
    struct mailbox *mb = v->mailbox;
    struct said_line *l = pn_calloc(1, sizeof *l);
    struct pn_json j = begin(&l->line, "moved", v);
    pn_json_str(&j, "from", from);
    pn_json_str(&j, "to", to);
    pn_json_bool(&j, "junk", into_junk);
    pn_json_i64(&j, "messages", (int64_t)messages);
    if (message_ids.len != 0) { /* an array, made by the engine */
        (void)pn_buf_addz(&l->line, ",\"message_ids\":");
        (void)pn_buf_adds(&l->line, message_ids);
    }
    pn_json_object_end(&j);
    (void)pthread_mutex_lock(&mb->lines_lock);
    bool first = mb->lines == NULL;
    l->next = mb->lines;
    mb->lines = l;
    (void)pthread_mutex_unlock(&mb->lines_lock);
    if (first)
        pn_loop_post(mb->loop, on_lines, mb);
}

/* ---- counters ---- */

#define OPEN         "postern_sessions"
#define OPEN_HELP    "Sessions of users who read their mail."
#define TAKEN        "postern_sessions_total"
#define TAKEN_HELP   "Such sessions that began."
#define REFUSED      "postern_sessions_refused_total"
#define REFUSED_HELP "Such sessions that were not taken, by reason."

static const struct pn_metric rows[MB_METRICS] = {
    [MB_IMAP] = {OPEN, "service=\"imap\"", OPEN_HELP, PN_GAUGE},
    [MB_POP3] = {OPEN, "service=\"pop3\"", OPEN_HELP, PN_GAUGE},
    [MB_TAKEN_IMAP] = {TAKEN, "service=\"imap\"", TAKEN_HELP, PN_COUNTER},
    [MB_TAKEN_POP3] = {TAKEN, "service=\"pop3\"", TAKEN_HELP, PN_COUNTER},
    [MB_NO_PASS] = {REFUSED, "reason=\"no-pass\"", REFUSED_HELP, PN_COUNTER},
    [MB_TOO_MANY] = {REFUSED, "reason=\"too-many\"", REFUSED_HELP, PN_COUNTER},
    [MB_RUNNING] = {"postern_session_commands", NULL,
                    "Commands of such sessions at work, or waiting for a thread.", PN_GAUGE},
    [MB_DELIVERING] = {"postern_deliveries_open", NULL, "Deliveries at work.", PN_GAUGE},
};

static void fill(void *ctx)
{
    struct mailbox *mb = ctx;
    mb->metrics[MB_RUNNING].value = (int64_t)crew_busy(mb->crew);
    mb->metrics[MB_DELIVERING].value = (int64_t)pn_threads_busy(mb->threads);
}

void visit_event_begin(struct mailbox *mb)
{
    memcpy(mb->metrics, rows, sizeof rows);
    (void)pthread_mutex_init(&mb->lines_lock, NULL);
    mb->admin = pn_admin_link_new(mb->loop, mb->metrics, MB_METRICS, fill, mb);
}

void visit_event_end(struct mailbox *mb)
{
    if (mb->admin == NULL)
        return;
    pn_loop_forget(mb->loop, mb);
    on_lines(mb);
    pn_admin_link_free(&mb->admin);
    (void)pthread_mutex_destroy(&mb->lines_lock);
}

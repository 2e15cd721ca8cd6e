/* Event lines: what happened to a message or a session, and why. */
#include "edge.h"

#include "clock.h"
#include "early.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>

enum { EVENT_MAX = 4 * 1024 * 1024, EVENT_SCHEMA = 1 };

const char *session_name(const struct session *s, char text[32])
{
    (void)snprintf(text, 32, "%u-%" PRIu64, s->edge->number, s->number);
    return text;
}

uint32_t session_early(const struct session *s)
{
    uint32_t early = s->early_talker ? POSTERN_EARLY_GREETING : 0;
    const struct pn_smtp_server_info *info = s->smtp == NULL ? NULL : pn_smtp_server_info(s->smtp);
    if (info != NULL && info->early_helo)
        early |= POSTERN_EARLY_HELO;
    if (info != NULL && info->early)
        early |= POSTERN_EARLY_COMMAND;
    return early;
}

struct pn_check_tls session_tls(const struct session *s)
{
    const struct pn_tls_info *tls = s->stream == NULL ? NULL : pn_stream_tls(s->stream);
    return tls == NULL
               ? (struct pn_check_tls){PN_STR(""), PN_STR(""), 0}
               : (struct pn_check_tls){pn_str_of(tls->protocol), pn_str_of(tls->cipher), tls->bits};
}

static void begin(struct pn_json *j, const char *kind)
{
    struct pn_buf ts;
    pn_buf_init(&ts, 64);
    pn_clock_rfc3339(&ts, pn_clock_wall_ms());
    pn_json_object(j, NULL);
    pn_json_str(j, "ts", pn_buf_str(&ts));
    pn_json_str(j, "event", pn_str_of(kind));
    pn_json_i64(j, "schema", EVENT_SCHEMA);
    pn_buf_fini(&ts);
}

static void client_json(struct pn_json *j, const struct session *s)
{
    char text[32], ip[PN_IP_TEXT_MAX];
    const struct pn_tls_info *tls = s->stream == NULL ? NULL : pn_stream_tls(s->stream);
    pn_json_str(j, "session", pn_str_of(session_name(s, text)));
    pn_json_object(j, "client");
    pn_json_str(j, "ip", pn_str_of(pn_ip_text(&s->ip, ip)));
    pn_json_i64(j, "port", s->port);
    if (s->kind == PN_LISTEN_LMTP)
        pn_json_str(j, "protocol", PN_STR("lmtp")); /* else it is SMTP */
    if (session_reads(s))
        pn_json_str(j, "protocol",
                    s->kind == PN_LISTEN_IMAP || s->kind == PN_LISTEN_IMAPS ? PN_STR("imap")
                                                                            : PN_STR("pop3"));
    pn_json_str(j, "helo", pn_str_of(s->helo == NULL ? "" : s->helo));
    struct pn_str ptr = client_name(s);
    if (ptr.len != 0)
        pn_json_str(j, "ptr", ptr);
    else
        pn_json_null(j, "ptr");
    if (tls != NULL)
        pn_json_str(j, "tls", pn_str_of(tls->protocol));
    else
        pn_json_null(j, "tls");
    if (s->early_talker)
        pn_json_bool(j, "early_talker", true);
    pn_early_json(j, session_early(s));
    if (s->unknown_count != 0)
        pn_json_i64(j, "unknown_commands", s->unknown_count);
    if (s->user != NULL)
        pn_json_str(j, "user", session_user(s));
    if (tls != NULL) {
        pn_json_str(j, "tls_cipher", pn_str_of(tls->cipher));
        pn_json_i64(j, "tls_bits", tls->bits);
    }
    if (s->local_port != 0) {
        pn_json_str(j, "local_ip", pn_str_of(pn_ip_text(&s->local, ip)));
        pn_json_i64(j, "local_port", s->local_port);
    }
    pn_json_object_end(j);
}

static void send_event(struct edge *edge, struct pn_json *j)
{
    pn_json_object_end(j);
    if (j->out->overflow || !pn_admin_link_event(edge->admin, pn_buf_str(j->out)))
        edge->events_lost++;
}

/* told: plugins count them too; their number says as which. */
static void refused_json(struct pn_json *j, const struct txn_rcpt *rcpts, size_t count, bool told)
{
    for (size_t i = 0; i < count; i++) {
        if (!rcpts[i].refused)
            continue;
        pn_json_object(j, NULL);
        pn_json_str(j, "address", rcpts[i].address);
        pn_json_str(j, "reply", rcpts[i].refusal);
        if (told)
            pn_json_i64(j, "index", (int64_t)i);
        pn_json_object_end(j);
    }
}

/* What the client said: who has the message, or would have; apart from them, who was refused at
 * RCPT and how: by policy, then those that we take no mail for. */
static void envelope_json(struct pn_json *j, const struct transaction *t)
{
    pn_json_object(j, "envelope");
    pn_json_str(j, "from", t->from);
    if (t->rewritten.p != NULL && t->rewritten.len != 0)
        pn_json_str(j, "forwarded_from", t->rewritten);
    if (t->mail_args.len != 0)
        pn_json_str(j, "mail_args", t->mail_args);
    pn_json_array(j, "to");
    for (size_t i = 0; i < t->rcpt_count; i++)
        if (!t->rcpts[i].refused && !t->rcpts[i].added)
            pn_json_str(j, NULL, t->rcpts[i].address);
    pn_json_array_end(j);
    if (t->refused_count + t->away_count != 0) {
        pn_json_array(j, "refused");
        refused_json(j, t->rcpts, t->rcpt_count, true);
        refused_json(j, t->away, t->away_count, false);
        pn_json_array_end(j);
    }
    if (t->turned_away > t->away_count)
        pn_json_i64(j, "refused_more", (int64_t)(t->turned_away - t->away_count));
    pn_json_object_end(j);
}

void event_message(struct transaction *t)
{
    struct session *s = t->s;
    struct pn_buf b;
    pn_buf_init(&b, EVENT_MAX);
    struct pn_json j = pn_json_to(&b);
    t->evented = true;
    begin(&j, "message");
    client_json(&j, s);
    envelope_json(&j, t);
    pn_json_str(&j, "message_id", t->message_id);
    pn_json_i64(&j, "size", (int64_t)t->size);
    if (t->hold.len != 0)
        pn_json_str(&j, "held", t->hold);
    pn_json_str(&j, "policy", pn_policy_generation(s->gen->policy));
    pn_json_milli(&j, "time", t->now_ms); /* as plugins saw it: scan's --time */
    if (t->signed_keys != 0) {
        pn_json_object(&j, "signed");
        pn_json_str(&j, "domain", t->signed_domain);
        pn_json_i64(&j, "keys", t->signed_keys);
        pn_json_object_end(&j);
    } else if (t->unsigned_because != NULL) {
        pn_json_str(&j, "unsigned", pn_str_of(t->unsigned_because));
    }
    if (s->check != NULL)
        pn_check_told_json(s->check, &j);
    pn_json_milli(&j, "ms", (int64_t)((pn_clock_mono_ns() - t->began_ns) / 1000));
    pn_verdict_json(&j, &t->verdict);
    send_event(s->edge, &j);
    pn_buf_fini(&b);
}

void event_session(struct session *s, const char *what, struct pn_str detail)
{
    struct pn_buf b;
    pn_buf_init(&b, EVENT_MAX);
    struct pn_json j = pn_json_to(&b);
    begin(&j, what);
    client_json(&j, s);
    if (s->txn != NULL)
        pn_json_str(&j, "from", s->txn->from);
    pn_json_str(&j, "detail", detail);
    send_event(s->edge, &j);
    pn_buf_fini(&b);
}

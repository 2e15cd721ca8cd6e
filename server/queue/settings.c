#include "queue_int.h"

#include "mem.h"

#include <stdlib.h>

enum { SHUN_MAX_MS = 30 * 1000, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

void settings_default(struct queue_settings *s)
{
    static const uint64_t retries[] = {MINUTE_MS,      5 * MINUTE_MS,  10 * MINUTE_MS,
                                       20 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS,
                                       2 * HOUR_MS,    4 * HOUR_MS};
    *s = (struct queue_settings){.hostname = pn_strdup("localhost"),
                                 .expire_ms = 120ULL * HOUR_MS,
                                 .disk_reserve = 256ULL * 1024 * 1024,
                                 .messages_max = 1000000,
                                 .connections_max = 200,
                                 .mailboxes = 1,
                                 .hop_connections_max = 20,
                                 .conn_messages_max = 100,
                                 .idle_ms = 5000,
                                 .verify_ms = 10 * MINUTE_MS,
                                 .connect_ms = 30 * 1000};
    s->retry_count = sizeof retries / sizeof retries[0];
    memcpy(s->retry_ms, retries, sizeof retries);
}

void settings_read(struct queue_settings *s, const struct pn_policy *p)
{
    struct pn_str hostname = pn_policy_str(p, "smtp.hostname");
    enum { TLS_OFF, TLS_MAY, TLS_MUST };
    int64_t tls = pn_policy_int(p, "queue.tls"); /* the choice's number */
    free(s->hostname);
    s->hostname = pn_strndup(hostname.p, hostname.len);
    s->retry_count = 0;
    for (int64_t ms; s->retry_count < QUEUE_RETRIES_MAX &&
                     pn_policy_int_at(p, "queue.retry", s->retry_count, &ms);)
        s->retry_ms[s->retry_count++] = (uint64_t)ms;
    s->expire_ms = (uint64_t)pn_policy_int(p, "queue.expire");
    s->segment_bytes = (uint64_t)pn_policy_int(p, "spool.segment");
    s->disk_reserve = (uint64_t)pn_policy_int(p, "limits.disk-reserve");
    s->mailboxes = (uint32_t)pn_policy_int(p, "mailboxes");
    s->connections_max = (unsigned)pn_policy_int(p, "queue.connections");
    s->hop_connections_max = (unsigned)pn_policy_int(p, "queue.connections-per-hop");
    s->conn_messages_max = (uint64_t)pn_policy_int(p, "queue.messages-per-connection");
    s->idle_ms = (uint64_t)pn_policy_int(p, "queue.idle");
    s->connect_ms = (uint64_t)pn_policy_int(p, "timeouts.next-hop.connect");
    s->waits = (struct pn_smtp_client_waits){
        .greeting = (uint32_t)pn_policy_int(p, "timeouts.next-hop.greeting"),
        .hello = (uint32_t)pn_policy_int(p, "timeouts.next-hop.hello"),
        .mail = (uint32_t)pn_policy_int(p, "timeouts.next-hop.mail"),
        .rcpt = (uint32_t)pn_policy_int(p, "timeouts.next-hop.rcpt"),
        .data_begin = (uint32_t)pn_policy_int(p, "timeouts.next-hop.data-begin"),
        .data_block = (uint32_t)pn_policy_int(p, "timeouts.next-hop.data-block"),
        .data_end = (uint32_t)pn_policy_int(p, "timeouts.next-hop.data-end"),
        .quit = (uint32_t)pn_policy_int(p, "timeouts.next-hop.quit")};
    s->verify_ms = (uint64_t)pn_policy_int(p, "queue.verify-cache");
    s->hold_age_ms = (uint64_t)pn_policy_int(p, "queue.hold-age");
    s->event_each = pn_policy_bool(p, "events.deliveries");
    s->literals = pn_policy_bool(p, "queue.literals");
    s->tls_off = tls == TLS_OFF;
    s->tls_must = tls == TLS_MUST;
}

void settings_fini(struct queue_settings *s)
{
    free(s->hostname);
    s->hostname = NULL;
}

uint64_t settings_retry_ms(const struct queue_settings *s, unsigned n)
{
    size_t i = n == 0 ? 0 : n - 1;
    return s->retry_ms[i < s->retry_count ? i : s->retry_count - 1];
}

uint64_t settings_shun_ms(const struct queue_settings *s)
{
    uint64_t ms = settings_retry_ms(s, 1) / 2;
    return ms < SHUN_MAX_MS ? ms : SHUN_MAX_MS;
}

#include "queue_int.h"

#include "mem.h"

#include <stdlib.h>

enum { MINUTE_MS = 60 * 1000 };

void settings_default(struct queue_settings *s)
{
    *s = (struct queue_settings){.hostname = pn_strdup("localhost"),
                                 .disk_reserve = 256ULL * 1024 * 1024,
                                 .messages_max = 10000000,
                                 .connections_max = 1000,
                                 .net_connections_max = 100,
                                 .mailboxes = 1,
                                 .idle_ms = 5000,
                                 .verify_ms = 10 * MINUTE_MS,
                                 .connect_ms = 30 * 1000,
                                 .warn_ms = 240 * MINUTE_MS,
                                 .return_max = 1024 * 1024};
}

void settings_read(struct queue_settings *s, const struct pn_policy *p)
{
    struct pn_str hostname = pn_policy_str(p, "smtp.hostname");
    free(s->hostname);
    s->hostname = pn_strndup(hostname.p, hostname.len);
    s->segment_bytes = (uint64_t)pn_policy_int(p, "spool.segment");
    s->disk_reserve = (uint64_t)pn_policy_int(p, "limits.disk-reserve");
    s->net_connections_max = (unsigned)pn_policy_int(p, "queue.connections-per-network");
    s->mailboxes = (uint32_t)pn_policy_int(p, "mailboxes");
    s->messages_max = (uint64_t)pn_policy_int(p, "queue.messages");
    s->connections_max = (unsigned)pn_policy_int(p, "queue.connections");
    s->suppress_ms = (uint64_t)pn_policy_int(p, "queue.suppress");
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
    s->warn_ms = (uint64_t)pn_policy_int(p, "queue.delay-warning");
    s->return_max = (uint64_t)pn_policy_int(p, "queue.return-size");
    s->hold_age_ms = (uint64_t)pn_policy_int(p, "queue.hold-age");
    s->event_each = pn_policy_bool(p, "events.deliveries");
    s->literals = pn_policy_bool(p, "queue.literals");
}

void settings_fini(struct queue_settings *s)
{
    free(s->hostname);
    s->hostname = NULL;
}

#include "upstream.h"

#include "dns_reply.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unbound-event.h>
#include <unbound.h>

enum { CLASS_IN = 1, SECURE_BOGUS = 1, SECURE_YES = 2, FDS_KEPT = 256, TCP_MAX = 128 };

struct upstream {
    struct ub_ctx *ctx;
    struct reply reply;
    void (*told)(void *ctx, bool proved); /* who wants to know; NULL: nobody */
    void *told_ctx;
};

/* What libunbound's callback is given: it has one pointer, and we need two. */
struct question {
    struct upstream *u;
    struct ask *ask;
    uint16_t type;
};

static struct upstream_counters counters;

const struct upstream_counters *upstream_counters(void)
{
    return &counters;
}

static void fail(struct ask *ask)
{
    asks_done(ask, &(struct pn_dns_answer){.rcode = PN_DNS_SERVFAIL}, 0);
}

/* rcode is libunbound's own success or failure; only after success is there a packet,
 * and its rcode stands in it. */
static void on_answer(void *arg, int rcode, void *packet, int len, int secure, char *why_bogus,
                      int was_ratelimited)
{
    struct question *q = arg;
    struct upstream *u = q->u;
    struct ask *ask = q->ask;
    uint16_t type = q->type;
    (void)why_bogus;
    (void)was_ratelimited;
    free(q);
    if (rcode != 0 || packet == NULL || len <= 0) {
        fail(ask);
    } else if (secure == SECURE_BOGUS) {
        counters.bogus++;
        fail(ask);
    } else if (!reply_parse(&u->reply, (struct pn_str){packet, (size_t)len}, type)) {
        counters.malformed++;
        fail(ask);
    } else {
        u->reply.answer.secure = secure == SECURE_YES;
        asks_done(ask, &u->reply.answer, u->reply.ttl);
    }
}

static void on_proof(void *arg, int rcode, void *packet, int len, int secure, char *why_bogus,
                     int was_ratelimited)
{
    struct upstream *u = arg;
    void (*told)(void *, bool) = u->told;
    (void)packet;
    (void)len;
    (void)why_bogus;
    (void)was_ratelimited;
    u->told = NULL;
    if (told != NULL)
        told(u->told_ctx, rcode == 0 && secure == SECURE_YES);
}

void upstream_prove(const struct asks_backend *backend, const char *zone,
                    void (*told)(void *ctx, bool proved), void *ctx)
{
    struct upstream *u = backend->ctx;
    u->told = told;
    u->told_ctx = ctx;
    if (ub_resolve_event(u->ctx, zone, PN_DNS_SOA, CLASS_IN, u, on_proof, NULL) != 0)
        on_proof(u, -1, NULL, 0, 0, NULL, 0);
}

void upstream_forget(const struct asks_backend *backend)
{
    struct upstream *u = backend->ctx;
    if (u != NULL)
        u->told = NULL;
}

static void upstream_ask(void *ctx, const char *name, uint16_t type, struct ask *ask)
{
    struct upstream *u = ctx;
    struct question *q = pn_alloc(sizeof *q);
    *q = (struct question){u, ask, type};
    /* No async id is wanted: see asks.h on what is given up. */
    if (ub_resolve_event(u->ctx, name, type, CLASS_IN, q, on_answer, NULL) != 0) {
        free(q);
        fail(ask);
    }
}

static void upstream_free(void *ctx)
{
    struct upstream *u = ctx;
    ub_ctx_delete(u->ctx);
    free(u);
}

static bool option(struct ub_ctx *ctx, const char *name, const char *value, struct pn_buf *err)
{
    int e = ub_ctx_set_option(ctx, name, value);
    if (e != 0)
        (void)pn_buf_addf(err, "libunbound refuses %s %s: %s", name, value, ub_strerror(e));
    return e == 0;
}

static bool option_u64(struct ub_ctx *ctx, const char *name, uint64_t value, struct pn_buf *err)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return option(ctx, name, text, err);
}

/* Sockets for the questions in flight, as far as descriptors go. */
static uint64_t sockets_for(uint32_t in_flight)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= 2 * FDS_KEPT + TCP_MAX)
        return 64;
    uint64_t room = limit.rlim_cur - FDS_KEPT - TCP_MAX;
    return in_flight < room ? in_flight : room;
}

static bool set_options(struct ub_ctx *ctx, const struct upstream_settings *set, struct pn_buf *err)
{
    static const char *const fixed[][2] = {
        {"edns-buffer-size:", "1232"},
        {"prefetch:", "yes"},
        {"serve-expired:", "no"},
        {"aggressive-nsec:", "yes"},
        /* A server that does not answer: give a question up after some seconds, and do
         * not take the server for dead because some names behind it are. */
        {"outbound-msg-retry:", "3"},
        {"unknown-server-time-limit:", "376"},
        {"infra-cache-max-rtt:", "1000"},
        {"infra-keep-probing:", "yes"},
        {"domain-insecure:", "test"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (!option(ctx, fixed[i][0], fixed[i][1], err))
            return false;
    return option_u64(ctx, "msg-cache-size:", set->cache / 3, err) &&
           option_u64(ctx, "rrset-cache-size:", set->cache - set->cache / 3, err) &&
           option_u64(ctx, "outgoing-range:", sockets_for(set->in_flight), err) &&
           option_u64(ctx, "num-queries-per-thread:", set->in_flight, err) &&
           option_u64(ctx, "outgoing-num-tcp:", TCP_MAX, err);
}

static bool set_forward(struct ub_ctx *ctx, const struct upstream_settings *set, struct pn_buf *err)
{
    bool loopback = false;
    for (size_t i = 0; i < set->forward_count; i++) {
        char ip[PN_IP_TEXT_MAX], text[PN_IP_TEXT_MAX + 8];
        loopback = loopback || pn_ip_is_loopback(&set->forward[i].ip);
        (void)snprintf(text, sizeof text, "%s@%u", pn_ip_text(&set->forward[i].ip, ip),
                       set->forward[i].port);
        int e = ub_ctx_set_fwd(ctx, text);
        if (e != 0) {
            (void)pn_buf_addf(err, "libunbound refuses the forwarder %s: %s", text, ub_strerror(e));
            return false;
        }
    }
    if (loopback && !option(ctx, "do-not-query-localhost:", "no", err))
        return false;
    /* A forwarder knows what the private and documentation networks' names are here. */
    return set->forward_count == 0 || option(ctx, "unblock-lan-zones:", "yes", err);
}

static bool set_trust(struct ub_ctx *ctx, const struct upstream_settings *set, struct pn_buf *err)
{
    int e = set->trust_anchor == NULL ? 0 : ub_ctx_add_ta_file(ctx, set->trust_anchor);
    if (e != 0)
        (void)pn_buf_addf(err, "trust anchor %s: %s", set->trust_anchor, ub_strerror(e));
    return e == 0;
}

/* What libunbound says goes to our log, line by line. */
static ssize_t log_write(void *cookie, const char *p, size_t n)
{
    struct pn_str rest = {p, n};
    (void)cookie;
    while (rest.p != NULL && rest.len != 0) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (line.len != 0)
            pn_warn("libunbound: %.*s", PN_FMT(line));
    }
    return (ssize_t)n;
}

/* One for the process: libunbound's log is one, and its contexts come and go. */
static FILE *log_stream(void)
{
    static FILE *stream;
    if (stream == NULL) {
        stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});
        if (stream != NULL)
            (void)setvbuf(stream, NULL, _IOLBF, 0);
    }
    return stream;
}

bool upstream_new(struct ub_event_base *base, const struct upstream_settings *set,
                  struct asks_backend *out, struct pn_buf *err)
{
    struct upstream *u = pn_calloc(1, sizeof *u);
    u->ctx = ub_ctx_create_ub_event(base);
    if (u->ctx == NULL) {
        (void)pn_buf_addz(err, "libunbound can't start: out of memory or of randomness");
        free(u);
        return false;
    }
    (void)ub_ctx_debugout(u->ctx, log_stream()); /* NULL: it is silent */
    if (!set_options(u->ctx, set, err) || !set_forward(u->ctx, set, err) ||
        !set_trust(u->ctx, set, err)) {
        upstream_free(u);
        return false;
    }
    /* Finalizes the context; anything wrong with the whole of it shows here. */
    int e = ub_ctx_zone_remove(u->ctx, "test.");
    if (e != 0) {
        (void)pn_buf_addf(err, "libunbound refuses its settings: %s", ub_strerror(e));
        upstream_free(u);
        return false;
    }
    *out = (struct asks_backend){upstream_ask, upstream_free, u};
    return true;
}

/* ---- the file ---- */

static void file_ask(void *ctx, const char *name, uint16_t type, struct ask *ask)
{
    struct pn_dns_answer answer;
    pn_dnsfile_find(ctx, pn_str_of(name), type, &answer);
    asks_done(ask, &answer, 0);
}

static void file_free(void *ctx)
{
    struct pn_dnsfile *file = ctx;
    pn_dnsfile_free(&file);
}

struct asks_backend upstream_file(struct pn_dnsfile *file)
{
    return (struct asks_backend){file_ask, file_free, file};
}

/*
 * Backends of the desk (asks.h): libunbound, and a DNS file.
 *
 * libunbound 1.17's event API, with its traps closed here: the rcode of an answer is the
 * packet's, what comes with an error is not looked at, a bogus answer is SERVFAIL,
 * .test is not answered from within, loopback servers may be asked if they were
 * configured. It caches; a question that was given up goes on and fills the cache.
 */
#ifndef RESOLVER_UPSTREAM_H
#define RESOLVER_UPSTREAM_H

#include "asks.h"
#include "dnsfile.h"
#include "net.h"

struct ub_event_base;

struct upstream_server {
    struct pn_ip ip;
    uint16_t port;
};

struct upstream_settings {
    const struct upstream_server *forward; /* none: the names' own servers are asked */
    size_t forward_count;
    const char *trust_anchor; /* file of DNSKEY or DS records; NULL: nothing is proved */
    uint64_t cache;           /* bytes */
    uint32_t in_flight;       /* questions at once, as the desk limits them */
};

/* Since start, over all libunbound backends. */
struct upstream_counters {
    uint64_t bogus, malformed;
};

/* False with a sentence in err. The base must outlive the backend. */
bool upstream_new(struct ub_event_base *base, const struct upstream_settings *settings,
                  struct asks_backend *out, struct pn_buf *err);
const struct upstream_counters *upstream_counters(void);

/* Of a libunbound backend: whether the zone's own record is proved by DNSSEC now. told comes
 * once, maybe before this returns; never, if upstream_forget or the backend's end came first. */
void upstream_prove(const struct asks_backend *backend, const char *zone,
                    void (*told)(void *ctx, bool proved), void *ctx);
void upstream_forget(const struct asks_backend *backend);

/* Takes the file. TIMEOUT is answered at once. */
struct asks_backend upstream_file(struct pn_dnsfile *file);

#endif

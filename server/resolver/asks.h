/*
 * The resolver's desk: questions come in from askers (channels to other roles), go to
 * a backend (libunbound, or a DNS file), and each gets exactly one answer.
 *
 *   waiting   no slot is free for its asker; its deadline runs
 *   in flight the backend has it; its deadline runs
 *   answered  its deadline passed: TIMEOUT was said. The backend still has it, so it
 *             keeps its slot; what comes late only fills the backend's cache
 *
 * At most `in_flight` questions are with the backend, the answered ones included: libunbound
 * goes on with what was cancelled, so only what it gave back is over. An asker has at
 * most as many slots as are free, so that one with slow names always leaves some to
 * the others (alone it gets half, two such a third each). Waiting questions are taken
 * from the askers in turn. Beyond `in_flight` waiting ones an asker is told TIMEOUT at
 * once.
 *
 * One thread, the loop's. Names are canonical text (dns.h) when the backend sees them.
 */
#ifndef RESOLVER_ASKS_H
#define RESOLVER_ASKS_H

#include "dns.h"
#include "loop.h"

struct asks;
struct asker;
struct ask; /* one question */

/* Takes questions and answers each with asks_done, at once or later. */
struct asks_backend {
    void (*ask)(void *ctx, const char *name, uint16_t type, struct ask *ask);
    void (*free)(void *ctx); /* it has no question any more; not from within its own callback */
    void *ctx;
};

/* What backends answered, for others to find: ttl is in seconds. */
typedef void asks_keep_fn(void *ctx, const char *name, uint16_t type,
                          const struct pn_dns_answer *answer, uint32_t ttl);

struct asks_settings {
    uint32_t in_flight;
    uint32_t timeout_ms; /* for questions without a deadline, and the most for those with */
};

/* Since start; in_flight and waiting are now. */
struct asks_counters {
    uint64_t asked, noerror, nxdomain, servfail, other, timeout, refused;
    uint32_t in_flight, waiting;
};

/* backend.ctx is owned from here on. */
struct asks *asks_new(struct pn_loop *loop, const struct asks_settings *settings,
                      struct asks_backend backend);
/* Askers must be gone; questions still with a backend are dropped with it. */
void asks_free(struct asks **asks);
/* New questions go to the new backend; the old one is freed when it has answered. */
void asks_reload(struct asks *asks, const struct asks_settings *settings,
                 struct asks_backend backend);
/* As above, with the backend that is there. */
void asks_set(struct asks *asks, const struct asks_settings *settings);
const struct asks_counters *asks_counters(const struct asks *asks);

/* answer is borrowed for the call, which may not remove the asker. */
struct asker *asker_new(struct asks *asks,
                        void (*answer)(void *ctx, uint64_t id, const struct pn_dns_answer *answer),
                        void *ctx);
/* Its questions are forgotten. */
void asker_free(struct asker **asker);
/* Copies ask. The answer may come before this returns. */
void asker_ask(struct asker *asker, const struct pn_dns_ask *ask);

/* keep gets each answer of the present backend that has a time to live. */
void asks_keep(struct asks *asks, asks_keep_fn *keep, void *ctx);

/* What a backend calls, once for each question it was given. ttl: for how many seconds the
 * answer holds; 0: for now only. */
void asks_done(struct ask *ask, const struct pn_dns_answer *answer, uint32_t ttl);

#endif

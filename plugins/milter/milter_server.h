/*
 * A milter as the operator names it, and what its sessions share: whether it is asked at all
 * now (the breaker), and connections that wait for another session.
 *
 * The first half is read-only once read. The second is about the milter, never about a message;
 * it is one worker's own, safe on any thread.
 */
#ifndef MILTER_SERVER_H
#define MILTER_SERVER_H

#include "milter_address.h"
#include "milter_packet.h"

#include <pthread.h>
#include <stdatomic.h>

/* The plugin's, where the operator says no other one. */
enum { MILTER_DEADLINE_MS = 20000 };

struct milter_channel;

/* What stands for the answer of a milter that fails. */
enum milter_on_failure {
    MILTER_FAIL_DEFER,
    MILTER_FAIL_SKIP,
    MILTER_FAIL_QUARANTINE,
    MILTER_FAIL_REJECT
};

struct milter_server {
    struct postern_str name;
    const struct postern_block *block;
    struct milter_address address;
    uint32_t actions; /* that it is offered: MILTER_MAY_ */
    int64_t connect_ms, send_ms, reply_ms, end_ms;
    enum milter_on_failure on_failure;
    unsigned failures_max; /* in a row; 0: no limit */
    int64_t pause_ms;
    unsigned idle_max;

    atomic_uint failures;
    _Atomic int64_t away_until; /* monotonic ms; 0: it is asked */
    pthread_mutex_t lock;       /* of idle */
    struct milter_channel *idle;
    unsigned idle_count;
};

/* The breaker: after failures_max failures in a row a server is left alone for pause_ms; then
 * one session tries it, and the others once that one came through. */
bool milter_server_asks(struct milter_server *server, int64_t now);
void milter_server_open(struct milter_server *server); /* it took a connection */
void milter_server_good(struct milter_server *server); /* it answered for a message */
/* True: from now on it is left alone. */
bool milter_server_bad(struct milter_server *server, int64_t now);

#endif

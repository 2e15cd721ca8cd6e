/*
 * Lasting state in a Redis (or Valkey) server that several nodes share.
 *
 *   OFF -> ASKED -> GREETING -> READY
 *    ^_______________________________|   any failure: all that is open is answered "away"
 *
 * The role has no right to make sockets: it asks the supervisor for one that is on its way to
 * the configured server, and gets it with the file of the password. GREETING logs in, loads
 * the two scripts, and writes once: a server that can't be written is away.
 *
 * A value is the key "PREFIXv:KEY", put with PX. A bucket is "PREFIXb:KEY", the time (us) at
 * which it is full; a script takes from it, whole, by the server's own clock, so that nodes
 * whose clocks differ share one. What is asked in one turn of the loop goes in one write.
 */
#ifndef STATE_REDIS_H
#define STATE_REDIS_H

#include "state_engine.h"

enum { STATE_PREFIX_MAX = 64, STATE_USER_MAX = 64, STATE_PASSWORD_MAX = 512 };

struct state_redis_settings {
    char prefix[STATE_PREFIX_MAX + 1];
    char user[STATE_USER_MAX + 1]; /* empty: the server's default one */
    int64_t database;
    uint32_t timeout_ms; /* for an answer; longer: the connection is given up */
};

/* want: asks for a socket; state_redis_socket answers, or time does. */
struct state_engine *state_redis_new(struct pn_loop *loop, const struct state_redis_settings *set,
                                     void (*want)(void *ctx), void *ctx);
/* Takes fd, which may still be connecting. password is borrowed; empty: none. fd -1: why not. */
void state_redis_socket(struct state_engine *engine, int fd, struct pn_str password,
                        struct pn_str why);

#endif

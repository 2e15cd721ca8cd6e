/* The rows of `state`, and the engine that they name. */
#ifndef STATE_SETTINGS_H
#define STATE_SETTINGS_H

#include "control.h"
#include "policy.h"
#include "state_redis.h"

struct state_settings {
    uint64_t size;
    bool shared; /* by a Redis server */
    bool local;  /* and while that is away this server's own */
    char server[64];
    struct state_redis_settings redis;
};

/* Takes the generation's policy. False with a sentence in err. */
bool state_settings_of(struct pn_generation *gen, struct state_settings *out, struct pn_buf *err);
bool state_settings_same(const struct state_settings *a, const struct state_settings *b);

/* What answers, and the part of it that sockets are for (NULL: none is). */
struct state_engines {
    struct state_engine *engine, *redis;
};
/* In the process's working folder, before the jail. False with a sentence in err. */
bool state_engines_open(struct state_engines *out, struct pn_loop *loop,
                        const struct state_settings *set, void (*want)(void *ctx), void *ctx,
                        struct pn_buf *err);

#endif

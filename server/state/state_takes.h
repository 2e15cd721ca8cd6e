/*
 * Who took which tokens, for a while: so that a message that is looked at again, since its
 * worker died, takes nothing twice, and one that ended without a decision gives back what it
 * took. Bounded in number and in time: what is forgotten stays taken, and comes back to its
 * bucket as tokens do.
 */
#ifndef STATE_TAKES_H
#define STATE_TAKES_H

#include "state.h"

struct state_takes;

struct state_take {
    uint64_t owner;
    uint32_t step;
    struct pn_bucket bucket;
    int64_t now_ms;
    bool answered, dropped; /* dropped: given back as soon as it is answered */
    bool local;             /* as its answer said */
    uint8_t status;         /* enum pn_state_status */
    uint32_t left;
    void *waiting; /* the role's: who asked for it and has no answer yet */
    struct pn_str key;
};

/* At most `max`, each for age_ns. */
struct state_takes *state_takes_new(size_t max, uint64_t age_ns);
void state_takes_free(struct state_takes **takes);
/* The one of that owner, step and key, or NULL. Borrowed. */
struct state_take *state_takes_find(struct state_takes *takes, uint64_t owner, uint32_t step,
                                    struct pn_str key);
/* Adds one that is not there; older ones make room, but none that has no answer yet: NULL. */
struct state_take *state_takes_add(struct state_takes *takes, const struct pn_state_ask *ask,
                                   uint64_t now_ns);
/* Calls fn for each of this owner; true: it is removed. */
void state_takes_each(struct state_takes *takes, uint64_t owner,
                      bool (*fn)(void *ctx, struct state_take *take), void *ctx);
void state_takes_remove(struct state_takes *takes, struct state_take *take);
size_t state_takes_count(const struct state_takes *takes);

#endif

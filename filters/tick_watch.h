/*
 * What a template knows of its workers' ticks: one that took a worker along is put off in those
 * that come, longer each time, so that a plugin whose tick fails on what the world answers keeps
 * nobody from serving. A worker's note lies in memory that both have.
 */
#ifndef PN_TICK_WATCH_H
#define PN_TICK_WATCH_H

#include "worker.h"

struct tick_watch {
    struct pn_ticking *notes; /* of each slot, shared with the worker in it; owned */
    unsigned slots;
    uint64_t due[PN_PLAN_PLUGINS_MAX]; /* monotonic ns: not before */
    unsigned deaths[PN_PLAN_PLUGINS_MAX];
};

/* Before the jail. */
void tick_watch_init(struct tick_watch *t, unsigned slots);
void tick_watch_fini(struct tick_watch *t);
/* The note of a worker to be: before the fork. */
struct pn_ticking *tick_watch_begin(struct tick_watch *t, unsigned slot);
/* It is dead. Whose ticks it was in, by their place in the group; innocent: none, it was ended. */
uint64_t tick_watch_end(struct tick_watch *t, unsigned slot, bool innocent);

#endif

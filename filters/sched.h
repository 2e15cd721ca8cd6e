/*
 * The threads of a worker: who runs next, and how many at once.
 *
 * A unit is something that wants a thread: it is queued, one thread calls its run(),
 * and it may be queued again meanwhile (then a second thread may come: how calls of one
 * message run side by side). At most `running` threads work at a time; one that says it
 * waits (sched_wait_begin) makes room for another, so slow name servers cost threads,
 * not processors. Threads are made as needed, up to `threads`.
 *
 * Shares: one client network gets at most so many percent of all threads while others
 * wait, and half of them at the very most; one plugin (sched_plugin_enter) gets three
 * quarters. So neither a sender with slow name servers nor a slow plugin stalls the rest.
 */
#ifndef PN_SCHED_H
#define PN_SCHED_H

#include "net.h"

enum { SCHED_THREADS_MAX = 256, SCHED_NETWORKS = 1024 };

struct sched;

struct sched_unit {
    void (*run)(struct sched_unit *unit, unsigned thread); /* thread: below `threads` */
    uint32_t network;                                      /* a hash of it */
    int plugin;              /* it can't go on before this plugin has a free share; -1: none */
    struct sched_unit *next; /* the scheduler's, as is queued */
    bool queued;
};

/* Threads have all signals blocked. share: percent. stack: bytes of one. */
struct sched *sched_new(unsigned threads, unsigned running, unsigned share, size_t stack);
/* Every unit must have run. Joins all threads. */
void sched_free(struct sched **sched);
/* From any thread; does nothing for a unit that is queued. */
void sched_submit(struct sched *sched, struct sched_unit *unit);
/* From a thread of the pool, around a wait. */
void sched_wait_begin(struct sched *sched);
void sched_wait_end(struct sched *sched);
/* False: the plugin has its share. The caller sets unit->plugin, submits and leaves. */
bool sched_plugin_enter(struct sched *sched, unsigned plugin);
void sched_plugin_leave(struct sched *sched, unsigned plugin);
/* Another thread would find a processor, and nobody else wants it. */
bool sched_spare(struct sched *sched);
uint32_t sched_network(const struct pn_ip *client);
/* Threads that are made, and that run something. */
unsigned sched_threads(struct sched *sched);
unsigned sched_busy(struct sched *sched);

#endif

/*
 * A filter worker: takes requests of runners over channels, has the plugins of its
 * group called on a pool of threads, and answers with what they found.
 *
 * All is created and freed on the loop's thread. Plugins are those of one group,
 * loaded and prepared by the template (template.c), their instances made; they outlive
 * the worker.
 */
#ifndef PN_WORKER_H
#define PN_WORKER_H

#include "host.h"
#include "loop.h"

enum {
    PN_WORKER_THREADS = 200,
    PN_WORKER_SHARE = 25,
    PN_WORKER_STACK = 512 * 1024,
    PN_WORKER_HUNG_EXIT = 70, /* how a worker ends that had a call past its deadline */
    PN_WORKER_DRAIN_MS = 5000 /* what others get then */
};

struct pn_worker;

/* In memory that outlives the worker: whose ticks run now (bit: the place in the group), for
 * who sees it die. And what it is told: when the first ones are due. */
struct pn_ticking {
    _Atomic uint64_t now;
    uint64_t due[PN_PLAN_PLUGINS_MAX]; /* monotonic ns; in the past: at once */
};

struct pn_worker_options {
    const struct pn_plan *plan;
    struct host_plugin *plugins; /* borrowed; those of the group, in plan order */
    unsigned count;
    unsigned threads, running;        /* 0: as fits the group and machine */
    unsigned share;                   /* percent of threads for one network; 0: PN_WORKER_SHARE */
    void (*on_idle)(void *ctx);       /* the last channel ended; may be NULL */
    void (*on_state_lost)(void *ctx); /* no state role any more; may be NULL */
    bool fair;                  /* a call that is late may be slow for others' load (pn_patience) */
    struct pn_ticking *ticking; /* NULL: nobody asks */
    void *ctx;
};

struct pn_worker *pn_worker_new(struct pn_loop *loop, const struct pn_worker_options *options);
/* Takes fd: a channel to a runner. */
void pn_worker_link(struct pn_worker *worker, int fd);
/* A fault of this process is noted for its runners, so that they need not guess whether
 * somebody else killed it. Once a process. */
void pn_worker_note_crashes(struct pn_worker *worker);
/* True: no runner holds a channel to it. */
bool pn_worker_idle(const struct pn_worker *worker);
/* From now on plugins are called between messages too (postern_plugin.tick). Not where what
 * was judged is judged again: in solo workers and scans. on_first (NULL: nobody waits) is told,
 * with the ctx of the options, when each was called once; from inside if there is none. */
void pn_worker_ticks(struct pn_worker *worker, void (*on_first)(void *ctx));
/* Takes fd: the channel to a resolver, replacing the one before. */
void pn_worker_resolver(struct pn_worker *worker, int fd);
/* Takes fd: the channel to a state role, replacing the one before. */
void pn_worker_state(struct pn_worker *worker, int fd);
/* Ends all channels, waits for the threads. */
void pn_worker_free(struct pn_worker **worker);

/* Makes instances: in the worker, before it is jailed and has threads. False with a
 * sentence in err. */
bool pn_worker_instances(struct host_plugin *plugins, unsigned count, struct pn_buf *err);
void pn_worker_instances_free(struct host_plugin *plugins, unsigned count);

#endif

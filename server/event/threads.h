/*
 * A pool of threads for work that blocks: syncs, plugin callbacks, file writes.
 *
 * A job's run() is called on some thread of the pool, then its done() on the
 * loop's thread. Jobs are queued without limit here; who submits bounds them. A job goes to the
 * thread that became idle last.
 */
#ifndef PN_THREADS_H
#define PN_THREADS_H

#include "loop.h"

#include <stddef.h>

struct pn_threads;

struct pn_job {
    void (*run)(struct pn_job *job);  /* on a thread of the pool */
    void (*done)(struct pn_job *job); /* on the loop's thread; may free the job */
    struct pn_job *next;              /* the pool's */
};

/* All signals are blocked in the threads. stack 0: the system's default size. */
struct pn_threads *pn_threads_new(struct pn_loop *loop, unsigned count, size_t stack,
                                  const char *name);
/* The job is borrowed until its done() was called. */
void pn_threads_submit(struct pn_threads *threads, struct pn_job *job);
/* Jobs submitted and not done. */
size_t pn_threads_busy(const struct pn_threads *threads);
/* Waits for all jobs; their done() are called before it returns. */
void pn_threads_free(struct pn_threads **threads);

#endif

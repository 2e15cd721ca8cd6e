/*
 * Threads shared fairly among users. Members take turns, and none has more than a quarter of the
 * threads, so that a user with many sessions, each with a long search, leaves room for all others.
 * Nor do all of them together who are at something long:
 *
 *   a quarter of the threads is for jobs that begin something, and jobs that go on with something
 *   (`more`: the next slice of a long command) get what is left; so many users' searches, a slice
 *   a turn, keep nobody's short command waiting;
 *
 *   a job that has a thread for long, since it can't be sliced, is not counted any more: as many
 *   threads again are there in its place. Who has more such jobs than that makes others wait.
 *
 * On the loop's thread, but for run().
 */
#ifndef MAILBOX_CREW_H
#define MAILBOX_CREW_H

#include "threads.h"

struct crew;
struct crew_job;
struct crew_member;

enum { CREW_BEGIN, CREW_MORE, CREW_KINDS };

struct crew_wait {
    struct crew_job *first, **last;
    struct crew_member *next; /* in the crew's round */
    bool listed;
};

/* Somebody whose work is shared out fairly: a user. Zeroed by its owner. */
struct crew_member {
    struct crew_wait waits[CREW_KINDS];
    unsigned running;
};

struct crew_job {
    struct pn_job job; /* first */
    struct crew_job *next, **prev;
    struct crew *crew;
    struct crew_member *member;
    bool more;                         /* goes on with something; set by its owner */
    bool apart;                        /* is not counted any more */
    uint64_t began_ns;                 /* to run */
    void (*run)(struct crew_job *job); /* on a thread */
    /* On the loop; may free job, and member if it has no other. */
    void (*done)(struct crew_job *job);
};

/* At least four threads. */
struct crew *crew_new(struct pn_loop *loop, unsigned threads, const char *name);
/* All jobs have ended. */
void crew_free(struct crew **crew);
/* run, done and more are set. Members take turns; of each the jobs of a kind in order. */
void crew_submit(struct crew *crew, struct crew_member *member, struct crew_job *job);
/* Running or waiting. */
size_t crew_busy(const struct crew *crew);

#endif

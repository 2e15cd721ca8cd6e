/*
 * Inside the asker, shared by asker.c (the channel: what is sent and read) and questions.c
 * (the questions of a request, and who waits for them). Nobody else includes this.
 */
#ifndef PN_ASKER_INT_H
#define PN_ASKER_INT_H

#include "asker.h"
#include "assert.h"
#include "buf.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/*
 * Whoever waits for an answer reads the channel itself, if nobody else does: so an answer
 * wakes the thread that needs it, and no other on the way. The one that reads hands out
 * what it finds to the others, and its place to one of them when it goes.
 *
 * They are woken after the lock was given back, or they would only wait for that. A
 * waiter may have given up meanwhile, so the semaphore is its thread's for life, and a
 * post too many is no harm.
 */
struct asker_waiter {
    struct asker_waiter *next;
    const struct pn_question *question;
    bool there;
    sem_t woken;
};

/* The channel: threads send and read outside of the lock, so it is counted. */
struct asker_line {
    int fd;
    unsigned refs; /* under the asker's lock */
};

struct pn_question {
    struct pn_question *next; /* of the request */
    struct pn_questions *of;
    uint64_t hash;
    uint64_t id;      /* while open; its low half is the slot */
    uint64_t until;   /* monotonic ns */
    bool sent, held;  /* under the asker's lock; held: not to be sent yet */
    atomic_bool done; /* set under the lock, last of all */
    uint16_t type;
    struct pn_dns_answer answer;
    void *memory; /* of the answer; owned */
    size_t len;
    char name[]; /* lower case */
};

struct pn_questions {
    struct pn_asker *asker;
    struct pn_question *first, **last;
    struct pn_question *held; /* the first of those that are; the rest stand behind it */
    unsigned count;
};

/* An open question is found by its slot; `serial` tells a late answer from a new one. */
struct asker_slot {
    struct pn_question *question;
    uint32_t serial;
    uint32_t next_free;
};

struct pn_asker {
    pthread_mutex_t lock;         /* for all below, and for every question */
    struct asker_line *line;      /* NULL: no resolver now */
    struct pn_dns_view *shelf;    /* NULL: none came yet */
    bool reading;                 /* somebody reads it */
    struct asker_waiter *waiters; /* the others */
    bool unsent;                  /* something waits for room */
    struct asker_slot *slots;
    size_t slot_count, slot_cap;
    uint32_t free_slot; /* UINT32_MAX: none */
    uint64_t seed;
    struct pn_buf record;  /* the reader's */
    _Atomic uint64_t lost; /* outside of the lock */
};

/* To be posted once the lock is given back; more than fit are posted at once. */
struct asker_wake {
    sem_t *list[64];
    unsigned count;
};

static inline void asker_lock(struct pn_asker *a)
{
    pn_assert(pthread_mutex_lock(&a->lock) == 0);
}

static inline void asker_unlock(struct pn_asker *a)
{
    pn_assert(pthread_mutex_unlock(&a->lock) == 0);
}

/* Under the lock, all of them. An open question has a slot. */
void asker_slot_take(struct pn_asker *a, struct pn_question *q);
void asker_slot_give(struct pn_asker *a, struct pn_question *q);
/* Gives the lock back while it sends: the questions from qs->held on. */
void asker_send_held(struct pn_questions *qs);
/* Copies records and data into one block. */
void asker_keep_answer(struct pn_question *q, const struct pn_dns_answer *from);
void asker_wake_later(struct asker_wake *wake, struct asker_waiter *w);
/* Outside of the lock. */
void asker_wake_now(struct asker_wake *wake);
/* A turn of the reader: waits for something to read, to `until` at the longest; gives the lock
 * back while it waits. */
void asker_read_turn(struct pn_asker *a, const struct pn_question *q, uint64_t until);

#endif

/* What spool.c, spool_open.c and spool_janitor.c share. */
#ifndef PN_QUEUE_SPOOL_PRIVATE_H
#define PN_QUEUE_SPOOL_PRIVATE_H

#include "segment.h"
#include "spool.h"

#include <pthread.h>

enum {
    SPOOL_SPARES_MAX = 16,
    SPOOL_IOV_MAX = 512,                 /* of a batch: at most two a record */
    SPOOL_BATCH_BYTES = 2 * 1024 * 1024, /* a batch grows to this; one larger record goes alone */
    SPOOL_BATCH_MAX = RECORD_META_MAX + SPOOL_INLINE_MAX + 2 * SEGMENT_PAGE
};

struct spool {
    struct spool_settings settings;
    int folder; /* borrowed */
    int lock_fd;
    int content_fd;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* the writer waits: ops, or closing */
    pthread_cond_t chore; /* the janitor waits: a spare is wanted, a segment is free, closing */
    pthread_cond_t spare; /* the writer waits: a spare is there, or none can be made */
    struct spool_op *head;
    struct spool_op **tail;
    uint64_t urgent;   /* queued ops that are not lazy */
    uint64_t lazy_due; /* monotonic ns: lazy ops go then at the latest */
    bool writer_waits;
    bool closing; /* the writer is to end once nothing waits */
    bool janitor_ends;
    struct segment *oldest;
    struct segment *newest;
    bool writable; /* newest was begun by this process and has not failed */
    bool stuck;    /* a freed segment may come back after a crash: no younger one is freed, for the
                    * ends of its messages may be there */
    uint64_t next_serial;
    uint64_t spares[SPOOL_SPARES_MAX];
    uint64_t spare_count;
    uint64_t next_spare;
    int spare_error; /* why the last spare could not be made, or 0 */
    struct spool_stats stats;

    pthread_t writer;
    pthread_t janitor;
    uint64_t batch_bytes;            /* gathered at most */
    struct iovec iov[SPOOL_IOV_MAX]; /* the batch's pieces; the writer's */
    int iov_count;
    char *batch; /* SPOOL_BATCH_MAX bytes; the writer's; aligned */
};

void spool_alarm(const struct spool *spool, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Waits for cond until the monotonic time due; with lock held. */
void spool_wait_until(struct spool *spool, pthread_cond_t *cond, uint64_t due_ns);
/* Of the journal, that the message takes. */
uint64_t spool_ref_bytes(const struct spool_ref *ref);
/* The threads' bodies. */
void *spool_write_main(void *spool);
void *spool_janitor_main(void *spool);
/* Takes a free oldest segment off the list, or returns NULL; lock held. */
struct segment *spool_take_free(struct spool *spool);
/* Puts that one aside: spare, removed or kept as damaged; lock not held. */
void spool_put_aside(struct spool *spool, struct segment *segment);
/* All memory and descriptors; no thread runs. */
void spool_destroy(struct spool *spool);

#endif

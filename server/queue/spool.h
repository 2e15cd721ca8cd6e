/*
 * The spool: what keeps a message safe between 250 and its delivery. An append-only
 * journal in segments, and beside it a file each for large content.
 *
 * The states of a message, and what a crash means in each:
 *
 *   state     on disk                          a crash means
 *   --------  -------------------------------  ------------------------------------------
 *   offered   nothing                          no 250 was said; the client sends it again
 *   stored    content file and folder synced,  as above; start-up removes the orphan
 *             no record (large content only)
 *   written   record written, not synced       no 250 was said; found whole it is delivered
 *                                              though the client sends again, torn it is not
 *   kept      record synced: 250 may be said   found at start and delivered
 *   tried     progress not yet synced          those recipients are tried once more, so a
 *                                              delivery of the last moments may be a double
 *   refused   record written, its write or     not found: a new segment that leaves it out is
 *             sync failed                      begun before the error is answered. Only where
 *                                              that fails too, as written
 *   noted     progress synced                  found with its recipients' states
 *   done      end not yet synced               as tried, for its last recipients
 *   ended     end synced                       nothing; an orphaned file is removed at start
 *   moved     a later message record synced,   the later record counts
 *             the earlier one still there
 *
 * The journal. A segment has a fixed size and is written with zeros, or is one freed
 * before, so that a sync never has to wait for the file's own bookkeeping. One thread
 * gathers what waits, writes it in one piece that begins and ends at a page (no later
 * write touches a page that holds acknowledged mail), syncs once, and answers all.
 * Each segment's header says where its predecessor's good bytes end; so only the newest
 * segment can have a torn tail, and a bad record anywhere else is damage: it is skipped
 * to the next good one, an alarm is raised, and the segment is kept aside ("damaged-")
 * instead of being used again. After a failed write or sync a segment is never written
 * or synced again: a new one opens behind its last good byte, and who waits gets an error.
 * What a killed process left is synced at start, before anything is done by it.
 *
 * Segments are freed oldest first only, so a record that ends a message outlives the
 * message. A segment is free when none of its message records is live.
 *
 * Threads: spool_submit and spool_release may be called from any one thread (the loop's);
 * `finished` is called on the spool's own. The folder is the spool's alone, locked; large
 * content lies in its folder "content".
 * Errors are errno values; alarms are sentences for the operator.
 */
#ifndef PN_QUEUE_SPOOL_H
#define PN_QUEUE_SPOOL_H

#include "buf.h"

#include <sys/types.h>
#include <sys/uio.h>

struct spool;
struct segment;

/* Content larger than this goes to a file of its own (content.h): what an edge holds in memory
 * by default (limits.memory-size) goes into the journal, with one sync instead of three. */
enum { SPOOL_INLINE_MAX = 1024 * 1024 };

/* Where a message lies; owned by who owns the message, until spool_release. */
struct spool_ref {
    struct segment *segment; /* NULL: nowhere */
    uint64_t offset;         /* of the record */
    uint32_t meta_len;
    uint32_t content_at;
    uint32_t content_crc;
    uint64_t content_file; /* 0: content lies behind meta */
    uint64_t content_size;
};

enum spool_op_type { SPOOL_MESSAGE = 1, SPOOL_PROGRESS, SPOOL_END };

/* One record to be written. The caller's; all it points to is borrowed until done. */
struct spool_op {
    uint8_t type;
    bool lazy;             /* may wait a few milliseconds for company; retried on failure */
    uint64_t id;           /* queue id */
    struct pn_str meta;    /* opaque here */
    struct pn_str content; /* at most SPOOL_INLINE_MAX; empty with a content file */
    bool paged;            /* content begins at a page in memory, and its last page ends in
                            * zeros: it is written from where it is */
    uint64_t content_file; /* see content.h, synced before; 0: none */
    uint64_t content_size; /* of that file */
    uint32_t content_crc;  /* of that file, as content.h computed it */
    int error;             /* out: 0, or why it is not durable */
    struct spool_ref ref;  /* out: for a message */
    void (*done)(struct spool_op *op); /* the submitter's; the spool does not call it */
    struct spool_op *next;             /* the spool's until done; then links the finished */
};

struct spool_settings {
    uint64_t segment_bytes; /* 0: 64 MiB */
    uint64_t spares;        /* freed segments kept for reuse at most; 0: 3 */
    unsigned lazy_ms;       /* how long a lazy record may wait; 0: 5 */
    unsigned retry_ms;      /* after a failure with nobody waiting for an answer; 0: 1000 */
    /* On the spool's thread; ops linked by next. */
    void (*finished)(void *ctx, struct spool_op *ops);
    /* On any of the spool's threads, and from spool_open: something an operator must see. */
    void (*alarm)(void *ctx, const char *sentence);
    void *ctx;
    /* For tests of failing disks; NULL: the system's. */
    ssize_t (*write_at)(int fd, const struct iovec *iov, int n, off_t offset);
    int (*sync)(int fd);
};

/* Called in the journal's order while it is opened. ref is for a message. A later
 * message of the same id replaces the earlier; the callee releases that one's ref. */
struct spool_found {
    void (*message)(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref);
    void (*progress)(void *ctx, uint64_t id, struct pn_str meta);
    void (*end)(void *ctx, uint64_t id);
    void *ctx;
    struct spool **spool; /* set before the first call, for spool_release; may be NULL */
};

/* Opens the spool in folder (borrowed, must stay open), recovers what is there, and
 * starts the threads. NULL with a sentence in err. */
struct spool *spool_open(int folder, const struct spool_settings *settings,
                         const struct spool_found *found, struct pn_buf *err);
/* Writes what was submitted, ends the threads, and calls finished for the last. */
void spool_close(struct spool **spool);

void spool_submit(struct spool *spool, struct spool_op *op);
/* Somebody waits for a lazy op that was submitted: it goes at once, and is answered even if
 * it fails. From the thread that submitted it, before it is done. */
void spool_hurry(struct spool *spool, struct spool_op *op);
/* One more holds that record, and releases it: it stays readable meanwhile. */
void spool_keep(struct spool *spool, const struct spool_ref *ref);
/* The message is ended or moved, durably: its record counts no more. */
void spool_release(struct spool *spool, struct spool_ref *ref);

/* The folder of content files (content.h), borrowed. */
int spool_content_folder(const struct spool *spool);
/* The content as a descriptor to map: a sealed memory file whose CRC was checked, or
 * the content file read-only, its CRC checked too. -1 with errno (EBADMSG: damaged). Any thread;
 * blocks. */
int spool_content(struct spool *spool, const struct spool_ref *ref);
/* The same, unchecked, as far as there is anything: for an operator's eyes. */
int spool_content_as_is(struct spool *spool, const struct spool_ref *ref);
/* The meta of a message's record; false with errno. Any thread; blocks. */
bool spool_meta(struct spool *spool, const struct spool_ref *ref, struct pn_buf *out);

/* The oldest segment, if the journal is more than twice as large as what lives in it: its
 * messages had better be written again (a message of the same id) and released here.
 * Else NULL. Only to be compared with spool_ref.segment. */
const struct segment *spool_move_from(struct spool *spool);

struct spool_stats {
    uint64_t segments;
    uint64_t live_bytes; /* of the records of messages that are not released */
    uint64_t spares;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
    uint64_t failed_batches;
};
struct spool_stats spool_stats(struct spool *spool);

#endif

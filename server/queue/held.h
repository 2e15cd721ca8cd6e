/*
 * Quarantine and held mail: one file a message (or a part of its recipients) outside the
 * journal, in the spool's folder "held". A file is a record as in the journal
 * (record.h): meta says why, when, which recipients, and holds the envelope; content
 * follows. It is written under another name, synced, renamed, and the folder synced.
 *
 * A name is the queue id's text, a dot and the first recipient's index, so that doing it
 * again after a crash replaces the file. Everything blocks; results are 0 or errno.
 */
#ifndef PN_QUEUE_HELD_H
#define PN_QUEUE_HELD_H

#include "handover.h"

enum held_kind { HELD_QUARANTINE, HELD_HELD, HELD_KIND_COUNT };

enum { HELD_NAME_MAX = 32 };

struct held {
    uint64_t id;
    uint8_t kind; /* enum held_kind */
    int64_t since_ms;
    struct pn_str reason;
    struct pn_str envelope;  /* encoded: pn_envelope_get */
    const uint32_t *indices; /* of its recipients who are meant */
    uint32_t count;
    uint64_t size; /* of content */
};

/* Opens, and makes, the folder below the spool's; -1 with errno. */
int held_folder(int spool_folder);
int held_put(int folder, const struct held *held, int content_fd);
/* Reads a file's head; views borrow from bytes, indices from the pool. */
int held_get(int folder, const char *name, struct pn_buf *bytes, struct pn_pool *pool,
             struct held *held);
/* Its content as a sealed memory file; *fd. EBADMSG: damaged. */
int held_content(int folder, const char *name, int *fd);
/* Some may be removed in one go; they are gone for good once held_settle was called. */
int held_remove(int folder, const char *name);
int held_settle(int folder);
/* Removes files held before that time (seconds since 1970), and those that were never
 * finished; returns how many. */
size_t held_expire(int folder, int64_t before_s);
const char *held_name(uint64_t id, uint32_t index, char name[HELD_NAME_MAX]);
/* Whether name is one that held_name gives. */
bool held_name_parse(const char *name, uint64_t *id, uint32_t *index);
const char *held_kind_name(uint8_t kind);

#endif

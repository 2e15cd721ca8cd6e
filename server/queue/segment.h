/*
 * One file of the journal: making it, finding its records again. Blocking; no threads here.
 *
 * The first page is the header, twice, in different sectors: serial, salt, where the
 * predecessor's good bytes end, and which of its batches may be torn. A segment is made complete
 * under the name "spare-N" and synced before it is renamed to "journal-N", so a "journal-" file
 * with a bad header, or with another serial than its name's, was damaged or never used.
 */
#ifndef PN_QUEUE_SEGMENT_H
#define PN_QUEUE_SEGMENT_H

#include "buf.h"
#include "record.h"
#include "spool.h"

enum { SEGMENT_PAGE = RECORD_PAGE, SEGMENT_VERSION = 1, SEGMENT_NAME_MAX = 32 };

struct segment {
    struct segment *newer;
    uint64_t serial;
    uint64_t salt;
    uint64_t prev_serial; /* 0: the first ever */
    uint64_t prev_end;
    uint32_t
        prev_batch; /* the predecessor's last, if a start found it: it may be torn; 0: not so */
    uint64_t size;
    uint64_t end;   /* where the next batch goes: behind the last good record, at a page */
    uint32_t batch; /* number of the last batch in it */
    uint64_t live;  /* message records not released */
    int fd;         /* owned; for reading */
    int write_fd;   /* owned; past the page cache where possible; -1: read only */
    bool failed;    /* a write or sync failed: never again */
    bool damaged;   /* keep the file when it is free */
};

const char *segment_name(const char *kind, uint64_t serial, char name[SEGMENT_NAME_MAX]);
/* Whether name is "KIND-" and 16 hex digits. */
bool segment_name_parse(const char *name, const char *kind, uint64_t *serial);

/* Makes the file "spare-SERIAL" of size bytes, all written as zeros and synced; until it is
 * so, its name is "fill-SERIAL". 0 or errno. */
int segment_fill(int folder, uint64_t serial, uint64_t size);
/* Makes the file "spare-SPARE" the journal's segment serial behind prev (may be NULL), and
 * durable. NULL with errno. sync is fdatasync or a test's. */
struct segment *segment_begin(int folder, uint64_t spare, uint64_t serial,
                              const struct segment *prev, int (*sync)(int fd));
/* Opens "journal-SERIAL". NULL with errno; EBADMSG: its header is damaged or not its own;
 * EPROTONOSUPPORT: made by a newer version. */
struct segment *segment_open(int folder, uint64_t serial);
/* It is not written any more. */
void segment_close_write(struct segment *segment);
void segment_free(struct segment **segment);

struct segment_scan {
    /* body: meta, borrowed. */
    void (*record)(void *ctx, const struct record *record, uint64_t offset, struct pn_str meta);
    /* [from, to) is no record though good ones follow, or though it was acknowledged. unheard:
     * it is of the last batch alone that a process wrote before it went, for which nobody was
     * answered if the power went with it. */
    void (*damage)(void *ctx, uint64_t from, uint64_t to, bool unheard);
    void *ctx;
};

/* Walks the records up to stop, or for the newest segment (stop 0) to where they end,
 * and sets end and batch. unheard: from that batch on an older segment may be torn (0: none);
 * the newest's last batch may always be. 0 or errno (EPROTONOSUPPORT: a record of a newer
 * version). */
int segment_scan(struct segment *segment, uint64_t stop, uint32_t unheard,
                 const struct segment_scan *scan);

/* Reads exactly n bytes; 0 or errno (EBADMSG: the file is shorter). */
int segment_read(const struct segment *segment, uint64_t offset, void *out, size_t n);
struct record_place segment_place(const struct segment *segment, uint64_t offset);

#endif

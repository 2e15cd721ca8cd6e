/*
 * Records of the journal, as bytes: a header of RECORD_HEADER bytes, meta, content.
 *
 * All three have a CRC32C each. Each begins from a seed made of the segment's serial,
 * its salt and the record's offset, so that what an earlier life of a recycled segment
 * left behind is no record, nor is mail that was written to look like one: the salt is
 * random and never leaves the spool. Start-up checks header and meta; content is
 * checked when it is read, and at start-up for the last batch alone.
 *
 * The spool does not look into meta; the queue role does (message.h).
 */
#ifndef PN_QUEUE_RECORD_H
#define PN_QUEUE_RECORD_H

#include "str.h"

enum {
    RECORD_VERSION = 1,
    RECORD_HEADER = 64,
    RECORD_ALIGN = 64, /* records begin at multiples of this */
    RECORD_PAGE = 4096,
    RECORD_META_MAX = 8 * 1024 * 1024 /* a longer meta is no record */
};

enum record_type {
    RECORD_MESSAGE = 1, /* the whole message; the latest of an id counts */
    RECORD_PROGRESS,    /* what became of some of its recipients since */
    RECORD_END,         /* nothing is left to do for it */
    RECORD_TYPE_COUNT
};

struct record {
    uint8_t type;
    bool last;  /* of its batch: the next record begins at the next page */
    bool paged; /* content begins at a page of the file, and nothing else shares its pages */
    uint64_t id;
    uint32_t batch; /* counts the segment's batches from 1 */
    uint32_t meta_len;
    uint32_t content_at;   /* where content begins, from the record's beginning */
    uint64_t content_len;  /* bytes of it here; 0 where content_file has them */
    uint64_t content_file; /* number of a content file, or 0 */
    uint64_t content_size; /* bytes of the message's content, wherever it lies */
    uint32_t meta_crc;
    uint32_t content_crc;
};

/* Where a record lies, for its seed. */
struct record_place {
    uint64_t serial;
    uint64_t salt;
    uint64_t offset;
};

/* Sets content_at for a record at that offset. */
void record_lay(struct record *record, uint64_t offset);
/* Where the next record of the batch begins. */
uint64_t record_behind(const struct record *record, uint64_t offset);
uint32_t record_seed(const struct record_place *place);
void record_put(char header[RECORD_HEADER], const struct record *record,
                const struct record_place *place);

enum record_check {
    RECORD_GOOD,
    RECORD_NONE, /* no record begins here */
    RECORD_NEWER /* a record of a version that this binary does not know */
};
/* Checks the header alone, against left, the bytes from here to the segment's end. */
enum record_check record_get(const char header[RECORD_HEADER], const struct record_place *place,
                             uint64_t left, struct record *record);

#endif

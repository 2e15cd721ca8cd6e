/*
 * Inside the message folder only: the boundaries of open multiparts, and which of them a
 * line begins with.
 *
 * A stack, as containers nest: pushed with a number of the caller's, popped in reverse. A
 * search costs at most one look-up a byte of the line, however many are open: their
 * distinct lengths are kept sorted, and prefixes of those lengths are looked up by hash.
 */
#ifndef PN_BOUNDARY_H
#define PN_BOUNDARY_H

#include "buf.h"

enum {
    BOUNDARY_MAX = 1000, /* RFC 2046 says 70; what is longer than this is none */
    BOUNDARY_BUCKETS = 256,
};

struct boundary_entry {
    uint64_t hash;
    uint32_t at, len; /* in bytes */
    int32_t chain;    /* the entry below it in its bucket, or -1 */
    int32_t number;
};

struct boundary_length {
    uint32_t len, count;
};

struct boundaries {
    uint64_t seed;       /* a stranger chooses the keys */
    struct pn_buf bytes; /* owned, as are the next two */
    struct boundary_entry *v;
    size_t count, cap;
    struct boundary_length *lengths; /* ascending */
    size_t length_count, length_cap;
    int32_t buckets[BOUNDARY_BUCKETS];
};

void boundaries_init(struct boundaries *b);
void boundaries_fini(struct boundaries *b);
/* boundary has 1 to BOUNDARY_MAX bytes; copied. */
void boundaries_push(struct boundaries *b, struct pn_str boundary, int32_t number);
/* The last one pushed. */
void boundaries_pop(struct boundaries *b);
/* The number of the longest that text begins with (of equal ones the last pushed), and its
 * length; -1: none. */
int32_t boundaries_match(const struct boundaries *b, struct pn_str text, size_t *len);

#endif

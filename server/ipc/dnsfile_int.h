/*
 * Between dnsfile_read.c, which reads lines, and dnsfile.c, which orders and answers.
 */
#ifndef PN_DNSFILE_INT_H
#define PN_DNSFILE_INT_H

#include "dnsfile.h"
#include "pool.h"

enum { DNSFILE_SECURE = UINT16_MAX }; /* says something of the answer, is none */

/* One line: a record, or a state (rcode) for a type or, with type 0, for all. */
struct dnsfile_entry {
    const unsigned char *owner; /* wire form, pooled */
    uint8_t owner_len;
    bool state;
    uint16_t type;
    uint16_t rcode; /* of a state; or DNSFILE_SECURE */
    uint32_t ttl;
    struct pn_str data; /* pooled */
    uint32_t line, column;
};

struct dnsfile_entries {
    struct dnsfile_entry *e; /* owned: free() */
    size_t count, cap;
};

/* False: a mistake is described in err. */
bool dnsfile_read(struct pn_str text, const char *file, struct pn_pool *pool,
                  struct dnsfile_entries *out, struct pn_buf *err);

#endif

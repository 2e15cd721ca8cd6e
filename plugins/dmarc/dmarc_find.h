/*
 * Who the author is, and what vouches for whom: From fields, and results of spf and dkim.
 */
#ifndef DMARC_FIND_H
#define DMARC_FIND_H

#include "dmarc_engine.h"

enum {
    DMARC_AUTHORS_MAX = 4,
    DMARC_ADDRESSES_MAX = 50,
    DMARC_IDENTIFIERS_MAX = 64 /* as many results as the host keeps of a message */
};

struct dmarc_authors {
    struct dmarc_name list[DMARC_AUTHORS_MAX];
    size_t count;
    const char *problem; /* why the field is not as it should be; NULL: it is */
    bool unread;         /* there are authors that the list has not: too many, or malformed */
};

struct dmarc_identifiers {
    struct dmarc_identifier list[DMARC_IDENTIFIERS_MAX];
    size_t count;
};

/* Of several From fields each is read: a reader may show any of them. (RFC 9989, section 5.3.1
 * stops there, and lets us go on.) */
void dmarc_find_authors(struct postern_call *c, struct dmarc_authors *a);
/* Those that passed, and those that could not be checked now. */
void dmarc_find_identifiers(struct postern_call *c, struct dmarc_identifiers *ids);
/* A domain as DNS has it. False, and an empty name: none. */
bool dmarc_find_name(struct postern_call *c, struct postern_str text, struct dmarc_name *out);
bool dmarc_is_word(struct postern_str s, const char *word);
/* Of an authentication result; empty: none. */
struct postern_str dmarc_property(const struct postern_auth *a, const char *name);

#endif

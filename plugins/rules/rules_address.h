/*
 * Addresses of a header field as mail really has them: lenient where RFC 5322 is not, as
 * a rule wants to see what a careless mail program sees.
 */
#ifndef RULES_ADDRESS_H
#define RULES_ADDRESS_H

#include "rules_str.h"

enum { RULES_ADDRESSES_MAX = 256 };

struct rules_address {
    struct postern_str address; /* "local@domain"; empty: none that looks like one */
    struct postern_str name;    /* the phrase, or else the comment; not decoded */
};

/* Copies are from the arena. Returns how many, `max` at most. */
size_t rules_addresses(struct postern_str field, struct rules_arena *a, struct rules_address *out,
                       size_t max);

#endif

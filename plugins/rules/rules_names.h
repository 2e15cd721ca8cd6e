/*
 * Lists of names that rule files fill and tests ask: top level domains, domains where
 * anybody gets an address, hosts of a named list. Compared without case. Entries may hold
 * "*" and "?", which then stand for any bytes, and for one.
 */
#ifndef RULES_NAMES_H
#define RULES_NAMES_H

#include "rules_str.h"

enum rules_list {
    RULES_TLDS,
    RULES_TWO_TLDS, /* "co.uk": under it names are given to the public */
    RULES_THREE_TLDS,
    RULES_FREEMAIL,
    RULES_NOT_FREEMAIL,
    RULES_HOSTS,     /* "LIST host" */
    RULES_ADDRESSES, /* "LIST address" */
    RULES_TRUSTED,   /* networks whose relays are believed, as written */
    RULES_COMPAT,    /* "enable_compat" */
    RULES_LISTS
};

enum { RULES_NAMES_MAX = 100000 };

/* An entry with a star. Most are told by how they end. */
struct rules_globbed {
    uint64_t tail, mask; /* its last bytes, in small letters, up to the last star; of as many */
    uint32_t item;
};

struct rules_globs {
    struct rules_globbed *p;
    size_t count, room;
};

struct rules_names {
    struct rules_name *items;
    size_t count, room;
    uint32_t *table; /* index + 1 */
    size_t slots;
    size_t counts[RULES_LISTS];
    struct rules_globs globs[RULES_LISTS];
};

/* False when memory ran out or there are too many. */
bool rules_names_add(struct rules_names *n, struct rules_arena *a, enum rules_list list,
                     struct postern_str name);
void rules_names_clear(struct rules_names *n, enum rules_list list);
bool rules_names_has(const struct rules_names *n, enum rules_list list, struct postern_str name);
void rules_names_free(struct rules_names *n);
/* The i-th of a list, in the order of adding; .p NULL behind the last. */
struct postern_str rules_names_at(const struct rules_names *n, enum rules_list list, size_t i);

/* one_label: a star stands for no dot. */
bool rules_glob(struct postern_str pattern, struct postern_str name, bool one_label);

/* Does the host end in a top level domain? Where no list is loaded: in two letters or more. */
bool rules_domain_valid(const struct rules_names *n, struct postern_str host);
/* What of a host its owner has registered: "b.co.uk" of "a.b.co.uk". */
struct postern_str rules_domain_of(const struct rules_names *n, struct postern_str host);

#endif

/*
 * A set of UIDs or message numbers: sequence-set of RFC 9051, section 9. Ranges, sorted, apart
 * from each other and not adjacent, so that two equal sets print alike. 0 is in no set.
 *
 * Memory is bounded by `max` ranges fixed at birth; past it an addition fails and `overflow`
 * stays set, as with pn_buf. To add upwards costs constant time, elsewhere it moves what is behind.
 */
#ifndef PN_UIDSET_H
#define PN_UIDSET_H

#include "buf.h"

struct pn_uidrange {
    uint32_t first, last; /* both in it */
};

struct pn_uidset {
    struct pn_uidrange *v; /* owned */
    size_t count, cap, max;
    bool overflow;
};

enum { PN_UIDSET_MAX = 1024 * 1024 }; /* ranges: what a mailbox of two million messages can need */

void pn_uidset_init(struct pn_uidset *set, size_t max);
void pn_uidset_fini(struct pn_uidset *set);
void pn_uidset_clear(struct pn_uidset *set);
bool pn_uidset_add(struct pn_uidset *set, uint32_t first, uint32_t last);
bool pn_uidset_add_set(struct pn_uidset *set, const struct pn_uidset *other);
void pn_uidset_remove(struct pn_uidset *set, uint32_t first, uint32_t last);
/* What is in both stays. */
bool pn_uidset_intersect(struct pn_uidset *set, const struct pn_uidset *with);
bool pn_uidset_has(const struct pn_uidset *set, uint32_t n);
uint64_t pn_uidset_size(const struct pn_uidset *set);
/* "1:3,7"; nothing for an empty set. */
bool pn_uidset_print(const struct pn_uidset *set, struct pn_buf *out);
/* Parses a sequence-set, added to the set; star is what `*` stands for (0: the set is of nothing).
 * False: malformed (a 0, an empty part, more than 32 bits), or past the limit. */
bool pn_uidset_parse(struct pn_uidset *set, struct pn_str text, uint32_t star);

#endif

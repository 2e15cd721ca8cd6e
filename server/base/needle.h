/*
 * The first place of some bytes within others, fast: the two rarest bytes of the needle are looked
 * for sixteen places at a time (SSE2 where there is, else memmem). Linear in the length of the
 * haystack whatever is in it: where many places look alike, memmem takes over.
 */
#ifndef PN_NEEDLE_H
#define PN_NEEDLE_H

#include "str.h"

struct pn_needle {
    struct pn_str bytes;  /* borrowed */
    size_t first, second; /* offsets in it of its two rarest bytes */
};

void pn_needle_init(struct pn_needle *needle, struct pn_str bytes);
/* Offset of the first match at or after from, or SIZE_MAX. An empty needle matches at from. */
size_t pn_needle_find(const struct pn_needle *needle, struct pn_str s, size_t from);

#endif

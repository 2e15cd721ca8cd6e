/* A set of message numbers 1 to n, a bit each. All sets of one search are of the same size. */
#ifndef PN_SEARCH_BITS_H
#define PN_SEARCH_BITS_H

#include "mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct search_bits {
    uint64_t *w; /* owned */
    uint32_t n;
};

static inline size_t bits_words(const struct search_bits *b)
{
    return (size_t)b->n / 64 + 1;
}

/* Empty. */
static inline void bits_init(struct search_bits *b, uint32_t n)
{
    b->n = n;
    b->w = pn_calloc(bits_words(b), sizeof *b->w);
}

static inline void bits_fini(struct search_bits *b)
{
    free(b->w);
    b->w = NULL;
}

static inline void bits_clear(struct search_bits *b)
{
    memset(b->w, 0, bits_words(b) * sizeof *b->w);
}

static inline void bits_copy(struct search_bits *to, const struct search_bits *from)
{
    memcpy(to->w, from->w, bits_words(from) * sizeof *from->w);
}

static inline bool bits_has(const struct search_bits *b, uint32_t i)
{
    return (b->w[i / 64] >> i % 64 & 1) != 0;
}

static inline void bits_add(struct search_bits *b, uint32_t i)
{
    b->w[i / 64] |= UINT64_C(1) << i % 64;
}

static inline void bits_remove(struct search_bits *b, uint32_t i)
{
    b->w[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* first to last, cut to 1 to n. */
static inline void bits_add_range(struct search_bits *b, uint32_t first, uint32_t last)
{
    last = last > b->n ? b->n : last;
    for (uint32_t i = first; i <= last && i != 0;) {
        if (i % 64 == 0 && last - i >= 63) {
            b->w[i / 64] = UINT64_MAX;
            i += 64;
        } else {
            bits_add(b, i++);
        }
    }
}

/* i and all above it go. */
static inline void bits_remove_from(struct search_bits *b, uint32_t i)
{
    size_t at = i / 64;
    if (at < bits_words(b)) {
        b->w[at] &= ~(UINT64_MAX << i % 64);
        memset(b->w + at + 1, 0, (bits_words(b) - at - 1) * sizeof *b->w);
    }
}

static inline void bits_or(struct search_bits *to, const struct search_bits *with)
{
    for (size_t i = 0; i < bits_words(to); i++)
        to->w[i] |= with->w[i];
}

static inline void bits_and(struct search_bits *to, const struct search_bits *with)
{
    for (size_t i = 0; i < bits_words(to); i++)
        to->w[i] &= with->w[i];
}

static inline void bits_without(struct search_bits *to, const struct search_bits *with)
{
    for (size_t i = 0; i < bits_words(to); i++)
        to->w[i] &= ~with->w[i];
}

static inline uint32_t bits_count(const struct search_bits *b)
{
    uint32_t count = 0;
    for (size_t i = 0; i < bits_words(b); i++)
        count += (uint32_t)__builtin_popcountll(b->w[i]);
    return count;
}

/* The first at or above i; 0: none. */
static inline uint32_t bits_next(const struct search_bits *b, uint32_t i)
{
    size_t at = i / 64, words = bits_words(b);
    uint64_t w = at < words ? b->w[at] & (UINT64_MAX << i % 64) : 0;
    while (w == 0 && ++at < words)
        w = b->w[at];
    return w == 0 ? 0 : (uint32_t)(at * 64 + (size_t)__builtin_ctzll(w));
}

/* The last one; 0: none. */
static inline uint32_t bits_last(const struct search_bits *b)
{
    for (size_t at = bits_words(b); at > 0; at--)
        if (b->w[at - 1] != 0)
            return (uint32_t)((at - 1) * 64 + 63 - (size_t)__builtin_clzll(b->w[at - 1]));
    return 0;
}

#endif

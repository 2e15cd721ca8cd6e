#include "crlf.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void pn_crlf_init(struct pn_crlf *c, struct pn_str content)
{
    pn_assert(content.len < UINT32_MAX);
    *c = (struct pn_crlf){.content = content};
}

void pn_crlf_fini(struct pn_crlf *c)
{
    free(c->before);
    *c = (struct pn_crlf){.known = 0};
}

static bool is_bare(struct pn_str content, size_t at)
{
    return content.p[at] == '\n' && (at == 0 || content.p[at - 1] != '\r');
}

#ifdef __SSE2__
static __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Blocks of 16 bytes, as many as there are whole ones; `p` is not the first byte of content.
 * The counts gather in 16 byte-wide lanes, emptied before one can overflow. */
static uint32_t count_blocks(const char *p, size_t blocks)
{
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
    __m128i sums = zero;
    while (blocks > 0) {
        size_t n = blocks < 255 ? blocks : 255;
        __m128i lanes = zero;
        blocks -= n;
        for (; n > 0; n--, p += 16) {
            __m128i is_lf = _mm_cmpeq_epi8(load(p), lf),
                    behind_cr = _mm_cmpeq_epi8(load(p - 1), cr);
            lanes = _mm_sub_epi8(lanes, _mm_andnot_si128(behind_cr, is_lf));
        }
        sums = _mm_add_epi64(sums, _mm_sad_epu8(lanes, zero));
    }
    return (uint32_t)(_mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_srli_si128(sums, 8)));
}
#else
static uint32_t count_blocks(const char *p, size_t blocks)
{
    uint32_t n = 0;
    for (size_t i = 0; i < 16 * blocks; i++)
        n += p[i] == '\n' && p[i - 1] != '\r';
    return n;
}
#endif

/* LFs of [from, to) that count twice. */
static uint32_t count_bare(struct pn_str content, size_t from, size_t to)
{
    uint32_t n = 0;
    if (from == 0 && from < to)
        n += is_bare(content, from++);
    if (to > from + 16) {
        size_t blocks = (to - from) / 16;
        n += count_blocks(content.p + from, blocks);
        from += 16 * blocks;
    }
    for (; from < to; from++)
        n += is_bare(content, from);
    return n;
}

/* Of block n, which begins within content or at its end. */
static uint32_t before_block(struct pn_crlf *c, size_t n)
{
    if (n == 0)
        return 0;
    while (c->known < n) {
        size_t from = c->known * PN_CRLF_BLOCK;
        uint32_t here = count_bare(c->content, from, from + PN_CRLF_BLOCK);
        c->before = pn_grow(c->before, &c->cap, c->known, sizeof *c->before);
        c->before[c->known] = here + (c->known == 0 ? 0 : c->before[c->known - 1]);
        c->known++;
    }
    return c->before[n - 1];
}

static uint64_t count_before(struct pn_crlf *c, size_t at)
{
    size_t block = at / PN_CRLF_BLOCK;
    return before_block(c, block) + (uint64_t)count_bare(c->content, block * PN_CRLF_BLOCK, at);
}

uint64_t pn_crlf_size(struct pn_crlf *c, size_t from, size_t to)
{
    pn_assert(from <= to && to <= c->content.len);
    if (to - from <= PN_CRLF_BLOCK)
        return to - from + count_bare(c->content, from, to);
    return to - from + (count_before(c, to) - count_before(c, from));
}

/* The last block that begins at or before octet `target` of the whole. */
static size_t find_block(struct pn_crlf *c, uint64_t target)
{
    size_t last = c->content.len / PN_CRLF_BLOCK, low = 0;
    size_t high = c->known < last ? c->known : last;
    if ((uint64_t)high * PN_CRLF_BLOCK + before_block(c, high) <= target) {
        while (high < last &&
               (uint64_t)(high + 1) * PN_CRLF_BLOCK + before_block(c, high + 1) <= target)
            high++;
        return high;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if ((uint64_t)middle * PN_CRLF_BLOCK + before_block(c, middle) <= target)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct pn_crlf_place pn_crlf_seek(struct pn_crlf *c, size_t from, uint64_t count)
{
    pn_assert(from <= c->content.len);
    if (count >= 2 * (uint64_t)(c->content.len - from))
        return (struct pn_crlf_place){c->content.len, false};
    uint64_t target = from + count_before(c, from) + count;
    size_t block = find_block(c, target), at = block * PN_CRLF_BLOCK;
    uint64_t octet = at + before_block(c, block);
    while (octet < target && at < c->content.len) {
        bool bare = is_bare(c->content, at);
        if (bare && octet + 1 == target)
            return (struct pn_crlf_place){at, true};
        octet += 1U + bare;
        at++;
    }
    return (struct pn_crlf_place){at, false};
}

/* The octets of one byte of content, at most two of them and `room`. */
static size_t copy_byte(struct pn_str content, struct pn_crlf_place *place, char nul, char *to,
                        size_t room)
{
    size_t n = 0;
    char c = content.p[place->at];
    if (!place->half && is_bare(content, place->at)) {
        to[n++] = '\r';
        place->half = true;
    }
    if (n == room)
        return n;
    to[n++] = c == '\0' ? nul : c;
    place->half = false;
    place->at++;
    return n;
}

/* As much as can be copied 16 bytes at a time. */
#ifdef __SSE2__
static size_t copy_blocks(struct pn_str content, struct pn_crlf_place *place, size_t end, char nul,
                          char *to, size_t room)
{
    const __m128i lf = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
    const char *p = content.p + place->at, *stop = content.p + end;
    char *q = to, *full = to + room;
    while (stop - p >= 16 && full - q >= 18) {
        __m128i v = load(p);
        _mm_storeu_si128((__m128i *)(void *)q, v);
        unsigned hits = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, zero)));
        if (hits == 0) {
            p += 16;
            q += 16;
            continue;
        }
        size_t n = (size_t)__builtin_ctz(hits);
        p += n;
        q += n;
        if (is_bare(content, (size_t)(p - content.p)))
            *q++ = '\r';
        *q++ = *p == '\0' ? nul : *p;
        p++;
    }
    place->at = (size_t)(p - content.p);
    return (size_t)(q - to);
}
#else
static size_t copy_blocks(struct pn_str content, struct pn_crlf_place *place, size_t end, char nul,
                          char *to, size_t room)
{
    size_t n = 0;
    while (place->at < end && n + 1 < room)
        n += copy_byte(content, place, nul, to + n, 2);
    return n;
}
#endif

size_t pn_crlf_copy(struct pn_str content, struct pn_crlf_place *place, size_t end, char nul,
                    char *to, size_t room)
{
    size_t n = 0;
    pn_assert(end <= content.len);
    if (place->half && place->at < end && room > 0)
        n += copy_byte(content, place, nul, to, 1);
    if (!place->half && place->at < end)
        n += copy_blocks(content, place, end, nul, to + n, room - n);
    while (place->at < end && n < room)
        n += copy_byte(content, place, nul, to + n, room - n);
    return n;
}

#include "message_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct pn_str scan_line(const char *p, const char *end)
{
    const char *lf = p == end ? NULL : memchr(p, '\n', (size_t)(end - p));
    return (struct pn_str){p, (size_t)((lf == NULL ? end : lf + 1) - p)};
}

size_t scan_eol(struct pn_str line)
{
    if (line.len == 0 || line.p[line.len - 1] != '\n')
        return 0;
    return line.len > 1 && line.p[line.len - 2] == '\r' ? 2 : 1;
}

#ifdef __SSE2__
static uint32_t sum_bytes(__m128i v)
{
    __m128i sums = _mm_sad_epu8(v, _mm_setzero_si128());
    return (uint32_t)(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
}

/*
 * Passes blocks of 32 bytes that hold no LF followed by a dash, counting the LFs; returns
 * where it stopped. The counts gather in 16 byte-wide lanes, emptied before one can
 * overflow, as a population count per block would cost more than the search.
 */
static const char *skip_blocks(const char *p, const char *end, uint32_t *lines)
{
    const __m128i lf = _mm_set1_epi8('\n'), dash = _mm_set1_epi8('-');
    __m128i count = _mm_setzero_si128();
    unsigned rounds = 0;
    for (; end - p > 32; p += 32) {
        __m128i lf0 = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), lf);
        __m128i lf1 = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)), lf);
        __m128i d0 = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), dash);
        __m128i d1 = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 17)), dash);
        __m128i hit = _mm_or_si128(_mm_and_si128(lf0, d0), _mm_and_si128(lf1, d1));
        if (_mm_movemask_epi8(hit) != 0)
            break;
        count = _mm_sub_epi8(count, _mm_add_epi8(lf0, lf1));
        if (++rounds == 127) {
            *lines += sum_bytes(count);
            count = _mm_setzero_si128();
            rounds = 0;
        }
    }
    *lines += sum_bytes(count);
    return p;
}
#else
static const char *skip_blocks(const char *p, const char *end, uint32_t *lines)
{
    (void)end;
    (void)lines;
    return p;
}
#endif

const char *scan_dashes(const char *p, const char *end, uint32_t *lines)
{
    while (p != end) {
        if (end - p >= 2 && p[0] == '-' && p[1] == '-')
            return p;
        /* From the middle of a line on: the block search looks at LFs only. */
        p = skip_blocks(p, end, lines);
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (lf == NULL)
            return end;
        (*lines)++;
        p = lf + 1;
    }
    return end;
}

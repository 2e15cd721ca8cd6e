#include "needle.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* How common a byte is in folded text of mail, roughly: higher is more. */
static unsigned common(unsigned char c)
{
    static const char order[] = "e taoinsrhldcumpfgywbv.,-k:/=0123\"'>()_<4598";
    const char *at = c == 0 ? NULL : strchr(order, c);
    if (at != NULL)
        return 64 + (unsigned)(sizeof order - (size_t)(at - order));
    return c >= 0x80 ? 48 : 16;
}

void pn_needle_init(struct pn_needle *needle, struct pn_str bytes)
{
    *needle = (struct pn_needle){.bytes = bytes};
    unsigned best = UINT32_MAX, next = UINT32_MAX;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned c = common((unsigned char)bytes.p[i]);
        if (c < best) {
            needle->second = needle->first;
            next = best;
            needle->first = i;
            best = c;
        } else if (c < next) {
            needle->second = i;
            next = c;
        }
    }
    if (next == UINT32_MAX)
        needle->second = needle->first;
}

static size_t find_slow(struct pn_str needle, struct pn_str s, size_t from)
{
    const char *at = memmem(s.p + from, s.len - from, needle.p, needle.len);
    return at == NULL ? SIZE_MAX : (size_t)(at - s.p);
}

#ifdef __SSE2__
enum { STEP = 16, WASTE = 8 }; /* bytes compared in vain a byte of haystack, before it is slow */

/* Is the needle at one of the places in mask, relative to `at`? */
static size_t check(const struct pn_needle *needle, struct pn_str s, size_t at, unsigned mask,
                    size_t *waste)
{
    for (; mask != 0; mask &= mask - 1) {
        size_t place = at + (unsigned)__builtin_ctz(mask);
        if (memcmp(s.p + place, needle->bytes.p, needle->bytes.len) == 0)
            return place;
        *waste += needle->bytes.len;
    }
    return SIZE_MAX;
}

static unsigned alike(const char *p, __m128i byte)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), byte));
}

size_t pn_needle_find(const struct pn_needle *needle, struct pn_str s, size_t from)
{
    size_t len = needle->bytes.len, at = from, waste = 0;
    if (len == 0 || from > s.len || s.len - from < len)
        return len == 0 && from <= s.len ? from : SIZE_MAX;
    const char *first = s.p + needle->first, *second = s.p + needle->second;
    const __m128i a = _mm_set1_epi8(needle->bytes.p[needle->first]);
    const __m128i b = _mm_set1_epi8(needle->bytes.p[needle->second]);
    /* Places at to at + 15 are looked at while the needle fits at the last of them. */
    for (; s.len - at >= len + STEP - 1; at += STEP) {
        unsigned mask = alike(first + at, a);
        if (mask == 0 || (mask &= alike(second + at, b)) == 0)
            continue;
        size_t found = check(needle, s, at, mask, &waste);
        if (found != SIZE_MAX)
            return found;
        if (waste > 4096 && waste / WASTE > at - from)
            break;
    }
    return s.len - at < len ? SIZE_MAX : find_slow(needle->bytes, s, at);
}
#else
size_t pn_needle_find(const struct pn_needle *needle, struct pn_str s, size_t from)
{
    size_t len = needle->bytes.len;
    if (len == 0 || from > s.len || s.len - from < len)
        return len == 0 && from <= s.len ? from : SIZE_MAX;
    return find_slow(needle->bytes, s, from);
}
#endif

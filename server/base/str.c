#include "str.h"

#include <strings.h>

bool pn_str_eq(struct pn_str a, struct pn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool pn_str_ieq(struct pn_str a, struct pn_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (pn_lower(a.p[i]) != pn_lower(b.p[i]))
            return false;
    return true;
}

int pn_str_cmp(struct pn_str a, struct pn_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (c != 0)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

bool pn_str_starts(struct pn_str s, struct pn_str prefix)
{
    return s.len >= prefix.len && pn_str_eq(pn_str_slice(s, 0, prefix.len), prefix);
}

bool pn_str_istarts(struct pn_str s, struct pn_str prefix)
{
    return s.len >= prefix.len && pn_str_ieq(pn_str_slice(s, 0, prefix.len), prefix);
}

bool pn_str_ends(struct pn_str s, struct pn_str suffix)
{
    return s.len >= suffix.len && pn_str_eq(pn_str_slice(s, s.len - suffix.len, s.len), suffix);
}

bool pn_str_iends(struct pn_str s, struct pn_str suffix)
{
    return s.len >= suffix.len && pn_str_ieq(pn_str_slice(s, s.len - suffix.len, s.len), suffix);
}

size_t pn_str_find(struct pn_str s, char c, size_t from)
{
    if (from >= s.len)
        return SIZE_MAX;
    const char *hit = memchr(s.p + from, c, s.len - from);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - s.p);
}

/* RFC 5321, section 4.1.2: what needs no quotes. */
static bool is_dot_string(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127 ||
            strchr("\"(),:;<>@[\\]", s.p[i]) != NULL ||
            (s.p[i] == '.' && (i == 0 || i + 1 == s.len || s.p[i + 1] == '.')))
            return false;
    return s.len != 0;
}

struct pn_str pn_str_untagged(struct pn_str local, char delimiter, struct pn_str *tag)
{
    bool quoted = local.len > 2 && local.p[0] == '"';
    size_t first = quoted ? 1 : 0, end = local.len - first;
    size_t at = delimiter == '\0' ? SIZE_MAX : pn_str_find(local, delimiter, first + 1);
    struct pn_str none = {"", 0};
    if (tag != NULL)
        *tag = none;
    if (at == SIZE_MAX || (quoted && !is_dot_string(pn_str_slice(local, first, at))))
        return local;
    struct pn_str behind = pn_str_slice(local, at + 1, end);
    if (tag != NULL && !(quoted && pn_str_find(behind, '\\', 0) != SIZE_MAX))
        *tag = behind;
    return pn_str_slice(local, first, at);
}

bool pn_str_is_ascii(struct pn_str s)
{
    uint64_t high = 0, word;
    size_t at = 0;
    for (; s.len - at >= sizeof word && (high & UINT64_C(0x8080808080808080)) == 0;
         at += sizeof word) {
        memcpy(&word, s.p + at, sizeof word);
        high |= word;
    }
    for (; at < s.len && s.len - at < sizeof word; at++)
        high |= (unsigned char)s.p[at];
    return (high & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct pn_str pn_str_trim(struct pn_str s)
{
    size_t from = 0, to = s.len;
    while (from < to && is_blank(s.p[from]))
        from++;
    while (to > from && is_blank(s.p[to - 1]))
        to--;
    return pn_str_slice(s, from, to);
}

struct pn_str pn_str_split(struct pn_str *s, char sep)
{
    struct pn_str whole = *s;
    size_t at = pn_str_find(whole, sep, 0);
    if (at == SIZE_MAX) {
        *s = (struct pn_str){NULL, 0};
        return whole;
    }
    *s = pn_str_slice(whole, at + 1, whole.len);
    return pn_str_slice(whole, 0, at);
}

bool pn_str_u64(struct pn_str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!pn_is_digit(s.p[i]))
            return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (max - (d > max ? max : d)) / 10 || d > max)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool pn_str_glob(struct pn_str pattern, struct pn_str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.len) {
        if (p < pattern.len && pattern.p[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.len &&
                   (pattern.p[p] == '?' || pn_lower(pattern.p[p]) == pn_lower(s.p[i]))) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.p[p] == '*')
        p++;
    return p == pattern.len;
}

uint64_t pn_str_hash(struct pn_str s, uint64_t seed, bool fold)
{
    /* FNV-1a with a final avalanche: short keys, and no block reads past the end. */
    uint64_t h = 0xcbf29ce484222325U ^ seed;
    for (size_t i = 0; i < s.len; i++) {
        char c = fold ? pn_lower(s.p[i]) : s.p[i];
        h = (h ^ (unsigned char)c) * 0x100000001b3U;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdU;
    h ^= h >> 33;
    return h;
}

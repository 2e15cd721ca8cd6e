/* Bytes as SPF reads them: views without case, and text with an end. */
#ifndef SPF_TEXT_H
#define SPF_TEXT_H

#include <postern/plugin.h>

#include <stdbool.h>
#include <string.h>

static inline char spf_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool spf_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool spf_is_alpha(char c)
{
    return spf_lower(c) >= 'a' && spf_lower(c) <= 'z';
}

static inline struct postern_str spf_slice(struct postern_str s, size_t from, size_t to)
{
    return (struct postern_str){s.p + from, to - from};
}

static inline bool spf_ieq(struct postern_str a, struct postern_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (spf_lower(a.p[i]) != spf_lower(b.p[i]))
            return false;
    return true;
}

static inline bool spf_istarts(struct postern_str s, struct postern_str prefix)
{
    return s.len >= prefix.len && spf_ieq(spf_slice(s, 0, prefix.len), prefix);
}

/* Offset of c, or s.len. */
static inline size_t spf_find(struct postern_str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.p, c, s.len);
    return at == NULL ? s.len : (size_t)(at - s.p);
}

/* Appends to room of a fixed size; what does not fit sets `full` and is lost. */
struct spf_text {
    char *p;
    size_t len, max;
    bool full;
};

static inline void spf_add(struct spf_text *t, const char *p, size_t n)
{
    if (n > t->max - t->len) {
        t->full = true;
        return;
    }
    if (n != 0)
        memcpy(t->p + t->len, p, n);
    t->len += n;
}

static inline void spf_addc(struct spf_text *t, char c)
{
    spf_add(t, &c, 1);
}

#endif

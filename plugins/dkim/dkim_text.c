#include "dkim_text.h"

struct postern_str dkim_split(struct postern_str *s, char sep)
{
    const char *end = memchr(s->p, sep, s->len);
    struct postern_str item = *s;

    if (end == NULL) {
        *s = (struct postern_str){NULL, 0};
        return dkim_trim(item);
    }
    item.len = (size_t)(end - s->p);
    s->p = end + 1;
    s->len -= item.len + 1;
    return dkim_trim(item);
}

bool dkim_list_has(struct postern_str list, struct postern_str word)
{
    while (list.p != NULL)
        if (dkim_ieq(dkim_split(&list, ':'), word))
            return true;
    return false;
}

bool dkim_number(struct postern_str s, uint64_t *out)
{
    uint64_t n = 0;

    if (s.len == 0 || s.len > 12)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = n;
    return true;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

long dkim_base64(struct postern_str s, unsigned char *out, size_t max)
{
    uint32_t bits = 0;
    size_t n = 0;
    size_t digits = 0;
    size_t pads = 0;

    for (size_t i = 0; i < s.len; i++) {
        int v = base64_value(s.p[i]);

        if (dkim_is_fws(s.p[i]))
            continue;
        if (s.p[i] == '=') {
            if (++pads > 2)
                return -1;
            continue;
        }
        if (v < 0 || pads > 0)
            return -1;
        bits = bits << 6 | (uint32_t)v;
        if (++digits % 4 == 1)
            continue;
        if (n == max)
            return -1;
        out[n++] = (unsigned char)(bits >> (6 - 2 * ((digits - 1) % 4)));
    }
    if (digits % 4 == 1 || (pads > 0 && (digits + pads) % 4 != 0))
        return -1;
    return (long)n;
}

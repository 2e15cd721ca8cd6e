#include "utf8.h"

#include "buf.h"

static bool in(struct pn_str s, size_t i, unsigned lo, unsigned hi)
{
    return i < s.len && (unsigned char)s.p[i] >= lo && (unsigned char)s.p[i] <= hi;
}

size_t pn_utf8_next(struct pn_str s)
{
    if (s.len == 0)
        return 0;
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return in(s, 1, 0x80, 0xbf) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        unsigned lo = c == 0xe0 ? 0xa0 : 0x80, hi = c == 0xed ? 0x9f : 0xbf;
        return in(s, 1, lo, hi) && in(s, 2, 0x80, 0xbf) ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        unsigned lo = c == 0xf0 ? 0x90 : 0x80, hi = c == 0xf4 ? 0x8f : 0xbf;
        return in(s, 1, lo, hi) && in(s, 2, 0x80, 0xbf) && in(s, 3, 0x80, 0xbf) ? 4 : 0;
    }
    return 0;
}

bool pn_utf8_valid(struct pn_str s)
{
    uint64_t word = 0;
    for (size_t i = 0; i < s.len;) {
        /* Most text is ASCII: eight bytes at a time. */
        while (s.len - i >= 8 && (memcpy(&word, s.p + i, 8), word & 0x8080808080808080U) == 0)
            i += 8;
        if (i == s.len)
            break;
        size_t n = pn_utf8_next(pn_str_slice(s, i, s.len));
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

bool pn_utf8_add_shown(struct pn_buf *b, struct pn_str s)
{
    bool ok = true;
    for (size_t i = 0; i < s.len && ok;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = pn_utf8_next(pn_str_slice(s, i, s.len));
        bool control =
            c < 0x20 || c == 0x7f || (c == 0xc2 && n == 2 && (unsigned char)s.p[i + 1] < 0xa0);
        ok = n == 0 || control ? pn_buf_addc(b, '?') : pn_buf_add(b, s.p + i, n);
        i += n == 0 ? 1 : n;
    }
    return ok;
}

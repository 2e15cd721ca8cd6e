#include "utf8_code.h"

#include "utf8.h"

uint32_t utf8_read(struct pn_str s, size_t *len)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = pn_utf8_next(s);
    *len = n == 0 ? 1 : n;
    if (n == 0)
        return 0xfffd;
    uint32_t code = (unsigned char)s.p[0] & mask[n];
    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)s.p[i] & 63);
    return code;
}

size_t utf8_write(char to[4], uint32_t code)
{
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        code = 0xfffd;
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i > 1; i--, code >>= 6)
        to[i - 1] = (char)(0x80 | (code & 63));
    to[0] = (char)(lead[n] | code);
    return n;
}

bool utf8_add(struct pn_buf *out, uint32_t code)
{
    char bytes[4];
    return pn_buf_add(out, bytes, utf8_write(bytes, code));
}

#include "codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void pn_base64_encode(struct pn_buf *out, struct pn_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t left = bytes.len;
    char *to = left > SIZE_MAX / 2 ? NULL : pn_buf_reserve(out, (left + 2) / 3 * 4);
    if (to == NULL)
        return;
    for (; left > 0; p += 3, to += 4) {
        size_t n = left < 3 ? left : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        to[0] = alphabet[v >> 18];
        to[1] = alphabet[v >> 12 & 63];
        to[2] = n > 1 ? alphabet[v >> 6 & 63] : '=';
        to[3] = n > 2 ? alphabet[v & 63] : '=';
        left -= n;
    }
    out->len += (bytes.len + 2) / 3 * 4;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (pn_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool pn_base64_decode(struct pn_buf *out, struct pn_str text)
{
    size_t start = out->len;
    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t pad = 0;
        if (i + 4 == text.len && text.p[i + 3] == '=')
            pad = text.p[i + 2] == '=' ? 2 : 1;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < 4 - pad ? value_of(text.p[i + k]) : 0;
            if (d < 0)
                goto bad;
            v = v << 6 | (uint32_t)d;
        }
        /* Bits that the padding leaves over must be zero: one text a value. */
        if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
            goto bad;
        char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        if (!pn_buf_add(out, bytes, 3 - pad))
            goto bad;
    }
    return true;
bad:
    out->len = start;
    return false;
}

static uint32_t crc_table[256];

__attribute__((constructor)) static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78U : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_bytes(uint32_t crc, const unsigned char *p, size_t n)
{
    while (n-- > 0)
        crc = crc_table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_fast(uint32_t crc, const unsigned char *p,
                                                           size_t n)
{
    uint64_t c = crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        c = __builtin_ia32_crc32di(c, v);
    }
    return crc_bytes((uint32_t)c, p, n);
}
#endif

uint32_t pn_crc32c(uint32_t crc, const void *p, size_t n)
{
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_fast(crc, p, n);
#endif
    return ~crc_bytes(crc, p, n);
}

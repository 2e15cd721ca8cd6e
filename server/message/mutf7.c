#include "mutf7.h"

#include "utf8.h"
#include "utf8_code.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int sextet_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (pn_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static bool is_direct(uint32_t code)
{
    return code >= 0x20 && code <= 0x7e;
}

/* UTF-16 on its way to UTF-8: a high surrogate waits for its low one. */
static bool add_unit(struct pn_buf *out, uint32_t unit, uint32_t *high)
{
    bool low = unit >= 0xdc00 && unit <= 0xdfff;
    if (low != (*high != 0) || unit == 0 || is_direct(unit))
        return false;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        *high = unit;
        return true;
    }
    uint32_t code = low ? 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00) : unit;
    *high = 0;
    return utf8_add(out, code);
}

/* What stands between "&" and "-": whole units, zero bits behind the last. */
static bool decode_shift(struct pn_str text, struct pn_buf *out)
{
    uint32_t bits = 0, high = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.len; i++) {
        int sextet = sextet_of(text.p[i]);
        if (sextet < 0)
            return false;
        bits = bits << 6 | (uint32_t)sextet;
        held += 6;
        if (held < 16)
            continue;
        held -= 16;
        if (!add_unit(out, bits >> held & 0xffff, &high))
            return false;
        bits &= (1U << held) - 1;
    }
    return high == 0 && held < 6 && bits == 0;
}

bool pn_mutf7_decode(struct pn_str name, struct pn_buf *out)
{
    size_t len = out->len;
    bool ok = true, shifted = false;
    for (size_t i = 0; i < name.len && ok; i++) {
        if (name.p[i] != '&') {
            ok = is_direct((unsigned char)name.p[i]) && pn_buf_addc(out, name.p[i]);
            shifted = false;
            continue;
        }
        size_t end = pn_str_find(name, '-', i + 1);
        if (end == i + 1)
            ok = pn_buf_addc(out, '&');
        else
            ok = end != SIZE_MAX && !shifted && decode_shift(pn_str_slice(name, i + 1, end), out);
        shifted = end != i + 1;
        i = end;
    }
    if (!ok)
        out->len = len;
    return ok;
}

/* Bits on their way to the alphabet. */
struct shift {
    uint32_t bits;
    unsigned held;
    bool open;
};

static bool put_unit(struct shift *s, uint32_t unit, struct pn_buf *out)
{
    bool ok = s->open || pn_buf_addc(out, '&');
    s->open = true;
    s->bits = s->bits << 16 | unit;
    s->held += 16;
    for (; s->held >= 6 && ok; s->held -= 6)
        ok = pn_buf_addc(out, alphabet[s->bits >> (s->held - 6) & 63]);
    s->bits &= (1U << s->held) - 1;
    return ok;
}

static bool end_shift(struct shift *s, struct pn_buf *out)
{
    if (!s->open)
        return true;
    bool ok = s->held == 0 || pn_buf_addc(out, alphabet[s->bits << (6 - s->held) & 63]);
    *s = (struct shift){.open = false};
    return ok && pn_buf_addc(out, '-');
}

static bool encode_code(struct shift *s, uint32_t code, struct pn_buf *out)
{
    if (is_direct(code))
        return end_shift(s, out) && pn_buf_addc(out, (char)code) &&
               (code != '&' || pn_buf_addc(out, '-'));
    if (code < 0x10000)
        return put_unit(s, code, out);
    code -= 0x10000;
    return put_unit(s, 0xd800 | code >> 10, out) && put_unit(s, 0xdc00 | (code & 0x3ff), out);
}

bool pn_mutf7_encode(struct pn_str utf8, struct pn_buf *out)
{
    size_t len = out->len, n = 0;
    struct shift s = {.open = false};
    bool ok = pn_utf8_valid(utf8) && pn_str_find(utf8, '\0', 0) == SIZE_MAX;
    for (size_t i = 0; i < utf8.len && ok; i += n)
        ok = encode_code(&s, utf8_read(pn_str_slice(utf8, i, utf8.len), &n), out);
    ok = ok && end_shift(&s, out);
    if (!ok)
        out->len = len;
    return ok;
}

#include "lex.h"
#include "link_priv.h"
#include "utf8_code.h"

#include <stdio.h>

enum { LABEL_MAX = 63 };

/* ---- code points, as a browser maps them before it looks a name up (UTS 46, the part
 * of it that is used to disguise names) */

/* Is it dropped wherever it stands? Soft hyphen, joiners, zero-width blanks. */
static bool is_nothing(uint32_t c)
{
    return c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200d) || c == 0x2060 || c == 0xfeff;
}

static uint32_t fold(uint32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e) /* full-width ASCII */
        c -= 0xff01 - 0x21;
    if (c == 0x3002 || c == 0xff61)
        return '.';
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
        (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

/* ---- Punycode: RFC 3492, section 6.3 */

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / 700 : delta / 2;
    delta += delta / count;
    for (; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

static void add_digits(struct pn_buf *out, uint32_t q, uint32_t bias)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (uint32_t k = 36;; k += 36) {
        uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (q < t)
            break;
        (void)pn_buf_addc(out, digits[t + (q - t) % (36 - t)]);
        q = (q - t) / (36 - t);
    }
    (void)pn_buf_addc(out, digits[q]);
}

static void add_punycode(struct pn_buf *out, const uint32_t *label, size_t n)
{
    uint32_t code = 128, delta = 0, bias = 72, done = 0;
    (void)pn_buf_addz(out, "xn--");
    for (size_t i = 0; i < n; i++)
        if (label[i] < 128) {
            (void)pn_buf_addc(out, (char)label[i]);
            done++;
        }
    uint32_t basic = done;
    if (basic > 0)
        (void)pn_buf_addc(out, '-');
    while (done < n) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < n; i++)
            if (label[i] >= code && label[i] < next)
                next = label[i];
        delta += (next - code) * (done + 1); /* at most 63 * 0x10ffff a step: no overflow */
        code = next;
        for (size_t i = 0; i < n; i++) {
            delta += label[i] < code;
            if (label[i] == code) {
                add_digits(out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done++;
            }
        }
        delta++;
        code++;
    }
}

/* ---- hosts */

static bool is_name_byte(uint32_t c)
{
    return c < 128 && (pn_is_alpha((char)c) || pn_is_digit((char)c) || c == '-' || c == '_');
}

static bool add_label(struct pn_buf *out, const uint32_t *label, size_t n)
{
    bool ascii = true;
    size_t len = out->len;
    for (size_t i = 0; i < n; i++) {
        if (label[i] < 128 && !is_name_byte(label[i]))
            return false;
        ascii = ascii && label[i] < 128;
    }
    if (n == 0 || n > LABEL_MAX)
        return false;
    if (!ascii)
        add_punycode(out, label, n);
    for (size_t i = 0; i < n && ascii; i++)
        (void)pn_buf_addc(out, (char)label[i]);
    return out->len - len <= LABEL_MAX;
}

/* Percent escapes undone, into bytes of at most max. */
static size_t unescape(struct pn_str raw, char *to, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len && n < max; i++) {
        char c = raw.p[i];
        if (c == '%' && i + 2 < raw.len && lex_hex(raw.p[i + 1]) >= 0 &&
            lex_hex(raw.p[i + 2]) >= 0) {
            c = (char)(lex_hex(raw.p[i + 1]) << 4 | lex_hex(raw.p[i + 2]));
            i += 2;
        }
        to[n++] = c;
    }
    return n;
}

static bool add_labels(struct pn_str name, struct pn_buf *out)
{
    uint32_t label[LABEL_MAX + 1];
    size_t n = 0, len = out->len;
    for (size_t at = 0, step; at < name.len; at += step) {
        uint32_t c = fold(utf8_read(pn_str_slice(name, at, name.len), &step));
        if (is_nothing(c))
            continue;
        if (c == '.') {
            if (!add_label(out, label, n) || !pn_buf_addc(out, '.'))
                return false;
            n = 0;
        } else if (c == 0xfffd || n == LABEL_MAX) {
            return false;
        } else {
            label[n++] = c;
        }
    }
    if (n == 0 && out->len > len) { /* a last dot */
        out->len--;
        return true;
    }
    return add_label(out, label, n);
}

/* One number of an address: decimal, 0x hexadecimal, or octal with a leading 0. */
static bool ip_number(struct pn_str s, uint64_t *out)
{
    unsigned base = 10;
    if (s.len > 1 && s.p[0] == '0') {
        base = s.p[1] == 'x' ? 16 : 8;
        s = pn_str_slice(s, base == 16 ? 2 : 1, s.len);
    }
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        int digit = lex_hex(s.p[i]);
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        *out = *out * base + (unsigned)digit;
        if (*out > UINT32_MAX)
            return false;
    }
    return s.len != 0 || base == 16;
}

/* "0x7f.1", "3232235777", "192.0.2.1": what inet_aton and browsers take for IPv4. */
static bool is_ipv4(struct pn_str name, uint32_t *out)
{
    uint64_t part[4] = {0};
    size_t n = 0;
    for (struct pn_str rest = name; rest.p != NULL; n++)
        if (n == 4 || !ip_number(pn_str_split(&rest, '.'), &part[n]))
            return false;
    uint64_t value = part[n - 1];
    if (value >= (uint64_t)1 << 8 * (5 - n))
        return false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (part[i] > 255)
            return false;
        value += part[i] << 8 * (3 - i);
    }
    *out = (uint32_t)value;
    return true;
}

bool link_host(struct pn_str raw, struct pn_buf *out)
{
    char bytes[4 * LINK_HOST_MAX];
    size_t len = out->len, n = unescape(raw, bytes, sizeof bytes);
    uint32_t ip = 0;
    bool ok = n != 0 && n < sizeof bytes && add_labels((struct pn_str){bytes, n}, out) &&
              out->len - len <= LINK_HOST_MAX;
    if (ok && is_ipv4(pn_str_slice(pn_buf_str(out), len, out->len), &ip)) {
        out->len = len;
        ok = pn_buf_addf(out, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    }
    if (!ok)
        out->len = len;
    return ok;
}

bool link_is_domain(struct pn_str name)
{
    size_t dot = SIZE_MAX;
    while (name.len > 0 && name.p[name.len - 1] == '.')
        name.len--;
    if (name.len > LINK_HOST_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '.') {
            if (i == 0 || name.p[i - 1] == '.')
                return false;
            dot = i;
        } else if ((unsigned char)name.p[i] < 0x80 && !is_name_byte((unsigned char)name.p[i])) {
            return false;
        }
    }
    return dot != SIZE_MAX && link_tld(pn_str_slice(name, dot + 1, name.len));
}

#include "dmarc_name.h"

#include <stdint.h>

enum { LABEL_MAX = 63 };

/* RFC 3492, section 5. */
enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_N = 128 };

/* A character of UTF-8 at s; its length, or 0. Not a validator of all that RFC 3629 says:
 * what is wrong here becomes a name that does not exist. */
static size_t take_utf8(struct postern_str s, uint32_t *out)
{
    unsigned char first = (unsigned char)s.p[0];
    size_t len = first < 0x80       ? 1
                 : first >> 5 == 6  ? 2
                 : first >> 4 == 14 ? 3
                 : first >> 3 == 30 ? 4
                                    : 0;
    if (len == 0 || len > s.len)
        return 0;
    *out = len == 1 ? first : first & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
        *out = *out << 6 | ((unsigned char)s.p[i] & 0x3f);
    }
    return len;
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
        delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static char digit(uint32_t v)
{
    return (char)(v < 26 ? 'a' + v : '0' + v - 26);
}

/* Room for one label. */
struct label {
    char p[LABEL_MAX];
    size_t len;
    bool full;
};

static void add(struct label *l, char c)
{
    if (l->len == LABEL_MAX)
        l->full = true;
    else
        l->p[l->len++] = c;
}

static void add_delta(struct label *l, uint32_t delta, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
        if (delta < t)
            break;
        add(l, digit(t + (delta - t) % (BASE - t)));
        delta = (delta - t) / (BASE - t);
    }
    add(l, digit(delta));
}

/* points: at most LABEL_MAX of them, so that delta stays far below 2^32. */
static void encode(const uint32_t *points, size_t count, struct label *out)
{
    uint32_t n = FIRST_N, delta = 0, bias = FIRST_BIAS, basic = 0, done;
    for (const char *prefix = "xn--"; *prefix != '\0'; prefix++)
        add(out, *prefix);
    for (size_t i = 0; i < count; i++)
        if (points[i] < FIRST_N) {
            add(out, (char)points[i]);
            basic++;
        }
    if (basic != 0)
        add(out, '-');
    for (done = basic; done < count && !out->full; n++, delta++) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < count; i++)
            if (points[i] >= n && points[i] < next)
                next = points[i];
        delta += (next - n) * (done + 1);
        n = next;
        for (size_t i = 0; i < count; i++) {
            if (points[i] < n)
                delta++;
            if (points[i] != n)
                continue;
            add_delta(out, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
}

/* One label into out, behind what is there. False: it can't be one. */
static bool add_label(struct postern_str s, struct dmarc_name *out)
{
    uint32_t points[LABEL_MAX];
    struct label l = {.len = 0};
    size_t count = 0;
    bool ascii = true;
    while (s.len != 0) {
        size_t len = take_utf8(s, &points[count]);
        uint32_t c = len == 0 ? 0 : points[count];
        /* RFC 1123's letters, digits and hyphens, and the underscore of service names. */
        if (c >= 'A' && c <= 'Z')
            points[count] = c | 0x20;
        else if (c < 0x80 && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
                 c != '_')
            return false;
        ascii = ascii && c < 0x80;
        s = (struct postern_str){s.p + len, s.len - len};
        if (++count == LABEL_MAX && s.len != 0)
            return false;
    }
    if (!ascii)
        encode(points, count, &l);
    for (size_t i = 0; ascii && i < count; i++)
        add(&l, (char)points[i]);
    if (l.full || l.len == 0 || l.len > DMARC_NAME_MAX - out->len)
        return false;
    memcpy(out->p + out->len, l.p, l.len);
    out->len += l.len;
    return true;
}

bool dmarc_name_of(struct postern_str text, struct dmarc_name *out)
{
    out->len = 0;
    while (text.len != 0 && text.p[0] == '.')
        text = (struct postern_str){text.p + 1, text.len - 1};
    while (text.len != 0 && text.p[text.len - 1] == '.')
        text.len--;
    bool ok = text.len != 0;
    for (size_t from = 0; ok && from < text.len;) {
        const char *dot = memchr(text.p + from, '.', text.len - from);
        size_t to = dot == NULL ? text.len : (size_t)(dot - text.p);
        if (from != 0)
            out->p[out->len++] = '.';
        ok = out->len < DMARC_NAME_MAX &&
             add_label((struct postern_str){text.p + from, to - from}, out);
        from = to + 1;
    }
    if (!ok)
        out->len = 0;
    out->p[out->len] = '\0';
    return ok;
}

bool dmarc_name_below(const struct dmarc_name *a, const struct dmarc_name *b)
{
    if (a->len < b->len || b->len == 0)
        return false;
    size_t at = a->len - b->len;
    return memcmp(a->p + at, b->p, b->len) == 0 && (at == 0 || a->p[at - 1] == '.');
}

size_t dmarc_name_labels(const struct dmarc_name *n)
{
    size_t labels = n->len != 0;
    for (size_t i = 0; i < n->len; i++)
        labels += n->p[i] == '.';
    return labels;
}

void dmarc_name_tail(const struct dmarc_name *n, size_t labels, struct dmarc_name *out)
{
    size_t at = n->len;
    while (at > 0 && (n->p[at - 1] != '.' || --labels > 0))
        at--;
    out->len = n->len - at;
    memmove(out->p, n->p + at, out->len);
    out->p[out->len] = '\0';
}

#include "decode.h"

#include "lex.h"

enum { BLOCK = 4096 };

/* Appends what fits; false if that is not all. */
static bool put(struct pn_buf *out, const char *p, size_t n)
{
    size_t room = out->max - out->len;
    if (n <= room)
        return pn_buf_add(out, p, n);
    (void)pn_buf_add(out, p, room);
    out->overflow = true;
    return false;
}

void pn_decoder_init(struct pn_decoder *d, enum pn_encoding encoding)
{
    *d = (struct pn_decoder){.encoding = encoding};
}

/* ---- base64 */

enum { NO = 0x80 };

/* Sextets; NO with the high bit for what is none. */
static const unsigned char sextet[256] = {
#define N4  NO, NO, NO, NO
#define N16 N4, N4, N4, N4
    N16, N16,                                                               /* 0 */
    N4,  N4,  NO,  NO,  NO,  62,  NO,  NO,  NO, 63,                         /* space: + / */
    52,  53,  54,  55,  56,  57,  58,  59,  60, 61, NO, NO, NO, NO, NO, NO, /* 0 */
    NO,  0,   1,   2,   3,   4,   5,   6,   7,  8,  9,  10, 11, 12, 13, 14, /* @ */
    15,  16,  17,  18,  19,  20,  21,  22,  23, 24, 25, NO, NO, NO, NO, NO, /* P */
    NO,  26,  27,  28,  29,  30,  31,  32,  33, 34, 35, 36, 37, 38, 39, 40, /* ` */
    41,  42,  43,  44,  45,  46,  47,  48,  49, 50, 51, NO, NO, NO, NO, NO, /* p */
    N16, N16, N16, N16, N16, N16, N16, N16,
#undef N4
#undef N16
};

/* The bytes of an unfinished group: 2 sextets hold one, 3 hold two. */
static size_t flush_group(struct pn_decoder *d, char *to)
{
    size_t n = d->held < 2 ? 0 : d->held - 1U;
    uint32_t bits = d->bits << 6 * (4 - d->held);
    if (n > 0)
        to[0] = (char)(bits >> 16);
    if (n > 1)
        to[1] = (char)(bits >> 8);
    d->held = 0;
    d->bits = 0;
    return n;
}

/* One byte; padding ends a group, so that encodings put one behind the other all show. */
static size_t base64_byte(struct pn_decoder *d, unsigned char c, char *to)
{
    if (c == '=')
        return flush_group(d, to);
    if (sextet[c] == NO)
        return 0;
    d->bits = d->bits << 6 | sextet[c];
    if (++d->held < 4)
        return 0;
    to[0] = (char)(d->bits >> 16);
    to[1] = (char)(d->bits >> 8);
    to[2] = (char)d->bits;
    d->held = 0;
    d->bits = 0;
    return 3;
}

static size_t base64_block(struct pn_decoder *d, const unsigned char *p, size_t n, char *to)
{
    size_t i = 0, len = 0;
    while (i < n) {
        while (d->held == 0 && n - i >= 4) {
            unsigned a = sextet[p[i]], b = sextet[p[i + 1]], c = sextet[p[i + 2]],
                     e = sextet[p[i + 3]];
            if ((a | b | c | e) & NO)
                break;
            uint32_t v = a << 18 | b << 12 | c << 6 | e;
            to[len] = (char)(v >> 16);
            to[len + 1] = (char)(v >> 8);
            to[len + 2] = (char)v;
            len += 3;
            i += 4;
        }
        if (i < n)
            len += base64_byte(d, p[i++], to + len);
    }
    return len;
}

static bool base64_feed(struct pn_decoder *d, struct pn_str chunk, struct pn_buf *out)
{
    char block[BLOCK + 4];
    for (size_t at = 0; at < chunk.len; at += BLOCK) {
        size_t n = chunk.len - at < BLOCK ? chunk.len - at : BLOCK;
        size_t len = base64_block(d, (const unsigned char *)chunk.p + at, n, block);
        if (!put(out, block, len))
            return false;
    }
    return true;
}

/* ---- quoted-printable */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *qp_flush(struct pn_decoder *d, char *to)
{
    memcpy(to, d->hold, d->held);
    to += d->held;
    d->held = 0;
    return to;
}

/*
 * The byte c behind what is held: "=" and what may belong to it, or blanks that go if the
 * line ends. True: c was used up; false: what was held is decided and c comes anew.
 */
static bool qp_held(struct pn_decoder *d, char c, char **to)
{
    bool escape = d->hold[0] == '=', cr = d->hold[d->held - 1] == '\r';
    bool hex_wait = escape && d->held == 2 && lex_hex(d->hold[1]) >= 0;
    if (hex_wait && lex_hex(c) >= 0) {
        *(*to)++ = (char)(lex_hex(d->hold[1]) << 4 | lex_hex(c));
        d->held = 0;
        return true;
    }
    if (c == '\n' && !hex_wait) {
        d->held = 0;
        if (!escape && cr)
            *(*to)++ = '\r';
        if (!escape)
            *(*to)++ = '\n';
        return true;
    }
    bool more = !cr && !hex_wait && (is_blank(c) || c == '\r');
    if ((more || (escape && d->held == 1 && lex_hex(c) >= 0)) && d->held <= PN_QP_BLANKS_MAX) {
        d->hold[d->held++] = c;
        return true;
    }
    *to = qp_flush(d, *to);
    return false;
}

/* Writes at most n bytes and what was held; returns where it ended. */
static char *qp_block(struct pn_decoder *d, const char *p, size_t n, char *to)
{
    for (size_t i = 0; i < n;) {
        char c = p[i];
        if (d->held != 0)
            i += qp_held(d, c, &to);
        else if (c == '=' && n - i > 2 && lex_hex(p[i + 1]) >= 0 && lex_hex(p[i + 2]) >= 0) {
            *to++ = (char)(lex_hex(p[i + 1]) << 4 | lex_hex(p[i + 2]));
            i += 3;
        } else if (c == '=' || c == '\r' || (is_blank(c) && (n - i < 2 || p[i + 1] <= ' '))) {
            d->hold[d->held++] = c;
            i++;
        } else {
            *to++ = c;
            i++;
        }
    }
    return to;
}

static bool qp_feed(struct pn_decoder *d, struct pn_str chunk, struct pn_buf *out)
{
    char block[BLOCK + sizeof d->hold];
    for (size_t at = 0; at < chunk.len; at += BLOCK) {
        size_t n = chunk.len - at < BLOCK ? chunk.len - at : BLOCK;
        char *end = qp_block(d, chunk.p + at, n, block);
        if (!put(out, block, (size_t)(end - block)))
            return false;
    }
    return true;
}

static bool qp_end(struct pn_decoder *d, struct pn_buf *out)
{
    if (d->held != 0 && d->hold[0] == '=' && (d->held == 1 || lex_hex(d->hold[1]) < 0))
        d->held = 0; /* a soft break that broke nothing any more */
    if (d->held != 0 && d->hold[0] != '=' && d->hold[d->held - 1] != '\r')
        d->held = 0; /* blanks at the end of the last line */
    size_t n = d->held;
    d->held = 0;
    return put(out, d->hold, n);
}

/* ---- uuencode: no RFC; as POSIX has it */

static unsigned uu_value(const struct pn_decoder *d, size_t i)
{
    return i < d->held ? ((unsigned char)d->hold[i] - 32U) & 63 : 0;
}

static bool uu_line(struct pn_decoder *d, struct pn_buf *out)
{
    struct pn_str line = pn_str_trim((struct pn_str){d->hold, d->held});
    if (!d->body || pn_str_eq(line, PN_STR("end"))) {
        d->body = !d->body && pn_str_starts(line, PN_STR("begin "));
        d->held = 0;
        return true;
    }
    char bytes[64];
    size_t n = line.len == 0 ? 0 : uu_value(d, 0), len = 0;
    for (size_t i = 1; len < n; i += 4) {
        uint32_t v = uu_value(d, i) << 18 | uu_value(d, i + 1) << 12 | uu_value(d, i + 2) << 6 |
                     uu_value(d, i + 3);
        for (unsigned shift = 24; shift > 0 && len < n; shift -= 8)
            bytes[len++] = (char)(v >> (shift - 8));
    }
    d->held = 0;
    return put(out, bytes, len);
}

static bool uu_feed(struct pn_decoder *d, struct pn_str chunk, struct pn_buf *out)
{
    bool ok = true;
    for (size_t i = 0; i < chunk.len && ok; i++) {
        if (chunk.p[i] == '\n')
            ok = uu_line(d, out);
        else if (d->held < sizeof d->hold && chunk.p[i] != '\r')
            d->hold[d->held++] = chunk.p[i];
    }
    return ok;
}

/* ---- all */

bool pn_decoder_feed(struct pn_decoder *d, struct pn_str chunk, struct pn_buf *out)
{
    switch (d->encoding) {
    case PN_ENCODING_BASE64:
        return base64_feed(d, chunk, out);
    case PN_ENCODING_QUOTED_PRINTABLE:
        return qp_feed(d, chunk, out);
    case PN_ENCODING_UUENCODE:
        return uu_feed(d, chunk, out);
    case PN_ENCODING_7BIT:
    case PN_ENCODING_8BIT:
    case PN_ENCODING_BINARY:
    case PN_ENCODING_UNKNOWN:
        break;
    }
    return put(out, chunk.p, chunk.len);
}

bool pn_decoder_end(struct pn_decoder *d, struct pn_buf *out)
{
    char last[4];
    if (d->encoding == PN_ENCODING_BASE64)
        return put(out, last, flush_group(d, last));
    if (d->encoding == PN_ENCODING_QUOTED_PRINTABLE)
        return qp_end(d, out);
    if (d->encoding == PN_ENCODING_UUENCODE)
        return uu_line(d, out);
    return true;
}

const char *pn_encoding_name(enum pn_encoding encoding)
{
    static const char *const names[] = {
        [PN_ENCODING_7BIT] = "7bit",     [PN_ENCODING_8BIT] = "8bit",
        [PN_ENCODING_BINARY] = "binary", [PN_ENCODING_QUOTED_PRINTABLE] = "quoted-printable",
        [PN_ENCODING_BASE64] = "base64", [PN_ENCODING_UUENCODE] = "x-uuencode",
        [PN_ENCODING_UNKNOWN] = "",
    };
    return names[encoding];
}

bool pn_decode(enum pn_encoding encoding, struct pn_str encoded, struct pn_buf *out)
{
    struct pn_decoder d;
    pn_decoder_init(&d, encoding);
    return pn_decoder_feed(&d, encoded, out) && pn_decoder_end(&d, out);
}

bool pn_part_decode(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out)
{
    return pn_decode((enum pn_encoding)part->encoding, pn_part_body(m, part), out);
}

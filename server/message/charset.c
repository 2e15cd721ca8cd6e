#include "charset.h"

#include "charset_names.h"
#include "mem.h"
#include "utf8.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

enum { CARRY = 16, BLOCK = 2048 };

struct pn_charset {
    enum charset_kind kind;
    bool known;
    bool started;      /* the first character is behind us: a byte order mark is one no more */
    iconv_t cd;        /* ICONV only */
    unsigned unit;     /* ICONV: bytes to skip where the input is wrong */
    char carry[CARRY]; /* a character that is not whole yet */
    size_t carried;
};

static const char replacement[] = "\xef\xbf\xbd";

/* What the bytes 0x80 to 0x9f are in windows-1252; 0 where they are nothing. */
static const uint16_t latin_high[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

/* Appends valid UTF-8, at the limit only whole characters of it. */
static bool put(struct pn_buf *out, const char *p, size_t n)
{
    size_t room = out->max - out->len;
    if (n <= room)
        return pn_buf_add(out, p, n);
    while (room > 0 && ((unsigned char)p[room] & 0xc0) == 0x80)
        room--;
    (void)pn_buf_add(out, p, room);
    out->overflow = true;
    return false;
}

static bool put_latin(struct pn_buf *out, unsigned char c)
{
    unsigned u = c >= 0x80 && c < 0xa0 ? latin_high[c - 0x80] : c;
    char utf8[3] = {(char)(0xe0 | u >> 12), (char)(0x80 | (u >> 6 & 63)), (char)(0x80 | (u & 63))};
    if (u == 0)
        return put(out, replacement, 3);
    if (u >= 0x800)
        return put(out, utf8, 3);
    utf8[1] = (char)(0xc0 | u >> 6);
    return put(out, utf8 + 1, 2);
}

/* ---- UTF-8, ASCII, Latin: here */

static size_t ascii_run(struct pn_str s, size_t at)
{
    size_t i = at;
    uint64_t word = 0;
    for (; s.len - i >= 8; i += 8) {
        memcpy(&word, s.p + i, 8);
        if (word & 0x8080808080808080U)
            break;
    }
    while (i < s.len && (unsigned char)s.p[i] < 0x80)
        i++;
    return i - at;
}

/* Could s, of less than four bytes, be the beginning of a character? */
static bool may_go_on(struct pn_str s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || s.len >= want)
        return false;
    /* With the lowest or the highest bytes put behind it, one way must be valid. */
    char low[4] = {'\x80', '\x80', '\x80', '\x80'}, high[4] = {'\xbf', '\xbf', '\xbf', '\xbf'};
    memcpy(low, s.p, s.len);
    memcpy(high, s.p, s.len);
    return pn_utf8_next((struct pn_str){low, want}) != 0 ||
           pn_utf8_next((struct pn_str){high, want}) != 0;
}

/* One character of s at `at`, which is beyond ASCII; 0: it needs more bytes. */
static size_t convert_high(const struct pn_charset *cs, struct pn_str s, size_t at,
                           struct pn_buf *out, bool *ok)
{
    struct pn_str rest = pn_str_slice(s, at, s.len);
    if (cs->kind == CHARSET_LATIN) {
        *ok = put_latin(out, (unsigned char)rest.p[0]);
        return 1;
    }
    size_t n = pn_utf8_next(rest);
    if (n != 0) {
        bool mark = !cs->started && n == 3 && memcmp(rest.p, "\xef\xbb\xbf", 3) == 0;
        *ok = mark || put(out, rest.p, n);
        return n;
    }
    if (may_go_on(rest))
        return 0;
    *ok = cs->kind == CHARSET_ASCII ? put_latin(out, (unsigned char)rest.p[0])
                                    : put(out, replacement, 3);
    return 1;
}

/* Returns what was used of s: all but a last character that is not whole. */
static size_t convert_own(struct pn_charset *cs, struct pn_str s, struct pn_buf *out, bool *ok)
{
    size_t at = 0;
    while (at < s.len && *ok) {
        size_t n = ascii_run(s, at);
        if (n != 0)
            *ok = put(out, s.p + at, n);
        else if ((n = convert_high(cs, s, at, out, ok)) == 0)
            break;
        cs->started = true;
        at += n;
    }
    return at;
}

/* ---- the others: iconv */

static bool flush_iconv(struct pn_charset *cs, struct pn_buf *out)
{
    char block[64], *to = block;
    size_t room = sizeof block;
    (void)iconv(cs->cd, NULL, NULL, &to, &room);
    return put(out, block, (size_t)(to - block));
}

static size_t convert_iconv(struct pn_charset *cs, struct pn_str s, struct pn_buf *out, bool *ok)
{
    char block[BLOCK], *from = (char *)(uintptr_t)s.p;
    size_t left = s.len;
    while (left > 0 && *ok) {
        char *to = block;
        size_t room = sizeof block, n = iconv(cs->cd, &from, &left, &to, &room);
        int why = n == (size_t)-1 ? errno : 0;
        *ok = put(out, block, (size_t)(to - block));
        if (why == EINVAL && left <= CARRY / 2)
            break;
        if (why != 0 && why != E2BIG) {
            size_t skip = left < cs->unit ? left : cs->unit;
            from += skip;
            left -= skip;
            *ok = *ok && put(out, replacement, 3);
        }
    }
    return s.len - left;
}

/* Byte order: its mark, else where the zero of the first character is; RFC 2781, section
 * 4.3, takes big-endian for the rest. */
static void choose_order(struct pn_charset *cs, struct pn_str s)
{
    bool little = (s.p[0] == '\xff' && s.p[1] == '\xfe') || (s.p[0] != '\0' && s.p[1] == '\0');
    cs->kind = CHARSET_ICONV;
    if (little) {
        iconv_t cd = iconv_open("UTF-8", "UTF-16LE");
        if (cd != (iconv_t)-1) {
            (void)iconv_close(cs->cd);
            cs->cd = cd;
        }
    }
}

static size_t convert(struct pn_charset *cs, struct pn_str s, struct pn_buf *out, bool *ok)
{
    size_t skip = 0;
    if (cs->kind == CHARSET_UTF16) {
        if (s.len < 2)
            return 0;
        choose_order(cs, s);
        if ((s.p[0] == '\xff' && s.p[1] == '\xfe') || (s.p[0] == '\xfe' && s.p[1] == '\xff'))
            skip = 2;
        s = pn_str_slice(s, skip, s.len);
    }
    return skip + (cs->kind == CHARSET_ICONV ? convert_iconv(cs, s, out, ok)
                                             : convert_own(cs, s, out, ok));
}

/* ---- life */

enum { PRELOAD_MAX = 128 };

/* Descriptors that stay open, so that the tables they loaded stay; nobody reads them again,
 * and "used" keeps the compiler from leaving the list out. */
static iconv_t preloaded[PRELOAD_MAX] __attribute__((used));
static size_t preloaded_count;

size_t pn_charset_preload(void)
{
    const char *last = "";
    const struct charset_name *row;
    if (preloaded_count != 0)
        return preloaded_count;
    for (size_t i = 0; (row = charset_row(i)) != NULL && preloaded_count < PRELOAD_MAX; i++) {
        if (row->iconv == NULL || strcmp(row->iconv, last) == 0)
            continue;
        last = row->iconv;
        iconv_t cd = iconv_open("UTF-8", row->iconv);
        if (cd != (iconv_t)-1)
            preloaded[preloaded_count++] = cd;
    }
    return preloaded_count;
}

bool pn_charset_known(struct pn_str name)
{
    return charset_find(name) != NULL;
}

struct pn_charset *pn_charset_open(struct pn_str name)
{
    const struct charset_name *row = charset_find(name);
    struct pn_charset *cs = pn_calloc(1, sizeof *cs);
    cs->kind = row == NULL ? CHARSET_UTF8 : row->kind;
    cs->cd = (iconv_t)-1;
    cs->unit = 1;
    if (row == NULL || row->iconv == NULL)
        return cs;
    cs->cd = iconv_open("UTF-8", row->iconv);
    if (cs->cd == (iconv_t)-1)
        cs->kind = CHARSET_UTF8;
    if (strncmp(row->iconv, "UTF-16", 6) == 0)
        cs->unit = 2;
    if (strncmp(row->iconv, "UTF-32", 6) == 0)
        cs->unit = 4;
    return cs;
}

void pn_charset_close(struct pn_charset **cs)
{
    if (*cs == NULL)
        return;
    if ((*cs)->cd != (iconv_t)-1)
        (void)iconv_close((*cs)->cd);
    free(*cs);
    *cs = NULL;
}

bool pn_charset_feed(struct pn_charset *cs, struct pn_str chunk, struct pn_buf *out)
{
    bool ok = true;
    /* What was carried is completed byte by byte, until it is used up. */
    while (cs->carried != 0 && chunk.len != 0 && ok) {
        cs->carry[cs->carried++] = chunk.p[0];
        chunk = pn_str_slice(chunk, 1, chunk.len);
        size_t used = convert(cs, (struct pn_str){cs->carry, cs->carried}, out, &ok);
        cs->carried -= used;
        memmove(cs->carry, cs->carry + used, cs->carried);
    }
    if (!ok || chunk.len == 0)
        return ok;
    size_t used = convert(cs, chunk, out, &ok);
    if (ok) {
        cs->carried = chunk.len - used;
        memcpy(cs->carry, chunk.p + used, cs->carried);
    }
    return ok;
}

bool pn_charset_end(struct pn_charset *cs, struct pn_buf *out)
{
    bool ok = true;
    if (cs->carried != 0) {
        if (cs->kind == CHARSET_ASCII)
            for (size_t i = 0; i < cs->carried; i++)
                ok = put_latin(out, (unsigned char)cs->carry[i]) && ok;
        else
            ok = put(out, replacement, 3);
    }
    cs->carried = 0;
    if (cs->kind == CHARSET_ICONV)
        ok = flush_iconv(cs, out) && ok;
    return ok;
}

bool pn_charset_to_utf8(struct pn_str name, struct pn_str bytes, struct pn_buf *out)
{
    struct pn_charset *cs = pn_charset_open(name);
    bool ok = pn_charset_feed(cs, bytes, out) && pn_charset_end(cs, out);
    pn_charset_close(&cs);
    return ok;
}

bool pn_charset_guess_utf8(struct pn_str bytes, struct pn_buf *out)
{
    if (pn_utf8_valid(bytes))
        return put(out, bytes.p, bytes.len);
    return pn_charset_to_utf8(PN_STR("windows-1252"), bytes, out);
}

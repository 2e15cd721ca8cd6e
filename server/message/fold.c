#include "fold.h"

#include "fold_table.h"
#include "utf8_code.h"

enum {
    BLOCK = 4096,
    SPELLED_MAX = 40, /* bytes that one code point becomes at most */
    HANGUL_FIRST = 0xac00,
    HANGUL_LAST = 0xd7a3,
    HANGUL_V = 21, /* vowels, and final consonants with "none" as the first */
    HANGUL_T = 28
};

/* ---- ASCII: most of mail */

static char fold_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
}

/* Writes what fits a block of the ASCII that s begins with; *n is what was written. */
static size_t fold_run(struct pn_str s, char *to, bool *blank, size_t *n)
{
    size_t i = 0, at = 0;
    bool was = *blank;
    for (; i < s.len && i < BLOCK && (unsigned char)s.p[i] < 0x80; i++) {
        to[at] = fold_ascii(s.p[i]);
        bool now = to[at] == ' ';
        at += !(now && was);
        was = now;
    }
    *blank = was;
    *n = at;
    return i;
}

/* ---- all else */

static int32_t shift_of(uint32_t code)
{
    size_t low = 0, high = fold_shift_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct fold_shift *row = &fold_shifts[middle];
        if (code < row->first)
            high = middle;
        else if (code > row->last)
            low = middle + 1;
        else
            return (code - row->first) % (uint32_t)row->step == 0 ? row->delta : 0;
    }
    return 0;
}

static const char *spelled(uint32_t code)
{
    size_t low = 0, high = fold_spell_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fold_spells[middle].code == code)
            return fold_spells[middle].to;
        if (code < fold_spells[middle].code)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Unicode, section 3.12: a syllable's two or three letters. */
static size_t fold_hangul(uint32_t code, char *to)
{
    uint32_t index = code - HANGUL_FIRST;
    size_t n = utf8_write(to, 0x1100 + index / (HANGUL_V * HANGUL_T));
    n += utf8_write(to + n, 0x1161 + index % (HANGUL_V * HANGUL_T) / HANGUL_T);
    if (index % HANGUL_T != 0)
        n += utf8_write(to + n, 0x11a7 + index % HANGUL_T);
    return n;
}

static bool is_invisible(uint32_t code)
{
    return code == 0xad || code == 0x200b || code == 0xfeff;
}

/* The form of one code point beyond ASCII. */
static size_t fold_code(uint32_t code, char *to)
{
    if (code < 0xa0 || code == 0x2028 || code == 0x2029) /* controls, separators of lines */
        return utf8_write(to, ' ');
    if (code >= HANGUL_FIRST && code <= HANGUL_LAST)
        return fold_hangul(code, to);
    if (is_invisible(code))
        return 0;
    if (code >= 0x3400 && code < 0xa000) /* ideographs: nothing to do */
        return utf8_write(to, code);
    const char *spell = spelled(code);
    if (spell == NULL)
        return utf8_write(to, (uint32_t)((int64_t)code + shift_of(code)));
    struct pn_str text = pn_str_of(spell);
    memcpy(to, text.p, text.len);
    return text.len;
}

/* A block to out; at the limit what fits of ASCII, and nothing of else. */
static bool add_block(struct pn_buf *out, const char *block, size_t n, bool ascii)
{
    size_t room = out->max - out->len;
    if (n <= room)
        return pn_buf_add(out, block, n);
    if (ascii)
        (void)pn_buf_add(out, block, room);
    out->overflow = true;
    return false;
}

bool pn_fold(struct pn_str s, struct pn_buf *out)
{
    char block[BLOCK + SPELLED_MAX];
    bool blank = false, ok = true;
    while (s.len > 0 && ok) {
        size_t n = 0, len = fold_run(s, block, &blank, &n);
        bool ascii = len != 0;
        if (!ascii) {
            n = fold_code(utf8_read(s, &len), block);
            bool now = n == 1 && block[0] == ' ';
            n = now && blank ? 0 : n;
            blank = n == 0 ? blank : now;
        }
        ok = n == 0 || add_block(out, block, n, ascii);
        s = pn_str_slice(s, len, s.len);
    }
    return ok;
}

#include "encword.h"

#include "charset.h"
#include "decode.h"
#include "lex.h"

enum { CHARSET_MAX = 64 };

/* What stands between line ends, one piece at a time. */
static struct pn_str next_line(struct pn_str *rest)
{
    struct pn_str line = pn_str_split(rest, '\n');
    if (rest->p != NULL && line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

bool pn_unfold(struct pn_str value, struct pn_buf *out)
{
    struct pn_str rest = pn_str_trim(value);
    bool ok = true;
    while (rest.p != NULL)
        ok = pn_buf_adds(out, next_line(&rest)) && ok;
    return ok;
}

struct word {
    struct pn_str charset, text;
    enum pn_encoding encoding;
    size_t end; /* offset behind it */
};

/* "=?charset?B?text?=" at `at`. Text of more than RFC 2047 allows (length, blanks, "?")
 * is taken, but none that another word begins in: so no byte is looked at twice. */
static bool word_at(struct pn_str s, size_t at, struct word *w)
{
    size_t from = at + 2;
    if (from >= s.len || s.p[at + 1] != '?')
        return false;
    size_t mark = pn_str_find(pn_str_slice(s, 0, from + CHARSET_MAX + 1), '?', from);
    if (mark == SIZE_MAX || mark == from || mark + 2 >= s.len || s.p[mark + 2] != '?')
        return false;
    char kind = pn_lower(s.p[mark + 1]);
    if (kind != 'b' && kind != 'q')
        return false;
    w->encoding = kind == 'b' ? PN_ENCODING_BASE64 : PN_ENCODING_QUOTED_PRINTABLE;
    w->charset = pn_str_slice(s, from, mark);
    size_t star = pn_str_find(w->charset, '*', 0); /* RFC 2231, section 5: "*language" */
    if (star != SIZE_MAX)
        w->charset.len = star;
    for (size_t i = mark + 3; i + 1 < s.len; i++) {
        if (s.p[i] == '?' && s.p[i + 1] == '=') {
            w->text = pn_str_slice(s, mark + 3, i);
            w->end = i + 2;
            return true;
        }
        if (s.p[i] == '=' && s.p[i + 1] == '?' && (i + 2 >= s.len || s.p[i + 2] != '='))
            return false;
    }
    return false;
}

/* Decoded bytes of adjoining words of one charset, not converted yet. */
struct words {
    struct pn_buf bytes;
    struct pn_str charset;
    struct pn_buf *out;
    bool ok;
};

static void flush_words(struct words *ws)
{
    if (ws->bytes.len != 0)
        ws->ok = pn_charset_to_utf8(ws->charset, pn_buf_str(&ws->bytes), ws->out) && ws->ok;
    pn_buf_clear(&ws->bytes);
}

/* RFC 2047, section 4.2: as quoted-printable, but "_" is a blank and blanks are text. */
static void add_q(struct pn_buf *out, struct pn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i] == '_' ? ' ' : text.p[i];
        if (c == '=' && i + 2 < text.len && lex_hex(text.p[i + 1]) >= 0 &&
            lex_hex(text.p[i + 2]) >= 0) {
            c = (char)(lex_hex(text.p[i + 1]) << 4 | lex_hex(text.p[i + 2]));
            i += 2;
        } else if (c == '\r' || c == '\n') {
            continue;
        }
        (void)pn_buf_addc(out, c);
    }
}

static void add_word(struct words *ws, const struct word *w)
{
    if (!pn_str_ieq(ws->charset, w->charset))
        flush_words(ws);
    ws->charset = w->charset;
    if (w->encoding == PN_ENCODING_BASE64)
        (void)pn_decode(w->encoding, w->text, &ws->bytes);
    else
        add_q(&ws->bytes, w->text);
}

static void add_plain(struct words *ws, struct pn_str text)
{
    flush_words(ws);
    while (text.p != NULL)
        ws->ok = pn_charset_guess_utf8(next_line(&text), ws->out) && ws->ok;
}

static bool all_blank(struct pn_str s)
{
    return pn_str_trim(s).len == 0;
}

static void decode_all(struct words *ws, struct pn_str s)
{
    size_t plain = 0; /* where text that is not yet written begins */
    bool behind_word = false;
    for (size_t at = 0; (at = pn_str_find(s, '=', at)) != SIZE_MAX;) {
        struct word w;
        if (!word_at(s, at, &w)) {
            at++;
            continue;
        }
        struct pn_str gap = pn_str_slice(s, plain, at);
        if (!behind_word || !all_blank(gap))
            add_plain(ws, gap);
        add_word(ws, &w);
        behind_word = true;
        at = plain = w.end;
    }
    add_plain(ws, pn_str_slice(s, plain, s.len));
}

bool pn_words_decode(struct pn_str value, struct pn_buf *out)
{
    struct words ws = {.charset = PN_STR(""), .out = out, .ok = true};
    size_t from = out->len;
    pn_buf_init(&ws.bytes, value.len + 4);
    decode_all(&ws, pn_str_trim(value));
    pn_buf_fini(&ws.bytes);
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] == '\r' || out->p[i] == '\n' || out->p[i] == '\0')
            out->p[i] = ' ';
    return ws.ok;
}

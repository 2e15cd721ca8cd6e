#include "text.h"

#include "charset.h"
#include "charset_names.h"
#include "decode.h"
#include "lex.h"
#include "mem.h"
#include "param.h"
#include "utf8.h"

#include <stdlib.h>

enum {
    CHARSET_MAX = 64,
    SNIFF = 1024,
    CHUNK = 16384,
    ENCODED_DEPTH = 3, /* of messages within messages that are encoded */
    MARKUP = 4,        /* HTML may be that many times its text before it is cut */
};

struct pn_text {
    size_t max;
    bool cut;
    struct pn_buf decoded; /* a chunk of transfer decoding */
    struct pn_buf utf8;    /* one part */
    struct pn_buf visible;
};

struct pn_text *pn_text_new(size_t max)
{
    struct pn_text *text = pn_calloc(1, sizeof *text);
    text->max = max;
    pn_buf_init(&text->decoded, 2 * CHUNK);
    pn_buf_init(&text->utf8, max > SIZE_MAX / MARKUP ? SIZE_MAX : max * MARKUP);
    pn_buf_init(&text->visible, max);
    return text;
}

void pn_text_free(struct pn_text **text)
{
    if (*text == NULL)
        return;
    pn_buf_fini(&(*text)->decoded);
    pn_buf_fini(&(*text)->utf8);
    pn_buf_fini(&(*text)->visible);
    free(*text);
    *text = NULL;
}

bool pn_text_cut(const struct pn_text *text)
{
    return text->cut;
}

/* ---- one part to UTF-8 */

static bool is_html(const struct pn_message *m, const struct pn_part *part)
{
    return pn_part_is(m, part, PN_STR("text"), PN_STR("html"));
}

/* A multipart in which no part could be found shows as text, in many a reader too. */
static bool is_broken_multipart(const struct pn_part *part)
{
    return (part->flags & (PN_PART_NO_BOUNDARY | PN_PART_NO_DELIMITER)) != 0;
}

/* "charset=" in the first bytes of HTML, whose part does not say it. */
static struct pn_str sniff_charset(struct pn_str html)
{
    html = pn_str_slice(html, 0, SNIFF);
    for (size_t at = 0; (at = pn_str_find(html, '=', at)) != SIZE_MAX; at++) {
        size_t from = at + 1;
        if (at < 7 || !pn_str_ieq(pn_str_slice(html, at - 7, at), PN_STR("charset")))
            continue;
        if (from < html.len && (html.p[from] == '"' || html.p[from] == '\''))
            from++;
        return pn_str_slice(html, from, lex_token(html, from));
    }
    return PN_STR("");
}

/* In a buffer of the caller's; empty where nothing names one. */
static struct pn_str part_charset(const struct pn_message *m, const struct pn_part *part,
                                  struct pn_buf *name)
{
    if (pn_part_param(m, part, PN_STR("charset"), name) || !is_html(m, part))
        return pn_buf_str(name);
    struct pn_buf head;
    pn_buf_init(&head, SNIFF);
    (void)pn_decode((enum pn_encoding)part->encoding,
                    pn_str_slice(pn_part_body(m, part), 0, (size_t)2 * SNIFF), &head);
    struct pn_str found = sniff_charset(pn_buf_str(&head));
    /* What could be read as ASCII so far is not in two bytes a character. */
    const struct charset_name *row = charset_find(found);
    if (row != NULL && row->kind != CHARSET_UTF16)
        (void)pn_buf_adds(name, found);
    pn_buf_fini(&head);
    return pn_buf_str(name);
}

/* Transfer decoding and conversion, chunk by chunk: memory for the result only. */
static void convert(struct pn_text *text, enum pn_encoding encoding, struct pn_str body,
                    struct pn_str charset)
{
    struct pn_decoder d;
    struct pn_charset *cs = pn_charset_open(charset);
    bool ok = true;
    pn_decoder_init(&d, encoding);
    for (size_t at = 0; at < body.len && ok; at += CHUNK) {
        pn_buf_clear(&text->decoded);
        ok = pn_decoder_feed(&d, pn_str_slice(body, at, at + CHUNK), &text->decoded) &&
             pn_charset_feed(cs, pn_buf_str(&text->decoded), &text->utf8);
    }
    pn_buf_clear(&text->decoded);
    ok = ok && pn_decoder_end(&d, &text->decoded) &&
         pn_charset_feed(cs, pn_buf_str(&text->decoded), &text->utf8) &&
         pn_charset_end(cs, &text->utf8);
    text->cut = text->cut || !ok;
    pn_charset_close(&cs);
}

static struct pn_str to_utf8(struct pn_text *text, const struct pn_message *m,
                             const struct pn_part *part)
{
    struct pn_str body = pn_part_body(m, part);
    enum pn_encoding encoding = (enum pn_encoding)part->encoding;
    struct pn_buf name;
    pn_buf_clear(&text->utf8);
    pn_buf_init(&name, CHARSET_MAX);
    struct pn_str charset = part_charset(m, part, &name);
    const struct charset_name *row = charset_find(charset);
    enum charset_kind kind = row == NULL ? CHARSET_UTF8 : row->kind;
    bool as_is = encoding != PN_ENCODING_QUOTED_PRINTABLE && encoding != PN_ENCODING_BASE64 &&
                 encoding != PN_ENCODING_UUENCODE;
    bool same = as_is && (kind == CHARSET_UTF8 || kind == CHARSET_ASCII) &&
                body.len <= text->utf8.max && pn_utf8_valid(body);
    if (!same) {
        /* Without a charset said, 8-bit bytes are more often windows-1252 than nothing. */
        convert(text, encoding, body, charset.len == 0 ? PN_STR("us-ascii") : charset);
        body = pn_buf_str(&text->utf8);
    }
    pn_buf_fini(&name);
    return body;
}

struct pn_str pn_text_part(struct pn_text *text, const struct pn_message *m,
                           const struct pn_part *part)
{
    text->cut = false;
    if (part->kind != PN_PART_LEAF || !pn_part_is(m, part, PN_STR("text"), PN_STR("")))
        return PN_STR("");
    return to_utf8(text, m, part);
}

/* ---- what is seen */

/* Length of the invisible character at p, 0 if it is none: the list of html.c. */
static size_t invisible_at(const char *p, size_t left)
{
    unsigned char a = (unsigned char)p[0], b = left > 1 ? (unsigned char)p[1] : 0,
                  c = left > 2 ? (unsigned char)p[2] : 0;
    if ((a == 0xc2 && b == 0xad) || (a == 0xcd && b == 0x8f))
        return 2;
    if ((a == 0xe2 && b == 0x80 && c >= 0x8b && c <= 0x8f) ||
        (a == 0xe2 && b == 0x81 && c == 0xa0) || (a == 0xef && b == 0xbb && c == 0xbf))
        return 3;
    return 0;
}

/* Appends plain text without CR, NUL and invisible characters, as much as fits. */
static void add_plain(struct pn_text *text, struct pn_str s)
{
    struct pn_buf *out = &text->visible;
    for (size_t at = 0; at < s.len;) {
        size_t end = at, skip = 0;
        for (; end < s.len && skip == 0; end += skip == 0) {
            unsigned char c = (unsigned char)s.p[end];
            if (c == '\r' || c == '\0')
                skip = 1;
            else if (c >= 0xc2)
                skip = invisible_at(s.p + end, s.len - end);
        }
        size_t room = out->max - out->len;
        if (end - at > room) {
            for (end = at + room; end > at && ((unsigned char)s.p[end] & 0xc0) == 0x80;)
                end--;
            (void)pn_buf_add(out, s.p + at, end - at);
            text->cut = true;
            return;
        }
        (void)pn_buf_add(out, s.p + at, end - at);
        at = end + skip;
    }
}

static void add_visible(struct pn_text *text, const struct pn_message *m,
                        const struct pn_part *part, struct pn_links *links, unsigned *flags)
{
    size_t from = text->visible.len;
    struct pn_str s = is_broken_multipart(part) ? pn_part_body(m, part) : to_utf8(text, m, part);
    if (is_broken_multipart(part)) {
        pn_buf_clear(&text->utf8);
        convert(text, PN_ENCODING_8BIT, s, PN_STR("us-ascii"));
        add_plain(text, pn_buf_str(&text->utf8));
    } else if (is_html(m, part)) {
        unsigned seen = pn_html_text(s, &text->visible, links);
        if (flags != NULL)
            *flags |= seen;
        text->cut = text->cut || text->visible.overflow;
        text->visible.overflow = false;
    } else {
        add_plain(text, s);
    }
    if (links != NULL)
        pn_links_find(links, pn_str_slice(pn_buf_str(&text->visible), from, text->visible.len));
}

static bool is_text(const struct pn_message *m, const struct pn_part *part)
{
    return is_broken_multipart(part) ||
           (part->kind == PN_PART_LEAF && pn_part_is(m, part, PN_STR("text"), PN_STR("")));
}

struct pn_str pn_text_visible(struct pn_text *text, const struct pn_message *m,
                              const struct pn_part *part, struct pn_links *links, unsigned *flags)
{
    text->cut = false;
    pn_buf_clear(&text->visible);
    if (is_text(m, part))
        add_visible(text, m, part, links, flags);
    return pn_buf_str(&text->visible);
}

static void add_message(struct pn_text *text, const struct pn_message *m, struct pn_links *links,
                        unsigned *flags, unsigned depth);

/* A message inside that is base64 or quoted-printable, which RFC 2046, section 5.2.1,
 * forbids: the tree has it as a leaf, but readers open it. */
static bool is_encoded_message(const struct pn_message *m, const struct pn_part *part)
{
    return part->kind == PN_PART_LEAF && part->flags & PN_PART_BAD_ENCODING &&
           (pn_part_is(m, part, PN_STR("message"), PN_STR("rfc822")) ||
            pn_part_is(m, part, PN_STR("message"), PN_STR("global")));
}

static void add_encoded_message(struct pn_text *text, const struct pn_message *m,
                                const struct pn_part *part, struct pn_links *links, unsigned *flags,
                                unsigned depth)
{
    struct pn_buf bytes;
    pn_buf_init(&bytes, text->utf8.max);
    text->cut = !pn_part_decode(m, part, &bytes) || text->cut;
    struct pn_message *inside = pn_message_new(pn_buf_str(&bytes), NULL);
    if (inside != NULL) {
        pn_message_mime(inside);
        add_message(text, inside, links, flags, depth + 1);
    }
    pn_message_free(&inside);
    pn_buf_fini(&bytes);
}

static void add_message(struct pn_text *text, const struct pn_message *m, struct pn_links *links,
                        unsigned *flags, unsigned depth)
{
    struct pn_buf *out = &text->visible;
    for (size_t i = 0; i < pn_message_parts(m); i++) {
        const struct pn_part *part = pn_message_part(m, i);
        bool encoded = depth < ENCODED_DEPTH && is_encoded_message(m, part);
        if (!encoded && !is_text(m, part))
            continue;
        if (pn_str_ieq(pn_part_disposition(m, part), PN_STR("attachment")))
            continue;
        if (out->len == out->max) {
            text->cut = true;
            return;
        }
        if (encoded)
            add_encoded_message(text, m, part, links, flags, depth);
        else
            add_visible(text, m, part, links, flags);
        if (out->len != 0 && out->p[out->len - 1] != '\n' && out->len < out->max)
            (void)pn_buf_addc(out, '\n');
    }
}

struct pn_str pn_text_message(struct pn_text *text, const struct pn_message *m,
                              struct pn_links *links, unsigned *flags)
{
    text->cut = false;
    pn_buf_clear(&text->visible);
    add_message(text, m, links, flags, 0);
    return pn_buf_str(&text->visible);
}

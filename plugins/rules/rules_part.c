/* MIME parts: their types as SpamAssassin names them, their text as UTF-8. */
#include "rules_text_in.h"

/* "text/plain" for all of text, but for what is no text to read. */
static struct postern_str type_of(struct rules_text *t, const struct postern_part *p)
{
    static const char *const own[] = {"html", "calendar", "x-vcard"};
    char *s;

    if (p->type.len == 0 || p->subtype.len == 0)
        return POSTERN_STR("text/plain");
    if (rules_eq(p->type, POSTERN_STR("text"))) {
        size_t i = 0;

        while (i < sizeof(own) / sizeof(own[0]) && !rules_is(p->subtype, own[i]))
            i++;
        if (i == sizeof(own) / sizeof(own[0]))
            return POSTERN_STR("text/plain");
    }
    if (rules_eq(p->type, POSTERN_STR("multipart")) && !p->is_multipart)
        return POSTERN_STR("text/plain");
    s = rules_alloc(&t->arena, p->type.len + p->subtype.len + 2);
    if (s == NULL)
        return POSTERN_STR("text/plain");
    memcpy(s, p->type.p, p->type.len);
    s[p->type.len] = '/';
    memcpy(s + p->type.len + 1, p->subtype.p, p->subtype.len);
    return (struct postern_str){s, p->type.len + 1 + p->subtype.len};
}

static bool is_html_name(struct postern_str name)
{
    return rules_iends(name, POSTERN_STR(".html")) || rules_iends(name, POSTERN_STR(".htm")) ||
           rules_iends(name, POSTERN_STR(".shtml")) || rules_iends(name, POSTERN_STR(".shtm"));
}

static void fill(struct rules_text *t, struct rules_part *p)
{
    struct rules_arena *a = &t->arena;

    p->type = type_of(t, &p->raw);
    p->leaf = !p->raw.is_multipart && !p->raw.is_message;
    p->effective = is_html_name(p->raw.filename) ? POSTERN_STR("text/html") : p->type;
    p->charset = rules_lower_dup(a, p->raw.charset);
    p->encoding = rules_lower_dup(a, p->raw.encoding);
    p->disposition = rules_lower_dup(a, p->raw.disposition);
}

struct rules_part *rules_text_parts(struct rules_text *t, size_t *count)
{
    const struct postern_host *host = t->call->host;
    size_t n;

    if (!t->parts_made) {
        t->parts_made = true;
        n = host->part_count(t->call);
        if (n > RULES_PARTS_MAX)
            n = RULES_PARTS_MAX;
        t->parts = rules_alloc(&t->arena, (n + 1) * sizeof(*t->parts));
        for (size_t i = 0; t->parts != NULL && i < n; i++)
            if (host->part(t->call, i, &t->parts[i].raw) == POSTERN_OK) {
                fill(t, &t->parts[i]);
                t->part_count = i + 1;
            }
    }
    *count = t->part_count;
    return t->parts;
}

/* ---- a part's header ---- */

struct postern_str rules_part_field(struct rules_text *t, const struct rules_part *p,
                                    struct postern_str name)
{
    struct postern_str header = p->raw.header;
    struct postern_str found = {NULL, 0};
    size_t at = 0;

    while (at < header.len) {
        size_t from = at;
        size_t colon;

        do {
            const char *lf = memchr(header.p + at, '\n', header.len - at);

            at = lf == NULL ? header.len : (size_t)(lf - header.p) + 1;
        } while (at < header.len && (header.p[at] == ' ' || header.p[at] == '\t'));
        colon = from + name.len;
        if (colon < at && header.p[colon] == ':' &&
            rules_ieq((struct postern_str){header.p + from, name.len}, name))
            found = (struct postern_str){header.p + colon + 1, at - colon - 1};
    }
    if (found.p == NULL)
        return found;
    if (found.len > RULES_VALUE_MAX)
        found.len = RULES_VALUE_MAX;
    return rules_without_cr(t, found);
}

struct postern_str rules_without_cr(struct rules_text *t, struct postern_str s)
{
    const char *cr = s.len == 0 ? NULL : memchr(s.p, '\r', s.len);
    size_t n = cr == NULL ? 0 : (size_t)(cr - s.p);
    char *p;

    if (cr == NULL)
        return s;
    p = rules_alloc(&t->arena, s.len + 1);
    if (p == NULL)
        return POSTERN_STR("");
    memcpy(p, s.p, n);
    for (size_t at = n; at < s.len;) {
        size_t from = at; /* a CR that stays, or what is behind one that goes */

        at += s.p[at] == '\r' && at + 1 < s.len && s.p[at + 1] == '\n' ? 1 : 0;
        from = at++;
        cr = at < s.len ? memchr(s.p + at, '\r', s.len - at) : NULL;
        at = cr == NULL ? s.len : (size_t)(cr - s.p);
        memcpy(p + n, s.p + from, at - from);
        n += at - from;
    }
    return (struct postern_str){p, n};
}

/* ---- its text ---- */

/* What has lines; a picture has bytes. */
static bool is_text(const struct rules_part *p)
{
    return rules_istarts(p->effective, POSTERN_STR("text/")) ||
           rules_istarts(p->type, POSTERN_STR("message/"));
}

struct postern_str rules_part_decoded(struct rules_text *t, struct rules_part *p)
{
    struct postern_str text;

    if (p->was_decoded)
        return p->decoded;
    p->was_decoded = true;
    p->decoded = POSTERN_STR("");
    if (t->call->host->part_text(t->call, (size_t)(p - t->parts), POSTERN_TEXT_DECODED, &text) !=
        POSTERN_OK)
        return p->decoded;
    if (text.len == 0) /* uuencode without its "begin": a reader is shown what is there */
        text = p->raw.body;
    p->decoded = is_text(p) ? rules_without_cr(t, text) : text;
    return p->decoded;
}

bool rules_part_is_read(const struct rules_part *p)
{
    return p->leaf && (rules_eq(p->effective, POSTERN_STR("text/plain")) ||
                       rules_eq(p->effective, POSTERN_STR("text/html")));
}

static size_t utf8_len(const unsigned char *p, size_t left)
{
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
        (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))
        return 0;
    return n;
}

/* Most text is ASCII: eight bytes at a time. */
static size_t ascii_len(const unsigned char *p, size_t len)
{
    size_t n = 0;

    for (uint64_t eight; len - n >= sizeof(eight); n += sizeof(eight)) {
        memcpy(&eight, p + n, sizeof(eight));
        if ((eight & 0x8080808080808080U) != 0)
            break;
    }
    while (n < len && p[n] < 0x80)
        n++;
    return n;
}

static bool is_utf8(struct postern_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t at = 0;

    while (at < s.len) {
        size_t n;

        at += ascii_len(p + at, s.len - at);
        if (at == s.len)
            break;
        n = utf8_len(p + at, s.len - at);

        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

/* Bytes of 0x80 to 0x9f in Windows-1252; 0: undefined there. */
static const uint16_t windows[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

static struct postern_str from_windows(struct rules_text *t, struct postern_str s)
{
    char *p = rules_alloc(&t->arena, s.len * 3 + 1);
    size_t n = 0;

    for (size_t i = 0; p != NULL && i < s.len; i++) {
        unsigned c = (unsigned char)s.p[i];

        if (c >= 0x80 && c < 0xa0)
            c = windows[c - 0x80] != 0 ? windows[c - 0x80] : 0xfffd;
        if (c < 0x80) {
            p[n++] = (char)c;
        } else if (c < 0x800) {
            p[n++] = (char)(0xc0 | c >> 6);
            p[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            p[n++] = (char)(0xe0 | c >> 12);
            p[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            p[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return (struct postern_str){p == NULL ? "" : p, n};
}

/* Charsets for which Windows-1252 is what senders mean. */
static bool is_latin(struct postern_str charset)
{
    static const char *const names[] = {"us-ascii",  "ascii",  "iso-8859-1",
                                        "iso8859-1", "latin1", "windows-1252",
                                        "cp1252",    "utf-8",  "utf8"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rules_is(charset, names[i]))
            return true;
    return charset.len == 0;
}

/* Bytes of ASCII that mean other letters: two or four bytes a letter, or shifts. */
static bool is_ascii_in_disguise(struct postern_str charset, struct postern_str text)
{
    static const struct {
        const char *charset;
        char sign;
    } signs[] = {
        {"iso-2022", '\x1b'}, {"utf-16", '\0'}, {"utf-32", '\0'}, {"ucs-", '\0'}, {"utf-7", '+'}};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (rules_istarts(charset,
                          (struct postern_str){signs[i].charset, strlen(signs[i].charset)}))
            return text.len > 0 && memchr(text.p, signs[i].sign, text.len) != NULL;
    return false;
}

struct postern_str rules_part_utf8(struct rules_text *t, struct rules_part *p)
{
    struct postern_str text = rules_part_decoded(t, p);
    struct postern_str converted;

    /* What is UTF-8 is, whatever it calls itself. */
    if (is_utf8(text) && !is_ascii_in_disguise(p->charset, text))
        return text;
    if (is_latin(p->charset) ||
        t->call->host->part_text(t->call, (size_t)(p - t->parts), POSTERN_TEXT_UTF8, &converted) !=
            POSTERN_OK)
        return from_windows(t, text);
    /* What it says it is it is not: bytes then, read as most of the world's are. */
    if (memmem(converted.p, converted.len, "\xef\xbf\xbd", 3) != NULL)
        return from_windows(t, text);
    return rules_without_cr(t, converted);
}

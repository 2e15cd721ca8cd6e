/* Tests of how a message is put together: parts, encodings, charsets. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

#include <stdlib.h>

enum { QP_LINE_MAX = 79, SHOUT_MIN = 200 };

static struct rules_part *parts_of(const struct rules_eval_call *c, size_t *count)
{
    return rules_text_parts(c->text, count);
}

static bool is(struct postern_str s, const char *word)
{
    return rules_is(s, word);
}

static bool holds(struct postern_str s, const char *word)
{
    return s.len > 0 && memmem(s.p, s.len, word, strlen(word)) != NULL;
}

static bool is_ascii_name(struct postern_str charset)
{
    return charset.len == 0 || holds(charset, "us-ascii") || holds(charset, "ansi_x3.4") ||
           holds(charset, "iso646-us") || is(charset, "ascii");
}

/* ---- counts ---- */

static bool is_quoted(const struct rules_part *p)
{
    return holds(p->encoding, "quoted-printable");
}

/* Bytes of quoted-printable that need not have been encoded: what the name says of it. */
static size_t needless_escapes(struct postern_str line)
{
    size_t n = 0;
    size_t end = line.len;

    while (end > 0 && rules_is_blank(line.p[end - 1]))
        end--;
    /* Blanks at the end of a line must be. */
    while (end >= 3 &&
           (memcmp(line.p + end - 3, "=20", 3) == 0 || memcmp(line.p + end - 3, "=09", 3) == 0))
        end -= 3;
    for (size_t i = 0; i + 2 < end; i++) {
        char a = line.p[i + 1];
        char b = line.p[i + 2];

        if (line.p[i] != '=')
            continue;
        n += (a == '0' && b == '9') || (rules_in(a, "2456") && rules_in(b, "0123456789ABCDEF")) ||
             (a == '3' && rules_in(b, "0123456789ABCEF")) ||
             (a == '7' && rules_in(b, "0123456789ABCDE"));
    }
    return n;
}

struct quoted {
    size_t escapes, bytes;
    bool long_line;
};

static struct quoted quoted_of(const struct rules_eval_call *c)
{
    struct quoted q = {0, 0, false};
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++) {
        struct postern_str rest = p[i].raw.body;

        if (!p[i].leaf || !is(p[i].encoding, "quoted-printable"))
            continue;
        while (rest.len > 0) {
            const char *lf = memchr(rest.p, '\n', rest.len);
            size_t n = lf == NULL ? rest.len : (size_t)(lf - rest.p) + 1;
            size_t cr = n > 1 && lf != NULL && rest.p[n - 2] == '\r';

            q.long_line |= n - cr > QP_LINE_MAX;
            q.bytes += n - cr;
            q.escapes += needless_escapes((struct postern_str){rest.p, n});
            rest.p += n;
            rest.len -= n;
        }
    }
    return q;
}

static bool any_part(const struct rules_eval_call *c, bool (*fn)(const struct rules_part *p))
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++)
        if (fn(&p[i]))
            return true;
    return false;
}

static bool is_base64(const struct rules_part *p)
{
    return holds(p->encoding, "base64");
}

static bool is_attachment(const struct rules_part *p)
{
    return holds(p->disposition, "attachment");
}

static bool is_encoded_ascii(const struct rules_part *p)
{
    return rules_istarts(p->type, POSTERN_STR("text")) && is_base64(p) &&
           is_ascii_name(p->charset) && !rules_istarts(p->disposition, POSTERN_STR("attachment")) &&
           !rules_istarts(p->disposition, POSTERN_STR("inline"));
}

static bool is_bad_iso(const struct rules_part *p)
{
    struct postern_str s = p->charset;

    if (!rules_starts(s, POSTERN_STR("iso-")) || s.len < 6)
        return false;
    s = (struct postern_str){s.p + 4, s.len - 4};
    return memchr(s.p, '-', s.len) != NULL && !rules_starts(s, POSTERN_STR("8859-")) &&
           !rules_starts(s, POSTERN_STR("2022-jp")) && !rules_starts(s, POSTERN_STR("2022-kr"));
}

static double mime(const struct rules_eval_call *c)
{
    size_t count;

    if (rules_arg_is(c, 0, "mime_base64_count"))
        return any_part(c, is_base64);
    if (rules_arg_is(c, 0, "mime_base64_encoded_text"))
        return any_part(c, is_encoded_ascii);
    if (rules_arg_is(c, 0, "mime_attachment"))
        return any_part(c, is_attachment);
    if (rules_arg_is(c, 0, "mime_bad_iso_charset"))
        return any_part(c, is_bad_iso);
    if (rules_arg_is(c, 0, "mime_qp_long_line"))
        return quoted_of(c).long_line;
    if (rules_arg_is(c, 0, "mimepart_limit_exceeded"))
        return parts_of(c, &count) != NULL && count >= RULES_PARTS_MAX;
    return rules_arg_is(c, 0, "mime_qp_count") && any_part(c, is_quoted);
}

static double qp_ratio(const struct rules_eval_call *c)
{
    struct quoted q = quoted_of(c);

    return q.bytes > 0 && (double)q.escapes / (double)q.bytes >= rules_arg_number(c, 0);
}

/* ---- HTML or text ---- */

static bool says_html(const struct rules_eval_call *c)
{
    return rules_istarts(rules_text_get_one(c->text, "Content-Type"), POSTERN_STR("text/html"));
}

static bool is_html(const struct rules_part *p)
{
    return is(p->type, "text/html");
}

static bool is_text(const struct rules_part *p)
{
    return rules_istarts(p->type, POSTERN_STR("text")) && !is_html(p);
}

static double html(const struct rules_eval_call *c)
{
    return says_html(c) || any_part(c, is_html);
}

static double html_only(const struct rules_eval_call *c)
{
    return says_html(c) || (any_part(c, is_html) && !any_part(c, is_text));
}

static size_t lf_length(struct postern_str s)
{
    size_t n = s.len;
    const char *cr = s.p;

    for (; s.len > 1; cr++) {
        cr = memchr(cr, '\r', s.len - 1 - (size_t)(cr - s.p));
        if (cr == NULL)
            break;
        n -= cr[1] == '\n';
    }
    return n;
}

/* Of a multipart/alternative: the last text against the last HTML. */
static double alternative_ratio(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);
    double text = -1;
    double html_size = -1;
    bool alternative = false;
    double ratio = 1;

    for (size_t i = 0; i < count; i++) {
        alternative |= is(p[i].type, "multipart/alternative");
        if (!p[i].leaf || !alternative || is_attachment(&p[i]))
            continue;
        if (is_html(&p[i]))
            html_size = (double)lf_length(p[i].raw.body);
        else if (is(p[i].type, "text/plain"))
            text = (double)lf_length(p[i].raw.body);
    }
    if (text >= 0 && html_size > 0)
        ratio = text / html_size;
    return ratio >= rules_arg_number(c, 0) && ratio < rules_arg_number(c, 1);
}

/* Something in a multipart/alternative that is no text. */
static double alternative_of_other(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++)
        if (p[i].raw.parent >= 0 && (size_t)p[i].raw.parent < i &&
            is(p[p[i].raw.parent].type, "multipart/alternative") && p[i].leaf &&
            !rules_istarts(p[i].type, POSTERN_STR("text/")) && !is(p[i].type, "application/rtf"))
            return 1;
    return 0;
}

/* ---- text that is not what it says ---- */

static double illegal_ascii(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++) {
        struct postern_str s = p[i].raw.body;

        if (!p[i].leaf || !is(p[i].type, "text/plain") ||
            (p[i].charset.len > 0 && !is(p[i].charset, "us-ascii")))
            continue;
        for (size_t k = 0; k < s.len; k++)
            if ((unsigned char)s.p[k] >= 0x80 || s.p[k] == '\0' ||
                (s.p[k] == '\r' && (k + 1 == s.len || s.p[k + 1] != '\n')))
                return 1;
    }
    return 0;
}

/* "&#x0430;" in plain text. */
static double unicode_ratio(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);
    double entities = 0;
    double bytes = 0;

    for (size_t i = 0; i < count; i++) {
        struct postern_str s = p[i].raw.body;

        if (!p[i].leaf || !is(p[i].type, "text/plain") ||
            !(p[i].encoding.len == 0 || is(p[i].encoding, "7bit") || is(p[i].encoding, "8bit")))
            continue;
        bytes += (double)lf_length(s);
        for (const char *amp = s.p; s.len >= 8; amp++) {
            amp = memchr(amp, '&', s.len - 7 - (size_t)(amp - s.p));
            if (amp == NULL)
                break;
            if (amp[1] == '#' && amp[2] == 'x' && amp[7] == ';') {
                entities++;
                bytes -= 8;
            }
        }
    }
    return bytes > 0 && entities / bytes >= rules_arg_number(c, 0);
}

/* The longest line of base64, its end counted. */
static double base64_length(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);
    size_t longest = 0;

    for (size_t i = 0; i < count; i++) {
        struct postern_str rest = p[i].raw.body;

        while (p[i].leaf && is(p[i].encoding, "base64") && rest.len > 0) {
            const char *lf = memchr(rest.p, '\n', rest.len);
            size_t n = lf == NULL ? rest.len : (size_t)(lf - rest.p) + 1;
            size_t length = n - (n > 1 && lf != NULL && rest.p[n - 2] == '\r');

            longest = length > longest ? length : longest;
            rest.p += n;
            rest.len -= n;
        }
    }
    return (double)longest >= rules_arg_number(c, 0) &&
           (c->args < 2 || (double)longest <= rules_arg_number(c, 1));
}

/* ---- flags of the message ---- */

/* Something but blanks and dots behind the last boundary. */
static bool has_epilogue(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++) {
        const char *end = p[i].raw.body.p + p[i].raw.body.len;
        const char *last = NULL;

        if (!p[i].raw.is_multipart)
            continue;
        for (size_t k = i + 1; k < count; k++)
            if ((size_t)p[k].raw.parent == i)
                last = p[k].raw.body.p + p[k].raw.body.len;
        if (last == NULL || last >= end)
            continue;
        /* The closing line first, which ends in two hyphens. */
        struct postern_str tail = {last, (size_t)(end - last)};
        const char *close = memmem(tail.p, tail.len, "\n--", 3);
        const char *lf = close == NULL ? NULL : memchr(close + 1, '\n', (size_t)(end - close) - 1);

        if (lf == NULL)
            continue;
        for (const char *b = lf; b < end; b++)
            if (!rules_is_blank(*b) && *b != '.')
                return true;
    }
    return false;
}

/* A part that begins with no header field at all. */
static bool lacks_headers(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 1; i < count; i++) {
        struct postern_str h = p[i].raw.header;
        size_t n = 0;

        while (n < h.len && (unsigned char)h.p[n] > ' ' && h.p[n] != ':')
            n++;
        if (p[i].raw.parent >= 0 && p[p[i].raw.parent].raw.is_multipart &&
            (n == 0 || n == h.len || h.p[n] != ':'))
            return true;
    }
    return false;
}

static double parse_flag(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_field *f = rules_fields(c->text, &count);

    if (rules_arg_is(c, 0, "mime_epilogue_exists"))
        return has_epilogue(c);
    if (rules_arg_is(c, 0, "missing_mime_headers"))
        return lacks_headers(c);
    if (rules_arg_is(c, 0, "missing_head_body_separator"))
        return rules_text_call(c->text)->host->body(rules_text_call(c->text)).len == 0;
    for (size_t i = 0; rules_arg_is(c, 0, "truncated_header") && i < count; i++)
        if (f[i].name.len > 256 || f[i].raw.len > 8192)
            return 1;
    return 0;
}

/* ---- capitals ---- */

static bool is_caps_charset(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = parts_of(c, &count);

    for (size_t i = 0; i < count; i++)
        if (p[i].charset.len > 0 && rules_known(c->text->set, RULES_K_CAPS_CHARSET, p[i].charset))
            return true;
    return false;
}

static bool has_two_words(struct postern_str s)
{
    s = rules_trim(s);
    for (size_t i = 0; i < s.len; i++)
        if (rules_is_blank(s.p[i]))
            return true;
    return false;
}

static double shouting(const struct rules_eval_call *c)
{
    struct rules_lines body = rules_text_body(c->text);
    size_t len = 0;
    size_t lower = 0;
    size_t upper = 0;

    if (is_caps_charset(c))
        return 0;
    for (size_t i = 0; i < body.count; i++) {
        struct postern_str s = body.line[i];

        if (!has_two_words(s) || rules_known(c->text->set, RULES_K_BASE64_LINE, s))
            continue;
        len += s.len;
        lower += rules_count(s, 'a', 'z') + rules_count(s, '0', '9');
        upper += rules_count(s, 'A', 'Z');
    }
    return len < SHOUT_MIN || upper + lower == 0 ? 0
                                                 : 100 * (double)upper / (double)(upper + lower);
}

static double uppercase(const struct rules_eval_call *c)
{
    if (c->text->figures.shouting < 0)
        c->text->figures.shouting = shouting(c);
    return c->text->figures.shouting > rules_arg_number(c, 0) &&
           c->text->figures.shouting <= rules_arg_number(c, 1);
}

const struct rules_eval rules_eval_mime[] = {
    {"check_for_mime", mime, 1, 1, 0, false},
    {"check_qp_ratio", qp_ratio, 1, 1, 0, false},
    {"check_for_mime_html", html, 0, 0, 0, false},
    {"check_for_mime_html_only", html_only, 0, 0, 0, false},
    {"check_mime_multipart_ratio", alternative_ratio, 2, 2, 0, false},
    {"check_ma_non_text", alternative_of_other, 0, 0, 0, false},
    {"check_for_ascii_text_illegal", illegal_ascii, 0, 0, 0, false},
    {"check_abundant_unicode_ratio", unicode_ratio, 1, 1, 0, false},
    {"check_base64_length", base64_length, 1, 2, 0, false},
    {"check_msg_parse_flags", parse_flag, 1, 1, 0, false},
    {"check_for_uppercase", uppercase, 2, 2, 0, false},
    {.name = NULL}};

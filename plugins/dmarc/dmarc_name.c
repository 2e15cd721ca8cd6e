#include "dmarc_name.h"

enum { LABEL_MAX = 63 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* RFC 1123's letters, digits and hyphens, and the underscore of service names. */
static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label into out, behind what is there. False: it can't be one. */
static bool add_label(struct postern_str s, struct dmarc_name *out)
{
    if (s.len == 0 || s.len > LABEL_MAX || s.len > DMARC_NAME_MAX - out->len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = lower(s.p[i]);
        if (!is_name_byte(c))
            return false;
        out->p[out->len++] = c;
    }
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

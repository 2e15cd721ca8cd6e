#include "imap_quote.h"

#include "encword.h"

enum { MUST_ESCAPE = 1, MUST_BE_LITERAL = 2 };

static unsigned kind_of(char c)
{
    if (c == '"' || c == '\\')
        return MUST_ESCAPE;
    return c == '\r' || c == '\n' || c == '\0' || (unsigned char)c >= 0x80 ? MUST_BE_LITERAL : 0;
}

static bool add_literal(struct pn_buf *out, struct pn_str s)
{
    size_t len = out->len;
    char *p = NULL;
    if (!pn_buf_addf(out, "{%zu}\r\n", s.len) || (p = pn_buf_reserve(out, s.len)) == NULL) {
        out->len = len;
        return false;
    }
    for (size_t i = 0; i < s.len; i++)
        p[i] = s.p[i] == '\0' ? (char)0x80 : s.p[i];
    out->len += s.len;
    return true;
}

bool pn_imap_quote(struct pn_buf *out, struct pn_str s)
{
    size_t escapes = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned kind = kind_of(s.p[i]);
        if (kind == MUST_BE_LITERAL)
            return add_literal(out, s);
        escapes += kind == MUST_ESCAPE;
    }
    char *p = pn_buf_reserve(out, s.len + escapes + 2);
    if (p == NULL)
        return false;
    *p++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        if (escapes != 0 && kind_of(s.p[i]) == MUST_ESCAPE)
            *p++ = '\\';
        *p++ = s.p[i];
    }
    *p = '"';
    out->len += s.len + escapes + 2;
    return true;
}

bool pn_imap_quote_unfold(struct pn_buf *out, struct pn_str value, size_t max)
{
    value = pn_str_trim(value);
    if (pn_str_find(value, '\n', 0) == SIZE_MAX)
        return pn_imap_quote(out, pn_str_slice(value, 0, max));
    struct pn_buf flat;
    pn_buf_init(&flat, value.len + 1);
    bool ok =
        pn_unfold(value, &flat) && pn_imap_quote(out, pn_str_slice(pn_buf_str(&flat), 0, max));
    pn_buf_fini(&flat);
    return ok;
}

#include "lex.h"

size_t lex_comment(struct pn_str s, size_t at, bool *closed)
{
    size_t depth = 0;
    bool found = false;
    for (; at < s.len && !found; at++) {
        if (s.p[at] == '\\' && at + 1 < s.len)
            at++;
        else if (s.p[at] == '(')
            depth++;
        else if (s.p[at] == ')')
            found = --depth == 0;
    }
    if (closed != NULL)
        *closed = found;
    return at;
}

size_t lex_cfws(struct pn_str s, size_t at)
{
    while (at < s.len) {
        if (lex_blank(s.p[at]))
            at++;
        else if (s.p[at] == '(')
            at = lex_comment(s, at, NULL);
        else
            break;
    }
    return at;
}

size_t lex_quoted(struct pn_str s, size_t at, struct pn_str *inside, bool *closed)
{
    size_t from = ++at;
    while (at < s.len && s.p[at] != '"')
        at += s.p[at] == '\\' && at + 1 < s.len ? 2 : 1;
    bool found = at < s.len;
    *inside = pn_str_slice(s, from, at);
    if (closed != NULL)
        *closed = found;
    return found ? at + 1 : s.len;
}

static bool is_token_byte(char c)
{
    return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

size_t lex_token(struct pn_str s, size_t at)
{
    while (at < s.len && is_token_byte(s.p[at]))
        at++;
    return at;
}

bool lex_is_token(struct pn_str s)
{
    return s.len != 0 && lex_token(s, 0) == s.len;
}

bool lex_is_atext(char c)
{
    return (unsigned char)c >= 0x80 || pn_is_alpha(c) || pn_is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool lex_unquote(struct pn_str inside, struct pn_buf *out)
{
    bool ok = true;
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.p[i] == '\\' && i + 1 < inside.len)
            i++;
        if (inside.p[i] != '\r' && inside.p[i] != '\n')
            ok = pn_buf_addc(out, inside.p[i]) && ok;
    }
    return ok;
}

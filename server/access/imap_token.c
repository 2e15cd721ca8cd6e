#include "imap_token.h"

#include "utf8.h"

/* ---- bytes ---- */

enum {
    ATOM = 1,   /* ATOM-CHAR and "]", which RFC 9051's astring has */
    TAG = 2,    /* ASTRING-CHAR but "+" */
    SET = 4,    /* of a sequence-set */
    WILD = 8,   /* list-wildcards */
    QUOTED = 16 /* needs no backslash in a quoted string */
};

static unsigned kind(char c)
{
    unsigned char u = (unsigned char)c;
    if (u < ' ' || u == 0x7f)
        return u == '\0' || u == '\r' || u == '\n' ? 0 : QUOTED;
    if (u > 0x7f)
        return QUOTED;
    switch (c) {
    case '"':
    case '\\':
        return 0;
    case '(':
    case ')':
    case '{':
    case ' ':
        return QUOTED;
    case '%':
        return QUOTED | WILD;
    case '*':
        return QUOTED | WILD | SET;
    case '+':
        return QUOTED | ATOM;
    case '$':
    case ':':
    case ',':
        return QUOTED | ATOM | TAG | SET;
    default:
        return QUOTED | ATOM | TAG | (pn_is_digit(c) ? SET : 0u);
    }
}

static bool take(struct pn_imap_args *args, size_t n, struct pn_str *out)
{
    if (n == 0)
        return false;
    *out = pn_str_slice(args->rest, 0, n);
    args->near = args->rest;
    args->rest = pn_str_slice(args->rest, n, args->rest.len);
    return true;
}

static size_t run_of(struct pn_str s, unsigned kinds)
{
    size_t n = 0;
    while (n < s.len && (kind(s.p[n]) & kinds) != 0)
        n++;
    return n;
}

bool pn_imap_end(const struct pn_imap_args *args)
{
    return args->rest.len == 0;
}

bool pn_imap_char(struct pn_imap_args *args, char c)
{
    if (args->rest.len == 0 || args->rest.p[0] != c)
        return false;
    args->rest = pn_str_slice(args->rest, 1, args->rest.len);
    return true;
}

bool pn_imap_sp(struct pn_imap_args *args)
{
    return pn_imap_char(args, ' ');
}

bool pn_imap_word(struct pn_imap_args *args, const char *word)
{
    struct pn_imap_args at = *args;
    struct pn_str got;
    if (!pn_imap_atom(&at, &got) || !pn_str_ieq(got, pn_str_of(word)))
        return false;
    *args = at;
    return true;
}

/* ---- words and numbers ---- */

bool pn_imap_tag(struct pn_imap_args *args, struct pn_str *out)
{
    return take(args, run_of(args->rest, TAG), out);
}

bool pn_imap_atom(struct pn_imap_args *args, struct pn_str *out)
{
    return take(args, run_of(args->rest, ATOM), out);
}

bool pn_imap_atom_to(struct pn_imap_args *args, const char *stop, struct pn_str *out)
{
    size_t n = run_of(args->rest, ATOM);
    for (size_t i = 0; i < n; i++)
        if (strchr(stop, args->rest.p[i]) != NULL)
            n = i;
    return take(args, n, out);
}

bool pn_imap_list_mailbox(struct pn_imap_args *args, struct pn_str *out)
{
    return pn_imap_string(args, out) || take(args, run_of(args->rest, ATOM | WILD), out);
}

bool pn_imap_set(struct pn_imap_args *args, struct pn_str *out)
{
    return take(args, run_of(args->rest, SET), out);
}

bool pn_imap_flag(struct pn_imap_args *args, struct pn_str *out)
{
    struct pn_str s = args->rest;
    size_t slash = s.len > 0 && s.p[0] == '\\' ? 1 : 0;
    s = pn_str_slice(s, slash, s.len);
    size_t n = run_of(s, ATOM), bracket = pn_str_find(s, ']', 0);
    n = bracket < n ? bracket : n; /* it would end PERMANENTFLAGS */
    return n > 0 && take(args, slash + n, out);
}

static bool number(struct pn_imap_args *args, uint64_t max, uint64_t *out)
{
    size_t n = 0;
    while (n < args->rest.len && n < 20 && pn_is_digit(args->rest.p[n]))
        n++;
    if (n == 0 || !pn_str_u64(pn_str_slice(args->rest, 0, n), max, out) ||
        (n < args->rest.len && pn_is_digit(args->rest.p[n])))
        return false;
    args->near = args->rest;
    args->rest = pn_str_slice(args->rest, n, args->rest.len);
    return true;
}

bool pn_imap_number64(struct pn_imap_args *args, uint64_t *out)
{
    return number(args, INT64_MAX, out);
}

bool pn_imap_number(struct pn_imap_args *args, uint32_t *out)
{
    uint64_t n;
    if (!number(args, UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

/* ---- strings ---- */

static struct pn_str without_backslashes(struct pn_pool *pool, struct pn_str raw)
{
    char *to = pn_pool_alloc(pool, raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; to != NULL && i < raw.len; i++) {
        i += raw.p[i] == '\\' ? 1 : 0;
        to[n++] = raw.p[i];
    }
    return (struct pn_str){to, n};
}

static bool quoted(struct pn_imap_args *args, struct pn_str *out)
{
    struct pn_str s = args->rest;
    bool escaped = false;
    size_t at = 1;
    if (s.len == 0 || s.p[0] != '"')
        return false;
    for (; at < s.len && s.p[at] != '"'; at++) {
        if (s.p[at] == '\\') {
            escaped = true;
            if (++at == s.len || (s.p[at] != '"' && s.p[at] != '\\'))
                return false;
        } else if ((kind(s.p[at]) & QUOTED) == 0) {
            return false;
        }
    }
    struct pn_str raw = pn_str_slice(s, 1, at);
    if (at >= s.len || !pn_utf8_valid(raw))
        return false;
    *out = escaped ? without_backslashes(args->pool, raw) : raw;
    if (out->p == NULL)
        return false;
    args->near = s;
    args->rest = pn_str_slice(s, at + 1, s.len);
    return true;
}

/* "{n}" or "{n+}"; at is behind the line end that follows it. */
static bool literal_head(struct pn_imap_args *args, uint64_t *size)
{
    struct pn_imap_args at = *args;
    if (!pn_imap_char(&at, '{') || !pn_imap_number64(&at, size))
        return false;
    (void)pn_imap_char(&at, '+');
    if (!pn_imap_char(&at, '}') || !pn_imap_char(&at, '\r') || !pn_imap_char(&at, '\n'))
        return false;
    *args = at;
    return true;
}

bool pn_imap_literal_mark(struct pn_imap_args *args)
{
    struct pn_imap_args at = *args;
    uint64_t size;
    (void)pn_imap_char(&at, '~');
    if (!literal_head(&at, &size) || !pn_imap_end(&at))
        return false;
    *args = at;
    return true;
}

bool pn_imap_string(struct pn_imap_args *args, struct pn_str *out)
{
    struct pn_imap_args at = *args;
    uint64_t size;
    if (quoted(args, out))
        return true;
    if (!literal_head(&at, &size) || size > at.rest.len)
        return false;
    *out = pn_str_slice(at.rest, 0, (size_t)size);
    if (out->len > 0 && memchr(out->p, '\0', out->len) != NULL)
        return false;
    args->near = args->rest;
    args->rest = pn_str_slice(at.rest, (size_t)size, at.rest.len);
    return true;
}

bool pn_imap_astring(struct pn_imap_args *args, struct pn_str *out)
{
    return pn_imap_string(args, out) || pn_imap_atom(args, out);
}

bool pn_imap_nstring(struct pn_imap_args *args, struct pn_str *out)
{
    if (pn_imap_string(args, out))
        return true;
    *out = (struct pn_str){NULL, 0};
    return pn_imap_word(args, "NIL");
}

/* ---- writing ---- */

enum { QUOTED_MAX = 4096 }; /* beyond it a literal reads as well, and costs no look at the bytes */

static bool may_be_quoted(struct pn_str s, bool utf8)
{
    if (s.len > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n')
            return false;
    return pn_str_is_ascii(s) || (utf8 && pn_utf8_valid(s));
}

static void put_literal(struct pn_buf *out, struct pn_str s)
{
    size_t nuls = 0;
    for (size_t i = 0; i < s.len; i++)
        nuls += s.p[i] == '\0' ? 1 : 0;
    (void)pn_buf_addf(out, "{%zu}\r\n", s.len - nuls);
    if (nuls == 0)
        (void)pn_buf_adds(out, s);
    for (size_t i = 0; nuls > 0 && i < s.len; i++)
        if (s.p[i] != '\0')
            (void)pn_buf_addc(out, s.p[i]);
}

void pn_imap_put_string(struct pn_buf *out, struct pn_str s, bool utf8)
{
    if (!may_be_quoted(s, utf8)) {
        put_literal(out, s);
        return;
    }
    (void)pn_buf_addc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            (void)pn_buf_addc(out, '\\');
        (void)pn_buf_addc(out, s.p[i]);
    }
    (void)pn_buf_addc(out, '"');
}

void pn_imap_put_astring(struct pn_buf *out, struct pn_str s, bool utf8)
{
    /* NIL as an atom is read for nothing by some. */
    if (s.len > 0 && run_of(s, TAG) == s.len && !pn_str_ieq(s, PN_STR("NIL")))
        (void)pn_buf_adds(out, s);
    else
        pn_imap_put_string(out, s, utf8);
}

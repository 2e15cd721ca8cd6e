#include "authres.h"

#include "lex.h"
#include "utf8.h"

enum {
    LINE = 78,
    VALUE_MAX = 400, /* of one property or reason: a line must stay below 998 */
    WORD_MAX = 64    /* of a method, a result, a property's name */
};

/* ---- writing */

static bool is_word_byte(char c)
{
    return pn_is_alpha(c) || pn_is_digit(c) || c == '-' || c == '_' || c == '.' || c == '/';
}

static void add_word(struct pn_buf *out, struct pn_str s)
{
    for (size_t i = 0; i < s.len && i < WORD_MAX; i++)
        (void)pn_buf_addc(out, is_word_byte(s.p[i]) ? s.p[i] : '?');
}

/* Characters with `special` ones escaped, controls and what is no UTF-8 as "?". */
static void add_clean(struct pn_buf *out, struct pn_str s, const char *special)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = pn_utf8_next(pn_str_slice(s, i, s.len));
        if (n == 0 || (unsigned char)s.p[i] < ' ' || s.p[i] == 127) {
            (void)pn_buf_addc(out, '?');
            n = 1;
        } else {
            if (strchr(special, s.p[i]) != NULL)
                (void)pn_buf_addc(out, '\\');
            (void)pn_buf_add(out, s.p + i, n);
        }
        i += n;
    }
}

/* RFC 8601, section 2.2: a pvalue may be an address as it stands, if both sides are plain. */
static bool is_plain(struct pn_str s)
{
    size_t sign = pn_str_find(s, '@', 0);
    if (sign == SIZE_MAX)
        return lex_is_token(s);
    struct pn_str local = pn_str_slice(s, 0, sign), domain = pn_str_slice(s, sign + 1, s.len);
    return (local.len == 0 || lex_is_token(local)) && lex_is_token(domain);
}

static void add_value(struct pn_buf *out, struct pn_str s, bool plain)
{
    if (s.len > VALUE_MAX)
        s.len = VALUE_MAX;
    if (plain) {
        (void)pn_buf_adds(out, s);
        return;
    }
    (void)pn_buf_addc(out, '"');
    add_clean(out, s, "\"\\");
    (void)pn_buf_addc(out, '"');
}

/* Appends a piece and the blank before it: a fold if the line would be too long. */
static void add_piece(struct pn_buf *out, size_t *line, const struct pn_buf *piece)
{
    bool fold = out->len - *line + 1 + piece->len > LINE;
    (void)pn_buf_addz(out, fold ? "\r\n\t" : " ");
    if (fold)
        *line = out->len - 1;
    (void)pn_buf_adds(out, pn_buf_str(piece));
}

static void add_result(struct pn_buf *out, const struct pn_authres *r)
{
    struct pn_buf piece;
    size_t line = out->len + 2;
    pn_buf_init(&piece, (size_t)8 * VALUE_MAX);
    (void)pn_buf_addz(out, "\r\n\t");
    add_word(out, r->method);
    (void)pn_buf_addc(out, '=');
    add_word(out, r->result);
    if (r->comment.len != 0) {
        (void)pn_buf_addc(&piece, '(');
        add_clean(&piece, pn_str_slice(r->comment, 0, VALUE_MAX), "()\\");
        (void)pn_buf_addc(&piece, ')');
        add_piece(out, &line, &piece);
    }
    if (r->reason.len != 0) {
        pn_buf_clear(&piece);
        (void)pn_buf_addz(&piece, "reason=");
        add_value(&piece, r->reason, lex_is_token(r->reason));
        add_piece(out, &line, &piece);
    }
    for (size_t i = 0; i < r->property_count; i++) {
        const struct pn_authres_property *p = &r->properties[i];
        pn_buf_clear(&piece);
        add_word(&piece, p->ptype);
        (void)pn_buf_addc(&piece, '.');
        add_word(&piece, p->property);
        (void)pn_buf_addc(&piece, '=');
        add_value(&piece, p->value, is_plain(p->value));
        add_piece(out, &line, &piece);
    }
    pn_buf_fini(&piece);
}

bool pn_authres_value(struct pn_str authserv_id, const struct pn_authres *results, size_t count,
                      struct pn_buf *out)
{
    size_t len = out->len;
    bool over = out->overflow;
    out->overflow = false;
    add_value(out, authserv_id, lex_is_token(authserv_id));
    for (size_t i = 0; i < count; i++) {
        (void)pn_buf_addc(out, ';');
        add_result(out, &results[i]);
    }
    if (count == 0)
        (void)pn_buf_addz(out, "; none");
    bool ok = !out->overflow;
    out->overflow = over || !ok;
    if (!ok)
        out->len = len;
    return ok;
}

/* ---- reading */

/* The first word: a quoted string's inside, or up to a blank, comment or semicolon. */
static size_t first_word(struct pn_str s, struct pn_str *word)
{
    size_t at = lex_cfws(s, 0), end = at;
    if (at < s.len && s.p[at] == '"')
        return lex_quoted(s, at, word, NULL);
    while (end < s.len && s.p[end] != ';' && s.p[end] != '(' && !lex_blank(s.p[end]))
        end++;
    *word = pn_str_slice(s, at, end);
    return end;
}

bool pn_authres_id(struct pn_str value, struct pn_buf *out)
{
    struct pn_str word;
    size_t len = out->len;
    (void)first_word(value, &word);
    bool ok = lex_unquote(word, out);
    for (size_t i = len; i < out->len; i++)
        out->p[i] = pn_lower(out->p[i]);
    while (ok && out->len > len + 1 && out->p[out->len - 1] == '.')
        out->len--;
    if (ok && out->len > len)
        return true;
    out->len = len;
    return false;
}

bool pn_authres_claims(struct pn_str value, struct pn_str id)
{
    struct pn_buf said;
    while (id.len > 1 && id.p[id.len - 1] == '.')
        id.len--;
    pn_buf_init(&said, value.len + 1);
    bool claims = false;
    if (pn_authres_id(value, &said)) {
        struct pn_str s = pn_buf_str(&said);
        char next = s.len > id.len ? s.p[id.len] : '\0';
        /* "id/1", "id:", "id=...": no word of the grammar, and yet a reader may take it. */
        claims = pn_str_istarts(s, id) &&
                 (s.len == id.len || (!pn_is_alpha(next) && !pn_is_digit(next) && next != '-' &&
                                      next != '.' && next != '_'));
    }
    pn_buf_fini(&said);
    return claims;
}

void pn_authres_start(struct pn_authres_walk *walk, struct pn_str value, bool id)
{
    struct pn_str word;
    *walk = (struct pn_authres_walk){.value = value, .fresh = !id};
    if (!id)
        return;
    size_t at = lex_cfws(value, first_word(value, &word));
    while (at < value.len && pn_is_digit(value.p[at]))
        at++;
    walk->at = at;
}

static size_t keyword_end(struct pn_str s, size_t at)
{
    while (at < s.len &&
           (pn_is_alpha(s.p[at]) || pn_is_digit(s.p[at]) || s.p[at] == '-' || s.p[at] == '_'))
        at++;
    return at;
}

static size_t read_value(struct pn_str s, size_t at, struct pn_str *out)
{
    at = lex_cfws(s, at);
    if (at < s.len && s.p[at] == '"')
        return lex_quoted(s, at, out, NULL);
    size_t end = at;
    while (end < s.len && s.p[end] != ';' && s.p[end] != '(' && !lex_blank(s.p[end]))
        end++;
    *out = pn_str_slice(s, at, end);
    return end;
}

/* "name", "name/1" or "ptype.name", then "=" and a value. False, moved on: it was not. */
static bool read_item(struct pn_authres_walk *walk, struct pn_authres_item *out)
{
    struct pn_str s = walk->value;
    size_t from = walk->at, end = keyword_end(s, from), at = lex_cfws(s, end);
    *out = (struct pn_authres_item){.name = pn_str_slice(s, from, end)};
    if (end == from) {
        walk->at = from + 1;
        return false;
    }
    if (at < s.len && s.p[at] == '.') {
        size_t name = lex_cfws(s, at + 1);
        out->ptype = out->name;
        end = keyword_end(s, name);
        out->name = pn_str_slice(s, name, end);
        at = lex_cfws(s, end);
    } else if (at < s.len && s.p[at] == '/') {
        at = lex_cfws(s, at + 1);
        while (at < s.len && pn_is_digit(s.p[at]))
            at++;
        at = lex_cfws(s, at);
    }
    if (at >= s.len || s.p[at] != '=') {
        walk->at = at;
        return false;
    }
    walk->at = read_value(s, at + 1, &out->value);
    return true;
}

bool pn_authres_next(struct pn_authres_walk *walk, struct pn_authres_item *out)
{
    struct pn_str s = walk->value;
    for (;;) {
        walk->at = lex_cfws(s, walk->at);
        if (walk->at >= s.len)
            return false;
        if (s.p[walk->at] == ';') {
            walk->at++;
            walk->fresh = true;
            continue;
        }
        if (!read_item(walk, out)) {
            walk->malformed |= !(walk->fresh && pn_str_ieq(out->name, PN_STR("none")));
            walk->fresh = false;
            continue;
        }
        if (walk->fresh && out->ptype.len == 0) {
            out->kind = PN_AUTHRES_METHOD;
        } else if (out->ptype.len == 0 && pn_str_ieq(out->name, PN_STR("reason"))) {
            out->kind = PN_AUTHRES_REASON;
        } else {
            out->kind = PN_AUTHRES_PROPERTY;
            walk->malformed |= walk->fresh || out->ptype.len == 0;
        }
        walk->fresh = false;
        return true;
    }
}

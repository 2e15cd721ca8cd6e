#include "charset.h"
#include "encword.h"
#include "lex.h"
#include "param_priv.h"

enum { SECTIONS_MAX = 128 };

struct pn_str pn_param_start(struct pn_param_walk *walk, struct pn_str value)
{
    size_t from = lex_cfws(value, 0), at = from;
    while (at < value.len && value.p[at] != ';' && value.p[at] != '(' && !lex_blank(value.p[at]))
        at++;
    *walk = (struct pn_param_walk){value, at};
    return pn_str_slice(value, from, at);
}

static size_t word_end(struct pn_str s, size_t at)
{
    while (at < s.len && s.p[at] != ';' && !lex_blank(s.p[at]))
        at++;
    return at;
}

static size_t name_end(struct pn_str s, size_t at)
{
    while (at < s.len && lex_token(s, at) > at)
        at = lex_token(s, at);
    return at;
}

/*
 * A value without quotes should be one token. Where more words follow, either a
 * semicolon was forgotten (what follows is a name and "=") or the quotes were, and then
 * the value goes on to the next semicolon.
 */
static size_t unquoted(struct pn_str s, size_t at, struct pn_str *out)
{
    size_t end = word_end(s, at), next = lex_cfws(s, end);
    *out = pn_str_slice(s, at, end);
    if (next >= s.len || s.p[next] == ';')
        return next;
    size_t name = name_end(s, next);
    if (name > next && name < s.len && s.p[name] == '=')
        return next;
    while (end < s.len && s.p[end] != ';')
        end++;
    *out = pn_str_trim(pn_str_slice(s, at, end));
    return end;
}

bool pn_param_next(struct pn_param_walk *walk, struct pn_param *out)
{
    struct pn_str s = walk->value;
    size_t at = walk->at;
    while ((at = lex_cfws(s, at)) < s.len) {
        size_t end = name_end(s, at), equal = lex_cfws(s, end);
        if (end == at) {
            struct pn_str skipped;
            at = s.p[at] == '"' ? lex_quoted(s, at, &skipped, NULL) : at + 1;
        } else if (equal >= s.len || s.p[equal] != '=') {
            at = equal;
        } else {
            size_t from = lex_cfws(s, equal + 1);
            out->name = pn_str_slice(s, at, end);
            out->quoted = from < s.len && s.p[from] == '"';
            walk->at = out->quoted ? lex_quoted(s, from, &out->value, NULL)
                                   : unquoted(s, from, &out->value);
            return true;
        }
    }
    walk->at = s.len;
    return false;
}

static bool add_percent(struct pn_str v, struct pn_buf *out)
{
    for (size_t i = 0; i < v.len; i++) {
        char c = v.p[i];
        if (c == '%' && i + 2 < v.len && lex_hex(v.p[i + 1]) >= 0 && lex_hex(v.p[i + 2]) >= 0) {
            c = (char)(lex_hex(v.p[i + 1]) << 4 | lex_hex(v.p[i + 2]));
            i += 2;
        }
        if (!pn_buf_addc(out, c))
            return false;
    }
    return true;
}

struct piece {
    struct pn_str value;
    bool set, extended;
};

/* RFC 2231, section 3 and 4: "name", "name*", "name*1", "name*1*". */
struct pieces {
    struct piece plain, extended;
    struct piece section[SECTIONS_MAX];
};

static void set_piece(struct piece *piece, struct pn_str value, bool extended)
{
    if (!piece->set)
        *piece = (struct piece){value, true, extended};
}

static void sort_piece(struct pieces *pieces, struct pn_str suffix, struct pn_str value)
{
    uint64_t number = 0;
    if (suffix.len == 0) {
        set_piece(&pieces->plain, value, false);
    } else if (pn_str_eq(suffix, PN_STR("*"))) {
        set_piece(&pieces->extended, value, true);
    } else if (suffix.p[0] == '*') {
        bool extended = suffix.p[suffix.len - 1] == '*';
        if (pn_str_u64(pn_str_slice(suffix, 1, suffix.len - extended), SECTIONS_MAX - 1, &number))
            set_piece(&pieces->section[number], value, extended);
    }
}

/* Cuts "charset'language'" off the front of an extended value. */
static struct pn_str cut_charset(struct pn_str *value)
{
    size_t first = pn_str_find(*value, '\'', 0);
    size_t second = first == SIZE_MAX ? SIZE_MAX : pn_str_find(*value, '\'', first + 1);
    if (second == SIZE_MAX)
        return PN_STR("");
    struct pn_str charset = pn_str_slice(*value, 0, first);
    *value = pn_str_slice(*value, second + 1, value->len);
    return charset;
}

static bool add_piece(const struct piece *piece, struct pn_buf *out)
{
    return piece->extended ? add_percent(piece->value, out) : lex_unquote(piece->value, out);
}

static bool add_pieces(struct pieces *pieces, struct pn_buf *out, struct pn_str *charset)
{
    *charset = (struct pn_str){NULL, 0};
    struct piece *first = pieces->extended.set ? &pieces->extended : &pieces->section[0];
    if (!first->set)
        return pieces->plain.set && add_piece(&pieces->plain, out);
    if (first->extended)
        *charset = cut_charset(&first->value);
    bool ok = add_piece(first, out);
    for (size_t i = 1; first != &pieces->extended && i < SECTIONS_MAX && pieces->section[i].set;
         i++)
        ok = ok && add_piece(&pieces->section[i], out);
    return ok;
}

bool param_bytes(struct pn_str value, struct pn_str name, struct pn_buf *out,
                 struct pn_str *charset)
{
    struct pieces pieces = {.plain = {.set = false}};
    struct pn_param_walk walk;
    struct pn_param param;
    size_t len = out->len;
    (void)pn_param_start(&walk, value);
    while (pn_param_next(&walk, &param))
        if (pn_str_istarts(param.name, name))
            sort_piece(&pieces, pn_str_slice(param.name, name.len, param.name.len), param.value);
    if (add_pieces(&pieces, out, charset))
        return true;
    out->len = len;
    return false;
}

static void drop_controls(struct pn_buf *out, size_t from)
{
    size_t to = from;
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] != '\r' && out->p[i] != '\n' && out->p[i] != '\0')
            out->p[to++] = out->p[i];
    out->len = to;
}

bool pn_param_get(struct pn_str value, struct pn_str name, struct pn_buf *out)
{
    struct pn_buf bytes;
    struct pn_str charset;
    size_t len = out->len;
    pn_buf_init(&bytes, value.len + 1);
    bool ok = param_bytes(value, name, &bytes, &charset);
    if (ok && charset.len != 0)
        ok = pn_charset_to_utf8(charset, pn_buf_str(&bytes), out);
    else if (ok && charset.p != NULL)
        ok = pn_charset_guess_utf8(pn_buf_str(&bytes), out);
    else if (ok)
        ok = pn_words_decode(pn_buf_str(&bytes), out);
    pn_buf_fini(&bytes);
    if (ok)
        drop_controls(out, len);
    else
        out->len = len;
    return ok;
}

static struct pn_str field_value(const struct pn_message *m, const struct pn_part *part,
                                 int32_t index)
{
    if (index == PN_NO_FIELD)
        return PN_STR("");
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(m, part, &count);
    return pn_field_value(m, fields + ((uint32_t)index - part->first_field));
}

bool pn_part_param(const struct pn_message *m, const struct pn_part *part, struct pn_str name,
                   struct pn_buf *out)
{
    return pn_param_get(field_value(m, part, part->content_type), name, out);
}

struct pn_str pn_part_disposition(const struct pn_message *m, const struct pn_part *part)
{
    struct pn_param_walk walk;
    return pn_param_start(&walk, field_value(m, part, part->disposition));
}

bool pn_part_filename(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out)
{
    return pn_param_get(field_value(m, part, part->disposition), PN_STR("filename"), out) ||
           pn_part_param(m, part, PN_STR("name"), out);
}

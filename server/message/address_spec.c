#include "address_priv.h"
#include "encword.h"
#include "lex.h"

/*
 * Reads words joined by dots from `at` on: atoms, and quoted strings if `quoted` says so.
 * A group is a run of them with a dot between each two. With `first`, stops behind the
 * first group; else returns the offset where the last one began. Flags what is not plain.
 */
struct words {
    struct pn_str s;
    bool quoted; /* quoted strings are allowed */
    unsigned flags;
    size_t group, group_end; /* of the last group */
};

static size_t atom_end(struct pn_str s, size_t at)
{
    while (at < s.len && lex_is_atext(s.p[at]))
        at++;
    return at;
}

static size_t one_word(struct words *w, size_t at)
{
    bool closed = true;
    struct pn_str inside;
    size_t end = atom_end(w->s, at);
    if (end > at) {
        for (size_t i = at; i < end; i++)
            if ((unsigned char)w->s.p[i] >= 0x80)
                w->flags |= PN_ADDRESS_UTF8;
        return end;
    }
    if (w->s.p[at] == '"' && w->quoted) {
        w->flags |= PN_ADDRESS_QUOTED;
        end = lex_quoted(w->s, at, &inside, &closed);
        if (!closed)
            w->flags |= PN_ADDRESS_MALFORMED;
        return end;
    }
    w->flags |= PN_ADDRESS_MALFORMED;
    return at + 1;
}

static void read_words(struct words *w, bool first_group)
{
    size_t at = lex_cfws(w->s, 0), words = 0;
    bool dot = true; /* a word may come without starting a group of its own */
    w->group = w->group_end = at;
    while (at < w->s.len) {
        size_t next;
        if (w->s.p[at] == '.') {
            if (dot)
                w->flags |= PN_ADDRESS_MALFORMED;
            dot = true;
            next = at + 1;
        } else {
            if (!dot) {
                w->flags |= PN_ADDRESS_MALFORMED;
                if (first_group)
                    return;
                w->group = at;
            }
            if (w->s.p[at] == '"' && words > 0)
                w->flags |= PN_ADDRESS_OBSOLETE;
            dot = false;
            words++;
            next = one_word(w, at);
            if (words > 1 && w->flags & PN_ADDRESS_QUOTED)
                w->flags |= PN_ADDRESS_OBSOLETE;
        }
        w->group_end = next;
        at = lex_cfws(w->s, next);
        if (at != next && at < w->s.len)
            w->flags |= PN_ADDRESS_OBSOLETE;
    }
    if (dot)
        w->flags |= PN_ADDRESS_MALFORMED;
}

/* RFC 5322, section 3.4.1: "[", dtext without brackets and backslash, "]". */
static unsigned check_literal(struct pn_str s)
{
    unsigned flags = PN_ADDRESS_LITERAL;
    if (s.len < 3 || s.len > ADDRESS_LITERAL_MAX || s.p[s.len - 1] != ']')
        return flags | PN_ADDRESS_MALFORMED;
    for (size_t i = 1; i + 1 < s.len; i++) {
        if (s.p[i] == '[' || s.p[i] == ']' || s.p[i] == '\\' || s.p[i] == 127 ||
            (unsigned char)s.p[i] < ' ')
            flags |= PN_ADDRESS_MALFORMED;
        if (s.p[i] == ' ')
            flags |= PN_ADDRESS_OBSOLETE;
    }
    return flags;
}

static struct pn_str trim_cfws(struct pn_str s)
{
    size_t from = lex_cfws(s, 0), end = from;
    for (size_t at = from; at < s.len;) {
        struct pn_str inside;
        if (s.p[at] == '"')
            at = lex_quoted(s, at, &inside, NULL);
        else if (lex_cfws(s, at) > at) {
            at = lex_cfws(s, at);
            continue;
        } else
            at++;
        end = at;
    }
    return pn_str_slice(s, from, end);
}

static void split_domain(struct pn_str text, struct pn_address *out)
{
    struct pn_str s = trim_cfws(text);
    if (s.len > 0 && s.p[0] == '[') {
        out->domain = s;
        out->flags |= check_literal(s);
        return;
    }
    struct words w = {.s = s};
    read_words(&w, true);
    out->domain = pn_str_slice(s, w.group, w.group_end);
    out->flags |= w.flags;
    if (out->domain.len == 0)
        out->flags |= PN_ADDRESS_MALFORMED;
}

struct pn_str address_split(struct pn_str text, size_t at_sign, struct pn_address *out)
{
    struct pn_str s = trim_cfws(pn_str_slice(text, 0, at_sign));
    struct words w = {.s = s, .quoted = true};
    read_words(&w, false);
    out->local = pn_str_slice(s, w.group, s.len);
    out->flags |= w.flags;
    if (at_sign == SIZE_MAX) {
        out->flags |= PN_ADDRESS_MALFORMED;
        out->local = s;
        return PN_STR("");
    }
    split_domain(pn_str_slice(text, at_sign + 1, text.len), out);
    return pn_str_trim(pn_str_slice(s, 0, w.group));
}

bool address_phrase_check(struct pn_str phrase)
{
    bool closed = true;
    struct pn_str inside;
    for (size_t at = 0; at < phrase.len && closed;) {
        char c = phrase.p[at];
        if (c == '"')
            at = lex_quoted(phrase, at, &inside, &closed);
        else if (c == '(')
            at = lex_comment(phrase, at, &closed);
        else if (lex_is_atext(c) || lex_blank(c) || c == '.')
            at++;
        else
            return false;
    }
    return closed;
}

bool pn_addr_spec_parse(struct pn_str text, struct pn_address *out)
{
    size_t sign = SIZE_MAX;
    struct pn_str inside;
    *out = (struct pn_address){.raw = text};
    for (size_t at = 0; at < text.len && sign == SIZE_MAX;) {
        if (text.p[at] == '@')
            sign = at;
        at = text.p[at] == '"' ? lex_quoted(text, at, &inside, NULL) : at + 1;
    }
    if (sign == SIZE_MAX)
        return false;
    (void)address_split(text, sign, out);
    bool controls = false;
    for (size_t i = 0; i < text.len; i++)
        controls = controls || (unsigned char)text.p[i] < ' ' || text.p[i] == 127;
    return !controls && (out->flags & (PN_ADDRESS_MALFORMED | PN_ADDRESS_OBSOLETE)) == 0 &&
           out->local.len + 1 + out->domain.len == text.len;
}

/* ---- one form */

bool address_local_bytes(struct pn_str local, struct pn_buf *out)
{
    bool ok = true;
    struct pn_str inside;
    for (size_t at = lex_cfws(local, 0); at < local.len; at = lex_cfws(local, at)) {
        if (local.p[at] == '"') {
            at = lex_quoted(local, at, &inside, NULL);
            ok = lex_unquote(inside, out) && ok;
        } else {
            ok = pn_buf_addc(out, local.p[at++]) && ok;
        }
    }
    return ok;
}

static bool is_dot_atom(struct pn_str s)
{
    bool dot = true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '.' ? dot : !lex_is_atext(s.p[i]))
            return false;
        dot = s.p[i] == '.';
    }
    return !dot;
}

static bool has_controls(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
            return true;
    return false;
}

static bool add_local(struct pn_str local, struct pn_buf *out)
{
    struct pn_buf bytes;
    pn_buf_init(&bytes, local.len + 1);
    bool ok = address_local_bytes(local, &bytes) && !has_controls(pn_buf_str(&bytes));
    if (ok && is_dot_atom(pn_buf_str(&bytes))) {
        ok = pn_buf_adds(out, pn_buf_str(&bytes));
    } else if (ok) {
        ok = pn_buf_addc(out, '"');
        for (size_t i = 0; i < bytes.len && ok; i++) {
            if (bytes.p[i] == '"' || bytes.p[i] == '\\')
                ok = pn_buf_addc(out, '\\');
            ok = ok && pn_buf_addc(out, bytes.p[i]);
        }
        ok = ok && pn_buf_addc(out, '"');
    }
    pn_buf_fini(&bytes);
    return ok;
}

static bool add_domain(struct pn_str domain, struct pn_buf *out)
{
    size_t len = out->len;
    bool literal = domain.len > 0 && domain.p[0] == '[', ok = true;
    for (size_t at = 0; at < domain.len && ok;) {
        size_t next = literal ? at : lex_cfws(domain, at);
        if (next == at)
            ok = lex_blank(domain.p[next]) || pn_buf_addc(out, pn_lower(domain.p[next]));
        at = next == at ? at + 1 : next;
    }
    struct pn_str got = pn_str_slice(pn_buf_str(out), len, out->len);
    if (literal) {
        ok = ok && (check_literal(got) & PN_ADDRESS_MALFORMED) == 0;
    } else {
        if (ok && got.len > 1 && got.p[got.len - 1] == '.')
            got.len = --out->len - len;
        ok = ok && is_dot_atom(got);
    }
    if (!ok)
        out->len = len;
    return ok;
}

bool pn_address_domain(const struct pn_address *address, struct pn_buf *out)
{
    return address->domain.len != 0 && add_domain(address->domain, out);
}

bool pn_address_spec(const struct pn_address *address, struct pn_buf *out)
{
    size_t len = out->len;
    if (address->local.len != 0 && add_local(address->local, out) && pn_buf_addc(out, '@') &&
        pn_address_domain(address, out))
        return true;
    out->len = len;
    return false;
}

bool address_phrase(const struct pn_address *address, struct pn_buf *out)
{
    struct pn_str s = address->display, inside;
    size_t len = out->len;
    bool blank = false, ok = true;
    if (address->flags & PN_ADDRESS_COMMENT)
        return lex_unquote(pn_str_trim(s), out);
    for (size_t at = 0; at < s.len && ok;) {
        size_t next = lex_cfws(s, at);
        if (next > at) {
            blank = out->len != len;
            at = next;
            continue;
        }
        ok = !blank || pn_buf_addc(out, ' ');
        blank = false;
        if (s.p[at] == '"') {
            at = lex_quoted(s, at, &inside, NULL);
            ok = ok && lex_unquote(inside, out);
        } else {
            ok = ok && pn_buf_addc(out, s.p[at++]);
        }
    }
    return ok;
}

bool pn_address_display(const struct pn_address *address, struct pn_buf *out)
{
    struct pn_buf text;
    pn_buf_init(&text, address->display.len + 1);
    (void)address_phrase(address, &text);
    bool ok = pn_words_decode(pn_buf_str(&text), out);
    pn_buf_fini(&text);
    return ok;
}

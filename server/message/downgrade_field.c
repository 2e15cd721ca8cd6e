/* Values of fields in ASCII: encoded words (RFC 2047), addresses (RFC 6858, section 2.1) and
 * parameters (RFC 2231). */
#include "address.h"
#include "codec.h"
#include "downgrade_priv.h"
#include "encword.h"
#include "lex.h"
#include "param.h"
#include "utf8.h"

enum {
    WORD_BYTES = 39,  /* of text in one encoded word: 64 characters */
    NAME_SHORT = 10,  /* a name behind which one fits into a line of 76 */
    PERCENT_MAX = 54, /* characters of a section of a parameter */
};

static bool fold(struct pn_str eol, struct pn_buf *out)
{
    return pn_buf_adds(out, eol) && pn_buf_addc(out, ' ');
}

/* The most whole characters that WORD_BYTES hold. */
static size_t word_len(struct pn_str text)
{
    size_t len = 0, n;
    while (len < text.len) {
        n = pn_utf8_next(pn_str_slice(text, len, text.len));
        n = n == 0 ? 1 : n;
        if (len + n > WORD_BYTES)
            break;
        len += n;
    }
    return len;
}

static bool put_words(struct pn_str text, struct pn_str eol, struct pn_buf *out)
{
    bool ok = true;
    for (size_t at = 0, n; ok && at < text.len; at += n) {
        struct pn_str rest = pn_str_slice(text, at, text.len);
        n = word_len(rest);
        ok = (at == 0 || fold(eol, out)) && pn_buf_addz(out, "=?UTF-8?B?");
        pn_base64_encode(out, pn_str_slice(rest, 0, n));
        ok = ok && pn_buf_addz(out, "?=");
    }
    return ok && !out->overflow;
}

/* What stands between the colon and the first word. */
static bool begin(struct pn_str name, struct pn_str eol, struct pn_buf *out)
{
    return name.len > NAME_SHORT ? fold(eol, out) : pn_buf_addc(out, ' ');
}

bool downgrade_text(struct pn_str value, struct pn_str name, struct pn_str eol, struct pn_buf *out)
{
    struct pn_buf text;
    pn_buf_init(&text, out->max);
    bool ok = pn_words_decode(value, &text) && begin(name, eol, out) &&
              put_words(pn_buf_str(&text), eol, out);
    pn_buf_fini(&text);
    return ok;
}

/* ---- addresses ---- */

struct list {
    struct pn_str eol;
    struct pn_buf *out;
    struct pn_buf text; /* scratch */
    bool any, comma;
};

static bool separate(struct list *l)
{
    bool ok = !l->any || ((!l->comma || pn_buf_addc(l->out, ',')) && fold(l->eol, l->out));
    l->any = true;
    return ok;
}

/* "Name <spec>": what the user is to know. */
static bool put_invalid(struct list *l, const struct pn_address *a)
{
    struct pn_buf *text = &l->text;
    bool ok = a->display.len == 0 ||
              (pn_address_display(a, text) && (text->len == 0 || pn_buf_addc(text, ' ')));
    bool named = text->len > 0;
    ok = ok && (!named || pn_buf_addc(text, '<'));
    size_t len = text->len;
    if (ok && !pn_address_spec(a, text) && text->len == len) {
        text->overflow = false;
        ok = pn_unfold(named || a->domain.len > 0 ? a->local : a->raw, text);
    }
    ok = ok && (!named || pn_buf_addc(text, '>'));
    return ok && put_words(pn_buf_str(text), l->eol, l->out) && fold(l->eol, l->out) &&
           pn_buf_addz(l->out, "<invalid@internationalized-address.invalid>");
}

/* Only its name is beyond ASCII. */
static bool put_named(struct list *l, const struct pn_address *a, struct pn_str spec)
{
    pn_buf_clear(&l->text);
    return pn_address_display(a, &l->text) && put_words(pn_buf_str(&l->text), l->eol, l->out) &&
           fold(l->eol, l->out) && pn_buf_addc(l->out, '<') && pn_buf_adds(l->out, spec) &&
           pn_buf_addc(l->out, '>');
}

static bool put_mailbox(struct list *l, const struct pn_address *a)
{
    struct pn_buf spec;
    bool ok = separate(l);
    l->comma = true;
    if (!ok || pn_str_is_ascii(a->raw))
        return ok && pn_buf_adds(l->out, a->raw);
    pn_buf_init(&spec, l->out->max);
    pn_buf_clear(&l->text);
    if ((a->flags & (PN_ADDRESS_UTF8 | PN_ADDRESS_MALFORMED)) == 0 && a->display.len > 0 &&
        pn_address_spec(a, &spec) && pn_str_is_ascii(pn_buf_str(&spec)))
        ok = put_named(l, a, pn_buf_str(&spec));
    else
        ok = put_invalid(l, a);
    pn_buf_fini(&spec);
    return ok;
}

static bool put_group(struct list *l, const struct pn_address *a)
{
    bool ok = separate(l);
    l->comma = false;
    if (ok && pn_str_is_ascii(a->display)) {
        ok = pn_buf_adds(l->out, a->display);
    } else if (ok) {
        pn_buf_clear(&l->text);
        ok = pn_address_display(a, &l->text) && put_words(pn_buf_str(&l->text), l->eol, l->out);
    }
    return ok && pn_buf_addc(l->out, ':');
}

bool downgrade_addresses(struct pn_str value, struct pn_str name, struct pn_str eol,
                         struct pn_buf *out)
{
    struct list l = {.eol = eol, .out = out};
    struct pn_address_walk walk;
    struct pn_address a;
    bool ok = begin(name, eol, out);
    pn_buf_init(&l.text, out->max);
    pn_address_start(&walk, value);
    while (ok && pn_address_next(&walk, &a)) {
        if (a.kind == PN_ADDRESS_MAILBOX)
            ok = put_mailbox(&l, &a);
        else if (a.kind == PN_ADDRESS_GROUP)
            ok = put_group(&l, &a);
        else
            ok = l.comma = pn_buf_addc(out, ';');
    }
    pn_buf_fini(&l.text);
    return ok && l.any;
}

/* ---- parameters ---- */

static bool is_plain(char c)
{
    return pn_is_alpha(c) || pn_is_digit(c) || c == '.' || c == '-' || c == '_';
}

static bool put_percent(char c, struct pn_buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_plain(c))
        return pn_buf_addc(out, c);
    return pn_buf_addc(out, '%') && pn_buf_addc(out, digits[(unsigned char)c >> 4]) &&
           pn_buf_addc(out, digits[(unsigned char)c & 15]);
}

static size_t percent_len(struct pn_str bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes.len && n <= PERCENT_MAX; i++)
        n += is_plain(bytes.p[i]) ? 1 : 3;
    return n;
}

/* "name*=UTF-8''..."; what is long in sections (RFC 2231, section 3), a character in one. */
static bool put_extended(struct pn_str name, struct pn_str bytes, struct pn_str eol,
                         struct pn_buf *out)
{
    bool sections = percent_len(bytes) > PERCENT_MAX, ok = true;
    unsigned section = 0;
    for (size_t at = 0; ok && (at < bytes.len || section == 0); section++) {
        ok = pn_buf_addc(out, ';') && fold(eol, out) && pn_buf_adds(out, name) &&
             (!sections || pn_buf_addf(out, "*%u", section)) &&
             pn_buf_addz(out, section == 0 ? "*=UTF-8''" : "*=");
        for (size_t used = 0; ok && at < bytes.len;) {
            struct pn_str rest = pn_str_slice(bytes, at, bytes.len);
            size_t n = pn_utf8_next(rest), len;
            struct pn_str one = pn_str_slice(rest, 0, n == 0 ? 1 : n);
            len = percent_len(one);
            if (used + len > PERCENT_MAX)
                break;
            used += len;
            for (size_t i = 0; i < one.len; i++)
                ok = ok && put_percent(one.p[i], out);
            at += one.len;
        }
    }
    return ok;
}

/* What others hang on, and what RFC 2231 says already, can't be said in another way. */
static bool may_extend(struct pn_str name)
{
    return pn_str_is_ascii(name) && pn_str_find(name, '*', 0) == SIZE_MAX &&
           !pn_str_ieq(name, PN_STR("charset")) && !pn_str_ieq(name, PN_STR("boundary"));
}

static bool is_boundary(struct pn_str name)
{
    return pn_str_istarts(name, PN_STR("boundary"));
}

static bool put_beyond(const struct pn_param *param, struct pn_str eol, struct pn_buf *out)
{
    struct pn_buf bytes;
    if (!may_extend(param->name))
        return true;
    pn_buf_init(&bytes, out->max);
    bool ok =
        (param->quoted ? lex_unquote(param->value, &bytes) : pn_buf_adds(&bytes, param->value)) &&
        put_extended(param->name, pn_buf_str(&bytes), eol, out);
    pn_buf_fini(&bytes);
    return ok;
}

static bool put_ascii(const struct pn_param *param, struct pn_str eol, struct pn_buf *out)
{
    const char *quote = param->quoted ? "\"" : "";
    return pn_buf_addc(out, ';') && fold(eol, out) && pn_buf_adds(out, param->name) &&
           pn_buf_addc(out, '=') && pn_buf_addz(out, quote) && pn_buf_adds(out, param->value) &&
           pn_buf_addz(out, quote);
}

static bool is_ascii(const struct pn_param *param)
{
    return pn_str_is_ascii(param->name) && pn_str_is_ascii(param->value);
}

/* One of its pieces is beyond ASCII: without it the others name another boundary. */
static bool lacks_boundary(struct pn_str params)
{
    struct pn_param_walk walk;
    struct pn_param param;
    (void)pn_param_start(&walk, params);
    while (pn_param_next(&walk, &param))
        if (is_boundary(param.name) && !is_ascii(&param))
            return true;
    return false;
}

bool downgrade_params(struct pn_str token, struct pn_str params, struct pn_str eol,
                      struct pn_buf *out)
{
    struct pn_param_walk walk;
    struct pn_param param;
    struct pn_str first = pn_param_start(&walk, params);
    bool without = lacks_boundary(params);
    if (token.len == 0)
        token = first;
    bool ok = token.len > 0 && pn_str_is_ascii(token) && pn_buf_adds(out, token);
    while (ok && pn_param_next(&walk, &param)) {
        if (without && is_boundary(param.name))
            continue;
        ok = is_ascii(&param) ? put_ascii(&param, eol, out) : put_beyond(&param, eol, out);
    }
    return ok;
}

#include "spf_macro.h"

#include <stdio.h>

enum { LETTERS_MAX = 512, PARTS_MAX = 256 };

/* One byte of text, or one macro. */
struct token {
    char literal; /* if macro is 0 */
    char macro;   /* the letter in lower case; '%' for %%, %_ and %- (in literal, 0: "%20") */
    bool upper;   /* URL escapes */
    bool reverse;
    unsigned keep; /* labels from the right; 0: all */
    struct postern_str delimiters;
};

/* Behind "%{"; true: a right macro, *at stands behind its "}". */
static bool take_macro(struct postern_str s, size_t *at, enum spf_macro_use use, struct token *t)
{
    static const char letters[] = "slodipvhcrt", domain_letters[] = "slodipvh";
    size_t i = *at;
    if (i >= s.len || s.p[i] == '\0')
        return false;
    *t = (struct token){.macro = spf_lower(s.p[i]), .upper = s.p[i] != spf_lower(s.p[i])};
    if (strchr(use == SPF_MACRO_EXPLAIN ? letters : domain_letters, t->macro) == NULL)
        return false;
    size_t digits = ++i;
    while (i < s.len && spf_is_digit(s.p[i])) {
        /* Beyond that all labels of any name are kept. */
        t->keep = t->keep > 1000 ? t->keep : t->keep * 10 + (unsigned)(s.p[i] - '0');
        i++;
    }
    if (i != digits && t->keep == 0)
        return false;
    if (i < s.len && spf_lower(s.p[i]) == 'r') {
        t->reverse = true;
        i++;
    }
    size_t from = i;
    while (i < s.len && s.p[i] != '\0' && strchr(".-+,/_=", s.p[i]) != NULL)
        i++;
    t->delimiters = spf_slice(s, from, i);
    if (i >= s.len || s.p[i] != '}')
        return false;
    *at = i + 1;
    return true;
}

/* The token at *at, which is below s.len. False: a syntax error. */
static bool take(struct postern_str s, size_t *at, enum spf_macro_use use, struct token *t)
{
    char c = s.p[(*at)++];
    *t = (struct token){.literal = c};
    if (c != '%')
        return (c > ' ' && c < 0x7f) || (c == ' ' && use == SPF_MACRO_EXPLAIN);
    if (*at == s.len)
        return false;
    c = s.p[(*at)++];
    if (c == '{')
        return take_macro(s, at, use, t);
    *t = (struct token){.macro = '%', .literal = c == '%' ? '%' : c == '_' ? ' ' : '\0'};
    return c == '%' || c == '_' || c == '-';
}

/* toplabel: letters, digits and inner hyphens, and not digits alone. */
static bool is_toplabel(struct postern_str s)
{
    bool digits = true;
    if (s.len == 0 || s.p[0] == '-' || s.p[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!spf_is_alpha(s.p[i]) && !spf_is_digit(s.p[i]) && s.p[i] != '-')
            return false;
        digits = digits && spf_is_digit(s.p[i]);
    }
    return !digits;
}

/* What stands behind the last macro: "." toplabel ["."], perhaps with more before. */
static bool ends_in_toplabel(struct postern_str s)
{
    if (s.len != 0 && s.p[s.len - 1] == '.')
        s.len--;
    for (size_t i = s.len; i > 0; i--)
        if (s.p[i - 1] == '.')
            return is_toplabel(spf_slice(s, i, s.len));
    return false;
}

bool spf_macro_ok(struct postern_str s, enum spf_macro_use use)
{
    size_t at = 0, literals = 0; /* literals: where the run of them at the end begins */
    while (at < s.len) {
        struct token t;
        if (!take(s, &at, use, &t))
            return false;
        if (t.macro != 0)
            literals = at;
    }
    if (use != SPF_MACRO_DOMAIN)
        return true;
    if (s.len == 0)
        return false;
    return literals == s.len || ends_in_toplabel(spf_slice(s, literals, s.len));
}

/* ---- values ---- */

static void add_str(struct spf_text *t, struct postern_str s)
{
    spf_add(t, s.p, s.len);
}

/* IPv4 as it is written; IPv6 as nibbles with dots between. */
static void add_ip(struct spf_text *t, const struct spf_query *q)
{
    if (q->is_ipv4) {
        add_str(t, q->ip_text);
        return;
    }
    for (size_t i = 0; i < 16; i++) {
        static const char hex[] = "0123456789abcdef";
        const char text[4] = {hex[q->ip[i] >> 4], '.', hex[q->ip[i] & 15], '.'};
        spf_add(t, text, i == 15 ? 3 : 4);
    }
}

static struct postern_str local_of(const struct spf_query *q)
{
    return q->local.len == 0 ? POSTERN_STR("postmaster") : q->local;
}

static void add_value(struct spf_text *t, char letter, const struct spf_macro_env *env)
{
    const struct spf_query *q = env->query;
    char number[24];
    switch (letter) {
    case 's':
        add_str(t, local_of(q));
        spf_addc(t, '@');
        add_str(t, q->domain);
        break;
    case 'l':
        add_str(t, local_of(q));
        break;
    case 'o':
        add_str(t, q->domain);
        break;
    case 'd':
        add_str(t, env->domain);
        break;
    case 'i':
        add_ip(t, q);
        break;
    case 'p':
        add_str(t, env->validated(env->ctx));
        break;
    case 'v':
        add_str(t, q->is_ipv4 ? POSTERN_STR("in-addr") : POSTERN_STR("ip6"));
        break;
    case 'h':
        add_str(t, q->helo);
        break;
    case 'c':
        add_str(t, q->ip_text);
        break;
    case 'r':
        add_str(t, q->receiver.len == 0 ? POSTERN_STR("unknown") : q->receiver);
        break;
    default: /* t */
        (void)snprintf(number, sizeof number, "%lld", (long long)q->now);
        spf_add(t, number, strlen(number));
    }
}

/* RFC 3986's unreserved characters stay. */
static void add_escaped(struct spf_text *t, struct postern_str s, bool escape)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i], text[4];
        if (!escape || spf_is_alpha(c) || spf_is_digit(c) || (c != '\0' && strchr("-._~", c))) {
            spf_addc(t, c);
            continue;
        }
        (void)snprintf(text, sizeof text, "%%%02X", (unsigned)(unsigned char)c);
        spf_add(t, text, 3);
    }
}

static bool is_delimiter(struct postern_str delimiters, char c)
{
    return delimiters.len == 0 ? c == '.' : spf_find(delimiters, c) != delimiters.len;
}

/* Splits at the delimiters, reverses, keeps from the right, joins with dots. */
static void add_transformed(struct spf_text *out, struct postern_str value, const struct token *t)
{
    struct postern_str parts[PARTS_MAX];
    size_t count = 0, from = 0;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && !is_delimiter(t->delimiters, value.p[i]))
            continue;
        if (count == PARTS_MAX) {
            out->full = true;
            return;
        }
        parts[count++] = spf_slice(value, from, i);
        from = i + 1;
    }
    size_t first = t->keep != 0 && t->keep < count ? count - t->keep : 0;
    for (size_t i = first; i < count; i++) {
        if (i != first)
            spf_addc(out, '.');
        add_escaped(out, parts[t->reverse ? count - 1 - i : i], t->upper);
    }
}

void spf_macro_expand(struct postern_str s, const struct spf_macro_env *env, struct spf_text *out)
{
    for (size_t at = 0; at < s.len && !out->full;) {
        struct token t;
        char room[LETTERS_MAX];
        struct spf_text value = {room, 0, sizeof room, false};
        if (!take(s, &at, SPF_MACRO_EXPLAIN, &t))
            return;
        if (t.macro == 0) {
            spf_addc(out, t.literal);
        } else if (t.macro == '%') {
            if (t.literal != '\0')
                spf_addc(out, t.literal);
            else
                spf_add(out, "%20", 3);
        } else {
            add_value(&value, t.macro, env);
            out->full = out->full || value.full;
            add_transformed(out, (struct postern_str){value.p, value.len}, &t);
        }
    }
}

#include "rules_token.h"

enum { UNENDED_MAX = 20 }; /* tags whose quotes never end: each was read to the end in vain */

struct postern_str rules_token_attribute(const struct rules_token *t, const char *name)
{
    struct postern_str want = {name, strlen(name)};

    for (size_t i = t->attributes; i-- > 0;)
        if (rules_eq(t->attribute[i].name, want))
            return t->attribute[i].value;
    return (struct postern_str){NULL, 0};
}

static char peek(const struct rules_tokens *t, size_t ahead)
{
    return t->at + ahead < t->s.len ? t->s.p[t->at + ahead] : '\0';
}

static struct postern_str rest(const struct rules_tokens *t, size_t ahead)
{
    return (struct postern_str){t->s.p + t->at + ahead, t->s.len - t->at - ahead};
}

static bool is_letter(char c)
{
    return rules_lower(c) >= 'a' && rules_lower(c) <= 'z';
}

static struct postern_str decoded(struct rules_tokens *t, struct postern_str s, bool text)
{
    struct postern_str copy = rules_dup(t->arena, s);

    if (copy.p == NULL)
        return POSTERN_STR("");
    return rules_entities_decode((char *)(uintptr_t)copy.p, copy.len, text);
}

/* ---- tags ---- */

static size_t skip_blanks(struct postern_str s, size_t at)
{
    while (at < s.len && rules_is_blank(s.p[at]))
        at++;
    return at;
}

/* A value at s[at], quoted or not; `at` behind it, 0: a quote never ends. */
static size_t read_value(struct postern_str s, size_t at, struct postern_str *out)
{
    char quote = s.p[at];
    size_t from = at;

    if (quote == '"' || quote == '\'') {
        const char *end = memchr(s.p + at + 1, quote, s.len - at - 1);

        if (end == NULL)
            return 0;
        *out = (struct postern_str){s.p + at + 1, (size_t)(end - s.p) - at - 1};
        return (size_t)(end - s.p) + 1;
    }
    while (at < s.len && !rules_is_blank(s.p[at]) && s.p[at] != '>')
        at++;
    *out = (struct postern_str){s.p + from, at - from};
    return at;
}

static void add_attribute(struct rules_tokens *t, struct rules_token *out, struct postern_str name,
                          struct postern_str value)
{
    if (out->attributes == RULES_ATTRIBUTES_MAX)
        return;
    out->attribute[out->attributes++] =
        (struct rules_attribute){rules_lower_dup(t->arena, name), decoded(t, value, false)};
}

/* The attributes from s[at] to the ">"; where that is, or 0: there is none. */
static size_t read_attributes(struct rules_tokens *t, struct rules_token *out, struct postern_str s,
                              size_t at)
{
    for (at = skip_blanks(s, at); at < s.len && s.p[at] != '>'; at = skip_blanks(s, at)) {
        size_t from = at;
        struct postern_str name;
        struct postern_str value;
        size_t equals;

        for (at++; at < s.len && !rules_is_blank(s.p[at]) && s.p[at] != '>' && s.p[at] != '='; at++)
            ;
        name = (struct postern_str){s.p + from, at - from};
        value = name;
        equals = skip_blanks(s, at);
        if (equals < s.len && s.p[equals] == '=') {
            equals = skip_blanks(s, equals + 1);
            if (equals == s.len)
                return 0;
            at = read_value(s, equals, &value);
            if (at == 0)
                return 0;
        }
        if (!rules_eq(name, POSTERN_STR("/")))
            add_attribute(t, out, name, value);
    }
    return at < s.len ? at : 0;
}

/* Elements whose content is not markup. */
static bool is_literal(struct postern_str name)
{
    static const char *const names[] = {"script",   "style", "xmp",      "iframe",
                                        "textarea", "title", "plaintext"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rules_is(name, names[i]))
            return true;
    return false;
}

static bool is_closing_slash(struct postern_str s, size_t at)
{
    return s.p[at] == '/' && skip_blanks(s, at + 1) < s.len && s.p[skip_blanks(s, at + 1)] == '>';
}

static bool read_tag(struct rules_tokens *t, struct rules_token *out)
{
    bool close = peek(t, 1) == '/';
    struct postern_str s = rest(t, close ? 2 : 1);
    size_t n = 0;
    size_t end;

    if (t->no_tag_end || s.len == 0 || !is_letter(s.p[0]))
        return false;
    while (n < s.len && !rules_is_blank(s.p[n]) && s.p[n] != '>' && !is_closing_slash(s, n))
        n++;
    out->attributes = 0;
    end = read_attributes(t, out, s, n);
    if (end == 0) {
        t->no_tag_end = ++t->unended == UNENDED_MAX || memchr(s.p, '>', s.len) == NULL;
        return false;
    }
    out->kind = close ? RULES_TOKEN_CLOSE : RULES_TOKEN_OPEN;
    out->text = rules_lower_dup(t->arena, (struct postern_str){s.p, n});
    t->at += (close ? 2 : 1) + end + 1;
    if (!close && is_literal(out->text))
        t->literal = out->text;
    return true;
}

/* ---- what begins with "<!" and "<?" ---- */

static void take(struct rules_tokens *t, struct rules_token *out, enum rules_token_kind kind,
                 size_t n)
{
    out->kind = kind;
    out->text = (struct postern_str){t->s.p + t->at, n};
    t->at += n;
}

static bool read_declaration(struct rules_tokens *t, struct rules_token *out)
{
    struct postern_str s = rest(t, 0);
    bool comment = rules_starts(s, POSTERN_STR("<!--"));
    const char *end = NULL;

    if (comment && !t->no_comment_end) {
        end = s.len < 7 ? NULL : memmem(s.p + 4, s.len - 4, "-->", 3);
        t->no_comment_end = end == NULL;
        if (end != NULL) {
            take(t, out, RULES_TOKEN_COMMENT, (size_t)(end - s.p) + 3);
            return true;
        }
    }
    end = t->no_tag_end ? NULL : memchr(s.p, '>', s.len);
    if (end == NULL) {
        t->no_tag_end = true;
        return false;
    }
    take(t, out, comment || !is_letter(peek(t, 2)) ? RULES_TOKEN_COMMENT : RULES_TOKEN_DECLARATION,
         (size_t)(end - s.p) + 1);
    return true;
}

/* True where markup begins here and was read. */
static bool read_markup(struct rules_tokens *t, struct rules_token *out)
{
    char c = peek(t, 1);

    if (c == '!')
        return read_declaration(t, out);
    if (c == '?') {
        const char *end = t->no_tag_end ? NULL : memchr(t->s.p + t->at, '>', t->s.len - t->at);

        if (end == NULL) {
            t->no_tag_end = true;
            return false;
        }
        take(t, out, RULES_TOKEN_DECLARATION, (size_t)(end - t->s.p) - t->at + 1);
        return true;
    }
    return read_tag(t, out);
}

/* ---- text ---- */

/* Up to the tag that ends a literal element, or to the end. */
static bool read_literal(struct rules_tokens *t, struct rules_token *out)
{
    size_t to = t->at;
    bool coded =
        rules_eq(t->literal, POSTERN_STR("title")) || rules_eq(t->literal, POSTERN_STR("textarea"));

    for (;; to++) {
        const char *lt = to < t->s.len ? memchr(t->s.p + to, '<', t->s.len - to) : NULL;
        struct postern_str s;

        to = lt == NULL ? t->s.len : (size_t)(lt - t->s.p);
        s = (struct postern_str){t->s.p + to, t->s.len - to};
        if (lt == NULL ||
            (s.len > 2 + t->literal.len && s.p[1] == '/' &&
             rules_istarts((struct postern_str){s.p + 2, s.len - 2}, t->literal) &&
             (s.p[2 + t->literal.len] == '>' || rules_is_blank(s.p[2 + t->literal.len]))))
            break;
    }
    t->literal.p = NULL;
    if (to == t->at)
        return false;
    out->kind = RULES_TOKEN_TEXT;
    out->text = (struct postern_str){t->s.p + t->at, to - t->at};
    if (coded)
        out->text = decoded(t, out->text, true);
    t->at = to;
    return true;
}

/* Runs on over every "<" that begins nothing. */
static void read_text(struct rules_tokens *t, struct rules_token *out)
{
    size_t to = t->at + 1;

    while (to < t->s.len) {
        const char *lt = memchr(t->s.p + to, '<', t->s.len - to);
        char c;

        to = lt == NULL ? t->s.len : (size_t)(lt - t->s.p);
        c = to + 1 < t->s.len ? t->s.p[to + 1] : '\0';
        if (is_letter(c) || c == '/' || c == '!' || c == '?')
            break;
        to += to < t->s.len;
    }
    out->kind = RULES_TOKEN_TEXT;
    out->text = decoded(t, (struct postern_str){t->s.p + t->at, to - t->at}, true);
    t->at = to;
}

void rules_token_next(struct rules_tokens *t, struct rules_token *out)
{
    out->attributes = 0;
    if (t->literal.p != NULL && read_literal(t, out))
        return;
    if (t->at >= t->s.len) {
        out->kind = RULES_TOKEN_END;
        return;
    }
    if (t->s.p[t->at] != '<' || !read_markup(t, out))
        read_text(t, out);
}

#include "rules_address.h"

/* One address of the list, while its bytes are walked: plain text, what stood in angle
 * brackets, and the first comment. */
struct item {
    char *plain, *angle, *comment;
    size_t plain_len, angle_len, comment_len;
    bool has_angle, quoted;
};

struct walk {
    struct postern_str s;
    size_t at;
    struct item *item;
    size_t quote, bracket, angle; /* one behind the last that closes */
};

static char next(const struct walk *w)
{
    return w->at < w->s.len ? w->s.p[w->at] : '\0';
}

/* A comment, whose "(" is the next byte; nested ones are part of it. */
static void comment(struct walk *w)
{
    struct item *i = w->item;
    bool first = i->comment_len == 0;
    size_t depth = 0;

    for (; w->at < w->s.len; w->at++) {
        char c = w->s.p[w->at];

        if (c == '\\' && w->at + 1 < w->s.len)
            c = w->s.p[++w->at];
        else if (c == '(' && depth++ == 0)
            continue;
        else if (c == ')' && --depth == 0)
            break;
        if (first)
            i->comment[i->comment_len++] = c;
    }
    w->at++;
}

/* Quotes go, what they hold stays. */
static void quoted(struct walk *w)
{
    struct item *i = w->item;

    i->quoted = true;
    for (w->at++; w->at < w->s.len && w->s.p[w->at] != '"'; w->at++) {
        if (w->s.p[w->at] == '\\' && w->at + 1 < w->s.len)
            w->at++;
        i->plain[i->plain_len++] = w->s.p[w->at];
    }
    w->at++;
}

static void angle(struct walk *w)
{
    struct item *i = w->item;

    i->has_angle = true;
    i->angle_len = 0;
    for (w->at++; w->at < w->s.len && w->s.p[w->at] != '>'; w->at++)
        if (!rules_is_blank(w->s.p[w->at]))
            i->angle[i->angle_len++] = w->s.p[w->at];
    w->at++;
}

/* An unpaired quote, bracket or "<" is text like other. */
static size_t last_of(struct postern_str s, char close)
{
    while (s.len > 0 && s.p[s.len - 1] != close)
        s.len--;
    return s.len;
}

/* Up to the comma, or past the address where none follows it. */
static void read_item(struct walk *w)
{
    struct item *i = w->item;

    while (w->at < w->s.len) {
        char c = next(w);

        if (c == ',' || c == ';' || (i->has_angle && !rules_is_blank(c) && c != '('))
            break;
        if (c == '"' && w->at + 1 < w->quote)
            quoted(w);
        else if (c == '(' && w->at + 1 < w->bracket)
            comment(w);
        else if (c == '<' && w->at + 1 < w->angle)
            angle(w);
        else
            i->plain[i->plain_len++] = w->s.p[w->at++];
    }
    if (next(w) == ',' || next(w) == ';')
        w->at++;
}

/* Local part and domain, no blanks, one "@" at least: the last one parts them. */
static bool is_address(struct postern_str s)
{
    const char *at = memchr(s.p, '@', s.len);

    if (at == NULL || at == s.p || s.p[s.len - 1] == '@')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] <= ' ' || rules_in(s.p[i], "<>()[],;\""))
            return false;
    return true;
}

static struct postern_str collapsed(char *p, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        if (!rules_is_blank(p[i]))
            p[n++] = p[i];
        else if (n > 0 && p[n - 1] != ' ')
            p[n++] = ' ';
    return rules_trim((struct postern_str){p, n});
}

static bool finish(const struct item *i, struct rules_arena *a, struct rules_address *out)
{
    struct postern_str plain = collapsed(i->plain, i->plain_len);
    struct postern_str aside = collapsed(i->comment, i->comment_len);

    *out = (struct rules_address){{"", 0}, plain};
    if (i->has_angle)
        out->address = (struct postern_str){i->angle, i->angle_len};
    else
        out->address = plain;
    if (!is_address(out->address)) {
        bool other = i->has_angle && is_address(plain);

        out->address = other ? plain : (struct postern_str){"", 0};
    }
    if (rules_eq(out->name, out->address) || out->name.len == 0)
        out->name = aside;
    if (out->name.len > 2 && out->name.p[0] == '\'' && out->name.p[out->name.len - 1] == '\'')
        out->name = rules_trim((struct postern_str){out->name.p + 1, out->name.len - 2});
    out->address = rules_dup(a, out->address);
    out->name = rules_dup(a, out->name);
    return out->address.len > 0 || out->name.len > 0;
}

/* "Group: a, b;": the name of a group is no address. */
static struct postern_str without_group(struct postern_str s)
{
    for (size_t i = 0; i < s.len && !rules_in(s.p[i], "\"()<>"); i++)
        if (s.p[i] == ':')
            return (struct postern_str){s.p + i + 1, s.len - i - 1};
    return s;
}

size_t rules_addresses(struct postern_str field, struct rules_arena *a, struct rules_address *out,
                       size_t max)
{
    struct walk w = {.s = without_group(rules_trim(field))};
    struct item i = {.plain = rules_alloc(a, w.s.len + 1),
                     .angle = rules_alloc(a, w.s.len + 1),
                     .comment = rules_alloc(a, w.s.len + 1)};
    size_t count = 0;

    if (i.plain == NULL || i.angle == NULL || i.comment == NULL)
        return 0;
    w.item = &i;
    w.quote = last_of(w.s, '"');
    w.bracket = last_of(w.s, ')');
    w.angle = last_of(w.s, '>');
    while (w.at < w.s.len && count < max) {
        i.plain_len = i.angle_len = i.comment_len = 0;
        i.has_angle = i.quoted = false;
        read_item(&w);
        count += finish(&i, a, &out[count]);
    }
    return count;
}

#include "rules_address.h"

/* One address of the list, while its bytes are walked: plain text, the same with its quotes,
 * what stood in angle brackets, and the first comment. */
struct item {
    char *plain, *written, *angle, *comment;
    size_t plain_len, written_len, angle_len, comment_len;
    bool has_angle;
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

/* Of plain text quotes go, what they hold stays. */
static void quoted(struct walk *w)
{
    struct item *i = w->item;
    size_t from = w->at;

    for (w->at++; w->at < w->s.len && w->s.p[w->at] != '"'; w->at++) {
        if (w->s.p[w->at] == '\\' && w->at + 1 < w->s.len)
            w->at++;
        i->plain[i->plain_len++] = w->s.p[w->at];
    }
    w->at += w->at < w->s.len;
    memcpy(i->written + i->written_len, w->s.p + from, w->at - from);
    i->written_len += w->at - from;
}

static void angle(struct walk *w)
{
    struct item *i = w->item;

    i->has_angle = true;
    i->angle_len = 0;
    for (w->at++; w->at < w->s.len && w->s.p[w->at] != '>'; w->at++)
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
            i->plain[i->plain_len++] = i->written[i->written_len++] = w->s.p[w->at++];
    }
    if (next(w) == ',' || next(w) == ';')
        w->at++;
}

static bool is_bare(char c)
{
    switch (c) {
    case '<':
    case '>':
    case '(':
    case ')':
    case '[':
    case ']':
    case ',':
    case ':':
    case ';':
        return false;
    default:
        return (unsigned char)c > ' ';
    }
}

/* Where the local part ends: one quoted string, or bare, with quotes that are none. */
static size_t local_end(struct postern_str s)
{
    size_t n = 1;

    if (s.len > 0 && s.p[0] == '"') {
        while (n < s.len && s.p[n] != '"')
            n += s.p[n] == '\\' ? 2 : 1;
        if (n + 1 < s.len && s.p[n + 1] == '@')
            return n + 1;
    }
    for (n = 0; n < s.len && s.p[n] != '@' && is_bare(s.p[n]); n++)
        ;
    return n;
}

/* Of "local@domain" all up to a second "@", which a domain can't have; .p NULL: it is none. */
static struct postern_str address_in(struct postern_str s)
{
    size_t at = local_end(s);
    size_t n = at + 1;
    const char *second;

    if (at == 0 || n >= s.len || s.p[at] != '@')
        return (struct postern_str){NULL, 0};
    if (s.p[n] == '[') {
        for (n++; n < s.len && (rules_is_digit(s.p[n]) || s.p[n] == '.' || s.p[n] == ':'); n++)
            ;
        return n + 1 == s.len && s.p[n] == ']' ? s : (struct postern_str){NULL, 0};
    }
    while (n < s.len && is_bare(s.p[n]) && s.p[n] != '"')
        n++;
    if (n < s.len)
        return (struct postern_str){NULL, 0};
    second = memchr(s.p + at + 1, '@', s.len - at - 1);
    return (struct postern_str){s.p, second == NULL ? s.len : (size_t)(second - s.p)};
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

/* A display name that is the address once more is one all the same, as "a@b.test" <c@d.test>
 * must be seen for what it shows; but a lone address has none. */
static bool finish(const struct item *i, struct rules_arena *a, struct rules_address *out)
{
    struct postern_str written = rules_trim((struct postern_str){i->written, i->written_len});
    struct postern_str plain = collapsed(i->plain, i->plain_len);
    struct postern_str aside = collapsed(i->comment, i->comment_len);

    *out = (struct rules_address){{NULL, 0}, plain};
    if (i->has_angle)
        out->address = address_in(rules_trim((struct postern_str){i->angle, i->angle_len}));
    if (out->address.p == NULL) {
        out->address = address_in(written);
        if (out->address.p != NULL)
            out->name = aside;
    }
    if (out->name.len == 0)
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
                     .written = rules_alloc(a, w.s.len + 1),
                     .angle = rules_alloc(a, w.s.len + 1),
                     .comment = rules_alloc(a, w.s.len + 1)};
    size_t count = 0;

    if (i.plain == NULL || i.written == NULL || i.angle == NULL || i.comment == NULL)
        return 0;
    w.item = &i;
    w.quote = last_of(w.s, '"');
    w.bracket = last_of(w.s, ')');
    w.angle = last_of(w.s, '>');
    while (w.at < w.s.len && count < max) {
        i.plain_len = i.written_len = i.angle_len = i.comment_len = 0;
        i.has_angle = false;
        read_item(&w);
        count += finish(&i, a, &out[count]);
    }
    return count;
}

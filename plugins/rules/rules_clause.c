#include "rules_clause.h"

enum { UNCLOSED_MAX = 8 };

struct postern_str rules_until(struct postern_str s, const char *stop)
{
    for (; *stop != '\0'; stop++) {
        const char *at = s.len == 0 ? NULL : memchr(s.p, *stop, s.len);

        if (at != NULL)
            s.len = (size_t)(at - s.p);
    }
    return s;
}

struct postern_str rules_ip_at(struct postern_str s, size_t *took)
{
    bool bracket = s.len > 0 && s.p[0] == '[';
    struct postern_str inner = {s.p + bracket, s.len - bracket};
    struct postern_str ip = rules_until(inner, " ])(,;");
    size_t n;

    if (!rules_is_ip(ip) && bracket) { /* a port, or a scope */
        struct postern_str bare = rules_until(ip, "%");

        if (!rules_is_ip(bare))
            bare = rules_until(ip, ":");
        n = bracket + ip.len;
        ip = bare;
    } else {
        n = bracket + ip.len;
    }
    if (!rules_is_ip(ip) || (bracket && (n >= s.len || s.p[n] != ']')))
        return (struct postern_str){NULL, 0};
    *took = n + bracket;
    return ip;
}

/* The comment whose "(" is the first byte, nested ones within. */
static struct postern_str comment_at(struct postern_str s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        depth += s.p[i] == '(';
        depth -= s.p[i] == ')';
        if (depth == 0)
            return (struct postern_str){s.p + 1, i - 1};
    }
    return (struct postern_str){NULL, 0};
}

static void take_pieces(struct rules_clause *c, struct postern_str rest)
{
    unsigned unclosed = 0;

    while (rest.len > 0) {
        bool opens = rest.p[0] == '(' && unclosed < UNCLOSED_MAX;
        struct postern_str comment = opens ? comment_at(rest) : (struct postern_str){NULL, 0};
        struct postern_str word = rules_until(rest, " ");
        size_t took = word.len;
        struct postern_str ip = rules_ip_at(rest, &took);

        unclosed += opens && comment.p == NULL;
        if (rules_istarts(rest, POSTERN_STR("by "))) {
            c->tail = rest;
            return;
        }
        if (comment.p != NULL) {
            if (c->comments < RULES_COMMENTS)
                c->comment[c->comments++] = comment;
            took = comment.len + 2;
        } else if (ip.p != NULL && rest.p[0] == '[' && c->bracket_ip.len == 0) {
            c->bracket_ip = ip;
        } else {
            c->other = true;
            took = word.len;
        }
        took += took == 0;
        rest = rules_trim((struct postern_str){rest.p + took, rest.len - took});
    }
}

struct rules_clause rules_clause_split(struct postern_str line)
{
    struct rules_clause c = {.line = line, .word = {"", 0}, .bracket_ip = {"", 0}, .tail = {"", 0}};
    struct postern_str rest = line;

    if (rest.len > 0 && rest.p[0] != '(') {
        c.word = rules_until(rest, " (");
        c.glued = c.word.len < rest.len && rest.p[c.word.len] == '(';
        rest = rules_trim((struct postern_str){rest.p + c.word.len, rest.len - c.word.len});
    }
    take_pieces(&c, rest);
    return c;
}

#include "structure.h"

enum { DEPTH_MAX = PN_MESSAGE_DEPTH_MAX + 2 };

/* A list that a body stands in. */
enum open { IN_MULTIPART, IN_MESSAGE };

struct cut {
    struct pn_str in;
    size_t at;
    struct pn_buf *out;
    uint8_t open[DEPTH_MAX];
    size_t depth;
};

static bool is_next(const struct cut *c, char wanted)
{
    return c->at < c->in.len && c->in.p[c->at] == wanted;
}

static bool pass(struct cut *c, char wanted)
{
    bool right = is_next(c, wanted);
    c->at += right;
    return right;
}

static bool pass_quoted(struct cut *c, struct pn_str *out)
{
    size_t from = ++c->at;
    for (; c->at < c->in.len && c->in.p[c->at] != '"'; c->at++)
        c->at += c->in.p[c->at] == '\\';
    if (c->at >= c->in.len)
        return false;
    *out = pn_str_slice(c->in, from, c->at++);
    return true;
}

static bool pass_literal(struct cut *c, struct pn_str *out)
{
    uint64_t len = 0;
    size_t close = pn_str_find(c->in, '}', c->at);
    if (close == SIZE_MAX || !pn_str_u64(pn_str_slice(c->in, c->at + 1, close), UINT32_MAX, &len) ||
        !pn_str_starts(pn_str_slice(c->in, close, c->in.len), PN_STR("}\r\n")) ||
        len > c->in.len - close - 3)
        return false;
    *out = pn_str_slice(c->in, close + 3, close + 3 + (size_t)len);
    c->at = close + 3 + (size_t)len;
    return true;
}

/* A number or NIL, a string, or its content. */
static bool pass_word(struct cut *c, struct pn_str *out)
{
    if (is_next(c, '"'))
        return pass_quoted(c, out);
    if (is_next(c, '{'))
        return pass_literal(c, out);
    size_t from = c->at;
    while (c->at < c->in.len && (pn_is_alpha(c->in.p[c->at]) || pn_is_digit(c->in.p[c->at])))
        c->at++;
    *out = pn_str_slice(c->in, from, c->at);
    return c->at > from;
}

/* A word, or a list with all that is in it. */
static bool pass_item(struct cut *c)
{
    struct pn_str word;
    size_t depth = 0;
    do {
        if (pass(c, '(')) {
            depth++;
            continue;
        }
        if (depth == 0 || !is_next(c, ')'))
            if (!pass_word(c, &word))
                return false;
        while (depth > 0 && pass(c, ')'))
            depth--;
        if (depth > 0)
            (void)pass(c, ' ');
    } while (depth > 0);
    return true;
}

/* Copies from `from` on to here, passes all up to the end of the list and ends it. */
static bool end_list(struct cut *c, size_t from)
{
    bool ok = pn_buf_adds(c->out, pn_str_slice(c->in, from, c->at));
    while (ok && pass(c, ' '))
        ok = pass_item(c);
    return ok && pass(c, ')') && pn_buf_addc(c->out, ')');
}

static bool pass_items(struct cut *c, unsigned count)
{
    bool ok = true;
    for (; count > 0 && ok; count--)
        ok = pass(c, ' ') && pass_item(c);
    return ok;
}

/* A body that is no multipart, behind its "(": ended, or opened if it is a message. */
static bool cut_leaf(struct cut *c, bool *opened)
{
    size_t from = c->at;
    struct pn_str type, subtype;
    bool ok = pass_word(c, &type) && pass(c, ' ') && pass_word(c, &subtype) && pass_items(c, 5);
    if (!ok)
        return false;
    *opened = pn_str_ieq(type, PN_STR("message")) &&
              (pn_str_ieq(subtype, PN_STR("rfc822")) || pn_str_ieq(subtype, PN_STR("global")));
    if (!*opened)
        return (!pn_str_ieq(type, PN_STR("text")) || pass_items(c, 1)) && end_list(c, from);
    if (c->depth == DEPTH_MAX || !pass_items(c, 1) || !pass(c, ' '))
        return false;
    c->open[c->depth++] = IN_MESSAGE;
    return pn_buf_adds(c->out, pn_str_slice(c->in, from, c->at));
}

/* From a "(" on, down to the end of the first leaf. */
static bool cut_down(struct cut *c)
{
    bool opened = true;
    while (opened) {
        if (!pass(c, '(') || !pn_buf_addc(c->out, '('))
            return false;
        if (is_next(c, '(')) {
            if (c->depth == DEPTH_MAX)
                return false;
            c->open[c->depth++] = IN_MULTIPART;
        } else if (!cut_leaf(c, &opened)) {
            return false;
        }
    }
    return true;
}

bool pn_structure_cut(struct pn_str extensible, struct pn_buf *out)
{
    struct cut c = {.in = extensible, .out = out};
    size_t len = out->len;
    bool ok = cut_down(&c);
    while (ok && c.depth > 0) {
        if (c.open[c.depth - 1] == IN_MULTIPART && is_next(&c, '(')) {
            ok = cut_down(&c);
            continue;
        }
        size_t from = c.at; /* the subtype, or the lines */
        ok = pass_items(&c, 1) && end_list(&c, from);
        c.depth--;
    }
    ok = ok && c.at == extensible.len;
    if (!ok)
        out->len = len;
    return ok;
}

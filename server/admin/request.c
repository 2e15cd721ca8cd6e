/*
 * The request line of the control socket: one JSON object (RFC 8259) with one member,
 * "command", an array of strings. Nothing else of JSON is needed, so nothing else is
 * read; libjansson stays in the command line.
 */
#include "admin_int.h"

#include "utf8.h"

struct cursor {
    struct pn_str rest;
    struct pn_pool *pool;
    struct pn_buf *err;
};

static bool fail(struct cursor *c, const char *what)
{
    (void)pn_buf_addz(c->err, what);
    return false;
}

static void skip_space(struct cursor *c)
{
    while (c->rest.len != 0 && memchr(" \t\r\n", c->rest.p[0], 4) != NULL)
        c->rest = pn_str_slice(c->rest, 1, c->rest.len);
}

static bool take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->rest.len == 0 || c->rest.p[0] != wanted)
        return false;
    c->rest = pn_str_slice(c->rest, 1, c->rest.len);
    return true;
}

static int hex_value(char h)
{
    if (pn_is_digit(h))
        return h - '0';
    h = pn_lower(h);
    return h >= 'a' && h <= 'f' ? h - 'a' + 10 : -1;
}

/* \uXXXX behind the u; surrogates are refused, for our own client writes UTF-8. */
static size_t unescape_u(struct pn_str s, char *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = i < s.len ? hex_value(s.p[i]) : -1;
        if (digit < 0)
            return 0;
        v = v * 16 + (uint32_t)digit;
    }
    if (v == 0 || (v >= 0xd800 && v < 0xe000))
        return 0;
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (char)(0xc0 | v >> 6);
        out[1] = (char)(0x80 | (v & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | v >> 12);
    out[1] = (char)(0x80 | (v >> 6 & 0x3f));
    out[2] = (char)(0x80 | (v & 0x3f));
    return 3;
}

/* The escape behind a backslash: bytes written, and in *used those read. 0: bad. */
static size_t unescape(struct pn_str s, char *out, size_t *used)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s.len == 0)
        return 0;
    if (s.p[0] == 'u') {
        *used = 5;
        return unescape_u(pn_str_slice(s, 1, s.len), out);
    }
    const char *at = s.p[0] == '\0' ? NULL : strchr(from, s.p[0]);
    if (at == NULL)
        return 0;
    *used = 1;
    out[0] = to[at - from];
    return 1;
}

static bool take_string(struct cursor *c, struct pn_str *out)
{
    if (!take(c, '"'))
        return fail(c, "a string was expected");
    char *text = pn_pool_alloc(c->pool, c->rest.len + 1);
    if (text == NULL)
        return fail(c, "the request is too long");
    size_t len = 0;
    while (c->rest.len != 0 && c->rest.p[0] != '"') {
        size_t used = 1;
        if ((unsigned char)c->rest.p[0] < 0x20)
            return fail(c, "a control byte in a string");
        if (c->rest.p[0] == '\\') {
            size_t n = unescape(pn_str_slice(c->rest, 1, c->rest.len), text + len, &used);
            if (n == 0)
                return fail(c, "a bad escape in a string");
            len += n;
            used++;
        } else {
            text[len++] = c->rest.p[0];
        }
        c->rest = pn_str_slice(c->rest, used, c->rest.len);
    }
    *out = (struct pn_str){text, len};
    if (!take(c, '"'))
        return fail(c, "a string without an end");
    return pn_utf8_valid(*out) || fail(c, "a string that is no UTF-8");
}

static bool take_words(struct cursor *c, struct pn_command *out)
{
    if (!take(c, '['))
        return fail(c, "an array of words was expected");
    out->count = 0;
    do {
        if (out->count == PN_COMMAND_WORDS_MAX)
            return fail(c, "too many words");
        if (!take_string(c, &out->words[out->count]))
            return false;
        out->count++;
    } while (take(c, ','));
    return take(c, ']') || fail(c, "] was expected");
}

bool request_parse(struct pn_str line, struct pn_pool *pool, struct pn_command *out,
                   struct pn_buf *err)
{
    struct cursor c = {line, pool, err};
    struct pn_str key;
    if (!take(&c, '{'))
        return fail(&c, "an object was expected: {\"command\":[...]}");
    if (!take_string(&c, &key))
        return false;
    if (!pn_str_eq(key, PN_STR("command")))
        return fail(&c, "the only member is \"command\"");
    if (!take(&c, ':'))
        return fail(&c, ": was expected");
    if (!take_words(&c, out))
        return false;
    if (!take(&c, '}'))
        return fail(&c, "} was expected");
    skip_space(&c);
    return c.rest.len == 0 || fail(&c, "more behind the request");
}

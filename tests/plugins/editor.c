/*
 * Proposes the edits that a message asks for in its fields X-Edit (of its double, built with
 * another name: X-Second), one a field, in their order:
 *
 *   add NAME VALUE          remove NAME N
 *   insert POSITION NAME VALUE
 *   change NAME N VALUE     (or no value)
 *   body TEXT               a chunk of the new body; '/' is a line end, '%' splits in two, '~'
 *                           is a letter beyond ASCII
 *   big BYTES               a chunk of so many bytes, in lines
 *   from ADDRESS            (or none)
 *   rcpt+ ADDRESS           rcpt- ADDRESS
 *   fail                    the call fails behind what it said
 *   crash                   it dies there
 *
 * A callback that is refused something states EDITOR_REFUSED with its status.
 */
#include <postern/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef EDITOR_NAME
#define EDITOR_NAME   "editor"
#define EDITOR_FIELD  "X-Edit"
#define EDITOR_SYMBOL "EDITOR_REFUSED"
#endif

enum { REFUSED };
static const struct postern_symbol symbols[] = {
    [REFUSED] = {EDITOR_SYMBOL, 0, "the host refused an edit"}, {NULL, 0, NULL}};

static struct postern_str word(struct postern_str *rest)
{
    struct postern_str w = {rest->p, 0};
    while (w.len < rest->len && w.p[w.len] != ' ')
        w.len++;
    size_t skip = w.len < rest->len ? w.len + 1 : w.len;
    *rest = (struct postern_str){rest->p + skip, rest->len - skip};
    return w;
}

static size_t number(struct postern_str *rest)
{
    struct postern_str w = word(rest);
    size_t n = 0;
    for (size_t i = 0; i < w.len; i++)
        n = n * 10 + (size_t)(w.p[i] - '0');
    return n;
}

static int is(struct postern_str s, const char *what)
{
    return s.len == strlen(what) && memcmp(s.p, what, s.len) == 0;
}

static int text_body(struct postern_call *c, struct postern_str text)
{
    char bytes[4096];
    size_t len = 0;
    int rc = POSTERN_OK;
    for (size_t i = 0; i < text.len && len < sizeof bytes - 2; i++) {
        if (text.p[i] == '/') {
            bytes[len++] = '\r';
            bytes[len++] = '\n';
        } else if (text.p[i] == '~') {
            bytes[len++] = (char)0xc3;
            bytes[len++] = (char)0xbc;
        } else if (text.p[i] == '%') {
            rc = c->host->replace_body(c, (struct postern_str){bytes, len});
            len = 0;
        } else {
            bytes[len++] = text.p[i];
        }
    }
    return rc != POSTERN_OK ? rc : c->host->replace_body(c, (struct postern_str){bytes, len});
}

static int big_body(struct postern_call *c, size_t size)
{
    char line[65];
    int rc = POSTERN_OK;
    memset(line, 'x', 62);
    memcpy(line + 62, "\r\n", 2);
    for (; size > 64 && rc == POSTERN_OK; size -= 64)
        rc = c->host->replace_body(c, (struct postern_str){line, 64});
    return rc != POSTERN_OK
               ? rc
               : c->host->replace_body(c, (struct postern_str){line + 64 - size, size});
}

static int edit(struct postern_call *c, struct postern_str what)
{
    const struct postern_host *h = c->host;
    struct postern_str op = word(&what), name;
    if (is(op, "add")) {
        name = word(&what);
        return h->add_header(c, name, what);
    }
    if (is(op, "remove")) {
        name = word(&what);
        return h->remove_header(c, name, number(&what));
    }
    if (is(op, "insert")) {
        size_t position = number(&what);
        name = word(&what);
        return h->insert_header(c, position, name, what);
    }
    if (is(op, "change")) {
        name = word(&what);
        size_t n = number(&what);
        return h->change_header(c, name, n, what);
    }
    if (is(op, "crash"))
        abort();
    return is(op, "body")    ? text_body(c, what)
           : is(op, "big")   ? big_body(c, number(&what))
           : is(op, "from")  ? h->change_from(c, what)
           : is(op, "rcpt+") ? h->add_rcpt(c, what)
           : is(op, "rcpt-") ? h->remove_rcpt(c, what)
                             : POSTERN_ERROR;
}

static int on_message(struct postern_call *c)
{
    struct postern_str what;
    int rc = POSTERN_OK;
    for (size_t n = 0; c->host->header_get(c, EDITOR_FIELD, n, &what) == POSTERN_OK; n++) {
        if (is(what, "fail"))
            return POSTERN_ERROR;
        rc = edit(c, what);
        if (rc != POSTERN_OK) {
            char text[16];
            int len = snprintf(text, sizeof text, "%d", rc);
            (void)c->host->fact(c, REFUSED, (struct postern_str){text, (size_t)len});
        }
    }
    return POSTERN_OK;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = EDITOR_NAME,
    .version = "1.0",
    .summary = "proposes edits that a message asks for",
    .symbols = symbols,
    .on_failure = POSTERN_FAIL_SKIP,
    .on = {[POSTERN_MESSAGE] = on_message}};

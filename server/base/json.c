#include "json.h"

#include "utf8.h"

#include <inttypes.h>

struct pn_json pn_json_to(struct pn_buf *out)
{
    return (struct pn_json){out, false};
}

static void quoted(struct pn_buf *out, struct pn_str s)
{
    static const char hex[] = "0123456789abcdef";
    (void)pn_buf_addc(out, '"');
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = c < 0x80 ? 1 : pn_utf8_next(pn_str_slice(s, i, s.len));
        if (n != 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += n;
            continue;
        }
        (void)pn_buf_add(out, s.p + plain, i - plain);
        if (n == 0)
            (void)pn_buf_addz(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            (void)(pn_buf_addc(out, '\\') && pn_buf_addc(out, (char)c));
        else if (c == '\n')
            (void)pn_buf_addz(out, "\\n");
        else if (c == '\r')
            (void)pn_buf_addz(out, "\\r");
        else if (c == '\t')
            (void)pn_buf_addz(out, "\\t");
        else
            (void)(pn_buf_addz(out, "\\u00") && pn_buf_addc(out, hex[c >> 4]) &&
                   pn_buf_addc(out, hex[c & 15]));
        plain = ++i;
    }
    if (plain < s.len)
        (void)pn_buf_add(out, s.p + plain, s.len - plain);
    (void)pn_buf_addc(out, '"');
}

static void start(struct pn_json *j, const char *key)
{
    if (j->comma)
        (void)pn_buf_addc(j->out, ',');
    if (key != NULL) {
        quoted(j->out, pn_str_of(key));
        (void)pn_buf_addc(j->out, ':');
    }
    j->comma = true;
}

static void open_level(struct pn_json *j, const char *key, char c)
{
    start(j, key);
    (void)pn_buf_addc(j->out, c);
    j->comma = false;
}

static void close_level(struct pn_json *j, char c)
{
    (void)pn_buf_addc(j->out, c);
    j->comma = true;
}

void pn_json_object(struct pn_json *j, const char *key)
{
    open_level(j, key, '{');
}

void pn_json_object_end(struct pn_json *j)
{
    close_level(j, '}');
}

void pn_json_array(struct pn_json *j, const char *key)
{
    open_level(j, key, '[');
}

void pn_json_array_end(struct pn_json *j)
{
    close_level(j, ']');
}

void pn_json_str(struct pn_json *j, const char *key, struct pn_str value)
{
    start(j, key);
    quoted(j->out, value);
}

void pn_json_i64(struct pn_json *j, const char *key, int64_t value)
{
    start(j, key);
    (void)pn_buf_addf(j->out, "%" PRId64, value);
}

void pn_json_milli(struct pn_json *j, const char *key, int64_t thousandths)
{
    start(j, key);
    pn_buf_add_milli(j->out, thousandths);
}

void pn_json_bool(struct pn_json *j, const char *key, bool value)
{
    start(j, key);
    (void)pn_buf_addz(j->out, value ? "true" : "false");
}

void pn_json_null(struct pn_json *j, const char *key)
{
    start(j, key);
    (void)pn_buf_addz(j->out, "null");
}

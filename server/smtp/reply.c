#include "reply.h"

#include "grammar.h"

#include <stdio.h>

enum { PREFIX_MAX = sizeof "550-5.123.123 " };

/* "5.7.1" at the front of s, then its end or a space; the length, or 0. */
static size_t read_status(struct pn_str s, struct pn_smtp_status *out)
{
    uint16_t part[3] = {0};
    size_t i = 0;
    for (unsigned n = 0; n < 3; n++) {
        size_t from = i;
        while (i < s.len && pn_is_digit(s.p[i]) && i - from < 3)
            part[n] = (uint16_t)(part[n] * 10 + (s.p[i++] - '0'));
        if (i == from || (n < 2 && (i == s.len || s.p[i++] != '.')))
            return 0;
    }
    if ((i < s.len && s.p[i] != ' ') || (part[0] != 2 && part[0] != 4 && part[0] != 5))
        return 0;
    *out = (struct pn_smtp_status){(uint8_t)part[0], part[1], part[2]};
    return i;
}

/* Three digits of a reply code, 0 if they are none. */
static uint16_t read_code(struct pn_str s)
{
    if (s.len < 3 || s.p[0] < '2' || s.p[0] > '5' || s.p[1] < '0' || s.p[1] > '5' ||
        !pn_is_digit(s.p[2]))
        return 0;
    return (uint16_t)((s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0'));
}

static struct pn_str skip_space(struct pn_str s)
{
    return s.len != 0 && s.p[0] == ' ' ? pn_str_slice(s, 1, s.len) : s;
}

bool pn_smtp_reply_read(struct pn_str line, struct pn_smtp_reply *out)
{
    *out = (struct pn_smtp_reply){.code = read_code(line)};
    if (out->code == 0 || (line.len > 3 && line.p[3] != ' '))
        return false;
    struct pn_str rest = skip_space(pn_str_slice(line, 3, line.len));
    size_t n = read_status(rest, &out->status);
    out->text = n == 0 ? rest : skip_space(pn_str_slice(rest, n, rest.len));
    return pn_str_find(line, '\n', 0) == SIZE_MAX && pn_smtp_reply_check(out) == NULL;
}

const char *pn_smtp_reply_check(const struct pn_smtp_reply *reply)
{
    unsigned class = pn_smtp_reply_class(reply);
    size_t lines = 1;
    if (class < 2 || class > 5 || reply->code / 10 % 10 > 5)
        return "the reply code must be 2yz, 3yz, 4yz or 5yz with y from 0 to 5";
    if (reply->status.x != 0 && reply->status.x != class)
        return "the enhanced status code must be of the reply code's class";
    if (reply->status.y > 999 || reply->status.z > 999)
        return "the parts of an enhanced status code have at most three digits";
    for (size_t i = 0; i < reply->text.len; i++) {
        unsigned char c = (unsigned char)reply->text.p[i];
        lines += c == '\n';
        if ((c < 32 && c != '\t' && c != '\n') || c == 127)
            return "the text of a reply must not hold control characters";
        if (c > 127)
            return "the text of a reply must be ASCII";
    }
    return lines > PN_SMTP_REPLY_LINES_MAX ? "the text of a reply has at most 128 lines" : NULL;
}

/* How much of line goes on one wire line of room bytes: all, or up to the last space. */
static size_t fold(struct pn_str line, size_t room)
{
    if (line.len <= room)
        return line.len;
    for (size_t i = room; i > room / 2; i--)
        if (line.p[i] == ' ')
            return i;
    return room;
}

static void put_line(struct pn_buf *out, const struct pn_smtp_reply *reply, bool status, bool last,
                     struct pn_str text)
{
    char prefix[PREFIX_MAX + 8];
    int n;
    if (status && reply->status.x != 0)
        n = snprintf(prefix, sizeof prefix, "%03u%c%u.%u.%u ", reply->code % 1000U,
                     last ? ' ' : '-', reply->status.x, reply->status.y % 1000U,
                     reply->status.z % 1000U);
    else
        n = snprintf(prefix, sizeof prefix, "%03u%c", reply->code % 1000U, last ? ' ' : '-');
    (void)pn_buf_add(out, prefix, (size_t)n);
    (void)pn_buf_adds(out, text);
    (void)pn_buf_add(out, "\r\n", 2);
}

void pn_smtp_reply_put(struct pn_buf *out, const struct pn_smtp_reply *reply, bool status)
{
    struct pn_str rest = reply->text;
    if (rest.p == NULL)
        rest = PN_STR("");
    while (rest.p != NULL) {
        struct pn_str line = pn_str_split(&rest, '\n');
        for (;;) {
            size_t n = fold(line, PN_SMTP_REPLY_MAX - 2 - PREFIX_MAX);
            struct pn_str more = pn_str_slice(line, n, line.len);
            put_line(out, reply, status, more.len == 0 && rest.p == NULL, pn_str_slice(line, 0, n));
            if (more.len == 0)
                break;
            line = skip_space(more);
        }
    }
}

void pn_smtp_reply_print(struct pn_buf *out, const struct pn_smtp_reply *reply)
{
    (void)pn_buf_addf(out, "%03u", reply->code % 1000U);
    if (reply->status.x != 0)
        (void)pn_buf_addf(out, " %u.%u.%u", reply->status.x, reply->status.y % 1000U,
                          reply->status.z % 1000U);
    if (reply->text.len != 0)
        (void)pn_buf_addc(out, ' ');
    for (size_t i = 0; i < reply->text.len; i++)
        (void)pn_buf_addc(out, reply->text.p[i] == '\n' ? ' ' : reply->text.p[i]);
}

void pn_smtp_reply_reader_init(struct pn_smtp_reply_reader *reader)
{
    *reader = (struct pn_smtp_reply_reader){0};
    pn_buf_init(&reader->text, PN_SMTP_REPLY_TEXT_MAX);
}

void pn_smtp_reply_reader_fini(struct pn_smtp_reply_reader *reader)
{
    pn_buf_fini(&reader->text);
}

/* Keeps a line's words. Bytes that a reply of ours could not hold become '?', so that
 * what is kept may be shown, logged and sent on. */
static void keep_text(struct pn_smtp_reply_reader *reader, struct pn_str text)
{
    struct pn_buf *b = &reader->text;
    size_t room = b->max - b->len;
    if (reader->lines > 1 && room != 0)
        (void)pn_buf_addc(b, '\n');
    room = b->max - b->len;
    text = pn_str_slice(text, 0, room);
    char *to = pn_buf_reserve(b, text.len);
    for (size_t i = 0; to != NULL && i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        to[i] = c < 32 || c > 126 ? '?' : (char)c;
    }
    b->len += text.len;
}

/* One line without its end: 1 it was the last, 0 not, -1 no reply line. */
static int read_line(struct pn_smtp_reply_reader *reader, struct pn_str line)
{
    uint16_t code = read_code(line);
    char sep = line.len > 3 ? line.p[3] : ' ';
    if (code == 0 || (sep != ' ' && sep != '-') || (reader->lines != 0 && code != reader->code) ||
        ++reader->lines > PN_SMTP_REPLY_LINES_MAX)
        return -1;
    reader->code = code;
    struct pn_str text = pn_str_slice(line, 4, line.len);
    struct pn_smtp_status status = {0};
    size_t n = read_status(text, &status);
    if (n != 0 && status.x == code / 100) {
        reader->status = status;
        text = skip_space(pn_str_slice(text, n, text.len));
    }
    keep_text(reader, text);
    return sep == ' ';
}

int pn_smtp_reply_next(struct pn_smtp_reply_reader *reader, struct pn_str *bytes,
                       struct pn_smtp_reply *out)
{
    for (;;) {
        size_t end = pn_str_find(*bytes, '\n', 0);
        if (end == SIZE_MAX)
            return bytes->len >= PN_SMTP_LINE_MAX ? -1 : 0;
        if (end >= PN_SMTP_LINE_MAX)
            return -1;
        if (reader->lines == 0) {
            pn_buf_clear(&reader->text);
            reader->status = (struct pn_smtp_status){0};
        }
        struct pn_str line = pn_str_slice(*bytes, 0, end);
        if (line.len != 0 && line.p[line.len - 1] == '\r')
            line.len--;
        int last = read_line(reader, line);
        if (last < 0)
            return -1;
        *bytes = pn_str_slice(*bytes, end + 1, bytes->len);
        if (last > 0)
            break;
    }
    reader->lines = 0;
    *out = (struct pn_smtp_reply){reader->code, reader->status, pn_buf_str(&reader->text)};
    return 1;
}

/* Lists and messages, a slice at a time: LF becomes CRLF, a dot at a line's front is doubled. */
#include "pop3_int.h"

enum {
    SLICE = 64 * 1024, /* bytes of a message that are worked on at once */
    ROWS = 1000,       /* lines of a list */
    ROW_MAX = 10 + 1 + 21 + 2
};

/* ---- lists ---- */

static size_t put_number(char *to, uint64_t n)
{
    char digits[20];
    size_t len = 0;
    do {
        digits[sizeof digits - ++len] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    memcpy(to, digits + sizeof digits - len, len);
    return len;
}

/* The unique id is UIDVALIDITY and UID: it stays for as long as the message does, and no other
 * message ever has it. */
void pop3_list_row(struct pop3 *p, uint32_t number, bool uids, struct pn_buf *out)
{
    struct pn_mail mail;
    char *to = pn_buf_reserve(out, ROW_MAX);
    if (to == NULL)
        return;
    size_t len = put_number(to, number);
    to[len++] = ' ';
    if (uids) {
        len += put_number(to + len, p->uidvalidity);
        to[len++] = '.';
        len += put_number(to + len, pn_view_uid(p->view, number));
    } else {
        pn_view_mail(p->view, number, &mail);
        len += put_number(to + len, mail.size);
    }
    memcpy(to + len, "\r\n", 2);
    out->len += len + 2;
}

void pop3_list_begin(struct pop3 *p, bool uids)
{
    p->listing = 1;
    p->listing_uids = uids;
}

static void list_some(struct pop3 *p, struct pn_buf *out)
{
    uint32_t n = p->listing;
    for (int rows = 0; rows < ROWS && n <= p->all.messages; rows++, n++)
        if (!pop3_is_marked(p, n))
            pop3_list_row(p, n, p->listing_uids, out);
    p->listing = n;
    if (n <= p->all.messages)
        return;
    p->listing = 0;
    (void)pn_buf_addz(out, ".\r\n");
}

/* ---- messages ---- */

/* Behind the line that begins at `at`. */
static size_t line_end(struct pn_str s, size_t at)
{
    size_t lf = pn_str_find(s, '\n', at);
    return lf == SIZE_MAX ? s.len : lf + 1;
}

static bool is_empty_line(struct pn_str s, size_t at, size_t end)
{
    return end - at == 1 || (end - at == 2 && s.p[at] == '\r');
}

static size_t top_end(struct pn_str s, uint64_t lines)
{
    size_t at = 0;
    for (bool body = false; at < s.len && !body;) {
        size_t end = line_end(s, at);
        body = is_empty_line(s, at, end);
        at = end;
    }
    for (; at < s.len && lines != 0; lines--)
        at = line_end(s, at);
    return at;
}

void pop3_send_begin(struct pop3 *p, struct pn_content content, uint64_t lines)
{
    p->content = content;
    p->at = 0;
    p->end = lines == UINT64_MAX ? content.bytes.len : top_end(content.bytes, lines);
    p->sending = true;
}

void pop3_send_end(struct pop3 *p)
{
    if (p->sending)
        pn_content_done(&p->content);
    p->sending = false;
}

/* Bytes from `at`, at most SLICE, each line with its dot and CRLF; at most twice as many. A CR in
 * front of an LF stays the only one: a stranger's file may have it. */
static size_t convert(const char *p, size_t at, size_t end, char *to)
{
    char *out = to;
    while (at < end) {
        if (p[at] == '.' && (at == 0 || p[at - 1] == '\n'))
            *out++ = '.';
        const char *lf = memchr(p + at, '\n', end - at);
        size_t n = (lf == NULL ? end : (size_t)(lf - p)) - at;
        memcpy(out, p + at, n);
        out += n;
        at += n;
        if (lf == NULL)
            break;
        if (at == 0 || p[at - 1] != '\r')
            *out++ = '\r';
        *out++ = '\n';
        at++;
    }
    return (size_t)(out - to);
}

static void end_message(struct pop3 *p, struct pn_buf *out)
{
    bool open = p->end != 0 && p->content.bytes.p[p->end - 1] != '\n';
    (void)pn_buf_addz(out, open ? "\r\n.\r\n" : ".\r\n");
    pop3_send_end(p);
}

static void send_some(struct pop3 *p, struct pn_buf *out)
{
    size_t n = p->end - p->at < SLICE ? p->end - p->at : SLICE;
    if (n != 0) {
        char *to = pn_buf_reserve(out, 2 * n);
        if (to == NULL)
            return;
        out->len += convert(p->content.bytes.p, p->at, p->at + n, to);
        p->at += n;
    }
    if (p->at == p->end)
        end_message(p, out);
}

bool pop3_send_more(struct pop3 *p, struct pn_buf *out)
{
    while (p->sending || p->listing != 0) {
        if (out->len > PN_ENGINE_OUT || out->overflow)
            return true;
        if (p->sending)
            send_some(p, out);
        else
            list_some(p, out);
    }
    return false;
}

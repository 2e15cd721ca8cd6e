#include "dsn_int.h"

#include "clock.h"
#include "utf8.h"

enum { HEADER_QUOTED_MAX = 32 * 1024, LINE_MAX_7BIT = 998 };

static bool has(const struct dsn *d, enum dsn_action action)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->recipients[i].action == action)
            return true;
    return false;
}

/* ---- for people ---- */

static void put_head(struct pn_buf *out, const struct dsn *d)
{
    (void)pn_buf_addf(out, "From: Mail Delivery System <postmaster@%.*s>\r\nTo: <",
                      PN_FMT(d->hostname));
    dsn_put_text(out, d->to, true);
    (void)pn_buf_addf(out, ">\r\nSubject: %s\r\nDate: ",
                      has(d, DSN_FAILED)    ? "Undelivered mail returned to sender"
                      : has(d, DSN_DELAYED) ? "Your mail is delayed, and still being tried"
                                            : "Your mail was delivered");
    pn_clock_rfc5322(out, d->now_ms);
    (void)pn_buf_addf(out,
                      "\r\nMessage-ID: <%.*s@%.*s>\r\nAuto-Submitted: auto-replied\r\n"
                      "MIME-Version: 1.0\r\n"
                      "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                      "\tboundary=\"=_%.*s\"\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                      PN_FMT(d->id), PN_FMT(d->hostname), PN_FMT(d->boundary),
                      d->eight ? "8bit" : "7bit");
}

static void put_words(struct pn_buf *out, const struct dsn_recipient *r)
{
    static const char *const before[DSN_ACTION_COUNT] = {
        [DSN_FAILED] = ">:\r\n    ",
        [DSN_DELAYED] = ">: the last answer was\r\n    ",
        [DSN_DELIVERED] = ">: delivered\r\n    ",
        [DSN_RELAYED] = ">: passed on to a server that will not report its delivery\r\n    ",
        [DSN_EXPANDED] = ">: delivered, and passed on to the addresses that it stands for\r\n    "};
    (void)pn_buf_addz(out, "\r\n<");
    dsn_put_text(out, r->address, true);
    (void)pn_buf_addz(out, r->action == DSN_FAILED && r->expired
                               ? ">: given up after many tries; the last answer was\r\n    "
                               : before[r->action]);
    dsn_put_text(out, r->reply, true);
    (void)pn_buf_addz(out, "\r\n");
    if (r->action == DSN_DELAYED && r->until_ms != 0) {
        (void)pn_buf_addz(out, "    It is tried until ");
        pn_clock_rfc5322(out, r->until_ms);
        (void)pn_buf_addz(out, ".\r\n");
    }
}

static void words(struct pn_buf *out, const struct dsn *d)
{
    static const char *const about[DSN_ACTION_COUNT] = {
        [DSN_FAILED] = "Your message could not be delivered to the recipients below, and no\r\n"
                       "further try will be made.",
        [DSN_DELAYED] = "Your message could not be delivered to the recipients below so far. It\r\n"
                        "is tried again by itself: you need not send it again.",
        [DSN_DELIVERED] = "You asked to be told: this is what became of your message."};
    enum dsn_action kind = has(d, DSN_FAILED)    ? DSN_FAILED
                           : has(d, DSN_DELAYED) ? DSN_DELAYED
                                                 : DSN_DELIVERED;
    (void)pn_buf_addf(out,
                      "This is the mail system at %.*s.\r\n\r\n"
                      "%s The technical details, and the message or its\r\n"
                      "header, follow.\r\n",
                      PN_FMT(d->hostname), about[kind]);
    for (size_t i = 0; i < d->count; i++)
        put_words(out, &d->recipients[i]);
}

/* ---- parts ---- */

/* RFC 2045, section 6.7, of lines that end with CR LF. */
static void put_quoted_printable(struct pn_buf *out, struct pn_str s)
{
    enum { LINE = 76 };
    size_t column = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool ends = i + 1 < s.len && s.p[i + 1] == '\r';
        if (c == '\r' || c == '\n') {
            (void)pn_buf_addc(out, (char)c);
            column = 0;
            continue;
        }
        bool plain = (c > ' ' && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !ends);
        if (column + (plain ? 1 : 3) > LINE - 1) {
            (void)pn_buf_addz(out, "=\r\n");
            column = 0;
        }
        column += plain ? 1 : 3;
        if (plain)
            (void)pn_buf_addc(out, (char)c);
        else
            (void)pn_buf_addf(out, "=%02X", c);
    }
}

static bool lines_fit(struct pn_str s)
{
    for (size_t from = 0; from < s.len;) {
        size_t lf = pn_str_find(s, '\n', from);
        size_t end = lf == SIZE_MAX ? s.len : lf;
        if (end - from > LINE_MAX_7BIT + 1) /* its CR is one of them */
            return false;
        from = end + 1;
    }
    return true;
}

/* as_is: the type forbids to write it otherwise (RFC 2046, section 5.2.1). */
static void put_part(struct pn_buf *out, const struct dsn *d, const char *type, struct pn_str body,
                     bool as_is)
{
    bool ascii = pn_str_is_ascii(body);
    bool plain = as_is || ((ascii || d->eight) && lines_fit(body));
    (void)pn_buf_addf(out,
                      "--=_%.*s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: %s\r\n\r\n",
                      PN_FMT(d->boundary), type,
                      !plain  ? "quoted-printable"
                      : ascii ? "7bit"
                              : "8bit");
    if (plain)
        (void)pn_buf_adds(out, body);
    else
        put_quoted_printable(out, body);
    (void)pn_buf_addz(out, "\r\n");
}

/* The header, whole lines of it up to a limit. */
static struct pn_str header_of(struct pn_str content, size_t max)
{
    size_t at = 0;
    while (at < content.len) {
        size_t lf = pn_str_find(content, '\n', at);
        size_t next = lf == SIZE_MAX ? content.len : lf + 1;
        if (next - at <= 2 || next > max) /* the empty line, or enough */
            break;
        at = next;
    }
    return pn_str_slice(content, 0, at);
}

static bool is_global(struct pn_str header)
{
    return !pn_str_is_ascii(header) && pn_utf8_valid(header);
}

/*
 * Under which type all of the message can be returned; NULL: under none. message/rfc822 is
 * never encoded, so what is 8-bit in it needs a way that is known to take that; a message of
 * RFC 6532 may be encoded (RFC 6533, section 4.5).
 */
static const char *full_type(const struct dsn *d)
{
    if (!d->full || !has(d, DSN_FAILED))
        return NULL;
    if (pn_str_is_ascii(d->content))
        return "message/rfc822";
    if (is_global(header_of(d->content, SIZE_MAX)))
        return "message/global";
    return d->eight ? "message/rfc822" : NULL;
}

static void put_returned(struct pn_buf *out, const struct dsn *d)
{
    const char *type = full_type(d);
    struct pn_str returned = type != NULL ? d->content : header_of(d->content, HEADER_QUOTED_MAX);
    bool as_is = type != NULL && strcmp(type, "message/rfc822") == 0;
    if (type == NULL)
        type = is_global(returned) ? "message/global-headers" : "text/rfc822-headers";
    struct pn_buf ended;
    pn_buf_init(&ended, returned.len + 2);
    if (!pn_str_ends(returned, PN_STR("\n"))) {
        (void)(pn_buf_adds(&ended, returned) && pn_buf_addz(&ended, "\r\n"));
        returned = pn_buf_str(&ended);
    }
    put_part(out, d, type, returned, as_is);
    pn_buf_fini(&ended);
}

bool dsn_write(struct pn_buf *out, const struct dsn *d)
{
    bool wide = dsn_is_wide(d);
    struct pn_buf body;
    pn_buf_init(&body, out->max);
    put_head(out, d);
    words(&body, d);
    put_part(out, d, "text/plain; charset=utf-8", pn_buf_str(&body), false);
    pn_buf_clear(&body);
    dsn_put_status(&body, d, wide);
    put_part(out, d, wide ? "message/global-delivery-status" : "message/delivery-status",
             pn_buf_str(&body), !wide);
    put_returned(out, d);
    bool ok = !body.overflow;
    pn_buf_fini(&body);
    return pn_buf_addf(out, "--=_%.*s--\r\n", PN_FMT(d->boundary)) && ok;
}

#include "dsn.h"

#include "clock.h"

enum { HEADER_QUOTED_MAX = 32 * 1024 };

/* One line's worth of foreign text. */
static void put_text(struct pn_buf *out, struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        (void)pn_buf_addc(out, (unsigned char)s.p[i] < ' ' || s.p[i] == 127 ? ' ' : s.p[i]);
}

static void put_field(struct pn_buf *out, const char *name, const char *type, struct pn_str value)
{
    (void)pn_buf_addf(out, "%s: %s", name, type);
    put_text(out, value);
    (void)pn_buf_addz(out, "\r\n");
}

/* "5.1.1" out of "550 5.1.1 Words"; where there is none, what its class says. */
static struct pn_str status_of(const struct dsn_recipient *r)
{
    struct pn_str s = pn_str_slice(r->reply, 4, r->reply.len);
    size_t end = 0, dots = 0;
    if (r->expired)
        return PN_STR("4.4.7");
    while (end < s.len && (pn_is_digit(s.p[end]) || s.p[end] == '.'))
        dots += s.p[end++] == '.';
    if (dots == 2 && (s.p[0] == '4' || s.p[0] == '5') && end <= 9)
        return pn_str_slice(s, 0, end);
    return PN_STR("5.0.0");
}

static void put_head(struct pn_buf *out, const struct dsn *d)
{
    (void)pn_buf_addf(out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\nTo: <",
                      PN_FMT(d->hostname));
    put_text(out, d->to);
    (void)pn_buf_addz(out, ">\r\nSubject: Undelivered mail returned to sender\r\nDate: ");
    pn_clock_rfc5322(out, d->now_ms);
    (void)pn_buf_addf(out,
                      "\r\nMessage-ID: <%.*s@%.*s>\r\nAuto-Submitted: auto-replied\r\n"
                      "MIME-Version: 1.0\r\n"
                      "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                      "\tboundary=\"=_%.*s\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                      PN_FMT(d->id), PN_FMT(d->hostname), PN_FMT(d->id));
}

static void put_part(struct pn_buf *out, const struct dsn *d, const char *type)
{
    (void)pn_buf_addf(out,
                      "--=_%.*s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n",
                      PN_FMT(d->id), type);
}

static void put_words(struct pn_buf *out, const struct dsn *d)
{
    put_part(out, d, "text/plain; charset=utf-8");
    (void)pn_buf_addf(out,
                      "This is the mail system at %.*s.\r\n\r\n"
                      "Your message could not be delivered to the recipients below, and no\r\n"
                      "further try will be made. The technical details and the header of your\r\n"
                      "message follow.\r\n",
                      PN_FMT(d->hostname));
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        (void)pn_buf_addz(out, "\r\n<");
        put_text(out, r->address);
        (void)pn_buf_addz(out, r->expired
                                   ? ">: given up after many tries; the last answer was\r\n    "
                                   : ">:\r\n    ");
        put_text(out, r->reply);
        (void)pn_buf_addz(out, "\r\n");
    }
    (void)pn_buf_addz(out, "\r\n");
}

static void put_status(struct pn_buf *out, const struct dsn *d)
{
    put_part(out, d, "message/delivery-status");
    put_field(out, "Reporting-MTA", "dns; ", d->hostname);
    if (d->envid.len > 0)
        put_field(out, "Original-Envelope-Id", "", d->envid);
    (void)pn_buf_addz(out, "Arrival-Date: ");
    pn_clock_rfc5322(out, d->arrived_ms);
    (void)pn_buf_addz(out, "\r\n");
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        (void)pn_buf_addz(out, "\r\n");
        if (r->orcpt.len > 0)
            put_field(out, "Original-Recipient", "", r->orcpt);
        put_field(out, "Final-Recipient", "rfc822; ", r->address);
        put_field(out, "Action", "failed", PN_STR(""));
        put_field(out, "Status", "", status_of(r));
        if (r->server.len > 0)
            put_field(out, "Remote-MTA", "dns; ", r->server);
        put_field(out, "Diagnostic-Code", "smtp; ", r->reply);
    }
    (void)pn_buf_addz(out, "\r\n");
}

/* The message's header up to the limit, whole lines. */
static struct pn_str header_of(struct pn_str content)
{
    size_t at = 0;
    while (at < content.len) {
        size_t lf = pn_str_find(content, '\n', at);
        size_t next = lf == SIZE_MAX ? content.len : lf + 1;
        if (next - at <= 2 || next > HEADER_QUOTED_MAX) /* the empty line, or enough */
            break;
        at = next;
    }
    return pn_str_slice(content, 0, at);
}

bool dsn_write(struct pn_buf *out, const struct dsn *d)
{
    put_head(out, d);
    put_words(out, d);
    put_status(out, d);
    put_part(out, d, "text/rfc822-headers");
    struct pn_str header = header_of(d->content);
    (void)pn_buf_adds(out, header);
    if (!pn_str_ends(header, PN_STR("\n")))
        (void)pn_buf_addz(out, "\r\n");
    return pn_buf_addf(out, "\r\n--=_%.*s--\r\n", PN_FMT(d->id));
}

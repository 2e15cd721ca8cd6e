#include "dsn.h"

#include "clock.h"
#include "utf8.h"

enum { HEADER_QUOTED_MAX = 32 * 1024 };

/* One line's worth of foreign text. */
static void put_text(struct pn_buf *out, struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        (void)pn_buf_addc(out, (unsigned char)s.p[i] < ' ' || s.p[i] == 127 ? ' ' : s.p[i]);
}

/* Fields of a report that is not of RFC 6533's kind are ASCII. */
static void put_field(struct pn_buf *out, const char *name, const char *type, struct pn_str value,
                      bool wide)
{
    (void)pn_buf_addf(out, "%s: %s", name, type);
    size_t from = out->len;
    put_text(out, value);
    for (size_t i = from; i < out->len && !wide; i++)
        out->p[i] = (unsigned char)out->p[i] > 127 ? '?' : out->p[i];
    (void)pn_buf_addz(out, "\r\n");
}

/* A next hop as RFC 3464, section 2.3.5 names one: no port, an address in brackets. */
static void put_server(struct pn_buf *out, struct pn_str hop)
{
    struct pn_buf b;
    size_t end = 0;
    pn_buf_init(&b, hop.len + 8);
    if (hop.p[0] == '[') {
        struct pn_str inner = pn_str_slice(hop, 1, pn_str_find(hop, ']', 0));
        (void)pn_buf_addf(&b, "[IPv6:%.*s]", PN_FMT(inner));
    } else {
        struct pn_str host = pn_str_slice(hop, 0, pn_str_find(hop, ':', 0));
        while (end < host.len && (pn_is_digit(host.p[end]) || host.p[end] == '.'))
            end++;
        (void)pn_buf_addf(&b, end == host.len ? "[%.*s]" : "%.*s", PN_FMT(host));
    }
    put_field(out, "Remote-MTA", "dns; ", pn_buf_str(&b), false);
    pn_buf_fini(&b);
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

static void put_part(struct pn_buf *out, const struct dsn *d, const char *type, bool ascii)
{
    (void)pn_buf_addf(out,
                      "--=_%.*s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: %s\r\n\r\n",
                      PN_FMT(d->id), type, ascii ? "7bit" : "8bit");
}

static void put_words(struct pn_buf *out, const struct dsn *d)
{
    put_part(out, d, "text/plain; charset=utf-8", false);
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

/* Addresses beyond ASCII have a report of their own kind (RFC 6533, section 4). */
static bool is_wide(const struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (!pn_str_is_ascii(d->recipients[i].address))
            return true;
    return false;
}

static void put_status(struct pn_buf *out, const struct dsn *d)
{
    bool wide = is_wide(d);
    put_part(out, d, wide ? "message/global-delivery-status" : "message/delivery-status", !wide);
    put_field(out, "Reporting-MTA", "dns; ", d->hostname, wide);
    if (d->envid.len > 0)
        put_field(out, "Original-Envelope-Id", "", d->envid, wide);
    (void)pn_buf_addz(out, "Arrival-Date: ");
    pn_clock_rfc5322(out, d->arrived_ms);
    (void)pn_buf_addz(out, "\r\n");
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        (void)pn_buf_addz(out, "\r\n");
        if (r->orcpt.len > 0)
            put_field(out, "Original-Recipient", "", r->orcpt, wide);
        put_field(out, "Final-Recipient", pn_str_is_ascii(r->address) ? "rfc822; " : "utf-8; ",
                  r->address, wide);
        put_field(out, "Action", "failed", PN_STR(""), wide);
        put_field(out, "Status", "", status_of(r), wide);
        if (r->server.len > 0)
            put_server(out, r->server);
        put_field(out, "Diagnostic-Code", "smtp; ", r->reply, wide);
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
    struct pn_str header = header_of(d->content);
    bool ascii = pn_str_is_ascii(header), global = !ascii && pn_utf8_valid(header);
    put_part(out, d, global ? "message/global-headers" : "text/rfc822-headers", ascii);
    (void)pn_buf_adds(out, header);
    if (!pn_str_ends(header, PN_STR("\n")))
        (void)pn_buf_addz(out, "\r\n");
    return pn_buf_addf(out, "\r\n--=_%.*s--\r\n", PN_FMT(d->id));
}

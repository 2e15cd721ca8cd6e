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
    bool whole = dots == 2 && end <= 9 && (s.p[0] == '4' || s.p[0] == '5') && s.p[1] == '.' &&
                 s.p[2] != '.' && s.p[end - 1] != '.';
    if (whole)
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
                      "\tboundary=\"=_%.*s\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
                      PN_FMT(d->id), PN_FMT(d->hostname), PN_FMT(d->id));
}

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

/* A report goes anywhere, also where 8BITMIME is not known: it is 7 bits. */
static void put_part(struct pn_buf *out, const struct dsn *d, const char *type, struct pn_str body)
{
    bool ascii = pn_str_is_ascii(body);
    (void)pn_buf_addf(out,
                      "--=_%.*s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: %s\r\n\r\n",
                      PN_FMT(d->id), type, ascii ? "7bit" : "quoted-printable");
    if (ascii)
        (void)pn_buf_adds(out, body);
    else
        put_quoted_printable(out, body);
    (void)pn_buf_addz(out, "\r\n");
}

static void words(struct pn_buf *out, const struct dsn *d)
{
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
}

/* Addresses beyond ASCII have a report of their own kind (RFC 6533, section 4). */
static bool is_wide(const struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (!pn_str_is_ascii(d->recipients[i].address))
            return true;
    return false;
}

static void status(struct pn_buf *out, const struct dsn *d, bool wide)
{
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
    bool wide = is_wide(d);
    struct pn_buf body;
    pn_buf_init(&body, out->max);
    put_head(out, d);
    words(&body, d);
    put_part(out, d, "text/plain; charset=utf-8", pn_buf_str(&body));
    pn_buf_clear(&body);
    status(&body, d, wide);
    put_part(out, d, wide ? "message/global-delivery-status" : "message/delivery-status",
             pn_buf_str(&body));
    pn_buf_clear(&body);
    struct pn_str header = header_of(d->content);
    bool global = !pn_str_is_ascii(header) && pn_utf8_valid(header);
    (void)pn_buf_adds(&body, header);
    if (!pn_str_ends(header, PN_STR("\n")))
        (void)pn_buf_addz(&body, "\r\n");
    put_part(out, d, global ? "message/global-headers" : "text/rfc822-headers", pn_buf_str(&body));
    bool ok = !body.overflow;
    pn_buf_fini(&body);
    return pn_buf_addf(out, "--=_%.*s--\r\n", PN_FMT(d->id)) && ok;
}

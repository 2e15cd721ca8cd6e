/* The fields that programs read (RFC 3464, section 2; RFC 6533, section 4.1). */
#include "dsn_int.h"

#include "clock.h"
#include "dsn_param.h"
#include "utf8.h"

enum { CODE = 3 }; /* digits of a reply's */

void dsn_put_text(struct pn_buf *out, struct pn_str s, bool wide)
{
    while (s.len != 0) {
        unsigned char c = (unsigned char)s.p[0];
        size_t n = c < 0x80 ? 1 : pn_utf8_next(s);
        if (c < ' ' || c == 127)
            (void)pn_buf_addc(out, ' ');
        else if (c < 0x80 || (wide && n != 0))
            (void)pn_buf_add(out, s.p, n);
        else
            (void)pn_buf_addc(out, '?');
        s = pn_str_slice(s, n == 0 ? 1 : n, s.len);
    }
}

void dsn_put_server(struct pn_buf *out, struct pn_str hop)
{
    size_t end = 0;
    if (hop.p[0] == '[') {
        struct pn_str inner = pn_str_slice(hop, 1, pn_str_find(hop, ']', 0));
        (void)pn_buf_addz(out, "[IPv6:");
        dsn_put_text(out, inner, false);
        (void)pn_buf_addc(out, ']');
        return;
    }
    size_t colon = pn_str_find(hop, ':', 0);
    if (colon != SIZE_MAX && pn_str_find(hop, ':', colon + 1) != SIZE_MAX) {
        (void)pn_buf_addz(out, "[IPv6:");
        dsn_put_text(out, hop, false);
        (void)pn_buf_addc(out, ']');
        return;
    }
    struct pn_str host = pn_str_slice(hop, 0, colon);
    while (end < host.len && (pn_is_digit(host.p[end]) || host.p[end] == '.'))
        end++;
    bool literal = end == host.len;
    (void)pn_buf_addz(out, literal ? "[" : "");
    dsn_put_text(out, host, false);
    (void)pn_buf_addz(out, literal ? "]" : "");
}

/* As Original-Recipient has it, for the report's kind. */
static void orcpt_text(struct pn_buf *out, struct pn_str orcpt, bool wide)
{
    struct pn_buf b;
    pn_buf_init(&b, out->max);
    pn_smtp_orcpt_show(&b, orcpt, wide);
    dsn_put_text(out, pn_buf_str(&b), wide);
    pn_buf_fini(&b);
}

static bool orcpt_is_wide(struct pn_str orcpt)
{
    struct pn_buf b;
    pn_buf_init(&b, 4 * orcpt.len + 1);
    pn_smtp_orcpt_show(&b, orcpt, true);
    bool ascii = pn_str_is_ascii(pn_buf_str(&b));
    pn_buf_fini(&b);
    return !ascii;
}

bool dsn_is_wide(const struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        if (!pn_str_is_ascii(r->address) || orcpt_is_wide(r->orcpt) ||
            (d->smtputf8 && !pn_str_is_ascii(r->reply)))
            return true;
    }
    return false;
}

static void put_field(struct pn_buf *out, const char *name, const char *type, struct pn_str value,
                      bool wide)
{
    (void)pn_buf_addf(out, "%s: %s", name, type);
    dsn_put_text(out, value, wide);
    (void)pn_buf_addz(out, "\r\n");
}

static void put_date(struct pn_buf *out, const char *name, int64_t ms)
{
    (void)pn_buf_addf(out, "%s: ", name);
    pn_clock_rfc5322(out, ms);
    (void)pn_buf_addz(out, "\r\n");
}

static bool has_code(struct pn_str reply)
{
    for (size_t i = 0; i < CODE; i++)
        if (i >= reply.len || !pn_is_digit(reply.p[i]))
            return false;
    return reply.len == CODE || reply.p[CODE] == ' ';
}

/* One number of a status: three digits at most, no leading zero. How many bytes, 0: none. */
static size_t number(struct pn_str s)
{
    size_t n = 0;
    while (n < s.len && pn_is_digit(s.p[n]))
        n++;
    return n > 3 || (n > 1 && s.p[0] == '0') ? 0 : n;
}

/* "5.1.1" out of "550 5.1.1 Words", if it is of that class; else empty. */
static struct pn_str status_in(struct pn_str reply, char class)
{
    struct pn_str s = pn_str_slice(reply, has_code(reply) ? CODE + 1 : reply.len, reply.len);
    size_t at = 1;
    if (s.len == 0 || s.p[0] != class)
        return PN_STR("");
    for (int part = 0; part < 2; part++) {
        if (at >= s.len || s.p[at++] != '.')
            return PN_STR("");
        size_t n = number(pn_str_slice(s, at, s.len));
        if (n == 0)
            return PN_STR("");
        at += n;
    }
    return at == s.len || s.p[at] == ' ' ? pn_str_slice(s, 0, at) : PN_STR("");
}

static struct pn_str status_of(const struct dsn_recipient *r)
{
    static const struct {
        char class;
        struct pn_str none; /* no better one is known */
    } rows[DSN_ACTION_COUNT] = {[DSN_FAILED] = {'5', PN_STR_INIT("5.0.0")},
                                [DSN_DELAYED] = {'4', PN_STR_INIT("4.0.0")},
                                [DSN_DELIVERED] = {'2', PN_STR_INIT("2.0.0")},
                                [DSN_RELAYED] = {'2', PN_STR_INIT("2.0.0")},
                                [DSN_EXPANDED] = {'2', PN_STR_INIT("2.0.0")}};
    if (r->action == DSN_FAILED && r->expired)
        return PN_STR("4.4.7");
    struct pn_str s = status_in(r->reply, rows[r->action].class);
    return s.len == 0 ? rows[r->action].none : s;
}

static void put_recipient(struct pn_buf *out, const struct dsn_recipient *r, bool wide)
{
    static const struct pn_str actions[DSN_ACTION_COUNT] = {
        [DSN_FAILED] = PN_STR_INIT("failed"),
        [DSN_DELAYED] = PN_STR_INIT("delayed"),
        [DSN_DELIVERED] = PN_STR_INIT("delivered"),
        [DSN_RELAYED] = PN_STR_INIT("relayed"),
        [DSN_EXPANDED] = PN_STR_INIT("expanded")};
    (void)pn_buf_addz(out, "\r\n");
    if (r->orcpt.len > 0) {
        (void)pn_buf_addz(out, "Original-Recipient: ");
        orcpt_text(out, r->orcpt, wide);
        (void)pn_buf_addz(out, "\r\n");
    }
    put_field(out, "Final-Recipient", pn_str_is_ascii(r->address) ? "rfc822; " : "utf-8; ",
              r->address, wide);
    put_field(out, "Action", "", actions[r->action], wide);
    put_field(out, "Status", "", status_of(r), wide);
    if (r->server.len > 0) {
        (void)pn_buf_addz(out, "Remote-MTA: dns; ");
        dsn_put_server(out, r->server);
        (void)pn_buf_addz(out, "\r\n");
    }
    if (r->reply.len > 0)
        put_field(out, "Diagnostic-Code", has_code(r->reply) ? "smtp; " : "x-postern; ", r->reply,
                  wide);
    if (r->action == DSN_DELAYED && r->until_ms != 0)
        put_date(out, "Will-Retry-Until", r->until_ms);
}

/* RFC 3461, section 6.3 (b): what has no dot is no name of the DNS. */
static void put_reporter(struct pn_buf *out, struct pn_str hostname)
{
    bool dns = pn_str_find(hostname, '.', 0) != SIZE_MAX;
    put_field(out, "Reporting-MTA", dns ? "dns; " : "x-local-hostname; ", hostname, false);
}

/* Parentheses in a name would be a comment's (RFC 3464, section 2.1.1). */
static void put_received_from(struct pn_buf *out, const struct dsn *d)
{
    if (d->helo.len == 0 || pn_str_find(d->helo, '(', 0) != SIZE_MAX ||
        pn_str_find(d->helo, ')', 0) != SIZE_MAX)
        return;
    (void)pn_buf_addz(out, "Received-From-MTA: dns; ");
    dsn_put_text(out, d->helo, false);
    if (d->client.len != 0) {
        (void)pn_buf_addz(out, " (");
        dsn_put_text(out, d->client, false);
        (void)pn_buf_addc(out, ')');
    }
    (void)pn_buf_addz(out, "\r\n");
}

void dsn_put_status(struct pn_buf *out, const struct dsn *d, bool wide)
{
    struct pn_buf envid;
    pn_buf_init(&envid, out->max);
    pn_smtp_envid_show(&envid, d->envid);
    if (envid.len > 0)
        put_field(out, "Original-Envelope-Id", "", pn_buf_str(&envid), false);
    pn_buf_fini(&envid);
    put_reporter(out, d->hostname);
    put_received_from(out, d);
    put_date(out, "Arrival-Date", d->arrived_ms);
    put_field(out, "X-Postern-Queue-ID", "", d->about, false);
    for (size_t i = 0; i < d->count; i++)
        put_recipient(out, &d->recipients[i], wide);
}

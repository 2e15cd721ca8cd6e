#include "received.h"

#include "date.h"
#include "utf8.h"

enum { WORD_MAX = 255 };

const char *pn_received_protocol(const struct pn_received *r)
{
    /* RFC 3848, and RFC 6531, section 4.3; by tls and auth. */
    static const char *const smtp[] = {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"};
    static const char *const lmtp[] = {"LMTP", "LMTPS", "LMTPA", "LMTPSA"};
    static const char *const utf8_smtp[] = {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"};
    static const char *const utf8_lmtp[] = {"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"};
    int i = r->tls + 2 * r->auth;
    if (r->lmtp)
        return r->utf8 ? utf8_lmtp[i] : lmtp[i];
    if (r->utf8)
        return utf8_smtp[i];
    /* HELO after STARTTLS: it was an extension of ESMTP that was used. */
    return r->esmtp || i != 0 ? smtp[i] : "SMTP";
}

/* ASCII of a domain or literal; beyond it whole UTF-8 characters, where the message may
 * have them in its header (RFC 6531, section 3.7.3). */
static void add_name(struct pn_buf *out, struct pn_str s, bool utf8)
{
    for (size_t i = 0; i < s.len && i < WORD_MAX;) {
        char c = s.p[i];
        size_t n = pn_utf8_next(pn_str_slice(s, i, s.len));
        if (n > 1) {
            (void)(utf8 ? pn_buf_add(out, s.p + i, n) : pn_buf_addc(out, '?'));
        } else {
            bool fits = pn_is_alpha(c) || pn_is_digit(c) || (c != '\0' && strchr("-._:[]", c));
            (void)pn_buf_addc(out, fits ? c : '?');
            n = 1;
        }
        i += n;
    }
}

static void add_path(struct pn_buf *out, struct pn_str path)
{
    (void)pn_buf_addc(out, '<');
    for (size_t i = 0; i < path.len && i < 2 * WORD_MAX; i++) {
        unsigned char c = (unsigned char)path.p[i];
        (void)pn_buf_addc(out, c < ' ' || c == 127 || c == '<' || c == '>' ? '?' : (char)c);
    }
    (void)pn_buf_addc(out, '>');
}

static void add_from(struct pn_buf *out, const struct pn_received *r)
{
    (void)pn_buf_addz(out, "from ");
    add_name(out, r->helo.len == 0 ? PN_STR("unknown") : r->helo, r->utf8);
    (void)pn_buf_addz(out, " (");
    if (r->ptr.len != 0) {
        add_name(out, r->ptr, r->utf8);
        (void)pn_buf_addc(out, ' ');
    }
    bool six = pn_str_find(r->ip, ':', 0) != SIZE_MAX;
    (void)pn_buf_addz(out, six ? "[IPv6:" : "[");
    add_name(out, r->ip, r->utf8);
    (void)pn_buf_addz(out, "])");
}

static bool finish(struct pn_buf *out, size_t len, bool over)
{
    bool ok = !out->overflow;
    out->overflow = over || !ok;
    if (!ok)
        out->len = len;
    return ok;
}

bool pn_received_value(const struct pn_received *r, struct pn_buf *out)
{
    size_t len = out->len;
    bool over = out->overflow;
    out->overflow = false;
    if (!r->hidden) {
        add_from(out, r);
        (void)pn_buf_addz(out, "\r\n\t");
    }
    (void)pn_buf_addz(out, "by ");
    add_name(out, r->by, r->utf8);
    (void)pn_buf_addf(out, " with %s id ", pn_received_protocol(r));
    add_name(out, r->id, r->utf8);
    if (r->rcpt.len != 0) {
        (void)pn_buf_addz(out, "\r\n\tfor ");
        add_path(out, r->rcpt);
    }
    if (r->tls && r->tls_cipher.len != 0) {
        (void)pn_buf_addz(out, "\r\n\ttls ");
        add_name(out, r->tls_cipher, r->utf8);
        if (r->tls_version.len != 0) {
            (void)pn_buf_addz(out, " (");
            add_name(out, r->tls_version, r->utf8);
            (void)pn_buf_addc(out, ')');
        }
    }
    (void)pn_buf_addz(out, ";\r\n\t");
    pn_date_format(out, r->unix_s, r->zone_min);
    return finish(out, len, over);
}

bool pn_return_path_value(struct pn_str path, struct pn_buf *out)
{
    size_t len = out->len;
    bool over = out->overflow;
    out->overflow = false;
    add_path(out, path);
    return finish(out, len, over);
}

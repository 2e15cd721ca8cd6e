/*
 * The trace lines that a server writes: Received (RFC 5321, section 4.4, with the
 * protocol words of RFC 3848 and 6531 and the tls clause of RFC 8314, 4.3) and
 * Return-Path. Inputs are neutral; a client's own words (HELO, reverse name) are
 * made harmless: what a domain or literal can't hold becomes "?".
 */
#ifndef PN_RECEIVED_H
#define PN_RECEIVED_H

#include "buf.h"

struct pn_received {
    struct pn_str helo; /* as the client said it; empty: "unknown" */
    struct pn_str ptr;  /* its confirmed reverse name, or empty */
    struct pn_str ip;   /* printed: "192.0.2.1", "2001:db8::1" */
    struct pn_str by;   /* our name */
    struct pn_str id;   /* of the transaction */
    struct pn_str rcpt; /* with one recipient only, else empty: no "for" clause */
    bool hidden;        /* the client's names and address are nobody's business: no "from" clause */
    bool esmtp, lmtp, tls, auth, utf8;
    struct pn_str tls_version; /* "TLSv1.3" */
    struct pn_str tls_cipher;  /* the IANA name: "TLS_AES_128_GCM_SHA256" */
    int64_t unix_s;
    int zone_min;
};

/* "SMTP", "ESMTPSA", "UTF8LMTPS"... */
const char *pn_received_protocol(const struct pn_received *r);
/* The value of the field, folded with CRLF: give it to pn_edits_add with `folded`. */
bool pn_received_value(const struct pn_received *r, struct pn_buf *out);
/* "<a@b>" as the value of Return-Path; an empty path is "<>". CR, LF, NUL, "<" and ">" become "?".
 */
bool pn_return_path_value(struct pn_str path, struct pn_buf *out);

#endif

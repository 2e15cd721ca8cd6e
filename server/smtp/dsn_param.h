/*
 * The parameters that ask for delivery status notifications: RET and ENVID of MAIL, NOTIFY
 * and ORCPT of RCPT (RFC 3461, section 4), with ORCPT's type "utf-8" (RFC 6533, section 3).
 * Pure functions.
 *
 * ENVID and ORCPT are kept and passed on as they were written, in xtext, so that the next
 * server reads the very same; they are decoded only where a person is to read them. What a
 * check here let through has no control byte but tab in it, decoded or not.
 */
#ifndef PN_SMTP_DSN_PARAM_H
#define PN_SMTP_DSN_PARAM_H

#include "buf.h"

/* None set: there was no NOTIFY. */
enum {
    PN_SMTP_NOTIFY_NEVER = 1,
    PN_SMTP_NOTIFY_SUCCESS = 2,
    PN_SMTP_NOTIFY_FAILURE = 4,
    PN_SMTP_NOTIFY_DELAY = 8
};

/* RFC 3461, section 5.4: characters; an older or larger server may take no more. */
enum { PN_SMTP_ENVID_MAX = 100, PN_SMTP_ORCPT_MAX = 500 };

/* What those two parameters of MAIL said. */
struct pn_smtp_dsn_mail {
    uint8_t ret;         /* 'F' full, 'H' headers; 0: not given */
    struct pn_str envid; /* xtext as written; empty: not given */
};

/* And those of RCPT. */
struct pn_smtp_dsn_rcpt {
    uint8_t notify;
    struct pn_str orcpt; /* "rfc822;u+2Bx@a.test" as written; empty: not given */
};

/* NEVER, or some of the others with commas between; false: neither. */
bool pn_smtp_notify_parse(struct pn_str value, uint8_t *notify);
/* "SUCCESS,DELAY"; nothing for 0. */
void pn_smtp_notify_put(struct pn_buf *out, uint8_t notify);
/* FULL or HDRS; false: neither. */
bool pn_smtp_ret_parse(struct pn_str value, uint8_t *ret);
const char *pn_smtp_ret_name(uint8_t ret);

bool pn_smtp_envid_ok(struct pn_str value);
/* utf8: bytes beyond ASCII may be in one of type "utf-8". */
bool pn_smtp_orcpt_ok(struct pn_str value, bool utf8);

/* Bytes as xtext. */
void pn_smtp_xtext_put(struct pn_buf *out, struct pn_str bytes);
/* An address as an ORCPT: "rfc822;..." or, beyond ASCII, "utf-8;...". */
void pn_smtp_orcpt_make(struct pn_buf *out, struct pn_str address);
/* For a server, or a field, that takes ASCII only: what is beyond is written "\x{FC}". */
void pn_smtp_orcpt_put_ascii(struct pn_buf *out, struct pn_str orcpt);
/* As Original-Recipient has it: "rfc822;u+x@a.test". wide: it may hold UTF-8; a "utf-8"
 * address is then written out, unless it is none. */
void pn_smtp_orcpt_show(struct pn_buf *out, struct pn_str orcpt, bool wide);
/* As Original-Envelope-Id has it. */
void pn_smtp_envid_show(struct pn_buf *out, struct pn_str envid);

#endif

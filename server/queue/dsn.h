/*
 * Delivery status notifications: a failure report as RFC 3464 (multipart/report of
 * RFC 6522) has it, with the header of the message behind it. Writes text, sends nothing.
 *
 * Its body is ASCII: what is not is quoted-printable, so that it goes wherever mail goes.
 * What strangers said (replies, addresses) is put where it belongs and nowhere else: a
 * line break or other control byte in it becomes a space.
 */
#ifndef PN_QUEUE_DSN_H
#define PN_QUEUE_DSN_H

#include "buf.h"

struct dsn_recipient {
    struct pn_str address;
    struct pn_str orcpt;  /* "rfc822;..." or empty */
    struct pn_str reply;  /* "550 5.1.1 No such user"; the last words */
    struct pn_str server; /* who said so, or empty: we */
    bool expired;         /* given up after time */
};

struct dsn {
    struct pn_str hostname; /* ours: Reporting-MTA, and the domain of the sender shown */
    struct pn_str id;       /* of the report, for Message-ID and boundary */
    struct pn_str about;    /* queue id of the message */
    struct pn_str to;       /* its reverse-path, not empty */
    struct pn_str envid;
    int64_t arrived_ms, now_ms;
    const struct dsn_recipient *recipients;
    size_t count;
    struct pn_str content; /* of the message, CRLF; its header is quoted */
};

/* False: past out's limit. */
bool dsn_write(struct pn_buf *out, const struct dsn *dsn);

#endif

/*
 * Delivery status notifications: the mail (multipart/report, RFC 6522) that says what became
 * of recipients (RFC 3464), with the message or its header behind it. Writes text, sends
 * nothing.
 *
 *   dsn.c         the mail: header, words for people, the message that it is about
 *   dsn_status.c  message/delivery-status, or RFC 6533's of that name
 *
 * It is ASCII, written in quoted-printable where need be, so that it goes wherever mail goes;
 * beyond that only where the caller knows that it may (`eight`). What strangers said (replies,
 * addresses) is put where it belongs and nowhere else: a line break or other control byte in
 * it becomes a space, what is no UTF-8 a question mark.
 */
#ifndef PN_QUEUE_DSN_H
#define PN_QUEUE_DSN_H

#include "buf.h"

enum dsn_action {
    DSN_FAILED,
    DSN_DELAYED,
    DSN_DELIVERED,
    DSN_RELAYED,
    DSN_EXPANDED,
    DSN_ACTION_COUNT
};

struct dsn_recipient {
    uint8_t action;        /* enum dsn_action */
    bool expired;          /* failed: given up after time, not by the last reply */
    struct pn_str address; /* as it was when we took the message */
    struct pn_str orcpt;   /* ORCPT as it was written (dsn_param.h), or empty */
    struct pn_str reply;   /* "550 5.1.1 No such user"; the last words */
    struct pn_str server;  /* who said so, "mx.a.test:25", "192.0.2.1:25"; empty: we */
    int64_t until_ms;      /* delayed: tried until then */
};

struct dsn {
    struct pn_str hostname;     /* ours: Reporting-MTA, and the domain of the sender shown */
    struct pn_str id;           /* of the report, for Message-ID */
    struct pn_str boundary;     /* that no stranger can have guessed: letters and digits */
    struct pn_str about;        /* queue id of the message */
    struct pn_str to;           /* its reverse-path, not empty */
    struct pn_str envid;        /* ENVID as it was written, or empty */
    struct pn_str helo, client; /* who brought it; may be empty */
    int64_t arrived_ms, now_ms;
    const struct dsn_recipient *recipients; /* at least one */
    size_t count;
    struct pn_str content; /* of the message, CRLF */
    bool full;             /* all of it is returned if a recipient failed; else its header */
    bool smtputf8;         /* the message was such */
    bool eight;            /* the report goes only where bytes beyond ASCII may go */
};

/* False: past out's limit. */
bool dsn_write(struct pn_buf *out, const struct dsn *dsn);

#endif

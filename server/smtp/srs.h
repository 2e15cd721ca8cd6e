/*
 * Senders of forwarded mail, rewritten (SRS, the Sender Rewriting Scheme of libsrs and others).
 *
 * Who sends a stranger's message on under the stranger's own address fails SPF: the stranger's
 * domain never said that we may. So it goes on under an address of ours that holds his, a day
 * and a code that only we can make:
 *
 *   bert@from.test                        SRS0=HHHHHHHH=TT=from.test=bert@ours.test
 *   SRS0=...=from.test=bert@other.test    SRS1=HHHHHHHH=other.test==...=from.test=bert@ours.test
 *   SRS1=...=other.test==...@third.test   the same: the ones between are left out
 *
 * A report that comes back to such an address is sent to whom it holds (SRS1: to the one who
 * rewrote first, by his SRS0). Nobody else's is opened: the code is the first 40 bits of an
 * HMAC-SHA-256 over all the rest, whose letters' case does not count, since servers on the way
 * change that; SRS0 goes stale after valid_days. With several secrets the first signs and all
 * open, so that one can be replaced without losing reports that are on their way.
 *
 * Pure but for the clock that the caller brings. Addresses go in and out in the form of
 * pn_smtp_mailbox_canonical, domains by their A-labels.
 */
#ifndef PN_SMTP_SRS_H
#define PN_SMTP_SRS_H

#include "buf.h"
#include "pool.h"

enum {
    PN_SRS_FILE_MAX = 4096, /* bytes */
    PN_SRS_SECRETS_MAX = 8,
    PN_SRS_SECRET_MIN = 16, /* bytes */
    PN_SRS_VALID_MAX = 1000 /* days; a day's number goes round after 1024 */
};

struct pn_srs {
    struct pn_str domain;                      /* ours, in lower case */
    uint32_t valid_days;                       /* 1 to PN_SRS_VALID_MAX */
    uint32_t count;                            /* 0: nothing is rewritten or opened */
    struct pn_str secrets[PN_SRS_SECRETS_MAX]; /* borrowed */
};

/* The secrets of a file, one a line, # for comments; views of it. False: none, too many or too
 * short a one, with a sentence in err that does not show it. */
bool pn_srs_secrets(struct pn_srs *srs, struct pn_str file, struct pn_buf *err);

/* The bytes of such a file, whole, pooled, at whatever place it is. False: err says why. */
bool pn_srs_read(int fd, struct pn_pool *pool, struct pn_str *bytes, struct pn_buf *err);

/* Does an address look like one of these? Its domain is not asked. */
bool pn_srs_is(struct pn_str address);
/* Appends the address that a sender's mail goes on under. False: the sender is none, or the
 * result is longer than an address may be; out is as it was. */
bool pn_srs_make(const struct pn_srs *srs, struct pn_str sender, int64_t now_s, struct pn_buf *out);

enum pn_srs_end {
    PN_SRS_OPENED,
    PN_SRS_NOT_OURS, /* no secret of ours made it */
    PN_SRS_STALE
};
/* Appends whom a report to this address, at our domain, is for. */
enum pn_srs_end pn_srs_open(const struct pn_srs *srs, struct pn_str address, int64_t now_s,
                            struct pn_buf *out);

#endif

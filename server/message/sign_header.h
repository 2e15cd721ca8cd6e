/*
 * A DKIM-Signature field (RFC 6376; Ed25519: RFC 8463) but for the signature itself, which
 * whoever holds the key makes of 32 bytes.
 *
 *   pn_sign_header_read   the header as it will be sent: which fields are signed
 *   pn_sign_field         a key's own: the field up to b=, and the digest to be signed
 *   pn_sign_field_end     puts the signature behind it
 *
 * Both forms are relaxed, all of the body counts (no l=). Names that tell whom a message
 * is from, what it is and how it is shown are signed once more than they stand in the header,
 * so that none can be added (oversigned, section 8.15); those that lists and forwarders
 * rightly add only as often as they are there. Trace, and what others write, is not signed.
 *
 * A header that readers may read differently is not signed (section 3.8).
 */
#ifndef PN_SIGN_HEADER_H
#define PN_SIGN_HEADER_H

#include "edit.h"
#include "sign_body.h"

enum { PN_SIGN_INSTANCES_MAX = 200 }; /* of fields that are signed, in one header */

struct pn_sign_header {
    struct pn_buf names;     /* h= */
    struct pn_buf canonical; /* the signed fields, each with its CRLF */
    struct pn_buf author;    /* the domain of the first in From, in lower case; may hold U-labels */
    size_t body;             /* where the body begins, in the content as received */
};

/* content: as received, the header and maybe what follows; edits as they will be applied, or
 * NULL. Nothing of them is kept. NULL: it was read; else why it can't be signed, a constant,
 * and there is nothing in h. Fini in any case. */
const char *pn_sign_header_read(struct pn_sign_header *h, struct pn_str content,
                                const struct pn_edits *edits);
void pn_sign_header_fini(struct pn_sign_header *h);

struct pn_sign_terms {
    struct pn_str algorithm;        /* a= */
    struct pn_str domain, selector; /* d=, s=: as DNS has them */
    int64_t unix_s;                 /* t= */
    const unsigned char *body_hash; /* PN_SIGN_HASH bytes */
};

/* Appends the field's value, folded, up to and with "b=". False: OpenSSL failed. */
bool pn_sign_field(const struct pn_sign_header *h, const struct pn_sign_terms *terms,
                   struct pn_buf *value, unsigned char digest[PN_SIGN_HASH]);
void pn_sign_field_end(struct pn_buf *value, struct pn_str signature);

#endif

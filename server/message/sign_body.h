/*
 * The hash of a body in its relaxed form (RFC 6376, section 3.4.4), while it streams by.
 *
 * Pieces may be of any size; the result does not depend on how they are cut. A line ends at
 * CRLF; a bare CR or LF is a byte like any other. Time is linear, memory fixed. Owned by
 * the caller.
 */
#ifndef PN_SIGN_BODY_H
#define PN_SIGN_BODY_H

#include "str.h"

enum { PN_SIGN_HASH = 32 }; /* SHA-256 */

struct pn_sign_body;

/* NULL: OpenSSL has no SHA-256 for us. */
struct pn_sign_body *pn_sign_body_new(void);
void pn_sign_body_free(struct pn_sign_body **body);
void pn_sign_body_add(struct pn_sign_body *body, struct pn_str piece);
/* Once, behind the last piece. False: OpenSSL failed. */
bool pn_sign_body_end(struct pn_sign_body *body, unsigned char hash[PN_SIGN_HASH]);

#endif

/*
 * Strings as IMAP's grammar has them (RFC 9051, section 4.3 and 9): quoted where it can be, a
 * literal where not (CR, LF, bytes beyond ASCII). Every revision of IMAP reads both, so one text
 * serves all clients, with and without UTF8=ACCEPT.
 *
 * NUL, which a literal can't hold, goes out as 0x80: no text, and no other length.
 */
#ifndef PN_IMAP_QUOTE_H
#define PN_IMAP_QUOTE_H

#include "buf.h"

/* Appends s as "..." or {n}CRLF and its bytes. False at out's limit: nothing is appended. */
bool pn_imap_quote(struct pn_buf *out, struct pn_str s);
/* A field's value: folds undone, blanks at both ends gone, cut at `max` bytes. */
bool pn_imap_quote_unfold(struct pn_buf *out, struct pn_str value, size_t max);

#endif

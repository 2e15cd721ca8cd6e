/*
 * Modified UTF-7, in which IMAP4rev1 has names of mailboxes (RFC 3501, section 5.1.3), and back.
 * Strict both ways, so that each name has exactly one form: what decodes, encodes to the same bytes
 * again, and the other way round.
 */
#ifndef PN_MUTF7_H
#define PN_MUTF7_H

#include "buf.h"

/* Appends the UTF-8 that name stands for. False, nothing appended: not modified UTF-7 (a byte
 * that is no printing ASCII, a shift that does not end, is not needed or follows another, bits left
 * over, half a surrogate pair, NUL), or out is full. */
bool pn_mutf7_decode(struct pn_str name, struct pn_buf *out);
/* False, nothing appended: not UTF-8, NUL in it, or out is full. */
bool pn_mutf7_encode(struct pn_str utf8, struct pn_buf *out);

#endif

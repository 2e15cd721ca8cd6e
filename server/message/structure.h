/*
 * IMAP's BODYSTRUCTURE and BODY of a message (RFC 3501 and 9051, section 7.5.2), without the word.
 * What section.h finds under a number is what stands at that number here.
 *
 * Types, parameters (RFC 2231's stay as they are), id and description are told as written, strings
 * as imap_quote.h has them; a transfer encoding that we know by its name, another as written.
 * Octets are those of the body, still encoded, as with CRLF; lines are its line ends, so that an
 * unfinished last one does not count.
 *
 * Broken messages are answered so that the grammar holds and nothing is hidden:
 *   - no type, or one that can't be read: text/plain;
 *   - a multipart without parts (no boundary, none found, beyond the limits): one part of
 *     text/plain, which is its whole body;
 *   - a message/rfc822 that must not be opened (encoded against RFC 2046, section 5.2.1, or too
 *     deep): application/octet-stream, its parameters and disposition kept.
 *
 * Time is linear in the message, and its tree has the default limits (message.h). Beyond
 * PN_STRUCTURE_FULL bytes what may be NIL is NIL, so that the whole stays below PN_STRUCTURE_MAX
 * whatever comes in.
 */
#ifndef PN_STRUCTURE_H
#define PN_STRUCTURE_H

#include "message.h"

enum {
    PN_STRUCTURE_FULL = 1024 * 1024,
    PN_STRUCTURE_MAX = 16 * 1024 * 1024,
};

/* Appends BODYSTRUCTURE (extensible), or BODY. Reads the tree where that is not done. False at
 * out's limit: nothing is appended. */
bool pn_structure(struct pn_message *m, bool extensible, struct pn_buf *out);

/* Appends BODY, cut from a BODYSTRUCTURE that pn_structure made. False (nothing appended): it is
 * damaged, or out is full. */
bool pn_structure_cut(struct pn_str extensible, struct pn_buf *out);

#endif

/*
 * An internationalized message (RFC 6532: UTF-8 in a header) for a client that did not say that it
 * can read one: a surrogate, whose headers are ASCII. RFC 6855 (9755), section 4, and RFC 6856,
 * section 2.1 forbid to show such a client the message as it is.
 *
 * It is RFC 6858's simplified downgrade, as most servers have it and as it may be made again and
 * again without a trace in the store, with RFC 6857's encodings where 6858 would throw away what
 * can be said in ASCII:
 *   - an address beyond ASCII is invalid@internationalized-address.invalid, its display name says
 *     which it was; a display name alone goes into encoded words (RFC 2047), and can be replied to;
 *   - Subject, Comments and Content-Description go into encoded words;
 *   - parameters of Content-Type and Content-Disposition are encoded as RFC 2231 has it, so that
 *     attachments keep their names; what structure hangs on (boundary, charset) is left out;
 *   - a message/global that is opened is a message/rfc822, its header downgraded, too;
 *   - all other fields with bytes beyond ASCII are left out.
 * Fields that are ASCII, and all bodies, stay byte for byte.
 *
 * A message with a header that is not UTF-8 is no internationalized one but an old and broken one:
 * it goes to everybody as it is. So does one beyond the limits of message.h, whose headers are not
 * all known. Both functions take one pass over the content; the surrogate is a function of the
 * content alone, so that sizes, structures and sections of it agree whenever they are made.
 */
#ifndef PN_DOWNGRADE_H
#define PN_DOWNGRADE_H

#include "message.h"

/* So many bytes may the surrogate be longer than the message: a field that would need more is left
 * out, of a type its parameters are. What is no header is there whole, however long headers get. */
enum { PN_DOWNGRADE_MORE = 2 * 1024 * 1024 };

/* Is it one? Reads the tree where content is not ASCII. */
bool pn_is_international(struct pn_message *m);
/* Its surrogate, in a buffer that is initialised here and owned by the caller; its p is for free().
 * m is one. */
void pn_downgrade(struct pn_message *m, struct pn_buf *out);

#endif

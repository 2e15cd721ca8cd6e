/* Inside the message folder only: one addr-spec, apart from the list around it. */
#ifndef PN_ADDRESS_PRIV_H
#define PN_ADDRESS_PRIV_H

#include "address.h"

enum { ADDRESS_LITERAL_MAX = 256 }; /* bytes from "[" to "]"; a domain has 255 */

/* Sets local, domain and flags of out from text, which is what stands between "<" and
 * ">" or between commas; at_sign is the offset of the "@" that parts them, or SIZE_MAX.
 * Words before the local part that do not belong to it are returned: a display name
 * whose brackets were forgotten. */
struct pn_str address_split(struct pn_str text, size_t at_sign, struct pn_address *out);
/* Is the phrase before "<" made of words, quoted strings, dots and comments? */
bool address_phrase_check(struct pn_str phrase);
/* Appends the local part's bytes: blanks and comments between words out, quotes and escapes
 * undone. */
bool address_local_bytes(struct pn_str local, struct pn_buf *out);
/* Appends the display name: quotes, escapes and comments gone, one blank where any stood; encoded
 * words stay. */
bool address_phrase(const struct pn_address *address, struct pn_buf *out);

#endif

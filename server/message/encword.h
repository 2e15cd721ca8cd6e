/*
 * Field values as people read them: unfolding (RFC 5322, section 2.2.3) and encoded
 * words (RFC 2047, with RFC 2231's language). Output is appended, always UTF-8.
 */
#ifndef PN_ENCWORD_H
#define PN_ENCWORD_H

#include "buf.h"

/* The value on one line: line ends of folds dropped, blanks at both ends trimmed. No
 * byte else is changed. False at out's limit. */
bool pn_unfold(struct pn_str value, struct pn_buf *out);
/* Unfolded and with encoded words decoded; blanks between two of them go, a character
 * cut over two of one charset is joined. CR, LF and NUL become spaces. What is not
 * right is left as it stands; raw 8-bit bytes go through pn_charset_guess_utf8. */
bool pn_words_decode(struct pn_str value, struct pn_buf *out);

#endif

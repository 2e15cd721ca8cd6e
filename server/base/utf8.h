/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef PN_UTF8_H
#define PN_UTF8_H

#include "str.h"

/* Bytes of the valid character that s begins with, 0 if there is none. */
size_t pn_utf8_next(struct pn_str s);
bool pn_utf8_valid(struct pn_str s);

struct pn_buf;
/* Appends a stranger's words as a terminal may show them: control characters (those of
 * two bytes, U+0080 to U+009F, too) and what is no UTF-8 become '?'. */
bool pn_utf8_add_shown(struct pn_buf *b, struct pn_str s);

#endif

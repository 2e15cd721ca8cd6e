/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef PN_UTF8_H
#define PN_UTF8_H

#include "str.h"

/* Bytes of the valid character that s begins with, 0 if there is none. */
size_t pn_utf8_next(struct pn_str s);
bool pn_utf8_valid(struct pn_str s);

#endif

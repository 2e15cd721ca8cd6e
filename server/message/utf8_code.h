/* Inside the message folder only: code points to UTF-8 and back. */
#ifndef PN_UTF8_CODE_H
#define PN_UTF8_CODE_H

#include "buf.h"

/* The first code point of s and its length; U+FFFD and 1 for a byte that begins none. s is
 * not empty. */
uint32_t utf8_read(struct pn_str s, size_t *len);
/* Writes one, U+FFFD for what is none; returns the length. */
size_t utf8_write(char to[4], uint32_t code);
bool utf8_add(struct pn_buf *out, uint32_t code);

#endif

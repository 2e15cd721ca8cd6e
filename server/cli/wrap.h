/* Tables of text for a terminal: lines that are too long go on below their last column. */
#ifndef PN_CLI_WRAP_H
#define PN_CLI_WRAP_H

#include "buf.h"

/* A line longer than width is broken at blanks; what follows begins where its last column does:
 * behind the last two blanks in its first half, or behind those that it begins with. A word that
 * is too long stands alone. Columns are counted in characters. */
void pn_wrap(struct pn_str text, size_t width, struct pn_buf *out);
/* To standard output: wrapped where that is a terminal, as it is where a program reads. */
void pn_wrap_print(struct pn_str text);

#endif

/* Character references of HTML: "&eacute;", "&#233;", "&#xE9;". */
#ifndef RULES_ENTITY_H
#define RULES_ENTITY_H

#include "rules_str.h"

/* Decodes in place: what a reference stands for is never longer than itself. text: not of an
 * attribute; there "&shygra" begins with one that needs no semicolon, as browsers read it. */
struct postern_str rules_entities_decode(char *p, size_t len, bool text);

#endif

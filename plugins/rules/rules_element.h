/* The elements of HTML: which there are, and what each does to text. */
#ifndef RULES_ELEMENT_H
#define RULES_ELEMENT_H

#include "rules_str.h"

/* What is special of an element. */
enum {
    RULES_E_KNOWN = 1, /* of HTML */
    RULES_E_ODD = 2,   /* of old browsers */
    RULES_E_STYLED = 4,
    RULES_E_LINE = 8, /* before and behind it: a line end, */
    RULES_E_BLANK = 16,
    RULES_E_PARAGRAPH = 32,
    RULES_E_LINKED = 64
};

/* Its flags, 0 where there is no such element; small letters. *of_office: what office programs
 * call "o:p" and "st1:place". */
unsigned rules_element_flags(struct postern_str name, bool *of_office);

#endif

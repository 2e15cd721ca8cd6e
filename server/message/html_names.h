/* Inside the message folder only: the names of character references. */
#ifndef PN_HTML_NAMES_H
#define PN_HTML_NAMES_H

#include "str.h"

struct html_name {
    const char *name;
    uint32_t code;
};

/* By the name without "&" and ";", letter case counts; NULL: none. */
const struct html_name *html_name_find(struct pn_str name);

#endif

/* Inside the message folder only: the names of character references. */
#ifndef PN_HTML_NAMES_H
#define PN_HTML_NAMES_H

#include "str.h"

struct html_name {
    const char *name;
    uint32_t code;
};

/*
 * The names that s, what stands behind a "&", begins with, letter case counts. *whole: the one
 * that ends where its letters and digits do, or NULL. *prefix: the longest of those that browsers
 * take without a semicolon too (Latin-1 and the four of markup), or NULL. Their lengths are
 * those of the names. Costs a few ns where s begins no name: hostile text is full of "&".
 */
void html_names_at(struct pn_str s, const struct html_name **whole,
                   const struct html_name **prefix);

#endif

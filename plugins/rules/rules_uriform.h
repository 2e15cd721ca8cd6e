/* Inside of URIs: what finding them and making forms of them share. */
#ifndef RULES_URIFORM_H
#define RULES_URIFORM_H

#include "rules_text_in.h"

/* "http:…", "x-y:…" */
static inline bool rules_uri_has_scheme(struct postern_str s)
{
    size_t n = 0;

    while (n < s.len && (rules_is_word(s.p[n]) || s.p[n] == '-'))
        n++;
    return n > 0 && n < s.len && s.p[n] == ':';
}

#endif

/*
 * A pattern as SpamAssassin writes it: "/text/flags", or "m" with delimiters of one's
 * choice, brackets closing themselves. Flags i m s x are Perl's; o, g and a change nothing
 * here. The text is bytes, never UTF, as there.
 */
#ifndef RULES_PATTERN_H
#define RULES_PATTERN_H

#include "rules_search.h"

struct rules_pattern {
    struct postern_str text;
    uint32_t options; /* PCRE2's */
};

/* Reads the pattern that `s` is, to its end but for trailing blanks. NULL, or what is wrong. */
const char *rules_pattern_read(struct rules_pattern *p, struct postern_str s);

/*
 * Bytes of which at least one string must stand, in whatever case, in every text that the
 * pattern matches. Strings are lower case, from the arena. Returns their number, 0 where
 * nothing can be said: then the pattern has to be tried on every text.
 *
 * Some string of them begins within the match and at most *lead bytes behind its
 * beginning; RULES_LEAD_ANY: anywhere behind it.
 */
enum { RULES_LITERALS_MAX = 24, RULES_LITERAL_MIN = RULES_SEARCH_MIN, RULES_LEAD_ANY = 4096 };
size_t rules_pattern_literals(const struct rules_pattern *p, struct rules_arena *a,
                              struct postern_str out[RULES_LITERALS_MAX], size_t *lead);

#endif

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

/* Of all bytes of mail so many are this one, roughly. Rows are made of some. */
#define RULES_ROWS "_-=*."
double rules_share_of(unsigned char c);
/* What nearly all headers and relays have, and nearly all URIs. And how often, by bytes. */
extern const char rules_in_headers[], rules_in_uris[];
#define RULES_SHARE_IN_ALL 0.05

/*
 * Bytes of which at least one string must stand, in whatever case, in every text that the
 * pattern matches: the strings that are met least. They are lower case, from the arena. None
 * where nothing can be said: then the pattern has to be tried on every text.
 *
 * Of each match some string begins behind its beginning, at most `lead` bytes; RULES_LEAD_ANY:
 * anywhere.
 */
enum { RULES_LITERALS_MAX = 320, RULES_LITERAL_MIN = RULES_SEARCH_MIN, RULES_LEAD_ANY = 4096 };
struct rules_literal {
    struct postern_str text;
    size_t lead;
};
struct rules_literals {
    struct rules_literal *item;
    size_t count;
    double share; /* so often, by bytes of text, is any of them met, roughly */
};
struct rules_literals rules_pattern_literals(const struct rules_pattern *p, struct rules_arena *a);

#endif

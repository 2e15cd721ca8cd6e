/*
 * The URIs of a message: in its text as mail programs would link them, and in HTML. Each
 * stands for all forms that a program may make of it: decoded, without a port, the one that
 * a redirector leads to.
 */
#ifndef RULES_URI_H
#define RULES_URI_H

#include "rules_names.h"

enum {
    RULES_URIS_MAX = 1000,      /* found */
    RULES_URI_FORMS_MAX = 4000, /* all their forms */
    RULES_URI_LENGTH_MAX = 8192,
    RULES_URI_PARSED = 16 /* beside those of rules_html.h: it stood in the text */
};

struct rules_uri {
    struct postern_str uri;
    unsigned where;
    bool unlinked; /* without a scheme */
};

/* The next URI in a line of text, from *at on, which goes behind it; as it stands, but for
 * punctuation at its end. .p NULL: no more. */
enum rules_uri_kind { RULES_URI_SCHEME, RULES_URI_MAIL, RULES_URI_BARE };
struct postern_str rules_uri_next(struct postern_str line, size_t *at, enum rules_uri_kind *kind,
                                  const struct rules_names *names);
/* What a program would make of what was found; .p NULL: nothing. */
struct postern_str rules_uri_complete(struct postern_str raw, enum rules_uri_kind kind,
                                      struct rules_arena *a, const struct rules_names *names);
/* The host of a URI, small letters; .p NULL: it has none that can be looked up. */
struct postern_str rules_uri_host(struct postern_str uri, struct rules_arena *a,
                                  const struct rules_names *names);

/* "%41" to "A" where it means the same. */
struct postern_str rules_uri_decoded(struct postern_str uri, struct rules_arena *a);

struct rules_text;
/* All that the message has, before forms are made of them. */
const struct rules_uri *rules_text_uri_list(struct rules_text *t, size_t *count);

#endif

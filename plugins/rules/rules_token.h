/*
 * HTML in tokens, as a forgiving parser sees them. One pass; text, names and values are
 * decoded copies from the arena, names in small letters.
 */
#ifndef RULES_TOKEN_H
#define RULES_TOKEN_H

#include "rules_html.h"

enum rules_token_kind {
    RULES_TOKEN_END,
    RULES_TOKEN_TEXT,
    RULES_TOKEN_OPEN,
    RULES_TOKEN_CLOSE,
    RULES_TOKEN_COMMENT, /* with its "<!--" and "-->" */
    RULES_TOKEN_DECLARATION
};

struct rules_attribute {
    struct postern_str name, value;
};

struct rules_token {
    enum rules_token_kind kind;
    struct postern_str text; /* or the tag's name */
    struct rules_attribute attribute[RULES_ATTRIBUTES_MAX];
    size_t attributes;
};

struct rules_tokens {
    struct postern_str s;
    size_t at;
    struct rules_arena *arena;
    struct postern_str literal;      /* inside of script and the like: its name; .p NULL: not */
    bool no_comment_end, no_tag_end; /* there is none further on */
    unsigned unended;
};

void rules_token_next(struct rules_tokens *t, struct rules_token *out);
/* .p NULL: there is none of that name. */
struct postern_str rules_token_attribute(const struct rules_token *t, const char *name);

#endif

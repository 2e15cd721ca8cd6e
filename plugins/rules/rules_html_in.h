/* Inside the HTML parser: what its files share. */
#ifndef RULES_HTML_IN_H
#define RULES_HTML_IN_H

#include "rules_style.h"
#include "rules_text_in.h"

enum rules_chunk { RULES_NOTHING, RULES_SHOWN, RULES_HIDDEN, RULES_WHITE };

struct rules_html_parser {
    struct rules_html *h;
    struct rules_arena *arena;
    struct rules_tokens tokens;
    struct rules_styles styles;
    struct rules_buf text;
    enum rules_chunk last; /* what the newest piece of text is */
    size_t last_begin;     /* and where it begins */
    /* Counts that text asks for each time; NULL: no such tag yet. */
    const struct rules_tag_count *script, *style, *a, *title;
    struct postern_str base;
};

/* Without blanks around it, and not longer than tests look at. */
struct postern_str rules_html_trimmed(struct rules_html_parser *p, struct postern_str uri);
/* Keeps what this element leads to. */
void rules_html_links(struct rules_html_parser *p, const struct rules_token *t);

#endif

/* The style that text of an HTML page has: colours, size, whether it is shown at all. */
#ifndef RULES_STYLE_H
#define RULES_STYLE_H

#include "rules_token.h"

enum { RULES_COLOR_INVALID = -1, RULES_COLOR_TRANSPARENT = -2 };

struct rules_style {
    struct postern_str tag;
    int32_t fore, back; /* 0xrrggbb, or one of the above */
    int size;
    bool hidden; /* display: none, visibility: hidden */
};

struct rules_styles {
    struct rules_arena *arena;
    struct rules_style *open;
    size_t count, room; /* at most RULES_STYLES_MAX */
    int base;
    int min_size, max_size;
};

/* False when memory ran out. */
bool rules_styles_begin(struct rules_styles *s, struct rules_arena *a);
/* An opening or closing tag of an element that can have style. */
void rules_styles_tag(struct rules_styles *s, const struct rules_token *tag);
/* "red", "#fff", "rgb(1,2,3)". */
int32_t rules_color(struct postern_str text);
/* What is told apart badly: how far two colours are from each other. */
bool rules_is_low_contrast(int32_t a, int32_t b);

#endif

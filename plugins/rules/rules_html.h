/*
 * HTML as rules see it: the text a reader gets, in the order it stands (hidden text is
 * part of it: rules look for it), and what tests ask about tags, colours and sizes.
 *
 * The parser forgives what browsers forgive. It works in one pass; the depth of styles,
 * the number of tags by name and of texts kept are limited, nothing recurses.
 */
#ifndef RULES_HTML_H
#define RULES_HTML_H

#include "rules_buf.h"
#include "rules_entity.h"

enum {
    RULES_STYLES_MAX = 500,  /* open elements whose style is kept */
    RULES_TAGS_MAX = 200,    /* different names */
    RULES_HTML_TEXTS = 1000, /* comments, anchors, titles, scripts */
    RULES_HTML_URIS = 500,
    RULES_ATTRIBUTES_MAX = 40
};

/* What texts are kept, and where a URI stood. */
enum rules_html_kind { RULES_COMMENT, RULES_ANCHOR, RULES_TITLE, RULES_SCRIPT };
enum { RULES_URI_A = 1, RULES_URI_IMG = 2, RULES_URI_IFRAME = 4, RULES_URI_OTHER = 8 };

struct rules_html_text {
    enum rules_html_kind kind;
    struct postern_str text;
    size_t room;            /* there is so much for it to grow */
    struct postern_str uri; /* of an anchor */
};

struct rules_html_uri {
    struct postern_str uri;
    unsigned where;
};

struct rules_tag_count {
    struct postern_str name;
    int32_t open;
};

struct rules_html {
    struct postern_str text; /* what is rendered */
    size_t length;           /* characters of the source; these three when measured */
    size_t rendered_length;  /* characters */
    size_t non_space;
    double image_area;
    int min_size, max_size;
    bool low_contrast, bad_face, invalid_color, embeds, mailto_form, uri_cut;
    unsigned tags, elements, tags_seen, elements_seen, closed_extra, obfuscation;
    struct rules_tag_count *tag;
    size_t tag_count;
    struct rules_html_text *texts;
    size_t text_count, text_room;
    struct rules_html_uri *uris;
    size_t uri_count, uri_room;
    struct postern_str charsets; /* of meta elements, blanks between */
};

/* NULL when memory ran out. The source is UTF-8; results are from the arena. */
struct rules_html *rules_html_parse(struct postern_str source, struct rules_arena *a);
/* Fills in the lengths, which cost a pass over source and text. */
void rules_html_measure(struct rules_html *h, struct postern_str source);
/* The tag of that name; NULL: it never was there. */
const struct rules_tag_count *rules_html_tag(const struct rules_html *h, struct postern_str name);

struct rules_text;
/* Those of the message's HTML parts, in order. */
size_t rules_text_pages(struct rules_text *t);

#endif

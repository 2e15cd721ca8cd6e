/* Inside the texts of a message: what its files share. */
#ifndef RULES_TEXT_IN_H
#define RULES_TEXT_IN_H

#include "rules_address.h"
#include "rules_buf.h"
#include "rules_html.h"
#include "rules_relay.h"
#include "rules_text.h"
#include "rules_uri.h"

enum {
    RULES_FIELDS_MAX = 500,      /* header fields that are looked at */
    RULES_VALUE_MAX = 32 * 1024, /* bytes of one of them */
    RULES_ALL_MAX = 256 * 1024,  /* of all of them */
    RULES_PARTS_MAX = 200,
    RULES_LINE_MAX = 2048,     /* longer ones are cut at a blank, as SpamAssassin does */
    RULES_ARENA_MAX = 32 << 20 /* of one message */
};

struct rules_field {
    struct postern_str name;
    struct postern_str raw;   /* as it stands behind the colon, LF folds, LF at the end */
    struct postern_str value; /* unfolded, decoded, trimmed; .p NULL: not made yet */
    size_t nth;               /* of its name */
};

struct header_text {
    bool made, present, joined_made;
    struct rules_lines values;
    struct postern_str joined;
};

/* What tests have asked for by its name. */
struct rules_got {
    struct postern_str spec;
    struct rules_lines lines;
};

enum { RULES_GOT_MAX = 64 };

/* Figures that several tests ask for; negative: not made yet. */
struct rules_figures {
    double body_length, shouting, difference, html_words, text_words;
    int64_t shift; /* of the message's date, seconds */
    bool shift_made;
};

struct rules_text {
    struct rules_figures figures;
    struct rules_got got[RULES_GOT_MAX];
    size_t got_count;
    const struct rules_set *set;
    struct postern_call *call;
    bool session;
    struct rules_arena arena;
    struct rules_field *fields;
    size_t field_count;
    bool fields_made;
    struct header_text *header;
    struct rules_buf body, raw, full, uri_text;
    struct rules_buf joined; /* parts, before they are the body */
    struct rules_lines body_lines, raw_lines, full_lines, uri_lines, host_lines;
    bool body_made, raw_made, full_made, uris_made, relays_made, parts_made, pages_made;
    bool uri_list_made, hosts_made;
    struct rules_uri *uris;
    size_t uri_count, uri_room;
    struct rules_relays relays;
    struct rules_part *parts;
    size_t part_count;
    struct rules_html **pages; /* one an HTML part */
    size_t page_count;
    size_t max;
};

/* The last field of that name in a part's own header, as it stands; .p NULL: none. */
struct postern_str rules_part_field(struct rules_text *t, const struct rules_part *p,
                                    struct postern_str name);
struct postern_str rules_without_cr(struct rules_text *t, struct postern_str s);
/* What a text part says, as UTF-8. */
struct postern_str rules_part_utf8(struct rules_text *t, struct rules_part *p);
/* Is it one that body rules read? */
bool rules_part_is_read(const struct rules_part *p);
/* The message's header fields, in order. */
struct rules_field *rules_fields(struct rules_text *t, size_t *count);
struct postern_str rules_field_value(struct rules_text *t, struct rules_field *f);
/* A list that grows in the arena. */
struct rules_list_of {
    struct postern_str *p;
    size_t count, room;
};
bool rules_list_push(struct rules_text *t, struct rules_list_of *l, struct postern_str s);
/* Nothing in it is to be decoded. */
bool rules_is_plain(struct postern_str s);
/* What of a header's values its parts (":addr", ":host"...) want. */
struct rules_list_of rules_narrowed(struct rules_text *t, const struct rules_header *h,
                                    struct rules_list_of l);

#endif

/*
 * The texts of one message that rules look at, each made when the first rule asks for it.
 *
 * Headers: the fields' values, decoded, one line each. Body: the subject, then what stands
 * in the text parts as UTF-8, HTML rendered, blanks collapsed, a paragraph a line. Raw
 * body: text parts with their transfer encoding undone, in pieces of two to four KB. Full:
 * the message as it came, LF ends. URIs: those of text and HTML, each in all its forms.
 *
 * One rules_text serves many messages, one at a time. What it gives lives until
 * rules_text_end. Memory for a message is limited: what finds no room is left out.
 */
#ifndef RULES_TEXT_H
#define RULES_TEXT_H

#include "rules_set.h"

struct rules_text;

/* Where a text falls in pieces that are looked at one by one: lines of it, parts, URIs. */
struct rules_lines {
    struct postern_str text; /* all of them, one behind the other */
    const struct postern_str *line;
    size_t count;
    bool cut; /* some end where the text has no line end: they were too long */
};

/* One MIME part as tests want it: SpamAssassin's words for its type ("text/plain" for all
 * of text but HTML and a few), its own header and what its type is to be taken for. */
struct rules_part {
    struct postern_part raw;
    struct postern_str type;                           /* "text/plain", as declared or supposed */
    struct postern_str effective;                      /* HTML by its name, or `type` */
    struct postern_str charset, encoding, disposition; /* lower case, empty where none */
    struct postern_str decoded;                        /* of leaves, when asked for */
    bool leaf, was_decoded;
};

/* max: bytes of body text; the other texts have multiples of it. session: its client and
 * reverse-path stand in front of what header lines tell. */
struct rules_text *rules_text_new(const struct rules_set *set, size_t max, bool session);
void rules_text_free(struct rules_text *t);
void rules_text_begin(struct rules_text *t, struct postern_call *call);
void rules_text_end(struct rules_text *t);
/* Scratch of the message: zeroed; NULL past its limit. */
struct rules_arena *rules_text_arena(struct rules_text *t);
struct postern_call *rules_text_call(const struct rules_text *t);
const struct rules_set *rules_text_set(const struct rules_text *t);

/* The text of the header at that index. Its `unset` text where the message has none, which
 * *present (may be NULL) says. */
struct postern_str rules_text_header(struct rules_text *t, uint32_t header, bool *present);
/* The same in pieces: fields, addresses, parts. */
struct rules_lines rules_text_values(struct rules_text *t, uint32_t header);
/* Of any header, "From:addr" and the like, not kept. */
struct rules_lines rules_text_get(struct rules_text *t, const char *spec);
struct postern_str rules_text_get_one(struct rules_text *t, const char *spec);

struct rules_lines rules_text_body(struct rules_text *t);
struct rules_lines rules_text_rawbody(struct rules_text *t);
struct rules_lines rules_text_full(struct rules_text *t);
struct rules_lines rules_text_uris(struct rules_text *t);
/* Of all of them but mail addresses. */
struct rules_lines rules_text_hosts(struct rules_text *t);

/* All MIME parts, the message first; NULL: memory ran out. */
struct rules_part *rules_text_parts(struct rules_text *t, size_t *count);
struct postern_str rules_part_decoded(struct rules_text *t, struct rules_part *p);
/* Bytes behind the empty line, line ends counted once. */
size_t rules_text_body_length(struct rules_text *t);

#endif

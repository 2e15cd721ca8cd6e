/*
 * The texts of one message that rules look at, each made when the first rule asks for it.
 *
 * Headers: the fields' values, decoded, several joined by line ends. Body: the subject and
 * what a person sees of each text part, blanks collapsed, a paragraph a line. Raw body:
 * text parts with their transfer encoding undone. Full: the message as it came, LF ends.
 *
 * One rules_text serves many messages, one at a time. Views live until rules_text_begin,
 * those of headers until another header's text is asked for.
 */
#ifndef RULES_TEXT_H
#define RULES_TEXT_H

#include "rules_set.h"

struct rules_text;

/* max: bytes of body text; the other texts have multiples of it. */
struct rules_text *rules_text_new(const struct rules_set *set, size_t max);
void rules_text_free(struct rules_text *t);
void rules_text_begin(struct rules_text *t, struct postern_call *call);

/* The text of the header at that index. Its `unset` text where the message has none, which
 * *present (may be NULL) says. */
struct postern_str rules_text_header(struct rules_text *t, uint32_t header, bool *present);
struct postern_str rules_text_body(struct rules_text *t, size_t *subject_len);
struct postern_str rules_text_rawbody(struct rules_text *t);
struct postern_str rules_text_full(struct rules_text *t);
/* All URLs, a line each. */
struct postern_str rules_text_urls(struct rules_text *t);

#endif

/*
 * The words of a message for rules on its body: text parts decoded, in UTF-8, with
 * HTML turned into text and links collected. Bounded by the limits, linear in size;
 * not thread-safe for one pn_text, free for several.
 */
#ifndef PN_TEXT_H
#define PN_TEXT_H

#include "link.h"
#include "message.h"

enum pn_html_flag {
    PN_HTML_SCRIPT = 1 << 0, /* has script, or an on... attribute */
    PN_HTML_FORM = 1 << 1,
    PN_HTML_IFRAME = 1 << 2,
    PN_HTML_HIDDEN = 1 << 3,    /* text that its style hides: left out */
    PN_HTML_TRUNCATED = 1 << 4, /* ended within a tag or comment */
};

/* Appends the text of HTML (UTF-8) that a person sees: tags out, character references
 * undone, script, style, comments and hidden elements dropped, runs of blanks one space,
 * blocks on lines of their own, invisible characters dropped. links may be NULL. Returns
 * enum pn_html_flag. At out's limit it ends, with out->overflow set. */
unsigned pn_html_text(struct pn_str html, struct pn_buf *out, struct pn_links *links);
/* Appends s with character references ("&amp;", "&#38;") undone. False at the limit. */
bool pn_html_entities(struct pn_str s, struct pn_buf *out);

struct pn_text; /* owned: scratch memory for many messages */

/* max: bytes of visible text kept of one message; of one part decoded, four times that. */
struct pn_text *pn_text_new(size_t max);
void pn_text_free(struct pn_text **text);
/* The text of one part, decoded and in UTF-8; HTML stays HTML. Empty for containers and what
 * is not text/.... Borrowed until the next call; for a plain part it is the content itself. */
struct pn_str pn_text_part(struct pn_text *text, const struct pn_message *m,
                           const struct pn_part *part);
/* The same as a person sees it: HTML as text. Links of HTML and text are added to links, and
 * enum pn_html_flag to *flags (both may be NULL). Borrowed until the next call. */
struct pn_str pn_text_visible(struct pn_text *text, const struct pn_message *m,
                              const struct pn_part *part, struct pn_links *links, unsigned *flags);
/* All text parts that are not attachments so, in order, each ended by a line end; of a
 * multipart without parts its body, as it stands; of a message inside that is wrongly
 * encoded what it says decoded. */
struct pn_str pn_text_message(struct pn_text *text, const struct pn_message *m,
                              struct pn_links *links, unsigned *flags);
/* Was something left out for max in the last call? */
bool pn_text_cut(const struct pn_text *text);

#endif

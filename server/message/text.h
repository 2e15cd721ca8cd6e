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

/* Appends the text of HTML (UTF-8): tags out, entities undone, script, style and comments
 * dropped, runs of blanks one space, blocks on lines of their own. links may be NULL.
 * Returns enum pn_html_flag. False in *full (may be NULL) unless out's limit was met. */
unsigned pn_html_text(struct pn_str html, struct pn_buf *out, struct pn_links *links);
/* Appends s with character references (RFC's "&amp;", "&#38;") undone. */
bool pn_html_entities(struct pn_str s, struct pn_buf *out);

struct pn_text; /* owned: scratch memory for many messages */

/* max: bytes of text kept of one message, and of one part decoded. */
struct pn_text *pn_text_new(size_t max);
void pn_text_free(struct pn_text **text);
/* The text of one part, decoded and in UTF-8 ("raw body": HTML stays HTML). Borrowed until
 * the next call. Empty for what is not text/... */
struct pn_str pn_text_part(struct pn_text *text, const struct pn_message *m,
                           const struct pn_part *part);
/* The text of all text parts that are not attachments, in order, a line end between
 * them, HTML as text; of a broken multipart its preamble. Links are added to links
 * (may be NULL). flags (may be NULL): enum pn_html_flag of all. Borrowed as above. */
struct pn_str pn_text_message(struct pn_text *text, const struct pn_message *m,
                              struct pn_links *links, unsigned *flags);
/* Was something left out for max in the last call? */
bool pn_text_cut(const struct pn_text *text);

#endif

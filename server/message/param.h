/*
 * Values with parameters: Content-Type, Content-Disposition and their like (RFC
 * 2045, section 5.1; RFC 2183; RFC 2231). Takes a field's value as it stands,
 * folded, with comments. Tolerant: missing or doubled semicolons, unquoted values
 * with blanks, unfinished quotes. Where a parameter comes twice the first counts.
 */
#ifndef PN_PARAM_H
#define PN_PARAM_H

#include "message.h"

struct pn_param {
    struct pn_str name;  /* borrowed; as written, so with "*0*" where it has that */
    struct pn_str value; /* borrowed; inside the quotes, not unescaped or unfolded */
    bool quoted;
};

/* Walks the parameters of a value; set at = 0 and rest by pn_param_start. */
struct pn_param_walk {
    struct pn_str value;
    size_t at;
};

/* The token before the parameters ("attachment"; of a type, "text/plain" as it stands). */
struct pn_str pn_param_start(struct pn_param_walk *walk, struct pn_str value);
bool pn_param_next(struct pn_param_walk *walk, struct pn_param *out);

/* Appends the value of parameter `name`: continuations joined (up to 128), percent and
 * charset undone (RFC 2231), else encoded words as some writers put them there
 * though RFC 2047 forbids it; always UTF-8, without CR, LF and NUL. False, nothing
 * appended: there is none. The form with charset wins over the plain one. */
bool pn_param_get(struct pn_str value, struct pn_str name, struct pn_buf *out);

/* Of a part's Content-Type. */
bool pn_part_param(const struct pn_message *m, const struct pn_part *part, struct pn_str name,
                   struct pn_buf *out);
/* Content-Disposition's token as written ("attachment"), or an empty view. */
struct pn_str pn_part_disposition(const struct pn_message *m, const struct pn_part *part);
/* Content-Disposition's filename, else Content-Type's name. A sender's words: not a path. */
bool pn_part_filename(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out);

#endif

/*
 * Inside the message folder only: the struct, and the pieces that fill it.
 *
 *   message.c  life and views
 *   header.c   one header block to fields
 *   mime.c     the tree: levels of open containers, parts closed at delimiters
 *   boundary.c which open multipart a line may delimit
 *   scan.c     lines that begin with "--", fast
 */
#ifndef PN_MESSAGE_PRIV_H
#define PN_MESSAGE_PRIV_H

#include "boundary.h"
#include "message.h"

/* An open container. A multipart keeps its level when its closing delimiter came, as its
 * epilogue runs on, but its boundary counts no more. */
struct mime_level {
    int32_t part;
    int32_t last_child;
    bool open; /* its boundary is among the boundaries */
};

struct pn_message {
    struct pn_str content;
    struct pn_message_limits limits;
    struct pn_field *fields; /* owned, as are the rest */
    size_t field_count, field_cap;
    struct pn_part *parts;
    size_t part_count, part_cap;
    bool mime;

    /* while the tree is read */
    struct mime_level *levels; /* limits.depth + 1 of them */
    size_t level_count;
    struct boundaries boundaries; /* of the levels; their number is the level's */
    int32_t leaf;                 /* whose body is being passed, or PN_NO_PART */
    uint32_t lines;               /* line ends before the place of reading */
};

/* Reads the header of `part` from part->header on and sets fields, body and flags.
 * Stops early at a line that is_delimiter says is one (NULL: none is). m->lines moves to
 * part->body. */
void header_read(struct pn_message *m, struct pn_part *part,
                 bool (*is_delimiter)(struct pn_message *m, struct pn_str line));

/* Length of the name that line begins with, 0 if it has no form of a field; *colon is
 * the offset of the colon. RFC 5322, section 3.6.8 and 4.5 (blanks before the colon). */
size_t header_name_length(struct pn_str line, size_t *colon);

/* The next line in [p, end) that begins with "--", p being at a line start; end if there
 * is none. Adds to *lines the line ends it passed. */
const char *scan_dashes(const char *p, const char *end, uint32_t *lines);

/* The line at p: up to and with its LF. */
struct pn_str scan_line(const char *p, const char *end);
/* Bytes of the line end that line ends with: 2, 1 or 0. */
size_t scan_eol(struct pn_str line);

#endif

/*
 * Line ends on their way in and out, in chunks of any size: the result does not depend
 * on how they are cut. Output is appended; the caller drains the buffer between calls.
 */
#ifndef PN_LINES_H
#define PN_LINES_H

#include "buf.h"

enum pn_lines_mode {
    PN_LINES_TO_LF,   /* CRLF becomes LF; any other CR stays (Maildir) */
    PN_LINES_TO_CRLF, /* a bare LF becomes CRLF; CRLF stays (files given to scan) */
    PN_LINES_DOTS,    /* a dot that begins a line is doubled (RFC 5321, section 4.5.2) */
};

struct pn_lines {
    enum pn_lines_mode mode;
    bool start; /* at the first byte of a line */
    bool cr;    /* the byte before was a CR; TO_LF: held back */
};

void pn_lines_init(struct pn_lines *l, enum pn_lines_mode mode);
/* False at out's limit: nothing of the chunk is appended then. */
bool pn_lines_feed(struct pn_lines *l, struct pn_str chunk, struct pn_buf *out);
/* What was held back. DOTS: a CRLF if the last line lacks it, then the final dot line. */
bool pn_lines_end(struct pn_lines *l, struct pn_buf *out);

#endif

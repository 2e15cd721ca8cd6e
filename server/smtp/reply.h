/*
 * Replies (RFC 5321, section 4.2) with enhanced status codes (RFC 2034, RFC 3463):
 * writing them, reading them as a client, and checking those that policy or a
 * plugin proposes.
 *
 * A reply's text may hold several lines, parted by LF; nowhere does it hold CR, NUL
 * or another control byte but tab. A reader takes each reply whole, from input that
 * may be split anywhere.
 */
#ifndef PN_SMTP_REPLY_H
#define PN_SMTP_REPLY_H

#include "buf.h"

enum { PN_SMTP_REPLY_TEXT_MAX = 4096, PN_SMTP_REPLY_LINES_MAX = 128 };

/* X.Y.Z; x 0: none. */
struct pn_smtp_status {
    uint8_t x;
    uint16_t y, z;
};

struct pn_smtp_reply {
    uint16_t code; /* 200 to 559 */
    struct pn_smtp_status status;
    struct pn_str text; /* without code and status; lines parted by LF */
};

/* For static initialisers: PN_SMTP_REPLY_INIT(550, 5, 7, 1, "Message refused"). */
#define PN_SMTP_REPLY_INIT(code, x, y, z, text)                                                    \
    {                                                                                              \
        (code), {(x), (y), (z)}, PN_STR_INIT(text)                                                 \
    }

static inline unsigned pn_smtp_reply_class(const struct pn_smtp_reply *reply)
{
    return reply->code / 100;
}

/* Reads "550 5.7.1 Words" (the status may be left out) as policy and the spool write it;
 * text borrows. False: no such line, or it fails the check below. */
bool pn_smtp_reply_read(struct pn_str line, struct pn_smtp_reply *out);
/* NULL, or what is wrong with it: a code that is none, a status of another class, a
 * control byte, bytes that are not ASCII, over PN_SMTP_REPLY_LINES_MAX lines. */
const char *pn_smtp_reply_check(const struct pn_smtp_reply *reply);
/* As lines for the wire, each at most PN_SMTP_REPLY_MAX: longer ones are folded at a
 * space. Without `status` the enhanced codes are left out (greeting, HELO and EHLO). */
void pn_smtp_reply_put(struct pn_buf *out, const struct pn_smtp_reply *reply, bool status);
/* As one line "550 5.7.1 Words", line ends made spaces: for events, DSNs, the spool. */
void pn_smtp_reply_print(struct pn_buf *out, const struct pn_smtp_reply *reply);

/* Reading replies of a peer. Lines beyond text_max are taken and forgotten. */
struct pn_smtp_reply_reader {
    struct pn_buf text; /* owned */
    uint16_t code;      /* of the lines so far; 0 before the first */
    struct pn_smtp_status status;
    unsigned lines;
};

void pn_smtp_reply_reader_init(struct pn_smtp_reply_reader *reader);
void pn_smtp_reply_reader_fini(struct pn_smtp_reply_reader *reader);
/* Reads lines from the front of *bytes, moving it over them. 1: a reply is in *out,
 * borrowed until the next call; 0: more must come; -1: this is no SMTP reply. A line
 * of a code that differs from the first's, an over-long line and too many lines are
 * none. A lone LF ends a line here too: old servers send it, and nothing can hide
 * behind it. */
int pn_smtp_reply_next(struct pn_smtp_reply_reader *reader, struct pn_str *bytes,
                       struct pn_smtp_reply *out);

#endif

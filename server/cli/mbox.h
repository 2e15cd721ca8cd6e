/*
 * A file of mail read as a stream: one message, or an mbox with many. A file that begins with
 * a separator ("From who at some time", with a time of day in it, so that prose which begins
 * with the word is not taken for one) is an mbox; separators after that stand behind an empty
 * line. Memory holds one message at a time and never more than its limit, however large the
 * file is, so that pipes and mailboxes of any size can be read.
 */
#ifndef PN_MBOX_H
#define PN_MBOX_H

#include "buf.h"

struct pn_mbox {
    int fd; /* -1: none */
    bool mbox, begun, end, skipping;
    int error; /* errno of a read that failed */
    size_t max;
    size_t from;     /* the message at hand begins here, in what is held */
    size_t at;       /* the line that is looked at */
    size_t searched; /* up to here there is no end of that line */
    struct pn_buf held;
};

enum pn_mbox_next {
    PN_MBOX_MESSAGE,
    PN_MBOX_TOO_LARGE, /* passed over; the next may be asked for */
    PN_MBOX_END,
    PN_MBOX_ERROR /* errno in error */
};

/* max: bytes of one message. False: errno. path "-": standard input. */
bool pn_mbox_open(struct pn_mbox *m, const char *path, size_t max);
void pn_mbox_close(struct pn_mbox *m);
/* The next message as it stands, without its separator; it lasts until the next call. *more:
 * a separator follows. An empty file is one empty message. */
enum pn_mbox_next pn_mbox_next(struct pn_mbox *m, struct pn_str *raw, bool *more);

/* A line, with its end or without, that separates messages. */
bool pn_mbox_separator(struct pn_str line);

#endif

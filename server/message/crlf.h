/*
 * Content with LF line ends as if each were CRLF: IMAP and POP3 count and send it so, a Maildir
 * keeps it without. Content of CRLF or of both kinds is read alike: an LF behind a CR stays as
 * it is, another counts twice. A "position" is an offset into content, a "count" one in octets
 * as sent.
 *
 * A pn_crlf remembers how many such LFs lie before each block, as far as it was asked, so that
 * every answer reads each byte of content once in all, and then two blocks at most. Memory: four
 * bytes a block of content. Not for two threads at once.
 */
#ifndef PN_CRLF_H
#define PN_CRLF_H

#include "buf.h"

enum { PN_CRLF_BLOCK = 4096 };

struct pn_crlf {
    struct pn_str content; /* borrowed */
    uint32_t *before;      /* owned: of block n, the LFs that count twice before it */
    size_t known, cap;
};

/* Content is below 4 GiB, as a pn_message's is. */
void pn_crlf_init(struct pn_crlf *c, struct pn_str content);
void pn_crlf_fini(struct pn_crlf *c);
/* How many octets [from, to) is as sent. */
uint64_t pn_crlf_size(struct pn_crlf *c, size_t from, size_t to);

/* A place between two octets as sent: before content[at], or between the CR and the LF that
 * content[at] stands for. */
struct pn_crlf_place {
    size_t at;
    bool half;
};
/* The place `count` octets behind `from`; the end of content if that is not so long. */
struct pn_crlf_place pn_crlf_seek(struct pn_crlf *c, size_t from, uint64_t count);

/* Writes octets from *place on, up to `end` (a position), at most `room` of them; moves *place
 * and returns how many: room, but at the end. `nul` goes out for NUL: IMAP allows it in few
 * places. */
size_t pn_crlf_copy(struct pn_str content, struct pn_crlf_place *place, size_t end, char nul,
                    char *to, size_t room);

#endif

/*
 * Content-Transfer-Encoding, undone (RFC 2045, section 6). Made for junk: a byte that
 * can't belong is skipped or kept as it stands, nothing is an error.
 *
 * A pn_decoder takes content in chunks of any size and appends to a buffer: the
 * result is the same however the chunks are cut. It owns nothing. The caller may
 * drain the buffer between calls.
 */
#ifndef PN_DECODE_H
#define PN_DECODE_H

#include "message.h"

enum { PN_QP_BLANKS_MAX = 76 }; /* a run of blanks beyond that is kept before a line end */

struct pn_decoder {
    enum pn_encoding encoding;
    uint32_t bits;                   /* base64: the sextets of an unfinished group */
    uint8_t held;                    /* base64: how many of them; else bytes used in hold */
    bool body;                       /* uuencode: behind "begin" */
    char hold[PN_QP_BLANKS_MAX + 4]; /* what the next bytes decide on; uuencode: the line */
};

void pn_decoder_init(struct pn_decoder *d, enum pn_encoding encoding);
/* Appends what chunk decodes to. False once out is at its limit: out is then full to
 * the last byte and the rest is lost. */
bool pn_decoder_feed(struct pn_decoder *d, struct pn_str chunk, struct pn_buf *out);
/* The end of content: appends what was held back. */
bool pn_decoder_end(struct pn_decoder *d, struct pn_buf *out);

/* "7bit", "base64", "quoted-printable"...; "" for what is unknown. */
const char *pn_encoding_name(enum pn_encoding encoding);

/* All three at once. */
bool pn_decode(enum pn_encoding encoding, struct pn_str encoded, struct pn_buf *out);
/* The body of a leaf, decoded. */
bool pn_part_decode(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out);

#endif

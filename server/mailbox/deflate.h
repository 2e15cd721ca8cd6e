/*
 * Both ways of a compressed session (RFC 4978: raw deflate). What comes in is unpacked in pieces
 * whose size the caller gives, so that a few bytes that stand for gigabytes cost no more than
 * what the engine takes at a time.
 */
#ifndef MAILBOX_DEFLATE_H
#define MAILBOX_DEFLATE_H

#include "buf.h"

struct deflate;

/* NULL: no memory. */
struct deflate *deflate_new(void);
void deflate_free(struct deflate **deflate);
/* Unpacks into out, which grows by room at most; in is advanced over what was read. False: it is
 * no deflate stream. */
bool deflate_unpack(struct deflate *deflate, struct pn_str *in, struct pn_buf *out, size_t room);
/* More would come out though no more came in. */
bool deflate_holds(const struct deflate *deflate);
/* Appends in, packed and flushed. False: out's limit. */
bool deflate_pack(struct deflate *deflate, struct pn_str in, struct pn_buf *out);

#endif

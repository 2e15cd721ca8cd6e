/*
 * Last replies. Most of those that wait in a queue wait for the same few reasons, so each
 * text is kept once and counted. A next hop that says something else each time gets no more
 * memory by that: with REPLIES_WHOLE different texts, of new ones the code and the enhanced status
 * are kept.
 *
 * A kept text is a C string that stays where it is until as many reply_drop as reply_keep
 * were called for it. The role's loop alone.
 */
#ifndef PN_QUEUE_LAST_REPLY_H
#define PN_QUEUE_LAST_REPLY_H

#include "buf.h"

struct replies; /* all that are kept */

struct replies *replies_new(void);
/* None may be kept any more. */
void replies_free(struct replies **replies);
enum { REPLIES_WHOLE = 50000 };

/* "" is kept as NULL. text holds no NUL. */
const char *reply_keep(struct replies *replies, struct pn_str text);
void reply_drop(struct replies *replies, const char *reply);
/* How many different ones there are. */
size_t replies_count(const struct replies *replies);

#endif

/*
 * Recipients elsewhere whose server said for good that they are not there: for a while
 * (queue.suppress) mail to them is refused without asking again, as who asks too often is taken
 * for a spammer. Only a refusal of the recipient himself counts, by its status (5.1.1 and the
 * like), never one of the message or of us, and never one in a domain of ours.
 *
 * Kept in memory and, a little later, in the file "suppressed" of the spool's folder, a line
 * each: until when (ms since 1970), the address, its server's words. What a crash forgets is
 * asked once more. Who is first to be forgotten makes room for others beyond SUPPRESS_MAX.
 */
#ifndef PN_QUEUE_SUPPRESS_H
#define PN_QUEUE_SUPPRESS_H

#include "reply.h"
#include "threads.h"

enum { SUPPRESS_MAX = 100000, SUPPRESS_ADDRESS_MAX = 320, SUPPRESS_REPLY_MAX = 200 };

struct suppress;

struct suppressed {
    struct pn_str address, reply; /* borrowed until the next change */
    int64_t until_ms;
};

/* What lies in the folder; a line that is none is left out. folder is borrowed. */
struct suppress *suppress_new(struct pn_loop *loop, struct pn_threads *threads, int folder);
/* Before the threads go: writes what is new. */
void suppress_end(struct suppress *s);
void suppress_free(struct suppress **s);

/* Whether such a reply to RCPT says that there is nobody of that name. */
bool suppress_is_hard(const struct pn_smtp_reply *reply);
/* Until then; again if it is there already. A line break in address or reply: none is kept. */
void suppress_add(struct suppress *s, struct pn_str address, struct pn_str reply, int64_t until_ms);
/* Is it suppressed now? out gets why. */
bool suppress_find(const struct suppress *s, struct pn_str address, int64_t now_ms,
                   struct suppressed *out);
/* False: it was not there. */
bool suppress_remove(struct suppress *s, struct pn_str address);
size_t suppress_count(const struct suppress *s);
/* Each, in the order in which they were noted. */
void suppress_each(const struct suppress *s, void (*fn)(void *ctx, const struct suppressed *one),
                   void *ctx);

#endif

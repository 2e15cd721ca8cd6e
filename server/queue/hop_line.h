/*
 * The line of a next hop: parcels that wait, each some recipients of one message who get the
 * same bytes. Every sender has his turn, one parcel at a time, however many the others have
 * put there; and a line that fills up has room for a new sender longest, for one may hold no
 * more of it than is left.
 */
#ifndef PN_QUEUE_HOP_LINE_H
#define PN_QUEUE_HOP_LINE_H

#include "queue_int.h"

enum {
    PARCEL_RECIPIENTS_MAX = 100, /* RFC 5321, section 4.5.3.1.8: what any server takes */
    BULK_RECIPIENTS = 100        /* a message to so many is bulk: ordinary mail goes before it */
};

/* Pins the message. */
struct parcel {
    struct parcel *next;
    struct message *m;
    uint32_t count;
    uint32_t indices[PARCEL_RECIPIENTS_MAX];
};

struct line {
    struct flow *first, **end; /* senders, in the order of their turns */
    size_t parcels;
    size_t ordinary; /* of those, not of bulk */
};

void line_init(struct line *line);
/* Whose a message is, for fairness: a user of ours each, strangers by their domain. */
uint64_t line_sender(const struct pn_envelope *env);
/* Puts a recipient at the end of his sender's. False: of `most` places none is left for that
 * sender. */
bool line_put(struct line *line, struct message *m, uint32_t index, size_t most);
/* The next sender's first parcel, with at most that many recipients; NULL: none waits. Owned by
 * the caller. */
struct parcel *line_take(struct line *line, uint32_t recipients);
/* Frees it and lets go of its message. */
void parcel_free(struct parcel *p);

#endif

/*
 * THREAD (RFC 5256): messages as trees. Both algorithms take messages one after the other, by
 * number, and then say the threads; the texts are kept until then. No recursion: a thread may be as
 * deep as there are messages. Work and memory are bounded: of a message's references the first and
 * the last ones count where they are too many, and links whose freedom from loops would cost too
 * much to see are left out.
 */
#ifndef PN_THREAD_H
#define PN_THREAD_H

#include "buf.h"

enum {
    THREAD_REFERENCES_MAX = 100,       /* of one message: the first and the last 99 */
    THREAD_ID_MAX = 1000,              /* bytes */
    THREAD_FIELD_MAX = 256 * 1024,     /* bytes of a field: of References the last ones */
    THREAD_NODES_MAX = 8 * 1000 * 1000 /* messages, and such as are only named */
};

struct thread;

struct thread_mail {
    uint32_t seq, shown;   /* shown: the number or UID that is printed */
    int64_t date;          /* sent */
    struct pn_str subject; /* folded, whole */
    struct pn_str message_id, references, in_reply_to; /* values as they stand; REFERENCES only */
};

/* Owned. */
struct thread *thread_new(bool by_references);
void thread_free(struct thread **thread);
/* Strings are copied. False: past a limit. */
bool thread_add(struct thread *thread, const struct thread_mail *mail);
/* Appends "(1)(2 3 (4)(5))"; nothing for no message. False at out's limit. */
bool thread_print(struct thread *thread, struct pn_buf *out);

/* The next msg-id in a field's value, normalised: without its brackets and needless quotes, in a
 * buffer of the caller's. *at goes on. False: no more. */
bool thread_next_id(struct pn_str value, size_t *at, struct pn_buf *id);

#endif

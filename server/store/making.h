/*
 * Of many messages at once: what the index lacks of them, made from their files by the store's
 * team. Whoever makes it has it, and the index gets it. In a chunk at a time: cleared, filled with
 * UIDs in ascending order, run, found in that order.
 */
#ifndef PN_STORE_MAKING_H
#define PN_STORE_MAKING_H

#include "store_int.h"

#include <stdatomic.h>

struct team;

struct made {
    uint32_t uid;
    struct mail_known known; /* of its file */
    bool guessed;            /* memory is to be told of its size */
    bool tried, whole;       /* whole: its file was read */
    bool kept;               /* and is as it came */
    uint8_t dir;
    uint64_t size;          /* with CRLF; of those that were guessed */
    size_t name;            /* offset; SIZE_MAX: memory has no such message */
    struct pn_buf parts[3]; /* as in struct index_cached */
    struct form form;
};

struct making {
    struct folder *folder; /* borrowed */
    struct team *team;     /* borrowed; NULL: nobody helps */
    struct made *v;        /* owned, as is all below */
    size_t count, cap, next;
    struct pn_buf names;
    int fd[2];
    atomic_size_t bytes; /* of parts */
};

void making_init(struct making *m, struct folder *folder, struct team *team);
void making_fini(struct making *m);
void making_clear(struct making *m);
void making_add(struct making *m, uint32_t uid);
/* Takes folder->lock. */
void making_run(struct making *m);
/* That of uid, which was added; its parts are there until the next is asked for. */
const struct made *making_find(struct making *m, uint32_t uid);

#endif

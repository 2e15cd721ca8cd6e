/*
 * Lasting state for a worker: questions of many calls over one channel to the state role.
 *
 * All functions but pn_state_asker_new and _free are for any thread. Waiting blocks the
 * calling thread, which reads the channel itself if nobody else does. A role that goes away
 * leaves its questions open; they are asked again of the next one (it gives nothing twice,
 * ipc/state.h), and end by their own time if none comes. Where there has been none for a
 * while, the answer is "away" at once.
 */
#ifndef PN_STATE_ASKER_H
#define PN_STATE_ASKER_H

#include "state.h"

enum {
    PN_STATE_WAIT_MS = 1000, /* for one answer, and for a role that starts anew */
};

struct pn_state_asker;

struct pn_state_asker *pn_state_asker_new(void);
/* Called, on whichever thread sees it, when the channel ended: another one is needed. */
void pn_state_asker_on_lost(struct pn_state_asker *asker, void (*fn)(void *ctx), void *ctx);
/* Takes fd: the channel to a state role, replacing the one before. */
void pn_state_asker_channel(struct pn_state_asker *asker, int fd);
/* Nobody may wait. */
void pn_state_asker_free(struct pn_state_asker **asker);

/* One question, on its thread's stack from _start to _end. */
struct pn_state_wait {
    struct pn_state_wait *next;
    struct pn_state_asker *asker;
    struct pn_state_ask ask; /* its key is borrowed */
    bool sent, packed, done, local;
    uint8_t status; /* enum pn_state_status; PN_STATE_IS_AWAY until done */
    uint32_t left;
    size_t len;
    char value[PN_STATE_VALUE_MAX];
};

/* ask->id is set here. It is sent when its thread first waits, with all others that are not
 * sent yet. */
void pn_state_wait_start(struct pn_state_wait *wait, struct pn_state_asker *asker,
                         const struct pn_state_ask *ask);
/* Until it is done or `until` (monotonic ns) came; true: done. */
bool pn_state_wait_for(struct pn_state_wait *wait, uint64_t until);
void pn_state_wait_end(struct pn_state_wait *wait);

#endif

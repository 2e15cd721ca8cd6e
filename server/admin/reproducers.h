/*
 * Reproducers: messages that made a plugin fail alone in its worker, kept for whoever
 * mends the plugin. Two files each in the folder `reproducers` of the state folder, mode
 * 0600: NAME.json, a case of `postern scan --batch` (with plugin, stage and reason), and
 * NAME.eml, the content that it names:
 *
 *     cd reproducers && postern scan --batch NAME.json
 *
 * A stranger chooses what lands here, so number, bytes and age are limited: the oldest
 * go first, and at most one a second is kept.
 */
#ifndef PN_REPRODUCERS_H
#define PN_REPRODUCERS_H

#include "buf.h"

struct reproducers_limits {
    unsigned files; /* messages; 0: none is kept */
    uint64_t bytes;
    uint64_t age_ms;
};

/* Keeps one; folder_fd is the state folder's, borrowed. json: one object on one line, as
 * PN_REC_REPRODUCER brings it; content_fd -1: there was no content yet. False: not kept;
 * what went wrong with the disk was logged. now_ms: wall clock. */
bool reproducers_keep(int folder_fd, struct reproducers_limits limits, struct pn_str json,
                      int content_fd, int64_t now_ms);
/* Removes what is too old, or too much once `room` bytes and one more message come. */
void reproducers_prune(int folder_fd, struct reproducers_limits limits, uint64_t room,
                       int64_t now_ms);

#endif

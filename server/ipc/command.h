/*
 * What an operator asks of a running role: PN_REC_COMMAND, admin -> queue or
 * supervisor, and PN_REC_COMMAND_REPLY back. `postern` sends {"command":["queue",
 * "list"]} to admin's control socket; admin passes the words on to the role that the
 * first one names and gives the replies back, one JSON line each.
 *
 *   supervisor: "reload", "stop", "status"      queue: see queue.h
 *
 * A command has as many replies as it needs; the one with `last` ends it. A reply may
 * bring a descriptor: content that the operator asked to see, for admin to copy out.
 */
#ifndef PN_COMMAND_H
#define PN_COMMAND_H

#include "wire.h"

enum { PN_COMMAND_WORDS_MAX = 64 };

struct pn_command {
    uint64_t token; /* admin's, given back */
    uint32_t count; /* at least 1 */
    struct pn_str words[PN_COMMAND_WORDS_MAX];
};

struct pn_command_reply {
    uint64_t token;
    bool last;
    struct pn_str line; /* a JSON object without a line end; may be empty when last */
};

void pn_command_put(struct pn_buf *out, const struct pn_command *command);
bool pn_command_get(struct pn_str body, struct pn_command *command);
void pn_command_reply_put(struct pn_buf *out, const struct pn_command_reply *reply);
bool pn_command_reply_get(struct pn_str body, struct pn_command_reply *reply);

#endif

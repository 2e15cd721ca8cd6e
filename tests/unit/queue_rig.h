/*
 * What tests of the queue role share: its peers, messages given to it, the operator's
 * commands over an admin peer of a role_rig, and a way to know what is on disk.
 */
#ifndef QUEUE_RIG_H
#define QUEUE_RIG_H

#include "handover.h"
#include "role_rig.h"

enum { QUEUE_RIG_PATIENCE_MS = 30000 };

/* A queue whose peers are edge (0), mailbox (1) and admin (2); not started yet. */
void queue_rig_init(struct role_rig *rig);
/* Gives it a message; its content goes along unless the envelope names a file. */
void queue_rig_send(struct role_rig *rig, unsigned edge, const struct pn_envelope *env,
                    struct pn_str content);
/* The code that it answers next, and for which message. */
uint16_t queue_rig_taken(struct role_rig *rig, unsigned edge, uint64_t *id);
/* Both. */
uint16_t queue_rig_offer(struct role_rig *rig, unsigned edge, const struct pn_envelope *env,
                         struct pn_str content);
/* Sends "VERB [ID] [--held]" to the role; id may be NULL. */
void queue_rig_ask(struct role_rig *rig, unsigned admin, uint64_t token, const char *verb,
                   const char *id, bool held);
/* The same of words with a space between them. */
void queue_rig_ask_words(struct role_rig *rig, unsigned admin, uint64_t token, const char *words);
/* All lines of that command's answer; a line of another one before its end is a failure. */
void queue_rig_answer(struct role_rig *rig, unsigned admin, uint64_t token, struct pn_buf *lines);
/* Asks for a list until it holds these words, or (there false) until it does not. */
void queue_rig_wait_list(struct role_rig *rig, unsigned admin, bool held, const char *words,
                         bool there);
bool queue_rig_says(const struct pn_buf *lines, const char *words);
/* What the role had given to the journal is on disk: a message behind it was taken. That
 * one is held, and bothers nobody. */
void queue_rig_flush(struct role_rig *rig, unsigned edge, uint64_t id);

#endif

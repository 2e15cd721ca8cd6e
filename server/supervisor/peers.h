/*
 * Who may talk to whom: the one table, and the one place that opens a channel
 * between two roles.
 */
#ifndef PN_PEERS_H
#define PN_PEERS_H

#include "records.h"

#include <stdbool.h>
#include <stdint.h>

/* The roles, with the filter's two kinds of process apart. */
enum peer_kind {
    PEER_ADMIN,
    PEER_RESOLVER,
    PEER_MAILBOX,
    PEER_QUEUE,
    PEER_TEMPLATE,
    PEER_WORKER,
    PEER_EDGE,
    PEER_STATE,
    PEER_SIGNER,
    PEER_AUTH,
    PEER_KIND_COUNT
};

enum pn_role peer_role(enum peer_kind kind);
bool peers_may_talk(enum peer_kind a, enum peer_kind b);

struct child;
/* Gives c a channel to everyone alive that it may talk to, and them one to c. Called
 * before c's GO. */
void peers_connect(struct child *c);
/* The one that c may talk to; NULL: it is not ready, or there is none. */
struct child *peers_find(struct child *c, enum pn_role role, uint32_t number);
/* A channel between them; it takes the place of one that they had. */
void peers_pair(struct child *c, struct child *other);

#endif

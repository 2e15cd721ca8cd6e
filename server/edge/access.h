/*
 * Inside access.c (until a user is in) and access_hand.c (from there to his mailbox worker).
 */
#ifndef EDGE_ACCESS_H
#define EDGE_ACCESS_H

#include "edge.h"
#include "login_engine.h"
#include "pass.h"

struct access {
    struct session *s;
    struct access *next; /* of those that are being handed over */
    struct pn_login *engine;
    struct pn_login_config config;
    uint64_t end_ns; /* he is in by then */
    /* Once auth let him in: */
    unsigned char token[PN_PASS_TOKEN];
    uint32_t worker;
    char *user;
    char *tag;               /* to hand over with once all that we said is out; owned */
    uint64_t id;             /* of the SESSION that is not answered yet; 0: none */
    struct pn_stream *inner; /* our end of the pair, of a session with TLS */
    struct pn_timer *timer;
};

bool access_is_imap(const struct session *s);
/* The engine's hand_over. */
void access_hand_over(void *ctx, struct pn_str tag);
/* All output is sent: true if that was waited for, and the session is being handed over. */
bool access_hand_on(struct access *a);
/* It is handed over no more. */
void access_unlist(struct access *a);

#endif

/*
 * Those who ask something of a role that only answers: the resolver's and the state role's
 * peers. Each is there until its channel ends; one that sends what is no question is shown
 * the door. A role that drains goes on answering, since the others drain too and ask while
 * they do, until the last of them is gone.
 */
#ifndef PN_GUESTS_H
#define PN_GUESTS_H

#include "control.h"

struct pn_guests;

struct pn_guest {
    struct pn_channel *channel; /* borrowed */
    uint8_t role;               /* enum pn_role */
    void *own;                  /* the role's, for this one */
    void *ctx;                  /* as given to pn_guests_new */
};

struct pn_guests_ops {
    unsigned roles;                          /* 1 << enum pn_role of each that may come */
    size_t queue;                            /* bytes that may wait for one */
    void (*on_come)(struct pn_guest *guest); /* may be NULL */
    /* False: it is no question, and the channel is closed. */
    bool (*on_record)(struct pn_guest *guest, struct pn_record *record);
    void (*on_gone)(struct pn_guest *guest);
};

struct pn_guests *pn_guests_new(struct pn_loop *loop, const struct pn_guests_ops *ops, void *ctx);
/* Each goes first. */
void pn_guests_free(struct pn_guests **guests);
/* Takes from->fd, if it is one that may come. */
void pn_guests_add(struct pn_guests *guests, struct pn_peer *from);
/* The loop is stopped once the last is gone, or after limit_ms. */
void pn_guests_drain(struct pn_guests *guests, uint32_t limit_ms);

#endif

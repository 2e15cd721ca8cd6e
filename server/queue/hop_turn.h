/*
 * Whose turn it is: which next hop may open a connection, and hand over how many recipients.
 *
 *  - A hop's window says how many connections it may have: few at first, one more with each
 *    mail that went through, half as many where the peer breaks off, at most what the
 *    configuration says. Three sessions broken off in a row without a mail between them, or
 *    no connection at all, and it is closed for a while, each time for longer.
 *  - All hops together have queue.connections. The last quarter of them is for hops that have
 *    none yet and for ordinary mail, so that neither slow hops nor bulk mail keep others
 *    waiting; who has an idle connection gives it up when others wait.
 *  - All hosts of one network (IPv4 /24, IPv6 /64) have queue.connections-per-network.
 *  - A destination's rate is paced: a tenth of it may go at once, the rest by and by.
 *
 * A hop that must wait for others is put in line here and pumped when a connection goes.
 */
#ifndef PN_QUEUE_HOP_TURN_H
#define PN_QUEUE_HOP_TURN_H

#include "hop.h"

/* Of a hop with work and an address: may it connect now? False: it is pumped when it may. */
bool turn_may_open(struct hop *hop);
/* Recipients that may be handed over now; 0: it is pumped when one may. */
uint32_t turn_recipients(struct hop *hop);
void turn_used(struct hop *hop, uint32_t recipients);

/* A mail went through, or its recipients were refused in order. */
void turn_done(struct hop *hop);
/* A session was broken off, or none came to be while others stand. True: close the hop. */
bool turn_broken(struct hop *hop);
/* For how long it is closed, this time. */
uint64_t turn_close_ms(struct hop *hop);

/* How long a message's recipient who finds the line full is to wait: as long as it takes to come
 * to his place. As many as fit a parcel come together. */
uint64_t turn_wait_ms(struct hop *hop, uint64_t id);
/* Parcels that may wait in its line. */
size_t turn_line_max(const struct hop *hop);

/* A connection to this address was opened, or is gone. */
void turn_opened(struct queue *q, const struct pn_ip *ip);
void turn_closed(struct queue *q, const struct pn_ip *ip);
bool turn_same_net(const struct pn_ip *a, const struct pn_ip *b);
/* Those who wait are looked at soon. */
void turn_look(struct queue *q);
/* In no line any more. */
void turn_forget(struct hop *hop);
void turn_init(struct queue *q);

#endif

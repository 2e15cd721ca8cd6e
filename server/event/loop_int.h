/*
 * What the files of this folder share about the loop: libevent's base, and the one
 * receive buffer. Nobody outside server/event includes this.
 */
#ifndef PN_LOOP_INT_H
#define PN_LOOP_INT_H

#include "loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct event_base *loop_base(struct pn_loop *loop);
/* To be called first by every callback of libevent: takes the time of this turn. */
void loop_enter(struct pn_loop *loop);

#endif

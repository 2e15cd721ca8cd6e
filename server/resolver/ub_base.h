/*
 * libunbound's pluggable event base on our loop: its sockets become watches and its
 * deadlines timers, so that the role has one loop, libevent stays hidden in
 * server/event, and the loop's clock is right in libunbound's callbacks.
 */
#ifndef RESOLVER_UB_BASE_H
#define RESOLVER_UB_BASE_H

#include "loop.h"

struct ub_event_base;

/* Owned; must outlive every context made with it. */
struct ub_event_base *ub_base_new(struct pn_loop *loop);
void ub_base_free(struct ub_event_base **base);

#endif

/*
 * A role's way to admin: events and counters. It outlives admin's restarts: lines wait
 * (to a limit) while no admin is there, and the counters are told to each new one.
 */
#ifndef PN_ADMIN_LINK_H
#define PN_ADMIN_LINK_H

#include "control.h"
#include "metrics.h"

struct pn_admin_link;

/* metrics are the role's own, borrowed, read once a second; none: count 0. fill (may be
 * NULL) is called first, to set gauges; only ever from the running loop. */
struct pn_admin_link *pn_admin_link_new(struct pn_loop *loop, const struct pn_metric *metrics,
                                        size_t count, void (*fill)(void *ctx), void *ctx);
void pn_admin_link_free(struct pn_admin_link **link);
/* Who is asked for admin's channel when it ended though admin lives; borrowed. */
void pn_admin_link_control(struct pn_admin_link *link, struct pn_control *control);
/* From on_peer: takes peer->fd if it is admin's; true then. */
bool pn_admin_link_peer(struct pn_admin_link *link, struct pn_peer *peer);
/* One event: a JSON object without a line end. A long one goes as a memory file. False:
 * neither admin nor room; it is lost, and counted. */
bool pn_admin_link_event(struct pn_admin_link *link, struct pn_str line);
/* COMMANDs come over this channel too, for the roles that take them (queue). on_command
 * is borrowed data of the caller; set before the first peer. */
void pn_admin_link_commands(struct pn_admin_link *link,
                            bool (*on_command)(void *ctx, struct pn_record *record));
/* For COMMAND_REPLY. */
bool pn_admin_link_send(struct pn_admin_link *link, uint16_t type, struct pn_str body,
                        const int *fds, unsigned nfds);

#endif

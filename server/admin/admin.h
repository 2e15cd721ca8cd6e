/*
 * The admin role: the one writer of events, the control socket, counters.
 *
 * Events: PN_REC_EVENT records of all roles become lines of events.jsonl in the log
 * folder, written in batches, one write a turn of the loop. A file past its limit gets
 * the number 1 behind its name, and older ones one more. SIGHUP of the server, which
 * comes here as a new generation, opens the file anew, for whoever moved it away.
 *
 * Control socket (run/control.sock): one request a line, {"command":["queue","list"]};
 * the first word names the role, the others are its own. Replies are JSON lines; the
 * connection is closed behind the last. See command.h.
 *
 * HTTP (listen admin, loopback only): GET /health (this process lives), /ready (all
 * roles were brought up), /metrics (Prometheus's text format).
 */
#ifndef PN_ADMIN_H
#define PN_ADMIN_H

#include "control.h"

pn_role_main pn_admin_main;

#endif

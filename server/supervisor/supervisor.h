/*
 * The supervisor: binds ports, opens keys and folders, starts roles, restarts those that
 * die, reloads and stops. It parses nothing that a stranger or an operator wrote: the
 * short-lived compile role turns the configuration into a sealed mapping, of which the
 * supervisor reads a plan (serve_plan.h) through the policy layer's accessors.
 *
 * Start, in this order, each awaited: compile, admin, resolver, mailboxes, queue,
 * templates, workers, edges. A role that can't start here ends the start.
 * SIGHUP reloads: compile, then listeners and keys, then new templates and workers;
 * only when all of it stands does the new generation reach the running roles. Until
 * then any failure is logged and the old state serves on.
 * SIGTERM and SIGINT drain in the opposite order; a second one ends at once.
 */
#ifndef PN_SUPERVISOR_H
#define PN_SUPERVISOR_H

#include "serve_plan.h"

struct pn_supervisor_options {
    const char *config;  /* file, absolute */
    const char *root;    /* --root, absolute, or NULL */
    const char *program; /* what roles are; NULL: this program */
    bool no_drop;
    bool debug;
    bool probe;       /* each role tries what it may not, and logs the outcome */
    bool first_ticks; /* PN_START_TICKS */
    bool check;       /* only compile: 0 or 1 */
    /* Reads the compiled mapping; plan_read, but for tests. */
    bool (*plan_read)(struct plan *plan, int policy_fd, const char *root, struct pn_buf *err);
};

/* Returns the process's exit status. */
int pn_supervisor_main(const struct pn_supervisor_options *options);

#endif

/*
 * The filter role: a template, which loads the plugins of one worker group and forks
 * workers from itself.
 *
 * Loading and prepare() happen once, single-threaded, so a new worker is there in
 * milliseconds however long a signature database takes to load, and workers share its
 * memory. What can't be loaded or prepared refuses the start (or the reload).
 *
 *   supervisor -> template   SPAWN_WORKER  struct pn_worker, fd: the worker's control channel
 *   template -> supervisor   WORKER_UP, WORKER_DOWN   struct pn_worker
 *                            PLUGIN_CHANGED           its name: a new template would find new files
 *
 * A worker reads its environment from that channel like any role (control.h), makes its
 * plugins' instances, is jailed, and serves the edges that it is introduced to. It
 * ends when its control channel does, or, a solo one, when its edge's channel does.
 */
#ifndef PN_FILTER_H
#define PN_FILTER_H

#include "control.h"
#include "worker.h"

pn_role_main pn_filter_main;

/* The plugins of a group, loaded and prepared: for the template, and for programs that
 * need them without one. With env this process is jailed on the way: each plugin's code runs with
 * what it was granted alone. NULL: not. NULL with a sentence in err. */
struct pn_group;
struct pn_group *pn_group_load(struct pn_plan *plan, unsigned group, struct pn_str tmp_folder,
                               const struct pn_role_env *env, struct pn_buf *err);
void pn_group_free(struct pn_group **group);
struct host_plugin *pn_group_plugins(struct pn_group *group, unsigned *count);
/* What a group's plugins were granted, as the jail says it: enum pn_jail_grant. */
unsigned pn_group_grants(const struct pn_plan *plan, unsigned group);

#endif

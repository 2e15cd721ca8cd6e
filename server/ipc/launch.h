/*
 * Starting a role: fork and exec of posternd with --role, its control channel at
 * PN_CONTROL_FD, standard error shared, and nothing else open. The supervisor starts
 * all roles so (auth with an allocator that wipes what is freed); `postern scan` and tests start
 * the few that they need themselves:
 *
 *     pn_launch(&l, NULL, PN_ROLE_RESOLVER, &err)
 *     pn_launch_start(l.fd, &start, policy_fd); pn_launch_peer(...); pn_launch_go(l.fd)
 *     pn_launch_ready(l.fd, 10000, &err)
 *     ...
 *     pn_launch_stop(&l)
 *
 * The calls behind the first block for short; they are for callers without a loop.
 */
#ifndef PN_LAUNCH_H
#define PN_LAUNCH_H

#include "control.h"

#include <sys/types.h>

struct pn_launch {
    pid_t pid;
    int fd; /* owned: our end of its control channel */
};

/* program: the path of posternd; NULL: this very program. False with a sentence in err. */
bool pn_launch(struct pn_launch *out, const char *program, enum pn_role role, struct pn_buf *err);

/* What comes before GO. False: the role is gone (errno). Descriptors stay the caller's;
 * policy_fd -1: none. */
bool pn_launch_start(int fd, const struct pn_start *start, int policy_fd);
bool pn_launch_peer(int fd, const struct pn_peer *peer);
bool pn_launch_folder(int fd, const struct pn_folder *folder);
bool pn_launch_dns_file(int fd, int file);
bool pn_launch_worker(int fd, const struct pn_worker *worker, int control_fd);
bool pn_launch_go(int fd);
/* Waits for READY; false with its own sentence, or ours, in err. */
bool pn_launch_ready(int fd, int timeout_ms, struct pn_buf *err);
/* Closes the channel, which ends the role, and waits for it; after two seconds it is
 * killed. */
void pn_launch_stop(struct pn_launch *launch);

#endif

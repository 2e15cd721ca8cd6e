/*
 * A resolver role of our own, jailed as the server's, by the configuration's `resolver`: for
 * commands that ask names. And posternd's place, and how a role is told to end.
 */
#ifndef PN_RESOLVER_HOST_H
#define PN_RESOLVER_HOST_H

#include "launch.h"
#include "policy.h"

/* policy NULL: the defaults; policy_fd, its mapping, is borrowed. Returns our end of a channel for
 * PN_REC_DNS_ASK, owned by the caller; -1 with a sentence in err. Stopped either way. */
int pn_resolver_start(struct pn_launch *resolver, const struct pn_policy *policy,
                      uint32_t generation, int policy_fd, int timeout_ms, struct pn_buf *err);
/* Does nothing for one that did not start. */
void pn_resolver_stop(struct pn_launch *resolver);

/* posternd lies beside this program in the build tree, and in ../sbin where it is
 * installed. Returns out. */
const char *pn_daemon_path(char *out, size_t size);
/* So that a role ends as told, and does not take us for crashed. */
void pn_role_drain(int fd);

#endif

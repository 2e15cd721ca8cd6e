/* What the jail's files share: a role's rights, and the two kernel mechanisms. */
#ifndef PN_JAIL_INT_H
#define PN_JAIL_INT_H

#include "jail.h"

enum jail_right {
    JAIL_OPEN = 1,       /* open and look at files below the granted paths */
    JAIL_WRITE = 2,      /* make, change, remove and sync them */
    JAIL_CONNECT = 4,    /* sockets of its own, outbound */
    JAIL_ACCEPT = 8,     /* connections on listeners it was handed */
    JAIL_THREADS = 16,   /* start threads */
    JAIL_FORK = 32,      /* fork, wait for and signal children */
    JAIL_NARROW = 64,    /* enter a narrower jail */
    JAIL_EXEC_MAP = 128, /* executable memory: dlopen, JIT */
    JAIL_LOCAL = 256     /* with JAIL_CONNECT: UNIX sockets too */
};

/* 0, or the reason is in err. 1: the kernel has none of it. */
int jail_landlock(const struct pn_role_env *env, const struct pn_jail *jail, unsigned rights,
                  struct pn_buf *err);
enum jail_refusal { JAIL_BY_DEATH, JAIL_BY_ERROR, JAIL_BY_TRAP };
int jail_seccomp(unsigned rights, enum jail_refusal refusal, struct pn_buf *err);
/* jail_probe.c */
void jail_probe(void);
bool jail_landlock_there(void);
bool jail_seccomp_there(void);

#endif

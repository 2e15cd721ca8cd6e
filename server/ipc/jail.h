/*
 * The jail: what a role may do once it serves. Entered once, by a process that has no
 * thread yet, after it loaded what it needs and before it looks at anything foreign:
 *
 *   ids            the role's own user and group (PN_START_DROP), no supplementary ones
 *   no_new_privs   no exec gives anything back
 *   limits         no core file; memory where the build allows (not with sanitizers)
 *   Landlock       files only below the folders that the environment brought and the
 *                  paths given here; TCP and signals as the role's row says
 *   seccomp        the system calls of the role's row; another one ends the process
 *                  (with sanitizers it fails with EPERM)
 *
 * jail.c holds one row a role: the one place that says what each may. A worker enters
 * the template's jail by birth and then its own; jails only ever narrow.
 */
#ifndef PN_JAIL_H
#define PN_JAIL_H

#include "control.h"

struct pn_jail_path {
    const char *path; /* one that does not exist is passed over */
    bool write;
};

/* Which row. PN_JAIL_ROLE + a role's number names that role's. */
enum pn_jail_kind {
    PN_JAIL_RESOLVER,
    PN_JAIL_EDGE,
    PN_JAIL_TEMPLATE,
    PN_JAIL_LOAD, /* a template, before that one: while it loads and prepares plugins */
    PN_JAIL_WORKER,
    PN_JAIL_QUEUE,
    PN_JAIL_MAILBOX,
    PN_JAIL_AUTH,
    PN_JAIL_ADMIN,
    PN_JAIL_COMPILE,
    PN_JAIL_STATE,
    PN_JAIL_SIGNER,
    PN_JAIL_COUNT
};

/* What a worker's plugins were granted beyond the row. */
enum pn_jail_grant {
    PN_GRANT_CONNECT = 1, /* internet sockets of its own */
    PN_GRANT_FILES = 2,   /* open files below the paths */
    PN_GRANT_WRITE = 4,   /* and make them */
    PN_GRANT_JIT = 8,     /* executable memory (PCRE2) */
    PN_GRANT_LOCAL = 16   /* with CONNECT: UNIX sockets too, a daemon's on this machine */
};

struct pn_jail {
    enum pn_jail_kind kind;
    unsigned grants;                  /* enum pn_jail_grant */
    const struct pn_jail_path *paths; /* beside the environment's folders */
    size_t path_count;
    uint64_t memory_max; /* bytes of address space; 0: no limit */
    bool traps;          /* what is not allowed is a SIGSYS that can be handled, for tests */
};

/* False: not jailed, the reason was logged; the role must not serve. A kernel without
 * Landlock or seccomp is warned about once by the supervisor (pn_jail_support), and
 * refused here with PN_START_JAIL_MUST. */
bool pn_jail_enter(const struct pn_role_env *env, const struct pn_jail *jail);

/* "connect", of siginfo_t's si_syscall; "" where nobody knows. Not for signal handlers. */
void pn_jail_call_name(int call, char *out, size_t size);

/* Only the ids of the above, for a role that must load foreign code before it is jailed. */
bool pn_jail_drop(const struct pn_role_env *env);

/* What this kernel lacks, as a sentence; NULL when nothing. */
const char *pn_jail_support(void);
struct pn_jail_kernel {
    bool landlock, seccomp; /* it has them */
};
struct pn_jail_kernel pn_jail_kernel(void);

#endif

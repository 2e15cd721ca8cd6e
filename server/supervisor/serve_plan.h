/*
 * What the supervisor takes from the compiled policy: what to bind, how many of each
 * role, where folders are. Strings live in the plan's pool.
 */
#ifndef PN_SUPERVISOR_PLAN_H
#define PN_SUPERVISOR_PLAN_H

#include "control.h"
#include "net.h"

struct plan_listen {
    uint32_t kind; /* enum pn_listen_kind */
    struct pn_ip ip;
    uint16_t port;
};

struct plan_tls {
    struct pn_str name;
    const char *certificate, *key;
};

/* A key that mail is signed with; its domain by A-labels, lower case. */
struct plan_sign {
    struct pn_str domain, selector;
    const char *file;
};

/* The server that lasting state is kept by, where several share one. */
struct plan_server {
    bool wanted;
    struct pn_ip ip;
    uint16_t port;
    const char *password_file; /* NULL: none */
};

/* For a destination's next hop. */
struct plan_password {
    struct pn_str destination;
    const char *file;
};

struct plan {
    uint32_t edges, mailboxes, groups, workers; /* workers: of each group */
    struct plan_listen *listens;                /* by their row in the policy */
    size_t listen_count;
    struct plan_tls *tls;
    size_t tls_count;
    struct plan_sign *signs; /* those of a domain together */
    size_t sign_count;
    const char *folders[PN_FOLDER_COUNT];             /* NULL: none */
    const char *run;                                  /* of the control socket */
    const char *dns_file, *secret_file, *authorities; /* NULL: none */
    const char *users_file;                           /* of who may log in; it need not be there */
    struct plan_password *passwords;
    size_t password_count;
    struct plan_server state_server;
    uint64_t drain_ms; /* for sessions when we stop */
    bool jail_must;
    struct pn_pool *pool;
};

/* False with a sentence in err. policy_fd stays the caller's. */
bool plan_read(struct plan *plan, int policy_fd, const char *root, struct pn_buf *err);
void plan_fini(struct plan *plan);
/* Some CPU count to go by, at least 1. */
uint32_t plan_cpus(void);

#endif

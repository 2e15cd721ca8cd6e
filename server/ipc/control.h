/*
 * The control channel: how the supervisor brings a role up, and speaks to it later.
 * Its descriptor in a fresh process is PN_CONTROL_FD.
 *
 *   supervisor -> role   START, then any number of PEER, LISTENER, IDENTITY, FOLDER, DNS_FILE,
 *                        SIGN_KEY, SECRET_FILE, USERS_FILE, AUTHORITIES_FILE, then GO
 *   role -> supervisor   READY, or FAILED with a sentence
 *   later -> role        USERS_FILE  to auth: the file changed, by itself or before a POLICY
 *                        PEER      that role was restarted, or a worker came; the channel
 *                                  of the one before it ended or will end by itself
 *                        LISTENER, IDENTITY, DNS_FILE, SIGN_KEY, SECRET_FILE,
 *                        AUTHORITIES_FILE, then POLICY: a
 *                                  new generation, whole: it replaces all of them together
 *                        DRAIN     finish what is begun, take nothing new, exit 0
 *
 * A channel between two roles may end though both live: one sent what is no record, or had
 * no descriptor left for the channel when it came. The role that asks over it says so
 * (pn_control_missing); while it stays so, PEER_MISSING goes to the supervisor, which pairs
 * them anew, at a bounded rate. The same for a generation: WANT_GENERATION.
 *
 * A role that can't take a new generation in place exits with 0: it is started anew at
 * once, and that counts as no death.
 *
 * A filter worker has a control channel too: its template gets it in SPAWN_WORKER and
 * forks; the child then reads START to GO there as a process of its own would.
 * The channel's end means that the supervisor is gone: the role stops.
 *
 * server/main.c reads the environment (pn_role_env_read: blocking, before there is a loop);
 * the role then comes up as role.h says.
 */
#ifndef PN_CONTROL_H
#define PN_CONTROL_H

#include "channel.h"
#include "passwords.h"
#include "pool.h"
#include "records.h"
#include "signing.h"
#include "tls.h"

enum { PN_CONTROL_FD = 3, PN_ROLE_NAME_MAX = 32 };

enum pn_start_flag {
    PN_START_DROP = 1,      /* take uid and gid (else this user is kept) */
    PN_START_JAIL_MUST = 2, /* a kernel without Landlock or seccomp: refuse, not warn */
    PN_START_DEBUG = 4,     /* log debug lines */
    PN_START_PROBE = 8,     /* once jailed, try what a role may not, and log the outcome */
    PN_START_TOLD = 16,     /* who started it says why it could not: it does not log that too */
    PN_START_TICKS = 32,    /* a worker serves when its plugins ticked once, not sooner */
    PN_START_ALL = 63
};

/* PN_REC_START; fd: the policy mapping (the compile role gets none). */
struct pn_start {
    uint8_t role;        /* enum pn_role */
    uint32_t number;     /* which of its kind: edge 0, edge 1; a worker's own number */
    uint32_t group;      /* filter: the plugins' worker group */
    uint32_t generation; /* serial number of the policy, from 1 */
    uint32_t flags;      /* enum pn_start_flag */
    uint32_t uid, gid;
    struct pn_str name; /* "edge-1": for log and events; below PN_ROLE_NAME_MAX bytes */
    struct pn_str root; /* --root DIR, or empty */
    struct pn_str file; /* compile: the configuration file */
};

enum pn_peer_flag {
    PN_PEER_SOLO = 1, /* a worker that the edge asked for in WANT_SOLO, for itself alone: the
                       * worker is told too, and ends when that edge lets it go */
    PN_PEER_STILL = 2 /* to a worker: it only repeats, and looks after nothing by itself */
};

/* PN_REC_PEER; fd: the channel to it. */
struct pn_peer {
    uint8_t role;
    uint32_t number;
    uint32_t group;
    uint32_t generation; /* of a worker: whose plugins it has */
    uint32_t flags;      /* enum pn_peer_flag */
    uint64_t token;      /* WANT_SOLO's */
    int fd;              /* not in the body */
};

/* PN_REC_LISTENER; fd: the bound, listening socket. */
struct pn_listener {
    uint32_t kind; /* enum pn_listen_kind of policy.h, or PN_LISTENER_CONTROL */
    uint32_t row;  /* its index in this generation's policy */
    int fd;
};
enum { PN_LISTENER_CONTROL = 1000 }; /* admin: the control socket */

enum pn_folder_purpose {
    PN_FOLDER_SPOOL,   /* queue */
    PN_FOLDER_MAIL,    /* mailbox */
    PN_FOLDER_LOG,     /* admin: events */
    PN_FOLDER_STATE,   /* admin: reproducers */
    PN_FOLDER_PRIVATE, /* filter: a temporary folder of the group */
    PN_FOLDER_PLUGINS, /* state: what plugins remember */
    PN_FOLDER_AUTH,    /* auth: the key of made-up salts */
    PN_FOLDER_COUNT
};

/* PN_REC_FOLDER; fd: the directory, for openat and fsync. */
struct pn_folder {
    uint8_t purpose;
    struct pn_str path; /* absolute */
    int fd;
};

/* PN_REC_SPAWN_WORKER; fd: the worker's control channel. The worker's flags, number and
 * peers come over that. */
struct pn_worker {
    uint32_t number;
    int32_t pid;    /* WORKER_UP and WORKER_DOWN; 0 in SPAWN_WORKER */
    int32_t status; /* WORKER_DOWN: as waitpid gives it */
};

/* PN_REC_WANT_SOLO */
struct pn_want_solo {
    uint64_t token; /* the edge's own, given back in PEER */
    uint32_t group;
    uint32_t generation;
};

void pn_start_put(struct pn_buf *out, const struct pn_start *start);
bool pn_start_get(struct pn_str body, struct pn_start *start);
void pn_peer_put(struct pn_buf *out, const struct pn_peer *peer);
bool pn_peer_get(struct pn_str body, struct pn_peer *peer);
void pn_listener_put(struct pn_buf *out, const struct pn_listener *listener);
bool pn_listener_get(struct pn_str body, struct pn_listener *listener);
void pn_identity_put(struct pn_buf *out, const struct pn_tls_identity *identity);
bool pn_identity_get(struct pn_str body, struct pn_tls_identity *identity);
void pn_folder_put(struct pn_buf *out, const struct pn_folder *folder);
bool pn_folder_get(struct pn_str body, struct pn_folder *folder);
void pn_worker_put(struct pn_buf *out, const struct pn_worker *worker);
bool pn_worker_get(struct pn_str body, struct pn_worker *worker);
void pn_want_solo_put(struct pn_buf *out, const struct pn_want_solo *want);
bool pn_want_solo_get(struct pn_str body, struct pn_want_solo *want);
/* PN_REC_POLICY's serial number; PN_REC_DRAIN's limit in ms; PN_REC_WORKER_LOST's number. */
void pn_u32_put(struct pn_buf *out, uint32_t value);
bool pn_u32_get(struct pn_str body, uint32_t *value);

/*
 * What a role works by, and what a reload replaces as a whole. Who takes an fd out
 * sets its slot to -1; the others are closed with it. Keys are wiped when it goes.
 */
struct pn_generation {
    uint32_t serial;
    int policy_fd;      /* -1: none */
    int dns_file_fd;    /* the resolver's: what resolver.dns-file names, read-only; -1: none */
    int secret_fd;      /* an edge's: a copy of what forward.secret-file names; -1: none */
    int authorities_fd; /* the queue's: what queue.tls-authorities names; -1: none */
    struct pn_listener *listeners;
    size_t listener_count, listener_cap;
    struct pn_tls_identity *identities; /* the default first */
    size_t identity_count, identity_cap;
    struct pn_sign_pem *signs; /* the signer's keys; those of a domain together */
    size_t sign_count, sign_cap;
    struct pn_hop_password *passwords; /* the queue's, for next hops */
    size_t password_count, password_cap;
    struct pn_pool *pool; /* of their bytes */
};
void pn_generation_free(struct pn_generation **gen);

struct pn_role_env {
    struct pn_start start; /* its strings live in the pool */
    char name[PN_ROLE_NAME_MAX];
    int control_fd;
    struct pn_generation *gen; /* owned; whoever takes it sets NULL */
    struct pn_peer *peers;
    size_t peer_count, peer_cap;
    struct pn_folder *folders;
    size_t folder_count, folder_cap;
    int limits_fd; /* limit_table.h; -1: none */
    int users_fd;  /* auth's: the file of users, read-only; -1: there is none */
    struct pn_pool *pool;
};

/* Reads START to GO from fd (taken), and sets up the log's name. False: the channel
 * ended or brought something else; logged. Fini closes what was not taken. */
bool pn_role_env_read(struct pn_role_env *env, int fd);
void pn_role_env_fini(struct pn_role_env *env);
struct pn_folder *pn_role_env_folder(struct pn_role_env *env, enum pn_folder_purpose purpose);
/* Before there is a pn_control: tells the supervisor and the log why this role can't
 * start. The caller then exits with 1. */
void pn_role_env_failed(struct pn_role_env *env, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * What a role's folder exports: server/edge/edge.h declares pn_edge_main, filters/filter.h
 * pn_filter_main, and so on; server/main.c calls the one that --role names. The env is
 * read already. The main is a call of pn_role_run (role.h); it returns the process's exit
 * status and leaves pn_role_env_fini to main.c.
 */
typedef int pn_role_main(struct pn_role_env *env);

struct pn_control;

struct pn_control_ops {
    /* gen is owned by the callee. NULL where a role never looks at policy again. */
    void (*on_generation)(void *ctx, struct pn_generation *gen);
    /* Take peer->fd by setting it to -1, else it is closed. May be NULL. */
    void (*on_peer)(void *ctx, struct pn_peer *peer);
    void (*on_drain)(void *ctx, uint32_t limit_ms);
    /* Any other record (SPAWN_WORKER, COMMAND, EVENT); false or NULL: not one of ours. */
    bool (*on_record)(void *ctx, struct pn_record *record);
};

/* Takes env->control_fd. When the channel ends, the loop is stopped. */
struct pn_control *pn_control_new(struct pn_loop *loop, struct pn_role_env *env,
                                  const struct pn_control_ops *ops, void *ctx);
void pn_control_free(struct pn_control **control);
void pn_control_ready(struct pn_control *control);
/* The channel to that peer ended. If it died, a PEER comes by itself; if none does for a
 * while, the supervisor is asked for one, until it comes. control may be NULL: then nobody
 * can be asked. */
void pn_control_missing(struct pn_control *control, enum pn_role role, uint32_t number);
/* False: no room, or it is dead. */
bool pn_control_send(struct pn_control *control, uint16_t type, struct pn_str body, const int *fds,
                     unsigned nfds);

#endif

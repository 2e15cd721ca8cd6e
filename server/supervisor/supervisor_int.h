/* What the supervisor's files share. */
#ifndef PN_SUPERVISOR_INT_H
#define PN_SUPERVISOR_INT_H

#include "launch.h"
#include "peers.h"
#include "supervisor.h"

/*
 * A child is a slot: which role, which number. Its process comes and goes.
 *
 *   OFF -> STARTING (launched, GO sent) -> READY -> DRAINING -> OFF
 *                     \____ died ____________/
 *                            OFF, with the timer set: starts again
 *
 * A filter worker is forked by its template; we know it by its control channel.
 */
enum child_state { CHILD_OFF, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

struct child {
    struct child *next;
    struct supervisor *sup;
    enum peer_kind kind;
    uint32_t number, group;
    uint32_t generation; /* templates and workers: whose plugins; else 0 */
    char name[PN_ROLE_NAME_MAX];
    enum child_state state;
    pid_t pid; /* 0: none; of a worker once its template told it */
    struct pn_channel *control;
    struct pn_timer *timer; /* restart, start limit or drain limit, by state */
    unsigned fails;         /* deaths that are not forgiven yet */
    uint64_t started;       /* ns */
    uint64_t repair_due;    /* ns: repair.c's rate */
    uint64_t socket_due;    /* ns: state_socket.c's */
    bool retired;           /* removed once it is off */
    char why[256];          /* the sentence of FAILED */
    /* A worker asked for by one edge for itself alone. */
    bool solo;
    uint32_t solo_edge;
    uint64_t solo_token;
};

struct socket_slot {
    struct pn_ip ip;
    uint16_t port;
    int fd;
    bool fresh; /* bound for a reload that has not been taken yet */
};

enum sup_state { SUP_STARTING, SUP_SERVING, SUP_RELOADING, SUP_STOPPING };

/* A generation on its way: what a reload gathers before it is taken. */
struct coming {
    uint32_t serial; /* 0: none */
    int policy_fd;
    int dns_file_fd;    /* -1: none */
    int secret_fd;      /* a copy of forward.secret-file; -1: none */
    int users_fd;       /* the file of users; -1: there is none */
    uint64_t users;     /* the mark of that file when it was opened */
    int authorities_fd; /* queue.tls-authorities; -1: none */
    struct plan plan;
    struct pn_tls_identity *identities;
    size_t identity_count;
    struct pn_sign_pem *signs;
    size_t sign_count;
    struct pn_pool *keys;  /* of their bytes; wiped when freed */
    uint64_t certificates; /* the mark of their files when they were read */
};

struct supervisor {
    const struct pn_supervisor_options *options;
    struct pn_loop *loop;
    struct child *children;
    enum sup_state state;
    int phase;    /* of starting, reloading or stopping: an index into the order */
    bool again;   /* SIGHUP came during a reload */
    bool refresh; /* a plugin's files changed meanwhile */
    int exit_status;
    uint32_t last_serial;
    uint32_t next_worker; /* numbers of workers are never used twice */
    struct coming now;    /* the generation that serves */
    struct coming next;   /* the one that is being brought up; serial 0: none */
    struct socket_slot *sockets;
    size_t socket_count, socket_cap;
    int control_socket;
    int limits_fd;                             /* what all edges count in, for as long as we live */
    struct pn_folder folders[PN_FOLDER_COUNT]; /* fd -1: none; paths in folder_paths */
    struct pn_pool *pool;
    bool drop;
    uint32_t uid[PN_ROLE_COUNT], gid[PN_ROLE_COUNT];
    struct pn_buf events;       /* lines that wait for admin */
    uint64_t certificates_seen; /* the mark of their files when they were last looked at */
    struct pn_timer *certificates_timer;
    struct pn_timer *users_timer;
    uint64_t users_seen; /* the mark of the file of users when it was last looked at */
    struct compile_run *compile;
};

/* ---- child.c */
enum { CHILD_OLD_PLUGINS_MS = 3600 * 1000 }; /* a session may last so long */
struct child *child_add(struct supervisor *sup, enum peer_kind kind, uint32_t number,
                        uint32_t group, uint32_t generation);
void child_start(struct child *c);
/* Asks it to finish; kills it after limit_ms. Off at once if it has no process. */
void child_drain(struct child *c, uint64_t limit_ms);
void child_kill(struct child *c);
/* Off for good: drained or killed, and then freed. */
void child_retire(struct child *c, uint64_t limit_ms);
/* It ended after so long, once more: how many ms until it starts again. */
uint64_t child_backoff(struct child *c, uint64_t lived_ms);
void child_reap(struct supervisor *sup);
void child_sweep(struct supervisor *sup); /* frees those retired and off */
void child_sweep_soon(struct supervisor *sup);
bool child_send(struct child *c, uint16_t type, struct pn_buf *body, int fd);
bool child_alive(const struct child *c); /* has a channel that peers may be told over */
enum pn_role child_role(const struct child *c);

/* ---- give.c: what a child is told before GO, and at a reload */
void give_environment(struct child *c);
void give_generation(struct child *c);
void give_users(struct child *c); /* the file of who may log in, if c is auth */

/* ---- give_passwords.c: those for next hops, if c is the queue */
void give_passwords(struct child *c, const struct plan *plan, struct pn_buf *b);

/* ---- bringup.c */
void bringup_begin(struct supervisor *sup);
/* A child became ready: perhaps the next phase. */
void bringup_step(struct supervisor *sup);
/* A child failed, which ended so. True: it was part of what is being brought up, which ended. */
bool bringup_failed(struct supervisor *sup, struct child *c, const char *how);
void stop_begin(struct supervisor *sup, int exit_status);
void stop_step(struct supervisor *sup);
void stop_now(struct supervisor *sup);

/* ---- solo.c */
void solo_want(struct child *edge, const struct pn_want_solo *want);

/* ---- repair.c: what c misses, it says */
void repair_peer(struct child *c, enum pn_role role, uint32_t number);
void repair_generation(struct child *c);

/* ---- state_socket.c */
void state_socket_want(struct child *c);

/* ---- compile_run.c */
void compile_begin(struct supervisor *sup);
void compile_cancel(struct supervisor *sup);
/* ---- reload.c */
void reload_begin(struct supervisor *sup);
/* A plugin of that template would find other files now. */
void reload_plugins(const struct child *template, struct pn_str plugin);
void reload_refuse(struct supervisor *sup, const char *why);
/* All of it stands: it reaches the running roles. */
void reload_take(struct supervisor *sup);
/* As many edges and mailboxes as the configuration wants, as far as there are numbers. */
void reload_adjust(struct supervisor *sup);
/* Compile's outcome. policy_fd is owned; -1: errors were logged. */
void reload_compiled(struct supervisor *sup, int policy_fd);

/* ---- sockets.c */
/* Binds what plan wants and is not there. False: a sentence in err, nothing changed. */
bool sockets_bind(struct supervisor *sup, const struct plan *plan, struct pn_buf *err);
void sockets_take(struct supervisor *sup, const struct plan *plan);
void sockets_back(struct supervisor *sup);
void sockets_close(struct supervisor *sup);
int sockets_find(const struct supervisor *sup, const struct plan_listen *want);

/* ---- files.c */
bool files_users(struct supervisor *sup, struct pn_buf *err);
struct folder_owner {
    const char *role;
    uint32_t uid, gid;
};
/* Makes what is missing; the folder is then that role's alone (NULL: whoever's). -1: a
 * sentence in err. */
int files_open_folder(const char *path, const struct folder_owner *owner, struct pn_buf *err);
bool files_folders(struct supervisor *sup, const struct plan *plan, struct pn_buf *err);
bool files_control_socket(struct supervisor *sup, const struct plan *plan, struct pn_buf *err);
/* Opens a worker group's own folder, made if need be. -1: logged. */
int files_private(const struct supervisor *sup, uint32_t group, char *path, size_t size);
/* Certificates, and the keys that mail is signed with. */
bool files_keys(struct coming *coming, struct pn_buf *err);
/* What the senders of forwarded mail are signed with. */
bool files_secrets(struct coming *coming, struct pn_buf *err);
/* Opens the resolver's file and the edges' secrets: their jails know no files. */
bool files_for_roles(struct coming *coming, struct pn_buf *err);
void files_close(struct supervisor *sup);
void coming_fini(struct coming *coming);

/* ---- users_file.c */
/* Opens the file of who may log in; that there is none is fine. */
bool users_open(struct coming *coming, struct pn_buf *err);
/* From now on it is opened anew when it changed. */
void users_watch(struct supervisor *sup);

/* ---- process.c */
/* -1: there is no such process. */
pid_t process_parent(pid_t pid);

/* ---- certificates.c */
/* What tells one file from its successor, and from none. */
void certificates_add_file(struct pn_buf *out, const char *path);
/* Of the files that a plan names; another one when a file changed. */
uint64_t certificates_mark(const struct plan *plan);
/* From now on they are read again when they changed. */
void certificates_watch(struct supervisor *sup);

/* ---- command.c: what an operator asks, over admin */
bool command_run(struct child *admin, struct pn_str body);

/* ---- tell.c: events and states for admin */
void tell_started(struct supervisor *sup);
/* What the kernel lacks of the jail; nothing where it has all. */
void tell_jail(struct supervisor *sup);
void tell_reloaded(struct supervisor *sup);
void tell_refused(struct supervisor *sup, const char *why);
/* Its files are others; a new generation is on its way. */
void tell_plugin_changed(struct supervisor *sup, struct pn_str plugin);
/* New ones are used; or why not. */
void tell_certificates(struct supervisor *sup, const char *why_not);
void tell_died(struct child *c, const char *how, uint64_t restart_ms);
/* It lost its channel to that one, or a generation, and has got it anew. */
void tell_repaired(struct child *c, const char *what);
void tell_flush(struct supervisor *sup);
void tell_state(struct supervisor *sup);

#endif

/*
 * The runner's inside. Nobody else includes this. All of it belongs to the loop's thread.
 * A file calls only those that stand before it here (tests/check-circles.sh):
 *
 *   remote.c       workers as seen from here, and the lists of asks
 *   ledger.c       what a run found, and the ledger of the session
 *   request_of.c   the request for an ask;  case.c  the case that repeats it
 *   ask.c          requests out
 *   check_run.c    which plugins run when;  check.c  a session and its transactions
 *   replay.c       who killed a worker
 *   answer.c       what workers say
 *   runner.c       workers that come, time, generations
 *   fate.c         what is told of a message in the end; alone
 *
 * An ask is one request of one run to one group. Its states:
 *
 *   WAITING    no worker could take it yet            -> SENT
 *   SENT       in flight at `remote`                  -> answered; WAITING (the worker died,
 *                                                        it is innocent); SUSPECT
 *   SUSPECT    waits for its replay                   -> SOLO
 *   SOLO       in flight, alone in a fresh worker     -> answered; SUSPECT (again, or without
 *                                                        the plugin that failed)
 *
 * An ask whose check went away stays in flight (check NULL) until its worker answers.
 */
#ifndef PN_RUNNER_INT_H
#define PN_RUNNER_INT_H

#include "channel.h"
#include "page.h"
#include "request.h"
#include "runner.h"

enum {
    GROUPS_MAX = PN_PLAN_GROUPS_MAX,
    REMOTE_QUEUE_MAX = 8 * 1024 * 1024,
    REMOTE_INFLIGHT_MAX = 256, /* requests at one worker */
    WAITING_MAX = 4096,        /* asks that no worker could take */
    TICK_MS = 25,
    SOLO_WAIT_MS = 3000, /* then it is asked for again */
    SOLO_MAX = 8,        /* for plugins with `alone yes`, at once in a group */
    STUCK_MS = 2000,     /* behind a deadline, the worker's own watchdog is dead too */
    STUCK_FAIR_MS = 60 * 1000
};

enum ask_state { ASK_WAITING, ASK_SENT, ASK_SUSPECT, ASK_SOLO };

struct remote;

struct ask {
    struct ask *next; /* of the list that its state says */
    struct pn_check *check;
    struct pn_runner *runner;
    struct remote *remote; /* SENT, SOLO */
    uint64_t id;
    uint64_t plugins; /* asked for in the new steps */
    unsigned group;
    uint8_t state;
    bool alone;       /* its group runs one message a process */
    uint8_t suspects; /* times that it died alone, in `died_in` */
    uint8_t lost;     /* times that its worker died with no call to blame */
    int died_in;      /* plugin */
    struct ask *next_of_run;
    struct pn_pool *told_pool; /* NULL: nothing told */
    struct pn_facts told;      /* DNS answers of a replay, also of calls that did not end */
};

/* A worker as seen from here. */
struct remote {
    struct remote *next;
    struct pn_runner *runner;
    struct pn_channel *channel;
    const struct pn_page *page; /* NULL until it came */
    uint32_t tag, number, group, generation;
    bool solo;  /* for us alone */
    bool kept;  /* solo: belongs to a check of an alone group */
    bool used;  /* solo of an alone group: had its one message */
    bool stuck; /* even its watchdog stands still */
    uint64_t token;
    struct ask *asks; /* in flight */
    unsigned count;
};

struct list {
    struct ask *first, **last;
    unsigned count;
};

struct pn_runner {
    struct pn_loop *loop;
    const struct pn_runner_ops *ops;
    void *ctx;
    struct pn_plan *plan; /* of sessions to come */
    struct pn_str hostname;
    struct remote *remotes;
    struct pn_check *checks;
    struct list waiting;  /* for a common worker */
    struct list suspects; /* for a solo one; those of alone groups too */
    struct {
        unsigned wanted; /* asked for, not come */
        uint64_t since;
    } solo[GROUPS_MAX];
    struct pn_timer *tick;
    bool ticking, fair;
    uint64_t next_id, next_session, next_token;
    struct pn_buf scratch;
    struct pn_runner_stats stats;
};

/* A finding kept until its run ends; bytes in the run's pool. */
struct found {
    uint32_t step;
    uint8_t plugin, status;
    uint32_t us;
    struct pn_str reason, facts;
    int body; /* the new one that it proposed, owned; -1: none */
};

/* The new body of a transaction: of several the last, in the ledger's order. */
struct new_body {
    int fd;      /* owned; -1: none */
    size_t edit; /* which of the ledger's edits it belongs to */
};

struct check_step {
    uint8_t stage;
    uint32_t rcpts;
    uint64_t wanted; /* by a recipient that was there by then */
    uint64_t ran;    /* plugins that were called in it, or are about to be */
};

struct pn_check {
    struct pn_check *next, **at; /* the runner's list */
    struct pn_runner *runner;
    struct pn_plan *plan;
    uint64_t session;
    struct pn_pool *session_pool;
    struct pn_pool *helo_pool; /* from one HELO to the next */
    struct pn_pool *pool;      /* of the transaction; NULL between them */
    struct pn_check_client client;
    struct pn_str hostname, helo;
    struct pn_check_mail mail;
    uint32_t transaction;
    bool in_transaction;
    struct pn_str unknown[POSTERN_UNKNOWN_MAX]; /* in session_pool */
    uint32_t unknown_steps[POSTERN_UNKNOWN_MAX], unknown_count;
    struct pn_str *rcpts;
    size_t rcpt_count, rcpt_cap;
    uint64_t wanted; /* by any recipient */
    int content_fd;
    uint64_t content_size;

    struct check_step *steps;
    size_t step_count, step_cap;
    size_t done_count;             /* steps in the ledger */
    size_t asked_count;            /* steps that somebody wants */
    struct pn_facts connect_facts; /* in session_pool */
    struct pn_facts session_facts; /* those and helo's: in helo_pool */
    struct pn_facts facts;         /* all, while there is a transaction: in pool */
    struct new_body body;
    uint64_t given, skipped; /* plugins; of the transaction */
    uint64_t failed, session_failed;
    bool session_kept; /* a message was decided in it: what it put was written */

    /* the run */
    bool running;
    size_t run_end;   /* steps done_count .. run_end */
    uint64_t called;  /* plugins asked for in this run */
    struct ask *asks; /* open, by next_of_run */
    unsigned open;
    struct pn_pool *run_pool;
    struct found *found;
    size_t found_count, found_cap;
    uint64_t run_start;
    uint64_t used_ns; /* of the budget, by earlier runs */
    bool cut;         /* the budget ended */
    void (*done)(void *ctx, enum pn_check_end end);
    void *ctx;
    struct remote *home[GROUPS_MAX]; /* where this session's objects are */
};

/* ---- remote.c */
void list_add(struct list *l, struct ask *a);
bool list_remove(struct list *l, struct ask *a);
void ask_free(struct ask *a);
void remote_take_ask(struct remote *m, struct ask *a);
void remote_unlink(struct remote *m); /* from the runner and from all homes */
void remote_free(struct remote *m);
void remote_close(struct remote *m); /* both; nobody waits for its asks */
/* A worker for this group: the check's home, else the least busy; NULL: none now. */
struct remote *remote_choose(struct pn_check *c, unsigned group);
/* Common workers whose generation no session uses any more, and none will. */
void remotes_drop_old(struct pn_runner *r);
/* Only while something is under way. */
void runner_tick_on(struct pn_runner *r);

/* ---- request_of.c */
/* The bytes of the request for an ask, in runner->scratch. */
struct pn_str check_request(struct pn_check *c, const struct ask *a);
uint64_t check_budget_end(const struct pn_check *c);

/* ---- ledger.c */
/* body is taken; -1: none. */
void check_found(struct pn_check *c, const struct pn_finding *f, int body);
/* What was found and is not in the ledger is dropped. */
void check_forget_found(struct pn_check *c);
/* Calls it no more from this step on; true: it still has steps before in this run. */
bool check_stop_plugin(struct pn_check *c, unsigned plugin, uint32_t step);
/* The worker could not run these. */
void check_bad_findings(struct pn_check *c, uint64_t plugins);
/* Workers die of these, whichever it is. */
void check_lost(struct pn_check *c, uint64_t plugins);
void check_no_worker(struct pn_check *c, uint64_t plugins);
void check_no_replay(struct pn_check *c, uint64_t plugins);
/* Plugins of the run that nothing was heard of. */
void check_missing(struct pn_check *c, const char *why);
/* The run is over: what it found is in the ledger. */
void check_merge(struct pn_check *c);

/* ---- case.c */
/* All that its plugins were given, as a case of `scan --batch`. */
void check_case(const struct ask *a, const struct pn_failure *f, struct pn_buf *out);

/* ---- ask.c */
struct ask *ask_new(struct pn_check *c, unsigned group, uint64_t plugins);
/* Sends it, or queues it. */
void ask_dispatch(struct ask *a);
bool ask_send(struct ask *a, struct remote *m);
/* Is to be replayed, alone in a fresh worker. */
void ask_suspect(struct ask *a);
/* There may be room, or a new worker: tries those that wait. */
void ask_retry(struct pn_runner *r);
/* Its check doesn't want it any more. */
void ask_abandon(struct ask *a);
void ask_unlink_of_run(struct ask *a);
void remote_cancel(struct remote *m, enum pn_cancel_what what, uint64_t session, uint64_t id);
/* The session's (transaction's) objects in workers are wanted no more. */
void check_leave_homes(struct pn_check *c, bool whole);

/* ---- check_run.c */
/* An ask of its run was answered, or given up. */
void check_answered(struct pn_check *c);
/* The budget's end, or too much waits. */
void check_cut(struct pn_check *c, const char *why);

/* ---- replay.c */
/* The worker is gone: sorts its asks into suspects and innocents. The remote is freed. */
void remote_died(struct remote *m);
/* Calls that hang are pulled out for their replay. */
void replay_look(struct pn_runner *r, uint64_t now);
/* A solo worker is free or came: the next suspect, or it is let go. */
void replay_next(struct pn_runner *r);

/* ---- answer.c */
bool remote_on_record(void *ctx, struct pn_record *record);

#endif

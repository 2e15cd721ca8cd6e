/*
 * The worker's inside, shared by worker.c (channels), task.c (one request), visit.c (a
 * session's objects), tick.c and watchdog.c. Nobody else includes this.
 *
 * Locks, in the order in which they may nest: link->lock (tasks and visits of a channel)
 * before task->lock (states of calls). Neither is held while a plugin runs.
 */
#ifndef PN_WORKER_INT_H
#define PN_WORKER_INT_H

#include "channel.h"
#include "handover.h"
#include "sched.h"
#include "worker.h"

#include <stdatomic.h>

enum { PLUGINS_MAX = PN_PLAN_PLUGINS_MAX, RECORDS_MAX = 4 * 1024 * 1024 };

struct visit;
struct task;
struct watchdog;
struct tick;

struct link {
    struct pn_worker *worker;
    struct pn_channel *channel; /* the loop's */
    int fd;                     /* a double of its descriptor, for threads to answer on */
    uint32_t tag;
    atomic_uint refs; /* the loop's, each task's and visit's */
    pthread_mutex_t lock;
    struct task *tasks;   /* not answered yet; by task->next_live */
    struct visit *visits; /* by visit->next */
    struct link *next;    /* the loop's */
};

struct pn_worker {
    struct pn_loop *loop;
    struct pn_worker_options options;
    struct host_plugin *by_index[PLUGINS_MAX]; /* by plan index; NULL: not of this group */
    struct link *links;
    uint32_t next_tag;
    struct sched *sched;
    struct pn_asker *asker;
    struct pn_state_asker *state;
    struct pn_page *page;
    int page_fd;
    struct watchdog *watchdog;
    struct host_waits waits;
    uint64_t body_max; /* bytes of a body that a plugin puts in another's place */
    struct tick *ticks;
    unsigned ticks_due; /* that did not run yet */
    void (*on_first_ticks)(void *ctx);
};

/* ---- link (worker.c) */
void link_ref(struct link *l);
void link_unref(struct link *l);

/* ---- one request (task.c) */

enum call_state { CALL_TODO, CALL_RUNNING, CALL_DONE };

struct task_call {
    uint32_t step;
    uint8_t plugin; /* plan index */
    uint8_t state;  /* enum call_state; under task->lock */
    bool repeat;    /* brings objects up to now: what it finds is dropped */
    bool silent;    /* not called, and nobody asks why: its plugin failed before */
    uint8_t status; /* enum pn_plugin_status */
    uint32_t us;
    struct pn_str reason; /* in pool */
    struct pn_pool *pool;
    struct pn_facts facts;
    struct pn_memfile body; /* the new one that it proposed; fd -1: none */
};

struct task {
    struct sched_unit unit;
    struct pn_worker *worker;
    struct link *link;
    struct task *next_live; /* of the link */
    struct task *next_kept; /* of the visit: waiting for its turn, or kept for its views */
    struct visit *visit;    /* or NULL */
    struct pn_pool *pool;
    struct pn_request request;
    struct pn_facts earlier;
    struct host_message message;
    bool has_message;
    struct pn_str map; /* of the content, where it is large */
    char *copy;        /* else; owned */
    int fd;            /* of the content; owned */
    uint64_t budget_end;
    struct pn_questions *questions;
    atomic_bool cancelled;
    pthread_mutex_t lock; /* for the rest */
    struct task_call *calls;
    uint32_t count, low, done;       /* calls before low are done */
    unsigned inside;                 /* threads */
    bool started, answered, pending; /* pending: queued for a thread */
};

/* From the loop: body is copied, fd (or -1) taken. NULL: malformed. */
struct task *task_new(struct link *l, struct pn_str body, int fd);
void task_free(struct task *t);
/* Threads wait: host_waits. */
void task_wait_begin(void *ctx, struct host_call *call);
void task_wait_end(void *ctx, struct host_call *call);
void task_answered(void *ctx, struct host_call *call, const struct pn_dns_seen *seen);
void task_remembered(void *ctx, struct host_call *call, const struct pn_state_seen *seen);

/* ---- sessions (visit.c) */

struct object {
    void *session, *transaction;
    struct pn_pool *session_pool, *transaction_pool;
    bool has_session, has_transaction;
    uint32_t serial; /* of the transaction */
};

struct visit {
    struct visit *next;
    struct link *link; /* a reference */
    uint64_t session;
    /* under link->lock */
    bool busy; /* a task or the cleaning runs */
    struct task *waiting, **last_waiting;
    bool ended, transaction_ended;
    /* of whoever made it busy */
    struct task *kept; /* answered, but views into them may be in use */
    uint64_t last_request;
    struct sched_unit unit; /* frees objects */
    struct object objects[PLUGINS_MAX];
};

/* Has any plugin of this request objects? */
bool visit_needed(const struct pn_worker *w, const struct pn_request *q);
/* From the loop: the task runs when its session's turn comes. */
void visit_submit(struct task *t);
/* From the loop: the session or its transaction is over. */
void visit_cancel(struct link *l, uint64_t session, bool whole);
/* From the loop: all of them. */
void visit_end_all(struct link *l);
/* Before the calls of a task: which need what came before? */
bool visit_has_session(const struct visit *v, unsigned plugin);
bool visit_has_transaction(const struct visit *v, unsigned plugin, uint32_t serial);
/* On a thread, in a call: makes what is due. A status of <postern/plugin.h>. */
int visit_enter(struct visit *v, struct host_call *h);
/* Objects are there: the runner must come back and cancel. */
bool visit_keeps(const struct visit *v);
/* The task is answered: takes it over where views into it must live on, else frees it. */
void visit_leave(struct task *t);

/* ---- tick.c */
void ticks_start(struct pn_worker *w, void (*on_first)(void *ctx));
/* Its threads are gone. */
void ticks_free(struct pn_worker *w);

/* ---- watchdog.c */
struct watchdog *watchdog_new(struct pn_page *page, const struct pn_asker *asker, bool fair);
void watchdog_free(struct watchdog **dog);
/* Calls are about to run. */
void watchdog_stir(struct watchdog *dog);

#endif

/* What the files of a plugin at work share: prove_run.c (a trial), prove_workers.c (its
 * processes), prove_new.c (making it, and starting it). */
#ifndef PN_PROVE_INT_H
#define PN_PROVE_INT_H

#include "answers.h"
#include "plan.h"
#include "policy.h"
#include "prove.h"

#include <limits.h>

struct prove_worker {
    pid_t pid;
    uint32_t number;
    unsigned group;
    bool solo, stands_in; /* for one that died */
    struct prove_worker *next;
};

struct prove {
    struct prove_options o;
    struct pn_loop *loop;
    struct pn_plan *plan;
    struct pn_plan *alone; /* the plugin without others: what fails at start is its own */
    struct pn_group *groups[PN_PLAN_GROUPS_MAX];
    struct pn_runner *runner;
    int target; /* the plugin's index in the plan */
    uint32_t deadline_ms;
    struct prove_worker *workers;
    bool ticked; /* they had a tick under some fault: no session is for them */
    struct pn_answers *answers;
    uint32_t next_worker;
    struct pn_dnsfile *file;
    const struct prove_how *how; /* of the trial under way, as result */
    struct prove_result *result;
    char root[PATH_MAX / 4];
};

/* prove_workers.c */
extern const struct pn_runner_ops prove_runner_ops;
struct pn_answers *prove_answers_new(struct prove *p);
/* Behind it the next request finds a fresh worker: instances and all. */
void prove_workers_replace(struct prove *p);
void prove_workers_end(struct prove *p);
/* In a child: no words of its own among ours. */
void prove_quiet(void);

/* prove_new.c: groups are loaded at the first need; who crashes in prepare did so in a child. */
bool prove_load_all(struct prove *p);

#endif

/*
 * Proving a plugin (`postern plugin test`): it runs here in workers as the server's, forked
 * from this process and jailed alike, with the runner, its DNS and its clock in our hand.
 * prove_new.c makes it, prove_workers.c has the processes, prove_run.c leads a session through
 * them, prove_call.c is what stands around each callback, prove_misuse.c between it and the host,
 * prove_faults.c what is done to a plugin, prove_ticks.c to its tick, prove_hostile.c the messages
 * nobody should send, prove_fuzz.c those that nobody thought of, prove.c the command.
 *
 * A *trial* is one session led to its end, or cut off, under one fault. It has a name,
 * "CASE/FAULT" or "CASE/FAULT/N", by which it can be repeated alone (--only).
 */
#ifndef PN_PROVE_H
#define PN_PROVE_H

#include "dnsfile.h"
#include "filter.h"
#include "prove_heap.h"
#include "rpl.h"
#include "runner.h"

enum {
    PROVE_NAME_MAX = 400,
    PROVE_FINDINGS_MAX = 1000,
    PROVE_LIBRARIES_MAX = 16,
    PROVE_HANGS_MAX = 3 /* then no trial follows: each takes its deadline, and says the same */
};

/* ---- what was found */

enum prove_kind {
    PROVE_CRASH,   /* a signal, an exit */
    PROVE_HANG,    /* past its deadline */
    PROVE_JAIL,    /* a system call that its needs don't cover */
    PROVE_LEAK,    /* memory, descriptors, threads, objects */
    PROVE_DIFFERS, /* other facts than without the fault */
    PROVE_MISUSE,  /* the host was called as it never may be, or written to */
    PROVE_START,   /* it could not be loaded, prepared or made */
    PROVE_SCRIPT,  /* a replay script fails */
    PROVE_KINDS
};

struct prove_finding {
    enum prove_kind kind;
    char *trial; /* owned, as the two below */
    char *stage; /* or NULL */
    char *text;
    char *saved; /* path of the script that repeats it, or NULL */
    size_t like; /* findings before it that say the same of other trials */
};

struct prove_report {
    struct prove_finding findings[PROVE_FINDINGS_MAX];
    size_t count, more;    /* more: over the limit */
    size_t trials, passed; /* of them */
    size_t points;         /* allocations that were made to fail */
    size_t hangs;          /* among the findings */
    /* Trials that ended in a library's own crash: they pass, since no plugin can do better. */
    struct prove_library {
        char name[64], first[PROVE_NAME_MAX];
        size_t count;
    } libraries[PROVE_LIBRARIES_MAX];
    size_t library_count;
};

const char *prove_kind_name(enum prove_kind kind);

/* ---- what stands around the callbacks (prove_call.c) */

/* In memory shared with the workers. */
struct prove_calls {
    _Atomic int32_t sessions, transactions; /* made and not freed */
    _Atomic int32_t inside;                 /* callbacks that run */
    _Atomic int32_t ticks;                  /* that ended */
};

struct prove_calls *prove_calls_init(void);
/* The worker that counted is gone. */
void prove_calls_reset(void);
/* In a worker: p's callbacks are watched from now on. */
void prove_calls_watch(struct host_plugin *p, bool keeps);

/* ---- what it does wrong with the host (prove_misuse.c) */

void misuse_init(void);
/* In a worker: host_table, with an eye on it; whose callbacks call the two behind it. */
struct postern_host *misuse_table(void);
void misuse_begin(struct postern_call *c);
void misuse_end(int rc);
/* Around instance_new: the table for its setup. */
const struct postern_host *misuse_setting_up(bool begins);
/* The sentences, from *at = 0 on; each stands there once, whatever trial it was. */
bool misuse_next(size_t *at, const char **stage, const char **text);

/* ---- a plugin at work (prove_run.c) */

enum prove_dns { PROVE_DNS_FILE, PROVE_DNS_SILENT, PROVE_DNS_SERVFAIL, PROVE_DNS_TIMEOUT };

struct prove_case {
    const char *name; /* "reject.rpl:12", "hostile:deep" */
    const struct rpl_case *session;
};

struct prove; /* one configuration, of one script or none */

struct prove_options {
    const char *file;         /* of the plugin */
    const char *name;         /* of the plugin */
    const struct rpl *script; /* whose conf, dns and files; may be NULL */
    struct heap_counts *heap;
    struct prove_calls *calls;
    unsigned needs; /* of its manifest: granted, where no script grants */
};

/* NULL with sentences in err. */
struct prove *prove_new(const struct prove_options *options, struct pn_buf *err);
void prove_free(struct prove **prove);
/* Loads and makes the plugin in a child, with the fail_at-th allocation refused (0: none).
 * True: it did, or said why not, in an orderly way. asked: allocations of it. */
bool prove_start(struct prove *p, uint64_t fail_at, uint64_t *asked, struct pn_buf *why);

/* One trial. */
struct prove_how {
    const char *trial;
    enum prove_dns dns;
    bool state_away;      /* nobody answers for lasting state */
    uint64_t fail_at;     /* 0: none */
    uint32_t deadline_ms; /* of a callback; 0: its own */
    int last_stage;       /* the connection ends behind it; POSTERN_AFTER: it does not */
    unsigned replace;     /* 1 << stage: behind it the worker is replaced */
    bool fresh;           /* in a new worker */
    bool tick;            /* its worker calls the tick: of prove_tick */
    bool may_fail;        /* a callback that returns an error is no finding */
};

struct prove_result {
    struct pn_buf facts; /* as text, without times; the caller's to init */
    uint64_t asked;      /* allocations */
    bool convicted;      /* on_failure was told */
    char stage[16];
    char text[400];
    int death;  /* wait status of the last worker that died; 0: none did */
    bool stuck; /* no end in time, or objects are left */
};

void prove_run(struct prove *p, const struct rpl_case *c, const struct prove_how *how,
               struct prove_result *out);
/* Its tick, once, in a fresh worker; no session. */
void prove_tick(struct prove *p, const struct prove_how *how, struct prove_result *out);
/* Of the worker at work. */
struct prove_load {
    long descriptors, threads;
    int64_t blocks, bytes;
};
struct prove_load prove_load(const struct prove *p);
bool prove_has_tick(struct prove *p);
bool prove_has_stage(const struct prove *p, unsigned stage);
bool prove_needs(const struct prove *p, unsigned need); /* POSTERN_NEED_* */

/* ---- what is done to it */

struct prove_plan {
    struct prove_report *report;
    const char *only; /* prefix of trials' names; NULL: all */
    const char *save; /* folder for scripts that repeat a finding; NULL: none */
    const char *file, *name;
    uint64_t points_max; /* allocations refused a case */
    size_t matched;      /* trials that `only` names */
    size_t misuses;      /* sentences of misuse_next that were found */
    void (*on_find)(void *ctx, const struct prove_finding *f); /* at once; may be NULL */
    void *ctx;
};

void prove_find(struct prove_plan *plan, enum prove_kind kind, const char *trial, const char *stage,
                const char *text, const struct prove_case *c, const struct rpl *origin);
/* It hung too often. */
bool prove_given_up(const struct prove_plan *plan);
/* Whether this trial was asked for; it is counted then. */
bool prove_wanted(struct prove_plan *plan, const char *trial);
/* Crashes and hangs, and objects that stay: found. True: nothing of these. c may be NULL. */
bool prove_judge(struct prove_plan *plan, const char *trial, const struct prove_result *r,
                 const struct prove_case *c, const struct rpl *origin);
/* All faults on its tick, where it has one. */
void prove_ticks(struct prove *p, const struct rpl *origin, struct prove_plan *plan);
/* All faults on one case. */
void prove_faults(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                  struct prove_plan *plan);
/* Only that it survives, in time, and keeps nothing. */
bool prove_once(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                struct prove_plan *plan);
void prove_starts(struct prove *p, const struct rpl *origin, struct prove_plan *plan);
/* In pool. */
size_t prove_hostile(struct pn_pool *pool, int64_t now_ms, struct prove_case **out);
/* For so many seconds; seed as printed. */
void prove_fuzz(struct prove *p, const struct prove_case *seeds, size_t count,
                const struct rpl *origin, unsigned seconds, uint64_t seed, struct prove_plan *plan);
/* The script that repeats a case: origin's conf and dns, and the session. */
void prove_script(struct pn_buf *out, const struct prove_case *c, const struct rpl *origin,
                  const char *why);

#endif

/*
 * Running the plan: what edge and `postern scan` call to have the plugins look at a
 * session. One runner a process, one check a client session. No plugin runs here:
 * the runner sends requests (wire.h) to filter workers and puts their replies together.
 *
 * A check goes through stages in order (connect, helo, then for each transaction
 * mail, rcpt..., headers, message). The caller says what became known, and calls
 * pn_check_run up to a stage when it wants the facts: what is due since the last run
 * is asked in as few requests as the plan allows. Asking early and often gives
 * earlier facts, asking late costs less.
 *
 *     pn_check_new
 *       pn_check_helo ... pn_check_run(HELO)           optional
 *       pn_check_mail, pn_check_rcpt ... pn_check_run(RCPT)
 *       pn_check_content, pn_check_run(MESSAGE)
 *       pn_check_facts -> decide()
 *       pn_check_reset                                  RSET, or the end of a message
 *     pn_check_free
 *
 * The ledger (pn_check_facts) is in the order of stages and then of the plan, whatever
 * the timing was. A worker that dies or hangs is no error here: innocents go to
 * another worker, suspects are replayed one at a time, each alone in a fresh one, and
 * only a failure there becomes the fact PLUGIN_FAILED. The caller sees a delay, and
 * for a message that does crash a plugin that fact.
 *
 * At the end of the message's budget (plan->budget_ms of waiting, over all its runs)
 * the run ends with what is known; pn_facts.runs names what was skipped.
 *
 * Ownership: strings are copied. A content descriptor is borrowed until reset, free,
 * or the next pn_check_content; it must not change any more (a sealed memory file, or
 * a read-only descriptor of a file that nobody writes).
 */
#ifndef PN_RUNNER_H
#define PN_RUNNER_H

#include "control.h"
#include "facts.h"
#include "net.h"
#include "plan.h"

struct pn_runner;
struct pn_check;
struct pn_json;

enum { PN_FAILURE_CASE_MAX = 16 * 1024 * 1024 };

/* A plugin failed on a message, alone in its worker: what is kept to reproduce it. */
struct pn_failure {
    struct pn_str plugin;
    struct pn_str stage;
    struct pn_str reason; /* "killed by signal 11", "hung: waits for TXT x.test, 5.0 s" */
    struct pn_str id;     /* the message's, or empty before MAIL */
    struct pn_str body;   /* for PN_REC_REPRODUCER: all this and a case of `scan --batch`, one line
                           * of JSON, without its content; up to PN_FAILURE_CASE_MAX bytes */
    int content_fd;       /* borrowed for the call; -1: none yet */
    uint64_t content_size;
};

struct pn_runner_stats {
    uint64_t requests, replays, worker_deaths, failures, overloads;
    uint64_t inflight; /* requests now */
};

struct pn_runner_ops {
    /* To the supervisor as PN_REC_WANT_SOLO; the worker comes by pn_runner_add_worker
     * with PN_PEER_SOLO and this token. */
    void (*want_solo)(void *ctx, const struct pn_want_solo *want);
    /* The channel to a worker ended that nobody told to end, or the worker stands still:
     * whoever started it sees to it that the process is gone, and, unless it was a solo
     * one, that another comes. May be NULL. */
    void (*lost_worker)(void *ctx, uint32_t number);
    /* May be NULL. */
    void (*on_failure)(void *ctx, const struct pn_failure *failure);
};

/* ops and ctx are borrowed. plan: a reference is taken. hostname is our name, which is
 * the authserv-id too; copied. */
struct pn_runner *pn_runner_new(struct pn_loop *loop, struct pn_plan *plan, struct pn_str hostname,
                                const struct pn_runner_ops *ops, void *ctx);
/* Its workers are fair (worker.h): it leaves it to them for longer who hangs. */
void pn_runner_fair(struct pn_runner *runner);
/* All checks must be gone. */
void pn_runner_free(struct pn_runner **runner);
/* A new generation: sessions from now on use it; those begun keep theirs, and its workers
 * are let go when the last of them ends. */
void pn_runner_plan(struct pn_runner *runner, struct pn_plan *plan, struct pn_str hostname);
/* From on_peer, for role PN_ROLE_FILTER; takes peer->fd (sets it to -1). */
void pn_runner_add_worker(struct pn_runner *runner, struct pn_peer *peer);
/* True: for each group of the present plan there is a worker. */
bool pn_runner_ready(const struct pn_runner *runner);
void pn_runner_stats(const struct pn_runner *runner, struct pn_runner_stats *out);
/* Fewer requests are under way than there are workers: a check may as well begin early. */
bool pn_runner_at_leisure(const struct pn_runner *runner);

struct pn_check_tls {
    struct pn_str version, cipher;
    uint32_t bits;
};

struct pn_check_client {
    struct pn_ip ip;
    uint16_t port;
    bool tls;
    struct pn_check_tls tls_info; /* empty where it is not known */
    struct pn_ip local;           /* where it connected to; local_port 0: not known */
    uint16_t local_port;
    uint32_t early;         /* POSTERN_EARLY_* */
    struct pn_str auth_id;  /* or empty */
    struct pn_str id;       /* names the session in the log */
    struct pn_str hostname; /* our name for this session alone; empty: the runner's */
    int64_t now_ms;         /* wall clock that plugins see before MAIL; 0: now */
    uint64_t seed;          /* of what they get as randomness before MAIL */
};

struct pn_check *pn_check_new(struct pn_runner *runner, const struct pn_check_client *client);
void pn_check_free(struct pn_check **check);
const struct pn_plan *pn_check_plan(const struct pn_check *check);

/* What a plugin's tick had left when the message was first judged, from that step on: no other
 * standing is asked for. Before anything else; false: past a limit. */
bool pn_check_standing(struct pn_check *check, struct pn_str plugin, struct pn_str value,
                       uint32_t step);
/* Each ends a transaction that is open, and what the helo stage found before. */
void pn_check_helo(struct pn_check *check, struct pn_str helo);
void pn_check_tls(struct pn_check *check, const struct pn_check_tls *info);
void pn_check_auth(struct pn_check *check, struct pn_str auth_id);
/* A line with a command that we do not know: plugins are told from that step on, or from the next
 * one (PN_CHECK_NOW). Ends nothing. The first POSTERN_UNKNOWN_MAX are kept, cut at
 * POSTERN_UNKNOWN_BYTES. */
#define PN_CHECK_NOW UINT32_MAX
void pn_check_unknown(struct pn_check *check, struct pn_str line, uint32_t step);
/* What the client did not wait for by now (POSTERN_EARLY_*); ends nothing. */
void pn_check_early(struct pn_check *check, uint32_t early);

struct pn_check_mail {
    struct pn_str from; /* reverse-path without brackets */
    struct pn_str args; /* MAIL's ESMTP arguments, as written; or empty */
    struct pn_str id;   /* names the message in the log */
    int64_t now_ms;     /* wall clock that plugins see */
    uint64_t seed;      /* of what plugins get as randomness */
};

/* Begins a transaction. */
void pn_check_mail(struct pn_check *check, const struct pn_check_mail *mail);
/* wanted: pn_plan_wanted of its domain. A plugin runs when any recipient wants it. */
void pn_check_rcpt(struct pn_check *check, struct pn_str address, uint64_t wanted);
/* All that is in fd is the message. */
void pn_check_content(struct pn_check *check, int fd, uint64_t size);
/* Facts that stand for a plugin's (scan --auth; a plugin that must not run): it is not
 * called in this transaction, its status is GIVEN. f is copied. */
void pn_check_give(struct pn_check *check, unsigned plugin, const struct pn_facts *f);
void pn_check_skip(struct pn_check *check, uint64_t plugins);
/* Ends the transaction; what connect and helo found stays. */
void pn_check_reset(struct pn_check *check);

enum pn_check_end {
    PN_CHECK_WHOLE,
    PN_CHECK_PART,    /* the budget ended first: see pn_facts.runs */
    PN_CHECK_OVERLOAD /* too much waits for workers: answer 451 and reset */
};

/*
 * Runs all that is due up to and with this stage (POSTERN_CONNECT to POSTERN_AFTER).
 * False: nothing was due, or nothing left to wait for, and done is not called. True:
 * done (NULL: nobody waits) is called on the loop, never from inside, once all that
 * was asked up to then is there; it replaces the done of an earlier call. No call comes
 * after reset or free.
 */
bool pn_check_run(struct pn_check *check, unsigned stage,
                  void (*done)(void *ctx, enum pn_check_end end), void *ctx);
/*
 * What became of a message. TAKEN: somebody has it; REFUSED: all its recipients were; DROPPED:
 * nothing was decided (the client went away). Told before pn_check_reset, and with DROPPED
 * once more, outside of a transaction, before pn_check_free.
 */
enum pn_fate { PN_FATE_TAKEN, PN_FATE_REFUSED, PN_FATE_DROPPED };
/* The body of a PN_REC_STATE_END (ipc/state.h). */
typedef void pn_state_send(void *ctx, struct pn_str body);
/* What it leaves in lasting state; calls send for each record, often for none. */
void pn_check_fate(struct pn_check *check, enum pn_fate fate, pn_state_send *send, void *ctx);
/* Members of an object that is open: what plugins were told of time and chance beside the message's
 * "time", by the names that a case of `scan --batch` has for it. */
void pn_check_told_json(const struct pn_check *check, struct pn_json *j);
/* Borrowed until the next run, reset or free. */
const struct pn_facts *pn_check_facts(const struct pn_check *check);
/* The new body that a plugin proposed: a descriptor, borrowed as the facts are, and which of
 * their edits it belongs to; -1: none. What is in it nobody has looked at. */
int pn_check_body(const struct pn_check *check, size_t *edit);

#endif

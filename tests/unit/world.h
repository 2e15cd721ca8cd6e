/*
 * A small world for tests of runner and workers: one loop, a plan, a runner, and workers
 * that are forked children of the test, so that they may crash, hang and be killed. The
 * supervisor's part (new workers, solo ones) and the resolver's (a zone in memory) are
 * played here.
 */
#ifndef WORLD_H
#define WORLD_H

#include "channel.h"
#include "dnsfile.h"
#include "loader.h"
#include "runner.h"
#include "worker.h"

#include <sys/types.h>

/* A call takes as long as it takes: only a test of what hangs sets a deadline that short
 * (WORLD_HANG_MS) for the plugin that does, before world_workers. */
enum { WORLD_CHILDREN = 400, WORLD_PLUGINS = 8, WORLD_PATIENCE_MS = 60000, WORLD_HANG_MS = 700 };

struct world;

struct world_child {
    pid_t pid;
    struct world *world;
    unsigned group;
    bool solo;
    struct pn_channel *resolver; /* our end: we answer; NULL: the worker is gone */
};

struct world {
    struct pn_loop *loop;
    struct pn_plan *plan;
    struct pn_runner *runner;
    struct pn_plugin *loaded[WORLD_PLUGINS];
    struct host_plugin plugins[WORLD_PLUGINS];
    struct pn_dnsfile *zone;
    struct pn_dns_shelf *shelf; /* answers go there too; NULL: not shared */
    struct world_child children[WORLD_CHILDREN];
    unsigned count;
    struct world_late *lates; /* answers on their way */
    unsigned solos;           /* asked for */
    bool refill;              /* a dead worker is replaced */
    bool no_solos;            /* none comes, though asked for */
    unsigned delay_ms;        /* of every DNS answer */
    unsigned asked;           /* DNS questions */
    unsigned failures;
    char failed[64]; /* "PLUGIN STAGE" of the last one */
};

/* files: plugins in plan order, ended by NULL, with their groups. workers: of each group;
 * 0: none yet. The plan may be changed until world_workers. */
void world_init(struct world *w, const char *const *files, const unsigned *groups);
void world_workers(struct world *w, unsigned workers);
void world_up(struct world *w, const char *const *files, const unsigned *groups, unsigned workers);
void world_down(struct world *w);
/* Kills a common worker, the turn-th if so many live. */
void world_kill(struct world *w, unsigned turn);

/* ---- a session, and what came of it */

struct run {
    bool over;
    enum pn_check_end end;
};

void run_done(void *run, enum pn_check_end end);
/* Runs and waits. */
enum pn_check_end run_to(struct world *w, struct pn_check *c, unsigned stage);
struct pn_check *session_begin(struct world *w, const char *ip);
void session_mail(struct pn_check *c, const char *from, const char *rcpt);
/* A descriptor to close once the check is gone. */
int session_content(struct pn_check *c, const char *subject);
bool has_fact(const struct pn_facts *f, const char *plugin, const char *name, const char *detail);
/* 99: it has no run. */
unsigned status_of(const struct pn_facts *f, const char *plugin);
/* The whole ledger as text, without times. */
void ledger_text(const struct pn_facts *f, struct pn_buf *out);

#endif

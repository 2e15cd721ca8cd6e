#include "prove_int.h"

#include "clock.h"
#include "dns.h"
#include "jail.h"
#include "mem.h"
#include "prove_blame.h"
#include "state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_MS = 300 };

/* ---- what they ask for */

static void answer_dns(void *ctx, struct pn_asker *a, const struct pn_dns_ask *ask)
{
    struct prove *p = ctx;
    struct pn_dns_answer found = {.rcode = PN_DNS_TIMEOUT};
    enum prove_dns dns = p->how == NULL ? PROVE_DNS_FILE : p->how->dns;
    if (dns == PROVE_DNS_SILENT)
        return;
    if (dns == PROVE_DNS_SERVFAIL)
        found.rcode = PN_DNS_SERVFAIL;
    else if (dns == PROVE_DNS_FILE)
        pn_dnsfile_find(p->file, ask->name, ask->type, &found);
    pn_asker_dns(a, ask->id, &found);
}

static void answer_state(void *ctx, const struct pn_state_ask *ask, struct pn_state_answer *answer)
{
    const struct prove *p = ctx;
    if (p->how != NULL && p->how->state_away)
        answer->status = PN_STATE_IS_AWAY;
    else
        pn_answers_empty(ask, answer);
}

struct pn_answers *prove_answers_new(struct prove *p)
{
    static const struct pn_answers_ops ops = {.dns = answer_dns, .state = answer_state};
    return pn_answers_new(p->loop, &ops, p);
}

/* ---- workers */

void prove_quiet(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0 && getenv("POSTERN_PROVE_LOUD") == NULL)
        (void)dup2(null, STDERR_FILENO);
    if (null >= 0)
        (void)close(null);
}

static bool enter_jail(const struct prove *p, unsigned group)
{
    struct pn_folder folder = {.purpose = PN_FOLDER_PRIVATE, .path = pn_str_of(p->root)};
    struct pn_role_env env = {.folders = &folder, .folder_count = 1};
    struct pn_jail jail = {
        .kind = PN_JAIL_WORKER, .grants = pn_group_grants(p->plan, group), .traps = true};
    folder.fd = open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = folder.fd >= 0 && pn_jail_enter(&env, &jail);
    if (folder.fd >= 0)
        (void)close(folder.fd);
    return ok;
}

static struct host_plugin *find_target(struct host_plugin *plugins, unsigned count, int target)
{
    for (unsigned i = 0; i < count; i++)
        if (plugins[i].index == (unsigned)target)
            return &plugins[i];
    return NULL;
}

static void stop_loop(void *loop)
{
    pn_loop_stop(loop);
}

_Noreturn static void be_worker(struct prove *p, const struct prove_worker *w, int edge, int dns,
                                int state)
{
    struct pn_buf err;
    struct pn_worker_options o = {.plan = p->plan, .threads = 4, .fair = true};
    o.plugins = pn_group_plugins(p->groups[w->group], &o.count);
    pn_buf_init(&err, 4000);
    prove_quiet();
    pn_loop_after_fork(p->loop);
    if (w->stands_in)
        heap_pass();
    heap_reset(!w->solo);
    struct host_plugin *target = find_target(o.plugins, o.count, p->target);
    if (target != NULL)
        prove_calls_watch(target, !w->solo);
    bool made = enter_jail(p, w->group) && pn_worker_instances(o.plugins, o.count, &err);
    if (!made)
        _exit(1);
    if (target != NULL)
        heap_reset(!w->solo); /* what its instance keeps is no session's */
    struct pn_loop *loop = pn_loop_new();
    o.on_idle = stop_loop;
    o.ctx = loop;
    struct pn_worker *worker = pn_worker_new(loop, &o);
    pn_worker_note_crashes(worker);
    blame_watch();
    pn_worker_resolver(worker, dns);
    pn_worker_state(worker, state);
    pn_worker_link(worker, edge);
    if (!w->solo && p->how != NULL && p->how->tick)
        pn_worker_ticks(worker, NULL);
    pn_loop_run(loop);
    _exit(0);
}

static bool spawn(struct prove *p, unsigned group, const struct pn_want_solo *want, bool stands_in)
{
    int edge[2], dns[2], state[2];
    if (pn_channel_pair(edge) != 0 || pn_channel_pair(dns) != 0 || pn_channel_pair(state) != 0)
        return false;
    struct prove_worker *w = pn_calloc(1, sizeof *w);
    *w = (struct prove_worker){.number = p->next_worker++,
                               .group = group,
                               .solo = want != NULL,
                               .stands_in = stands_in,
                               .next = p->workers};
    w->pid = fork();
    if (w->pid == 0) {
        (void)close(edge[0]);
        (void)close(dns[0]);
        (void)close(state[0]);
        be_worker(p, w, edge[1], dns[1], state[1]);
    }
    (void)close(edge[1]);
    (void)close(dns[1]);
    (void)close(state[1]);
    p->workers = w;
    pn_answers_add_dns(p->answers, dns[0]);
    pn_answers_add_state(p->answers, state[0]);
    struct pn_peer peer = {.role = PN_ROLE_FILTER,
                           .number = w->number,
                           .group = group,
                           .generation = p->plan->generation,
                           .flags = want == NULL ? 0 : PN_PEER_SOLO,
                           .token = want == NULL ? 0 : want->token,
                           .fd = edge[0]};
    pn_runner_add_worker(p->runner, &peer);
    return w->pid > 0;
}

/* The status that it ended with, by itself or now. */
static int reap(struct prove *p, uint32_t number, bool *was_ours)
{
    struct prove_worker **at = &p->workers;
    int status = 0;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    *was_ours = *at != NULL;
    if (*at == NULL)
        return 0;
    struct prove_worker *w = *at;
    *at = w->next;
    /* A channel ends a moment before its process does: a signal is not to hide behind ours. */
    struct pn_patience patience;
    pn_patience_init(&patience, END_MS);
    while (!pn_patience_over(&patience)) {
        if (waitpid(w->pid, &status, WNOHANG) == w->pid) {
            free(w);
            return status;
        }
        (void)usleep(1000);
    }
    (void)kill(w->pid, SIGKILL);
    (void)waitpid(w->pid, &status, 0);
    free(w);
    return status;
}

static void on_want_solo(void *ctx, const struct pn_want_solo *want)
{
    struct prove *p = ctx;
    (void)spawn(p, want->group, want, false);
}

static void on_lost_worker(void *ctx, uint32_t number)
{
    struct prove *p = ctx;
    unsigned group = 0;
    bool solo = false, ours;
    for (const struct prove_worker *w = p->workers; w != NULL; w = w->next)
        if (w->number == number) {
            group = w->group;
            solo = w->solo;
        }
    int status = reap(p, number, &ours);
    if (p->result != NULL && status != 0)
        p->result->death = status;
    if (!ours || solo)
        return;
    if (group == p->plan->plugins[p->target].group)
        prove_calls_reset();
    (void)spawn(p, group, NULL, true);
}

static void on_failure(void *ctx, const struct pn_failure *f)
{
    struct prove *p = ctx;
    struct prove_result *r = p->result;
    if (r == NULL || r->convicted || !pn_str_eq(f->plugin, pn_str_of(p->o.name)))
        return;
    r->convicted = true;
    (void)snprintf(r->stage, sizeof r->stage, "%.*s", PN_FMT(f->stage));
    (void)snprintf(r->text, sizeof r->text, "%.*s", PN_FMT(f->reason));
}

void prove_workers_end(struct prove *p)
{
    while (p->workers != NULL) {
        bool ours;
        (void)kill(p->workers->pid, SIGKILL);
        (void)reap(p, p->workers->number, &ours);
    }
}

/* Behind them the next request finds a fresh worker: instances and all. */
void prove_workers_replace(struct prove *p)
{
    prove_workers_end(p);
    prove_calls_reset();
    for (unsigned g = 0; g < p->plan->group_count; g++)
        (void)spawn(p, g, NULL, false);
    struct prove_result *result = p->result;
    p->result = NULL;
    do
        pn_loop_turn(p->loop, 20);
    while (!pn_runner_ready(p->runner));
    p->result = result;
}

const struct pn_runner_ops prove_runner_ops = {on_want_solo, on_lost_worker, on_failure};

#include "filter.h"

#include "charset.h"
#include "log.h"
#include "role.h"
#include "tick_watch.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN_MAX = 512, FIRST_TICKS_MS = 500 };

struct template
{
    struct pn_role_life *life;
    struct pn_policy *policy;
    struct pn_plan *plan;
    struct pn_group *group;
    struct {
        pid_t pid;
        uint32_t number;
        unsigned slot;
    } children[CHILDREN_MAX];
    unsigned count;
    struct tick_watch ticks;
    bool draining;
    struct pn_timer *refresh;
};

/* ---- the worker, in the child */

struct worker_process {
    const struct template *template;
    struct pn_ticking *ticking;
    struct pn_loop *loop;
    struct pn_worker *worker;
    struct pn_control *control;
    struct pn_worker_options options;
    struct pn_timer *drain_timer, *first_timer;
    bool solo, still, draining, ready;
};

static void on_worker_peer(void *ctx, struct pn_peer *peer)
{
    struct worker_process *w = ctx;
    int fd = peer->fd;
    if (peer->role == PN_ROLE_EDGE)
        pn_worker_link(w->worker, fd);
    else if (peer->role == PN_ROLE_RESOLVER)
        pn_worker_resolver(w->worker, fd);
    else if (peer->role == PN_ROLE_STATE)
        pn_worker_state(w->worker, fd);
    else
        return;
    w->solo = w->solo || (peer->flags & PN_PEER_SOLO) != 0;
    w->still = w->still || (peer->flags & PN_PEER_STILL) != 0;
    peer->fd = -1;
}

static void on_drain_end(void *ctx)
{
    struct worker_process *w = ctx;
    pn_loop_stop(w->loop);
}

/* Sessions that began with these plugins end with them: edges let go when the last of
 * theirs is over. */
static void on_worker_drain(void *ctx, uint32_t limit_ms)
{
    struct worker_process *w = ctx;
    w->draining = true;
    if (pn_worker_idle(w->worker))
        pn_loop_stop(w->loop);
    else
        pn_timer_set(w->drain_timer, limit_ms);
}

static void on_idle(void *ctx)
{
    struct worker_process *w = ctx;
    if (w->solo || w->draining)
        pn_loop_stop(w->loop);
}

static void on_state_lost(void *ctx)
{
    struct worker_process *w = ctx;
    pn_control_missing(w->control, PN_ROLE_STATE, 0);
}

/* Who waits for a new worker finds it with what its plugins look after, if that doesn't take
 * long: requests are served from the beginning. */
static void say_ready(void *ctx)
{
    struct worker_process *w = ctx;
    if (!w->ready)
        pn_control_ready(w->control);
    w->ready = true;
}

static bool worker_begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct worker_process *w = life->ctx;
    const struct template *t = w->template;
    (void)err;
    life->jail.grants = pn_group_grants(t->plan, t->life->env->start.group);
    life->jail.memory_max = (uint64_t)pn_policy_int(t->policy, "workers.memory");
    return true;
}

static bool worker_open(struct pn_role_life *life, struct pn_buf *err)
{
    struct worker_process *w = life->ctx;
    const struct template *t = w->template;
    struct pn_worker_options *o = &w->options;
    *o =
        (struct pn_worker_options){.plan = t->plan,
                                   .threads = (unsigned)pn_policy_int(t->policy, "workers.threads"),
                                   .share = (unsigned)pn_policy_int(t->policy, "workers.share"),
                                   .ticking = w->ticking,
                                   .on_idle = on_idle,
                                   .on_state_lost = on_state_lost,
                                   .ctx = w};
    o->plugins = pn_group_plugins(t->group, &o->count);
    if (!pn_worker_instances(o->plugins, o->count, err))
        return false;
    w->loop = life->loop;
    w->worker = pn_worker_new(w->loop, o);
    pn_worker_note_crashes(w->worker);
    w->drain_timer = pn_timer_new(w->loop, on_drain_end, w);
    w->first_timer = pn_timer_new(w->loop, say_ready, w);
    return true;
}

static void worker_join(struct pn_role_life *life)
{
    struct worker_process *w = life->ctx;
    w->control = life->control;
    if ((life->env->start.flags & PN_START_TICKS) == 0)
        pn_timer_set(w->first_timer, FIRST_TICKS_MS);
    if (!w->solo && !w->still)
        pn_worker_ticks(w->worker, say_ready);
    else
        say_ready(w);
}

static void worker_end(struct pn_role_life *life)
{
    struct worker_process *w = life->ctx;
    if (w->worker == NULL)
        return;
    pn_worker_free(&w->worker);
    pn_timer_free(&w->drain_timer);
    pn_timer_free(&w->first_timer);
    pn_worker_instances_free(w->options.plugins, w->options.count);
}

/* The template's own channel and loop go first; plugins, plan and policy stay. */
_Noreturn static void be_worker(struct template *t, int control_fd, struct pn_ticking *ticking)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_WORKER,
        .says_ready = true,
        .control = {.on_peer = on_worker_peer, .on_drain = on_worker_drain},
        .begin = worker_begin,
        .open = worker_open,
        .join = worker_join,
        .end = worker_end,
    };
    struct worker_process w = {.template = t, .ticking = ticking};
    struct pn_role_env env;
    pn_loop_after_fork(t->life->loop);
    pn_timer_free(&t->refresh);
    pn_control_free(&t->life->control);
    pn_loop_free(&t->life->loop);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (!pn_role_env_read(&env, control_fd))
        _exit(1);
    int status = pn_role_run(&env, &steps, &w);
    pn_role_env_fini(&env);
    _exit(status);
}

/* ---- the template */

static void tell(struct template *t, uint16_t type, const struct pn_worker *w)
{
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_worker_put(&b, w);
    /* Who told it to drain may be gone: it asked for no more news. */
    if (!pn_control_send(t->life->control, type, pn_buf_str(&b), NULL, 0) && !t->draining)
        pn_warn("the supervisor takes no news of workers");
    pn_buf_fini(&b);
}

/* There is one. */
static unsigned free_slot(const struct template *t)
{
    unsigned slot = 0;
    for (unsigned i = 0; i < t->count; i++)
        if (t->children[i].slot == slot) {
            slot++;
            i = UINT_MAX; /* from the beginning */
        }
    return slot;
}

static void spawn(struct template *t, uint32_t number, int control_fd)
{
    struct pn_worker w = {.number = number};
    unsigned slot = t->count < CHILDREN_MAX ? free_slot(t) : 0;
    struct pn_ticking *ticking = t->count < CHILDREN_MAX ? tick_watch_begin(&t->ticks, slot) : NULL;
    pid_t pid = t->count < CHILDREN_MAX ? fork() : -1;
    if (pid == 0)
        be_worker(t, control_fd, ticking);
    (void)close(control_fd);
    if (pid < 0) {
        pn_error("cannot fork worker %u: %s", number, strerror(errno));
        w.status = 1 << 8; /* as if it had said 1 */
        tell(t, PN_REC_WORKER_DOWN, &w);
        return;
    }
    t->children[t->count].pid = w.pid = pid;
    t->children[t->count].slot = slot;
    t->children[t->count++].number = number;
    tell(t, PN_REC_WORKER_UP, &w);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct template *t = ctx;
    struct pn_worker w;
    if (record->type != PN_REC_SPAWN_WORKER || record->nfds != 1 ||
        !pn_worker_get(record->body, &w))
        return false;
    int fd = record->fds[0];
    record->fds[0] = -1;
    spawn(t, w.number, fd);
    return true;
}

/* A worker that was killed from outside died of nothing that ran in it. */
static void look_for_ticks(struct template *t, unsigned slot, int status)
{
    bool outside = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    uint64_t those = tick_watch_end(&t->ticks, slot, status == 0 || outside);
    unsigned count;
    const struct host_plugin *plugins = pn_group_plugins(t->group, &count);
    for (unsigned i = 0; i < count; i++)
        if ((those >> i & 1) != 0)
            pn_warn("plugin %s: a worker died while it was in its tick; the next one calls that "
                    "later",
                    plugins[i].desc->name);
}

static void stop_if_done(struct template *t)
{
    if (t->draining && t->count == 0)
        pn_loop_stop(t->life->loop);
}

static void on_child(void *ctx, int signo)
{
    struct template *t = ctx;
    int status;
    (void)signo;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
        if (WIFSTOPPED(status)) { /* nothing in it goes on: its messages are to go elsewhere */
            pn_warn("a worker was stopped by signal %d; it is killed", WSTOPSIG(status));
            (void)kill(pid, SIGKILL);
            continue;
        }
        for (unsigned i = 0; i < t->count; i++)
            if (t->children[i].pid == pid) {
                struct pn_worker w = {t->children[i].number, pid, status};
                look_for_ticks(t, t->children[i].slot, status);
                t->children[i] = t->children[--t->count];
                tell(t, PN_REC_WORKER_DOWN, &w);
                break;
            }
    }
    stop_if_done(t);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct template *t = ctx;
    (void)limit_ms;
    t->draining = true;
    stop_if_done(t);
}

/* Plugins look after the files that they prepared. What they found is for the supervisor: it
 * makes a template of the new ones beside us. */
static void on_refresh(void *ctx)
{
    struct template *t = ctx;
    unsigned count;
    struct host_plugin *plugins = pn_group_plugins(t->group, &count);
    for (unsigned i = 0; i < count && !t->draining; i++) {
        const struct postern_plugin *d = plugins[i].desc;
        if (d->changed != NULL && plugins[i].prepared != NULL &&
            d->changed(plugins[i].prepared) == 1 &&
            !pn_control_send(t->life->control, PN_REC_PLUGIN_CHANGED, pn_str_of(d->name), NULL, 0))
            pn_warn("the supervisor takes no news of plugin %s", d->name);
    }
    pn_timer_set(t->refresh, (uint64_t)pn_policy_int(t->policy, "workers.refresh"));
}

static bool load(struct template *t, struct pn_buf *err)
{
    struct pn_role_env *env = t->life->env;
    struct pn_folder *tmp = pn_role_env_folder(env, PN_FOLDER_PRIVATE);
    t->policy = pn_policy_open(env->gen->policy_fd, err);
    env->gen->policy_fd = -1;
    if (t->policy == NULL)
        return false;
    t->plan = pn_plan_new(t->policy, env->start.generation);
    t->group =
        pn_group_load(t->plan, env->start.group, tmp == NULL ? PN_STR("") : tmp->path, env, err);
    return t->group != NULL;
}

/* Plugins, as our own user. The jail: what any worker of the group may, and forking. */
static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct template *t = life->ctx;
    t->life = life;
    tick_watch_init(&t->ticks, CHILDREN_MAX);
    (void)pn_charset_preload();
    if (!pn_jail_drop(life->env)) {
        (void)pn_buf_addz(err, "ids could not be dropped");
        return false;
    }
    if (!load(t, err))
        return false;
    life->jail.grants = pn_group_grants(t->plan, life->env->start.group);
    return true;
}

static void join(struct pn_role_life *life)
{
    struct template *t = life->ctx;
    pn_loop_signal(life->loop, SIGCHLD, on_child, t);
    t->refresh = pn_timer_new(life->loop, on_refresh, t);
    pn_timer_set(t->refresh, (uint64_t)pn_policy_int(t->policy, "workers.refresh"));
}

static void end(struct pn_role_life *life)
{
    struct template *t = life->ctx;
    pn_timer_free(&t->refresh);
    tick_watch_fini(&t->ticks);
    pn_group_free(&t->group);
    pn_plan_unref(&t->plan);
    pn_policy_unref(&t->policy);
}

int pn_filter_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_TEMPLATE,
        .control = {.on_drain = on_drain, .on_record = on_record},
        .begin = begin,
        .join = join,
        .end = end,
    };
    struct template t = {0};
    return pn_role_run(env, &steps, &t);
}

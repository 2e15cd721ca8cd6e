#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "supervisor_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    QUEUE_BYTES = 16 * 1024 * 1024,
    START_LIMIT_MS = 120 * 1000, /* virus databases load for long */
    TEMPLATE_DRAIN_MS = 5 * 1000,
    PLUGIN_NAME_MAX = 64,
    WORKER_PATIENCE_MS = 200, /* between its channel's end and its own */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 30 * 1000,
    START_TRIES = 3,
    WORKER_AT_ONCE = 10, /* deaths: of messages, as likely as not, and the others need it back */
    WORKER_BACKOFF_MAX_MS = 1000,
    FORGIVEN_MS = 30 * 1000 /* a death is, for each so long that it lives again */
};

enum pn_role child_role(const struct child *c)
{
    return peer_role(c->kind);
}

bool child_alive(const struct child *c)
{
    return c->control != NULL && (c->state == CHILD_STARTING || c->state == CHILD_READY);
}

static void close_control(struct child *c)
{
    pn_channel_free(&c->control);
}

static struct child *template_of(struct child *worker)
{
    for (struct child *c = worker->sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_TEMPLATE && c->group == worker->group &&
            c->generation == worker->generation)
            return c;
    return NULL;
}

static struct child *worker_by_number(struct supervisor *sup, uint32_t number)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_WORKER && c->number == number)
            return c;
    return NULL;
}

static bool can_fork(const struct child *template)
{
    return template != NULL && template->control != NULL && template->state == CHILD_READY;
}

/* ---- death and restart */

uint64_t child_backoff(struct child *c, uint64_t lived_ms)
{
    uint64_t forgiven = lived_ms / FORGIVEN_MS;
    c->fails = c->fails > forgiven ? c->fails - (unsigned)forgiven + 1 : 1;
    bool worker = c->kind == PEER_WORKER;
    unsigned at_once = worker ? WORKER_AT_ONCE : 1;
    uint64_t ms = BACKOFF_FIRST_MS, most = worker ? WORKER_BACKOFF_MAX_MS : BACKOFF_MAX_MS;
    if (c->fails <= at_once)
        return 0;
    for (unsigned i = at_once + 1; i < c->fails && ms < most; i++)
        ms *= 2;
    return ms < most ? ms : most;
}

static bool has_workers(const struct child *template)
{
    for (const struct child *c = template->sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_WORKER && c->group == template->group &&
            c->generation == template->generation && c->state != CHILD_OFF)
            return true;
    return false;
}

/* An old template stays as long as it has workers, since one that dies is forked again. */
static void sweep(void *arg)
{
    struct supervisor *sup = arg;
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_TEMPLATE && c->retired && c->state == CHILD_READY && !has_workers(c))
            child_drain(c, TEMPLATE_DRAIN_MS);
    child_sweep(sup);
    reload_adjust(sup); /* somebody may wait for the number of one who is gone */
}

void child_sweep_soon(struct supervisor *sup)
{
    pn_loop_defer(sup->loop, sweep, sup);
}

/* Edges have sessions yet that began with its plugins: it died, not ended. */
static bool still_needed(struct child *c, enum child_state was, bool clean)
{
    return c->kind == PEER_WORKER && !c->solo && !clean && was != CHILD_STARTING &&
           can_fork(template_of(c));
}

static void restart(struct child *c, const char *how, bool clean)
{
    uint64_t wait = child_backoff(c, (pn_clock_mono_ns() - c->started) / PN_NS_PER_MS);
    if (clean) {
        pn_info("%s starts anew", c->name);
    } else {
        pn_error("%s died: %s; it starts again%s", c->name, how, wait == 0 ? "" : " soon");
        tell_died(c, how, wait);
    }
    if (!c->retired)
        pn_timer_set(c->timer, wait);
    else if (wait == 0)
        child_start(c); /* now, or the sweep takes it */
    tell_state(c->sup);
}

/* What a worker dies of before it is ready, without a word, may be a plugin's tick, which its
 * template puts off in the next one: what the world answered must not refuse a start. */
static bool may_try_again(const struct child *c)
{
    return c->kind == PEER_WORKER && !c->solo && c->why[0] == '\0' && c->fails < START_TRIES;
}

/* Its process is gone, or as good as gone. clean: it ended as it was asked to, or asks
 * to be started anew. */
static void gone(struct child *c, const char *how, bool clean)
{
    struct supervisor *sup = c->sup;
    enum child_state was = c->state;
    c->state = CHILD_OFF;
    c->pid = 0;
    close_control(c);
    pn_timer_clear(c->timer);
    child_sweep_soon(sup); /* never while somebody walks the list */
    bool over = (was == CHILD_DRAINING || c->retired) && !still_needed(c, was, clean);
    if (sup->state == SUP_STOPPING || over) {
        if (!clean)
            pn_warn("%s ended: %s", c->name, how);
        stop_step(sup);
        return;
    }
    if (was == CHILD_STARTING && !may_try_again(c) && bringup_failed(sup, c, how))
        return;
    if (!c->solo) {
        restart(c, how, clean);
        return;
    }
    /* Its edge knows by now what it wanted to know. */
    c->retired = true;
    if (!clean)
        tell_died(c, how, 0);
}

static void describe(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, size, "signal %d (%s)", WTERMSIG(status),
                       sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

void child_reap(struct supervisor *sup)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *c = sup->children;
        while (c != NULL && (c->pid != pid || c->kind == PEER_WORKER))
            c = c->next;
        if (c == NULL) /* compile sees its channel end; orphaned workers theirs */
            continue;
        char how[300];
        describe(status, how, sizeof how);
        if (c->why[0] != '\0')
            (void)snprintf(how, sizeof how, "%s", c->why);
        gone(c, how, WIFEXITED(status) && WEXITSTATUS(status) == 0 && c->why[0] == '\0');
    }
}

/* ---- its control channel */

static void worker_record(struct child *template, const struct pn_worker *w, bool up)
{
    struct child *c = worker_by_number(template->sup, w->number);
    if (c == NULL || c->group != template->group || c->generation != template->generation)
        return;
    if (up) {
        c->pid = w->pid;
        return;
    }
    char how[64];
    describe(w->status, how, sizeof how);
    if (c->state != CHILD_OFF)
        gone(c, how, WIFEXITED(w->status) && WEXITSTATUS(w->status) == 0);
}

/* An edge has no channel to it any more. A process that ended is reaped in that time, and
 * says more of why; one that did not is of no use to that edge. */
static void worker_lost(struct supervisor *sup, uint32_t number)
{
    struct child *c = worker_by_number(sup, number);
    if (c == NULL || (c->state != CHILD_READY && c->state != CHILD_STARTING))
        return;
    (void)snprintf(c->why, sizeof c->why, "an edge lost the channel to it, or it stood still");
    pn_timer_set(c->timer, WORKER_PATIENCE_MS);
}

static bool on_ready(struct child *c)
{
    if (c->state != CHILD_STARTING)
        return c->state == CHILD_DRAINING;
    c->state = CHILD_READY;
    pn_timer_clear(c->timer);
    pn_debug("%s is ready", c->name);
    if (c->retired) /* it died while it served the sessions of an old generation */
        child_drain(c, CHILD_OLD_PLUGINS_MS);
    if (c->kind == PEER_ADMIN)
        tell_flush(c->sup);
    tell_state(c->sup);
    bringup_step(c->sup);
    return true;
}

static bool on_record(void *ctx, struct pn_record *r)
{
    struct child *c = ctx;
    struct pn_worker worker;
    struct pn_want_solo want;
    struct pn_peer peer;
    uint32_t number;
    switch (r->type) {
    case PN_REC_READY:
        return on_ready(c);
    case PN_REC_FAILED:
        (void)snprintf(c->why, sizeof c->why, "%.*s", PN_FMT(r->body));
        return true;
    case PN_REC_WORKER_UP:
    case PN_REC_WORKER_DOWN:
        if (c->kind != PEER_TEMPLATE || !pn_worker_get(r->body, &worker))
            return false;
        worker_record(c, &worker, r->type == PN_REC_WORKER_UP);
        return true;
    case PN_REC_PLUGIN_CHANGED:
        if (c->kind != PEER_TEMPLATE || r->body.len > PLUGIN_NAME_MAX)
            return false;
        reload_plugins(c, r->body);
        return true;
    case PN_REC_WANT_SOLO:
        if (c->kind != PEER_EDGE || !pn_want_solo_get(r->body, &want))
            return false;
        solo_want(c, &want);
        return true;
    case PN_REC_WORKER_LOST:
        if (c->kind != PEER_EDGE || !pn_u32_get(r->body, &number))
            return false;
        worker_lost(c->sup, number);
        return true;
    case PN_REC_PEER_MISSING:
        if (!pn_peer_get(r->body, &peer))
            return false;
        repair_peer(c, (enum pn_role)peer.role, peer.number);
        return true;
    case PN_REC_WANT_GENERATION:
        repair_generation(c);
        return true;
    case PN_REC_WANT_STATE_SOCKET:
        if (c->kind != PEER_STATE)
            return false;
        state_socket_want(c);
        return true;
    case PN_REC_COMMAND:
        return c->kind == PEER_ADMIN && command_run(c, r->body);
    default:
        return false;
    }
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct child *c = ctx;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("%s sent what is no record; it is killed", c->name);
    close_control(c);
    /* It ends by itself when its channel does; SIGCHLD tells, or a worker's template
     * does. Whoever hangs is killed. */
    uint64_t patience = c->kind == PEER_WORKER ? WORKER_PATIENCE_MS : 2000;
    pn_timer_set(c->timer, how == PN_CHANNEL_PROTOCOL ? 0 : patience);
}

static void on_timer(void *arg)
{
    struct child *c = arg;
    if (c->state == CHILD_OFF) {
        if (!c->retired && c->sup->state != SUP_STOPPING)
            child_start(c);
        return;
    }
    if (c->state == CHILD_STARTING && c->control != NULL)
        (void)snprintf(c->why, sizeof c->why, "it was not ready after %d s", START_LIMIT_MS / 1000);
    child_kill(c);
}

bool child_send(struct child *c, uint16_t type, struct pn_buf *body, int fd)
{
    struct pn_str s = body == NULL ? (struct pn_str){"", 0} : pn_buf_str(body);
    if (c->control == NULL)
        return false;
    if (pn_channel_send(c->control, type, s, &fd, fd >= 0 ? 1 : 0))
        return true;
    pn_error("%s does not read what it is told", c->name);
    return false;
}

/* ---- life */

static void set_name(struct child *c)
{
    static const char *const what[PEER_KIND_COUNT] = {
        [PEER_TEMPLATE] = "template", [PEER_WORKER] = "worker"};
    const char *name = what[c->kind] == NULL ? pn_role_name(child_role(c)) : what[c->kind];
    if (c->kind == PEER_ADMIN || c->kind == PEER_RESOLVER || c->kind == PEER_QUEUE ||
        c->kind == PEER_STATE || c->kind == PEER_SIGNER || c->kind == PEER_AUTH)
        (void)snprintf(c->name, sizeof c->name, "%s", name);
    else if (c->kind == PEER_TEMPLATE)
        (void)snprintf(c->name, sizeof c->name, "%s-%u.%u", name, c->generation, c->group);
    else
        (void)snprintf(c->name, sizeof c->name, "%s-%u", name, c->number);
}

struct child *child_add(struct supervisor *sup, enum peer_kind kind, uint32_t number,
                        uint32_t group, uint32_t generation)
{
    struct child *c = pn_calloc(1, sizeof *c);
    *c = (struct child){
        .sup = sup, .kind = kind, .number = number, .group = group, .generation = generation};
    c->timer = pn_timer_new(sup->loop, on_timer, c);
    set_name(c);
    struct child **end = &sup->children;
    while (*end != NULL)
        end = &(*end)->next;
    *end = c;
    return c;
}

/* A worker's number is never used twice, so that what its template says of the one
 * before can't be taken for it. */
static bool launch_worker(struct child *c)
{
    c->number = c->sup->next_worker++;
    set_name(c);
    struct child *template = template_of(c);
    int fds[2];
    if (!can_fork(template) || pn_channel_pair(fds) != 0)
        return false;
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_worker_put(&b, &(struct pn_worker){.number = c->number});
    bool ok = child_send(template, PN_REC_SPAWN_WORKER, &b, fds[1]);
    pn_buf_fini(&b);
    (void)close(fds[1]);
    if (!ok) {
        (void)close(fds[0]);
        return false;
    }
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    c->control = pn_channel_new(c->sup->loop, fds[0], &ops, c, QUEUE_BYTES);
    return true;
}

static bool launch_process(struct child *c)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    struct pn_launch launch;
    struct pn_buf err;
    pn_buf_init(&err, 500);
    bool ok = pn_launch(&launch, c->sup->options->program, child_role(c), &err);
    if (ok) {
        c->pid = launch.pid;
        c->control = pn_channel_new(c->sup->loop, launch.fd, &ops, c, QUEUE_BYTES);
    } else {
        pn_error("%s can't be started: %s", c->name, pn_buf_cstr(&err));
    }
    pn_buf_fini(&err);
    return ok;
}

void child_start(struct child *c)
{
    pn_assert(c->state == CHILD_OFF && c->control == NULL);
    c->started = pn_clock_mono_ns();
    c->why[0] = '\0';
    if (!(c->kind == PEER_WORKER ? launch_worker(c) : launch_process(c))) {
        pn_timer_set(c->timer, BACKOFF_FIRST_MS); /* the template may be on its way */
        return;
    }
    c->state = CHILD_STARTING;
    pn_timer_set(c->timer, START_LIMIT_MS);
    give_environment(c);
}

/* A worker's process id is its template's word, which runs plugins; and it may be another's by
 * now. So it must be the template's child, or one that it left to us. */
static bool is_worker(struct child *c)
{
    const struct child *template = template_of(c);
    pid_t parent = process_parent(c->pid);
    if (parent > 0 && template != NULL && template->pid == parent)
        return true;
    for (const struct child *other = c->sup->children; other != NULL; other = other->next)
        if (other->kind != PEER_WORKER && other->pid == c->pid)
            return false;
    return parent == getpid();
}

void child_kill(struct child *c)
{
    if (c->pid > 0 && (c->kind != PEER_WORKER || is_worker(c)))
        (void)kill(c->pid, SIGKILL);
    if (c->kind == PEER_WORKER && c->state != CHILD_OFF)
        gone(c, c->why[0] != '\0' ? c->why : "its channel ended", c->state == CHILD_DRAINING);
}

void child_drain(struct child *c, uint64_t limit_ms)
{
    if (c->state == CHILD_OFF || c->state == CHILD_DRAINING)
        return;
    struct pn_buf b;
    c->state = CHILD_DRAINING;
    pn_buf_init(&b, 16);
    pn_u32_put(&b, limit_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)limit_ms);
    (void)child_send(c, PN_REC_DRAIN, &b, -1);
    pn_buf_fini(&b);
    pn_timer_set(c->timer, limit_ms + 1000);
}

void child_retire(struct child *c, uint64_t limit_ms)
{
    c->retired = true;
    if (c->state == CHILD_OFF)
        pn_timer_clear(c->timer);
    else
        child_drain(c, limit_ms);
}

void child_sweep(struct supervisor *sup)
{
    for (struct child **at = &sup->children; *at != NULL;) {
        struct child *c = *at;
        if (!c->retired || c->state != CHILD_OFF) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        close_control(c);
        pn_timer_free(&c->timer);
        free(c);
    }
}

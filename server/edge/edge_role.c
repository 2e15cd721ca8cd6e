/* The edge role: from a fresh process to serving, and back. */
#include "edge_role.h"

#include "edge.h"
#include "log.h"
#include "mem.h"
#include "role.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64, ACCEPT_PAUSE_MS = 200 };

/* ---- listeners ---- */

static void listen_for(struct edge *edge, unsigned events)
{
    for (size_t i = 0; i < edge->listener_count; i++)
        pn_watch_set(edge->listeners[i].watch, events);
}

static void on_accept_again(void *arg)
{
    listen_for(arg, PN_WATCH_READ);
}

/* To be woken for a connection that can't be accepted would be a busy loop. */
static void no_descriptors(struct edge *edge)
{
    pn_warn("no descriptor left for a connection");
    listen_for(edge, 0);
    if (edge->accept_timer == NULL)
        edge->accept_timer = pn_timer_new(edge->loop, on_accept_again, edge);
    pn_timer_set(edge->accept_timer, ACCEPT_PAUSE_MS);
}

static void on_accept(void *arg, unsigned events)
{
    struct edge_listener *l = arg;
    struct sockaddr_storage ss;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        socklen_t len = sizeof ss;
        int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                no_descriptors(l->edge);
            else if (i != 0)
                pn_watch_pass(l->watch);
            return;
        }
        session_accept(l, fd, (struct sockaddr *)&ss);
    }
}

static void close_listeners(struct edge *edge)
{
    for (size_t i = 0; i < edge->listener_count; i++) {
        pn_watch_free(&edge->listeners[i].watch);
        (void)close(edge->listeners[i].fd);
    }
    free(edge->listeners);
    edge->listeners = NULL;
    edge->listener_count = 0;
}

static bool is_ours(enum pn_listen_kind kind)
{
    return kind <= PN_LISTEN_POP3S;
}

/* Users log in over TLS only, unless those who read their mail here may do without. */
static bool needs_tls(const struct edge_generation *g, enum pn_listen_kind kind)
{
    if (kind == PN_LISTEN_IMAP || kind == PN_LISTEN_POP3)
        return !g->plain_login;
    return kind == PN_LISTEN_SMTPS || kind == PN_LISTEN_SUBMISSION ||
           kind == PN_LISTEN_SUBMISSIONS || kind == PN_LISTEN_IMAPS || kind == PN_LISTEN_POP3S;
}

/* Takes the sockets of a generation in place of those of the one before. */
static void open_listeners(struct edge *edge, struct pn_generation *gen)
{
    close_listeners(edge);
    edge->listeners = pn_calloc(gen->listener_count, sizeof *edge->listeners);
    for (size_t i = 0; i < gen->listener_count; i++) {
        struct pn_listener *from = &gen->listeners[i];
        struct edge_listener *l = &edge->listeners[edge->listener_count];
        pn_policy_listen(edge->gen->policy, from->row, &l->listen);
        if (!is_ours(l->listen.kind))
            continue;
        if (needs_tls(edge->gen, l->listen.kind) && edge->gen->tls == NULL) {
            pn_error("port %u needs TLS, but there is no certificate: it stays closed",
                     l->listen.port);
            continue;
        }
        l->edge = edge;
        l->fd = from->fd;
        l->row = from->row;
        from->fd = -1;
        l->watch = pn_watch_new(edge->loop, l->fd, PN_WATCH_READ, on_accept, l);
        pn_watch_share(l->watch); /* with the other edges */
        edge->listener_count++;
    }
}

/* ---- the supervisor speaks ---- */

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct edge *edge = ctx;
    struct pn_buf err;
    pn_buf_init(&err, 1024);
    struct edge_generation *g = edge_generation_new(gen, &err);
    if (g == NULL) {
        pn_error("the new policy stays out: %s", pn_buf_cstr(&err));
    } else {
        edge_generation_unref(&edge->gen);
        edge->gen = g;
        pn_runner_plan(edge->runner, g->plan, g->hostname);
        open_listeners(edge, gen);
    }
    pn_buf_fini(&err);
    pn_generation_free(&gen);
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct edge *edge = ctx;
    if (peer->role == PN_ROLE_FILTER)
        pn_runner_add_worker(edge->runner, peer);
    else if (peer->role == PN_ROLE_RESOLVER)
        client_names_peer(edge, peer);
    else if (peer->role == PN_ROLE_STATE)
        edge_state_peer(edge, peer);
    else if (peer->role == PN_ROLE_AUTH)
        edge_auth_peer(edge, peer);
    else if (!pn_admin_link_peer(edge->admin, peer) && !pn_signer_link_peer(edge->signer, peer))
        (void)outbox_peer(edge, peer);
}

static void on_drain_end(void *arg)
{
    struct edge *edge = arg;
    pn_loop_stop(edge->loop);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct edge *edge = ctx;
    edge->draining = true;
    close_listeners(edge);
    for (struct session *s = edge->sessions, *next; s != NULL; s = next) {
        next = s->next;
        session_drain(s);
    }
    relays_drain(edge);
    edge_stop_if_idle(edge);
    edge->drain_timer = pn_timer_new(edge->loop, on_drain_end, edge);
    pn_timer_set(edge->drain_timer, limit_ms);
}

static void on_want_solo(void *ctx, const struct pn_want_solo *want)
{
    struct edge *edge = ctx;
    struct pn_buf body;
    pn_buf_init(&body, 256);
    pn_want_solo_put(&body, want);
    if (!pn_control_send(edge->control, PN_REC_WANT_SOLO, pn_buf_str(&body), NULL, 0))
        pn_warn("the supervisor takes no request for a worker");
    pn_buf_fini(&body);
}

static void on_lost_worker(void *ctx, uint32_t number)
{
    struct edge *edge = ctx;
    struct pn_buf body;
    pn_buf_init(&body, 16);
    pn_u32_put(&body, number);
    if (!pn_control_send(edge->control, PN_REC_WORKER_LOST, pn_buf_str(&body), NULL, 0))
        pn_warn("the supervisor takes no news of a lost worker");
    pn_buf_fini(&body);
}

/* Kept by admin, so that somebody can mend the plugin. */
static void on_plugin_failure(void *ctx, const struct pn_failure *f)
{
    struct edge *edge = ctx;
    int fds[2] = {pn_memfile_of("case", f->body), f->content_fd};
    if (fds[0] < 0 || !pn_admin_link_send(edge->admin, PN_REC_REPRODUCER, PN_STR(""), fds,
                                          f->content_fd < 0 ? 1 : 2))
        pn_warn("no reproducer for plugin %.*s: admin takes none", PN_FMT(f->plugin));
    if (fds[0] >= 0)
        (void)close(fds[0]);
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    static const struct pn_runner_ops runner_ops = {
        .want_solo = on_want_solo, .lost_worker = on_lost_worker, .on_failure = on_plugin_failure};
    struct edge *edge = life->ctx;
    const struct pn_role_env *env = life->env;
    size_t metric_count;
    edge->gen = edge_generation_new(env->gen, err);
    if (edge->gen == NULL)
        return false;
    edge->scratch = pn_alloc(PN_SMTP_RESERVE_MAX);
    edge->ids.tag = (uint16_t)(edge->number % PN_QUEUE_ID_TAG_MAX);
    edge->loop = life->loop;
    edge->metrics = edge_metrics_new(&metric_count);
    edge->admin =
        pn_admin_link_new(edge->loop, edge->metrics, metric_count, edge_metrics_fill, edge);
    edge->signer = pn_signer_link_new(edge->loop);
    edge->runner =
        pn_runner_new(edge->loop, edge->gen->plan, edge->gen->hostname, &runner_ops, edge);
    if (env->limits_fd >= 0)
        edge->limits = pn_limits_open(env->limits_fd, edge->number);
    if (edge->limits == NULL)
        pn_warn("no table of limits: sessions and rates are not limited");
    return true;
}

static void join(struct pn_role_life *life)
{
    struct edge *edge = life->ctx;
    edge->control = life->control;
    pn_admin_link_control(edge->admin, edge->control);
    pn_signer_link_control(edge->signer, edge->control);
    open_listeners(edge, life->env->gen);
    pn_generation_free(&life->env->gen);
}

static void end(struct pn_role_life *life)
{
    struct edge *edge = life->ctx;
    close_listeners(edge);
    edge->draining = false;
    while (edge->sessions != NULL)
        session_free(edge->sessions);
    relays_free(edge);
    outbox_free(edge);
    client_names_free(edge);
    edge_state_free(edge);
    edge_auth_free(edge);
    pn_timer_free(&edge->drain_timer);
    pn_timer_free(&edge->accept_timer);
    pn_admin_link_free(&edge->admin);
    pn_signer_link_free(&edge->signer);
    pn_limits_close(&edge->limits);
    pn_runner_free(&edge->runner);
    edge_generation_unref(&edge->gen);
    free(edge->scratch);
    free(edge->metrics);
}

int pn_edge_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_EDGE,
        .control = {.on_generation = on_generation, .on_peer = on_peer, .on_drain = on_drain},
        .begin = begin,
        .join = join,
        .end = end,
    };
    struct edge edge = {.number = env->start.number};
    return pn_role_run(env, &steps, &edge);
}

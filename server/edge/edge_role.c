/* The edge role: from a fresh process to serving, and back. */
#include "edge_role.h"

#include "edge.h"
#include "jail.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64, ACCEPT_PAUSE_MS = 200 };

/* ---- generations ---- */

static void fill_smtp(struct edge_generation *g, struct pn_smtp_server_config *c, bool normalize)
{
    const struct pn_policy *p = g->policy;
    *c = (struct pn_smtp_server_config){
        .name = g->hostname,
        .banner = PN_STR("Postern"),
        .size_max = g->size_max,
        .rcpt_max = (uint32_t)pn_policy_int(p, "limits.recipients"),
        .mail_max = (uint32_t)pn_policy_int(p, "limits.transactions"),
        .error_max = (uint32_t)pn_policy_int(p, "limits.errors"),
        .unknown_max = (uint32_t)pn_policy_int(p, "limits.errors"),
        .line_max = (uint32_t)pn_policy_int(p, "limits.command-line"),
        .idle_max = 10 * (uint32_t)pn_policy_int(p, "limits.errors"),
        .starttls = g->tls != NULL,
        .normalize = normalize};
}

static uint32_t count_of(const struct pn_policy *p, const char *row)
{
    return (uint32_t)pn_policy_int(p, row);
}

static void fill_limits(const struct pn_policy *p, struct pn_limit_rules *rules)
{
    *rules = (struct pn_limit_rules){
        .address_sessions = count_of(p, "limits.sessions-per-address"),
        .network_sessions = count_of(p, "limits.sessions-per-network"),
        .address = {[PN_RATE_CONNECT] = count_of(p, "limits.connections-per-minute"),
                    [PN_RATE_MAIL] = count_of(p, "limits.messages-per-minute"),
                    [PN_RATE_RCPT] = count_of(p, "limits.recipients-per-minute")},
        .network = {[PN_RATE_CONNECT] = count_of(p, "limits.connections-per-minute-network"),
                    [PN_RATE_MAIL] = count_of(p, "limits.messages-per-minute-network"),
                    [PN_RATE_RCPT] = count_of(p, "limits.recipients-per-minute-network")}};
}

static void fill_settings(struct edge_generation *g)
{
    const struct pn_policy *p = g->policy;
    g->hostname = pn_policy_str(p, "smtp.hostname");
    g->authserv_id = pn_policy_str(p, "smtp.authserv-id");
    if (g->authserv_id.len == 0)
        g->authserv_id = g->hostname;
    g->size_max = (uint64_t)pn_policy_int(p, "limits.message-size");
    g->memory_max = (uint64_t)pn_policy_int(p, "limits.memory-size");
    g->client_names = pn_policy_bool(p, "smtp.client-name");
    g->hops_max = (uint32_t)pn_policy_int(p, "limits.hops");
    g->greet_delay_ms = (uint64_t)pn_policy_int(p, "smtp.greet-delay");
    g->command_ms = (uint64_t)pn_policy_int(p, "timeouts.command");
    g->data_ms = (uint64_t)pn_policy_int(p, "timeouts.data");
    g->handshake_ms = (uint64_t)pn_policy_int(p, "timeouts.handshake");
    g->proxy_ms = (uint64_t)pn_policy_int(p, "timeouts.proxy");
    g->session_ms = (uint64_t)pn_policy_int(p, "timeouts.session");
    g->data_rate = (uint64_t)pn_policy_int(p, "limits.data-rate");
    g->sessions_max = (uint64_t)pn_policy_int(p, "limits.sessions");
    g->flight_messages_max = (uint64_t)pn_policy_int(p, "limits.messages-in-flight");
    g->flight_bytes_max = (uint64_t)pn_policy_int(p, "limits.bytes-in-flight");
    fill_limits(p, &g->limits);
    for (unsigned stage = POSTERN_CONNECT; stage <= POSTERN_RCPT; stage++)
        g->early_stages = g->early_stages || pn_plan_at(g->plan, stage) != 0;
}

struct edge_generation *edge_generation_new(const struct pn_generation *gen, struct pn_buf *err)
{
    struct edge_generation *g = pn_calloc(1, sizeof *g);
    int fd = dup(gen->policy_fd);
    g->refs = 1;
    g->serial = gen->serial;
    g->policy = fd < 0 ? NULL : pn_policy_open(fd, err);
    if (gen->identity_count != 0)
        g->tls = pn_tls_server_new(gen->identities, gen->identity_count, err);
    if (g->policy == NULL || (gen->identity_count != 0 && g->tls == NULL)) {
        edge_generation_unref(&g);
        return NULL;
    }
    g->plan = pn_plan_new(g->policy, gen->serial);
    fill_settings(g);
    fill_smtp(g, &g->smtp[0], false);
    fill_smtp(g, &g->smtp[1], true);
    return g;
}

void edge_generation_unref(struct edge_generation **gp)
{
    struct edge_generation *g = *gp;
    *gp = NULL;
    if (g == NULL || --g->refs != 0)
        return;
    if (g->plan != NULL)
        pn_plan_unref(&g->plan);
    pn_tls_unref(&g->tls);
    if (g->policy != NULL)
        pn_policy_unref(&g->policy);
    free(g);
}

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

static bool is_smtp(enum pn_listen_kind kind)
{
    return kind == PN_LISTEN_SMTP || kind == PN_LISTEN_SMTPS;
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
        if (!is_smtp(l->listen.kind))
            continue;
        if (l->listen.kind == PN_LISTEN_SMTPS && edge->gen->tls == NULL) {
            pn_error("port %u speaks TLS, but there is no certificate: it stays closed",
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

/* ---- counters ---- */

enum {
    M_SESSIONS,
    M_SESSIONS_TOTAL,
    M_EVENTS_LOST,
    M_REQUESTS,
    M_REPLAYS,
    M_WORKERS_LOST,
    M_OUTCOMES,
    METRICS = M_OUTCOMES + PN_REJECT + 1
};

#define OUTCOME(name)                                                                              \
    {                                                                                              \
        "postern_messages_total", "outcome=\"" name "\"", "Messages by what became of them.",      \
            PN_COUNTER, 0                                                                          \
    }

static const struct pn_metric metric_rows[METRICS] = {
    [M_SESSIONS] = {"postern_sessions", NULL, "SMTP sessions now.", PN_GAUGE, 0},
    [M_SESSIONS_TOTAL] = {"postern_sessions_total", NULL, "SMTP sessions.", PN_COUNTER, 0},
    [M_EVENTS_LOST] = {"postern_events_lost_total", NULL, "Event lines that found no writer.",
                       PN_COUNTER, 0},
    [M_REQUESTS] = {"postern_filter_requests_total", NULL, "Requests to filter workers.",
                    PN_COUNTER, 0},
    [M_REPLAYS] = {"postern_filter_replays_total", NULL,
                   "Requests sent again because a worker died or hung.", PN_COUNTER, 0},
    [M_WORKERS_LOST] =
        {"postern_filter_workers_lost_total", NULL,
         "Filter workers that died or stood still with requests of this edge or none.", PN_COUNTER,
         0},
    [M_OUTCOMES + PN_ACCEPT] = OUTCOME("accept"),
    [M_OUTCOMES + PN_JUNK] = OUTCOME("junk"),
    [M_OUTCOMES + PN_QUARANTINE] = OUTCOME("quarantine"),
    [M_OUTCOMES + PN_DISCARD] = OUTCOME("discard"),
    [M_OUTCOMES + PN_DEFER] = OUTCOME("defer"),
    [M_OUTCOMES + PN_REJECT] = OUTCOME("reject"),
};

void edge_count(struct edge *edge, enum pn_outcome outcome)
{
    edge->metrics[M_OUTCOMES + outcome].value++;
}

static void fill_metrics(void *ctx)
{
    struct edge *edge = ctx;
    struct pn_runner_stats stats;
    pn_runner_stats(edge->runner, &stats);
    edge->metrics[M_SESSIONS].value = (int64_t)edge->session_count;
    edge->metrics[M_SESSIONS_TOTAL].value = (int64_t)edge->sessions_total;
    edge->metrics[M_EVENTS_LOST].value = (int64_t)edge->events_lost;
    edge->metrics[M_REQUESTS].value = (int64_t)stats.requests;
    edge->metrics[M_REPLAYS].value = (int64_t)stats.replays;
    edge->metrics[M_WORKERS_LOST].value = (int64_t)stats.worker_deaths;
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
    else if (!pn_admin_link_peer(edge->admin, peer))
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
    if (edge->sessions == NULL) {
        pn_loop_stop(edge->loop);
        return;
    }
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

static void edge_fini(struct edge *edge)
{
    close_listeners(edge);
    edge->draining = false;
    while (edge->sessions != NULL)
        session_free(edge->sessions);
    outbox_free(edge);
    client_names_free(edge);
    pn_timer_free(&edge->drain_timer);
    pn_timer_free(&edge->accept_timer);
    pn_admin_link_free(&edge->admin);
    pn_limits_close(&edge->limits);
    pn_runner_free(&edge->runner);
    pn_control_free(&edge->control);
    edge_generation_unref(&edge->gen);
    pn_loop_free(&edge->loop);
    free(edge->scratch);
}

int pn_edge_main(struct pn_role_env *env)
{
    static const struct pn_runner_ops runner_ops = {
        .want_solo = on_want_solo, .lost_worker = on_lost_worker, .on_failure = on_plugin_failure};
    static const struct pn_control_ops control_ops = {
        .on_generation = on_generation, .on_peer = on_peer, .on_drain = on_drain};
    static const struct pn_jail jail = {.kind = PN_JAIL_EDGE};
    struct edge edge = {.number = env->start.number};
    struct pn_buf err;
    struct pn_peer *peer;

    /* configuration */
    pn_buf_init(&err, 1024);
    edge.gen = edge_generation_new(env->gen, &err);
    if (edge.gen == NULL) {
        pn_role_env_failed(env, "%s", pn_buf_cstr(&err));
        pn_buf_fini(&err);
        return 1;
    }
    pn_buf_fini(&err);
    edge.scratch = pn_alloc(PN_SMTP_RESERVE_MAX);
    edge.ids.tag = (uint16_t)(env->start.number % PN_QUEUE_ID_TAG_MAX);
    (void)signal(SIGPIPE, SIG_IGN);

    /* loop and peers */
    edge.loop = pn_loop_new();
    struct pn_metric metrics[METRICS];
    memcpy(metrics, metric_rows, sizeof metrics);
    edge.metrics = metrics;
    edge.admin = pn_admin_link_new(edge.loop, metrics, METRICS, fill_metrics, &edge);
    edge.runner = pn_runner_new(edge.loop, edge.gen->plan, edge.gen->hostname, &runner_ops, &edge);
    while ((peer = pn_role_env_peer(env, PN_ROLE_FILTER)) != NULL)
        pn_runner_add_worker(edge.runner, peer);
    while ((peer = pn_role_env_peer(env, PN_ROLE_MAILBOX)) != NULL)
        (void)outbox_peer(&edge, peer);
    if ((peer = pn_role_env_peer(env, PN_ROLE_RESOLVER)) != NULL)
        client_names_peer(&edge, peer);
    if ((peer = pn_role_env_peer(env, PN_ROLE_QUEUE)) != NULL)
        (void)outbox_peer(&edge, peer);
    pn_admin_link_env(edge.admin, env);
    if (env->limits_fd >= 0)
        edge.limits = pn_limits_open(env->limits_fd, env->start.number % PN_LIMITS_EDGES_MAX);
    if (edge.limits == NULL)
        pn_warn("no table of limits: sessions and rates are not limited");

    /* jail, then the first foreign byte */
    if (!pn_jail_enter(env, &jail)) {
        pn_role_env_failed(env, "the jail could not be entered");
        return 1;
    }
    edge.control = pn_control_new(edge.loop, env, &control_ops, &edge);
    open_listeners(&edge, env->gen);
    pn_generation_free(&env->gen);
    pn_control_ready(edge.control);
    pn_loop_run(edge.loop);
    edge_fini(&edge);
    return 0;
}

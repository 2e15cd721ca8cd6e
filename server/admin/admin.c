#include "admin.h"

#include "admin_int.h"
#include "clock.h"
#include "handover.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "reproducers.h"
#include "role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_BYTES = 1024 * 1024, METRICS_MAX = PN_RECORD_MAX, PRUNE_MS = 3600 * 1000 };

/* ---- records of other roles */

static bool take_event(struct admin *admin, struct pn_record *record)
{
    struct pn_handover h;
    if (!pn_handover_open(record, &h))
        return false;
    struct pn_str line = h.body;
    bool ok = h.content_fd < 0 && line.len != 0 && line.p[0] == '{' &&
              pn_str_find(line, '\n', 0) == SIZE_MAX;
    if (ok)
        (void)events_add(admin->events, line); /* what it drops it counts */
    if (h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return ok;
}

static bool take_metrics(struct source *s, struct pn_record *record)
{
    static struct pn_metric_view views[PN_METRICS_MAX];
    size_t count;
    if (!pn_metrics_get(record->body, views, &count))
        return false;
    pn_buf_clear(&s->metrics);
    return pn_buf_adds(&s->metrics, record->body);
}

static struct reproducers_limits limits_of(const struct admin *admin)
{
    const struct pn_policy *p = admin->policy;
    return (struct reproducers_limits){.files = (unsigned)pn_policy_int(p, "reproducers.files"),
                                       .bytes = (uint64_t)pn_policy_int(p, "reproducers.size"),
                                       .age_ms = (uint64_t)pn_policy_int(p, "reproducers.age")};
}

static bool take_reproducer(struct admin *admin, struct pn_record *record)
{
    struct pn_str json;
    if (record->nfds < 1 || record->nfds > 2 || pn_map_fd(record->fds[0], true, &json) != 0)
        return false;
    int fd = record->nfds == 1 ? -1 : record->fds[1];
    if (admin->state_fd >= 0)
        (void)reproducers_keep(admin->state_fd, limits_of(admin), json, fd, pn_clock_wall_ms());
    pn_unmap(&json);
    return true;
}

static void prune(void *arg)
{
    struct admin *admin = arg;
    reproducers_prune(admin->state_fd, limits_of(admin), 0, pn_clock_wall_ms());
    pn_timer_set(admin->prune, PRUNE_MS);
}

static bool take_record(struct source *s, struct pn_record *record)
{
    switch (record->type) {
    case PN_REC_EVENT:
        return take_event(s->admin, record);
    case PN_REC_REPRODUCER:
        return s->role == PN_ROLE_EDGE && take_reproducer(s->admin, record);
    case PN_REC_METRICS:
        return take_metrics(s, record);
    case PN_REC_COMMAND_REPLY:
        return ask_reply(s, record);
    default:
        return false;
    }
}

static bool on_record(void *ctx, struct pn_record *record)
{
    return take_record(ctx, record);
}

/* The content that an operator asked to see had no descriptor here: the line that it
 * came with would promise it. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    struct source *s = ctx;
    struct pn_command_reply reply;
    if (record->type != PN_REC_COMMAND_REPLY)
        return true;
    if (!pn_command_reply_get(record->body, &reply))
        return false;
    reply.line =
        PN_STR("{\"ok\":false,\"error\":\"admin has no descriptor left for its content\"}");
    client_reply(s->admin, s->asked, &reply, -1);
    return true;
}

static void source_free(struct source *s)
{
    for (struct source **at = &s->admin->sources; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    pn_channel_free(&s->channel);
    pn_buf_fini(&s->metrics);
    free(s);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct source *s = ctx;
    struct admin *admin = s->admin;
    struct asked_role asked = s->asked;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("%s sent what is no event; its channel is closed", s->name);
    source_free(s);
    client_lost(admin, asked);
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_cut = on_cut};
    struct admin *admin = ctx;
    struct source *s = pn_calloc(1, sizeof *s);
    *s = (struct source){
        .next = admin->sources, .admin = admin, .role = peer->role, .asked = {peer->role, 0}};
    if (peer->role == PN_ROLE_MAILBOX)
        s->asked.number = peer->number;
    pn_buf_init(&s->metrics, METRICS_MAX);
    const char *name = pn_role_name((enum pn_role)peer->role);
    bool alone = peer->role == PN_ROLE_QUEUE || peer->role == PN_ROLE_RESOLVER ||
                 peer->role == PN_ROLE_STATE || peer->role == PN_ROLE_SIGNER ||
                 peer->role == PN_ROLE_AUTH;
    if (alone)
        (void)snprintf(s->name, sizeof s->name, "%s", name);
    else
        (void)snprintf(s->name, sizeof s->name, "%s-%u", name, peer->number);
    s->channel = pn_channel_new(admin->loop, peer->fd, &ops, s, QUEUE_BYTES);
    peer->fd = -1;
    admin->sources = s;
}

/* ---- commands */

/* The role that a command's first word names; for a mailbox the worker of the user that the third
 * one names. */
static bool asked_of(const struct admin *admin, struct pn_str role,
                     const struct pn_command *command, struct asked_role *out)
{
    static const uint8_t roles[] = {PN_ROLE_SUPERVISOR, PN_ROLE_QUEUE, PN_ROLE_MAILBOX};
    for (size_t i = 0; i < sizeof roles; i++) {
        if (!pn_str_eq(role, pn_str_of(pn_role_name((enum pn_role)roles[i]))))
            continue;
        *out = (struct asked_role){.role = roles[i]};
        if (roles[i] == PN_ROLE_MAILBOX && command->count > 1)
            out->number = pn_mailbox_of(command->words[1],
                                        (uint32_t)pn_policy_int(admin->policy, "mailboxes"));
        return true;
    }
    return false;
}

bool ask_role(struct admin *admin, struct pn_str role, const struct pn_command *command,
              struct asked_role *out)
{
    struct pn_buf b;
    bool sent = false;
    if (!asked_of(admin, role, command, out))
        return false;
    pn_buf_init(&b, REQUEST_MAX * 2);
    pn_command_put(&b, command);
    if (out->role == PN_ROLE_SUPERVISOR) {
        sent = pn_control_send(admin->control, PN_REC_COMMAND, pn_buf_str(&b), NULL, 0);
    } else {
        for (struct source *s = admin->sources; s != NULL && !sent; s = s->next)
            if (s->asked.role == out->role && s->asked.number == out->number)
                sent = pn_channel_send(s->channel, PN_REC_COMMAND, pn_buf_str(&b), NULL, 0);
    }
    pn_buf_fini(&b);
    return sent;
}

bool ask_reply(struct source *s, struct pn_record *record)
{
    struct pn_command_reply reply;
    bool takes_commands =
        s->role == PN_ROLE_QUEUE || s->role == PN_ROLE_SUPERVISOR || s->role == PN_ROLE_MAILBOX;
    if (!takes_commands || !pn_command_reply_get(record->body, &reply) || record->nfds > 1)
        return false;
    client_reply(s->admin, s->asked, &reply, record->nfds == 1 ? record->fds[0] : -1);
    return true;
}

static bool on_other(void *ctx, struct pn_record *record)
{
    struct admin *admin = ctx;
    return take_record(&admin->supervisor, record);
}

/* ---- generations */

static struct events_limits events_limits_of(const struct pn_policy *p)
{
    return (struct events_limits){
        .rotate = (uint64_t)pn_policy_int(p, "events.rotate"),
        .keep = (unsigned)pn_policy_int(p, "events.keep"),
        .sync = pn_policy_bool(p, "events.sync"),
    };
}

static void on_accept(void *arg, unsigned events)
{
    struct admin *admin = arg;
    (void)events;
    for (size_t i = 0; i < admin->listener_count; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(admin->listeners[i], (struct sockaddr *)&peer, &len,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            continue;
        struct pn_ip ip;
        uint16_t port;
        bool local = admin->is_control[i] ||
                     (pn_endpoint_of_sockaddr((struct sockaddr *)&peer, &ip, &port) &&
                      pn_ip_is_loopback(&ip));
        if (local)
            client_accept(admin, fd, admin->is_control[i]);
        else
            (void)close(fd);
    }
}

static void close_listeners(struct admin *admin)
{
    for (size_t i = 0; i < admin->listener_count; i++) {
        pn_watch_free(&admin->watches[i]);
        (void)close(admin->listeners[i]);
    }
    admin->listener_count = 0;
}

static void open_listeners(struct admin *admin, struct pn_generation *gen)
{
    close_listeners(admin);
    for (size_t i = 0; i < gen->listener_count && i < 64; i++) {
        size_t at = admin->listener_count++;
        admin->listeners[at] = gen->listeners[i].fd;
        admin->is_control[at] = gen->listeners[i].kind == PN_LISTENER_CONTROL;
        gen->listeners[i].fd = -1;
        admin->watches[at] =
            pn_watch_new(admin->loop, admin->listeners[at], PN_WATCH_READ, on_accept, admin);
    }
}

/* Takes gen's policy; false with a sentence in err: the one before stays. */
static bool take_policy(struct admin *admin, struct pn_generation *gen, struct pn_buf *err)
{
    int fd = gen->policy_fd;
    gen->policy_fd = -1;
    struct pn_policy *policy = pn_policy_open(fd, err);
    if (policy == NULL)
        return false;
    pn_policy_unref(&admin->policy);
    admin->policy = policy;
    return true;
}

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct admin *admin = ctx;
    struct pn_buf err;
    pn_buf_init(&err, 500);
    if (!take_policy(admin, gen, &err))
        pn_error("the new policy: %s", pn_buf_cstr(&err));
    events_reopen(admin->events, events_limits_of(admin->policy));
    open_listeners(admin, gen);
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

/* The last to go: when it is asked to, the others have sent all they had. */
static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct admin *admin = ctx;
    (void)limit_ms;
    pn_loop_stop(admin->loop);
}

/* ---- the role */

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    if (!take_policy(life->ctx, life->env->gen, err))
        return false;
    if (pn_role_env_folder(life->env, PN_FOLDER_LOG) != NULL)
        return true;
    (void)pn_buf_addz(err, "no log folder");
    return false;
}

static bool open_files(struct pn_role_life *life, struct pn_buf *err)
{
    struct admin *admin = life->ctx;
    const struct pn_folder *state = pn_role_env_folder(life->env, PN_FOLDER_STATE);
    const struct pn_folder *folder = pn_role_env_folder(life->env, PN_FOLDER_LOG);
    admin->loop = life->loop;
    if (state != NULL) {
        admin->state_fd = state->fd;
        admin->prune = pn_timer_new(admin->loop, prune, admin);
        pn_timer_set(admin->prune, 0);
    }
    admin->supervisor = (struct source){.admin = admin, .role = PN_ROLE_SUPERVISOR};
    pn_buf_init(&admin->supervisor.metrics, METRICS_MAX);
    admin->events =
        events_new(admin->loop, folder->fd, "events.jsonl", events_limits_of(admin->policy));
    if (admin->events == NULL)
        (void)pn_buf_addf(err, "%.*s/events.jsonl: %s", PN_FMT(folder->path), strerror(errno));
    return admin->events != NULL;
}

static void join(struct pn_role_life *life)
{
    struct admin *admin = life->ctx;
    admin->control = life->control;
    open_listeners(admin, life->env->gen);
}

static void end(struct pn_role_life *life)
{
    struct admin *admin = life->ctx;
    close_listeners(admin);
    client_free_all(admin);
    while (admin->sources != NULL)
        source_free(admin->sources);
    events_free(&admin->events);
    pn_timer_free(&admin->prune);
    pn_buf_fini(&admin->supervisor.metrics);
    pn_policy_unref(&admin->policy);
}

int pn_admin_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_ADMIN,
        .control = {on_generation, on_peer, on_drain, on_other},
        .begin = begin,
        .open = open_files,
        .join = join,
        .end = end,
    };
    /* Tokens differ from those of an admin before: a late answer is nobody's. */
    struct admin admin = {.state_fd = -1, .next_token = pn_clock_mono_ns()};
    return pn_role_run(env, &steps, &admin);
}

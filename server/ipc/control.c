#include "control.h"

#include "assert.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    POOL_BYTES = 64 * 1024 * 1024,
    ITEMS_MAX = 4096, /* of each kind */
    QUEUE_BYTES = 4 * 1024 * 1024,
    MISSING_MAX = 128, /* peers without a channel; mailboxes are the most */
    AGAIN_MS = 200,    /* a peer that died is back by then, as a rule */
    AGAIN_MAX_MS = 30 * 1000
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static int take_fd(struct pn_record *record)
{
    if (record->nfds == 0)
        return -1;
    int fd = record->fds[0];
    record->fds[0] = -1;
    return fd;
}

/* ---- generations */

static struct pn_generation *generation_new(void)
{
    struct pn_generation *gen = pn_calloc(1, sizeof *gen);
    gen->policy_fd = gen->dns_file_fd = gen->secret_fd = gen->authorities_fd = -1;
    gen->pool = pn_pool_new_secret(POOL_BYTES);
    return gen;
}

void pn_generation_free(struct pn_generation **generation)
{
    struct pn_generation *gen = *generation;
    if (gen == NULL)
        return;
    *generation = NULL;
    close_fd(&gen->policy_fd);
    close_fd(&gen->dns_file_fd);
    close_fd(&gen->secret_fd);
    close_fd(&gen->authorities_fd);
    for (size_t i = 0; i < gen->listener_count; i++)
        close_fd(&gen->listeners[i].fd);
    free(gen->listeners);
    free(gen->identities);
    free(gen->signs);
    free(gen->passwords);
    pn_pool_free(&gen->pool);
    free(gen);
}

static bool add_listener(struct pn_generation *gen, struct pn_record *record)
{
    struct pn_listener l;
    if (!pn_listener_get(record->body, &l) || record->nfds != 1 || gen->listener_count == ITEMS_MAX)
        return false;
    l.fd = take_fd(record);
    gen->listeners =
        pn_grow(gen->listeners, &gen->listener_cap, gen->listener_count, sizeof gen->listeners[0]);
    gen->listeners[gen->listener_count++] = l;
    return true;
}

static bool add_identity(struct pn_generation *gen, struct pn_record *record)
{
    struct pn_tls_identity id;
    if (!pn_identity_get(record->body, &id) || gen->identity_count == ITEMS_MAX)
        return false;
    id.name = pn_pool_dup(gen->pool, id.name);
    id.chain_pem = pn_pool_dup(gen->pool, id.chain_pem);
    id.key_pem = pn_pool_dup(gen->pool, id.key_pem);
    if (id.name.p == NULL || id.chain_pem.p == NULL || id.key_pem.p == NULL)
        return false;
    gen->identities = pn_grow(gen->identities, &gen->identity_cap, gen->identity_count,
                              sizeof gen->identities[0]);
    gen->identities[gen->identity_count++] = id;
    return true;
}

static bool add_sign(struct pn_generation *gen, struct pn_record *record)
{
    struct pn_sign_pem sign;
    if (!pn_sign_pem_get(record->body, &sign) || gen->sign_count == PN_SIGN_KEYS_MAX)
        return false;
    sign.domain = pn_pool_dup(gen->pool, sign.domain);
    sign.selector = pn_pool_dup(gen->pool, sign.selector);
    sign.pem = pn_pool_dup(gen->pool, sign.pem);
    if (sign.domain.p == NULL || sign.selector.p == NULL || sign.pem.p == NULL)
        return false;
    gen->signs = pn_grow(gen->signs, &gen->sign_cap, gen->sign_count, sizeof gen->signs[0]);
    gen->signs[gen->sign_count++] = sign;
    return true;
}

static bool add_password(struct pn_generation *gen, struct pn_record *record)
{
    struct pn_hop_password p;
    if (!pn_hop_password_get(record->body, &p) || gen->password_count == ITEMS_MAX)
        return false;
    p.destination = pn_pool_dup(gen->pool, p.destination);
    p.password = pn_pool_dup(gen->pool, p.password);
    if (p.destination.p == NULL || p.password.p == NULL)
        return false;
    gen->passwords =
        pn_grow(gen->passwords, &gen->password_cap, gen->password_count, sizeof gen->passwords[0]);
    gen->passwords[gen->password_count++] = p;
    return true;
}

static bool take_file(struct pn_generation *gen, struct pn_record *record)
{
    int *fd = record->type == PN_REC_DNS_FILE      ? &gen->dns_file_fd
              : record->type == PN_REC_SECRET_FILE ? &gen->secret_fd
                                                   : &gen->authorities_fd;
    if (record->nfds != 1 || *fd >= 0)
        return false;
    *fd = take_fd(record);
    return true;
}

/* ---- the environment */

static bool take_start(struct pn_role_env *env, struct pn_record *record)
{
    struct pn_start *s = &env->start;
    if (env->name[0] != '\0' || !pn_start_get(record->body, s) || record->nfds > 1)
        return false;
    s->name = pn_pool_dup(env->pool, s->name);
    s->root = pn_pool_dup(env->pool, s->root);
    s->file = pn_pool_dup(env->pool, s->file);
    (void)snprintf(env->name, sizeof env->name, "%.*s", PN_FMT(s->name));
    (void)prctl(PR_SET_NAME, env->name); /* what ps shows; a worker's differs from its template's */
    env->gen->serial = s->generation;
    env->gen->policy_fd = take_fd(record);
    pn_log_init(env->name, (s->flags & PN_START_DEBUG) != 0 ? PN_LOG_DEBUG : PN_LOG_INFO);
    return true;
}

static bool add_peer(struct pn_role_env *env, struct pn_record *record)
{
    struct pn_peer p;
    if (!pn_peer_get(record->body, &p) || record->nfds != 1 || env->peer_count == ITEMS_MAX)
        return false;
    p.fd = take_fd(record);
    env->peers = pn_grow(env->peers, &env->peer_cap, env->peer_count, sizeof env->peers[0]);
    env->peers[env->peer_count++] = p;
    return true;
}

static bool add_folder(struct pn_role_env *env, struct pn_record *record)
{
    struct pn_folder f;
    if (!pn_folder_get(record->body, &f) || record->nfds != 1 || env->folder_count == ITEMS_MAX)
        return false;
    char *path = pn_pool_strdup(env->pool, f.path);
    if (path == NULL)
        return false;
    f.path = pn_str_of(path);
    f.fd = take_fd(record);
    env->folders = pn_grow(env->folders, &env->folder_cap, env->folder_count, sizeof f);
    env->folders[env->folder_count++] = f;
    return true;
}

static bool take_limits(struct pn_role_env *env, struct pn_record *record)
{
    if (record->nfds != 1 || env->limits_fd >= 0)
        return false;
    env->limits_fd = take_fd(record);
    return true;
}

static bool take_users(struct pn_role_env *env, struct pn_record *record)
{
    if (record->nfds != 1 || env->users_fd >= 0)
        return false;
    env->users_fd = take_fd(record);
    return true;
}

static bool add_record(struct pn_role_env *env, struct pn_record *record)
{
    if (record->type == PN_REC_START)
        return take_start(env, record);
    if (env->name[0] == '\0')
        return false; /* START comes first */
    switch (record->type) {
    case PN_REC_PEER:
        return add_peer(env, record);
    case PN_REC_LISTENER:
        return add_listener(env->gen, record);
    case PN_REC_IDENTITY:
        return add_identity(env->gen, record);
    case PN_REC_DNS_FILE:
    case PN_REC_SECRET_FILE:
    case PN_REC_AUTHORITIES_FILE:
        return take_file(env->gen, record);
    case PN_REC_SIGN_KEY:
        return add_sign(env->gen, record);
    case PN_REC_USERS_FILE:
        return take_users(env, record);
    case PN_REC_PASSWORD:
        return add_password(env->gen, record);
    case PN_REC_FOLDER:
        return add_folder(env, record);
    case PN_REC_LIMITS:
        return take_limits(env, record);
    default:
        return record->type == PN_REC_GO;
    }
}

bool pn_role_env_read(struct pn_role_env *env, int fd)
{
    struct pn_buf buf;
    struct pn_record record;
    *env = (struct pn_role_env){.control_fd = fd,
                                .gen = generation_new(),
                                .limits_fd = -1,
                                .users_fd = -1,
                                .pool = pn_pool_new(POOL_BYTES)};
    pn_buf_init(&buf, PN_RECORD_MAX);
    int got;
    bool ok = true;
    do {
        got = pn_channel_recv_fd(fd, &record, &buf, -1);
        if (got != 1)
            break;
        ok = add_record(env, &record);
        pn_record_close_fds(&record);
    } while (ok && record.type != PN_REC_GO);
    if (got != 1)
        pn_error("the supervisor's channel ended before GO%s%s", got < 0 ? ": " : "",
                 got < 0 ? strerror(errno) : "");
    else if (!ok)
        pn_error("the supervisor sent a record 0x%04x that is not one", record.type);
    explicit_bzero(buf.p, buf.cap); /* keys passed through it */
    pn_buf_fini(&buf);
    return got == 1 && ok;
}

void pn_role_env_fini(struct pn_role_env *env)
{
    close_fd(&env->control_fd);
    close_fd(&env->limits_fd);
    close_fd(&env->users_fd);
    pn_generation_free(&env->gen);
    for (size_t i = 0; i < env->peer_count; i++)
        close_fd(&env->peers[i].fd);
    for (size_t i = 0; i < env->folder_count; i++)
        close_fd(&env->folders[i].fd);
    free(env->peers);
    free(env->folders);
    pn_pool_free(&env->pool);
    *env = (struct pn_role_env){.control_fd = -1};
}

struct pn_folder *pn_role_env_folder(struct pn_role_env *env, enum pn_folder_purpose purpose)
{
    for (size_t i = 0; i < env->folder_count; i++)
        if (env->folders[i].purpose == purpose)
            return &env->folders[i];
    return NULL;
}

void pn_role_env_failed(struct pn_role_env *env, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bool told = n >= 0 && env->control_fd >= 0 &&
                pn_channel_send_fd(env->control_fd, PN_REC_FAILED, pn_str_of(text), NULL, 0) == 0;
    if (!told || (env->start.flags & PN_START_TOLD) == 0)
        pn_error("%s", n < 0 ? fmt : text);
}

/* ---- on the loop */

struct pn_control {
    struct pn_loop *loop;
    struct pn_channel *channel;
    struct pn_generation *next; /* gathers what comes before POLICY */
    const struct pn_control_ops *ops;
    void *ctx;
    bool draining; /* told to end: the channel's end is no news then */
    bool torn;     /* of the generation in `next` a descriptor is lost */
    bool behind;   /* a generation was lost: it is asked for again */
    struct pn_timer *again;
    uint64_t again_ms;
    size_t missing_count;
    struct {
        uint8_t role;
        uint32_t number;
    } missing[MISSING_MAX];
};

/* ---- what is asked for again */

static void ask_again(void *arg)
{
    struct pn_control *c = arg;
    struct pn_buf b;
    pn_buf_init(&b, 100);
    /* A full channel: the next ones say it. */
    for (size_t i = 0; i < c->missing_count; i++) {
        pn_buf_clear(&b);
        pn_peer_put(&b,
                    &(struct pn_peer){.role = c->missing[i].role, .number = c->missing[i].number});
        (void)pn_channel_send(c->channel, PN_REC_PEER_MISSING, pn_buf_str(&b), NULL, 0);
    }
    if (c->behind)
        (void)pn_channel_send(c->channel, PN_REC_WANT_GENERATION, PN_STR(""), NULL, 0);
    pn_buf_fini(&b);
    c->again_ms = c->again_ms < AGAIN_MAX_MS / 2 ? c->again_ms * 2 : AGAIN_MAX_MS;
    if (c->missing_count != 0 || c->behind)
        pn_timer_set(c->again, c->again_ms);
}

/* One more thing is: it is asked for soon, however long the others have waited. */
static void ask_soon(struct pn_control *c)
{
    c->again_ms = AGAIN_MS;
    pn_timer_set(c->again, c->again_ms);
}

static void ask_no_more(struct pn_control *c)
{
    if (c->missing_count == 0 && !c->behind)
        pn_timer_clear(c->again);
}

static size_t find_missing(const struct pn_control *c, uint8_t role, uint32_t number)
{
    size_t i = 0;
    while (i < c->missing_count && (c->missing[i].role != role || c->missing[i].number != number))
        i++;
    return i;
}

void pn_control_missing(struct pn_control *c, enum pn_role role, uint32_t number)
{
    if (c == NULL || c->draining)
        return;
    size_t i = find_missing(c, (uint8_t)role, number);
    if (i != c->missing_count || i == MISSING_MAX)
        return;
    c->missing[i].role = (uint8_t)role;
    c->missing[i].number = number;
    c->missing_count++;
    ask_soon(c);
}

static void is_there(struct pn_control *c, const struct pn_peer *peer)
{
    size_t i = find_missing(c, peer->role, peer->number);
    if (i == c->missing_count)
        return;
    c->missing[i] = c->missing[--c->missing_count];
    ask_no_more(c);
}

/* Part of a generation is lost: the rest of it is worth nothing. */
static void lose_generation(struct pn_control *c)
{
    pn_generation_free(&c->next);
    c->torn = false;
    c->behind = true;
    ask_soon(c);
}

static bool take_policy(struct pn_control *c, struct pn_record *record)
{
    uint32_t serial;
    if (!pn_u32_get(record->body, &serial) || record->nfds != 1)
        return false;
    if (c->torn) {
        lose_generation(c);
        return true;
    }
    struct pn_generation *gen = c->next == NULL ? generation_new() : c->next;
    c->next = NULL;
    c->behind = false;
    ask_no_more(c);
    gen->serial = serial;
    gen->policy_fd = take_fd(record);
    if (c->ops->on_generation != NULL)
        c->ops->on_generation(c->ctx, gen);
    else
        pn_generation_free(&gen);
    return true;
}

static bool take_peer(struct pn_control *c, struct pn_record *record)
{
    struct pn_peer peer;
    if (!pn_peer_get(record->body, &peer) || record->nfds != 1)
        return false;
    peer.fd = take_fd(record);
    is_there(c, &peer);
    if (c->ops->on_peer != NULL)
        c->ops->on_peer(c->ctx, &peer);
    close_fd(&peer.fd);
    return true;
}

static bool take_drain(struct pn_control *c, struct pn_record *record)
{
    c->draining = true;
    uint32_t limit_ms;
    if (!pn_u32_get(record->body, &limit_ms))
        return false;
    c->ops->on_drain(c->ctx, limit_ms);
    return true;
}

/* Part of the generation that a POLICY will complete. */
static bool gather(struct pn_control *c, struct pn_record *record)
{
    if (c->next == NULL)
        c->next = generation_new();
    if (record->type == PN_REC_DNS_FILE || record->type == PN_REC_SECRET_FILE ||
        record->type == PN_REC_AUTHORITIES_FILE)
        return take_file(c->next, record);
    if (record->type == PN_REC_SIGN_KEY)
        return add_sign(c->next, record);
    if (record->type == PN_REC_PASSWORD)
        return add_password(c->next, record);
    return record->type == PN_REC_LISTENER ? add_listener(c->next, record)
                                           : add_identity(c->next, record);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct pn_control *c = ctx;
    switch (record->type) {
    case PN_REC_PEER:
        return take_peer(c, record);
    case PN_REC_LISTENER:
    case PN_REC_IDENTITY:
    case PN_REC_DNS_FILE:
    case PN_REC_SIGN_KEY:
    case PN_REC_SECRET_FILE:
    case PN_REC_PASSWORD:
    case PN_REC_AUTHORITIES_FILE:
        return gather(c, record);
    case PN_REC_POLICY:
        return take_policy(c, record);
    case PN_REC_DRAIN:
        return take_drain(c, record);
    default:
        return c->ops->on_record != NULL && c->ops->on_record(c->ctx, record);
    }
}

/* What it brought is lost. Where that is a channel or a worker's, its other end is told by
 * its end. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    struct pn_control *c = ctx;
    struct pn_peer peer;
    switch (record->type) {
    case PN_REC_PEER:
        if (!pn_peer_get(record->body, &peer))
            return false;
        if (peer.role != PN_ROLE_FILTER && peer.role != PN_ROLE_EDGE)
            pn_control_missing(c, (enum pn_role)peer.role, peer.number);
        return true;
    case PN_REC_LISTENER:
    case PN_REC_DNS_FILE:
    case PN_REC_SECRET_FILE:
    case PN_REC_AUTHORITIES_FILE:
        c->torn = true;
        return true;
    case PN_REC_POLICY:
        lose_generation(c);
        return true;
    case PN_REC_USERS_FILE: /* it comes with each */
        c->behind = true;
        ask_soon(c);
        return true;
    default:
        return true;
    }
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct pn_control *c = ctx;
    if (how == PN_CHANNEL_PROTOCOL) {
        pn_error("the supervisor sent what is no record: ending");
        _exit(1); /* our own bug, and a death to be told; what is durable is durable */
    }
    if (!c->draining)
        pn_error("the supervisor is gone: stopping");
    pn_loop_stop(c->loop);
}

struct pn_control *pn_control_new(struct pn_loop *loop, struct pn_role_env *env,
                                  const struct pn_control_ops *ops, void *ctx)
{
    static const struct pn_channel_ops channel_ops = {
        .on_record = on_record, .on_end = on_end, .on_cut = on_cut};
    struct pn_control *c = pn_calloc(1, sizeof *c);
    *c = (struct pn_control){.loop = loop, .ops = ops, .ctx = ctx};
    c->channel = pn_channel_new(loop, env->control_fd, &channel_ops, c, QUEUE_BYTES);
    c->again = pn_timer_new(loop, ask_again, c);
    env->control_fd = -1;
    return c;
}

void pn_control_free(struct pn_control **control)
{
    struct pn_control *c = *control;
    if (c == NULL)
        return;
    *control = NULL;
    pn_channel_free(&c->channel);
    pn_timer_free(&c->again);
    pn_generation_free(&c->next);
    free(c);
}

void pn_control_ready(struct pn_control *c)
{
    /* Its end, if it is dead, is told by the channel. */
    (void)pn_channel_send(c->channel, PN_REC_READY, (struct pn_str){"", 0}, NULL, 0);
}

bool pn_control_send(struct pn_control *c, uint16_t type, struct pn_str body, const int *fds,
                     unsigned nfds)
{
    return pn_channel_send(c->channel, type, body, fds, nfds);
}

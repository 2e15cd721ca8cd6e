/* The state role: workers ask, edges tell what became of a message, an engine keeps it. */
#include "state_role.h"

#include "admin_link.h"
#include "clock.h"
#include "jail.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "policy.h"
#include "state_engine.h"
#include "state_takes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ANSWER_QUEUE = 8 * 1024 * 1024,
    TAKES_MAX = 200 * 1000,
};
#define TAKES_AGE_NS (900 * PN_NS_PER_S) /* longer than a message is looked at */

/* The rows of `state`. */
struct settings {
    uint64_t size;
};

enum {
    M_GETS,
    M_TAKES,
    M_TOO_FEW,
    M_AWAY,
    M_PUTS,
    M_GIVEN,
    M_LOST,
    M_THERE,
    M_ENTRIES,
    M_PENDING,
    M_TAKES_OPEN,
    METRICS
};

#define ASKS      "postern_state_questions_total"
#define ASKS_HELP "Questions of plugins to lasting state, by kind."

static const struct pn_metric metric_rows[METRICS] = {
    [M_GETS] = {ASKS, "kind=\"get\"", ASKS_HELP, PN_COUNTER},
    [M_TAKES] = {ASKS, "kind=\"take\"", ASKS_HELP, PN_COUNTER},
    [M_TOO_FEW] = {"postern_state_too_few_total", NULL, "Buckets that had too few tokens.",
                   PN_COUNTER},
    [M_AWAY] = {"postern_state_unanswered_total", NULL,
                "Questions while lasting state was out of reach.", PN_COUNTER},
    [M_PUTS] = {"postern_state_writes_total", NULL, "Values written for decided messages.",
                PN_COUNTER},
    [M_GIVEN] = {"postern_state_given_back_total", NULL,
                 "Tokens' takes undone, for messages that came to no decision.", PN_COUNTER},
    [M_LOST] = {"postern_state_lost_writes_total", NULL,
                "Writes that came to nothing: the engine was away.", PN_COUNTER},
    [M_THERE] = {"postern_state_there", NULL, "1: lasting state can be read and written.",
                 PN_GAUGE},
    [M_ENTRIES] = {"postern_state_entries", NULL, "Entries kept, of the embedded engine.",
                   PN_GAUGE},
    [M_PENDING] = {"postern_state_pending", NULL, "Writes gathered, or with the server.", PN_GAUGE},
    [M_TAKES_OPEN] = {"postern_state_takes", NULL, "Takes remembered, to be undone perhaps.",
                      PN_GAUGE},
};

struct role {
    struct pn_loop *loop;
    struct pn_control *control;
    struct pn_admin_link *admin;
    struct pn_metric metrics[METRICS];
    struct settings settings;
    struct state_engine *engine;
    struct state_takes *takes;
    struct peer *peers;
    struct asked *asked; /* all that have no answer yet */
    struct pn_buf out;
    struct pn_timer *drain_timer;
    bool draining;
};

/* A worker or an edge. */
struct peer {
    struct peer *next;
    struct role *role;
    struct pn_channel *channel;
    uint8_t kind; /* enum pn_role */
};

/* A question under way. */
struct asked {
    struct asked *next, **at; /* the role's */
    struct role *role;
    struct peer *peer; /* NULL: it is gone */
    uint64_t id;
    struct state_take *take; /* of a take: where its answer is remembered */
    struct asked *also;      /* others that wait for the same take */
};

/* ---- answers */

static struct asked *asked_new(struct peer *peer, uint64_t id)
{
    struct role *r = peer->role;
    struct asked *a = pn_calloc(1, sizeof *a);
    *a = (struct asked){.next = r->asked, .at = &r->asked, .role = r, .peer = peer, .id = id};
    if (a->next != NULL)
        a->next->at = &a->next;
    r->asked = a;
    return a;
}

static void asked_free(struct asked *a)
{
    *a->at = a->next;
    if (a->next != NULL)
        a->next->at = a->at;
    free(a);
}

/* One who does not read its answers has a deadline of its own. */
static void answer(struct role *r, struct peer *peer, const struct pn_state_answer *answer)
{
    r->metrics[M_AWAY].value += answer->status == PN_STATE_IS_AWAY;
    if (peer == NULL)
        return;
    pn_buf_clear(&r->out);
    pn_state_answer_put(&r->out, answer);
    if (!pn_channel_send(peer->channel, PN_REC_STATE_ANSWER, pn_buf_str(&r->out), NULL, 0))
        pn_warn("a worker does not read what it asked for");
}

static void on_got(void *ctx, enum pn_state_status status, uint32_t left, struct pn_str value)
{
    struct asked *a = ctx;
    answer(a->role, a->peer, &(struct pn_state_answer){a->id, (uint8_t)status, left, value});
    asked_free(a);
}

static void give_back(struct role *r, const struct state_take *t)
{
    if (t->status != PN_STATE_IS_OK || t->bucket.cost == 0)
        return;
    r->metrics[M_GIVEN].value++;
    r->engine->ops->give(r->engine, t->key, t->now_ms, &t->bucket);
}

static void on_taken(void *ctx, enum pn_state_status status, uint32_t left, struct pn_str value)
{
    struct asked *a = ctx;
    struct role *r = a->role;
    struct state_take *t = a->take;
    (void)value;
    r->metrics[M_TOO_FEW].value += status == PN_STATE_IS_NONE;
    t->answered = true;
    t->status = (uint8_t)status;
    t->left = left;
    t->waiting = NULL;
    if (t->dropped)
        give_back(r, t);
    if (t->dropped || status == PN_STATE_IS_AWAY)
        state_takes_remove(r->takes, t);
    while (a != NULL) {
        struct asked *next = a->also;
        answer(r, a->peer, &(struct pn_state_answer){a->id, (uint8_t)status, left, PN_STR("")});
        asked_free(a);
        a = next;
    }
}

/* ---- questions */

static void take(struct peer *peer, const struct pn_state_ask *ask)
{
    struct role *r = peer->role;
    struct state_take *t = state_takes_find(r->takes, ask->owner, ask->step, ask->key);
    r->metrics[M_TAKES].value++;
    if (t != NULL && t->answered) {
        answer(r, peer, &(struct pn_state_answer){ask->id, t->status, t->left, PN_STR("")});
        return;
    }
    struct asked *a = asked_new(peer, ask->id);
    if (t != NULL) {
        struct asked *first = t->waiting;
        a->also = first->also;
        first->also = a;
        return;
    }
    t = a->take = state_takes_add(r->takes, ask, pn_clock_mono_ns());
    if (t == NULL) {
        on_got(a, PN_STATE_IS_AWAY, 0, PN_STR(""));
        return;
    }
    t->waiting = a;
    r->engine->ops->take(r->engine, t->key, ask->now_ms, &ask->bucket, on_taken, a);
}

static bool on_asks(struct peer *peer, struct pn_str body)
{
    struct role *r = peer->role;
    struct pn_rd rd = pn_rd_of(body);
    struct pn_state_ask ask;
    bool ok = body.len != 0;
    while (ok && !pn_rd_done(&rd)) {
        ok = pn_state_ask_next(&rd, &ask);
        if (ok && ask.take) {
            take(peer, &ask);
        } else if (ok) {
            r->metrics[M_GETS].value++;
            r->engine->ops->get(r->engine, ask.key, ask.now_ms, on_got, asked_new(peer, ask.id));
        }
    }
    return ok;
}

static bool undo(void *ctx, struct state_take *t)
{
    struct role *r = ctx;
    t->dropped = true;
    if (!t->answered)
        return false;
    give_back(r, t);
    return true;
}

static bool forget(void *ctx, struct state_take *t)
{
    (void)ctx;
    return t->answered;
}

/* Its takes stay: nothing of it is asked again. */
static bool on_message_end(struct role *r, struct pn_str body)
{
    struct pn_rd rd = pn_rd_of(body);
    struct pn_state_end end;
    struct pn_state_put put;
    if (!pn_state_end_get(&rd, &end))
        return false;
    state_takes_each(r->takes, end.owner, end.keep ? forget : undo, r);
    for (uint32_t i = 0; i < end.count; i++) {
        if (!pn_state_put_next(&rd, &put))
            return false;
        r->metrics[M_PUTS].value++;
        r->engine->ops->put(r->engine, &put, end.now_ms);
    }
    return pn_rd_done(&rd);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct peer *peer = ctx;
    if (record->type == PN_REC_STATE_ASK && peer->kind == PN_ROLE_FILTER)
        return on_asks(peer, record->body);
    if (record->type == PN_REC_STATE_END && peer->kind == PN_ROLE_EDGE)
        return on_message_end(peer->role, record->body);
    return false;
}

/* ---- peers */

static void peer_free(struct peer *peer)
{
    struct role *r = peer->role;
    struct peer **at = &r->peers;
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    for (struct asked *a = r->asked; a != NULL; a = a->next)
        if (a->peer == peer)
            a->peer = NULL;
    pn_channel_free(&peer->channel);
    free(peer);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct peer *peer = ctx;
    struct role *r = peer->role;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("a peer sent what is no question; its channel is closed");
    peer_free(peer);
    if (r->draining && r->peers == NULL)
        pn_loop_stop(r->loop);
}

static void add_peer(struct role *r, struct pn_peer *from)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (from->role != PN_ROLE_EDGE && from->role != PN_ROLE_FILTER)
        return;
    struct peer *peer = pn_calloc(1, sizeof *peer);
    *peer = (struct peer){.next = r->peers, .role = r, .kind = from->role};
    peer->channel = pn_channel_new(r->loop, from->fd, &ops, peer, ANSWER_QUEUE);
    from->fd = -1;
    r->peers = peer;
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct role *r = ctx;
    if (!pn_admin_link_peer(r->admin, peer))
        add_peer(r, peer);
}

/* ---- the engine comes and goes */

static void on_away(void *ctx)
{
    struct role *r = ctx;
    const struct state_engine *e = r->engine;
    struct pn_buf b, ts;
    pn_buf_init(&b, 2000);
    pn_buf_init(&ts, 64);
    struct pn_json j = pn_json_to(&b);
    if (e->away)
        pn_error("lasting state is out of reach: %s", e->why);
    else
        pn_info("lasting state is there again");
    pn_clock_rfc3339(&ts, pn_clock_wall_ms());
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", e->away ? PN_STR("state-away") : PN_STR("state-back"));
    pn_json_i64(&j, "schema", 1);
    pn_json_str(&j, "engine", PN_STR("embedded"));
    if (e->away)
        pn_json_str(&j, "detail", pn_str_of(e->why));
    pn_json_object_end(&j);
    (void)pn_admin_link_event(r->admin, pn_buf_str(&b));
    pn_buf_fini(&b);
    pn_buf_fini(&ts);
}

static void fill_metrics(void *ctx)
{
    struct role *r = ctx;
    const struct state_engine_counters *n = &r->engine->count;
    r->metrics[M_LOST].value = (int64_t)n->lost;
    r->metrics[M_THERE].value = !r->engine->away;
    r->metrics[M_ENTRIES].value = (int64_t)n->entries;
    r->metrics[M_PENDING].value = (int64_t)n->pending;
    r->metrics[M_TAKES_OPEN].value = (int64_t)state_takes_count(r->takes);
}

/* ---- control */

/* Takes the generation's policy. */
static bool settings_of(struct pn_generation *gen, struct settings *out, struct pn_buf *err)
{
    struct pn_policy *p = pn_policy_open(gen->policy_fd, err);
    gen->policy_fd = -1;
    if (p == NULL)
        return false;
    *out = (struct settings){.size = (uint64_t)pn_policy_int(p, "state.size")};
    pn_policy_unref(&p);
    return true;
}

/* What is kept where is settled before the jail: another engine is another process's. */
static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    struct settings set;
    struct pn_buf err;
    pn_buf_init(&err, 2000);
    if (!settings_of(gen, &set, &err)) {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    } else if (set.size != r->settings.size) {
        pn_info("starting anew: the settings of `state` changed");
        pn_loop_stop(r->loop);
    }
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

static void on_drain_end(void *ctx)
{
    struct role *r = ctx;
    pn_loop_stop(r->loop);
}

/* The others drain too, and tell what became of their messages while they do. */
static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct role *r = ctx;
    r->draining = true;
    pn_timer_set(r->drain_timer, limit_ms);
    if (r->peers == NULL)
        pn_loop_stop(r->loop);
}

/* ---- the role */

/* With the ids of the role, before its jail: what it may open is open then. */
static bool open_engine(struct role *r, struct pn_role_env *env, struct pn_buf *err)
{
    const struct pn_folder *folder = pn_role_env_folder(env, PN_FOLDER_PLUGINS);
    if (!pn_jail_drop(env) || folder == NULL || fchdir(folder->fd) != 0) {
        (void)pn_buf_addf(err, "no folder for what plugins remember: %s", strerror(errno));
        return false;
    }
    r->engine = state_lmdb_new(r->loop, r->settings.size, err);
    (void)!chdir("/");
    if (r->engine == NULL)
        return false;
    r->engine->on_away = on_away;
    r->engine->ctx = r;
    return true;
}

static void role_fini(struct role *r)
{
    if (r->engine != NULL)
        r->engine->ops->free(r->engine);
    while (r->peers != NULL)
        peer_free(r->peers);
    while (r->asked != NULL)
        asked_free(r->asked);
    state_takes_free(&r->takes);
    pn_admin_link_free(&r->admin);
    pn_timer_free(&r->drain_timer);
    pn_control_free(&r->control);
    pn_loop_free(&r->loop);
    pn_buf_fini(&r->out);
}

static bool role_init(struct role *r, struct pn_role_env *env, struct pn_buf *err)
{
    pn_buf_init(&r->out, PN_RECORD_MAX - 64);
    r->loop = pn_loop_new();
    r->takes = state_takes_new(TAKES_MAX, TAKES_AGE_NS);
    if (!settings_of(env->gen, &r->settings, err) || !open_engine(r, env, err))
        return false;
    pn_generation_free(&env->gen); /* nothing more is read from it */
    r->drain_timer = pn_timer_new(r->loop, on_drain_end, r);
    memcpy(r->metrics, metric_rows, sizeof r->metrics);
    r->admin = pn_admin_link_new(r->loop, r->metrics, METRICS, fill_metrics, r);
    return true;
}

int pn_state_main(struct pn_role_env *env)
{
    static const struct pn_control_ops ops = {on_generation, on_peer, on_drain, NULL};
    struct role r = {0};
    struct pn_buf err;
    pn_buf_init(&err, 2000);
    (void)signal(SIGPIPE, SIG_IGN);
    bool ok = role_init(&r, env, &err);
    if (!ok) {
        pn_role_env_failed(env, "%s", pn_buf_cstr(&err));
    } else {
        static const struct pn_jail jail = {.kind = PN_JAIL_STATE};
        ok = pn_jail_enter(env, &jail);
        if (!ok)
            pn_role_env_failed(env, "the jail could not be entered");
    }
    if (ok) {
        r.control = pn_control_new(r.loop, env, &ops, &r);
        pn_admin_link_control(r.admin, r.control);
        pn_admin_link_env(r.admin, env);
        for (size_t i = 0; i < env->peer_count; i++)
            add_peer(&r, &env->peers[i]);
        pn_control_ready(r.control);
        pn_loop_run(r.loop);
    }
    role_fini(&r);
    pn_buf_fini(&err);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

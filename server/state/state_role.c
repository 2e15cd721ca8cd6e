/* The state role: workers ask, edges tell what became of a message, an engine keeps it. */
#include "state_role.h"

#include "admin_link.h"
#include "clock.h"
#include "guests.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "role.h"
#include "state_settings.h"
#include "state_takes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ANSWER_QUEUE = 8 * 1024 * 1024,
    TAKES_MAX = 200 * 1000,
};
#define TAKES_AGE_NS (900 * PN_NS_PER_S) /* longer than a message is looked at */

enum {
    M_GETS,
    M_TAKES,
    M_TOO_FEW,
    M_AWAY,
    M_LOCAL,
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
    [M_LOCAL] = {"postern_state_local_total", NULL,
                 "Questions answered by this server's own while the shared one was out of reach.",
                 PN_COUNTER},
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
    struct state_settings settings;
    struct state_engines engines;
    struct state_engine *engine; /* of those, what answers */
    struct state_takes *takes;
    struct pn_guests *guests;
    struct asked *asked; /* all that have no answer yet */
    struct pn_buf out, gathered;
    const struct pn_guest *asking; /* whose record is being read */
};

/* A question under way. */
struct asked {
    struct asked *next, **at; /* the role's */
    struct role *role;
    struct pn_guest *guest; /* NULL: it is gone */
    uint64_t id;
    struct state_take *take; /* of a take: where its answer is remembered */
    struct asked *also;      /* others that wait for the same take */
};

/* ---- answers */

static struct asked *asked_new(struct pn_guest *guest, uint64_t id)
{
    struct role *r = guest->ctx;
    struct asked *a = pn_calloc(1, sizeof *a);
    *a = (struct asked){.next = r->asked, .at = &r->asked, .role = r, .guest = guest, .id = id};
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
static void send_answers(const struct pn_guest *guest, struct pn_buf *answers)
{
    if (answers->len != 0 &&
        !pn_channel_send(guest->channel, PN_REC_STATE_ANSWER, pn_buf_str(answers), NULL, 0))
        pn_warn("a worker does not read what it asked for");
    pn_buf_clear(answers);
}

/* What is known at once of the questions of one record goes back in one. */
static void answer(struct role *r, const struct pn_guest *guest, uint64_t id,
                   const struct pn_state_answer *from)
{
    struct pn_state_answer answer = *from;
    r->metrics[M_AWAY].value += answer.status == PN_STATE_IS_AWAY;
    r->metrics[M_LOCAL].value += answer.local;
    if (guest == NULL)
        return;
    answer.id = id;
    pn_buf_clear(&r->out);
    pn_state_answer_put(&r->out, &answer);
    if (r->asking != guest) {
        send_answers(guest, &r->out);
    } else if (!pn_buf_adds(&r->gathered, pn_buf_str(&r->out))) {
        send_answers(guest, &r->gathered);
        (void)pn_buf_adds(&r->gathered, pn_buf_str(&r->out));
    }
}

static void on_got(void *ctx, const struct pn_state_answer *got)
{
    struct asked *a = ctx;
    answer(a->role, a->guest, a->id, got);
    asked_free(a);
}

static void give_back(struct role *r, const struct state_take *t)
{
    if (t->status != PN_STATE_IS_OK || t->bucket.cost == 0)
        return;
    r->metrics[M_GIVEN].value++;
    r->engine->ops->give(r->engine, t->key, t->now_ms, &t->bucket, t->local);
}

static void on_taken(void *ctx, const struct pn_state_answer *got)
{
    struct asked *a = ctx;
    struct role *r = a->role;
    struct state_take *t = a->take;
    r->metrics[M_TOO_FEW].value += got->status == PN_STATE_IS_NONE;
    t->answered = true;
    t->status = got->status;
    t->left = got->left;
    t->local = got->local;
    t->waiting = NULL;
    if (t->dropped)
        give_back(r, t);
    if (t->dropped || got->status == PN_STATE_IS_AWAY)
        state_takes_remove(r->takes, t);
    while (a != NULL) {
        struct asked *next = a->also;
        answer(r, a->guest, a->id, got);
        asked_free(a);
        a = next;
    }
}

/* ---- questions */

static void take(struct pn_guest *guest, const struct pn_state_ask *ask)
{
    struct role *r = guest->ctx;
    struct state_take *t = state_takes_find(r->takes, ask->owner, ask->step, ask->key);
    r->metrics[M_TAKES].value++;
    if (t != NULL && t->answered) {
        const struct pn_state_answer known = {
            .status = t->status, .local = t->local, .left = t->left, .value = PN_STR("")};
        answer(r, guest, ask->id, &known);
        return;
    }
    struct asked *a = asked_new(guest, ask->id);
    if (t != NULL) {
        struct asked *first = t->waiting;
        a->also = first->also;
        first->also = a;
        return;
    }
    t = a->take = state_takes_add(r->takes, ask, pn_clock_mono_ns());
    if (t == NULL) {
        state_answer_plain(on_got, a, PN_STATE_IS_AWAY, 0);
        return;
    }
    t->waiting = a;
    r->engine->ops->take(r->engine, t->key, ask->now_ms, &ask->bucket, on_taken, a);
}

static bool on_asks(struct pn_guest *guest, struct pn_str body)
{
    struct role *r = guest->ctx;
    struct pn_rd rd = pn_rd_of(body);
    struct pn_state_ask ask;
    bool ok = body.len != 0;
    r->asking = guest;
    while (ok && !pn_rd_done(&rd)) {
        ok = pn_state_ask_next(&rd, &ask);
        if (ok && ask.take) {
            take(guest, &ask);
        } else if (ok) {
            r->metrics[M_GETS].value++;
            r->engine->ops->get(r->engine, ask.key, ask.now_ms, on_got, asked_new(guest, ask.id));
        }
    }
    r->asking = NULL;
    send_answers(guest, &r->gathered);
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

static bool on_record(struct pn_guest *guest, struct pn_record *record)
{
    if (record->type == PN_REC_STATE_ASK && guest->role == PN_ROLE_FILTER)
        return on_asks(guest, record->body);
    if (record->type == PN_REC_STATE_END && guest->role == PN_ROLE_EDGE)
        return on_message_end(guest->ctx, record->body);
    return false;
}

static void on_gone(struct pn_guest *guest)
{
    struct role *r = guest->ctx;
    for (struct asked *a = r->asked; a != NULL; a = a->next)
        if (a->guest == guest)
            a->guest = NULL;
}

static const struct pn_guests_ops guests_ops = {.roles = 1U << PN_ROLE_EDGE | 1U << PN_ROLE_FILTER,
                                                .queue = ANSWER_QUEUE,
                                                .on_record = on_record,
                                                .on_gone = on_gone};

/* ---- peers */

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct role *r = ctx;
    if (!pn_admin_link_peer(r->admin, peer))
        pn_guests_add(r->guests, peer);
}

/* ---- the engine comes and goes */

static void on_away(void *ctx, const struct state_engine *e)
{
    struct role *r = ctx;
    struct pn_buf b, ts;
    pn_buf_init(&b, 2000);
    pn_buf_init(&ts, 64);
    struct pn_json j = pn_json_to(&b);
    if (e->away)
        pn_error("lasting state (%s) is out of reach: %s", e->ops->name, e->why);
    else
        pn_info("lasting state (%s) is there again", e->ops->name);
    pn_clock_rfc3339(&ts, pn_clock_wall_ms());
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", e->away ? PN_STR("state-away") : PN_STR("state-back"));
    pn_json_i64(&j, "schema", 1);
    pn_json_str(&j, "engine", pn_str_of(e->ops->name));
    if (e->away)
        pn_json_str(&j, "detail", pn_str_of(e->why));
    if (e->away)
        pn_json_str(&j, "meanwhile",
                    e != r->engine && e == r->engines.redis ? PN_STR("local") : PN_STR("plugin"));
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

/* What is kept where is settled before the jail: another engine is another process's. */
static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    struct state_settings set;
    struct pn_buf err;
    pn_buf_init(&err, 2000);
    if (!state_settings_of(gen, &set, &err)) {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    } else if (!state_settings_same(&set, &r->settings)) {
        pn_info("starting anew: the settings of `state` changed");
        pn_loop_stop(r->loop);
    }
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

/* The others drain too, and tell what became of their messages while they do. */
static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct role *r = ctx;
    pn_guests_drain(r->guests, limit_ms);
}

/* ---- sockets to the shared engine's server: the supervisor makes them */

static void want_socket(void *ctx)
{
    struct role *r = ctx;
    (void)pn_control_send(r->control, PN_REC_WANT_STATE_SOCKET, PN_STR(""), NULL, 0);
}

/* The first line of it. */
static struct pn_str read_password(int fd, char room[STATE_PASSWORD_MAX])
{
    ssize_t n = pread(fd, room, STATE_PASSWORD_MAX, 0);
    struct pn_str rest = {room, n < 0 ? 0 : (size_t)n}, line = pn_str_split(&rest, '\n');
    if (line.len != 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

static bool on_control(void *ctx, struct pn_record *record)
{
    struct role *r = ctx;
    char room[STATE_PASSWORD_MAX];
    struct pn_str password = PN_STR("");
    if (record->type != PN_REC_STATE_SOCKET || r->engines.redis == NULL)
        return false;
    int fd = record->nfds == 0 ? -1 : record->fds[0];
    if (fd >= 0)
        record->fds[0] = -1;
    if (record->nfds > 1)
        password = read_password(record->fds[1], room);
    if (fd >= 0 && record->nfds > 1 && password.len == 0) {
        (void)close(fd);
        state_redis_socket(r->engines.redis, -1, password, PN_STR("the password file is empty"));
    } else {
        state_redis_socket(r->engines.redis, fd, password, record->body);
    }
    explicit_bzero(room, sizeof room);
    return true;
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
    bool ok = state_engines_open(&r->engines, r->loop, &r->settings, want_socket, r, err);
    (void)!chdir("/");
    if (!ok)
        return false;
    r->engine = r->engines.engine;
    r->engine->on_away = on_away;
    r->engine->ctx = r;
    return true;
}

static void end(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    if (r->engine != NULL)
        r->engine->ops->free(r->engine);
    pn_guests_free(&r->guests);
    while (r->asked != NULL)
        asked_free(r->asked);
    state_takes_free(&r->takes);
    pn_admin_link_free(&r->admin);
    pn_buf_fini(&r->out);
    pn_buf_fini(&r->gathered);
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct role *r = life->ctx;
    struct pn_role_env *env = life->env;
    pn_buf_init(&r->out, PN_RECORD_MAX - 64);
    pn_buf_init(&r->gathered, PN_RECORD_MAX - 64);
    r->loop = life->loop;
    r->takes = state_takes_new(TAKES_MAX, TAKES_AGE_NS);
    if (!state_settings_of(env->gen, &r->settings, err) || !open_engine(r, env, err))
        return false;
    pn_generation_free(&env->gen); /* nothing more is read from it */
    r->guests = pn_guests_new(r->loop, &guests_ops, r);
    memcpy(r->metrics, metric_rows, sizeof r->metrics);
    r->admin = pn_admin_link_new(r->loop, r->metrics, METRICS, fill_metrics, r);
    return true;
}

static void join(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    r->control = life->control;
    pn_admin_link_control(r->admin, r->control);
}

int pn_state_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_STATE,
        .control = {on_generation, on_peer, on_drain, on_control},
        .begin = begin,
        .join = join,
        .end = end,
    };
    struct role r = {0};
    return pn_role_run(env, &steps, &r);
}

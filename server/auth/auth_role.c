#include "auth_role.h"

#include "admin_link.h"
#include "auth_event.h"
#include "clock.h"
#include "guests.h"
#include "log.h"
#include "role.h"
#include "salt_key.h"

enum { SAID_QUEUE = 4 * 1024 * 1024, EVENT_MAX = 4096, STACK = 256 * 1024 };

enum {
    M_OK,
    M_REFUSED,
    M_MALFORMED,
    M_SHUT,
    M_BUSY,
    M_OPEN,
    M_HASHING,
    M_SHUT_ADDRESSES,
    M_SHUT_ACCOUNTS,
    M_USERS,
    METRICS
};

#define LOGINS      "postern_logins_total"
#define LOGINS_HELP "Logins that ended, by result."
#define SHUT        "postern_logins_shut"
#define SHUT_HELP   "Shut out now, after too many failures."

static const struct pn_metric metric_rows[METRICS] = {
    [M_OK] = {LOGINS, "result=\"ok\"", LOGINS_HELP, PN_COUNTER},
    [M_REFUSED] = {LOGINS, "result=\"refused\"", LOGINS_HELP, PN_COUNTER},
    [M_MALFORMED] = {LOGINS, "result=\"malformed\"", LOGINS_HELP, PN_COUNTER},
    [M_SHUT] = {LOGINS, "result=\"shut\"", LOGINS_HELP, PN_COUNTER},
    [M_BUSY] = {LOGINS, "result=\"busy\"", LOGINS_HELP, PN_COUNTER},
    [M_OPEN] = {"postern_logins_open", NULL, "Logins under way.", PN_GAUGE},
    [M_HASHING] = {"postern_logins_hashing", NULL, "Passwords being checked, or waiting for it.",
                   PN_GAUGE},
    [M_SHUT_ADDRESSES] = {SHUT, "kind=\"address\"", SHUT_HELP, PN_GAUGE},
    [M_SHUT_ACCOUNTS] = {SHUT, "kind=\"account\"", SHUT_HELP, PN_GAUGE},
    [M_USERS] = {"postern_users", NULL, "Users who may log in.", PN_GAUGE},
};

struct role {
    struct auth_house house;
    struct pn_admin_link *admin;
    struct pn_guests *guests;
    struct pn_metric metrics[METRICS];
};

/* ---- events and counters */

static void send_event(struct role *r, struct pn_buf *line)
{
    (void)pn_admin_link_event(r->admin, pn_buf_str(line));
    pn_buf_fini(line);
}

static void on_outcome(void *ctx, const struct auth_outcome *outcome)
{
    struct role *r = ctx;
    struct pn_buf line;
    r->metrics[M_OK + (outcome->status - PN_SASL_OK)].value++;
    pn_buf_init(&line, EVENT_MAX);
    auth_event_login(&line, pn_clock_wall_ms(), outcome);
    send_event(r, &line);
}

static void fill_metrics(void *ctx)
{
    struct role *r = ctx;
    const struct auth_house *h = &r->house;
    size_t addresses, accounts;
    auth_guard_shut(h->guard, &h->settings.rules, pn_loop_now(h->loop) / PN_NS_PER_MS, &addresses,
                    &accounts);
    r->metrics[M_OPEN].value = (int64_t)h->open;
    r->metrics[M_HASHING].value = (int64_t)pn_threads_busy(h->threads);
    r->metrics[M_SHUT_ADDRESSES].value = (int64_t)addresses;
    r->metrics[M_SHUT_ACCOUNTS].value = (int64_t)accounts;
    r->metrics[M_USERS].value = h->users == NULL ? 0 : (int64_t)auth_users_count(h->users);
}

/* ---- edges */

static void on_come(struct pn_guest *guest)
{
    struct role *r = guest->ctx;
    guest->own = auth_desk_new(&r->house, guest->channel);
}

static void on_gone(struct pn_guest *guest)
{
    struct auth_desk *desk = guest->own;
    auth_desk_free(&desk);
    guest->own = NULL;
}

static bool on_begin(struct pn_guest *guest, struct pn_str body)
{
    struct pn_sasl_begin begin;
    return pn_sasl_begin_get(body, &begin) && auth_desk_begin(guest->own, &begin);
}

static bool on_answer(struct pn_guest *guest, struct pn_str body)
{
    struct pn_sasl_answer answer;
    return pn_sasl_answer_get(body, &answer) && auth_desk_answer(guest->own, &answer);
}

static bool on_cancel(struct pn_guest *guest, struct pn_str body)
{
    uint64_t id;
    if (!pn_sasl_cancel_get(body, &id))
        return false;
    auth_desk_cancel(guest->own, id);
    return true;
}

static bool on_question(struct pn_guest *guest, struct pn_record *record)
{
    bool ok = record->type == PN_REC_SASL_BEGIN    ? on_begin(guest, record->body)
              : record->type == PN_REC_SASL_ANSWER ? on_answer(guest, record->body)
              : record->type == PN_REC_SASL_CANCEL ? on_cancel(guest, record->body)
                                                   : false;
    pn_sasl_wipe(record->body);
    return ok;
}

static const struct pn_guests_ops guests_ops = {.roles = 1U << PN_ROLE_EDGE,
                                                .queue = SAID_QUEUE,
                                                .on_come = on_come,
                                                .on_record = on_question,
                                                .on_gone = on_gone};

/* ---- control */

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct role *r = ctx;
    if (!pn_admin_link_peer(r->admin, peer) && !auth_passes_peer(r->house.passes, peer))
        pn_guests_add(r->guests, peer);
}

/* Logins under way keep their threads' outcome: the old pool ends when it has them. */
static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    struct auth_house *h = &r->house;
    struct auth_settings set;
    struct pn_buf err;
    pn_buf_init(&err, 2000);
    if (!auth_settings_of(gen, &set, &err)) {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    } else {
        if (set.threads != h->settings.threads) {
            pn_threads_free(&h->threads);
            h->threads = pn_threads_new(h->loop, set.threads, STACK, "password");
        }
        auth_settings_fini(&h->settings);
        h->settings = set;
    }
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct role *r = ctx;
    pn_guests_drain(r->guests, limit_ms);
}

/* Logins under way end with the users that they began with. */
static void take_users(struct role *r, int fd)
{
    struct pn_buf err, line;
    pn_buf_init(&err, 1000);
    pn_buf_init(&line, EVENT_MAX);
    struct auth_users *users = auth_users_read(fd, &err);
    if (users != NULL) {
        auth_users_unref(&r->house.users);
        r->house.users = users;
        auth_event_users(&line, pn_clock_wall_ms(), auth_users_count(users), NULL);
        size_t count = auth_users_count(users);
        pn_info("the file of users was read: %zu user%s", count, count == 1 ? "" : "s");
    } else {
        auth_event_users(&line, pn_clock_wall_ms(), 0, pn_buf_cstr(&err));
        pn_error("the file of users can't be used, it changes nothing: %s", pn_buf_cstr(&err));
    }
    send_event(r, &line);
    pn_buf_fini(&err);
}

static bool on_control(void *ctx, struct pn_record *record)
{
    if (record->type != PN_REC_USERS_FILE || record->nfds != 1)
        return false;
    take_users(ctx, record->fds[0]);
    return true;
}

/* ---- the role */

static bool read_key(struct pn_role_env *env, unsigned char key[AUTH_SALT_KEY], struct pn_buf *err)
{
    const struct pn_folder *folder = pn_role_env_folder(env, PN_FOLDER_AUTH);
    if (pn_jail_drop(env) && folder != NULL)
        return auth_salt_key(folder->fd, key, err);
    (void)pn_buf_addz(err, "no folder for the key of salts");
    return false;
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct role *r = life->ctx;
    struct auth_house *h = &r->house;
    unsigned char key[AUTH_SALT_KEY];
    if (!auth_settings_of(life->env->gen, &h->settings, err))
        return false;
    pn_generation_free(&life->env->gen); /* nothing more is read from it */
    h->loop = life->loop;
    h->on_outcome = on_outcome;
    h->ctx = r;
    h->guard = auth_guard_new(AUTH_GUARD_SLOTS);
    bool ok = read_key(life->env, key, err);
    h->sasl = ok ? auth_sasl_new(key, err) : NULL;
    explicit_bzero(key, sizeof key);
    if (h->sasl == NULL)
        return false;
    r->guests = pn_guests_new(h->loop, &guests_ops, r);
    h->passes = auth_passes_new(h->loop);
    memcpy(r->metrics, metric_rows, sizeof r->metrics);
    r->admin = pn_admin_link_new(h->loop, r->metrics, METRICS, fill_metrics, r);
    return true;
}

static bool open_threads(struct pn_role_life *life, struct pn_buf *err)
{
    struct role *r = life->ctx;
    (void)err;
    r->house.threads = pn_threads_new(life->loop, r->house.settings.threads, STACK, "password");
    return true;
}

static void join(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    pn_admin_link_control(r->admin, life->control);
    auth_passes_control(r->house.passes, life->control);
    /* Without a file of users, or with a bad one, logins are told to try again; mail that needs
     * none passes all the same. */
    if (life->env->users_fd >= 0)
        take_users(r, life->env->users_fd);
}

/* Threads before the guard: what they hash yet is judged. */
static void end(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    pn_guests_free(&r->guests);
    pn_threads_free(&r->house.threads);
    auth_passes_free(&r->house.passes);
    pn_admin_link_free(&r->admin);
    auth_users_unref(&r->house.users);
    auth_sasl_free(&r->house.sasl);
    auth_guard_free(&r->house.guard);
    auth_settings_fini(&r->house.settings);
}

int pn_auth_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_AUTH,
        .control = {on_generation, on_peer, on_drain, on_control},
        .begin = begin,
        .open = open_threads,
        .join = join,
        .end = end,
    };
    struct role r = {.admin = NULL};
    return pn_role_run(env, &steps, &r);
}

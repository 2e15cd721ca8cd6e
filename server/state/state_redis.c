#include "state_redis.h"

#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "state_resp.h"
#include "stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 5 * 1000,
    STEADY_MS = 10 * 1000, /* up for so long: the next failure is a first one */
    CONNECT_MS = 3 * 1000, /* for a socket, a login and the scripts */
    OUT_MAX = 16 * 1024 * 1024,
    OPEN_MAX = 100 * 1000, /* commands without an answer */
    COMMAND_MAX = 64 * 1024,
    NAME_MAX_BYTES = STATE_PREFIX_MAX + 2 + PN_STATE_KEY_MAX,
    SHA_MAX = 40,
    NUMBER_MAX = 24
};

enum redis_state { OFF, ASKED, GREETING, READY };
enum redis_kind { GET, TAKE, GIVE, PUT };
enum { SCRIPT_TAKE, SCRIPT_GIVE, SCRIPTS };

/*
 * KEYS: a bucket; ARGV: us that the tokens cost, us in which it fills up. Numbers are whole
 * and below 2^53, as Lua has them. It answers the us of tokens that are left; where there
 * are too few, those there are, taken from -1.
 */
static const char *const scripts[SCRIPTS] = {
    [SCRIPT_TAKE] = "local t = redis.call('TIME')\n"
                    "local now, cost = t[1] * 1000000 + t[2], tonumber(ARGV[1])\n"
                    "local all = tonumber(ARGV[2])\n"
                    "local full = tonumber(redis.call('GET', KEYS[1]) or 0) or 0\n"
                    "if full < now then full = now end\n"
                    "if full > now + all then full = now + all end\n"
                    "if full + cost > now + all then return full - now - all - 1 end\n"
                    "if cost == 0 then return now + all - full end\n"
                    "full = full + cost\n"
                    "redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX',\n"
                    "    string.format('%.0f', math.ceil((full - now) / 1000) + 1))\n"
                    "return now + all - full\n",
    [SCRIPT_GIVE] = "local full = tonumber(redis.call('GET', KEYS[1]) or 0) or 0\n"
                    "if full == 0 then return 0 end\n"
                    "local t = redis.call('TIME')\n"
                    "local now = t[1] * 1000000 + t[2]\n"
                    "full = full - tonumber(ARGV[1])\n"
                    "if full <= now then return redis.call('DEL', KEYS[1]) end\n"
                    "redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX',\n"
                    "    string.format('%.0f', math.ceil((full - now) / 1000) + 1))\n"
                    "return 1\n",
};

/* One that waits for its answer; the server answers in order. */
struct command {
    struct command *next;
    enum redis_kind kind;
    bool whole; /* sent with its script: the server had forgotten it */
    uint64_t since;
    struct pn_bucket bucket;
    state_answer_fn *fn;
    void *ctx;
    size_t key_len;
    char key[];
};

struct redis {
    struct state_engine engine;
    struct state_redis_settings set;
    void (*want)(void *ctx);
    void *want_ctx;
    enum redis_state state;
    struct pn_stream *stream;
    struct resp *resp;
    struct pn_buf out; /* of this turn; or until READY, at the start */
    struct command *open, **open_end;
    size_t open_count;
    unsigned greeting; /* answers to come */
    bool login;        /* the next one is of AUTH */
    char sha[SCRIPTS][SHA_MAX];
    struct pn_timer *timer; /* by state: try again, give up connecting, the oldest's end */
    uint64_t retry_ms, ready_since;
    bool flushing, complained;
};

static struct redis *redis_of(struct state_engine *e)
{
    return (struct redis *)e; /* its first member */
}

static uint64_t now_of(const struct redis *r)
{
    return pn_loop_now(r->engine.loop);
}

/* ---- commands */

static struct pn_str name_of(const struct redis *r, char room[NAME_MAX_BYTES], char kind,
                             struct pn_str key)
{
    struct pn_buf b = {.p = room, .cap = NAME_MAX_BYTES, .max = NAME_MAX_BYTES};
    (void)(pn_buf_addz(&b, r->set.prefix) && pn_buf_addc(&b, kind) && pn_buf_addc(&b, ':') &&
           pn_buf_adds(&b, key));
    pn_assert(!b.overflow);
    return pn_buf_str(&b);
}

static struct pn_str number(char room[NUMBER_MAX], int64_t n)
{
    int len = snprintf(room, NUMBER_MAX, "%" PRId64, n);
    return (struct pn_str){room, (size_t)len};
}

static bool write_get(struct redis *r, struct pn_str key)
{
    char room[NAME_MAX_BYTES];
    const struct pn_str words[] = {PN_STR("GET"), name_of(r, room, 'v', key)};
    return resp_command(&r->out, words, 2);
}

static bool write_put(struct redis *r, struct pn_str key, struct pn_str value, int64_t ttl_ms)
{
    char room[NAME_MAX_BYTES], ttl[NUMBER_MAX];
    const struct pn_str words[] = {PN_STR("SET"), name_of(r, room, 'v', key), value, PN_STR("PX"),
                                   number(ttl, ttl_ms)};
    return resp_command(&r->out, words, 5);
}

/* By its hash; whole where the server forgot it. */
static bool write_script(struct redis *r, int script, bool whole, struct pn_str key,
                         const struct pn_bucket *bucket)
{
    char room[NAME_MAX_BYTES], cost[NUMBER_MAX], all[NUMBER_MAX];
    const struct pn_str sha = {r->sha[script], SHA_MAX};
    const struct pn_str words[] = {whole ? PN_STR("EVAL") : PN_STR("EVALSHA"),
                                   whole ? pn_str_of(scripts[script]) : sha,
                                   PN_STR("1"),
                                   name_of(r, room, 'b', key),
                                   number(cost, pn_bucket_cost_us(bucket)),
                                   number(all, (int64_t)bucket->interval_ms * 1000)};
    return resp_command(&r->out, words, 6);
}

static void flush(void *arg)
{
    struct redis *r = arg;
    r->flushing = false;
    if (r->state != READY || r->out.len == 0)
        return;
    bool ok = pn_stream_write(r->stream, pn_buf_str(&r->out)); /* if not, on_close follows */
    (void)ok;
    pn_buf_clear(&r->out);
}

static void flush_soon(struct redis *r)
{
    if (r->flushing)
        return;
    r->flushing = true;
    pn_loop_defer(r->engine.loop, flush, r);
}

static void push(struct redis *r, struct command *c)
{
    if (r->open == NULL && r->state == READY)
        pn_timer_set(r->timer, r->set.timeout_ms);
    c->next = NULL;
    *r->open_end = c;
    r->open_end = &c->next;
    r->engine.count.pending = ++r->open_count;
    flush_soon(r);
}

static struct command *pop(struct redis *r)
{
    struct command *c = r->open;
    if (c == NULL)
        return NULL;
    r->open = c->next;
    if (r->open == NULL)
        r->open_end = &r->open;
    r->engine.count.pending = --r->open_count;
    return c;
}

/* At the start what is asked waits for the first connection, as long as for an answer. */
static bool takes_commands(const struct redis *r)
{
    return (r->state == READY || r->engine.starting) && r->open_count < OPEN_MAX;
}

static struct command *command_new(struct redis *r, enum redis_kind kind, struct pn_str key,
                                   state_answer_fn *fn, void *ctx)
{
    struct command *c = pn_calloc(1, sizeof *c + key.len);
    c->kind = kind;
    c->since = now_of(r);
    c->fn = fn;
    c->ctx = ctx;
    c->key_len = key.len;
    memcpy(c->key, key.p, key.len);
    return c;
}

static void answer_away(struct redis *r, struct command *c)
{
    if (c->fn != NULL)
        state_answer_plain(c->fn, c->ctx, PN_STATE_IS_AWAY, 0);
    else
        r->engine.count.lost++;
    free(c);
}

/* written: it is in `out`. */
static void submit(struct redis *r, struct command *c, bool written)
{
    if (written)
        push(r, c);
    else
        answer_away(r, c);
}

/* ---- the connection */

/* It is tried again, later each time. Who asked hears that it is away once it is: what they
 * ask then is answered at once. */
static void fail(struct redis *r, const char *why)
{
    bool steady = r->state == READY && now_of(r) - r->ready_since > STEADY_MS * PN_NS_PER_MS;
    pn_stream_free(&r->stream);
    resp_free(&r->resp);
    pn_buf_clear(&r->out);
    r->state = OFF;
    r->retry_ms = steady ? RETRY_FIRST_MS : 2 * r->retry_ms;
    if (r->retry_ms > RETRY_MAX_MS)
        r->retry_ms = RETRY_MAX_MS;
    pn_timer_set(r->timer, r->retry_ms);
    state_engine_away(&r->engine, why);
    for (struct command *c; (c = pop(r)) != NULL;)
        answer_away(r, c);
}

static void fail_by(struct redis *r, const char *what, struct pn_str text)
{
    char why[sizeof r->engine.why];
    (void)snprintf(why, sizeof why, "%s: %.*s", what, PN_FMT(pn_str_slice(text, 0, 120)));
    fail(r, why);
}

static void on_timer(void *arg)
{
    struct redis *r = arg;
    char why[80];
    if (r->state == OFF) {
        r->state = ASKED;
        pn_timer_set(r->timer, CONNECT_MS);
        r->want(r->want_ctx);
        return;
    }
    if (r->state != READY) {
        fail(r, r->state == ASKED ? "no socket came" : "the server does not answer");
        return;
    }
    if (r->open == NULL)
        return;
    uint64_t end = r->open->since + r->set.timeout_ms * (uint64_t)PN_NS_PER_MS;
    if (now_of(r) < end) {
        pn_timer_at(r->timer, end);
        return;
    }
    (void)snprintf(why, sizeof why, "the server does not answer within %u ms", r->set.timeout_ms);
    fail(r, why);
}

/* ---- answers */

static bool starts(struct pn_str text, const char *word)
{
    return pn_str_starts(text, pn_str_of(word));
}

/* Of the server, not of one key. */
static bool is_trouble(struct pn_str error)
{
    static const char *const words[] = {"LOADING",     "MISCONF",    "OOM",   "READONLY",
                                        "NOAUTH",      "NOPERM",     "MOVED", "MASTERDOWN",
                                        "CLUSTERDOWN", "NOREPLICAS", "BUSY"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (starts(error, words[i]))
            return true;
    return false;
}

static void complain(struct redis *r, struct pn_str text)
{
    if (!r->complained)
        pn_warn("redis answers: %.*s", PN_FMT(pn_str_slice(text, 0, 120)));
    r->complained = true;
}

static void answer_take(const struct command *c, int64_t room_us)
{
    bool ok = room_us >= 0;
    uint32_t left = pn_bucket_left(&c->bucket, ok ? room_us : -1 - room_us);
    state_answer_plain(c->fn, c->ctx, ok ? PN_STATE_IS_OK : PN_STATE_IS_NONE, left);
}

static void answer_get(const struct command *c, const struct resp_reply *reply)
{
    const struct pn_state_answer answer = {.status = reply->type == RESP_TEXT ? PN_STATE_IS_OK
                                                                              : PN_STATE_IS_NONE,
                                           .value = reply->text};
    c->fn(c->ctx, &answer);
}

static bool is_answer(const struct command *c, const struct resp_reply *reply)
{
    switch (c->kind) {
    case GET:
        return reply->type == RESP_NONE ||
               (reply->type == RESP_TEXT && reply->text.len <= PN_STATE_VALUE_MAX);
    case TAKE:
    case GIVE:
        return reply->type == RESP_NUMBER;
    case PUT:
        break;
    }
    return reply->type == RESP_STATUS;
}

/* Takes c. */
static void on_answer(struct redis *r, struct command *c, const struct resp_reply *reply)
{
    struct pn_str key = {c->key, c->key_len};
    if (reply->type == RESP_ERROR && starts(reply->text, "NOSCRIPT") && !c->whole) {
        c->whole = true;
        submit(r, c,
               write_script(r, c->kind == TAKE ? SCRIPT_TAKE : SCRIPT_GIVE, true, key, &c->bucket));
        return;
    }
    if (!is_answer(c, reply)) {
        complain(r, reply->type == RESP_ERROR ? reply->text : PN_STR("what was not asked for"));
        answer_away(r, c);
        return;
    }
    if (c->kind == TAKE)
        answer_take(c, reply->number);
    else if (c->kind == GET)
        answer_get(c, reply);
    free(c);
}

/* Servers that do not know AUTH repeat its words, and so the password, in their error: what
 * they say of the login is told in words of ours. */
static void fail_login(struct redis *r, struct pn_str error)
{
    bool needless = memmem(error.p, error.len, "without any password", 20) != NULL ||
                    memmem(error.p, error.len, "no password is set", 18) != NULL;
    fail(r, starts(error, "WRONGPASS") || starts(error, "ERR invalid password")
                ? "the server refuses user and password (WRONGPASS)"
            : needless ? "the server has no password, and there is a password-file"
                       : "the server refuses AUTH (its words may hold the password)");
}

/* The answers before READY: errors of any are the end of it. */
static void on_greeting(struct redis *r, const struct resp_reply *reply)
{
    if (reply->type == RESP_ERROR && r->login) {
        fail_login(r, reply->text);
        return;
    }
    if (reply->type == RESP_ERROR) {
        fail_by(r, "the server says", reply->text);
        return;
    }
    r->login = false;
    unsigned left = --r->greeting; /* the scripts' are the last but the write's */
    if (left >= 1 && left <= SCRIPTS) {
        if (reply->type != RESP_TEXT || reply->text.len != SHA_MAX) {
            fail(r, "the server takes no scripts");
            return;
        }
        memcpy(r->sha[SCRIPTS - left], reply->text.p, SHA_MAX);
    }
    if (left != 0)
        return;
    r->state = READY;
    r->complained = false;
    r->ready_since = now_of(r);
    pn_timer_set(r->timer, r->set.timeout_ms);
    state_engine_away(&r->engine, NULL);
    flush_soon(r);
}

static bool on_reply(struct redis *r, const struct resp_reply *reply)
{
    if (r->state == GREETING) {
        on_greeting(r, reply);
        return r->state != OFF;
    }
    if (r->open == NULL) {
        fail(r, "the server answers what nobody asked");
        return false;
    }
    if (reply->type == RESP_ERROR && is_trouble(reply->text)) {
        fail_by(r, "the server says", reply->text);
        return false;
    }
    on_answer(r, pop(r), reply);
    return true;
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct redis *r = ctx;
    struct resp_reply reply;
    int got = resp_feed(r->resp, bytes) ? 1 : -1;
    while (got > 0 && (got = resp_next(r->resp, &reply)) > 0)
        if (!on_reply(r, &reply))
            return 0; /* the stream is gone */
    if (got < 0) {
        fail(r, "the server sends what is no reply");
        return 0;
    }
    return bytes.len;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    (void)how;
    fail_by(ctx, "the connection ended", pn_str_of(why));
}

/* ---- the greeting */

static bool add_login(struct redis *r, struct pn_buf *b, struct pn_str password)
{
    char text[NUMBER_MAX];
    const struct pn_str login[] = {PN_STR("AUTH"), pn_str_of(r->set.user), password};
    const struct pn_str plain[] = {PN_STR("AUTH"), password};
    const struct pn_str select[] = {PN_STR("SELECT"), number(text, r->set.database)};
    bool ok = true;
    r->login = password.len != 0;
    if (r->login) {
        ok = r->set.user[0] != '\0' ? resp_command(b, login, 3) : resp_command(b, plain, 2);
        r->greeting++;
    }
    if (ok && r->set.database != 0) {
        ok = resp_command(b, select, 2);
        r->greeting++;
    }
    return ok;
}

/* A replica, and a full disk, are found by writing. */
static bool add_probes(struct redis *r, struct pn_buf *b)
{
    char room[NAME_MAX_BYTES];
    bool ok = true;
    for (int i = 0; ok && i < SCRIPTS; i++) {
        const struct pn_str load[] = {PN_STR("SCRIPT"), PN_STR("LOAD"), pn_str_of(scripts[i])};
        ok = resp_command(b, load, 3);
        r->greeting++;
    }
    const struct pn_str probe[] = {PN_STR("SET"), name_of(r, room, 'p', PN_STR("probe")),
                                   PN_STR("1"), PN_STR("PX"), PN_STR("60000")};
    r->greeting++;
    return ok && resp_command(b, probe, 5);
}

static bool greet(struct redis *r, struct pn_str password)
{
    struct pn_buf b;
    pn_buf_init(&b, COMMAND_MAX);
    r->greeting = 0;
    bool ok = pn_buf_reserve(&b, 8192) != NULL && add_login(r, &b, password) && add_probes(r, &b) &&
              pn_stream_write(r->stream, pn_buf_str(&b));
    if (b.len != 0)
        explicit_bzero(b.p, b.len);
    pn_buf_fini(&b);
    return ok;
}

void state_redis_socket(struct state_engine *engine, int fd, struct pn_str password,
                        struct pn_str why)
{
    static const struct pn_stream_ops ops = {.on_read = on_read, .on_close = on_close};
    struct redis *r = redis_of(engine);
    if (r->state != ASKED) { /* one that we no longer waited for */
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    if (fd < 0) {
        fail_by(r, "no connection", why);
        return;
    }
    r->resp = resp_new();
    r->stream = pn_stream_new(r->engine.loop, fd, &ops, r,
                              (struct pn_stream_limits){PN_STREAM_KEEP_MAX, OUT_MAX});
    r->state = GREETING;
    pn_timer_set(r->timer, CONNECT_MS);
    if (!greet(r, password))
        fail(r, "the greeting could not be written");
}

/* ---- the engine */

static void redis_get(struct state_engine *e, struct pn_str key, int64_t now_ms,
                      state_answer_fn *fn, void *ctx)
{
    struct redis *r = redis_of(e);
    (void)now_ms;
    submit(r, command_new(r, GET, key, fn, ctx), takes_commands(r) && write_get(r, key));
}

static void redis_take(struct state_engine *e, struct pn_str key, int64_t now_ms,
                       const struct pn_bucket *bucket, state_answer_fn *fn, void *ctx)
{
    struct redis *r = redis_of(e);
    struct command *c = command_new(r, TAKE, key, fn, ctx);
    (void)now_ms;
    c->bucket = *bucket;
    /* The scripts' names are known once they are loaded. */
    c->whole = r->state != READY;
    submit(r, c, takes_commands(r) && write_script(r, SCRIPT_TAKE, c->whole, key, bucket));
}

static void redis_give(struct state_engine *e, struct pn_str key, int64_t now_ms,
                       const struct pn_bucket *bucket, bool local)
{
    struct redis *r = redis_of(e);
    struct command *c = command_new(r, GIVE, key, NULL, NULL);
    (void)now_ms;
    (void)local;
    c->bucket = *bucket;
    c->whole = r->state != READY;
    submit(r, c, takes_commands(r) && write_script(r, SCRIPT_GIVE, c->whole, key, bucket));
}

static void redis_put(struct state_engine *e, const struct pn_state_put *put, int64_t now_ms)
{
    struct redis *r = redis_of(e);
    int64_t ttl_ms = put->expires_ms - now_ms;
    if (ttl_ms <= 0)
        return;
    struct command *c = command_new(r, PUT, put->key, NULL, NULL);
    submit(r, c, takes_commands(r) && write_put(r, put->key, put->value, ttl_ms));
}

static void redis_free(struct state_engine *e)
{
    struct redis *r = redis_of(e);
    flush(r);
    pn_loop_forget(r->engine.loop, r);
    pn_stream_free(&r->stream);
    resp_free(&r->resp);
    for (struct command *c; (c = pop(r)) != NULL;)
        answer_away(r, c);
    pn_timer_free(&r->timer);
    pn_buf_fini(&r->out);
    free(r);
}

struct state_engine *state_redis_new(struct pn_loop *loop, const struct state_redis_settings *set,
                                     void (*want)(void *ctx), void *ctx)
{
    static const struct state_engine_ops ops = {"redis",    redis_get, redis_take,
                                                redis_give, redis_put, redis_free};
    struct redis *r = pn_calloc(1, sizeof *r);
    r->engine = (struct state_engine){.ops = &ops, .loop = loop, .away = true, .starting = true};
    r->set = *set;
    r->want = want;
    r->want_ctx = ctx;
    r->open_end = &r->open;
    r->retry_ms = RETRY_FIRST_MS / 2;
    pn_buf_init(&r->out, OUT_MAX);
    r->timer = pn_timer_new(loop, on_timer, r);
    pn_timer_set(r->timer, 0);
    return &r->engine;
}

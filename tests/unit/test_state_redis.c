/* Lasting state in a Redis server, with the test as the server: what is asked, what becomes of
 * each kind of answer, and of none; and the server's own engine beside it. */
#include "unit.h"

#include "state_redis.h"
#include "state_resp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOW  INT64_C(1700000000000)
#define SHA1 "0123456789012345678901234567890123456789"
#define SHA2 "abcdefabcdefabcdefabcdefabcdefabcdefabcd"

/* ---- replies ---- */

static const struct {
    const char *label, *bytes;
    int want; /* of resp_next at the end */
    enum resp_type type;
    const char *text;
    int64_t number;
} replies[] = {
    {"a status", "+OK\r\n", 1, RESP_STATUS, "OK", 0},
    {"an error", "-ERR no\r\n", 1, RESP_ERROR, "ERR no", 0},
    {"a number", ":-9007199254740991\r\n", 1, RESP_NUMBER, "", -9007199254740991},
    {"text", "$5\r\na\r\nbc\r\n", 1, RESP_TEXT, "a\r\nbc", 0},
    {"empty", "$0\r\n\r\n", 1, RESP_TEXT, "", 0},
    {"none", "$-1\r\n", 1, RESP_NONE, "", 0},
    {"not whole", "$5\r\nabc", 0, RESP_STATUS, "", 0},
    {"an array", "*1\r\n:1\r\n", -1, RESP_STATUS, "", 0},
    {"a huge array", "*2147483647\r\n", -1, RESP_STATUS, "", 0},
    {"a push of RESP3", ">2\r\n+a\r\n+b\r\n", -1, RESP_STATUS, "", 0},
    {"a map of RESP3", "%1\r\n+a\r\n+b\r\n", -1, RESP_STATUS, "", 0},
    {"a double of RESP3", ",1.5\r\n", -1, RESP_STATUS, "", 0},
    {"a boolean of RESP3", "#t\r\n", -1, RESP_STATUS, "", 0},
    {"no type", "x\r\n", -1, RESP_STATUS, "", 0},
    {"a length below zero", "$-2\r\n", -1, RESP_STATUS, "", 0},
    {"a length of letters", "$x\r\n", -1, RESP_STATUS, "", 0},
};

static void test_replies(void)
{
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct pn_str all = pn_str_of(replies[i].bytes);
        for (size_t cut = 0; cut <= all.len; cut++) {
            struct resp *r = resp_new();
            struct resp_reply reply;
            unit_row(replies[i].label);
            UNIT_TRUE(resp_feed(r, pn_str_slice(all, 0, cut)));
            int got = resp_next(r, &reply);
            if (got == 0 && cut < all.len) {
                UNIT_TRUE(resp_feed(r, pn_str_slice(all, cut, all.len)));
                got = resp_next(r, &reply);
            }
            UNIT_INT(got, replies[i].want);
            if (got == 1) {
                UNIT_INT(reply.type, replies[i].type);
                UNIT_STR(reply.text, pn_str_of(replies[i].text));
                UNIT_INT(reply.number, replies[i].number);
                UNIT_INT(resp_next(r, &reply), 0);
            }
            resp_free(&r);
        }
    }
}

static void test_reply_sizes(void)
{
    static char bytes[RESP_OPEN_MAX + 100];
    struct resp *r = resp_new();
    struct resp_reply reply;
    int head = snprintf(bytes, sizeof bytes, "$%d\r\n", RESP_TEXT_MAX + 1);
    memset(bytes + head, 'x', RESP_TEXT_MAX + 1);
    memcpy(bytes + head + RESP_TEXT_MAX + 1, "\r\n", 2);
    UNIT_TRUE(resp_feed(r, (struct pn_str){bytes, (size_t)head + RESP_TEXT_MAX + 3}));
    UNIT_INT(resp_next(r, &reply), 1);
    UNIT_TRUE(reply.cut && reply.text.len == RESP_TEXT_MAX);
    unit_row("one that never ends");
    memset(bytes, 'x', sizeof bytes);
    bytes[0] = '+';
    UNIT_TRUE(resp_feed(r, (struct pn_str){bytes, RESP_OPEN_MAX}));
    UNIT_INT(resp_next(r, &reply), 0);
    UNIT_TRUE(resp_feed(r, PN_STR("xx")));
    UNIT_INT(resp_next(r, &reply), -1);
    resp_free(&r);
}

static void test_command(void)
{
    static const struct pn_str words[] = {
        {"SET", 3}, {"k y", 3}, {"a\r\nb", 4}, {"", 0}, {NULL, 0}};
    struct pn_buf b;
    pn_buf_init(&b, 100);
    UNIT_TRUE(resp_command(&b, words, 5));
    UNIT_STR(pn_buf_str(&b),
             PN_STR("*5\r\n$3\r\nSET\r\n$3\r\nk y\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$0\r\n\r\n"));
    UNIT_TRUE(resp_command(&b, words, 1) && !resp_command(&b, words, 5));
    pn_buf_fini(&b);
}

/* ---- the engine ---- */

struct got {
    struct pn_state_answer answer;
    char value[2000];
    int count;
};

struct rig {
    struct pn_loop *loop;
    struct state_engine *engine, *redis; /* what is asked, and its part with a server */
    int server;                          /* our end */
    int wants;
    int changes;
    struct pn_buf said; /* what came to the server */
    struct state_redis_settings set;
};

static void want(void *ctx)
{
    ((struct rig *)ctx)->wants++;
}

static void on_away(void *ctx, const struct state_engine *e)
{
    struct rig *rig = ctx;
    UNIT_TRUE(e == rig->redis || e != rig->engine);
    rig->changes++;
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.loop = pn_loop_new(), .server = -1};
    rig->set = (struct state_redis_settings){.prefix = "p:", .timeout_ms = 5000};
    pn_buf_init(&rig->said, 1 << 20);
}

static void rig_open(struct rig *rig)
{
    rig->engine = rig->redis = state_redis_new(rig->loop, &rig->set, want, rig);
    rig->engine->on_away = on_away;
    rig->engine->ctx = rig;
}

static void rig_fini(struct rig *rig)
{
    rig->engine->ops->free(rig->engine);
    if (rig->server >= 0)
        (void)close(rig->server);
    pn_loop_free(&rig->loop);
    pn_buf_fini(&rig->said);
}

/* Until a socket is wanted, which it gets. */
static void give_socket(struct rig *rig, const char *password)
{
    int pair[2], before = rig->wants;
    for (int i = 0; rig->wants == before && i < 200; i++)
        pn_loop_turn(rig->loop, 100);
    UNIT_INT(rig->wants, before + 1);
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    if (rig->server >= 0)
        (void)close(rig->server);
    rig->server = pair[1];
    state_redis_socket(rig->redis, pair[0], pn_str_of(password), PN_STR(""));
}

static void turn(struct rig *rig)
{
    for (int i = 0; i < 5; i++)
        pn_loop_turn(rig->loop, 0);
}

/* What the engine wrote since the last time, as text: "GET p:v:k|". */
static struct pn_str said(struct rig *rig)
{
    char bytes[65536];
    ssize_t n;
    turn(rig);
    pn_buf_clear(&rig->said);
    while ((n = recv(rig->server, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        struct pn_str rest = {bytes, (size_t)n};
        while (rest.p != NULL) {
            struct pn_str line = pn_str_split(&rest, '\n');
            if (line.len != 0 && line.p[line.len - 1] == '\r')
                line.len--;
            if (line.len != 0 && line.p[0] == '*')
                (void)(rig->said.len == 0 || pn_buf_addc(&rig->said, '|'));
            else if (line.len != 0 && line.p[0] != '$')
                (void)(pn_buf_adds(&rig->said, line) && pn_buf_addc(&rig->said, ' '));
        }
    }
    return pn_buf_str(&rig->said);
}

static void answers(struct rig *rig, const char *bytes)
{
    UNIT_INT(send(rig->server, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
    turn(rig);
}

static void greet(struct rig *rig)
{
    give_socket(rig, "");
    (void)said(rig);
    answers(rig, "$40\r\n" SHA1 "\r\n$40\r\n" SHA2 "\r\n+OK\r\n");
    UNIT_TRUE(!rig->redis->away);
}

static void on_got(void *ctx, const struct pn_state_answer *answer)
{
    struct got *g = ctx;
    g->answer = *answer;
    (void)snprintf(g->value, sizeof g->value, "%.*s", PN_FMT(answer->value));
    g->count++;
}

static void get(struct rig *rig, const char *key, struct got *g)
{
    *g = (struct got){.count = 0};
    rig->engine->ops->get(rig->engine, pn_str_of(key), NOW, on_got, g);
}

static const struct pn_bucket bucket = {10, 3, 60000};

static void take(struct rig *rig, const char *key, struct got *g)
{
    *g = (struct got){.count = 0};
    rig->engine->ops->take(rig->engine, pn_str_of(key), NOW, &bucket, on_got, g);
}

static void test_words(void)
{
    struct rig rig;
    struct got a, b;
    rig_init(&rig);
    rig.set.database = 2;
    (void)snprintf(rig.set.user, sizeof rig.set.user, "mail");
    rig_open(&rig);
    give_socket(&rig, "secret");
    struct pn_str text = said(&rig);
    UNIT_TRUE(pn_str_starts(text, PN_STR("AUTH mail secret |SELECT 2 |SCRIPT LOAD ")));
    UNIT_TRUE(memmem(text.p, text.len, "|SET p:p:probe 1 PX 60000 ", 26) != NULL);
    answers(&rig, "+OK\r\n+OK\r\n$40\r\n" SHA1 "\r\n$40\r\n" SHA2 "\r\n+OK\r\n");
    UNIT_TRUE(!rig.redis->away && rig.changes == 0);
    get(&rig, "x/a", &a);
    take(&rig, "x/b", &b);
    rig.engine->ops->give(rig.engine, PN_STR("x/b"), NOW, &bucket, false);
    rig.engine->ops->put(rig.engine, &(struct pn_state_put){PN_STR("x/c"), PN_STR("v"), NOW + 1500},
                         NOW);
    unit_row("what is too old by now is not put");
    rig.engine->ops->put(rig.engine, &(struct pn_state_put){PN_STR("x/c"), PN_STR("v"), NOW}, NOW);
    UNIT_STR(said(&rig), PN_STR("GET p:v:x/a |EVALSHA " SHA1 " 1 p:b:x/b 18000000 60000000 "
                                "|EVALSHA " SHA2 " 1 p:b:x/b 18000000 60000000 "
                                "|SET p:v:x/c v PX 1500 "));
    UNIT_INT(rig.engine->count.pending, 4);
    answers(&rig, "$1\r\nv\r\n:12000000\r\n:1\r\n+OK\r\n");
    UNIT_INT(rig.engine->count.pending, 0);
    UNIT_TRUE(a.count == 1 && a.answer.status == PN_STATE_IS_OK);
    UNIT_STR(pn_str_of(a.value), PN_STR("v"));
    UNIT_TRUE(b.count == 1 && b.answer.status == PN_STATE_IS_OK && b.answer.left == 2);
    rig_fini(&rig);
}

static void test_answers(void)
{
    static const struct {
        const char *label, *bytes;
        bool take;
        enum pn_state_status want;
        uint32_t left;
        bool away; /* the engine, behind it */
    } rows[] = {
        {"none", "$-1\r\n", false, PN_STATE_IS_NONE, 0, false},
        {"an empty value", "$0\r\n\r\n", false, PN_STATE_IS_OK, 0, false},
        {"a number for a value", ":1\r\n", false, PN_STATE_IS_AWAY, 0, false},
        {"an error of that key", "-WRONGTYPE x\r\n", false, PN_STATE_IS_AWAY, 0, false},
        {"loading", "-LOADING x\r\n", false, PN_STATE_IS_AWAY, 0, true},
        {"a replica", "-READONLY x\r\n", true, PN_STATE_IS_AWAY, 0, true},
        {"full of memory", "-OOM x\r\n", true, PN_STATE_IS_AWAY, 0, true},
        {"a full bucket", ":60000000\r\n", true, PN_STATE_IS_OK, 10, false},
        {"its last token", ":0\r\n", true, PN_STATE_IS_OK, 0, false},
        {"too few", ":-17999999\r\n", true, PN_STATE_IS_NONE, 2, false},
        {"none at all", ":-1\r\n", true, PN_STATE_IS_NONE, 0, false},
        {"more than there can be", ":9223372036854775807\r\n", true, PN_STATE_IS_OK, 10, false},
        {"less than there can be", ":-9223372036854775808\r\n", true, PN_STATE_IS_NONE, 10, false},
        {"text for a bucket", "$1\r\n1\r\n", true, PN_STATE_IS_AWAY, 0, false},
        {"what is no reply", "hello\r\n", true, PN_STATE_IS_AWAY, 0, true},
        {"two for one", "$-1\r\n$-1\r\n", false, PN_STATE_IS_NONE, 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        struct got g;
        rig_init(&rig);
        rig_open(&rig);
        greet(&rig);
        unit_row(rows[i].label);
        if (rows[i].take)
            take(&rig, "x/a", &g);
        else
            get(&rig, "x/a", &g);
        (void)said(&rig);
        answers(&rig, rows[i].bytes);
        UNIT_INT(g.count, 1);
        UNIT_INT(g.answer.status, rows[i].want);
        UNIT_INT(g.answer.left, rows[i].left);
        UNIT_INT(rig.redis->away, rows[i].away);
        UNIT_INT(rig.changes, rows[i].away);
        rig_fini(&rig);
    }
}

static void test_forgotten_script(void)
{
    struct rig rig;
    struct got g;
    rig_init(&rig);
    rig_open(&rig);
    greet(&rig);
    take(&rig, "x/a", &g);
    (void)said(&rig);
    answers(&rig, "-NOSCRIPT No matching script\r\n");
    UNIT_INT(g.count, 0);
    UNIT_TRUE(pn_str_starts(said(&rig), PN_STR("EVAL local t = ")));
    answers(&rig, ":0\r\n");
    UNIT_TRUE(g.count == 1 && g.answer.status == PN_STATE_IS_OK);
    take(&rig, "x/a", &g);
    (void)said(&rig);
    unit_row("and a server that has no scripts at all");
    answers(&rig, "-NOSCRIPT x\r\n");
    answers(&rig, "-NOSCRIPT x\r\n");
    UNIT_TRUE(g.count == 1 && g.answer.status == PN_STATE_IS_AWAY && !rig.redis->away);
    rig_fini(&rig);
}

static void test_greeting(void)
{
    static const struct {
        const char *label, *bytes, *why;
    } rows[] = {
        {"a wrong password", "-WRONGPASS x\r\n", "WRONGPASS"},
        {"no scripts", "-NOPERM x\r\n", "NOPERM"},
        {"no hash", "+OK\r\n", "no scripts"},
        {"another's hash", "$3\r\nabc\r\n", "no scripts"},
        {"no writing", "$40\r\n" SHA1 "\r\n$40\r\n" SHA2 "\r\n-READONLY x\r\n", "READONLY"},
        {"no server of that kind", "220 mx.test ESMTP\r\n", "no reply"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        struct got g;
        rig_init(&rig);
        rig_open(&rig);
        unit_row(rows[i].label);
        get(&rig, "x/a", &g);
        give_socket(&rig, "");
        UNIT_INT(g.count, 0); /* it waits for the first connection */
        answers(&rig, rows[i].bytes);
        UNIT_TRUE(rig.redis->away && rig.changes == 1);
        UNIT_TRUE(strstr(rig.redis->why, rows[i].why) != NULL);
        UNIT_TRUE(g.count == 1 && g.answer.status == PN_STATE_IS_AWAY);
        get(&rig, "x/a", &g);
        UNIT_TRUE(g.count == 1 && g.answer.status == PN_STATE_IS_AWAY);
        unit_row("another try");
        greet(&rig);
        UNIT_INT(rig.changes, 2);
        rig_fini(&rig);
    }
}

/* A server that does not know AUTH says its words back. */
static void test_login(void)
{
    static const struct {
        const char *label, *bytes, *why;
    } rows[] = {
        {"wrong", "-WRONGPASS invalid username-password pair\r\n", "WRONGPASS"},
        {"none there", "-ERR AUTH <password> called without any password configured\r\n",
         "has no password"},
        {"AUTH renamed",
         "-ERR unknown command 'AUTH', with args beginning with: 'mail' 'secret'\r\n", "AUTH"},
        {"and no quotes", "-secret\r\n", "AUTH"},
        {"it took it, and refuses the next", "+OK\r\n-NOPERM x\r\n", "the server says: NOPERM"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        rig_init(&rig);
        rig_open(&rig);
        unit_row(rows[i].label);
        give_socket(&rig, "secret");
        answers(&rig, rows[i].bytes);
        UNIT_TRUE(rig.redis->away && strstr(rig.redis->why, rows[i].why) != NULL);
        UNIT_TRUE(strstr(rig.redis->why, "secret") == NULL);
        rig_fini(&rig);
    }
}

/* What is asked before the first connection waits for it. */
static void test_start(void)
{
    struct rig rig;
    struct got a, b;
    rig_init(&rig);
    rig_open(&rig);
    get(&rig, "x/a", &a);
    take(&rig, "x/b", &b);
    greet(&rig);
    struct pn_str text = said(&rig);
    UNIT_TRUE(pn_str_starts(text, PN_STR("GET p:v:x/a |EVAL local t = ")));
    answers(&rig, "$-1\r\n:0\r\n");
    UNIT_TRUE(a.count == 1 && a.answer.status == PN_STATE_IS_NONE);
    UNIT_TRUE(b.count == 1 && b.answer.status == PN_STATE_IS_OK);
    UNIT_INT(rig.changes, 0);
    rig_fini(&rig);
}

static void test_no_socket(void)
{
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    for (int i = 0; rig.wants == 0 && i < 100; i++)
        pn_loop_turn(rig.loop, 100);
    state_redis_socket(rig.redis, -1, PN_STR(""), PN_STR("the network is down"));
    UNIT_TRUE(rig.redis->away && strstr(rig.redis->why, "the network is down") != NULL);
    unit_row("one that nobody waits for");
    int fd = dup(0);
    state_redis_socket(rig.redis, fd, PN_STR(""), PN_STR(""));
    UNIT_TRUE(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
    greet(&rig);
    rig_fini(&rig);
}

/* One that hangs: the connection is given up, all that is open is answered, once. */
static void test_hung(void)
{
    struct rig rig;
    struct got g[3];
    rig_init(&rig);
    rig.set.timeout_ms = 20;
    rig_open(&rig);
    greet(&rig);
    for (int i = 0; i < 3; i++)
        get(&rig, "x/a", &g[i]);
    rig.engine->ops->put(rig.engine, &(struct pn_state_put){PN_STR("x/c"), PN_STR("v"), NOW + 1500},
                         NOW);
    for (int i = 0; !rig.redis->away && i < 200; i++)
        pn_loop_turn(rig.loop, 100);
    UNIT_TRUE(rig.redis->away && strstr(rig.redis->why, "within 20 ms") != NULL);
    for (int i = 0; i < 3; i++)
        UNIT_TRUE(g[i].count == 1 && g[i].answer.status == PN_STATE_IS_AWAY);
    UNIT_INT(rig.engine->count.lost, 1);
    greet(&rig);
    get(&rig, "x/a", &g[0]);
    UNIT_STR(said(&rig), PN_STR("GET p:v:x/a "));
    unit_row("the connection ends");
    (void)close(rig.server);
    rig.server = -1;
    turn(&rig);
    UNIT_TRUE(rig.redis->away && g[0].count == 1 && g[0].answer.status == PN_STATE_IS_AWAY);
    rig_fini(&rig);
}

/* ---- with an engine of this server beside it ---- */

struct own {
    struct state_engine engine;
    int puts, gives;
};

static void own_get(struct state_engine *e, struct pn_str key, int64_t now_ms, state_answer_fn *fn,
                    void *ctx)
{
    (void)now_ms;
    const struct pn_state_answer answer = {.status = PN_STATE_IS_OK, .value = key};
    if (e->away)
        state_answer_plain(fn, ctx, PN_STATE_IS_AWAY, 0);
    else
        fn(ctx, &answer);
}

static void own_take(struct state_engine *e, struct pn_str key, int64_t now_ms,
                     const struct pn_bucket *b, state_answer_fn *fn, void *ctx)
{
    (void)e;
    (void)key;
    (void)now_ms;
    state_answer_plain(fn, ctx, PN_STATE_IS_OK, b->capacity);
}

static void own_give(struct state_engine *e, struct pn_str key, int64_t now_ms,
                     const struct pn_bucket *b, bool local)
{
    (void)key;
    (void)now_ms;
    (void)b;
    UNIT_TRUE(local);
    ((struct own *)e)->gives++;
}

static void own_put(struct state_engine *e, const struct pn_state_put *put, int64_t now_ms)
{
    (void)put;
    (void)now_ms;
    ((struct own *)e)->puts++;
}

static void own_free(struct state_engine *e)
{
    (void)e;
}

static void test_both(void)
{
    static const struct state_engine_ops ops = {"own",    own_get, own_take,
                                                own_give, own_put, own_free};
    const struct pn_state_put put = {PN_STR("x/c"), PN_STR("v"), NOW + 1500};
    struct own own = {.engine = {.ops = &ops}};
    struct rig rig;
    struct got a, b;
    rig_init(&rig);
    rig_open(&rig);
    rig.engine = state_both_new(rig.redis, &own.engine);
    rig.engine->on_away = on_away;
    rig.engine->ctx = &rig;
    greet(&rig);
    rig.engine->ops->put(rig.engine, &put, NOW);
    get(&rig, "x/a", &a);
    take(&rig, "x/b", &b);
    (void)said(&rig);
    UNIT_INT(own.puts, 1);
    answers(&rig, "+OK\r\n$-1\r\n:0\r\n");
    UNIT_TRUE(a.answer.status == PN_STATE_IS_NONE && !a.answer.local);
    UNIT_TRUE(b.answer.left == 0 && !b.answer.local);
    unit_row("it ends while it is asked");
    get(&rig, "x/a", &a);
    (void)close(rig.server);
    rig.server = -1;
    turn(&rig);
    UNIT_TRUE(a.count == 1 && a.answer.status == PN_STATE_IS_OK && a.answer.local);
    UNIT_STR(pn_str_of(a.value), PN_STR("x/a"));
    UNIT_TRUE(rig.engine->away && rig.changes == 1);
    unit_row("meanwhile");
    take(&rig, "x/b", &b);
    UNIT_TRUE(b.answer.local && b.answer.left == 10);
    rig.engine->ops->give(rig.engine, PN_STR("x/b"), NOW, &bucket, true);
    rig.engine->ops->put(rig.engine, &put, NOW);
    UNIT_TRUE(own.puts == 2 && own.gives == 1);
    UNIT_INT(rig.engine->count.lost, 0);
    unit_row("both are away");
    own.engine.away = true;
    get(&rig, "x/a", &a);
    UNIT_TRUE(a.answer.status == PN_STATE_IS_AWAY && !a.answer.local);
    greet(&rig);
    UNIT_TRUE(!rig.engine->away && rig.changes == 2);
    rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"replies", test_replies},
                                             {"sizes of replies", test_reply_sizes},
                                             {"commands", test_command},
                                             {"what is said", test_words},
                                             {"answers", test_answers},
                                             {"a forgotten script", test_forgotten_script},
                                             {"the greeting", test_greeting},
                                             {"the start", test_start},
                                             {"login", test_login},
                                             {"no socket", test_no_socket},
                                             {"hung", test_hung},
                                             {"both engines", test_both},
                                             {NULL, NULL}};
    return unit_main("state_redis", tests, argc, argv);
}

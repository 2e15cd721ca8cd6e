/* Lasting state below the plugins: records, buckets, what is gathered, who took what, the
 * embedded engine, and the role as its peers see it. */
#include "unit.h"

#include "kit_policy.h"
#include "memfile.h"
#include "role_rig.h"
#include "state.h"
#include "state_cells.h"
#include "state_engine.h"
#include "state_role.h"
#include "state_takes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOW INT64_C(1700000000000)

/* ---- buckets ---- */

static void test_bucket(void)
{
    static const struct {
        const char *label;
        int64_t at_ms; /* since the start; one bucket goes through all rows */
        uint32_t capacity, cost;
        uint64_t interval_ms;
        bool want;
        uint32_t want_left;
    } rows[] = {
        {"full", 0, 3, 0, 3000, true, 3},
        {"one", 0, 3, 1, 3000, true, 2},
        {"two", 0, 3, 2, 3000, true, 0},
        {"none is left", 0, 3, 1, 3000, false, 0},
        {"nothing is always there", 0, 3, 0, 3000, true, 0},
        {"not quite", 999, 3, 1, 3000, false, 0},
        {"one came back", 1000, 3, 1, 3000, true, 0},
        {"the clock went back", 0, 3, 1, 3000, false, 0},
        {"more than it holds", 100000, 3, 4, 3000, false, 3},
        {"no more than it holds", 200000, 3, 3, 3000, true, 0},
        {"it became smaller", 200000, 1, 1, 1000, false, 0},
        {"it was full then by what it was", 203000, 1, 1, 1000, true, 0},
        {"the largest", 300000, PN_STATE_CAPACITY_MAX, PN_STATE_CAPACITY_MAX,
         (uint64_t)PN_STATE_INTERVAL_MAX, true, 0},
    };
    int64_t full = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pn_bucket b = {rows[i].capacity, rows[i].cost, rows[i].interval_ms};
        uint32_t left;
        unit_row(rows[i].label);
        UNIT_TRUE(pn_bucket_ok(&b));
        UNIT_INT(pn_bucket_take(&full, NOW + rows[i].at_ms, &b, &left), rows[i].want);
        UNIT_INT(left, rows[i].want_left);
    }
    static const struct pn_bucket bad[] = {{0, 1, 1000},
                                           {1, 1, 999},
                                           {PN_STATE_CAPACITY_MAX + 1, 1, 1000},
                                           {1, PN_STATE_CAPACITY_MAX + 1, 1000},
                                           {1, 1, (uint64_t)PN_STATE_INTERVAL_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        UNIT_TRUE(!pn_bucket_ok(&bad[i]));
}

/* ---- records ---- */

static void test_ask(void)
{
    static char key[PN_STATE_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    static const struct {
        const char *label;
        size_t key;
        int64_t now;
        bool take;
        uint32_t capacity;
        bool want;
    } rows[] = {
        {"a get", 1, NOW, false, 0, true},
        {"a take", PN_STATE_KEY_MAX, NOW, true, 1, true},
        {"no key", 0, NOW, false, 0, false},
        {"a long key", PN_STATE_KEY_MAX + 1, NOW, false, 0, false},
        {"before 1970", 1, -1, false, 0, false},
        {"the end of time", 1, INT64_MAX, false, 0, false},
        {"no bucket", 1, NOW, true, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_state_ask ask = {.id = 1,
                                   .owner = 2,
                                   .step = 3,
                                   .take = rows[i].take,
                                   .now_ms = rows[i].now,
                                   .key = {key, rows[i].key},
                                   .bucket = {rows[i].capacity, 1, 1000}};
        struct pn_state_ask got;
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        pn_state_ask_put(&b, &ask);
        unit_row(rows[i].label);
        struct pn_rd r = pn_rd_of(pn_buf_str(&b));
        UNIT_INT(pn_state_ask_next(&r, &got) && pn_rd_done(&r), rows[i].want);
        for (size_t cut = 0; cut < b.len; cut++) {
            r = pn_rd_of(pn_str_slice(pn_buf_str(&b), 0, cut));
            UNIT_TRUE(!pn_state_ask_next(&r, &got));
        }
        pn_buf_fini(&b);
    }
}

static void test_end(void)
{
    static const struct {
        const char *label;
        bool keep;
        uint32_t count, puts; /* said, and there */
        bool want;
    } rows[] = {
        {"a drop", false, 0, 0, true},
        {"a drop that puts", false, 1, 1, false},
        {"one", true, 1, 1, true},
        {"two", true, 2, 2, true},
        {"one too few", true, 2, 1, false},
        {"one too many", true, 1, 2, false},
        {"far too many", true, 1000000, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_state_end end = {7, rows[i].keep, NOW, rows[i].count};
        struct pn_state_put put = {PN_STR("p/k"), PN_STR("v"), NOW + 1};
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        pn_state_end_put(&b, &end);
        for (uint32_t k = 0; k < rows[i].puts; k++)
            pn_state_put_put(&b, &put);
        unit_row(rows[i].label);
        struct pn_rd r = pn_rd_of(pn_buf_str(&b));
        bool ok = pn_state_end_get(&r, &end);
        for (uint32_t k = 0; ok && k < end.count; k++)
            ok = pn_state_put_next(&r, &put);
        UNIT_INT(ok && pn_rd_done(&r), rows[i].want);
        pn_buf_fini(&b);
    }
}

/* ---- what is gathered ---- */

static void test_cells(void)
{
    struct state_cells c;
    char key[16], value[16];
    state_cells_init(&c, 1);
    UNIT_TRUE(state_cells_find(&c, PN_STR("k")) == NULL);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2000; i++) {
            int k = snprintf(key, sizeof key, "key %d", i);
            int v = snprintf(value, sizeof value, "%d", i + round);
            state_cells_set(&c, (struct pn_str){key, (size_t)k}, (struct pn_str){value, (size_t)v},
                            i);
        }
    UNIT_INT(c.count, 2000);
    const struct state_cell *cell = state_cells_find(&c, PN_STR("key 1234"));
    UNIT_TRUE(cell != NULL && cell->expires_ms == 1234);
    if (cell != NULL)
        UNIT_STR(state_cell_value(cell), PN_STR("1235"));
    size_t sum = 0;
    for (size_t i = 0; i < c.slot_count; i++)
        for (cell = c.slots[i]; cell != NULL; cell = cell->next)
            sum += sizeof *cell + cell->key_len + cell->value_len;
    UNIT_INT(c.bytes, sum);
    state_cells_fini(&c);
}

/* ---- who took what ---- */

static bool all(void *ctx, struct state_take *t)
{
    ++*(int *)ctx;
    return t->answered;
}

static void test_takes(void)
{
    struct state_takes *takes = state_takes_new(3, 100);
    struct pn_state_ask ask = {.owner = 1, .step = 1, .key = PN_STR("k")};
    struct state_take *one = state_takes_add(takes, &ask, 10);
    UNIT_TRUE(one != NULL && state_takes_find(takes, 1, 1, PN_STR("k")) == one);
    UNIT_TRUE(state_takes_find(takes, 1, 2, PN_STR("k")) == NULL);
    UNIT_TRUE(state_takes_find(takes, 2, 1, PN_STR("k")) == NULL);
    UNIT_TRUE(state_takes_find(takes, 1, 1, PN_STR("l")) == NULL);
    ask.step = 2;
    struct state_take *two = state_takes_add(takes, &ask, 20);
    ask.owner = 1 + 16384; /* may lie in the same slot */
    UNIT_TRUE(two != NULL && state_takes_add(takes, &ask, 30) != NULL);
    ask.step = 9;
    unit_row("the oldest has no answer yet");
    UNIT_TRUE(state_takes_add(takes, &ask, 40) == NULL);
    one->answered = true;
    unit_row("it has: it makes room");
    UNIT_TRUE(state_takes_add(takes, &ask, 40) != NULL);
    UNIT_TRUE(state_takes_find(takes, 1, 1, PN_STR("k")) == NULL);
    UNIT_INT(state_takes_count(takes), 3);
    int seen = 0;
    two->answered = true;
    state_takes_each(takes, 1, all, &seen);
    UNIT_INT(seen, 1);
    UNIT_INT(state_takes_count(takes), 2);
    unit_row("too old");
    state_takes_find(takes, 1 + 16384, 2, PN_STR("k"))->answered = true;
    state_takes_find(takes, 1 + 16384, 9, PN_STR("k"))->answered = true;
    ask.owner = 5;
    UNIT_TRUE(state_takes_add(takes, &ask, 141) != NULL);
    UNIT_INT(state_takes_count(takes), 1);
    state_takes_free(&takes);
}

/* Three buckets for each of many recipients of one message, and of another. */
static void test_many_takes(void)
{
    enum { RECIPIENTS = 500, BUCKETS = 3, ALL = 2 * RECIPIENTS * BUCKETS };
    static const struct pn_str keys[BUCKETS] = {{"a", 1}, {"b", 1}, {"c", 1}};
    struct state_takes *takes = state_takes_new(ALL, 100);
    for (uint32_t i = 0; i < ALL; i++) {
        const struct pn_state_ask ask = {
            .owner = 7 + i % 2, .step = 3 + i / 2 / BUCKETS, .key = keys[i / 2 % BUCKETS]};
        state_takes_add(takes, &ask, 10)->answered = true;
    }
    for (uint32_t i = 0; i < ALL; i++) {
        const struct state_take *t =
            state_takes_find(takes, 7 + i % 2, 3 + i / 2 / BUCKETS, keys[i / 2 % BUCKETS]);
        UNIT_TRUE(t != NULL && t->owner == 7 + i % 2 && t->step == 3 + i / 2 / BUCKETS);
    }
    state_takes_remove(takes, state_takes_find(takes, 7, 100, keys[1]));
    UNIT_TRUE(state_takes_find(takes, 7, 100, keys[1]) == NULL);
    UNIT_TRUE(state_takes_find(takes, 7, 100, keys[2]) != NULL);
    int seen = 0;
    state_takes_each(takes, 7, all, &seen);
    UNIT_INT(seen, ALL / 2 - 1);
    UNIT_INT(state_takes_count(takes), ALL / 2);
    UNIT_TRUE(state_takes_find(takes, 8, 100, keys[1]) != NULL);
    state_takes_free(&takes);
}

/* ---- the embedded engine ---- */

struct got {
    enum pn_state_status status;
    uint32_t left;
    char value[64];
    int count;
};

static void on_got(void *ctx, const struct pn_state_answer *answer)
{
    struct got *g = ctx;
    g->status = answer->status;
    g->left = answer->left;
    (void)snprintf(g->value, sizeof g->value, "%.*s", PN_FMT(answer->value));
    g->count++;
}

struct place {
    char path[32];
    int home;
    struct pn_loop *loop;
    struct state_engine *engine;
};

static void place_open(struct place *p, uint64_t size)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    p->loop = pn_loop_new();
    UNIT_INT(chdir(p->path), 0);
    p->engine = state_lmdb_new(p->loop, size, &err);
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    UNIT_INT(fchdir(p->home), 0);
    pn_buf_fini(&err);
}

static void place_close(struct place *p)
{
    p->engine->ops->free(p->engine);
    pn_loop_free(&p->loop);
}

static void place_init(struct place *p)
{
    *p = (struct place){.path = "state.XXXXXX"};
    UNIT_TRUE(mkdtemp(p->path) != NULL);
    p->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void place_fini(struct place *p)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "data.mdb.broken"};
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", p->path, names[i]);
        (void)unlink(path);
    }
    UNIT_INT(rmdir(p->path), 0);
    (void)close(p->home);
}

static void put(struct place *p, const char *key, const char *value, int64_t expires_ms)
{
    p->engine->ops->put(p->engine,
                        &(struct pn_state_put){pn_str_of(key), pn_str_of(value), expires_ms}, NOW);
}

static void want(struct place *p, const char *key, int64_t now_ms, const char *value)
{
    struct got g = {.count = 0};
    p->engine->ops->get(p->engine, pn_str_of(key), now_ms, on_got, &g);
    UNIT_INT(g.count, 1);
    UNIT_INT(g.status, value == NULL ? PN_STATE_IS_NONE : PN_STATE_IS_OK);
    UNIT_STR(pn_str_of(g.value), pn_str_of(value == NULL ? "" : value));
}

static int take(struct place *p, const char *key, uint32_t cost)
{
    const struct pn_bucket b = {10, cost, 3600000};
    struct got g = {.count = 0};
    p->engine->ops->take(p->engine, pn_str_of(key), NOW, &b, on_got, &g);
    UNIT_INT(g.count, 1);
    return g.status == PN_STATE_IS_OK ? (int)g.left : -1;
}

static void test_lmdb(void)
{
    const struct pn_bucket four = {10, 4, 3600000};
    /* The sweeper goes by the true clock. */
    const int64_t late = INT64_C(4000000000000);
    struct place p;
    place_init(&p);
    place_open(&p, 1 << 20);
    want(&p, "p/a", NOW, NULL);
    put(&p, "p/a", "1", late);
    put(&p, "p/a", "2", late);
    put(&p, "p/b", "", late + 1);
    unit_row("gathered");
    want(&p, "p/a", NOW, "2");
    want(&p, "p/a", late, NULL);
    want(&p, "p/b", late, "");
    UNIT_INT(take(&p, "p/a", 7), 3);
    UNIT_INT(take(&p, "p/a", 4), -1);
    place_close(&p);
    place_open(&p, 1 << 20);
    unit_row("written");
    want(&p, "p/a", NOW, "2");
    want(&p, "p/a", late, NULL);
    want(&p, "p/b", late, "");
    UNIT_INT(take(&p, "p/b", 0), 10);
    UNIT_INT(p.engine->count.pending, 0);
    place_close(&p);
    place_open(&p, 1 << 20);
    unit_row("given back");
    UNIT_INT(take(&p, "q/b", 8), 2);
    p.engine->ops->give(p.engine, PN_STR("q/b"), NOW, &four, false);
    UNIT_INT(take(&p, "q/b", 0), 6);
    p.engine->ops->give(p.engine, PN_STR("q/none"), NOW, &four, false);
    UNIT_INT(take(&p, "q/none", 0), 10);
    place_close(&p);
    place_fini(&p);
}

/* What is no database is set aside. */
static void test_lmdb_broken(void)
{
    struct place p;
    char path[64], bytes[8192];
    place_init(&p);
    (void)snprintf(path, sizeof path, "%s/data.mdb", p.path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    memset(bytes, 'x', sizeof bytes);
    UNIT_INT(write(fd, bytes, sizeof bytes), sizeof bytes);
    (void)close(fd);
    place_open(&p, 1 << 20);
    want(&p, "p/a", NOW, NULL);
    place_close(&p);
    (void)snprintf(path, sizeof path, "%s/data.mdb.broken", p.path);
    UNIT_INT(access(path, F_OK), 0);
    place_fini(&p);
}

static void on_changed(void *ctx, const struct state_engine *e)
{
    (void)e;
    ++*(int *)ctx;
}

/* A full file: away, and there again once what is too old was removed. */
static void test_lmdb_full(void)
{
    static char value[PN_STATE_VALUE_MAX + 1];
    struct place p;
    int changes = 0;
    char key[32];
    memset(value, 'v', sizeof value - 1);
    place_init(&p);
    place_open(&p, 1 << 20);
    p.engine->on_away = on_changed;
    p.engine->ctx = &changes;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "p/%d", i);
        put(&p, key, value, NOW + 1000); /* long ago by the true clock */
    }
    for (int i = 0; changes == 0 && i < 200; i++)
        pn_loop_turn(p.loop, 100);
    UNIT_TRUE(p.engine->away && changes == 1);
    struct got g = {.count = 0};
    p.engine->ops->get(p.engine, PN_STR("p/1"), NOW, on_got, &g);
    UNIT_INT(g.status, PN_STATE_IS_AWAY);
    UNIT_INT(take(&p, "p/1", 1), -1);
    place_close(&p);
    place_fini(&p);
}

/* ---- the role ---- */

enum { EDGE, WORKER };

static struct pn_state_answer ask_role(struct role_rig *rig, struct pn_state_ask ask,
                                       struct pn_buf *room)
{
    struct pn_record record;
    struct pn_state_answer answer = {.status = PN_STATE_STATUSES};
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    pn_state_ask_put(&b, &ask);
    UNIT_INT(pn_channel_send_fd(rig->peers[WORKER], PN_REC_STATE_ASK, pn_buf_str(&b), NULL, 0), 0);
    if (role_rig_recv(rig, WORKER, &record, room)) {
        UNIT_INT(record.type, PN_REC_STATE_ANSWER);
        struct pn_rd r = pn_rd_of(record.body);
        UNIT_TRUE(pn_state_answer_next(&r, &answer) && pn_rd_done(&r));
        UNIT_INT(answer.id, ask.id);
    }
    pn_buf_fini(&b);
    return answer;
}

static void tell_role(struct role_rig *rig, uint64_t owner, bool keep, const char *key,
                      const char *value)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    pn_state_end_put(&b, &(struct pn_state_end){owner, keep, NOW, key == NULL ? 0 : 1});
    if (key != NULL)
        pn_state_put_put(&b, &(struct pn_state_put){pn_str_of(key), pn_str_of(value), NOW + 1000});
    UNIT_INT(pn_channel_send_fd(rig->peers[EDGE], PN_REC_STATE_END, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

/* Two channels have no order between them: asks until the edge's word was heard. */
static uint32_t left_of(struct role_rig *rig, uint32_t want_left)
{
    struct pn_buf room;
    uint32_t left = UINT32_MAX;
    pn_buf_init(&room, PN_RECORD_MAX);
    for (uint64_t i = 0; i < 2000 && left != want_left; i++) {
        struct pn_state_ask ask = {.id = 100 + i,
                                   .owner = 1000 + i,
                                   .take = true,
                                   .now_ms = NOW,
                                   .key = PN_STR("p/b"),
                                   .bucket = {10, 0, 3600000}};
        left = ask_role(rig, ask, &room).left;
    }
    pn_buf_fini(&room);
    return left;
}

static void test_role(void)
{
    struct kit kit;
    struct role_rig rig;
    struct pn_buf room;
    struct pn_state_ask get = {.id = 1, .now_ms = NOW, .key = PN_STR("p/a")};
    struct pn_state_ask taking = {.id = 2,
                                  .owner = 7,
                                  .step = 3,
                                  .take = true,
                                  .now_ms = NOW,
                                  .key = PN_STR("p/b"),
                                  .bucket = {10, 4, 3600000}};
    pn_buf_init(&room, PN_RECORD_MAX);
    kit_open(&kit, "", "");
    role_rig_init(&rig, PN_ROLE_STATE, PN_FOLDER_PLUGINS, pn_state_main);
    rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&kit.image));
    rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    rig.peer_roles[WORKER] = PN_ROLE_FILTER;
    rig.peer_count = 2;
    role_rig_start(&rig);
    UNIT_INT(ask_role(&rig, get, &room).status, PN_STATE_IS_NONE);
    unit_row("a take asked again takes nothing");
    UNIT_INT(ask_role(&rig, taking, &room).left, 6);
    UNIT_INT(ask_role(&rig, taking, &room).left, 6);
    UNIT_INT(left_of(&rig, 6), 6);
    unit_row("another step takes for itself");
    taking.step = 4;
    UNIT_INT(ask_role(&rig, taking, &room).left, 2);
    unit_row("too few are none taken, and none given back");
    taking.step = 5;
    UNIT_INT(ask_role(&rig, taking, &room).status, PN_STATE_IS_NONE);
    unit_row("another message's end gives nothing back");
    tell_role(&rig, 8, false, NULL, NULL);
    UNIT_INT(left_of(&rig, 2), 2);
    unit_row("no decision: all of it comes back");
    tell_role(&rig, 7, false, NULL, NULL);
    UNIT_INT(left_of(&rig, 10), 10);
    unit_row("once");
    tell_role(&rig, 7, false, NULL, NULL);
    taking.owner = 9;
    UNIT_INT(ask_role(&rig, taking, &room).left, 6);
    unit_row("a decision: it stays, and what was put is there");
    tell_role(&rig, 9, true, "p/a", "value");
    for (int i = 0; i < 2000; i++) {
        struct pn_state_answer a = ask_role(&rig, get, &room);
        if (a.status == PN_STATE_IS_OK) {
            UNIT_STR(a.value, PN_STR("value"));
            break;
        }
    }
    tell_role(&rig, 9, false, NULL, NULL);
    UNIT_INT(left_of(&rig, 6), 6);
    for (unsigned i = 0; i < rig.peer_count; i++)
        UNIT_INT(shutdown(rig.peers[i], SHUT_RDWR), 0);
    UNIT_INT(role_rig_drain(&rig), 0);
    (void)close(rig.policy_fd);
    role_rig_fini(&rig);
    kit_close(&kit);
    pn_buf_fini(&room);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"bucket", test_bucket},
                                             {"ask", test_ask},
                                             {"end", test_end},
                                             {"cells", test_cells},
                                             {"takes", test_takes},
                                             {"many takes", test_many_takes},
                                             {"lmdb", test_lmdb},
                                             {"lmdb, broken", test_lmdb_broken},
                                             {"lmdb, full", test_lmdb_full},
                                             {"role", test_role},
                                             {NULL, NULL}};
    return unit_main("state", tests, argc, argv);
}

#include "ipc_rig.h"
#include "unit.h"

#include "channel.h"
#include "control.h"
#include "log.h"
#include "records.h"
#include "role.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pn_loop *loop;

static void send_body(int fd, uint16_t type, struct pn_buf *b, int passed)
{
    UNIT_INT(pn_channel_send_fd(fd, type, pn_buf_str(b), &passed, passed >= 0 ? 1 : 0), 0);
    pn_buf_clear(b);
}

static const struct pn_start start = {.role = PN_ROLE_EDGE,
                                      .number = 1,
                                      .generation = 4,
                                      .flags = PN_START_DROP,
                                      .uid = 65534,
                                      .gid = 65533,
                                      .name = PN_STR_INIT("edge-1"),
                                      .root = PN_STR_INIT("/r")};

static void send_start(int fd, struct pn_buf *b, int policy)
{
    pn_start_put(b, &start);
    send_body(fd, PN_REC_START, b, policy);
}

static void send_listener(int fd, struct pn_buf *b, uint32_t row, int passed)
{
    pn_listener_put(b, &(struct pn_listener){.kind = 2, .row = row});
    send_body(fd, PN_REC_LISTENER, b, passed);
}

static void send_identity(int fd, struct pn_buf *b)
{
    pn_identity_put(b, &(struct pn_tls_identity){PN_STR(""), PN_STR("chain"), PN_STR("key")});
    send_body(fd, PN_REC_IDENTITY, b, -1);
}

static void test_env(void)
{
    struct pn_role_env env;
    struct pn_buf b;
    int fds[2], other = open("/dev/null", O_RDONLY);
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_pair(fds), 0);
    send_start(fds[0], &b, other);
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_RESOLVER});
    send_body(fds[0], PN_REC_PEER, &b, other);
    send_listener(fds[0], &b, 3, other);
    send_identity(fds[0], &b);
    pn_folder_put(&b, &(struct pn_folder){.purpose = PN_FOLDER_SPOOL, .path = PN_STR("/s")});
    send_body(fds[0], PN_REC_FOLDER, &b, other);
    send_body(fds[0], PN_REC_LIMITS, &b, other);
    send_body(fds[0], PN_REC_GO, &b, -1);
    UNIT_TRUE(pn_role_env_read(&env, fds[1]));
    UNIT_STR(pn_str_of(env.name), PN_STR("edge-1"));
    UNIT_INT(env.start.uid, 65534);
    UNIT_STR(env.start.root, PN_STR("/r"));
    UNIT_TRUE(same_file(env.gen->policy_fd, other));
    UNIT_INT(env.gen->serial, 4);
    UNIT_INT(env.gen->listeners[0].row, 3);
    UNIT_STR(env.gen->identities[0].key_pem, PN_STR("key"));
    UNIT_STR(pn_role_env_folder(&env, PN_FOLDER_SPOOL)->path, PN_STR("/s"));
    UNIT_TRUE(pn_role_env_folder(&env, PN_FOLDER_MAIL) == NULL);
    UNIT_TRUE(same_file(env.limits_fd, other));
    UNIT_INT(env.peer_count, 1);
    UNIT_INT(env.peers[0].role, PN_ROLE_RESOLVER);
    UNIT_TRUE(env.peers[0].fd >= 0);
    pn_role_env_fini(&env);
    (void)close(fds[0]);
    (void)close(other);
    pn_buf_fini(&b);
}

struct refusing {
    unsigned begun, opened, ended;
};

static bool refuse(struct pn_role_life *life, struct pn_buf *err)
{
    struct refusing *r = life->ctx;
    r->begun++;
    UNIT_TRUE(life->loop != NULL && life->control == NULL);
    (void)pn_buf_addz(err, "no spoon is there");
    return false;
}

static bool count_open(struct pn_role_life *life, struct pn_buf *err)
{
    struct refusing *r = life->ctx;
    (void)err;
    r->opened++;
    return true;
}

static void count_end(struct pn_role_life *life)
{
    struct refusing *r = life->ctx;
    r->ended++;
}

/* It is told in its own words, nothing after it is done, and what was made is let go. */
static void test_role_refused(void)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_QUEUE, .begin = refuse, .open = count_open, .end = count_end};
    struct refusing r = {0};
    struct pn_record record;
    struct pn_buf b;
    int fds[2];
    pn_log_init("unit", PN_LOG_ERROR + 1);
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_pair(fds), 0);
    struct pn_role_env env = {.control_fd = fds[1], .limits_fd = -1, .users_fd = -1};
    UNIT_INT(pn_role_run(&env, &steps, &r), EXIT_FAILURE);
    UNIT_INT(r.begun, 1);
    UNIT_INT(r.opened, 0);
    UNIT_INT(r.ended, 1);
    UNIT_INT(pn_channel_recv_fd(fds[0], &record, &b, 1000), 1);
    UNIT_INT(record.type, PN_REC_FAILED);
    UNIT_STR(record.body, PN_STR("no spoon is there"));
    pn_role_env_fini(&env);
    (void)close(fds[0]);
    pn_buf_fini(&b);
    pn_log_init("unit", PN_LOG_INFO);
}

static void test_env_bad(void)
{
    static const char *const rows[] = {"peer before start", "two starts", "closed before GO",
                                       "peer without fd", "unknown type"};
    pn_log_init("unit", PN_LOG_ERROR + 1);
    for (int row = 0; row < 5; row++) {
        struct pn_role_env env;
        struct pn_buf b;
        int fds[2];
        unit_row(rows[row]);
        pn_buf_init(&b, PN_RECORD_MAX);
        UNIT_INT(pn_channel_pair(fds), 0);
        if (row != 0)
            send_start(fds[0], &b, -1);
        pn_log_init("unit", PN_LOG_ERROR + 1);
        pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_RESOLVER});
        if (row == 0)
            send_body(fds[0], PN_REC_PEER, &b, fds[0]);
        if (row == 1)
            send_start(fds[0], &b, -1);
        if (row == 3)
            send_body(fds[0], PN_REC_PEER, &b, -1);
        if (row == 4)
            send_body(fds[0], PN_REC_CHECK, &b, -1);
        (void)close(fds[0]);
        UNIT_TRUE(!pn_role_env_read(&env, fds[1]));
        pn_role_env_fini(&env);
        pn_buf_fini(&b);
    }
}

struct role {
    int generations, peers, drains, others;
    uint32_t serial;
    size_t listeners;
};

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    r->generations++;
    r->serial = gen->serial;
    r->listeners = gen->listener_count;
    pn_generation_free(&gen);
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    ((struct role *)ctx)->peers += peer->role == PN_ROLE_QUEUE;
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    ((struct role *)ctx)->drains += limit_ms == 500;
}

static bool on_other(void *ctx, struct pn_record *record)
{
    ((struct role *)ctx)->others++;
    return record->type == PN_REC_EVENT;
}

static void test_control(void)
{
    static const struct pn_control_ops cops = {on_generation, on_peer, on_drain, on_other};
    struct role role = {.generations = 0};
    struct pn_role_env env;
    struct pn_record record;
    struct pn_buf b;
    int fds[2], other = open("/dev/null", O_RDONLY);
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_pair(fds), 0);
    send_start(fds[0], &b, other);
    send_body(fds[0], PN_REC_GO, &b, -1);
    UNIT_TRUE(pn_role_env_read(&env, fds[1]));
    loop = pn_loop_new();
    struct pn_control *control = pn_control_new(loop, &env, &cops, &role);
    pn_control_ready(control);
    UNIT_INT(pn_channel_recv_fd(fds[0], &record, &b, 1000), 1);
    UNIT_INT(record.type, PN_REC_READY);
    pn_buf_clear(&b);
    send_listener(fds[0], &b, 1, other);
    send_listener(fds[0], &b, 2, other);
    send_identity(fds[0], &b);
    pn_u32_put(&b, 5);
    send_body(fds[0], PN_REC_POLICY, &b, other);
    turn_until(loop, &role.generations, 1);
    UNIT_INT(role.serial, 5);
    UNIT_INT(role.listeners, 2);
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_QUEUE});
    send_body(fds[0], PN_REC_PEER, &b, other);
    turn_until(loop, &role.peers, 1);
    pn_u32_put(&b, 500);
    send_body(fds[0], PN_REC_DRAIN, &b, -1);
    turn_until(loop, &role.drains, 1);
    send_body(fds[0], PN_REC_EVENT, &b, -1);
    turn_until(loop, &role.others, 1);
    send_listener(fds[0], &b, 1, other); /* a new generation that never comes is freed */
    pn_loop_turn(loop, 0);
    pn_log_init("unit", PN_LOG_ERROR + 1);
    (void)close(fds[0]);
    pn_loop_run(loop); /* ends with the supervisor */
    pn_control_free(&control);
    pn_role_env_fini(&env);
    (void)close(other);
    pn_buf_fini(&b);
    pn_loop_free(&loop);
}

/* The next record that the role sent; b has its bytes. */
static struct pn_record said(int fd, struct pn_buf *b)
{
    struct pn_record record = {0};
    for (int i = 0; i < 100 && pn_channel_recv_fd(fd, &record, b, 0) != 1; i++)
        pn_loop_turn(loop, 50);
    return record;
}

static bool says_missing(const struct pn_record *record, uint8_t role, uint32_t number)
{
    struct pn_peer p;
    return record->type == PN_REC_PEER_MISSING && pn_peer_get(record->body, &p) && p.role == role &&
           p.number == number;
}

/* Records that came without their descriptors. */
static void check_lost(struct role *role, int fd, int other)
{
    struct pn_buf b, body;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_buf_init(&body, PN_RECORD_MAX);
    unit_row("until it comes; one that came without its descriptor did not");
    pn_log_init("unit", PN_LOG_ERROR + 1);
    struct rlimit was = leave_room(0);
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_QUEUE});
    send_body(fd, PN_REC_PEER, &b, other);
    pn_loop_turn(loop, 1000);
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
    UNIT_INT(role->peers, 0);
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_MAILBOX, .number = 3});
    send_body(fd, PN_REC_PEER, &b, other);
    struct pn_record record = said(fd, &body);
    UNIT_TRUE(says_missing(&record, PN_ROLE_QUEUE, 0));
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_QUEUE});
    send_body(fd, PN_REC_PEER, &b, other);
    turn_until(loop, &role->peers, 1);
    unit_row("a generation of which part is lost is asked for whole");
    was = leave_room(0);
    send_listener(fd, &b, 1, other);
    pn_loop_turn(loop, 1000);
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
    send_listener(fd, &b, 2, other);
    pn_u32_put(&b, 5);
    send_body(fd, PN_REC_POLICY, &b, other);
    record = said(fd, &body);
    UNIT_INT(record.type, PN_REC_WANT_GENERATION);
    UNIT_INT(role->generations, 0);
    send_listener(fd, &b, 1, other);
    send_listener(fd, &b, 2, other);
    pn_u32_put(&b, 5);
    send_body(fd, PN_REC_POLICY, &b, other);
    turn_until(loop, &role->generations, 1);
    UNIT_INT(role->listeners, 2);
    pn_buf_fini(&b);
    pn_buf_fini(&body);
}

/* What a role lost is asked for until it comes. */
static void test_control_missing(void)
{
    static const struct pn_control_ops cops = {on_generation, on_peer, on_drain, on_other};
    struct role role = {.generations = 0};
    struct pn_role_env env;
    struct pn_buf b, body;
    int fds[2], other = open("/dev/null", O_RDONLY);
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_buf_init(&body, PN_RECORD_MAX);
    UNIT_INT(pn_channel_pair(fds), 0);
    send_start(fds[0], &b, other);
    send_body(fds[0], PN_REC_GO, &b, -1);
    UNIT_TRUE(pn_role_env_read(&env, fds[1]));
    loop = pn_loop_new();
    struct pn_control *control = pn_control_new(loop, &env, &cops, &role);
    unit_row("a channel that ended is asked for, again and again");
    pn_control_missing(NULL, PN_ROLE_QUEUE, 0);
    pn_control_missing(control, PN_ROLE_MAILBOX, 3);
    pn_control_missing(control, PN_ROLE_MAILBOX, 3);
    for (int i = 0; i < 2; i++) {
        struct pn_record record = said(fds[0], &body);
        UNIT_TRUE(says_missing(&record, PN_ROLE_MAILBOX, 3));
    }
    if (room_counts())
        check_lost(&role, fds[0], other);
    pn_control_free(&control);
    pn_role_env_fini(&env);
    (void)close(fds[0]);
    (void)close(other);
    pn_buf_fini(&b);
    pn_buf_fini(&body);
    pn_loop_free(&loop);
}

static void test_bodies(void)
{
    struct pn_buf b;
    struct pn_start s;
    struct pn_worker w;
    struct pn_want_solo want;
    struct pn_peer p;
    pn_buf_init(&b, 1000);
    pn_start_put(&b, &start);
    for (size_t i = 0; i < b.len; i++) /* cut at every byte */
        UNIT_TRUE(!pn_start_get(pn_str_slice(pn_buf_str(&b), 0, i), &s));
    pn_buf_clear(&b);
    s = start;
    s.name = PN_STR("a name that is one byte too long");
    pn_start_put(&b, &s);
    UNIT_TRUE(!pn_start_get(pn_buf_str(&b), &s));
    pn_buf_clear(&b);
    pn_worker_put(&b, &(struct pn_worker){7, 1234, -9});
    UNIT_TRUE(pn_worker_get(pn_buf_str(&b), &w) && w.number == 7 && w.pid == 1234 &&
              w.status == -9);
    pn_buf_clear(&b);
    pn_want_solo_put(&b, &(struct pn_want_solo){1ULL << 40, 2, 3});
    UNIT_TRUE(pn_want_solo_get(pn_buf_str(&b), &want) && want.token == 1ULL << 40 &&
              want.group == 2 && want.generation == 3);
    pn_buf_clear(&b);
    pn_peer_put(&b, &(struct pn_peer){.role = PN_ROLE_COUNT});
    UNIT_TRUE(!pn_peer_get(pn_buf_str(&b), &p));
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"environment", test_env},
        {"bad environment", test_env_bad},
        {"role that can't begin", test_role_refused},
        {"control", test_control},
        {"what is missing", test_control_missing},
        {"bodies", test_bodies},
        {NULL, NULL},
    };
    return unit_main("role", tests, argc, argv);
}

/* The queue role over its channels: the test is edge (peer 0), mailbox (peer 1), admin. */
#include "queue_rig.h"
#include "unit.h"

#include "assert.h"
#include "clock.h"
#include "kit_policy.h"
#include "memfile.h"
#include "queue.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { EDGE, MAILBOX, ADMIN };

static void rig_up(struct role_rig *rig)
{
    queue_rig_init(rig);
    role_rig_start(rig);
}

/* Sends a message for users u0, u1, ...; file: its content is in that file. */
static void take_file(struct role_rig *rig, uint64_t id, uint32_t recipients, struct pn_str content,
                      uint64_t file)
{
    static struct pn_recipient to[100];
    static char names[100][8];
    struct pn_header_edit edit = {PN_HEDIT_TOP, 0, PN_STR("Received"), PN_STR("from test")};
    struct pn_edit_group group = {1, &edit};
    pn_assert(recipients <= 100);
    for (uint32_t i = 0; i < recipients; i++) {
        (void)snprintf(names[i], sizeof names[i], "u%u", i);
        to[i] = (struct pn_recipient){.address = pn_str_of(names[i]), .user = pn_str_of(names[i])};
    }
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = 1700000000000,
                                    .size = content.len,
                                    .flags = file != 0 ? PN_ENV_CONTENT_FILE : 0,
                                    .content_file = file,
                                    .reverse_path = PN_STR("s@from.test"),
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = recipients,
                                    .recipients = to};
    queue_rig_send(rig, EDGE, &env, content);
}

static void take(struct role_rig *rig, uint64_t id, uint32_t recipients, struct pn_str content)
{
    take_file(rig, id, recipients, content, 0);
}

static uint16_t taken(struct role_rig *rig, uint64_t *id)
{
    return queue_rig_taken(rig, EDGE, id);
}

/* Takes the next delivery; answers code unless that is 1. Its user's number. */
static int deliver(struct role_rig *rig, uint16_t code, struct pn_str want_content)
{
    struct pn_record record;
    struct pn_buf buf;
    struct pn_handover h;
    struct pn_deliver d = {0};
    struct pn_str view;
    int user = -1;
    pn_buf_init(&buf, PN_RECORD_MAX);
    struct pn_pool *pool = pn_pool_new(100000);
    if (role_rig_recv(rig, MAILBOX, &record, &buf)) {
        UNIT_TRUE(record.type == PN_REC_DELIVER && pn_handover_open(&record, &h));
        UNIT_TRUE(pn_deliver_get(h.body, pool, &d));
        UNIT_STR(d.edits.edits[0].name, PN_STR("Received"));
        UNIT_INT(pn_map_fd(h.content_fd, true, &view), 0);
        UNIT_STR(view, want_content);
        pn_unmap(&view);
        (void)close(h.content_fd);
        user = (int)strtol(d.user.p + 1, NULL, 10);
        pn_buf_clear(&buf);
        const struct pn_delivered done = {d.token, {code, PN_STR("2.0.0 Done")}};
        struct pn_buf out;
        pn_buf_init(&out, 1000);
        pn_delivered_put(&out, &done);
        if (code != 1)
            UNIT_INT(pn_channel_send_fd(rig->peers[MAILBOX], PN_REC_DELIVERED, pn_buf_str(&out),
                                        NULL, 0),
                     0);
        pn_buf_fini(&out);
        pn_handover_close(&h);
    }
    pn_pool_free(&pool);
    pn_buf_fini(&buf);
    return user;
}

/* Nothing comes from that peer for a while. */
static void quiet(struct role_rig *rig, unsigned peer)
{
    struct pn_record record;
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_INT(pn_channel_recv_fd(rig->peers[peer], &record, &buf, 60), -1);
    pn_buf_fini(&buf);
}

static void test_local(void)
{
    struct role_rig rig;
    uint64_t id;
    rig_up(&rig);
    take(&rig, 77, 2, PN_STR("A: b\r\n\r\nc\r\n"));
    UNIT_INT(taken(&rig, &id), 250);
    UNIT_INT(id, 77);
    int users = deliver(&rig, 250, PN_STR("A: b\r\n\r\nc\r\n"));
    users += deliver(&rig, 250, PN_STR("A: b\r\n\r\nc\r\n"));
    UNIT_INT(users, 0 + 1);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_start(&rig);
    quiet(&rig, MAILBOX); /* it is done: not delivered again */
    role_rig_fini(&rig);
}

/* Killed with deliveries under way: those that were noted are not done again. */
static void test_killed(void)
{
    static char large[1100 * 1024];
    struct role_rig rig;
    uint64_t id;
    memset(large, 'x', sizeof large);
    const struct pn_str contents[] = {PN_STR("A: b\r\n\r\nc\r\n"), {large, sizeof large}};
    for (int i = 0; i < 2; i++) {
        rig_up(&rig);
        take(&rig, 5, 3, contents[i]);
        UNIT_INT(taken(&rig, &id), 250);
        int first = deliver(&rig, 250, contents[i]);
        (void)deliver(&rig, 1, contents[i]);
        (void)deliver(&rig, 1, contents[i]);
        char name[40];
        (void)snprintf(name, sizeof name, "\"address\":\"u%d\"", first);
        queue_rig_wait_list(&rig, ADMIN, false, name, false);
        queue_rig_flush(&rig, EDGE, 1000); /* its note is lazy */
        role_rig_kill(&rig);
        role_rig_start(&rig);
        int users = first + deliver(&rig, 250, contents[i]);
        users += deliver(&rig, 250, contents[i]);
        UNIT_INT(users, 0 + 1 + 2);
        UNIT_INT(role_rig_drain(&rig), 0);
        role_rig_start(&rig);
        quiet(&rig, MAILBOX);
        role_rig_fini(&rig);
    }
}

/* The worker goes with deliveries under way: they are asked of the next one. */
static void test_mailbox_away(void)
{
    struct role_rig rig;
    uint64_t id;
    rig_up(&rig);
    take(&rig, 1, 1, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), 250);
    (void)deliver(&rig, 1, PN_STR("A: b\r\n\r\n"));
    role_rig_peer(&rig, MAILBOX, PN_ROLE_MAILBOX, 0);
    UNIT_INT(deliver(&rig, 250, PN_STR("A: b\r\n\r\n")), 0);
    role_rig_fini(&rig);
}

/* Its mailbox worker never comes: that is no reason to keep it for ever. */
static void test_mailbox_never(void)
{
    struct role_rig rig;
    struct kit kit;
    uint64_t id;
    kit_open(&kit, "queue { expire 1s }\n", "");
    UNIT_STR(kit_problems(&kit), PN_STR(""));
    role_rig_init(&rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&kit.image));
    rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    rig.peer_roles[1] = rig.peer_roles[ADMIN] = PN_ROLE_ADMIN; /* no mailbox */
    rig.peer_count = 3;
    role_rig_start(&rig);
    take(&rig, 1, 1, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), 250);
    queue_rig_wait_list(&rig, ADMIN, true, "\"count\":1", true);
    queue_rig_wait_list(&rig, ADMIN, true, "the mailbox worker is away", true);
    queue_rig_wait_list(&rig, ADMIN, false, "\"count\":0", true);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_fini(&rig);
    kit_close(&kit);
}

/* Of two mailbox workers one is not there yet: nobody else gets its users' mail. */
static void test_mailbox_late(void)
{
    enum { USERS = 20 };
    struct role_rig rig;
    struct kit kit;
    uint64_t id;
    unsigned second = 0;
    kit_open(&kit, "mailboxes 2\n", "");
    UNIT_STR(kit_problems(&kit), PN_STR(""));
    role_rig_init(&rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&kit.image));
    rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    rig.peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    rig.peer_roles[ADMIN] = PN_ROLE_ADMIN;
    rig.peer_count = 3;
    role_rig_start(&rig);
    take(&rig, 1, USERS, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), 250);
    bool at_first[USERS] = {0};
    for (unsigned i = 0; i < USERS; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "u%u", i);
        at_first[i] = pn_mailbox_of(pn_str_of(name), 2) == 0;
        second += !at_first[i];
    }
    UNIT_TRUE(second > 0 && second < USERS);
    for (unsigned i = 0; i < USERS - second; i++) {
        int user = deliver(&rig, 250, PN_STR("A: b\r\n\r\n"));
        UNIT_TRUE(user >= 0 && user < USERS && at_first[user]);
    }
    queue_rig_flush(&rig, EDGE, 1000);
    quiet(&rig, MAILBOX);
    role_rig_peer(&rig, MAILBOX, PN_ROLE_MAILBOX, 1);
    for (unsigned i = 0; i < second; i++) {
        int user = deliver(&rig, 250, PN_STR("A: b\r\n\r\n"));
        UNIT_TRUE(user >= 0 && user < USERS && !at_first[user]);
    }
    UNIT_INT(role_rig_drain(&rig), 0);
    (void)close(rig.policy_fd);
    role_rig_fini(&rig);
    kit_close(&kit);
}

/* More than may be asked of a worker at a time, from two messages. */
static void test_many(void)
{
    struct role_rig rig;
    uint64_t id;
    static bool seen[100];
    rig_up(&rig);
    for (unsigned m = 0; m < 2; m++) {
        take(&rig, 10 + m, 100, PN_STR("A: b\r\n\r\n"));
        UNIT_INT(taken(&rig, &id), 250);
    }
    for (unsigned i = 0; i < 200; i++) {
        int user = deliver(&rig, 250, PN_STR("A: b\r\n\r\n"));
        UNIT_TRUE(user >= 0 && user < 100);
        seen[user < 0 ? 0 : user] = true;
    }
    for (unsigned i = 0; i < 100; i++)
        UNIT_TRUE(seen[i]);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_fini(&rig);
}

/* Refused, not kept: an id that is alive. Malformed: the channel is closed. */
static void test_refused(void)
{
    struct role_rig rig;
    struct pn_record record;
    struct pn_buf buf;
    uint64_t id;
    rig_up(&rig);
    take(&rig, 3, 1, PN_STR("A: b\r\n\r\n"));
    take(&rig, 3, 1, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), 451);
    UNIT_INT(taken(&rig, &id), 250);
    (void)deliver(&rig, 250, PN_STR("A: b\r\n\r\n"));
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_INT(pn_channel_send_fd(rig.peers[EDGE], PN_REC_TAKE, PN_STR("junk"), NULL, 0), 0);
    UNIT_INT(pn_channel_recv_fd(rig.peers[EDGE], &record, &buf, 5000), 0);
    pn_buf_fini(&buf);
    UNIT_INT(role_rig_drain(&rig), 0); /* the role itself goes on */
    role_rig_fini(&rig);
}

/* ---- files for large content ---- */

/* A file that the edge may fill with `content`; its number. *rw: the edge's descriptor. */
static uint64_t want_kept(struct role_rig *rig, struct pn_str content, int *rw)
{
    struct pn_buf b;
    struct pn_record record;
    struct pn_content_file file = {0};
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_content_want_put(&b, &(struct pn_content_want){7, content.len});
    UNIT_INT(
        pn_channel_send_fd(rig->peers[EDGE], PN_REC_WANT_CONTENT_FILE, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_clear(&b);
    if (role_rig_recv(rig, EDGE, &record, &b)) {
        UNIT_TRUE(record.type == PN_REC_CONTENT_FILE && record.nfds == 2 &&
                  pn_content_file_get(record.body, &file));
        UNIT_INT(file.token, 7);
        UNIT_INT(write(record.fds[0], content.p, content.len), (long long)content.len);
        UNIT_INT(write(record.fds[1], "x", 1), -1); /* nobody else writes */
        *rw = record.fds[0];
        record.fds[0] = -1;
        pn_record_close_fds(&record);
    }
    pn_buf_fini(&b);
    return file.file;
}

static uint64_t want(struct role_rig *rig, struct pn_str content)
{
    int rw = -1;
    uint64_t file = want_kept(rig, content, &rw);
    (void)close(rw);
    return file;
}

static unsigned content_files(struct role_rig *rig)
{
    char path[100];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "%s/content", rig->path);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static void expect_files(struct role_rig *rig, unsigned want_count)
{
    for (unsigned i = 0; i < QUEUE_RIG_PATIENCE_MS / 10 && content_files(rig) != want_count; i++)
        (void)usleep(10000);
    UNIT_INT(content_files(rig), want_count);
}

static void test_files(void)
{
    static char large[300 * 1024];
    struct role_rig rig;
    struct pn_buf b;
    uint64_t id;
    memset(large, 'y', sizeof large);
    const struct pn_str contents[] = {{large, sizeof large}, PN_STR("A: b\r\n\r\nsmall\r\n")};
    rig_up(&rig);
    for (uint64_t i = 0; i < 2; i++) { /* an edge that changes what was taken changes nothing */
        int rw = -1;
        uint64_t file = want_kept(&rig, contents[i], &rw);
        take_file(&rig, 10 + i, 1, contents[i], file);
        UNIT_INT(taken(&rig, &id), 250);
        UNIT_TRUE(pwrite(rw, "evil", 4, 0) == 4 && ftruncate(rw, 4) == 0);
        (void)close(rw);
        UNIT_INT(deliver(&rig, 1, contents[i]), 0); /* no answer */
        role_rig_kill(&rig);
        role_rig_start(&rig);
        UNIT_INT(deliver(&rig, 250, contents[i]), 0);
        expect_files(&rig, 0);
    }
    for (uint64_t i = 0; i < 2; i++) { /* what was declared large may turn out small */
        uint64_t file = want(&rig, contents[i]);
        UNIT_TRUE(file != 0);
        take_file(&rig, 20 + i, 1, contents[i], file);
        UNIT_INT(taken(&rig, &id), 250);
        role_rig_kill(&rig); /* it is durable */
        role_rig_start(&rig);
        UNIT_INT(deliver(&rig, 250, contents[i]), 0);
        expect_files(&rig, 0);
    }
    /* Shorter than the envelope says: not taken, and not kept. */
    take_file(&rig, 30, 1, contents[0], want(&rig, contents[1]));
    UNIT_INT(taken(&rig, &id), 451);
    expect_files(&rig, 0);
    /* Given back, twice; then left behind by an edge that goes. */
    pn_buf_init(&b, 1000);
    pn_content_file_put(&b, &(struct pn_content_file){.file = want(&rig, contents[0])});
    UNIT_INT(content_files(&rig), 1);
    for (unsigned i = 0; i < 2; i++)
        UNIT_INT(
            pn_channel_send_fd(rig.peers[EDGE], PN_REC_DROP_CONTENT_FILE, pn_buf_str(&b), NULL, 0),
            0);
    expect_files(&rig, 0);
    (void)want(&rig, contents[0]);
    (void)shutdown(rig.peers[EDGE], SHUT_RDWR);
    expect_files(&rig, 0);
    pn_buf_fini(&b);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_fini(&rig);
    /* A number that this queue never gave, but the one before may have: only that message
     * is not taken. */
    rig_up(&rig);
    take_file(&rig, 40, 1, contents[0], 99);
    UNIT_INT(taken(&rig, &id), 451);
    take(&rig, 41, 1, contents[1]);
    UNIT_INT(taken(&rig, &id), 250);
    UNIT_INT(deliver(&rig, 250, contents[1]), 0);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_fini(&rig);
}

/* A try that was put off while the clock was a day ahead is not put off by a day. */
static void test_clock(void)
{
    enum { HOUR_MS = 3600 * 1000 };
    struct role_rig rig;
    uint64_t id;
    pn_clock_wall_fix(1700000000000 + 24 * (int64_t)HOUR_MS);
    rig_up(&rig);
    take(&rig, 1, 1, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), 250);
    UNIT_INT(deliver(&rig, 451, PN_STR("A: b\r\n\r\n")), 0);
    UNIT_INT(role_rig_drain(&rig), 0); /* the note is lazy, and on disk by its end */
    role_rig_start(&rig);
    quiet(&rig, MAILBOX); /* its time has not come */
    role_rig_kill(&rig);
    pn_clock_wall_fix(1700000000000);
    role_rig_start(&rig);
    UNIT_INT(deliver(&rig, 250, PN_STR("A: b\r\n\r\n")), 0);
    UNIT_INT(role_rig_drain(&rig), 0);
    role_rig_fini(&rig);
    pn_clock_wall_fix(-1);
}

/* Below the reserve an edge is told when it comes, and no message is taken. */
static void test_room(void)
{
    struct role_rig rig;
    struct kit kit;
    struct statvfs st;
    struct pn_record record;
    struct pn_buf buf;
    uint64_t id;
    uint32_t room = 1;
    kit_open(&kit, "limits { disk-reserve 1024g }\n", "");
    UNIT_STR(kit_problems(&kit), PN_STR(""));
    role_rig_init(&rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&kit.image));
    rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    rig.peer_count = 1;
    role_rig_start(&rig);
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_INT(fstatvfs(rig.folder, &st), 0);
    bool full = (uint64_t)st.f_bavail * st.f_frsize <= UINT64_C(1024) << 30;
    if (full && role_rig_recv(&rig, EDGE, &record, &buf))
        UNIT_TRUE(record.type == PN_REC_ROOM && pn_u32_get(record.body, &room));
    UNIT_INT(room, !full);
    take(&rig, 9, 1, PN_STR("A: b\r\n\r\n"));
    UNIT_INT(taken(&rig, &id), full ? 452 : 250);
    pn_buf_fini(&buf);
    UNIT_INT(role_rig_drain(&rig), 0);
    (void)close(rig.policy_fd);
    role_rig_fini(&rig);
    kit_close(&kit);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"local", test_local},
                                             {"killed", test_killed},
                                             {"mailbox_away", test_mailbox_away},
                                             {"mailbox_late", test_mailbox_late},
                                             {"mailbox_never", test_mailbox_never},
                                             {"many", test_many},
                                             {"refused", test_refused},
                                             {"files", test_files},
                                             {"clock", test_clock},
                                             {"room", test_room},
                                             {NULL, NULL}};
    return unit_main("queue", tests, argc, argv);
}

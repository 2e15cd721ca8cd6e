/* The queue role over its channels: the test is edge (peer 0) and mailbox (peer 1). */
#include "role_rig.h"
#include "unit.h"

#include "assert.h"
#include "memfile.h"
#include "queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EDGE, MAILBOX };

static void rig_up(struct role_rig *rig)
{
    role_rig_init(rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig->peer_roles[EDGE] = PN_ROLE_EDGE;
    rig->peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    rig->peer_count = 2;
    role_rig_start(rig);
}

/* Sends a message for users u0, u1, ... */
static void take(struct role_rig *rig, uint64_t id, uint32_t recipients, struct pn_str content)
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
                                    .reverse_path = PN_STR("s@from.test"),
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = recipients,
                                    .recipients = to};
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&body, &env));
    int fd = pn_memfile_of("test", content);
    UNIT_INT(pn_channel_send_fd(rig->peers[EDGE], PN_REC_TAKE, pn_buf_str(&body), &fd, 1), 0);
    (void)close(fd);
    pn_buf_fini(&body);
}

static uint16_t taken(struct role_rig *rig, uint64_t *id)
{
    struct pn_record record;
    struct pn_buf buf;
    struct pn_taken t = {0};
    pn_buf_init(&buf, PN_RECORD_MAX);
    if (role_rig_recv(rig, EDGE, &record, &buf))
        UNIT_TRUE(record.type == PN_REC_TAKEN && pn_taken_get(record.body, &t));
    pn_buf_fini(&buf);
    *id = t.id;
    return t.reply.code;
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
    static char large[400 * 1024];
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
        (void)usleep(50000); /* the note is lazy */
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
    (void)close(rig.peers[MAILBOX]);
    int pair[2];
    struct pn_buf b;
    pn_assert(pn_channel_pair(pair) == 0);
    const struct pn_peer peer = {.role = PN_ROLE_MAILBOX, .fd = pair[1]};
    pn_buf_init(&b, 1000);
    pn_peer_put(&b, &peer);
    UNIT_INT(pn_channel_send_fd(rig.control, PN_REC_PEER, pn_buf_str(&b), &pair[1], 1), 0);
    pn_buf_fini(&b);
    (void)close(pair[1]);
    rig.peers[MAILBOX] = pair[0];
    UNIT_INT(deliver(&rig, 250, PN_STR("A: b\r\n\r\n")), 0);
    role_rig_fini(&rig);
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

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"local", test_local}, {"killed", test_killed},   {"mailbox_away", test_mailbox_away},
        {"many", test_many},   {"refused", test_refused}, {NULL, NULL}};
    return unit_main("queue", tests, argc, argv);
}

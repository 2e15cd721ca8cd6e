/*
 * What an operator asks of the queue role, on a disk that the test holds still or breaks:
 * the test is edge (peer 0), mailbox (peer 1) and admin (peer 2). The journal's sync
 * (fdatasync) is ours: a gate in memory that the role shares says what it does.
 */
#include "queue_rig.h"
#include "unit.h"

#include "assert.h"
#include "clock.h"
#include "held.h"
#include "memfile.h"
#include "queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EDGE, MAILBOX, ADMIN };

static const struct pn_str content = PN_STR_INIT("A: b\r\n\r\nc\r\n");

/* ---- the gate ---- */

enum gate_mode { OPEN, SHUT, BROKEN, READ_ONLY, FULL };

static struct gate {
    atomic_int mode;
    atomic_int waiting; /* syncs that stand before a shut gate */
} * gate;

int fdatasync(int fd)
{
    gate->waiting++;
    while (gate->mode == SHUT)
        (void)usleep(1000);
    gate->waiting--;
    if (gate->mode != OPEN) {
        errno = gate->mode == BROKEN ? EIO : gate->mode == READ_ONLY ? EROFS : ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void gate_set(enum gate_mode mode)
{
    gate->mode = (int)mode;
}

/* A batch is written and waits to be on disk. */
static void wait_batch(void)
{
    for (int ms = 0; ms < QUEUE_RIG_PATIENCE_MS && gate->waiting == 0; ms++)
        (void)usleep(1000);
    UNIT_INT(gate->waiting, 1);
}

/* ---- the role ---- */

static void rig_up(struct role_rig *rig)
{
    role_rig_init(rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig->peer_roles[EDGE] = PN_ROLE_EDGE;
    rig->peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    rig->peer_roles[ADMIN] = PN_ROLE_ADMIN;
    rig->peer_count = 3;
    gate_set(OPEN);
    role_rig_start(rig);
}

static void rig_down(struct role_rig *rig)
{
    gate_set(OPEN);
    UNIT_INT(role_rig_drain(rig), 0);
    role_rig_fini(rig);
}

static uint16_t offer(struct role_rig *rig, uint64_t id, uint8_t hand)
{
    struct pn_edit_group group = {0, NULL};
    struct pn_recipient to = {.address = PN_STR("u0"), .user = PN_STR("u0"), .hand = hand};
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = pn_clock_wall_ms(),
                                    .size = content.len,
                                    .reverse_path = PN_STR("s@from.test"),
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = 1,
                                    .recipients = &to};
    struct pn_record record;
    struct pn_taken t = {0};
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&body, &env));
    int fd = pn_memfile_of("test", content);
    UNIT_INT(pn_channel_send_fd(rig->peers[EDGE], PN_REC_TAKE, pn_buf_str(&body), &fd, 1), 0);
    (void)close(fd);
    pn_buf_fini(&body);
    pn_buf_init(&body, PN_RECORD_MAX);
    if (role_rig_recv(rig, EDGE, &record, &body))
        UNIT_TRUE(pn_taken_get(record.body, &t));
    pn_buf_fini(&body);
    return t.reply.code;
}

static void take(struct role_rig *rig, uint64_t id, uint8_t hand)
{
    UNIT_INT(offer(rig, id, hand), 250);
}

/* The next delivery's queue id; answered with code. */
static uint64_t deliver(struct role_rig *rig, uint16_t code)
{
    struct pn_record record;
    struct pn_buf buf;
    struct pn_handover h;
    struct pn_deliver d = {0};
    pn_buf_init(&buf, PN_RECORD_MAX);
    struct pn_pool *pool = pn_pool_new(100000);
    if (role_rig_recv(rig, MAILBOX, &record, &buf)) {
        UNIT_TRUE(record.type == PN_REC_DELIVER && pn_handover_open(&record, &h));
        UNIT_TRUE(pn_deliver_get(h.body, pool, &d));
        struct pn_buf out;
        pn_buf_init(&out, 1000);
        pn_delivered_put(&out, &(struct pn_delivered){d.token, {code, PN_STR("2.0.0 Done")}});
        UNIT_INT(
            pn_channel_send_fd(rig->peers[MAILBOX], PN_REC_DELIVERED, pn_buf_str(&out), NULL, 0),
            0);
        pn_buf_fini(&out);
        (void)close(h.content_fd);
        pn_handover_close(&h);
    }
    pn_pool_free(&pool);
    pn_buf_fini(&buf);
    return d.id;
}

static void ask(struct role_rig *rig, uint64_t token, const char *verb, const char *id, bool held)
{
    queue_rig_ask(rig, ADMIN, token, verb, id, held);
}

static void expect(struct role_rig *rig, uint64_t token, const char *want)
{
    struct pn_buf lines;
    pn_buf_init(&lines, 100000);
    queue_rig_answer(rig, ADMIN, token, &lines);
    if (!queue_rig_says(&lines, want))
        UNIT_STR(pn_buf_str(&lines), pn_str_of(want));
    pn_buf_fini(&lines);
}

/* The command is not answered while its batch is not on disk: a list asked behind it is
 * answered first. */
static void ask_shut(struct role_rig *rig, const char *verb, const char *id, bool held)
{
    gate_set(SHUT);
    ask(rig, 1, verb, id, held);
    wait_batch();
    ask(rig, 2, "list", NULL, false);
    expect(rig, 2, "\"ok\":true");
}

static const char *text_of(uint64_t id)
{
    static char text[PN_QUEUE_ID_TEXT_MAX];
    return pn_queue_id_text(id, text);
}

static void wait_list(struct role_rig *rig, bool held, const char *want)
{
    queue_rig_wait_list(rig, ADMIN, held, want, true);
}

/* A message in quarantine; its name there. */
static const char *keep_back(struct role_rig *rig, uint64_t id)
{
    static char name[HELD_NAME_MAX];
    take(rig, id, PN_HAND_QUARANTINE);
    wait_list(rig, true, "\"count\":1");
    wait_list(rig, false, "\"count\":0");
    return held_name(id, 0, name);
}

/* A message that waits: its mailbox is busy. */
static void keep_waiting(struct role_rig *rig, uint64_t id)
{
    take(rig, id, PN_HAND_DELIVER);
    UNIT_INT(deliver(rig, 451), (long long)id);
    wait_list(rig, false, "\"state\":\"waiting\"");
}

/* ---- tests ---- */

static void test_held_release(void)
{
    struct role_rig rig;
    rig_up(&rig);
    const char *name = keep_back(&rig, 7);
    ask_shut(&rig, "release", name, true);
    gate_set(BROKEN);
    expect(&rig, 1, "Input/output error");
    gate_set(OPEN);
    wait_list(&rig, true, "\"count\":1"); /* it is still there */
    ask_shut(&rig, "release", name, true);
    gate_set(OPEN);
    expect(&rig, 1, "\"did\":\"released\"");
    role_rig_kill(&rig); /* and is in the journal now */
    role_rig_start(&rig);
    wait_list(&rig, true, "\"count\":0");
    UNIT_TRUE(deliver(&rig, 250) != 0);
    rig_down(&rig);
}

static void test_release(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    ask_shut(&rig, "release", text_of(7), false);
    gate_set(OPEN);
    expect(&rig, 1, "\"did\":\"released\"");
    role_rig_kill(&rig);
    role_rig_start(&rig); /* which knows that it is due */
    UNIT_INT(deliver(&rig, 250), 7);
    rig_down(&rig);
}

/* It is tried now all the same, and the operator hears that the disk failed. */
static void test_release_fails(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    gate_set(BROKEN);
    ask(&rig, 1, "release", text_of(7), false);
    expect(&rig, 1, "Input/output error");
    gate_set(OPEN);
    UNIT_INT(deliver(&rig, 250), 7);
    wait_list(&rig, false, "\"count\":0");
    rig_down(&rig);
}

static void test_drop(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    ask_shut(&rig, "drop", text_of(7), false);
    gate_set(BROKEN);
    expect(&rig, 1, "Input/output error");
    gate_set(OPEN);
    wait_list(&rig, false, "\"state\":\"waiting\""); /* nothing changed */
    ask_shut(&rig, "drop", text_of(7), false);
    gate_set(OPEN);
    expect(&rig, 1, "\"did\":\"dropped\"");
    role_rig_kill(&rig);
    role_rig_start(&rig);
    wait_list(&rig, false, "\"count\":0");
    rig_down(&rig);
}

/* Asked for twice before the first is on disk: both hear of it. */
static void test_release_twice(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    ask_shut(&rig, "release", text_of(7), false);
    ask(&rig, 4, "release", text_of(7), false);
    ask(&rig, 2, "list", NULL, false);
    expect(&rig, 2, "\"ok\":true");
    gate_set(OPEN);
    expect(&rig, 1, "\"did\":\"released\"");
    expect(&rig, 4, "\"did\":\"released\"");
    UNIT_INT(deliver(&rig, 250), 7);
    rig_down(&rig);
}

/* A disk that can't be written any more: what comes in is told so, what was taken is kept,
 * and all goes on once it can. */
static void test_no_disk(void)
{
    static const struct {
        const char *label;
        enum gate_mode mode;
        uint16_t want;
    } rows[] = {{"broken", BROKEN, 451}, {"read-only", READ_ONLY, 451}, {"full", FULL, 452}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        unit_row(rows[i].label);
        rig_up(&rig);
        keep_waiting(&rig, 7);
        gate_set(rows[i].mode);
        for (uint64_t id = 8; id < 12; id++)
            UNIT_INT(offer(&rig, id, PN_HAND_DELIVER), rows[i].want);
        gate_set(OPEN);
        take(&rig, 12, PN_HAND_DELIVER);
        UNIT_INT(deliver(&rig, 250), 12);
        role_rig_kill(&rig);
        role_rig_start(&rig);
        ask(&rig, 1, "release", text_of(7), false);
        expect(&rig, 1, "\"did\":\"released\"");
        uint64_t got = deliver(&rig, 250); /* 12 again, if its end was not on disk */
        UNIT_INT(got == 12 ? deliver(&rig, 250) : got, 7);
        wait_list(&rig, false, "\"count\":0");
        rig_down(&rig);
    }
}

static void test_unknown(void)
{
    struct role_rig rig;
    rig_up(&rig);
    ask(&rig, 1, "drop", text_of(99), false);
    expect(&rig, 1, "no such message");
    ask(&rig, 1, "release", "x.1", true);
    expect(&rig, 1, "\"ok\":false");
    rig_down(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"held_release", test_held_release},
                                             {"release", test_release},
                                             {"release_fails", test_release_fails},
                                             {"release_twice", test_release_twice},
                                             {"drop", test_drop},
                                             {"no_disk", test_no_disk},
                                             {"unknown", test_unknown},
                                             {NULL, NULL}};
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(gate != MAP_FAILED);
    return unit_main("queue_command", tests, argc, argv);
}

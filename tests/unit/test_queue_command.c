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
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EDGE, MAILBOX, ADMIN };

static const struct pn_str content = PN_STR_INIT("A: b\r\n\r\nc\r\n");

/* ---- the gate ---- */

enum gate_mode { OPEN, SHUT, BROKEN, READ_ONLY, FULL };

static struct gate {
    atomic_int files; /* SHUT: syncs of other files wait, so many do */
    atomic_int files_waiting;
    atomic_int folders; /* the same of folders */
    atomic_int folders_waiting;
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

static bool is_folder(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int fsync(int fd)
{
    bool folder = gate->folders == SHUT && is_folder(fd);
    gate->folders_waiting += folder;
    while (folder && gate->folders == SHUT)
        (void)usleep(1000);
    gate->folders_waiting -= folder;
    bool waits = gate->files == SHUT;
    gate->files_waiting += waits;
    while (gate->files == SHUT)
        (void)usleep(1000);
    gate->files_waiting -= waits;
    return (int)syscall(SYS_fsync, fd);
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
    queue_rig_init(rig);
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
    return queue_rig_offer(rig, EDGE, &env, content);
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

/* Asks while the disk holds still, then lets it do what it does: the operator hears this. */
static void ask_through(struct role_rig *rig, const char *verb, const char *id, bool held,
                        enum gate_mode mode, const char *want)
{
    ask_shut(rig, verb, id, held);
    gate_set(mode);
    expect(rig, 1, want);
    gate_set(OPEN);
}

/* All that was not on disk is gone. */
static void kill_and_start(struct role_rig *rig)
{
    role_rig_kill(rig);
    role_rig_start(rig);
}

/* ---- tests ---- */

static void test_held_release(void)
{
    struct role_rig rig;
    rig_up(&rig);
    const char *name = keep_back(&rig, 7);
    ask_through(&rig, "release", name, true, BROKEN, "Input/output error");
    wait_list(&rig, true, "\"count\":1"); /* it is still there */
    ask_through(&rig, "release", name, true, OPEN, "\"did\":\"released\"");
    kill_and_start(&rig); /* and is in the journal now */
    wait_list(&rig, true, "\"count\":0");
    UNIT_TRUE(deliver(&rig, 250) != 0);
    rig_down(&rig);
}

/* Its file is there, but not for sure: nobody sees it yet, or takes it out. */
static void test_held_coming(void)
{
    static const char *const verbs[] = {"release", "drop"};
    struct role_rig rig;
    char name[HELD_NAME_MAX];
    rig_up(&rig);
    take(&rig, 4, PN_HAND_DELIVER); /* so that there is a segment */
    UNIT_INT(deliver(&rig, 250), 4);
    gate->folders = SHUT;
    take(&rig, 7, PN_HAND_QUARANTINE);
    for (int ms = 0; ms < QUEUE_RIG_PATIENCE_MS && gate->folders_waiting == 0; ms++)
        (void)usleep(1000);
    UNIT_INT(gate->folders_waiting, 1);
    ask(&rig, 1, "list", NULL, true);
    expect(&rig, 1, "\"count\":0");
    for (size_t i = 0; i < 2; i++) {
        ask(&rig, 1, verbs[i], held_name(7, 0, name), true);
        expect(&rig, 1, "only just being put there");
    }
    gate->folders = OPEN;
    wait_list(&rig, true, "\"count\":1");
    ask(&rig, 1, "drop", name, true);
    expect(&rig, 1, "\"did\":\"dropped\"");
    kill_and_start(&rig);
    wait_list(&rig, false, "\"count\":0");
    wait_list(&rig, true, "\"count\":0");
    rig_down(&rig);
}

/* What is taken out does not come back: the journal knows first that it was held. */
static void test_held_out(void)
{
    static const char *const verbs[] = {"release", "drop"};
    for (size_t i = 0; i < 2; i++) {
        struct role_rig rig;
        char name[HELD_NAME_MAX];
        rig_up(&rig);
        take(&rig, 4, PN_HAND_DELIVER);
        UNIT_INT(deliver(&rig, 250), 4);
        gate->folders = SHUT;
        take(&rig, 7, PN_HAND_QUARANTINE);
        gate_set(SHUT); /* so that its end does not reach the disk */
        gate->folders = OPEN;
        wait_list(&rig, true, "\"count\":1");
        ask_shut(&rig, verbs[i], held_name(7, 0, name), true);
        role_rig_kill(&rig);
        gate->waiting = 0; /* who waited is no more */
        gate_set(OPEN);
        role_rig_start(&rig);
        wait_list(&rig, true, "\"count\":1"); /* it was not said that it is out */
        ask(&rig, 1, verbs[i], name, true);
        expect(&rig, 1, i == 0 ? "\"did\":\"released\"" : "\"did\":\"dropped\"");
        if (i == 0)
            UNIT_TRUE(deliver(&rig, 250) != 0);
        rig_down(&rig);
    }
}

static void test_release(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    ask_through(&rig, "release", text_of(7), false, OPEN, "\"did\":\"released\"");
    kill_and_start(&rig); /* it knows that it is due */
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
    ask_through(&rig, "drop", text_of(7), false, BROKEN, "Input/output error");
    wait_list(&rig, false, "\"state\":\"waiting\""); /* nothing changed */
    ask_through(&rig, "drop", text_of(7), false, OPEN, "\"did\":\"dropped\"");
    kill_and_start(&rig);
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
        wait_list(&rig, false, "\"count\":1");
        queue_rig_flush(&rig, EDGE, 1000); /* and 12's end with it: it would come again */
        kill_and_start(&rig);
        ask(&rig, 1, "release", text_of(7), false);
        expect(&rig, 1, "\"did\":\"released\"");
        UNIT_INT(deliver(&rig, 250), 7);
        wait_list(&rig, false, "\"count\":0");
        rig_down(&rig);
    }
}

/* ---- what can't be read back ---- */

/* Writes `to` over the first `from` in the journal. */
static void spoil(struct role_rig *rig, const char *from, const char *to)
{
    static char bytes[1 << 20];
    char path[100];
    (void)snprintf(path, sizeof path, "%s/journal-%016x", rig->path, 1);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    const char *at = n <= 0 ? NULL : memmem(bytes, (size_t)n, from, strlen(from));
    UNIT_TRUE(at != NULL);
    if (at != NULL)
        UNIT_INT(pwrite(fd, to, strlen(to), at - bytes), (long long)strlen(to));
    (void)close(fd);
}

static void test_damaged(void)
{
    struct role_rig rig;
    rig_up(&rig);
    keep_waiting(&rig, 7);
    queue_rig_flush(&rig, EDGE, 1000);
    role_rig_kill(&rig);
    spoil(&rig, "A: b\r\n\r\nc", "A: X\r\n\r\nc");
    role_rig_start(&rig);
    ask(&rig, 1, "release", text_of(7), false); /* it is tried, and not delivered */
    expect(&rig, 1, "\"did\":\"released\"");
    wait_list(&rig, false, "\"damaged\":\"its bytes are not those that were written\"");
    wait_list(&rig, false, "\"address\":\"u0\"");
    ask(&rig, 1, "show", text_of(7), false);
    expect(&rig, 1, "\"size\":11,\"damaged\":");
    unit_row("mended, it is delivered");
    spoil(&rig, "A: X\r\n\r\nc", "A: b\r\n\r\nc");
    ask(&rig, 1, "release", text_of(7), false);
    expect(&rig, 1, "\"did\":\"released\"");
    UNIT_INT(deliver(&rig, 451), 7);
    unit_row("damaged again, it is dropped");
    queue_rig_flush(&rig, EDGE, 1001);
    role_rig_kill(&rig);
    spoil(&rig, "A: b\r\n\r\nc", "A: X\r\n\r\nc");
    role_rig_start(&rig);
    ask(&rig, 1, "release", text_of(7), false);
    expect(&rig, 1, "\"did\":\"released\"");
    wait_list(&rig, false, "\"damaged\":");
    ask(&rig, 1, "drop", text_of(7), false);
    expect(&rig, 1, "\"did\":\"dropped\"");
    wait_list(&rig, false, "\"count\":0");
    kill_and_start(&rig);
    wait_list(&rig, false, "\"count\":0");
    rig_down(&rig);
}

static atomic_int written;

static void on_written(void *ctx, struct spool_op *ops)
{
    (void)ctx;
    UNIT_INT(ops->error, 0);
    written = 1;
}

static void found_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    (void)ctx;
    (void)id;
    (void)meta;
    (void)ref;
}

static void found_note(void *ctx, uint64_t id, struct pn_str meta)
{
    (void)ctx;
    (void)id;
    (void)meta;
}

static void found_end(void *ctx, uint64_t id)
{
    (void)ctx;
    (void)id;
}

/* A record that a newer binary wrote, say: it stays, and is seen, until it is dropped. */
static void test_undecodable(void)
{
    static const struct spool_settings settings = {.finished = on_written};
    static const struct spool_found found = {found_message, found_note, found_end, NULL, NULL};
    struct role_rig rig;
    struct pn_buf err;
    struct spool_op op = {
        .type = SPOOL_MESSAGE, .id = 7, .meta = PN_STR("\377?"), .content = content};
    rig_up(&rig);
    UNIT_INT(role_rig_drain(&rig), 0);
    pn_buf_init(&err, 1000);
    struct spool *spool = spool_open(rig.folder, &settings, &found, &err);
    UNIT_TRUE(spool != NULL);
    if (spool != NULL) {
        spool_submit(spool, &op);
        spool_close(&spool);
        UNIT_INT(written, 1);
    }
    pn_buf_fini(&err);
    role_rig_start(&rig);
    wait_list(&rig, false, "\"damaged\":\"its record can't be decoded\"");
    ask(&rig, 1, "release", text_of(7), false);
    expect(&rig, 1, "its record can't be decoded");
    ask(&rig, 1, "show", text_of(7), false);
    expect(&rig, 1, "\"ok\":true,\"size\":11");
    ask(&rig, 1, "drop", text_of(7), false);
    expect(&rig, 1, "\"did\":\"dropped\"");
    wait_list(&rig, false, "\"count\":0");
    kill_and_start(&rig);
    wait_list(&rig, false, "\"count\":0");
    rig_down(&rig);
}

/* ---- much at once ---- */

enum { MANY = 40 };

/* As many files of one message, a recipient each. */
static void hold_many(const struct role_rig *rig, uint64_t id)
{
    struct pn_edit_group group = {0, NULL};
    struct pn_recipient to[MANY];
    struct pn_envelope env = {.id = id,
                              .arrived_ms = pn_clock_wall_ms(),
                              .size = content.len,
                              .group_count = 1,
                              .groups = &group,
                              .recipient_count = MANY,
                              .recipients = to};
    for (uint32_t i = 0; i < MANY; i++)
        to[i] = (struct pn_recipient){.address = PN_STR("u"), .user = PN_STR("u")};
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&body, &env));
    int folder = held_folder(rig->folder), fd = pn_memfile_of("test", content);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct held h = {.id = id, .envelope = pn_buf_str(&body), .indices = &i, .count = 1};
        UNIT_INT(held_put(folder, &h, fd), 0);
    }
    (void)close(fd);
    (void)close(folder);
    pn_buf_fini(&body);
}

/* Answers are in the order of what was asked, however many. */
static void expect_many(struct role_rig *rig, uint64_t id, const char *did)
{
    struct pn_buf lines;
    char name[HELD_NAME_MAX], want[100];
    pn_buf_init(&lines, 100000);
    queue_rig_answer(rig, ADMIN, 1, &lines);
    struct pn_buf all;
    pn_buf_init(&all, 100000);
    char names[MANY][HELD_NAME_MAX];
    for (uint32_t i = 0; i < MANY; i++)
        memcpy(names[i], held_name(id, i, name), HELD_NAME_MAX);
    qsort(names, MANY, HELD_NAME_MAX, (int (*)(const void *, const void *))strcmp);
    for (uint32_t i = 0; i < MANY; i++) {
        int n = snprintf(want, sizeof want, "{\"id\":\"%s\",\"did\":\"%s\"}", names[i], did);
        (void)pn_buf_add(&all, want, (size_t)n);
    }
    (void)pn_buf_addz(&all, "{\"ok\":true,\"did\":\"");
    (void)pn_buf_addz(&all, did);
    (void)pn_buf_addz(&all, "\",\"done\":40,\"failed\":0}");
    UNIT_STR(pn_buf_str(&lines), pn_buf_str(&all));
    pn_buf_fini(&all);
    pn_buf_fini(&lines);
}

/* What operators ask keeps no mail out, though the disk hangs on it. */
static void test_many(void)
{
    struct role_rig rig;
    rig_up(&rig);
    take(&rig, 4, PN_HAND_DELIVER); /* so that there is a segment */
    UNIT_INT(deliver(&rig, 250), 4);
    hold_many(&rig, 5);
    gate->files = SHUT;
    ask(&rig, 1, "drop", text_of(5), true);
    for (int ms = 0; ms < QUEUE_RIG_PATIENCE_MS && gate->files_waiting == 0; ms++)
        (void)usleep(1000);
    UNIT_TRUE(gate->files_waiting > 0);
    take(&rig, 7, PN_HAND_DELIVER);
    UNIT_INT(deliver(&rig, 250), 7);
    wait_list(&rig, false, "\"count\":0");
    gate->files = OPEN;
    expect_many(&rig, 5, "dropped");
    hold_many(&rig, 6);
    wait_list(&rig, true, "\"count\":40");
    ask(&rig, 1, "release", text_of(6), true);
    expect_many(&rig, 6, "released");
    for (unsigned i = 0; i < MANY; i++)
        UNIT_TRUE(deliver(&rig, 250) != 0);
    wait_list(&rig, true, "\"count\":0");
    rig_down(&rig);
}

/* ---- what is meant ---- */

static void take_from(struct role_rig *rig, uint64_t id, const char *from, int64_t age_ms,
                      uint32_t flags, const char *to0, const char *to1)
{
    struct pn_edit_group group = {0, NULL};
    struct pn_recipient to[] = {{.address = pn_str_of(to0), .user = pn_str_of(to0)},
                                {.address = pn_str_of(to1), .user = pn_str_of(to1)}};
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = pn_clock_wall_ms() - age_ms,
                                    .flags = flags,
                                    .size = content.len,
                                    .reverse_path = pn_str_of(from),
                                    .submitter = pn_str_of(from[0] == 'b' ? "ann@x.test" : ""),
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = to1 == NULL ? 1 : 2,
                                    .recipients = to};
    UNIT_INT(queue_rig_offer(rig, EDGE, &env, content), 250);
    UNIT_INT(deliver(rig, 451), (long long)id);
    if (to1 != NULL)
        UNIT_INT(deliver(rig, 451), (long long)id);
}

static void expect_words(struct role_rig *rig, const char *words, const char *want)
{
    queue_rig_ask_words(rig, ADMIN, 1, words);
    expect(rig, 1, want);
}

/* Three messages that wait: 7 of a@x.test to two domains, 8 of b@y.test, 9 of nobody, old. */
static void rig_up_three(struct role_rig *rig)
{
    rig_up(rig);
    take_from(rig, 7, "a@x.test", 0, PN_ENV_SPF_PASS, "u@one.test", "v@two.test");
    take_from(rig, 8, "b@y.test", 0, 0, "u@two.test", NULL);
    take_from(rig, 9, "", 7200 * 1000, 0, "w@sub.one.test", NULL);
    wait_list(rig, false, "\"count\":3");
}

static void test_words(void)
{
    static const struct {
        const char *words, *want;
    } rows[] = {
        {"frob",
         "list, show, retry, release, hold, bounce, drop, freeze, thaw, frozen and suppress"},
        {"list --frob", "--held, --all, --dry-run, and as filters --from"},
        {"list 0000000000007", "list expects filters"},
        {"list --dry-run", "--dry-run is for what changes something"},
        {"show", "show expects one id"},
        {"show --all", "show expects one id"},
        {"drop", "ids are expected, or filters, or --all"},
        {"drop --held", "ids are expected, or filters, or --all"},
        {"drop --dry-run", "ids are expected, or filters, or --all"},
        {"drop 0000000000007 --all", "only one of them"},
        {"drop --from a --all", "only one of them"},
        {"drop --from", "--from expects a sender"},
        {"drop --to --all", "--to expects a recipient"},
        {"drop --domain", "--domain expects a domain"},
        {"drop --reason", "--reason expects words"},
        {"drop --user", "--user expects who submitted it"},
        {"drop --older 2x", "--older expects a duration such as"},
        {"drop --newer", "--newer expects a duration such as"},
        {"drop --newer 0s", "--newer expects a duration such as"},
        {"drop --older 1s --older 2s", "--older is said twice"},
        {"drop --to a --to b", "a filter is said twice"},
        {"hold --all --held", "held mail is released or dropped"},
        {"bounce 0000000000007 --held", "held mail is released or dropped"},
        {"retry --all --held", "held mail is released or dropped"},
    };
    struct role_rig rig;
    rig_up_three(&rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].words);
        queue_rig_ask_words(&rig, ADMIN, 1, rows[i].words);
        expect(&rig, 1, rows[i].want);
        wait_list(&rig, false, "\"count\":3"); /* and nothing was done */
    }
    rig_down(&rig);
}

static void test_filter(void)
{
    static const struct {
        const char *filter;
        int count;
    } rows[] = {{"--from a@x.test", 1},
                {"--from *@X.TEST", 1},
                {"--from <>", 1},
                {"--from *", 3},
                {"--from none", 0},
                {"--to u@*", 2},
                {"--to u@* --domain two.test", 1},
                {"--domain one.test", 1},
                {"--domain *.one.test", 1},
                {"--domain test", 0},
                {"--older 1h", 1},
                {"--newer 1h", 2},
                {"--older 1h --newer 1h", 0},
                {"--older 1h --from <> --domain sub.one.test", 1},
                {"--user ann@x.test", 1},
                {"--user a@x.test", 0},
                {"--user ann@* --from a@x.test", 0},
                {"--reason 451*", 3},
                {"--reason 550*", 0}};
    struct role_rig rig;
    char words[200], want[100];
    rig_up_three(&rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].filter);
        (void)snprintf(words, sizeof words, "list %s", rows[i].filter);
        (void)snprintf(want, sizeof want, "{\"ok\":true,\"count\":%d,\"shown\":%d}", rows[i].count,
                       rows[i].count);
        expect_words(&rig, words, want);
        (void)snprintf(words, sizeof words, "drop --dry-run %s", rows[i].filter);
        (void)snprintf(want, sizeof want, "\"would\":\"dropped\",\"done\":%d,\"failed\":0}",
                       rows[i].count);
        expect_words(&rig, words, want);
    }
    wait_list(&rig, false, "\"count\":3");
    rig_down(&rig);
}

static void test_filter_empty(void)
{
    struct role_rig rig;
    rig_up(&rig);
    expect_words(&rig, "list --from *", "{\"ok\":true,\"count\":0,\"shown\":0}");
    expect_words(&rig, "list --from * --held", "{\"ok\":true,\"count\":0,\"shown\":0}");
    expect_words(&rig, "drop --all", "{\"ok\":true,\"did\":\"dropped\",\"done\":0,\"failed\":0}");
    expect_words(&rig, "release --all --held",
                 "{\"ok\":true,\"did\":\"released\",\"done\":0,\"failed\":0}");
    rig_down(&rig);
}

/* The recipients that are meant, no others of the same message; and for good. */
static void test_drop_some(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    expect_words(&rig, "drop --domain one.test", "\"done\":1,\"failed\":0}");
    expect_words(&rig, "list --from a@x.test --domain one.test", "\"count\":0");
    expect_words(&rig, "list --from a@x.test --to v@two.test", "\"count\":1");
    kill_and_start(&rig);
    wait_list(&rig, false, "\"count\":3");
    expect_words(&rig, "list --domain one.test", "\"count\":0");
    unit_row("a drop of the rest that fails does not bring it back");
    gate_set(BROKEN);
    expect_words(&rig, "drop --domain two.test --from a@x.test", "Input/output error");
    gate_set(OPEN);
    expect_words(&rig, "list --domain one.test", "\"count\":0");
    expect_words(&rig, "list --from a@x.test", "\"count\":1");
    expect_words(&rig, "drop --all", "\"done\":3,\"failed\":0}");
    kill_and_start(&rig);
    wait_list(&rig, false, "\"count\":0");
    rig_down(&rig);
}

static void test_retry_some(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    expect_words(&rig, "retry --to v@two.test", "\"did\":\"retried\",\"done\":1");
    UNIT_INT(deliver(&rig, 250), 7);
    wait_list(&rig, false, "\"count\":3");
    expect_words(&rig, "retry --older 1h", "\"done\":1");
    UNIT_INT(deliver(&rig, 250), 9);
    wait_list(&rig, false, "\"count\":2");
    rig_down(&rig);
}

/* Out of the queue and into it again, over a crash. */
static void test_hold(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    expect_words(&rig, "hold --domain two.test", "\"did\":\"held\",\"done\":2,\"failed\":0}");
    kill_and_start(&rig);
    wait_list(&rig, true, "\"count\":2");
    wait_list(&rig, true, "\"reason\":\"held by an operator\"");
    wait_list(&rig, false, "\"count\":2"); /* 7's other recipient, and 9 */
    expect_words(&rig, "list --held --reason *operator* --to v@*", "\"count\":1");
    expect_words(&rig, "list --held --user ann@x.test", "\"user\":\"ann@x.test\"");
    expect_words(&rig, "release --held --from none", "\"done\":0");
    expect_words(&rig, "release --held --from b@y.test --dry-run",
                 "\"would\":\"released\",\"done\":1");
    wait_list(&rig, true, "\"count\":2");
    expect_words(&rig, "release --held --from b@y.test", "\"did\":\"released\",\"done\":1");
    UNIT_TRUE(deliver(&rig, 250) != 0);
    expect_words(&rig, "drop --held --all", "\"did\":\"dropped\",\"done\":1");
    wait_list(&rig, true, "\"count\":0");
    wait_list(&rig, false, "\"count\":2");
    rig_down(&rig);
}

/* A held file is changed as a whole, or not at all. */
static void test_held_some(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    expect_words(&rig, "hold --from a@x.test", "\"done\":1");
    wait_list(&rig, true, "\"count\":1");
    expect_words(&rig, "drop --held --domain two.test", "some of its recipients only");
    expect_words(&rig, "list --held --domain two.test", "\"count\":1");
    expect_words(&rig, "drop --held --from a@x.test --domain *.test", "\"done\":1");
    wait_list(&rig, true, "\"count\":0");
    rig_down(&rig);
}

/* What was ordered and is not on disk was not done. */
static void test_hold_fails(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    gate_set(BROKEN);
    expect_words(&rig, "hold --older 1h", "Input/output error");
    gate_set(OPEN);
    wait_list(&rig, true, "\"count\":1"); /* its file stands, and the journal follows */
    wait_list(&rig, false, "\"count\":2");
    rig_down(&rig);
}

/* No report where it would be backscatter, or to nobody: it is held. */
static void test_bounce(void)
{
    struct role_rig rig;
    rig_up_three(&rig);
    expect_words(&rig, "bounce --from b@y.test", "\"did\":\"held\"");
    wait_list(&rig, true, "a report would be backscatter: 554 5.3.0 Given up by the operator");
    expect_words(&rig, "bounce --from <>", "\"did\":\"held\"");
    wait_list(&rig, true, "the sender is null");
    wait_list(&rig, false, "\"count\":1");
    expect_words(&rig, "bounce --from nobody", "\"done\":0,\"failed\":0}");
    kill_and_start(&rig);
    wait_list(&rig, true, "\"count\":2");
    wait_list(&rig, false, "\"count\":1");
    rig_down(&rig);
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
                                             {"held_coming", test_held_coming},
                                             {"held_out", test_held_out},
                                             {"release", test_release},
                                             {"release_fails", test_release_fails},
                                             {"release_twice", test_release_twice},
                                             {"drop", test_drop},
                                             {"no_disk", test_no_disk},
                                             {"damaged", test_damaged},
                                             {"undecodable", test_undecodable},
                                             {"many", test_many},
                                             {"unknown", test_unknown},
                                             {"words", test_words},
                                             {"filter", test_filter},
                                             {"filter_empty", test_filter_empty},
                                             {"drop_some", test_drop_some},
                                             {"retry_some", test_retry_some},
                                             {"hold", test_hold},
                                             {"held_some", test_held_some},
                                             {"hold_fails", test_hold_fails},
                                             {"bounce", test_bounce},
                                             {NULL, NULL}};
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(gate != MAP_FAILED);
    return unit_main("queue_command", tests, argc, argv);
}

#include "spool_rig.h"
#include "unit.h"

#include "content.h"
#include "memfile.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void want_found(const struct rig *rig, const char *const *want)
{
    unsigned n = 0;
    for (; want[n] != NULL; n++)
        UNIT_STR(rig_found_text(rig, n), pn_str_of(want[n]));
    UNIT_INT(rig->found_count, n);
}

static void want_content(const struct rig *rig, const struct spool_ref *ref, struct pn_str want)
{
    struct pn_buf got;
    pn_buf_init(&got, 1024 * 1024);
    UNIT_TRUE(rig_content(rig, ref, &got));
    UNIT_STR(pn_buf_str(&got), want);
    pn_buf_fini(&got);
}

static void test_round(void)
{
    struct rig rig;
    struct spool_ref ref, empty;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig) && rig.found_count == 0);
    UNIT_INT(rig_put_message(&rig, 7, "env seven", PN_STR("Subject: a\r\n\r\nb\r\n"), &ref), 0);
    UNIT_INT(rig_put_mark(&rig, SPOOL_PROGRESS, 7, "one done"), 0);
    UNIT_INT(rig_put_message(&rig, 8, "", PN_STR(""), &empty), 0);
    UNIT_INT(rig_put_mark(&rig, SPOOL_END, 9, ""), 0);
    want_content(&rig, &ref, PN_STR("Subject: a\r\n\r\nb\r\n"));
    want_content(&rig, &empty, PN_STR(""));
    struct pn_buf meta;
    pn_buf_init(&meta, 100);
    UNIT_TRUE(spool_meta(rig.spool, &ref, &meta));
    UNIT_STR(pn_buf_str(&meta), PN_STR("env seven"));
    pn_buf_fini(&meta);
    rig_close(&rig);
    for (int again = 0; again < 2; again++) {
        UNIT_TRUE(rig_open(&rig));
        want_found(&rig, (const char *const[]){"message 7 env seven", "progress 7 one done",
                                               "message 8", "end 9", NULL});
        want_content(&rig, &rig.found[0].ref, PN_STR("Subject: a\r\n\r\nb\r\n"));
        want_content(&rig, &rig.found[2].ref, PN_STR(""));
        rig_close(&rig);
    }
    UNIT_INT(rig.alarms, 0);
    rig_fini(&rig);
}

/* Many in one go share batches and spread over segments; all are there, in order. */
static void test_many(void)
{
    enum { COUNT = 200 };
    struct rig rig;
    struct spool_op ops[COUNT];
    alignas(SEGMENT_PAGE) static char bytes[SEGMENT_PAGE];
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    memset(bytes, 'm', 3000);
    for (int i = 0; i < COUNT; i++) {
        ops[i] = rig_message((uint64_t)i + 1, "e", (struct pn_str){bytes, 3000 - (size_t)i});
        ops[i].paged = i % 3 == 0; /* all kinds side by side */
    }
    rig_put(&rig, ops, COUNT);
    for (int i = 0; i < COUNT; i++)
        UNIT_INT(ops[i].error, 0);
    struct spool_stats stats = spool_stats(rig.spool);
    UNIT_TRUE(stats.segments > 8 && stats.batches < COUNT && stats.records == COUNT);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, COUNT);
    for (unsigned i = 0; i < rig.found_count; i++) {
        UNIT_INT(rig.found[i].id, i + 1);
        want_content(&rig, &rig.found[i].ref, (struct pn_str){bytes, 3000 - i});
    }
    UNIT_INT(rig.alarms, 0);
    rig_fini(&rig);
}

static void wait_segments(struct rig *rig, uint64_t want)
{
    for (int i = 0; i < 5000 && spool_stats(rig->spool).segments != want; i++)
        (void)usleep(200);
    UNIT_INT(spool_stats(rig->spool).segments, want);
}

/* Segments go oldest first: a live message keeps its own and all younger ones. */
static void test_freed(void)
{
    static char bytes[25000];
    struct rig rig;
    struct spool_ref refs[6];
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    for (unsigned i = 0; i < 6; i++) /* two a segment */
        UNIT_INT(rig_put_message(&rig, i, "", (struct pn_str){bytes, sizeof bytes}, &refs[i]), 0);
    wait_segments(&rig, 3);
    spool_release(rig.spool, &refs[2]);
    spool_release(rig.spool, &refs[3]);
    spool_release(rig.spool, &refs[1]);
    UNIT_INT(spool_stats(rig.spool).segments, 3);
    spool_release(rig.spool, &refs[0]);
    wait_segments(&rig, 1);
    UNIT_TRUE(refs[0].segment == NULL);
    spool_release(rig.spool, &refs[4]);
    spool_release(rig.spool, &refs[5]);
    rig_close(&rig); /* the newest stays: it says where the journal ends */
    UNIT_INT(rig_count(&rig, "journal-"), 1);
    UNIT_INT(rig_count(&rig, "spare-"), 1);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, 2);
    rig_fini(&rig);
}

/* A recycled segment is full of records of its earlier life; none of them comes back. */
static void test_recycled(void)
{
    static char bytes[20000];
    struct rig rig;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    for (unsigned i = 0; i < 60; i++) {
        struct spool_ref ref;
        UNIT_INT(rig_put_message(&rig, i, "", (struct pn_str){bytes, sizeof bytes}, &ref), 0);
        UNIT_INT(rig_put_mark(&rig, SPOOL_END, i, ""), 0);
        spool_release(rig.spool, &ref);
    }
    UNIT_INT(rig_put_message(&rig, 100, "last", PN_STR("x"), NULL), 0);
    rig_close(&rig);
    UNIT_TRUE(rig_count(&rig, "journal-") <= 2);
    UNIT_TRUE(rig_open(&rig));
    UNIT_TRUE(rig.found_count <= 8 && rig.found_count >= 1);
    UNIT_STR(rig_found_text(&rig, rig.found_count - 1), PN_STR("message 100 last"));
    UNIT_INT(rig.alarms, 0);
    rig_fini(&rig);
}

/* One old message keeps many segments that are empty but for it: it had better move. */
static void test_move(void)
{
    enum { COUNT = 12 };
    static char bytes[50000]; /* one a segment */
    struct rig rig;
    struct spool_ref old, ref, refs[COUNT];
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_put_message(&rig, 1, "first", PN_STR("one"), &old), 0);
    for (unsigned i = 0; i < COUNT; i++)
        UNIT_INT(rig_put_message(&rig, 2 + i, "", (struct pn_str){bytes, sizeof bytes}, &refs[i]),
                 0);
    UNIT_TRUE(spool_move_from(rig.spool) == NULL); /* all of it lives */
    for (unsigned i = 0; i < COUNT; i++) {
        UNIT_INT(rig_put_mark(&rig, SPOOL_END, 2 + i, ""), 0);
        spool_release(rig.spool, &refs[i]);
    }
    UNIT_TRUE(spool_stats(rig.spool).segments >= COUNT);
    UNIT_TRUE(spool_move_from(rig.spool) == old.segment);
    UNIT_INT(rig_put_message(&rig, 1, "again", PN_STR("one"), &ref), 0);
    spool_release(rig.spool, &old);
    wait_segments(&rig, 1);
    UNIT_TRUE(spool_move_from(rig.spool) == NULL);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_STR(rig_found_text(&rig, rig.found_count - 1), PN_STR("message 1 again"));
    want_content(&rig, &rig.found[rig.found_count - 1].ref, PN_STR("one"));
    rig_fini(&rig);
}

static void test_limits(void)
{
    static char bytes[RIG_SEGMENT];
    /* What a segment holds besides its own page and a header. */
    const size_t most = RIG_SEGMENT - SEGMENT_PAGE - RECORD_HEADER;
    const struct {
        const char *label;
        size_t size;
        int want;
    } rows[] = {{"fills a segment", most, 0}, {"one byte too many", most + 1, EFBIG}};
    struct rig rig;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    for (size_t i = 0; i < 2; i++) {
        unit_row(rows[i].label);
        UNIT_INT(rig_put_message(&rig, i, "", (struct pn_str){bytes, rows[i].size}, NULL),
                 rows[i].want);
    }
    unit_row("paged");
    alignas(SEGMENT_PAGE) static char pages[RIG_SEGMENT];
    struct spool_op op = rig_message(2, "", (struct pn_str){pages, 14 * SEGMENT_PAGE});
    op.paged = true; /* with its header it fills the segment's 15 pages behind the first */
    rig_put(&rig, &op, 1);
    UNIT_INT(op.error, EFBIG); /* by the upper bound */
    op = rig_message(3, "three", (struct pn_str){pages, 12 * SEGMENT_PAGE + 1});
    op.paged = true;
    rig_put(&rig, &op, 1);
    UNIT_INT(op.error, 0);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    want_found(&rig, (const char *const[]){"message 0", "message 3 three", NULL});
    rig_fini(&rig);
}

static void test_content_file(void)
{
    static char bytes[300 * 1024];
    struct rig rig;
    uint32_t crc = 0, again = 1;
    rig_init(&rig);
    memset(bytes, 'c', sizeof bytes);
    UNIT_TRUE(rig_open(&rig));
    int folder = spool_content_folder(rig.spool);
    int fd = pn_memfile_of("test", (struct pn_str){bytes, sizeof bytes});
    int rw = -1, ro = -1, none = -1;
    UNIT_INT(content_copy(folder, 3, fd, sizeof bytes, &crc, &ro), 0);
    UNIT_TRUE(write(ro, bytes, 1) < 0);
    (void)close(ro);
    UNIT_INT(content_copy(folder, 3, fd, sizeof bytes, &crc, &none), EEXIST);
    UNIT_INT(content_copy(folder, 4, fd, sizeof bytes + 1, &again, &none), EMSGSIZE);
    UNIT_INT(content_copy(folder, 4, fd, sizeof bytes - 1, &again, &none), EMSGSIZE);
    UNIT_INT(none, -1);
    UNIT_INT(content_open(folder, 4, sizeof bytes + 1, crc), -1);
    UNIT_INT(content_create(folder, 5, &rw, &ro), 0);
    UNIT_INT(write(rw, bytes, sizeof bytes), sizeof bytes);
    UNIT_TRUE(write(ro, bytes, 1) < 0);
    struct spool_op op = rig_message(1, "big", PN_STR(""));
    op.content_file = 3;
    op.content_size = sizeof bytes;
    op.content_crc = crc;
    rig_put(&rig, &op, 1);
    UNIT_INT(op.error, 0);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    want_found(&rig, (const char *const[]){"message 1 big", NULL});
    want_content(&rig, &rig.found[0].ref, (struct pn_str){bytes, sizeof bytes});
    /* A byte that is another: never given out. */
    char path[200];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/content-%016x",
                   spool_content_folder(rig.spool), 3);
    int bad = open(path, O_WRONLY);
    UNIT_INT(pwrite(bad, "x", 1, 4711), 1);
    UNIT_TRUE(spool_content(rig.spool, &rig.found[0].ref) < 0 && errno == EBADMSG);
    UNIT_INT(pwrite(bad, "c", 1, 4711), 1);
    want_content(&rig, &rig.found[0].ref, (struct pn_str){bytes, sizeof bytes});
    UNIT_INT(ftruncate(bad, 4711), 0);
    UNIT_TRUE(spool_content(rig.spool, &rig.found[0].ref) < 0 && errno == EBADMSG);
    (void)close(bad);
    (void)close(fd);
    (void)close(rw);
    (void)close(ro);
    rig_fini(&rig);
}

static bool is_three(void *ctx, uint64_t number)
{
    (void)ctx;
    return number == 3;
}

static void test_sweep(void)
{
    struct rig rig;
    uint64_t next = 0, removed = 0;
    int rw, ro;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    int folder = spool_content_folder(rig.spool);
    UNIT_INT(content_sweep(folder, is_three, NULL, &next, &removed), 0);
    UNIT_INT(next, 1);
    for (uint64_t n = 2; n < 6; n++) {
        UNIT_INT(content_create(folder, n, &rw, &ro), 0);
        (void)close(rw);
        (void)close(ro);
    }
    UNIT_INT(content_sweep(folder, is_three, NULL, &next, &removed), 0);
    UNIT_INT(next, 6);
    UNIT_INT(removed, 3);
    int left = content_open(folder, 3, 0, 0);
    UNIT_TRUE(left >= 0);
    (void)close(left);
    rig_fini(&rig);
}

/* A disk that fails on demand. */
static int fail_writes, fail_syncs, short_writes;

static ssize_t bad_write(int fd, const struct iovec *iov, int n, off_t offset)
{
    (void)n;
    size_t most = iov[0].iov_len < SEGMENT_PAGE ? iov[0].iov_len : SEGMENT_PAGE;
    if (fail_writes > 0) {
        fail_writes--;
        errno = EIO;
        return -1;
    }
    if (short_writes > 0) {
        short_writes--;
        (void)!pwrite(fd, iov[0].iov_base, most, offset);
        errno = EIO;
        return -1;
    }
    return pwrite(fd, iov[0].iov_base, most, offset); /* and never all at once */
}

static int bad_sync(int fd)
{
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void test_failing_disk(void)
{
    static int *const faults[] = {&fail_writes, &fail_syncs, &short_writes};
    for (int i = 0; i < 3; i++) {
        struct rig rig;
        rig_init(&rig);
        rig.settings.write_at = bad_write;
        rig.settings.sync = bad_sync;
        UNIT_TRUE(rig_open(&rig));
        UNIT_INT(rig_put_message(&rig, 1, "before", PN_STR("one"), NULL), 0);
        *faults[i] = 1;
        UNIT_INT(rig_put_message(&rig, 2, "during", PN_STR("two"), NULL), EIO);
        UNIT_INT(rig.alarms, 1);
        UNIT_INT(rig_put_message(&rig, 3, "after", PN_STR("three"), NULL), 0);
        UNIT_INT(spool_stats(rig.spool).segments, 2);
        *faults[i] = 1; /* a lazy record is not lost: it waits for the next segment */
        UNIT_INT(rig_put_mark(&rig, SPOOL_PROGRESS, 1, "lazy not set"), EIO);
        struct spool_op lazy = {.type = SPOOL_END, .id = 1, .lazy = true};
        *faults[i] = 1;
        rig_put(&rig, &lazy, 1);
        UNIT_INT(lazy.error, 0);
        rig_close(&rig);
        UNIT_TRUE(rig_open(&rig));
        want_found(&rig,
                   (const char *const[]){"message 1 before", "message 3 after", "end 1", NULL});
        rig_fini(&rig);
    }
}

/* No room for the next segment: who waits is told; room again, and all goes on. */
static void test_no_room(void)
{
    static char bytes[50000];
    char name[SEGMENT_NAME_MAX];
    struct rig rig;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_put_message(&rig, 1, "", (struct pn_str){bytes, sizeof bytes}, NULL), 0);
    for (uint64_t n = 1; n < 20; n++) /* folders stand where spares would be made */
        (void)mkdirat(rig.folder, segment_name("spare", n, name), 0700);
    int error = 0;
    for (uint64_t id = 2; id < 5 && error == 0; id++)
        error = rig_put_message(&rig, id, "", (struct pn_str){bytes, sizeof bytes}, NULL);
    UNIT_TRUE(error == EISDIR);
    UNIT_TRUE(strstr(rig.last_alarm, "no room") != NULL);
    for (uint64_t n = 1; n < 20; n++)
        (void)unlinkat(rig.folder, segment_name("spare", n, name), AT_REMOVEDIR);
    struct spool_op lazy = {.type = SPOOL_END, .id = 1, .lazy = true};
    rig_put(&rig, &lazy, 1);
    UNIT_INT(lazy.error, 0);
    rig_fini(&rig);
}

static void test_locked(void)
{
    struct rig rig, other;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    rig_init(&other);
    int own = other.folder;
    other.folder = rig.folder;
    UNIT_TRUE(!rig_open(&other));
    UNIT_TRUE(strstr(other.error, "another process") != NULL);
    other.folder = own;
    rig_fini(&other);
    rig_fini(&rig);
}

static void test_names(void)
{
    static const struct {
        const char *name;
        bool want;
        uint64_t serial;
    } rows[] = {
        {"journal-0000000000000001", true, 1},   {"journal-ffffffffffffffff", true, UINT64_MAX},
        {"journal-FFFFFFFFFFFFFFFF", false, 0},  {"journal-000000000000001", false, 0},
        {"journal-00000000000000001", false, 0}, {"journal-000000000000000g", false, 0},
        {"journal-+00000000000000a", false, 0},  {"journal0-000000000000000", false, 0},
        {"spare-0000000000000001", false, 0},    {"", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t serial = 0;
        unit_row(rows[i].name);
        UNIT_INT(segment_name_parse(rows[i].name, "journal", &serial), rows[i].want);
        if (rows[i].want)
            UNIT_TRUE(serial == rows[i].serial);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"round", test_round},
                                             {"many", test_many},
                                             {"freed", test_freed},
                                             {"recycled", test_recycled},
                                             {"move", test_move},
                                             {"limits", test_limits},
                                             {"content_file", test_content_file},
                                             {"sweep", test_sweep},
                                             {"failing_disk", test_failing_disk},
                                             {"no_room", test_no_room},
                                             {"locked", test_locked},
                                             {"names", test_names},
                                             {NULL, NULL}};
    return unit_main("spool", tests, argc, argv);
}

/*
 * What a crash may leave: a journal cut or spoiled at every byte, a last batch of which
 * any pages were written, and real processes killed at any moment.
 */
#include "spool_rig.h"
#include "unit.h"

#include "assert.h"
#include "codec.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 7 };

/* Where the records of the sample journal lie, and which batch they are of. */
struct sample {
    struct rig rig;
    struct pn_buf image;
    uint64_t at[RECORDS], end[RECORDS]; /* without the alignment behind it */
    uint32_t batch[RECORDS];
    uint64_t meta_end[RECORDS];
    uint64_t content_at[RECORDS]; /* where content begins */
    uint64_t stop;
    char name[SEGMENT_NAME_MAX];
};

struct seen {
    bool record[RECORDS];
    unsigned strange; /* records that were never written */
    unsigned damage;
    unsigned unheard; /* of those, in the last batch */
};

static void see_sample(void *ctx, const struct record *r, uint64_t offset, struct pn_str meta)
{
    struct sample *s = ctx;
    unsigned i = (unsigned)r->id;
    s->at[i] = offset;
    s->meta_end[i] = offset + RECORD_HEADER + meta.len;
    s->content_at[i] = offset + r->content_at;
    s->end[i] = s->content_at[i] + r->content_len;
    s->batch[i] = r->batch;
}

static void see(void *ctx, const struct record *r, uint64_t offset, struct pn_str meta)
{
    struct seen *seen = ctx;
    (void)offset;
    if (r->id >= RECORDS || meta.len == 0 || meta.p[0] != (char)('0' + r->id))
        seen->strange++;
    else
        seen->record[r->id] = true;
}

static void no_damage(void *ctx, uint64_t from, uint64_t to, bool unheard)
{
    (void)ctx, (void)from, (void)to, (void)unheard;
}

static void see_damage(void *ctx, uint64_t from, uint64_t to, bool unheard)
{
    struct seen *seen = ctx;
    UNIT_TRUE(from < to);
    seen->damage++;
    seen->unheard += unheard;
}

/* Four batches: one message; three records; a message whose content has two pages of its
 * own; two records. */
static void sample_init(struct sample *s)
{
    alignas(SEGMENT_PAGE) static char bytes[2 * SEGMENT_PAGE];
    static const char *const metas[RECORDS] = {"0 alone", "1 first", "2 marks", "3 ends",
                                               "4 large", "5 late",  "6 last"};
    static const struct {
        uint8_t type;
        size_t content;
    } rows[RECORDS] = {{SPOOL_MESSAGE, 30}, {SPOOL_MESSAGE, 10},   {SPOOL_PROGRESS, 0},
                       {SPOOL_END, 0},      {SPOOL_MESSAGE, 5000}, {SPOOL_MESSAGE, 70},
                       {SPOOL_MESSAGE, 40}};
    static const unsigned batches[][2] = {{0, 1}, {1, 4}, {4, 5}, {5, 7}};
    struct spool_op ops[RECORDS];
    memset(bytes, 'b', 5000);
    rig_init(&s->rig);
    s->rig.settings.segment_bytes = 8 * SEGMENT_PAGE;
    s->rig.settings.lazy_ms = 60000; /* so that a run of ops is one batch: the last is not lazy */
    pn_assert(rig_open(&s->rig));
    for (unsigned b = 0; b < 4; b++) {
        for (unsigned i = batches[b][0]; i < batches[b][1]; i++) {
            ops[i] = rig_message(i, metas[i], (struct pn_str){bytes, rows[i].content});
            ops[i].paged = rows[i].content == 5000;
            ops[i].type = rows[i].type;
            ops[i].lazy = i + 1 < batches[b][1];
        }
        rig_put(&s->rig, &ops[batches[b][0]], batches[b][1] - batches[b][0]);
    }
    rig_close(&s->rig);
    (void)segment_name("journal", 1, s->name);
    pn_buf_init(&s->image, 1024 * 1024);
    pn_assert(rig_file_get(&s->rig, s->name, &s->image));
    struct segment *segment = segment_open(s->rig.folder, 1);
    const struct segment_scan scan = {see_sample, no_damage, s};
    pn_assert(segment != NULL && segment_scan(segment, 0, 0, &scan) == 0);
    pn_assert(segment->batch == 4 && s->batch[3] == 2 && s->batch[4] == 3);
    s->stop = segment->end;
    segment_free(&segment);
}

static void sample_fini(struct sample *s)
{
    pn_buf_fini(&s->image);
    rig_fini(&s->rig);
}

/* Scans the image as it is now; stop as in segment_scan. False: its header is spoiled. */
static bool scan_image(const struct sample *s, struct pn_str image, uint64_t stop,
                       struct seen *seen)
{
    rig_file_put(&s->rig, s->name, image);
    *seen = (struct seen){0};
    struct segment *segment = segment_open(s->rig.folder, 1);
    if (segment == NULL)
        return false;
    const struct segment_scan scan = {see, see_damage, seen};
    UNIT_INT(segment_scan(segment, stop, 0, &scan), 0);
    segment_free(&segment);
    UNIT_INT(seen->strange, 0);
    return true;
}

/* All but the padding of pages, of which a part is enough. */
static bool worth(const struct sample *s, uint64_t at)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (at >= s->at[i] && at <= s->end[i])
            return i != 4 || at < s->meta_end[4] + 10 || at % 64 == 0 || at > s->end[4] - 2;
    return at % 256 == 0;
}

static void label(const char *what, uint64_t at)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "%s at %llu", what, (unsigned long long)at);
    unit_row(text);
}

/* The newest segment ends at any byte: zeros, garbage or nothing behind it. What lies
 * wholly before the cut is found, nothing else is, and no alarm is raised. */
static void test_cut(void)
{
    static const char *const kinds[] = {"zeros", "garbage", "truncated"};
    struct sample s;
    struct seen seen;
    sample_init(&s);
    char *image = s.image.p;
    size_t len = s.image.len;
    char *cut = malloc(len);
    pn_assert(cut != NULL);
    for (int kind = 0; kind < 3; kind++)
        for (uint64_t at = 2 * SEGMENT_PAGE; at < s.stop; at++) {
            if (!worth(&s, at))
                continue;
            label(kinds[kind], at);
            memcpy(cut, image, len);
            memset(cut + at, kind == 0 ? 0 : 0xa5, len - at);
            UNIT_TRUE(scan_image(&s, (struct pn_str){cut, kind == 2 ? at : len}, 0, &seen));
            UNIT_INT(seen.damage, 0);
            for (unsigned i = 0; i < RECORDS; i++)
                UNIT_INT(seen.record[i], s.end[i] <= at);
        }
    free(cut);
    sample_fini(&s);
}

/* Whether a spoiled byte of record i shows at start: content of older batches is read later. */
static bool shows(const struct sample *s, unsigned i, uint64_t at, bool newest)
{
    return at < s->meta_end[i] || (at >= s->content_at[i] && newest && s->batch[i] == 4);
}

/* One byte is spoiled: that record is lost at most, and an alarm raised if good ones follow. */
static void spoil_each(bool newest)
{
    struct sample s;
    struct seen seen;
    sample_init(&s);
    for (uint64_t at = SEGMENT_PAGE; at < s.stop; at++) {
        if (!worth(&s, at))
            continue;
        label(newest ? "newest spoiled" : "older spoiled", at);
        s.image.p[at] ^= 0x10;
        UNIT_TRUE(scan_image(&s, pn_buf_str(&s.image), newest ? 0 : s.stop, &seen));
        s.image.p[at] ^= 0x10;
        unsigned lost = 0;
        bool last = false, unheard = false;
        for (unsigned i = 0; i < RECORDS; i++) {
            bool hit = at >= s.at[i] && at < s.end[i] && shows(&s, i, at, newest);
            UNIT_INT(seen.record[i], !hit);
            lost += hit;
            last = hit && i == RECORDS - 1;
            unheard |= hit && newest && s.batch[i] == 4;
        }
        UNIT_INT(seen.damage, lost > 0 && !(newest && last) ? 1 : 0);
        UNIT_INT(seen.unheard, seen.damage > 0 && unheard);
    }
    sample_fini(&s);
}

static void test_spoiled_newest(void)
{
    spoil_each(true);
}

static void test_spoiled_older(void)
{
    spoil_each(false);
}

/* The header stands twice: one spoiled copy hurts nobody, two make the segment unreadable. */
static void test_spoiled_header(void)
{
    struct sample s;
    struct seen seen;
    sample_init(&s);
    for (uint64_t at = 0; at < 64; at++) {
        label("header", at);
        s.image.p[at] ^= 1;
        UNIT_TRUE(scan_image(&s, pn_buf_str(&s.image), 0, &seen) && seen.record[6]);
        s.image.p[at + SEGMENT_PAGE / 2] ^= 1;
        UNIT_TRUE(!scan_image(&s, pn_buf_str(&s.image), 0, &seen));
        s.image.p[at] ^= 1;
        s.image.p[at + SEGMENT_PAGE / 2] ^= 1;
    }
    sample_fini(&s);
}

/* Power fails while a batch of several pages is written: any of its pages may be there,
 * in any combination. All that was synced before is found. */
static void test_any_pages(void)
{
    struct sample s;
    struct seen seen;
    sample_init(&s);
    uint64_t from = s.at[4], pages = (s.at[5] - from) / SEGMENT_PAGE;
    UNIT_INT(pages, 3);
    for (unsigned set = 0; set < 1U << pages; set++) {
        struct pn_buf image;
        pn_buf_init(&image, 1024 * 1024);
        pn_assert(pn_buf_adds(&image, pn_buf_str(&s.image)));
        memset(image.p + s.at[5], 0, image.len - s.at[5]);
        for (unsigned p = 0; p < pages; p++)
            if ((set >> p & 1) == 0)
                memset(image.p + from + (size_t)p * SEGMENT_PAGE, 0, SEGMENT_PAGE);
        label("page set", set);
        UNIT_TRUE(scan_image(&s, pn_buf_str(&image), 0, &seen));
        UNIT_TRUE(seen.record[0] && seen.record[1] && seen.record[2] && seen.record[3]);
        UNIT_INT(seen.record[4], set == 7);
        UNIT_INT(seen.damage, 0);
        pn_buf_fini(&image);
    }
    sample_fini(&s);
}

/* Mail made to look like a record, at the right place, is none: the salt is not known. */
static void test_forged(void)
{
    struct rig rig;
    char forged[RECORD_HEADER * 3] = {0};
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    uint64_t at = SEGMENT_PAGE + RECORD_HEADER + RECORD_HEADER; /* of the second 64 of content */
    struct record_place guess = {1, 0, at};
    struct record record = {.type = RECORD_MESSAGE, .id = 666, .batch = 1};
    record_lay(&record, at);
    record.meta_crc = record.content_crc = record_seed(&guess);
    record_put(forged + RECORD_HEADER, &record, &guess);
    UNIT_INT(rig_put_message(&rig, 1, "", (struct pn_str){forged, sizeof forged}, NULL), 0);
    UNIT_INT(rig_put_message(&rig, 2, "", PN_STR("x"), NULL), 0);
    rig_close(&rig);
    struct pn_buf image;
    pn_buf_init(&image, 1024 * 1024);
    UNIT_TRUE(rig_file_get(&rig, "journal-0000000000000001", &image));
    image.p[SEGMENT_PAGE] ^= 1; /* the search now passes over the content */
    rig_file_put(&rig, "journal-0000000000000001", pn_buf_str(&image));
    pn_buf_fini(&image);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, 1);
    UNIT_INT(rig.found[0].id, 2);
    UNIT_INT(rig.alarms, 1);
    rig_fini(&rig);
}

/* Damage in an older segment: an alarm, all others are there, the file is kept aside when
 * it is free. Spoiled content is told apart when it is read. */
static void test_damage_kept(void)
{
    static char bytes[25000];
    struct rig rig;
    struct pn_buf image, got;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    for (unsigned i = 0; i < 5; i++) /* two a segment */
        UNIT_INT(rig_put_message(&rig, i, "", (struct pn_str){bytes, sizeof bytes}, NULL), 0);
    rig_close(&rig);
    pn_buf_init(&image, 1024 * 1024);
    UNIT_TRUE(rig_file_get(&rig, "journal-0000000000000001", &image));
    image.p[SEGMENT_PAGE + 8] ^= 1;
    rig_file_put(&rig, "journal-0000000000000001", pn_buf_str(&image));
    pn_buf_clear(&image);
    UNIT_TRUE(rig_file_get(&rig, "journal-0000000000000002", &image));
    image.p[SEGMENT_PAGE + 1000] ^= 1;
    rig_file_put(&rig, "journal-0000000000000002", pn_buf_str(&image));
    pn_buf_fini(&image);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.alarms, 1);
    UNIT_TRUE(strstr(rig.last_alarm, "bytes 4096 to") != NULL);
    UNIT_INT(rig.found_count, 4);
    pn_buf_init(&got, 1024 * 1024);
    UNIT_TRUE(rig_content(&rig, &rig.found[0].ref, &got));
    UNIT_TRUE(!rig_content(&rig, &rig.found[1].ref, &got) && errno == EBADMSG);
    UNIT_TRUE(rig_content(&rig, &rig.found[2].ref, &got));
    pn_buf_fini(&got);
    for (unsigned i = 0; i < 4; i++)
        spool_release(rig.spool, &rig.found[i].ref);
    rig_close(&rig);
    UNIT_INT(rig_count(&rig, "damaged-"), 1);
    UNIT_INT(rig_count(&rig, "journal-"), 1);
    rig_fini(&rig);
}

/* A power cut may leave both names of a rename: what was begun as a segment is then a spare
 * too, and must not be written over. */
static void test_two_names(void)
{
    struct rig rig;
    rig_init(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_put_message(&rig, 1, "first", PN_STR("x"), NULL), 0);
    rig_close(&rig);
    UNIT_INT(
        linkat(rig.folder, "journal-0000000000000001", rig.folder, "spare-00000000000000ff", 0), 0);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(faccessat(rig.folder, "spare-00000000000000ff", F_OK, 0), -1);
    UNIT_INT(rig_put_message(&rig, 2, "second", PN_STR("x"), NULL), 0);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, 2);
    UNIT_INT(rig.alarms, 0);
    rig_fini(&rig);
}

/* Killed while it made a spare: the file has its size, but maybe not its bytes. */
static void test_half_filled(void)
{
    static char bytes[RIG_SEGMENT];
    struct rig rig;
    rig_init(&rig);
    rig_file_put(&rig, "fill-00000000000000ff", (struct pn_str){bytes, sizeof bytes});
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_count(&rig, "fill-00000000000000ff"), 0);
    UNIT_INT(rig_put_message(&rig, 1, "first", PN_STR("x"), NULL), 0);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, 1);
    rig_fini(&rig);
}

static int syncs_to_fail;

static int failing_sync(int fd)
{
    errno = EIO;
    return syncs_to_fail > 0 && syncs_to_fail-- == 1 ? -1 : fdatasync(fd);
}

/* Its record was written whole, and is there; but it was refused. */
static void test_refused(void)
{
    struct rig rig;
    rig_init(&rig);
    rig.settings.sync = failing_sync;
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_put_message(&rig, 1, "kept", PN_STR("x"), NULL), 0);
    syncs_to_fail = 1;
    UNIT_INT(rig_put_message(&rig, 2, "refused", PN_STR("x"), NULL), EIO);
    rig_close(&rig);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig.found_count, 1);
    UNIT_STR(rig_found_text(&rig, 0), PN_STR("message 1 kept"));
    rig_fini(&rig);
}

/* The last batch was torn: also two starts later, when it is in the newest segment no more, its
 * first record is none, and no damage. */
static void test_torn_twice(void)
{
    static char bytes[2 * SEGMENT_PAGE];
    struct rig rig;
    struct spool_op ops[2];
    struct pn_buf image;
    rig_init(&rig);
    rig.settings.lazy_ms = 60000;
    UNIT_TRUE(rig_open(&rig));
    for (unsigned i = 0; i < 2; i++) {
        ops[i] =
            rig_message(i + 1, i == 0 ? "torn" : "whole", (struct pn_str){bytes, sizeof bytes});
        ops[i].lazy = i == 0;
    }
    rig_put(&rig, ops, 2);
    rig_close(&rig);
    pn_buf_init(&image, 1024 * 1024);
    UNIT_TRUE(rig_file_get(&rig, "journal-0000000000000001", &image));
    image.p[2 * SEGMENT_PAGE] ^= 1; /* of its content */
    rig_file_put(&rig, "journal-0000000000000001", pn_buf_str(&image));
    pn_buf_fini(&image);
    for (unsigned start = 0; start < 3; start++) {
        rig.alarms = 0;
        UNIT_TRUE(rig_open(&rig));
        UNIT_INT(rig.found_count, 1 + start);
        UNIT_STR(rig_found_text(&rig, 0), PN_STR("message 2 whole"));
        UNIT_INT(rig.alarms, 1);
        UNIT_TRUE(strstr(rig.last_alarm, "nobody was answered") != NULL);
        UNIT_INT(rig_put_message(&rig, 10 + start, "later", PN_STR("x"), NULL), 0);
        rig_close(&rig);
    }
    UNIT_INT(rig_count(&rig, "damaged-"), 0);
    rig_fini(&rig);
}

/* A record of a version to come: this binary must not throw it away. */
static void test_newer(void)
{
    struct sample s;
    struct pn_buf image;
    sample_init(&s);
    struct segment *segment = segment_open(s.rig.folder, 1);
    struct record_place place = segment_place(segment, s.at[1]);
    segment_free(&segment);
    pn_buf_init(&image, 1024 * 1024);
    (void)pn_buf_adds(&image, pn_buf_str(&s.image));
    char *header = image.p + s.at[1];
    header[4] = RECORD_VERSION + 1;
    uint32_t crc = pn_crc32c(record_seed(&place), header, RECORD_HEADER - 4);
    for (int i = 0; i < 4; i++)
        header[RECORD_HEADER - 4 + i] = (char)(crc >> 8 * i);
    rig_file_put(&s.rig, s.name, pn_buf_str(&image));
    UNIT_TRUE(!rig_open(&s.rig));
    UNIT_TRUE(strstr(s.rig.error, "newer version") != NULL);
    pn_buf_fini(&image);
    sample_fini(&s);
}

/* ---- killed processes ---- */

enum { WAY = 16, ROUNDS = 12 };

struct ack {
    uint8_t type;
    uint64_t id;
};

static int ack_fd;

static void tell(void *ctx, struct spool_op *ops)
{
    (void)ctx;
    for (; ops != NULL; ops = ops->next) {
        struct ack ack;
        memset(&ack, 0, sizeof ack); /* what lies between its members is written too */
        ack.type = ops->type;
        ack.id = ops->id;
        pn_assert(ops->error == 0);
        pn_assert(write(ack_fd, &ack, sizeof ack) == (ssize_t)sizeof ack);
    }
}

static void skip_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    (void)ctx, (void)id, (void)meta, (void)ref;
}

static void all_progress(void *ctx, uint64_t id, struct pn_str meta)
{
    (void)ctx, (void)id, (void)meta;
}

static void skip_end(void *ctx, uint64_t id)
{
    (void)ctx, (void)id;
}

/* Puts messages and ends every third; says what is durable, until it is killed. */
_Noreturn static void child(struct rig *rig, uint64_t first)
{
    alignas(SEGMENT_PAGE) static char bytes[SEGMENT_PAGE];
    memset(bytes, 'k', 3000);
    rig->settings.finished = tell;
    const struct spool_found none = {skip_message, all_progress, skip_end, NULL};
    struct pn_buf err;
    pn_buf_init(&err, 200);
    rig->spool = spool_open(rig->folder, &rig->settings, &none, &err);
    pn_assert(rig->spool != NULL);
    static struct spool_op ops[4096], ends[4096];
    for (uint64_t n = 0; n < 4096; n++) {
        ops[n] = rig_message(first + n, "meta", (struct pn_str){bytes, 100 + n % 2900});
        ops[n].paged = n % 5 == 0;
        spool_submit(rig->spool, &ops[n]);
        if (n % 3 == 2) {
            ends[n] = (struct spool_op){.type = SPOOL_END, .id = first + n - 2, .lazy = n % 2 == 0};
            spool_submit(rig->spool, &ends[n]);
        }
        if (n % WAY == 0)
            (void)usleep(100);
    }
    for (;;)
        (void)pause();
}

enum { ID_MAX = ROUNDS * 4096 };
static bool kept[ID_MAX], ended[ID_MAX], found[ID_MAX], found_end[ID_MAX];

static void all_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    struct rig *rig = ctx;
    struct rig_found *f = &rig->found[rig->found_count++ % RIG_FOUND_MAX];
    f->id = id;
    f->ref = *ref;
    UNIT_STR(meta, PN_STR("meta"));
    found[id] = true;
}

static void all_end(void *ctx, uint64_t id)
{
    (void)ctx;
    found_end[id] = true;
}

static void killed_round(struct rig *rig, unsigned round)
{
    int ends[2];
    struct ack ack;
    pn_assert(pipe(ends) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    pn_assert(pid >= 0);
    if (pid == 0) {
        ack_fd = ends[1];
        child(rig, (uint64_t)round * 4096);
    }
    (void)close(ends[1]);
    /* Not by the clock: after a number of answers that differs each round. */
    for (unsigned n = 0; n < 40 + round * 97 && read(ends[0], &ack, sizeof ack) > 0; n++)
        *(ack.type == SPOOL_MESSAGE ? &kept[ack.id] : &ended[ack.id]) = true;
    UNIT_INT(kill(pid, SIGKILL), 0);
    while (read(ends[0], &ack, sizeof ack) == (ssize_t)sizeof ack)
        *(ack.type == SPOOL_MESSAGE ? &kept[ack.id] : &ended[ack.id]) = true;
    (void)close(ends[0]);
    UNIT_INT(waitpid(pid, NULL, 0), pid);
}

static void test_killed(void)
{
    struct rig rig;
    rig_init(&rig);
    rig.settings.spares = 2;
    for (unsigned round = 0; round < ROUNDS; round++) {
        label("round", round);
        killed_round(&rig, round);
        const struct spool_found all = {all_message, all_progress, all_end, &rig};
        struct pn_buf err;
        pn_buf_init(&err, 200);
        rig.found_count = 0;
        rig.spool = spool_open(rig.folder, &rig.settings, &all, &err);
        UNIT_TRUE(rig.spool != NULL);
        pn_buf_fini(&err);
        unsigned missing = 0, acked = 0;
        for (unsigned id = 0; id < ID_MAX; id++) {
            acked += kept[id] && id / 4096 == round;
            missing += kept[id] && !found[id];
            missing += ended[id] && !found_end[id];
        }
        UNIT_TRUE(acked > 20);
        UNIT_INT(missing, 0);
        UNIT_INT(rig.alarms, 0);
        rig_close(&rig);
    }
    rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"cut", test_cut},
                                             {"spoiled_newest", test_spoiled_newest},
                                             {"spoiled_older", test_spoiled_older},
                                             {"spoiled_header", test_spoiled_header},
                                             {"any_pages", test_any_pages},
                                             {"forged", test_forged},
                                             {"damage_kept", test_damage_kept},
                                             {"two_names", test_two_names},
                                             {"half_filled", test_half_filled},
                                             {"refused", test_refused},
                                             {"torn_twice", test_torn_twice},
                                             {"newer", test_newer},
                                             {"killed", test_killed},
                                             {NULL, NULL}};
    return unit_main("spool_crash", tests, argc, argv);
}

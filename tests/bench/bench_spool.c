/*
 * What the spool costs alone: bench_spool [FOLDER] [SECONDS-A-ROW]. Keeps a number of
 * messages under way (so that batches are about that large), ends each as soon as it
 * is kept, and prints messages/s, CPU time of all threads a message, batch size and p50
 * and p99 of the wait for durability.
 */
#include "clock.h"
#include "mem.h"
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLES = 1000000, ENVELOPE = 400, SLOTS = 4096 };

/* A message under way, then its end. */
struct slot {
    struct spool_op op; /* first: a finished op is its slot */
    uint64_t since;
    struct slot *next_free;
};

struct bench {
    struct spool *spool;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct spool_op *finished;
    struct spool_ref *left; /* by an earlier run */
    size_t left_count, left_cap;
};

static void finished(void *ctx, struct spool_op *ops)
{
    struct bench *b = ctx;
    struct spool_op *last = ops;
    while (last->next != NULL)
        last = last->next;
    (void)pthread_mutex_lock(&b->lock);
    last->next = b->finished;
    b->finished = ops;
    (void)pthread_cond_signal(&b->cond);
    (void)pthread_mutex_unlock(&b->lock);
}

static void alarmed(void *ctx, const char *sentence)
{
    (void)ctx;
    fprintf(stderr, "alarm: %s\n", sentence);
}

static void old_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    struct bench *b = ctx;
    (void)id, (void)meta;
    b->left = pn_grow(b->left, &b->left_cap, b->left_count, sizeof *ref);
    b->left[b->left_count++] = *ref;
}

static void no_progress(void *ctx, uint64_t id, struct pn_str meta)
{
    (void)ctx, (void)id, (void)meta;
}

static void no_end(void *ctx, uint64_t id)
{
    (void)ctx, (void)id;
}

static double cpu_us(void)
{
    struct rusage r;
    (void)getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static struct spool_op *wait_finished(struct bench *b)
{
    (void)pthread_mutex_lock(&b->lock);
    while (b->finished == NULL)
        (void)pthread_cond_wait(&b->cond, &b->lock);
    struct spool_op *ops = b->finished;
    b->finished = NULL;
    (void)pthread_mutex_unlock(&b->lock);
    return ops;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

struct row {
    struct bench *bench;
    size_t size;
    unsigned way;
    const char *bytes;
    char meta[ENVELOPE];
    struct slot *free_slots;
    uint64_t done, under_way, ending;
    uint32_t *us; /* samples of the wait */
    size_t samples;
};

static void submit(struct row *row)
{
    static uint64_t id;
    struct slot *slot = row->free_slots;
    row->free_slots = slot->next_free;
    slot->op = (struct spool_op){.type = SPOOL_MESSAGE,
                                 .id = ++id,
                                 .meta = {row->meta, sizeof row->meta},
                                 .content = {row->bytes, row->size},
                                 .paged = row->size > 16 * 1024};
    slot->since = pn_clock_mono_ns();
    row->under_way++;
    spool_submit(row->bench->spool, &slot->op);
}

/* A kept message is ended, an ended one frees its slot. */
static bool settle(struct row *row, struct spool_op *op)
{
    struct slot *slot = (struct slot *)op;
    if (op->error != 0)
        return false;
    if (op->type == SPOOL_END) {
        slot->next_free = row->free_slots;
        row->free_slots = slot;
        row->ending--;
        return true;
    }
    if (row->samples < SAMPLES)
        row->us[row->samples++] = (uint32_t)((pn_clock_mono_ns() - slot->since) / 1000);
    spool_release(row->bench->spool, &op->ref);
    row->done++;
    row->under_way--;
    row->ending++;
    *op = (struct spool_op){.type = SPOOL_END, .id = op->id, .lazy = true};
    spool_submit(row->bench->spool, op);
    return true;
}

static bool drive(struct row *row, double seconds)
{
    uint64_t until = pn_clock_mono_ns() + (uint64_t)(seconds * 1e9);
    while (row->under_way < row->way)
        submit(row);
    while (row->under_way + row->ending > 0) {
        for (struct spool_op *op = wait_finished(row->bench), *next; op != NULL; op = next) {
            next = op->next;
            if (!settle(row, op))
                return false;
        }
        bool more = pn_clock_mono_ns() < until;
        while (more && row->under_way < row->way && row->free_slots != NULL)
            submit(row);
    }
    return true;
}

static void print(const struct row *row, double s, double cpu, const struct spool_stats *before)
{
    struct spool_stats after = spool_stats(row->bench->spool);
    qsort(row->us, row->samples, sizeof *row->us, by_value);
    printf("%6zu bytes  %3u under way  %7.0f messages/s  %6.1f CPU-us each  %5.1f a batch  "
           "p50 %5u us  p99 %5u us\n",
           row->size, row->way, (double)row->done / s, cpu / (double)row->done,
           (double)row->done / (double)(after.batches - before->batches), row->us[row->samples / 2],
           row->us[row->samples * 99 / 100]);
}

static bool run(struct bench *bench, size_t size, unsigned way, double seconds)
{
    static struct slot slots[SLOTS];
    alignas(4096) static char bytes[SPOOL_INLINE_MAX];
    memset(bytes, 'b', size); /* zeros behind it */
    struct row row = {.bench = bench, .size = size, .way = way, .bytes = bytes};
    row.us = pn_calloc(SAMPLES, sizeof *row.us);
    for (size_t i = 0; i < SLOTS; i++) {
        slots[i].next_free = row.free_slots;
        row.free_slots = &slots[i];
    }
    struct spool_stats before = spool_stats(bench->spool);
    double cpu = cpu_us();
    uint64_t start = pn_clock_mono_ns();
    bool ok = drive(&row, seconds);
    if (ok)
        print(&row, (double)(pn_clock_mono_ns() - start) / 1e9, cpu_us() - cpu, &before);
    free(row.us);
    return ok;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {4096, 70 * 1024};
    static const unsigned ways[] = {1, 4, 16, 64};
    const char *path = argc > 1 ? argv[1] : "bench-spool";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.5;
    struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct spool_settings settings = {.finished = finished, .alarm = alarmed, .ctx = &bench};
    const struct spool_found none = {old_message, no_progress, no_end, &bench};
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    (void)mkdir(path, 0700);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bench.spool = folder < 0 ? NULL : spool_open(folder, &settings, &none, &err);
    if (bench.spool == NULL) {
        fprintf(stderr, "%s: %s%.*s\n", path, folder < 0 ? strerror(errno) : "",
                PN_FMT(pn_buf_str(&err)));
        return EXIT_FAILURE;
    }
    bool ok = true;
    for (size_t i = 0; i < bench.left_count; i++)
        spool_release(bench.spool, &bench.left[i]);
    for (size_t s = 0; s < 2; s++)
        for (size_t w = 0; w < 4; w++)
            ok = ok && run(&bench, sizes[s], ways[w], seconds);
    spool_close(&bench.spool);
    free(bench.left);
    pn_buf_fini(&err);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

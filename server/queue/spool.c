#include "spool_private.h"

#include "assert.h"
#include "clock.h"
#include "codec.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void spool_alarm(const struct spool *spool, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (spool->settings.alarm != NULL)
        spool->settings.alarm(spool->settings.ctx, text);
}

void spool_wait_until(struct spool *spool, pthread_cond_t *cond, uint64_t due_ns)
{
    struct timespec at = {(time_t)(due_ns / PN_NS_PER_S), (long)(due_ns % PN_NS_PER_S)};
    (void)pthread_cond_timedwait(cond, &spool->lock, &at);
}

static uint64_t op_bytes(const struct spool_op *op)
{
    return record_bytes(op->meta.len, op->content_file == 0 ? op->content_size : 0);
}

static uint64_t now_plus_ms(unsigned ms)
{
    return pn_clock_mono_ns() + (uint64_t)ms * PN_NS_PER_MS;
}

void spool_submit(struct spool *spool, struct spool_op *op)
{
    pn_assert(op->meta.len <= RECORD_META_MAX &&
              (op->content_file != 0 || op->content_size <= SPOOL_INLINE_MAX));
    op->next = NULL;
    op->error = 0;
    op->ref = (struct spool_ref){0};
    (void)pthread_mutex_lock(&spool->lock);
    pn_assert(!spool->closing);
    bool first = spool->head == NULL;
    *spool->tail = op;
    spool->tail = &op->next;
    if (!op->lazy)
        spool->urgent++;
    if (first)
        spool->lazy_due = now_plus_ms(spool->settings.lazy_ms);
    /* The writer sleeps to a deadline on lazy ops alone; more of them need not wake it. */
    bool wake = spool->writer_waits && (first || spool->urgent == 1);
    (void)pthread_mutex_unlock(&spool->lock);
    if (wake)
        (void)pthread_cond_signal(&spool->work);
}

void spool_release(struct spool *spool, struct spool_ref *ref)
{
    if (ref->segment == NULL)
        return;
    (void)pthread_mutex_lock(&spool->lock);
    pn_assert(ref->segment->live > 0);
    ref->segment->live--;
    bool chore = spool->oldest->live == 0 && spool->oldest != spool->newest;
    (void)pthread_mutex_unlock(&spool->lock);
    ref->segment = NULL;
    if (chore)
        (void)pthread_cond_signal(&spool->chore);
}

struct spool_stats spool_stats(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    struct spool_stats stats = spool->stats;
    stats.spares = spool->spare_count;
    (void)pthread_mutex_unlock(&spool->lock);
    return stats;
}

/* Waits for a spare and begins the next segment with it. 0 or errno. */
static int next_segment(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->writable = false;
    while (spool->spare_count == 0 && spool->spare_error == 0)
        (void)pthread_cond_wait(&spool->spare, &spool->lock);
    int error = spool->spare_count == 0 ? spool->spare_error : 0;
    uint64_t spare = error == 0 ? spool->spares[--spool->spare_count] : 0;
    uint64_t serial = error == 0 ? spool->next_serial++ : 0;
    (void)pthread_cond_signal(&spool->chore);
    (void)pthread_mutex_unlock(&spool->lock);
    if (error != 0)
        return error;
    struct segment *s =
        segment_begin(spool->folder, spare, serial, spool->newest, spool->settings.sync);
    if (s == NULL) {
        error = errno;
        spool_alarm(spool, "journal segment %llu could not be begun: %s",
                    (unsigned long long)serial, strerror(error));
        return error;
    }
    (void)pthread_mutex_lock(&spool->lock);
    if (spool->newest == NULL)
        spool->oldest = s;
    else
        spool->newest->newer = s;
    if (spool->newest != NULL)
        segment_close_write(spool->newest);
    spool->newest = s;
    spool->writable = true;
    spool->stats.segments++;
    (void)pthread_mutex_unlock(&spool->lock);
    return 0;
}

static int read_content(int fd, char *to, size_t n)
{
    off_t at = 0;
    while (n > 0) {
        ssize_t got = pread(fd, to, n, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? EMSGSIZE : errno;
        to += got;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

/* Lays op's record at `at` in the batch; its header is written as not the last. */
static int lay(struct spool *spool, struct spool_op *op, size_t at, struct record *record)
{
    const struct segment *s = spool->newest;
    struct record_place place = segment_place(s, s->end + at);
    uint32_t seed = record_seed(&place);
    char *header = spool->batch + at;
    char *meta = header + RECORD_HEADER;
    bool in_file = op->content_file != 0;
    size_t content = in_file ? 0 : (size_t)op->content_size;
    if (content > 0) {
        int error = read_content(op->content_fd, meta + op->meta.len, content);
        if (error != 0)
            return error;
    }
    if (op->meta.len > 0)
        memcpy(meta, op->meta.p, op->meta.len);
    *record = (struct record){
        .type = op->type,
        .id = op->id,
        .batch = s->batch + 1,
        .meta_len = (uint32_t)op->meta.len,
        .content_len = content,
        .content_file = op->content_file,
        .content_size = op->content_size,
        .meta_crc = pn_crc32c(seed, meta, op->meta.len),
        .content_crc = in_file ? op->content_crc : pn_crc32c(seed, meta + op->meta.len, content),
    };
    record_put(header, record, &place);
    size_t used = RECORD_HEADER + op->meta.len + content;
    memset(header + used, 0, record_bytes(op->meta.len, content) - used);
    op->ref = (struct spool_ref){NULL,
                                 s->end + at,
                                 record->meta_len,
                                 record->content_crc,
                                 record->content_file,
                                 record->content_size};
    return 0;
}

/* Lays all ops; those that can't be read get their error. Returns the batch's bytes. */
static size_t lay_all(struct spool *spool, struct spool_op *ops, unsigned *count)
{
    size_t len = 0, last_at = 0;
    struct record record, last = {0};
    *count = 0;
    for (struct spool_op *op = ops; op != NULL; op = op->next) {
        op->error = lay(spool, op, len, &record);
        if (op->error != 0)
            continue;
        last = record;
        last_at = len;
        len += record_bytes(record.meta_len, record.content_len);
        (*count)++;
    }
    if (*count == 0)
        return 0;
    struct record_place place = segment_place(spool->newest, spool->newest->end + last_at);
    last.last = true;
    record_put(spool->batch + last_at, &last, &place);
    size_t whole = (len + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    memset(spool->batch + len, 0, whole - len);
    return whole;
}

static int write_out(struct spool *spool, size_t n)
{
    const struct segment *s = spool->newest;
    for (size_t at = 0; at < n;) {
        ssize_t done =
            spool->settings.write_at(s->write_fd, spool->batch + at, n - at, (off_t)(s->end + at));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done == 0 ? EIO : errno;
        at += (size_t)done;
    }
    return spool->settings.sync(s->write_fd) != 0 ? errno : 0;
}

static void fail_all(struct spool_op *ops, int error)
{
    for (struct spool_op *op = ops; op != NULL; op = op->next)
        op->error = error;
}

static void segment_failed(struct spool *spool, int error)
{
    struct segment *s = spool->newest;
    (void)pthread_mutex_lock(&spool->lock);
    s->failed = true;
    spool->writable = false;
    spool->stats.failed_batches++;
    (void)pthread_mutex_unlock(&spool->lock);
    spool_alarm(spool, "journal segment %llu: write failed at %llu: %s; it is not used again",
                (unsigned long long)s->serial, (unsigned long long)s->end, strerror(error));
}

/* The batch is durable: from here on its messages are live. */
static void commit(struct spool *spool, struct spool_op *ops, size_t bytes, unsigned count)
{
    struct segment *s = spool->newest;
    (void)pthread_mutex_lock(&spool->lock);
    s->end += bytes;
    s->batch++;
    for (struct spool_op *op = ops; op != NULL; op = op->next)
        if (op->error == 0 && op->type == SPOOL_MESSAGE) {
            op->ref.segment = s;
            s->live++;
        }
    spool->stats.batches++;
    spool->stats.records += count;
    spool->stats.bytes += bytes;
    (void)pthread_mutex_unlock(&spool->lock);
}

static void write_batch(struct spool *spool, struct spool_op *ops, uint64_t bytes)
{
    unsigned count;
    int error = 0;
    if (bytes > spool->settings.segment_bytes - SEGMENT_PAGE)
        error = EFBIG;
    else if (!spool->writable || bytes > spool->newest->size - spool->newest->end)
        error = next_segment(spool);
    if (error != 0) {
        fail_all(ops, error);
        return;
    }
    size_t whole = lay_all(spool, ops, &count);
    if (count == 0)
        return;
    error = write_out(spool, whole);
    if (error != 0) {
        segment_failed(spool, error);
        fail_all(ops, error);
        return;
    }
    commit(spool, ops, whole, count);
}

/* Takes what waits, up to a batch; lock held. */
static struct spool_op *gather(struct spool *spool, uint64_t *bytes)
{
    struct spool_op *first = spool->head, **end = &spool->head;
    *bytes = 0;
    while (*end != NULL) {
        uint64_t n = op_bytes(*end);
        if (*end != first && *bytes + n > spool->batch_bytes)
            break;
        *bytes += n;
        if (!(*end)->lazy)
            spool->urgent--;
        end = &(*end)->next;
    }
    spool->head = *end;
    if (spool->head == NULL)
        spool->tail = &spool->head;
    *end = NULL;
    return first;
}

/* Lazy ops of a failed batch wait for the next segment, in front of all others; the
 * rest is answered. Lock held. */
static struct spool_op *put_back(struct spool *spool, struct spool_op *ops)
{
    struct spool_op *answer = NULL, **answer_end = &answer;
    struct spool_op *again = NULL, **again_end = &again;
    for (struct spool_op *op = ops, *next; op != NULL; op = next) {
        struct spool_op ***end = op->error != 0 && op->lazy && op->error != EFBIG && !spool->closing
                                     ? &again_end
                                     : &answer_end;
        next = op->next;
        op->next = NULL;
        **end = op;
        *end = &op->next;
    }
    if (again != NULL) {
        *again_end = spool->head;
        if (spool->head == NULL)
            spool->tail = again_end;
        spool->head = again;
        spool->lazy_due = now_plus_ms(spool->settings.retry_ms);
    }
    return answer;
}

/* Until there is something to write or the end has come; lock held. */
static void wait_for_work(struct spool *spool)
{
    spool->writer_waits = true;
    while (!spool->closing && spool->urgent == 0 &&
           (spool->head == NULL || pn_clock_mono_ns() < spool->lazy_due)) {
        if (spool->head == NULL)
            (void)pthread_cond_wait(&spool->work, &spool->lock);
        else
            spool_wait_until(spool, &spool->work, spool->lazy_due);
    }
    spool->writer_waits = false;
}

void *spool_write_main(void *arg)
{
    struct spool *spool = arg;
    (void)pthread_mutex_lock(&spool->lock);
    for (;;) {
        uint64_t bytes;
        wait_for_work(spool);
        if (spool->head == NULL)
            break; /* closing */
        struct spool_op *ops = gather(spool, &bytes);
        (void)pthread_mutex_unlock(&spool->lock);
        write_batch(spool, ops, bytes);
        (void)pthread_mutex_lock(&spool->lock);
        ops = put_back(spool, ops);
        (void)pthread_mutex_unlock(&spool->lock);
        if (ops != NULL)
            spool->settings.finished(spool->settings.ctx, ops);
        (void)pthread_mutex_lock(&spool->lock);
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return NULL;
}

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
    uint64_t n = RECORD_HEADER + op->meta.len + op->content.len;
    if (op->paged)
        return n + 2 * SEGMENT_PAGE; /* at most: its content begins and ends at pages */
    return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static uint64_t now_plus_ms(unsigned ms)
{
    return pn_clock_mono_ns() + (uint64_t)ms * PN_NS_PER_MS;
}

void spool_submit(struct spool *spool, struct spool_op *op)
{
    pn_assert(
        op->meta.len <= RECORD_META_MAX && op->content.len <= SPOOL_INLINE_MAX &&
        (op->content_file == 0 || op->content.len == 0) &&
        (!op->paged || ((uintptr_t)op->content.p % SEGMENT_PAGE == 0 && op->content.len > 0)));
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

void spool_hurry(struct spool *spool, struct spool_op *op)
{
    (void)pthread_mutex_lock(&spool->lock);
    struct spool_op *queued = op->lazy ? spool->head : NULL;
    op->lazy = false;
    while (queued != NULL && queued != op)
        queued = queued->next; /* else it is in the batch at hand */
    spool->urgent += queued != NULL;
    (void)pthread_mutex_unlock(&spool->lock);
    if (queued != NULL)
        (void)pthread_cond_signal(&spool->work);
}

uint64_t spool_ref_bytes(const struct spool_ref *ref)
{
    return ref->content_at + (ref->content_file == 0 ? ref->content_size : 0);
}

const struct segment *spool_move_from(struct spool *spool)
{
    enum { SMALL = 8 }; /* segments that are not worth the work */
    (void)pthread_mutex_lock(&spool->lock);
    uint64_t size = spool->settings.segment_bytes;
    const struct segment *oldest = spool->oldest;
    if (oldest == spool->newest ||
        spool->stats.segments * size <= 2 * spool->stats.live_bytes + SMALL * size)
        oldest = NULL;
    (void)pthread_mutex_unlock(&spool->lock);
    return oldest;
}

void spool_keep(struct spool *spool, const struct spool_ref *ref)
{
    (void)pthread_mutex_lock(&spool->lock);
    ref->segment->live++;
    spool->stats.live_bytes += spool_ref_bytes(ref);
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_release(struct spool *spool, struct spool_ref *ref)
{
    if (ref->segment == NULL)
        return;
    (void)pthread_mutex_lock(&spool->lock);
    pn_assert(ref->segment->live > 0);
    ref->segment->live--;
    spool->stats.live_bytes -= spool_ref_bytes(ref);
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

/* Adds a piece to the batch's; adjoining ones of the buffer become one. */
static void add_piece(struct spool *spool, char *p, size_t n)
{
    struct iovec *last = spool->iov_count == 0 ? NULL : &spool->iov[spool->iov_count - 1];
    if (n == 0)
        return;
    if (last != NULL && (char *)last->iov_base + last->iov_len == p) {
        last->iov_len += n;
        return;
    }
    pn_assert(spool->iov_count < SPOOL_IOV_MAX);
    spool->iov[spool->iov_count++] = (struct iovec){p, n};
}

/* Lays op's record at `at` in the batch. What is written from where it is leaves a hole of
 * its size in the buffer. Returns where the next one goes. */
static size_t lay(struct spool *spool, struct spool_op *op, size_t at, struct record *record)
{
    const struct segment *s = spool->newest;
    struct record_place place = segment_place(s, s->end + at);
    uint32_t seed = record_seed(&place);
    bool in_file = op->content_file != 0;
    *record = (struct record){
        .type = op->type,
        .id = op->id,
        .batch = s->batch + 1,
        .paged = op->paged,
        .meta_len = (uint32_t)op->meta.len,
        .content_len = op->content.len,
        .content_file = op->content_file,
        .content_size = in_file ? op->content_size : op->content.len,
        .meta_crc = pn_crc32c(seed, op->meta.p, op->meta.len),
        .content_crc = in_file ? op->content_crc : pn_crc32c(seed, op->content.p, op->content.len),
    };
    record_lay(record, place.offset);
    size_t next = (size_t)(record_behind(record, place.offset) - s->end);
    char *header = spool->batch + at, *content = header + record->content_at;
    record_put(header, record, &place);
    if (op->meta.len > 0)
        memcpy(header + RECORD_HEADER, op->meta.p, op->meta.len);
    memset(header + RECORD_HEADER + op->meta.len, 0,
           record->content_at - RECORD_HEADER - op->meta.len);
    add_piece(spool, header, record->content_at);
    if (op->paged) {
        add_piece(spool, (char *)(uintptr_t)op->content.p, spool->batch + next - content);
    } else {
        if (op->content.len > 0)
            memcpy(content, op->content.p, op->content.len);
        size_t rest = (size_t)(spool->batch + next - content);
        memset(content + op->content.len, 0, rest - op->content.len);
        add_piece(spool, content, rest);
    }
    op->ref = (struct spool_ref){.offset = place.offset,
                                 .meta_len = record->meta_len,
                                 .content_at = record->content_at,
                                 .content_crc = record->content_crc,
                                 .content_file = record->content_file,
                                 .content_size = record->content_size};
    return next;
}

/* Lays all ops. Returns the batch's bytes. */
static size_t lay_all(struct spool *spool, struct spool_op *ops, unsigned *count)
{
    size_t len = 0, last_at = 0;
    struct record record = {0};
    *count = 0;
    spool->iov_count = 0;
    for (struct spool_op *op = ops; op != NULL; op = op->next) {
        op->error = 0; /* of an earlier batch that failed */
        last_at = len;
        len = lay(spool, op, len, &record);
        (*count)++;
    }
    struct record_place place = segment_place(spool->newest, spool->newest->end + last_at);
    record.last = true;
    record_put(spool->batch + last_at, &record, &place);
    size_t whole = (len + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    memset(spool->batch + len, 0, whole - len);
    add_piece(spool, spool->batch + len, whole - len);
    return whole;
}

/* Steps over n bytes that are written. */
static void advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

static int write_out(struct spool *spool)
{
    const struct segment *s = spool->newest;
    struct iovec *iov = spool->iov;
    int count = spool->iov_count;
    for (off_t at = (off_t)s->end; count > 0;) {
        ssize_t done = spool->settings.write_at(s->write_fd, iov, count, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done == 0 ? EIO : errno;
        at += done;
        advance(&iov, &count, (size_t)done);
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
            spool->stats.live_bytes += spool_ref_bytes(&op->ref);
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
    error = write_out(spool);
    if (error != 0) {
        segment_failed(spool, error);
        fail_all(ops, error);
        (void)next_segment(spool); /* it says where the good bytes end, before anyone is answered:
                                      else a start could find what was refused */
        return;
    }
    commit(spool, ops, whole, count);
}

/* Takes what waits, up to a batch; lock held. */
static struct spool_op *gather(struct spool *spool, uint64_t *bytes)
{
    struct spool_op *first = spool->head, **end = &spool->head;
    int pieces = 1; /* the padding */
    *bytes = 0;
    while (*end != NULL) {
        uint64_t n = op_bytes(*end);
        pieces += (*end)->paged ? 2 : 0;
        if (*end != first && (*bytes + n > spool->batch_bytes || pieces > SPOOL_IOV_MAX - 2))
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

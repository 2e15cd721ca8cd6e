/* Opening: the lock, what is in the folder, recovery; reading back; closing. */
#include "spool_private.h"

#include "assert.h"
#include "codec.h"
#include "content.h"
#include "mem.h"
#include "memfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENT_BYTES = 64 * 1024 * 1024, SPARES = 3, LAZY_MS = 5, RETRY_MS = 1000 };

/* Serials of the journal's files, and what else lies there. */
struct listing {
    uint64_t *serials;
    size_t count;
    size_t cap;
};

static struct spool *spool_new(int folder, const struct spool_settings *settings)
{
    struct spool *spool = pn_calloc(1, sizeof *spool);
    pthread_condattr_t attr;
    *spool =
        (struct spool){.settings = *settings, .folder = folder, .lock_fd = -1, .content_fd = -1};
    struct spool_settings *set = &spool->settings;
    if (set->segment_bytes == 0)
        set->segment_bytes = SEGMENT_BYTES;
    if (set->spares == 0)
        set->spares = SPARES;
    if (set->spares > SPOOL_SPARES_MAX)
        set->spares = SPOOL_SPARES_MAX;
    if (set->lazy_ms == 0)
        set->lazy_ms = LAZY_MS;
    if (set->retry_ms == 0)
        set->retry_ms = RETRY_MS;
    if (set->write_at == NULL)
        set->write_at = pwritev;
    if (set->sync == NULL)
        set->sync = fdatasync;
    spool->tail = &spool->head;
    spool->next_serial = spool->next_spare = 1;
    spool->batch_bytes = set->segment_bytes - SEGMENT_PAGE < SPOOL_BATCH_BYTES
                             ? set->segment_bytes - SEGMENT_PAGE
                             : SPOOL_BATCH_BYTES;
    spool->batch = aligned_alloc(SEGMENT_PAGE, SPOOL_BATCH_MAX);
    pn_assert(spool->batch != NULL);
    (void)pthread_mutex_init(&spool->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&spool->work, &attr);
    (void)pthread_cond_init(&spool->chore, &attr);
    (void)pthread_cond_init(&spool->spare, &attr);
    (void)pthread_condattr_destroy(&attr);
    return spool;
}

void spool_destroy(struct spool *spool)
{
    while (spool->oldest != NULL) {
        struct segment *s = spool->oldest;
        spool->oldest = s->newer;
        segment_free(&s);
    }
    if (spool->lock_fd >= 0)
        (void)close(spool->lock_fd);
    if (spool->content_fd >= 0)
        (void)close(spool->content_fd);
    (void)pthread_cond_destroy(&spool->work);
    (void)pthread_cond_destroy(&spool->chore);
    (void)pthread_cond_destroy(&spool->spare);
    (void)pthread_mutex_destroy(&spool->lock);
    free(spool->batch);
    free(spool);
}

static bool refuse(struct pn_buf *err, const char *what, int error)
{
    (void)pn_buf_addf(err, "spool: %s: %s", what, strerror(error));
    return false;
}

static bool lock_folder(struct spool *spool, struct pn_buf *err)
{
    spool->lock_fd = openat(spool->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (spool->lock_fd < 0)
        return refuse(err, "lock", errno);
    if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return refuse(err, "another process has it", errno);
    return true;
}

static bool open_content(struct spool *spool, struct pn_buf *err)
{
    if (mkdirat(spool->folder, "content", 0700) != 0 && errno != EEXIST)
        return refuse(err, "content", errno);
    spool->content_fd =
        openat(spool->folder, "content", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (spool->content_fd < 0 || fsync(spool->folder) != 0)
        return refuse(err, "content", errno);
    return true;
}

int spool_content_folder(const struct spool *spool)
{
    return spool->content_fd;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Whole spares of the right size are kept, others removed. So is the name of one that has
 * another: a power cut may leave both names of a rename, and the other is a segment's. */
static void note_spare(struct spool *spool, const char *name, uint64_t number)
{
    struct stat st;
    bool right = fstatat(spool->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISREG(st.st_mode) && st.st_size == (off_t)spool->settings.segment_bytes &&
                 st.st_nlink == 1;
    if (number >= spool->next_spare)
        spool->next_spare = number + 1;
    if (right && spool->spare_count < spool->settings.spares)
        spool->spares[spool->spare_count++] = number;
    else
        (void)unlinkat(spool->folder, name, 0);
}

static bool list_folder(struct spool *spool, struct listing *list, struct pn_buf *err)
{
    int again = openat(spool->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (dir == NULL) {
        int error = errno;
        if (again >= 0)
            (void)close(again);
        return refuse(err, "folder", error);
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint64_t number;
        if (segment_name_parse(e->d_name, "journal", &number)) {
            list->serials = pn_grow(list->serials, &list->cap, list->count, sizeof number);
            list->serials[list->count++] = number;
        } else if (segment_name_parse(e->d_name, "spare", &number)) {
            note_spare(spool, e->d_name, number);
        } else if (segment_name_parse(e->d_name, "fill", &number)) {
            (void)unlinkat(spool->folder, e->d_name, 0); /* its maker was killed */
        }
    }
    (void)closedir(dir);
    if (list->count > 0)
        qsort(list->serials, list->count, sizeof *list->serials, by_value);
    return true;
}

static void set_aside(struct spool *spool, uint64_t serial)
{
    char from[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
    spool_alarm(spool, "journal segment %llu has a damaged header; it is kept aside unread",
                (unsigned long long)serial);
    (void)renameat(spool->folder, segment_name("journal", serial, from), spool->folder,
                   segment_name("damaged", serial, to));
}

static bool open_segments(struct spool *spool, const struct listing *list, struct pn_buf *err)
{
    struct segment **end = &spool->oldest;
    for (size_t i = 0; i < list->count; i++) {
        struct segment *s = segment_open(spool->folder, list->serials[i]);
        spool->next_serial = list->serials[i] + 1;
        if (s == NULL && errno == EBADMSG) {
            set_aside(spool, list->serials[i]);
            continue;
        }
        if (s == NULL)
            return refuse(err, errno == EPROTONOSUPPORT ? "made by a newer version" : "segment",
                          errno);
        if (spool->newest != NULL && s->prev_serial != 0 && s->prev_serial > spool->newest->serial)
            spool_alarm(spool, "journal segment %llu is missing",
                        (unsigned long long)s->prev_serial);
        *end = s;
        end = &s->newer;
        spool->newest = s;
        spool->stats.segments++;
    }
    return true;
}

/* Who says where s ends; NULL: nobody, so its end must be found. */
static const struct segment *successor_of(const struct segment *s)
{
    const struct segment *n = s->newer;
    while (n != NULL && n->prev_serial != s->serial)
        n = n->newer;
    return n;
}

struct recovery {
    struct spool *spool;
    struct segment *segment;
    const struct spool_found *found;
};

static void found_record(void *ctx, const struct record *r, uint64_t offset, struct pn_str meta)
{
    struct recovery *rec = ctx;
    const struct spool_found *found = rec->found;
    if (r->type == RECORD_MESSAGE) {
        struct spool_ref ref = {.segment = rec->segment,
                                .offset = offset,
                                .meta_len = r->meta_len,
                                .content_at = r->content_at,
                                .content_crc = r->content_crc,
                                .content_file = r->content_file,
                                .content_size = r->content_size};
        rec->segment->live++;
        rec->spool->stats.live_bytes += spool_ref_bytes(&ref);
        found->message(found->ctx, r->id, meta, &ref);
    } else if (r->type == RECORD_PROGRESS) {
        found->progress(found->ctx, r->id, meta);
    } else {
        found->end(found->ctx, r->id);
    }
}

static void found_damage(void *ctx, uint64_t from, uint64_t to, bool unheard)
{
    struct recovery *rec = ctx;
    if (unheard) {
        spool_alarm(rec->spool,
                    "journal segment %llu: bytes %llu to %llu of the last batch are not there; "
                    "nobody was answered for them, unless the disk lost them since",
                    (unsigned long long)rec->segment->serial, (unsigned long long)from,
                    (unsigned long long)to);
        return;
    }
    rec->segment->damaged = true;
    spool_alarm(rec->spool,
                "journal segment %llu: bytes %llu to %llu are damaged and were skipped; the "
                "segment will be kept aside",
                (unsigned long long)rec->segment->serial, (unsigned long long)from,
                (unsigned long long)to);
}

/* What a killed process wrote and had not synced is found as well. It must not go after we
 * acted by it: a message that was moved lives in it alone once its old segment is freed. */
static bool make_found_durable(struct spool *spool, struct pn_buf *err)
{
    if (spool->newest == NULL || spool->settings.sync(spool->newest->fd) == 0)
        return true;
    return refuse(err, "what the last run wrote can't be synced", errno);
}

static bool recover(struct spool *spool, const struct spool_found *found, struct pn_buf *err)
{
    for (struct segment *s = spool->oldest; s != NULL; s = s->newer) {
        struct recovery rec = {spool, s, found};
        struct segment_scan scan = {found_record, found_damage, &rec};
        const struct segment *next = successor_of(s);
        int error = segment_scan(s, next == NULL ? 0 : next->prev_end,
                                 next == NULL ? 0 : next->prev_batch, &scan);
        if (error != 0)
            return refuse(err, error == EPROTONOSUPPORT ? "made by a newer version" : "segment",
                          error);
    }
    return make_found_durable(spool, err);
}

static bool start_threads(struct spool *spool, struct pn_buf *err)
{
    int error = pthread_create(&spool->janitor, NULL, spool_janitor_main, spool);
    if (error != 0)
        return refuse(err, "thread", error);
    error = pthread_create(&spool->writer, NULL, spool_write_main, spool);
    if (error == 0)
        return true;
    (void)pthread_mutex_lock(&spool->lock);
    spool->janitor_ends = true;
    (void)pthread_cond_signal(&spool->chore);
    (void)pthread_mutex_unlock(&spool->lock);
    (void)pthread_join(spool->janitor, NULL);
    return refuse(err, "thread", error);
}

struct spool *spool_open(int folder, const struct spool_settings *settings,
                         const struct spool_found *found, struct pn_buf *err)
{
    struct spool *spool = spool_new(folder, settings);
    struct listing list = {0};
    if (found->spool != NULL)
        *found->spool = spool;
    bool ok = lock_folder(spool, err) && open_content(spool, err) &&
              list_folder(spool, &list, err) && open_segments(spool, &list, err) &&
              recover(spool, found, err) && start_threads(spool, err);
    free(list.serials);
    if (!ok) {
        spool_destroy(spool);
        return NULL;
    }
    return spool;
}

void spool_close(struct spool **spoolp)
{
    struct spool *spool = *spoolp;
    if (spool == NULL)
        return;
    (void)pthread_mutex_lock(&spool->lock);
    spool->closing = true;
    (void)pthread_cond_signal(&spool->work);
    (void)pthread_mutex_unlock(&spool->lock);
    (void)pthread_join(spool->writer, NULL);
    (void)pthread_mutex_lock(&spool->lock);
    spool->janitor_ends = true;
    (void)pthread_cond_signal(&spool->chore);
    (void)pthread_mutex_unlock(&spool->lock);
    (void)pthread_join(spool->janitor, NULL);
    for (struct segment *s; (s = spool_take_free(spool)) != NULL;)
        spool_put_aside(spool, s);
    spool_destroy(spool);
    *spoolp = NULL;
}

bool spool_meta(struct spool *spool, const struct spool_ref *ref, struct pn_buf *out)
{
    (void)spool;
    char *to = pn_buf_reserve(out, ref->meta_len);
    int error = to == NULL
                    ? EFBIG
                    : segment_read(ref->segment, ref->offset + RECORD_HEADER, to, ref->meta_len);
    if (error != 0) {
        errno = error;
        return false;
    }
    out->len += ref->meta_len;
    return true;
}

static int content_of(const struct spool_ref *ref, bool check)
{
    struct record_place place = segment_place(ref->segment, ref->offset);
    size_t n = (size_t)ref->content_size;
    char *bytes = pn_alloc(n);
    int fd = -1;
    int error = segment_read(ref->segment, ref->offset + ref->content_at, bytes, n);
    if (error == 0 && check && pn_crc32c(record_seed(&place), bytes, n) != ref->content_crc)
        error = EBADMSG;
    if (error == 0) {
        fd = pn_memfile_of("content", (struct pn_str){bytes, n});
        error = fd < 0 ? errno : 0;
    }
    free(bytes);
    errno = error;
    return fd;
}

int spool_content(struct spool *spool, const struct spool_ref *ref)
{
    if (ref->content_file != 0)
        return content_open(spool->content_fd, ref->content_file, ref->content_size,
                            ref->content_crc);
    return content_of(ref, true);
}

int spool_content_as_is(struct spool *spool, const struct spool_ref *ref)
{
    if (ref->content_file != 0)
        return content_open_as_is(spool->content_fd, ref->content_file);
    return content_of(ref, false);
}

/*
 * The second thread: keeps spare segments ready, and takes free ones off the journal's
 * old end. Both sync, which the writer must not wait for.
 */
#include "spool_private.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct segment *spool_take_free(struct spool *spool)
{
    struct segment *s = spool->oldest;
    /* The newest stays even when it is failed: its successor names its end. */
    if (s == NULL || s == spool->newest || s->live > 0 || spool->stuck)
        return NULL;
    spool->oldest = s->newer;
    spool->stats.segments--;
    return s;
}

/* 0 or errno. What the folder shows after a crash in here is a segment of ended messages
 * or a spare, both harmless: no younger segment is freed before the sync. */
static int rename_away(struct spool *spool, const struct segment *s, bool reuse, uint64_t spare)
{
    char from[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
    int folder = spool->folder;
    int done;
    (void)segment_name("journal", s->serial, from);
    if (s->damaged)
        done = renameat(folder, from, folder, segment_name("damaged", s->serial, to));
    else if (reuse)
        done = renameat(folder, from, folder, segment_name("spare", spare, to));
    else
        done = unlinkat(folder, from, 0);
    return done != 0 || fsync(folder) != 0 ? errno : 0;
}

/* A file with a second name, be it a backup's, is not written again. */
static bool has_one_name(const struct segment *s)
{
    struct stat st;
    return fstat(s->fd, &st) == 0 && st.st_nlink == 1;
}

void spool_put_aside(struct spool *spool, struct segment *s)
{
    bool one_name = has_one_name(s);
    (void)pthread_mutex_lock(&spool->lock);
    uint64_t spare = spool->next_spare++;
    bool reuse = one_name && !s->failed && !s->damaged &&
                 s->size == spool->settings.segment_bytes &&
                 spool->spare_count < spool->settings.spares;
    (void)pthread_mutex_unlock(&spool->lock);
    int error = rename_away(spool, s, reuse, spare);
    if (error != 0)
        spool_alarm(spool, "journal segment %llu could not be put aside: %s",
                    (unsigned long long)s->serial, strerror(error));
    segment_free(&s);
    (void)pthread_mutex_lock(&spool->lock);
    spool->stuck |= error != 0;
    if (error == 0 && reuse && spool->spare_count < SPOOL_SPARES_MAX)
        spool->spares[spool->spare_count++] = spare;
    (void)pthread_cond_signal(&spool->spare);
    (void)pthread_mutex_unlock(&spool->lock);
}

/* Lock held on entry and exit. */
static void make_spare(struct spool *spool)
{
    uint64_t number = spool->next_spare++;
    int before = spool->spare_error;
    (void)pthread_mutex_unlock(&spool->lock);
    int error = segment_fill(spool->folder, number, spool->settings.segment_bytes);
    if (error != 0 && error != before)
        spool_alarm(spool, "no room for a journal segment: %s", strerror(error));
    (void)pthread_mutex_lock(&spool->lock);
    spool->spare_error = error;
    if (error == 0)
        spool->spares[spool->spare_count++] = number;
    (void)pthread_cond_signal(&spool->spare);
}

void *spool_janitor_main(void *arg)
{
    struct spool *spool = arg;
    uint64_t retry_at = 0;
    (void)pthread_mutex_lock(&spool->lock);
    while (!spool->janitor_ends) {
        struct segment *aside = spool_take_free(spool);
        if (aside != NULL) {
            (void)pthread_mutex_unlock(&spool->lock);
            spool_put_aside(spool, aside);
            (void)pthread_mutex_lock(&spool->lock);
        } else if (spool->spare_count > 0) { /* more come from what is freed, which costs less */
            (void)pthread_cond_wait(&spool->chore, &spool->lock);
        } else if (pn_clock_mono_ns() < retry_at) {
            spool_wait_until(spool, &spool->chore, retry_at);
        } else {
            make_spare(spool);
            retry_at = spool->spare_error == 0
                           ? 0
                           : pn_clock_mono_ns() + (uint64_t)spool->settings.retry_ms * PN_NS_PER_MS;
        }
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return NULL;
}

#include "state_asker.h"

#include "assert.h"
#include "channel.h"
#include "clock.h"
#include "mem.h"
#include "records.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

/* The channel: threads read outside of the lock, so it is counted. */
struct line {
    int fd;
    unsigned refs;
};

/* One condition for all that wait: there are few, for a moment each, and who reads wakes the
 * others only when it found something for one of them or stops reading. */
struct pn_state_asker {
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t woken;
    struct line *line; /* NULL: no role now */
    uint64_t lost;     /* monotonic ns since then; 0: there was none yet, or there is one */
    struct pn_state_wait *waits; /* open */
    bool reading;
    uint64_t next_id;
    struct pn_buf record; /* the reader's */
    struct pn_buf out;    /* what is sent */
    void (*on_lost)(void *ctx);
    void *ctx;
};

static void lock(struct pn_state_asker *a)
{
    pn_assert(pthread_mutex_lock(&a->lock) == 0);
}

static void unlock(struct pn_state_asker *a)
{
    pn_assert(pthread_mutex_unlock(&a->lock) == 0);
}

/* Under the lock. */
static void line_unref(struct line *l)
{
    if (l == NULL || --l->refs != 0)
        return;
    (void)close(l->fd);
    free(l);
}

/* Under the lock. What is open is asked of the next one. */
static void lose(struct pn_state_asker *a, const struct line *l)
{
    if (a->line != l)
        return;
    line_unref(a->line);
    a->line = NULL;
    a->lost = pn_clock_mono_ns();
    for (struct pn_state_wait *w = a->waits; w != NULL; w = w->next)
        w->sent = false;
    if (a->on_lost != NULL)
        a->on_lost(a->ctx);
}

/* As many as a record holds. */
static void pack(struct pn_state_asker *a)
{
    pn_buf_clear(&a->out);
    for (struct pn_state_wait *w = a->waits; w != NULL; w = w->next) {
        size_t before = a->out.len;
        if (w->sent || w->done)
            continue;
        pn_state_ask_put(&a->out, &w->ask);
        w->sent = w->packed = !a->out.overflow;
        if (w->packed)
            continue;
        a->out.len = before;
        return;
    }
}

/* Under the lock: all that is not sent yet, whoever asks, in one record. A channel that is full
 * has a role behind it that does not read: its questions wait for their own end. */
static void send(struct pn_state_asker *a)
{
    pack(a);
    bool ok = pn_channel_try_fd(a->line->fd, PN_REC_STATE_ASK, pn_buf_str(&a->out), NULL, 0) == 0;
    int error = errno;
    for (struct pn_state_wait *w = a->waits; w != NULL; w = w->next) {
        w->sent = w->sent && (ok || !w->packed);
        w->packed = false;
    }
    if (!ok && error != EAGAIN)
        lose(a, a->line);
}

/* One that comes too late is nobody's. */
static void give(struct pn_state_asker *a, const struct pn_state_answer *answer)
{
    for (struct pn_state_wait *w = a->waits; w != NULL; w = w->next) {
        if (w->ask.id != answer->id || w->done)
            continue;
        w->status = answer->status;
        w->left = answer->left;
        w->local = answer->local;
        w->len = answer->value.len;
        if (w->len != 0)
            memcpy(w->value, answer->value.p, w->len);
        w->done = true;
    }
}

/* Under the lock. False: not answers. */
static bool take(struct pn_state_asker *a, const struct pn_record *record)
{
    struct pn_rd r = pn_rd_of(record->body);
    struct pn_state_answer answer;
    if (record->type != PN_REC_STATE_ANSWER || record->body.len == 0)
        return false;
    while (!pn_rd_done(&r)) {
        if (!pn_state_answer_next(&r, &answer))
            return false;
        give(a, &answer);
    }
    return true;
}

/* By the reader; under the lock, which it gives back while it reads. */
static void read_some(struct pn_state_asker *a, struct line *l, const struct pn_state_wait *own)
{
    for (int i = 0; i < BATCH && !own->done; i++) {
        struct pn_record record;
        unlock(a);
        int got = pn_channel_recv_fd(l->fd, &record, &a->record, 0);
        int error = errno;
        lock(a);
        if (got < 0 && error == EAGAIN)
            return;
        bool ok = got > 0 && take(a, &record);
        if (got > 0)
            pn_record_close_fds(&record);
        if (!ok) {
            lose(a, l);
            return;
        }
    }
}

static void read_turn(struct pn_state_asker *a, const struct pn_state_wait *own, uint64_t until)
{
    struct line *l = a->line;
    uint64_t now = pn_clock_mono_ns(), wait = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / PN_NS_PER_S),
                               .tv_nsec = (long)(wait % PN_NS_PER_S)};
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    a->reading = true;
    l->refs++;
    unlock(a);
    int ready = ppoll(&p, 1, &timeout, NULL);
    lock(a);
    if (ready > 0)
        read_some(a, l, own);
    line_unref(l);
    a->reading = false;
    (void)pthread_cond_broadcast(&a->woken);
}

static void sleep_turn(struct pn_state_asker *a, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / PN_NS_PER_S),
                          .tv_nsec = (long)(until % PN_NS_PER_S)};
    (void)pthread_cond_clockwait(&a->woken, &a->lock, CLOCK_MONOTONIC, &at);
}

void pn_state_wait_start(struct pn_state_wait *w, struct pn_state_asker *a,
                         const struct pn_state_ask *ask)
{
    w->asker = a;
    w->ask = *ask;
    w->sent = w->packed = w->done = w->local = false;
    w->status = PN_STATE_IS_AWAY;
    w->left = 0;
    w->len = 0;
    lock(a);
    w->ask.id = ++a->next_id;
    w->next = a->waits;
    a->waits = w;
    uint64_t grace = (uint64_t)PN_STATE_WAIT_MS * PN_NS_PER_MS;
    if (a->line == NULL && a->lost != 0 && pn_clock_mono_ns() - a->lost > grace)
        w->done = true;
    unlock(a);
}

bool pn_state_wait_for(struct pn_state_wait *w, uint64_t until)
{
    struct pn_state_asker *a = w->asker;
    lock(a);
    while (!w->done && pn_clock_mono_ns() < until) {
        if (a->line != NULL && !w->sent)
            send(a);
        if (a->line != NULL && !a->reading)
            read_turn(a, w, until);
        else
            sleep_turn(a, until);
    }
    bool done = w->done;
    unlock(a);
    return done;
}

void pn_state_wait_end(struct pn_state_wait *w)
{
    struct pn_state_asker *a = w->asker;
    lock(a);
    struct pn_state_wait **at = &a->waits;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    unlock(a);
}

void pn_state_asker_channel(struct pn_state_asker *a, int fd)
{
    struct line *l = pn_alloc(sizeof *l);
    *l = (struct line){.fd = fd, .refs = 1};
    lock(a);
    line_unref(a->line);
    a->line = l;
    a->lost = 0;
    for (struct pn_state_wait *w = a->waits; w != NULL; w = w->next)
        w->sent = false; /* its thread sends it */
    (void)pthread_cond_broadcast(&a->woken);
    unlock(a);
}

void pn_state_asker_on_lost(struct pn_state_asker *a, void (*fn)(void *ctx), void *ctx)
{
    a->on_lost = fn;
    a->ctx = ctx;
}

struct pn_state_asker *pn_state_asker_new(void)
{
    struct pn_state_asker *a = pn_calloc(1, sizeof *a);
    pn_buf_init(&a->record, PN_RECORD_MAX);
    pn_buf_init(&a->out, PN_RECORD_MAX - 64);
    pn_assert(pthread_mutex_init(&a->lock, NULL) == 0 && pthread_cond_init(&a->woken, NULL) == 0);
    return a;
}

void pn_state_asker_free(struct pn_state_asker **asker)
{
    struct pn_state_asker *a = *asker;
    if (a == NULL)
        return;
    *asker = NULL;
    pn_assert(a->waits == NULL);
    line_unref(a->line);
    (void)pthread_mutex_destroy(&a->lock);
    (void)pthread_cond_destroy(&a->woken);
    pn_buf_fini(&a->record);
    pn_buf_fini(&a->out);
    free(a);
}

#include "asker.h"

#include "assert.h"
#include "channel.h"
#include "clock.h"
#include "dns_shelf.h"
#include "mem.h"
#include "records.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RETRY_MS = 5,
    BATCH = 64, /* records read in one go */
    ASK_MAX = PN_DNS_NAME_MAX * 4 + 64,
    RECORD_ROOM = 32 * 1024 /* then a record is full enough */
};

/*
 * Whoever waits for an answer reads the channel itself, if nobody else does: so an answer
 * wakes the thread that needs it, and no other on the way. The one that reads hands out
 * what it finds to the others, and its place to one of them when it goes.
 *
 * They are woken after the lock was given back, or they would only wait for that. A
 * waiter may have given up meanwhile, so the semaphore is its thread's for life, and a
 * post too many is no harm.
 */
struct waiter {
    struct waiter *next;
    const struct pn_question *question;
    bool there;
    sem_t woken;
};

static _Thread_local struct waiter own_waiter;

/* The channel: threads send and read outside of the lock, so it is counted. */
struct line {
    int fd;
    unsigned refs; /* under the asker's lock */
};

struct pn_question {
    struct pn_question *next; /* of the request */
    struct pn_questions *of;
    uint64_t hash;
    uint64_t id;      /* while open; its low half is the slot */
    uint64_t until;   /* monotonic ns */
    bool sent, held;  /* under the asker's lock; held: not to be sent yet */
    atomic_bool done; /* set under the lock, last of all */
    uint16_t type;
    struct pn_dns_answer answer;
    void *memory; /* of the answer; owned */
    size_t len;
    char name[]; /* lower case */
};

struct pn_questions {
    struct pn_asker *asker;
    struct pn_question *first, **last;
    struct pn_question *held; /* the first of those that are; the rest stand behind it */
    unsigned count;
};

/* An open question is found by its slot; `serial` tells a late answer from a new one. */
struct slot {
    struct pn_question *question;
    uint32_t serial;
    uint32_t next_free;
};

struct pn_asker {
    pthread_mutex_t lock;      /* for all below, and for every question */
    struct line *line;         /* NULL: no resolver now */
    struct pn_dns_view *shelf; /* NULL: none came yet */
    bool reading;              /* somebody reads it */
    struct waiter *waiters;    /* the others */
    bool unsent;               /* something waits for room */
    struct slot *slots;
    size_t slot_count, slot_cap;
    uint32_t free_slot; /* UINT32_MAX: none */
    uint64_t seed;
    struct pn_buf record;  /* the reader's */
    _Atomic uint64_t lost; /* outside of the lock */
};

static void lock(struct pn_asker *a)
{
    pn_assert(pthread_mutex_lock(&a->lock) == 0);
}

static void unlock(struct pn_asker *a)
{
    pn_assert(pthread_mutex_unlock(&a->lock) == 0);
}

/* ---- slots; under the lock */

static void slot_take(struct pn_asker *a, struct pn_question *q)
{
    uint32_t at = a->free_slot;
    if (at == UINT32_MAX) {
        a->slots = pn_grow(a->slots, &a->slot_cap, a->slot_count, sizeof *a->slots);
        at = (uint32_t)a->slot_count++;
        a->slots[at] = (struct slot){.serial = 1};
    } else {
        a->free_slot = a->slots[at].next_free;
    }
    a->slots[at].question = q;
    q->id = (uint64_t)a->slots[at].serial << 32 | at;
}

static void slot_give(struct pn_asker *a, struct pn_question *q)
{
    struct slot *s = &a->slots[(uint32_t)q->id];
    s->question = NULL;
    s->serial++;
    s->next_free = a->free_slot;
    a->free_slot = (uint32_t)q->id;
}

static struct pn_question *slot_find(struct pn_asker *a, uint64_t id)
{
    uint32_t at = (uint32_t)id;
    if (at >= a->slot_count || a->slots[at].serial != (uint32_t)(id >> 32))
        return NULL;
    return a->slots[at].question;
}

/* ---- sending */

static uint32_t left_ms(uint64_t until)
{
    uint64_t now = pn_clock_mono_ns();
    uint64_t left = until > now ? (until - now) / PN_NS_PER_MS : 0;
    left = left > PN_QUESTION_MARGIN_MS ? left - PN_QUESTION_MARGIN_MS : 1;
    return (uint32_t)(left < PN_QUESTION_MS ? left : PN_QUESTION_MS);
}

/* Under the lock. */
static void line_unref(struct line *line)
{
    if (line == NULL || --line->refs != 0)
        return;
    (void)close(line->fd);
    free(line);
}

static void put_ask(struct pn_buf *out, const struct pn_question *q)
{
    pn_dns_ask_put(out, &(struct pn_dns_ask){.id = q->id,
                                             .type = q->type,
                                             .deadline_ms = left_ms(q->until),
                                             .name = {q->name, q->len}});
}

/* 0 or errno. */
static int send_asks(const struct line *line, struct pn_str asks)
{
    return pn_channel_try_fd(line->fd, PN_REC_DNS_ASK, asks, NULL, 0) == 0 ? 0 : errno;
}

/* Under the lock. Too much for the socket now: the reader sends it soon. */
static void was_sent(struct pn_asker *a, struct pn_question *q, int error)
{
    q->sent = error == 0;
    a->unsent = a->unsent || error == EAGAIN;
}

/* Under the lock. */
static void send_all(struct pn_asker *a, bool again)
{
    struct pn_buf one;
    pn_buf_init(&one, ASK_MAX);
    a->unsent = false;
    for (size_t i = 0; i < a->slot_count && a->line != NULL; i++) {
        struct pn_question *q = a->slots[i].question;
        if (q == NULL || q->held || (q->sent && !again))
            continue;
        pn_buf_clear(&one);
        put_ask(&one, q);
        was_sent(a, q, send_asks(a->line, pn_buf_str(&one)));
    }
    pn_buf_fini(&one);
}

/* Under the lock, which it gives back while it sends: the questions from qs->held on. They
 * are of the task that we work for, so none goes meanwhile. */
static void send_held(struct pn_questions *qs)
{
    struct pn_asker *a = qs->asker;
    struct pn_buf asks;
    pn_buf_init(&asks, RECORD_ROOM + ASK_MAX);
    while (qs->held != NULL) {
        struct pn_question *first = qs->held, *end = first;
        pn_buf_clear(&asks);
        for (; end != NULL && asks.len < RECORD_ROOM; end = end->next) {
            if (end->held) /* others were known already */
                put_ask(&asks, end);
            end->held = false;
        }
        qs->held = end;
        struct line *line = a->line;
        if (line == NULL)
            continue; /* all are sent when a resolver comes */
        line->refs++;
        unlock(a);
        int error = send_asks(line, pn_buf_str(&asks));
        lock(a);
        line_unref(line);
        for (struct pn_question *q = first; q != end; q = q->next)
            if (!q->done)
                was_sent(a, q, error);
    }
    pn_buf_fini(&asks);
}

void pn_questions_send(struct pn_questions *qs)
{
    lock(qs->asker);
    send_held(qs);
    unlock(qs->asker);
}

/* ---- answers */

/* Copies records and data into one block. */
static void keep_answer(struct pn_question *q, const struct pn_dns_answer *from)
{
    size_t bytes = from->count * sizeof(struct pn_dns_record);
    for (uint32_t i = 0; i < from->count; i++)
        bytes += from->records[i].data.len;
    q->answer = *from;
    q->answer.records = NULL;
    if (from->count == 0)
        return;
    struct pn_dns_record *records = q->memory = pn_alloc(bytes);
    char *at = (char *)(records + from->count);
    for (uint32_t i = 0; i < from->count; i++) {
        struct pn_str data = from->records[i].data;
        if (data.len != 0)
            memcpy(at, data.p, data.len);
        records[i] = (struct pn_dns_record){from->records[i].ttl, {at, data.len}};
        at += data.len;
    }
    q->answer.records = records;
}

/* To be posted once the lock is given back; more than fit are posted at once. */
struct wake {
    sem_t *list[64];
    unsigned count;
};

static void wake_later(struct wake *wake, struct waiter *w)
{
    if (wake->count < sizeof wake->list / sizeof wake->list[0])
        wake->list[wake->count++] = &w->woken;
    else
        (void)sem_post(&w->woken);
}

static void wake_now(struct wake *wake)
{
    for (unsigned i = 0; i < wake->count; i++)
        (void)sem_post(wake->list[i]);
    wake->count = 0;
}

static void take_answer(struct pn_asker *a, uint64_t id, const struct pn_dns_answer *answer,
                        struct wake *wake)
{
    struct pn_question *q = slot_find(a, id);
    if (q == NULL)
        return;
    keep_answer(q, answer);
    slot_give(a, q);
    atomic_store_explicit(&q->done, true, memory_order_release);
    for (struct waiter *w = a->waiters; w != NULL; w = w->next)
        if (w->question == q)
            wake_later(wake, w);
}

/* Under the lock. False: not a record of answers. */
static bool take_record(struct pn_asker *a, const struct pn_record *record, struct wake *wake)
{
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer answer;
    struct pn_rd r = pn_rd_of(record->body);
    uint64_t id;
    bool ok = record->type == PN_REC_DNS_ANSWER && record->body.len != 0;
    while (ok && !pn_rd_done(&r)) {
        ok = pn_dns_answer_next(&r, &id, &answer, records);
        if (ok)
            take_answer(a, id, &answer, wake);
    }
    return ok;
}

/* Under the lock. The resolver's first record. False: not what it should be. */
static bool take_shelf(struct pn_asker *a, const struct pn_record *record)
{
    struct pn_dns_view *view = record->nfds == 1 ? pn_dns_view_open(record->fds[0]) : NULL;
    if (view == NULL)
        return false;
    pn_dns_view_close(&a->shelf);
    a->shelf = view;
    return true;
}

/* By the reader, under the lock, which it gives back while it reads. What is broken is left;
 * questions stay open, and are asked again of the next resolver. Ends when there is
 * nothing to read, or q is answered and nobody else waits. */
static void read_records(struct pn_asker *a, struct line *line, const struct pn_question *q,
                         struct wake *wake)
{
    for (int i = 0; i < BATCH; i++) {
        struct pn_record record;
        unlock(a);
        int got = pn_channel_recv_fd(line->fd, &record, &a->record, 0);
        int error = errno;
        lock(a);
        if (got < 0 && error == EAGAIN)
            return;
        bool ok = got > 0 && (record.type == PN_REC_DNS_SHELF ? take_shelf(a, &record)
                                                              : take_record(a, &record, wake));
        if (got > 0)
            pn_record_close_fds(&record);
        if (!ok && a->line == line) {
            a->line = NULL;
            line_unref(line);
            atomic_store(&a->lost, pn_clock_mono_ns());
        }
        if (!ok || (pn_question_done(q) && a->waiters == NULL))
            return;
    }
}

/* A turn of the reader: waits for something to read, to `until` at the longest. Under the
 * lock, which it gives back while it waits. */
static void read_turn(struct pn_asker *a, const struct pn_question *q, uint64_t until)
{
    struct line *line = a->line;
    struct wake wake = {.count = 0};
    uint64_t now = pn_clock_mono_ns(), wait = until > now ? until - now : 0;
    if (a->unsent && wait > RETRY_MS * PN_NS_PER_MS)
        wait = RETRY_MS * PN_NS_PER_MS;
    struct timespec timeout = {.tv_sec = (time_t)(wait / PN_NS_PER_S),
                               .tv_nsec = (long)(wait % PN_NS_PER_S)};
    struct pollfd p = {.fd = line->fd, .events = POLLIN};
    a->reading = true;
    line->refs++;
    unlock(a);
    int ready = ppoll(&p, 1, &timeout, NULL);
    lock(a);
    if (ready > 0)
        read_records(a, line, q, &wake);
    if (a->unsent)
        send_all(a, false);
    line_unref(line);
    a->reading = false;
    if (wake.count != 0) {
        unlock(a);
        wake_now(&wake);
        lock(a);
    }
}

void pn_asker_channel(struct pn_asker *a, int fd)
{
    struct line *line = pn_alloc(sizeof *line);
    struct wake wake = {.count = 0};
    *line = (struct line){.fd = fd, .refs = 1};
    lock(a);
    line_unref(a->line);
    a->line = line;
    atomic_store(&a->lost, 0);
    send_all(a, true);
    for (struct waiter *w = a->waiters; w != NULL; w = w->next)
        wake_later(&wake, w); /* one of them reads it */
    unlock(a);
    wake_now(&wake);
}

uint64_t pn_asker_lost(const struct pn_asker *a)
{
    return atomic_load(&a->lost);
}

struct pn_asker *pn_asker_new(void)
{
    struct pn_asker *a = pn_calloc(1, sizeof *a);
    a->free_slot = UINT32_MAX;
    a->seed = pn_clock_mono_ns();
    pn_buf_init(&a->record, PN_RECORD_MAX);
    pn_assert(pthread_mutex_init(&a->lock, NULL) == 0);
    return a;
}

void pn_asker_free(struct pn_asker **asker)
{
    struct pn_asker *a = *asker;
    if (a == NULL)
        return;
    *asker = NULL;
    line_unref(a->line);
    pn_dns_view_close(&a->shelf);
    (void)pthread_mutex_destroy(&a->lock);
    pn_buf_fini(&a->record);
    free(a->slots);
    free(a);
}

/* ---- questions of one request */

struct pn_questions *pn_questions_new(struct pn_asker *a)
{
    struct pn_questions *qs = pn_calloc(1, sizeof *qs);
    qs->asker = a;
    qs->last = &qs->first;
    return qs;
}

void pn_questions_free(struct pn_questions **questions)
{
    struct pn_questions *qs = *questions;
    if (qs == NULL)
        return;
    *questions = NULL;
    lock(qs->asker);
    for (struct pn_question *q = qs->first; q != NULL; q = q->next)
        if (!q->done)
            slot_give(qs->asker, q);
    unlock(qs->asker);
    while (qs->first != NULL) {
        struct pn_question *q = qs->first;
        qs->first = q->next;
        free(q->memory);
        free(q);
    }
    free(qs);
}

static struct pn_question *find(struct pn_questions *qs, struct pn_str name, uint16_t type,
                                uint64_t hash)
{
    for (struct pn_question *q = qs->first; q != NULL; q = q->next)
        if (q->hash == hash && q->type == type &&
            pn_str_ieq((struct pn_str){q->name, q->len}, name))
            return q;
    return NULL;
}

static struct pn_question *add(struct pn_questions *qs, struct pn_str name, uint16_t type,
                               uint64_t hash)
{
    struct pn_question *q = pn_calloc(1, sizeof *q + name.len + 1);
    *q = (struct pn_question){.of = qs, .hash = hash, .type = type, .len = name.len};
    for (size_t i = 0; i < name.len; i++)
        q->name[i] = pn_lower(name.p[i]);
    *qs->last = q;
    qs->last = &q->next;
    qs->count++;
    return q;
}

void pn_questions_give(struct pn_questions *qs, const struct pn_dns_seen *seen)
{
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    uint64_t hash = pn_str_hash(seen->name, qs->asker->seed, true);
    if (seen->count > PN_DNS_RECORDS_MAX)
        return;
    for (uint32_t i = 0; i < seen->count; i++)
        records[i] = (struct pn_dns_record){0, seen->answers[i]};
    lock(qs->asker);
    if (find(qs, seen->name, seen->type, hash) == NULL) {
        struct pn_question *q = add(qs, seen->name, seen->type, hash);
        keep_answer(q, &(struct pn_dns_answer){seen->rcode, seen->secure, seen->count, records});
        q->done = true;
    }
    unlock(qs->asker);
}

/* Under the lock. From the shelf, if it is there. */
static bool take_known(struct pn_asker *a, struct pn_question *q)
{
    struct pn_dns_found found;
    if (a->shelf == NULL || !pn_dns_view_find(a->shelf, (struct pn_str){q->name, q->len}, q->type,
                                              pn_clock_mono_ns(), &found))
        return false;
    keep_answer(q, &found.answer);
    q->done = true;
    return true;
}

/* Under the lock. It is sent with the others before one of them is waited for. */
static void hold(struct pn_questions *qs, struct pn_question *q)
{
    q->held = true;
    if (qs->held == NULL)
        qs->held = q;
    slot_take(qs->asker, q);
}

enum pn_ask pn_questions_start(struct pn_questions *qs, struct pn_str name, uint16_t type,
                               uint64_t until, struct pn_question **out)
{
    if (pn_str_ends(name, PN_STR(".")))
        name.len--;
    if (pn_dns_type_name(type) == NULL || !pn_dns_name_ok(name))
        return PN_ASK_INVALID;
    uint64_t hash = pn_str_hash(name, qs->asker->seed, true);
    enum pn_ask result = PN_ASK_OK;
    lock(qs->asker);
    struct pn_question *q = find(qs, name, type, hash);
    if (q == NULL && qs->count >= PN_QUESTIONS_MAX) {
        result = PN_ASK_LIMIT;
    } else if (q == NULL) {
        q = add(qs, name, type, hash);
        q->until = until;
        if (!take_known(qs->asker, q))
            hold(qs, q);
    }
    unlock(qs->asker);
    if (out != NULL)
        *out = q;
    return result;
}

bool pn_question_done(const struct pn_question *q)
{
    return atomic_load_explicit(&q->done, memory_order_acquire);
}

/* Under the lock, which it gives back while it sleeps: until somebody has the answer, or
 * the channel has no reader. */
static void sleep_turn(struct pn_question *q, uint64_t until)
{
    struct pn_asker *a = q->of->asker;
    struct timespec at = {.tv_sec = (time_t)(until / PN_NS_PER_S),
                          .tv_nsec = (long)(until % PN_NS_PER_S)};
    struct waiter *w = &own_waiter;
    if (!w->there)
        pn_assert(sem_init(&w->woken, 0, 0) == 0);
    w->there = true;
    w->question = q;
    w->next = a->waiters;
    a->waiters = w;
    unlock(a);
    (void)sem_clockwait(&w->woken, CLOCK_MONOTONIC, &at);
    lock(a);
    struct waiter **place = &a->waiters;
    while (*place != w)
        place = &(*place)->next;
    *place = w->next;
}

bool pn_question_wait(struct pn_question *q, uint64_t until)
{
    struct pn_asker *a = q->of->asker;
    struct wake wake = {.count = 0};
    lock(a);
    send_held(q->of);
    while (!pn_question_done(q) && pn_clock_mono_ns() < until) {
        if (a->line != NULL && !a->reading)
            read_turn(a, q, until);
        else
            sleep_turn(q, until);
    }
    if (!a->reading && a->waiters != NULL && a->line != NULL)
        wake_later(&wake, a->waiters); /* who reads from now on */
    unlock(a);
    wake_now(&wake);
    return pn_question_done(q);
}

const struct pn_dns_answer *pn_question_answer(const struct pn_question *q)
{
    return &q->answer;
}

struct pn_str pn_question_name(const struct pn_question *q)
{
    return (struct pn_str){q->name, q->len};
}

uint16_t pn_question_type(const struct pn_question *q)
{
    return q->type;
}

#include "asker.h"

#include "assert.h"
#include "channel.h"
#include "clock.h"
#include "mem.h"
#include "records.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { RETRY_MS = 5, QUEUE_MAX = 1 << 20 };

struct pn_question {
    struct pn_question *next; /* of the request */
    struct pn_questions *of;
    uint64_t hash;
    uint64_t id;     /* while open; its low half is the slot */
    uint64_t until;  /* monotonic ns */
    bool done, sent; /* under the asker's lock */
    uint16_t type;
    struct pn_dns_answer answer;
    void *memory; /* of the answer; owned */
    size_t len;
    char name[]; /* lower case */
};

struct pn_questions {
    struct pn_asker *asker;
    struct pn_question *first, **last;
    unsigned count;
    pthread_cond_t more; /* with the asker's lock: a question of ours is done */
};

/* An open question is found by its slot; `serial` tells a late answer from a new one. */
struct slot {
    struct pn_question *question;
    uint32_t serial;
    uint32_t next_free;
};

struct pn_asker {
    struct pn_loop *loop;
    struct pn_channel *channel; /* the loop's; its descriptor is `fd` */
    struct pn_timer *retry;
    pthread_mutex_t lock; /* for all below, and for every question */
    int fd;               /* -1: no resolver now */
    bool unsent;          /* something waits for room */
    struct slot *slots;
    size_t slot_count, slot_cap;
    uint32_t free_slot; /* UINT32_MAX: none */
    uint64_t seed;
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

/* ---- sending; under the lock */

static uint32_t left_ms(uint64_t until)
{
    uint64_t now = pn_clock_mono_ns();
    uint64_t left = until > now ? (until - now) / PN_NS_PER_MS : 0;
    left = left > PN_QUESTION_MARGIN_MS ? left - PN_QUESTION_MARGIN_MS : 1;
    return (uint32_t)(left < PN_QUESTION_MS ? left : PN_QUESTION_MS);
}

static void arm_retry(void *arg)
{
    struct pn_asker *a = arg;
    pn_timer_set(a->retry, RETRY_MS);
}

static void send_ask(struct pn_asker *a, struct pn_question *q)
{
    char bytes[PN_DNS_NAME_MAX * 4 + 64];
    if (a->fd < 0)
        return;
    struct pn_buf b = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    pn_dns_ask_put(&b, &(struct pn_dns_ask){.id = q->id,
                                            .type = q->type,
                                            .deadline_ms = left_ms(q->until),
                                            .name = {q->name, q->len}});
    pn_assert(!b.overflow && b.p == bytes);
    q->sent = pn_channel_try_fd(a->fd, PN_REC_DNS_ASK, pn_buf_str(&b), NULL, 0) == 0;
    if (!q->sent && errno == EAGAIN && !a->unsent) {
        a->unsent = true;
        pn_loop_post(a->loop, arm_retry, a);
    }
}

static void send_all(struct pn_asker *a, bool again)
{
    a->unsent = false;
    for (size_t i = 0; i < a->slot_count; i++)
        if (a->slots[i].question != NULL && (again || !a->slots[i].question->sent))
            send_ask(a, a->slots[i].question);
}

static void on_retry(void *arg)
{
    struct pn_asker *a = arg;
    lock(a);
    send_all(a, false);
    unlock(a);
}

/* ---- answers, on the loop's thread */

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

static bool on_record(void *ctx, struct pn_record *record)
{
    struct pn_asker *a = ctx;
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer answer;
    uint64_t id;
    if (record->type != PN_REC_DNS_ANSWER ||
        !pn_dns_answer_get(record->body, &id, &answer, records))
        return false;
    lock(a);
    struct pn_question *q = slot_find(a, id);
    if (q != NULL) {
        keep_answer(q, &answer);
        slot_give(a, q);
        q->done = true;
        (void)pthread_cond_broadcast(&q->of->more);
    }
    unlock(a);
    return true;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct pn_asker *a = ctx;
    (void)how;
    lock(a);
    a->fd = -1;
    unlock(a);
    pn_channel_free(&a->channel);
}

void pn_asker_channel(struct pn_asker *a, int fd)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    lock(a);
    a->fd = -1;
    unlock(a);
    pn_channel_free(&a->channel);
    a->channel = pn_channel_new(a->loop, fd, &ops, a, QUEUE_MAX);
    lock(a);
    a->fd = fd;
    send_all(a, true);
    unlock(a);
}

struct pn_asker *pn_asker_new(struct pn_loop *loop)
{
    struct pn_asker *a = pn_calloc(1, sizeof *a);
    a->loop = loop;
    a->fd = -1;
    a->free_slot = UINT32_MAX;
    a->seed = pn_clock_mono_ns();
    a->retry = pn_timer_new(loop, on_retry, a);
    pn_assert(pthread_mutex_init(&a->lock, NULL) == 0);
    return a;
}

void pn_asker_free(struct pn_asker **asker)
{
    struct pn_asker *a = *asker;
    if (a == NULL)
        return;
    *asker = NULL;
    pn_channel_free(&a->channel);
    pn_timer_free(&a->retry);
    pn_loop_forget(a->loop, a);
    (void)pthread_mutex_destroy(&a->lock);
    free(a->slots);
    free(a);
}

/* ---- questions of one request */

struct pn_questions *pn_questions_new(struct pn_asker *a)
{
    struct pn_questions *qs = pn_calloc(1, sizeof *qs);
    pthread_condattr_t attr;
    qs->asker = a;
    qs->last = &qs->first;
    pn_assert(pthread_condattr_init(&attr) == 0 &&
              pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&qs->more, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
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
    (void)pthread_cond_destroy(&qs->more);
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
        slot_take(qs->asker, q);
        send_ask(qs->asker, q);
    }
    unlock(qs->asker);
    if (out != NULL)
        *out = q;
    return result;
}

bool pn_question_done(struct pn_question *q)
{
    lock(q->of->asker);
    bool done = q->done;
    unlock(q->of->asker);
    return done;
}

bool pn_question_wait(struct pn_question *q, uint64_t until)
{
    struct pn_questions *qs = q->of;
    struct timespec at = {.tv_sec = (time_t)(until / PN_NS_PER_S),
                          .tv_nsec = (long)(until % PN_NS_PER_S)};
    int rc = 0;
    bool done;
    lock(qs->asker);
    while (!(done = q->done) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&qs->more, &qs->asker->lock, &at);
    unlock(qs->asker);
    return done;
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

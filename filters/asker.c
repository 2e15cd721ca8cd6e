#include "asker_int.h"

#include "channel.h"
#include "clock.h"
#include "dns_shelf.h"
#include "mem.h"
#include "records.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RETRY_MS = 5,
    BATCH = 64, /* records read in one go */
    ASK_MAX = PN_DNS_NAME_MAX * 4 + 64,
    RECORD_ROOM = 32 * 1024 /* then a record is full enough */
};

/* ---- slots; under the lock */

void asker_slot_take(struct pn_asker *a, struct pn_question *q)
{
    uint32_t at = a->free_slot;
    if (at == UINT32_MAX) {
        a->slots = pn_grow(a->slots, &a->slot_cap, a->slot_count, sizeof *a->slots);
        at = (uint32_t)a->slot_count++;
        a->slots[at] = (struct asker_slot){.serial = 1};
    } else {
        a->free_slot = a->slots[at].next_free;
    }
    a->slots[at].question = q;
    q->id = (uint64_t)a->slots[at].serial << 32 | at;
}

void asker_slot_give(struct pn_asker *a, struct pn_question *q)
{
    struct asker_slot *s = &a->slots[(uint32_t)q->id];
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
static void line_unref(struct asker_line *line)
{
    if (line == NULL || --line->refs != 0)
        return;
    (void)close(line->fd);
    free(line);
}

bool pn_question_done(const struct pn_question *q)
{
    return atomic_load_explicit(&q->done, memory_order_acquire);
}

static void put_ask(struct pn_buf *out, const struct pn_question *q)
{
    pn_dns_ask_put(out, &(struct pn_dns_ask){.id = q->id,
                                             .type = q->type,
                                             .deadline_ms = left_ms(q->until),
                                             .name = {q->name, q->len}});
}

/* 0 or errno. */
static int send_asks(const struct asker_line *line, struct pn_str asks)
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
void asker_send_held(struct pn_questions *qs)
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
        struct asker_line *line = a->line;
        if (line == NULL)
            continue; /* all are sent when a resolver comes */
        line->refs++;
        asker_unlock(a);
        int error = send_asks(line, pn_buf_str(&asks));
        asker_lock(a);
        line_unref(line);
        for (struct pn_question *q = first; q != end; q = q->next)
            if (!q->done)
                was_sent(a, q, error);
    }
    pn_buf_fini(&asks);
}

/* ---- answers */

/* Copies records and data into one block. */
void asker_keep_answer(struct pn_question *q, const struct pn_dns_answer *from)
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

void asker_wake_later(struct asker_wake *wake, struct asker_waiter *w)
{
    if (wake->count < sizeof wake->list / sizeof wake->list[0])
        wake->list[wake->count++] = &w->woken;
    else
        (void)sem_post(&w->woken);
}

void asker_wake_now(struct asker_wake *wake)
{
    for (unsigned i = 0; i < wake->count; i++)
        (void)sem_post(wake->list[i]);
    wake->count = 0;
}

static void take_answer(struct pn_asker *a, uint64_t id, const struct pn_dns_answer *answer,
                        struct asker_wake *wake)
{
    struct pn_question *q = slot_find(a, id);
    if (q == NULL)
        return;
    asker_keep_answer(q, answer);
    asker_slot_give(a, q);
    atomic_store_explicit(&q->done, true, memory_order_release);
    for (struct asker_waiter *w = a->waiters; w != NULL; w = w->next)
        if (w->question == q)
            asker_wake_later(wake, w);
}

/* Under the lock. False: not a record of answers. */
static bool take_record(struct pn_asker *a, const struct pn_record *record, struct asker_wake *wake)
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
static void read_records(struct pn_asker *a, struct asker_line *line, const struct pn_question *q,
                         struct asker_wake *wake)
{
    for (int i = 0; i < BATCH; i++) {
        struct pn_record record;
        asker_unlock(a);
        int got = pn_channel_recv_fd(line->fd, &record, &a->record, 0);
        int error = errno;
        asker_lock(a);
        if (got < 0 && error == EAGAIN)
            return;
        if (got < 0 && error == EMFILE) /* the shelf: what it has is asked for instead */
            continue;
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
void asker_read_turn(struct pn_asker *a, const struct pn_question *q, uint64_t until)
{
    struct asker_line *line = a->line;
    struct asker_wake wake = {.count = 0};
    uint64_t now = pn_clock_mono_ns(), wait = until > now ? until - now : 0;
    if (a->unsent && wait > RETRY_MS * PN_NS_PER_MS)
        wait = RETRY_MS * PN_NS_PER_MS;
    struct timespec timeout = {.tv_sec = (time_t)(wait / PN_NS_PER_S),
                               .tv_nsec = (long)(wait % PN_NS_PER_S)};
    struct pollfd p = {.fd = line->fd, .events = POLLIN};
    a->reading = true;
    line->refs++;
    asker_unlock(a);
    int ready = ppoll(&p, 1, &timeout, NULL);
    asker_lock(a);
    if (ready > 0)
        read_records(a, line, q, &wake);
    if (a->unsent)
        send_all(a, false);
    line_unref(line);
    a->reading = false;
    if (wake.count != 0) {
        asker_unlock(a);
        asker_wake_now(&wake);
        asker_lock(a);
    }
}

void pn_asker_channel(struct pn_asker *a, int fd)
{
    struct asker_line *line = pn_alloc(sizeof *line);
    struct asker_wake wake = {.count = 0};
    *line = (struct asker_line){.fd = fd, .refs = 1};
    asker_lock(a);
    line_unref(a->line);
    a->line = line;
    atomic_store(&a->lost, 0);
    send_all(a, true);
    for (struct asker_waiter *w = a->waiters; w != NULL; w = w->next)
        asker_wake_later(&wake, w); /* one of them reads it */
    asker_unlock(a);
    asker_wake_now(&wake);
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

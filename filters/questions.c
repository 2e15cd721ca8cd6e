/* The questions of one request, and waiting for their answers. */
#include "asker_int.h"

#include "clock.h"
#include "dns_shelf.h"
#include "mem.h"

#include <stdlib.h>
#include <time.h>

static _Thread_local struct asker_waiter own_waiter;

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
    asker_lock(qs->asker);
    for (struct pn_question *q = qs->first; q != NULL; q = q->next)
        if (!q->done)
            asker_slot_give(qs->asker, q);
    asker_unlock(qs->asker);
    while (qs->first != NULL) {
        struct pn_question *q = qs->first;
        qs->first = q->next;
        free(q->memory);
        free(q);
    }
    free(qs);
}

void pn_questions_send(struct pn_questions *qs)
{
    asker_lock(qs->asker);
    asker_send_held(qs);
    asker_unlock(qs->asker);
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
    asker_lock(qs->asker);
    if (find(qs, seen->name, seen->type, hash) == NULL) {
        struct pn_question *q = add(qs, seen->name, seen->type, hash);
        asker_keep_answer(q, &(struct pn_dns_answer){.rcode = seen->rcode,
                                                     .secure = seen->secure,
                                                     .count = seen->count,
                                                     .records = records});
        q->done = true;
    }
    asker_unlock(qs->asker);
}

/* Under the lock. From the shelf, if it is there. */
static bool take_known(struct pn_asker *a, struct pn_question *q)
{
    struct pn_dns_found found;
    if (a->shelf == NULL || !pn_dns_view_find(a->shelf, (struct pn_str){q->name, q->len}, q->type,
                                              pn_clock_mono_ns(), &found))
        return false;
    asker_keep_answer(q, &found.answer);
    q->done = true;
    return true;
}

/* Under the lock. It is sent with the others before one of them is waited for. */
static void hold(struct pn_questions *qs, struct pn_question *q)
{
    q->held = true;
    if (qs->held == NULL)
        qs->held = q;
    asker_slot_take(qs->asker, q);
}

enum pn_ask pn_questions_start(struct pn_questions *qs, struct pn_str name, uint16_t type,
                               uint64_t until, struct pn_question **out)
{
    name = pn_dns_name_undotted(name);
    if (pn_dns_type_name(type) == NULL || !pn_dns_name_ok(name))
        return PN_ASK_INVALID;
    uint64_t hash = pn_str_hash(name, qs->asker->seed, true);
    enum pn_ask result = PN_ASK_OK;
    asker_lock(qs->asker);
    struct pn_question *q = find(qs, name, type, hash);
    if (q == NULL && qs->count >= PN_QUESTIONS_MAX) {
        result = PN_ASK_LIMIT;
    } else if (q == NULL) {
        q = add(qs, name, type, hash);
        q->until = until;
        if (!take_known(qs->asker, q))
            hold(qs, q);
    }
    asker_unlock(qs->asker);
    if (out != NULL)
        *out = q;
    return result;
}

/* Under the lock, which it gives back while it sleeps: until somebody has the answer, or
 * the channel has no reader. */
static void sleep_turn(struct pn_question *q, uint64_t until)
{
    struct pn_asker *a = q->of->asker;
    struct timespec at = {.tv_sec = (time_t)(until / PN_NS_PER_S),
                          .tv_nsec = (long)(until % PN_NS_PER_S)};
    struct asker_waiter *w = &own_waiter;
    if (!w->there)
        pn_assert(sem_init(&w->woken, 0, 0) == 0);
    w->there = true;
    w->question = q;
    w->next = a->waiters;
    a->waiters = w;
    asker_unlock(a);
    (void)sem_clockwait(&w->woken, CLOCK_MONOTONIC, &at);
    asker_lock(a);
    struct asker_waiter **place = &a->waiters;
    while (*place != w)
        place = &(*place)->next;
    *place = w->next;
}

bool pn_question_wait(struct pn_question *q, uint64_t until)
{
    struct pn_asker *a = q->of->asker;
    struct asker_wake wake = {.count = 0};
    asker_lock(a);
    asker_send_held(q->of);
    while (!pn_question_done(q) && pn_clock_mono_ns() < until) {
        if (a->line != NULL && !a->reading)
            asker_read_turn(a, q, until);
        else
            sleep_turn(q, until);
    }
    if (!a->reading && a->waiters != NULL && a->line != NULL)
        asker_wake_later(&wake, a->waiters); /* who reads from now on */
    asker_unlock(a);
    asker_wake_now(&wake);
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

#include "answers.h"

#include "log.h"
#include "mem.h"
#include "records.h"

#include <stdlib.h>

enum { QUEUE_MAX = 8 * 1024 * 1024 };

struct pn_answers {
    struct pn_loop *loop;
    const struct pn_answers_ops *ops;
    void *ctx;
    struct pn_asker *askers;
};

struct pn_asker {
    struct pn_answers *of;
    struct pn_channel *channel;
    struct pn_asker *next;
};

static void send_answer(struct pn_asker *a, uint16_t type, struct pn_str body)
{
    if (!pn_channel_send(a->channel, type, body, NULL, 0))
        pn_warn("an answer was too large, or its worker is gone");
}

void pn_asker_dns(struct pn_asker *a, uint64_t id, const struct pn_dns_answer *answer)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    pn_dns_answer_put(&b, id, answer);
    send_answer(a, PN_REC_DNS_ANSWER, pn_buf_str(&b));
    pn_buf_fini(&b);
}

static void ask_dns(void *ctx, const struct pn_dns_ask *ask)
{
    struct pn_asker *a = ctx;
    a->of->ops->dns(a->of->ctx, a, ask);
}

static bool on_dns(void *ctx, struct pn_record *record)
{
    return record->type == PN_REC_DNS_ASK && pn_dns_asks_each(record->body, ask_dns, ctx);
}

void pn_answers_empty(const struct pn_state_ask *ask, struct pn_state_answer *answer)
{
    int64_t full_us = 0;
    if (ask->take && pn_bucket_take(&full_us, ask->now_ms, &ask->bucket, &answer->left))
        answer->status = PN_STATE_IS_OK;
}

static bool on_state(void *ctx, struct pn_record *record)
{
    struct pn_asker *a = ctx;
    struct pn_rd r = pn_rd_of(record->body);
    struct pn_state_ask ask;
    struct pn_buf b;
    bool ok = record->type == PN_REC_STATE_ASK && record->body.len != 0;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    while (ok && !pn_rd_done(&r)) {
        ok = pn_state_ask_next(&r, &ask);
        if (!ok)
            break;
        struct pn_state_answer answer = {.id = ask.id, .status = PN_STATE_IS_NONE};
        a->of->ops->state(a->of->ctx, &ask, &answer);
        pn_buf_clear(&b);
        pn_state_answer_put(&b, &answer);
        send_answer(a, PN_REC_STATE_ANSWER, pn_buf_str(&b));
    }
    pn_buf_fini(&b);
    return ok;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct pn_asker *a = ctx, **at = &a->of->askers;
    (void)how;
    if (a->of->ops->gone != NULL)
        a->of->ops->gone(a->of->ctx, a);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    pn_channel_free(&a->channel);
    free(a);
}

static void add(struct pn_answers *answers, int fd, const struct pn_channel_ops *ops)
{
    struct pn_asker *a = pn_calloc(1, sizeof *a);
    *a = (struct pn_asker){.of = answers, .next = answers->askers};
    a->channel = pn_channel_new(answers->loop, fd, ops, a, QUEUE_MAX);
    answers->askers = a;
}

void pn_answers_add_dns(struct pn_answers *answers, int fd)
{
    static const struct pn_channel_ops ops = {.on_record = on_dns, .on_end = on_end};
    add(answers, fd, &ops);
}

void pn_answers_add_state(struct pn_answers *answers, int fd)
{
    static const struct pn_channel_ops ops = {.on_record = on_state, .on_end = on_end};
    add(answers, fd, &ops);
}

struct pn_answers *pn_answers_new(struct pn_loop *loop, const struct pn_answers_ops *ops, void *ctx)
{
    struct pn_answers *answers = pn_calloc(1, sizeof *answers);
    *answers = (struct pn_answers){.loop = loop, .ops = ops, .ctx = ctx};
    return answers;
}

void pn_answers_free(struct pn_answers **answersp)
{
    struct pn_answers *answers = *answersp;
    *answersp = NULL;
    while (answers != NULL && answers->askers != NULL)
        on_end(answers->askers, PN_CHANNEL_CLOSED);
    free(answers);
}

/* Two engines: one that nodes share, and this server's own while that one is away. */
#include "mem.h"
#include "state_engine.h"

#include <stdlib.h>

struct both {
    struct state_engine engine;
    struct state_engine *first, *second;
    struct question *questions; /* with the first */
};

/* Kept until the first answers: it may say then that it is away. */
struct question {
    struct question *next, **at;
    struct both *both;
    bool take;
    int64_t now_ms;
    struct pn_bucket bucket;
    state_answer_fn *fn;
    void *ctx;
    size_t key_len;
    char key[];
};

static struct both *both_of(struct state_engine *e)
{
    return (struct both *)e; /* its first member */
}

static struct question *question_new(struct both *b, struct pn_str key, int64_t now_ms,
                                     state_answer_fn *fn, void *ctx)
{
    struct question *q = pn_calloc(1, sizeof *q + key.len);
    q->both = b;
    q->now_ms = now_ms;
    q->fn = fn;
    q->ctx = ctx;
    q->key_len = key.len;
    memcpy(q->key, key.p, key.len);
    q->next = b->questions;
    q->at = &b->questions;
    if (q->next != NULL)
        q->next->at = &q->next;
    b->questions = q;
    return q;
}

static void question_free(struct question *q)
{
    *q->at = q->next;
    if (q->next != NULL)
        q->next->at = q->at;
    free(q);
}

static void on_second(void *ctx, const struct pn_state_answer *answer)
{
    struct question *q = ctx;
    struct pn_state_answer local = *answer;
    local.local = answer->status != PN_STATE_IS_AWAY;
    q->fn(q->ctx, &local);
    question_free(q);
}

static void ask_second(struct question *q)
{
    struct state_engine *s = q->both->second;
    struct pn_str key = {q->key, q->key_len};
    if (q->take)
        s->ops->take(s, key, q->now_ms, &q->bucket, on_second, q);
    else
        s->ops->get(s, key, q->now_ms, on_second, q);
}

static void on_first(void *ctx, const struct pn_state_answer *answer)
{
    struct question *q = ctx;
    if (answer->status == PN_STATE_IS_AWAY) {
        ask_second(q);
        return;
    }
    q->fn(q->ctx, answer);
    question_free(q);
}

static void both_get(struct state_engine *e, struct pn_str key, int64_t now_ms, state_answer_fn *fn,
                     void *ctx)
{
    struct both *b = both_of(e);
    struct question *q = question_new(b, key, now_ms, fn, ctx);
    b->first->ops->get(b->first, key, now_ms, on_first, q);
}

static void both_take(struct state_engine *e, struct pn_str key, int64_t now_ms,
                      const struct pn_bucket *bucket, state_answer_fn *fn, void *ctx)
{
    struct both *b = both_of(e);
    struct question *q = question_new(b, key, now_ms, fn, ctx);
    q->take = true;
    q->bucket = *bucket;
    b->first->ops->take(b->first, key, now_ms, bucket, on_first, q);
}

static void both_give(struct state_engine *e, struct pn_str key, int64_t now_ms,
                      const struct pn_bucket *bucket, bool local)
{
    struct state_engine *to = local ? both_of(e)->second : both_of(e)->first;
    to->ops->give(to, key, now_ms, bucket, local);
}

/* The engine's own count: what the first loses while it is away the second has. */
static void both_put(struct state_engine *e, const struct pn_state_put *put, int64_t now_ms)
{
    struct both *b = both_of(e);
    if (!b->first->away || b->first->starting)
        b->first->ops->put(b->first, put, now_ms);
    b->second->ops->put(b->second, put, now_ms);
    e->count.lost = b->first->count.lost + b->second->count.lost;
    e->count.pending = b->first->count.pending + b->second->count.pending;
    e->count.entries = b->second->count.entries;
}

static void both_free(struct state_engine *e)
{
    struct both *b = both_of(e);
    b->first->ops->free(b->first);
    b->second->ops->free(b->second);
    while (b->questions != NULL)
        question_free(b->questions);
    free(b);
}

static void on_away(void *ctx, const struct state_engine *one)
{
    struct both *b = ctx;
    b->engine.away = b->first->away;
    if (b->engine.on_away != NULL)
        b->engine.on_away(b->engine.ctx, one);
}

struct state_engine *state_both_new(struct state_engine *first, struct state_engine *second)
{
    static const struct state_engine_ops ops = {"both",    both_get, both_take,
                                                both_give, both_put, both_free};
    struct both *b = pn_calloc(1, sizeof *b);
    b->engine.ops = &ops;
    b->engine.loop = first->loop;
    b->first = first;
    b->second = second;
    first->on_away = second->on_away = on_away;
    first->ctx = second->ctx = b;
    return &b->engine;
}

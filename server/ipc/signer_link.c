#include "signer_link.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum { QUEUE_MAX = 4 * 1024 * 1024, BUCKETS = 1024 };

/* A question under way: open, or ready to be answered. */
struct asking {
    struct asking *next, **at; /* of either list */
    struct asking *next_same;  /* of its bucket */
    uint64_t token, due_ns;
    void *ctx;
    pn_sign_keys_fn *keys_fn; /* for a domain's keys */
    char *domain;             /* owned */
    pn_signed_fn *signed_fn;  /* for a signature */
    struct pn_sign_ask ask;
    bool sent; /* to the signer that is there now */
    struct pn_buf signature;
};

struct table {
    struct pn_sign_key *keys; /* owned, as is the pool of their strings */
    size_t count, cap;
    struct pn_pool *pool;
};

struct pn_signer_link {
    struct pn_loop *loop;
    struct pn_control *control; /* NULL: nobody can be asked */
    struct pn_channel *channel; /* NULL: the signer is away */
    struct table now, next;     /* next: while its records come */
    struct asking *open, *ready;
    struct asking *buckets[BUCKETS]; /* all, by token */
    struct pn_timer *timer;
    uint64_t timer_ns; /* when it fires; 0: it is not set */
    uint64_t last_token;
};

/* ---- the table of keys */

static void table_fini(struct table *t)
{
    free(t->keys);
    pn_pool_free(&t->pool);
    *t = (struct table){.keys = NULL};
}

static bool table_add(struct table *t, const struct pn_sign_key *key)
{
    if (t->count == PN_SIGN_KEYS_MAX)
        return false;
    t->keys = pn_grow(t->keys, &t->cap, t->count, sizeof *t->keys);
    t->keys[t->count++] = (struct pn_sign_key){.id = key->id,
                                               .domain = pn_pool_dup(t->pool, key->domain),
                                               .selector = pn_pool_dup(t->pool, key->selector),
                                               .algorithm = pn_pool_dup(t->pool, key->algorithm)};
    return true;
}

/* Those of a domain stand together. */
static const struct pn_sign_key *find(const struct table *t, struct pn_str domain, size_t *count)
{
    size_t at = 0;
    while (at < t->count && !pn_str_ieq(t->keys[at].domain, domain))
        at++;
    *count = 0;
    while (at + *count < t->count && pn_str_ieq(t->keys[at + *count].domain, domain))
        (*count)++;
    return *count == 0 ? NULL : &t->keys[at];
}

/* ---- questions */

static void link_in(struct asking **list, struct asking *a)
{
    a->at = list;
    a->next = *list;
    if (a->next != NULL)
        a->next->at = &a->next;
    *list = a;
}

static void unlink_from(struct asking *a)
{
    *a->at = a->next;
    if (a->next != NULL)
        a->next->at = a->at;
}

static struct asking **place(struct pn_signer_link *l, uint64_t token)
{
    struct asking **at = &l->buckets[token % BUCKETS];
    while (*at != NULL && (*at)->token != token)
        at = &(*at)->next_same;
    return at;
}

static void asking_free(struct pn_signer_link *l, struct asking *a)
{
    *place(l, a->token) = a->next_same;
    unlink_from(a);
    free(a->domain);
    pn_buf_fini(&a->signature);
    free(a);
}

/* Each is gone before it is answered: whoever is answered may ask anew, or forget others. */
static void answer_ready(void *arg)
{
    struct pn_signer_link *l = arg;
    while (l->ready != NULL) {
        struct asking a = *l->ready;
        size_t count = 0;
        l->ready->domain = NULL;
        pn_buf_init(&l->ready->signature, 0);
        asking_free(l, l->ready);
        if (a.keys_fn != NULL) {
            const struct pn_sign_key *keys = find(&l->now, pn_str_of(a.domain), &count);
            a.keys_fn(a.ctx, keys, count);
        } else {
            a.signed_fn(a.ctx, pn_buf_str(&a.signature));
        }
        free(a.domain);
        pn_buf_fini(&a.signature);
    }
}

static void make_ready(struct pn_signer_link *l, struct asking *a)
{
    if (l->ready == NULL)
        pn_loop_defer(l->loop, answer_ready, l);
    unlink_from(a);
    link_in(&l->ready, a);
}

static void set_timer(struct pn_signer_link *l, uint64_t due_ns)
{
    if (l->timer_ns != 0 && l->timer_ns <= due_ns)
        return;
    l->timer_ns = due_ns;
    pn_timer_at(l->timer, due_ns);
}

static void on_due(void *arg)
{
    struct pn_signer_link *l = arg;
    uint64_t now = pn_loop_now(l->loop), first = UINT64_MAX;
    l->timer_ns = 0;
    for (struct asking *a = l->open, *next; a != NULL; a = next) {
        next = a->next;
        if (a->due_ns <= now)
            make_ready(l, a);
        else if (a->due_ns < first)
            first = a->due_ns;
    }
    if (first != UINT64_MAX)
        set_timer(l, first);
}

static void send_ask(struct pn_signer_link *l, struct asking *a)
{
    struct pn_buf body;
    if (a->keys_fn != NULL || a->sent || l->channel == NULL)
        return;
    pn_buf_init(&body, 128);
    pn_sign_ask_put(&body, &a->ask);
    a->sent = pn_channel_send(l->channel, PN_REC_SIGN_ASK, pn_buf_str(&body), NULL, 0);
    pn_buf_fini(&body);
}

static void on_room(void *ctx)
{
    struct pn_signer_link *l = ctx;
    for (struct asking *a = l->open; a != NULL; a = a->next)
        send_ask(l, a);
}

static struct asking *asking_new(struct pn_signer_link *l, uint64_t limit_ms, void *ctx)
{
    struct asking *a = pn_calloc(1, sizeof *a);
    a->token = ++l->last_token;
    a->ctx = ctx;
    a->due_ns = pn_loop_now(l->loop) + limit_ms * PN_NS_PER_MS;
    pn_buf_init(&a->signature, PN_SIGN_ANSWER_MAX);
    *place(l, a->token) = a;
    link_in(&l->open, a);
    set_timer(l, a->due_ns);
    return a;
}

uint64_t pn_signer_wait(struct pn_signer_link *l, struct pn_str domain, uint64_t limit_ms,
                        pn_sign_keys_fn *fn, void *ctx)
{
    size_t count;
    struct asking *a = asking_new(l, limit_ms, ctx);
    a->keys_fn = fn;
    a->domain = pn_strndup(domain.p, domain.len);
    if (find(&l->now, domain, &count) != NULL)
        make_ready(l, a);
    return a->token;
}

uint64_t pn_signer_ask(struct pn_signer_link *l, uint64_t key,
                       const unsigned char digest[PN_SIGN_DIGEST], uint64_t limit_ms,
                       pn_signed_fn *fn, void *ctx)
{
    struct asking *a = asking_new(l, limit_ms, ctx);
    a->signed_fn = fn;
    a->ask = (struct pn_sign_ask){.token = a->token, .key = key};
    memcpy(a->ask.digest, digest, sizeof a->ask.digest);
    send_ask(l, a);
    return a->token;
}

void pn_signer_forget(struct pn_signer_link *l, uint64_t token)
{
    struct asking *a = *place(l, token);
    if (a != NULL)
        asking_free(l, a);
}

/* ---- the channel */

static bool on_keys(struct pn_signer_link *l, struct pn_str body)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_sign_keys head;
    struct pn_sign_key key;
    bool ok = pn_sign_keys_get(&r, &head);
    if (ok && head.first) {
        table_fini(&l->next);
        l->next.pool = pn_pool_new(SIZE_MAX);
    }
    ok = ok && l->next.pool != NULL;
    for (uint32_t i = 0; ok && i < head.count; i++)
        ok = pn_sign_key_next(&r, &key) && table_add(&l->next, &key);
    if (!ok || !pn_rd_done(&r))
        return false;
    if (!head.last)
        return true;
    table_fini(&l->now);
    l->now = l->next;
    l->next = (struct table){.keys = NULL};
    for (struct asking *a = l->open, *next; a != NULL; a = next) {
        size_t count;
        next = a->next;
        if (a->keys_fn != NULL && find(&l->now, pn_str_of(a->domain), &count) != NULL)
            make_ready(l, a);
    }
    return true;
}

/* One that is not known was forgotten, or is of the signer before. */
static bool on_answer(struct pn_signer_link *l, struct pn_str body)
{
    struct pn_sign_answer answer;
    if (!pn_sign_answer_get(body, &answer))
        return false;
    struct asking *a = *place(l, answer.token);
    if (a == NULL || !a->sent || a->signature.len != 0)
        return true;
    (void)pn_buf_adds(&a->signature, answer.signature);
    make_ready(l, a);
    return true;
}

static bool on_record(void *ctx, struct pn_record *record)
{
    if (record->type == PN_REC_SIGN_KEYS)
        return on_keys(ctx, record->body);
    return record->type == PN_REC_SIGN_ANSWER && on_answer(ctx, record->body);
}

static void lose_channel(struct pn_signer_link *l)
{
    pn_channel_free(&l->channel);
    for (struct asking *a = l->open; a != NULL; a = a->next)
        a->sent = false;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct pn_signer_link *l = ctx;
    (void)how;
    lose_channel(l);
    pn_control_missing(l->control, PN_ROLE_SIGNER, 0);
}

bool pn_signer_link_peer(struct pn_signer_link *l, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_room = on_room};
    if (peer->role != PN_ROLE_SIGNER)
        return false;
    lose_channel(l); /* the one before died; its end may not have been read yet */
    l->channel = pn_channel_new(l->loop, peer->fd, &ops, l, QUEUE_MAX);
    peer->fd = -1;
    on_room(l);
    return true;
}

/* ---- life */

struct pn_signer_link *pn_signer_link_new(struct pn_loop *loop)
{
    struct pn_signer_link *l = pn_calloc(1, sizeof *l);
    l->loop = loop;
    l->timer = pn_timer_new(loop, on_due, l);
    return l;
}

void pn_signer_link_free(struct pn_signer_link **link)
{
    struct pn_signer_link *l = *link;
    if (l == NULL)
        return;
    *link = NULL;
    while (l->open != NULL)
        asking_free(l, l->open);
    while (l->ready != NULL)
        asking_free(l, l->ready);
    pn_loop_forget(l->loop, l);
    pn_channel_free(&l->channel);
    pn_timer_free(&l->timer);
    table_fini(&l->now);
    table_fini(&l->next);
    free(l);
}

void pn_signer_link_control(struct pn_signer_link *l, struct pn_control *control)
{
    l->control = control;
}

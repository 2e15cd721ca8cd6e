/* Lasting state of the fakehost: a few cells, and what this message did to them. */
#include "fakehost_int.h"

#include "assert.h"
#include "mem.h"
#include "state.h"

#include <stdlib.h>

enum { CELLS = 512, TEXT_MAX = 1 << 20 };

struct cell {
    char *key, *value; /* owned; value NULL: a bucket */
    size_t value_len;
    int64_t expires_ms;
    int64_t full_us;
};

struct done {
    char *key, *value;
    size_t value_len;
    uint64_t ttl_ms;
    uint32_t when;
    struct pn_bucket taken; /* capacity 0: a put */
    bool ok;
};

struct fake_state {
    struct cell cells[CELLS];
    struct done list[CELLS];
    size_t cell_count, done_count;
    bool away;
    struct pn_buf said;
};

static struct fake_state *state_of(struct postern_call *c, struct postern_str key)
{
    struct fakehost *h = fake_of(c);
    pn_assert((h->plugin->needs & POSTERN_NEED_STATE) != 0 && !h->prefetching);
    pn_assert(key.len != 0 && key.len <= POSTERN_STATE_KEY_MAX);
    return h->state;
}

static struct cell *cell_of(struct fake_state *s, struct pn_str key, bool bucket)
{
    for (size_t i = 0; i < s->cell_count; i++)
        if (pn_str_eq(pn_str_of(s->cells[i].key), key) && (s->cells[i].value == NULL) == bucket)
            return &s->cells[i];
    pn_assert(s->cell_count < CELLS);
    struct cell *c = &s->cells[s->cell_count++];
    *c = (struct cell){.key = pn_strndup(key.p, key.len)};
    if (!bucket)
        c->value = pn_strdup("");
    return c;
}

static void set_cell(struct fake_state *s, struct pn_str key, struct pn_str value,
                     int64_t expires_ms)
{
    struct cell *c = cell_of(s, key, false);
    free(c->value);
    c->value = pn_strndup(value.p, value.len);
    c->value_len = value.len;
    c->expires_ms = expires_ms;
}

static void say(struct fake_state *s, const char *fmt, struct pn_str key)
{
    (void)pn_buf_addf(&s->said, "%s%s %.*s", s->said.len == 0 ? "" : ", ", fmt, PN_FMT(key));
}

static int get(struct postern_call *c, struct postern_str key, struct postern_str *value)
{
    struct fake_state *s = state_of(c, key);
    say(s, "get", fake_pn(key));
    if (s->away)
        return POSTERN_AWAY;
    for (size_t i = s->done_count; i-- > 0;)
        if (s->list[i].taken.capacity == 0 && pn_str_eq(pn_str_of(s->list[i].key), fake_pn(key))) {
            *value = fake_keep(fake_of(c), (struct pn_str){s->list[i].value, s->list[i].value_len});
            return POSTERN_OK;
        }
    const struct cell *cell = cell_of(s, fake_pn(key), false);
    if (cell->expires_ms <= fake_of(c)->now_ms)
        return POSTERN_NONE;
    *value = fake_keep(fake_of(c), (struct pn_str){cell->value, cell->value_len});
    return POSTERN_OK;
}

static struct done *add_done(struct fake_state *s, struct postern_str key)
{
    pn_assert(s->done_count < CELLS);
    struct done *d = &s->list[s->done_count++];
    *d = (struct done){.key = pn_strndup(key.p, key.len)};
    return d;
}

static int put(struct postern_call *c, struct postern_str key, struct postern_str value,
               uint64_t ttl_ms, uint32_t when)
{
    static const char *const fates[] = {"decided", "taken", "refused"};
    struct fake_state *s = state_of(c, key);
    pn_assert(value.len <= POSTERN_STATE_VALUE_MAX && ttl_ms != 0 && when <= POSTERN_STATE_REFUSED);
    struct done *d = add_done(s, key);
    d->value = pn_strndup(value.p, value.len);
    d->value_len = value.len;
    d->ttl_ms = ttl_ms;
    d->when = when;
    say(s, "put", fake_pn(key));
    (void)pn_buf_addf(&s->said, "=%.*s %llus %s", (int)value.len, value.p,
                      (unsigned long long)(ttl_ms / 1000), fates[when]);
    return POSTERN_OK;
}

static int take(struct postern_call *c, struct postern_str key, const struct postern_bucket *bucket,
                uint32_t *left)
{
    struct fake_state *s = state_of(c, key);
    const struct pn_bucket b = {bucket->capacity, bucket->cost, bucket->interval_ms};
    pn_assert(pn_bucket_ok(&b) && bucket->reserved == NULL);
    say(s, "take", fake_pn(key));
    if (s->away)
        return POSTERN_AWAY;
    struct cell *cell = cell_of(s, fake_pn(key), true);
    bool ok = pn_bucket_take(&cell->full_us, fake_of(c)->now_ms, &b, left);
    struct done *d = add_done(s, key);
    d->taken = b;
    d->ok = ok;
    (void)pn_buf_addf(&s->said, " %u/%u %s", b.cost, b.capacity, ok ? "ok" : "no");
    return ok ? POSTERN_OK : POSTERN_NONE;
}

static int take_all(struct postern_call *c, struct postern_take *takes, size_t count)
{
    int rc = POSTERN_OK;
    pn_assert(count <= POSTERN_STATE_TAKES_MAX);
    for (size_t i = 0; i < count; i++) {
        takes[i].status = take(c, takes[i].key, &takes[i].bucket, &takes[i].left);
        if (takes[i].status < 0)
            rc = takes[i].status;
    }
    return rc;
}

void fake_state_table(struct postern_host *t)
{
    t->state_get = get;
    t->state_put = put;
    t->state_take = take;
    t->state_take_all = take_all;
}

void fake_state_new(struct fakehost *h)
{
    h->state = pn_calloc(1, sizeof *h->state);
    pn_buf_init(&h->state->said, TEXT_MAX);
}

static void forget_done(struct fake_state *s)
{
    while (s->done_count != 0) {
        struct done *d = &s->list[--s->done_count];
        free(d->key);
        free(d->value);
    }
    pn_buf_clear(&s->said);
}

void fakehost_decided(struct fakehost *h, bool taken)
{
    struct fake_state *s = h->state;
    for (size_t i = 0; i < s->done_count; i++) {
        const struct done *d = &s->list[i];
        if (d->taken.capacity == 0 &&
            (d->when == POSTERN_STATE_DECIDED || (d->when == POSTERN_STATE_TAKEN) == taken))
            set_cell(s, pn_str_of(d->key), (struct pn_str){d->value, d->value_len},
                     h->now_ms + (int64_t)d->ttl_ms);
    }
    forget_done(s);
}

/* What no decision came to. */
void fake_state_drop(struct fakehost *h)
{
    struct fake_state *s = h->state;
    for (size_t i = 0; i < s->done_count; i++)
        if (s->list[i].ok)
            cell_of(s, pn_str_of(s->list[i].key), true)->full_us -=
                pn_bucket_cost_us(&s->list[i].taken);
    forget_done(s);
}

void fake_state_free(struct fakehost *h)
{
    struct fake_state *s = h->state;
    forget_done(s);
    while (s->cell_count != 0) {
        struct cell *c = &s->cells[--s->cell_count];
        free(c->key);
        free(c->value);
    }
    pn_buf_fini(&s->said);
    free(s);
    h->state = NULL;
}

void fakehost_state(struct fakehost *h, const char *key, const char *value)
{
    set_cell(h->state, pn_str_of(key), pn_str_of(value), INT64_MAX);
}

void fakehost_state_away(struct fakehost *h, bool away)
{
    h->state->away = away;
}

struct pn_str fakehost_remembered(struct fakehost *h)
{
    return h->state->said.len == 0 ? PN_STR("") : pn_buf_str(&h->state->said);
}

#include "state.h"

enum { INTERVAL_MIN_MS = 1000 };

bool pn_bucket_ok(const struct pn_bucket *b)
{
    return b->capacity >= 1 && b->capacity <= PN_STATE_CAPACITY_MAX &&
           b->cost <= PN_STATE_CAPACITY_MAX && b->interval_ms >= INTERVAL_MIN_MS &&
           b->interval_ms <= (uint64_t)PN_STATE_INTERVAL_MAX;
}

/* A year in us times a million tokens is more than 64 bits hold. */
static uint64_t times(uint64_t n, uint64_t by, uint64_t over, bool up)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)n * by + (up ? over - 1 : 0);
    return (uint64_t)(product / over);
}

int64_t pn_bucket_cost_us(const struct pn_bucket *b)
{
    return (int64_t)times(b->interval_ms * 1000, b->cost, b->capacity, true);
}

uint32_t pn_bucket_left(const struct pn_bucket *b, int64_t room_us)
{
    uint64_t interval = b->interval_ms * 1000;
    uint64_t room = room_us < 0 ? 0 : (uint64_t)room_us < interval ? (uint64_t)room_us : interval;
    return (uint32_t)times(room, b->capacity, interval, false);
}

bool pn_bucket_take(int64_t *full_us, int64_t now_ms, const struct pn_bucket *b, uint32_t *left)
{
    int64_t now = now_ms * 1000, interval = (int64_t)b->interval_ms * 1000;
    int64_t full = *full_us > now ? *full_us : now;
    if (full - now > interval) /* it was larger, or filled more slowly, or the clock went back */
        full = now + interval;
    bool ok = full + pn_bucket_cost_us(b) - now <= interval;
    if (ok && b->cost != 0)
        *full_us = full += pn_bucket_cost_us(b);
    *left = pn_bucket_left(b, now + interval - full);
    return ok;
}

static void put_time(struct pn_buf *out, int64_t ms)
{
    pn_wr_i64(out, ms);
}

/* Years within 1970 and 9999, so that sums of times never overflow. */
static bool get_time(struct pn_rd *r, int64_t *ms)
{
    *ms = pn_rd_i64(r);
    return *ms >= 0 && *ms <= INT64_C(253402300800000) + PN_STATE_TTL_MAX;
}

static bool get_key(struct pn_rd *r, struct pn_str *key)
{
    *key = pn_rd_str(r);
    return key->len != 0 && key->len <= PN_STATE_KEY_MAX;
}

void pn_state_ask_put(struct pn_buf *out, const struct pn_state_ask *ask)
{
    pn_wr_u64(out, ask->id);
    pn_wr_u64(out, ask->owner);
    pn_wr_u32(out, ask->step);
    pn_wr_u8(out, ask->take);
    put_time(out, ask->now_ms);
    pn_wr_str(out, ask->key);
    if (!ask->take)
        return;
    pn_wr_u32(out, ask->bucket.capacity);
    pn_wr_u32(out, ask->bucket.cost);
    pn_wr_u64(out, ask->bucket.interval_ms);
}

bool pn_state_ask_next(struct pn_rd *r, struct pn_state_ask *ask)
{
    *ask = (struct pn_state_ask){.id = pn_rd_u64(r)};
    ask->owner = pn_rd_u64(r);
    ask->step = pn_rd_u32(r);
    uint8_t take = pn_rd_u8(r);
    ask->take = take == 1;
    if (!get_time(r, &ask->now_ms) || !get_key(r, &ask->key) || take > 1)
        return false;
    if (!ask->take)
        return pn_rd_ok(r);
    ask->bucket.capacity = pn_rd_u32(r);
    ask->bucket.cost = pn_rd_u32(r);
    ask->bucket.interval_ms = pn_rd_u64(r);
    return pn_rd_ok(r) && pn_bucket_ok(&ask->bucket);
}

void pn_state_answer_put(struct pn_buf *out, const struct pn_state_answer *answer)
{
    pn_wr_u64(out, answer->id);
    pn_wr_u8(out, answer->status);
    pn_wr_u8(out, answer->local);
    pn_wr_u32(out, answer->left);
    pn_wr_str(out, answer->value);
}

bool pn_state_answer_next(struct pn_rd *r, struct pn_state_answer *answer)
{
    *answer = (struct pn_state_answer){.id = pn_rd_u64(r)};
    answer->status = pn_rd_u8(r);
    uint8_t local = pn_rd_u8(r);
    answer->local = local == 1;
    answer->left = pn_rd_u32(r);
    answer->value = pn_rd_str(r);
    return pn_rd_ok(r) && answer->status < PN_STATE_STATUSES && local <= 1 &&
           answer->value.len <= PN_STATE_VALUE_MAX;
}

void pn_state_end_put(struct pn_buf *out, const struct pn_state_end *end)
{
    pn_wr_u64(out, end->owner);
    pn_wr_u8(out, end->keep);
    put_time(out, end->now_ms);
    pn_wr_u32(out, end->count);
}

void pn_state_put_put(struct pn_buf *out, const struct pn_state_put *put)
{
    pn_wr_str(out, put->key);
    pn_wr_str(out, put->value);
    put_time(out, put->expires_ms);
}

bool pn_state_end_get(struct pn_rd *r, struct pn_state_end *end)
{
    *end = (struct pn_state_end){.owner = pn_rd_u64(r)};
    uint8_t keep = pn_rd_u8(r);
    end->keep = keep == 1;
    if (!get_time(r, &end->now_ms))
        return false;
    end->count = pn_rd_count(r, 16);
    return pn_rd_ok(r) && keep <= 1 && end->count <= PN_STATE_PUTS_MAX &&
           (end->keep || end->count == 0);
}

bool pn_state_put_next(struct pn_rd *r, struct pn_state_put *put)
{
    *put = (struct pn_state_put){.key = PN_STR("")};
    if (!get_key(r, &put->key))
        return false;
    put->value = pn_rd_str(r);
    return get_time(r, &put->expires_ms) && pn_rd_ok(r) && put->value.len <= PN_STATE_VALUE_MAX;
}

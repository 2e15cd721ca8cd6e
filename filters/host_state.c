/* Lasting state for a call: what it did before in this message, else the state role. */
#include "host.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum { PATIENCE_NS = 2 * 1000 * 1000 };

/* One under way; several of a call go together. */
struct question {
    struct pn_state_wait wait;
    struct pn_state_seen seen; /* with its answer, in the end */
    char key[PN_STATE_KEY_MAX];
};

static struct pn_str own_name(const struct host_call *h)
{
    return pn_str_of(h->plugin->desc->name);
}

static bool may(const struct host_call *h, struct pn_str key)
{
    return ((h->plugin->desc->needs | h->plugin->needs) & POSTERN_NEED_STATE) != 0 &&
           !h->prefetch && !h->tick && key.len != 0 && key.len <= POSTERN_STATE_KEY_MAX &&
           host_line_ok(key);
}

/* What this plugin recorded of a key: in this call, in those of this request that are done,
 * or in the ledger. */
static const struct pn_state_seen *recorded(struct host_call *h, enum pn_state_op op,
                                            struct pn_str key, uint32_t step)
{
    const struct pn_facts *f;
    const struct pn_state_seen *s = pn_facts_state(h->facts, own_name(h), op, key, step);
    for (size_t n = 0; s == NULL && (f = h->done_facts(h, n)) != NULL; n++)
        s = pn_facts_state(f, own_name(h), op, key, step);
    return s != NULL ? s : pn_facts_state(h->earlier, own_name(h), op, key, step);
}

/* The last put of a step before this one; of this step only what this very call put. So a
 * stage that is called again sees what it saw. */
static const struct pn_state_seen *own_put(struct host_call *h, struct pn_str key)
{
    const struct pn_state_seen *s =
        pn_facts_state(h->facts, own_name(h), PN_STATE_PUT, key, h->step_number);
    for (uint32_t step = h->step_number; s == NULL && step-- > 0;)
        s = recorded(h, PN_STATE_PUT, key, step);
    return s;
}

/* Most messages put nothing: then there are no steps to look through. */
static bool any_put(struct host_call *h)
{
    const struct pn_facts *f;
    bool any = h->facts->state_count + h->earlier->state_count != 0;
    for (size_t n = 0; !any && (f = h->done_facts(h, n)) != NULL; n++)
        any = f->state_count != 0;
    return any;
}

static void note_wait(struct host_call *h, bool waits)
{
    static const char what[] = "lasting state";
    h->waiting = waits ? pn_str_of(what) : (struct pn_str){NULL, 0};
    if (h->slot != NULL)
        memcpy(h->slot->what, waits ? what : "", waits ? sizeof what : 1);
}

/* Until then, for all of them; true: they are answered. */
static bool all_done(struct question *q, size_t count, uint64_t until)
{
    bool done = true;
    for (size_t i = 0; i < count; i++)
        done = pn_state_wait_for(&q[i].wait, until) && done;
    return done;
}

/* The thread may block: whoever runs the calls uses the time for others, unless the answers
 * come at once. */
static void wait_for(struct host_call *h, struct question *q, size_t count)
{
    uint64_t now = pn_clock_mono_ns(), soon = now + PATIENCE_NS;
    uint64_t until = now + (uint64_t)PN_STATE_WAIT_MS * PN_NS_PER_MS;
    if (until > h->deadline)
        until = h->deadline;
    if (all_done(q, count, soon < until ? soon : until))
        return;
    note_wait(h, true);
    if (h->waits != NULL)
        h->waits->begin(h->waits->ctx, h);
    (void)all_done(q, count, until);
    if (h->waits != NULL)
        h->waits->end(h->waits->ctx, h);
    note_wait(h, false);
}

static struct pn_state_seen seen_of(const struct host_call *h, enum pn_state_op op,
                                    struct pn_str key)
{
    return (struct pn_state_seen){.plugin = own_name(h),
                                  .key = key,
                                  .op = (uint8_t)op,
                                  .session = h->step->stage < POSTERN_MAIL,
                                  .step = h->step_number,
                                  .value = PN_STR("")};
}

/* bucket: of a take, else NULL. */
static void begin(struct host_call *h, struct question *q, const struct pn_bucket *bucket)
{
    struct pn_buf key = {.p = q->key, .cap = sizeof q->key, .max = sizeof q->key};
    unsigned phase = pn_request_phase(h->step->stage);
    struct pn_state_ask ask = {.owner = h->request->seed[phase],
                               .step = h->step_number,
                               .take = bucket != NULL,
                               .now_ms = h->request->now_ms[phase]};
    (void)(pn_buf_adds(&key, own_name(h)) && pn_buf_addc(&key, '/') &&
           pn_buf_adds(&key, q->seen.key));
    ask.key = pn_buf_str(&key);
    if (bucket != NULL)
        ask.bucket = *bucket;
    pn_state_wait_start(&q->wait, h->state, &ask);
}

/* False: no room for the record. */
static bool record(struct host_call *h, struct question *q)
{
    const struct pn_state_wait *w = &q->wait;
    struct pn_state_seen *seen = &q->seen;
    seen->result = w->status == PN_STATE_IS_OK     ? PN_STATE_OK
                   : w->status == PN_STATE_IS_NONE ? PN_STATE_NONE
                                                   : PN_STATE_AWAY;
    seen->left = w->left;
    seen->local = w->local;
    seen->value = (struct pn_str){w->value, w->len};
    bool ok = pn_facts_add_state(h->facts, seen);
    if (ok && h->waits != NULL && h->waits->remembered != NULL)
        h->waits->remembered(h->waits->ctx, h, seen);
    return ok;
}

/* Those that were begun. False: no room for what they said. */
static bool finish(struct host_call *h, struct question *q, size_t count)
{
    bool ok = true;
    wait_for(h, q, count);
    for (size_t i = 0; i < count; i++)
        pn_state_wait_end(&q[i].wait);
    for (size_t i = 0; i < count; i++)
        ok = record(h, &q[i]) && ok;
    return ok;
}

static int status_of(uint8_t result)
{
    return result == PN_STATE_OK     ? POSTERN_OK
           : result == PN_STATE_NONE ? POSTERN_NONE
                                     : POSTERN_AWAY;
}

/* Into the memory that the call's objects live in. */
static int hand_out(struct host_call *h, struct pn_str value, struct postern_str *out)
{
    struct pn_str copy = value.len == 0 ? PN_STR("") : pn_pool_dup(h->life, value);
    if (copy.p == NULL)
        return POSTERN_LIMIT;
    *out = host_str(copy);
    return POSTERN_OK;
}

int host_state_get(struct postern_call *c, struct postern_str name, struct postern_str *value)
{
    struct host_call *h = host_of(c);
    struct pn_str key = host_view(name);
    if (!may(h, key))
        return POSTERN_INVALID;
    const struct pn_state_seen *known = any_put(h) ? own_put(h, key) : NULL;
    if (known != NULL)
        return hand_out(h, known->value, value);
    known = recorded(h, PN_STATE_GET, key, 0);
    if (known == NULL) {
        struct question q = {.seen = seen_of(h, PN_STATE_GET, key)};
        begin(h, &q, NULL);
        if (!finish(h, &q, 1))
            return POSTERN_LIMIT;
        known = pn_facts_state(h->facts, own_name(h), PN_STATE_GET, key, 0);
    }
    return known->result == PN_STATE_OK ? hand_out(h, known->value, value)
                                        : status_of(known->result);
}

int host_state_put(struct postern_call *c, struct postern_str name, struct postern_str value,
                   uint64_t ttl_ms, uint32_t when)
{
    struct host_call *h = host_of(c);
    struct pn_str key = host_view(name);
    if (!may(h, key) || value.len > POSTERN_STATE_VALUE_MAX || ttl_ms == 0 ||
        ttl_ms > (uint64_t)PN_STATE_TTL_MAX || when > POSTERN_STATE_REFUSED)
        return POSTERN_INVALID;
    struct pn_state_seen seen = seen_of(h, PN_STATE_PUT, key);
    seen.value = host_view(value);
    seen.ttl_ms = ttl_ms;
    seen.when = (uint8_t)when;
    return pn_facts_add_state(h->facts, &seen) ? POSTERN_OK : POSTERN_LIMIT;
}

static bool bucket_of(const struct postern_bucket *from, struct pn_bucket *to)
{
    *to = (struct pn_bucket){from->capacity, from->cost, from->interval_ms};
    return from->reserved == NULL && pn_bucket_ok(to);
}

static void take_known(struct postern_take *t, const struct pn_state_seen *seen)
{
    t->left = seen->left;
    t->status = status_of(seen->result);
}

/* The same key twice in one call is asked for once: the first's answer is both's. */
static struct question *asked(struct question *q, size_t count, struct pn_str key)
{
    for (size_t i = 0; i < count; i++)
        if (pn_str_eq(q[i].seen.key, key))
            return &q[i];
    return NULL;
}

/* What is recorded stays; the others are asked for together. */
static int take_all(struct host_call *h, struct postern_take *takes, size_t count,
                    struct question *q)
{
    size_t n = 0;
    int rc = POSTERN_OK;
    struct pn_bucket b;
    for (size_t i = 0; i < count; i++) {
        struct pn_str key = host_view(takes[i].key);
        if (recorded(h, PN_STATE_TAKE, key, h->step_number) != NULL || asked(q, n, key) != NULL)
            continue;
        q[n].seen = seen_of(h, PN_STATE_TAKE, key);
        (void)bucket_of(&takes[i].bucket, &b);
        begin(h, &q[n++], &b);
    }
    if (n != 0 && !finish(h, q, n))
        return POSTERN_LIMIT;
    for (size_t i = 0; i < count; i++) {
        take_known(&takes[i], recorded(h, PN_STATE_TAKE, host_view(takes[i].key), h->step_number));
        if (takes[i].status < 0)
            rc = takes[i].status;
    }
    return rc;
}

int host_state_take_all(struct postern_call *c, struct postern_take *takes, size_t count)
{
    struct host_call *h = host_of(c);
    struct question one = {.seen.left = 0}, *q = &one;
    struct pn_bucket b;
    bool ok = count <= POSTERN_STATE_TAKES_MAX;
    for (size_t i = 0; ok && i < count; i++)
        ok = may(h, host_view(takes[i].key)) && bucket_of(&takes[i].bucket, &b);
    if (!ok)
        return POSTERN_INVALID;
    if (count > 1)
        q = pn_calloc(count, sizeof *q);
    int rc = take_all(h, takes, count, q);
    if (q != &one)
        free(q);
    return rc;
}

int host_state_take(struct postern_call *c, struct postern_str key,
                    const struct postern_bucket *bucket, uint32_t *left)
{
    struct postern_take t = {.key = key, .bucket = *bucket};
    int rc = host_state_take_all(c, &t, 1);
    if (rc != POSTERN_OK)
        return rc;
    *left = t.left;
    return t.status;
}

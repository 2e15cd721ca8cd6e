/* Lasting state for a call: what it did before in this message, else the state role. */
#include "host.h"

#include "clock.h"

enum { PATIENCE_NS = 2 * 1000 * 1000 };

static struct pn_str own_name(const struct host_call *h)
{
    return pn_str_of(h->plugin->desc->name);
}

static bool may(const struct host_call *h, struct pn_str key)
{
    return (h->plugin->desc->needs & POSTERN_NEED_STATE) != 0 && !h->prefetch && !h->tick &&
           key.len != 0 && key.len <= POSTERN_STATE_KEY_MAX && host_line_ok(key);
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

/* The thread may block: whoever runs the calls uses the time for others, unless the answer
 * comes at once. */
static void wait_for(struct host_call *h, struct pn_state_wait *w)
{
    uint64_t now = pn_clock_mono_ns(), soon = now + PATIENCE_NS;
    uint64_t until = now + (uint64_t)PN_STATE_WAIT_MS * PN_NS_PER_MS;
    if (until > h->deadline)
        until = h->deadline;
    if (pn_state_wait_for(w, soon < until ? soon : until))
        return;
    note_wait(h, true);
    if (h->waits != NULL)
        h->waits->begin(h->waits->ctx, h);
    (void)pn_state_wait_for(w, until);
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

/* Asks, and records the answer in *seen. False: no room for the record. */
static bool ask(struct host_call *h, struct pn_state_seen *seen, const struct pn_bucket *bucket)
{
    char text[PN_STATE_KEY_MAX];
    struct pn_buf key = {.p = text, .cap = sizeof text, .max = sizeof text};
    unsigned phase = pn_request_phase(h->step->stage);
    struct pn_state_wait w;
    struct pn_state_ask q = {.owner = h->request->seed[phase],
                             .step = h->step_number,
                             .take = bucket != NULL,
                             .now_ms = h->request->now_ms[phase]};
    (void)(pn_buf_adds(&key, own_name(h)) && pn_buf_addc(&key, '/') &&
           pn_buf_adds(&key, seen->key));
    q.key = pn_buf_str(&key);
    if (bucket != NULL)
        q.bucket = *bucket;
    pn_state_wait_start(&w, h->state, &q);
    wait_for(h, &w);
    pn_state_wait_end(&w);
    seen->result = w.status == PN_STATE_IS_OK     ? PN_STATE_OK
                   : w.status == PN_STATE_IS_NONE ? PN_STATE_NONE
                                                  : PN_STATE_AWAY;
    seen->left = w.left;
    seen->local = w.local;
    seen->value = (struct pn_str){w.value, w.len};
    bool ok = pn_facts_add_state(h->facts, seen);
    if (ok && h->waits != NULL && h->waits->remembered != NULL)
        h->waits->remembered(h->waits->ctx, h, seen);
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
    struct pn_state_seen seen = seen_of(h, PN_STATE_GET, key);
    known = recorded(h, PN_STATE_GET, key, 0);
    if (known == NULL && !ask(h, &seen, NULL))
        return POSTERN_LIMIT;
    if (known == NULL)
        known = pn_facts_state(h->facts, own_name(h), PN_STATE_GET, key, 0);
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

int host_state_take(struct postern_call *c, struct postern_str name,
                    const struct postern_bucket *bucket, uint32_t *left)
{
    struct host_call *h = host_of(c);
    struct pn_str key = host_view(name);
    const struct pn_bucket b = {bucket->capacity, bucket->cost, bucket->interval_ms};
    if (!may(h, key) || bucket->reserved != NULL || !pn_bucket_ok(&b))
        return POSTERN_INVALID;
    struct pn_state_seen seen = seen_of(h, PN_STATE_TAKE, key);
    const struct pn_state_seen *known = recorded(h, PN_STATE_TAKE, key, h->step_number);
    if (known == NULL && !ask(h, &seen, &b))
        return POSTERN_LIMIT;
    if (known == NULL)
        known = &seen;
    *left = known->left;
    return status_of(known->result);
}

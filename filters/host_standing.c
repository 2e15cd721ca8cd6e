/* What a plugin's tick left, for a call: what this message saw of it before, else as it is. */
#include "host.h"

/* The first record of this plugin among these facts. */
static const struct pn_state_seen *find(const struct host_call *h, const struct pn_facts *f)
{
    for (size_t i = 0; i < f->state_count; i++)
        if (f->state[i].op == PN_STATE_STANDING &&
            pn_str_eq(f->state[i].plugin, pn_str_of(h->plugin->desc->name)))
            return &f->state[i];
    return NULL;
}

/* In this call, in those of this request that are done, or in the ledger. */
static const struct pn_state_seen *recorded(struct host_call *h)
{
    const struct pn_facts *f;
    const struct pn_state_seen *s = find(h, h->earlier);
    for (size_t n = 0; s == NULL && (f = h->done_facts(h, n)) != NULL; n++)
        s = find(h, f);
    return s != NULL ? s : find(h, h->facts);
}

/* A copy of what there is now; .p is NULL where there is no room, .len 0 where it is nothing. */
static struct pn_str current(struct host_call *h)
{
    struct host_standing *s = h->plugin->standing;
    if (s == NULL || atomic_load_explicit(&s->len, memory_order_relaxed) == 0)
        return PN_STR("");
    (void)pthread_mutex_lock(&s->lock);
    struct pn_str copy = pn_pool_dup(h->life, (struct pn_str){s->bytes, s->len});
    (void)pthread_mutex_unlock(&s->lock);
    return copy;
}

int host_standing_get(struct postern_call *c, struct postern_str *value)
{
    struct host_call *h = host_of(c);
    const struct pn_state_seen *known = h->tick ? NULL : recorded(h);
    /* One that is repeated saw nothing before the step that it is recorded of. */
    if (known != NULL && known->step > h->step_number)
        return POSTERN_NONE;
    struct pn_str now = known == NULL ? current(h) : pn_pool_dup(h->life, known->value);
    if (now.p == NULL)
        return POSTERN_LIMIT;
    if (now.len == 0)
        return POSTERN_NONE;
    *value = host_str(now);
    if (known != NULL || h->tick)
        return POSTERN_OK;
    struct pn_state_seen seen = {.plugin = pn_str_of(h->plugin->desc->name),
                                 .key = PN_STR(""),
                                 .op = PN_STATE_STANDING,
                                 .result = PN_STATE_OK,
                                 .session = h->step->stage < POSTERN_MAIL,
                                 .step = h->step_number,
                                 .value = now};
    if (!pn_facts_add_state(h->facts, &seen))
        return POSTERN_LIMIT;
    if (h->waits != NULL && h->waits->remembered != NULL)
        h->waits->remembered(h->waits->ctx, h, &seen);
    return POSTERN_OK;
}

int host_standing_set(struct postern_call *c, struct postern_str value)
{
    struct host_call *h = host_of(c);
    struct host_standing *s = h->plugin->standing;
    struct pn_str v = host_view(value);
    if (!h->tick || s == NULL || v.len > sizeof s->bytes || !host_line_ok(v))
        return POSTERN_INVALID;
    (void)pthread_mutex_lock(&s->lock);
    memcpy(s->bytes, v.p, v.len);
    s->len = v.len;
    (void)pthread_mutex_unlock(&s->lock);
    return POSTERN_OK;
}

#include "scan_edits.h"

#include "grammar.h"

/* The address in one spelling; empty: it is none. */
static struct pn_str canonical(struct pn_str text, struct pn_pool *pool)
{
    struct pn_smtp_mailbox mailbox;
    struct pn_buf b;
    if (!pn_smtp_mailbox_parse(text, &mailbox))
        return PN_STR("");
    pn_buf_init(&b, 4096);
    pn_smtp_mailbox_canonical(&b, &mailbox);
    struct pn_str copy = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return copy.p == NULL ? PN_STR("") : copy;
}

static bool is_made(const struct pn_verdict *v, size_t i, enum pn_fact_edit_op op)
{
    return v->edits[i].refused.len == 0 && v->edits[i].edit->op == op;
}

struct list {
    struct pn_verdict *v;
    struct pn_scan_rcpt *rcpts;
    size_t count;
    struct pn_pool *pool;
    const struct pn_domain *(*domain_of)(void *ctx, struct pn_str address);
    void *ctx;
};

static struct pn_scan_rcpt *find(const struct list *l, struct pn_str address)
{
    for (size_t i = 0; i < l->count; i++) {
        struct pn_str there = canonical(l->rcpts[i].address, l->pool);
        if (!l->rcpts[i].refused &&
            pn_str_eq(there.len == 0 ? l->rcpts[i].address : there, address))
            return &l->rcpts[i];
    }
    return NULL;
}

static void recipient(struct list *l, size_t i)
{
    struct pn_verdict_edit *e = &l->v->edits[i];
    bool add = e->edit->op == PN_FACT_ADD_RCPT;
    struct pn_str address = canonical(e->edit->value, l->pool);
    struct pn_scan_rcpt *there = address.len == 0 ? NULL : find(l, address);
    if (address.len == 0)
        e->refused = add ? PN_STR("501 5.1.3 This is no address")
                         : PN_STR("the message has no such recipient");
    else if (!add && (there == NULL || there->removed))
        e->refused = PN_STR("the message has no such recipient");
    else if (!pn_verdict_edit_counts(l->v, i, l->domain_of(l->ctx, address)))
        e->refused = PN_STR("the plugin does not count for this recipient");
    else if (there != NULL && (!add || there->removed))
        *there = (struct pn_scan_rcpt){there->address, there->added, !add, (uint32_t)i, false};
    else if (there == NULL)
        l->rcpts[l->count++] = (struct pn_scan_rcpt){address, true, false, (uint32_t)i, false};
}

static void sender(struct pn_verdict *v, struct pn_pool *pool)
{
    struct pn_verdict_edit *last = NULL;
    for (size_t i = 0; i < v->edit_count; i++) {
        struct pn_verdict_edit *e = &v->edits[i];
        if (!is_made(v, i, PN_FACT_CHANGE_FROM))
            continue;
        if (e->edit->value.len != 0 && canonical(e->edit->value, pool).len == 0) {
            e->refused = PN_STR("501 5.1.3 This is no address");
            continue;
        }
        if (last != NULL)
            last->refused = PN_STR("another one came later");
        last = e;
    }
}

struct pn_scan_rcpt *
pn_scan_edits(struct pn_verdict *v, const struct pn_scan_envelope *envelope, size_t *count,
              struct pn_pool *pool,
              const struct pn_domain *(*domain_of)(void *ctx, struct pn_str address), void *ctx)
{
    if (!pn_verdict_edits(v, pool))
        return NULL;
    if (envelope->recorded != NULL)
        pn_scan_recorded_refusals(v, envelope->recorded);
    struct list l = {.v = v, .pool = pool, .domain_of = domain_of, .ctx = ctx};
    l.rcpts = pn_pool_alloc(pool, (envelope->count + v->edit_count) * sizeof *l.rcpts);
    for (; l.rcpts != NULL && l.count < envelope->count; l.count++)
        l.rcpts[l.count] = (struct pn_scan_rcpt){.address = envelope->rcpts[l.count],
                                                 .refused = envelope->refusals != NULL &&
                                                            envelope->refusals[l.count].p != NULL};
    for (size_t i = 0; l.rcpts != NULL && i < v->edit_count; i++)
        if (is_made(v, i, PN_FACT_ADD_RCPT) || is_made(v, i, PN_FACT_REMOVE_RCPT))
            recipient(&l, i);
    sender(v, pool);
    *count = l.count;
    return l.rcpts;
}

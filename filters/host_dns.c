#include "host.h"

#include "clock.h"

#include <stdio.h>

enum { PATIENCE_NS = 2 * 1000 * 1000 };

struct host_started {
    struct host_started *next;
    struct pn_question *question;
};

static enum postern_status status_of(enum pn_ask ask)
{
    switch (ask) {
    case PN_ASK_OK:
        return POSTERN_OK;
    case PN_ASK_LIMIT:
        return POSTERN_LIMIT;
    case PN_ASK_INVALID:
        break;
    }
    return POSTERN_INVALID;
}

static int start(struct host_call *h, struct postern_str name, unsigned type,
                 struct pn_question **out)
{
    if (((h->plugin->desc->needs | h->plugin->needs) & POSTERN_NEED_DNS) == 0 || type > UINT16_MAX)
        return POSTERN_INVALID;
    h->asked = true;
    return status_of(
        pn_questions_start(h->questions, host_view(name), (uint16_t)type, h->deadline, out));
}

/* Says in the page, and for the reason of a timeout, what this call waits for. */
static void note_wait(struct host_call *h, const struct pn_question *q)
{
    char text[PN_PAGE_WHAT_MAX];
    struct pn_str name = pn_str_slice(pn_question_name(q), 0, 80);
    (void)snprintf(text, sizeof text, "%s %.*s", pn_dns_type_name(pn_question_type(q)),
                   PN_FMT(name));
    h->waiting = pn_pool_dup(h->pool, pn_str_of(text));
    if (h->slot != NULL)
        memcpy(h->slot->what, text, sizeof text);
}

/* The thread may block: whoever runs the calls uses the time for others. */
static bool wait_for(struct host_call *h, struct pn_question *q)
{
    if (pn_question_done(q))
        return true;
    note_wait(h, q);
    /* What the resolver knows comes at once: no other thread is worth waking for that. */
    uint64_t soon = pn_clock_mono_ns() + PATIENCE_NS;
    bool ok = pn_question_wait(q, soon < h->deadline ? soon : h->deadline);
    if (!ok && h->waits != NULL)
        h->waits->begin(h->waits->ctx, h);
    if (!ok) {
        ok = pn_question_wait(q, h->deadline);
        if (h->waits != NULL)
            h->waits->end(h->waits->ctx, h);
    }
    if (ok) {
        h->waiting = (struct pn_str){NULL, 0};
        if (h->slot != NULL)
            h->slot->what[0] = '\0';
    }
    return ok;
}

/* In the form of the plugin's header, in the call's pool; recorded as a fact. */
static const struct postern_dns_answer *hand_out(struct host_call *h, const struct pn_question *q)
{
    const struct pn_dns_answer *a = pn_question_answer(q);
    struct postern_dns_answer *out = pn_pool_alloc(h->life, sizeof *out);
    struct postern_dns_record *records = pn_pool_alloc(h->life, a->count * sizeof *records);
    struct pn_str *data = pn_pool_alloc(h->pool, a->count * sizeof *data);
    if (out == NULL || records == NULL || data == NULL)
        return NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        data[i] = a->records[i].data;
        struct pn_str kept = h->life == h->pool ? data[i] : pn_pool_dup(h->life, data[i]);
        if (kept.p == NULL)
            return NULL;
        records[i] = (struct postern_dns_record){.ttl = a->records[i].ttl, .data = host_str(kept)};
    }
    *out = (struct postern_dns_answer){a->rcode, a->secure, a->count, records};
    struct pn_dns_seen seen = {.name = pn_question_name(q),
                               .type = pn_question_type(q),
                               .rcode = a->rcode,
                               .secure = a->secure,
                               .count = a->count,
                               .answers = data};
    if (h->waits != NULL && h->waits->answered != NULL)
        h->waits->answered(h->waits->ctx, h, &seen);
    return pn_facts_add_dns(h->facts, &seen) ? out : NULL;
}

int host_dns_lookup(struct postern_call *c, struct postern_str name, uint32_t type,
                    const struct postern_dns_answer **out)
{
    struct host_call *h = host_of(c);
    struct pn_question *q;
    int rc = start(h, name, (unsigned)type, &q);
    if (rc != POSTERN_OK)
        return rc;
    if (h->prefetch && !pn_question_done(q))
        return POSTERN_INVALID;
    if (!wait_for(h, q))
        return POSTERN_DEADLINE;
    *out = hand_out(h, q);
    return *out == NULL ? POSTERN_LIMIT : POSTERN_OK;
}

int host_dns_start(struct postern_call *c, struct postern_str name, uint32_t type)
{
    struct host_call *h = host_of(c);
    struct pn_question *q;
    int rc = start(h, name, (unsigned)type, &q);
    if (rc != POSTERN_OK || pn_question_done(q))
        return rc;
    struct host_started *started = pn_pool_alloc(h->pool, sizeof *started);
    if (started == NULL)
        return POSTERN_LIMIT;
    *started = (struct host_started){h->started, q};
    h->started = started;
    return POSTERN_OK;
}

int host_dns_wait_all(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    if (h->prefetch)
        return POSTERN_INVALID;
    for (; h->started != NULL; h->started = h->started->next)
        if (!wait_for(h, h->started->question))
            return POSTERN_DEADLINE;
    return POSTERN_OK;
}

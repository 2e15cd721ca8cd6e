#include "runner_int.h"

#include "assert.h"
#include "handover.h"
#include "log.h"
#include "mem.h"
#include "records.h"

#include <stdlib.h>

/* ---- lists */

void list_add(struct list *l, struct ask *a)
{
    a->next = NULL;
    *l->last = a;
    l->last = &a->next;
    l->count++;
}

bool list_remove(struct list *l, struct ask *a)
{
    for (struct ask **at = &l->first; *at != NULL; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            if (a->next == NULL)
                l->last = at;
            l->count--;
            return true;
        }
    return false;
}

/* ---- life */

static bool group_alone(const struct pn_plan *plan, unsigned group)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->plugins[i].group == group && plan->plugins[i].alone)
            return true;
    return false;
}

struct ask *ask_new(struct pn_check *c, unsigned group, uint64_t plugins)
{
    struct pn_runner *r = c->runner;
    struct ask *a = pn_calloc(1, sizeof *a);
    *a = (struct ask){.check = c,
                      .runner = r,
                      .id = ++r->next_id,
                      .plugins = plugins,
                      .group = group,
                      .alone = group_alone(c->plan, group),
                      .died_in = -1,
                      .next_of_run = c->asks};
    c->asks = a;
    c->open++;
    r->stats.requests++;
    r->stats.inflight++;
    return a;
}

void ask_unlink_of_run(struct ask *a)
{
    struct ask **at = &a->check->asks;
    while (*at != a)
        at = &(*at)->next_of_run;
    *at = a->next_of_run;
    a->check->open--;
}

void ask_free(struct ask *a)
{
    a->runner->stats.inflight--;
    pn_pool_free(&a->told_pool);
    free(a);
}

void remote_take_ask(struct remote *m, struct ask *a)
{
    for (struct ask **at = &m->asks; *at != NULL; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            m->count--;
            a->remote = NULL;
            return;
        }
    pn_assert(false);
}

/* ---- out */

bool ask_send(struct ask *a, struct remote *m)
{
    struct pn_str body = check_request(a->check, a);
    if (body.len == 0 || !pn_handover_send(m->channel, PN_REC_CHECK, body, a->check->content_fd))
        return false;
    a->remote = m;
    a->next = m->asks;
    m->asks = a;
    m->count++;
    return true;
}

void ask_dispatch(struct ask *a)
{
    struct pn_runner *r = a->runner;
    runner_tick_on(r);
    if (a->alone) {
        replay_suspect(a);
        return;
    }
    struct remote *m = r->waiting.count == 0 ? remote_choose(a->check, a->group) : NULL;
    a->state = ASK_SENT;
    if (m != NULL && ask_send(a, m))
        return;
    a->state = ASK_WAITING;
    list_add(&r->waiting, a);
}

void ask_retry(struct pn_runner *r)
{
    for (struct ask *a = r->waiting.first, *next; a != NULL; a = next) {
        next = a->next;
        struct remote *m = remote_choose(a->check, a->group);
        if (m == NULL)
            continue;
        (void)list_remove(&r->waiting, a);
        a->state = ASK_SENT;
        if (!ask_send(a, m)) {
            a->state = ASK_WAITING;
            list_add(&r->waiting, a);
            return; /* no room: it tells when there is */
        }
    }
}

static void send_cancel(struct remote *m, enum pn_cancel_what what, uint64_t session, uint64_t id)
{
    char bytes[32];
    struct pn_buf b = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    pn_cancel_put(&b, &(struct pn_cancel){(uint8_t)what, session, id});
    (void)pn_channel_send(m->channel, PN_REC_CHECK_CANCEL, pn_buf_str(&b), NULL, 0);
}

void ask_abandon(struct ask *a)
{
    struct pn_runner *r = a->runner;
    uint64_t session = a->check->session;
    ask_unlink_of_run(a);
    a->check = NULL;
    if (a->remote != NULL) { /* its worker will answer, or die */
        send_cancel(a->remote, PN_CANCEL_REQUEST, session, a->id);
        return;
    }
    bool was = list_remove(a->state == ASK_WAITING ? &r->waiting : &r->suspects, a);
    pn_assert(was);
    ask_free(a);
}

void check_leave_homes(struct pn_check *c, bool whole)
{
    for (unsigned g = 0; g < GROUPS_MAX; g++) {
        struct remote *m = c->home[g];
        if (m == NULL)
            continue;
        if (m->solo) {
            c->home[g] = NULL;
            m->kept = false; /* replay_next lets it go */
            continue;
        }
        send_cancel(m, whole ? PN_CANCEL_SESSION : PN_CANCEL_TRANSACTION, c->session, 0);
    }
}

/* ---- in */

static struct ask *find(struct remote *m, uint64_t id)
{
    struct ask *a = m->asks;
    while (a != NULL && a->id != id)
        a = a->next;
    return a;
}

/* The worker holds objects of the session. After a replay the session goes on in a
 * common one, which calls its earlier stages again. */
static void settle_in(struct remote *m, struct ask *a)
{
    if (m->solo && !a->alone) {
        send_cancel(m, PN_CANCEL_SESSION, a->check->session, 0);
        return;
    }
    a->check->home[a->group] = m;
    m->kept = m->solo;
}

static void take_findings(struct remote *m, struct ask *a, const struct pn_findings *f)
{
    struct pn_check *c = a->check;
    struct pn_runner *r = m->runner;
    remote_take_ask(m, a);
    if (c == NULL) {
        ask_free(a);
    } else {
        uint64_t answered = 0;
        for (uint32_t i = 0; i < f->count; i++)
            if ((a->plugins >> f->items[i].plugin & 1) != 0) {
                check_found(c, &f->items[i]);
                answered |= UINT64_C(1) << f->items[i].plugin;
            }
        if ((f->flags & PN_FINDINGS_KEPT) != 0)
            settle_in(m, a);
        if ((f->flags & PN_FINDINGS_BAD) != 0)
            check_bad_findings(c, a->plugins & ~answered);
        ask_unlink_of_run(a);
        ask_free(a);
        check_answered(c);
    }
    ask_retry(r);
    if (r->suspects.first != NULL || m->solo)
        replay_next(r);
}

static void take_told(struct ask *a, const struct pn_findings *f)
{
    if (a->check == NULL)
        return;
    if (a->told_pool == NULL) {
        a->told_pool = pn_pool_new(PN_REQUEST_BYTES_MAX);
        pn_facts_init(&a->told, a->told_pool);
    }
    for (uint32_t i = 0; i < f->count; i++) {
        struct pn_rd r = pn_rd_of(f->items[i].facts);
        (void)pn_facts_get(&r, &a->told); /* past the limit the reproducer is less than whole */
    }
}

static bool on_done(struct remote *m, struct pn_record *record)
{
    struct pn_handover h;
    struct pn_findings f;
    if (!pn_handover_open(record, &h))
        return false;
    struct pn_pool *pool = pn_pool_new(PN_REQUEST_BYTES_MAX * 4);
    bool ok = h.content_fd < 0 && pn_findings_get(h.body, pool, &f);
    struct ask *a = ok ? find(m, f.id) : NULL;
    if (a != NULL && (f.flags & PN_FINDINGS_TOLD) != 0)
        take_told(a, &f);
    else if (a != NULL)
        take_findings(m, a, &f);
    pn_pool_free(&pool);
    pn_handover_close(&h);
    return ok;
}

static bool on_page(struct remote *m, struct pn_record *record)
{
    struct pn_page_tag tag;
    if (m->page != NULL || record->nfds != 1 || !pn_page_tag_get(record->body, &tag))
        return false;
    m->page = pn_page_map(record->fds[0]);
    m->tag = tag.tag;
    if (m->page == NULL)
        return false;
    struct pn_runner *r = m->runner;
    if (m->solo)
        replay_next(r);
    else
        ask_retry(r);
    return true;
}

bool remote_on_record(void *ctx, struct pn_record *record)
{
    switch (record->type) {
    case PN_REC_CHECK_DONE:
        return on_done(ctx, record);
    case PN_REC_CHECK_PAGE:
        return on_page(ctx, record);
    default:
        return false;
    }
}

/* What workers say: findings, DNS answers of a replay, their page. */
#include "runner_int.h"

#include "handover.h"
#include "records.h"

#include <unistd.h>

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
        remote_cancel(m, PN_CANCEL_SESSION, a->check->session, 0);
        return;
    }
    a->check->home[a->group] = m;
    m->kept = m->solo;
}

static int take_file(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* body: a new one that came along, taken; -1: none. */
static void take_findings(struct remote *m, struct ask *a, const struct pn_findings *f, int *body)
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
                check_found(c, &f->items[i], f->items[i].body ? take_file(body) : -1);
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
    bool ok = pn_findings_get(h.body, pool, &f);
    struct ask *a = ok ? find(m, f.id) : NULL;
    if (a != NULL && (f.flags & PN_FINDINGS_TOLD) != 0)
        take_told(a, &f);
    else if (a != NULL)
        take_findings(m, a, &f, &h.content_fd);
    pn_pool_free(&pool);
    pn_handover_close(&h);
    if (h.content_fd >= 0)
        (void)close(h.content_fd);
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

/* Workers as seen from here, and the lists that asks are in. Calls none of the other files of
 * the runner. */
#include "runner_int.h"

#include "assert.h"

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

/* ---- workers */

void remote_unlink(struct remote *m)
{
    struct remote **at = &m->runner->remotes;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    for (struct pn_check *c = m->runner->checks; c != NULL; c = c->next)
        if (m->group < GROUPS_MAX && c->home[m->group] == m)
            c->home[m->group] = NULL;
}

void remote_free(struct remote *m)
{
    while (m->asks != NULL) {
        struct ask *a = m->asks;
        m->asks = a->next;
        pn_assert(a->check == NULL);
        ask_free(a);
    }
    pn_page_unmap(&m->page);
    pn_channel_free(&m->channel);
    free(m);
}

void remote_close(struct remote *m)
{
    remote_unlink(m);
    remote_free(m);
}

static bool takes_work(const struct remote *m, const struct pn_check *c, unsigned group)
{
    return m->page != NULL && !m->solo && m->group == group &&
           m->generation == c->plan->generation && m->count < REMOTE_INFLIGHT_MAX &&
           atomic_load_explicit(&m->page->draining, memory_order_relaxed) == 0;
}

struct remote *remote_choose(struct pn_check *c, unsigned group)
{
    struct remote *best = c->home[group];
    if (best != NULL && takes_work(best, c, group))
        return best;
    best = NULL;
    for (struct remote *m = c->runner->remotes; m != NULL; m = m->next)
        if (takes_work(m, c, group) && (best == NULL || m->count < best->count))
            best = m;
    return best;
}

/* Common workers whose generation no session uses any more, and none will. */
void remotes_drop_old(struct pn_runner *r)
{
    for (struct remote *m = r->remotes, *next; m != NULL; m = next) {
        next = m->next;
        bool used = m->generation >= r->plan->generation || m->count != 0;
        for (const struct pn_check *c = r->checks; c != NULL && !used; c = c->next)
            used = c->plan->generation == m->generation;
        if (!used)
            remote_close(m);
    }
}

/* Only while something is under way. */
void runner_tick_on(struct pn_runner *r)
{
    if (r->ticking || r->stats.inflight == 0)
        return;
    r->ticking = true;
    pn_timer_set(r->tick, TICK_MS);
}

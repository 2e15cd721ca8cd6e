/* Requests on their way out: sent, waiting, set aside for a replay, given up. */
#include "runner_int.h"

#include "assert.h"
#include "handover.h"
#include "mem.h"
#include "records.h"

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

void ask_suspect(struct ask *a)
{
    a->state = ASK_SUSPECT;
    list_add(&a->runner->suspects, a);
    runner_tick_on(a->runner);
}

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
        ask_suspect(a);
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

void remote_cancel(struct remote *m, enum pn_cancel_what what, uint64_t session, uint64_t id)
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
        remote_cancel(a->remote, PN_CANCEL_REQUEST, session, a->id);
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
        remote_cancel(m, whole ? PN_CANCEL_SESSION : PN_CANCEL_TRANSACTION, c->session, 0);
    }
}

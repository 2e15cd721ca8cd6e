#include "crew.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum { STACK = 512 * 1024, PART = 4, LONG_MS = 100 };

/* Members with jobs of a kind, one of which each may begin. */
struct round {
    struct crew_member *first, **last;
};

struct crew {
    struct pn_threads *threads;
    struct pn_loop *loop;
    struct pn_timer *timer; /* while somebody waits */
    bool timed;
    unsigned count, part;
    unsigned running, more, apart; /* jobs on threads; running: those of `more`, too */
    size_t busy;
    struct round rounds[CREW_KINDS];
    struct crew_job *at_work;
};

static void list(struct crew *c, struct crew_member *m, unsigned kind)
{
    struct crew_wait *w = &m->waits[kind];
    struct round *r = &c->rounds[kind];
    if (w->listed || w->first == NULL || m->running >= c->part)
        return;
    w->listed = true;
    w->next = NULL;
    *r->last = m;
    r->last = &w->next;
}

/* The next that may begin one; it stands in the round no more. */
static struct crew_member *next_of(struct crew *c, unsigned kind)
{
    struct round *r = &c->rounds[kind];
    struct crew_member *m;
    do {
        m = r->first;
        if (m == NULL)
            return NULL;
        r->first = m->waits[kind].next;
        if (r->first == NULL)
            r->last = &r->first;
        m->waits[kind].listed = false;
    } while (m->running >= c->part); /* by one of the other kind; listed again as that ends */
    return m;
}

static void run(struct pn_job *job)
{
    struct crew_job *j = (struct crew_job *)job;
    j->run(j);
}

static void done(struct pn_job *job);

static void begin(struct crew *c, struct crew_member *m, unsigned kind)
{
    struct crew_wait *w = &m->waits[kind];
    struct crew_job *j = w->first;
    w->first = j->next;
    if (w->first == NULL)
        w->last = &w->first;
    m->running++;
    c->running++;
    c->more += kind == CREW_MORE;
    list(c, m, kind);
    j->apart = false;
    j->began_ns = pn_loop_now(c->loop);
    j->next = c->at_work;
    j->prev = &c->at_work;
    if (j->next != NULL)
        j->next->prev = &j->next;
    c->at_work = j;
    j->job = (struct pn_job){.run = run, .done = done};
    pn_threads_submit(c->threads, &j->job);
}

/* May one more of that kind run? A part of the threads is for the other kind, if that is wanted. */
static bool may_begin(const struct crew *c, unsigned kind)
{
    unsigned most = c->count - c->part;
    if (kind == CREW_BEGIN && c->rounds[CREW_MORE].first == NULL)
        most = c->count;
    return c->running < c->count && (kind == CREW_MORE ? c->more : c->running - c->more) < most;
}

static void pump(struct crew *c)
{
    struct crew_member *m;
    for (unsigned kind = 0; kind < CREW_KINDS; kind++)
        while (may_begin(c, kind) && (m = next_of(c, kind)) != NULL)
            begin(c, m, kind);
    if (c->timed || (c->rounds[CREW_BEGIN].first == NULL && c->rounds[CREW_MORE].first == NULL))
        return;
    c->timed = true;
    pn_timer_set(c->timer, LONG_MS);
}

static void leave(struct crew *c, const struct crew_job *j)
{
    c->running--;
    c->more -= j->more;
}

/* Somebody waits: who has a thread for long gives it for one of those in reserve. */
static void on_time(void *arg)
{
    struct crew *c = arg;
    uint64_t now = pn_loop_now(c->loop);
    c->timed = false;
    for (struct crew_job *j = c->at_work; j != NULL && c->apart < c->count; j = j->next) {
        if (j->apart || now - j->began_ns < LONG_MS * (uint64_t)PN_NS_PER_MS)
            continue;
        leave(c, j);
        j->apart = true;
        c->apart++;
    }
    pump(c);
}

static void done(struct pn_job *job)
{
    struct crew_job *j = (struct crew_job *)job;
    struct crew *c = j->crew;
    *j->prev = j->next;
    if (j->next != NULL)
        j->next->prev = j->prev;
    if (j->apart)
        c->apart--;
    else
        leave(c, j);
    c->busy--;
    j->member->running--;
    list(c, j->member, CREW_BEGIN);
    list(c, j->member, CREW_MORE);
    j->done(j);
    pump(c);
}

struct crew *crew_new(struct pn_loop *loop, unsigned threads, const char *name)
{
    struct crew *c = pn_calloc(1, sizeof *c);
    pn_assert(threads >= PART);
    c->loop = loop;
    c->threads = pn_threads_new(loop, 2 * threads, STACK, name);
    c->timer = pn_timer_new(loop, on_time, c);
    c->count = threads;
    c->part = threads / PART;
    for (unsigned kind = 0; kind < CREW_KINDS; kind++)
        c->rounds[kind].last = &c->rounds[kind].first;
    return c;
}

void crew_free(struct crew **crew)
{
    struct crew *c = *crew;
    if (c == NULL)
        return;
    *crew = NULL;
    pn_threads_free(&c->threads);
    pn_timer_free(&c->timer);
    free(c);
}

void crew_submit(struct crew *c, struct crew_member *m, struct crew_job *j)
{
    unsigned kind = j->more ? CREW_MORE : CREW_BEGIN;
    struct crew_wait *w = &m->waits[kind];
    if (w->last == NULL)
        w->last = &w->first;
    j->crew = c;
    j->member = m;
    j->next = NULL;
    *w->last = j;
    w->last = &j->next;
    c->busy++;
    list(c, m, kind);
    pump(c);
}

size_t crew_busy(const struct crew *c)
{
    return c->busy;
}

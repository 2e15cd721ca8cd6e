/*
 * Threads shared fairly: members take turns, and none has more than a part of them, so that a
 * user with many sessions, each with a long search, leaves room for all others.
 */
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum { STACK = 512 * 1024, PART = 4 };

struct crew {
    struct pn_threads *threads;
    unsigned count, part, running;
    size_t busy;
    struct crew_member *first, **last; /* the round: who has jobs waiting and may run one more */
};

static void list(struct crew *c, struct crew_member *m)
{
    if (m->listed || m->first == NULL || m->running >= c->part)
        return;
    m->listed = true;
    m->next = NULL;
    *c->last = m;
    c->last = &m->next;
}

static struct crew_member *unlist(struct crew *c)
{
    struct crew_member *m = c->first;
    if (m == NULL)
        return NULL;
    c->first = m->next;
    if (c->first == NULL)
        c->last = &c->first;
    m->listed = false;
    return m;
}

static void run(struct pn_job *job)
{
    struct crew_job *j = (struct crew_job *)job;
    j->run(j);
}

static void done(struct pn_job *job);

static void pump(struct crew *c)
{
    struct crew_member *m;
    while (c->running < c->count && (m = unlist(c)) != NULL) {
        struct crew_job *j = m->first;
        m->first = j->next;
        if (m->first == NULL)
            m->last = &m->first;
        m->running++;
        c->running++;
        list(c, m);
        j->job = (struct pn_job){.run = run, .done = done};
        pn_threads_submit(c->threads, &j->job);
    }
}

static void done(struct pn_job *job)
{
    struct crew_job *j = (struct crew_job *)job;
    struct crew *c = j->crew;
    c->running--;
    c->busy--;
    j->member->running--;
    list(c, j->member);
    j->done(j);
    pump(c);
}

struct crew *crew_new(struct pn_loop *loop, unsigned threads, const char *name)
{
    struct crew *c = pn_calloc(1, sizeof *c);
    c->threads = pn_threads_new(loop, threads, STACK, name);
    c->count = threads;
    c->part = threads / PART > 0 ? threads / PART : 1;
    c->last = &c->first;
    return c;
}

void crew_free(struct crew **crew)
{
    struct crew *c = *crew;
    if (c == NULL)
        return;
    *crew = NULL;
    pn_threads_free(&c->threads);
    free(c);
}

void crew_submit(struct crew *c, struct crew_member *m, struct crew_job *j)
{
    if (m->last == NULL)
        m->last = &m->first;
    j->crew = c;
    j->member = m;
    j->next = NULL;
    *m->last = j;
    m->last = &j->next;
    c->busy++;
    list(c, m);
    pump(c);
}

size_t crew_busy(const struct crew *c)
{
    return c->busy;
}

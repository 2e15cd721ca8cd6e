/*
 * The words of new mail are indexed when nobody waits: a few seconds behind a delivery, an APPEND
 * or COPY, or the first look at a folder that others filled, so that a burst is one job, in short
 * slices, one at a time, and only while few commands run. What is not indexed costs the next search
 * time, nothing else; so what does not fit here is dropped.
 */
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum { DELAY_MS = 3000, BUSY_MS = 200, SLICE_MS = 50, WAITING_MAX = 4096 };

struct entry {
    struct entry *next;
    size_t user_len, folder_len;
    char text[]; /* user, folder */
};

struct indexer {
    struct crew_job job; /* first */
    struct crew_member member;
    struct mailbox *mailbox;
    struct pn_timer *timer;
    struct entry *first, **last;
    size_t count;
    bool running, more;
};

static struct pn_str user_of(const struct entry *e)
{
    return (struct pn_str){e->text, e->user_len};
}

static struct pn_str folder_of(const struct entry *e)
{
    return (struct pn_str){e->text + e->user_len, e->folder_len};
}

static bool is_there(const struct indexer *x, struct pn_str user, struct pn_str folder)
{
    for (const struct entry *e = x->first; e != NULL; e = e->next)
        if (pn_str_eq(user_of(e), user) && pn_str_eq(folder_of(e), folder))
            return true;
    return false;
}

void indexer_note(struct indexer *x, struct pn_str user, struct pn_str folder)
{
    if (x->count >= WAITING_MAX || is_there(x, user, folder))
        return;
    struct entry *e = pn_calloc(1, sizeof *e + user.len + folder.len);
    e->user_len = user.len;
    e->folder_len = folder.len;
    memcpy(e->text, user.p, user.len);
    if (folder.len != 0)
        memcpy(e->text + user.len, folder.p, folder.len);
    *x->last = e;
    x->last = &e->next;
    if (x->count++ == 0 && !x->running)
        pn_timer_set(x->timer, DELAY_MS);
}

/* On a thread. The first stays where it is: only the loop's side changes the list's beginning. */
static void run(struct crew_job *job)
{
    struct indexer *x = (struct indexer *)job;
    x->more = mailbox_index(x->mailbox->store, user_of(x->first), folder_of(x->first), SLICE_MS);
}

static void drop_first(struct indexer *x)
{
    struct entry *e = x->first;
    x->first = e->next;
    if (x->first == NULL)
        x->last = &x->first;
    x->count--;
    free(e);
}

static void done(struct crew_job *job)
{
    struct indexer *x = (struct indexer *)job;
    x->running = false;
    if (!x->more)
        drop_first(x);
    if (x->count != 0 && !x->mailbox->draining)
        pn_timer_set(x->timer, x->more ? 0 : 1);
    mailbox_stop_if_idle(x->mailbox);
}

static void on_timer(void *arg)
{
    struct indexer *x = arg;
    struct mailbox *mb = x->mailbox;
    if (x->running || x->count == 0 || mb->draining)
        return;
    if (crew_busy(mb->crew) > mb->settings.threads / 4) {
        pn_timer_set(x->timer, BUSY_MS);
        return;
    }
    x->running = true;
    x->job.run = run;
    x->job.done = done;
    x->job.more = true; /* nobody waits for it */
    crew_submit(mb->crew, &x->member, &x->job);
}

bool indexer_runs(const struct indexer *x)
{
    return x->running;
}

struct indexer *indexer_new(struct mailbox *mb)
{
    struct indexer *x = pn_calloc(1, sizeof *x);
    x->mailbox = mb;
    x->last = &x->first;
    x->timer = pn_timer_new(mb->loop, on_timer, x);
    return x;
}

void indexer_free(struct indexer **indexer)
{
    struct indexer *x = *indexer;
    if (x == NULL)
        return;
    *indexer = NULL;
    while (x->running)
        pn_loop_turn(x->mailbox->loop, 100);
    while (x->first != NULL)
        drop_first(x);
    pn_timer_free(&x->timer);
    free(x);
}

/*
 * A message whose recipients are with several next hops does not rest before the last of them
 * has answered, and that may take minutes. Recipients of it that wait for a next try do not
 * wait for that: while others are under way, it is looked at when the first of them is due.
 */
#include "queue_int.h"

#include "clock.h"

enum { APART_MS = 100 }; /* one round takes along what is due by then */

static void arm(struct queue *q, int64_t due)
{
    int64_t wait = due - pn_clock_wall_ms();
    if (q->again_due_ms != 0 && q->again_due_ms <= due)
        return;
    q->again_due_ms = due;
    pn_timer_set(q->again_timer, wait < APART_MS ? APART_MS : (uint64_t)wait);
}

void again_forget(struct message *m)
{
    struct message_work *w = m->work;
    if (w == NULL || w->again_at == NULL)
        return;
    *w->again_at = w->again_next;
    if (w->again_next != NULL)
        w->again_next->again_at = w->again_at;
    w->again_at = NULL;
}

void again_at(struct message *m, int64_t due)
{
    struct queue *q = m->queue;
    struct message_work *w = m->work;
    if (w->again_at == NULL) {
        w->again_next = q->again;
        if (w->again_next != NULL)
            w->again_next->again_at = &w->again_next;
        w->again_at = &q->again;
        q->again = w;
        w->again_due_ms = due;
    } else if (due < w->again_due_ms) {
        w->again_due_ms = due;
    }
    arm(q, w->again_due_ms);
}

static void on_again(void *ctx)
{
    struct queue *q = ctx;
    struct message_work *all = q->again;
    int64_t now = pn_clock_wall_ms();
    q->again = NULL;
    q->again_due_ms = 0;
    if (all != NULL)
        all->again_at = &all;
    while (all != NULL) {
        struct message *m = all->m;
        int64_t due = all->again_due_ms;
        again_forget(m);
        if (due > now + APART_MS)
            again_at(m, due);
        else if (!q->draining)
            run_again(m);
    }
}

void again_init(struct queue *q)
{
    q->again_timer = pn_timer_new(q->loop, on_again, q);
}

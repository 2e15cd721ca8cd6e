#include "ub_base.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/time.h>
#include <unbound-event.h>

struct base {
    struct ub_event_base super;
    struct pn_loop *loop;
};

/* One of libunbound's events: a descriptor, a deadline, or both. */
struct event {
    struct ub_event super;
    struct pn_loop *loop;
    int fd;
    short bits;
    bool added;
    bool soon, queued; /* fires at the end of this turn; stands in the loop's list for it */
    uint64_t ms;       /* deadline of each wait; 0: none */
    void (*fn)(int fd, short bits, void *arg);
    void *arg;
    struct pn_watch *watch; /* made when first needed, for this fd */
    struct pn_timer *timer;
};

static int event_off(struct event *e)
{
    if (e->watch != NULL)
        pn_watch_set(e->watch, 0);
    if (e->timer != NULL)
        pn_timer_clear(e->timer);
    e->added = e->soon = false;
    return 0;
}

/* fn may free the event. */
static void fire(struct event *e, short bits)
{
    if ((e->bits & UB_EV_PERSIST) == 0)
        (void)event_off(e);
    else if (e->ms != 0)
        pn_timer_set(e->timer, e->ms);
    e->fn(e->fd, bits, e->arg);
}

static void on_watch(void *arg, unsigned events)
{
    struct event *e = arg;
    fire(e, (short)(((events & PN_WATCH_READ) != 0 ? UB_EV_READ : 0) |
                    ((events & PN_WATCH_WRITE) != 0 ? UB_EV_WRITE : 0)));
}

static void on_timer(void *arg)
{
    fire(arg, UB_EV_TIMEOUT);
}

static void on_soon(void *arg)
{
    struct event *e = arg;
    e->queued = false;
    if (!e->soon) /* taken back meanwhile */
        return;
    e->soon = false;
    fire(e, UB_EV_TIMEOUT);
}

/* No wait at all: so libunbound sends each question. A timer would hold it up for the
 * milliseconds that it is coarse by. */
static void fire_soon(struct event *e)
{
    if (e->timer != NULL)
        pn_timer_clear(e->timer);
    e->soon = true;
    if (!e->queued)
        pn_loop_defer(e->loop, on_soon, e);
    e->queued = true;
}

static void event_on(struct event *e, const struct timeval *tv)
{
    unsigned events = ((e->bits & UB_EV_READ) != 0 ? (unsigned)PN_WATCH_READ : 0) |
                      ((e->bits & UB_EV_WRITE) != 0 ? (unsigned)PN_WATCH_WRITE : 0);
    e->added = true;
    e->soon = false;
    e->ms = 0;
    if (events != 0 && e->fd >= 0) {
        if (e->watch == NULL)
            e->watch = pn_watch_new(e->loop, e->fd, events, on_watch, e);
        else
            pn_watch_set(e->watch, events);
    }
    if (tv == NULL)
        return;
    e->ms = (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
    if (e->ms == 0) {
        fire_soon(e);
        return;
    }
    if (e->timer == NULL)
        e->timer = pn_timer_new(e->loop, on_timer, e);
    pn_timer_set(e->timer, e->ms);
}

static void add_bits(struct ub_event *ev, short bits)
{
    struct event *e = (struct event *)ev;
    e->bits |= bits;
}

static void del_bits(struct ub_event *ev, short bits)
{
    struct event *e = (struct event *)ev;
    e->bits &= (short)~bits;
}

static void set_fd(struct ub_event *ev, int fd)
{
    struct event *e = (struct event *)ev;
    pn_watch_free(&e->watch);
    e->fd = fd;
}

static void event_free(struct ub_event *ev)
{
    struct event *e = (struct event *)ev;
    pn_watch_free(&e->watch);
    pn_timer_free(&e->timer);
    if (e->queued)
        pn_loop_forget(e->loop, e);
    free(e);
}

static int event_add(struct ub_event *ev, struct timeval *tv)
{
    event_on((struct event *)ev, tv);
    return 0;
}

static int event_del(struct ub_event *ev)
{
    return event_off((struct event *)ev);
}

static int add_timer(struct ub_event *ev, struct ub_event_base *base,
                     void (*fn)(int, short, void *), void *arg, struct timeval *tv)
{
    struct event *e = (struct event *)ev;
    (void)base;
    e->fn = fn;
    e->arg = arg;
    event_on(e, tv);
    return 0;
}

static int add_signal(struct ub_event *ev, struct timeval *tv)
{
    (void)ev;
    (void)tv;
    return -1;
}

static int del_signal(struct ub_event *ev)
{
    (void)ev;
    return -1;
}

static void no_wsaevent(struct ub_event *ev)
{
    (void)ev;
}

static void no_wouldblock(struct ub_event *ev, int bit)
{
    (void)ev;
    (void)bit;
}

static struct ub_event_vmt event_vmt = {
    .add_bits = add_bits,
    .del_bits = del_bits,
    .set_fd = set_fd,
    .free = event_free,
    .add = event_add,
    .del = event_del,
    .add_timer = add_timer,
    .del_timer = event_del,
    .add_signal = add_signal,
    .del_signal = del_signal,
    .winsock_unregister_wsaevent = no_wsaevent,
    .winsock_tcp_wouldblock = no_wouldblock,
};

static struct ub_event *new_event(struct ub_event_base *base, int fd, short bits,
                                  void (*fn)(int, short, void *), void *arg)
{
    struct event *e = pn_calloc(1, sizeof *e);
    *e = (struct event){.super = {UB_EVENT_MAGIC, &event_vmt},
                        .loop = ((struct base *)base)->loop,
                        .fd = fd,
                        .bits = bits,
                        .fn = fn,
                        .arg = arg};
    return &e->super;
}

static struct ub_event *new_signal(struct ub_event_base *base, int signo,
                                   void (*fn)(int, short, void *), void *arg)
{
    (void)base;
    (void)signo;
    (void)fn;
    (void)arg;
    return NULL;
}

static struct ub_event *new_wsaevent(struct ub_event_base *base, void *event,
                                     void (*fn)(int, short, void *), void *arg)
{
    (void)base;
    (void)event;
    (void)fn;
    (void)arg;
    return NULL;
}

/* The loop is not libunbound's to run, end or free. */
static void base_free(struct ub_event_base *base)
{
    (void)base;
}

static int base_dispatch(struct ub_event_base *base)
{
    (void)base;
    return -1;
}

static int base_loopexit(struct ub_event_base *base, struct timeval *tv)
{
    (void)base;
    (void)tv;
    return -1;
}

static struct ub_event_base_vmt base_vmt = {
    .free = base_free,
    .dispatch = base_dispatch,
    .loopexit = base_loopexit,
    .new_event = new_event,
    .new_signal = new_signal,
    .winsock_register_wsaevent = new_wsaevent,
};

struct ub_event_base *ub_base_new(struct pn_loop *loop)
{
    struct base *b = pn_calloc(1, sizeof *b);
    *b = (struct base){.super = {UB_EVENT_MAGIC, &base_vmt}, .loop = loop};
    return &b->super;
}

void ub_base_free(struct ub_event_base **base)
{
    free(*base);
    *base = NULL;
}

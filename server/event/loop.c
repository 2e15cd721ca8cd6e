#include "loop.h"

#include "assert.h"
#include "clock.h"
#include "loop_int.h"
#include "mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct task {
    void (*fn)(void *arg);
    void *arg;
};

struct tasks {
    struct task *list;
    size_t count, cap;
};

struct signal_watch {
    struct event ev;
    struct pn_loop *loop;
    void (*fn)(void *arg, int signo);
    void *arg;
    struct signal_watch *next;
};

struct pn_loop {
    struct event_base *base;
    uint64_t now;
    bool fresh; /* now was taken in this turn */
    bool stop;
    char *scratch;
    struct tasks deferred, running;
    struct signal_watch *signals;
    int wake_fd;
    int epoll_fd; /* libevent's; -1: not looked for yet, or not found */
    struct event wake;
    pthread_mutex_t lock; /* of posted */
    struct tasks posted;
};

struct pn_watch {
    struct event ev;
    struct pn_loop *loop;
    unsigned events;
    bool shared;
    void (*fn)(void *arg, unsigned events);
    void *arg;
};

/* The event is armed lazily: a deadline that moves away only changes `deadline`, and
 * the event, when it fires too early, is armed anew for what is left. */
struct pn_timer {
    struct event ev;
    struct pn_loop *loop;
    uint64_t deadline; /* ns; 0: not set */
    uint64_t armed;    /* when the event fires; 0: not armed */
    void (*fn)(void *arg);
    void *arg;
};

static void tasks_add(struct tasks *t, void (*fn)(void *arg), void *arg)
{
    t->list = pn_grow(t->list, &t->cap, t->count, sizeof t->list[0]);
    t->list[t->count++] = (struct task){fn, arg};
}

/* Runs what stood in `from` when called; what those add waits for the next time. */
static void tasks_run(struct pn_loop *loop, struct tasks *from, pthread_mutex_t *lock)
{
    pn_assert(loop->running.count == 0); /* a turn inside a turn */
    if (lock != NULL)
        (void)pthread_mutex_lock(lock);
    struct tasks batch = *from;
    *from = loop->running;
    if (lock != NULL)
        (void)pthread_mutex_unlock(lock);
    loop->running = batch;
    for (size_t i = 0; i < batch.count; i++)
        if (batch.list[i].fn != NULL) /* pn_loop_forget */
            batch.list[i].fn(batch.list[i].arg);
    loop->running.count = 0;
}

void loop_enter(struct pn_loop *loop)
{
    if (!loop->fresh) {
        loop->now = pn_clock_mono_ns();
        loop->fresh = true;
    }
}

struct event_base *loop_base(struct pn_loop *loop)
{
    return loop->base;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct pn_loop *loop = arg;
    uint64_t count;
    (void)what;
    loop_enter(loop);
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* only the wake-up matters */
    tasks_run(loop, &loop->posted, &loop->lock);
}

static void wake_open(struct pn_loop *loop)
{
    loop->epoll_fd = -1;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pn_assert(loop->wake_fd >= 0);
    pn_assert(event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake,
                           loop) == 0);
    pn_assert(event_add(&loop->wake, NULL) == 0);
}

struct pn_loop *pn_loop_new(void)
{
    struct pn_loop *loop = pn_calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    pn_assert(config != NULL);
    pn_assert(event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0);
    pn_assert(event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    pn_assert(loop->base != NULL);
    pn_assert(pthread_mutex_init(&loop->lock, NULL) == 0);
    /* OpenSSL writes without MSG_NOSIGNAL. */
    pn_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    wake_open(loop);
    loop->now = pn_clock_mono_ns();
    return loop;
}

void pn_loop_free(struct pn_loop **loop)
{
    struct pn_loop *l = *loop;
    if (l == NULL)
        return;
    *loop = NULL;
    while (l->signals != NULL) {
        struct signal_watch *s = l->signals;
        l->signals = s->next;
        (void)event_del(&s->ev);
        free(s);
    }
    (void)event_del(&l->wake);
    (void)close(l->wake_fd);
    event_base_free(l->base);
    (void)pthread_mutex_destroy(&l->lock);
    free(l->deferred.list);
    free(l->running.list);
    free(l->posted.list);
    free(l->scratch);
    free(l);
}

void pn_loop_after_fork(struct pn_loop *loop)
{
    pn_assert(event_reinit(loop->base) == 0);
    (void)event_del(&loop->wake);
    (void)close(loop->wake_fd); /* the parent's, shared until now */
    wake_open(loop);
}

static void turn(struct pn_loop *loop, int flags)
{
    loop->fresh = false;
    if (loop->deferred.count != 0)
        flags |= EVLOOP_NONBLOCK;
    /* One that can't wait, since a plugin closed what is not its own, say, would only spin. */
    pn_assert(event_base_loop(loop->base, EVLOOP_ONCE | flags) >= 0);
    if (loop->deferred.count != 0) {
        loop_enter(loop);
        tasks_run(loop, &loop->deferred, NULL);
    }
}

void pn_loop_run(struct pn_loop *loop)
{
    while (!loop->stop)
        turn(loop, 0);
    loop->stop = false;
}

static void on_turn_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

void pn_loop_turn(struct pn_loop *loop, unsigned ms)
{
    if (ms == 0) {
        turn(loop, EVLOOP_NONBLOCK);
        return;
    }
    struct event over;
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
    pn_assert(event_assign(&over, loop->base, -1, 0, on_turn_over, NULL) == 0);
    pn_assert(event_add(&over, &tv) == 0);
    turn(loop, 0);
    (void)event_del(&over);
}

void pn_loop_stop(struct pn_loop *loop)
{
    loop->stop = true;
}

uint64_t pn_loop_now(const struct pn_loop *loop)
{
    return loop->now;
}

char *pn_loop_scratch(struct pn_loop *loop)
{
    if (loop->scratch == NULL)
        loop->scratch = pn_alloc(PN_LOOP_SCRATCH);
    return loop->scratch;
}

void pn_loop_defer(struct pn_loop *loop, void (*fn)(void *arg), void *arg)
{
    tasks_add(&loop->deferred, fn, arg);
}

static void tasks_forget(struct tasks *t, const void *arg)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->list[i].arg == arg)
            t->list[i].fn = NULL;
}

void pn_loop_forget(struct pn_loop *loop, const void *arg)
{
    tasks_forget(&loop->deferred, arg);
    tasks_forget(&loop->running, arg);
    (void)pthread_mutex_lock(&loop->lock);
    tasks_forget(&loop->posted, arg);
    (void)pthread_mutex_unlock(&loop->lock);
}

void pn_loop_post(struct pn_loop *loop, void (*fn)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool first = loop->posted.count == 0;
    tasks_add(&loop->posted, fn, arg);
    (void)pthread_mutex_unlock(&loop->lock);
    if (first) {
        ssize_t n = write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
        pn_assert(n == (ssize_t)sizeof(uint64_t));
    }
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct pn_watch *w = arg;
    (void)fd;
    loop_enter(w->loop);
    unsigned events = ((what & EV_READ) != 0 ? (unsigned)PN_WATCH_READ : 0) |
                      ((what & EV_WRITE) != 0 ? (unsigned)PN_WATCH_WRITE : 0);
    w->fn(w->arg, events);
}

/* ---- descriptors that other processes watch, too
 *
 * epoll can wake one of many that sleep on a descriptor (EPOLLEXCLUSIVE), and libevent has
 * no word for that. So what libevent added is taken out of its epoll instance and added
 * again with that flag; libevent deletes it as any other. Its instance is the one that
 * knows our wake_fd already.
 *
 * The kernel wakes whoever was added first. Who took something adds itself again, at the
 * end of the line; what came meanwhile is reported then. Who dies while it is woken leaves
 * what there is to the next that is woken or added. */

enum { EPOLL_FD_MAX = 1024 };

static int find_epoll(const struct pn_loop *loop)
{
    struct epoll_event ev = {.events = 0};
    for (int fd = 0; fd < EPOLL_FD_MAX; fd++) {
        if (epoll_ctl(fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) == 0)
            (void)epoll_ctl(fd, EPOLL_CTL_DEL, loop->wake_fd, &ev); /* another loop's */
        else if (errno == EEXIST)
            return fd;
    }
    return -1;
}

static void add_shared(struct pn_watch *w)
{
    struct pn_loop *loop = w->loop;
    int fd = event_get_fd(&w->ev);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.fd = fd}};
    if (w->events != PN_WATCH_READ)
        return;
    if (loop->epoll_fd < 0)
        loop->epoll_fd = find_epoll(loop);
    if (loop->epoll_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL) != 0)
        return; /* as before: all are woken */
    pn_assert(epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0);
}

struct pn_watch *pn_watch_new(struct pn_loop *loop, int fd, unsigned events,
                              void (*fn)(void *arg, unsigned events), void *arg)
{
    struct pn_watch *w = pn_calloc(1, sizeof *w);
    *w = (struct pn_watch){.loop = loop, .fn = fn, .arg = arg};
    pn_assert(event_assign(&w->ev, loop->base, fd, EV_PERSIST, on_watch, w) == 0);
    pn_watch_set(w, events);
    return w;
}

void pn_watch_set(struct pn_watch *w, unsigned events)
{
    if (events == w->events)
        return;
    int fd = event_get_fd(&w->ev);
    if (w->events != 0)
        (void)event_del(&w->ev);
    w->events = events;
    if (events == 0)
        return;
    short what = (short)(((events & PN_WATCH_READ) != 0 ? EV_READ : 0) |
                         ((events & PN_WATCH_WRITE) != 0 ? EV_WRITE : 0) | EV_PERSIST);
    pn_assert(event_assign(&w->ev, w->loop->base, fd, what, on_watch, w) == 0);
    pn_assert(event_add(&w->ev, NULL) == 0);
    if (w->shared)
        add_shared(w);
}

void pn_watch_share(struct pn_watch *w)
{
    w->shared = true;
    add_shared(w);
}

void pn_watch_pass(struct pn_watch *w)
{
    if (w->shared)
        add_shared(w);
}

void pn_watch_free(struct pn_watch **watch)
{
    if (*watch == NULL)
        return;
    (void)event_del(&(*watch)->ev);
    free(*watch);
    *watch = NULL;
}

static void timer_arm(struct pn_timer *t)
{
    uint64_t now = pn_clock_mono_ns();
    uint64_t us = t->deadline > now ? (t->deadline - now + 999) / 1000 : 0;
    struct timeval tv = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    t->armed = t->deadline;
    pn_assert(event_add(&t->ev, &tv) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct pn_timer *t = arg;
    (void)fd;
    (void)what;
    loop_enter(t->loop);
    t->armed = 0;
    if (t->deadline == 0)
        return;
    if (t->deadline > t->loop->now) { /* it was moved, or libevent's clock is coarse */
        timer_arm(t);
        return;
    }
    t->deadline = 0;
    t->fn(t->arg);
}

struct pn_timer *pn_timer_new(struct pn_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct pn_timer *t = pn_calloc(1, sizeof *t);
    *t = (struct pn_timer){.loop = loop, .fn = fn, .arg = arg};
    pn_assert(event_assign(&t->ev, loop->base, -1, 0, on_timer, t) == 0);
    return t;
}

void pn_timer_set(struct pn_timer *t, uint64_t ms)
{
    uint64_t span = ms > UINT64_MAX / (4 * PN_NS_PER_MS) ? UINT64_MAX / 4 : ms * PN_NS_PER_MS;
    /* The turn's time may be old when a turn is long; being late by that is harmless
     * to nobody, so take the true time. */
    pn_timer_at(t, pn_clock_mono_ns() + span);
}

void pn_timer_at(struct pn_timer *t, uint64_t ns)
{
    t->deadline = ns;
    if (t->armed == 0 || t->armed > ns)
        timer_arm(t);
}

void pn_timer_clear(struct pn_timer *t)
{
    t->deadline = 0;
}

void pn_timer_free(struct pn_timer **timer)
{
    if (*timer == NULL)
        return;
    (void)event_del(&(*timer)->ev);
    free(*timer);
    *timer = NULL;
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    struct signal_watch *s = arg;
    (void)what;
    loop_enter(s->loop);
    s->fn(s->arg, signo);
}

void pn_loop_signal(struct pn_loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct signal_watch *s = pn_calloc(1, sizeof *s);
    *s = (struct signal_watch){.loop = loop, .fn = fn, .arg = arg, .next = loop->signals};
    loop->signals = s;
    pn_assert(event_assign(&s->ev, loop->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s) == 0);
    pn_assert(event_add(&s->ev, NULL) == 0);
}

#include "sched.h"

#include "assert.h"
#include "mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    PLUGINS = 64,
    SIGNAL_STACK = 32 * 1024,
    GUARD = 64 * 1024 /* a large frame must not step over it */
};

struct thread {
    struct sched *sched;
    pthread_t id;
    unsigned number;
};

struct sched {
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t more;  /* a unit may be taken */
    struct sched_unit *first, **last;
    unsigned max_threads, max_running;
    unsigned share, plugin_share;          /* threads for one of them */
    unsigned threads, idle, running, busy; /* busy: running or waiting */
    unsigned coming;                       /* woken or made, but not yet at work */
    atomic_uint plugin[PLUGINS];           /* threads in each; outside of the lock */
    atomic_uint parked;                    /* units that wait for a plugin */
    uint16_t network[SCHED_NETWORKS];      /* threads that serve each; by hash, doubles share */
    size_t stack;
    bool stop;
    struct thread thread[SCHED_THREADS_MAX];
};

static void lock(struct sched *s)
{
    pn_assert(pthread_mutex_lock(&s->lock) == 0);
}

static void unlock(struct sched *s)
{
    pn_assert(pthread_mutex_unlock(&s->lock) == 0);
}

uint32_t sched_network(const struct pn_ip *client)
{
    struct pn_net net = pn_net_of_client(client);
    return (
        uint32_t)(pn_str_hash((struct pn_str){(const char *)net.ip.b, sizeof net.ip.b}, 0, false) %
                  SCHED_NETWORKS);
}

/* ---- choosing; under the lock */

static bool plugin_free(const struct sched *s, int plugin)
{
    return plugin < 0 || atomic_load(&s->plugin[plugin]) < s->plugin_share;
}

/* The first in line that may go; a lone network takes turns when no other waits. */
static struct sched_unit **choose(struct sched *s)
{
    struct sched_unit **lone = NULL;
    if (s->running >= s->max_running)
        return NULL;
    for (struct sched_unit **at = &s->first; *at != NULL; at = &(*at)->next) {
        if (!plugin_free(s, (*at)->plugin))
            continue;
        if (s->network[(*at)->network] < s->share)
            return at;
        if (lone == NULL)
            lone = at;
    }
    /* Past its share while nobody else waits, but not beyond half: somebody may come at any
     * time, and needs threads then, and room in the plugins where these are. */
    return lone != NULL && s->busy < s->max_threads / 2 ? lone : NULL;
}

static struct sched_unit *take(struct sched *s)
{
    struct sched_unit **at = choose(s);
    if (at == NULL)
        return NULL;
    struct sched_unit *u = *at;
    *at = u->next;
    if (u->next == NULL)
        s->last = at;
    u->queued = false;
    s->parked -= u->plugin >= 0 ? 1 : 0;
    return u;
}

static void unlock_and_wake(struct sched *s);

/* Until the stop. */
static void serve(struct sched *s, const struct thread *t)
{
    lock(s);
    s->coming--;
    for (;;) {
        struct sched_unit *u = take(s);
        if (u == NULL) {
            if (s->stop)
                break;
            s->idle++;
            (void)pthread_cond_wait(&s->more, &s->lock);
            s->idle--;
            s->coming -= s->coming > 0 ? 1 : 0;
            continue;
        }
        uint32_t network = u->network; /* u may be gone when run returns */
        s->running++;
        s->busy++;
        s->network[network]++;
        unlock_and_wake(s);
        u->run(u, t->number);
        lock(s);
        s->network[network]--;
        s->busy--;
        s->running--;
    }
    unlock(s);
}

/* A fault whose signal is blocked ends the process before its handler can note it, and so
 * does one that left no room on the stack. */
static void *work(void *arg)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    struct thread *t = arg;
    char room[SIGNAL_STACK];
    stack_t own = {.ss_sp = room, .ss_size = sizeof room}, before;
    sigset_t open;
    (void)sigemptyset(&open);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        (void)sigaddset(&open, faults[i]);
    pn_assert(pthread_sigmask(SIG_UNBLOCK, &open, NULL) == 0);
    pn_assert(sigaltstack(&own, &before) == 0);
    serve(t->sched, t);
    pn_assert(sigaltstack(&before, NULL) == 0); /* a sanitizer's; it wants it back */
    return NULL;
}

static bool start_thread(struct sched *s)
{
    struct thread *t = &s->thread[s->threads];
    pthread_attr_t attr;
    sigset_t all, before;
    *t = (struct thread){.sched = s, .number = s->threads};
    pn_assert(pthread_attr_init(&attr) == 0 && pthread_attr_setguardsize(&attr, GUARD) == 0 &&
              pthread_attr_setstacksize(&attr, s->stack + GUARD + SIGNAL_STACK) == 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&t->id, &attr, work, t) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    s->threads += ok ? 1 : 0;
    return ok;
}

/* A unit waits and there is room: a new thread, or true: an idle one is to be told, by
 * whoever holds the lock, once it has given it back (else that thread waits for it). */
static bool wake(struct sched *s)
{
    if (s->first == NULL || s->running + s->coming >= s->max_running)
        return false;
    bool idle = s->idle > s->coming;
    if (!idle && (s->threads >= s->max_threads || !start_thread(s)))
        return false;
    s->coming++;
    return idle;
}

static void unlock_and_wake(struct sched *s)
{
    bool idle = wake(s);
    unlock(s);
    if (idle)
        (void)pthread_cond_signal(&s->more);
}

void sched_submit(struct sched *s, struct sched_unit *u)
{
    lock(s);
    if (!u->queued) {
        u->queued = true;
        u->next = NULL;
        *s->last = u;
        s->last = &u->next;
        s->parked += u->plugin >= 0 ? 1 : 0;
    }
    unlock_and_wake(s);
}

void sched_wait_begin(struct sched *s)
{
    lock(s);
    s->running--;
    unlock_and_wake(s);
}

void sched_wait_end(struct sched *s)
{
    lock(s);
    s->running++;
    unlock(s);
}

bool sched_plugin_enter(struct sched *s, unsigned plugin)
{
    if (atomic_fetch_add(&s->plugin[plugin], 1) < s->plugin_share)
        return true;
    sched_plugin_leave(s, plugin);
    return false;
}

void sched_plugin_leave(struct sched *s, unsigned plugin)
{
    (void)atomic_fetch_sub(&s->plugin[plugin], 1);
    if (atomic_load(&s->parked) == 0)
        return;
    lock(s);
    unlock_and_wake(s);
}

bool sched_spare(struct sched *s)
{
    lock(s);
    bool spare = s->first == NULL && s->running + s->coming < s->max_running;
    unlock(s);
    return spare;
}

struct sched *sched_new(unsigned threads, unsigned running, unsigned share, size_t stack)
{
    pn_assert(threads > 0 && threads <= SCHED_THREADS_MAX && running > 0);
    struct sched *s = pn_calloc(1, sizeof *s);
    s->max_threads = threads;
    s->max_running = running < threads ? running : threads;
    s->share = threads * share / 100 > 0 ? threads * share / 100 : 1;
    /* All mail goes through every plugin, so its share is what leaves others some room. */
    s->plugin_share = threads - threads / 4;
    s->stack = stack;
    s->last = &s->first;
    pn_assert(pthread_mutex_init(&s->lock, NULL) == 0 && pthread_cond_init(&s->more, NULL) == 0);
    return s;
}

void sched_free(struct sched **sched)
{
    struct sched *s = *sched;
    if (s == NULL)
        return;
    lock(s);
    s->stop = true;
    (void)pthread_cond_broadcast(&s->more);
    for (unsigned i = 0; i < s->threads; i++) { /* what still runs may have made more */
        unlock(s);
        (void)pthread_join(s->thread[i].id, NULL);
        lock(s);
    }
    unlock(s);
    pn_assert(s->first == NULL);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->more);
    free(s);
    *sched = NULL; /* only now: what ran last may still have submitted to it */
}

unsigned sched_threads(struct sched *s)
{
    lock(s);
    unsigned n = s->threads;
    unlock(s);
    return n;
}

unsigned sched_busy(struct sched *s)
{
    lock(s);
    unsigned n = s->busy;
    unlock(s);
    return n;
}

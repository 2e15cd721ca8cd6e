#include "worker_int.h"

#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * A thread of its own, which takes no lock that a plugin could hold and allocates
 * nothing: so it works while all else is stuck.
 */
enum {
    LOOK_MS = 50,
    AWAKE_MS = 2000,      /* after the last call; waking it costs more than a look */
    GRACE_MS = 100,       /* a call that ends at its deadline is none that hangs */
    GROWTH_MAX_MB = 1024, /* of resident memory: a plugin leaks, a fresh worker is due */
    NO_RESOLVER_MS = 2000 /* a new one comes sooner, unless this process did it */
};

struct watchdog {
    struct pn_page *page;
    const struct pn_asker *asker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stirred;
    atomic_bool asleep, stop;
    uint64_t drain_since;
    long resident_kb; /* at the beginning */
    bool fair;
    struct {
        uint32_t serial; /* of the call that is late; 0: none was */
        struct pn_patience patience;
    } late[PN_PAGE_SLOTS];
};

/* A call is past its time. Where a proof must not depend on how busy the machine is, it may
 * have as much of the CPU as we take before it is one that hangs. */
static bool waited_enough(struct watchdog *d, unsigned i, uint32_t serial)
{
    if (!d->fair)
        return true;
    if (d->late[i].serial != serial) {
        d->late[i].serial = serial;
        pn_patience_init(&d->late[i].patience, PN_PATIENCE_CPU_MS);
        d->late[i].patience.until = 0; /* its time is over already */
    }
    return pn_patience_over(&d->late[i].patience);
}

/* Counts calls, and those of them that hang. */
static void look(struct watchdog *d, uint64_t now, unsigned *live, unsigned *hung)
{
    *live = *hung = 0;
    for (unsigned i = 0; i < PN_PAGE_SLOTS; i++) {
        struct pn_page_slot *s = &d->page->slot[i];
        if (atomic_load_explicit(&s->request, memory_order_acquire) == 0)
            continue;
        ++*live;
        uint32_t serial = atomic_load(&s->serial);
        uint64_t limit = ((uint64_t)s->deadline_ms + GRACE_MS) * PN_NS_PER_MS;
        if (now > s->start_ns && now - s->start_ns > limit && waited_enough(d, i, serial) &&
            atomic_load(&s->request) != 0 && atomic_load(&s->serial) == serial) {
            ++*hung;
            atomic_store(&s->hung, 1);
        }
    }
}

static bool grown(const struct watchdog *d)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 && u.ru_maxrss - d->resident_kb > GROWTH_MAX_MB * 1024L;
}

static bool without_dns(const struct watchdog *d, uint64_t now)
{
    uint64_t lost = pn_asker_lost(d->asker);
    return lost != 0 && now > lost && now - lost > (uint64_t)NO_RESOLVER_MS * PN_NS_PER_MS;
}

/* Past its deadline: no new work, then the end once only hung calls are left. */
static void judge(struct watchdog *d, uint64_t now, unsigned live, unsigned hung)
{
    if (hung > 0 || grown(d) || without_dns(d, now)) {
        if (d->drain_since == 0)
            d->drain_since = now;
        atomic_store(&d->page->draining, 1);
    }
    if (d->drain_since == 0)
        return;
    bool late = now - d->drain_since > (uint64_t)PN_WORKER_DRAIN_MS * PN_NS_PER_MS;
    if (live == hung || late)
        _exit(PN_WORKER_HUNG_EXIT);
}

static void rest(struct watchdog *d)
{
    (void)pthread_mutex_lock(&d->lock);
    while (atomic_load(&d->asleep) && !atomic_load(&d->stop))
        (void)pthread_cond_wait(&d->stirred, &d->lock);
    (void)pthread_mutex_unlock(&d->lock);
}

static void *watch(void *arg)
{
    struct watchdog *d = arg;
    uint64_t last = pn_clock_mono_ns();
    (void)pthread_setname_np(pthread_self(), "watchdog");
    while (!atomic_load(&d->stop)) {
        unsigned live, hung;
        uint64_t now = pn_clock_mono_ns();
        look(d, now, &live, &hung);
        judge(d, now, live, hung);
        if (live > 0)
            last = now;
        if (now - last > (uint64_t)AWAKE_MS * PN_NS_PER_MS) {
            atomic_store(&d->asleep, true);
            rest(d);
            last = pn_clock_mono_ns();
        }
        (void)usleep(LOOK_MS * 1000);
    }
    return NULL;
}

void watchdog_stir(struct watchdog *d)
{
    if (!atomic_load_explicit(&d->asleep, memory_order_relaxed))
        return;
    (void)pthread_mutex_lock(&d->lock);
    atomic_store(&d->asleep, false);
    (void)pthread_cond_signal(&d->stirred);
    (void)pthread_mutex_unlock(&d->lock);
}

struct watchdog *watchdog_new(struct pn_page *page, const struct pn_asker *asker, bool fair)
{
    struct watchdog *d = pn_calloc(1, sizeof *d);
    struct rusage u = {0};
    sigset_t all, before;
    d->page = page;
    d->asker = asker;
    d->fair = fair;
    (void)getrusage(RUSAGE_SELF, &u);
    d->resident_kb = u.ru_maxrss;
    pn_assert(pthread_mutex_init(&d->lock, NULL) == 0 && pthread_cond_init(&d->stirred, NULL) == 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pn_assert(pthread_create(&d->thread, NULL, watch, d) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

void watchdog_free(struct watchdog **dog)
{
    struct watchdog *d = *dog;
    if (d == NULL)
        return;
    *dog = NULL;
    atomic_store(&d->stop, true);
    atomic_store(&d->asleep, true);
    watchdog_stir(d);
    (void)pthread_join(d->thread, NULL);
    (void)pthread_mutex_destroy(&d->lock);
    (void)pthread_cond_destroy(&d->stirred);
    free(d);
}

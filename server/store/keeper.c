/* The thread behind a store: indices are written in batches, and what is idle is let go. */
#include "store_int.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>
#include <time.h>

enum { SLICE_MS = 30 /* of work that nobody waits for */ };
enum { BATCH_MS = 200, IDLE_S = 5, TRIM_S = 10, WATCH_MS = 10000 };

struct keeper {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool started, work, stop;
};

/* False: it is to stop. */
static bool wait_ms(struct keeper *k, unsigned ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    at.tv_sec += (time_t)(ms / 1000) + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    if (!k->stop)
        (void)pthread_cond_timedwait(&k->wake, &k->lock, &at);
    return !k->stop;
}

static bool is_busy(const struct pn_user *user)
{
    return atomic_load(&user->busy);
}

static bool is_later(const struct pn_user *user)
{
    return atomic_load(&user->later);
}

/* The users it is to look at, each held. */
static struct pn_user **find_users(struct pn_store *store, bool (*is)(const struct pn_user *user),
                                   size_t *count)
{
    struct pn_user **v = NULL;
    size_t cap = 0;
    *count = 0;
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->user_slots; i++)
        for (struct pn_user *u = store->users[i]; u != NULL; u = u->next)
            if (is(u)) {
                v = pn_grow(v, &cap, *count, sizeof(struct pn_user *));
                v[(*count)++] = u;
                u->refs++;
            }
    (void)pthread_mutex_unlock(&store->lock);
    return v;
}

static void let_go(struct pn_store *store, struct pn_user *user)
{
    (void)pthread_mutex_lock(&store->lock);
    user->refs--;
    (void)pthread_mutex_unlock(&store->lock);
}

/* Some are still open: it is to come back. */
static bool look_at_users(struct pn_store *store)
{
    size_t count, open = 0;
    struct pn_user **users = find_users(store, is_busy, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t idle = open < INDICES_OPEN / 2 ? (uint64_t)IDLE_S * PN_NS_PER_S : 0;
        atomic_store(&users[i]->busy, false); /* what comes from now on sets it anew */
        if (!index_rest(users[i]->index, idle)) {
            atomic_store(&users[i]->busy, true);
            open++;
        }
        let_go(store, users[i]);
    }
    free(users);
    return open > 0;
}

/* A slice of what can wait. When it is to go on, in ms; 0: nothing is left. */
static unsigned work_for_users(struct pn_store *store)
{
    size_t count;
    unsigned next = 0;
    struct pn_user **users = find_users(store, is_later, &count);
    for (size_t i = 0; i < count; i++) {
        atomic_store(&users[i]->later, false);
        unsigned pause = later_work(users[i], SLICE_MS);
        if (pause > 0) {
            atomic_store(&users[i]->later, true);
            next = next == 0 || pause < next ? pause : next;
        }
        let_go(store, users[i]);
    }
    free(users);
    return next;
}

static void watch_users(struct pn_store *store)
{
    size_t count;
    struct pn_user **users = find_users(store, watch_is_wanted, &count);
    for (size_t i = 0; i < count; i++) {
        watch_look(users[i]);
        let_go(store, users[i]);
    }
    free(users);
}

/* For work, or until it is time to look at what is watched. */
static void wait_for_work(struct pn_store *store, uint64_t watch_ns)
{
    struct keeper *k = store->keeper;
    while (!k->work && !k->stop) {
        uint64_t now = pn_clock_mono_ns();
        if (atomic_load(&store->watched) == 0)
            (void)pthread_cond_wait(&k->wake, &k->lock);
        else if (now >= watch_ns)
            return;
        else
            (void)wait_ms(k, (unsigned)((watch_ns - now) / PN_NS_PER_MS) + 1);
    }
}

/* Work is to be done: true where there will be more. *later: in so many ms, or 0. */
static bool work_once(struct pn_store *store, unsigned *rounds, unsigned *later)
{
    bool more = look_at_users(store);
    *later = work_for_users(store);
    if (++*rounds % (TRIM_S * 1000 / BATCH_MS) == 0 || !more)
        store_trim(store);
    return more || *later > 0;
}

static void *keep(void *ctx)
{
    struct pn_store *store = ctx;
    struct keeper *k = store->keeper;
    unsigned rounds = 0, later = 0;
    uint64_t watch_ns = 0;
    (void)pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        wait_for_work(store, watch_ns);
        bool work = k->work;
        if (work && !wait_ms(k, later > 0 ? later : BATCH_MS))
            break;
        k->work = false;
        (void)pthread_mutex_unlock(&k->lock);
        bool more = work && work_once(store, &rounds, &later);
        if (pn_clock_mono_ns() >= watch_ns) {
            watch_users(store);
            watch_ns = pn_clock_mono_ns() + (uint64_t)atomic_load(&store->watch_ms) * PN_NS_PER_MS;
        }
        (void)pthread_mutex_lock(&k->lock);
        k->work = k->work || more;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return NULL;
}

void keeper_start(struct pn_store *store)
{
    struct keeper *k = pn_calloc(1, sizeof *k);
    (void)pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&k->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    atomic_store(&store->watch_ms, WATCH_MS);
    store->keeper = k;
}

void keeper_wake(struct pn_store *store)
{
    struct keeper *k = store->keeper;
    if (k == NULL) /* the store is closed: all is written then */
        return;
    (void)pthread_mutex_lock(&k->lock);
    if (!k->started && !k->stop)
        k->started = pthread_create(&k->thread, NULL, keep, store) == 0;
    if (!k->work) {
        k->work = true;
        (void)pthread_cond_signal(&k->wake);
    }
    (void)pthread_mutex_unlock(&k->lock);
}

void keeper_stop(struct pn_store *store)
{
    struct keeper *k = store->keeper;
    (void)pthread_mutex_lock(&k->lock);
    bool started = k->started;
    k->stop = true;
    (void)pthread_cond_signal(&k->wake);
    (void)pthread_mutex_unlock(&k->lock);
    if (started)
        (void)pthread_join(k->thread, NULL);
    (void)pthread_cond_destroy(&k->wake);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
    store->keeper = NULL;
}

void user_busy(struct pn_user *user)
{
    if (!atomic_exchange(&user->busy, true))
        keeper_wake(user->store);
}

#include "sim.h"

#include "assert.h"
#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/random.h>
#include <time.h>

/* What --wrap makes of the calls, and of what they were. */
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __real_pthread_join(pthread_t id, void **result);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_join(pthread_t id, void **result);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *at);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
ssize_t __wrap_getrandom(void *out, size_t n, unsigned flags);

enum { THREADS_MAX = 256, LOCKED_MAX = 16, DRIVER = 0 };
enum { WALL_S = 1700000000, CALL_NS = 1000 };

enum state { FREE, READY, WAITING, GONE, DEAD };

struct thread {
    enum state state;
    pthread_t real;
    sem_t turn;
    const void *on; /* WAITING: mutex, condition variable or thread */
    uint64_t due;   /* 0: no deadline */
    bool timed_out;
    void *(*fn)(void *);
    void *arg;
};

static struct {
    struct thread threads[THREADS_MAX];
    struct {
        const pthread_mutex_t *mutex;
        unsigned owner;
    } locked[LOCKED_MAX];
    unsigned current;
    bool driver_rests; /* it goes on only when no other can */
    uint64_t now;      /* ns */
    uint64_t order;    /* states of the drawings */
    uint64_t bytes;
} sim;

void sim_begin(uint64_t seed)
{
    static bool before;
    if (!before)
        pn_assert(sem_init(&sim.threads[DRIVER].turn, 0, 0) == 0);
    before = true;
    sim.threads[DRIVER].state = READY;
    sim.now = PN_NS_PER_S;
    sim.order = seed;
    sim.bytes = ~seed;
}

/* ---- whose turn it is ---- */

static unsigned pick(void)
{
    unsigned ready[THREADS_MAX], n = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        if (sim.threads[i].state == READY && (i != DRIVER || !sim.driver_rests))
            ready[n++] = i;
    if (n > 0)
        return ready[n == 1 ? 0 : sim_below(&sim.order, n)];
    if (sim.threads[DRIVER].state == READY)
        return DRIVER;
    unsigned first = THREADS_MAX;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        if (sim.threads[i].state == WAITING && sim.threads[i].due != 0 &&
            (first == THREADS_MAX || sim.threads[i].due < sim.threads[first].due))
            first = i;
    pn_assert(first < THREADS_MAX); /* else all wait for each other */
    if (sim.threads[first].due > sim.now)
        sim.now = sim.threads[first].due;
    sim.threads[first].state = READY;
    sim.threads[first].timed_out = true;
    return first;
}

/* The caller's state says when it may go on. */
static void pass(void)
{
    unsigned self = sim.current, next = pick();
    if (next == self)
        return;
    sim.current = next;
    pn_assert(sem_post(&sim.threads[next].turn) == 0);
    while (sem_wait(&sim.threads[self].turn) != 0)
        pn_assert(errno == EINTR);
}

void sim_yield(void)
{
    if (sim_below(&sim.order, 2) == 0)
        pass();
}

void sim_settle(void)
{
    pn_assert(sim.current == DRIVER);
    sim.driver_rests = true;
    pass();
    sim.driver_rests = false;
}

void sim_turns(unsigned n)
{
    pn_assert(sim.current == DRIVER);
    while (n-- > 0)
        pass();
}

void sim_kill_others(void)
{
    pn_assert(sim.current == DRIVER);
    for (unsigned i = DRIVER + 1; i < THREADS_MAX; i++)
        if (sim.threads[i].state == READY || sim.threads[i].state == WAITING)
            sim.threads[i].state = DEAD;
    for (unsigned i = 0; i < LOCKED_MAX; i++)
        sim.locked[i].mutex = NULL;
}

static void wait_for(const void *what, uint64_t due)
{
    struct thread *self = &sim.threads[sim.current];
    self->state = WAITING;
    self->on = what;
    self->due = due;
    self->timed_out = false;
    pass();
    self->on = NULL;
    self->due = 0;
}

void sim_stop(void)
{
    pn_assert(sim.current != DRIVER);
    for (;;)
        wait_for(&sim, 0);
}

/* Those who wait for it may go on: all, or one by lot. */
static void wake(const void *what, bool all)
{
    unsigned waiting[THREADS_MAX], n = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        if (sim.threads[i].state == WAITING && sim.threads[i].on == what)
            waiting[n++] = i;
    unsigned chosen = n > 1 ? (unsigned)sim_below(&sim.order, n) : 0;
    for (unsigned i = 0; i < n; i++)
        if (all || i == chosen)
            sim.threads[waiting[i]].state = READY;
}

/* ---- the calls ---- */

static void *body(void *arg)
{
    struct thread *self = arg;
    while (sem_wait(&self->turn) != 0)
        pn_assert(errno == EINTR);
    void *result = self->fn(self->arg);
    self->state = GONE;
    wake(self, true);
    unsigned next = pick();
    sim.current = next;
    pn_assert(sem_post(&sim.threads[next].turn) == 0);
    return result;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    unsigned i = 0;
    while (i < THREADS_MAX && sim.threads[i].state != FREE)
        i++;
    pn_assert(i < THREADS_MAX);
    struct thread *t = &sim.threads[i];
    *t = (struct thread){.state = READY, .fn = fn, .arg = arg};
    pn_assert(sem_init(&t->turn, 0, 0) == 0);
    int error = __real_pthread_create(&t->real, attr, body, t);
    if (error != 0)
        t->state = FREE;
    *id = t->real;
    return error;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
    unsigned i = 0;
    while (i < THREADS_MAX && (sim.threads[i].state == FREE || sim.threads[i].state == DEAD ||
                               i == DRIVER || !pthread_equal(sim.threads[i].real, id)))
        i++;
    pn_assert(i < THREADS_MAX);
    struct thread *t = &sim.threads[i];
    while (t->state != GONE)
        wait_for(t, 0);
    int error = __real_pthread_join(id, result);
    pn_assert(sem_destroy(&t->turn) == 0);
    t->state = FREE;
    return error;
}

/* LOCKED_MAX: nobody has it. */
static unsigned find_locked(const pthread_mutex_t *mutex)
{
    unsigned i = 0;
    while (i < LOCKED_MAX && sim.locked[i].mutex != mutex)
        i++;
    return i;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    while (find_locked(mutex) < LOCKED_MAX)
        wait_for(mutex, 0);
    unsigned free = find_locked(NULL);
    pn_assert(free < LOCKED_MAX);
    sim.locked[free].mutex = mutex;
    sim.locked[free].owner = sim.current;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    unsigned i = find_locked(mutex);
    pn_assert(i < LOCKED_MAX && sim.locked[i].owner == sim.current);
    sim.locked[i].mutex = NULL;
    wake(mutex, true);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *at)
{
    uint64_t due = at == NULL ? 0 : (uint64_t)at->tv_sec * PN_NS_PER_S + (uint64_t)at->tv_nsec;
    (void)__wrap_pthread_mutex_unlock(mutex);
    wait_for(cond, due);
    bool late = sim.threads[sim.current].timed_out;
    (void)__wrap_pthread_mutex_lock(mutex);
    return late ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return __wrap_pthread_cond_timedwait(cond, mutex, NULL);
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    wake(cond, false);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    wake(cond, true);
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    sim.now += CALL_NS;
    uint64_t base = clock == CLOCK_REALTIME ? WALL_S : 0;
    *out = (struct timespec){(time_t)(base + sim.now / PN_NS_PER_S), (long)(sim.now % PN_NS_PER_S)};
    return 0;
}

ssize_t __wrap_getrandom(void *out, size_t n, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)sim_random(&sim.bytes);
    return (ssize_t)n;
}

#include "threads.h"

#include "assert.h"
#include "mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    struct pn_job *first, **last;
};

struct worker {
    struct pn_threads *pool;
    pthread_t thread;
    pthread_cond_t wake;
    struct worker *next; /* in idle; under lock, as is called */
    bool called;
};

struct pn_threads {
    struct pn_watch *watch; /* of done_fd: jobs are done */
    int done_fd;
    unsigned count;
    struct worker *workers;
    char name[16];
    size_t busy; /* the loop's thread's */
    bool *gone;  /* where to tell a running callback that the pool was freed */
    pthread_mutex_t lock;
    struct worker *idle; /* under lock, as is what follows; who went idle last is first */
    struct queue waiting, done;
    bool stop;
};

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_put(struct queue *q, struct pn_job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}

static struct pn_job *queue_take(struct queue *q)
{
    struct pn_job *job = q->first;
    if (job != NULL && (q->first = job->next) == NULL)
        q->last = &q->first;
    return job;
}

/* What follows is for who holds the lock. */

static void go_idle(struct worker *w)
{
    w->called = false;
    w->next = w->pool->idle;
    w->pool->idle = w;
}

static void wait_called(struct worker *w)
{
    while (!w->called)
        (void)pthread_cond_wait(&w->wake, &w->pool->lock);
}

/* The one that was at work last: its memory is near its processor yet, that of one who rests for
 * long may be nowhere. NULL: all are at work, and look for more. */
static struct worker *call_one(struct pn_threads *t)
{
    struct worker *w = t->idle;
    if (w != NULL) {
        t->idle = w->next;
        w->called = true;
    }
    return w;
}

static struct pn_job *next_job(struct worker *w)
{
    struct pn_threads *t = w->pool;
    while (t->waiting.first == NULL && !t->stop) {
        go_idle(w);
        wait_called(w);
    }
    return queue_take(&t->waiting);
}

/* It counts as idle before the loop hears that the job is done: so what is submitted then is its
 * own to do. */
static void give_back(struct worker *w, struct pn_job *job)
{
    struct pn_threads *t = w->pool;
    bool first = t->done.first == NULL, idle = t->waiting.first == NULL && !t->stop;
    queue_put(&t->done, job);
    if (idle)
        go_idle(w);
    if (first) {
        (void)pthread_mutex_unlock(&t->lock);
        ssize_t n = write(t->done_fd, &(uint64_t){1}, sizeof(uint64_t));
        pn_assert(n == (ssize_t)sizeof(uint64_t));
        (void)pthread_mutex_lock(&t->lock);
    }
    if (idle)
        wait_called(w);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pn_threads *t = w->pool;
    (void)pthread_setname_np(pthread_self(), t->name);
    (void)pthread_mutex_lock(&t->lock);
    for (struct pn_job *job; (job = next_job(w)) != NULL;) {
        (void)pthread_mutex_unlock(&t->lock);
        job->run(job);
        (void)pthread_mutex_lock(&t->lock);
        give_back(w, job);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

static struct pn_job *take_done(struct pn_threads *t)
{
    (void)pthread_mutex_lock(&t->lock);
    struct pn_job *job = queue_take(&t->done);
    (void)pthread_mutex_unlock(&t->lock);
    return job;
}

static void on_done(void *arg, unsigned events)
{
    struct pn_threads *t = arg;
    bool gone = false;
    uint64_t count;
    (void)events;
    ssize_t got = read(t->done_fd, &count, sizeof count);
    (void)got; /* only the wake-up matters */
    t->gone = &gone;
    for (struct pn_job *job; !gone && (job = take_done(t)) != NULL;) {
        t->busy--;
        job->done(job);
    }
    if (!gone)
        t->gone = NULL;
}

static void worker_start(struct pn_threads *t, struct worker *w, const pthread_attr_t *attr)
{
    w->pool = t;
    pn_assert(pthread_cond_init(&w->wake, NULL) == 0 &&
              pthread_create(&w->thread, attr, work, w) == 0);
}

struct pn_threads *pn_threads_new(struct pn_loop *loop, unsigned count, size_t stack,
                                  const char *name)
{
    pn_assert(count > 0);
    struct pn_threads *t = pn_calloc(1, sizeof *t);
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    queue_init(&t->waiting);
    queue_init(&t->done);
    pn_assert(pthread_mutex_init(&t->lock, NULL) == 0);
    t->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pn_assert(t->done_fd >= 0);
    t->watch = pn_watch_new(loop, t->done_fd, PN_WATCH_READ, on_done, t);
    t->workers = pn_calloc(count, sizeof t->workers[0]);
    pthread_attr_t attr;
    sigset_t all, before;
    (void)sigfillset(&all);
    pn_assert(pthread_attr_init(&attr) == 0);
    if (stack != 0)
        pn_assert(pthread_attr_setstacksize(&attr, stack) == 0);
    pn_assert(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (t->count = 0; t->count < count; t->count++)
        worker_start(t, &t->workers[t->count], &attr);
    pn_assert(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_attr_destroy(&attr);
    return t;
}

void pn_threads_submit(struct pn_threads *t, struct pn_job *job)
{
    t->busy++;
    (void)pthread_mutex_lock(&t->lock);
    queue_put(&t->waiting, job);
    struct worker *w = call_one(t);
    (void)pthread_mutex_unlock(&t->lock);
    if (w != NULL)
        (void)pthread_cond_signal(&w->wake);
}

size_t pn_threads_busy(const struct pn_threads *t)
{
    return t->busy;
}

void pn_threads_free(struct pn_threads **threads)
{
    struct pn_threads *t = *threads;
    if (t == NULL)
        return;
    *threads = NULL;
    (void)pthread_mutex_lock(&t->lock);
    t->stop = true;
    for (struct worker *w; (w = call_one(t)) != NULL;)
        (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < t->count; i++) {
        (void)pthread_join(t->workers[i].thread, NULL);
        (void)pthread_cond_destroy(&t->workers[i].wake);
    }
    for (struct pn_job *job; (job = take_done(t)) != NULL;) {
        t->busy--;
        job->done(job);
    }
    if (t->gone != NULL)
        *t->gone = true;
    pn_watch_free(&t->watch);
    (void)close(t->done_fd);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->workers);
    free(t);
}

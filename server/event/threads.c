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

struct pn_threads {
    struct pn_watch *watch; /* of done_fd: jobs are done */
    int done_fd;
    unsigned count;
    pthread_t *threads;
    char name[16];
    size_t busy; /* the loop's thread's */
    bool *gone;  /* where to tell a running callback that the pool was freed */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct queue waiting, done; /* under lock, as is stop */
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

static struct pn_job *next_job(struct pn_threads *t)
{
    (void)pthread_mutex_lock(&t->lock);
    while (t->waiting.first == NULL && !t->stop)
        (void)pthread_cond_wait(&t->more, &t->lock);
    struct pn_job *job = queue_take(&t->waiting);
    (void)pthread_mutex_unlock(&t->lock);
    return job;
}

static void give_back(struct pn_threads *t, struct pn_job *job)
{
    (void)pthread_mutex_lock(&t->lock);
    bool first = t->done.first == NULL;
    queue_put(&t->done, job);
    (void)pthread_mutex_unlock(&t->lock);
    if (first) {
        ssize_t n = write(t->done_fd, &(uint64_t){1}, sizeof(uint64_t));
        pn_assert(n == (ssize_t)sizeof(uint64_t));
    }
}

static void *work(void *arg)
{
    struct pn_threads *t = arg;
    (void)pthread_setname_np(pthread_self(), t->name);
    for (struct pn_job *job; (job = next_job(t)) != NULL;) {
        job->run(job);
        give_back(t, job);
    }
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

struct pn_threads *pn_threads_new(struct pn_loop *loop, unsigned count, size_t stack,
                                  const char *name)
{
    pn_assert(count > 0);
    struct pn_threads *t = pn_calloc(1, sizeof *t);
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    queue_init(&t->waiting);
    queue_init(&t->done);
    pn_assert(pthread_mutex_init(&t->lock, NULL) == 0 && pthread_cond_init(&t->more, NULL) == 0);
    t->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pn_assert(t->done_fd >= 0);
    t->watch = pn_watch_new(loop, t->done_fd, PN_WATCH_READ, on_done, t);
    t->threads = pn_calloc(count, sizeof t->threads[0]);
    pthread_attr_t attr;
    sigset_t all, before;
    (void)sigfillset(&all);
    pn_assert(pthread_attr_init(&attr) == 0);
    if (stack != 0)
        pn_assert(pthread_attr_setstacksize(&attr, stack) == 0);
    pn_assert(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (t->count = 0; t->count < count; t->count++)
        pn_assert(pthread_create(&t->threads[t->count], &attr, work, t) == 0);
    pn_assert(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_attr_destroy(&attr);
    return t;
}

void pn_threads_submit(struct pn_threads *t, struct pn_job *job)
{
    t->busy++;
    (void)pthread_mutex_lock(&t->lock);
    queue_put(&t->waiting, job);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_cond_signal(&t->more);
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
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_cond_broadcast(&t->more);
    for (unsigned i = 0; i < t->count; i++)
        (void)pthread_join(t->threads[i], NULL);
    for (struct pn_job *job; (job = take_done(t)) != NULL;) {
        t->busy--;
        job->done(job);
    }
    if (t->gone != NULL)
        *t->gone = true;
    pn_watch_free(&t->watch);
    (void)close(t->done_fd);
    (void)pthread_cond_destroy(&t->more);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->threads);
    free(t);
}

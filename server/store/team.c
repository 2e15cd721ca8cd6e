#include "team.h"

#include "mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HELPERS = 3,
    STACK = 512 * 1024,
    WORTH = 8 /* things to do below which nobody is woken */
};

struct task {
    struct task *next;
    void (*fn)(void *ctx, size_t i);
    void *ctx;
    size_t count;
    atomic_size_t at;
    unsigned helpers; /* at work on it; team->lock */
    pthread_cond_t left;
};

struct team {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct task *first, **last; /* with something left, as far as is known */
    pthread_t threads[HELPERS];
    unsigned wanted, started;
    bool stop;
};

static void work(struct task *t)
{
    for (size_t i; (i = atomic_fetch_add(&t->at, 1)) < t->count;)
        t->fn(t->ctx, i);
}

static void unlist(struct team *team, const struct task *t)
{
    for (struct task **at = &team->first; *at != NULL; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            if (*at == NULL)
                team->last = at;
            return;
        }
}

static void enlist(struct team *team, struct task *t)
{
    t->next = NULL;
    *team->last = t;
    team->last = &t->next;
}

/* The first of those that wait, which goes behind all others: the next helper takes another. */
static void help_one(struct team *team)
{
    struct task *t = team->first;
    unlist(team, t);
    enlist(team, t);
    t->helpers++;
    (void)pthread_mutex_unlock(&team->lock);
    work(t);
    (void)pthread_mutex_lock(&team->lock);
    unlist(team, t); /* nothing is left to take */
    if (--t->helpers == 0)
        (void)pthread_cond_signal(&t->left);
}

static void *help(void *ctx)
{
    struct team *team = ctx;
    (void)pthread_mutex_lock(&team->lock);
    while (!team->stop)
        if (team->first != NULL)
            help_one(team);
        else
            (void)pthread_cond_wait(&team->wake, &team->lock);
    (void)pthread_mutex_unlock(&team->lock);
    return NULL;
}

struct team *team_new(void)
{
    struct team *team = pn_calloc(1, sizeof *team);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    (void)pthread_mutex_init(&team->lock, NULL);
    (void)pthread_cond_init(&team->wake, NULL);
    team->last = &team->first;
    team->wanted = processors > HELPERS ? HELPERS : processors > 1 ? (unsigned)processors - 1 : 0;
    return team;
}

void team_free(struct team **team)
{
    struct team *t = *team;
    if (t == NULL)
        return;
    *team = NULL;
    (void)pthread_mutex_lock(&t->lock);
    t->stop = true;
    (void)pthread_cond_broadcast(&t->wake);
    (void)pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < t->started; i++)
        (void)pthread_join(t->threads[i], NULL);
    (void)pthread_cond_destroy(&t->wake);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

/* team->lock is held. A thread that can't be had is no loss: who asks works himself. */
static void start(struct team *team)
{
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK);
    while (team->started < team->wanted &&
           pthread_create(&team->threads[team->started], &attr, help, team) == 0)
        team->started++;
    team->wanted = team->started;
    (void)pthread_attr_destroy(&attr);
}

void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t i), void *ctx)
{
    struct task t = {.fn = fn, .ctx = ctx, .count = count};
    if (team == NULL || count < WORTH) {
        work(&t);
        return;
    }
    (void)pthread_cond_init(&t.left, NULL);
    (void)pthread_mutex_lock(&team->lock);
    start(team);
    enlist(team, &t);
    (void)pthread_cond_broadcast(&team->wake);
    (void)pthread_mutex_unlock(&team->lock);
    work(&t);
    (void)pthread_mutex_lock(&team->lock);
    unlist(team, &t);
    while (t.helpers > 0)
        (void)pthread_cond_wait(&t.left, &team->lock);
    (void)pthread_mutex_unlock(&team->lock);
    (void)pthread_cond_destroy(&t.left);
}

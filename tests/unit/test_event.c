#include "unit.h"

#include "assert.h"
#include "clock.h"
#include "loop.h"
#include "threads.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Turns until *done, for two seconds at most. */
static void turn_until(struct pn_loop *loop, const volatile int *value, int want)
{
    uint64_t end = pn_clock_mono_ns() + 2 * (uint64_t)PN_NS_PER_S;
    while (*value != want && pn_clock_mono_ns() < end)
        pn_loop_turn(loop, 50);
    UNIT_INT(*value, want);
}

static struct pn_loop *loop;
static int count;

static void add_one(void *arg)
{
    (void)arg;
    count++;
}

static void add_more(void *arg)
{
    count++;
    if (count < 5)
        pn_loop_defer(loop, add_more, arg);
}

static void test_defer(void)
{
    int a = 0, b = 0;
    loop = pn_loop_new();
    count = 0;
    pn_loop_defer(loop, add_more, &a);
    UNIT_INT(count, 0); /* never from inside the call */
    pn_loop_turn(loop, 0);
    UNIT_INT(count, 1);
    turn_until(loop, &count, 5);
    pn_loop_defer(loop, add_one, &a);
    pn_loop_defer(loop, add_one, &b);
    pn_loop_forget(loop, &a);
    pn_loop_turn(loop, 0);
    UNIT_INT(count, 6);
    pn_loop_free(&loop);
    UNIT_TRUE(loop == NULL);
}

static void stop_loop(void *arg)
{
    count++;
    pn_loop_stop(arg);
}

static void test_timer(void)
{
    loop = pn_loop_new();
    struct pn_timer *t = pn_timer_new(loop, stop_loop, loop);
    struct pn_timer *never = pn_timer_new(loop, add_one, NULL);
    count = 0;
    uint64_t begin = pn_clock_mono_ns();
    pn_timer_set(never, 1);
    pn_timer_clear(never);
    pn_timer_set(t, 1);
    pn_timer_set(t, 25); /* moved away before it fired */
    pn_loop_run(loop);
    UNIT_INT(count, 1);
    UNIT_TRUE(pn_clock_mono_ns() - begin >= 25 * (uint64_t)PN_NS_PER_MS);
    UNIT_TRUE(pn_loop_now(loop) >= begin);
    pn_timer_set(t, 60 * 1000);
    pn_timer_set(t, 2); /* moved nearer */
    pn_loop_run(loop);
    UNIT_INT(count, 2);
    pn_timer_set(t, UINT64_MAX); /* no overflow: does not fire */
    pn_loop_turn(loop, 0);
    UNIT_INT(count, 2);
    pn_timer_free(&t);
    pn_timer_free(&never);
    pn_loop_free(&loop);
}

static void free_timer(void *arg)
{
    count++;
    pn_timer_free(arg);
}

static void test_free_inside(void)
{
    loop = pn_loop_new();
    struct pn_timer *t;
    count = 0;
    t = pn_timer_new(loop, free_timer, &t);
    pn_timer_set(t, 0);
    turn_until(loop, &count, 1);
    UNIT_TRUE(t == NULL);
    pn_loop_free(&loop);
}

struct pair {
    int fds[2];
    struct pn_watch *watch;
    unsigned seen;
};

static void on_watch(void *arg, unsigned events)
{
    struct pair *p = arg;
    p->seen |= events;
    count++;
}

static void test_watch(void)
{
    struct pair p = {.seen = 0};
    loop = pn_loop_new();
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
    p.watch = pn_watch_new(loop, p.fds[0], 0, on_watch, &p);
    UNIT_INT(write(p.fds[1], "x", 1), 1);
    count = 0;
    pn_loop_turn(loop, 0);
    UNIT_INT(count, 0);
    pn_watch_set(p.watch, PN_WATCH_READ);
    pn_loop_turn(loop, 0);
    pn_loop_turn(loop, 0); /* level-triggered: again */
    UNIT_INT(count, 2);
    UNIT_INT(p.seen, PN_WATCH_READ);
    pn_watch_set(p.watch, PN_WATCH_WRITE);
    p.seen = 0;
    pn_loop_turn(loop, 0);
    UNIT_INT(p.seen, PN_WATCH_WRITE);
    pn_watch_set(p.watch, PN_WATCH_READ | PN_WATCH_WRITE);
    pn_loop_turn(loop, 0);
    UNIT_INT(p.seen, PN_WATCH_READ | PN_WATCH_WRITE);
    pn_watch_free(&p.watch);
    UNIT_TRUE(p.watch == NULL);
    pn_watch_free(&p.watch);
    (void)close(p.fds[0]);
    (void)close(p.fds[1]);
    pn_loop_free(&loop);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        pn_loop_post(loop, add_one, arg);
    return NULL;
}

static void test_post(void)
{
    pthread_t threads[3];
    loop = pn_loop_new();
    count = 0;
    for (int i = 0; i < 3; i++)
        UNIT_INT(pthread_create(&threads[i], NULL, post_many, NULL), 0);
    turn_until(loop, &count, 1500);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    pn_loop_free(&loop);
}

static void on_signal(void *arg, int signo)
{
    *(int *)arg = signo;
}

static void test_signal(void)
{
    int got = 0;
    loop = pn_loop_new();
    pn_loop_signal(loop, SIGUSR1, on_signal, &got);
    UNIT_INT(raise(SIGUSR1), 0);
    turn_until(loop, &got, SIGUSR1);
    pn_loop_free(&loop);
}

/* A forked child goes on with the loop; the parent's watch is unharmed. */
static void test_fork(void)
{
    struct pair p = {.seen = 0};
    loop = pn_loop_new();
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
    p.watch = pn_watch_new(loop, p.fds[0], PN_WATCH_READ, on_watch, &p);
    pid_t child = fork();
    if (child == 0) {
        pn_loop_after_fork(loop);
        pn_watch_free(&p.watch);
        count = 0;
        pn_loop_post(loop, add_one, NULL);
        pn_loop_turn(loop, 1000);
        pn_loop_free(&loop);
        _exit(count == 1 ? 7 : 1);
    }
    int status = 0;
    UNIT_TRUE(waitpid(child, &status, 0) == child && WIFEXITED(status));
    UNIT_INT(WEXITSTATUS(status), 7);
    count = 0;
    UNIT_INT(write(p.fds[1], "x", 1), 1);
    pn_loop_turn(loop, 1000);
    UNIT_INT(count, 1);
    pn_watch_free(&p.watch);
    (void)close(p.fds[0]);
    (void)close(p.fds[1]);
    pn_loop_free(&loop);
}

struct sum {
    struct pn_job job;
    int value;
    pthread_t ran_on;
    struct pn_threads **free_pool;
};

static int done_count;

static void sum_run(struct pn_job *job)
{
    struct sum *s = (struct sum *)job;
    s->value *= 2;
    s->ran_on = pthread_self();
}

static void sum_done(struct pn_job *job)
{
    struct sum *s = (struct sum *)job;
    done_count++;
    if (s->free_pool != NULL)
        pn_threads_free(s->free_pool);
}

static void test_threads(void)
{
    enum { JOBS = 100 };
    struct sum jobs[JOBS];
    loop = pn_loop_new();
    struct pn_threads *pool = pn_threads_new(loop, 3, 256 * 1024, "unit");
    done_count = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct sum){.job = {sum_run, sum_done, NULL}, .value = i};
        pn_threads_submit(pool, &jobs[i].job);
    }
    UNIT_INT(pn_threads_busy(pool), JOBS);
    UNIT_INT(done_count, 0);
    turn_until(loop, &done_count, JOBS);
    UNIT_INT(pn_threads_busy(pool), 0);
    for (int i = 0; i < JOBS; i++) {
        UNIT_INT(jobs[i].value, 2 * i);
        UNIT_TRUE(!pthread_equal(jobs[i].ran_on, pthread_self()));
    }
    done_count = 0;
    for (int i = 0; i < JOBS; i++)
        pn_threads_submit(pool, &jobs[i].job);
    pn_threads_free(&pool); /* waits, and tells all */
    UNIT_INT(done_count, JOBS);
    pn_loop_turn(loop, 0);
    pn_loop_free(&loop);
}

struct meeting {
    struct pn_job job;
    pthread_barrier_t *all;
    pthread_t ran_on;
};

static void meet(struct pn_job *job)
{
    struct meeting *m = (struct meeting *)job;
    m->ran_on = pthread_self();
    if (m->all != NULL)
        (void)pthread_barrier_wait(m->all);
}

static void met(struct pn_job *job)
{
    (void)job;
    done_count++;
}

/* One job at a time is the same thread's, however many have been at work before. */
static void test_threads_last_first(void)
{
    enum { THREADS = 4, ALONE = 20 };
    struct meeting jobs[THREADS + ALONE] = {0};
    pthread_barrier_t all;
    loop = pn_loop_new();
    struct pn_threads *pool = pn_threads_new(loop, THREADS, 256 * 1024, "unit");
    pn_assert(pthread_barrier_init(&all, NULL, THREADS) == 0);
    done_count = 0;
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct meeting){.job = {meet, met, NULL}, .all = &all};
        pn_threads_submit(pool, &jobs[i].job);
    }
    turn_until(loop, &done_count, THREADS);
    for (int i = THREADS; i < THREADS + ALONE; i++) {
        jobs[i] = (struct meeting){.job = {meet, met, NULL}};
        pn_threads_submit(pool, &jobs[i].job);
        turn_until(loop, &done_count, i + 1);
        UNIT_TRUE(pthread_equal(jobs[i].ran_on, jobs[THREADS].ran_on));
    }
    pn_threads_free(&pool);
    (void)pthread_barrier_destroy(&all);
    pn_loop_free(&loop);
}

static void test_threads_free_inside(void)
{
    loop = pn_loop_new();
    struct pn_threads *pool = pn_threads_new(loop, 2, 0, "unit");
    struct sum jobs[4];
    done_count = 0;
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct sum){.job = {sum_run, sum_done, NULL}, .free_pool = &pool};
        pn_threads_submit(pool, &jobs[i].job);
    }
    turn_until(loop, &done_count, 4);
    UNIT_TRUE(pool == NULL);
    pn_loop_free(&loop);
}

/* ---- one descriptor, several processes ---- */

enum { SHARERS = 3, ROUNDS = 10 };

struct sharer {
    struct pn_watch *watch;
    int listener, wakes; /* a pipe: a byte a call */
    char name;
};

static void on_shared(void *arg, unsigned events)
{
    struct sharer *s = arg;
    int fd;
    (void)events;
    UNIT_INT(write(s->wakes, "w", 1), 1);
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        UNIT_INT(write(fd, &s->name, 1), 1);
    pn_watch_pass(s->watch);
}

static pid_t sharer_start(int listener, int wakes, char name)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct sharer s = {.listener = listener, .wakes = wakes, .name = name};
    loop = pn_loop_new();
    s.watch = pn_watch_new(loop, listener, PN_WATCH_READ, on_shared, &s);
    pn_watch_share(s.watch);
    UNIT_INT(write(wakes, "r", 1), 1); /* ready */
    pn_loop_run(loop);
    _exit(0);
}

static void until_asleep(pid_t pid)
{
    char path[64], text[256], state = 0;
    for (unsigned i = 0; i < 10000 && state != 'S'; i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        const char *end =
            f != NULL && fgets(text, sizeof text, f) != NULL ? strrchr(text, ')') : NULL;
        state = end == NULL ? 0 : end[2];
        if (f != NULL)
            (void)fclose(f);
        if (state != 'S')
            (void)poll(NULL, 0, 1);
    }
    UNIT_INT(state, 'S');
}

static int dial(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_INT(connect(fd, (const struct sockaddr *)to, sizeof *to), 0);
    return fd;
}

/* Who took it: its name. */
static char served(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char name = 0;
    UNIT_INT(poll(&p, 1, 10000), 1);
    UNIT_INT(read(fd, &name, 1), 1);
    (void)close(fd);
    return name;
}

/* One sleeper wakes for each connection, and each has its turn. One that dies when it was
 * woken leaves the connection to the others. */
static void test_share(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    pid_t pids[SHARERS];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), wakes[2];
    int fds[2 * SHARERS];
    unsigned took[SHARERS] = {0};
    char woken[SHARERS * ROUNDS * SHARERS + 1];
    UNIT_INT(bind(listener, (struct sockaddr *)&sin, len), 0);
    UNIT_INT(listen(listener, 64), 0);
    UNIT_INT(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    UNIT_INT(pipe(wakes), 0);
    for (unsigned i = 0; i < SHARERS; i++)
        pids[i] = sharer_start(listener, wakes[1], (char)('0' + i));
    for (unsigned i = 0; i < SHARERS; i++)
        UNIT_INT(read(wakes[0], woken, 1), 1);
    for (unsigned i = 0; i < SHARERS * ROUNDS; i++) {
        for (unsigned k = 0; k < SHARERS; k++)
            until_asleep(pids[k]);
        took[served(dial(&sin)) - '0']++;
    }
    for (unsigned i = 0; i < SHARERS; i++)
        UNIT_INT(took[i], ROUNDS);
    UNIT_INT(read(wakes[0], woken, sizeof woken), SHARERS * ROUNDS);
    UNIT_INT(kill(pids[0], SIGSTOP), 0);
    UNIT_INT(waitpid(pids[0], NULL, WUNTRACED), pids[0]);
    for (unsigned i = 0; i < SHARERS; i++)
        fds[i] = dial(&sin);
    UNIT_INT(kill(pids[0], SIGKILL), 0);
    UNIT_INT(waitpid(pids[0], NULL, 0), pids[0]);
    for (unsigned i = SHARERS; i < 2 * SHARERS; i++)
        fds[i] = dial(&sin);
    for (unsigned i = 0; i < 2 * SHARERS; i++)
        UNIT_TRUE(served(fds[i]) > '0');
    for (unsigned i = 1; i < SHARERS; i++) {
        UNIT_INT(kill(pids[i], SIGKILL), 0);
        UNIT_INT(waitpid(pids[i], NULL, 0), pids[i]);
    }
    (void)close(wakes[0]);
    (void)close(wakes[1]);
    (void)close(listener);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"defer", test_defer},
        {"timer", test_timer},
        {"free inside", test_free_inside},
        {"watch", test_watch},
        {"post", test_post},
        {"signal", test_signal},
        {"fork", test_fork},
        {"share", test_share},
        {"threads", test_threads},
        {"threads, the last first", test_threads_last_first},
        {"threads free inside", test_threads_free_inside},
        {NULL, NULL},
    };
    return unit_main("event", tests, argc, argv);
}

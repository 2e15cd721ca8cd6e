/*
 * What the pipeline costs over the plugins' own work: one runner here, one worker in a
 * child, plugins that do next to nothing. Prints CPU and wall microseconds a message,
 * for one run a message (all stages at once) and for two (to RCPT, then the rest).
 *
 *   bench_filters PLUGIN.so [messages [at once]]
 */
#include "channel.h"
#include "clock.h"
#include "memfile.h"
#include "runner.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 1000 };

struct bench {
    struct pn_loop *loop;
    struct pn_runner *runner;
    struct session {
        struct bench *bench;
        struct pn_check *check;
        bool second; /* of two runs */
    } sessions[AT_ONCE_MAX];
    unsigned long left, over;
    unsigned runs; /* a message */
    int fd;
    uint64_t size;
};

static void stop(void *ctx)
{
    pn_loop_stop(ctx);
}

_Noreturn static void be_worker(struct pn_plan *plan, struct host_plugin *plugin, int fd)
{
    struct pn_loop *loop = pn_loop_new();
    struct pn_worker_options o = {
        .plan = plan, .plugins = plugin, .count = 1, .on_idle = stop, .ctx = loop};
    struct pn_worker *w = pn_worker_new(loop, &o);
    pn_worker_link(w, fd);
    pn_loop_run(loop);
    pn_worker_free(&w);
    _exit(0);
}

static void start(struct session *s);

static void done(void *ctx, enum pn_check_end end)
{
    struct session *s = ctx;
    struct bench *b = s->bench;
    if (end != PN_CHECK_WHOLE || pn_check_facts(s->check)->symbol_count == 0)
        exit(1);
    if (s->second) {
        s->second = false;
        pn_check_content(s->check, b->fd, b->size);
        if (!pn_check_run(s->check, POSTERN_MESSAGE, done, s))
            exit(1);
        return;
    }
    pn_check_free(&s->check);
    b->over++;
    if (b->left > 0)
        start(s);
}

static void start(struct session *s)
{
    struct bench *b = s->bench;
    struct pn_check_client client = {.id = PN_STR("s"), .port = 25};
    (void)pn_ip_parse(PN_STR("192.0.2.1"), &client.ip);
    b->left--;
    s->check = pn_check_new(b->runner, &client);
    pn_check_helo(s->check, PN_STR("mail.example.test"));
    pn_check_mail(s->check, &(struct pn_check_mail){.from = PN_STR("someone@example.test"),
                                                    .id = PN_STR("m"),
                                                    .now_ms = 1});
    pn_check_rcpt(s->check, PN_STR("user@here.test"), UINT64_MAX);
    s->second = b->runs == 2;
    if (!s->second)
        pn_check_content(s->check, b->fd, b->size);
    if (!pn_check_run(s->check, s->second ? POSTERN_RCPT : POSTERN_MESSAGE, done, s))
        exit(1);
}

static double cpu_us(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void measure(struct pn_plan *plan, struct host_plugin *plugin, unsigned long messages,
                    unsigned at_once, unsigned runs)
{
    static const struct pn_runner_ops ops = {0};
    static struct bench b;
    int fds[2];
    char text[8192];
    memset(text, 'x', sizeof text);
    memcpy(text, "Subject: hello\r\n\r\n", 18);
    if (pn_channel_pair(fds) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        be_worker(plan, plugin, fds[1]);
    }
    (void)close(fds[1]);
    b = (struct bench){.loop = pn_loop_new(), .left = messages, .runs = runs, .size = sizeof text};
    b.fd = pn_memfile_of("content", (struct pn_str){text, sizeof text});
    b.runner = pn_runner_new(b.loop, plan, PN_STR("mx.here.test"), &ops, NULL);
    struct pn_peer peer = {.generation = 1, .fd = fds[0]};
    pn_runner_add_worker(b.runner, &peer);
    while (!pn_runner_ready(b.runner))
        pn_loop_turn(b.loop, 100);
    double own = cpu_us(RUSAGE_SELF), children = cpu_us(RUSAGE_CHILDREN);
    uint64_t begun = pn_clock_mono_ns();
    for (unsigned i = 0; i < at_once; i++) {
        b.sessions[i].bench = &b;
        start(&b.sessions[i]);
    }
    while (b.over < messages)
        pn_loop_turn(b.loop, 1000);
    double wall = (double)(pn_clock_mono_ns() - begun) / 1000;
    own = cpu_us(RUSAGE_SELF) - own;
    pn_runner_free(&b.runner);
    (void)waitpid(pid, NULL, 0);
    children = cpu_us(RUSAGE_CHILDREN) - children;
    double n = (double)messages;
    printf("%u run%s  %4u at once  runner %6.1f us  worker %6.1f us  wall %7.1f us a message\n",
           runs, runs == 1 ? " " : "s", at_once, own / n, children / n, wall / n);
    (void)close(b.fd);
    pn_loop_free(&b.loop);
}

int main(int argc, char **argv)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_plugin *loaded = argc < 2 ? NULL : pn_plugin_load(argv[1], &err);
    unsigned long messages = argc < 3 ? 20000 : strtoul(argv[2], NULL, 10);
    unsigned long at_once = argc < 4 ? 50 : strtoul(argv[3], NULL, 10);
    if (loaded == NULL || messages == 0 || at_once == 0 || at_once > AT_ONCE_MAX) {
        fprintf(stderr, "usage: bench_filters PLUGIN.so [messages [at once]]\n%s\n",
                pn_buf_cstr(&err));
        return 2;
    }
    const struct postern_plugin *d = pn_plugin_desc(loaded);
    struct pn_plan *plan = calloc(1, sizeof *plan);
    *plan = (struct pn_plan){
        .refs = 1, .generation = 1, .budget_ms = 20000, .group_count = 1, .count = 1};
    plan->plugins[0] = (struct pn_plan_plugin){.name = pn_str_of(d->name), .deadline_ms = 5000};
    for (unsigned s = 0; s < POSTERN_STAGES; s++)
        plan->plugins[0].stages |= (d->on[s] != NULL ? 1U : 0U) << s;
    struct host_plugin plugin = {.loaded = loaded, .desc = d, .symbols = pn_plugin_symbols(loaded)};
    for (unsigned runs = 1; runs <= 2; runs++) {
        measure(plan, &plugin, messages, 1, runs);
        measure(plan, &plugin, messages, (unsigned)at_once, runs);
    }
    pn_plan_unref(&plan);
    pn_plugin_unload(&loaded);
    pn_buf_fini(&err);
    return 0;
}

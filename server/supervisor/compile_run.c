/* One run of the compile role: a process that reads the configuration and ends. */
#include "log.h"
#include "mem.h"
#include "supervisor_int.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIMIT_MS = 120 * 1000, QUEUE_BYTES = 1024 * 1024 };

struct compile_run {
    struct supervisor *sup;
    struct pn_channel *control;
    struct pn_timer *limit;
    pid_t pid;
    int policy_fd;
    unsigned errors;
    char *loads; /* the plugin that it loads, or NULL */
};

static void run_free(struct compile_run *run)
{
    run->sup->compile = NULL;
    pn_channel_free(&run->control);
    pn_timer_free(&run->limit);
    free(run->loads);
    free(run);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct compile_run *run = ctx;
    struct supervisor *sup = run->sup;
    int fd = run->policy_fd;
    if (how == PN_CHANNEL_PROTOCOL)
        (void)kill(run->pid, SIGKILL);
    if (fd >= 0 && (how == PN_CHANNEL_PROTOCOL || run->errors != 0)) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0 && run->errors == 0)
        pn_error("the compile role ended without a result%s%s",
                 run->loads == NULL ? "" : ": it died while it loaded ",
                 run->loads == NULL ? "" : run->loads);
    run_free(run);
    reload_compiled(sup, fd);
}

static bool note_loads(struct compile_run *run, struct pn_str path)
{
    free(run->loads);
    run->loads = path.len == 0 ? NULL : pn_strndup(path.p, path.len);
    return true;
}

static bool on_record(void *ctx, struct pn_record *r)
{
    struct compile_run *run = ctx;
    switch (r->type) {
    case PN_REC_READY:
        return true;
    case PN_REC_COMPILE_ERROR:
    case PN_REC_FAILED:
        run->errors++;
        pn_error("%.*s", PN_FMT(r->body));
        return true;
    case PN_REC_COMPILE_LOADS:
        return note_loads(run, r->body);
    case PN_REC_COMPILED:
        if (r->nfds != 1 || run->policy_fd >= 0)
            return false;
        run->policy_fd = r->fds[0];
        r->fds[0] = -1;
        return true;
    default:
        return false;
    }
}

static void on_limit(void *arg)
{
    struct compile_run *run = arg;
    pn_error("the compile role did not end in %d s%s%s", LIMIT_MS / 1000,
             run->loads == NULL ? "" : ", loading ", run->loads == NULL ? "" : run->loads);
    (void)kill(run->pid, SIGKILL); /* its channel ends, and on_end goes on */
}

static void give(struct compile_run *run)
{
    const struct supervisor *sup = run->sup;
    struct pn_start start = {
        .role = PN_ROLE_COMPILE,
        .generation = sup->last_serial + 1,
        .flags = (sup->drop ? PN_START_DROP : 0U) |
                 (sup->options->debug ? (unsigned)PN_START_DEBUG : 0U),
        .uid = sup->uid[PN_ROLE_COMPILE],
        .gid = sup->gid[PN_ROLE_COMPILE],
        .name = PN_STR("compile"),
        .root = pn_str_of(sup->options->root),
        .file = pn_str_of(sup->options->config),
    };
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_start_put(&b, &start);
    (void)pn_channel_send(run->control, PN_REC_START, pn_buf_str(&b), NULL, 0);
    (void)pn_channel_send(run->control, PN_REC_GO, (struct pn_str){"", 0}, NULL, 0);
    pn_buf_fini(&b);
}

void compile_begin(struct supervisor *sup)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    struct pn_launch launch;
    struct pn_buf err;
    pn_buf_init(&err, 500);
    if (!pn_launch(&launch, sup->options->program, PN_ROLE_COMPILE, &err)) {
        pn_error("compile can't be started: %s", pn_buf_cstr(&err));
        pn_buf_fini(&err);
        reload_compiled(sup, -1);
        return;
    }
    pn_buf_fini(&err);
    struct compile_run *run = pn_calloc(1, sizeof *run);
    *run = (struct compile_run){.sup = sup, .pid = launch.pid, .policy_fd = -1};
    run->control = pn_channel_new(sup->loop, launch.fd, &ops, run, QUEUE_BYTES);
    run->limit = pn_timer_new(sup->loop, on_limit, run);
    pn_timer_set(run->limit, LIMIT_MS);
    sup->compile = run;
    give(run);
}

void compile_cancel(struct supervisor *sup)
{
    struct compile_run *run = sup->compile;
    if (run == NULL)
        return;
    (void)kill(run->pid, SIGKILL);
    if (run->policy_fd >= 0)
        (void)close(run->policy_fd);
    run_free(run);
}

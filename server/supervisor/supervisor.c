#include "supervisor.h"

#include "jail.h"
#include "limit_table.h"
#include "log.h"
#include "mem.h"
#include "supervisor_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POOL_BYTES = 1024 * 1024 };

static void on_child(void *arg, int signo)
{
    (void)signo;
    child_reap(arg);
}

static void on_hup(void *arg, int signo)
{
    (void)signo;
    reload_begin(arg);
}

static void on_term(void *arg, int signo)
{
    struct supervisor *sup = arg;
    if (sup->state == SUP_STOPPING) {
        pn_warn("signal %d again: ending at once", signo);
        stop_now(sup);
        return;
    }
    pn_info("signal %d: finishing what is begun", signo);
    stop_begin(sup, 0);
}

/* As many descriptors as the system lets us have: roles inherit it. */
static void raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0)
            pn_warn("the limit of open files stays at its default");
    }
}

static void init(struct supervisor *sup, const struct pn_supervisor_options *options)
{
    *sup = (struct supervisor){.options = options,
                               .loop = pn_loop_new(),
                               .pool = pn_pool_new(POOL_BYTES),
                               .control_socket = -1,
                               .limits_fd = pn_limits_create(PN_LIMITS_ENTRIES),
                               .drop = !options->no_drop && !options->check && geteuid() == 0,
                               .now = {.policy_fd = -1,
                                       .dns_file_fd = -1,
                                       .secret_fd = -1,
                                       .users_fd = -1,
                                       .authorities_fd = -1},
                               .next = {.policy_fd = -1,
                                        .dns_file_fd = -1,
                                        .secret_fd = -1,
                                        .users_fd = -1,
                                        .authorities_fd = -1}};
    for (int i = 0; i < PN_FOLDER_COUNT; i++)
        sup->folders[i].fd = -1;
    if (sup->limits_fd < 0)
        pn_warn("no shared table of limits (%s): each edge counts for itself", strerror(errno));
    pn_loop_signal(sup->loop, SIGCHLD, on_child, sup);
    pn_loop_signal(sup->loop, SIGHUP, on_hup, sup);
    pn_loop_signal(sup->loop, SIGTERM, on_term, sup);
    pn_loop_signal(sup->loop, SIGINT, on_term, sup);
    /* A dead template's workers become ours, so that nobody's zombies are left. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    raise_files();
}

static void fini(struct supervisor *sup)
{
    compile_cancel(sup);
    pn_timer_free(&sup->certificates_timer);
    pn_timer_free(&sup->users_timer);
    for (struct child *c = sup->children; c != NULL; c = c->next) {
        child_kill(c);
        c->state = CHILD_OFF;
        c->retired = true;
    }
    child_sweep(sup);
    coming_fini(&sup->now);
    coming_fini(&sup->next);
    sockets_close(sup);
    files_close(sup);
    pn_buf_fini(&sup->events);
    pn_pool_free(&sup->pool);
    pn_loop_free(&sup->loop);
}

int pn_supervisor_main(const struct pn_supervisor_options *options)
{
    struct supervisor sup;
    struct pn_buf err;
    pn_log_init("supervisor", options->debug ? PN_LOG_DEBUG : PN_LOG_INFO);
    init(&sup, options);
    pn_buf_init(&err, 1000);
    if (!options->check && !files_users(&sup, &err)) {
        pn_error("%s", pn_buf_cstr(&err));
        sup.exit_status = 1;
    } else {
        if (!options->check && pn_jail_support() != NULL)
            pn_warn("jail: %s (`jail must` refuses to start so)", pn_jail_support());
        compile_begin(&sup);
        certificates_watch(&sup);
        users_watch(&sup);
        pn_loop_run(sup.loop);
    }
    pn_buf_fini(&err);
    int status = sup.exit_status;
    fini(&sup);
    return status;
}

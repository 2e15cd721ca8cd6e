/* posternd: the supervisor, and every role that it starts of itself. */
#include "admin.h"
#include "auth_role.h"
#include "clock.h"
#include "compile_role.h"
#include "control.h"
#include "edge_role.h"
#include "filter.h"
#include "log.h"
#include "mailbox.h"
#include "queue.h"
#include "resolver.h"
#include "signer_role.h"
#include "state_role.h"
#include "supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How roles learn of --clock: by their environment. What else stands there is not heard. */
#define CLOCK_ENV "POSTERN_CLOCK"

static const struct {
    enum pn_role role;
    pn_role_main *main;
} roles[] = {
    {PN_ROLE_ADMIN, pn_admin_main},       {PN_ROLE_COMPILE, pn_compile_main},
    {PN_ROLE_EDGE, pn_edge_main},         {PN_ROLE_FILTER, pn_filter_main},
    {PN_ROLE_MAILBOX, pn_mailbox_main},   {PN_ROLE_QUEUE, pn_queue_main},
    {PN_ROLE_RESOLVER, pn_resolver_main}, {PN_ROLE_STATE, pn_state_main},
    {PN_ROLE_SIGNER, pn_signer_main},     {PN_ROLE_AUTH, pn_auth_main},
};

static const char usage[] =
    "usage: posternd [-c FILE] [--root DIR] [options]\n"
    "  -c, --config FILE  configuration; default " PN_CONFIG_FILE "\n"
    "      --root DIR     spool, mail, state, log and run folders lie below DIR\n"
    "      --no-drop      roles keep this user (a user who is not root keeps it anyway)\n"
    "      --check        read configuration, policy, plugins and keys, then end\n"
    "      --probe        each role tries what its jail forbids, and logs the outcome\n"
    "      --clock FILE   for tests: the wall clock stands where FILE says\n"
    "      --first-ticks  for tests: filters serve when each plugin's first tick is over\n"
    "  -d, --debug        log more\n"
    "  -f, --foreground   the only way it runs; accepted for service files\n"
    "      --version\n"
    "\n"
    "SIGHUP reloads; SIGTERM and SIGINT finish what is begun and end.\n";

/* A process of the supervisor's, with its control channel where that put it. */
static int run_role(const char *name)
{
    struct pn_role_env env;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(pn_role_name(roles[i].role), name) != 0)
            continue;
        pn_log_init(name, PN_LOG_INFO);
        const char *clock = getenv(CLOCK_ENV);
        bool ok = pn_role_env_read(&env, PN_CONTROL_FD);
        if (ok && clock != NULL && !pn_clock_wall_follow(clock)) {
            pn_error("%s: %s", clock, strerror(errno));
            ok = false;
        }
        if (ok && env.start.role != roles[i].role) {
            pn_error("started as %s, but told to be another role", name);
            ok = false;
        }
        int status = ok ? roles[i].main(&env) : EXIT_FAILURE;
        pn_role_env_fini(&env);
        return status;
    }
    fprintf(stderr, "posternd: no role is called %s\n", name);
    return 2;
}

/* An absolute path, since roles do not start in our folder. The last part may be
 * missing (a root that will be made). */
static const char *absolute(const char *path, char *out, size_t size)
{
    if (realpath(path, out) != NULL)
        return out;
    char here[PATH_MAX];
    if (errno != ENOENT || path[0] == '/' || getcwd(here, sizeof here) == NULL)
        return path;
    int n = snprintf(out, size, "%s/%s", here, path);
    return n > 0 && (size_t)n < size ? out : path;
}

static bool take_clock(const char *file)
{
    static char path[PATH_MAX];
    if (file == NULL)
        return unsetenv(CLOCK_ENV) == 0;
    file = absolute(file, path, sizeof path);
    if (pn_clock_wall_follow(file) && setenv(CLOCK_ENV, file, 1) == 0)
        return true;
    fprintf(stderr, "posternd: %s: %s\n", file, strerror(errno));
    return false;
}

enum {
    OPT_ROOT = 256,
    OPT_NO_DROP,
    OPT_CHECK,
    OPT_PROBE,
    OPT_VERSION,
    OPT_ROLE,
    OPT_CLOCK,
    OPT_FIRST_TICKS,
    OPT_HELP
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"root", required_argument, NULL, OPT_ROOT},
    {"no-drop", no_argument, NULL, OPT_NO_DROP},
    {"check", no_argument, NULL, OPT_CHECK},
    {"probe", no_argument, NULL, OPT_PROBE},
    {"clock", required_argument, NULL, OPT_CLOCK},
    {"debug", no_argument, NULL, 'd'},
    {"foreground", no_argument, NULL, 'f'},
    {"version", no_argument, NULL, OPT_VERSION},
    {"role", required_argument, NULL, OPT_ROLE},
    {"first-ticks", no_argument, NULL, OPT_FIRST_TICKS},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
    static char config[PATH_MAX], root[PATH_MAX];
    struct pn_supervisor_options options = {.plan_read = plan_read};
    const char *file = PN_CONFIG_FILE;
    const char *clock = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:df", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'd':
            options.debug = true;
            break;
        case 'f':
            break;
        case OPT_ROOT:
            options.root = absolute(optarg, root, sizeof root);
            break;
        case OPT_NO_DROP:
            options.no_drop = true;
            break;
        case OPT_CHECK:
            options.check = true;
            break;
        case OPT_PROBE:
            options.probe = true;
            break;
        case OPT_FIRST_TICKS:
            options.first_ticks = true;
            break;
        case OPT_CLOCK:
            clock = optarg;
            break;
        case OPT_VERSION:
            printf("posternd %s\n", PN_VERSION);
            return 0;
        case OPT_ROLE:
            return run_role(optarg);
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    options.config = absolute(file, config, sizeof config);
    if (!take_clock(clock))
        return 2;
    return pn_supervisor_main(&options);
}

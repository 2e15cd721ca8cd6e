#include "prove_int.h"

#include "clock.h"
#include "mem.h"
#include "needs.h"
#include "prove_blame.h"
#include "rpl_server.h"
#include "scan_compile.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 120 * 1000, OWN_LINES = 1 };

/* ---- making */

static bool write_file(const char *path, struct pn_str text, struct pn_buf *err)
{
    FILE *f = fopen(path, "ae");
    bool ok = f != NULL && fwrite(text.len == 0 ? "" : text.p, 1, text.len, f) == text.len;
    ok = (f == NULL || fclose(f) == 0) && ok;
    if (!ok)
        (void)pn_buf_addf(err, "%s: %s\n", path, strerror(errno));
    return ok;
}

static bool write_files(struct prove *p, struct pn_buf *err)
{
    char path[PATH_MAX / 2];
    bool ok = true;
    for (size_t i = 0; ok && p->o.script != NULL && i < p->o.script->count; i++) {
        struct pn_str rest = p->o.script->lines[i].rest;
        if (p->o.script->lines[i].word != RPL_FILE)
            continue;
        struct pn_str name = rpl_first(&rest);
        (void)snprintf(path, sizeof path, "%s/%.*s", p->root, PN_FMT(name));
        ok = pn_str_find(name, '/', 0) >= name.len && write_file(path, rest, err) &&
             write_file(path, PN_STR("\n"), err);
    }
    return ok;
}

/* {root}; ports are of the server that this is not. */
static void fill_in(const struct prove *p, struct pn_str conf, struct pn_buf *out)
{
    static const char *const ports[] = {"{smtp}", "{admin}"};
    for (size_t i = 0; i < conf.len;) {
        struct pn_str rest = pn_str_slice(conf, i, conf.len);
        if (pn_str_starts(rest, PN_STR("{root}"))) {
            (void)pn_buf_addz(out, p->root);
            i += 6;
            continue;
        }
        size_t k = 0;
        while (k < 2 && !pn_str_starts(rest, pn_str_of(ports[k])))
            k++;
        (void)(k < 2 ? pn_buf_addz(out, "9") : pn_buf_addc(out, conf.p[i]));
        i += k < 2 ? strlen(ports[k]) : 1;
    }
}

/* The network is granted by name alone, and a list of grants is all of them. */
static void put_grants(const struct prove *p, struct pn_buf *conf)
{
    const char *before = " grant ";
    if (p->o.script != NULL || (p->o.needs & POSTERN_NEED_NETWORK) == 0)
        return;
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((p->o.needs & n->bit) != 0 && n->bit != POSTERN_NEED_ALONE) {
            (void)pn_buf_addf(conf, "%s%s", before, n->name);
            before = ", ";
        }
}

/* plugins: as in pn_scan_compile. NULL with sentences in err. */
static struct pn_plan *plan_of(const char *path, const char *plugins, struct pn_buf *err)
{
    bool usage;
    int fd = pn_scan_compile(path, plugins, &usage, err);
    struct pn_policy *policy = fd < 0 ? NULL : pn_policy_open(fd, err);
    if (policy == NULL)
        return NULL;
    struct pn_plan *plan = pn_plan_new(policy, 1);
    pn_policy_unref(&policy);
    return plan;
}

static bool compile(struct prove *p, struct pn_buf *err)
{
    char path[PATH_MAX / 2];
    struct pn_buf conf, filled;
    pn_buf_init(&conf, RPL_BYTES_MAX);
    pn_buf_init(&filled, RPL_BYTES_MAX);
    (void)pn_buf_addf(&conf, "plugins { %s { file \"%s\"", p->o.name, p->o.file);
    put_grants(p, &conf);
    (void)pn_buf_addz(&conf, " } }\n");
    if (p->o.script != NULL)
        rpl_collect(p->o.script, RPL_CONF, &conf);
    else
        (void)pn_buf_addz(&conf, "smtp { hostname \"mx.here.test\" }\n");
    fill_in(p, pn_buf_str(&conf), &filled);
    (void)snprintf(path, sizeof path, "%s/postern.conf", p->root);
    struct pn_buf why;
    pn_buf_init(&why, 1 << 20);
    if (write_file(path, pn_buf_str(&filled), &why)) {
        p->plan = plan_of(path, NULL, &why);
        p->alone = p->plan == NULL ? NULL : plan_of(path, p->o.name, &why);
    }
    if (p->o.script != NULL)
        rpl_places(p->o.script, &(struct rpl_made){path, RPL_CONF, OWN_LINES}, pn_buf_str(&why),
                   err);
    else
        (void)pn_buf_adds(err, pn_buf_str(&why));
    pn_buf_fini(&why);
    pn_buf_fini(&filled);
    pn_buf_fini(&conf);
    if (p->alone == NULL)
        return false;
    p->target = pn_plan_find(p->plan, pn_str_of(p->o.name));
    p->deadline_ms = (uint32_t)rpl_patience_ms((int)p->plan->plugins[p->target].deadline_ms);
    return true;
}

static bool read_dns(struct prove *p, struct pn_buf *err)
{
    struct pn_buf dns;
    pn_buf_init(&dns, RPL_BYTES_MAX);
    if (p->o.script != NULL)
        rpl_collect(p->o.script, RPL_DNS, &dns);
    struct pn_buf why;
    pn_buf_init(&why, 1 << 16);
    p->file = pn_dnsfile_parse(dns.len == 0 ? PN_STR("") : pn_buf_str(&dns), "dns", &why);
    if (p->file == NULL && p->o.script != NULL)
        rpl_places(p->o.script, &(struct rpl_made){"dns", RPL_DNS, 0}, pn_buf_str(&why), err);
    pn_buf_fini(&why);
    pn_buf_fini(&dns);
    return p->file != NULL;
}

static struct pn_group *load_group(const struct prove *p, struct pn_plan *plan, unsigned group,
                                   struct pn_buf *err)
{
    return pn_group_load(plan, group, pn_str_of(p->root), NULL, err);
}

struct prove *prove_new(const struct prove_options *options, struct pn_buf *err)
{
    const char *tmp = getenv("TMPDIR");
    struct prove *p = pn_calloc(1, sizeof *p);
    p->o = *options;
    (void)snprintf(p->root, sizeof p->root, "%s/postern-prove-XXXXXX", tmp != NULL ? tmp : "/tmp");
    bool ok = mkdtemp(p->root) != NULL;
    if (!ok) {
        (void)pn_buf_addf(err, "%s: %s\n", p->root, strerror(errno));
        p->root[0] = '\0';
    }
    ok = ok && write_files(p, err) && compile(p, err) && read_dns(p, err);
    if (!ok)
        prove_free(&p);
    return p;
}

/* Groups are loaded here at the first need: whoever crashes in prepare did so in a child. */
bool prove_load_all(struct prove *p)
{
    struct pn_buf err;
    if (p->runner != NULL)
        return true;
    bool ok = true;
    pn_buf_init(&err, 64 * 1024);
    for (unsigned g = 0; ok && g < p->plan->group_count; g++) {
        p->groups[g] = load_group(p, p->plan, g, &err);
        ok = p->groups[g] != NULL && heap_lead(&err);
    }
    if (!ok)
        fprintf(stderr, "postern plugin test: %s\n", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    if (!ok)
        return false;
    p->loop = pn_loop_new();
    p->answers = prove_answers_new(p);
    p->runner = pn_runner_new(p->loop, p->plan, pn_policy_str(p->plan->policy, "smtp.hostname"),
                              &prove_runner_ops, p);
    pn_runner_fair(p->runner);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void prove_free(struct prove **prove)
{
    struct prove *p = *prove;
    if (p == NULL)
        return;
    *prove = NULL;
    pn_runner_free(&p->runner);
    prove_workers_end(p);
    pn_answers_free(&p->answers);
    pn_loop_free(&p->loop);
    for (unsigned g = 0; g < PN_PLAN_GROUPS_MAX; g++)
        pn_group_free(&p->groups[g]);
    pn_plan_unref(&p->alone);
    pn_plan_unref(&p->plan);
    pn_dnsfile_free(&p->file);
    if (p->root[0] != '\0')
        (void)nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
}

/* ---- starting */

_Noreturn static void start_in_child(struct prove *p, int out)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct pn_buf err;
    unsigned count;
    pn_buf_init(&err, 4000);
    prove_quiet();
    /* A sanitizer's handlers would make an exit status of what is a signal. */
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        (void)signal(fatal[i], SIG_DFL);
    blame_watch();
    heap_reset(false);
    heap_enter();
    struct pn_group *g = load_group(p, p->alone, 0, &err);
    struct host_plugin *plugins = g == NULL ? NULL : pn_group_plugins(g, &count);
    bool ok = g != NULL && pn_worker_instances(plugins, count, &err);
    if (ok)
        pn_worker_instances_free(plugins, count);
    pn_group_free(&g);
    heap_leave();
    if (!ok && err.len != 0)
        (void)!write(out, err.p, err.len);
    _exit(ok ? 0 : 3);
}

bool prove_start(struct prove *p, uint64_t fail_at, uint64_t *asked, struct pn_buf *why)
{
    char bytes[1000];
    int fds[2], status = 0;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    atomic_store(&p->o.heap->fail_at, fail_at);
    blame_reset();
    pid_t pid = fork();
    if (pid == 0)
        start_in_child(p, fds[1]);
    (void)close(fds[1]);
    struct pollfd w = {.fd = fds[0], .events = POLLIN};
    bool late = poll(&w, 1, rpl_patience_ms(START_MS)) == 0;
    ssize_t n = late ? 0 : read(fds[0], bytes, sizeof bytes);
    if (late)
        (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    (void)close(fds[0]);
    *asked = atomic_load(&p->o.heap->asked);
    atomic_store(&p->o.heap->fail_at, 0);
    if (late)
        (void)pn_buf_addz(why, "no end of its start within two minutes");
    else if (WIFSIGNALED(status))
        (void)pn_buf_addf(why, "crashes while it starts: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 3)
        (void)pn_buf_addf(why, "ends its process while it starts, with %d", WEXITSTATUS(status));
    else if (n > 0)
        (void)pn_buf_add(why, bytes, (size_t)n);
    return !late && WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
}

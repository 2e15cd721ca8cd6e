#include "prove.h"

#include "clock.h"
#include "dns.h"
#include "jail.h"
#include "mem.h"
#include "memfile.h"
#include "needs.h"
#include "policy.h"
#include "scan_compile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 120 * 1000, QUEUE_MAX = 8 * 1024 * 1024, STUCK_MS = 60 * 1000, REST_MS = 3000 };

struct worker {
    pid_t pid;
    uint32_t number;
    unsigned group;
    bool solo;
    struct worker *next;
};

struct asker {
    struct prove *prove;
    struct pn_channel *channel;
    struct asker *next;
};

struct prove {
    struct prove_options o;
    struct pn_loop *loop;
    struct pn_policy *policy;
    struct pn_plan *plan;
    struct pn_group *groups[PN_PLAN_GROUPS_MAX];
    struct pn_runner *runner;
    int target; /* the plugin's index in the plan */
    uint32_t deadline_ms;
    struct worker *workers;
    struct asker *askers;
    uint32_t next_worker;
    struct pn_dnsfile *file;
    enum prove_dns dns;
    struct prove_result *result; /* of the trial under way */
    char root[PATH_MAX / 4];
};

/* ---- DNS */

static void answer(void *ctx, const struct pn_dns_ask *ask)
{
    struct asker *a = ctx;
    struct pn_dns_answer found = {.rcode = PN_DNS_TIMEOUT};
    struct pn_buf b;
    if (a->prove->dns == PROVE_DNS_SILENT)
        return;
    if (a->prove->dns == PROVE_DNS_SERVFAIL)
        found.rcode = PN_DNS_SERVFAIL;
    else if (a->prove->dns == PROVE_DNS_FILE)
        pn_dnsfile_find(a->prove->file, ask->name, ask->type, &found);
    pn_buf_init(&b, 1 << 20);
    pn_dns_answer_put(&b, ask->id, &found);
    (void)pn_channel_send(a->channel, PN_REC_DNS_ANSWER, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
}

static bool on_ask(void *ctx, struct pn_record *record)
{
    return record->type == PN_REC_DNS_ASK && pn_dns_asks_each(record->body, answer, ctx);
}

static void on_asker_end(void *ctx, enum pn_channel_end how)
{
    struct asker *a = ctx, **at = &a->prove->askers;
    (void)how;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    pn_channel_free(&a->channel);
    free(a);
}

/* ---- workers */

static void quiet(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0 && getenv("POSTERN_PROVE_LOUD") == NULL)
        (void)dup2(null, STDERR_FILENO);
    if (null >= 0)
        (void)close(null);
}

static bool enter_jail(const struct prove *p, unsigned group)
{
    struct pn_folder folder = {.purpose = PN_FOLDER_PRIVATE, .path = pn_str_of(p->root)};
    struct pn_role_env env = {.folders = &folder, .folder_count = 1};
    struct pn_jail jail = {.kind = PN_JAIL_WORKER, .grants = pn_group_grants(p->plan, group)};
    folder.fd = open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = folder.fd >= 0 && pn_jail_enter(&env, &jail);
    if (folder.fd >= 0)
        (void)close(folder.fd);
    return ok;
}

static struct host_plugin *find_target(struct host_plugin *plugins, unsigned count, int target)
{
    for (unsigned i = 0; i < count; i++)
        if (plugins[i].index == (unsigned)target)
            return &plugins[i];
    return NULL;
}

static void stop_loop(void *loop)
{
    pn_loop_stop(loop);
}

_Noreturn static void be_worker(struct prove *p, const struct worker *w, int edge, int dns)
{
    struct pn_buf err;
    struct pn_worker_options o = {.plan = p->plan, .threads = 4};
    o.plugins = pn_group_plugins(p->groups[w->group], &o.count);
    pn_buf_init(&err, 4000);
    quiet();
    pn_loop_after_fork(p->loop);
    heap_reset(!w->solo);
    bool made = enter_jail(p, w->group) && pn_worker_instances(o.plugins, o.count, &err);
    if (!made)
        _exit(1);
    struct host_plugin *target = find_target(o.plugins, o.count, p->target);
    if (target != NULL) {
        prove_calls_watch(target, !w->solo);
        heap_reset(!w->solo); /* what its instance keeps is no session's */
    }
    struct pn_loop *loop = pn_loop_new();
    o.on_idle = stop_loop;
    o.ctx = loop;
    struct pn_worker *worker = pn_worker_new(loop, &o);
    pn_worker_note_crashes(worker);
    pn_worker_resolver(worker, dns);
    pn_worker_link(worker, edge);
    pn_loop_run(loop);
    _exit(0);
}

static bool spawn(struct prove *p, unsigned group, const struct pn_want_solo *want)
{
    static const struct pn_channel_ops ops = {.on_record = on_ask, .on_end = on_asker_end};
    int edge[2], dns[2];
    if (pn_channel_pair(edge) != 0 || pn_channel_pair(dns) != 0)
        return false;
    struct worker *w = pn_calloc(1, sizeof *w);
    *w = (struct worker){
        .number = p->next_worker++, .group = group, .solo = want != NULL, .next = p->workers};
    w->pid = fork();
    if (w->pid == 0) {
        (void)close(edge[0]);
        (void)close(dns[0]);
        be_worker(p, w, edge[1], dns[1]);
    }
    (void)close(edge[1]);
    (void)close(dns[1]);
    p->workers = w;
    struct asker *a = pn_calloc(1, sizeof *a);
    *a = (struct asker){.prove = p, .next = p->askers};
    a->channel = pn_channel_new(p->loop, dns[0], &ops, a, QUEUE_MAX);
    p->askers = a;
    struct pn_peer peer = {.role = PN_ROLE_FILTER,
                           .number = w->number,
                           .group = group,
                           .generation = p->plan->generation,
                           .flags = want == NULL ? 0 : PN_PEER_SOLO,
                           .token = want == NULL ? 0 : want->token,
                           .fd = edge[0]};
    pn_runner_add_worker(p->runner, &peer);
    return w->pid > 0;
}

/* The status that it ended with, by itself or now. */
static int reap(struct prove *p, uint32_t number, bool *was_ours)
{
    struct worker **at = &p->workers;
    int status = 0;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    *was_ours = *at != NULL;
    if (*at == NULL)
        return 0;
    struct worker *w = *at;
    *at = w->next;
    /* A channel ends a moment before its process does: a signal is not to hide behind ours. */
    for (int i = 0; i < 200; i++) {
        if (waitpid(w->pid, &status, WNOHANG) == w->pid) {
            free(w);
            return status;
        }
        (void)usleep(1000);
    }
    (void)kill(w->pid, SIGKILL);
    (void)waitpid(w->pid, &status, 0);
    free(w);
    return status;
}

static void on_want_solo(void *ctx, const struct pn_want_solo *want)
{
    struct prove *p = ctx;
    (void)spawn(p, want->group, want);
}

static void on_lost_worker(void *ctx, uint32_t number)
{
    struct prove *p = ctx;
    unsigned group = 0;
    bool solo = false, ours;
    for (const struct worker *w = p->workers; w != NULL; w = w->next)
        if (w->number == number) {
            group = w->group;
            solo = w->solo;
        }
    int status = reap(p, number, &ours);
    if (p->result != NULL && status != 0)
        p->result->death = status;
    if (!ours || solo)
        return;
    if (group == p->plan->plugins[p->target].group)
        prove_calls_reset();
    (void)spawn(p, group, NULL);
}

static void on_failure(void *ctx, const struct pn_failure *f)
{
    struct prove *p = ctx;
    struct prove_result *r = p->result;
    if (r == NULL || r->convicted || !pn_str_eq(f->plugin, pn_str_of(p->o.name)))
        return;
    r->convicted = true;
    (void)snprintf(r->stage, sizeof r->stage, "%.*s", PN_FMT(f->stage));
    (void)snprintf(r->text, sizeof r->text, "%.*s", PN_FMT(f->reason));
}

/* Behind them the next request finds a fresh worker: instances and all. */
static void replace_workers(struct prove *p)
{
    for (;;) {
        struct worker *w = p->workers;
        if (w == NULL)
            break;
        (void)kill(w->pid, SIGKILL);
        bool ours;
        (void)reap(p, w->number, &ours);
    }
    prove_calls_reset();
    for (unsigned g = 0; g < p->plan->group_count; g++)
        (void)spawn(p, g, NULL);
    struct prove_result *result = p->result;
    p->result = NULL;
    do
        pn_loop_turn(p->loop, 20);
    while (!pn_runner_ready(p->runner));
    p->result = result;
}

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

static bool compile(struct prove *p, struct pn_buf *err)
{
    char path[PATH_MAX / 2];
    struct pn_buf conf, filled;
    bool usage;
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
    int fd =
        write_file(path, pn_buf_str(&filled), err) ? pn_scan_compile(path, NULL, &usage, err) : -1;
    p->policy = fd < 0 ? NULL : pn_policy_open(fd, err);
    pn_buf_fini(&filled);
    pn_buf_fini(&conf);
    if (p->policy == NULL)
        return false;
    p->plan = pn_plan_new(p->policy, 1);
    p->target = pn_plan_find(p->plan, pn_str_of(p->o.name));
    p->deadline_ms = p->plan->plugins[p->target].deadline_ms;
    return true;
}

static bool read_dns(struct prove *p, struct pn_buf *err)
{
    struct pn_buf dns;
    pn_buf_init(&dns, RPL_BYTES_MAX);
    if (p->o.script != NULL)
        rpl_collect(p->o.script, RPL_DNS, &dns);
    p->file = pn_dnsfile_parse(dns.len == 0 ? PN_STR("") : pn_buf_str(&dns), "dns", err);
    pn_buf_fini(&dns);
    return p->file != NULL;
}

static struct pn_group *load_group(struct prove *p, unsigned group, struct pn_buf *err)
{
    return pn_group_load(p->plan, group, pn_str_of(p->root), NULL, err);
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
static bool load_all(struct prove *p)
{
    static const struct pn_runner_ops ops = {on_want_solo, on_lost_worker, on_failure};
    struct pn_buf err;
    if (p->runner != NULL)
        return true;
    bool ok = true;
    pn_buf_init(&err, 64 * 1024);
    for (unsigned g = 0; ok && g < p->plan->group_count; g++) {
        p->groups[g] = load_group(p, g, &err);
        ok = p->groups[g] != NULL && heap_lead(&err);
    }
    if (!ok)
        fprintf(stderr, "postern plugin test: %s\n", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    if (!ok)
        return false;
    p->loop = pn_loop_new();
    p->runner = pn_runner_new(p->loop, p->plan, pn_policy_str(p->policy, "smtp.hostname"), &ops, p);
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
    while (p->workers != NULL) {
        bool ours;
        (void)kill(p->workers->pid, SIGKILL);
        (void)reap(p, p->workers->number, &ours);
    }
    while (p->askers != NULL)
        on_asker_end(p->askers, PN_CHANNEL_CLOSED);
    pn_loop_free(&p->loop);
    for (unsigned g = 0; g < PN_PLAN_GROUPS_MAX; g++)
        pn_group_free(&p->groups[g]);
    pn_plan_unref(&p->plan);
    pn_policy_unref(&p->policy);
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
    unsigned group = p->plan->plugins[p->target].group;
    pn_buf_init(&err, 4000);
    quiet();
    /* A sanitizer's handlers would make an exit status of what is a signal. */
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        (void)signal(fatal[i], SIG_DFL);
    heap_reset(false);
    heap_enter();
    struct pn_group *g = load_group(p, group, &err);
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
    pid_t pid = fork();
    if (pid == 0)
        start_in_child(p, fds[1]);
    (void)close(fds[1]);
    struct pollfd w = {.fd = fds[0], .events = POLLIN};
    bool late = poll(&w, 1, START_MS) == 0;
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

/* ---- a trial */

static void add_text(struct pn_buf *out, const char *kind, struct pn_str a, struct pn_str b,
                     struct pn_str c, int64_t n)
{
    (void)pn_buf_addf(out, "%s %.*s %.*s (%.*s) %lld\n", kind, PN_FMT(a), PN_FMT(b), PN_FMT(c),
                      (long long)n);
}

static void facts_text(struct pn_buf *out, const struct pn_facts *f)
{
    static const char *const status[] = {"ok", "failed", "timeout", "skipped", "given"};
    for (size_t i = 0; i < f->symbol_count; i++) {
        const struct pn_fact *s = &f->symbols[i];
        add_text(out, "symbol", s->plugin, s->name, s->detail, s->weight);
        (void)pn_buf_addf(out, "  for %u\n", s->rcpt);
    }
    for (size_t i = 0; i < f->auth_count; i++) {
        add_text(out, "auth", f->auth[i].plugin, f->auth[i].method, f->auth[i].result, 0);
        for (uint32_t k = 0; k < f->auth[i].count; k++)
            add_text(out, " ", f->auth[i].properties[k].name, f->auth[i].properties[k].value,
                     PN_STR(""), 0);
    }
    for (size_t i = 0; i < f->note_count; i++)
        add_text(out, "note", f->notes[i].plugin, f->notes[i].key, f->notes[i].value, 0);
    for (size_t i = 0; i < f->edit_count; i++)
        add_text(out, "edit", f->edits[i].plugin, f->edits[i].name, f->edits[i].value,
                 (int64_t)f->edits[i].index + f->edits[i].op);
    for (size_t i = 0; i < f->run_count; i++)
        add_text(out, "run", f->runs[i].plugin, pn_str_of(status[f->runs[i].status]), PN_STR(""),
                 0);
}

struct turn {
    bool done;
};

static void on_done(void *ctx, enum pn_check_end end)
{
    (void)end;
    ((struct turn *)ctx)->done = true;
}

/* False: no end in time. */
static bool run_to(struct prove *p, struct pn_check *check, unsigned stage)
{
    struct turn t = {false};
    if (!pn_check_run(check, stage, on_done, &t))
        return true;
    uint64_t end = pn_clock_mono_ns() + (uint64_t)STUCK_MS * PN_NS_PER_MS;
    while (!t.done && pn_clock_mono_ns() < end)
        pn_loop_turn(p->loop, 100);
    return t.done;
}

/* Tells the check what a stage brings. False: the session has no such stage. */
static bool tell(const struct prove *p, struct pn_check *check, const struct rpl_case *c,
                 unsigned stage, int fd)
{
    struct pn_check_mail mail = {
        .from = c->from, .id = PN_STR("proof"), .now_ms = c->now_ms, .seed = 2};
    switch (stage) {
    case POSTERN_HELO:
        pn_check_helo(check, c->helo);
        return true;
    case POSTERN_MAIL:
        if (c->has_mail)
            pn_check_mail(check, &mail);
        return c->has_mail;
    case POSTERN_RCPT:
        for (size_t i = 0; i < c->rcpt_count; i++)
            pn_check_rcpt(check, c->rcpts[i], pn_plan_wanted(p->plan, NULL));
        return c->rcpt_count != 0;
    case POSTERN_HEADERS:
        if (fd >= 0)
            pn_check_content(check, fd, c->content.len);
        return fd >= 0;
    default:
        return true;
    }
}

static void lead(struct prove *p, struct pn_check *check, const struct rpl_case *c,
                 const struct prove_how *how, int fd)
{
    bool apart = how->replace != 0 || how->last_stage != POSTERN_AFTER;
    for (unsigned s = POSTERN_CONNECT; s < POSTERN_STAGES && (int)s <= how->last_stage; s++) {
        if (!tell(p, check, c, s, fd))
            break;
        if (apart && !run_to(p, check, s)) {
            p->result->stuck = true;
            return;
        }
        if ((how->replace >> s & 1) != 0)
            replace_workers(p);
    }
    if (!apart && !run_to(p, check, POSTERN_AFTER))
        p->result->stuck = true;
}

/* Objects are freed on the worker's threads, a moment later. */
static void rest(struct prove *p)
{
    const struct prove_calls *k = p->o.calls;
    uint64_t end = pn_clock_mono_ns() + (uint64_t)REST_MS * PN_NS_PER_MS;
    while (atomic_load(&k->sessions) > 0 || atomic_load(&k->transactions) > 0 ||
           atomic_load(&k->inside) > 0) {
        if (pn_clock_mono_ns() > end) {
            p->result->stuck = true;
            return;
        }
        pn_loop_turn(p->loop, 1);
    }
}

void prove_run(struct prove *p, const struct rpl_case *c, const struct prove_how *how,
               struct prove_result *out)
{
    uint32_t deadline = how->deadline_ms != 0 ? how->deadline_ms : p->deadline_ms;
    struct pn_check_client client = {
        .ip = c->ip, .port = 40000, .id = PN_STR("proof"), .now_ms = c->now_ms, .seed = 1};
    int fd = c->has_content ? pn_memfile_of("proof", c->content) : -1;
    if (!load_all(p)) {
        out->stuck = true;
        return;
    }
    bool fresh =
        how->fresh || p->workers == NULL || deadline != p->plan->plugins[p->target].deadline_ms;
    p->plan->plugins[p->target].deadline_ms = deadline;
    p->dns = how->dns;
    atomic_store(&p->o.heap->fail_at, 0);
    if (fresh)
        replace_workers(p);
    atomic_store(&p->o.heap->asked, 0);
    atomic_store(&p->o.heap->failed, 0);
    atomic_store(&p->o.heap->fail_at, how->fail_at);
    p->result = out;
    struct pn_check *check = pn_check_new(p->runner, &client);
    lead(p, check, c, how, fd);
    facts_text(&out->facts, pn_check_facts(check));
    pn_check_free(&check);
    rest(p);
    out->asked = atomic_load(&p->o.heap->asked);
    atomic_store(&p->o.heap->fail_at, 0);
    p->result = NULL;
    if (fd >= 0)
        (void)close(fd);
}

/* ---- looking at the worker */

static long entries(pid_t pid, const char *what)
{
    char path[64];
    long n = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, what);
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

struct prove_load prove_load(const struct prove *p)
{
    struct prove_load l = {.blocks = atomic_load(&p->o.heap->live),
                           .bytes = atomic_load(&p->o.heap->live_bytes)};
    for (const struct worker *w = p->workers; w != NULL; w = w->next)
        if (!w->solo && w->group == p->plan->plugins[p->target].group) {
            l.descriptors = entries(w->pid, "fd");
            l.threads = entries(w->pid, "task");
        }
    return l;
}

bool prove_has_stage(const struct prove *p, unsigned stage)
{
    return (p->plan->plugins[p->target].stages >> stage & 1) != 0;
}

bool prove_asks_dns(const struct prove *p)
{
    return (p->plan->plugins[p->target].needs & POSTERN_NEED_DNS) != 0;
}

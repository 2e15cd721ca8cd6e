/* Runner and workers together: workers are forked children of this program, so that they
 * may crash, hang and be killed; the supervisor's part (new workers, solo ones) is played
 * here. */
#include "unit.h"

#include "channel.h"
#include "clock.h"
#include "dnsfile.h"
#include "log.h"
#include "memfile.h"
#include "runner.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a small world: one loop, plan, runner, and children */

enum { WORKERS_MAX = 400 };

static const char zone_text[] = "a.test TXT \"alpha\"\nb.test TXT \"beta\"\nslow.test TIMEOUT\n";

struct child {
    pid_t pid;
    struct world *world;
    unsigned group;
    bool solo;
    struct pn_channel *resolver; /* our end: we answer */
};

struct world {
    struct pn_loop *loop;
    struct pn_plan *plan;
    struct pn_runner *runner;
    struct pn_plugin *loaded[8];
    struct host_plugin plugins[8];
    struct pn_dnsfile *zone;
    struct child children[WORKERS_MAX];
    unsigned count;
    bool refill; /* a dead worker is replaced */
    unsigned failures;
    char failed[64];
};

static void stop(void *ctx)
{
    pn_loop_stop(ctx);
}

/* The child: a worker of one group until its channels end. */
_Noreturn static void be_worker(struct world *w, unsigned group, int runner_fd, int resolver_fd)
{
    struct host_plugin mine[8];
    unsigned count = 0;
    struct pn_buf err;
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    pn_buf_init(&err, 1000);
    for (unsigned i = 0; i < w->plan->count; i++)
        if (w->plan->plugins[i].group == group)
            mine[count++] = w->plugins[i];
    struct pn_loop *loop = pn_loop_new();
    struct pn_worker_options o = {.plan = w->plan,
                                  .plugins = mine,
                                  .count = count,
                                  .threads = 16,
                                  .running = 4,
                                  .on_idle = stop,
                                  .ctx = loop};
    if (!pn_worker_instances(mine, count, &err))
        _exit(3);
    struct pn_worker *worker = pn_worker_new(loop, &o);
    pn_worker_resolver(worker, resolver_fd);
    pn_worker_link(worker, runner_fd);
    pn_loop_run(loop);
    pn_worker_free(&worker);
    pn_worker_instances_free(mine, count);
    pn_loop_free(&loop);
    _exit(0);
}

static bool on_ask(void *ctx, struct pn_record *record)
{
    struct child *c = ctx;
    struct pn_dns_ask ask;
    struct pn_dns_answer answer;
    struct pn_buf b;
    if (!pn_dns_ask_get(record->body, &ask))
        return false;
    pn_buf_init(&b, 60000);
    pn_dnsfile_find(c->world->zone, ask.name, ask.type, &answer);
    if (!pn_str_eq(ask.name, PN_STR("never.test"))) {
        pn_dns_answer_put(&b, ask.id, &answer);
        (void)pn_channel_send(c->resolver, PN_REC_DNS_ANSWER, pn_buf_str(&b), NULL, 0);
    }
    pn_buf_fini(&b);
    return true;
}

static void spawn(struct world *w, unsigned group, bool solo, uint64_t token);

static void on_child_end(void *ctx, enum pn_channel_end how)
{
    struct child *c = ctx;
    (void)how;
    pn_channel_free(&c->resolver);
    if (c->world->refill && !c->solo)
        spawn(c->world, c->group, false, 0);
}

static void spawn(struct world *w, unsigned group, bool solo, uint64_t token)
{
    static const struct pn_channel_ops ops = {.on_record = on_ask, .on_end = on_child_end};
    int run[2], dns[2];
    UNIT_TRUE(pn_channel_pair(run) == 0 && pn_channel_pair(dns) == 0 && w->count < WORKERS_MAX);
    struct child *c = &w->children[w->count++];
    *c = (struct child){.world = w, .group = group, .solo = solo};
    (void)fflush(NULL);
    c->pid = fork();
    if (c->pid == 0) {
        /* Only these two: another worker's channel must end with its worker. */
        if (dup2(run[1], 900) != 900 || dup2(dns[1], 901) != 901 || close_range(3, 899, 0) != 0)
            _exit(4);
        be_worker(w, group, 900, 901);
    }
    (void)close(run[1]);
    (void)close(dns[1]);
    c->resolver = pn_channel_new(w->loop, dns[0], &ops, c, 1 << 20);
    struct pn_peer peer = {.role = PN_ROLE_FILTER,
                           .number = w->count,
                           .group = group,
                           .generation = 1,
                           .flags = solo ? PN_PEER_SOLO : 0U,
                           .token = token,
                           .fd = run[0]};
    pn_runner_add_worker(w->runner, &peer);
}

static void want_solo(void *ctx, const struct pn_want_solo *want)
{
    spawn(ctx, want->group, true, want->token);
}

static void on_failure(void *ctx, const struct pn_failure *f)
{
    struct world *w = ctx;
    w->failures++;
    (void)snprintf(w->failed, sizeof w->failed, "%.*s %.*s", PN_FMT(f->plugin), PN_FMT(f->stage));
}

static void world_up(struct world *w, const char *const *files, const unsigned *groups,
                     unsigned workers)
{
    static const struct pn_runner_ops ops = {.want_solo = want_solo, .on_failure = on_failure};
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    *w = (struct world){.loop = pn_loop_new(), .refill = true};
    w->plan = calloc(1, sizeof *w->plan);
    w->plan->refs = 1;
    w->plan->generation = 1;
    w->plan->budget_ms = 20000;
    for (unsigned i = 0; files[i] != NULL; i++) {
        w->loaded[i] = pn_plugin_load(files[i], &err);
        UNIT_TRUE(w->loaded[i] != NULL);
        const struct postern_plugin *d = pn_plugin_desc(w->loaded[i]);
        unsigned stages = 0;
        for (unsigned s = 0; s < POSTERN_STAGES; s++)
            stages |= (d->on[s] != NULL ? 1U : 0U) << s;
        w->plan->plugins[i] = (struct pn_plan_plugin){
            .name = pn_str_of(d->name), .stages = stages, .group = groups[i], .deadline_ms = 150};
        w->plan->count = i + 1;
        if (groups[i] >= w->plan->group_count)
            w->plan->group_count = groups[i] + 1;
        w->plugins[i] = (struct host_plugin){.loaded = w->loaded[i],
                                             .desc = d,
                                             .index = i,
                                             .symbols = pn_plugin_symbols(w->loaded[i])};
    }
    w->zone = pn_dnsfile_parse(pn_str_of(zone_text), "zone", &err);
    UNIT_TRUE(w->zone != NULL);
    w->runner = pn_runner_new(w->loop, w->plan, PN_STR("mx.here.test"), &ops, w);
    for (unsigned g = 0; g < w->plan->group_count; g++)
        for (unsigned i = 0; i < workers; i++)
            spawn(w, g, false, 0);
    pn_buf_fini(&err);
}

static void world_down(struct world *w)
{
    w->refill = false;
    pn_runner_free(&w->runner);
    for (unsigned i = 0; i < w->count; i++) {
        int status;
        UNIT_INT(waitpid(w->children[i].pid, &status, 0), w->children[i].pid);
        pn_channel_free(&w->children[i].resolver);
    }
    pn_dnsfile_free(&w->zone);
    for (unsigned i = 0; i < w->plan->count; i++)
        pn_plugin_unload(&w->loaded[i]);
    pn_plan_unref(&w->plan);
    pn_loop_free(&w->loop);
}

/* ---- one session */

struct run {
    bool over;
    enum pn_check_end end;
};

static void on_done(void *ctx, enum pn_check_end end)
{
    struct run *r = ctx;
    r->over = true;
    r->end = end;
}

static enum pn_check_end run_to(struct world *w, struct pn_check *c, unsigned stage)
{
    struct run r = {0};
    if (!pn_check_run(c, stage, on_done, &r))
        return PN_CHECK_WHOLE;
    uint64_t until = pn_clock_mono_ns() + UINT64_C(30) * PN_NS_PER_S;
    while (!r.over && pn_clock_mono_ns() < until)
        pn_loop_turn(w->loop, 100);
    UNIT_TRUE(r.over);
    return r.end;
}

static struct pn_check *begin(struct world *w, const char *ip)
{
    struct pn_check_client client = {
        .id = PN_STR("session-1"), .port = 1234, .now_ms = 1600000000000};
    UNIT_TRUE(pn_ip_parse(pn_str_of(ip), &client.ip));
    return pn_check_new(w->runner, &client);
}

static void mail(struct pn_check *c, const char *from, const char *rcpt)
{
    pn_check_mail(
        c, &(struct pn_check_mail){
               .from = pn_str_of(from), .id = PN_STR("m1"), .now_ms = 1700000000000, .seed = 42});
    pn_check_rcpt(c, pn_str_of(rcpt), UINT64_MAX);
}

static int content(struct pn_check *c, const char *subject)
{
    char text[600];
    int n = snprintf(text, sizeof text, "Subject: %s\r\nFrom: a@b.test\r\n\r\nbody\r\n", subject);
    int fd = pn_memfile_of("content", (struct pn_str){text, (size_t)n});
    pn_check_content(c, fd, (uint64_t)n);
    return fd;
}

static bool has_fact(const struct pn_facts *f, const char *plugin, const char *name,
                     const char *detail)
{
    for (size_t i = 0; i < f->symbol_count; i++)
        if (pn_str_eq(f->symbols[i].plugin, pn_str_of(plugin)) &&
            pn_str_eq(f->symbols[i].name, pn_str_of(name)) &&
            pn_str_eq(f->symbols[i].detail, pn_str_of(detail)))
            return true;
    return false;
}

/* The whole ledger as text, without times. */
static void ledger(const struct pn_facts *f, struct pn_buf *out)
{
    for (size_t i = 0; i < f->symbol_count; i++)
        (void)pn_buf_addf(out, "%.*s %.*s %.*s\n", PN_FMT(f->symbols[i].plugin),
                          PN_FMT(f->symbols[i].name), PN_FMT(f->symbols[i].detail));
    for (size_t i = 0; i < f->run_count; i++)
        (void)pn_buf_addf(out, "run %.*s %d\n", PN_FMT(f->runs[i].plugin), f->runs[i].status);
}

static const char *const two[] = {PLUGINS "/trouble.so", PLUGINS "/plain.so", NULL};
static const unsigned one_group[] = {0, 0}, two_groups[] = {0, 1};

/* A whole message, in one run or stage by stage: the same ledger. */
static void one_message(struct world *w, bool eager, struct pn_buf *out)
{
    struct pn_check *c = begin(w, "192.0.2.1");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_CONNECT), PN_CHECK_WHOLE);
    pn_check_helo(c, PN_STR("friend"));
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_HELO), PN_CHECK_WHOLE);
    mail(c, "a@b.test", "u@here.test");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    pn_check_rcpt(c, PN_STR("v@here.test"), UINT64_MAX);
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    int fd = content(c, "hello");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_HEADERS), PN_CHECK_WHOLE);
    UNIT_INT(run_to(w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    ledger(pn_check_facts(c), out);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "message 7 5"));
    pn_check_free(&c);
    (void)close(fd);
}

static void test_message(void)
{
    struct world w;
    struct pn_buf first, again;
    pn_buf_init(&first, 100000);
    for (int groups = 0; groups < 2; groups++)
        for (int eager = 0; eager < 2; eager++) {
            unit_row(eager ? "stage by stage" : "in one run");
            world_up(&w, two, groups ? two_groups : one_group, 1);
            pn_buf_init(&again, 100000);
            one_message(&w, eager, &again);
            if (first.len == 0)
                (void)pn_buf_adds(&first, pn_buf_str(&again));
            UNIT_STR(pn_buf_str(&again), pn_buf_str(&first));
            pn_buf_fini(&again);
            world_down(&w);
        }
    pn_buf_fini(&first);
}

static uint8_t status_of(const struct pn_facts *f, const char *plugin)
{
    for (size_t i = 0; i < f->run_count; i++)
        if (pn_str_eq(f->runs[i].plugin, pn_str_of(plugin)))
            return (uint8_t)f->runs[i].status;
    return 99;
}

/* Where the trouble's word goes, by stage. */
struct words {
    const char *ip, *helo, *from, *rcpt, *subject;
};

static void one_trouble(struct world *w, const struct words *t, enum pn_plugin_status want)
{
    struct pn_check *c = begin(w, t->ip != NULL ? t->ip : "192.0.2.1");
    pn_check_helo(c, pn_str_of(t->helo != NULL ? t->helo : "friend"));
    mail(c, t->from != NULL ? t->from : "a@b.test", t->rcpt != NULL ? t->rcpt : "u@here.test");
    int fd = content(c, t->subject != NULL ? t->subject : "hello");
    UNIT_INT(run_to(w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    const struct pn_facts *f = pn_check_facts(c);
    bool failed = want == PN_PLUGIN_FAILED || want == PN_PLUGIN_TIMEOUT;
    UNIT_INT(status_of(f, "trouble"), want);
    UNIT_INT(has_fact(f, "trouble", "PLUGIN_FAILED", "trouble"), failed);
    UNIT_INT(has_fact(f, "trouble", "TROUBLE_NONE", "message"), !failed && t->subject == NULL);
    /* The one beside it is not touched, though it died with it. */
    UNIT_INT(status_of(f, "calm"), PN_PLUGIN_OK);
    UNIT_TRUE(has_fact(f, "calm", "TROUBLE_NONE", "connect"));
    UNIT_TRUE(has_fact(f, "calm", "TROUBLE_NONE", "message"));
    pn_check_free(&c);
    (void)close(fd);
}

static const char *const with_calm[] = {PLUGINS "/trouble.so", PLUGINS "/calm.so", NULL};

/* Every kind of trouble at some stage, every stage with some trouble, on the first call of
 * a worker: that message fails in that plugin, and the next one is fine. */
static void test_trouble(void)
{
    static const struct {
        const char *label;
        struct words words;
        enum pn_plugin_status want;
        bool counts; /* as a failure alone in a worker */
    } rows[] = {
        {"crash at connect", {.ip = "192.0.2.66"}, PN_PLUGIN_FAILED, true},
        {"crash at helo", {.helo = "crash-helo"}, PN_PLUGIN_FAILED, true},
        {"crash at mail", {.from = "crash-mail@b.test"}, PN_PLUGIN_FAILED, true},
        {"crash at rcpt", {.rcpt = "crash-rcpt@b.test"}, PN_PLUGIN_FAILED, true},
        {"crash at headers", {.subject = "crash-headers"}, PN_PLUGIN_FAILED, true},
        {"wild write", {.subject = "wild-message"}, PN_PLUGIN_FAILED, true},
        {"hang", {.subject = "hang-message"}, PN_PLUGIN_TIMEOUT, true},
        {"error", {.subject = "fail-message"}, PN_PLUGIN_FAILED, false},
        {"facts without end", {.subject = "many-message"}, PN_PLUGIN_OK, false},
        {"nonsense", {.subject = "bad-message"}, PN_PLUGIN_OK, false},
        {"a leak", {.subject = "leak-message"}, PN_PLUGIN_OK, false},
        {"an answer that never comes",
         {.subject = "dns-message-never.test"},
         PN_PLUGIN_TIMEOUT,
         false},
    };
    struct world w;
    world_up(&w, with_calm, one_group, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        unsigned before = w.failures;
        one_trouble(&w, &rows[i].words, rows[i].want);
        UNIT_INT(w.failures - before, rows[i].counts);
        one_trouble(&w, &(struct words){0}, PN_PLUGIN_OK);
    }
    world_down(&w);
}

/* ---- many at once, while workers are killed */

enum { SESSIONS = 60 };

struct many {
    struct pn_check *check;
    int fd;
    struct run run;
};

static void many_begin(struct world *w, struct many *m, unsigned number)
{
    static const char *const subjects[] = {"hello", "slow-message", "dns-message-a.test ",
                                           "crash-message"};
    char ip[32];
    (void)snprintf(ip, sizeof ip, "192.0.2.%u", number % 50 + 1);
    *m = (struct many){.check = begin(w, ip)};
    pn_check_helo(m->check, PN_STR("friend"));
    mail(m->check, "a@b.test", "u@here.test");
    m->fd = content(m->check, subjects[number % 20 == 3 ? 3 : number % 3]);
    UNIT_TRUE(pn_check_run(m->check, POSTERN_MESSAGE, on_done, &m->run));
}

static void kill_one(struct world *w, unsigned turn)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < w->count; i++)
        alive += w->children[i].resolver != NULL && !w->children[i].solo;
    unsigned pick = alive == 0 ? 0 : turn * 7 % alive;
    for (unsigned i = 0; i < w->count; i++)
        if (w->children[i].resolver != NULL && !w->children[i].solo && pick-- == 0)
            (void)kill(w->children[i].pid, SIGKILL);
}

/* Ledgers of all sessions, behind one another. */
static void run_many(struct world *w, unsigned kills, struct pn_buf *out)
{
    static struct many all[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++)
        many_begin(w, &all[i], i);
    uint64_t until = pn_clock_mono_ns() + UINT64_C(30) * PN_NS_PER_S;
    for (unsigned turn = 0, over = 0; over < SESSIONS && pn_clock_mono_ns() < until; turn++) {
        pn_loop_turn(w->loop, 5);
        if (turn % 4 == 3 && kills > 0) {
            kill_one(w, turn);
            kills--;
        }
        over = 0;
        for (unsigned i = 0; i < SESSIONS; i++)
            over += all[i].run.over;
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        UNIT_TRUE(all[i].run.over);
        ledger(pn_check_facts(all[i].check), out);
        UNIT_INT(has_fact(pn_check_facts(all[i].check), "trouble", "PLUGIN_FAILED", "trouble"),
                 i % 20 == 3);
        pn_check_free(&all[i].check);
        (void)close(all[i].fd);
    }
}

static void test_killed(void)
{
    struct world w;
    struct pn_runner_stats stats;
    struct pn_buf calm, hunted;
    pn_buf_init(&calm, 1 << 20);
    pn_buf_init(&hunted, 1 << 20);
    world_up(&w, with_calm, one_group, 2);
    run_many(&w, 0, &calm);
    run_many(&w, 12, &hunted);
    UNIT_STR(pn_buf_str(&hunted), pn_buf_str(&calm));
    pn_runner_stats(w.runner, &stats);
    UNIT_TRUE(stats.worker_deaths >= 12 && stats.replays > 0);
    UNIT_INT(w.failures, 6);
    UNIT_INT(stats.inflight, 0);
    world_down(&w);
    pn_buf_fini(&calm);
    pn_buf_fini(&hunted);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"message", test_message},
                                             {"trouble", test_trouble},
                                             {"killed", test_killed},
                                             {NULL, NULL}};
    pn_log_init("test", PN_LOG_ERROR);
    return unit_main("filters", tests, argc, argv);
}

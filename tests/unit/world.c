#include "world.h"

#include "clock.h"
#include "dns_shelf.h"
#include "memfile.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- workers */

static const char zone_text[] =
    "a.test TXT \"alpha\"\nb.test TXT \"beta\"\nc.test TXT \"gamma\"\nslow.test TIMEOUT\n";

static void stop(void *ctx)
{
    pn_loop_stop(ctx);
}

/* The child: a worker of one group until its channels end. */
_Noreturn static void be_worker(struct world *w, const struct world_child *me, int runner_fd,
                                int resolver_fd)
{
    struct host_plugin mine[WORLD_PLUGINS];
    unsigned count = 0;
    struct pn_buf err;
    (void)signal(SIGABRT, SIG_DFL);
    (void)signal(SIGSEGV, SIG_DFL);
    pn_buf_init(&err, 1000);
    for (unsigned i = 0; i < w->plan->count; i++)
        if (w->plan->plugins[i].group == me->group)
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
    pn_worker_note_crashes(worker);
    pn_worker_resolver(worker, resolver_fd);
    pn_worker_link(worker, runner_fd);
    if (!me->solo)
        pn_worker_ticks(worker, NULL);
    pn_loop_run(loop);
    pn_worker_free(&worker);
    pn_worker_instances_free(mine, count);
    pn_loop_free(&loop);
    _exit(0);
}

/* An answer on its way. */
struct world_late {
    struct world_late *next;
    struct world_child *child;
    struct pn_timer *timer;
    struct pn_buf body;
};

static void drop_late(struct world_late *late)
{
    struct world_late **at = &late->child->world->lates;
    while (*at != late)
        at = &(*at)->next;
    *at = late->next;
    pn_buf_fini(&late->body);
    pn_timer_free(&late->timer);
    free(late);
}

static void send_late(void *arg)
{
    struct world_late *late = arg;
    if (late->child->resolver != NULL)
        (void)pn_channel_send(late->child->resolver, PN_REC_DNS_ANSWER, pn_buf_str(&late->body),
                              NULL, 0);
    drop_late(late);
}

static void ask_one(void *ctx, const struct pn_dns_ask *ask)
{
    struct world_child *c = ctx;
    struct pn_dns_answer answer;
    c->world->asked++;
    if (pn_str_eq(ask->name, PN_STR("never.test")))
        return;
    struct world_late *late = calloc(1, sizeof *late);
    late->child = c;
    late->next = c->world->lates;
    c->world->lates = late;
    pn_buf_init(&late->body, 60000);
    pn_dnsfile_find(c->world->zone, ask->name, ask->type, &answer);
    pn_dns_answer_put(&late->body, ask->id, &answer);
    if (c->world->shelf != NULL)
        pn_dns_shelf_put(c->world->shelf, ask->name, ask->type, &answer, 60, pn_clock_mono_ns());
    late->timer = pn_timer_new(c->world->loop, send_late, late);
    pn_timer_set(late->timer, c->world->delay_ms);
}

static bool on_ask(void *ctx, struct pn_record *record)
{
    return record->type == PN_REC_DNS_ASK && pn_dns_asks_each(record->body, ask_one, ctx);
}

static void spawn(struct world *w, unsigned group, bool solo, uint64_t token);

static void on_child_end(void *ctx, enum pn_channel_end how)
{
    struct world_child *c = ctx;
    (void)how;
    pn_channel_free(&c->resolver);
    if (c->world->refill && !c->solo)
        spawn(c->world, c->group, false, 0);
}

static void spawn(struct world *w, unsigned group, bool solo, uint64_t token)
{
    static const struct pn_channel_ops ops = {.on_record = on_ask, .on_end = on_child_end};
    int run[2], dns[2];
    UNIT_TRUE(pn_channel_pair(run) == 0 && pn_channel_pair(dns) == 0 && w->count < WORLD_CHILDREN);
    struct world_child *c = &w->children[w->count++];
    *c = (struct world_child){.world = w, .group = group, .solo = solo};
    (void)fflush(NULL);
    c->pid = fork();
    if (c->pid == 0) {
        /* Only these two: another worker's channel must end with its worker. */
        if (dup2(run[1], 900) != 900 || dup2(dns[1], 901) != 901 || close_range(3, 899, 0) != 0)
            _exit(4);
        be_worker(w, c, 900, 901);
    }
    (void)close(run[1]);
    (void)close(dns[1]);
    c->resolver = pn_channel_new(w->loop, dns[0], &ops, c, 1 << 20);
    if (w->shelf != NULL) {
        int fd = pn_dns_shelf_fd(w->shelf);
        UNIT_TRUE(pn_channel_send(c->resolver, PN_REC_DNS_SHELF, PN_STR(""), &fd, 1));
    }
    struct pn_peer peer = {.role = PN_ROLE_FILTER,
                           .number = w->count,
                           .group = group,
                           .generation = 1,
                           .flags = solo ? PN_PEER_SOLO : 0U,
                           .token = token,
                           .fd = run[0]};
    pn_runner_add_worker(w->runner, &peer);
}

void world_kill(struct world *w, unsigned turn)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < w->count; i++)
        alive += w->children[i].resolver != NULL && !w->children[i].solo;
    unsigned pick = alive == 0 ? 0 : turn % alive;
    for (unsigned i = 0; i < w->count; i++)
        if (w->children[i].resolver != NULL && !w->children[i].solo && pick-- == 0)
            (void)kill(w->children[i].pid, SIGKILL);
}

/* ---- the runner's side */

static void want_solo(void *ctx, const struct pn_want_solo *want)
{
    struct world *w = ctx;
    w->solos++;
    if (!w->no_solos)
        spawn(w, want->group, true, want->token);
}

static void on_failure(void *ctx, const struct pn_failure *f)
{
    struct world *w = ctx;
    w->failures++;
    (void)snprintf(w->failed, sizeof w->failed, "%.*s %.*s", PN_FMT(f->plugin), PN_FMT(f->stage));
}

static void add_plugin(struct world *w, const char *file, unsigned group, struct pn_buf *err)
{
    unsigned i = w->plan->count++;
    w->loaded[i] = pn_plugin_load(file, err);
    UNIT_TRUE(w->loaded[i] != NULL);
    const struct postern_plugin *d = pn_plugin_desc(w->loaded[i]);
    unsigned stages = 0;
    for (unsigned s = 0; s < POSTERN_STAGES; s++)
        stages |= (d->on[s] != NULL ? 1U : 0U) << s;
    w->plan->plugins[i] = (struct pn_plan_plugin){.name = pn_str_of(d->name),
                                                  .stages = stages,
                                                  .group = group,
                                                  .deadline_ms = WORLD_PATIENCE_MS};
    if (group >= w->plan->group_count)
        w->plan->group_count = group + 1;
    w->plugins[i] = (struct host_plugin){
        .loaded = w->loaded[i], .desc = d, .index = i, .symbols = pn_plugin_symbols(w->loaded[i])};
}

void world_init(struct world *w, const char *const *files, const unsigned *groups)
{
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    *w = (struct world){.loop = pn_loop_new(), .refill = true};
    w->plan = calloc(1, sizeof *w->plan);
    w->plan->refs = 1;
    w->plan->generation = 1;
    w->plan->budget_ms = WORLD_PATIENCE_MS;
    for (unsigned i = 0; files[i] != NULL; i++)
        add_plugin(w, files[i], groups[i], &err);
    w->zone = pn_dnsfile_parse(pn_str_of(zone_text), "zone", &err);
    UNIT_TRUE(w->zone != NULL);
    pn_buf_fini(&err);
}

void world_workers(struct world *w, unsigned workers)
{
    static const struct pn_runner_ops ops = {.want_solo = want_solo, .on_failure = on_failure};
    if (w->runner == NULL)
        w->runner = pn_runner_new(w->loop, w->plan, PN_STR("mx.here.test"), &ops, w);
    for (unsigned g = 0; g < w->plan->group_count; g++)
        for (unsigned i = 0; i < workers; i++)
            spawn(w, g, false, 0);
}

void world_up(struct world *w, const char *const *files, const unsigned *groups, unsigned workers)
{
    world_init(w, files, groups);
    world_workers(w, workers);
}

void world_down(struct world *w)
{
    w->refill = false;
    pn_runner_free(&w->runner);
    for (unsigned i = 0; i < w->count; i++) {
        int status;
        UNIT_INT(waitpid(w->children[i].pid, &status, 0), w->children[i].pid);
        pn_channel_free(&w->children[i].resolver);
    }
    while (w->lates != NULL)
        drop_late(w->lates);
    pn_dnsfile_free(&w->zone);
    for (unsigned i = 0; i < w->plan->count; i++)
        pn_plugin_unload(&w->loaded[i]);
    pn_plan_unref(&w->plan);
    pn_loop_free(&w->loop);
}

/* ---- one session */

void run_done(void *ctx, enum pn_check_end end)
{
    struct run *r = ctx;
    r->over = true;
    r->end = end;
}

enum pn_check_end run_to(struct world *w, struct pn_check *c, unsigned stage)
{
    struct run r = {0};
    if (!pn_check_run(c, stage, run_done, &r))
        return PN_CHECK_WHOLE;
    uint64_t until = pn_clock_mono_ns() + 2 * UINT64_C(1) * WORLD_PATIENCE_MS * PN_NS_PER_MS;
    while (!r.over && pn_clock_mono_ns() < until)
        pn_loop_turn(w->loop, 100);
    UNIT_TRUE(r.over);
    return r.end;
}

struct pn_check *session_begin(struct world *w, const char *ip)
{
    struct pn_check_client client = {
        .id = PN_STR("session-1"), .port = 1234, .now_ms = 1600000000000};
    UNIT_TRUE(pn_ip_parse(pn_str_of(ip), &client.ip));
    return pn_check_new(w->runner, &client);
}

void session_mail(struct pn_check *c, const char *from, const char *rcpt)
{
    pn_check_mail(
        c, &(struct pn_check_mail){
               .from = pn_str_of(from), .id = PN_STR("m1"), .now_ms = 1700000000000, .seed = 42});
    pn_check_rcpt(c, pn_str_of(rcpt), UINT64_MAX);
}

int session_content(struct pn_check *c, const char *subject)
{
    char text[600];
    int n = snprintf(text, sizeof text, "Subject: %s\r\nFrom: a@b.test\r\n\r\nbody\r\n", subject);
    int fd = pn_memfile_of("content", (struct pn_str){text, (size_t)n});
    pn_check_content(c, fd, (uint64_t)n);
    return fd;
}

bool has_fact(const struct pn_facts *f, const char *plugin, const char *name, const char *detail)
{
    for (size_t i = 0; i < f->symbol_count; i++)
        if (pn_str_eq(f->symbols[i].plugin, pn_str_of(plugin)) &&
            pn_str_eq(f->symbols[i].name, pn_str_of(name)) &&
            pn_str_eq(f->symbols[i].detail, pn_str_of(detail)))
            return true;
    return false;
}

void ledger_text(const struct pn_facts *f, struct pn_buf *out)
{
    for (size_t i = 0; i < f->symbol_count; i++)
        (void)pn_buf_addf(out, "%.*s %.*s %.*s\n", PN_FMT(f->symbols[i].plugin),
                          PN_FMT(f->symbols[i].name), PN_FMT(f->symbols[i].detail));
    for (size_t i = 0; i < f->run_count; i++)
        (void)pn_buf_addf(out, "run %.*s %d\n", PN_FMT(f->runs[i].plugin), f->runs[i].status);
}

unsigned status_of(const struct pn_facts *f, const char *plugin)
{
    for (size_t i = 0; i < f->run_count; i++)
        if (pn_str_eq(f->runs[i].plugin, pn_str_of(plugin)))
            return (unsigned)f->runs[i].status;
    return 99;
}

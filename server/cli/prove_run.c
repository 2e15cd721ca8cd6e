#include "prove_int.h"

#include "clock.h"
#include "memfile.h"
#include "prove_blame.h"
#include "rpl_server.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STUCK_MS = 60 * 1000, REST_MS = 3000 };

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
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(STUCK_MS));
    while (!t.done && !pn_patience_over(&patience))
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
            prove_workers_replace(p);
    }
    if (!apart && !run_to(p, check, POSTERN_AFTER))
        p->result->stuck = true;
}

/* Objects are freed on the worker's threads, a moment later. */
static void rest(struct prove *p)
{
    const struct prove_calls *k = p->o.calls;
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(REST_MS));
    while (atomic_load(&k->sessions) > 0 || atomic_load(&k->transactions) > 0 ||
           atomic_load(&k->inside) > 0) {
        if (pn_patience_over(&patience)) {
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
    if (!prove_load_all(p)) {
        out->stuck = true;
        return;
    }
    bool fresh = how->fresh || p->ticked || p->workers == NULL ||
                 deadline != p->plan->plugins[p->target].deadline_ms;
    p->plan->plugins[p->target].deadline_ms = deadline;
    p->how = how;
    atomic_store(&p->o.heap->fail_at, 0);
    if (fresh)
        prove_workers_replace(p);
    p->ticked = false;
    blame_reset();
    atomic_fetch_add(&p->o.heap->round, 1);
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
    p->how = NULL;
    if (fd >= 0)
        (void)close(fd);
}

void prove_tick(struct prove *p, const struct prove_how *how, struct prove_result *out)
{
    struct pn_patience patience;
    struct prove_calls *k = p->o.calls;
    if (!prove_load_all(p)) {
        out->stuck = true;
        return;
    }
    p->plan->plugins[p->target].deadline_ms =
        how->deadline_ms != 0 ? how->deadline_ms : p->deadline_ms;
    p->how = how;
    p->result = out;
    prove_calls_reset();
    atomic_fetch_add(&p->o.heap->round, 1);
    atomic_store(&p->o.heap->fail_at, how->fail_at);
    prove_workers_replace(p);
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(STUCK_MS));
    while (atomic_load(&k->ticks) == 0 && out->death == 0 && !pn_patience_over(&patience))
        pn_loop_turn(p->loop, 5);
    p->ticked = true;
    (void)snprintf(out->stage, sizeof out->stage, "tick");
    out->convicted = out->death != 0; /* nothing else ran there */
    (void)snprintf(out->text, sizeof out->text, "%s",
                   WIFEXITED(out->death) && WEXITSTATUS(out->death) == PN_WORKER_HUNG_EXIT
                       ? "hangs"
                       : "crashes");
    out->stuck = atomic_load(&k->ticks) == 0 && out->death == 0;
    out->asked = atomic_load(&p->o.heap->asked);
    atomic_store(&p->o.heap->fail_at, 0);
    p->result = NULL;
    p->how = NULL;
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
    for (const struct prove_worker *w = p->workers; w != NULL; w = w->next)
        if (!w->solo && w->group == p->plan->plugins[p->target].group) {
            l.descriptors = entries(w->pid, "fd");
            l.threads = entries(w->pid, "task");
        }
    return l;
}

bool prove_has_tick(struct prove *p)
{
    unsigned count;
    if (!prove_load_all(p))
        return false;
    const struct host_plugin *all =
        pn_group_plugins(p->groups[p->plan->plugins[p->target].group], &count);
    for (unsigned i = 0; i < count; i++)
        if (all[i].index == (unsigned)p->target)
            return all[i].desc->tick != NULL;
    return false;
}

bool prove_has_stage(const struct prove *p, unsigned stage)
{
    return (p->plan->plugins[p->target].stages >> stage & 1) != 0;
}

bool prove_needs(const struct prove *p, unsigned need)
{
    return (p->plan->plugins[p->target].needs & need) != 0;
}

/* What is done to a plugin, and what counts against it. */
#include "prove.h"

#include "jail.h"
#include "mem.h"
#include "prove_blame.h"
#include "rpl_server.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SLOW_DEADLINE_MS = 400,
    FACTS_MAX = 8 * 1024 * 1024,
    WARM_UP = 3,
    REPEATS = 6 /* what grows with each of them leaks */
};

const char *prove_kind_name(enum prove_kind kind)
{
    static const char *const names[PROVE_KINDS] = {
        [PROVE_CRASH] = "crash", [PROVE_HANG] = "hang",       [PROVE_JAIL] = "jail",
        [PROVE_LEAK] = "leak",   [PROVE_DIFFERS] = "differs", [PROVE_MISUSE] = "misuse",
        [PROVE_START] = "start", [PROVE_SCRIPT] = "script"};
    return names[kind];
}

/* ---- findings */

static char *save_script(const struct prove_plan *plan, const char *trial, const char *text,
                         const struct prove_case *c, const struct rpl *origin)
{
    char name[PROVE_NAME_MAX], path[PATH_MAX];
    size_t n = 0;
    for (const char *p = trial; *p != '\0' && n + 1 < sizeof name; p++)
        name[n++] = pn_is_alpha(*p) || pn_is_digit(*p) || *p == '.' ? *p : '-';
    name[n] = '\0';
    (void)snprintf(path, sizeof path, "%s/%s-%s.rpl", plan->save, plan->name, name);
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    prove_script(&out, c, origin, text);
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(out.p, 1, out.len, f) == out.len;
    ok = (f == NULL || fclose(f) == 0) && ok;
    pn_buf_fini(&out);
    if (!ok)
        fprintf(stderr, "postern plugin test: %s can't be written\n", path);
    return ok ? pn_strdup(path) : NULL;
}

static bool says_the_same(const struct prove_finding *a, const struct prove_finding *b)
{
    bool stage = a->stage == NULL || b->stage == NULL ? a->stage == b->stage
                                                      : strcmp(a->stage, b->stage) == 0;
    return a->kind == b->kind && stage && strcmp(a->text, b->text) == 0;
}

void prove_find(struct prove_plan *plan, enum prove_kind kind, const char *trial, const char *stage,
                const char *text, const struct prove_case *c, const struct rpl *origin)
{
    struct prove_report *r = plan->report;
    if (r->count == PROVE_FINDINGS_MAX) {
        r->more++;
        return;
    }
    struct prove_finding *f = &r->findings[r->count++];
    *f = (struct prove_finding){.kind = kind, .trial = pn_strdup(trial), .text = pn_strdup(text)};
    if (stage != NULL && stage[0] != '\0')
        f->stage = pn_strdup(stage);
    for (size_t i = 0; i + 1 < r->count; i++)
        f->like += says_the_same(&r->findings[i], f);
    if (c != NULL && plan->save != NULL)
        f->saved = save_script(plan, trial, text, c, origin);
    r->hangs += kind == PROVE_HANG;
    if (plan->on_find != NULL)
        plan->on_find(plan->ctx, f);
}

bool prove_given_up(const struct prove_plan *plan)
{
    return plan->report->hangs >= PROVE_HANGS_MAX;
}

/* A crash under a failing allocation. True: it is a library's, and was noted as that. */
static bool blame_it(struct prove_plan *plan, const char *trial)
{
    struct prove_report *r = plan->report;
    char name[64];
    size_t i = 0;
    if (blame_library(name, sizeof name) == NULL)
        return false;
    while (i < r->library_count && strcmp(r->libraries[i].name, name) != 0)
        i++;
    if (i == PROVE_LIBRARIES_MAX)
        return false;
    struct prove_library *l = &r->libraries[i];
    if (i == r->library_count) {
        r->library_count++;
        (void)snprintf(l->name, sizeof l->name, "%s", name);
        (void)snprintf(l->first, sizeof l->first, "%s", trial);
    }
    l->count++;
    return true;
}

bool prove_wanted(struct prove_plan *plan, const char *trial)
{
    if (plan->only != NULL && !pn_str_starts(pn_str_of(trial), pn_str_of(plan->only)))
        return false;
    if (prove_given_up(plan))
        return false;
    plan->report->trials++;
    plan->matched++;
    return true;
}

static const char *death_text(int status, char *out, size_t size)
{
    char call[64] = "";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && blame_call() >= 0)
        pn_jail_call_name(blame_call(), call, sizeof call);
    if (call[0] != '\0')
        (void)snprintf(out, size, "%s", call);
    else if (WIFSIGNALED(status))
        (void)snprintf(out, size, "%s", strsignal(WTERMSIG(status)));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == PN_PAGE_EXIT_CALLED)
        (void)snprintf(out, size, "calls exit");
    else
        (void)snprintf(out, size, "its process ended with %d", WEXITSTATUS(status));
    return out;
}

/* What was not said before. True: nothing. */
static bool uses_well(struct prove_plan *plan, const char *trial, const struct prove_case *c,
                      const struct rpl *origin)
{
    const char *stage, *text;
    size_t before = plan->misuses;
    while (misuse_next(&plan->misuses, &stage, &text))
        prove_find(plan, PROVE_MISUSE, trial, stage, text, c, origin);
    return plan->misuses == before;
}

bool prove_judge(struct prove_plan *plan, const char *trial, const struct prove_result *r,
                 const struct prove_case *c, const struct rpl *origin)
{
    char text[800], how[200];
    bool jail = WIFSIGNALED(r->death) && WTERMSIG(r->death) == SIGSYS;
    bool hangs = WIFEXITED(r->death) && WEXITSTATUS(r->death) == PN_WORKER_HUNG_EXIT;
    bool well = uses_well(plan, trial, c, origin);
    if (!r->convicted && r->death == 0 && !r->stuck)
        return well;
    if (!jail && blame_it(plan, trial))
        return true;
    if (r->death != 0 && !hangs) {
        (void)snprintf(text, sizeof text, "%s%s%s%s", r->convicted ? r->text : "crashes",
                       jail ? ": a system call that its needs don't ask for: " : ": ",
                       death_text(r->death, how, sizeof how),
                       r->convicted ? "" : ", though not when it was repeated alone");
        prove_find(plan, jail ? PROVE_JAIL : PROVE_CRASH, trial, r->stage, text, c, origin);
    } else if (r->convicted || hangs) {
        prove_find(plan, PROVE_HANG, trial, r->stage, r->convicted ? r->text : "hangs", c, origin);
    } else {
        prove_find(plan, PROVE_HANG, trial, "end",
                   "a session or a transaction was made and not freed in time", c, origin);
    }
    return false;
}

/* One trial whose facts the caller may want. */
static bool trial(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                  struct prove_plan *plan, const struct prove_how *how, struct prove_result *r)
{
    *r = (struct prove_result){.death = 0};
    pn_buf_init(&r->facts, FACTS_MAX);
    prove_run(p, c->session, how, r);
    return prove_judge(plan, how->trial, r, c, origin);
}

static void simple(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                   struct prove_plan *plan, const struct prove_how *how)
{
    struct prove_result r;
    if (!prove_wanted(plan, how->trial))
        return;
    plan->report->passed += trial(p, c, origin, plan, how, &r);
    pn_buf_fini(&r.facts);
}

/* ---- replaced workers: the facts must be the same */

static bool same(const struct prove_result *a, const struct prove_result *b)
{
    return pn_str_eq(pn_buf_str(&a->facts), pn_buf_str(&b->facts));
}

/* The first line that is not the same in both. */
static void difference(const struct prove_result *a, const struct prove_result *b, char *out,
                       size_t size)
{
    struct pn_str x = pn_buf_str(&a->facts), y = pn_buf_str(&b->facts), l = PN_STR("nothing");
    struct pn_str m = l;
    while (x.p != NULL || y.p != NULL) {
        l = x.p == NULL ? PN_STR("nothing") : pn_str_split(&x, '\n');
        m = y.p == NULL ? PN_STR("nothing") : pn_str_split(&y, '\n');
        if (!pn_str_eq(l, m))
            break;
    }
    (void)snprintf(out, size, "states \"%.*s\" where it stated \"%.*s\"",
                   PN_FMT(pn_str_slice(m, 0, 200)), PN_FMT(pn_str_slice(l, 0, 200)));
}

static void compare(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                    struct prove_plan *plan, const struct prove_how *how,
                    const struct prove_result *base)
{
    char text[800];
    struct prove_result r;
    if (!prove_wanted(plan, how->trial))
        return;
    bool ok = trial(p, c, origin, plan, how, &r);
    if (ok && !same(base, &r)) {
        difference(base, &r, text, sizeof text);
        prove_find(plan, PROVE_DIFFERS, how->trial, NULL, text, c, origin);
        ok = false;
    }
    plan->report->passed += ok;
    pn_buf_fini(&r.facts);
}

static void replacements(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                         struct prove_plan *plan, const struct prove_result *base)
{
    char name[PROVE_NAME_MAX];
    for (unsigned s = POSTERN_CONNECT; s < POSTERN_MESSAGE; s++) {
        (void)snprintf(name, sizeof name, "%s/replaced/%s", c->name, pn_stage_name(s));
        struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .replace = 1U << s};
        compare(p, c, origin, plan, &how, base);
    }
    (void)snprintf(name, sizeof name, "%s/replaced/all", c->name);
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .replace = UINT32_MAX};
    compare(p, c, origin, plan, &how, base);
}

/* In the worker that has seen it before: a verdict has no memory. */
static void again(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                  struct prove_plan *plan, const struct prove_result *base)
{
    char name[PROVE_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/again", c->name);
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER};
    compare(p, c, origin, plan, &how, base);
}

/* ---- ends */

static void ends(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                 struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    for (int s = POSTERN_CONNECT; s < POSTERN_AFTER; s++) {
        (void)snprintf(name, sizeof name, "%s/end/%s", c->name, pn_stage_name((unsigned)s));
        struct prove_how how = {.trial = name, .last_stage = s};
        simple(p, c, origin, plan, &how);
    }
}

/* ---- DNS that is slow, broken or gone */

static void answers(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                    struct prove_plan *plan)
{
    static const struct {
        const char *name;
        enum prove_dns dns;
        uint32_t deadline_ms;
    } rows[] = {{"timeout", PROVE_DNS_TIMEOUT, 0},
                {"servfail", PROVE_DNS_SERVFAIL, 0},
                {"slow", PROVE_DNS_SILENT, SLOW_DEADLINE_MS}};
    char name[PROVE_NAME_MAX];
    for (size_t i = 0; prove_needs(p, POSTERN_NEED_DNS) && i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/dns/%s", c->name, rows[i].name);
        struct prove_how how = {.trial = name,
                                .dns = rows[i].dns,
                                .deadline_ms = (uint32_t)rpl_patience_ms((int)rows[i].deadline_ms),
                                .last_stage = POSTERN_AFTER};
        simple(p, c, origin, plan, &how);
    }
}

static void away(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                 struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/state/away", c->name);
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .state_away = true};
    if (prove_needs(p, POSTERN_NEED_STATE))
        simple(p, c, origin, plan, &how);
}

/* ---- leaks */

static void say_leak(struct prove_plan *plan, const char *trial, struct prove_load a,
                     struct prove_load b, int sessions, const struct prove_case *c,
                     const struct rpl *origin)
{
    long long blocks = b.blocks - a.blocks, bytes = b.bytes - a.bytes;
    struct pn_buf text;
    pn_buf_init(&text, 800);
    (void)pn_buf_addf(&text, "%d session%s leave%s", sessions, sessions == 1 ? "" : "s",
                      sessions == 1 ? "s" : "");
    if (blocks > 0)
        (void)pn_buf_addf(&text, " %lld block%s (%lld bytes)", blocks, blocks == 1 ? "" : "s",
                          bytes);
    /* Fewer come and go with the worker's own threads. */
    if (b.descriptors - a.descriptors >= sessions)
        (void)pn_buf_addf(&text, " %ld descriptors", b.descriptors - a.descriptors);
    if (b.threads - a.threads >= sessions)
        (void)pn_buf_addf(&text, " %ld threads", b.threads - a.threads);
    if (blocks >= sessions) {
        (void)pn_buf_addz(&text, "; most live blocks come from ");
        heap_site(&text);
    }
    prove_find(plan, PROVE_LEAK, trial, NULL, pn_buf_cstr(&text), c, origin);
    pn_buf_fini(&text);
}

static bool keeps_nothing(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                          struct prove_plan *plan, const char *name)
{
    struct prove_load before = {0}, after;
    struct prove_result r;
    for (int i = 0; i < WARM_UP + REPEATS; i++) {
        struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .fresh = i == 0};
        if (i == WARM_UP)
            before = prove_load(p);
        bool ok = trial(p, c, origin, plan, &how, &r);
        pn_buf_fini(&r.facts);
        if (!ok)
            return false;
    }
    after = prove_load(p);
    if (after.blocks - before.blocks < REPEATS &&
        after.descriptors - before.descriptors < REPEATS &&
        after.threads - before.threads < REPEATS)
        return true;
    say_leak(plan, name, before, after, REPEATS, c, origin);
    return false;
}

/* ---- allocations that fail */

/* A path that forgets a block forgets one each time. */
static bool leaks_again(struct prove *p, const struct prove_case *c, struct prove_how how)
{
    int64_t before = prove_load(p).blocks;
    how.fresh = false;
    for (int i = 0; i < REPEATS; i++) {
        struct prove_result r = {.death = 0};
        pn_buf_init(&r.facts, FACTS_MAX);
        prove_run(p, c->session, &how, &r);
        pn_buf_fini(&r.facts);
    }
    return prove_load(p).blocks - before >= REPEATS;
}

static void allocation(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                       struct prove_plan *plan, const struct prove_how *how, int64_t usual)
{
    struct prove_result r;
    if (!prove_wanted(plan, how->trial))
        return;
    plan->report->points++;
    struct prove_load before = {.blocks = 0}, after;
    bool ok = trial(p, c, origin, plan, how, &r);
    pn_buf_fini(&r.facts);
    after = prove_load(p);
    before.descriptors = after.descriptors; /* of blocks alone */
    before.threads = after.threads;
    if (ok && after.blocks > usual && leaks_again(p, c, *how)) {
        say_leak(plan, how->trial, before, after, 1, c, origin);
        ok = false;
    }
    plan->report->passed += ok;
}

static void allocations(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                        struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    struct prove_result r;
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .fresh = true};
    (void)snprintf(name, sizeof name, "%s/alloc", c->name);
    if (prove_given_up(plan))
        return;
    (void)trial(p, c, origin, plan, &how, &r);
    int64_t usual = prove_load(p).blocks;
    uint64_t count = plan->points_max == 0 ? 0 : r.asked;
    pn_buf_fini(&r.facts);
    uint64_t step =
        count > plan->points_max ? (count + plan->points_max - 1) / plan->points_max : 1;
    for (uint64_t at = 1; at <= count; at += step) {
        (void)snprintf(name, sizeof name, "%s/alloc/%llu", c->name, (unsigned long long)at);
        how.fail_at = at;
        allocation(p, c, origin, plan, &how, usual);
    }
}

/* ---- all of it */

bool prove_once(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    struct prove_result r;
    (void)snprintf(name, sizeof name, "%s/plain", c->name);
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER};
    if (!prove_wanted(plan, name))
        return true;
    bool ok = trial(p, c, origin, plan, &how, &r);
    pn_buf_fini(&r.facts);
    plan->report->passed += ok;
    return ok;
}

void prove_faults(struct prove *p, const struct prove_case *c, const struct rpl *origin,
                  struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    struct prove_result base;
    if (prove_given_up(plan))
        return;
    (void)snprintf(name, sizeof name, "%s/plain", c->name);
    struct prove_how how = {.trial = name, .last_stage = POSTERN_AFTER, .fresh = true};
    bool counted = prove_wanted(plan, name);
    bool ok = trial(p, c, origin, plan, &how, &base);
    plan->report->passed += counted && ok;
    bool ends_well = !base.convicted && base.death == 0 && !base.stuck;
    (void)snprintf(name, sizeof name, "%s/leak", c->name);
    if (ends_well && prove_wanted(plan, name))
        plan->report->passed += keeps_nothing(p, c, origin, plan, name);
    if (ends_well) { /* who fails without a fault says nothing by failing with one */
        again(p, c, origin, plan, &base);
        replacements(p, c, origin, plan, &base);
        ends(p, c, origin, plan);
        answers(p, c, origin, plan);
        away(p, c, origin, plan);
        allocations(p, c, origin, plan);
    }
    pn_buf_fini(&base.facts);
}

void prove_starts(struct prove *p, const struct rpl *origin, struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    uint64_t asked = 0, count;
    struct pn_buf why;
    const char *of = origin == NULL ? "default" : origin->path;
    (void)snprintf(name, sizeof name, "%s/start", of);
    pn_buf_init(&why, 4000);
    bool ok = prove_start(p, 0, &count, &why) && why.len == 0;
    plan->report->trials++;
    plan->report->passed += ok;
    if (!ok)
        prove_find(plan, PROVE_START, name, "prepare", pn_buf_cstr(&why), NULL, origin);
    if (plan->points_max == 0)
        count = 0;
    uint64_t step =
        count > plan->points_max ? (count + plan->points_max - 1) / plan->points_max : 1;
    for (uint64_t at = 1; ok && at <= count; at += step) {
        (void)snprintf(name, sizeof name, "%s/start/alloc/%llu", of, (unsigned long long)at);
        if (!prove_wanted(plan, name))
            continue;
        pn_buf_clear(&why);
        plan->report->points++;
        bool orderly = prove_start(p, at, &asked, &why) || blame_it(plan, name);
        plan->report->passed += orderly;
        if (!orderly)
            prove_find(plan, PROVE_START, name, "prepare", pn_buf_cstr(&why), NULL, origin);
    }
    pn_buf_fini(&why);
}

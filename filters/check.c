#include "runner_int.h"

#include "assert.h"
#include "clock.h"
#include "loader.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum { SESSION_POOL_MAX = 1024 * 1024, TRANSACTION_POOL_MAX = 64 * 1024 * 1024 };

/* ---- the session */

/* What was found before HELO stays. */
static void begin_helo(struct pn_check *c)
{
    pn_pool_free(&c->helo_pool);
    c->helo_pool = pn_pool_new(SESSION_POOL_MAX);
    c->helo = PN_STR("");
    pn_facts_init(&c->session_facts, c->helo_pool);
    (void)pn_facts_merge(&c->session_facts, &c->connect_facts);
}

struct pn_check *pn_check_new(struct pn_runner *r, const struct pn_check_client *client)
{
    struct pn_check *c = pn_calloc(1, sizeof *c);
    c->runner = r;
    c->plan = pn_plan_ref(r->plan);
    c->session = ++r->next_session;
    c->next = r->checks;
    c->at = &r->checks;
    if (c->next != NULL)
        c->next->at = &c->next;
    r->checks = c;
    c->session_pool = pn_pool_new(SESSION_POOL_MAX);
    c->client = *client;
    c->client.auth_id = pn_pool_dup(c->session_pool, client->auth_id);
    c->client.id = pn_pool_dup(c->session_pool, client->id);
    if (client->now_ms == 0)
        c->client.now_ms = pn_clock_wall_ms();
    c->hostname =
        pn_pool_dup(c->session_pool, client->hostname.len != 0 ? client->hostname : r->hostname);
    c->content_fd = -1;
    pn_facts_init(&c->connect_facts, c->session_pool);
    begin_helo(c);
    c->steps = pn_grow(NULL, &c->step_cap, 0, sizeof *c->steps);
    c->steps[c->step_count++] = (struct check_step){.stage = POSTERN_CONNECT};
    return c;
}

static void abandon_run(struct pn_check *c)
{
    while (c->asks != NULL)
        ask_abandon(c->asks);
    c->running = false;
    c->done = NULL;
    c->found_count = 0;
    pn_loop_forget(c->runner->loop, c);
    pn_pool_free(&c->run_pool);
}

void pn_check_free(struct pn_check **check)
{
    struct pn_check *c = *check;
    if (c == NULL)
        return;
    *check = NULL;
    abandon_run(c);
    check_leave_homes(c, true);
    *c->at = c->next;
    if (c->next != NULL)
        c->next->at = c->at;
    struct pn_runner *r = c->runner;
    pn_pool_free(&c->pool);
    pn_pool_free(&c->helo_pool);
    pn_pool_free(&c->session_pool);
    pn_plan_unref(&c->plan);
    free(c->steps);
    free(c->rcpts);
    free(c->found);
    free(c);
    runner_check_gone(r);
}

const struct pn_plan *pn_check_plan(const struct pn_check *c)
{
    return c->plan;
}

const struct pn_facts *pn_check_facts(const struct pn_check *c)
{
    return c->in_transaction ? &c->facts : &c->session_facts;
}

static struct check_step *add_step(struct pn_check *c, unsigned stage)
{
    c->steps = pn_grow(c->steps, &c->step_cap, c->step_count, sizeof *c->steps);
    c->steps[c->step_count] =
        (struct check_step){.stage = (uint8_t)stage, .rcpts = (uint32_t)c->rcpt_count};
    return &c->steps[c->step_count++];
}

/* Drops steps from this stage on. */
static void cut_steps(struct pn_check *c, unsigned stage)
{
    while (c->step_count > 0 && c->steps[c->step_count - 1].stage >= stage)
        c->step_count--;
    if (c->done_count > c->step_count)
        c->done_count = c->step_count;
    c->asked_count = c->done_count;
}

void pn_check_reset(struct pn_check *c)
{
    abandon_run(c);
    if (!c->in_transaction)
        return;
    check_leave_homes(c, false);
    cut_steps(c, POSTERN_MAIL);
    c->in_transaction = false;
    c->rcpt_count = 0;
    c->wanted = c->given = c->skipped = c->failed = 0;
    c->content_fd = -1;
    c->content_size = 0;
    c->used_ns = 0;
    c->mail = (struct pn_check_mail){.id = PN_STR("")};
    pn_pool_free(&c->pool);
}

static void forget_helo(struct pn_check *c)
{
    pn_check_reset(c);
    check_leave_homes(c, true);
    cut_steps(c, POSTERN_HELO);
    begin_helo(c);
}

void pn_check_helo(struct pn_check *c, struct pn_str helo)
{
    forget_helo(c);
    c->helo = pn_pool_dup(c->helo_pool, helo);
    (void)add_step(c, POSTERN_HELO);
}

void pn_check_tls(struct pn_check *c)
{
    forget_helo(c);
    c->client.tls = true;
}

void pn_check_auth(struct pn_check *c, struct pn_str auth_id)
{
    pn_check_reset(c);
    c->client.auth_id = pn_pool_dup(c->session_pool, auth_id);
}

/* ---- the transaction */

void pn_check_mail(struct pn_check *c, const struct pn_check_mail *mail)
{
    pn_check_reset(c);
    c->pool = pn_pool_new(TRANSACTION_POOL_MAX);
    c->in_transaction = true;
    c->transaction++;
    c->mail = *mail;
    c->mail.from = pn_pool_dup(c->pool, mail->from);
    c->mail.id = pn_pool_dup(c->pool, mail->id);
    pn_facts_init(&c->facts, c->pool);
    (void)pn_facts_merge(&c->facts, &c->session_facts);
    (void)add_step(c, POSTERN_MAIL);
}

void pn_check_rcpt(struct pn_check *c, struct pn_str address, uint64_t wanted)
{
    pn_assert(c->in_transaction);
    c->rcpts = pn_grow(c->rcpts, &c->rcpt_cap, c->rcpt_count, sizeof *c->rcpts);
    c->rcpts[c->rcpt_count++] = pn_pool_dup(c->pool, address);
    c->wanted |= wanted;
    (void)add_step(c, POSTERN_RCPT);
}

void pn_check_content(struct pn_check *c, int fd, uint64_t size)
{
    pn_assert(c->in_transaction);
    cut_steps(c, POSTERN_HEADERS);
    c->content_fd = fd;
    c->content_size = size;
    (void)add_step(c, POSTERN_HEADERS);
    (void)add_step(c, POSTERN_MESSAGE);
    (void)add_step(c, POSTERN_AFTER);
}

void pn_check_give(struct pn_check *c, unsigned plugin, const struct pn_facts *f)
{
    pn_assert(c->in_transaction && plugin < c->plan->count);
    c->given |= UINT64_C(1) << plugin;
    (void)pn_facts_merge(&c->facts, f);
    struct pn_plugin_run run = {.plugin = c->plan->plugins[plugin].name, .status = PN_PLUGIN_GIVEN};
    (void)pn_facts_add_run(&c->facts, &run);
}

void pn_check_skip(struct pn_check *c, uint64_t plugins)
{
    c->skipped |= plugins;
}

/* ---- which plugins, in which run */

/* Those that are called in a step: before the first recipient nobody knows who wants
 * what, so all are. */
static uint64_t mask_of(const struct pn_check *c, const struct check_step *s)
{
    uint64_t not = c->session_failed;
    if (s->stage >= POSTERN_MAIL || c->in_transaction)
        not |= c->given | c->skipped | c->failed;
    uint64_t at = pn_plan_at(c->plan, s->stage) & ~not ;
    return s->stage >= POSTERN_RCPT ? at & c->wanted : at;
}

static uint64_t group_mask(const struct pn_plan *plan, unsigned group)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < plan->count; i++)
        mask |= (uint64_t)(plan->plugins[i].group == group) << i;
    return mask;
}

/* Sets `ran` of the run's steps; returns all plugins in them. */
static uint64_t plan_run(struct pn_check *c)
{
    uint64_t all = 0;
    for (size_t i = c->done_count; i < c->run_end; i++) {
        c->steps[i].ran = mask_of(c, &c->steps[i]);
        all |= c->steps[i].ran;
    }
    return all;
}

/* Does one of these wait for another group? Then stages go one by one. */
static bool crosses(const struct pn_check *c, uint64_t plugins)
{
    for (unsigned i = 0; i < c->plan->count; i++)
        if ((plugins >> i & 1) != 0 && (c->plan->plugins[i].after & plugins) != 0)
            return true;
    return false;
}

/* The next wave: not called yet, and what they wait for in other groups is done. In its
 * own group a plugin may have to wait for one that must wait: `local` names those. */
static uint64_t next_wave(const struct pn_check *c, uint64_t plugins)
{
    uint64_t left = plugins & ~c->called, wave = left;
    for (unsigned i = 0; i < c->plan->count; i++) {
        const struct pn_plan_plugin *p = &c->plan->plugins[i];
        if (((p->after & left) | (p->local & left & ~wave)) != 0)
            wave &= ~(UINT64_C(1) << i);
    }
    return wave;
}

static void finish(struct pn_check *c, enum pn_check_end end);

static void start_wave(struct pn_check *c, uint64_t wave)
{
    c->called |= wave;
    c->open++; /* held, so that no answer ends the wave while it is sent out */
    for (unsigned g = 0; g < c->plan->group_count; g++) {
        uint64_t plugins = wave & group_mask(c->plan, g);
        if (plugins != 0)
            ask_dispatch(ask_new(c, g, plugins));
    }
    c->open--;
}

/* Begins what is due, step by step where nothing is to be called. False: all is done. */
static bool start_run(struct pn_check *c)
{
    while (c->done_count < c->asked_count) {
        c->run_end = c->asked_count;
        uint64_t plugins = plan_run(c);
        if (plugins == 0) {
            c->done_count = c->run_end;
            break;
        }
        if (crosses(c, plugins) && c->run_end > c->done_count + 1) {
            c->run_end = c->done_count + 1;
            plugins = plan_run(c);
            if (plugins == 0) {
                c->done_count++;
                continue;
            }
        }
        c->running = true;
        c->called = 0;
        c->run_start = pn_clock_mono_ns();
        c->run_pool = pn_pool_new(TRANSACTION_POOL_MAX);
        start_wave(c, next_wave(c, plugins));
        return true;
    }
    return false;
}

static void say_overload(void *arg)
{
    struct pn_check *c = arg;
    finish(c, PN_CHECK_OVERLOAD);
}

bool pn_check_run(struct pn_check *c, unsigned stage,
                  void (*done)(void *ctx, enum pn_check_end end), void *ctx)
{
    size_t asked = 0;
    for (size_t i = 0; i < c->step_count; i++)
        if (c->steps[i].stage <= stage)
            asked = i + 1;
    if (asked > c->asked_count)
        c->asked_count = asked;
    if (!c->running && c->runner->waiting.count >= WAITING_MAX && c->done_count < asked) {
        c->running = true;
        c->runner->stats.overloads++;
        pn_loop_defer(c->runner->loop, say_overload, c);
    }
    if (!c->running && !start_run(c))
        return false;
    c->done = done;
    c->ctx = ctx;
    return true;
}

uint64_t check_budget_end(const struct pn_check *c)
{
    uint64_t budget = (uint64_t)c->plan->budget_ms * PN_NS_PER_MS;
    return c->run_start + (budget > c->used_ns ? budget - c->used_ns : 0);
}

/* ---- requests */

static uint32_t budget_left(const struct pn_check *c)
{
    uint64_t now = pn_clock_mono_ns(), end = check_budget_end(c);
    return end > now ? (uint32_t)((end - now) / PN_NS_PER_MS) + 1 : 0;
}

/* What is known so far: the ledger, and what earlier waves of this run found. */
static void put_earlier(struct pn_check *c, struct pn_buf *out)
{
    const struct pn_facts *ledger = pn_check_facts(c);
    if (c->found_count == 0) {
        pn_facts_put(out, ledger);
        return;
    }
    struct pn_pool *pool = pn_pool_new(TRANSACTION_POOL_MAX);
    struct pn_facts f;
    pn_facts_init(&f, pool);
    (void)pn_facts_merge(&f, ledger);
    for (size_t i = 0; i < c->found_count; i++) {
        struct pn_rd r = pn_rd_of(c->found[i].facts);
        if (c->found[i].facts.len != 0)
            (void)pn_facts_get(&r, &f);
    }
    pn_facts_put(out, &f);
    pn_pool_free(&pool);
}

struct pn_str check_request(struct pn_check *c, const struct ask *a)
{
    struct pn_step *steps = pn_calloc(c->run_end, sizeof *steps);
    struct pn_buf facts;
    for (size_t i = 0; i < c->run_end; i++) {
        const struct check_step *s = &c->steps[i];
        uint64_t wanted = i < c->done_count ? s->ran : s->ran & a->plugins;
        steps[i] = (struct pn_step){s->stage, s->rcpts, wanted};
    }
    pn_buf_init(&facts, PN_REQUEST_BYTES_MAX);
    put_earlier(c, &facts);
    struct pn_request q = {
        .id = a->id,
        .session = c->session,
        .transaction = c->in_transaction ? c->transaction : 0,
        .flags = (a->state == ASK_SOLO && !a->alone ? PN_REQUEST_ALONE : 0U) |
                 (a->state == ASK_SOLO ? PN_REQUEST_TELL : 0U) |
                 (c->client.tls ? PN_REQUEST_TLS : 0U),
        .now_ms = {c->client.now_ms, c->mail.now_ms},
        .seed = {c->client.seed, c->mail.seed},
        .budget_ms = budget_left(c),
        .log_id = c->in_transaction ? c->mail.id : c->client.id,
        .client = c->client.ip,
        .port = c->client.port,
        .helo = c->helo,
        .auth_id = c->client.auth_id,
        .hostname = c->hostname,
        .from = c->mail.from,
        .rcpt_count = (uint32_t)c->rcpt_count,
        .rcpts = c->rcpts,
        .step_count = (uint32_t)c->run_end,
        .steps = steps,
        .first_new = (uint32_t)c->done_count,
        .facts = pn_buf_str(&facts),
        .content_size = c->content_size,
    };
    struct pn_buf *out = &c->runner->scratch;
    pn_buf_clear(out);
    bool ok = pn_request_put(out, &q) && !facts.overflow;
    pn_buf_fini(&facts);
    free(steps);
    return ok ? pn_buf_str(out) : PN_STR("");
}

/* ---- findings */

void check_found(struct pn_check *c, const struct pn_finding *f)
{
    if (f->step >= c->run_end || f->plugin >= c->plan->count)
        return;
    struct pn_str facts = pn_pool_dup(c->run_pool, f->facts);
    struct pn_str reason = pn_pool_dup(c->run_pool, f->reason);
    c->found = pn_grow(c->found, &c->found_cap, c->found_count, sizeof *c->found);
    c->found[c->found_count++] =
        (struct found){.step = f->step < c->done_count ? (uint32_t)c->done_count : f->step,
                       .plugin = f->plugin,
                       .status = f->status,
                       .us = f->us,
                       .reason = reason,
                       .facts = facts};
}

bool check_stop_plugin(struct pn_check *c, unsigned plugin, uint32_t step)
{
    uint64_t bit = UINT64_C(1) << plugin;
    bool before = false;
    for (size_t i = c->done_count; i < c->run_end; i++) {
        if (i >= step)
            c->steps[i].ran &= ~bit;
        before |= (c->steps[i].ran & bit) != 0;
    }
    return before;
}

static void fail_plugins(struct pn_check *c, uint64_t plugins, const char *why)
{
    for (unsigned i = 0; i < c->plan->count; i++)
        if ((plugins >> i & 1) != 0)
            check_found(c, &(struct pn_finding){.step = (uint32_t)c->done_count,
                                                .plugin = (uint8_t)i,
                                                .status = PN_PLUGIN_FAILED,
                                                .reason = pn_str_of(why)});
}

void check_bad_findings(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "the worker could not read the message");
}

void check_lost(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "its worker ended every time");
}

static int by_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return x->plugin - y->plugin;
}

/* Appends to one ledger. False: the worker's bytes are no facts, or not this plugin's. */
static bool add_facts(struct pn_facts *to, const struct found *f, struct pn_str plugin)
{
    struct pn_rd r = pn_rd_of(f->facts);
    size_t symbols = to->symbol_count, auth = to->auth_count;
    if (f->facts.len != 0 && (!pn_facts_get(&r, to) || !pn_rd_done(&r)))
        return false;
    for (; symbols < to->symbol_count; symbols++)
        if (!pn_str_eq(to->symbols[symbols].plugin, plugin))
            return false;
    for (; auth < to->auth_count; auth++)
        if (!pn_str_eq(to->auth[auth].plugin, plugin))
            return false;
    return true;
}

static void enter_found(struct pn_check *c, const struct found *f, struct pn_facts *to)
{
    struct pn_plugin_run run = {.plugin = c->plan->plugins[f->plugin].name,
                                .status = (enum pn_plugin_status)f->status,
                                .us = f->us,
                                .reason = f->reason};
    if (!add_facts(to, f, run.plugin)) {
        run.status = PN_PLUGIN_FAILED;
        run.reason = PN_STR("its worker sent what are no facts of its own");
    }
    bool failed = run.status == PN_PLUGIN_FAILED || run.status == PN_PLUGIN_TIMEOUT;
    if (failed)
        (void)pn_facts_add_symbol(to, &(struct pn_fact){.name = PN_STR(PN_SYMBOL_FAILED),
                                                        .plugin = run.plugin,
                                                        .detail = run.plugin,
                                                        .rcpt = PN_FACT_ALL_RCPTS});
    (void)pn_facts_add_run(to, &run);
    uint8_t stage = c->steps[f->step].stage;
    if (failed && stage < POSTERN_MAIL)
        c->session_failed |= UINT64_C(1) << f->plugin;
    else if (failed)
        c->failed |= UINT64_C(1) << f->plugin;
}

/* Plugins of the run that nothing was heard of. */
static void note_missing(struct pn_check *c, const char *why)
{
    uint64_t heard = 0, all = 0;
    for (size_t i = c->done_count; i < c->run_end; i++)
        all |= c->steps[i].ran;
    for (size_t i = 0; i < c->found_count; i++)
        heard |= UINT64_C(1) << c->found[i].plugin;
    for (unsigned i = 0; i < c->plan->count; i++)
        if (((all & ~heard) >> i & 1) != 0)
            check_found(c, &(struct pn_finding){.step = (uint32_t)c->done_count,
                                                .plugin = (uint8_t)i,
                                                .status = PN_PLUGIN_SKIPPED,
                                                .reason = pn_str_of(why)});
}

static void merge(struct pn_check *c)
{
    if (c->found_count != 0)
        qsort(c->found, c->found_count, sizeof *c->found, by_order);
    for (size_t i = 0; i < c->found_count; i++) {
        const struct found *f = &c->found[i];
        uint8_t stage = c->steps[f->step].stage;
        if (stage == POSTERN_CONNECT)
            enter_found(c, f, &c->connect_facts);
        if (stage < POSTERN_MAIL)
            enter_found(c, f, &c->session_facts);
        if (c->in_transaction)
            enter_found(c, f, &c->facts);
    }
    c->found_count = 0;
    pn_pool_free(&c->run_pool);
    c->used_ns += pn_clock_mono_ns() - c->run_start;
    c->done_count = c->run_end;
    c->running = false;
}

/* The last thing done with c: its owner may free it. */
static void finish(struct pn_check *c, enum pn_check_end end)
{
    void (*done)(void *, enum pn_check_end) = c->done;
    c->running = false;
    c->done = NULL;
    if (done != NULL)
        done(c->ctx, end);
}

void check_answered(struct pn_check *c)
{
    uint64_t all = 0;
    if (c->open != 0)
        return;
    for (size_t i = c->done_count; i < c->run_end; i++)
        all |= c->steps[i].ran;
    uint64_t wave = next_wave(c, all);
    if (wave != 0) {
        start_wave(c, wave);
        return;
    }
    note_missing(c, "its worker said nothing of it");
    merge(c);
    if (!start_run(c))
        finish(c, PN_CHECK_WHOLE);
}

void check_cut(struct pn_check *c, const char *why)
{
    while (c->asks != NULL) {
        /* Nobody was there to take it: not a slow check but none, and `on_failure` says
         * what that means. */
        if (c->asks->state == ASK_WAITING)
            fail_plugins(c, c->asks->plugins, "no worker took it in time");
        ask_abandon(c->asks);
    }
    note_missing(c, why);
    merge(c);
    c->done_count = c->asked_count; /* what was not begun is not called any more */
    finish(c, PN_CHECK_PART);
}

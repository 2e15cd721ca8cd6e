/* What a run found, and how it comes into the ledger: in the order of stages and of the plan. */
#include "runner_int.h"

#include "clock.h"
#include "loader.h"
#include "mem.h"

#include <stdlib.h>
#include <unistd.h>

const struct pn_facts *pn_check_facts(const struct pn_check *c)
{
    return c->in_transaction ? &c->facts : &c->session_facts;
}

int pn_check_body(const struct pn_check *c, size_t *edit)
{
    *edit = c->body.edit;
    return c->body.fd;
}

/* A worker speaks for its plugins only: what one that was taken over says in the name of
 * another's (a passed SPF, say) gets nowhere, neither into the ledger nor to the plugins
 * that run later. */
static bool are_own(struct pn_check *c, struct pn_str facts, struct pn_str plugin)
{
    struct pn_rd r = pn_rd_of(facts);
    struct pn_facts f;
    pn_facts_init(&f, c->run_pool);
    bool own = pn_facts_get(&r, &f) && pn_rd_done(&r) && f.run_count == 0;
    for (size_t i = 0; i < f.symbol_count; i++)
        own = own && pn_str_eq(f.symbols[i].plugin, plugin);
    for (size_t i = 0; i < f.auth_count; i++)
        own = own && pn_str_eq(f.auth[i].plugin, plugin);
    for (size_t i = 0; i < f.note_count; i++)
        own = own && pn_str_eq(f.notes[i].plugin, plugin);
    for (size_t i = 0; i < f.edit_count; i++)
        own = own && pn_str_eq(f.edits[i].plugin, plugin);
    for (size_t i = 0; i < f.state_count; i++)
        own = own && pn_str_eq(f.state[i].plugin, plugin);
    return own;
}

static void drop_file(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void check_forget_found(struct pn_check *c)
{
    for (size_t i = 0; i < c->found_count; i++)
        drop_file(&c->found[i].body);
    c->found_count = 0;
}

void check_found(struct pn_check *c, const struct pn_finding *f, int body)
{
    if (f->step >= c->run_end || f->plugin >= c->plan->count) {
        drop_file(&body);
        return;
    }
    bool own = f->facts.len == 0 || are_own(c, f->facts, c->plan->plugins[f->plugin].name);
    struct found found = {.step = f->step < c->done_count ? (uint32_t)c->done_count : f->step,
                          .plugin = f->plugin,
                          .status = own ? f->status : (uint8_t)PN_PLUGIN_FAILED,
                          .us = f->us,
                          .body = body,
                          .reason = PN_STR("its worker sent what are no facts of its own")};
    if (own) {
        found.reason = pn_pool_dup(c->run_pool, f->reason);
        found.facts = pn_pool_dup(c->run_pool, f->facts);
    }
    c->found = pn_grow(c->found, &c->found_cap, c->found_count, sizeof *c->found);
    c->found[c->found_count++] = found;
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
            check_found(c,
                        &(struct pn_finding){.step = (uint32_t)c->done_count,
                                             .plugin = (uint8_t)i,
                                             .status = PN_PLUGIN_FAILED,
                                             .reason = pn_str_of(why)},
                        -1);
}

void check_bad_findings(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "the worker could not read the message");
}

void check_lost(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "its worker ended every time");
}

void check_no_replay(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "its call or its worker failed, and no time was left to try again");
}

void check_no_worker(struct pn_check *c, uint64_t plugins)
{
    fail_plugins(c, plugins, "no worker took it in time");
}

/* ---- the ledger */

static int by_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return x->plugin - y->plugin;
}

static bool add_own(struct pn_facts *to, const char *symbol, struct pn_str plugin)
{
    return pn_facts_add_symbol(to, &(struct pn_fact){.name = pn_str_of(symbol),
                                                     .plugin = plugin,
                                                     .detail = plugin,
                                                     .rcpt = PN_FACT_ALL_RCPTS});
}

/* All that one call found, or nothing; where its edits alone are too many, all but these. */
static bool enter_facts(struct pn_check *c, const struct found *f, struct pn_str plugin,
                        struct pn_facts *to)
{
    const struct pn_facts before = *to;
    struct pn_rd r = pn_rd_of(f->facts), again = r;
    struct pn_facts all;
    if (f->facts.len == 0 || pn_facts_get(&r, to))
        return true;
    *to = before;
    pn_facts_init(&all, c->run_pool);
    if (!pn_facts_get(&again, &all) || all.edit_count == 0)
        return false;
    all.edit_count = 0;
    if (pn_facts_merge(to, &all) && add_own(to, PN_SYMBOL_DROPPED, plugin))
        return true;
    *to = before;
    return false;
}

static void enter_found(struct pn_check *c, const struct found *f, struct pn_facts *to)
{
    struct pn_plugin_run run = {.plugin = c->plan->plugins[f->plugin].name,
                                .status = (enum pn_plugin_status)f->status,
                                .us = f->us,
                                .reason = f->reason};
    if (!enter_facts(c, f, run.plugin, to)) {
        run.status = PN_PLUGIN_FAILED;
        run.reason = PN_STR("it found more than a ledger holds");
    }
    bool failed = run.status == PN_PLUGIN_FAILED || run.status == PN_PLUGIN_TIMEOUT;
    if (failed)
        (void)add_own(to, PN_SYMBOL_FAILED, run.plugin);
    (void)pn_facts_add_run(to, &run);
    uint8_t stage = c->steps[f->step].stage;
    if (failed && stage < POSTERN_MAIL)
        c->session_failed |= UINT64_C(1) << f->plugin;
    else if (failed)
        c->failed |= UINT64_C(1) << f->plugin;
}

/* Plugins of the run that nothing was heard of. */
void check_missing(struct pn_check *c, const char *why)
{
    uint64_t heard = 0, all = 0;
    for (size_t i = c->done_count; i < c->run_end; i++)
        all |= c->steps[i].ran;
    for (size_t i = 0; i < c->found_count; i++)
        heard |= UINT64_C(1) << c->found[i].plugin;
    for (unsigned i = 0; i < c->plan->count; i++)
        if (((all & ~heard) >> i & 1) != 0)
            check_found(c,
                        &(struct pn_finding){.step = (uint32_t)c->done_count,
                                             .plugin = (uint8_t)i,
                                             .status = PN_PLUGIN_SKIPPED,
                                             .reason = pn_str_of(why)},
                        -1);
}

/* It is that of the last edit that speaks of one, of those just entered; those that came before
 * are overruled. */
static void enter_body(struct pn_check *c, struct found *f, size_t edits_before)
{
    size_t i = c->facts.edit_count;
    while (i > edits_before && c->facts.edits[i - 1].op != PN_FACT_REPLACE_BODY)
        i--;
    if (f->body < 0 || i == edits_before ||
        (c->plan->plugins[f->plugin].edits & PN_EDITS_BODY) == 0)
        return;
    drop_file(&c->body.fd);
    c->body = (struct new_body){.fd = f->body, .edit = i - 1};
    f->body = -1;
}

void check_merge(struct pn_check *c)
{
    if (c->found_count != 0)
        qsort(c->found, c->found_count, sizeof *c->found, by_order);
    for (size_t i = 0; i < c->found_count; i++) {
        struct found *f = &c->found[i];
        size_t edits = c->facts.edit_count;
        uint8_t stage = c->steps[f->step].stage;
        if (stage == POSTERN_AFTER) /* behind the verdict there is nothing to find */
            continue;
        if (stage == POSTERN_CONNECT)
            enter_found(c, f, &c->connect_facts);
        if (stage < POSTERN_MAIL)
            enter_found(c, f, &c->session_facts);
        if (c->in_transaction) {
            enter_found(c, f, &c->facts);
            enter_body(c, f, edits);
        }
    }
    check_forget_found(c);
    pn_pool_free(&c->run_pool);
    c->used_ns += pn_clock_mono_ns() - c->run_start;
    c->done_count = c->run_end;
    c->running = false;
}

/* What is done to a plugin's tick: it is called once, in a fresh worker, under each fault. */
#include "prove.h"

#include "rpl_server.h"

#include <stdio.h>

enum { FACTS_MAX = 1000, SLOW_DEADLINE_MS = 400 };

static bool tick(struct prove *p, const struct prove_how *how, const struct rpl *origin,
                 struct prove_plan *plan, uint64_t *asked)
{
    struct prove_result r = {.death = 0};
    char text[400];
    struct pn_buf site;
    if (!prove_wanted(plan, how->trial))
        return true;
    pn_buf_init(&r.facts, FACTS_MAX);
    prove_tick(p, how, &r);
    pn_buf_fini(&r.facts);
    *asked = r.asked;
    bool ok = prove_judge(plan, how->trial, &r, NULL, origin);
    long long blocks = (long long)prove_load(p).blocks;
    if (ok && blocks != 0) {
        pn_buf_init(&site, 300);
        heap_site(&site);
        (void)snprintf(text, sizeof text, "a tick leaves %lld blocks, most of them from %s", blocks,
                       pn_buf_cstr(&site));
        pn_buf_fini(&site);
        prove_find(plan, PROVE_LEAK, how->trial, "tick", text, NULL, origin);
        ok = false;
    }
    plan->report->passed += ok;
    return ok;
}

static void answers(struct prove *p, const char *of, const struct rpl *origin,
                    struct prove_plan *plan)
{
    static const struct {
        const char *name;
        enum prove_dns dns;
        int deadline_ms;
    } rows[] = {{"timeout", PROVE_DNS_TIMEOUT, 0},
                {"servfail", PROVE_DNS_SERVFAIL, 0},
                {"slow", PROVE_DNS_SILENT, SLOW_DEADLINE_MS}};
    char name[PROVE_NAME_MAX];
    uint64_t asked;
    for (size_t i = 0; prove_needs(p, POSTERN_NEED_DNS) && i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/tick/dns/%s", of, rows[i].name);
        struct prove_how how = {.trial = name,
                                .dns = rows[i].dns,
                                .deadline_ms = (uint32_t)rpl_patience_ms(rows[i].deadline_ms),
                                .tick = true};
        (void)tick(p, &how, origin, plan, &asked);
    }
}

void prove_ticks(struct prove *p, const struct rpl *origin, struct prove_plan *plan)
{
    char name[PROVE_NAME_MAX];
    const char *of = origin == NULL ? "default" : origin->path;
    struct prove_how how = {.trial = name, .tick = true};
    uint64_t count = 0, asked;
    if (!prove_has_tick(p))
        return;
    (void)snprintf(name, sizeof name, "%s/tick", of);
    if (!tick(p, &how, origin, plan, &count))
        return;
    answers(p, of, origin, plan);
    for (uint64_t at = 1; at <= count && at <= plan->points_max; at++) {
        (void)snprintf(name, sizeof name, "%s/tick/alloc/%llu", of, (unsigned long long)at);
        how.fail_at = at;
        plan->report->points++;
        (void)tick(p, &how, origin, plan, &asked);
    }
}

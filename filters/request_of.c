/* The request for an ask: all that a worker must know of the session. */
#include "runner_int.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum { EARLIER_POOL_MAX = 64 * 1024 * 1024 };

uint64_t check_budget_end(const struct pn_check *c)
{
    uint64_t budget = (uint64_t)c->plan->budget_ms * PN_NS_PER_MS;
    return c->run_start + (budget > c->used_ns ? budget - c->used_ns : 0);
}

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
    struct pn_pool *pool = pn_pool_new(EARLIER_POOL_MAX);
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

static uint32_t unknown_before(const struct pn_check *c, size_t step)
{
    uint32_t n = 0;
    while (n < c->unknown_count && c->unknown_steps[n] < step)
        n++;
    return n;
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
                 (c->client.tls ? PN_REQUEST_TLS : 0U) |
                 (c->client.early << PN_REQUEST_EARLY_SHIFT & PN_REQUEST_EARLY),
        .now_ms = {c->client.now_ms, c->mail.now_ms},
        .seed = {c->client.seed, c->mail.seed},
        .budget_ms = budget_left(c),
        .log_id = c->in_transaction ? c->mail.id : c->client.id,
        .client = c->client.ip,
        .port = c->client.port,
        .helo = c->helo,
        .auth_id = c->client.auth_id,
        .hostname = c->hostname,
        .tls_version = c->client.tls_info.version,
        .tls_cipher = c->client.tls_info.cipher,
        .tls_bits = c->client.tls_info.bits,
        .local = c->client.local,
        .local_port = c->client.local_port,
        .from = c->mail.from,
        .mail_args = c->mail.args,
        .rcpt_count = (uint32_t)c->rcpt_count,
        .rcpts = c->rcpts,
        .step_count = (uint32_t)c->run_end,
        .steps = steps,
        .first_new = (uint32_t)c->done_count,
        .unknown_count = unknown_before(c, c->run_end),
        .unknown = c->unknown,
        .unknown_steps = c->unknown_steps,
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

#include "runner_int.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"

#include <stdlib.h>
#include <unistd.h>

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

static void keep_tls(struct pn_check *c, const struct pn_check_tls *info)
{
    c->client.tls_info =
        (struct pn_check_tls){.version = pn_pool_dup(c->session_pool, info->version),
                              .cipher = pn_pool_dup(c->session_pool, info->cipher),
                              .bits = info->bits};
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
    keep_tls(c, &client->tls_info);
    if (client->now_ms == 0)
        c->client.now_ms = pn_clock_wall_ms();
    c->hostname =
        pn_pool_dup(c->session_pool, client->hostname.len != 0 ? client->hostname : r->hostname);
    c->content_fd = c->body.fd = -1;
    pn_facts_init(&c->connect_facts, c->session_pool);
    begin_helo(c);
    c->steps = pn_grow(NULL, &c->step_cap, 0, sizeof *c->steps);
    c->steps[c->step_count++] = (struct check_step){.stage = POSTERN_CONNECT};
    return c;
}

bool pn_check_standing(struct pn_check *c, struct pn_str plugin, struct pn_str value, uint32_t step)
{
    struct pn_state_seen seen = {.plugin = plugin,
                                 .key = PN_STR(""),
                                 .op = PN_STATE_STANDING,
                                 .result = PN_STATE_OK,
                                 .session = true,
                                 .step = step,
                                 .value = value};
    return value.len <= POSTERN_STANDING_MAX && pn_facts_add_state(&c->connect_facts, &seen) &&
           pn_facts_add_state(&c->session_facts, &seen);
}

static void abandon_run(struct pn_check *c)
{
    while (c->asks != NULL)
        ask_abandon(c->asks);
    c->running = false;
    c->done = NULL;
    check_forget_found(c);
    pn_loop_forget(c->runner->loop, c);
    pn_pool_free(&c->run_pool);
}

static void drop_body(struct pn_check *c)
{
    if (c->body.fd >= 0)
        (void)close(c->body.fd);
    c->body.fd = -1;
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
    drop_body(c);
    pn_pool_free(&c->pool);
    pn_pool_free(&c->helo_pool);
    pn_pool_free(&c->session_pool);
    pn_plan_unref(&c->plan);
    free(c->steps);
    free(c->rcpts);
    free(c->found);
    free(c);
    remotes_drop_old(r);
}

const struct pn_plan *pn_check_plan(const struct pn_check *c)
{
    return c->plan;
}

static struct check_step *add_step(struct pn_check *c, unsigned stage)
{
    c->steps = pn_grow(c->steps, &c->step_cap, c->step_count, sizeof *c->steps);
    c->steps[c->step_count] = (struct check_step){
        .stage = (uint8_t)stage, .rcpts = (uint32_t)c->rcpt_count, .wanted = c->wanted};
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
    for (uint32_t i = 0; i < c->unknown_count; i++)
        if (c->unknown_steps[i] > c->step_count)
            c->unknown_steps[i] = (uint32_t)c->step_count;
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
    drop_body(c);
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

void pn_check_tls(struct pn_check *c, const struct pn_check_tls *info)
{
    forget_helo(c);
    c->unknown_count = 0; /* anybody may have said it (RFC 3207, section 4.2) */
    c->client.tls = true;
    keep_tls(c, info);
}

void pn_check_auth(struct pn_check *c, struct pn_str auth_id)
{
    pn_check_reset(c);
    c->client.auth_id = pn_pool_dup(c->session_pool, auth_id);
}

void pn_check_unknown(struct pn_check *c, struct pn_str line, uint32_t step)
{
    struct pn_str kept = pn_str_slice(line, 0, POSTERN_UNKNOWN_BYTES);
    uint32_t last = c->unknown_count == 0 ? 0 : c->unknown_steps[c->unknown_count - 1];
    if (c->unknown_count == POSTERN_UNKNOWN_MAX)
        return;
    if (step == PN_CHECK_NOW)
        step = (uint32_t)c->step_count;
    kept = kept.len == 0 ? PN_STR("") : pn_pool_dup(c->session_pool, kept);
    if (kept.p == NULL)
        return;
    c->unknown[c->unknown_count] = kept;
    c->unknown_steps[c->unknown_count++] = step < last ? last : step;
}

void pn_check_early(struct pn_check *c, uint32_t early)
{
    c->client.early = early;
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
    c->mail.args = pn_pool_dup(c->pool, mail->args);
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

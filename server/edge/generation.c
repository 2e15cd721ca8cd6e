/* What transactions work by, read from the policy once: see struct edge_generation. */
#include "edge.h"

#include "mem.h"

#include <stdlib.h>
#include <unistd.h>

static void fill_smtp(struct edge_generation *g, struct pn_smtp_server_config *c, bool normalize)
{
    const struct pn_policy *p = g->policy;
    *c = (struct pn_smtp_server_config){
        .name = g->hostname,
        .banner = PN_STR("Postern"),
        .size_max = g->size_max,
        .rcpt_max = (uint32_t)pn_policy_int(p, "limits.recipients"),
        .mail_max = (uint32_t)pn_policy_int(p, "limits.transactions"),
        .error_max = (uint32_t)pn_policy_int(p, "limits.errors"),
        .unknown_max = (uint32_t)pn_policy_int(p, "limits.errors"),
        .line_max = (uint32_t)pn_policy_int(p, "limits.command-line"),
        .idle_max = 10 * (uint32_t)pn_policy_int(p, "limits.errors"),
        .starttls = g->tls != NULL,
        .dsn = pn_policy_bool(p, "smtp.dsn"),
        .auth_max = 5,
        .normalize = normalize};
}

static uint32_t count_of(const struct pn_policy *p, const char *row)
{
    return (uint32_t)pn_policy_int(p, row);
}

static void fill_limits(const struct pn_policy *p, struct pn_limit_rules *rules)
{
    *rules = (struct pn_limit_rules){
        .address_sessions = count_of(p, "limits.sessions-per-address"),
        .network_sessions = count_of(p, "limits.sessions-per-network"),
        .address = {[PN_RATE_CONNECT] = count_of(p, "limits.connections-per-minute"),
                    [PN_RATE_MAIL] = count_of(p, "limits.messages-per-minute"),
                    [PN_RATE_RCPT] = count_of(p, "limits.recipients-per-minute")},
        .network = {[PN_RATE_CONNECT] = count_of(p, "limits.connections-per-minute-network"),
                    [PN_RATE_MAIL] = count_of(p, "limits.messages-per-minute-network"),
                    [PN_RATE_RCPT] = count_of(p, "limits.recipients-per-minute-network")}};
}

static void fill_settings(struct edge_generation *g)
{
    const struct pn_policy *p = g->policy;
    g->hostname = pn_policy_str(p, "smtp.hostname");
    g->authserv_id = pn_policy_str(p, "smtp.authserv-id");
    if (g->authserv_id.len == 0)
        g->authserv_id = g->hostname;
    g->size_max = (uint64_t)pn_policy_int(p, "limits.message-size");
    g->memory_max = (uint64_t)pn_policy_int(p, "limits.memory-size");
    /* A plugin that states what came of it asks the same: once is enough. */
    g->client_names =
        pn_policy_bool(p, "smtp.client-name") && !pn_plan_states(g->plan, PN_METHOD_IPREV);
    g->early_talkers = pn_str_eq(pn_policy_str(p, "smtp.early-talkers"), PN_STR("note"));
    g->plain_login = pn_str_eq(pn_policy_str(p, "mailbox.plain-login"), PN_STR("loopback"));
    g->login_ms = (uint64_t)pn_policy_int(p, "mailbox.login-time");
    g->cut_through = pn_policy_bool(p, "queue.cut-through");
    g->hops_max = (uint32_t)pn_policy_int(p, "limits.hops");
    g->greet_delay_ms = (uint64_t)pn_policy_int(p, "smtp.greet-delay");
    g->command_ms = (uint64_t)pn_policy_int(p, "timeouts.command");
    g->data_ms = (uint64_t)pn_policy_int(p, "timeouts.data");
    g->handshake_ms = (uint64_t)pn_policy_int(p, "timeouts.handshake");
    g->proxy_ms = (uint64_t)pn_policy_int(p, "timeouts.proxy");
    g->handover_ms = (uint64_t)pn_policy_int(p, "timeouts.handover");
    g->session_ms = (uint64_t)pn_policy_int(p, "timeouts.session");
    g->data_rate = (uint64_t)pn_policy_int(p, "limits.data-rate");
    g->sessions_max = (uint64_t)pn_policy_int(p, "limits.sessions");
    g->flight_messages_max = (uint64_t)pn_policy_int(p, "limits.messages-in-flight");
    g->flight_bytes_max = (uint64_t)pn_policy_int(p, "limits.bytes-in-flight");
    fill_limits(p, &g->limits);
    g->submission = (struct edge_submission){
        .own_from = pn_str_eq(pn_policy_str(p, "submission.from"), PN_STR("own")),
        .hide_client = pn_policy_bool(p, "submission.hide-client"),
        .per_hour = count_of(p, "submission.recipients-per-hour"),
        .hold_ms = (uint64_t)pn_policy_int(p, "submission.hold-for")};
    for (unsigned stage = POSTERN_CONNECT; stage <= POSTERN_RCPT; stage++)
        g->early_stages = g->early_stages || pn_plan_at(g->plan, stage) != 0;
}

struct edge_generation *edge_generation_new(const struct pn_generation *gen, struct pn_buf *err)
{
    struct edge_generation *g = pn_calloc(1, sizeof *g);
    int fd = dup(gen->policy_fd);
    g->refs = 1;
    g->serial = gen->serial;
    g->policy = fd < 0 ? NULL : pn_policy_open(fd, err);
    if (gen->identity_count != 0)
        g->tls = pn_tls_server_new(gen->identities, gen->identity_count, err);
    if (g->policy == NULL || (gen->identity_count != 0 && g->tls == NULL)) {
        edge_generation_unref(&g);
        return NULL;
    }
    if (!forward_secrets(g, gen->secret_fd, err)) {
        edge_generation_unref(&g);
        return NULL;
    }
    g->plan = pn_plan_new(g->policy, gen->serial);
    fill_settings(g);
    fill_smtp(g, &g->smtp[0], false);
    fill_smtp(g, &g->smtp[1], true);
    for (unsigned i = 0; i < 2; i++) {
        g->lmtp[i] = g->smtp[i];
        g->lmtp[i].lmtp = true;
    }
    return g;
}

void edge_generation_unref(struct edge_generation **gp)
{
    struct edge_generation *g = *gp;
    *gp = NULL;
    if (g == NULL || --g->refs != 0)
        return;
    if (g->plan != NULL)
        pn_plan_unref(&g->plan);
    pn_tls_unref(&g->tls);
    pn_pool_free(&g->secrets);
    if (g->policy != NULL)
        pn_policy_unref(&g->policy);
    free(g);
}

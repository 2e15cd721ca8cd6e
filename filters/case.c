/* A message that made a plugin fail, as a case of `postern scan --batch`: all that its
 * plugins were given, so that they do the same again. */
#include "codec.h"
#include "dnsfile.h"
#include "early.h"
#include "json.h"
#include "runner_int.h"
#include "utf8.h"
#include "verdict.h"

#include <stdio.h>

static void put_rcpts(const struct pn_check *c, struct pn_json *j)
{
    pn_json_array(j, "rcpt");
    for (size_t i = 0; i < c->rcpt_count; i++)
        pn_json_str(j, NULL, c->rcpts[i]);
    if (c->rcpt_count == 0) /* scan wants one */
        pn_json_str(j, NULL, PN_STR("postmaster"));
    pn_json_array_end(j);
}

/* A number of JSON holds no 64 bits. */
static void put_seed(struct pn_json *j, const char *name, uint64_t seed)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)seed);
    pn_json_str(j, name, pn_str_of(text));
}

/* As text where it is, else in base64. */
static void unknown_json(const struct pn_check *c, uint32_t i, struct pn_json *j)
{
    struct pn_buf b;
    pn_json_object(j, NULL);
    pn_buf_init(&b, 2 * POSTERN_UNKNOWN_BYTES);
    if (pn_utf8_valid(c->unknown[i])) {
        pn_json_str(j, "line", c->unknown[i]);
    } else {
        pn_base64_encode(&b, c->unknown[i]);
        pn_json_str(j, "line64", pn_buf_str(&b));
    }
    pn_buf_fini(&b);
    pn_json_i64(j, "step", c->unknown_steps[i]);
    pn_json_object_end(j);
}

void pn_check_told_json(const struct pn_check *c, struct pn_json *j)
{
    pn_json_milli(j, "session_time", c->client.now_ms);
    put_seed(j, "seed", c->in_transaction ? c->mail.seed : c->client.seed);
    put_seed(j, "session_seed", c->client.seed);
    if (c->unknown_count == 0)
        return;
    pn_json_array(j, "unknown");
    for (uint32_t i = 0; i < c->unknown_count; i++)
        unknown_json(c, i, j);
    pn_json_array_end(j);
}

static void put_answers(struct pn_buf *out, const struct pn_facts *f)
{
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    for (size_t i = 0; i < f->dns_count; i++) {
        const struct pn_dns_seen *d = &f->dns[i];
        if (d->count > PN_DNS_RECORDS_MAX)
            continue;
        for (uint32_t k = 0; k < d->count; k++)
            records[k] = (struct pn_dns_record){0, d->answers[k]};
        pn_dnsfile_put(
            out, d->name, d->type,
            &(struct pn_dns_answer){
                .rcode = d->rcode, .secure = d->secure, .count = d->count, .records = records});
    }
}

static void put_state(const struct pn_facts *f, struct pn_json *j)
{
    if (f->state_count == 0)
        return;
    pn_json_array(j, "state");
    for (size_t i = 0; i < f->state_count; i++)
        pn_state_json(j, &f->state[i]);
    pn_json_array_end(j);
}

/* What was heard from outside. One answer a question, whoever asked: the ledger's, then of
 * earlier waves, then told. */
static void put_heard(const struct pn_check *c, const struct ask *a, struct pn_json *j)
{
    struct pn_pool *pool = pn_pool_new(PN_FAILURE_CASE_MAX);
    struct pn_facts all;
    struct pn_buf text;
    pn_facts_init(&all, pool);
    (void)pn_facts_merge(&all, pn_check_facts(c));
    for (size_t i = 0; i < c->found_count; i++) {
        struct pn_rd r = pn_rd_of(c->found[i].facts);
        if (c->found[i].facts.len != 0)
            (void)pn_facts_get(&r, &all);
    }
    if (a->told_pool != NULL)
        (void)pn_facts_merge(&all, &a->told);
    pn_buf_init(&text, PN_FAILURE_CASE_MAX);
    put_answers(&text, &all);
    pn_json_str(j, "zone", pn_buf_str(&text));
    pn_standing_json(j, &all);
    put_state(&all, j);
    pn_buf_fini(&text);
    pn_pool_free(&pool);
}

void check_case(const struct ask *a, const struct pn_failure *f, struct pn_buf *out)
{
    const struct pn_check *c = a->check;
    struct pn_json j = pn_json_to(out);
    char ip[PN_IP_TEXT_MAX];
    bool mail = c->in_transaction;
    pn_json_object(&j, NULL);
    pn_json_str(&j, "plugin", f->plugin);
    pn_json_str(&j, "stage", f->stage);
    pn_json_str(&j, "reason", f->reason);
    pn_json_str(&j, "id", f->id);
    pn_json_str(&j, "session_id", c->client.id);
    pn_json_str(&j, "hostname", c->hostname);
    pn_json_str(&j, "ip", pn_str_of(pn_ip_text(&c->client.ip, ip)));
    pn_json_i64(&j, "port", c->client.port);
    pn_json_bool(&j, "tls", c->client.tls);
    if (c->client.tls_info.version.len != 0) {
        pn_json_str(&j, "tls_version", c->client.tls_info.version);
        pn_json_str(&j, "tls_cipher", c->client.tls_info.cipher);
        pn_json_i64(&j, "tls_bits", c->client.tls_info.bits);
    }
    if (c->client.local_port != 0) {
        pn_json_str(&j, "local_ip", pn_str_of(pn_ip_text(&c->client.local, ip)));
        pn_json_i64(&j, "local_port", c->client.local_port);
    }
    pn_early_json(&j, c->client.early);
    if (c->client.auth_id.len != 0)
        pn_json_str(&j, "auth_id", c->client.auth_id);
    pn_json_str(&j, "helo", c->helo);
    pn_json_str(&j, "from", mail ? c->mail.from : PN_STR(""));
    if (mail && c->mail.args.len != 0)
        pn_json_str(&j, "mail_args", c->mail.args);
    put_rcpts(c, &j);
    pn_json_milli(&j, "time", mail ? c->mail.now_ms : c->client.now_ms);
    pn_check_told_json(c, &j);
    put_heard(c, a, &j);
    pn_json_bool(&j, "exact", true);
    pn_json_object_end(&j);
}

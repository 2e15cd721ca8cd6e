/*
 * Facts as a worker that was taken over sends them, up to what edge does with them: the
 * decision for two recipients, the verdict and its JSON line, which is JSON whatever they
 * hold, and the header lines it would write, which are no more than one line each.
 */
#include "assert.h"
#include "authres.h"
#include "edit.h"
#include "kit_policy.h"
#include "request.h"
#include "verdict.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "plugins { alpha { edits headers body recipients sender } beta gamma { edits none } }\n"
    "include \"postern:default\"\n"
    "domain x.test { recipients any on ALPHA_HIT weight 3 on BETA_HIT reject junk at 3\n"
    "  quarantine at 6 reject at 9 allow from \"*@y\" if spf pass }\n"
    "domain y.test { recipients any plugins off alpha on GAMMA_HIT defer }";

/* As filters/check.c takes them: the ones of each finding, in one ledger. */
static void gather(struct pn_str bytes, struct pn_pool *pool, struct pn_facts *facts)
{
    struct pn_findings f;
    struct pn_rd r = pn_rd_of(bytes);
    if (!pn_findings_get(bytes, pool, &f)) {
        (void)pn_facts_get(&r, facts);
        return;
    }
    for (uint32_t i = 0; i < f.count; i++) {
        const struct pn_finding *one = &f.items[i];
        struct pn_plugin_run run = {PN_STR("alpha"), (enum pn_plugin_status)one->status, one->us,
                                    one->reason};
        r = pn_rd_of(one->facts);
        if (one->facts.len != 0)
            (void)pn_facts_get(&r, facts);
        (void)pn_facts_add_run(facts, &run);
    }
}

static void check_lines(const struct pn_facts *facts, struct pn_buf *out)
{
    for (size_t i = 0; i < facts->auth_count; i++) {
        const struct pn_auth *a = &facts->auth[i];
        struct pn_authres r = {.method = a->method, .result = a->result};
        r.reason = pn_auth_get(a, PN_STR("reason"));
        pn_buf_clear(out);
        if (pn_authres_value(PN_STR("mx.here.test"), &r, 1, out))
            pn_assert(pn_edit_check(PN_STR("A"), pn_buf_str(out), true) == PN_EDIT_OK);
    }
}

/* Of the edits only those are made that a line may come of, and no body is made of nothing. */
static void check_edits(struct pn_verdict *v, struct pn_pool *pool)
{
    struct pn_new_body body;
    if (!pn_verdict_edits(v, pool))
        return;
    pn_assert(pn_verdict_body(v, -1, 0, pool, &body) != PN_BODY_NEW);
    for (size_t i = 0; i < v->edit_count; i++) {
        const struct pn_fact_edit *e = v->edits[i].edit;
        if (v->edits[i].refused.len != 0)
            continue;
        pn_assert(pn_str_eq(e->plugin, PN_STR("alpha")) || pn_str_eq(e->plugin, PN_STR("beta")));
        if (e->op <= PN_FACT_CHANGE_HEADER)
            pn_assert(pn_edit_check(e->name, e->value, true) == PN_EDIT_OK);
        else
            pn_assert(pn_str_eq(e->plugin, PN_STR("alpha")) && e->op != PN_FACT_REPLACE_BODY);
    }
}

static void settle(const struct pn_policy *p, const struct pn_facts *facts, struct pn_pool *pool,
                   struct pn_buf *out)
{
    struct pn_verdict_rcpt rcpts[2] = {{.address = PN_STR("u@x.test")},
                                       {.address = PN_STR("v@y.test")}};
    struct pn_verdict v = {
        .id = PN_STR("1"), .policy = p, .facts = facts, .rcpts = rcpts, .rcpt_count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        struct pn_decide_input in = {.facts = facts, .recipient = rcpts[i].address, .rcpt = i};
        in.sender = PN_STR("u@y");
        rcpts[i].domain = pn_policy_domain(p, i == 0 ? PN_STR("x.test") : PN_STR("y.test"));
        pn_decide(p, rcpts[i].domain, &in, pool, &rcpts[i].decision);
    }
    check_edits(&v, pool);
    pn_verdict_settle(&v, false, pool);
    struct pn_json j = pn_json_to(out);
    pn_json_object(&j, NULL);
    pn_verdict_json(&j, &v);
    pn_json_object_end(&j);
    json_t *root = json_loadb(out->p, out->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    pn_assert(out->overflow || json_is_object(root));
    json_decref(root);
    pn_assert(v.reply.len >= 4 && pn_str_find(v.reply, '\n', 0) == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kit k;
    if (k.pool == NULL) {
        kit_open(&k, text, "");
        pn_assert(k.policy != NULL);
    }
    struct pn_pool *pool = pn_pool_new(16 * 1024 * 1024);
    struct pn_facts facts;
    struct pn_buf out;
    pn_buf_init(&out, 1 << 24);
    pn_facts_init(&facts, pool);
    gather((struct pn_str){(const char *)data, size}, pool, &facts);
    settle(k.policy, &facts, pool, &out);
    check_lines(&facts, &out);
    pn_buf_fini(&out);
    pn_pool_free(&pool);
    return 0;
}

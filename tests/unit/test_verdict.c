#include "unit.h"

#include "verdict.h"

#include "dns.h"

/* decide.h's part in this: weights as they stand, but for one that policy masks. */
int32_t pn_decide_weight(const struct pn_policy *p, const struct pn_domain *domain,
                         const struct pn_fact *fact, bool *counts)
{
    (void)p;
    (void)domain;
    *counts = !pn_str_eq(fact->name, PN_STR("MASKED"));
    return fact->weight;
}

const char *pn_outcome_name(enum pn_outcome outcome)
{
    static const char *const names[] = {"accept",  "junk",  "quarantine",
                                        "discard", "defer", "reject"};
    return names[outcome];
}

enum { RCPTS = 3 };

struct fixture {
    struct pn_pool *pool;
    struct pn_facts facts;
    struct pn_verdict_rcpt rcpts[RCPTS];
    struct pn_str envelope[RCPTS];
    struct pn_verdict verdict;
};

static void fixture_init(struct fixture *f, const enum pn_outcome *outcomes, size_t count)
{
    static const char *const replies[] = {
        "", "", "250 2.0.0 Held", "", "451 4.7.1 Later", "550 5.7.1 No"};
    static const char *const addresses[] = {"a@x.test", "b@x.test", "c@x.test"};
    f->pool = pn_pool_new(1 << 20);
    pn_facts_init(&f->facts, f->pool);
    for (size_t i = 0; i < count; i++) {
        f->envelope[i] = pn_str_of(addresses[i]);
        f->rcpts[i] = (struct pn_verdict_rcpt){
            .address = f->envelope[i],
            .index = (uint32_t)i,
            .decision = {.outcome = outcomes[i], .reply = pn_str_of(replies[outcomes[i]])}};
    }
    f->verdict = (struct pn_verdict){.id = PN_STR("q1"),
                                     .facts = &f->facts,
                                     .rcpts = f->rcpts,
                                     .rcpt_count = count,
                                     .envelope = f->envelope,
                                     .envelope_count = count};
}

static void test_settle(void)
{
    static const struct {
        const char *label;
        enum pn_outcome in[RCPTS];
        size_t count;
        bool each;
        enum pn_outcome want[RCPTS];
        const char *reply;
    } rows[] = {
        {"one accepted", {PN_ACCEPT}, 1, false, {PN_ACCEPT}, "250 2.0.0 Taken as q1"},
        {"the policy's words", {PN_QUARANTINE}, 1, false, {PN_QUARANTINE}, "250 2.0.0 Held as q1"},
        {"one rejected", {PN_REJECT}, 1, false, {PN_REJECT}, "550 5.7.1 No"},
        {"all reject", {PN_REJECT, PN_REJECT}, 2, false, {PN_REJECT, PN_REJECT}, "550 5.7.1 No"},
        {"reject beside accept",
         {PN_ACCEPT, PN_REJECT, PN_JUNK},
         3,
         false,
         {PN_ACCEPT, PN_QUARANTINE, PN_JUNK},
         "250 2.0.0 Taken as q1"},
        {"defer beside accept",
         {PN_DEFER, PN_ACCEPT},
         2,
         false,
         {PN_QUARANTINE, PN_ACCEPT},
         "250 2.0.0 Taken as q1"},
        {"all defer", {PN_DEFER, PN_DEFER}, 2, false, {PN_DEFER, PN_DEFER}, "451 4.7.1 Later"},
        {"defer and reject",
         {PN_REJECT, PN_DEFER},
         2,
         false,
         {PN_DEFER, PN_DEFER},
         "451 4.7.1 Later"},
        {"discard is taken",
         {PN_DISCARD, PN_REJECT},
         2,
         false,
         {PN_DISCARD, PN_QUARANTINE},
         "250 2.0.0 Taken as q1"},
        {"a reply each", {PN_ACCEPT, PN_REJECT}, 2, true, {PN_ACCEPT, PN_REJECT}, "550 5.7.1 No"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        fixture_init(&f, rows[i].in, rows[i].count);
        unit_row(rows[i].label);
        pn_verdict_settle(&f.verdict, rows[i].each, f.pool);
        for (size_t k = 0; k < rows[i].count; k++)
            UNIT_INT(f.rcpts[k].decision.outcome, rows[i].want[k]);
        UNIT_STR(f.verdict.reply, pn_str_of(rows[i].reply));
        pn_pool_free(&f.pool);
    }
}

/* It was to be taken, and could not be handed over: the event must not say it was. */
static void test_replied(void)
{
    static const struct {
        enum pn_outcome decided;
        const char *reply;
        enum pn_outcome want;
    } rows[] = {
        {PN_ACCEPT, "250 2.0.0 Taken as q1", PN_ACCEPT},
        {PN_JUNK, "452 4.3.1 No room", PN_DEFER},
        {PN_QUARANTINE, "451 4.3.0 Later", PN_DEFER},
        {PN_ACCEPT, "550 5.1.1 No such mailbox", PN_REJECT},
        {PN_REJECT, "550 5.7.1 No", PN_REJECT},
        {PN_DEFER, "451 4.7.1 Later", PN_DEFER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        fixture_init(&f, &rows[i].decided, 1);
        size_t reasons = f.rcpts[0].decision.because_count;
        pn_verdict_settle(&f.verdict, false, f.pool);
        pn_verdict_replied(&f.verdict, pn_str_of(rows[i].reply));
        UNIT_INT(f.verdict.outcome, rows[i].want);
        UNIT_INT(f.rcpts[0].decision.outcome, rows[i].want);
        UNIT_STR(f.verdict.reply, pn_str_of(rows[i].reply));
        UNIT_TRUE((f.rcpts[0].decision.because_count > reasons) ==
                  (rows[i].want != rows[i].decided));
        pn_pool_free(&f.pool);
    }
}

/* LMTP: what each is answered, as decided and then where it could not be kept. */
static void test_each(void)
{
    static const struct {
        const char *label;
        enum pn_outcome in[RCPTS];
        bool taken;
        const char *want[RCPTS], *late[RCPTS]; /* late: 452 in the end */
        enum pn_outcome late_outcome;
    } rows[] = {
        {"a refusal among them",
         {PN_ACCEPT, PN_REJECT, PN_QUARANTINE},
         true,
         {"250 2.0.0 Taken as q1", "550 5.7.1 No", "250 2.0.0 Held as q1"},
         {"452 4.3.1 Full", "550 5.7.1 No", "452 4.3.1 Full"},
         PN_REJECT},
        {"dropped for one",
         {PN_DEFER, PN_DISCARD, PN_JUNK},
         true,
         {"451 4.7.1 Later", "250 2.0.0 Taken as q1", "250 2.0.0 Taken as q1"},
         {"451 4.7.1 Later", "250 2.0.0 Taken as q1", "452 4.3.1 Full"},
         PN_DEFER},
        {"nobody's",
         {PN_REJECT, PN_DEFER, PN_REJECT},
         false,
         {"550 5.7.1 No", "451 4.7.1 Later", "550 5.7.1 No"},
         {"550 5.7.1 No", "451 4.7.1 Later", "550 5.7.1 No"},
         PN_REJECT},
        {"everybody's",
         {PN_ACCEPT, PN_ACCEPT, PN_ACCEPT},
         true,
         {"250 2.0.0 Taken as q1", "250 2.0.0 Taken as q1", "250 2.0.0 Taken as q1"},
         {"452 4.3.1 Full", "452 4.3.1 Full", "452 4.3.1 Full"},
         PN_DEFER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        unit_row(rows[i].label);
        fixture_init(&f, rows[i].in, RCPTS);
        pn_verdict_settle(&f.verdict, true, f.pool);
        UNIT_INT(pn_verdict_taken(&f.verdict), rows[i].taken);
        for (size_t k = 0; k < RCPTS; k++)
            UNIT_STR(f.rcpts[k].decision.reply, pn_str_of(rows[i].want[k]));
        pn_verdict_replied(&f.verdict, PN_STR("452 4.3.1 Full"));
        for (size_t k = 0; k < RCPTS; k++)
            UNIT_STR(f.rcpts[k].decision.reply, pn_str_of(rows[i].late[k]));
        UNIT_INT(f.verdict.outcome, rows[i].late_outcome);
        UNIT_STR(f.verdict.reply, f.rcpts[f.verdict.strictest].decision.reply);
        pn_pool_free(&f.pool);
    }
}

static void test_json(void)
{
    struct fixture f;
    struct pn_buf out;
    fixture_init(&f, (enum pn_outcome[]){PN_JUNK}, 1);
    f.rcpts[0].decision.score = 4500;
    f.rcpts[0].decision.because[0] =
        (struct pn_because){PN_STR("here.conf:3:5"), PN_STR("junk when score >= 4")};
    f.rcpts[0].decision.because_count = 1;
    UNIT_TRUE(pn_facts_add_symbol(&f.facts,
                                  &(struct pn_fact){PN_STR("SPF_FAIL"), PN_STR("spf"),
                                                    PN_STR("d.test"), 4500, PN_FACT_ALL_RCPTS}));
    UNIT_TRUE(pn_facts_add_symbol(
        &f.facts, &(struct pn_fact){PN_STR("MASKED"), PN_STR("x"), PN_STR(""), 9000, 0}));
    /* Those behind the first two would make an object that readers differ about. */
    struct pn_pair props[] = {
        {PN_STR("domain"), PN_STR("d.test")}, {PN_STR("bits"), PN_STR("2048")},
        {PN_STR("result"), PN_STR("fail")},   {PN_STR("domain"), PN_STR("e.test")},
        {PN_STR("a\"b"), PN_STR("x")},        {PN_STR(""), PN_STR("x")}};
    UNIT_TRUE(pn_facts_add_auth(
        &f.facts, &(struct pn_auth){PN_STR("dkim"), PN_STR("dkim"), PN_STR("pass"), 6, props}));
    UNIT_TRUE(pn_facts_add_auth(
        &f.facts, &(struct pn_auth){PN_STR("dmarc"), PN_STR("dmarc"), PN_STR("none"), 0, NULL}));
    struct pn_plugin_run run = {PN_STR("spf"), PN_PLUGIN_OK, 1250, PN_STR("")};
    UNIT_TRUE(pn_facts_add_run(&f.facts, &run));
    struct pn_str answers[] = {{"\x7f\0\0\2", 4}};
    struct pn_dns_seen seen = {PN_STR("a.bl.test"), PN_DNS_A, 0, false, 1, answers};
    UNIT_TRUE(pn_facts_add_dns(&f.facts, &seen));
    pn_verdict_settle(&f.verdict, false, f.pool);
    pn_buf_init(&out, 1 << 16);
    struct pn_json j = pn_json_to(&out);
    pn_json_object(&j, NULL);
    pn_verdict_json(&j, &f.verdict);
    pn_json_object_end(&j);
    UNIT_STR(
        pn_buf_str(&out),
        PN_STR("{\"id\":\"q1\",\"outcome\":\"junk\",\"reply\":\"250 2.0.0 Taken as q1\","
               "\"score\":4.5,\"recipients\":[{\"address\":\"a@x.test\",\"outcome\":\"junk\","
               "\"score\":4.5,\"reply\":\"250 2.0.0 Taken as q1\",\"because\":["
               "\"here.conf:3:5 junk when score >= 4\"]}],\"symbols\":[{\"name\":\"SPF_FAIL\","
               "\"plugin\":\"spf\",\"weight\":4.5,\"detail\":\"d.test\"},{\"name\":\"MASKED\","
               "\"plugin\":\"x\",\"weight\":0,\"own\":9,\"detail\":\"\",\"recipient\":\"a@x.test\","
               "\"counts\":false}],\"auth\":{\"spf\":[],\"dkim\":[{\"result\":\"pass\","
               "\"domain\":\"d.test\",\"bits\":2048}],\"dmarc\":{\"result\":\"none\"}},"
               "\"plugins\":[{\"name\":\"spf\",\"status\":\"ok\",\"ms\":1.25}],\"edits\":[],"
               "\"dns\":[{\"name\":\"a.bl.test\",\"type\":\"A\",\"rcode\":\"NOERROR\","
               "\"secure\":false,\"answers\":[\"127.0.0.2\"]}]}"));
    pn_buf_fini(&out);
    pn_pool_free(&f.pool);
}

/* Facts count recipients as the envelope does: those refused at RCPT stand in it, too. */
static void test_symbols(void)
{
    static const struct {
        const char *label;
        uint32_t rcpt;
        const char *want;
    } rows[] = {
        {"of all", PN_FACT_ALL_RCPTS, "\"detail\":\"\"}"},
        {"of one that was refused", 0, "\"recipient\":\"a@x.test\",\"counts\":false}"},
        {"of the strictest", 1, "\"recipient\":\"b@x.test\"}"},
        {"of the other", 2, "\"recipient\":\"c@x.test\",\"counts\":false}"},
        {"of nobody", 3, "\"detail\":\"\",\"counts\":false}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct pn_buf out;
        unit_row(rows[i].label);
        fixture_init(&f, (enum pn_outcome[]){PN_REJECT, PN_JUNK, PN_ACCEPT}, 3);
        f.verdict.rcpts++; /* the first was refused */
        f.verdict.rcpt_count--;
        UNIT_TRUE(pn_facts_add_symbol(
            &f.facts, &(struct pn_fact){PN_STR("S"), PN_STR("x"), PN_STR(""), 1, rows[i].rcpt}));
        pn_verdict_settle(&f.verdict, false, f.pool);
        pn_buf_init(&out, 1 << 16);
        struct pn_json j = pn_json_to(&out);
        pn_json_object(&j, NULL);
        pn_verdict_json(&j, &f.verdict);
        pn_json_object_end(&j);
        const char *symbols = strstr(pn_buf_cstr(&out), "\"detail\":\"\"");
        UNIT_TRUE(symbols != NULL && strstr(symbols, rows[i].want) != NULL);
        pn_buf_fini(&out);
        pn_pool_free(&f.pool);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"settle", test_settle},   {"replied", test_replied},
                                             {"each", test_each},       {"json", test_json},
                                             {"symbols", test_symbols}, {NULL, NULL}};
    return unit_main("verdict", tests, argc, argv);
}

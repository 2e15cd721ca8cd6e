/*
 * What is asked about TLS of a next hop's hosts. A row is a script: what DNS would say, and
 * which questions are to be put, in order, for which end.
 */
#include "unit.h"

#include "tls_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 4 };

/* "TLSA _25._tcp.mx.test" is to be asked, and so answered: "secure 3", "insecure 3", "none",
 * "fail": 3 is the usage of one record, c a CNAME's. */
struct step {
    const char *question, *answer;
};

struct row {
    const char *label;
    const char *list;     /* the answer to MX, "" for an operator's own host */
    const char *a, *aaaa; /* of the host mx.test */
    const char *target;   /* that these lead to */
    struct step steps[STEPS_MAX];
    enum tls_found want;
    const char *base; /* or NULL */
};

static struct pn_dns_answer answer_of(const char *text, const char *target)
{
    static char tlsa[35] = {3, 1, 1};
    static struct pn_dns_record one;
    char how[12] = "", what[4] = "";
    struct pn_dns_answer a = {.target = pn_str_of(target), .records = &one};
    (void)sscanf(text, "%11s %3s", how, what);
    a.secure = strcmp(how, "secure") == 0;
    a.count = what[0] != '\0';
    if (strcmp(how, "fail") == 0)
        a.rcode = PN_DNS_SERVFAIL;
    if (strcmp(how, "missing") == 0)
        a.rcode = PN_DNS_NXDOMAIN;
    tlsa[0] = (char)(what[0] - '0');
    one = (struct pn_dns_record){300, {tlsa, sizeof tlsa}};
    return a;
}

static void play(const struct row *row)
{
    struct tls_search s = {.port = 25};
    struct pn_dns_answer a = answer_of(row->list, "");
    size_t step = 0;
    uint16_t type;
    struct pn_buf name, question;
    pn_buf_init(&name, TLS_QUESTION_MAX);
    pn_buf_init(&question, TLS_QUESTION_MAX);
    unit_row(row->label);
    if (row->list[0] == '\0')
        tls_search_trusted(&s);
    else
        tls_search_listed(&s, PN_STR("a.test"), &a);
    tls_search_begin(&s, 0, PN_STR("mx.test."), 2);
    UNIT_TRUE(!tls_search_next(&s, 0, &type, &name));
    a = answer_of(row->aaaa, row->target);
    tls_search_addresses(&s, 0, &a);
    UNIT_TRUE(!tls_search_next(&s, 0, &type, &name)); /* one is out */
    a = answer_of(row->a, row->target);
    tls_search_addresses(&s, 0, &a);
    while (pn_buf_clear(&name), tls_search_next(&s, 0, &type, &name) && step < STEPS_MAX) {
        pn_buf_clear(&question);
        (void)pn_buf_addf(&question, "%s %.*s", pn_dns_type_name(type), PN_FMT(pn_buf_str(&name)));
        UNIT_STR(pn_buf_str(&question), pn_str_of(row->steps[step].question));
        if (row->steps[step].answer == NULL)
            break;
        a = answer_of(row->steps[step++].answer, "");
        tls_search_answer(&s, 0, type, &a);
    }
    UNIT_TRUE(step == STEPS_MAX || row->steps[step].answer == NULL);
    struct tls_host *h = tls_search_found(&s, 0);
    UNIT_INT(h->found, row->want);
    UNIT_STR(pn_str_of(h->base), pn_str_of(row->base));
    UNIT_STR(pn_str_of(h->name), PN_STR("mx.test"));
    tls_host_unref(&h);
    tls_search_fini(&s);
    pn_buf_fini(&name);
    pn_buf_fini(&question);
}

#define MX_TLSA   "TLSA _25._tcp.mx.test"
#define REAL_TLSA "TLSA _25._tcp.real.test"

static const struct row rows[] = {
    {"records",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "secure 3"}},
     TLS_USABLE,
     "mx.test"},
    {"an operator's host",
     "",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "secure 3"}},
     TLS_USABLE,
     "mx.test"},
    {"proved to have none",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "secure"}},
     TLS_NOTHING,
     NULL},
    {"proved that there is no such name",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "missing"}},
     TLS_NOTHING,
     NULL},
    {"records that are not secure",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "insecure 3"}},
     TLS_NOTHING,
     NULL},
    {"records of no use",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "secure 1"}},
     TLS_UNUSABLE,
     "mx.test"},
    {"no answer about records",
     "secure x",
     "secure x",
     "secure",
     "",
     {{MX_TLSA, "fail"}},
     TLS_UNSURE,
     NULL},
    {"the list is not secure",
     "insecure x",
     "secure x",
     "secure",
     "",
     {{NULL, NULL}},
     TLS_NOTHING,
     NULL},
    {"the host is not",
     "secure x",
     "insecure x",
     "insecure",
     "",
     {{NULL, NULL}},
     TLS_NOTHING,
     NULL},
    {"only its IPv6 has an answer",
     "secure x",
     "fail",
     "secure x",
     "",
     {{MX_TLSA, "secure 3"}},
     TLS_USABLE,
     "mx.test"},
    {"no address", "secure x", "secure", "secure", "", {{NULL, NULL}}, TLS_NOTHING, NULL},
    {"no answer about addresses",
     "secure x",
     "fail",
     "fail",
     "",
     {{NULL, NULL}},
     TLS_NOTHING,
     NULL},
    {"an alias",
     "secure x",
     "secure x",
     "secure",
     "real.test",
     {{REAL_TLSA, "secure 3"}},
     TLS_USABLE,
     "real.test"},
    {"an alias, records at its own name",
     "secure x",
     "secure x",
     "secure",
     "real.test",
     {{REAL_TLSA, "missing"}, {MX_TLSA, "secure 3"}},
     TLS_USABLE,
     "mx.test"},
    {"an alias without records",
     "secure x",
     "secure x",
     "secure",
     "real.test",
     {{REAL_TLSA, "secure"}, {MX_TLSA, "secure"}},
     TLS_NOTHING,
     NULL},
    {"an alias, no answer about the first",
     "secure x",
     "secure x",
     "secure",
     "real.test",
     {{REAL_TLSA, "fail"}},
     TLS_UNSURE,
     NULL},
    {"an alias, no answer about the second",
     "secure x",
     "secure x",
     "secure",
     "real.test",
     {{REAL_TLSA, "secure"}, {MX_TLSA, "fail"}},
     TLS_UNSURE,
     NULL},
    {"an alias out of a signed zone",
     "secure x",
     "insecure x",
     "insecure",
     "real.test",
     {{"CNAME mx.test", "secure c"}, {MX_TLSA, "secure 3"}},
     TLS_USABLE,
     "mx.test"},
    {"an alias in an unsigned zone",
     "secure x",
     "insecure x",
     "insecure",
     "real.test",
     {{"CNAME mx.test", "insecure c"}},
     TLS_NOTHING,
     NULL},
    {"an alias, no answer about that",
     "secure x",
     "insecure x",
     "insecure",
     "real.test",
     {{"CNAME mx.test", "fail"}},
     TLS_UNSURE,
     NULL},
    {"an alias that is gone by then",
     "secure x",
     "insecure x",
     "insecure",
     "real.test",
     {{"CNAME mx.test", "secure"}},
     TLS_NOTHING,
     NULL},
};

static void test_search(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        play(&rows[i]);
}

/* What never got an answer, or was never asked for, goes nowhere. */
static void test_unsettled(void)
{
    static const struct pn_dns_answer list = {.secure = true};
    static const struct pn_dns_record one = {300, PN_STR_INIT("abcd")};
    static const struct pn_dns_answer addresses = {.secure = true, .count = 1, .records = &one};
    for (unsigned waits = 0; waits < 3; waits++) {
        struct tls_search s = {.port = 25};
        unit_row("unsettled");
        tls_search_listed(&s, PN_STR("a.test"), &list);
        tls_search_begin(&s, 1, PN_STR("mx.test"), 2);
        for (unsigned i = 0; i < waits; i++)
            tls_search_addresses(&s, 1, &addresses);
        struct tls_host *h = tls_search_found(&s, 1);
        UNIT_INT(h->found, TLS_UNSURE);
        tls_host_unref(&h);
        tls_search_fini(&s);
    }
}

/* A name that no records can be below. */
static void test_long(void)
{
    static const struct pn_dns_record one = {300, PN_STR_INIT("abcd")};
    static const struct pn_dns_answer list = {.secure = true};
    static const struct pn_dns_answer addresses = {.secure = true, .count = 1, .records = &one};
    struct tls_search s = {.port = 25};
    char longest[253];
    struct pn_buf name;
    uint16_t type;
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 60 == 59 ? '.' : 'a';
    pn_buf_init(&name, TLS_QUESTION_MAX);
    tls_search_listed(&s, PN_STR("a.test"), &list);
    tls_search_begin(&s, 0, (struct pn_str){longest, sizeof longest}, 1);
    tls_search_addresses(&s, 0, &addresses);
    UNIT_TRUE(!tls_search_next(&s, 0, &type, &name));
    struct tls_host *h = tls_search_found(&s, 0);
    UNIT_INT(h->found, TLS_NOTHING);
    tls_host_unref(&h);
    tls_search_fini(&s);
    pn_buf_fini(&name);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"search", test_search}, {"unsettled", test_unsettled}, {"long", test_long}, {NULL, NULL}};
    return unit_main("tls_search", tests, argc, argv);
}

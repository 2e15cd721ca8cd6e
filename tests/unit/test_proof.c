/* The resolver's proof that it can tell what is secure from what is not. */
#include "unit.h"

#include "anchor.h"
#include "dns.h"
#include "proof.h"

static void test_usual(void)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    UNIT_TRUE(proof_run(&err));
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    pn_buf_fini(&err);
}

/* It finds a libunbound that takes one for the other: here the expectation is turned round. */
static void test_wrong(void)
{
    static const struct {
        const char *label;
        struct proof_case cases[3];
        const char *want;
    } rows[] = {
        {"forged is believed",
         {{"a forged record", "forged.proof.postern", PN_DNS_TXT, PROOF_SECURE}},
         "DNSSEC can't be proved to work: a forged record is taken for bogus, not for secure"},
        {"late is believed",
         {{"an old one", "late.proof.postern", PN_DNS_TXT, PROOF_SECURE}},
         "DNSSEC can't be proved to work: an old one is taken for bogus, not for secure"},
        {"bare is let through",
         {{"a bare one", "bare.proof.postern", PN_DNS_TXT, PROOF_INSECURE}},
         "DNSSEC can't be proved to work: a bare one is taken for bogus, not for insecure"},
        {"good is not believed",
         {{"a good one", "good.proof.postern", PN_DNS_TXT, PROOF_INSECURE}},
         "DNSSEC can't be proved to work: a good one is taken for secure, not for insecure"},
        {"unsigned is believed, behind one that is right",
         {{"a good one", "good.proof.postern", PN_DNS_TXT, PROOF_SECURE},
          {"an unsigned one", "plain.proof.postern", PN_DNS_TXT, PROOF_SECURE}},
         "DNSSEC can't be proved to work: an unsigned one is taken for insecure, not for secure"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 1000);
        unit_row(rows[i].label);
        UNIT_TRUE(!proof_run_cases(rows[i].cases, &err));
        UNIT_STR(pn_buf_str(&err), pn_str_of(rows[i].want));
        pn_buf_fini(&err);
    }
}

/* The zone that a trust anchor is of. */
static void test_zone(void)
{
    static const struct {
        const char *label, *text, *want;
    } rows[] = {
        {"root", ". 172800 IN DNSKEY 257 3 8 AwEAAa", "."},
        {"tabs", "a.test.\t60\tIN\tDS 1 13 2 00", "a.test."},
        {"behind comments", "; a key\n\n$TTL 60\na.test DS 1 13 2 00\n", "a.test"},
        {"the first of two", "a.test DS 1 13 2 00\nb.test DS 1 13 2 00\n", "a.test"},
        {"a line that goes on", "  60 IN DS 1 13 2 00\na.test DS 1 13 2 00", "a.test"},
        {"CR LF", "a.test\r\n", "a.test"},
        {"empty", "", NULL},
        {"a comment alone", "; nothing", NULL},
        {"no name", "a..b DS 1 13 2 00", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char zone[PN_DNS_NAME_MAX + 1];
        unit_row(rows[i].label);
        bool found = anchor_zone(pn_str_of(rows[i].text), zone);
        UNIT_INT(found, rows[i].want != NULL);
        if (found)
            UNIT_STR(pn_str_of(zone), pn_str_of(rows[i].want));
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"usual", test_usual}, {"wrong", test_wrong}, {"zone", test_zone}, {NULL, NULL}};
    return unit_main("proof", tests, argc, argv);
}

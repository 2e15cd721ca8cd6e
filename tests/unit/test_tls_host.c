/* What DNS says of a host's TLS, and what is made of it. */
#include "unit.h"

#include "identity.h"
#include "tls_host.h"
#include "tls_plan.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which names are asked for */

static void test_bases(void)
{
    static const struct {
        const char *label;
        bool list, secure, alias;
        const char *target, *want;
    } rows[] = {
        {"all secure", true, true, false, "", "mx.test"},
        {"the list is not", false, true, false, "", ""},
        {"its addresses are not", true, false, false, "", ""},
        {"an alias, all secure", true, true, true, "real.test", "real.test mx.test"},
        {"an alias out of a secure zone", true, false, true, "real.test", "mx.test"},
        {"an alias, nothing secure", true, false, false, "real.test", ""},
        {"an alias from an insecure list", false, true, true, "real.test", ""},
        {"an alias of itself", true, true, true, "MX.test", "mx.test"},
        {"no alias, though one was said to be secure", true, false, true, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_way way = {rows[i].list, rows[i].secure, rows[i].alias, PN_STR("mx.test"),
                                    pn_str_of(rows[i].target)};
        struct pn_str bases[TLS_BASES_MAX];
        struct pn_buf got;
        unit_row(rows[i].label);
        pn_buf_init(&got, 1000);
        unsigned n = tls_bases(&way, bases);
        for (unsigned k = 0; k < n; k++)
            (void)pn_buf_addf(&got, "%s%.*s", k == 0 ? "" : " ", PN_FMT(bases[k]));
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        pn_buf_fini(&got);
    }
}

static void test_question(void)
{
    char longest[254];
    struct pn_buf b;
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 60 == 59 ? '.' : 'a';
    static const struct {
        size_t len;
        bool want;
    } rows[] = {{1, true}, {200, true}, {244, true}, {245, false}, {253, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row("length");
        pn_buf_init(&b, TLS_QUESTION_MAX);
        UNIT_INT(tls_question(25, (struct pn_str){longest, rows[i].len}, &b), rows[i].want);
        pn_buf_fini(&b);
    }
    pn_buf_init(&b, TLS_QUESTION_MAX);
    UNIT_TRUE(tls_question(2525, PN_STR("mx.test"), &b));
    UNIT_STR(pn_buf_str(&b), PN_STR("_2525._tcp.mx.test"));
    pn_buf_fini(&b);
}

/* ---- the answer */

/* A record's bytes by words: "3 1 1 32" is usage, selector, matching type, length of data. */
static struct pn_str record_of(const char *text, char room[8192])
{
    unsigned usage, selector, matching, len;
    int n = sscanf(text, "%u %u %u %u", &usage, &selector, &matching, &len);
    if (n != 4)
        return (struct pn_str){room, strlen(text)}; /* as many bytes as there are letters */
    room[0] = (char)usage;
    room[1] = (char)selector;
    room[2] = (char)matching;
    memset(room + 3, 'd', len);
    return (struct pn_str){room, 3 + len};
}

static void test_records(void)
{
    static const struct {
        const char *label, *record;
        enum tls_found want;
    } rows[] = {
        {"DANE-EE, key, SHA-256", "3 1 1 32", TLS_USABLE},
        {"DANE-EE, certificate, SHA-512", "3 0 2 64", TLS_USABLE},
        {"DANE-TA, certificate, SHA-256", "2 0 1 32", TLS_USABLE},
        {"DANE-TA, key, SHA-512", "2 1 2 64", TLS_USABLE},
        {"PKIX-TA", "0 0 1 32", TLS_UNUSABLE},
        {"PKIX-EE", "1 1 1 32", TLS_UNUSABLE},
        {"a usage that is none", "4 1 1 32", TLS_UNUSABLE},
        {"private usage", "255 1 1 32", TLS_UNUSABLE},
        {"a selector that is none", "3 2 1 32", TLS_UNUSABLE},
        {"a matching type that is none", "3 1 3 32", TLS_UNUSABLE},
        {"a digest too short", "3 1 1 31", TLS_UNUSABLE},
        {"a digest too long", "3 1 1 33", TLS_UNUSABLE},
        {"SHA-512 too short", "3 1 2 63", TLS_UNUSABLE},
        {"SHA-512 with SHA-256's length", "3 1 2 32", TLS_UNUSABLE},
        {"no data", "3 1 1 0", TLS_UNUSABLE},
        {"whole, and no certificate", "3 0 0 400", TLS_UNUSABLE},
        {"whole, and no key", "3 1 0 90", TLS_UNUSABLE},
        {"whole, of nothing", "3 0 0 0", TLS_UNUSABLE},
        {"an empty record", "", TLS_UNUSABLE},
        {"one byte", "x", TLS_UNUSABLE},
        {"a head and nothing", "xxx", TLS_UNUSABLE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[8192] = {0};
        const struct pn_dns_record one = {300, record_of(rows[i].record, room)};
        const struct pn_dns_answer answer = {.secure = true, .count = 1, .records = &one};
        const struct tls_way way = {true, true, false, PN_STR("mx.test"), PN_STR("")};
        unit_row(rows[i].label);
        struct tls_host *h =
            tls_host_of(&way, PN_STR("mx.test"), &answer, PN_STR("a.test"), PN_STR(""));
        UNIT_INT(h->found, rows[i].want);
        UNIT_INT(h->record_count, rows[i].want == TLS_USABLE);
        if (h->record_count == 1)
            UNIT_STR(h->records[0].data, pn_str_slice(one.data, 3, SIZE_MAX));
        tls_host_unref(&h);
    }
}

static void test_answers(void)
{
    static char good[35] = {3, 1, 1}, bad[35] = {1, 1, 1};
    static const struct {
        const char *label;
        uint16_t rcode;
        bool secure;
        unsigned good, bad;
        enum tls_found want;
    } rows[] = {
        {"one to go by", PN_DNS_NOERROR, true, 1, 0, TLS_USABLE},
        {"one to go by, one not", PN_DNS_NOERROR, true, 1, 1, TLS_USABLE},
        {"none to go by", PN_DNS_NOERROR, true, 0, 1, TLS_UNUSABLE},
        {"not secure", PN_DNS_NOERROR, false, 1, 0, TLS_NOTHING},
        {"none", PN_DNS_NOERROR, true, 0, 0, TLS_NOTHING},
        {"none, not secure", PN_DNS_NOERROR, false, 0, 0, TLS_NOTHING},
        {"no such name", PN_DNS_NXDOMAIN, true, 0, 0, TLS_NOTHING},
        {"no such name, not secure", PN_DNS_NXDOMAIN, false, 0, 0, TLS_NOTHING},
        {"bogus, or a server that can't", PN_DNS_SERVFAIL, false, 0, 0, TLS_UNSURE},
        {"no answer", PN_DNS_TIMEOUT, false, 0, 0, TLS_UNSURE},
        {"refused", PN_DNS_REFUSED, false, 0, 0, TLS_UNSURE},
        {"any other", 4, false, 0, 0, TLS_UNSURE},
        {"an error that claims to be proved", PN_DNS_SERVFAIL, true, 1, 0, TLS_UNSURE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_dns_record records[2];
        struct pn_dns_answer answer = {
            .rcode = rows[i].rcode, .secure = rows[i].secure, .records = records};
        const struct tls_way way = {true, true, false, PN_STR("mx.test"), PN_STR("")};
        if (rows[i].good != 0)
            records[answer.count++] = (struct pn_dns_record){300, {good, sizeof good}};
        if (rows[i].bad != 0)
            records[answer.count++] = (struct pn_dns_record){300, {bad, sizeof bad}};
        unit_row(rows[i].label);
        struct tls_host *h = tls_host_of(&way, PN_STR("mx.test"), &answer, PN_STR(""), PN_STR(""));
        UNIT_INT(h->found, rows[i].want);
        UNIT_INT(h->record_count, rows[i].want == TLS_USABLE);
        UNIT_INT(h->base != NULL, rows[i].want >= TLS_UNUSABLE);
        tls_host_unref(&h);
    }
}

/* Names that a certificate may have (RFC 7672, section 3.2.2). */
static void test_names(void)
{
    static char good[35] = {2, 1, 1};
    static const struct pn_dns_record one = {300, {good, sizeof good}};
    static const struct pn_dns_answer answer = {.secure = true, .count = 1, .records = &one};
    static const struct {
        const char *label, *name, *base, *domain, *target, *want;
    } rows[] = {
        {"a host of a list", "mx.test", "mx.test", "a.test", "", "mx.test a.test"},
        {"an operator's host", "relay.test", "relay.test", "", "", "relay.test"},
        {"the domain is its host", "a.test", "a.test", "A.test.", "", "a.test"},
        {"an alias, at its target", "mx.test", "real.test", "a.test", "",
         "real.test mx.test a.test"},
        {"the domain is an alias", "mx.test", "mx.test", "a.test", "b.test",
         "mx.test a.test b.test"},
        {"all of it", "mx.test", "real.test", "a.test", "b.test",
         "real.test mx.test a.test b.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_way way = {true, true, false, pn_str_of(rows[i].name), PN_STR("")};
        struct pn_buf got;
        unit_row(rows[i].label);
        pn_buf_init(&got, 1000);
        struct tls_host *h = tls_host_of(&way, pn_str_of(rows[i].base), &answer,
                                         pn_str_of(rows[i].domain), pn_str_of(rows[i].target));
        struct pn_tls_want want = tls_want_of(h, PN_TLS_BY_DANE);
        for (size_t k = 0; k < want.name_count; k++)
            (void)pn_buf_addf(&got, "%s%s", k == 0 ? "" : " ", want.names[k]);
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        UNIT_STR(pn_str_of(want.sni), pn_str_of(rows[i].base));
        UNIT_INT(want.tlsa_count, 1);
        UNIT_INT(tls_want_of(h, PN_TLS_UNVERIFIED).tlsa_count, 0);
        tls_host_unref(&h);
        pn_buf_fini(&got);
    }
}

/* A certificate and a key whole, cut and lengthened by each byte. */
static void test_whole(void)
{
    struct pn_buf cert, key;
    unsigned char *der[2] = {NULL, NULL};
    int len[2];
    pn_buf_init(&cert, 1 << 16);
    pn_buf_init(&key, 1 << 16);
    identity_make("mx.test", &cert, &key);
    BIO *bio = BIO_new_mem_buf(cert.p, (int)cert.len);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    len[0] = i2d_X509(x, &der[0]);
    len[1] = i2d_PUBKEY(X509_get0_pubkey(x), &der[1]);
    for (uint8_t selector = 0; selector < 2; selector++) {
        char *room = calloc(1, (size_t)len[selector] + 2);
        memcpy(room, der[selector], (size_t)len[selector]);
        for (int n = 0; n <= len[selector] + 1; n++) {
            const struct pn_tlsa t = {3, selector, 0, {room, (size_t)n}};
            unit_row(selector == 0 ? "certificate" : "key");
            UNIT_INT(pn_tlsa_usable(&t), n == len[selector]);
        }
        free(room);
        OPENSSL_free(der[selector]);
    }
    X509_free(x);
    BIO_free(bio);
    pn_buf_fini(&cert);
    pn_buf_fini(&key);
}

/* ---- the plan: the table of tls_plan.h, cell by cell */

static void test_plan(void)
{
    enum { REFUSED = 9 };
    static const struct {
        enum tls_level level;
        enum tls_found found;
        int use;
        bool verify, clear_after;
        int use_broke; /* after a handshake that broke */
    } rows[] = {
        {TLS_OFF, TLS_NOTHING, PN_SMTP_TLS_NEVER, false, false, PN_SMTP_TLS_NEVER},
        {TLS_OFF, TLS_UNSURE, PN_SMTP_TLS_NEVER, false, false, PN_SMTP_TLS_NEVER},
        {TLS_OFF, TLS_UNUSABLE, PN_SMTP_TLS_NEVER, false, false, PN_SMTP_TLS_NEVER},
        {TLS_OFF, TLS_USABLE, PN_SMTP_TLS_NEVER, false, false, PN_SMTP_TLS_NEVER},
        {TLS_MAY, TLS_NOTHING, PN_SMTP_TLS_MAY, false, true, PN_SMTP_TLS_NEVER},
        {TLS_MAY, TLS_UNSURE, REFUSED, false, false, REFUSED},
        {TLS_MAY, TLS_UNUSABLE, PN_SMTP_TLS_MUST, false, false, PN_SMTP_TLS_MUST},
        {TLS_MAY, TLS_USABLE, PN_SMTP_TLS_MUST, true, false, PN_SMTP_TLS_MUST},
        {TLS_MUST, TLS_NOTHING, PN_SMTP_TLS_MUST, false, false, PN_SMTP_TLS_MUST},
        {TLS_MUST, TLS_UNSURE, REFUSED, false, false, REFUSED},
        {TLS_MUST, TLS_UNUSABLE, PN_SMTP_TLS_MUST, false, false, PN_SMTP_TLS_MUST},
        {TLS_MUST, TLS_USABLE, PN_SMTP_TLS_MUST, true, false, PN_SMTP_TLS_MUST},
        {TLS_DANE, TLS_NOTHING, REFUSED, false, false, REFUSED},
        {TLS_DANE, TLS_UNSURE, REFUSED, false, false, REFUSED},
        {TLS_DANE, TLS_UNUSABLE, REFUSED, false, false, REFUSED},
        {TLS_DANE, TLS_USABLE, PN_SMTP_TLS_MUST, true, false, PN_SMTP_TLS_MUST},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char label[40];
        (void)snprintf(label, sizeof label, "level %d, found %d", rows[i].level, rows[i].found);
        unit_row(label);
        const struct tls_host host = {.found = rows[i].found};
        struct tls_plan plan = tls_plan(rows[i].level, &host, true, false);
        struct tls_plan broke = tls_plan(rows[i].level, &host, true, true);
        UNIT_INT(plan.refusal != NULL ? REFUSED : (int)plan.use, rows[i].use);
        UNIT_INT(plan.verify, rows[i].verify ? PN_TLS_BY_DANE : PN_TLS_UNVERIFIED);
        UNIT_INT(plan.clear_after, rows[i].clear_after);
        UNIT_INT(broke.refusal != NULL ? REFUSED : (int)broke.use, rows[i].use_broke);
        UNIT_TRUE(!broke.clear_after);
        if (plan.refusal != NULL)
            UNIT_TRUE(strncmp(plan.refusal, "4.7.5 ", 6) == 0);
    }
}

static void test_serves(void)
{
    static const struct {
        const char *label;
        enum tls_level level;
        enum tls_found found;
        bool encrypted, verified, want;
    } rows[] = {
        {"clear, may", TLS_MAY, TLS_NOTHING, false, false, true},
        {"clear, off", TLS_OFF, TLS_NOTHING, false, false, true},
        {"TLS, off", TLS_OFF, TLS_NOTHING, true, false, true},
        {"clear, must", TLS_MUST, TLS_NOTHING, false, false, false},
        {"TLS, must", TLS_MUST, TLS_NOTHING, true, false, true},
        {"clear, may and records", TLS_MAY, TLS_USABLE, false, false, false},
        {"TLS not proved, may and records", TLS_MAY, TLS_USABLE, true, false, false},
        {"TLS proved, may and records", TLS_MAY, TLS_USABLE, true, true, true},
        {"TLS not proved, unusable records", TLS_MAY, TLS_UNUSABLE, true, false, true},
        {"clear, unusable records", TLS_MAY, TLS_UNUSABLE, false, false, false},
        {"TLS proved, dane", TLS_DANE, TLS_USABLE, true, true, true},
        {"TLS proved, dane, records gone", TLS_DANE, TLS_NOTHING, true, true, false},
        {"TLS proved, not to be known now", TLS_MAY, TLS_UNSURE, true, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_host host = {.found = rows[i].found};
        struct tls_plan plan = tls_plan(rows[i].level, &host, true, false);
        unit_row(rows[i].label);
        enum pn_tls_verified verified = rows[i].verified ? PN_TLS_BY_DANE : PN_TLS_UNVERIFIED;
        UNIT_INT(tls_plan_serves(&plan, rows[i].encrypted, verified), rows[i].want);
    }
}

/* Who has to have a certificate by an authority, and what it is good for. */
static void test_authority(void)
{
    static const struct {
        const char *label;
        enum tls_level level;
        enum tls_found found;
        bool trusted, authorities;
        enum pn_tls_verified want;
    } rows[] = {
        {"must", TLS_MUST, TLS_NOTHING, true, true, PN_TLS_BY_AUTHORITY},
        {"records that are of no use", TLS_MUST, TLS_UNUSABLE, true, true, PN_TLS_BY_AUTHORITY},
        {"records", TLS_MUST, TLS_USABLE, true, true, PN_TLS_BY_DANE},
        {"may", TLS_MAY, TLS_NOTHING, true, true, PN_TLS_UNVERIFIED},
        {"may, records of no use", TLS_MAY, TLS_UNUSABLE, true, true, PN_TLS_UNVERIFIED},
        {"off", TLS_OFF, TLS_NOTHING, true, true, PN_TLS_UNVERIFIED},
        {"no authorities", TLS_MUST, TLS_NOTHING, true, false, PN_TLS_UNVERIFIED},
        {"a host by MX", TLS_MUST, TLS_NOTHING, false, true, PN_TLS_UNVERIFIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tls_host host = {.found = rows[i].found, .trusted = rows[i].trusted};
        struct tls_plan plan = tls_plan(rows[i].level, &host, rows[i].authorities, false);
        unit_row(rows[i].label);
        UNIT_INT(plan.verify, rows[i].want);
        for (enum pn_tls_verified v = PN_TLS_UNVERIFIED; v <= PN_TLS_BY_DANE; v++)
            UNIT_INT(tls_plan_serves(&plan, true, v), v >= rows[i].want);
        UNIT_TRUE(!tls_is_proved(&host, PN_TLS_UNVERIFIED));
        UNIT_INT(tls_is_proved(&host, PN_TLS_BY_AUTHORITY), rows[i].trusted);
        UNIT_TRUE(tls_is_proved(&host, PN_TLS_BY_DANE));
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"bases", test_bases},         {"question", test_question},
        {"records", test_records},     {"answers", test_answers},
        {"names", test_names},         {"whole", test_whole},
        {"plan", test_plan},           {"serves", test_serves},
        {"authority", test_authority}, {NULL, NULL}};
    return unit_main("tls_host", tests, argc, argv);
}

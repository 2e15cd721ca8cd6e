/* Logins between edge and auth: records, names of mechanisms, who may send as whom. */
#include "unit.h"

#include "sasl.h"

static char many[PN_SASL_MESSAGE_MAX + 1];

/* Read whole, it is `want`; cut anywhere, or with a byte behind it, it is none. */
#define CUT_EVERYWHERE(body, get, want)                                                            \
    do {                                                                                           \
        struct pn_buf *b_ = (body);                                                                \
        UNIT_INT(get(pn_buf_str(b_), &got), (want));                                               \
        for (size_t cut_ = 0; cut_ < b_->len && b_->len < 300; cut_++)                             \
            UNIT_TRUE(!get(pn_str_slice(pn_buf_str(b_), 0, cut_), &got));                          \
        (void)pn_buf_addc(b_, 'x');                                                                \
        UNIT_TRUE(!get(pn_buf_str(b_), &got));                                                     \
        b_->len--;                                                                                 \
        (void)get(pn_buf_str(b_), &got);                                                           \
    } while (0)

static void test_begin(void)
{
    static const struct {
        const char *label;
        unsigned service, mechanism;
        bool tls, has_initial;
        size_t session, exporter, initial;
        bool want;
    } rows[] = {
        {"the least", PN_SASL_SMTP, PN_SASL_PLAIN, false, false, 0, 0, 0, true},
        {"an empty initial response", PN_SASL_IMAP, PN_SASL_LOGIN, true, true, 1, 0, 0, true},
        {"the most", PN_SASL_POP3, PN_SASL_SCRAM_SHA_256_PLUS, true, true, PN_SASL_SESSION_MAX,
         PN_SASL_EXPORTER, PN_SASL_MESSAGE_MAX, true},
        {"no such service", PN_SASL_SERVICES, 0, true, true, 1, 0, 1, false},
        {"no such mechanism", 0, PN_SASL_MECHANISMS, true, true, 1, 0, 1, false},
        {"a long session", 0, 0, true, true, PN_SASL_SESSION_MAX + 1, 0, 1, false},
        {"a short exporter", 0, 0, true, true, 1, PN_SASL_EXPORTER - 1, 1, false},
        {"a long exporter", 0, 0, true, true, 1, PN_SASL_EXPORTER + 1, 1, false},
        {"an exporter of no TLS", 0, 0, false, true, 1, PN_SASL_EXPORTER, 1, false},
        {"a long message", 0, 0, true, true, 1, 0, PN_SASL_MESSAGE_MAX + 1, false},
        {"a message that is not there", 0, 0, true, false, 1, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_sasl_begin begin = {.id = 1 + i,
                                      .service = (uint8_t)rows[i].service,
                                      .mechanism = (uint8_t)rows[i].mechanism,
                                      .tls = rows[i].tls,
                                      .has_initial = rows[i].has_initial,
                                      .session = {many, rows[i].session},
                                      .exporter = {many, rows[i].exporter},
                                      .initial = {many, rows[i].initial}},
                             got;
        struct pn_buf b;
        pn_buf_init(&b, 1 << 16);
        UNIT_TRUE(pn_ip_parse(PN_STR("192.0.2.7"), &begin.ip));
        pn_sasl_begin_put(&b, &begin);
        unit_row(rows[i].label);
        CUT_EVERYWHERE(&b, pn_sasl_begin_get, rows[i].want);
        if (rows[i].want) {
            UNIT_INT(got.id, begin.id);
            UNIT_INT(got.service, begin.service);
            UNIT_INT(got.mechanism, begin.mechanism);
            UNIT_INT(got.tls, begin.tls);
            UNIT_INT(got.has_initial, begin.has_initial);
            UNIT_TRUE(pn_ip_eq(&got.ip, &begin.ip));
            UNIT_STR(got.session, begin.session);
            UNIT_STR(got.exporter, begin.exporter);
            UNIT_STR(got.initial, begin.initial);
        }
        pn_buf_fini(&b);
    }
}

static void test_answer(void)
{
    static const struct {
        const char *label;
        size_t len;
        bool want;
    } rows[] = {{"empty", 0, true},
                {"one", 1, true},
                {"the most", PN_SASL_MESSAGE_MAX, true},
                {"one too many", PN_SASL_MESSAGE_MAX + 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pn_sasl_answer answer = {7, {many, rows[i].len}};
        struct pn_sasl_answer got;
        struct pn_buf b;
        pn_buf_init(&b, 1 << 16);
        pn_sasl_answer_put(&b, &answer);
        unit_row(rows[i].label);
        CUT_EVERYWHERE(&b, pn_sasl_answer_get, rows[i].want);
        if (rows[i].want) {
            UNIT_INT(got.id, 7);
            UNIT_STR(got.message, answer.message);
        }
        pn_buf_fini(&b);
    }
    uint64_t got;
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_sasl_cancel_put(&b, UINT64_MAX);
    unit_row("a cancel");
    CUT_EVERYWHERE(&b, pn_sasl_cancel_get, true);
    UNIT_TRUE(got == UINT64_MAX);
    pn_buf_fini(&b);
}

static void test_said(void)
{
    static const struct {
        const char *label;
        unsigned status;
        const char *message, *user, *senders;
        bool want;
    } rows[] = {
        {"a challenge", PN_SASL_CHALLENGE, "r=1", "", "", true},
        {"an empty one", PN_SASL_CHALLENGE, "", "", "", true},
        {"a challenge that names", PN_SASL_CHALLENGE, "r=1", "ann@a.test", "", false},
        {"ok", PN_SASL_OK, "", "ann@a.test", "", true},
        {"ok, with senders", PN_SASL_OK, "", "ann@a.test", "@a.test,b@b.test,*", true},
        {"ok, of nobody", PN_SASL_OK, "", "", "", false},
        {"ok, with a message", PN_SASL_OK, "v=1", "ann@a.test", "", false},
        {"ok, with what is no sender", PN_SASL_OK, "", "ann@a.test", "a.test", false},
        {"refused", PN_SASL_REFUSED, "", "", "", true},
        {"refused, and yet senders", PN_SASL_REFUSED, "", "", "*", false},
        {"malformed", PN_SASL_MALFORMED, "", "", "", true},
        {"shut", PN_SASL_SHUT, "", "", "", true},
        {"busy", PN_SASL_BUSY, "", "", "", true},
        {"busy, with a message", PN_SASL_BUSY, "x", "", "", false},
        {"no status", PN_SASL_STATUSES, "", "", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pn_sasl_said said = {
            .id = 9,
            .status = (uint8_t)rows[i].status,
            .message = pn_str_of(rows[i].message),
            .user = pn_str_of(rows[i].user),
            .senders = pn_str_of(rows[i].senders),
        };
        struct pn_sasl_said got;
        struct pn_buf b;
        pn_buf_init(&b, 1 << 16);
        pn_sasl_said_put(&b, &said);
        unit_row(rows[i].label);
        CUT_EVERYWHERE(&b, pn_sasl_said_get, rows[i].want);
        if (rows[i].want) {
            UNIT_INT(got.id, 9);
            UNIT_INT(got.status, rows[i].status);
            UNIT_STR(got.message, said.message);
            UNIT_STR(got.user, said.user);
            UNIT_STR(got.senders, said.senders);
        }
        pn_buf_fini(&b);
    }
}

static void test_wipe(void)
{
    char secret[] = "hunter2";
    pn_sasl_wipe((struct pn_str){secret, 0});
    UNIT_STR(pn_str_of(secret), PN_STR("hunter2"));
    pn_sasl_wipe((struct pn_str){secret, sizeof secret - 1});
    for (size_t i = 0; i < sizeof secret; i++)
        UNIT_INT(secret[i], 0);
    pn_sasl_wipe((struct pn_str){NULL, 0});
}

static void test_mechanisms(void)
{
    static const struct {
        const char *label, *name;
        int want;          /* -1: none */
        bool plain, bound; /* over TLS; over TLS that can be bound to */
    } rows[] = {
        {"plain", "PLAIN", PN_SASL_PLAIN, true, true},
        {"without case", "login", PN_SASL_LOGIN, true, true},
        {"scram", "SCRAM-SHA-256", PN_SASL_SCRAM_SHA_256, true, true},
        {"plus", "scram-sha-256-PLUS", PN_SASL_SCRAM_SHA_256_PLUS, false, true},
        {"empty", "", -1, false, false},
        {"longer", "PLAINX", -1, false, false},
        {"shorter", "PLAI", -1, false, false},
        {"the older SCRAM", "SCRAM-SHA-1", -1, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum pn_sasl_mechanism m = PN_SASL_PLAIN;
        unit_row(rows[i].label);
        UNIT_INT(pn_sasl_mechanism_find(pn_str_of(rows[i].name), &m), rows[i].want >= 0);
        if (rows[i].want < 0)
            continue;
        UNIT_INT(m, rows[i].want);
        UNIT_TRUE(pn_str_ieq(pn_str_of(pn_sasl_mechanism_name(m)), pn_str_of(rows[i].name)));
        UNIT_TRUE(!pn_sasl_mechanism_fits(m, false, false));
        UNIT_INT(pn_sasl_mechanism_fits(m, true, false), rows[i].plain);
        UNIT_INT(pn_sasl_mechanism_fits(m, true, true), rows[i].bound);
    }
}

static void test_plain(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * sizeof many);
    UNIT_TRUE(pn_sasl_plain(&b, PN_STR("ann"), PN_STR("pass word")));
    UNIT_STR(pn_buf_str(&b), PN_STR("\0ann\0pass word"));
    unit_row("a NUL");
    UNIT_TRUE(!pn_sasl_plain(&b, PN_STR("a\0n"), PN_STR("p")));
    UNIT_TRUE(!pn_sasl_plain(&b, PN_STR("ann"), PN_STR("p\0")));
    unit_row("at the limit");
    memset(many, 'p', sizeof many);
    pn_buf_clear(&b);
    struct pn_str longest = {many, PN_SASL_MESSAGE_MAX - 5};
    UNIT_TRUE(pn_sasl_plain(&b, PN_STR("ann"), longest));
    UNIT_INT(b.len, PN_SASL_MESSAGE_MAX);
    longest.len++;
    UNIT_TRUE(!pn_sasl_plain(&b, PN_STR("ann"), longest));
    pn_buf_fini(&b);
    memset(many, 0, sizeof many);
}

static void test_senders(void)
{
    static const struct {
        const char *label, *senders;
        bool want;
    } rows[] = {
        {"none", "", true},
        {"an address", "a@b.test", true},
        {"a domain", "@b.test", true},
        {"anybody", "*", true},
        {"three", "a@b.test,@c.test,*", true},
        {"nothing between", "a@b.test,,*", false},
        {"nothing behind", "a@b.test,", false},
        {"nothing before", ",a@b.test", false},
        {"a comma", ",", false},
        {"no sign", "b.test", false},
        {"no domain", "a@", false},
        {"a sign alone", "@", false},
        {"two signs", "a@b@c.test", false},
        {"a pattern", "*@b.test", false},
        {"a blank", "a @b.test", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(pn_sasl_senders_ok(pn_str_of(rows[i].senders)), rows[i].want);
    }
    static char list[PN_SASL_SENDERS_MAX + 1];
    memset(list, 'a', sizeof list);
    list[1] = '@';
    unit_row("at the limit");
    UNIT_TRUE(pn_sasl_senders_ok((struct pn_str){list, PN_SASL_SENDERS_MAX}));
    UNIT_TRUE(!pn_sasl_senders_ok((struct pn_str){list, PN_SASL_SENDERS_MAX + 1}));
}

static void test_may_send(void)
{
    static const struct {
        const char *label, *user, *senders, *address;
        bool want;
    } rows[] = {
        {"himself", "ann@a.test", "", "ann@a.test", true},
        {"without case", "ann@a.test", "", "Ann@A.TEST", true},
        {"another", "ann@a.test", "", "bob@a.test", false},
        {"an address of his", "ann@a.test", "info@a.test,sales@b.test", "Sales@b.test", true},
        {"not an address of his", "ann@a.test", "info@a.test,sales@b.test", "sales@a.test", false},
        {"a domain of his", "ann@a.test", "@b.test", "any@B.test", true},
        {"what is below it", "ann@a.test", "@b.test", "any@c.b.test", false},
        {"what ends so", "ann@a.test", "@b.test", "any@cb.test", false},
        {"anybody", "ann@a.test", "x@y.test,*", "any@any.test", true},
        {"signs in quotes", "ann@a.test", "@b.test", "\"x@y\"@b.test", true},
        {"a domain in quotes", "ann@a.test", "@b.test", "\"x@b.test\"@y.test", false},
        {"no local part", "ann@a.test", "@b.test", "@b.test", false},
        {"no domain", "ann@a.test", "*", "ann@", false},
        {"no address", "ann@a.test", "*", "ann", false},
        {"empty", "ann@a.test", "*", "", false},
        {"nobody", "", "*", "ann@a.test", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(pn_sasl_may_send(pn_str_of(rows[i].user), pn_str_of(rows[i].senders),
                                  pn_str_of(rows[i].address)),
                 rows[i].want);
    }
}

static void test_services(void)
{
    static const char *const want[] = {"smtp", "lmtp", "imap", "pop3"};
    for (size_t i = 0; i < PN_SASL_SERVICES; i++)
        UNIT_STR(pn_str_of(pn_sasl_service_name((enum pn_sasl_service)i)), pn_str_of(want[i]));
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"begin", test_begin},
        {"answer and cancel", test_answer},
        {"said", test_said},
        {"wipe", test_wipe},
        {"mechanisms", test_mechanisms},
        {"plain", test_plain},
        {"senders", test_senders},
        {"may send", test_may_send},
        {"services", test_services},
        {NULL, NULL},
    };
    return unit_main("sasl_wire", tests, argc, argv);
}

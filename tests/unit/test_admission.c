/* Whom auth let in: tokens are good once, for one user and service, for ten seconds. And the
 * records that carry them. */
#include "unit.h"

#include "admission.h"

#define ANN "ann@here.test"

static struct pn_pass pass_of(unsigned char first, uint8_t service, const char *user)
{
    struct pn_pass pass = {.token = {first, 2, 3}, .service = service, .user = pn_str_of(user)};
    return pass;
}

static void test_use(void)
{
    static const struct {
        const char *label;
        unsigned char token;
        uint8_t service;
        const char *user;
        uint64_t at_ms;
        bool want;
    } rows[] = {
        {"his own", 1, PN_SASL_IMAP, ANN, 1000, true},
        {"another token", 2, PN_SASL_IMAP, ANN, 1000, false},
        {"another service", 1, PN_SASL_POP3, ANN, 1000, false},
        {"another user", 1, PN_SASL_IMAP, "bob@here.test", 1000, false},
        {"part of the name", 1, PN_SASL_IMAP, "ann@here.tes", 1000, false},
        {"no name", 1, PN_SASL_IMAP, "", 1000, false},
        {"at the last moment", 1, PN_SASL_IMAP, ANN, 1000 + PN_PASS_MS - 1, true},
        {"too late", 1, PN_SASL_IMAP, ANN, 1000 + PN_PASS_MS, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct admission *a = admission_new();
        struct pn_pass pass = pass_of(1, PN_SASL_IMAP, ANN), probe = pass_of(rows[i].token, 0, "");
        unit_row(rows[i].label);
        UNIT_TRUE(admission_note(a, &pass, 1000));
        UNIT_TRUE(admission_use(a, probe.token, rows[i].service, pn_str_of(rows[i].user),
                                rows[i].at_ms) == rows[i].want);
        /* Whoever showed the right token used it up; nobody has a second try. */
        UNIT_TRUE(!admission_use(a, probe.token, PN_SASL_IMAP, PN_STR(ANN), rows[i].at_ms));
        UNIT_INT(admission_count(a, rows[i].at_ms), rows[i].token == 1 ? 0 : 1);
        admission_free(&a);
        UNIT_TRUE(a == NULL);
    }
}

static void test_many(void)
{
    struct admission *a = admission_new();
    struct pn_pass pass = pass_of(0, PN_SASL_POP3, ANN);
    unit_row("as many as may be");
    for (unsigned i = 0; i < PN_PASS_OPEN_MAX; i++) {
        pass.token[0] = (unsigned char)i;
        pass.token[15] = (unsigned char)(i >> 8);
        UNIT_TRUE(admission_note(a, &pass, i));
    }
    unit_row("one too many");
    pass.token[14] = 1;
    UNIT_TRUE(!admission_note(a, &pass, PN_PASS_MS - 1));
    unit_row("the oldest is over");
    UNIT_TRUE(admission_note(a, &pass, PN_PASS_MS));
    unit_row("the same again");
    UNIT_TRUE(!admission_note(a, &pass, PN_PASS_MS + 1));
    unit_row("from the middle");
    pass.token[0] = 77;
    pass.token[14] = 0;
    pass.token[15] = 7;
    UNIT_TRUE(admission_use(a, pass.token, PN_SASL_POP3, PN_STR(ANN), PN_PASS_MS + 1));
    UNIT_INT(admission_count(a, PN_PASS_MS + 1), PN_PASS_OPEN_MAX - 2);
    unit_row("all are over");
    UNIT_INT(admission_count(a, 3 * PN_PASS_MS), 0);
    UNIT_TRUE(admission_note(a, &pass, 3 * PN_PASS_MS));
    admission_free(&a);
}

/* Every cut of a body is refused, and what follows it. */
#define CUT_EVERYWHERE(b, get, out)                                                                \
    do {                                                                                           \
        for (size_t cut_ = 0; cut_ < (b)->len; cut_++)                                             \
            UNIT_TRUE(!get((struct pn_str){(b)->p, cut_}, out));                                   \
        (void)pn_buf_addc(b, 'x');                                                                 \
        UNIT_TRUE(!get(pn_buf_str(b), out));                                                       \
        (b)->len--;                                                                                \
        UNIT_TRUE(get(pn_buf_str(b), out));                                                        \
    } while (0)

static void test_records(void)
{
    struct pn_pass pass = pass_of(9, PN_SASL_IMAP, ANN), got_pass;
    struct pn_pass_known known = {.token = {1, 2}, .noted = true}, got_known;
    struct pn_session_taken taken = {.id = 7, .word = PN_SESSION_TOO_MANY}, got_taken;
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    unit_row("a pass");
    pn_pass_put(&b, &pass);
    CUT_EVERYWHERE(&b, pn_pass_get, &got_pass);
    UNIT_STR(got_pass.user, pass.user);
    UNIT_INT(got_pass.service, PN_SASL_IMAP);
    UNIT_INT(memcmp(got_pass.token, pass.token, PN_PASS_TOKEN), 0);
    unit_row("that it is known");
    pn_buf_clear(&b);
    pn_pass_known_put(&b, &known);
    CUT_EVERYWHERE(&b, pn_pass_known_get, &got_known);
    UNIT_TRUE(got_known.noted);
    unit_row("taken");
    pn_buf_clear(&b);
    pn_session_taken_put(&b, &taken);
    CUT_EVERYWHERE(&b, pn_session_taken_get, &got_taken);
    UNIT_INT(got_taken.id, 7);
    UNIT_INT(got_taken.word, PN_SESSION_TOO_MANY);
    unit_row("what is left");
    struct pn_session_left left = {7, 8, 9}, got_left;
    pn_buf_clear(&b);
    pn_session_left_put(&b, &left);
    CUT_EVERYWHERE(&b, pn_session_left_get, &got_left);
    UNIT_TRUE(got_left.id == 7 && got_left.serial == 8 && got_left.bytes == 9);
    pn_buf_fini(&b);
}

static void test_session_record(void)
{
    static const struct {
        const char *label;
        uint8_t service;
        const char *user, *tag, *tls;
        bool want;
    } rows[] = {
        {"imap", PN_SASL_IMAP, ANN, "a1", "TLSv1.3", true},
        {"pop3, plain", PN_SASL_POP3, ANN, "", "", true},
        {"nobody", PN_SASL_POP3, "", "", "", false},
        {"mail is submitted elsewhere", PN_SASL_SMTP, ANN, "", "", false},
        {"a tag of two lines", PN_SASL_IMAP, ANN, "a\r\nb", "", false},
        {"a name of two lines", PN_SASL_IMAP, "ann\nbob", "a", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_session s = {.id = 5,
                               .service = rows[i].service,
                               .token = {4},
                               .user = pn_str_of(rows[i].user),
                               .session = PN_STR("0-12"),
                               .tag = pn_str_of(rows[i].tag),
                               .port = 993,
                               .relayed = true,
                               .tls = pn_str_of(rows[i].tls),
                               .cipher = pn_str_of(rows[i].tls),
                               .ahead = PN_STR("a2 NOOP\r\n")};
        struct pn_session got;
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        unit_row(rows[i].label);
        pn_session_put(&b, &s);
        if (rows[i].want) {
            CUT_EVERYWHERE(&b, pn_session_get, &got);
            UNIT_STR(got.user, s.user);
            UNIT_STR(got.tag, s.tag);
            UNIT_STR(got.ahead, s.ahead);
            UNIT_STR(got.tls, s.tls);
            UNIT_INT(got.port, 993);
            UNIT_TRUE(got.relayed);
        } else {
            UNIT_TRUE(!pn_session_get(pn_buf_str(&b), &got));
        }
        pn_buf_fini(&b);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"use", test_use},
        {"many", test_many},
        {"records", test_records},
        {"session record", test_session_record},
        {NULL, NULL},
    };
    return unit_main("admission", tests, argc, argv);
}

/* AUTH (RFC 4954): whole dialogues, split at every byte, answered at once and late. */
#include "smtp_owner.h"

#include "codec.h"

#include <stdlib.h>

#define U_PW   "AHUAcHc="     /* \0u\0pw */
#define U_NO   "AHUAbm8="     /* \0u\0no */
#define LATER  "AGxhdGVyAHB3" /* \0later\0pw */
#define IN     "AUTH PLAIN " U_PW "\r\n"
#define SECURE "STARTTLS\r\n\1" HI
#define TLS    "250|220 2.0.0|250|"
#define YES    "235 2.7.0|"

static void submission(struct owner *o)
{
    o->config.auth = PN_STR("PLAIN LOGIN SCRAM-SHA-256");
    o->config.auth_needed = true;
}

/* Offered, not asked for. */
static void offered(struct owner *o)
{
    submission(o);
    o->config.auth_needed = false;
}

static void test_logins(void)
{
    static const struct dialogue rows[] = {
        {"an initial response", SAY(HI SECURE IN ONE), TLS YES OK OK, NULL, submission},
        {"a response", SAY(HI SECURE "AUTH PLAIN\r\n" U_PW "\r\n" ONE), TLS "334|" YES OK OK, NULL,
         submission},
        {"letters of any case", SAY(HI SECURE "auth plain " U_PW "\r\n"), TLS YES, NULL,
         submission},
        {"blanks", SAY(HI SECURE "AUTH  PLAIN  " U_PW " \r\n"), TLS YES, NULL, submission},
        {"LOGIN", SAY(HI SECURE "AUTH LOGIN\r\ndQ==\r\ncHc=\r\n" ONE), TLS "334|334|" YES OK OK,
         NULL, submission},
        {"LOGIN with the name at once", SAY(HI SECURE "AUTH LOGIN dQ==\r\ncHc=\r\n"),
         TLS "334|" YES, NULL, submission},
        {"last words", SAY(HI SECURE "AUTH SCRAM-SHA-256 dQ==\r\n\r\n" ONE), TLS "334|" YES OK OK,
         NULL, submission},
        {"a response of no byte", SAY(HI SECURE "AUTH PLAIN =\r\n"), TLS "535 5.7.8|", NULL,
         submission},
        {"an empty response", SAY(HI SECURE "AUTH PLAIN\r\n\r\n"), TLS "334|535 5.7.8|", NULL,
         submission},
        {"a message", SAY(HI SECURE IN ONE "DATA\r\nx\r\n.\r\n"), TLS YES OK OK "354|" OK,
         "a@b.test|u@here.test,|x\r\n;", submission},
        {"on a port where nobody must", SAY(HI SECURE ONE "RSET\r\n" IN ONE),
         TLS OK OK OK YES OK OK, NULL, offered},
    };
    RUN(rows);
}

static void test_refusals(void)
{
    static const struct dialogue rows[] = {
        {"a wrong password", SAY(HI SECURE "AUTH PLAIN " U_NO "\r\n" ONE),
         TLS "535 5.7.8|530 5.7.0|503 5.5.1|", NULL, submission},
        {"then the right one", SAY(HI SECURE "AUTH PLAIN " U_NO "\r\n" IN ONE),
         TLS "535 5.7.8|" YES OK OK, NULL, submission},
        {"can't say now", SAY(HI SECURE "AUTH PLAIN " LATER "\r\n" IN), TLS "454 4.7.0|" YES, NULL,
         submission},
        {"no more than two tries",
         SAY(HI SECURE "AUTH PLAIN " U_NO "\r\nAUTH PLAIN " U_NO "\r\n" IN "NOOP\r\n"),
         TLS "535 5.7.8|535 5.7.8|421 4.7.0|", NULL, submission, true},
        {"in the clear", SAY(HI IN "AUTH PLAIN\r\nAUTH\r\nNOOP\r\n"),
         "250|538 5.7.11|538 5.7.11|538 5.7.11|" OK, NULL, submission},
        {"a secret in the clear is no response", SAY(HI "AUTH LOGIN\r\ndQ==\r\n"),
         "250|538 5.7.11|500 5.5.1|", NULL, submission},
        {"before EHLO", SAY(IN), "503 5.5.1|", NULL, submission},
        {"twice", SAY(HI SECURE IN IN), TLS YES "503 5.5.1|", NULL, submission},
        {"again behind STARTTLS", SAY(HI SECURE IN "STARTTLS\r\n"), TLS YES "503 5.5.1|", NULL,
         submission},
        {"within a transaction", SAY(HI SECURE ONE IN "DATA\r\n.\r\n"),
         TLS OK OK "503 5.5.1|354|" OK, "a@b.test|u@here.test,|;", offered},
        {"no mechanism", SAY(HI SECURE "AUTH\r\nAUTH \r\n"), TLS "501 5.5.4|501 5.5.4|", NULL,
         submission},
        {"one that is not offered",
         SAY(HI SECURE "AUTH CRAM-MD5\r\nAUTH PLAI " U_PW "\r\nAUTH SCRAM-SHA-256-PLUS\r\n"),
         TLS "504 5.5.4|504 5.5.4|504 5.5.4|", NULL, submission},
        {"no base64", SAY(HI SECURE "AUTH PLAIN AHU\r\nAUTH PLAIN A=A=\r\nAUTH PLAIN *\r\n" IN),
         TLS "501 5.5.2|501 5.5.2|501 5.5.2|" YES, NULL, submission},
        {"no AUTH here", SAY(HI SECURE IN "EHLO\r\n"), TLS "500 5.5.1|501 5.5.4|"},
        {"mail without it", SAY(HI SECURE "MAIL FROM:<>\r\nVRFY u\r\nEXPN l\r\nNOOP\r\nHELP\r\n"),
         TLS "530 5.7.0|530 5.7.0|530 5.7.0|" OK "214 2.0.0|", NULL, submission},
        {"mail in the clear", SAY(HI "MAIL FROM:<>\r\n"), "250|530 5.7.0|", NULL, submission},
    };
    RUN(rows);
}

static void test_cancels(void)
{
    static const struct dialogue rows[] = {
        {"*", SAY(HI SECURE "AUTH PLAIN\r\n*\r\n" IN), TLS "334|501 5.7.0|" YES, NULL, submission},
        {"* within", SAY(HI SECURE "AUTH LOGIN\r\ndQ==\r\n*\r\ncHc=\r\n"),
         TLS "334|334|501 5.7.0|500 5.5.1|", NULL, submission},
        {"* for the last empty one",
         SAY(HI SECURE "AUTH SCRAM-SHA-256 dQ==\r\n*\r\nMAIL FROM:<>\r\n"),
         TLS "334|501 5.7.0|530 5.7.0|", NULL, submission},
        {"more where nothing was due",
         SAY(HI SECURE "AUTH SCRAM-SHA-256 dQ==\r\ndQ==\r\nMAIL FROM:<>\r\n"),
         TLS "334|501 5.5.2|530 5.7.0|", NULL, submission},
        {"no base64", SAY(HI SECURE "AUTH PLAIN\r\nQUIT\r\nQUI\r\nMAIL FROM:<>\r\n"),
         TLS "334|535 5.7.8|500 5.5.1|530 5.7.0|", NULL, submission},
        {"a blank before it", SAY(HI SECURE "AUTH PLAIN\r\n " U_PW "\r\n"), TLS "334|501 5.5.2|",
         NULL, submission},
        {"a bare LF", SAY(HI SECURE "AUTH PLAIN\r\n" U_PW "\n"), TLS "334|501 5.5.2|", NULL,
         submission},
        {"a NUL", SAY(HI SECURE "AUTH PLAIN\r\n\0\r\n"), TLS "334|501 5.5.2|", NULL, submission},
    };
    RUN(rows);
    struct owner o;
    unit_row("the owner hears of it");
    owner_init(&o, 0);
    submission(&o);
    pn_smtp_server_tls(o.engine);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR(HI "AUTH PLAIN\r\n*\r\nAUTH PLAIN\r\n!\r\nAUTH SCRAM-SHA-256 dQ==\r\n*\r\n"), 0,
         SIZE_MAX);
    UNIT_INT(o.cancelled, 3);
    UNIT_TRUE(!pn_smtp_server_info(o.engine)->auth);
    talk(&o, PN_STR("AUTH LOGIN dQ==\r\ncHc=\r\n"), 0, SIZE_MAX);
    UNIT_INT(o.cancelled, 3);
    UNIT_INT(o.logins, 1);
    UNIT_TRUE(pn_smtp_server_info(o.engine)->auth);
    owner_fini(&o);
}

/* Lines of AUTH may be longer than others: 12288 octets and their end. */
static void test_lengths(void)
{
    enum { MOST = PN_SMTP_AUTH_LINE_MAX - 2 };
    static const struct {
        const char *label, *before;
        size_t length; /* of the whole line, in octets without its end */
        const char *want;
    } rows[] = {
        {"a response at the limit", "AUTH PLAIN\r\n", MOST, "334|535 5.7.8|" OK},
        {"beyond", "AUTH PLAIN\r\n", MOST + 1, "334|500 5.5.6|" OK},
        {"far beyond", "AUTH PLAIN\r\n", 4 * MOST, "334|500 5.5.6|" OK},
        {"a command at the limit", "", MOST, "535 5.7.8|" OK},
        {"a command beyond", "", MOST + 1, "500 5.5.2|" OK},
        {"a command far beyond", "", 4 * MOST, "500 5.5.2|" OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t step = 1; step <= 40000; step = step * 7 + 1) {
            struct owner o;
            struct pn_buf text, got;
            owner_init(&o, step % 2 ? LATE : 0);
            submission(&o);
            pn_smtp_server_tls(o.engine);
            pn_smtp_server_start(o.engine);
            settle(&o);
            talk(&o, PN_STR(HI), 0, SIZE_MAX);
            size_t from = o.replies.len;
            pn_buf_init(&text, 1 << 16);
            pn_buf_init(&got, REPLIES_MAX);
            (void)pn_buf_addz(&text, rows[i].before);
            size_t at = text.len;
            if (at == 0)
                (void)pn_buf_addz(&text, "AUTH PLAIN   "); /* blanks, so that whole groups fit */
            while ((rows[i].length - (text.len - at)) % 4 != 0)
                (void)pn_buf_addc(&text, at == 0 ? ' ' : 'A');
            while (text.len - at < rows[i].length)
                (void)pn_buf_addc(&text, 'A');
            (void)pn_buf_addz(&text, "\r\nNOOP\r\n");
            unit_row(rows[i].label);
            talk(&o, pn_buf_str(&text), 0, step);
            codes(&o, from, &got);
            UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
            pn_buf_fini(&text);
            pn_buf_fini(&got);
            owner_fini(&o);
        }
    }
    struct owner o;
    struct pn_buf line;
    unit_row("other commands are as short as ever");
    owner_init(&o, 0);
    submission(&o);
    pn_smtp_server_tls(o.engine);
    pn_smtp_server_start(o.engine);
    pn_buf_init(&line, 1 << 16);
    (void)pn_buf_addz(&line, "NOOP ");
    while (line.len < PN_SMTP_LINE_MAX + 1)
        (void)pn_buf_addc(&line, 'A');
    talk(&o, pn_buf_str(&line), 0, SIZE_MAX);
    UNIT_INT(o.in.len, 0);
    pn_buf_fini(&line);
    owner_fini(&o);
}

/* A challenge is one line, however long. */
static void test_challenge(void)
{
    struct owner o;
    struct pn_buf want;
    owner_init(&o, 0);
    submission(&o);
    pn_smtp_server_tls(o.engine);
    pn_smtp_server_start(o.engine);
    unit_row("words");
    talk(&o, PN_STR(HI "AUTH LOGIN\r\n"), 0, SIZE_MAX);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&o.replies), PN_STR("\r\n334 VXNlciBOYW1l\r\n")));
    unit_row("none");
    talk(&o, PN_STR("*\r\nAUTH PLAIN\r\n"), 0, SIZE_MAX);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&o.replies), PN_STR("\r\n334 \r\n")));
    unit_row("the longest");
    char *bytes = calloc(1, 9216);
    UNIT_TRUE(bytes != NULL);
    talk(&o, PN_STR("*\r\n"), 0, SIZE_MAX);
    o.mode = LATE;
    (void)pn_buf_addz(&o.in, "AUTH PLAIN\r\n");
    pn_buf_consume(&o.in, pn_smtp_server_input(o.engine, pn_buf_str(&o.in)));
    o.challenge = (struct pn_str){bytes, 9216};
    settle(&o);
    pn_buf_init(&want, 1 << 16);
    (void)pn_buf_addz(&want, "\r\n334 ");
    pn_base64_encode(&want, (struct pn_str){bytes, 9216});
    (void)pn_buf_addz(&want, "\r\n");
    UNIT_TRUE(pn_str_ends(pn_buf_str(&o.replies), pn_buf_str(&want)));
    pn_buf_fini(&want);
    free(bytes);
    owner_fini(&o);
}

/* What is told of an AUTH that is no command here never holds the secret. */
static void test_unknown(void)
{
    static const struct {
        const char *label;
        struct pn_str say;
        const char *want;
    } rows[] = {
        {"with a secret", SAY("AUTH PLAIN AHUAcHc=\r\n"), "AUTH PLAIN|"},
        {"with blanks", SAY("auth  plain  AHUAcHc=\r\n"), "auth  plain|"},
        {"alone", SAY("AUTH\r\n"), "AUTH|"},
        {"a mechanism", SAY("AUTH LOGIN\r\n"), "AUTH LOGIN|"},
        {"and what it would have asked for", SAY("AUTH LOGIN\r\ndXNlcg==\r\ncHc=\r\n"),
         "AUTH LOGIN|"},
        {"until the next command", SAY("AUTH LOGIN\r\ndXNlcg==\r\nNOOP\r\nX\r\n"), "AUTH LOGIN|X|"},
        {"another command", SAY("AUTHX PLAIN secret\r\n"), "AUTHX PLAIN secret|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct owner o;
        unit_row(rows[i].label);
        owner_init(&o, 0);
        pn_smtp_server_start(o.engine);
        talk(&o, rows[i].say, 0, SIZE_MAX);
        UNIT_STR(pn_buf_str(&o.unknown), pn_str_of(rows[i].want));
        owner_fini(&o);
    }
}

/* AUTH= of MAIL is read, and not believed. */
static void test_mail_param(void)
{
    static const struct dialogue rows[] = {
        {"nobody", SAY(HI SECURE IN "MAIL FROM:<a@b.test> AUTH=<>\r\n"), TLS YES OK, NULL,
         submission},
        {"somebody", SAY(HI SECURE IN "MAIL FROM:<a@b.test> AUTH=e+3Dmc2@b.test\r\n"), TLS YES OK,
         NULL, submission},
        {"none",
         SAY(HI SECURE IN "MAIL FROM:<a@b.test> AUTH\r\nMAIL FROM:<a@b.test> AUTH=\r\n"
                          "MAIL FROM:<a@b.test> AUTH=x\r\nMAIL FROM:<a@b.test> AUTH=a@b+3\r\n"
                          "MAIL FROM:<a@b.test> AUTH=<> AUTH=<>\r\n"),
         TLS YES "501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|", NULL, submission},
        {"where no AUTH is", SAY(HI "MAIL FROM:<a@b.test> AUTH=<>\r\n"), "250|555 5.5.4|"},
        {"nor over plain text", SAY(HI "MAIL FROM:<a@b.test> AUTH=<>\r\n"), "250|555 5.5.4|", NULL,
         offered},
    };
    RUN(rows);
}

static const struct unit_test tests[] = {
    {"logins", test_logins},       {"refusals", test_refusals},
    {"cancels", test_cancels},     {"lengths", test_lengths},
    {"challenge", test_challenge}, {"unknown", test_unknown},
    {"MAIL", test_mail_param},     {NULL, NULL},
};

int main(int argc, char **argv)
{
    return unit_main("smtp_auth", tests, argc, argv);
}

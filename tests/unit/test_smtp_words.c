/* A test for each word that EHLO announces, of that word's name. */
#include "smtp_owner.h"

#include <stdio.h>

static bool announced(struct owner *o, const char *line)
{
    char want[100];
    snprintf(want, sizeof want, "250-%s\r\n", line);
    const char *text = pn_buf_cstr(&o->replies);
    if (strstr(text, want) != NULL)
        return true;
    want[3] = ' ';
    return strstr(text, want) != NULL;
}

static void expect_word(const char *line, bool want, void (*set)(struct owner *o),
                        struct pn_str input)
{
    struct owner o;
    owner_init(&o, 0);
    if (set != NULL)
        set(&o);
    pn_smtp_server_start(o.engine);
    talk(&o, input, 0, SIZE_MAX);
    unit_row(line);
    UNIT_INT(announced(&o, line), want);
    owner_fini(&o);
}

static void test_pipelining(void)
{
    expect_word("PIPELINING", true, NULL, PN_STR(HI));
    /* A group of commands is answered in one write, whether the owner is quick or slow. */
    for (unsigned mode = 0; mode <= LATE; mode++) {
        struct owner o;
        owner_init(&o, mode);
        pn_smtp_server_start(o.engine);
        settle(&o);
        talk(&o, PN_STR(HI), 0, SIZE_MAX);
        o.writes = 0;
        unit_row("a group");
        talk(&o, PN_STR(ONE "RCPT TO:<no@x.test>\r\nDATA\r\n"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 1);
        talk(&o, PN_STR("x\r\n.\r\n" ONE "DATA\r\n"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 2);
        UNIT_TRUE(!pn_smtp_server_info(o.engine)->early);
        talk(&o, PN_STR("y\r\n.\r\nNOOP\r\nNOOP\r\n"), 0, SIZE_MAX);
        UNIT_TRUE(pn_smtp_server_info(o.engine)->early);
        owner_fini(&o);
        /* A client that waits is answered at once, though the next command is begun. */
        owner_init(&o, mode);
        pn_smtp_server_start(o.engine);
        settle(&o);
        o.writes = 0;
        talk(&o, PN_STR(HI "MAI"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 1);
        owner_fini(&o);
    }
}

/* Who sends on where the answer says what may come (RFC 2920, section 3.1) is known for it. */
static void test_groups(void)
{
    static const struct {
        const char *label;
        struct pn_str input;
        bool helo, command;
    } rows[] = {
        {"waits", PN_STR_INIT(HI), false, false},
        {"a group", PN_STR_INIT(HI ONE "DATA\r\n"), true, false},
        {"behind HELO", PN_STR_INIT("HELO c.test\r\nNOOP\r\n"), true, false},
        {"behind NOOP", PN_STR_INIT("NOOP\r\n" HI), false, true},
        {"behind DATA", PN_STR_INIT(HI ONE "DATA\r\nx\r\n.\r\n"), true, true},
        {"a group after HELO", PN_STR_INIT("HELO c.test\r\n" ONE), true, true},
        {"and EHLO after all", PN_STR_INIT("HELO c.test\r\n" HI ONE), true, false},
        {"half a command", PN_STR_INIT("NOOP\r\nNO"), false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct owner o;
        unit_row(rows[i].label);
        owner_init(&o, 0);
        pn_smtp_server_start(o.engine);
        talk(&o, rows[i].input, 0, SIZE_MAX);
        const struct pn_smtp_server_info *info = pn_smtp_server_info(o.engine);
        UNIT_INT(info->early_helo, rows[i].helo);
        UNIT_INT(info->early, rows[i].command);
        pn_smtp_server_tls(o.engine);
        UNIT_TRUE(!info->early_helo && !info->early);
        owner_fini(&o);
    }
}

static void test_size(void)
{
    expect_word("SIZE 1000", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"SIZE",
         SAY(HI "MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=1000\r\nRSET\r\n"
                "MAIL FROM:<> SIZE=0\r\nRSET\r\nMAIL FROM:<> size=1\r\n"),
         "250|552 5.3.4|" OK OK OK OK OK},
        {"bad SIZE",
         SAY(HI "MAIL FROM:<> SIZE=\r\nMAIL FROM:<> SIZE\r\nMAIL FROM:<> SIZE=-1\r\n"
                "MAIL FROM:<> SIZE=1 SIZE=1\r\nMAIL FROM:<> SIZE=1844674407370955161x\r\n"),
         "250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"SIZE of 21 digits", SAY(HI "MAIL FROM:<> SIZE=100000000000000000000\r\n"),
         "250|501 5.5.4|"},
        {"SIZE over 64 bits, 20 digits",
         SAY(HI "MAIL FROM:<> SIZE=18446744073709551616\r\n"
                "MAIL FROM:<> SIZE=99999999999999999999\r\n"),
         "250|552 5.3.4|552 5.3.4|"},
    };
    RUN(rows);
    /* At the limit, and one octet over it; stuffed dots do not count. */
    for (unsigned over = 0; over < 2; over++) {
        struct owner o;
        struct pn_buf got, data;
        owner_init(&o, 0);
        pn_buf_init(&got, REPLIES_MAX);
        pn_buf_init(&data, REPLIES_MAX);
        pn_smtp_server_start(o.engine);
        size_t greeted = o.replies.len;
        (void)pn_buf_addz(&data, HI ONE "DATA\r\n..\r\n");
        for (unsigned i = 0; i < 995 + over; i++)
            (void)pn_buf_addc(&data, 'x');
        (void)pn_buf_addz(&data, "\r\n.\r\nNOOP\r\n");
        talk(&o, pn_buf_str(&data), 0, over ? 100 : SIZE_MAX);
        codes(&o, greeted, &got);
        unit_row(over ? "1001 octets" : "1000 octets");
        UNIT_STR(pn_buf_str(&got), over ? PN_STR("250|" OK OK "354|552 5.3.4|" OK)
                                        : PN_STR("250|" OK OK "354|" OK OK));
        /* Four times as much again is not read. */
        pn_buf_clear(&data);
        (void)pn_buf_addz(&data, ONE "DATA\r\n");
        for (unsigned i = 0; i < 6000; i++)
            (void)pn_buf_addc(&data, 'x');
        talk(&o, pn_buf_str(&data), 0, 100);
        UNIT_TRUE(o.closed);
        pn_buf_fini(&got);
        pn_buf_fini(&data);
        owner_fini(&o);
    }
}

static void test_8bitmime(void)
{
    expect_word("8BITMIME", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"8BITMIME",
         SAY(HI "MAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<u@x.test>\r\nDATA\r\n"
                "\xc3\xbc\xff\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test+8|u@x.test,|\xc3\xbc\xff\r\n;"},
        {"7BIT", SAY(HI "MAIL FROM:<a@b.test> BODY=7bit\r\n"), "250|" OK},
        {"others", SAY(HI "MAIL FROM:<> BODY=BINARYMIME\r\nMAIL FROM:<> BODY=\r\n"),
         "250|501 5.5.4|501 5.5.4|"},
    };
    RUN(rows);
}

static void test_smtputf8(void)
{
    expect_word("SMTPUTF8", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"SMTPUTF8",
         SAY(HI "MAIL FROM:<\xc3\xb6@b\xc3\xbc.test> SMTPUTF8\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "\xc3\xb6@b\xc3\xbc.test+u|\xc3\xa4@x.test,|;"},
        {"not said",
         SAY(HI "MAIL FROM:<\xc3\xb6@b.test>\r\nMAIL FROM:<>\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\n"),
         "250|553 5.6.7|" OK "553 5.6.7|"},
        {"not for the next",
         SAY(HI "MAIL FROM:<> SMTPUTF8\r\nRSET\r\nMAIL FROM:<>\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\n"),
         "250|" OK OK OK "553 5.6.7|"},
        {"no UTF-8", SAY(HI "MAIL FROM:<\xc3@b.test> SMTPUTF8\r\nMAIL FROM:<> SMTPUTF8=1\r\n"),
         "250|501 5.1.7|501 5.5.4|"},
    };
    RUN(rows);
}

static void test_chunking(void)
{
    expect_word("CHUNKING", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"one chunk", SAY(HI ONE "BDAT 6 LAST\r\n.\r\n.\r\n"), "250|" OK OK OK,
         "a@b.test|u@here.test,|.\r\n.\r\n;"},
        {"chunks", SAY(HI ONE "BDAT 3\r\na\r\nBDAT 0\r\nbdat 3 last\r\n..\nNOOP\r\n"),
         "250|" OK OK OK OK "550 5.6.0|" OK},
        {"a line over two", SAY(HI ONE "BDAT 2\r\na\rBDAT 2\r\n\nbBDAT 0 LAST\r\nNOOP\r\n"),
         "250|" OK OK OK OK OK OK, "a@b.test|u@here.test,|a\r\nb;"},
        {"empty", SAY(HI ONE "BDAT 0 LAST\r\n"), "250|" OK OK OK, "a@b.test|u@here.test,|;"},
        {"a bare CR last", SAY(HI ONE "BDAT 2\r\na\rBDAT 0 LAST\r\nNOOP\r\n"),
         "250|" OK OK OK "550 5.6.0|" OK},
        {"a bare LF first", SAY(HI ONE "BDAT 2\r\na\nBDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK "550 5.6.0|503 5.5.1|" OK},
        {"too large at once",
         SAY(HI ONE "BDAT 1001 LAST\r\n" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
                    "xNOOP\r\n"),
         "250|" OK OK "552 5.3.4|" OK},
        {"just not",
         SAY(HI ONE "BDAT 1000 LAST\r\n" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
                    "NOOP\r\n"),
         "250|" OK OK OK OK,
         "a@b.test|u@here.test,|" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100 ";"},
        {"too large in all",
         SAY(HI ONE "BDAT 500\r\n" X100 X100 X100 X100 X100 "BDAT 501\r\n" X100 X100 X100 X100 X100
                    "xBDAT 1\r\nxBDAT 1 LAST\r\nxMAIL FROM:<>\r\n"),
         "250|" OK OK OK "552 5.3.4|503 5.5.1|503 5.5.1|" OK},
        {"RSET after a refused one", SAY(HI ONE "BDAT 1\r\n\0RSET\r\n" ONE "BDAT 1 LAST\r\nx"),
         "250|" OK OK "550 5.6.0|" OK OK OK OK, "a@b.test|u@here.test,|x;"},
        {"all of them refused",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nBDAT 4 LAST\r\nQUITMAIL FROM:<>\r\n"),
         "250|" OK "550 5.1.1|554 5.5.1|" OK},
        {"0 LAST behind a refused one", SAY(HI ONE "BDAT 1\r\n\0BDAT 0 LAST\r\nMAIL FROM:<>\r\n"),
         "250|" OK OK "550 5.6.0|503 5.5.1|" OK},
        {"out of place: skipped",
         SAY("BDAT 6\r\nNOOP\r\n" HI "BDAT 6 LAST\r\nNOOP\r\nMAIL FROM:<>\r\nBDAT 6\r\nNOOP\r\n"),
         "503 5.5.1|250|503 5.5.1|" OK "503 5.5.1|"},
        {"DATA within", SAY(HI ONE "BDAT 1\r\nxDATA\r\nRCPT TO:<v@x.test>\r\nBDAT 1 LAST\r\ny"),
         "250|" OK OK OK "503 5.5.1|503 5.5.1|" OK, "a@b.test|u@here.test,|xy;"},
        {"no size", SAY(HI ONE "BDAT\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL, true},
        {"no number", SAY(HI ONE "BDAT -1\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL,
         true},
        {"no LAST", SAY(HI ONE "BDAT 1 FIRST\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL,
         true},
        {"far too large", SAY(HI ONE "BDAT 18446744073709551615\r\nNOOP\r\n"),
         "250|" OK OK "552 5.3.4|"},
    };
    RUN(rows);
}

static void test_enhancedstatuscodes(void)
{
    expect_word("ENHANCEDSTATUSCODES", true, NULL, PN_STR(HI));
    /* In every 2yz, 4yz and 5yz but greeting and EHLO, each line (RFC 2034, section 4). */
    struct owner o;
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR(HI "NOOP\r\nFOO\r\nMAIL FROM:<later@x.test>\r\nHELP\r\n"), 0, SIZE_MAX);
    struct pn_str rest = pn_buf_str(&o.replies);
    unsigned lines = 0;
    while (rest.len != 0) {
        struct pn_str line = pn_str_split(&rest, '\n');
        bool hello = pn_str_starts(line, PN_STR("220")) || pn_str_starts(line, PN_STR("250-")) ||
                     pn_str_starts(line, PN_STR("250 LIMITS"));
        unit_row("line");
        UNIT_INT(line.len > 9 && line.p[4] == line.p[0] && line.p[5] == '.' && line.p[7] == '.',
                 !hello);
        lines++;
    }
    UNIT_INT(lines, 1 + 10 + 4);
    owner_fini(&o);
}

static void no_tls(struct owner *o)
{
    o->config.starttls = false;
}

static void test_starttls(void)
{
    expect_word("STARTTLS", true, NULL, PN_STR(HI));
    expect_word("STARTTLS", false, no_tls, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"STARTTLS", SAY(HI "\1STARTTLS\r\n\1MAIL FROM:<>\r\n" HI "STARTTLS\r\n"),
         "250|220 2.0.0|503 5.5.1|250|503 5.5.1|"},
        {"argument", SAY(HI "STARTTLS x\r\n"), "250|501 5.5.4|"},
        {"before EHLO", SAY("STARTTLS\r\n"), "503 5.5.1|"},
        {"within a mail", SAY(HI "MAIL FROM:<>\r\n\1STARTTLS\r\n"), "250|" OK "503 5.5.1|"},
        {"not offered", SAY(HI "\1STARTTLS\r\n"), "250|502 5.5.1|", NULL, no_tls},
    };
    RUN(rows);
    /* What stands behind it in the same packet came before TLS. */
    struct owner o;
    struct pn_buf got;
    owner_init(&o, 0);
    pn_buf_init(&got, REPLIES_MAX);
    pn_smtp_server_start(o.engine);
    size_t greeted = o.replies.len;
    talk(&o, PN_STR(HI "STARTTLS\r\nRSET\r\n"), 0, SIZE_MAX);
    codes(&o, greeted, &got);
    unit_row("injected");
    UNIT_STR(pn_buf_str(&got), PN_STR("250|501 5.5.4|" OK));
    UNIT_TRUE(!pn_smtp_server_info(o.engine)->tls);
    pn_buf_fini(&got);
    owner_fini(&o);
    /* Under TLS it is offered no more, and nothing is consumed during the handshake. */
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR(HI "\1"), 0, SIZE_MAX);
    UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("STARTTLS\r\n")), 10);
    UNIT_TRUE(o.tls_due && pn_smtp_server_info(o.engine)->waiting);
    UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("NOOP\r\n")), 0);
    o.tls_due = false;
    pn_smtp_server_tls(o.engine);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR(HI), 0, SIZE_MAX);
    unit_row("under TLS");
    UNIT_TRUE(!announced(&o, "STARTTLS") && announced(&o, "SIZE 1000"));
    owner_fini(&o);
}

static void test_limits_word(void)
{
    expect_word("LIMITS MAILMAX=4 RCPTMAX=3", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"RCPTMAX",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT "
                "TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK OK OK "452 4.5.3|354|" OK, "|a@x.test,b@x.test,c@x.test,|;"},
        {"MAILMAX",
         SAY(HI "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"
                "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"),
         "250|" OK OK OK OK OK OK OK OK "421 4.7.0|", NULL, NULL, true},
    };
    RUN(rows);
}

static void no_dsn(struct owner *o)
{
    o->config.dsn = false;
}

#define MAIL_DSN "a@b.test FULL QQ+3D1|"

static void test_dsn(void)
{
    expect_word("DSN", true, NULL, PN_STR(HI));
    expect_word("DSN", false, no_dsn, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"all four, kept as written",
         SAY(HI "MAIL FROM:<a@b.test> ret=full ENVID=QQ+3D1\r\n"
                "RCPT TO:<u@x.test> NOTIFY=delay,SUCCESS ORCPT=rfc822;U+2Bx@X.test\r\n"
                "RCPT TO:<v@x.test> ORCPT=x400;/c=no NOTIFY=NEVER\r\n"
                "RCPT TO:<v@x.test> ORCPT=x400;/c+3Dno notify=Never\r\n"
                "RCPT TO:<w@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "501 5.5.4|" OK OK "354|" OK,
         MAIL_DSN
         "u@x.test SUCCESS,DELAY rfc822;U+2Bx@X.test,v@x.test NEVER x400;/c+3Dno,w@x.test,|;"},
        {"HDRS alone", SAY(HI "MAIL FROM:<> RET=hdrs\r\nRCPT TO:<u@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, " HDRS |u@x.test,|;"},
        {"bad RET",
         SAY(HI "MAIL FROM:<> RET=ALL\r\nMAIL FROM:<> RET\r\nMAIL FROM:<> RET=\r\n"
                "MAIL FROM:<> RET=FULL RET=FULL\r\nMAIL FROM:<> RET=FULL RET=HDRS\r\n"),
         "250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"bad ENVID",
         SAY(HI "MAIL FROM:<> ENVID\r\nMAIL FROM:<> ENVID=\r\nMAIL FROM:<> ENVID=a+0Db\r\n"
                "MAIL FROM:<> ENVID=a+3d\r\nMAIL FROM:<> ENVID=a ENVID=a\r\n"),
         "250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"bad NOTIFY",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<u@x.test> NOTIFY\r\n"
                "RCPT TO:<u@x.test> NOTIFY=NEVER,DELAY\r\nRCPT TO:<u@x.test> NOTIFY=SOON\r\n"
                "RCPT TO:<u@x.test> NOTIFY=NEVER NOTIFY=NEVER\r\n"
                "RCPT TO:<u@x.test> NOTIFY=,\r\nRCPT TO:<u@x.test>\r\n"),
         "250|" OK "501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|" OK},
        {"bad ORCPT",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<u@x.test> ORCPT=u@x.test\r\n"
                "RCPT TO:<u@x.test> ORCPT=;u@x.test\r\nRCPT TO:<u@x.test> ORCPT=rfc822;u+0A\r\n"
                "RCPT TO:<u@x.test> ORCPT=rfc822;u ORCPT=rfc822;u\r\n"
                "RCPT TO:<u@x.test> ORCPT=utf-8;\xc3\xbc@x.test\r\nRCPT TO:<u@x.test>\r\n"),
         "250|" OK "501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|" OK},
        {"utf-8 with SMTPUTF8",
         SAY(HI "MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<u@x.test> ORCPT=utf-8;\xc3\xbc@x.test\r\n"
                "RCPT TO:<v@x.test> ORCPT=UTF-8;\\x{FC}@x.test\r\n"
                "RCPT TO:<w@x.test> ORCPT=rfc822;\xc3\xbc@x.test\r\nDATA\r\n.\r\n"),
         "250|" OK OK OK "501 5.5.4|354|" OK,
         "+u|u@x.test  utf-8;\xc3\xbc@x.test,v@x.test  UTF-8;\\x{FC}@x.test,|;"},
        {"it changes no reply",
         SAY(HI "MAIL FROM:<no@x.test> RET=FULL ENVID=x\r\nMAIL FROM:<a@b.test> RET=FULL\r\n"
                "RCPT TO:<no@x.test> NOTIFY=SUCCESS\r\n"
                "RCPT TO:<later@x.test> ORCPT=rfc822;later@x.test\r\n"),
         "250|550 5.1.1|" OK "550 5.1.1|451 4.7.1|"},
        {"RSET forgets it",
         SAY(HI "MAIL FROM:<a@b.test> RET=FULL ENVID=x\r\nRCPT TO:<u@x.test> NOTIFY=NEVER\r\nRSET"
                "\r\n" ONE "DATA\r\n.\r\n"),
         "250|" OK OK OK OK OK "354|" OK, "a@b.test|u@here.test,|;"},
        {"not offered",
         SAY(HI "MAIL FROM:<> RET=FULL\r\nMAIL FROM:<> ENVID=x\r\nMAIL FROM:<>\r\n"
                "RCPT TO:<u@x.test> NOTIFY=NEVER\r\nRCPT TO:<u@x.test> ORCPT=rfc822;u\r\n"),
         "250|555 5.5.4|555 5.5.4|" OK "555 5.5.4|555 5.5.4|", NULL, no_dsn},
    };
    RUN(rows);
}

static void test_words(void);

/* The name of an announced word's test is that word. */
static void offer_auth(struct owner *o)
{
    o->config.auth = PN_STR("PLAIN LOGIN");
}

static void test_auth(void);
static const struct unit_test tests[] = {
    {"PIPELINING", test_pipelining},
    {"groups", test_groups},
    {"SIZE", test_size},
    {"8BITMIME", test_8bitmime},
    {"SMTPUTF8", test_smtputf8},
    {"CHUNKING", test_chunking},
    {"ENHANCEDSTATUSCODES", test_enhancedstatuscodes},
    {"STARTTLS", test_starttls},
    {"LIMITS", test_limits_word},
    {"DSN", test_dsn},
    {"AUTH", test_auth},
    {"words", test_words},
    {NULL, NULL},
};

static void test_auth(void)
{
    expect_word("AUTH PLAIN LOGIN", false, offer_auth, PN_STR(HI));
    expect_word("AUTH PLAIN LOGIN", true, offer_auth, PN_STR(HI "STARTTLS\r\n\1" HI));
    expect_word("AUTH PLAIN LOGIN", false, NULL, PN_STR(HI "STARTTLS\r\n\1" HI));
    /* test_smtp_auth.c has the rest. */
}

/* The lines of EHLO's answer: each is listed and has a test. How many. */
static size_t words_of(struct owner *o)
{
    struct pn_str rest = pn_buf_str(&o->replies);
    size_t lines = 0, count = 0;
    while (pn_smtp_server_word(count) != NULL)
        count++;
    for (; rest.len != 0; lines++) {
        struct pn_str line = pn_str_trim(pn_str_split(&rest, '\n'));
        line = pn_str_slice(line, 4, line.len);
        struct pn_str word = pn_str_split(&line, ' ');
        bool tested = lines == 0; /* our name */
        bool listed = tested;
        for (size_t i = 0; tests[i].name != NULL; i++)
            tested = tested || pn_str_eq(word, pn_str_of(tests[i].name));
        for (size_t i = 0; i < count; i++)
            listed = listed || pn_str_eq(word, pn_str_of(pn_smtp_server_word(i)));
        if (!tested || !listed)
            printf("announced and %s: %.*s\n", tested ? "not listed" : "not tested", PN_FMT(word));
        UNIT_TRUE(tested && listed);
    }
    return lines - 1;
}

/* Announce nothing that is not tested: what EHLO says is looked up in the table, and is
 * in the engine's list of words. In the clear all but AUTH, with TLS all but STARTTLS. */
static void test_words(void)
{
    struct owner o;
    size_t count = 0;
    while (pn_smtp_server_word(count) != NULL)
        count++;
    for (unsigned tls = 0; tls < 2; tls++) {
        owner_init(&o, 0);
        offer_auth(&o);
        if (tls)
            pn_smtp_server_tls(o.engine);
        pn_smtp_server_start(o.engine);
        pn_buf_clear(&o.replies);
        talk(&o, PN_STR(HI), 0, SIZE_MAX);
        UNIT_INT(words_of(&o), count - 1);
        owner_fini(&o);
    }
}

int main(int argc, char **argv)
{
    return unit_main("smtp_words", tests, argc, argv);
}

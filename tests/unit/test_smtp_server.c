/* Whole dialogues with the server engine: order, paths, limits, answers, LMTP. */
#include "smtp_owner.h"

#include <stdio.h>

static void test_order(void)
{
    static const struct dialogue rows[] = {
        {"one mail", SAY(HI ONE "DATA\r\nhi\r\n.\r\nQUIT\r\n"), "250|" OK OK "354|" OK "221 2.0.0|",
         "a@b.test|u@here.test,|hi\r\n;", NULL, true},
        {"HELO", SAY("helo c.test\r\nmail from:<a@b.test>\r\nrcpt to:<u@x.test>\r\ndata\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"two mails", SAY(HI ONE "DATA\r\n1\r\n.\r\n" ONE "DATA\r\n2\r\n.\r\n"),
         "250|" OK OK "354|" OK OK OK "354|" OK,
         "a@b.test|u@here.test,|1\r\n;a@b.test|u@here.test,|2\r\n;"},
        {"no EHLO", SAY("MAIL FROM:<a@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n"),
         "503 5.5.1|503 5.5.1|503 5.5.1|"},
        {"RCPT first", SAY(HI "RCPT TO:<a@b.test>\r\n"), "250|503 5.5.1|"},
        {"DATA first", SAY(HI "DATA\r\n"), "250|503 5.5.1|"},
        {"DATA without RCPT", SAY(HI "MAIL FROM:<>\r\nDATA\r\n"), "250|" OK "503 5.5.1|"},
        {"MAIL twice", SAY(HI "MAIL FROM:<>\r\nMAIL FROM:<>\r\n"), "250|" OK "503 5.5.1|"},
        {"DATA, all refused", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nDATA\r\n"),
         "250|" OK "550 5.1.1|554 5.5.1|"},
        {"some refused",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<u@x.test>\r\nRCPT "
                "TO:<later@x.test>\r\nDATA\r\n\r\n.\r\n"),
         "250|" OK "550 5.1.1|" OK "451 4.7.1|354|" OK, "|u@x.test,|\r\n;"},
        {"RSET", SAY(HI ONE "RSET\r\nDATA\r\nMAIL FROM:<>\r\n"), "250|" OK OK OK "503 5.5.1|" OK},
        {"RSET before EHLO", SAY("RSET\r\nMAIL FROM:<>\r\n"), OK "503 5.5.1|"},
        {"an EHLO that is none leaves all as it is", SAY(HI ONE "EHLO\r\nDATA\r\nx\r\n.\r\n"),
         "250|" OK OK "501 5.5.4|354|" OK, "a@b.test|u@here.test,|x\r\n;"},
        {"what was pipelined behind a refused DATA",
         SAY(HI "MAIL FROM:<>\r\nDATA\r\nRCPT TO:<u@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK "503 5.5.1|" OK "354|" OK, "|u@x.test,|;"},
        {"EHLO resets", SAY(HI ONE HI "DATA\r\n"), "250|" OK OK "250|503 5.5.1|"},
        {"refused helo", SAY("EHLO no.test\r\nMAIL FROM:<>\r\n" HI "MAIL FROM:<>\r\n"),
         "550 5.1.1|503 5.5.1|250|" OK},
        {"refused sender",
         SAY(HI "MAIL FROM:<no@x.test>\r\nMAIL FROM:<later@x.test>\r\nRCPT "
                "TO:<u@x.test>\r\n"),
         "250|550 5.1.1|451 4.7.1|503 5.5.1|"},
        {"dropped", SAY(HI "MAIL FROM:<drop@x.test>\r\nNOOP\r\n"), "250|521 5.7.1|", NULL, NULL,
         true},
        {"dropped within", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<drop@x.test>\r\nNOOP\r\n"),
         "250|" OK "521 5.7.1|", NULL, NULL, true},
        {"others", SAY(HI "NOOP\r\nNOOP x\r\nHELP\r\nVRFY u\r\nEXPN l\r\n"),
         "250|" OK OK "214 2.0.0|252 2.5.0|502 5.5.1|"},
        {"no arguments", SAY("EHLO\r\nHELO\r\nEHLO a b\r\nVRFY\r\nQUIT\r\n"),
         "501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|221 2.0.0|", NULL, NULL, true},
        {"too many arguments", SAY(HI ONE "RSET x\r\nDATA x\r\nQUIT x\r\n"),
         "250|" OK OK "501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"spaces", SAY("EHLO  c.test \r\nNOOP \r\nMAIL FROM: <a@b.test> \r\n"), "250|" OK OK},
        {"an odd name is policy's matter", SAY("EHLO @#$\r\n"), "250|"},
        {"an empty message", SAY(HI ONE "DATA\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|;"},
        {"dots", SAY(HI ONE "DATA\r\n..\r\n...\r\n.a\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|.\r\n..\r\na\r\n;"},
    };
    RUN(rows);
}

static void test_paths(void)
{
    static const struct dialogue rows[] = {
        {"bad senders",
         SAY(HI "MAIL LALA: <>\r\nMAIL FROM:\r\nMAIL FROM:<pepe>\r\nMAIL FROM:<a@xn--->\r\n"),
         "250|500 5.5.2|500 5.5.2|501 5.1.7|501 5.1.8|"},
        {"long sender", SAY(HI "MAIL FROM:<" X100 X100 X100 "@b.test>\r\n"), "250|501 5.1.7|"},
        {"bad recipients",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:\r\nRCPT TO:<>\r\nRCPT TO:<u>\r\nRCPT TO:<u@..>\r\n"
                "RCPT TO:<" X100 X100 X100 "@x.test>\r\n"),
         "250|" OK "500 5.5.2|501 5.1.3|501 5.1.3|501 5.1.2|501 5.1.3|"},
        {"postmaster", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "|Postmaster,|;"},
        {"no brackets", SAY(HI "MAIL FROM: a@b.test\r\nRCPT TO: u@x.test\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"source route",
         SAY(HI "MAIL FROM:<@r.test:a@b.test>\r\nRCPT TO:<@r.test,@q.test:u@x.test>"
                "\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"a route to nobody", SAY(HI "MAIL FROM:<@r.test:>\r\nMAIL FROM:<@r.test,a@b.test>\r\n"),
         "250|501 5.1.7|501 5.1.7|"},
        {"literals",
         SAY(HI "MAIL FROM:<a@[IPv6:2001:db8::1]>\r\nRCPT TO:<u@[192.0.2.1]>\r\nRCPT "
                "TO:<u@[2001:db8::1]>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "501 5.1.2|354|" OK, "a@[IPv6:2001:db8::1]|u@[192.0.2.1],|;"},
        {"quoted",
         SAY(HI "MAIL FROM:<\"a> b\"@b.test>\r\nRCPT TO:<\"u\\\"@x\"@x.test>\r\nRCPT "
                "TO:<\"postmaster\">\r\nDATA\r\n.\r\n"),
         "250|" OK OK "501 5.1.3|354|" OK, "\"a> b\"@b.test|\"u\\\"@x\"@x.test,|;"},
        {"parameters nobody knows",
         SAY(HI "MAIL FROM:<> FOO=1\r\nMAIL FROM:<> BODY\r\nMAIL FROM:<> =\r\nMAIL FROM:<>\r\n"
                "RCPT TO:<u@x.test> FOO=NEVER\r\nRCPT TO:<u@x.test> =\r\n"),
         "250|555 5.5.4|501 5.5.4|501 5.5.4|" OK "555 5.5.4|501 5.5.4|"},
    };
    RUN(rows);
}

static void loose(struct owner *o)
{
    o->config.normalize = true;
}

static void test_smuggling(void)
{
#define SMUGGLE(bytes) SAY(HI ONE "DATA\r\na\r\nb" bytes "MAIL FROM:<evil@x.test>\r\nz\r\n.\r\n")
    static const char refused[] = "250|" OK OK "354|550 5.6.0|";
    static const struct dialogue rows[] = {
        {"LF.LF", SMUGGLE("\n.\n"), refused},
        {"CR.CR", SMUGGLE("\r.\r"), refused},
        {"LF.CRLF", SMUGGLE("\n.\r\n"), refused},
        {"CRLF.LF", SMUGGLE("\r\n.\n"), refused},
        {"CRLF.CR", SMUGGLE("\r\n.\r"), refused},
        {"CRLF NUL .CRLF", SMUGGLE("\r\n\0.\r\n"), refused},
        {"CRLF.CR CRLF", SMUGGLE("\r\n.\r\r\n"), refused},
        {"CR LF LF.CRLF", SMUGGLE("\r\n\n.\r\n"), refused},
        {"LF CR.CRLF", SMUGGLE("\n\r.\r\n"), refused},
        {"NUL", SMUGGLE("\0"), refused},
        {"LF, normalized", SAY(HI ONE "DATA\r\na\n.\nMAIL\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|a\r\n.\r\nMAIL\r\n;", loose},
        {"CR, normalized", SAY(HI ONE "DATA\r\na\r.\rMAIL\r\n.\r\n"), "250|" OK OK "354|550 5.6.0|",
         NULL, loose},
        {"commands end with CR LF", SAY("EHLO c.test\n" HI "NOOP\n"), "500 5.5.2|250|500 5.5.2|"},
        {"commands, normalized", SAY("EHLO c.test\nNOOP\n"), "250|" OK, NULL, loose},
        {"CR and NUL in commands", SAY("EHLO c\r.test\r\nNOOP\0\r\nNOOP\t\r\n\r\n"),
         "500 5.5.2|500 5.5.2|500 5.5.2|500 5.5.1|"},
    };
    RUN(rows);
}

static void test_limits(void)
{
    struct owner o;
    struct pn_buf got;
    /* A command line of 2048 bytes passes, one of 2049 does not; the next is fine. */
    for (size_t len = PN_SMTP_LINE_MAX - 1; len <= 3 * PN_SMTP_LINE_MAX; len++) {
        if (len > PN_SMTP_LINE_MAX + 3 && len % 1021 != 0)
            continue;
        owner_init(&o, 0);
        pn_buf_init(&got, REPLIES_MAX);
        pn_smtp_server_start(o.engine);
        size_t greeted = o.replies.len;
        struct pn_buf line;
        pn_buf_init(&line, 1 << 16);
        (void)pn_buf_addz(&line, "NOOP ");
        while (line.len + 2 < len)
            (void)pn_buf_addc(&line, 'x');
        (void)pn_buf_addz(&line, "\r\nNOOP\r\n");
        unit_row("line length");
        talk(&o, pn_buf_str(&line), len % 2 ? 1000 : 0, len % 3 ? SIZE_MAX : 7);
        codes(&o, greeted, &got);
        UNIT_STR(pn_buf_str(&got),
                 len <= PN_SMTP_LINE_MAX ? PN_STR(OK OK) : PN_STR("500 5.5.2|" OK));
        pn_buf_fini(&line);
        pn_buf_fini(&got);
        owner_fini(&o);
    }
    static const struct dialogue rows[] = {
        {"unknown commands", SAY("A\r\nB\r\nC\r\nNOOP\r\n"), "500 5.5.1|500 5.5.1|421 4.7.0|", NULL,
         NULL, true},
        {"errors", SAY(HI "DATA\r\nDATA\r\nDATA\r\nDATA\r\nDATA\r\nDATA\r\nNOOP\r\n"),
         "250|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|421 4.7.0|", NULL, NULL, true},
        {"a message taken clears errors",
         SAY(HI "DATA\r\nDATA\r\nDATA\r\nDATA\r\n" ONE "DATA\r\n.\r\nDATA\r\nDATA\r\n"),
         "250|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|" OK OK "354|" OK "503 5.5.1|503 5.5.1|",
         "a@b.test|u@here.test,|;"},
        {"refused recipients are errors",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>"
                "\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\n"),
         "250|" OK "550 5.1.1|550 5.1.1|550 5.1.1|550 5.1.1|550 5.1.1|421 4.7.0|", NULL, NULL,
         true},
        {"what moves nothing",
         SAY("NOOP\r\nRSET\r\nHELP\r\nVRFY x\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"),
         OK OK "214 2.0.0|252 2.5.0|" OK OK "421 4.7.0|", NULL, NULL, true},
        {"another protocol", SAY("GET / HTTP/1.1\r\nHost: a\r\n"), "502 5.5.1|", NULL, NULL, true},
        {"and another", SAY("CONNECT x:25 HTTP/1.1\r\n"), "502 5.5.1|", NULL, NULL, true},
    };
    RUN(rows);
}

/* The owner hears of what is no command here, whole and before the refusal; of nothing else. */
static void test_unknown(void)
{
    static const struct {
        const char *label;
        struct pn_str say;
        const char *want;
        bool lmtp;
    } rows[] = {
        {"none", SAY(HI ONE "NOOP\r\n"), "", false},
        {"with arguments", SAY("XCLIENT  ADDR=1 \r\n" HI "x\r\n"), "XCLIENT  ADDR=1 |x|", false},
        {"beyond ASCII", SAY("H\xc3\xa4lo\xff\r\n"), "H\xc3\xa4lo\xff|", false},
        {"an empty line", SAY("\r\n"), "|", false},
        {"of the other protocol", SAY("EHLO x\r\n"), "EHLO x|", true},
        {"and of this one", SAY("LHLO x\r\n"), "LHLO x|", false},
        {"the last one too", SAY("A\r\nB\r\nC\r\nD\r\n"), "A|B|C|", false},
        {"a bad line", SAY("A\002\r\nB\n" HI "EXPN x\r\nMAIL\r\n"), "", false},
        {"another protocol's", SAY("GET / HTTP/1.1\r\n"), "", false},
        {"inside content", SAY(HI ONE "DATA\r\nXYZ\r\n.\r\n"), "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t split = 0; split <= rows[i].say.len; split++) {
            struct owner o;
            unit_row(rows[i].label);
            owner_init(&o, 0);
            o.config.lmtp = rows[i].lmtp;
            pn_smtp_server_start(o.engine);
            talk(&o, rows[i].say, split, SIZE_MAX);
            UNIT_STR(pn_buf_str(&o.unknown), pn_str_of(rows[i].want));
            owner_fini(&o);
        }
}

static const struct pn_smtp_reply greet_554 = {554, {5, 7, 1}, PN_STR_INIT("No")};

static void refuse_greeting(struct owner *o)
{
    o->greet = &greet_554;
}

static void busy_greeting(struct owner *o)
{
    o->greet = &reply_bye;
}

static void test_greeting(void)
{
    static const struct dialogue rows[] = {
        {"554", SAY(HI "NOOP\r\nQUIT\r\n"), "503 5.7.0|503 5.7.0|221 2.0.0|", NULL, refuse_greeting,
         true},
        {"421", SAY(HI), "", NULL, busy_greeting, true},
    };
    RUN(rows);
    struct owner o;
    owner_init(&o, LATE);
    pn_smtp_server_start(o.engine);
    UNIT_INT(o.replies.len, 0);
    UNIT_TRUE(pn_smtp_server_info(o.engine)->waiting);
    settle(&o);
    UNIT_STR(pn_buf_str(&o.replies), PN_STR("220 mx.here.test ESMTP Postern\r\n"));
    UNIT_TRUE(o.resumed);
    owner_fini(&o);
}

static void no_room(struct owner *o)
{
    o->room = 0;
}

static void refuse_data(struct owner *o)
{
    o->refuse_data = true;
}

static void reject_all(struct owner *o)
{
    o->verdict = &reply_no;
}

static void bye_all(struct owner *o)
{
    o->verdict = &reply_bye;
}

static void test_answers(void)
{
    static const struct dialogue rows[] = {
        {"content refused", SAY(HI ONE "DATA\r\nx\r\n.\r\nDATA\r\nMAIL FROM:<>\r\n"),
         "250|" OK OK "354|550 5.1.1|503 5.5.1|" OK, "a@b.test|u@here.test,|x\r\n;", reject_all},
        {"content 421", SAY(HI ONE "DATA\r\nx\r\n.\r\nNOOP\r\n"), "250|" OK OK "354|421 4.3.2|",
         "a@b.test|u@here.test,|x\r\n;", bye_all, true},
        {"data refused", SAY(HI ONE "DATA\r\nRSET\r\n"), "250|" OK OK "451 4.7.1|" OK, NULL,
         refuse_data},
        {"bdat refused", SAY(HI ONE "BDAT 6\r\nNOOP\r\nBDAT 1 LAST\r\nxRSET\r\n"),
         "250|" OK OK "451 4.7.1|503 5.5.1|" OK, NULL, refuse_data},
        {"no room", SAY(HI ONE "DATA\r\nx\r\n.\r\nNOOP\r\n"), "250|" OK OK "354|452 4.3.1|" OK,
         NULL, no_room},
        {"no room, chunks", SAY(HI ONE "BDAT 1\r\nxBDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK "452 4.3.1|503 5.5.1|" OK, NULL, no_room},
    };
    RUN(rows);
}

/* Dropped from outside, at any point of a dialogue: one 421, one close, one done. */
static void test_drop(void)
{
    static const struct pn_str input = PN_STR_INIT(HI ONE "BDAT 4\r\nabcdDATA\r\n" ONE "NOOP\r\n");
    for (size_t at = 0; at <= input.len; at++)
        for (unsigned mode = 0; mode <= LATE; mode++) {
            struct owner o;
            owner_init(&o, mode);
            pn_smtp_server_start(o.engine);
            settle(&o);
            talk(&o, pn_str_slice(input, 0, at), 0, SIZE_MAX);
            unit_row("drop");
            pn_smtp_server_drop(o.engine, &reply_bye);
            UNIT_TRUE(o.closed);
            UNIT_TRUE(pn_str_ends(pn_buf_str(&o.replies), PN_STR("421 4.3.2 Closing\r\n")));
            UNIT_INT(o.dones, pn_smtp_server_info(o.engine)->mails);
            pn_smtp_server_drop(o.engine, &reply_bye);
            UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("NOOP\r\n")), 6);
            owner_fini(&o);
        }
}

static void test_codes(void)
{
    struct owner o;
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR("HELO c.test\r\n"), 0, SIZE_MAX);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR(ONE "DATA\r\n.\r\nRSET\r\n"), 0, SIZE_MAX);
    UNIT_STR(pn_buf_str(&o.replies),
             PN_STR("250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 End with "
                    "<CR><LF>.<CR><LF>\r\n250 2.0.0 Ok, message accepted\r\n250 2.0.0 Ok\r\n"));
    owner_fini(&o);
}

/* ---- LMTP */

static void lmtp(struct owner *o)
{
    o->config.lmtp = true;
}

static void lmtp_full(struct owner *o)
{
    o->config.lmtp = true;
    o->room = 0;
}

static void lmtp_errors(struct owner *o)
{
    o->config.lmtp = true;
    o->config.error_max = 10;
}

static void lmtp_no_data(struct owner *o)
{
    o->config.lmtp = true;
    o->refuse_data = true;
}

static void lmtp_by_turns(struct owner *o)
{
    o->config.lmtp = true;
    o->by_turns = true;
    o->verdict = &reply_no;
    o->config.error_max = 1;
}

static void lmtp_at_once(struct owner *o)
{
    o->config.lmtp = true;
    o->all_at_once = true;
    o->verdict = &reply_later;
}

static void lmtp_closing(struct owner *o)
{
    o->config.lmtp = true;
    o->by_turns = true;
    o->verdict = &reply_bye;
}

#define X1001 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100 "x"
#define THREE "MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<a@x.test>\r\n"

static void test_lmtp(void)
{
    static const struct dialogue rows[] = {
        {"a reply a recipient",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<no@x.test>\r\n"
             "RCPT TO:<b@x.test>\r\nDATA\r\nhi\r\n.\r\nBDAT 1\r\nxQUIT\r\n"),
         "250|" OK OK "550 5.1.1|" OK "354|" OK OK "503 5.5.1|221 2.0.0|",
         "|a@x.test,b@x.test,|hi\r\n;", lmtp, true},
        {"chunks too",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT "
             "TO:<b@x.test>\r\nBDAT 1\r\nxBDAT 1 LAST\r\ny"),
         "250|" OK OK OK OK OK OK, "|a@x.test,b@x.test,|xy;", lmtp},
        {"refused content",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT "
             "TO:<b@x.test>\r\nDATA\r\nx\r\n.\r\n"),
         "250|" OK OK OK "354|452 4.3.1|452 4.3.1|", NULL, lmtp_full},
        {"each its own, and none the place of another",
         SAY("LHLO c.test\r\n" THREE "DATA\r\n.\r\n" THREE "BDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK OK OK "354|" OK "550 5.1.1|" OK OK OK OK OK OK "550 5.1.1|" OK OK,
         "|a@x.test,b@x.test,a@x.test,|;|a@x.test,b@x.test,a@x.test,|x;", lmtp_by_turns},
        {"all at once", SAY("LHLO c.test\r\n" THREE "DATA\r\n.\r\nNOOP\r\n"),
         "250|" OK OK OK OK "354|451 4.7.1|451 4.7.1|451 4.7.1|" OK,
         "|a@x.test,b@x.test,a@x.test,|;", lmtp_at_once},
        {"421 among them closes behind the last",
         SAY("LHLO c.test\r\n" THREE "DATA\r\n.\r\nNOOP\r\n"),
         "250|" OK OK OK OK "354|" OK "421 4.3.2|" OK, "|a@x.test,b@x.test,a@x.test,|;",
         lmtp_closing, true},
        {"nobody was taken",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nDATA\r\nRCPT TO:<no@x.test>\r\nDATA\r\n"
             "BDAT 1\r\nxRSET\r\nMAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nBDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK "503 5.5.1|550 5.1.1|503 5.5.1|503 5.5.1|" OK OK "550 5.1.1|" OK, NULL,
         lmtp_errors},
        {"the last chunk refused",
         SAY("LHLO c.test\r\n" THREE "BDAT 1001 LAST\r\n" X1001 "NOOP\r\nBDAT 1 LAST\r\nx"),
         "250|" OK OK OK OK "552 5.3.4|552 5.3.4|552 5.3.4|" OK "503 5.5.1|", NULL, lmtp},
        {"one before it",
         SAY("LHLO c.test\r\n" THREE "BDAT 1001\r\n" X1001 "BDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK OK OK "552 5.3.4|503 5.5.1|503 5.5.1|503 5.5.1|" OK, NULL, lmtp},
        {"the owner refuses it", SAY("LHLO c.test\r\n" THREE "BDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK OK OK "451 4.7.1|451 4.7.1|451 4.7.1|" OK, NULL, lmtp_no_data},
        {"a bare LF in it", SAY("LHLO c.test\r\n" THREE "BDAT 2 LAST\r\nx\nNOOP\r\n"),
         "250|" OK OK OK OK "550 5.6.0|550 5.6.0|550 5.6.0|" OK, NULL, lmtp},
        {"in order", SAY("MAIL FROM:<>\r\nLHLO c.test\r\nHELP\r\n"), "503 5.5.1|250|214 2.0.0|",
         NULL, lmtp},
        {"no EHLO", SAY("EHLO c.test\r\nHELO c.test\r\n"), "500 5.5.1|500 5.5.1|", NULL, lmtp},
        {"no LHLO", SAY("LHLO c.test\r\n"), "500 5.5.1|"},
    };
    RUN(rows);
}

/* One refusal each, however many they are. */
static void test_lmtp_many(void)
{
    enum { MANY = 4000 };
    struct owner o;
    char line[64];
    size_t replies = 0;
    owner_init(&o, 0);
    lmtp_full(&o);
    o.config.rcpt_max = MANY;
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR("LHLO c.test\r\nMAIL FROM:<>\r\n"), 0, SIZE_MAX);
    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(line, sizeof line, "RCPT TO:<u%u@x.test>\r\n", i);
        talk(&o, (struct pn_str){line, (size_t)n}, 0, SIZE_MAX);
    }
    talk(&o, PN_STR("DATA\r\n"), 0, SIZE_MAX);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR("x\r\n.\r\n"), 0, SIZE_MAX);
    struct pn_str rest = pn_buf_str(&o.replies);
    while (rest.len != 0)
        replies += pn_str_starts(pn_str_split(&rest, '\n'), PN_STR("452 4.3.1 "));
    UNIT_INT(replies, MANY);
    owner_fini(&o);
}

/* Whatever stands in the input, no more replies gather than the client takes; all are
 * given in the end. */
static void test_unread(void)
{
    enum { MANY = 5000 };
    struct owner o;
    struct pn_buf all;
    size_t at = 0, calls = 0;
    owner_init(&o, 0);
    o.config.idle_max = MANY;
    o.full = true;
    pn_buf_init(&all, 1 << 20);
    for (unsigned i = 0; i < MANY; i++)
        (void)pn_buf_addz(&all, "HELP\r\n");
    pn_smtp_server_start(o.engine);
    pn_buf_clear(&o.replies);
    for (; at < all.len; calls++) {
        size_t used = pn_smtp_server_input(o.engine, pn_str_slice(pn_buf_str(&all), at, all.len));
        UNIT_TRUE(used > 0 && o.replies.len <= 20 * 1024);
        at += used;
        if (o.replies.len > 20 * 1024 || used == 0)
            break;
        pn_buf_clear(&o.replies);
    }
    UNIT_TRUE(calls > 10 && at == all.len);
    pn_buf_fini(&all);
    owner_fini(&o);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"order", test_order},
        {"paths", test_paths},
        {"smuggling", test_smuggling},
        {"limits", test_limits},
        {"greeting", test_greeting},
        {"answers", test_answers},
        {"unknown", test_unknown},
        {"drop", test_drop},
        {"codes", test_codes},
        {"lmtp", test_lmtp},
        {"lmtp_many", test_lmtp_many},
        {"unread", test_unread},
        {NULL, NULL},
    };
    return unit_main("smtp_server", tests, argc, argv);
}

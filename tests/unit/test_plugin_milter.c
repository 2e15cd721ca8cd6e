/* The plugin milter with a milter of ours: what is said, heard, stated and changed. */
#include "milter_rig.h"

#include "buf.h"

#include <stdio.h>

/* ---- sessions */

/* As a milter hears of it that has no wish. */
#define BEFORE                                                                                     \
    "O D(C|j=mx.here.test|_=[192.0.2.1]|v=Postern|{daemon_name}=postern|{client_addr}=192.0.2.1|"  \
    "{client_name}=[192.0.2.1]|{client_port}=50025|{client_resolve}=FAIL) C([192.0.2.1]|4|50025|"  \
    "192.0.2.1) D(H|s=friend) H(friend) D(M|i=TEST1|f=a@s.test|{mail_addr}=a@s.test) "             \
    "M(<a@s.test>) D(R|{rcpt_addr}=u@here.test) R(<u@here.test>)"
#define HEADER                                                                                     \
    " L(Received|from x) L(Subject|one\n two) L(To|u@here.test) L(To|v@here.test) L(X-Empty|)"
#define DATA    " D(T|{nrcpts}=1) T" HEADER " N B(hello\r\n)"
#define WHOLE   BEFORE DATA " E"
#define NO_EDIT ""

struct talk_row {
    const char *label, *script;
    const char *facts, *edits, *heard; /* heard NULL: not looked at */
};

static void run_session(struct fakehost *h, const char *rcpts)
{
    static const enum postern_stage stages[] = {POSTERN_CONNECT, POSTERN_HELO, POSTERN_MAIL};
    char so_far[400] = "";
    fakehost_client(h, "192.0.2.1", "friend");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (stages[i] == POSTERN_MAIL)
            fakehost_envelope(h, "a@s.test", "");
        UNIT_INT(fakehost_run(h, stages[i]), POSTERN_OK);
    }
    for (const char *at = rcpts; *at != '\0';) {
        size_t n = strcspn(at, " "), len = strlen(so_far);
        (void)snprintf(so_far + len, sizeof so_far - len, "%s%.*s", len == 0 ? "" : " ", (int)n,
                       at);
        at += n + (at[n] == ' ');
        fakehost_envelope(h, "a@s.test", so_far);
        UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
    }
    fakehost_message(h, PN_STR(CONTENT));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
}

static void play(const struct talk_row *row, const struct fake_row *more, bool bytewise)
{
    char path[100], address[120];
    struct fake_row rows[10] = {
        {"address", {address}}, {"reply-timeout", {"10m"}}, {"end-timeout", {"10m"}}};
    const struct fake_row settings[] = {{"server", .blocks = BLOCKS({"one", rows})}, {NULL}};
    unit_row(row->label);
    for (size_t i = 3; more != NULL && more->name != NULL; i++)
        rows[i] = *more++;
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    struct fakemilter *m = fakemilter_new(path, row->script, bytewise);
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_limits(h, 1000, 16 * 1024 * 1024, 60000);
    run_session(h, "u@here.test");
    UNIT_STR(fakehost_facts(h), pn_str_of(row->facts));
    UNIT_STR(fakehost_edits(h), pn_str_of(row->edits));
    fakehost_free(&h);
    if (row->heard != NULL)
        UNIT_STR(fakemilter_heard(m), pn_str_of(row->heard));
    fakemilter_free(&m);
}

/* Every answer at every command. */
static void test_answers(void)
{
    static const struct talk_row rows[] = {
        {"nothing to say", "", "", NO_EDIT, WHOLE " Q"},
        {"accept at connect", "C=a", "MILTER_ACCEPT=0(one)", NO_EDIT, NULL},
        {"reject at connect", "C=r", "MILTER_REJECT=0(one)", NO_EDIT, NULL},
        {"later at connect", "C=t", "MILTER_TEMPFAIL=0(one)", NO_EDIT, NULL},
        {"reply at connect", "C=y(554 5.7.1 No)", "MILTER_REJECT=0(one: 554 5.7.1 No)", NO_EDIT,
         NULL},
        {"shut down at connect", "C=4", "MILTER_TEMPFAIL=0(one)", NO_EDIT, NULL},
        {"reject at helo", "H=r", "MILTER_REJECT=0(one)", NO_EDIT, NULL},
        {"accept at helo", "H=a", "MILTER_ACCEPT=0(one)", NO_EDIT, NULL},
        {"reject at mail", "M=r", "MILTER_REJECT=0(one)", NO_EDIT, NULL},
        {"later at mail", "M=y(451 4.7.1 Greylisted)",
         "MILTER_TEMPFAIL=0(one: 451 4.7.1 Greylisted)", NO_EDIT, NULL},
        {"discard at mail", "M=d", "MILTER_DISCARD=0(one)", NO_EDIT, NULL},
        {"accept at mail", "M=a", "MILTER_ACCEPT=0(one)", NO_EDIT, NULL},
        {"reject a recipient", "R=r", "MILTER_REJECT=0(one)@0", NO_EDIT, BEFORE " A Q"},
        {"reply to a recipient", "R=y(550 5.1.1 Who?)", "MILTER_REJECT=0(one: 550 5.1.1 Who?)@0",
         NO_EDIT, BEFORE " A Q"},
        {"later to a recipient", "R=t", "MILTER_TEMPFAIL=0(one)@0", NO_EDIT, BEFORE " A Q"},
        {"discard at rcpt", "R=d", "MILTER_DISCARD=0(one)", NO_EDIT, BEFORE " A Q"},
        {"reject at data", "T=r", "MILTER_REJECT=0(one)", NO_EDIT, BEFORE " D(T|{nrcpts}=1) T A Q"},
        {"reject at a header", "L=c L=r", "MILTER_REJECT=0(one)", NO_EDIT,
         BEFORE " D(T|{nrcpts}=1) T L(Received|from x) L(Subject|one\n two) A Q"},
        {"skip headers", "L=s", "", NO_EDIT,
         BEFORE " D(T|{nrcpts}=1) T L(Received|from x) N B(hello\r\n) E Q"},
        {"reject at the end of headers", "N=r", "MILTER_REJECT=0(one)", NO_EDIT,
         BEFORE " D(T|{nrcpts}=1) T" HEADER " N A Q"},
        {"later at the body", "B=t", "MILTER_TEMPFAIL=0(one)", NO_EDIT, BEFORE DATA " A Q"},
        {"skip what comes once", "C=s H=s M=s R=s T=s N=s E=h(X-A|1),q(y),s",
         "MILTER_QUARANTINE=0(one: y)", "@4294967295 X-A: 1", WHOLE " Q"},
        {"discard a session", "C=d H=d",
         "MILTER_AWAY=0(one: connect: discards a session) MILTER_TEMPFAIL=0(one)", NO_EDIT, NULL},
        {"skip the body", "B=s", "", NO_EDIT, WHOLE " Q"},
        {"accept at the end", "E=a", "MILTER_ACCEPT=0(one)", NO_EDIT, WHOLE " Q"},
        {"reject at the end", "E=r", "MILTER_REJECT=0(one)", NO_EDIT, WHOLE " Q"},
        {"reply at the end", "E=y(550-5.7.1 Spam\r\n550 5.7.1 indeed)",
         "MILTER_REJECT=0(one: 550 5.7.1 Spam indeed)", NO_EDIT, WHOLE " Q"},
        {"later at the end", "E=y(421 4.3.0 Busy)", "MILTER_TEMPFAIL=0(one: 451 4.3.0 Busy)",
         NO_EDIT, WHOLE " Q"},
        {"discard at the end", "E=d", "MILTER_DISCARD=0(one)", NO_EDIT, WHOLE " Q"},
        {"progress", "E=p,p,p,c M=p,c", "", NO_EDIT, WHOLE " Q"},
        {"quarantine in words that can't be shown", "E=q(\xc3\xbc \xff.\x01.\xc2\x80z),c",
         "MILTER_QUARANTINE=0(one: \xc3\xbc ?.?.??z)", NO_EDIT, WHOLE " Q"},
        {"quarantine", "E=q(looks bad),a",
         "MILTER_ACCEPT=0(one) MILTER_QUARANTINE=0(one: looks bad)", NO_EDIT, WHOLE " Q"},
        {"edits of a rejected message", "E=h(X-A|1),b(x),r", "MILTER_REJECT=0(one)", NO_EDIT,
         WHOLE " Q"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int bytewise = 0; bytewise < 2; bytewise++)
            play(&rows[i], NULL, bytewise != 0);
}

static void test_edits(void)
{
    static const struct talk_row rows[] = {
        {"add", "E=h(X-A|1),h(X-B|),c", "", "@4294967295 X-A: 1|@4294967295 X-B: ", NULL},
        {"a fold", "E=h(X-A|1\n\t2\r\n 3),c", "", "@4294967295 X-A: 1\r\n\t2\r\n 3", NULL},
        {"a line end that is none", "E=h(X-A|1\n2),c", "MILTER_EDIT_REFUSED=0(one: add-header X-A)",
         NO_EDIT, NULL},
        {"insert", "E=i(0|X-A|1),i(7|X-B|2),c", "", "@0 X-A: 1|@7 X-B: 2", NULL},
        {"change", "E=m(1|Subject|three),m(2|to|w@here.test),c", "",
         "=Subject:0 three|=to:1 w@here.test", NULL},
        {"remove", "E=m(1|To|),m(2|To|),c", "", "=To:0 |=To:1 ", NULL},
        {"change what is not there", "E=m(1|X-A|1),m(3|To|2),m(9|To|),c", "",
         "@4294967295 X-A: 1|@4294967295 To: 2", NULL},
        {"change what it added", "E=h(X-A|1),m(1|X-A|2),c", "",
         "@4294967295 X-A: 1|@4294967295 X-A: 2", NULL},
        {"sender", "E=e(<b@s.test>),e(<>|SIZE=1 body=7BIT SMTPUTF8 ),c", "", "from b@s.test|from ",
         NULL},
        {"an argument that is not ours", "E=e(<>|SIZE=1 SIZES=2),2(<w@here.test>|X),c",
         "MILTER_EDIT_REFUSED=0(one: argument SIZES=2) MILTER_EDIT_REFUSED=0(one: argument X)",
         "from |rcpt+w@here.test", NULL},
        {"recipients", "E=+(<w@here.test>),2(<x@here.test>|NOTIFY=NEVER),-(<u@here.test>),c",
         "MILTER_EDIT_REFUSED=0(one: argument NOTIFY=NEVER)",
         "rcpt+w@here.test|rcpt+x@here.test|rcpt-u@here.test", NULL},
        {"no address", "E=+(<>),c", "MILTER_EDIT_REFUSED=0(one: add-recipient <>)", NO_EDIT, NULL},
        {"body", "E=b(new\n),b(text\r\n),c", "", "body", NULL},
        {"no body", "E=b(),c", "", "body", NULL},
        {"a body with a bare CR", "E=b(a\rb),c", "MILTER_EDIT_REFUSED=0(one: replace-body)",
         NO_EDIT, NULL},
    };
    static const struct talk_row bare[] = {
        {"all that is not granted",
         "E=h(X-A|1),m(1|To|),e(<b@s.test>),+(<w@here.test>),-(<u@here.test>),b(x),q(y),c",
         "MILTER_QUARANTINE=0(one: y) MILTER_EDIT_REFUSED=0(one: add-header X-A) "
         "MILTER_EDIT_REFUSED=0(one: change-header To) "
         "MILTER_EDIT_REFUSED=0(one: change-sender <b@s.test>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <w@here.test>) "
         "MILTER_EDIT_REFUSED=0(one: remove-recipient <u@here.test>) "
         "MILTER_EDIT_REFUSED=0(one: replace-body)",
         NO_EDIT, NULL},
    };
    static const struct talk_row noise[] = {
        {"more refusals than are worth saying",
         "E=+(<1@a>),+(<2@a>),+(<3@a>),+(<4@a>),+(<5@a>),+(<6@a>),+(<7@a>),+(<8@a>),+(<9@a>),c",
         "MILTER_EDIT_REFUSED=0(one: add-recipient <1@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <2@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <3@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <4@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <5@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <6@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <7@a>) "
         "MILTER_EDIT_REFUSED=0(one: add-recipient <8@a>)",
         NO_EDIT, NULL},
    };
    const struct fake_row all[] = {{"edits", {"headers", "body", "recipients", "sender"}}, {NULL}};
    const struct fake_row none[] = {{"edits", {"none"}}, {NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        play(&rows[i], all, false);
    play(&bare[0], none, false);
    play(&noise[0], none, false);
}

/* Every bit of what is negotiated. */
static void test_negotiation(void)
{
    static const struct talk_row rows[] = {
        {"no connect", "O(6|1ff|1)", "", "",
         "O D(C|j=mx.here.test|_=[192.0.2.1]|v=Postern|{daemon_name}=postern|{client_addr}="
         "192.0.2.1|{client_name}=[192.0.2.1]|{client_port}=50025|{client_resolve}=FAIL) "
         "D(H|s=friend) "
         "H(friend) D(M|i=TEST1|f=a@s.test|{mail_addr}=a@s.test) M(<a@s.test>) "
         "D(R|{rcpt_addr}=u@here.test) R(<u@here.test>)" DATA " E Q"},
        {"named macros", "O(6|1ff|23f|0 |1 |2 i|3 |4 |5 |6 )", "", "", "O D(M|i=TEST1) N E Q"},
        {"nothing but the end", "O(6|1ff|27f|0 |1 |2 |3 |4 |5 |6 )", "", "", "O E Q"},
        {"macros of the end", "O(6|1ff|27f|0 |1 |2 |3 |4 |5 i j|6 )", "", "",
         "O D(E|j=mx.here.test|i=TEST1) E Q"},
        {"no data, no end of headers", "O(6|1ff|25f|0 |1 |2 |3 |4 |5 |6 )", "", "",
         "O" HEADER " E Q"},
        {"no body", "O(6|1ff|10)", "", "", BEFORE " D(T|{nrcpts}=1) T" HEADER " N E Q"},
        {"it answers nothing but the end", "O(6|1ff|ff080) C=. H=. M=. R=. T=. L=. N=. B=.", "", "",
         WHOLE " Q"},
        {"leading space", "O(6|1ff|100000) E=h(X-A| 1),h(X-B|2),c", "",
         "@4294967295 X-A: 1|@4294967295 X-B: 2",
         BEFORE " D(T|{nrcpts}=1) T L(Received| from x) L(Subject| one\n two) L(To| u@here.test) "
                "L(To| v@here.test) L(X-Empty|) N B(hello\r\n) E Q"},
        {"version 2 knows no DATA", "O(2|3f|0)", "", "", BEFORE HEADER " N B(hello\r\n) E Q"},
        {"version 3 knows no DATA", "O(3|3f|0)", "", "", BEFORE HEADER " N B(hello\r\n) E Q"},
        {"version 4", "O(4|3f|0)", "", "", WHOLE " Q"},
        {"bits to come", "O(6|fffff1ff|40000000)", "", "", WHOLE " Q"},
        {"version 1", "O(1|3f|0)",
         "MILTER_AWAY=0(one: negotiation: agreed to no version from 2 to 6) MILTER_TEMPFAIL=0(one)",
         "", "O / O"},
        {"another answer", "O=c",
         "MILTER_AWAY=0(one: negotiation: agreed to no version from 2 to 6) MILTER_TEMPFAIL=0(one)",
         "", "O / O"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        play(&rows[i], NULL, false);
}

/* What fails at every command. It is tried again at MAIL; behind that, the message has its share.
 */
static void test_failures(void)
{
    static const struct {
        char command;
        const char *at;
        bool again; /* by a new connection, at MAIL */
    } steps[] = {{'O', "negotiation", true}, {'C', "connect", true},
                 {'H', "helo", true},        {'M', "mail", false},
                 {'R', "rcpt", false},       {'T', "data", false},
                 {'L', "header", false},     {'N', "end of headers", false},
                 {'B', "body", false},       {'E', "end of message", false}};
    static const struct {
        const char *say, *why;
    } ways[] = {{"X", "let go before it answered"},
                {"Z(0)", "sent a packet of no possible length"},
                {"Z(7fffffff)", "sent a packet of no possible length"},
                {"!(z)", "sent what is no answer"},
                {"!(hX)", "sent what is no answer"},
                {"y(250 Fine)", "sent a reply without a code"},
                {"f", "asked for a failed connection"}};
    char script[200], facts[300];
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++) {
            bool odd = steps[i].command == 'O' && k > 2;
            const char *why = odd ? "agreed to no version from 2 to 6" : ways[k].why;
            (void)snprintf(script, sizeof script, "%c=%s", steps[i].command, ways[k].say);
            (void)snprintf(facts, sizeof facts, "MILTER_AWAY=0(one: %s: %s) MILTER_TEMPFAIL=0(one)",
                           steps[i].at, why);
            play(&(struct talk_row){script, script, facts, "", NULL}, NULL, false);
            if (!steps[i].again)
                continue;
            (void)snprintf(script, sizeof script, "%c=%s %c%s", steps[i].command, ways[k].say,
                           steps[i].command, steps[i].command == 'O' ? "(6|1ff|0)" : "=c");
            play(&(struct talk_row){script, script, "", "", NULL}, NULL, false);
        }
}

#define BUT_MAIL "O(6|1ff|27b|0 |1 |2 |3 |4 |5 |6 ) "
#define BUT_BODY "O(6|1ff|26f|0 |1 |2 |3 |4 |5 |6 ) "
#define BUT_HELO "O(6|1ff|27d|0 |1 |2 |3 |4 |5 |6 ) "

/* It hangs: what ends that is the server's time, or the message's, of which a stage has next to
 * nothing. Where the time is short the first answer is the one that never comes, so that no row
 * depends on how fast anything else is. */
static void test_hangs(void)
{
    static const struct {
        const char *script, *reply, *end;
        int cut; /* the stage without time; -1: none */
        const char *facts;
    } rows[] = {
        {"O=W", "60ms", "60ms", -1, "negotiation: did not answer in time"},
        {"E=W", "10m", "60ms", -1, "end of message: did not answer in time"},
        {"E=p,p,W", "10m", "60ms", -1, "end of message: did not answer in time"},
        {BUT_MAIL "M=W", "10m", "10m", POSTERN_MAIL, "mail: no time was left for it"},
        {BUT_BODY "B=W", "10m", "10m", POSTERN_MESSAGE, "body: no time was left for it"},
        {BUT_HELO "H=W H=c", "10m", "10m", POSTERN_HELO, NULL}, /* tried again at MAIL */
    };
    static const enum postern_stage stages[] = {POSTERN_CONNECT, POSTERN_HELO, POSTERN_MAIL,
                                                POSTERN_RCPT, POSTERN_MESSAGE};
    char path[100], facts[200] = "";
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct fake_row more[] = {{"on_failure", {"skip"}},
                                        {"reply-timeout", {rows[i].reply}},
                                        {"end-timeout", {rows[i].end}},
                                        {NULL}};
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, more);
        unit_row(rows[i].script);
        fakehost_client(h, "192.0.2.1", "friend");
        for (size_t k = 0; k < sizeof stages / sizeof stages[0]; k++) {
            fakehost_limits(h, 1000, 16 << 20, (int)stages[k] == rows[i].cut ? 101 : 3600000);
            if (stages[k] == POSTERN_MAIL)
                fakehost_envelope(h, "a@s.test", "u@here.test");
            if (stages[k] == POSTERN_MESSAGE)
                fakehost_message(h, PN_STR(CONTENT));
            UNIT_INT(fakehost_run(h, stages[k]), POSTERN_OK);
        }
        if (rows[i].facts != NULL)
            (void)snprintf(facts, sizeof facts, "MILTER_AWAY=0(one: %s)", rows[i].facts);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts == NULL ? "" : facts));
        fakehost_free(&h);
        fakemilter_free(&m);
    }
}

static void test_on_failure(void)
{
    static const struct {
        const char *what, *want;
    } rows[] = {
        {"defer", "MILTER_AWAY=0(one: mail: let go before it answered) MILTER_TEMPFAIL=0(one)"},
        {"skip", "MILTER_AWAY=0(one: mail: let go before it answered)"},
        {"quarantine",
         "MILTER_AWAY=0(one: mail: let go before it answered) MILTER_QUARANTINE=0(one)"},
        {"reject", "MILTER_AWAY=0(one: mail: let go before it answered) MILTER_REJECT=0(one)"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct fake_row more[] = {{"on_failure", {rows[i].what}}, {NULL}};
        play(&(struct talk_row){rows[i].what, "M=X", rows[i].want, "", NULL}, more, false);
    }
}

/* ---- several servers and recipients */

/* The second milter sees what the first one changed. */
static void test_two(void)
{
    static const struct {
        const char *label, *first, *second, *facts, *edits, *heard, *body;
    } rows[] = {
        {"header", SHORT "E=h(X-A|1),i(1|X-B|2),m(1|Subject|new),m(1|To|),c",
         "O(6|1ff|25f|0 |1 |2 |3 |4 |5 |6 )", "",
         "@4294967295 X-A: 1|@1 X-B: 2|=Subject:0 new|=To:0 ",
         "O L(X-B|2) L(Received|from x) L(Subject|new) L(To|v@here.test) L(X-Empty|) L(X-A|1) E Q",
         ""},
        {"what is left is counted anew", SHORT "E=m(1|To|),c",
         "O(6|1ff|25f|0 |1 |2 |3 |4 |5 |6 ) E=m(1|To|w@here.test),c", "",
         "=To:0 |=To:1 w@here.test", NULL, ""},
        {"a field of the first", SHORT "E=h(X-A|1),c",
         "O(6|1ff|25f|0 |1 |2 |3 |4 |5 |6 ) E=m(1|X-A|2),c", "", "@4294967295 X-A: 2", NULL, ""},
        {"a field that the first inserted", SHORT "E=i(1|X-A|1),i(3|X-B|2),c",
         "O(6|1ff|25f|0 |1 |2 |3 |4 |5 |6 ) E=m(1|x-a|\t3\n 4),c", "",
         "@1 X-A: \t3\r\n 4|@3 X-B: 2",
         "O L(X-A|1) L(Received|from x) L(X-B|2) L(Subject|one\n two) L(To|u@here.test) "
         "L(To|v@here.test) L(X-Empty|) E Q",
         ""},
        {"and takes back: what came in behind it is one less",
         SHORT "E=i(1|X-A|1),i(3|X-B|2),i(0|X-C|3),h(X-D|4),c",
         SHORT "E=m(1|X-A|),m(1|X-D|),m(2|X-A|),c", "", "@2 X-B: 2|@0 X-C: 3", NULL, ""},
        {"and takes back, and not", SHORT "E=i(1|X-A|1),i(3|X-B|2),c",
         SHORT "E=m(1|X-A|),m(1|X-A|5),m(1|Subject|),m(1|Subject|new),c", "",
         "@1 X-A: 5|@3 X-B: 2|=Subject:0 |=Subject:0 new", NULL, ""},
        {"beside one that was received", SHORT "E=h(To|w@here.test),c",
         SHORT "E=m(2|To|x@here.test),m(3|To|y@here.test),m(4|To|z@here.test),c", "",
         "@4294967295 To: y@here.test|=To:1 x@here.test|@4294967295 To: z@here.test", NULL, ""},
        {"no value that a field may have", SHORT "E=h(X-A|1),c",
         SHORT "E=m(1|X-A|2\x01),h(X-\xc3|1),m(1|Subject|\xed\xa0\x80),h(X-B|\xc3\xbc),c",
         "MILTER_EDIT_REFUSED=0(two: change-header X-A) "
         "MILTER_EDIT_REFUSED=0(two: add-header X-?) "
         "MILTER_EDIT_REFUSED=0(two: change-header Subject)",
         "@4294967295 X-A: 1|@4294967295 X-B: \xc3\xbc", NULL, ""},
        {"body", SHORT "E=b(one\r\n),c", "O(6|1ff|26f|0 |1 |2 |3 |4 |5 |6 )", "", "body",
         "O B(one\r\n) E Q", "one\r\n"},
        {"both bodies", SHORT "E=b(one\r\n),c", SHORT "E=b(two\r\n),c", "", "body", NULL,
         "two\r\n"},
        {"the first rejects", SHORT "E=r", SHORT, "MILTER_REJECT=0(one)", "", "O M(<a@s.test>) E Q",
         ""},
        {"a recipient that the first rejects", "O(6|1ff|277|0 |1 |2 |3 |4 |5 |6 ) R=r",
         "O(6|1ff|277|0 |1 |2 |3 |4 |5 |6 )", "MILTER_REJECT=0(one)@0", "",
         "O R(<u@here.test>) E Q", ""},
        {"and is not told so", "O(6|1ff|277|0 |1 |2 |3 |4 |5 |6 ) R=r",
         "O(6|1ff|277|0 |1 |2 |3 {rcpt_mailer} {rcpt_host}|4 |5 |6 )", "MILTER_REJECT=0(one)@0", "",
         "O R(<u@here.test>) E Q", ""},
        {"the second wants to know of it", "O(6|1ff|277|0 |1 |2 |3 |4 |5 |6 ) R=r",
         "O(6|1ff|a77|0 |1 |2 |3 {rcpt_mailer} {rcpt_host}|4 |5 |6 )", "MILTER_REJECT=0(one)@0", "",
         "O D(R|{rcpt_mailer}=error|{rcpt_host}=5.7.1) R(<u@here.test>) E Q", ""},
    };
    char paths[2][60], addresses[2][130];
    for (size_t k = 0; k < 2; k++) {
        (void)snprintf(paths[k], sizeof paths[k], "%s/%zu", milter_tmp, k);
        (void)snprintf(addresses[k], sizeof addresses[k], "unix:%s", paths[k]);
    }
    const struct fake_row settings[] = {
        {"edits", {"headers", "body"}},
        {"server", .blocks = BLOCKS({"one", ROWS({"address", {addresses[0]}})},
                                    {"two", ROWS({"address", {addresses[1]}})})},
        {NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *one = fakemilter_new(paths[0], rows[i].first, false);
        struct fakemilter *two = fakemilter_new(paths[1], rows[i].second, false);
        struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
        unit_row(rows[i].label);
        UNIT_STR(fakehost_setup_error(h), PN_STR(""));
        fakehost_limits(h, 1000, 16 * 1024 * 1024, 60000);
        run_session(h, "u@here.test");
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts));
        UNIT_STR(fakehost_edits(h), pn_str_of(rows[i].edits));
        UNIT_STR(fakehost_body(h), pn_str_of(rows[i].body));
        fakehost_free(&h);
        if (rows[i].heard != NULL)
            UNIT_STR(fakemilter_heard(two), pn_str_of(rows[i].heard));
        fakemilter_free(&one);
        fakemilter_free(&two);
    }
}

/* Recipients, each with its answer; a message goes to those that the milter took. */
static void test_recipients(void)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    struct fakemilter *m =
        fakemilter_new(path, "O(6|1ff|277|0 |1 |2 |3 |4 {nrcpts}|5 |6 ) R=c R=r R=t R=c", false);
    struct fakehost *h = host_of(path, NULL);
    run_session(h, "a@h.test b@h.test c@h.test d@h.test");
    UNIT_STR(fakehost_facts(h), PN_STR("MILTER_REJECT=0(one)@1 MILTER_TEMPFAIL=0(one)@2"));
    fakehost_free(&h);
    UNIT_STR(
        fakemilter_heard(m),
        PN_STR("O R(<a@h.test>) R(<b@h.test>) R(<c@h.test>) R(<d@h.test>) D(T|{nrcpts}=4) E Q"));
    fakemilter_free(&m);
}

/* A body of many packets, by the size that was agreed upon; and a header longer than one. */
static void test_sizes(void)
{
    static const struct {
        const char *label, *script, *heard;
    } rows[] = {
        {"64k", "O(6|1ff|26f|0 |1 |2 |3 |4 |5 |6 )",
         "O B(65535 bytes) B(65535 bytes) B(65535 bytes) B(65535 bytes) B(37860 bytes) E Q"},
        {"256k", "O(6|1ff|1000026f|0 |1 |2 |3 |4 |5 |6 )", "O B(262143 bytes) B(37857 bytes) E Q"},
        {"1m", "O(6|1ff|2000026f|0 |1 |2 |3 |4 |5 |6 )", "O B(300000 bytes) E Q"},
        {"skip in the middle", "O(6|1ff|66f|0 |1 |2 |3 |4 |5 |6 ) B=c B=s",
         "O B(65535 bytes) B(65535 bytes) E Q"},
        {"without answers", "O(6|1ff|8026f|0 |1 |2 |3 |4 |5 |6 ) B=.",
         "O B(65535 bytes) B(65535 bytes) B(65535 bytes) B(65535 bytes) B(37860 bytes) E Q"},
    };
    struct pn_buf text;
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_addz(&text, "X-Long: ");
    while (text.len < 70000)
        (void)pn_buf_addz(&text, "0123456789");
    (void)pn_buf_addz(&text, "\n\n");
    for (int i = 0; i < 5000; i++)
        (void)pn_buf_addz(&text, "0123456789012345678901234567890123456789012345678901234567\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, NULL);
        unit_row(rows[i].label);
        connect_client(h);
        fakehost_envelope(h, "a@s.test", "u@here.test");
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
        fakehost_message(h, pn_buf_str(&text));
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), PN_STR(""));
        fakehost_free(&h);
        UNIT_STR(fakemilter_heard(m), pn_str_of(rows[i].heard));
        fakemilter_free(&m);
    }
    unit_row("a long field");
    struct fakemilter *m = fakemilter_new(path, "", false);
    struct fakehost *h = host_of(path, NULL);
    connect_client(h);
    fakehost_envelope(h, "a@s.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
    fakehost_message(h, pn_buf_str(&text));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
    UNIT_TRUE(fakemilter_heard(m).len > 65000 && fakemilter_heard(m).len < 67000);
    fakemilter_free(&m);
    pn_buf_fini(&text);
}

static void test_names(void)
{
    static const struct {
        const char *label, *ip, *dns, *name, *ptr, *resolve;
    } rows[] = {
        {"none", "192.0.2.7", "", "[192.0.2.7]", "", "FAIL"},
        {"confirmed", "192.0.2.7",
         "7.2.0.192.in-addr.arpa PTR mx.a.test.\nmx.a.test A 192.0.2.9\nmx.a.test A 192.0.2.7\n",
         "mx.a.test", "mx.a.test", "OK"},
        {"forged", "192.0.2.7", "7.2.0.192.in-addr.arpa PTR mx.a.test.\nmx.a.test A 192.0.2.9\n",
         "[192.0.2.7]", "mx.a.test", "FORGED"},
        {"the second is it", "192.0.2.7",
         "7.2.0.192.in-addr.arpa PTR a.test.\n7.2.0.192.in-addr.arpa PTR b.test.\nb.test A "
         "192.0.2.7\n",
         "b.test", "b.test", "OK"},
        {"trouble", "192.0.2.7", "7.2.0.192.in-addr.arpa SERVFAIL\n", "[192.0.2.7]", "", "TEMP"},
        {"trouble with its address", "192.0.2.7",
         "7.2.0.192.in-addr.arpa PTR a.test.\na.test TIMEOUT\n", "[192.0.2.7]", "a.test", "TEMP"},
        {"IPv6", "2001:db8::1",
         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
         "six.test.\nsix.test AAAA 2001:db8::1\n",
         "six.test", "six.test", "OK"},
        {"IPv6 without a name", "2001:db8::1", "", "[IPv6:2001:db8::1]", "", "FAIL"},
    };
    char path[100], address[120], heard[300];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    const struct fake_row settings[] = {
        {"server", .blocks = BLOCKS({"one", ROWS({"address", {address}})})}, {NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool six = strchr(rows[i].ip, ':') != NULL;
        struct fakemilter *m = fakemilter_new(
            path, "O(6|1ff|0|0 {client_ptr} {client_resolve}|1 |2 |3 |4 |5 |6 )", false);
        struct fakehost *h = fakehost_new(&postern_plugin, settings, rows[i].dns);
        unit_row(rows[i].label);
        fakehost_client(h, rows[i].ip, "x");
        UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
        fakehost_free(&h);
        (void)snprintf(heard, sizeof heard, "O D(C|%s%s%s{client_resolve}=%s) C(%s|%c|50025|%s) Q",
                       rows[i].ptr[0] == '\0' ? "" : "{client_ptr}=", rows[i].ptr,
                       rows[i].ptr[0] == '\0' ? "" : "|", rows[i].resolve, rows[i].name,
                       six ? '6' : '4', rows[i].ip);
        UNIT_STR(fakemilter_heard(m), pn_str_of(heard));
        fakemilter_free(&m);
    }
}

static void test_settings(void)
{
    const struct {
        const char *want;
        struct fake_row settings[2];
    } rows[] = {{"expected inet:PORT@ADDRESS",
                 {{"server", .blocks = BLOCKS({"a", ROWS({"address", {"x"}})})}}},
                {"without blanks and colons",
                 {{"server", .blocks = BLOCKS({"a b", ROWS({"address", {"unix:/x"}})})}}},
                {"'none' beside other edits",
                 {{"server", .blocks = BLOCKS({"a", ROWS({"address", {"unix:/x"}},
                                                         {"edits", {"body", "none"}})})}}},
                {"another one has this name",
                 {{"server", .blocks = BLOCKS({"a", ROWS({"address", {"unix:/x"}})},
                                              {"a", ROWS({"address", {"unix:/y"}})})}}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, rows[i].settings, "");
        struct pn_str said = fakehost_setup_error(h);
        unit_row(rows[i].want);
        UNIT_TRUE(memmem(said.p, said.len, rows[i].want, strlen(rows[i].want)) != NULL);
        fakehost_free(&h);
    }
    unit_row("no server: nothing is done");
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, "");
    connect_client(h);
    message(h, "");
    fakehost_free(&h);
}

/* What a session has that not every one has: TLS, where the client came to, arguments of MAIL. */
static void test_more_known(void)
{
    static const struct {
        const char *label, *args, *mail;
    } rows[] = {
        {"no argument", "", "M(<a@s.test>)"},
        {"one", "SIZE=12", "M(<a@s.test>|SIZE=12)"},
        {"several", "SIZE=12 body=8BITMIME  SMTPUTF8",
         "M(<a@s.test>|SIZE=12|body=8BITMIME|SMTPUTF8)"},
        {"a blank at the end", "SIZE=12 ", "M(<a@s.test>|SIZE=12)"},
    };
    char path[100], address[120], want[400];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    const struct fake_row server[] = {{"address", {address}}, {NULL}};
    const struct fake_row settings[] = {{"server", .blocks = BLOCKS({"one", server})}, {NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        struct fakemilter *m =
            fakemilter_new(path,
                           "O(6|1ff|378|0 {daemon_addr} {daemon_port} {if_name} {if_addr}|"
                           "1 {tls_version} {cipher} {cipher_bits} {cert_subject}|2 |3 |4 |5 |6 )",
                           false);
        struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
        fakehost_client(h, "192.0.2.1", "friend");
        fakehost_tls(h, "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256);
        fakehost_local(h, "192.0.2.25", 2525);
        UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
        UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
        fakehost_envelope(h, "a@s.test", "");
        fakehost_mail_args(h, rows[i].args);
        UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
        fakehost_free(&h);
        (void)snprintf(want, sizeof want,
                       "O D(C|{daemon_addr}=192.0.2.25|{daemon_port}=2525|"
                       "{if_name}=mx.here.test|{if_addr}=192.0.2.25) "
                       "C([192.0.2.1]|4|50025|192.0.2.1) "
                       "D(H|{tls_version}=TLSv1.3|{cipher}=TLS_AES_256_GCM_SHA384|"
                       "{cipher_bits}=256) H(friend) %s A Q",
                       rows[i].mail);
        UNIT_STR(fakemilter_heard(m), pn_str_of(want));
        fakemilter_free(&m);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"answers", test_answers},
                                             {"edits", test_edits},
                                             {"negotiation", test_negotiation},
                                             {"failures", test_failures},
                                             {"hangs", test_hangs},
                                             {"on_failure", test_on_failure},
                                             {"two servers", test_two},
                                             {"recipients", test_recipients},
                                             {"sizes", test_sizes},
                                             {"more known", test_more_known},
                                             {"client names", test_names},
                                             {"settings", test_settings},
                                             {NULL, NULL}};
    return milter_main("milter", tests, argc, argv);
}

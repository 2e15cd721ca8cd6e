/* Submission (RFC 6409): logins, who may send as whom, what is added, who sends too much. */
#include "edge_rig.h"

#include "sasl.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define ANN      "AUTH PLAIN AGFubkBoZXJlLnRlc3QAcHc=" /* \0ann@here.test\0pw */
#define ANN_SAID PN_STR("\0ann@here.test\0pw")

/* ---- auth ---- */

/* What edge asks of it next: the id, and what the client said in buf. */
static uint64_t asked(uint16_t type, struct pn_buf *buf, struct pn_sasl_begin *begin,
                      struct pn_sasl_answer *said)
{
    struct pn_record record;
    uint64_t id = 0;
    if (!role_rig_recv(&fx.rig, AUTH, &record, buf))
        return 0;
    UNIT_INT(record.type, type);
    if (type == PN_REC_SASL_BEGIN && pn_sasl_begin_get(record.body, begin))
        return begin->id;
    if (type == PN_REC_SASL_ANSWER && pn_sasl_answer_get(record.body, said))
        return said->id;
    UNIT_TRUE(type == PN_REC_SASL_CANCEL && pn_sasl_cancel_get(record.body, &id));
    return id;
}

static void say_of(const struct pn_sasl_said *said)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_sasl_said_put(&b, said);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[AUTH], PN_REC_SASL_SAID, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

static void say_status(uint64_t id, enum pn_sasl_status status)
{
    struct pn_sasl_said said = {.id = id, .status = (uint8_t)status};
    said.message = said.user = said.senders = PN_STR("");
    say_of(&said);
}

static void challenge(uint64_t id, struct pn_str bytes)
{
    struct pn_sasl_said said = {.id = id, .status = PN_SASL_CHALLENGE, .message = bytes};
    said.user = said.senders = PN_STR("");
    say_of(&said);
}

static void let_in(uint64_t id, const char *user, const char *senders)
{
    struct pn_sasl_said said = {.id = id, .status = PN_SASL_OK, .message = PN_STR("")};
    said.user = pn_str_of(user);
    said.senders = pn_str_of(senders);
    say_of(&said);
}

/* ---- clients ---- */

static void dial_submission(struct client *c)
{
    dial(c, SUBMISSION);
    greet(c);
    ask(c, "STARTTLS", "220 2.0.0");
    start_tls(c);
    ask(c, "EHLO c.test", "250");
}

static void line(struct client *c, const char *text)
{
    say(c, pn_str_of(text));
    say(c, PN_STR("\r\n"));
}

/* Logs in by PLAIN as ann@here.test. */
static void log_in(struct client *c, const char *senders)
{
    struct pn_sasl_begin begin;
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial_submission(c);
    line(c, ANN);
    uint64_t id = asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    let_in(id, "ann@here.test", senders);
    expect(c, "235 2.7.0");
    pn_buf_fini(&buf);
}

/* ---- tests ---- */

static void test_plain(void)
{
    struct client c;
    struct pn_sasl_begin begin;
    struct pn_buf buf;
    up("}");
    pn_buf_init(&buf, PN_RECORD_MAX);
    unit_row("nothing over plain text");
    dial(&c, SUBMISSION);
    greet(&c);
    ask(&c, ANN, "538 5.7.11");
    ask(&c, "MAIL FROM:<ann@here.test>", "530 5.7.0");
    unit_row("nothing without a login");
    ask(&c, "STARTTLS", "220 2.0.0");
    start_tls(&c);
    ask(&c, "EHLO c.test", "250");
    ask(&c, "MAIL FROM:<ann@here.test>", "530 5.7.0");
    unit_row("what auth is told");
    line(&c, ANN);
    uint64_t id = asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    UNIT_INT(begin.service, PN_SASL_SMTP);
    UNIT_INT(begin.mechanism, PN_SASL_PLAIN);
    UNIT_TRUE(begin.tls && begin.has_initial && begin.ip.b[15] == 1);
    UNIT_STR(begin.initial, ANN_SAID);
    UNIT_INT(begin.exporter.len, PN_SASL_EXPORTER);
    unit_row("who is not let in");
    say_status(id, PN_SASL_REFUSED);
    expect(&c, "535 5.7.8");
    ask(&c, "MAIL FROM:<ann@here.test>", "530 5.7.0");
    static const struct {
        enum pn_sasl_status status;
        const char *want;
    } rows[] = {
        {PN_SASL_MALFORMED, "501 5.5.2"}, {PN_SASL_SHUT, "454 4.7.0"}, {PN_SASL_BUSY, "454 4.3.0"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pn_buf_clear(&buf);
        unit_row(rows[i].want);
        line(&c, ANN);
        say_status(asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL), rows[i].status);
        expect(&c, rows[i].want);
    }
    hang_up(&c);
    unit_row("no login on the port for everybody");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    start_tls(&c);
    ask(&c, "EHLO c.test", "250");
    ask(&c, ANN, "500 5.5.1");
    hang_up(&c);
    pn_buf_fini(&buf);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The mechanism's messages go back and forth; over TLS from the first byte. */
static void test_exchange(void)
{
    struct client c;
    struct pn_sasl_begin begin;
    struct pn_sasl_answer said;
    struct pn_buf buf;
    up("}");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, SUBMISSIONS);
    start_tls(&c);
    greet(&c);
    unit_row("SCRAM");
    line(&c, "AUTH SCRAM-SHA-256-PLUS eGw=");
    uint64_t id = asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    UNIT_INT(begin.mechanism, PN_SASL_SCRAM_SHA_256_PLUS);
    unsigned char exporter[32];
    UNIT_INT(SSL_export_keying_material(c.tls, exporter, sizeof exporter,
                                        "EXPORTER-Channel-Binding", 24, NULL, 0, 0),
             1);
    UNIT_STR(begin.exporter, ((struct pn_str){(char *)exporter, sizeof exporter}));
    challenge(id, PN_STR("r=x"));
    expect(&c, "334");
    pn_buf_clear(&buf);
    line(&c, "Yz1iaXdz");
    UNIT_INT(asked(PN_REC_SASL_ANSWER, &buf, NULL, &said), id);
    UNIT_STR(said.message, PN_STR("c=biws"));
    challenge(id, PN_STR("v=y"));
    expect(&c, "334");
    pn_buf_clear(&buf);
    line(&c, "");
    UNIT_INT(asked(PN_REC_SASL_ANSWER, &buf, NULL, &said), id);
    UNIT_INT(said.message.len, 0);
    let_in(id, "ann@here.test", "");
    expect(&c, "235 2.7.0");
    ask(&c, "MAIL FROM:<ann@here.test>", "250 2.1.0");
    hang_up(&c);
    unit_row("the client gives up");
    dial_submission(&c);
    pn_buf_clear(&buf);
    line(&c, "AUTH LOGIN");
    id = asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    UNIT_TRUE(!begin.has_initial);
    challenge(id, PN_STR("User Name"));
    expect(&c, "334");
    ask(&c, "*", "501 5.7.0");
    pn_buf_clear(&buf);
    UNIT_INT(asked(PN_REC_SASL_CANCEL, &buf, NULL, NULL), id);
    unit_row("what auth says late counts for nobody");
    let_in(id, "ann@here.test", "");
    ask(&c, "MAIL FROM:<ann@here.test>", "530 5.7.0");
    unit_row("the client goes");
    line(&c, "AUTH LOGIN");
    pn_buf_clear(&buf);
    id = asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    challenge(id, PN_STR("User Name"));
    expect(&c, "334");
    hang_up(&c);
    pn_buf_clear(&buf);
    UNIT_INT(asked(PN_REC_SASL_CANCEL, &buf, NULL, NULL), id);
    pn_buf_fini(&buf);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Auth dies: who waits for it is told, who thinks learns it with his next word. */
static void test_auth_gone(void)
{
    struct client waits, thinks, later;
    struct pn_sasl_begin begin;
    struct pn_buf buf;
    up("}");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial_submission(&thinks);
    line(&thinks, "AUTH LOGIN");
    challenge(asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL), PN_STR("User Name"));
    expect(&thinks, "334");
    dial_submission(&waits);
    line(&waits, ANN);
    pn_buf_clear(&buf);
    (void)asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL);
    (void)shutdown(fx.rig.peers[AUTH], SHUT_RDWR);
    expect(&waits, "454 4.3.0");
    ask(&thinks, "YW5u", "454 4.3.0");
    unit_row("nobody is there");
    ask(&waits, ANN, "454 4.3.0");
    unit_row("the next one is");
    role_rig_peer(&fx.rig, AUTH, PN_ROLE_AUTH, 0);
    /* It is known once it is asked; until then nobody is. */
    dial_submission(&later);
    for (bool here = false; !here;) {
        struct pollfd fds[2] = {{.fd = later.fd, .events = POLLIN},
                                {.fd = fx.rig.peers[AUTH], .events = POLLIN}};
        line(&later, ANN);
        UNIT_TRUE(poll(fds, 2, 60000) > 0);
        here = fds[1].revents != 0;
        if (!here)
            expect(&later, "454 4.3.0");
    }
    pn_buf_clear(&buf);
    let_in(asked(PN_REC_SASL_BEGIN, &buf, &begin, NULL), "ann@here.test", "");
    expect(&later, "235 2.7.0");
    hang_up(&later);
    hang_up(&waits);
    hang_up(&thinks);
    pn_buf_fini(&buf);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_senders(void)
{
    static const struct {
        const char *label, *senders, *from, *want;
    } rows[] = {
        {"his own", "", "ann@here.test", "250 2.1.0"},
        {"letters of any case", "", "Ann@Here.Test", "250 2.1.0"},
        {"a tag", "", "ann+list@here.test", "250 2.1.0"},
        {"nobody", "", "", "250 2.1.0"},
        {"another's", "", "bob@here.test", "553 5.7.1"},
        {"his name elsewhere", "", "ann@b.test", "553 5.7.1"},
        {"one that he was given", "info@here.test", "info@here.test", "250 2.1.0"},
        {"a domain that he was given", "@b.test", "x@b.test", "250 2.1.0"},
        {"and not below", "@b.test", "x@c.b.test", "553 5.7.1"},
        {"anybody", "*", "x@y.test", "250 2.1.0"},
    };
    up("}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client c;
        char text[300];
        unit_row(rows[i].label);
        log_in(&c, rows[i].senders);
        (void)snprintf(text, sizeof text, "MAIL FROM:<%s>", rows[i].from);
        ask(&c, text, rows[i].want);
        hang_up(&c);
    }
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_from(void)
{
    static const struct {
        const char *label, *header, *want;
    } rows[] = {
        {"his own", "From: Ann <ann@here.test>\r\n", "250 2.0.0"},
        {"a tag", "From: ann+x@here.test\r\n", "250 2.0.0"},
        {"another's", "From: boss@here.test\r\n", "550 5.7.1"},
        {"one of two", "From: ann@here.test, boss@here.test\r\nSender: ann@here.test\r\n",
         "550 5.7.1"},
        {"behind a name that looks like his", "From: \"ann@here.test\" <boss@here.test>\r\n",
         "550 5.7.1"},
        {"in a group", "From: us: boss@here.test;\r\n", "550 5.7.1"},
        {"two fields", "From: ann@here.test\r\nFrom: boss@here.test\r\n", "550 5.6.0"},
        {"nobody", "From: us:;\r\n", "550 5.6.0"},
        {"no address", "From: Ann\r\n", "550 5.6.0"},
        {"empty", "From:\r\n", "550 5.6.0"},
        {"none", "Subject: x\r\n", "250 2.0.0"},
    };
    struct client c;
    struct handed h;
    up("}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        log_in(&c, "");
        begin_mail(&c, "ann@here.test", "u@far.test");
        say(&c, pn_str_of(rows[i].header));
        line(&c, "\r\nhello\r\n.");
        if (rows[i].want[0] == '2') {
            take_over(&h, QUEUE);
            answer_take(&h, 250, "2.0.0 ok");
            let_go(&h);
        }
        expect(&c, rows[i].want);
        hang_up(&c);
    }
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static const struct pn_header_edit *edit_of(const struct handed *h, const char *name)
{
    const struct pn_edit_group *g = &h->env.groups[h->env.recipients[0].group];
    for (uint32_t i = 0; i < g->count; i++)
        if (pn_str_eq(g->edits[i].name, pn_str_of(name)))
            return &g->edits[i];
    return NULL;
}

/* To others by MX, to our own by their route; what the header lacks is added. */
static void test_message(void)
{
    struct client c;
    struct handed h;
    up("}");
    log_in(&c, "");
    ask(&c, "MAIL FROM:<ann@here.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@Far.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<v@here.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<w@next.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<w@[192.0.2.1]>", "550 5.1.2");
    ask(&c, "DATA", "354");
    line(&c, "Subject: x\r\n\r\nhello\r\n.");
    take_over(&h, QUEUE);
    unit_row("the envelope");
    UNIT_INT(h.env.recipient_count, 3);
    UNIT_INT(h.env.flags & PN_ENV_SUBMITTED, PN_ENV_SUBMITTED);
    UNIT_INT(h.env.recipients[0].via, PN_VIA_MX);
    UNIT_STR(h.env.recipients[0].next_hop, PN_STR("far.test"));
    UNIT_INT(h.env.recipients[1].via, PN_VIA_LOCAL);
    UNIT_INT(h.env.recipients[2].via, PN_VIA_SMTP);
    unit_row("what is added");
    const struct pn_header_edit *e = edit_of(&h, "From");
    UNIT_TRUE(e != NULL && pn_str_eq(e->value, PN_STR("<ann@here.test>")));
    UNIT_TRUE(edit_of(&h, "Date") != NULL);
    e = edit_of(&h, "Message-ID");
    UNIT_TRUE(e != NULL && pn_str_ends(e->value, PN_STR("@mx.here.test>")));
    e = edit_of(&h, "Received");
    UNIT_TRUE(e != NULL && has(e->value, "with ESMTPSA id") && has(e->value, "[127.0.0.1]"));
    answer_take(&h, 250, "2.0.0 ok");
    expect(&c, "250 2.0.0");
    EXPECT_EVENT("\"event\":\"message\"", "\"user\":\"ann@here.test\"", "@mx.here.test>\"");
    let_go(&h);
    unit_row("what is there stays");
    begin_mail(&c, "", "u@far.test");
    line(&c, "from: ann@here.test\r\nDATE: x\r\nmessage-id: <1@b>\r\n\r\nhello\r\n.");
    take_over(&h, QUEUE);
    UNIT_TRUE(edit_of(&h, "From") == NULL && edit_of(&h, "Date") == NULL &&
              edit_of(&h, "Message-ID") == NULL);
    answer_take(&h, 250, "2.0.0 ok");
    expect(&c, "250 2.0.0");
    let_go(&h);
    unit_row("an empty one");
    begin_mail(&c, "", "u@far.test");
    line(&c, ".");
    take_over(&h, QUEUE);
    UNIT_TRUE(edit_of(&h, "From") != NULL && edit_of(&h, "Date") != NULL &&
              edit_of(&h, "Message-ID") != NULL);
    answer_take(&h, 250, "2.0.0 ok");
    expect(&c, "250 2.0.0");
    let_go(&h);
    hang_up(&c);
    unit_row("who has not logged in is no relay");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<ann@here.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@far.test>", "550 5.7.1");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_hidden(void)
{
    struct client c;
    struct handed h;
    up("} submission { hide-client yes  from any }");
    log_in(&c, "");
    begin_mail(&c, "ann@here.test", "u@far.test");
    line(&c, "From: boss@here.test\r\n\r\nhello\r\n.");
    take_over(&h, QUEUE);
    const struct pn_header_edit *e = edit_of(&h, "Received");
    UNIT_TRUE(e != NULL && pn_str_starts(e->value, PN_STR("by mx.here.test with ESMTPSA id")) &&
              !has(e->value, "127.0.0.1") && !has(e->value, "c.test"));
    answer_take(&h, 250, "2.0.0 ok");
    expect(&c, "250 2.0.0");
    let_go(&h);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void send_one(struct client *c, enum pn_hand hand, const char *reason)
{
    struct handed h;
    begin_mail(c, "ann@here.test", "u@far.test");
    line(c, "Subject: x\r\n\r\nhello\r\n.");
    take_over(&h, QUEUE);
    UNIT_INT(h.env.recipients[0].hand, hand);
    UNIT_TRUE(has(h.env.recipients[0].reason, reason));
    answer_take(&h, 250, "2.0.0 ok");
    expect(c, "250 2.0.0");
    let_go(&h);
}

/* A stolen account: noticed, said once, and all it sends is held. */
static void test_rate(void)
{
    struct client c;
    up("} submission { recipients-per-hour 3 }");
    log_in(&c, "");
    for (int i = 0; i < 3; i++) {
        unit_row("what it may");
        send_one(&c, PN_HAND_DELIVER, "");
        EXPECT_EVENT("\"event\":\"message\"", "\"outcome\":\"accept\"");
    }
    unit_row("one too many");
    send_one(&c, PN_HAND_HOLD, "submission.recipients-per-hour");
    EXPECT_EVENT("\"event\":\"account-held\"", "\"user\":\"ann@here.test\"",
                 "postern queue list --user ann@here.test");
    EXPECT_EVENT("\"event\":\"message\"", "\"outcome\":\"quarantine\"");
    unit_row("and all that follow");
    send_one(&c, PN_HAND_HOLD, "submission.recipients-per-hour");
    EXPECT_EVENT("\"event\":\"message\"", "\"outcome\":\"quarantine\"");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
    unit_row("who is trusted");
    up("} submission { recipients-per-hour 1  trust \"*@here.test\" }");
    log_in(&c, "");
    for (int i = 0; i < 3; i++)
        send_one(&c, PN_HAND_DELIVER, "");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The `submitted` block decides, whoever it goes to; what would be junk is held. */
static void test_policy(void)
{
    struct client c;
    up("} submitted { junk at 0 }");
    log_in(&c, "");
    unit_row("held");
    send_one(&c, PN_HAND_HOLD, "junk when score >= 0");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
    up("} submitted { deny auth \"ann@*\" \"550 5.7.1 Not you\" }");
    unit_row("refused");
    log_in(&c, "");
    ask(&c, "MAIL FROM:<ann@here.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@far.test>", "550 5.7.1");
    hang_up(&c);
    unit_row("a domain's own policy is for mail from outside");
    down();
    up("}");
    log_in(&c, "");
    struct handed h;
    begin_mail(&c, "ann@here.test", "u@late.test");
    line(&c, "Subject: x\r\n\r\nhello\r\n.");
    take_over(&h, MAILBOX);
    answer_delivery(&h, 250, "2.0.0 ok");
    expect(&c, "250 2.0.0");
    let_go(&h);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static const struct unit_test tests[] = {
    {"plain", test_plain},         {"exchange", test_exchange},
    {"auth gone", test_auth_gone}, {"senders", test_senders},
    {"From", test_from},           {"message", test_message},
    {"hidden", test_hidden},       {"rate", test_rate},
    {"policy", test_policy},       {NULL, NULL},
};

int main(int argc, char **argv)
{
    return unit_main("edge_submit", tests, argc, argv);
}

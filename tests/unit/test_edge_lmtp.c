/* LMTP through the edge role (RFC 2033): a reply a recipient, and who of them gets it. */
#include "edge_rig.h"

#include <stdio.h>

static void send_mail(struct client *c, const char *from, const char *const *rcpts)
{
    char line[600];
    (void)snprintf(line, sizeof line, "MAIL FROM:<%s>", from);
    ask(c, line, "250 2.1.0");
    for (; *rcpts != NULL; rcpts++) {
        (void)snprintf(line, sizeof line, "RCPT TO:<%s>", *rcpts);
        ask(c, line, "250 2.1.5");
    }
    ask(c, "DATA", "354");
    say(c, PN_STR("Subject: x\r\n\r\nhi\r\n.\r\n"));
}
#define SEND(c, from, ...) send_mail(c, from, (const char *const[]){__VA_ARGS__, NULL})

/* The same one twice, and one that is refused: three recipients, four replies. */
static void test_each(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial_lmtp(&c);
    ask(&c, "EHLO c.test", "500 5.5.1");
    ask(&c, "DATA", "503 5.5.1");
    SEND(&c, "a@b.test", "u@next.test", "x@late.test", "w@junk.test", "u@NEXT.test");
    take_over(&h, QUEUE);
    UNIT_INT(h.env.recipient_count, 2);
    UNIT_STR(h.env.recipients[0].address, PN_STR("u@next.test"));
    UNIT_STR(h.env.recipients[1].address, PN_STR("w@junk.test"));
    UNIT_INT(h.env.recipients[1].hand, PN_HAND_JUNK);
    const struct pn_edit_group *g = &h.env.groups[h.env.recipients[0].group];
    UNIT_STR(g->edits[0].name, PN_STR("Received"));
    UNIT_TRUE(has(g->edits[0].value, "with LMTP id"));
    UNIT_INT(h.env.group_count, 2);
    answer_take(&h, 250, "2.0.0 Queued");
    let_go(&h);
    expect(&c, "250 2.0.0");
    expect(&c, "550 5.7.1");
    expect(&c, "250 2.0.0");
    expect(&c, "250 2.0.0");
    EXPECT_EVENT("\"protocol\":\"lmtp\"", "\"outcome\":\"reject\"",
                 "\"address\":\"x@late.test\",\"outcome\":\"reject\"",
                 "\"address\":\"u@next.test\",\"outcome\":\"accept\"",
                 "\"reply\":\"250 2.0.0 Taken as ");
    ask(&c, "NOOP", "250 2.0.0");
    hang_up(&c);
    down();
}

/* Who is refused is not in the way of the one who has a mailbox here. */
static void test_mailbox(void)
{
    static const struct {
        uint16_t code;
        const char *text, *want, *event;
    } rows[] = {{250, "2.0.0 Done", "250 2.0.0", "250 2.0.0 Taken"},
                {552, "5.2.2 Full", "552 5.2.2", "552 5.2.2 Full"}};
    struct client c;
    struct handed h;
    up("}");
    dial_lmtp(&c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].want);
        SEND(&c, "a@b.test", "x@late.test", "v@here.test");
        take_over(&h, MAILBOX);
        UNIT_STR(h.deliver.recipient, PN_STR("v@here.test"));
        answer_delivery(&h, rows[i].code, rows[i].text);
        let_go(&h);
        expect(&c, "550 5.7.1");
        expect(&c, rows[i].want);
        EXPECT_EVENT("\"event\":\"message\"", rows[i].event);
    }
    hang_up(&c);
    down();
}

/* Nobody has it: who was refused keeps that reply, the others have the queue's. */
static void test_not_kept(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial_lmtp(&c);
    SEND(&c, "a@b.test", "x@late.test", "u@next.test", "v@next.test");
    take_over(&h, QUEUE);
    answer_take(&h, 452, "4.3.1 Full");
    let_go(&h);
    expect(&c, "550 5.7.1");
    expect(&c, "452 4.3.1");
    expect(&c, "452 4.3.1");
    EXPECT_EVENT("\"address\":\"u@next.test\",\"outcome\":\"defer\"",
                 "\"address\":\"x@late.test\",\"outcome\":\"reject\"", "could not be kept");
    SEND(&c, "a@b.test", "x@late.test", "y@late.test");
    expect(&c, "550 5.7.1");
    expect(&c, "550 5.7.1");
    EXPECT_EVENT("\"outcome\":\"reject\"");
    /* Without a verdict: of the message as a whole. */
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@next.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<v@next.test>", "250 2.1.5");
    ask(&c, "DATA", "354");
    for (unsigned i = 0; i < 200; i++)
        say(&c, PN_STR("Received: x\r\n"));
    say(&c, PN_STR("\r\n.\r\n"));
    expect(&c, "554 5.4.6");
    expect(&c, "554 5.4.6");
    ask(&c, "QUIT", "221 2.0.0");
    hang_up(&c);
    down();
}

/* It brings what comes for all: limits by address are not for it, and nobody delays its greeting.
 */
static void test_limits(void)
{
    struct client c[3];
    up("greet-delay 60s }\n"
       "limits { sessions-per-address 1  messages-per-minute 1  recipients-per-minute 1 }\n");
    for (unsigned i = 0; i < 3; i++)
        dial_lmtp(&c[i]);
    for (unsigned i = 0; i < 3; i++) {
        ask(&c[0], "MAIL FROM:<a@b.test>", "250 2.1.0");
        ask(&c[0], "RCPT TO:<u@next.test>", "250 2.1.5");
        ask(&c[0], "RSET", "250 2.0.0");
    }
    for (unsigned i = 0; i < 3; i++)
        hang_up(&c[i]);
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"each", test_each},
        {"mailbox", test_mailbox},
        {"not_kept", test_not_kept},
        {"limits", test_limits},
        {NULL, NULL},
    };
    return unit_main("edge_lmtp", tests, argc, argv);
}

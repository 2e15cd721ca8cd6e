/* Cut-through, edge's half: what it asks the queue, and what the client hears. */
#include "edge_rig.h"

#include "cut_record.h"

#include <sys/socket.h>

#define CUT "}\nqueue { cut-through yes }\n"

/* The next record of the queue's channel; its body is in buf. */
static uint16_t next_record(struct pn_buf *buf)
{
    struct pn_record record = {0};
    pn_buf_clear(buf);
    UNIT_TRUE(role_rig_recv(&fx.rig, QUEUE, &record, buf));
    pn_record_close_fds(&record);
    return record.type;
}

static uint64_t expect_question(const char *address)
{
    struct pn_buf buf;
    struct pn_cut_rcpt r = {0};
    struct pn_record record = {0};
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_TRUE(role_rig_recv(&fx.rig, QUEUE, &record, &buf));
    UNIT_INT(record.type, PN_REC_CUT_RCPT);
    UNIT_TRUE(pn_cut_rcpt_get(record.body, &r));
    UNIT_STR(r.address, pn_str_of(address));
    UNIT_STR(r.next_hop, PN_STR("127.0.0.1:4"));
    UNIT_STR(r.reverse_path, PN_STR("a@b.test"));
    pn_buf_fini(&buf);
    return r.token;
}

static void answer(uint64_t token, uint16_t code, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_delivered_put(&b, &(struct pn_delivered){token, {code, pn_str_of(text)}});
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[QUEUE], PN_REC_CUT_ANSWER, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

static void rcpt(struct client *c, const char *address, uint16_t code, const char *text,
                 const char *want)
{
    say(c, PN_STR("RCPT TO:<"));
    say(c, pn_str_of(address));
    say(c, PN_STR(">\r\n"));
    answer(expect_question(address), code, text);
    expect(c, want);
}

static void content(struct client *c)
{
    ask(c, "DATA", "354");
    say(c, PN_STR("x\r\n.\r\n"));
}

static void expect_drop(struct pn_buf *buf)
{
    UNIT_INT(next_record(buf), PN_REC_CUT_DROP);
}

/* Its refusals are ours, at RCPT and behind the content. */
static void test_replies(void)
{
    struct client c;
    struct handed h;
    struct pn_buf buf;
    up(CUT);
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    rcpt(&c, "u@next.test", 250, "2.1.5 Ok", "250 2.1.5");
    rcpt(&c, "no@next.test", 550, "5.1.1 Nobody there", "550 5.1.1");
    rcpt(&c, "v@next.test", 250, "2.1.5 Ok", "250 2.1.5");
    content(&c);
    take_over(&h, QUEUE);
    UNIT_INT(h.env.recipient_count, 2);
    answer_take(&h, 554, "5.7.1 Looks bad");
    let_go(&h);
    expect(&c, "554 5.7.1");
    EXPECT_EVENT("\"outcome\":\"reject\"", "554 5.7.1 Looks bad", "the next hop refused it",
                 "550 5.1.1 Nobody there");
    expect_drop(&buf);
    /* No answer of its own: as if it had not been asked. */
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    rcpt(&c, "u@next.test", 0, "", "250 2.1.5");
    expect_drop(&buf);
    ask(&c, "RCPT TO:<v@next.test>", "250 2.1.5");
    content(&c);
    take_over(&h, QUEUE);
    answer_take(&h, 250, "2.0.0 Queued");
    let_go(&h);
    expect(&c, "250 2.0.0");
    hang_up(&c);
    pn_buf_fini(&buf);
    down();
}

/* What makes it go by the journal after all, and that the queue is told before it has it. */
static void test_off(void)
{
    static const struct {
        const char *label, *second;
    } rows[] = {{"a mailbox here", "u@here.test"}, {"another domain's", "u@junk.test"}};
    struct client c;
    struct handed h;
    struct pn_buf buf;
    up(CUT);
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, PLAIN);
    greet(&c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
        rcpt(&c, "u@next.test", 250, "2.1.5 Ok", "250 2.1.5");
        say(&c, PN_STR("RCPT TO:<"));
        say(&c, pn_str_of(rows[i].second));
        say(&c, PN_STR(">\r\n"));
        expect(&c, "250 2.1.5");
        expect_drop(&buf);
        content(&c);
        take_over(&h, QUEUE);
        answer_take(&h, 250, "2.0.0 Queued");
        let_go(&h);
        expect(&c, "250 2.0.0");
    }
    /* Nobody waits any more. */
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    say(&c, PN_STR("RCPT TO:<u@next.test>\r\n"));
    uint64_t token = expect_question("u@next.test");
    hang_up(&c);
    answer(token, 250, "2.1.5 Ok");
    expect_drop(&buf);
    pn_buf_fini(&buf);
    down();
}

/* The queue goes while it is asked. */
static void test_queue_gone(void)
{
    struct client c;
    up(CUT);
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    say(&c, PN_STR("RCPT TO:<u@next.test>\r\n"));
    (void)expect_question("u@next.test");
    (void)shutdown(fx.rig.peers[QUEUE], SHUT_RDWR);
    expect(&c, "250 2.1.5");
    content(&c);
    expect(&c, "451 4.3.0");
    hang_up(&c);
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"replies", test_replies},
                                             {"off", test_off},
                                             {"queue_gone", test_queue_gone},
                                             {NULL, NULL}};
    return unit_main("edge_cut", tests, argc, argv);
}

/* Messages through the edge role: to mailbox and queue, refused, large, over a reload and a
 * stop. */
#include "edge_rig.h"

#include "memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_edit(const struct pn_edit_group *g, const char *name)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (pn_str_eq(g->edits[i].name, pn_str_of(name)))
            return true;
    return false;
}

static void test_queue(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<A@B.test> BODY=8BITMIME", "250 2.1.0");
    ask(&c, "RCPT TO:<u@Next.TEST>", "250 2.1.5");
    ask(&c, "RCPT TO:<v+tag@here.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<u@next.test>", "250 2.1.5"); /* again: one copy */
    ask(&c, "RCPT TO:<w@junk.test>", "250 2.1.5");
    ask(&c, "RCPT TO:<u@elsewhere.test>", "550 5.7.1");
    ask(&c, "RCPT TO:<u@[127.0.0.1]>", "550 5.1.2");
    ask(&c, "DATA", "354");
    say(&c, PN_STR("Subject: x\r\n\r\n..dot\r\n\xc3\xbc\r\n.\r\n"));
    take_over(&h, QUEUE);
    UNIT_STR(h.content, PN_STR("Subject: x\r\n\r\n.dot\r\n\xc3\xbc\r\n"));
    UNIT_INT(h.env.size, h.content.len);
    UNIT_STR(h.env.reverse_path, PN_STR("A@b.test"));
    UNIT_STR(h.env.helo, PN_STR("c.test"));
    UNIT_INT(h.env.flags, PN_ENV_8BITMIME);
    UNIT_INT(h.env.recipient_count, 3);
    UNIT_STR(h.env.recipients[0].address, PN_STR("u@next.test"));
    UNIT_INT(h.env.recipients[0].via, PN_VIA_SMTP);
    UNIT_STR(h.env.recipients[0].next_hop, PN_STR("127.0.0.1:4"));
    UNIT_INT(h.env.recipients[1].via, PN_VIA_LOCAL);
    UNIT_STR(h.env.recipients[1].user, PN_STR("v@here.test"));
    UNIT_STR(h.env.recipients[1].folder, PN_STR(""));
    UNIT_INT(h.env.recipients[2].hand, PN_HAND_JUNK);
    UNIT_STR(h.env.recipients[2].folder, PN_STR("Junk"));
    const struct pn_edit_group *good = &h.env.groups[h.env.recipients[0].group];
    const struct pn_edit_group *junk = &h.env.groups[h.env.recipients[2].group];
    UNIT_STR(good->edits[0].name, PN_STR("Received"));
    UNIT_TRUE(has(good->edits[0].value, "from c.test") && has(good->edits[0].value, "ESMTP"));
    UNIT_TRUE(!has_edit(good, "X-Spam-Flag") && has_edit(junk, "X-Spam-Flag"));
    answer_take(&h, 250, "2.0.0 Queued");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT("\"event\":\"message\"", "\"outcome\":\"junk\"", "\"from\":\"A@b.test\"",
                 "\"size\":24", "\"reply\":\"250 2.0.0");
    /* Another one in the session, and the queue does not take it. */
    begin_mail(&c, "", "u@next.test");
    say(&c, PN_STR(".\r\n"));
    take_over(&h, QUEUE);
    UNIT_INT(h.content.len, 0);
    UNIT_STR(h.env.reverse_path, PN_STR(""));
    UNIT_INT(h.env.group_count, 1);
    answer_take(&h, 452, "4.3.1 Full");
    expect(&c, "452 4.3.1");
    let_go(&h);
    EXPECT_EVENT("\"reply\":\"452 4.3.1 Full\"", "\"outcome\":\"defer\"", "\"ptr\":null",
                 "could not be kept");
    /* The queue goes away while we wait; then there is none. */
    begin_mail(&c, "a@b.test", "u@next.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, QUEUE);
    let_go(&h);
    (void)shutdown(fx.rig.peers[QUEUE], SHUT_RDWR);
    expect(&c, "451 4.3.0");
    begin_mail(&c, "a@b.test", "u@next.test");
    ask(&c, "x\r\n.", "451 4.3.0");
    ask(&c, "QUIT", "221 2.0.0");
    expect(&c, "");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_mailbox(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    begin_mail(&c, "a@b.test", "V@here.test");
    say(&c, PN_STR("Message-ID: <1@x>\r\n\r\nhi\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_STR(h.deliver.user, PN_STR("v@here.test"));
    UNIT_STR(h.deliver.recipient, PN_STR("V@here.test"));
    UNIT_STR(h.deliver.reverse_path, PN_STR("a@b.test"));
    UNIT_STR(h.content, PN_STR("Message-ID: <1@x>\r\n\r\nhi\r\n"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT("\"outcome\":\"accept\"", "\"message_id\":\"<1@x>\"");
    /* It can't now: the journal takes it, and that is as good. */
    begin_mail(&c, "a@b.test", "w@junk.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_STR(h.deliver.folder, PN_STR("Junk"));
    answer_delivery(&h, 451, "4.3.0 Later");
    let_go(&h);
    take_over(&h, QUEUE);
    UNIT_INT(h.env.recipients[0].hand, PN_HAND_JUNK);
    answer_take(&h, 250, "2.0.0 Queued");
    expect(&c, "250 2.0.0");
    let_go(&h);
    /* It never will. */
    begin_mail(&c, "a@b.test", "v@here.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    answer_delivery(&h, 552, "5.2.2 Mailbox full");
    expect(&c, "552 5.2.2");
    let_go(&h);
    /* Nobody answers any more: the journal. */
    begin_mail(&c, "a@b.test", "v@here.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    let_go(&h);
    (void)shutdown(fx.rig.peers[MAILBOX], SHUT_RDWR);
    take_over(&h, QUEUE);
    answer_take(&h, 250, "2.0.0 Queued");
    expect(&c, "250 2.0.0");
    let_go(&h);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_refusals(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "EHLO another.test", "250"); /* ends it, and is no part of it */
    EXPECT_EVENT("\"helo\":\"c.test\"", "\"outcome\":\"reject\"",
                 "\"reply\":\"550 5.7.1 Not from you\"", "\"to\":[]",
                 "\"refused\":[{\"address\":\"u@deny.test\",\"reply\":\"550 5.7.1 Not from "
                 "you\",\"index\":0}]");
    /* One is refused, another is not: the envelope that goes on has the other. */
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "RCPT TO:<u@here.test>", "250 2.1.5");
    ask(&c, "DATA", "354");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_STR(h.deliver.recipient, PN_STR("u@here.test"));
    UNIT_TRUE(has(h.deliver.edits.edits[0].value, "for <u@here.test>"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT("\"outcome\":\"accept\"", "\"to\":[\"u@here.test\"]",
                 "\"refused\":[{\"address\":\"u@deny.test\"",
                 "\"recipients\":[{\"address\":\"u@here.test\"");
    begin_mail(&c, "a@b.test", "u@here.test");
    ask(&c, "a\rb\r\n.", "550 5.6.0");
    EXPECT_EVENT("\"event\":\"refused\"", "bare CR");
    /* A message that has been everywhere. */
    begin_mail(&c, "a@b.test", "u@here.test");
    for (unsigned i = 0; i < 101; i++)
        say(&c, PN_STR("Received: from a by b; now\r\n"));
    ask(&c, "\r\nx\r\n.", "554 5.4.6");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* At the limit of size it passes, one octet more is refused for good. */
static void test_size(void)
{
    static char big[70000];
    struct client c;
    struct handed h;
    up("}\nlimits { message-size 64k }\n");
    dial(&c, PLAIN);
    greet(&c);
    memset(big, 'x', sizeof big);
    for (size_t i = 98; i < sizeof big; i += 100)
        memcpy(big + i, "\r\n", 2);
    for (unsigned over = 0; over < 2; over++) {
        size_t len = 65536 - 2 + over;
        begin_mail(&c, "a@b.test", "u@here.test");
        say(&c, (struct pn_str){big, len - len % 100});
        say(&c, (struct pn_str){big, len % 100});
        say(&c, PN_STR("\r\n.\r\nNOOP\r\n"));
        if (!over) {
            take_over(&h, MAILBOX);
            UNIT_INT(h.content.len, 65536);
            answer_delivery(&h, 250, "2.0.0 Done");
            let_go(&h);
        }
        expect(&c, over ? "552 5.3.4" : "250 2.0.0");
        expect(&c, "250 2.0.0");
    }
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The queue gives a file, written through one descriptor only. */
static int give_file(uint64_t number)
{
    struct pn_record record;
    struct pn_buf b;
    struct pn_content_want want = {0};
    int fds[2] = {-1, -1};
    pn_buf_init(&b, PN_RECORD_MAX);
    if (role_rig_recv(&fx.rig, QUEUE, &record, &b))
        UNIT_TRUE(record.type == PN_REC_WANT_CONTENT_FILE &&
                  pn_content_want_get(record.body, &want));
    struct pn_content_file answer = {want.token, number, {250, PN_STR("2.0.0 Ok")}};
    if (number == 0) {
        answer.reply = (struct pn_reply){452, PN_STR("4.3.1 Full")};
    } else {
        fds[0] = openat(fx.rig.folder, "file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        fds[1] = openat(fx.rig.folder, "file", O_RDONLY | O_CLOEXEC);
        UNIT_INT(unlinkat(fx.rig.folder, "file", 0), 0);
    }
    pn_buf_clear(&b);
    pn_content_file_put(&b, &answer);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[QUEUE], PN_REC_CONTENT_FILE, pn_buf_str(&b), fds,
                                number == 0 ? 0 : 2),
             0);
    pn_buf_fini(&b);
    if (number != 0)
        (void)close(fds[0]);
    return fds[1];
}

static void expect_drop(uint64_t number)
{
    struct pn_record record;
    struct pn_buf b;
    struct pn_content_file drop = {0};
    pn_buf_init(&b, PN_RECORD_MAX);
    if (role_rig_recv(&fx.rig, QUEUE, &record, &b))
        UNIT_TRUE(record.type == PN_REC_DROP_CONTENT_FILE &&
                  pn_content_file_get(record.body, &drop));
    UNIT_INT(drop.file, number);
    pn_buf_fini(&b);
}

/* TAKE with a content file brings no descriptor: the content is read from `file`. */
static void take_large(int file, uint64_t number, struct pn_str want, uint16_t code,
                       const char *text)
{
    struct handed h = {.pool = pn_pool_new(1 << 20)};
    struct pn_record record;
    struct pn_str view;
    pn_buf_init(&h.buf, PN_RECORD_MAX);
    if (role_rig_recv(&fx.rig, QUEUE, &record, &h.buf)) {
        UNIT_TRUE(record.type == PN_REC_TAKE && pn_handover_open(&record, &h.handover) &&
                  h.handover.content_fd == -1 && pn_envelope_get(h.handover.body, h.pool, &h.env));
        UNIT_INT(h.env.flags, PN_ENV_CONTENT_FILE);
        UNIT_INT(h.env.content_file, number);
        UNIT_INT(h.env.size, want.len);
        UNIT_INT(pn_map_fd(file, false, &view), 0);
        UNIT_TRUE(pn_str_eq(view, want));
        pn_unmap(&view);
        answer_take(&h, code, text);
        pn_handover_close(&h.handover);
    }
    pn_buf_fini(&h.buf);
    pn_pool_free(&h.pool);
    (void)close(file);
}

/* Until the edge works by a policy that has no such user any more. */
static void ask_until_new(struct client *c)
{
    bool there = false;
    for (unsigned i = 0; i < 500 && !there; i++) {
        ask(c, "MAIL FROM:<>", "250 2.1.0");
        say(c, PN_STR("RCPT TO:<u@old.test>\r\n"));
        there = !pn_str_eq(hear(c), PN_STR("250 2.1.5"));
        ask(c, "RSET", "250 2.0.0");
    }
    UNIT_TRUE(there);
}

/* Roles that stand still: what the mailbox does not answer the queue gets, what the queue
 * does not answer the client hears; their answers may come when nobody waits any more. */
static void test_frozen(void)
{
    struct client c;
    struct handed to_mailbox, to_queue;
    struct pn_buf b;
    up("}\ntimeouts { handover 100ms }\n"
       "domain \"old.test\" { recipients any  route local }\n");
    dial(&c, PLAIN);
    greet(&c);
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, PN_STR("A: b\r\n\r\nc\r\n.\r\n"));
    take_over(&to_mailbox, MAILBOX);
    take_over(&to_queue, QUEUE);
    expect(&c, "451 4.3.0");
    (void)close(fx.rig.policy_fd);
    kit_close(&fx.kit);
    compile("}"); /* from here on there is time enough */
    pn_buf_init(&b, PN_RECORD_MAX);
    send_generation(&b);
    pn_u32_put(&b, 2);
    send_body(PN_REC_POLICY, &b, fx.rig.policy_fd);
    pn_buf_fini(&b);
    answer_delivery(&to_mailbox, 250, "2.0.0 Done"); /* both, later */
    answer_take(&to_queue, 250, "2.0.0 Queued");
    let_go(&to_mailbox);
    let_go(&to_queue);
    unit_row("all goes on");
    ask_until_new(&c);
    for (int i = 0; i < 2; i++) {
        struct handed h;
        begin_mail(&c, "a@b.test", i == 0 ? "u@next.test" : "u@here.test");
        say(&c, PN_STR("A: b\r\n\r\nc\r\n.\r\n"));
        take_over(&h, i == 0 ? QUEUE : MAILBOX);
        if (i == 0)
            answer_take(&h, 250, "2.0.0 Queued");
        else
            answer_delivery(&h, 250, "2.0.0 Done");
        let_go(&h);
        expect(&c, "250 2.0.0");
    }
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_large(void)
{
    static char big[500 * 1024];
    struct client c;
    struct handed h;
    up("}\nlimits { memory-size 64k  message-size 1m }\n");
    dial(&c, PLAIN);
    greet(&c);
    memset(big, 'x', sizeof big);
    for (size_t i = 98; i + 1 < sizeof big; i += 100)
        memcpy(big + i, "\r\n", 2);
    memcpy(big + sizeof big - 2, "\r\n", 2);
    const struct pn_str content = {big, sizeof big};
    /* Not declared: asked for on the way, and what was in memory goes there first. */
    begin_mail(&c, "a@b.test", "u@next.test");
    say(&c, content);
    say(&c, PN_STR(".\r\n"));
    int file = give_file(5);
    take_large(file, 5, content, 250, "2.0.0 Queued");
    expect(&c, "250 2.0.0");
    /* Declared: asked for before DATA is answered. The queue does not take it. */
    ask(&c, "MAIL FROM:<a@b.test> SIZE=500000", "250 2.1.0");
    ask(&c, "RCPT TO:<u@next.test>", "250 2.1.5");
    say(&c, PN_STR("DATA\r\n"));
    file = give_file(6);
    expect(&c, "354");
    say(&c, content);
    say(&c, PN_STR(".\r\n"));
    take_large(file, 6, content, 451, "4.3.0 Later");
    expect(&c, "451 4.3.0");
    expect_drop(6);
    /* To a mailbox: read from the file, which then goes back. */
    ask(&c, "MAIL FROM:<a@b.test> SIZE=500000", "250 2.1.0");
    ask(&c, "RCPT TO:<u@here.test>", "250 2.1.5");
    say(&c, PN_STR("BDAT 512000 LAST\r\n"));
    say(&c, content);
    file = give_file(7);
    (void)close(file);
    take_over(&h, MAILBOX);
    UNIT_TRUE(pn_str_eq(h.content, content));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    expect_drop(7);
    /* There is none: refused at DATA, or behind the content. */
    ask(&c, "MAIL FROM:<a@b.test> SIZE=500000", "250 2.1.0");
    ask(&c, "RCPT TO:<u@here.test>", "250 2.1.5");
    say(&c, PN_STR("DATA\r\n"));
    (void)give_file(0);
    expect(&c, "452 4.3.1");
    ask(&c, "RSET", "250 2.0.0");
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, content);
    say(&c, PN_STR(".\r\n"));
    (void)give_file(0);
    expect(&c, "452 4.3.1");
    /* The client goes while a file is on its way: it goes back. */
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, pn_str_slice(content, 0, 200000));
    (void)poll(NULL, 0, 20);
    hang_up(&c);
    (void)poll(NULL, 0, 20);
    (void)close(give_file(8));
    expect_drop(8);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* A new policy: every transaction that begins has it, those begun keep theirs. A bad
 * one stays out. */
static void test_reload(void)
{
    struct client old, busy, c;
    struct pn_buf b;
    up("}");
    pn_buf_init(&b, PN_RECORD_MAX);
    dial(&old, PLAIN);
    greet(&old);
    dial(&busy, PLAIN);
    greet(&busy);
    ask(&busy, "MAIL FROM:<>", "250 2.1.0");
    (void)close(fx.rig.policy_fd);
    kit_close(&fx.kit);
    compile(
        "}\nlimits { message-size 70000 }\ndomain \"new.test\" { recipients any  route local }\n");
    send_generation(&b);
    pn_u32_put(&b, 2);
    send_body(PN_REC_POLICY, &b, fx.rig.policy_fd);
    bool there = false;
    for (unsigned i = 0; i < 500 && !there; i++) {
        dial(&c, PLAIN);
        greet(&c);
        ask(&c, "MAIL FROM:<>", "250 2.1.0");
        say(&c, PN_STR("RCPT TO:<u@new.test>\r\n"));
        there = pn_str_eq(hear(&c), PN_STR("250 2.1.5"));
        hang_up(&c);
    }
    UNIT_TRUE(there);
    ask(&busy, "RCPT TO:<u@new.test>", "550 5.7.1");
    ask(&busy, "RSET", "250 2.0.0");
    for (unsigned i = 0; i < 2; i++) {
        struct client *any = i == 0 ? &old : &busy;
        ask(any, "MAIL FROM:<>", "250 2.1.0");
        ask(any, "RCPT TO:<u@new.test>", "250 2.1.5");
        ask(any, "RSET", "250 2.0.0");
        ask(any, "MAIL FROM:<> SIZE=80000", "552 5.3.4");
        hang_up(any);
    }
    int junk = pn_memfile_of("policy", PN_STR("junk"));
    send_generation(&b);
    pn_u32_put(&b, 3);
    send_body(PN_REC_POLICY, &b, junk);
    (void)close(junk);
    (void)poll(NULL, 0, 50);
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@new.test>", "250 2.1.5");
    hang_up(&c);
    pn_buf_fini(&b);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* A stop: who is idle is told, who is in the middle finishes, then the role ends. */
static void test_drain(void)
{
    struct client idle, busy, late;
    struct handed h;
    struct pn_buf b;
    int status = -1;
    up("}");
    dial(&idle, PLAIN);
    greet(&idle);
    dial(&late, PROXIED); /* nothing is known of it yet */
    dial(&busy, PLAIN);
    greet(&busy);
    begin_mail(&busy, "a@b.test", "u@here.test");
    pn_buf_init(&b, 100);
    pn_u32_put(&b, 10000);
    send_body(PN_REC_DRAIN, &b, -1);
    pn_buf_fini(&b);
    expect(&idle, "421 4.3.2");
    expect(&idle, "");
    expect(&late, "");
    say(&busy, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&busy, "250 2.0.0");
    expect(&busy, "421 4.3.2");
    expect(&busy, "");
    let_go(&h);
    hang_up(&idle);
    hang_up(&late);
    hang_up(&busy);
    UNIT_INT(waitpid(fx.rig.pid, &status, 0), fx.rig.pid);
    UNIT_INT(status, 0);
    fx.rig.pid = 0;
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"queue", test_queue},   {"mailbox", test_mailbox}, {"refusals", test_refusals},
        {"size", test_size},     {"large", test_large},     {"reload", test_reload},
        {"frozen", test_frozen}, {"drain", test_drain},     {NULL, NULL},
    };
    return unit_main("edge", tests, argc, argv);
}

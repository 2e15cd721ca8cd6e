/* What the edge role bounds: sessions, rates, what is in flight. */
#include "edge_rig.h"

#include "limit_table.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_limits(void)
{
    struct client c[4];
    up("}\nlimits { sessions-per-address 2  sessions-per-network 3  messages-per-minute 1 }\n");
    from_client(&c[0], "192.0.2.1");
    expect(&c[0], "220");
    from_client(&c[1], "192.0.2.1");
    expect(&c[1], "220");
    from_client(&c[2], "192.0.2.1");
    expect(&c[2], "421 4.7.0");
    EXPECT_EVENT("\"event\":\"limited\"", "sessions per address", "\"ip\":\"192.0.2.1\"");
    hang_up(&c[2]);
    from_client(&c[2], "192.0.2.2");
    expect(&c[2], "220");
    from_client(&c[3], "192.0.2.3");
    expect(&c[3], "421 4.7.0");
    hang_up(&c[3]);
    from_client(&c[3], "198.51.100.1");
    expect(&c[3], "220");
    hang_up(&c[3]);
    /* A place is free when a session ends. */
    ask(&c[1], "QUIT", "221 2.0.0");
    expect(&c[1], "");
    hang_up(&c[1]);
    from_client(&c[1], "192.0.2.1");
    expect(&c[1], "220");
    ask(&c[0], "EHLO c.test", "250");
    ask(&c[0], "MAIL FROM:<>", "250 2.1.0");
    ask(&c[0], "RSET", "250 2.0.0");
    ask(&c[0], "MAIL FROM:<>", "451 4.7.1");
    for (unsigned i = 0; i < 3; i++)
        hang_up(&c[i]);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* By address, then by network, whether they are known here or not. */
static void test_recipients(void)
{
    struct client a, b, far;
    up("}\nlimits { recipients-per-minute 2  recipients-per-minute-network 3 }\n");
    from_client(&a, "192.0.2.1");
    greet(&a);
    ask(&a, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&a, "RCPT TO:<u@here.test>", "250 2.1.5");
    ask(&a, "RCPT TO:<u@elsewhere.test>", "550 5.7.1");
    ask(&a, "RCPT TO:<v@here.test>", "451 4.7.1");
    EXPECT_EVENT("\"event\":\"limited\"", "rate per address", "\"ip\":\"192.0.2.1\"");
    ask(&a, "RSET", "250 2.0.0");
    ask(&a, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&a, "RCPT TO:<u@here.test>", "451 4.7.1");
    from_client(&b, "192.0.2.2");
    greet(&b);
    ask(&b, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&b, "RCPT TO:<u@here.test>", "250 2.1.5");
    ask(&b, "RCPT TO:<v@here.test>", "451 4.7.1");
    from_client(&far, "198.51.100.1");
    greet(&far);
    ask(&far, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&far, "RCPT TO:<u@here.test>", "250 2.1.5");
    hang_up(&a);
    hang_up(&b);
    hang_up(&far);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Recipients that are not taken cost memory as well. */
static void test_turned_away(void)
{
    struct client c;
    up("}\nlimits { recipients 5  errors 1000 }\n");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    for (unsigned i = 0; i < 105; i++)
        ask(&c, "RCPT TO:<u@elsewhere.test>", "550 5.7.1");
    ask(&c, "RCPT TO:<u@elsewhere.test>", "452 4.5.3");
    ask(&c, "RSET", "250 2.0.0");
    EXPECT_EVENT("\"event\":\"message\"",
                 "\"to\":[],\"refused\":[{\"address\":\"u@elsewhere.test\"", "\"refused_more\":55}",
                 "\"outcome\":\"reject\"", "refused at RCPT");
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@here.test>", "250 2.1.5");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Who reads the log of a message that was taken sees who else was tried. */
static void test_turned_away_named(void)
{
    struct client c;
    struct handed h;
    up("}\n");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@elsewhere.test>", "550 5.7.1");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "RCPT TO:<u@[192.0.2.1]>", "550 5.1.2");
    ask(&c, "RCPT TO:<u@here.test>", "250 2.1.5");
    ask(&c, "DATA", "354");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT(
        "\"to\":[\"u@here.test\"],\"refused\":[{\"address\":\"u@deny.test\",\"reply\":\"550 "
        "5.7.1 Not from you\",\"index\":0},{\"address\":\"u@elsewhere.test\",\"reply\":\"550 5.7.1",
        "{\"address\":\"u@[192.0.2.1]\",\"reply\":\"550 5.1.2");
    /* None but these: it is told when the transaction ends, however it does. */
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<v@elsewhere.test>", "550 5.7.1");
    hang_up(&c);
    EXPECT_EVENT("\"to\":[],\"refused\":[{\"address\":\"v@elsewhere.test\"",
                 "\"outcome\":\"reject\",\"reply\":\"550 5.7.1");
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The queue says whether its disk has room. */
static void tell_room(uint32_t room)
{
    struct pn_buf b;
    pn_buf_init(&b, 16);
    pn_u32_put(&b, room);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[QUEUE], PN_REC_ROOM, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
    (void)poll(NULL, 0, 20);
}

static void test_caps(void)
{
    struct client a, b, c;
    up("}\nlimits { sessions 2  messages-in-flight 1 }\n");
    dial(&a, PLAIN);
    greet(&a);
    dial(&b, PLAIN);
    greet(&b);
    dial(&c, PLAIN);
    expect(&c, "421 4.3.2");
    hang_up(&c);
    ask(&a, "MAIL FROM:<>", "250 2.1.0");
    ask(&b, "MAIL FROM:<>", "451 4.3.2");
    ask(&a, "RSET", "250 2.0.0");
    tell_room(0);
    ask(&b, "MAIL FROM:<>", "452 4.3.1");
    tell_room(1);
    ask(&b, "MAIL FROM:<>", "250 2.1.0");
    hang_up(&b); /* gone in the middle: its place is free */
    (void)poll(NULL, 0, 20);
    ask(&a, "MAIL FROM:<>", "250 2.1.0");
    hang_up(&a);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Waits until so many bytes are counted; what it takes is no matter. */
static void wait_bytes(uint64_t least, uint64_t most)
{
    struct pn_limits *limits = pn_limits_open(fx.limits, PN_LIMITS_EDGES_MAX - 1);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 6000; i++) {
        sum = pn_cap_sum(limits, PN_CAP_BYTES);
        if (sum >= least && sum <= most)
            break;
        (void)poll(NULL, 0, 5);
    }
    UNIT_TRUE(sum >= least && sum <= most);
    pn_limits_close(&limits);
}

static void say_lines(struct client *c, unsigned count)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < count; i++)
        (void)pn_buf_addz(&b, "sixteen bytes. \r\n");
    say(c, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* Contents under way, of all together; a session that goes gives its share back. */
static void test_bytes(void)
{
    enum { LINES = 40000, LINE = 17 };
    struct client a, b;
    struct handed h;
    up("}\nlimits { bytes-in-flight 1m }\n");
    dial(&a, PLAIN);
    greet(&a);
    begin_mail(&a, "a@b.test", "u@here.test");
    say_lines(&a, LINES);
    wait_bytes(LINES * LINE, UINT64_MAX);
    dial(&b, PLAIN);
    greet(&b);
    begin_mail(&b, "a@b.test", "u@here.test");
    say_lines(&b, LINES);
    ask(&b, ".", "452 4.3.1");
    wait_bytes(LINES * LINE, 1024 * 1024);
    hang_up(&a);
    wait_bytes(0, 0);
    begin_mail(&b, "a@b.test", "u@here.test");
    say_lines(&b, LINES);
    say(&b, PN_STR(".\r\n"));
    take_over(&h, MAILBOX);
    UNIT_INT(h.content.len, LINES * LINE);
    answer_delivery(&h, 250, "2.0.0 Ok");
    let_go(&h);
    expect(&b, "250 2.0.0");
    hang_up(&b);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* ---- a client that does not read ---- */

enum { HELPS = 60000 };

/* Sends until the server takes no more for so long, or all is sent; how many bytes. */
static size_t flood(struct client *c, struct pn_str all, size_t sent, int ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    while (sent < all.len && poll(&p, 1, ms) > 0) {
        ssize_t n = send(c->fd, all.p + sent, all.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        UNIT_TRUE(n > 0 || errno == EAGAIN);
        if (n < 0 && errno != EAGAIN)
            return all.len;
        sent += n > 0 ? (size_t)n : 0;
    }
    return sent;
}

/* Its replies are counted, and beyond a little it is not read either; once it reads, all
 * of them are there. */
static void test_unread(void)
{
    struct client c;
    struct pn_buf all;
    size_t heard = 0;
    up("}\nlimits { errors 10000 }\n");
    struct pn_limits *limits = pn_limits_open(fx.limits, PN_LIMITS_EDGES_MAX - 1);
    pn_buf_init(&all, 1 << 20);
    for (unsigned i = 0; i < HELPS; i++)
        (void)pn_buf_addz(&all, "HELP\r\n");
    dial(&c, PLAIN);
    greet(&c);
    (void)setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    size_t sent = flood(&c, pn_buf_str(&all), 0, 300);
    uint64_t held = 0;
    for (unsigned i = 0; i < 1000 && held == 0; i++) {
        (void)poll(NULL, 0, 5);
        held = pn_cap_sum(limits, PN_CAP_BYTES);
    }
    UNIT_TRUE(held > 4096 && held < 128 * 1024);
    while (heard < HELPS) {
        struct pn_str reply = hear(&c);
        UNIT_STR(reply, PN_STR("214 2.0.0"));
        if (!pn_str_eq(reply, PN_STR("214 2.0.0")))
            break;
        heard++;
        if (sent < all.len)
            sent = flood(&c, pn_buf_str(&all), sent, 0);
    }
    ask(&c, "NOOP", "250 2.0.0");
    UNIT_INT(pn_cap_sum(limits, PN_CAP_BYTES), 0);
    hang_up(&c);
    pn_buf_fini(&all);
    pn_limits_close(&limits);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"limits", test_limits},
        {"recipients", test_recipients},
        {"turned_away", test_turned_away},
        {"turned_away_named", test_turned_away_named},
        {"caps", test_caps},
        {"bytes", test_bytes},
        {"unread", test_unread},
        {NULL, NULL},
    };
    return unit_main("edge_limits", tests, argc, argv);
}

/* What the edge role bounds: sessions, rates, what is in flight. */
#include "edge_rig.h"

#include "limit_table.h"

#include <poll.h>
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

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"limits", test_limits},
        {"caps", test_caps},
        {NULL, NULL},
    };
    return unit_main("edge_limits", tests, argc, argv);
}

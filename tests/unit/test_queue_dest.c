/* The queue role and its `destination` blocks: where mail goes by them, and how. */
#include "hop_rig.h"
#include "unit.h"

#include <stdio.h>

static void serve_one(struct hop_server *s, const char *rcpt)
{
    hop_expect(s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    hop_expect(s, rcpt, "250 ok\r\n");
    hop_expect(s, "DATA", "354 go\r\n");
    (void)hop_hear(s, true);
    hop_say(s, "250 ok\r\n");
}

/* Strangers' mail goes by the smarthost, whatever the domain, over one connection; a domain of
 * its own block goes by MX all the same, and one that policy gave a route by that. */
static void test_smarthost(void)
{
    struct role_rig rig;
    struct hop_server smart, own;
    char conf[300];
    hop_server_init(&smart);
    hop_server_init(&own);
    (void)snprintf(conf, sizeof conf,
                   "smtp { hostname localhost }\n"
                   "destination \"*\" { route smtp \"%s\" }\n"
                   "destination \"direct.test\" { route mx }",
                   smart.name);
    hop_rig_up(&rig, conf);
    struct pn_recipient a = {
        .address = PN_STR("u@a.test"), .via = PN_VIA_MX, .next_hop = PN_STR("a.test")};
    struct pn_recipient b = {
        .address = PN_STR("u@b.test"), .via = PN_VIA_MX, .next_hop = PN_STR("b.test")};
    struct pn_recipient direct = {
        .address = PN_STR("u@direct.test"), .via = PN_VIA_MX, .next_hop = PN_STR("direct.test")};
    struct pn_recipient routed = hop_rig_to(&own, "u@dest.test");
    hop_rig_take(&rig, 1, "s@from.test", 0, &a, 1);
    hop_greet(&smart);
    hop_expect_ehlo(&smart);
    serve_one(&smart, "RCPT TO:<u@a.test>");
    hop_rig_take(&rig, 2, "s@from.test", 0, &b, 1);
    serve_one(&smart, "RCPT TO:<u@b.test>");
    hop_rig_take(&rig, 3, "s@from.test", 0, &routed, 1);
    hop_greet(&own);
    hop_expect_ehlo(&own);
    serve_one(&own, "RCPT TO:<u@dest.test>");
    hop_rig_take(&rig, 4, "s@from.test", 0, &direct, 1);
    hop_rig_resolve(&rig, "direct.test", PN_DNS_MX, PN_DNS_SERVFAIL, (struct pn_str){NULL, 0});
    queue_rig_wait_list(&rig, ADMIN, false, "\"count\":1", true);
    role_rig_fini(&rig);
    hop_server_fini(&own);
    hop_server_fini(&smart);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"smarthost", test_smarthost}, {NULL, NULL}};
    return unit_main("queue_dest", tests, argc, argv);
}

/* The queue role and its `destination` blocks: where mail goes by them, and how. */
#include "hop_rig.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

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

static void rig_up_for(struct role_rig *rig, const struct hop_server *s, const char *queue,
                       const char *destination)
{
    char conf[400];
    (void)snprintf(conf, sizeof conf,
                   "smtp { hostname localhost }\nqueue { %s }\n"
                   "destination \"*\" { route smtp \"%s\" }\n"
                   "destination \"dest.test\" { %s }",
                   queue, s->name, destination);
    hop_rig_up(rig, conf);
}

static struct pn_recipient mx(const char *address, const char *domain)
{
    return (struct pn_recipient){
        .address = pn_str_of(address), .via = PN_VIA_MX, .next_hop = pn_str_of(domain)};
}

/* Three sessions broken off in a row: it is left alone, and says of itself why. */
static void test_broken(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    rig_up_for(&rig, &s, "retry 1h", "tls off");
    for (uint64_t i = 1; i <= 3; i++) {
        struct pn_recipient to = mx("u@a.test", "a.test");
        hop_rig_take(&rig, i, "s@from.test", 0, &to, 1);
        hop_greet(&s);
        hop_expect_ehlo(&s);
        hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "421 4.3.2 too busy\r\n");
        hop_closed(&s);
    }
    struct pn_recipient to = mx("u@b.test", "b.test");
    hop_rig_take(&rig, 4, "s@from.test", 0, &to, 1);
    queue_rig_wait_list(&rig, ADMIN, false, "\"reply\":\"451 4.3.2 too busy\"", true);
    UNIT_TRUE(!hop_readable(s.listener, 150));
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* What is beyond the rate waits, and is no try. */
static void test_rate(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    char conf[300];
    (void)snprintf(conf, sizeof conf,
                   "smtp { hostname localhost }\n"
                   "destination \"*\" { route smtp \"%s\"  rate 2 per 1h }",
                   s.name);
    hop_rig_up(&rig, conf);
    struct pn_recipient to[2] = {mx("u@a.test", "a.test"), mx("v@a.test", "a.test")};
    hop_rig_take(&rig, 1, "s@from.test", 0, to, 2);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    serve_one(&s, "RCPT TO:<u@a.test>");
    UNIT_TRUE(!hop_readable(s.fd, 150));
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* Two next hops in one network that may have one connection: the second waits for the first
 * one's to go, and that goes because it waits. */
static void test_network(void)
{
    struct role_rig rig;
    struct hop_server one, two;
    hop_server_init(&one);
    hop_server_init(&two);
    hop_rig_up(&rig, "smtp { hostname localhost }\nqueue { connections-per-network 1  idle 5m }");
    struct pn_recipient to = hop_rig_to(&one, "u@one.test");
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    hop_greet(&one);
    hop_expect_ehlo(&one);
    to = hop_rig_to(&two, "u@two.test");
    hop_rig_take(&rig, 2, "s@from.test", 0, &to, 1);
    UNIT_TRUE(!hop_readable(two.listener, 150));
    serve_one(&one, "RCPT TO:<u@one.test>");
    hop_expect(&one, "QUIT", "221 bye\r\n");
    hop_closed(&one);
    hop_greet(&two);
    hop_expect_ehlo(&two);
    serve_one(&two, "RCPT TO:<u@two.test>");
    role_rig_fini(&rig);
    hop_server_fini(&one);
    hop_server_fini(&two);
}

/* One of a message's recipients is with a server that does not answer: the other, who was put
 * off, is tried again meanwhile. */
static void test_again(void)
{
    struct role_rig rig;
    struct hop_server slow, busy;
    hop_server_init(&slow);
    hop_server_init(&busy);
    hop_rig_up(&rig, "smtp { hostname localhost }\nqueue { retry 100ms }");
    struct pn_recipient to[2] = {hop_rig_to(&slow, "u@slow.test"),
                                 hop_rig_to(&busy, "u@busy.test")};
    hop_rig_take(&rig, 1, "s@from.test", 0, to, 2);
    hop_greet(&slow);
    hop_expect_ehlo(&slow);
    hop_greet(&busy);
    hop_expect_ehlo(&busy);
    hop_expect(&busy, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    hop_expect(&busy, "RCPT TO:<u@busy.test>", "451 4.7.1 greylisted\r\n");
    hop_expect(&busy, "RSET", "250 ok\r\n");
    serve_one(&busy, "RCPT TO:<u@busy.test>");
    hop_expect(&slow, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    role_rig_fini(&rig);
    hop_server_fini(&slow);
    hop_server_fini(&busy);
}

/* What the operator is told of suppressed recipients has these words. */
static void suppressed(struct role_rig *rig, uint64_t token, const char *words, const char *want)
{
    struct pn_buf lines;
    pn_buf_init(&lines, 10000);
    queue_rig_ask_words(rig, ADMIN, token, words);
    queue_rig_answer(rig, ADMIN, token, &lines);
    UNIT_TRUE(queue_rig_says(&lines, want));
    pn_buf_fini(&lines);
}

/* Who is not there is not asked for a second time, until the operator says so. */
static void test_suppressed(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    rig_up_for(&rig, &s, "idle 5m", "tls off");
    struct pn_recipient to = mx("u@a.test", "a.test");
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    hop_expect(&s, "RCPT TO:<u@a.test>", "550 5.1.1 nobody\r\n");
    queue_rig_wait_list(&rig, ADMIN, true, "\"count\":1", true);
    hop_rig_take(&rig, 2, "s@from.test", 0, &to, 1);
    queue_rig_wait_list(&rig, ADMIN, true, "\"count\":2", true);
    suppressed(&rig, 100, "suppress list", "\"recipient\":\"u@a.test\"");
    suppressed(&rig, 101, "suppress frobnicate", "suppress expects list");
    suppressed(&rig, 102, "suppress remove u@a.test x@a.test", "\"failed\":1");
    suppressed(&rig, 103, "suppress list", "\"count\":0");
    hop_rig_take(&rig, 3, "s@from.test", 0, &to, 1);
    hop_expect(&s, "RSET", "250 ok\r\n");
    serve_one(&s, "RCPT TO:<u@a.test>");
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* What is older than mail gets, but finds the line full, has its turn all the same: after a
 * thaw that may be many. Whoever is alone in sending has half of the line, 125 parcels. */
static void test_line_full(void)
{
    enum { MESSAGES = 140 };
    struct role_rig rig;
    struct hop_server s;
    const struct timespec patience = {1, 200 * 1000 * 1000};
    hop_server_init(&s);
    hop_rig_up(&rig, "smtp { hostname localhost }\nqueue { expire 1s }");
    (void)nanosleep(&patience, NULL); /* what is not tried would expire by now */
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        struct pn_edit_group none = {0};
        struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
        const struct pn_envelope env = {.id = i,
                                        .arrived_ms = 1,
                                        .size = hop_rig_usual.len,
                                        .reverse_path = PN_STR("s@from.test"),
                                        .group_count = 1,
                                        .groups = &none,
                                        .recipient_count = 1,
                                        .recipients = &to};
        UNIT_INT(queue_rig_offer(&rig, EDGE, &env, hop_rig_usual), 250);
    }
    queue_rig_wait_list(&rig, ADMIN, false, "many wait for that next hop", true);
    queue_rig_wait_list(&rig, ADMIN, false, "\"count\":140", true);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* A reply a byte at a time is waited for no longer than another. */
static void test_drips(void)
{
    enum { DRIPS = 200 };
    struct role_rig rig;
    struct hop_server s;
    const struct timespec some = {0, 30 * 1000 * 1000};
    int drips = 0;
    hop_server_init(&s);
    hop_rig_up(&rig, "smtp { hostname localhost }\n"
                     "timeouts { next-hop { greeting 300ms  hello 300ms } }");
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    hop_greet(&s);
    UNIT_TRUE(pn_str_starts(hop_hear(&s, false), PN_STR("EHLO ")));
    hop_say(&s, "250-");
    for (; drips < DRIPS && !hop_readable(s.fd, 0); drips++) {
        hop_say(&s, "x");
        (void)nanosleep(&some, NULL);
    }
    UNIT_TRUE(drips < DRIPS);
    queue_rig_wait_list(&rig, ADMIN, false, "while waiting for the reply to EHLO", true);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

static size_t descriptors(const struct role_rig *rig)
{
    char path[64];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)rig->pid);
    DIR *folder = opendir(path);
    UNIT_TRUE(folder != NULL);
    while (folder != NULL && readdir(folder) != NULL)
        n++;
    if (folder != NULL)
        (void)closedir(folder);
    return n;
}

/* Where tries follow each other quickly a frozen one is not looked at again at once, and for
 * ever: it rests, and lets go of its content. */
static void test_frozen_rests(void)
{
    struct role_rig rig;
    struct pn_buf lines;
    pn_buf_init(&lines, 100000);
    hop_rig_up(&rig, "smtp { hostname localhost }\nqueue { retry 100ms }");
    queue_rig_ask_words(&rig, ADMIN, 7, "freeze dest.test");
    queue_rig_answer(&rig, ADMIN, 7, &lines);
    UNIT_TRUE(queue_rig_says(&lines, "\"did\":\"frozen\""));
    size_t before = descriptors(&rig), now = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        struct pn_recipient to = mx("u@dest.test", "dest.test");
        hop_rig_take(&rig, i, "s@from.test", 0, &to, 1);
    }
    queue_rig_wait_list(&rig, ADMIN, false, "\"frozen\":true", true);
    for (int i = 0; i < QUEUE_RIG_PATIENCE_MS / 20; i++) {
        const struct timespec some = {0, 20 * 1000 * 1000};
        now = descriptors(&rig);
        if (now < before + 10) /* segments may have come */
            break;
        (void)nanosleep(&some, NULL);
    }
    UNIT_TRUE(now < before + 10);
    pn_buf_fini(&lines);
    role_rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"smarthost", test_smarthost},
                                             {"broken", test_broken},
                                             {"rate", test_rate},
                                             {"network", test_network},
                                             {"again", test_again},
                                             {"suppressed", test_suppressed},
                                             {"line full", test_line_full},
                                             {"drips", test_drips},
                                             {"frozen rests", test_frozen_rests},
                                             {NULL, NULL}};
    return unit_main("queue_dest", tests, argc, argv);
}

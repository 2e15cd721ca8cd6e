/*
 * The queue role towards a next hop: the test is edge (peer 0), mailbox (peer 1), resolver,
 * admin, and a server on loopback that answers by a script, one connection at a time.
 */
#include "hop_rig.h"
#include "queue_rig.h"
#include "unit.h"

#include "assert.h"
#include "clock.h"
#include "dns.h"
#include "held.h"
#include "memfile.h"
#include "net.h"
#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What lies held, and the last of it read. */
struct found {
    struct held held;
    struct pn_buf bytes;
    struct pn_pool *pool;
};

static void found_init(struct found *f)
{
    *f = (struct found){.pool = pn_pool_new(1000000)};
    pn_buf_init(&f->bytes, 1000000);
}

static void found_fini(struct found *f)
{
    pn_pool_free(&f->pool);
    pn_buf_fini(&f->bytes);
}

static unsigned held_files(const struct role_rig *rig, struct found *f)
{
    unsigned n = 0;
    int folder = held_folder(rig->folder);
    DIR *dir = fdopendir(folder);
    pn_assert(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint64_t id;
        if (!held_name_parse(e->d_name, &id, &(uint32_t){0}))
            continue;
        n++;
        UNIT_INT(held_get(folder, e->d_name, &f->bytes, f->pool, &f->held), 0);
    }
    (void)closedir(dir);
    return n;
}

/* Waits until it is there: the role writes it behind our back. */
static unsigned wait_held(const struct role_rig *rig, struct found *f)
{
    unsigned n = 0;
    for (int i = 0; i < QUEUE_RIG_PATIENCE_MS / 10 && (n = held_files(rig, f)) == 0; i++)
        (void)usleep(10000);
    return n;
}

/* Two messages over one connection; each group of edits is a transaction of its own. */
static void test_relay(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to[3] = {hop_rig_to(&s, "u@dest.test"), hop_rig_to(&s, "v@dest.test"),
                                 hop_rig_to(&s, "w@dest.test")};
    to[2].group = 1;
    hop_rig_take(&rig, 1, "s@from.test", PN_ENV_8BITMIME, to, 2);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30 BODY=8BITMIME", "250 2.1.0 ok\r\n");
    hop_expect(&s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
    hop_expect(&s, "RCPT TO:<v@dest.test>", "250 ok\r\n");
    hop_expect(&s, "DATA", "354 go\r\n");
    UNIT_STR(hop_hear(&s, true), PN_STR("X-New: c\r\nSubject: a\r\n\r\n..dot\r\n"));
    hop_say(&s, "250 2.0.0 kept\r\n");
    hop_rig_take(&rig, 2, "", 0, to + 2, 1); /* the connection is kept and used again */
    hop_expect(&s, "MAIL FROM:<> SIZE=30", "250 ok\r\n");
    hop_expect(&s, "RCPT TO:<w@dest.test>", "250 ok\r\n");
    hop_expect(&s, "DATA", "354 go\r\n");
    UNIT_STR(hop_hear(&s, true), PN_STR("Subject: a\r\nX-Old: b\r\n\r\n..dot\r\n"));
    hop_say(&s, "250 ok\r\n");
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_u32_put(&b, 10000);
    UNIT_INT(pn_channel_send_fd(rig.control, PN_REC_DRAIN, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
    hop_expect(&s, "QUIT", "221 bye\r\n");
    hop_closed(&s);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* A refused recipient whose sender passed SPF: the other gets it, the sender a report. */
static void test_report(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to[2] = {hop_rig_to(&s, "bad@dest.test"), hop_rig_to(&s, "good@dest.test")};
    to[0].orcpt = PN_STR("rfc822;alias@dest.test");
    hop_rig_take(&rig, 1, "s@from.test", PN_ENV_SPF_PASS, to, 2);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    hop_expect(&s, "RCPT TO:<bad@dest.test>", "550 5.1.1 no such user\r\n");
    hop_expect(&s, "RCPT TO:<good@dest.test>", "250 ok\r\n");
    hop_expect(&s, "DATA", "354 go\r\n");
    (void)hop_hear(&s, true);
    hop_say(&s, "250 ok\r\n");
    hop_rig_resolve(&rig, "from.test", PN_DNS_MX, PN_DNS_SERVFAIL,
                    (struct pn_str){NULL, 0}); /* for it */
    (void)usleep(100000);
    role_rig_kill(&rig);
    /* What is left in the spool is the report alone. */
    struct found f;
    found_init(&f);
    UNIT_INT(held_files(&rig, &f), 0);
    found_fini(&f);
    role_rig_start(&rig);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* No report to a sender who may be forged: held instead, with the reason. */
static void test_no_backscatter(void)
{
    static const char *const senders[] = {"s@from.test", "", "nowhere"};
    for (int i = 0; i < 3; i++) {
        struct role_rig rig;
        struct hop_server s;
        struct found f;
        found_init(&f);
        hop_server_init(&s);
        hop_rig_up(&rig, NULL);
        struct pn_recipient to = hop_rig_to(&s, "bad@dest.test");
        hop_rig_take(&rig, 77, senders[i], i == 0 ? 0 : PN_ENV_SPF_PASS, &to, 1);
        hop_greet(&s);
        hop_expect_ehlo(&s);
        (void)hop_hear(&s, false);
        hop_say(&s, "550 5.7.1 go away\r\n");
        UNIT_INT(wait_held(&rig, &f), 1);
        UNIT_INT(f.held.id, 77);
        UNIT_INT(f.held.kind, HELD_HELD);
        UNIT_INT(f.held.count, 1);
        UNIT_TRUE(pn_str_ends(f.held.reason, PN_STR("550 5.7.1 go away")));
        struct pn_envelope env;
        UNIT_TRUE(pn_envelope_get(f.held.envelope, f.pool, &env) && env.recipient_count == 1);
        found_fini(&f);
        role_rig_fini(&rig);
        hop_server_fini(&s);
    }
}

/* 8-bit content does not go where 8BITMIME is not announced (RFC 6152, section 3). */
static void test_eight(void)
{
    struct role_rig rig;
    struct hop_server s;
    struct found f;
    struct pn_buf want;
    found_init(&f);
    pn_buf_init(&want, 1000);
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    hop_rig_take_content(&rig, 77, "s@from.test", 0, &to, 1, PN_STR("A: b\r\n\r\n\xe4\r\n"));
    hop_greet(&s);
    hop_expect(&s, "EHLO localhost", "250-hop.test\r\n250 SIZE\r\n");
    UNIT_INT(wait_held(&rig, &f), 1);
    (void)pn_buf_addf(&want,
                      "554 5.6.3 Conversion required but not supported: the next hop does not take "
                      "8-bit content (8BITMIME) [next hop %s]",
                      s.name);
    UNIT_TRUE(pn_str_ends(f.held.reason, pn_buf_str(&want)));
    /* The connection is as good as before. */
    hop_rig_take(&rig, 78, "s@from.test", PN_ENV_8BITMIME, &to, 1);
    hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    found_fini(&f);
    pn_buf_fini(&want);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

static void transaction(struct hop_server *s)
{
    hop_expect(s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    hop_expect(s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
    hop_expect(s, "DATA", "354 go\r\n");
    (void)hop_hear(s, true);
    hop_say(s, "250 ok\r\n");
}

/* What policy quarantined never leaves; the other recipient gets his. */
static void test_quarantine(void)
{
    struct role_rig rig;
    struct hop_server s;
    struct found f;
    found_init(&f);
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to[2] = {hop_rig_to(&s, "q@dest.test"), hop_rig_to(&s, "u@dest.test")};
    to[0].hand = PN_HAND_QUARANTINE;
    to[0].reason = PN_STR("score 9 >= 8");
    hop_rig_take(&rig, 5, "s@from.test", 0, to, 2);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    transaction(&s);
    UNIT_INT(wait_held(&rig, &f), 1);
    UNIT_INT(f.held.kind, HELD_QUARANTINE);
    UNIT_STR(f.held.reason, PN_STR("score 9 >= 8"));
    UNIT_TRUE(f.held.count == 1 && f.held.indices[0] == 0);
    char name[HELD_NAME_MAX];
    int folder = held_folder(rig.folder), fd = -1;
    struct pn_str view;
    UNIT_INT(held_content(folder, held_name(5, 0, name), &fd), 0);
    UNIT_INT(pn_map_fd(fd, true, &view), 0);
    UNIT_STR(view, PN_STR("Subject: a\r\nX-Old: b\r\n\r\n.dot\r\n"));
    pn_unmap(&view);
    (void)close(fd);
    (void)close(folder);
    found_fini(&f);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* A connection has its share and is closed; one that waits for QUIT's answer takes nothing. */
static void test_share(void)
{
    enum { SHARE = 100 };
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    for (uint64_t id = 1; id <= SHARE; id++) {
        hop_rig_take(&rig, id, "s@from.test", 0, &to, 1);
        if (id == 1) {
            hop_greet(&s);
            hop_expect_ehlo(&s);
        }
        transaction(&s);
    }
    UNIT_STR(hop_hear(&s, false), PN_STR("QUIT"));
    int first = s.fd;
    hop_rig_take(&rig, 1000, "s@from.test", 0, &to, 1);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    transaction(&s);
    (void)close(first);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* A next hop by name: AAAA and A are asked, and it is reached. */
static void test_host(void)
{
    struct role_rig rig;
    struct hop_server s;
    char name[64];
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    (void)snprintf(name, sizeof name, "hop.dest.test%s", strchr(s.name, ':'));
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    to.next_hop = pn_str_of(name);
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    hop_rig_resolve(&rig, "hop.dest.test", PN_DNS_AAAA, PN_DNS_NOERROR, (struct pn_str){NULL, 0});
    hop_rig_resolve(&rig, "hop.dest.test", PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
    hop_greet(&s);
    hop_expect_ehlo(&s);
    transaction(&s);
    hop_rig_take(&rig, 2, "s@from.test", 0, &to, 1); /* not asked again */
    transaction(&s);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

#define NO_ADDRESS "550 5.4.4 None of the domain's mail servers has an address that mail can go to"
#define LOOP                                                                                       \
    "5.4.6 The domain's mail comes to this server, which does not know it: it would go round in "  \
    "a loop"

/* Its first address refuses: the next one is tried, with one message in line as with many. */
static void test_next_address(void)
{
    static const struct pn_str six = PN_STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
    struct role_rig rig;
    struct hop_server s;
    char name[64];
    hop_server_init(&s); /* on 127.0.0.1 only */
    hop_rig_up(&rig, NULL);
    (void)snprintf(name, sizeof name, "hop.dest.test%s", strchr(s.name, ':'));
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    to.next_hop = pn_str_of(name);
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    hop_rig_resolve(&rig, "hop.dest.test", PN_DNS_AAAA, PN_DNS_NOERROR, six);
    hop_rig_resolve(&rig, "hop.dest.test", PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
    hop_greet(&s);
    hop_expect_ehlo(&s);
    transaction(&s);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

static void ask_for(struct role_rig *rig, const char *name)
{
    hop_rig_resolve(rig, name, PN_DNS_AAAA, PN_DNS_NOERROR, (struct pn_str){NULL, 0});
    hop_rig_resolve(rig, name, PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
}

/* A server that turned a connection away for one name is left alone for another one, until
 * an operator says otherwise. */
static void test_shunned(void)
{
    struct role_rig rig;
    struct hop_server s;
    struct pn_buf lines;
    char one[64], two[64], id[PN_QUEUE_ID_TEXT_MAX];
    pn_buf_init(&lines, 100000);
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    (void)snprintf(one, sizeof one, "one.test%s", strchr(s.name, ':'));
    (void)snprintf(two, sizeof two, "two.test%s", strchr(s.name, ':'));
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    to.next_hop = pn_str_of(one);
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    ask_for(&rig, "one.test");
    UNIT_TRUE(hop_readable(s.listener, QUEUE_RIG_PATIENCE_MS));
    s.fd = accept(s.listener, NULL, NULL);
    hop_say(&s, "421 4.3.2 busy\r\n");
    (void)close(s.fd);
    queue_rig_wait_list(&rig, ADMIN, false, "4.3.2 busy", true);
    to.next_hop = pn_str_of(two);
    hop_rig_take(&rig, 2, "s@from.test", 0, &to, 1);
    ask_for(&rig, "two.test");
    queue_rig_wait_list(&rig, ADMIN, false,
                        "451 4.4.1 Its servers could not be reached a moment ago", true);
    UNIT_TRUE(!hop_readable(s.listener, 0));
    queue_rig_ask(&rig, ADMIN, 7, "release", pn_queue_id_text(2, id), false);
    queue_rig_answer(&rig, ADMIN, 7, &lines);
    hop_greet(&s);
    hop_expect_ehlo(&s);
    transaction(&s);
    queue_rig_ask(&rig, ADMIN, 8, "release", pn_queue_id_text(1, id), false);
    queue_rig_answer(&rig, ADMIN, 8, &lines);
    hop_greet(&s); /* another hop's connection is not this one's */
    pn_buf_fini(&lines);
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

/* An address literal goes nowhere unless a setting says so, and never to ourselves. */
static void test_literals(void)
{
    static const char listens[] = "listen smtp 192.0.2.7:25\n";
    static const char allowed[] = "queue { literals yes }\nlisten smtp 192.0.2.7:25\n";
    static const struct {
        const char *label, *conf, *domain, *want;
    } rows[] = {
        {"no policy", NULL, "[192.0.2.1]", "550 5.1.2 No mail goes to address literals from here"},
        {"by default", listens, "[192.0.2.1]",
         "550 5.1.2 No mail goes to address literals from here"},
        {"this machine", allowed, "[127.0.0.1]", "550 5.1.2 No mail goes to that address literal"},
        {"this machine by IPv6", allowed, "[IPv6:::1]",
         "550 5.1.2 No mail goes to that address literal"},
        {"IPv6 without its tag", allowed, "[2001:db8::1]",
         "550 5.1.2 No mail goes to that address literal"},
        {"ourselves", allowed, "[192.0.2.7]", "554 5.4.6 That address is this server's: a loop"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct found f;
        unit_row(rows[i].label);
        found_init(&f);
        hop_rig_up(&rig, rows[i].conf);
        struct pn_recipient to = {.address = PN_STR("u@dest.test"),
                                  .via = PN_VIA_MX,
                                  .next_hop = pn_str_of(rows[i].domain)};
        hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
        UNIT_INT(wait_held(&rig, &f), 1);
        UNIT_TRUE(pn_str_ends(f.held.reason, pn_str_of(rows[i].want)));
        found_fini(&f);
        role_rig_fini(&rig);
    }
}

/* A domain that takes no mail, by its MX or by not being: the recipient fails at once. */
static void test_mx(void)
{
    static const struct {
        const char *label;
        uint16_t mx_rcode;
        struct pn_str mx;    /* NULL: none */
        const char *host;    /* asked for next, or NULL */
        uint16_t host_rcode; /* of both */
        const char *want;    /* what the held file says; NULL: tried again later */
        struct pn_str a, aaaa;
    } rows[] = {
        {"null MX", PN_DNS_NOERROR, PN_STR_INIT("\0\0"), NULL, 0,
         "556 5.1.10 The domain takes no mail"},
        {"no such domain",
         PN_DNS_NXDOMAIN,
         {NULL, 0},
         NULL,
         0,
         "550 5.1.2 There is no such domain"},
        {"no MX, no address",
         PN_DNS_NOERROR,
         {NULL, 0},
         "dest.test",
         PN_DNS_NOERROR,
         "550 5.1.2 The domain has no mail server"},
        {"its server is not there", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_NXDOMAIN, NO_ADDRESS},
        {"not known now", PN_DNS_SERVFAIL, {NULL, 0}, NULL, 0, NULL},
        {"its server not known now", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_TIMEOUT, NULL},
        {"its server is said to be this machine", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_NOERROR, NO_ADDRESS, PN_STR_INIT("\177\0\0\1"),
         PN_STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
        {"its server is called as we are", PN_DNS_NOERROR, PN_STR_INIT("\0\12LocalHost"), NULL, 0,
         "554 " LOOP},
        {"it has the address that we listen on", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_NOERROR, "554 " LOOP, PN_STR_INIT("\300\0\2\7")},
        {"any address of this machine", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_NOERROR, NO_ADDRESS, PN_STR_INIT("\0\0\0\0"),
         PN_STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"this machine in IPv4's clothes", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"),
         "mx.dest.test", PN_DNS_NOERROR, NO_ADDRESS, PN_STR_INIT("\177\1\2\3"),
         PN_STR_INIT("\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\1")},
        {"everybody", PN_DNS_NOERROR, PN_STR_INIT("\0\12mx.dest.test"), "mx.dest.test",
         PN_DNS_NOERROR, NO_ADDRESS, PN_STR_INIT("\340\0\0\1"),
         PN_STR_INIT("\377\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct found f;
        unit_row(rows[i].label);
        found_init(&f);
        hop_rig_up(&rig, "smtp { hostname localhost }\nlisten smtp 192.0.2.7:25\n");
        struct pn_recipient to = {
            .address = PN_STR("u@dest.test"), .via = PN_VIA_MX, .next_hop = PN_STR("dest.test")};
        hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
        hop_rig_resolve(&rig, "dest.test", PN_DNS_MX, rows[i].mx_rcode, rows[i].mx);
        for (int n = 0; n < 2 && rows[i].host != NULL; n++)
            hop_rig_resolve(&rig, rows[i].host, n == 0 ? PN_DNS_AAAA : PN_DNS_A, rows[i].host_rcode,
                            n == 0 ? rows[i].aaaa : rows[i].a);
        if (rows[i].want == NULL) {
            UNIT_INT(role_rig_drain(&rig), 0);
            UNIT_INT(held_files(&rig, &f), 0);
        } else {
            UNIT_INT(wait_held(&rig, &f), 1);
            UNIT_TRUE(pn_str_ends(f.held.reason, pn_str_of(rows[i].want)));
        }
        found_fini(&f);
        role_rig_fini(&rig);
    }
}

/* Held mail has an age, by its file; what was never finished goes too. */
static void test_held_age(void)
{
    struct role_rig rig;
    uint32_t index = 0;
    const struct held held = {.id = 1, .indices = &index, .count = 1, .envelope = PN_STR("e")};
    role_rig_init(&rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    int folder = held_folder(rig.folder), fd = pn_memfile_of("test", PN_STR("x"));
    int64_t now = pn_clock_wall_ms() / 1000;
    UNIT_INT(held_put(folder, &held, fd), 0);
    UNIT_INT(held_expire(folder, INT64_MIN), 0);
    UNIT_INT(held_expire(folder, now - 100), 0);
    UNIT_INT(held_expire(folder, now + 100), 1);
    UNIT_INT(held_expire(folder, now + 100), 0);
    (void)close(fd);
    (void)close(folder);
    role_rig_fini(&rig);
}

/* Killed before the next hop answered: delivered again; killed behind the note: not. */
static void test_killed(void)
{
    struct role_rig rig;
    struct hop_server s;
    hop_server_init(&s);
    hop_rig_up(&rig, NULL);
    struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
    hop_rig_take(&rig, 1, "s@from.test", 0, &to, 1);
    for (int round = 0; round < 2; round++) {
        hop_greet(&s);
        hop_expect_ehlo(&s);
        hop_expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
        hop_expect(&s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
        hop_expect(&s, "DATA", "354 go\r\n");
        (void)hop_hear(&s, true);
        if (round == 1) {
            hop_say(&s, "250 ok\r\n");
            queue_rig_wait_list(&rig, ADMIN, false, "\"count\":0", true);
            queue_rig_flush(&rig, EDGE, 1000); /* its end is noted lazily */
        }
        role_rig_kill(&rig);
        (void)close(s.fd);
        s.fd = -1;
        role_rig_start(&rig);
    }
    UNIT_TRUE(!hop_readable(s.listener, 150));
    role_rig_fini(&rig);
    hop_server_fini(&s);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"relay", test_relay},
                                             {"report", test_report},
                                             {"no_backscatter", test_no_backscatter},
                                             {"quarantine", test_quarantine},
                                             {"eight", test_eight},
                                             {"killed", test_killed},
                                             {"share", test_share},
                                             {"held_age", test_held_age},
                                             {"host", test_host},
                                             {"next_address", test_next_address},
                                             {"shunned", test_shunned},
                                             {"literals", test_literals},
                                             {"mx", test_mx},
                                             {NULL, NULL}};
    return unit_main("queue_smtp", tests, argc, argv);
}

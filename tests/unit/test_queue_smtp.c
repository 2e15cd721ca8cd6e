/*
 * The queue role towards a next hop: the test is edge (peer 0), mailbox (peer 1), resolver,
 * admin, and a server on loopback that answers by a script, one connection at a time.
 */
#include "kit_policy.h"
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

enum { EDGE, MAILBOX, RESOLVER, ADMIN };

/* ---- the server ---- */

struct hop_server {
    int listener;
    char name[32]; /* "127.0.0.1:port" */
    int fd;        /* the connection at hand, or -1 */
    struct pn_buf in;
};

static void server_init(struct hop_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->fd = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pn_assert(bind(s->listener, (const struct sockaddr *)&at, len) == 0 &&
              listen(s->listener, 8) == 0 &&
              getsockname(s->listener, (struct sockaddr *)&at, &len) == 0);
    (void)snprintf(s->name, sizeof s->name, "127.0.0.1:%u", ntohs(at.sin_port));
    pn_buf_init(&s->in, 1024 * 1024);
}

static void server_fini(struct hop_server *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    (void)close(s->listener);
    pn_buf_fini(&s->in);
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static void say(struct hop_server *s, const char *line)
{
    UNIT_INT(write(s->fd, line, strlen(line)), strlen(line));
}

static void greet(struct hop_server *s)
{
    UNIT_TRUE(readable(s->listener, QUEUE_RIG_PATIENCE_MS));
    s->fd = accept(s->listener, NULL, NULL);
    UNIT_TRUE(s->fd >= 0);
    pn_buf_clear(&s->in);
    say(s, "220 hop.test\r\n");
}

/* The next line; with `dot` all up to the line with a dot. Borrowed until the next call. */
static struct pn_str hear(struct hop_server *s, bool dot)
{
    static char text[512 * 1024];
    struct pn_str end = dot ? PN_STR("\r\n.\r\n") : PN_STR("\r\n");
    for (;;) {
        for (size_t i = 0; i + end.len <= s->in.len; i++)
            if (memcmp(s->in.p + i, end.p, end.len) == 0) {
                size_t n = dot ? i + 2 : i;
                memcpy(text, s->in.p, n);
                pn_buf_consume(&s->in, i + end.len);
                return (struct pn_str){text, n};
            }
        char *to = pn_buf_reserve(&s->in, 4096);
        ssize_t got =
            to != NULL && readable(s->fd, QUEUE_RIG_PATIENCE_MS) ? read(s->fd, to, 4096) : 0;
        if (got <= 0) {
            UNIT_TRUE(!"the peer said no more");
            return PN_STR("");
        }
        s->in.len += (size_t)got;
    }
}

static void expect(struct hop_server *s, const char *line, const char *answer)
{
    UNIT_STR(hear(s, false), pn_str_of(line));
    say(s, answer);
}

static void expect_ehlo(struct hop_server *s)
{
    expect(s, "EHLO localhost", "250-hop.test\r\n250-8BITMIME\r\n250 SIZE\r\n");
}

static void closed(struct hop_server *s)
{
    char byte;
    UNIT_TRUE(readable(s->fd, QUEUE_RIG_PATIENCE_MS) && read(s->fd, &byte, 1) <= 0);
    (void)close(s->fd);
    s->fd = -1;
}

/* ---- the role ---- */

/* conf NULL: none. */
static void rig_up_with(struct role_rig *rig, const char *conf)
{
    struct kit kit;
    role_rig_init(rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig->peer_roles[EDGE] = PN_ROLE_EDGE;
    rig->peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    rig->peer_roles[RESOLVER] = PN_ROLE_RESOLVER;
    rig->peer_roles[ADMIN] = PN_ROLE_ADMIN;
    rig->peer_count = 4;
    if (conf != NULL) {
        kit_open(&kit, conf, "");
        UNIT_STR(kit_problems(&kit), PN_STR(""));
        rig->policy_fd = pn_memfile_of("policy", pn_buf_str(&kit.image));
    }
    role_rig_start(rig);
    if (conf != NULL) {
        (void)close(rig->policy_fd);
        rig->policy_fd = -1;
        kit_close(&kit);
    }
}

static void rig_up(struct role_rig *rig)
{
    rig_up_with(rig, NULL);
}

/* Takes the next question, which must be this one, and answers it. data NULL: no record. */
static void resolve(struct role_rig *rig, const char *name, uint16_t type, uint16_t rcode,
                    struct pn_str data)
{
    struct pn_record record;
    struct pn_dns_ask ask;
    struct pn_buf buf;
    const struct pn_dns_record one = {300, data};
    const struct pn_dns_answer answer = {
        .rcode = rcode, .count = data.p == NULL ? 0 : 1, .records = &one};
    pn_buf_init(&buf, PN_RECORD_MAX);
    if (role_rig_recv(rig, RESOLVER, &record, &buf)) {
        UNIT_TRUE(record.type == PN_REC_DNS_ASK && pn_dns_ask_get(record.body, &ask));
        UNIT_STR(ask.name, pn_str_of(name));
        UNIT_INT(ask.type, type);
        uint64_t id = ask.id;
        pn_buf_clear(&buf);
        pn_dns_answer_put(&buf, id, &answer);
        UNIT_INT(
            pn_channel_send_fd(rig->peers[RESOLVER], PN_REC_DNS_ANSWER, pn_buf_str(&buf), NULL, 0),
            0);
    }
    pn_buf_fini(&buf);
}

static struct pn_recipient to_hop(const struct hop_server *s, const char *address)
{
    return (struct pn_recipient){
        .address = pn_str_of(address), .via = PN_VIA_SMTP, .next_hop = pn_str_of(s->name)};
}

static const struct pn_str usual = PN_STR_INIT("Subject: a\r\nX-Old: b\r\n\r\n.dot\r\n");

static void take_content(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
                         struct pn_recipient *to, uint32_t count, struct pn_str content)
{
    struct pn_header_edit edits[2] = {{PN_HEDIT_TOP, 0, PN_STR("X-New"), PN_STR("c")},
                                      {PN_HEDIT_REMOVE, 0, PN_STR("X-Old"), PN_STR("")}};
    struct pn_edit_group groups[2] = {{2, edits}, {0, NULL}};
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = 1700000000000 + 400LL * 24 * 3600 * 1000 * 10,
                                    .size = content.len,
                                    .flags = flags,
                                    .reverse_path = pn_str_of(from),
                                    .group_count = 2,
                                    .groups = groups,
                                    .recipient_count = count,
                                    .recipients = to};
    UNIT_INT(queue_rig_offer(rig, EDGE, &env, content), 250);
}

static void take(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
                 struct pn_recipient *to, uint32_t count)
{
    take_content(rig, id, from, flags, to, count, usual);
}

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
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to[3] = {to_hop(&s, "u@dest.test"), to_hop(&s, "v@dest.test"),
                                 to_hop(&s, "w@dest.test")};
    to[2].group = 1;
    take(&rig, 1, "s@from.test", PN_ENV_8BITMIME, to, 2);
    greet(&s);
    expect_ehlo(&s);
    expect(&s, "MAIL FROM:<s@from.test> SIZE=30 BODY=8BITMIME", "250 2.1.0 ok\r\n");
    expect(&s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
    expect(&s, "RCPT TO:<v@dest.test>", "250 ok\r\n");
    expect(&s, "DATA", "354 go\r\n");
    UNIT_STR(hear(&s, true), PN_STR("X-New: c\r\nSubject: a\r\n\r\n..dot\r\n"));
    say(&s, "250 2.0.0 kept\r\n");
    take(&rig, 2, "", 0, to + 2, 1); /* the connection is kept and used again */
    expect(&s, "MAIL FROM:<> SIZE=30", "250 ok\r\n");
    expect(&s, "RCPT TO:<w@dest.test>", "250 ok\r\n");
    expect(&s, "DATA", "354 go\r\n");
    UNIT_STR(hear(&s, true), PN_STR("Subject: a\r\nX-Old: b\r\n\r\n..dot\r\n"));
    say(&s, "250 ok\r\n");
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_u32_put(&b, 10000);
    UNIT_INT(pn_channel_send_fd(rig.control, PN_REC_DRAIN, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
    expect(&s, "QUIT", "221 bye\r\n");
    closed(&s);
    role_rig_fini(&rig);
    server_fini(&s);
}

/* A refused recipient whose sender passed SPF: the other gets it, the sender a report. */
static void test_report(void)
{
    struct role_rig rig;
    struct hop_server s;
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to[2] = {to_hop(&s, "bad@dest.test"), to_hop(&s, "good@dest.test")};
    to[0].orcpt = PN_STR("rfc822;alias@dest.test");
    take(&rig, 1, "s@from.test", PN_ENV_SPF_PASS, to, 2);
    greet(&s);
    expect_ehlo(&s);
    expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    expect(&s, "RCPT TO:<bad@dest.test>", "550 5.1.1 no such user\r\n");
    expect(&s, "RCPT TO:<good@dest.test>", "250 ok\r\n");
    expect(&s, "DATA", "354 go\r\n");
    (void)hear(&s, true);
    say(&s, "250 ok\r\n");
    resolve(&rig, "from.test", PN_DNS_MX, PN_DNS_SERVFAIL, (struct pn_str){NULL, 0}); /* for it */
    (void)usleep(100000);
    role_rig_kill(&rig);
    /* What is left in the spool is the report alone. */
    struct found f;
    found_init(&f);
    UNIT_INT(held_files(&rig, &f), 0);
    found_fini(&f);
    role_rig_start(&rig);
    role_rig_fini(&rig);
    server_fini(&s);
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
        server_init(&s);
        rig_up(&rig);
        struct pn_recipient to = to_hop(&s, "bad@dest.test");
        take(&rig, 77, senders[i], i == 0 ? 0 : PN_ENV_SPF_PASS, &to, 1);
        greet(&s);
        expect_ehlo(&s);
        (void)hear(&s, false);
        say(&s, "550 5.7.1 go away\r\n");
        UNIT_INT(wait_held(&rig, &f), 1);
        UNIT_INT(f.held.id, 77);
        UNIT_INT(f.held.kind, HELD_HELD);
        UNIT_INT(f.held.count, 1);
        UNIT_TRUE(pn_str_ends(f.held.reason, PN_STR("550 5.7.1 go away")));
        struct pn_envelope env;
        UNIT_TRUE(pn_envelope_get(f.held.envelope, f.pool, &env) && env.recipient_count == 1);
        found_fini(&f);
        role_rig_fini(&rig);
        server_fini(&s);
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
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    take_content(&rig, 77, "s@from.test", 0, &to, 1, PN_STR("A: b\r\n\r\n\xe4\r\n"));
    greet(&s);
    expect(&s, "EHLO localhost", "250-hop.test\r\n250 SIZE\r\n");
    UNIT_INT(wait_held(&rig, &f), 1);
    (void)pn_buf_addf(&want,
                      "554 5.6.3 Conversion required but not supported: the next hop does not take "
                      "8-bit content (8BITMIME) [next hop %s]",
                      s.name);
    UNIT_TRUE(pn_str_ends(f.held.reason, pn_buf_str(&want)));
    /* The connection is as good as before. */
    take(&rig, 78, "s@from.test", PN_ENV_8BITMIME, &to, 1);
    expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    found_fini(&f);
    pn_buf_fini(&want);
    role_rig_fini(&rig);
    server_fini(&s);
}

static void transaction(struct hop_server *s)
{
    expect(s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
    expect(s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
    expect(s, "DATA", "354 go\r\n");
    (void)hear(s, true);
    say(s, "250 ok\r\n");
}

/* What policy quarantined never leaves; the other recipient gets his. */
static void test_quarantine(void)
{
    struct role_rig rig;
    struct hop_server s;
    struct found f;
    found_init(&f);
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to[2] = {to_hop(&s, "q@dest.test"), to_hop(&s, "u@dest.test")};
    to[0].hand = PN_HAND_QUARANTINE;
    to[0].reason = PN_STR("score 9 >= 8");
    take(&rig, 5, "s@from.test", 0, to, 2);
    greet(&s);
    expect_ehlo(&s);
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
    server_fini(&s);
}

/* A connection has its share and is closed; one that waits for QUIT's answer takes nothing. */
static void test_share(void)
{
    enum { SHARE = 100 };
    struct role_rig rig;
    struct hop_server s;
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    for (uint64_t id = 1; id <= SHARE; id++) {
        take(&rig, id, "s@from.test", 0, &to, 1);
        if (id == 1) {
            greet(&s);
            expect_ehlo(&s);
        }
        transaction(&s);
    }
    UNIT_STR(hear(&s, false), PN_STR("QUIT"));
    int first = s.fd;
    take(&rig, 1000, "s@from.test", 0, &to, 1);
    greet(&s);
    expect_ehlo(&s);
    transaction(&s);
    (void)close(first);
    role_rig_fini(&rig);
    server_fini(&s);
}

/* A next hop by name: AAAA and A are asked, and it is reached. */
static void test_host(void)
{
    struct role_rig rig;
    struct hop_server s;
    char name[64];
    server_init(&s);
    rig_up(&rig);
    (void)snprintf(name, sizeof name, "hop.dest.test%s", strchr(s.name, ':'));
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    to.next_hop = pn_str_of(name);
    take(&rig, 1, "s@from.test", 0, &to, 1);
    resolve(&rig, "hop.dest.test", PN_DNS_AAAA, PN_DNS_NOERROR, (struct pn_str){NULL, 0});
    resolve(&rig, "hop.dest.test", PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
    greet(&s);
    expect_ehlo(&s);
    transaction(&s);
    take(&rig, 2, "s@from.test", 0, &to, 1); /* not asked again */
    transaction(&s);
    role_rig_fini(&rig);
    server_fini(&s);
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
    server_init(&s); /* on 127.0.0.1 only */
    rig_up(&rig);
    (void)snprintf(name, sizeof name, "hop.dest.test%s", strchr(s.name, ':'));
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    to.next_hop = pn_str_of(name);
    take(&rig, 1, "s@from.test", 0, &to, 1);
    resolve(&rig, "hop.dest.test", PN_DNS_AAAA, PN_DNS_NOERROR, six);
    resolve(&rig, "hop.dest.test", PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
    greet(&s);
    expect_ehlo(&s);
    transaction(&s);
    role_rig_fini(&rig);
    server_fini(&s);
}

static void ask_for(struct role_rig *rig, const char *name)
{
    resolve(rig, name, PN_DNS_AAAA, PN_DNS_NOERROR, (struct pn_str){NULL, 0});
    resolve(rig, name, PN_DNS_A, PN_DNS_NOERROR, PN_STR("\177\0\0\1"));
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
    server_init(&s);
    rig_up(&rig);
    (void)snprintf(one, sizeof one, "one.test%s", strchr(s.name, ':'));
    (void)snprintf(two, sizeof two, "two.test%s", strchr(s.name, ':'));
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    to.next_hop = pn_str_of(one);
    take(&rig, 1, "s@from.test", 0, &to, 1);
    ask_for(&rig, "one.test");
    UNIT_TRUE(readable(s.listener, QUEUE_RIG_PATIENCE_MS));
    s.fd = accept(s.listener, NULL, NULL);
    say(&s, "421 4.3.2 busy\r\n");
    (void)close(s.fd);
    queue_rig_wait_list(&rig, ADMIN, false, "4.3.2 busy", true);
    to.next_hop = pn_str_of(two);
    take(&rig, 2, "s@from.test", 0, &to, 1);
    ask_for(&rig, "two.test");
    queue_rig_wait_list(&rig, ADMIN, false,
                        "451 4.4.1 Its servers could not be reached a moment ago", true);
    UNIT_TRUE(!readable(s.listener, 0));
    queue_rig_ask(&rig, ADMIN, 7, "release", pn_queue_id_text(2, id), false);
    queue_rig_answer(&rig, ADMIN, 7, &lines);
    greet(&s);
    expect_ehlo(&s);
    transaction(&s);
    queue_rig_ask(&rig, ADMIN, 8, "release", pn_queue_id_text(1, id), false);
    queue_rig_answer(&rig, ADMIN, 8, &lines);
    greet(&s); /* another hop's connection is not this one's */
    pn_buf_fini(&lines);
    role_rig_fini(&rig);
    server_fini(&s);
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
        rig_up_with(&rig, rows[i].conf);
        struct pn_recipient to = {.address = PN_STR("u@dest.test"),
                                  .via = PN_VIA_MX,
                                  .next_hop = pn_str_of(rows[i].domain)};
        take(&rig, 1, "s@from.test", 0, &to, 1);
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
        rig_up_with(&rig, "smtp { hostname localhost }\nlisten smtp 192.0.2.7:25\n");
        struct pn_recipient to = {
            .address = PN_STR("u@dest.test"), .via = PN_VIA_MX, .next_hop = PN_STR("dest.test")};
        take(&rig, 1, "s@from.test", 0, &to, 1);
        resolve(&rig, "dest.test", PN_DNS_MX, rows[i].mx_rcode, rows[i].mx);
        for (int n = 0; n < 2 && rows[i].host != NULL; n++)
            resolve(&rig, rows[i].host, n == 0 ? PN_DNS_AAAA : PN_DNS_A, rows[i].host_rcode,
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
    server_init(&s);
    rig_up(&rig);
    struct pn_recipient to = to_hop(&s, "u@dest.test");
    take(&rig, 1, "s@from.test", 0, &to, 1);
    for (int round = 0; round < 2; round++) {
        greet(&s);
        expect_ehlo(&s);
        expect(&s, "MAIL FROM:<s@from.test> SIZE=30", "250 ok\r\n");
        expect(&s, "RCPT TO:<u@dest.test>", "250 ok\r\n");
        expect(&s, "DATA", "354 go\r\n");
        (void)hear(&s, true);
        if (round == 1) {
            say(&s, "250 ok\r\n");
            queue_rig_wait_list(&rig, ADMIN, false, "\"count\":0", true);
            queue_rig_flush(&rig, EDGE, 1000); /* its end is noted lazily */
        }
        role_rig_kill(&rig);
        (void)close(s.fd);
        s.fd = -1;
        role_rig_start(&rig);
    }
    UNIT_TRUE(!readable(s.listener, 150));
    role_rig_fini(&rig);
    server_fini(&s);
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

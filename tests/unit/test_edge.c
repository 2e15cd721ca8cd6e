/*
 * The edge role over real sockets and its channels: the test is supervisor, clients,
 * queue, mailbox, admin and resolver. No plugins: what they find is tested where they run.
 */
#include "role_rig.h"
#include "unit.h"

#include "assert.h"
#include "dns.h"
#include "edge_role.h"
#include "identity.h"
#include "kit_policy.h"
#include "limit_table.h"
#include "memfile.h"
#include "smtp_talk.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUEUE, MAILBOX, ADMIN, RESOLVER };
/* Listeners, as the configuration has them. */
enum { PLAIN, PROXIED, TLS_PROXIED, LISTENERS };

static const char listeners[] = "listen smtp 127.0.0.1:1\n"
                                "listen smtp 127.0.0.1:2 { proxy from 127.0.0.0/8 }\n"
                                "listen smtps 127.0.0.1:3 { proxy from 127.0.0.0/8 }\n";
static const char domains[] = "domain \"here.test\" { recipients any  route local }\n"
                              "domain \"next.test\" { recipients any  route smtp 127.0.0.1:4 }\n"
                              "domain \"junk.test\" { recipients any  route local  junk at 0 }\n"
                              "domain \"deny.test\" { recipients any  route local\n"
                              "  deny from \"bad@b.test\" \"550 5.7.1 Not from you\" }\n";

static struct fixture {
    struct role_rig rig;
    struct kit kit;
    int listen[LISTENERS];
    uint16_t port[LISTENERS];
    int limits;
    struct pn_buf cert, key;
} fx;

static void send_body(uint16_t type, struct pn_buf *b, int fd)
{
    UNIT_INT(pn_channel_send_fd(fx.rig.control, type, pn_buf_str(b), &fd, fd >= 0), 0);
    pn_buf_clear(b);
}

static void send_generation(struct pn_buf *b)
{
    static const uint32_t kinds[] = {PN_LISTEN_SMTP, PN_LISTEN_SMTP, PN_LISTEN_SMTPS};
    for (uint32_t i = 0; i < LISTENERS; i++) {
        pn_listener_put(b, &(struct pn_listener){.kind = kinds[i], .row = i});
        send_body(PN_REC_LISTENER, b, fx.listen[i]);
    }
    pn_identity_put(
        b, &(struct pn_tls_identity){PN_STR(""), pn_buf_str(&fx.cert), pn_buf_str(&fx.key)});
    send_body(PN_REC_IDENTITY, b, -1);
}

static void before_go(struct role_rig *rig)
{
    struct pn_buf b;
    (void)rig;
    pn_buf_init(&b, PN_RECORD_MAX);
    send_generation(&b);
    send_body(PN_REC_LIMITS, &b, fx.limits);
    pn_buf_fini(&b);
}

static void compile(const char *more)
{
    struct pn_buf text;
    pn_buf_init(&text, 100000);
    (void)pn_buf_addf(&text, "%stls { certificate \"%s/cert\" key \"%s/key\" }\n", listeners,
                      fx.rig.path, fx.rig.path);
    (void)pn_buf_addf(&text, "smtp { hostname \"mx.here.test\" %s\n%s", more, domains);
    kit_open(&fx.kit, pn_buf_cstr(&text), "");
    UNIT_STR(kit_problems(&fx.kit), PN_STR(""));
    fx.rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&fx.kit.image));
    pn_buf_fini(&text);
}

/* The compiler asks whether the files are there; what is in them comes by IDENTITY. */
static void touch(const char *name)
{
    int fd = openat(fx.rig.folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    UNIT_TRUE(fd >= 0);
    (void)close(fd);
}

/* more: behind "smtp { hostname ..." up to and with its closing brace, and what else. */
static void up(const char *more)
{
    role_rig_init(&fx.rig, PN_ROLE_EDGE, PN_FOLDER_STATE, pn_edge_main);
    fx.rig.peer_roles[QUEUE] = PN_ROLE_QUEUE;
    fx.rig.peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    fx.rig.peer_roles[ADMIN] = PN_ROLE_ADMIN;
    fx.rig.peer_roles[RESOLVER] = PN_ROLE_RESOLVER;
    fx.rig.peer_count = 4;
    fx.rig.before_go = before_go;
    for (unsigned i = 0; i < LISTENERS; i++) {
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof sin;
        fx.listen[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        pn_assert(bind(fx.listen[i], (struct sockaddr *)&sin, len) == 0 &&
                  listen(fx.listen[i], 64) == 0 &&
                  getsockname(fx.listen[i], (struct sockaddr *)&sin, &len) == 0);
        fx.port[i] = ntohs(sin.sin_port);
    }
    fx.limits = pn_limits_create(1024);
    pn_buf_init(&fx.cert, 1 << 16);
    pn_buf_init(&fx.key, 1 << 16);
    identity_make("mx.here.test", &fx.cert, &fx.key);
    touch("cert");
    touch("key");
    compile(more);
    role_rig_start(&fx.rig);
}

static void down(void)
{
    role_rig_fini(&fx.rig);
    for (unsigned i = 0; i < LISTENERS; i++)
        (void)close(fx.listen[i]);
    (void)close(fx.limits);
    (void)close(fx.rig.policy_fd);
    kit_close(&fx.kit);
    pn_buf_fini(&fx.cert);
    pn_buf_fini(&fx.key);
}

/* ---- clients ---- */

static void dial(struct client *c, unsigned listener)
{
    dial_port(c, fx.port[listener]);
}

/* Up to the content, which is then to be sent. */
static void begin_mail(struct client *c, const char *from, const char *to)
{
    char line[600];
    (void)snprintf(line, sizeof line, "MAIL FROM:<%s>", from);
    ask(c, line, "250 2.1.0");
    (void)snprintf(line, sizeof line, "RCPT TO:<%s>", to);
    ask(c, line, "250 2.1.5");
    ask(c, "DATA", "354");
}

static void greet(struct client *c)
{
    expect(c, "220");
    ask(c, "EHLO c.test", "250");
}

/* ---- the other roles ---- */

/* The next event; metrics pass by. */
static struct pn_str event(struct pn_buf *buf)
{
    struct pn_record record;
    while (role_rig_recv(&fx.rig, ADMIN, &record, buf)) {
        pn_record_close_fds(&record);
        if (record.type == PN_REC_EVENT)
            return record.body;
        pn_buf_clear(buf);
    }
    return PN_STR("");
}

static bool has(struct pn_str text, const char *part)
{
    return memmem(text.p, text.len, part, strlen(part)) != NULL;
}

static void expect_event(const char *const *parts)
{
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    struct pn_str line = event(&buf);
    for (; *parts != NULL; parts++) {
        unit_row(*parts);
        if (!has(line, *parts))
            printf("event: %.*s\n", PN_FMT(line));
        UNIT_TRUE(has(line, *parts));
    }
    pn_buf_fini(&buf);
}

#define EXPECT_EVENT(...) expect_event((const char *const[]){__VA_ARGS__, NULL})

struct handed {
    struct pn_pool *pool;
    struct pn_buf buf;
    struct pn_handover handover;
    struct pn_str content;
    struct pn_envelope env;    /* from the queue's channel */
    struct pn_deliver deliver; /* from the mailbox's */
};

static void take_over(struct handed *h, unsigned peer)
{
    struct pn_record record;
    *h = (struct handed){.pool = pn_pool_new(1 << 20)};
    pn_buf_init(&h->buf, PN_RECORD_MAX);
    if (!role_rig_recv(&fx.rig, peer, &record, &h->buf))
        exit(1);
    UNIT_INT(record.type, peer == QUEUE ? PN_REC_TAKE : PN_REC_DELIVER);
    UNIT_TRUE(pn_handover_open(&record, &h->handover));
    if (peer == QUEUE)
        UNIT_TRUE(pn_envelope_get(h->handover.body, h->pool, &h->env));
    else
        UNIT_TRUE(pn_deliver_get(h->handover.body, h->pool, &h->deliver));
    UNIT_INT(pn_map_fd(h->handover.content_fd, true, &h->content), 0);
}

static void let_go(struct handed *h)
{
    pn_unmap(&h->content);
    (void)close(h->handover.content_fd);
    pn_handover_close(&h->handover);
    pn_buf_fini(&h->buf);
    pn_pool_free(&h->pool);
}

static void answer_take(const struct handed *h, uint16_t code, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_taken_put(&b, &(struct pn_taken){h->env.id, {code, pn_str_of(text)}});
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[QUEUE], PN_REC_TAKEN, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

static void answer_delivery(const struct handed *h, uint16_t code, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_delivered_put(&b, &(struct pn_delivered){h->deliver.token, {code, pn_str_of(text)}});
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[MAILBOX], PN_REC_DELIVERED, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

static bool has_edit(const struct pn_edit_group *g, const char *name)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (pn_str_eq(g->edits[i].name, pn_str_of(name)))
            return true;
    return false;
}

/* ---- tests ---- */

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
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "RSET", "250 2.0.0");
    EXPECT_EVENT("\"outcome\":\"reject\"", "\"reply\":\"550 5.7.1 Not from you\"",
                 "\"to\":[\"u@deny.test\"]");
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

static void proxy_greeted(const char *header, const char *want)
{
    struct client c;
    unit_row(header);
    dial(&c, PROXIED);
    say(&c, pn_str_of(header));
    expect(&c, want);
    hang_up(&c);
}

static void test_proxy(void)
{
    struct client c;
    up("}");
    proxy_greeted("PROXY TCP4 192.0.2.9 192.0.2.1 1000 25\r\n", "220");
    proxy_greeted("PROXY UNKNOWN\r\n", "220");
    proxy_greeted("EHLO c.test\r\n", "");
    EXPECT_EVENT("\"event\":\"proxy-refused\"", "\"ip\":\"127.0.0.1\"");
    /* Byte by byte, with a command right behind it. */
    dial(&c, PROXIED);
    for (const char *p = "PROXY TCP6 2001:db8::9 2001:db8::1 1000 25\r\nEHLO c.test\r\n"; *p != 0;
         p++) {
        say(&c, (struct pn_str){p, 1});
        (void)poll(NULL, 0, 1);
    }
    expect(&c, "220");
    expect(&c, "250");
    begin_mail(&c, "bad@b.test", "u@here.test");
    ask(&c, "a\nb\r\n.", "550 5.6.0");
    EXPECT_EVENT("\"ip\":\"2001:db8::9\"", "\"port\":1000");
    hang_up(&c);
    /* Part of a header, then nobody. */
    dial(&c, PROXIED);
    say(&c, PN_STR("PROXY TCP"));
    (void)shutdown(c.fd, SHUT_WR);
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("closed within the PROXY header");
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The handshake stands right behind the header, in one segment. */
static void test_proxy_tls(void)
{
    struct client c;
    char hello[4096];
    up("}");
    dial(&c, TLS_PROXIED);
    c.context = SSL_CTX_new(TLS_client_method());
    c.tls = SSL_new(c.context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(c.tls, BIO_new(BIO_s_mem()), out);
    UNIT_INT(SSL_connect(c.tls), -1);
    struct pn_buf first;
    pn_buf_init(&first, 1 << 16);
    (void)pn_buf_addz(&first, "PROXY TCP4 192.0.2.9 192.0.2.1 1000 465\r\n");
    (void)pn_buf_add(&first, hello, (size_t)BIO_read(out, hello, sizeof hello));
    UNIT_INT(send(c.fd, first.p, first.len, 0), (long long)first.len);
    SSL_set_bio(c.tls, BIO_new_socket(c.fd, BIO_NOCLOSE), BIO_new_socket(c.fd, BIO_NOCLOSE));
    UNIT_INT(SSL_connect(c.tls), 1);
    greet(&c);
    begin_mail(&c, "a@b.test", "u@here.test");
    ask(&c, "a\nb\r\n.", "550 5.6.0");
    EXPECT_EVENT("\"ip\":\"192.0.2.9\"", "\"tls\":\"TLSv1.3\"");
    pn_buf_fini(&first);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_starttls(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    start_tls(&c);
    ask(&c, "MAIL FROM:<>", "503 5.5.1");
    ask(&c, "EHLO c.test", "250");
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_TRUE(has(h.deliver.edits.edits[0].value, "ESMTPS") &&
              has(h.deliver.edits.edits[0].value, "TLS"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    ask(&c, "QUIT", "221 2.0.0");
    expect(&c, "");
    hang_up(&c);
    /* What an attacker slips in behind STARTTLS is never part of the session under TLS. */
    dial(&c, PLAIN);
    greet(&c);
    say(&c, PN_STR("STARTTLS\r\nMAIL FROM:<evil@b.test>\r\n"));
    expect(&c, "501 5.5.4");
    expect(&c, "250 2.1.0");
    hang_up(&c);
    /* A handshake that is none. */
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    say(&c, PN_STR("EHLO c.test\r\n\r\n"));
    while (hear_bytes(&c) > 0)
        ;
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void from_client(struct client *c, const char *ip)
{
    char line[100];
    int n = snprintf(line, sizeof line, "PROXY TCP4 %s 192.0.2.1 1000 25\r\n", ip);
    dial(c, PROXIED);
    say(c, (struct pn_str){line, (size_t)n});
}

/* Answers the next question, which must be this one. */
static void answer_dns(const char *name, uint16_t type, uint16_t rcode,
                       const struct pn_str *records, uint32_t count)
{
    struct pn_record record;
    struct pn_buf b;
    struct pn_dns_ask ask = {0};
    struct pn_dns_record all[4];
    const struct pn_dns_answer answer = {.rcode = rcode, .count = count, .records = all};
    for (uint32_t i = 0; i < count; i++)
        all[i] = (struct pn_dns_record){60, records[i]};
    pn_buf_init(&b, PN_RECORD_MAX);
    if (role_rig_recv(&fx.rig, RESOLVER, &record, &b))
        UNIT_TRUE(record.type == PN_REC_DNS_ASK && pn_dns_ask_get(record.body, &ask));
    UNIT_STR(ask.name, pn_str_of(name));
    UNIT_INT(ask.type, type);
    pn_buf_clear(&b);
    pn_dns_answer_put(&b, ask.id, &answer);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[RESOLVER], PN_REC_DNS_ANSWER, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

/* A name counts only if it has the address, and nobody waits for it. */
static void test_client_name(void)
{
    static const struct pn_str names[] = {PN_STR_INIT("mx.other.test"), PN_STR_INIT("mx.b.test")};
    static const struct pn_str wrong = PN_STR_INIT("\xc0\x00\x02\x08"),
                               right = PN_STR_INIT("\xc0\x00\x02\x09");
    struct client c;
    struct handed h;
    up("}");
    from_client(&c, "192.0.2.9");
    greet(&c);
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NOERROR, names, 2);
    answer_dns("mx.other.test", PN_DNS_A, PN_DNS_NOERROR, &wrong, 1);
    answer_dns("mx.b.test", PN_DNS_A, PN_DNS_NOERROR, &right, 1);
    ask(&c, "RSET", "250 2.0.0");
    begin_mail(&c, "a@b.test", "u@here.test"); /* not asked twice */
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_TRUE(has(h.deliver.edits.edits[0].value, "mx.b.test"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT("\"ptr\":\"mx.b.test\"");
    hang_up(&c);
    /* None; and an answer that never comes holds nothing up. */
    for (unsigned i = 0; i < 2; i++) {
        from_client(&c, "192.0.2.9");
        greet(&c);
        ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
        if (i == 0)
            answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NXDOMAIN, NULL, 0);
        ask(&c, "RSET", "250 2.0.0");
        begin_mail(&c, "a@b.test", "u@here.test");
        ask(&c, "a\rb\r\n.", "550 5.6.0");
        EXPECT_EVENT("\"ptr\":null");
        hang_up(&c);
    }
    /* It does come, when the session is gone. */
    (void)poll(NULL, 0, 20);
    answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NOERROR, names, 2);
    (void)poll(NULL, 0, 20);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

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

static void test_early_talker(void)
{
    struct client c;
    up("greet-delay 100ms }");
    dial(&c, PLAIN);
    say(&c, PN_STR("EHLO c.test\r\n"));
    expect(&c, "554");
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("\"event\":\"early-talker\"");
    dial(&c, PLAIN);
    greet(&c);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_timeouts(void)
{
    struct client c;
    up("}\ntimeouts { command 150ms  data 150ms  proxy 150ms  handshake 150ms }\n");
    dial(&c, PLAIN);
    greet(&c);
    expect(&c, "421 4.4.2");
    expect(&c, "");
    hang_up(&c);
    dial(&c, PLAIN);
    greet(&c);
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, PN_STR("x\r\n"));
    expect(&c, "421 4.4.2");
    hang_up(&c);
    dial(&c, PROXIED);
    say(&c, PN_STR("PROXY"));
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("no PROXY header came in time");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    expect(&c, "");
    hang_up(&c);
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
        {"queue", test_queue},       {"mailbox", test_mailbox},
        {"refusals", test_refusals}, {"size", test_size},
        {"large", test_large},       {"client_name", test_client_name},
        {"proxy", test_proxy},       {"proxy_tls", test_proxy_tls},
        {"starttls", test_starttls}, {"limits", test_limits},
        {"caps", test_caps},         {"early_talker", test_early_talker},
        {"timeouts", test_timeouts}, {"reload", test_reload},
        {"drain", test_drain},       {NULL, NULL},
    };
    return unit_main("edge", tests, argc, argv);
}

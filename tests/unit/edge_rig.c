#include "edge_rig.h"

#include "assert.h"
#include "edge_role.h"
#include "identity.h"
#include "kit_policy.h"
#include "limit_table.h"
#include "memfile.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const char listeners[] = "listen smtp 127.0.0.1:1\n"
                                "listen smtp 127.0.0.1:2 { proxy from 127.0.0.0/8 }\n"
                                "listen smtps 127.0.0.1:3 { proxy from 127.0.0.0/8 }\n"
                                "listen lmtp 127.0.0.1:5\n"
                                "listen submission 127.0.0.1:6\n"
                                "listen submissions 127.0.0.1:7\n"
                                "listen imaps 127.0.0.1:8\n"
                                "listen pop3 127.0.0.1:9\n";
static const char domains[] = "domain \"here.test\" { recipients any  route local }\n"
                              "domain \"next.test\" { recipients any  route smtp 127.0.0.1:4 }\n"
                              "domain \"junk.test\" { recipients any  route local  junk at 0 }\n"
                              "domain \"late.test\" { recipients any  route local\n"
                              "  reject at 0 \"550 5.7.1 Not this\" }\n"
                              "domain \"deny.test\" { recipients any  route local\n"
                              "  deny from \"bad@b.test\" \"550 5.7.1 Not from you\" }\n";

struct edge_rig fx;

void send_body(uint16_t type, struct pn_buf *b, int fd)
{
    UNIT_INT(pn_channel_send_fd(fx.rig.control, type, pn_buf_str(b), &fd, fd >= 0), 0);
    pn_buf_clear(b);
}

void send_generation(struct pn_buf *b)
{
    static const uint32_t kinds[] = {PN_LISTEN_SMTP,  PN_LISTEN_SMTP,       PN_LISTEN_SMTPS,
                                     PN_LISTEN_LMTP,  PN_LISTEN_SUBMISSION, PN_LISTEN_SUBMISSIONS,
                                     PN_LISTEN_IMAPS, PN_LISTEN_POP3};
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

void compile(const char *more)
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
void up(const char *more)
{
    role_rig_init(&fx.rig, PN_ROLE_EDGE, PN_FOLDER_STATE, pn_edge_main);
    fx.rig.peer_roles[QUEUE] = PN_ROLE_QUEUE;
    fx.rig.peer_roles[MAILBOX] = PN_ROLE_MAILBOX;
    fx.rig.peer_roles[ADMIN] = PN_ROLE_ADMIN;
    fx.rig.peer_roles[RESOLVER] = PN_ROLE_RESOLVER;
    fx.rig.peer_roles[AUTH] = PN_ROLE_AUTH;
    fx.rig.peer_count = 5;
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

void down(void)
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
void dial(struct client *c, unsigned listener)
{
    dial_port(c, fx.port[listener]);
}

void from_client(struct client *c, const char *ip)
{
    char line[100];
    int n = snprintf(line, sizeof line, "PROXY TCP4 %s 192.0.2.1 1000 25\r\n", ip);
    dial(c, PROXIED);
    say(c, (struct pn_str){line, (size_t)n});
}

/* Up to the content, which is then to be sent. */
void begin_mail(struct client *c, const char *from, const char *to)
{
    char line[600];
    (void)snprintf(line, sizeof line, "MAIL FROM:<%s>", from);
    ask(c, line, "250 2.1.0");
    (void)snprintf(line, sizeof line, "RCPT TO:<%s>", to);
    ask(c, line, "250 2.1.5");
    ask(c, "DATA", "354");
}

void greet(struct client *c)
{
    expect(c, "220");
    ask(c, "EHLO c.test", "250");
}

void dial_lmtp(struct client *c)
{
    dial(c, LMTP);
    expect(c, "220");
    ask(c, "LHLO c.test", "250");
}

/* The next event; metrics pass by. */
struct pn_str event(struct pn_buf *buf)
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

bool has(struct pn_str text, const char *part)
{
    return memmem(text.p, text.len, part, strlen(part)) != NULL;
}

void expect_event(const char *const *parts)
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
void take_over(struct handed *h, unsigned peer)
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

void let_go(struct handed *h)
{
    pn_unmap(&h->content);
    (void)close(h->handover.content_fd);
    pn_handover_close(&h->handover);
    pn_buf_fini(&h->buf);
    pn_pool_free(&h->pool);
}

void answer_take(const struct handed *h, uint16_t code, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_taken_put(&b, &(struct pn_taken){h->env.id, {code, pn_str_of(text)}});
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[QUEUE], PN_REC_TAKEN, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

void answer_delivery(const struct handed *h, uint16_t code, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_delivered_put(&b, &(struct pn_delivered){h->deliver.token, {code, pn_str_of(text)}});
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[MAILBOX], PN_REC_DELIVERED, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

#include "hop_rig.h"

#include "kit_policy.h"
#include "unit.h"

#include "assert.h"
#include "memfile.h"
#include "queue.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* ---- the server ---- */

void hop_server_init(struct hop_server *s)
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

void hop_server_fini(struct hop_server *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    (void)close(s->listener);
    pn_buf_fini(&s->in);
}

bool hop_readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

void hop_say(struct hop_server *s, const char *line)
{
    UNIT_INT(write(s->fd, line, strlen(line)), strlen(line));
}

void hop_greet(struct hop_server *s)
{
    UNIT_TRUE(hop_readable(s->listener, QUEUE_RIG_PATIENCE_MS));
    s->fd = accept(s->listener, NULL, NULL);
    UNIT_TRUE(s->fd >= 0);
    pn_buf_clear(&s->in);
    hop_say(s, "220 hop.test\r\n");
}

/* The next line; with `dot` all up to the line with a dot. Borrowed until the next call. */
struct pn_str hop_hear(struct hop_server *s, bool dot)
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
            to != NULL && hop_readable(s->fd, QUEUE_RIG_PATIENCE_MS) ? read(s->fd, to, 4096) : 0;
        if (got <= 0) {
            UNIT_TRUE(!"the peer said no more");
            return PN_STR("");
        }
        s->in.len += (size_t)got;
    }
}

void hop_expect(struct hop_server *s, const char *line, const char *answer)
{
    UNIT_STR(hop_hear(s, false), pn_str_of(line));
    hop_say(s, answer);
}

void hop_expect_ehlo(struct hop_server *s)
{
    hop_expect(s, "EHLO localhost", "250-hop.test\r\n250-8BITMIME\r\n250 SIZE\r\n");
}

void hop_closed(struct hop_server *s)
{
    char byte;
    UNIT_TRUE(hop_readable(s->fd, QUEUE_RIG_PATIENCE_MS) && read(s->fd, &byte, 1) <= 0);
    (void)close(s->fd);
    s->fd = -1;
}

/* ---- the role ---- */

/* conf NULL: none. */
void hop_rig_up(struct role_rig *rig, const char *conf)
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

/* Takes the next question, which must be this one, and answers it. data NULL: no record. */
void hop_rig_resolve(struct role_rig *rig, const char *name, uint16_t type, uint16_t rcode,
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

struct pn_recipient hop_rig_to(const struct hop_server *s, const char *address)
{
    return (struct pn_recipient){
        .address = pn_str_of(address), .via = PN_VIA_SMTP, .next_hop = pn_str_of(s->name)};
}

const struct pn_str hop_rig_usual = PN_STR_INIT("Subject: a\r\nX-Old: b\r\n\r\n.dot\r\n");

void hop_rig_take_content(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
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

void hop_rig_take(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
                  struct pn_recipient *to, uint32_t count)
{
    hop_rig_take_content(rig, id, from, flags, to, count, hop_rig_usual);
}

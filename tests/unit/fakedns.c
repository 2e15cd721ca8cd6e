#include "fakedns.h"

#include "assert.h"
#include "dnsfile.h"
#include "mem.h"
#include "net.h"

#include <stdlib.h>
#include <unistd.h>

enum { PACKET_MAX = 4096, LATE_MS = 100, RRSIG = 46 };

struct fakedns {
    struct pn_loop *loop;
    struct pn_watch *watch;
    struct pn_dnsfile *file;
    int fd;
    uint16_t port;
    unsigned questions, cut;
    struct late *late;
};

struct late {
    struct fakedns *server;
    struct pn_timer *timer;
    struct late *next;
    struct sockaddr_storage to;
    socklen_t to_len;
    size_t len;
    unsigned char packet[PACKET_MAX];
};

static void put(struct pn_buf *b, unsigned v, int bytes)
{
    while (bytes-- > 0)
        (void)pn_buf_addc(b, (char)(v >> (8 * bytes)));
}

static void put_name(struct pn_buf *b, struct pn_str text)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    (void)pn_buf_add(b, wire, pn_dns_name_to_wire(text.len == 0 ? PN_STR(".") : text, wire));
}

static void put_rdata(struct pn_buf *b, uint16_t type, struct pn_str data)
{
    switch (type) {
    case PN_DNS_TXT:
        do {
            size_t n = data.len > 255 ? 255 : data.len;
            put(b, (unsigned)n, 1);
            (void)pn_buf_add(b, data.p, n);
            data = pn_str_slice(data, n, data.len);
        } while (data.len != 0);
        break;
    case PN_DNS_MX:
        (void)pn_buf_add(b, data.p, 2);
        put_name(b, pn_str_slice(data, 2, data.len));
        break;
    case PN_DNS_PTR:
    case PN_DNS_NS:
    case PN_DNS_CNAME:
        put_name(b, data);
        break;
    default:
        (void)pn_buf_adds(b, data);
    }
}

/* The question's section is kept; its end, or 0. */
static size_t question_end(const unsigned char *p, size_t len, struct pn_buf *name)
{
    size_t at = 12;
    while (at < len && p[at] != 0)
        at += 1U + p[at];
    if (at + 5 > len)
        return 0;
    pn_dns_name_to_text(name, p + 12);
    return at + 5;
}

static void put_record(struct pn_buf *out, uint16_t type, const struct pn_dns_record *record)
{
    struct pn_buf rdata;
    pn_buf_init(&rdata, PACKET_MAX);
    put_rdata(&rdata, type, record->data);
    put(out, 0xc00c, 2);
    put(out, type, 2);
    put(out, 1, 2);
    put(out, record->ttl, 4);
    put(out, (unsigned)rdata.len, 2);
    (void)pn_buf_adds(out, pn_buf_str(&rdata));
    pn_buf_fini(&rdata);
}

static void make_reply(struct pn_buf *out, const unsigned char *query, size_t end, uint16_t type,
                       const struct pn_dns_answer *a, const struct pn_dns_answer *signatures)
{
    unsigned count = a->count;
    (void)pn_buf_add(out, query, 2);
    put(out, 0x8580U | (a->rcode & 15U), 2); /* authoritative, recursion there */
    put(out, 1, 2);
    put(out, a->count, 2);
    put(out, 0, 4);
    (void)pn_buf_add(out, query + 12, end - 12);
    for (uint32_t i = 0; i < a->count; i++)
        put_record(out, type, &a->records[i]);
    for (uint32_t i = 0; a->count != 0 && type != RRSIG && i < signatures->count; i++) {
        struct pn_str data = signatures->records[i].data;
        if (data.len > 2 && (unsigned char)data.p[0] << 8 == (type & 0xff00) &&
            (unsigned char)data.p[1] == (type & 0xff)) {
            put_record(out, RRSIG, &signatures->records[i]);
            count++;
        }
    }
    out->p[6] = (char)(count >> 8);
    out->p[7] = (char)count;
}

static void on_late(void *arg)
{
    struct late *l = arg;
    (void)sendto(l->server->fd, l->packet, l->len, 0, (struct sockaddr *)&l->to, l->to_len);
}

static void send_late(struct fakedns *s, struct pn_str packet, const struct sockaddr_storage *to,
                      socklen_t to_len)
{
    struct late *l = pn_calloc(1, sizeof *l);
    l->server = s;
    l->to = *to;
    l->to_len = to_len;
    l->len = packet.len;
    memcpy(l->packet, packet.p, packet.len);
    l->next = s->late;
    s->late = l;
    l->timer = pn_timer_new(s->loop, on_late, l);
    pn_timer_set(l->timer, LATE_MS);
}

static void answer(struct fakedns *s, const unsigned char *query, size_t len,
                   const struct sockaddr_storage *to, socklen_t to_len)
{
    struct pn_buf name, out;
    struct pn_dns_answer a, signatures;
    pn_buf_init(&name, 4 * PN_DNS_NAME_MAX);
    pn_buf_init(&out, PACKET_MAX);
    size_t end = question_end(query, len, &name);
    if (end != 0) {
        uint16_t type = (uint16_t)(query[end - 4] << 8 | query[end - 3]);
        pn_dnsfile_find(s->file, pn_buf_str(&name), type, &a);
        pn_dnsfile_find(s->file, pn_buf_str(&name), RRSIG, &signatures);
        make_reply(&out, query, end, type, &a, &signatures);
        struct pn_str packet = pn_buf_str(&out);
        if (s->cut != 0)
            packet = pn_str_slice(packet, 0, s->cut);
        if (a.rcode == PN_DNS_TIMEOUT)
            (void)packet;
        else if (pn_str_istarts(pn_buf_str(&name), PN_STR("slow-")))
            send_late(s, packet, to, to_len);
        else
            (void)sendto(s->fd, packet.p, packet.len, 0, (const struct sockaddr *)to, to_len);
    }
    pn_buf_fini(&name);
    pn_buf_fini(&out);
}

static void on_readable(void *arg, unsigned events)
{
    struct fakedns *s = arg;
    unsigned char query[PACKET_MAX];
    (void)events;
    for (int i = 0; i < 100; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        ssize_t n =
            recvfrom(s->fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (n < 12)
            break;
        s->questions++;
        answer(s, query, (size_t)n, &from, from_len);
    }
}

struct fakedns *fakedns_new(struct pn_loop *loop, const char *dns)
{
    struct fakedns *s = pn_calloc(1, sizeof *s);
    struct sockaddr_storage sa;
    socklen_t len;
    struct pn_ip ip;
    struct pn_buf err;
    pn_buf_init(&err, 1024);
    s->loop = loop;
    s->file = pn_dnsfile_parse(pn_str_of(dns), "fakedns", &err);
    if (s->file == NULL)
        pn_assert_failed(pn_buf_cstr(&err), __FILE__, __LINE__, __func__);
    pn_buf_fini(&err);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    pn_assert(pn_ip_parse(PN_STR("127.0.0.1"), &ip));
    len = pn_endpoint_to_sockaddr(&ip, 0, &sa);
    pn_assert(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&sa, len) == 0);
    len = sizeof sa;
    pn_assert(getsockname(s->fd, (struct sockaddr *)&sa, &len) == 0);
    pn_assert(pn_endpoint_of_sockaddr((struct sockaddr *)&sa, &ip, &s->port));
    s->watch = pn_watch_new(loop, s->fd, PN_WATCH_READ, on_readable, s);
    return s;
}

void fakedns_free(struct fakedns **server)
{
    struct fakedns *s = *server;
    *server = NULL;
    while (s->late != NULL) {
        struct late *l = s->late;
        s->late = l->next;
        pn_timer_free(&l->timer);
        free(l);
    }
    pn_watch_free(&s->watch);
    (void)close(s->fd);
    pn_dnsfile_free(&s->file);
    free(s);
}

uint16_t fakedns_port(const struct fakedns *s)
{
    return s->port;
}

unsigned fakedns_questions(const struct fakedns *s)
{
    return s->questions;
}

void fakedns_cut(struct fakedns *s, unsigned bytes)
{
    s->cut = bytes;
}

/*
 * dnsd: a name server for benches and end-to-end tests, over UDP on loopback.
 *
 *   dnsd [-d MS] [-l PERCENT] [-s SUFFIX] ADDRESS:PORT FILE
 *
 *   -d MS       answers come that much later
 *   -l PERCENT  so many questions of a hundred get no answer (the same names each run)
 *   -s SUFFIX   questions below this name get no answer at all: a server that hangs
 *
 * FILE is a DNS FILE (server/ipc/dnsfile.h). Prints a JSON line of its counts at its end
 * (SIGTERM).
 */
#include "clock.h"
#include "dnsfile.h"
#include "loop.h"
#include "mem.h"
#include "net.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKET_MAX = 4096, HEADER = 12, QUESTIONS_A_TURN = 256 };

struct reply {
    struct reply *next;
    uint64_t due_ns;
    struct sockaddr_storage to;
    socklen_t to_len;
    size_t len;
    unsigned char packet[];
};

static struct {
    struct pn_loop *loop;
    struct pn_dnsfile *file;
    struct pn_timer *timer;
    int fd;
    uint64_t delay_ms, loss;
    struct pn_str suffix;
    struct reply *first, **last; /* waiting, in order: the delay is the same for all */
    uint64_t questions, lost;
} dnsd = {.last = &dnsd.first};

static void put16(unsigned char *p, unsigned v)
{
    p[0] = (unsigned char)(v >> 8);
    p[1] = (unsigned char)v;
}

/* Rdata in wire form; returns its length, 0: it does not fit. */
static size_t rdata(unsigned char *out, size_t room, uint16_t type, struct pn_str data)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    size_t skip = type == PN_DNS_MX ? 2 : 0, n = 0;
    if (type == PN_DNS_MX || type == PN_DNS_PTR || type == PN_DNS_NS || type == PN_DNS_CNAME) {
        n = pn_dns_name_to_wire(pn_str_slice(data, skip, data.len), wire);
        if (n == 0 || skip + n > room)
            return 0;
        memcpy(out, data.p, skip);
        memcpy(out + skip, wire, n);
        return skip + n;
    }
    if (type != PN_DNS_TXT) {
        if (data.len > room)
            return 0;
        memcpy(out, data.p, data.len);
        return data.len;
    }
    for (size_t at = 0; at < data.len || at == 0;) {
        size_t part = data.len - at < 255 ? data.len - at : 255;
        if (n + 1 + part > room)
            return 0;
        out[n] = (unsigned char)part;
        memcpy(out + n + 1, data.p + at, part);
        n += 1 + part;
        at += part == 0 ? 1 : part;
    }
    return n;
}

/* Fills in the answer behind the question; question_len counts the header too. */
static size_t answer(unsigned char *p, size_t question_len, uint16_t type,
                     const struct pn_dns_answer *a)
{
    size_t at = question_len;
    unsigned count = 0;
    p[2] = 0x84 | (p[2] & 1); /* a reply, authoritative */
    p[3] = (unsigned char)(a->rcode & 15);
    for (uint32_t i = 0; i < a->count; i++) {
        if (at + 12 > PACKET_MAX)
            break;
        put16(p + at, 0xc000 | HEADER); /* the question's name */
        put16(p + at + 2, type);
        put16(p + at + 4, 1);
        put16(p + at + 6, 0);
        put16(p + at + 8, a->records[i].ttl > 65535 ? 65535 : a->records[i].ttl);
        size_t n = rdata(p + at + 12, PACKET_MAX - at - 12, type, a->records[i].data);
        if (n == 0 && a->records[i].data.len != 0)
            break;
        put16(p + at + 10, (unsigned)n);
        at += 12 + n;
        count++;
    }
    put16(p + 6, count);
    memset(p + 8, 0, 4);
    return at;
}

static void send_due(void *arg)
{
    uint64_t now = pn_clock_mono_ns();
    (void)arg;
    while (dnsd.first != NULL && dnsd.first->due_ns <= now) {
        struct reply *r = dnsd.first;
        dnsd.first = r->next;
        if (dnsd.first == NULL)
            dnsd.last = &dnsd.first;
        if (sendto(dnsd.fd, r->packet, r->len, 0, (struct sockaddr *)&r->to, r->to_len) < 0)
            perror("sendto");
        free(r);
    }
    if (dnsd.first != NULL)
        pn_timer_set(dnsd.timer, (dnsd.first->due_ns - now) / PN_NS_PER_MS + 1);
}

static void queue_reply(const unsigned char *packet, size_t len, const struct sockaddr_storage *to,
                        socklen_t to_len)
{
    struct reply *r = pn_alloc(sizeof *r + len);
    *r = (struct reply){.due_ns = pn_clock_mono_ns() + dnsd.delay_ms * PN_NS_PER_MS,
                        .to = *to,
                        .to_len = to_len,
                        .len = len};
    memcpy(r->packet, packet, len);
    *dnsd.last = r;
    dnsd.last = &r->next;
    if (dnsd.first == r)
        pn_timer_set(dnsd.timer, dnsd.delay_ms);
}

/* The question's name as text and where the question ends; 0: not one that we read. */
static size_t question(const unsigned char *p, size_t len, struct pn_buf *name, uint16_t *type)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    size_t at = HEADER;
    if (len < HEADER || (p[2] & 0x80) != 0 || p[4] != 0 || p[5] != 1)
        return 0;
    while (at < len && p[at] != 0 && p[at] < 64)
        at += 1U + p[at];
    if (at + 5 > len || p[at] != 0 || at + 1 - HEADER > sizeof wire)
        return 0;
    memcpy(wire, p + HEADER, at + 1 - HEADER);
    pn_dns_name_to_text(name, wire);
    *type = (uint16_t)(p[at + 1] << 8 | p[at + 2]);
    return at + 5;
}

static bool hangs(struct pn_str name)
{
    if (dnsd.suffix.len != 0 && pn_str_iends(name, dnsd.suffix))
        return true;
    return dnsd.loss != 0 && pn_str_hash(name, 0x51ed, true) % 100 < dnsd.loss;
}

static void on_packet(void *arg, unsigned events)
{
    unsigned char p[PACKET_MAX];
    (void)arg;
    (void)events;
    for (int i = 0; i < QUESTIONS_A_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(dnsd.fd, p, sizeof p, 0, (struct sockaddr *)&from, &from_len);
        if (n <= 0)
            return;
        struct pn_buf name;
        struct pn_dns_answer a;
        uint16_t type;
        pn_buf_init(&name, 4 * PN_DNS_NAME_MAX);
        size_t end = question(p, (size_t)n, &name, &type);
        dnsd.questions++;
        if (end != 0 && !hangs(pn_buf_str(&name))) {
            pn_dnsfile_find(dnsd.file, pn_buf_str(&name), type, &a);
            if (a.rcode != PN_DNS_TIMEOUT)
                queue_reply(p, answer(p, end, type, &a), &from, from_len);
        } else {
            dnsd.lost++;
        }
        pn_buf_fini(&name);
    }
}

static void on_end(void *arg, int signo)
{
    (void)arg;
    (void)signo;
    printf("{\"questions\":%" PRIu64 ",\"lost\":%" PRIu64 "}\n", dnsd.questions, dnsd.lost);
    pn_loop_stop(dnsd.loop);
}

static struct pn_dnsfile *read_file(const char *path)
{
    struct pn_buf text, err;
    FILE *in = fopen(path, "re");
    pn_buf_init(&text, PN_DNSFILE_MAX);
    pn_buf_init(&err, 4096);
    char *to;
    size_t n = 1;
    while (in != NULL && n != 0 && (to = pn_buf_reserve(&text, 65536)) != NULL) {
        n = fread(to, 1, 65536, in);
        text.len += n;
    }
    if (in == NULL) {
        perror(path);
        exit(3);
    }
    (void)fclose(in);
    struct pn_dnsfile *file = pn_dnsfile_parse(pn_buf_str(&text), path, &err);
    if (file == NULL) {
        fprintf(stderr, "%s\n", pn_buf_cstr(&err));
        exit(2);
    }
    pn_buf_fini(&text);
    pn_buf_fini(&err);
    return file;
}

int main(int argc, char **argv)
{
    struct pn_ip ip;
    uint16_t port = 0;
    struct sockaddr_storage ss;
    int opt;
    bool ok = true;
    while ((opt = getopt(argc, argv, "d:l:s:")) != -1) {
        if (opt == 'd')
            ok = ok && pn_str_u64(pn_str_of(optarg), 60000, &dnsd.delay_ms);
        else if (opt == 'l')
            ok = ok && pn_str_u64(pn_str_of(optarg), 100, &dnsd.loss);
        else if (opt == 's')
            dnsd.suffix = pn_str_of(optarg);
        else
            ok = false;
    }
    if (!ok || optind + 2 != argc || !pn_endpoint_parse(pn_str_of(argv[optind]), &ip, &port) ||
        !pn_ip_is_loopback(&ip)) {
        fprintf(stderr, "usage: dnsd [-d MS] [-l PERCENT] [-s SUFFIX] ADDRESS:PORT FILE\n");
        return 2;
    }
    dnsd.file = read_file(argv[optind + 1]);
    socklen_t len = pn_endpoint_to_sockaddr(&ip, port, &ss);
    dnsd.fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int room = 8 << 20;
    (void)setsockopt(dnsd.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (dnsd.fd < 0 || bind(dnsd.fd, (struct sockaddr *)&ss, len) != 0) {
        perror(argv[optind]);
        return 3;
    }
    dnsd.loop = pn_loop_new();
    dnsd.timer = pn_timer_new(dnsd.loop, send_due, NULL);
    struct pn_watch *watch = pn_watch_new(dnsd.loop, dnsd.fd, PN_WATCH_READ, on_packet, NULL);
    pn_loop_signal(dnsd.loop, SIGTERM, on_end, NULL);
    pn_loop_signal(dnsd.loop, SIGINT, on_end, NULL);
    pn_loop_run(dnsd.loop);
    pn_watch_free(&watch);
    return 0;
}

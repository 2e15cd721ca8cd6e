/*
 * The addresses of a next hop: as written, or asked of the resolver. A domain (PN_VIA_MX)
 * is asked for MX first (RFC 5321, section 5.1; RFC 7505), then its hosts for A and AAAA.
 */
#include "hop.h"

#include "clock.h"
#include "dns.h"
#include "log.h"
#include "mem.h"
#include "mx.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMTP_PORT = 25, TTL_MIN_S = 30, TTL_MAX_S = 3600, FIXED_TTL_S = 24 * 3600 };

/* One question that is out. */
struct lookup {
    struct lookup *next, **at;
    struct finding *finding;
    uint64_t id;
    uint16_t type;
    unsigned host; /* that it is about, by its place in the finding's */
};

/* All that is asked for one hop at a time. */
struct finding {
    struct hop *hop;
    unsigned open; /* questions, and one while more are being put */
    uint16_t port;
    uint32_t ttl_s;
    struct mx mx;
};

static void set_addresses(struct hop *hop, const struct hop_address *v, size_t n, uint32_t ttl_s)
{
    memcpy(hop->addresses, v, n * sizeof *v);
    hop->address_count = n;
    hop->current = 0;
    hop->addresses_until = pn_clock_mono_ns() + (uint64_t)ttl_s * PN_NS_PER_S;
    hop_pump(hop);
}

/* Addresses as written: "192.0.2.1:25", "[::1]:25", "192.0.2.1", "[192.0.2.1]". */
static bool written(struct pn_str name, struct hop_address *out)
{
    out->port = SMTP_PORT;
    return pn_endpoint_parse(name, &out->ip, &out->port) || pn_ip_parse(name, &out->ip) ||
           mx_literal(name, &out->ip);
}

static void finish(struct finding *f)
{
    struct hop *hop = f->hop;
    struct pn_ip ips[HOP_ADDRESSES_MAX];
    struct hop_address found[HOP_ADDRESSES_MAX];
    size_t count = mx_addresses(&f->mx, ips, HOP_ADDRESSES_MAX);
    hop->resolving = false;
    for (size_t i = 0; i < count; i++)
        found[i] = (struct hop_address){ips[i], f->port};
    if (count > 0) {
        set_addresses(hop, found, count,
                      f->ttl_s < TTL_MIN_S   ? TTL_MIN_S
                      : f->ttl_s > TTL_MAX_S ? TTL_MAX_S
                                             : f->ttl_s);
    } else {
        struct mx_refusal no = mx_refusal(&f->mx);
        if (hop->via != PN_VIA_MX) /* an operator's word: he may have mended it by then */
            no = (struct mx_refusal){451, "4.4.3 The next hop's name can't be resolved now"};
        hop_fail(hop, no.code, pn_str_of(no.text), no.code < 500);
    }
    free(f);
}

static void unsure(struct finding *f, uint16_t type, unsigned host)
{
    if (type == PN_DNS_MX)
        f->mx.unsure = true;
    else
        f->mx.hosts[host].unsure = true;
}

static void ask(struct finding *f, struct pn_str name, uint16_t type, unsigned host)
{
    struct queue *q = f->hop->queue;
    struct pn_buf body;
    const struct pn_dns_ask question = {.id = ++q->next_token, .type = type, .name = name};
    pn_buf_init(&body, PN_RECORD_MAX / 2);
    if (pn_dns_name_ok(name))
        pn_dns_ask_put(&body, &question);
    else
        body.overflow = true; /* no such name can be: as if it were not there */
    bool asked =
        body.overflow || (q->resolver != NULL &&
                          pn_channel_send(q->resolver, PN_REC_DNS_ASK, pn_buf_str(&body), NULL, 0));
    if (!asked)
        unsure(f, type, host);
    if (asked && !body.overflow) {
        struct lookup *l = pn_calloc(1, sizeof *l);
        *l = (struct lookup){q->lookups, &q->lookups, f, question.id, type, host};
        if (l->next != NULL)
            l->next->at = &l->next;
        q->lookups = l;
        f->open++;
    }
    pn_buf_fini(&body);
}

static void close_one(struct finding *f)
{
    if (--f->open == 0)
        finish(f);
}

static void ask_host(struct finding *f, struct pn_str name, unsigned host)
{
    ask(f, name, PN_DNS_AAAA, host);
    ask(f, name, PN_DNS_A, host);
}

static void use_mx(struct finding *f, const struct pn_dns_answer *answer)
{
    struct pn_str ourselves = pn_str_of(f->hop->queue->settings.hostname);
    struct pn_str domain = pn_str_of(f->hop->name), names[MX_HOSTS_MAX];
    unsigned count = mx_list(&f->mx, answer, ourselves, names);
    for (unsigned i = 0; i < count; i++)
        ask_host(f, names[i], i);
    if (!f->mx.listed && !f->mx.missing && !f->mx.unsure && mx_alone(&f->mx, domain, ourselves))
        ask_host(f, domain, 0);
}

/* Whether the kernel would reach ip from ip: then it is one of this machine's. No byte is
 * sent for it. */
static bool is_local(const struct pn_ip *ip)
{
    struct sockaddr_storage to, from;
    socklen_t to_len = pn_endpoint_to_sockaddr(ip, SMTP_PORT, &to), from_len = sizeof from;
    struct pn_ip own;
    uint16_t port;
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool local = fd >= 0 && connect(fd, (struct sockaddr *)&to, to_len) == 0 &&
                 getsockname(fd, (struct sockaddr *)&from, &from_len) == 0 &&
                 pn_endpoint_of_sockaddr((struct sockaddr *)&from, &own, &port) &&
                 pn_ip_eq(ip, &own);
    if (fd >= 0)
        (void)close(fd);
    return local;
}

static bool is_any(const struct pn_ip *ip)
{
    static const struct pn_ip any4 = {{[10] = 0xff, [11] = 0xff}}, any6;
    return pn_ip_eq(ip, &any4) || pn_ip_eq(ip, &any6);
}

/* Whether we are who listens there. */
static bool is_ours(const struct queue *q, const struct pn_ip *ip)
{
    size_t count = q->policy == NULL ? 0 : pn_policy_listen_count(q->policy);
    for (size_t i = 0; i < count; i++) {
        struct pn_listen l;
        pn_policy_listen(q->policy, i, &l);
        if (l.kind != PN_LISTEN_SMTP || l.port != SMTP_PORT)
            continue;
        if (pn_ip_eq(&l.ip, ip))
            return true;
        if (is_any(&l.ip) && pn_ip_is_v4(&l.ip) == pn_ip_is_v4(ip) && is_local(ip))
            return true;
    }
    return false;
}

static bool address_of(const struct lookup *l, struct pn_str data, struct pn_ip *ip)
{
    *ip = (struct pn_ip){{[10] = 0xff, [11] = 0xff}};
    if (l->type == PN_DNS_A && data.len == 4)
        memcpy(ip->b + 12, data.p, 4);
    else if (l->type == PN_DNS_AAAA && data.len == 16)
        memcpy(ip->b, data.p, 16);
    else
        return false;
    return true;
}

static void use_addresses(struct finding *f, const struct lookup *l,
                          const struct pn_dns_answer *answer)
{
    bool stranger = f->hop->via == PN_VIA_MX;
    if (answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN)
        unsure(f, l->type, l->host);
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct pn_dns_record *r = &answer->records[i];
        struct pn_ip ip;
        if (!address_of(l, r->data, &ip) || (stranger && !mx_may_go(&ip)))
            continue;
        if (r->ttl < f->ttl_s)
            f->ttl_s = r->ttl;
        f->mx.hosts[l->host].ours |= stranger && is_ours(f->hop->queue, &ip);
        mx_add(&f->mx, l->host, &ip);
    }
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct queue *q = ctx;
    static struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer answer;
    uint64_t id;
    if (record->type != PN_REC_DNS_ANSWER ||
        !pn_dns_answer_get(record->body, &id, &answer, records))
        return false;
    struct lookup *l = q->lookups;
    while (l != NULL && l->id != id)
        l = l->next;
    if (l == NULL)
        return true; /* asked of a resolver before this one */
    struct finding *f = l->finding;
    if (l->type == PN_DNS_MX)
        use_mx(f, &answer);
    else
        use_addresses(f, l, &answer);
    *l->at = l->next;
    if (l->next != NULL)
        l->next->at = l->at;
    free(l);
    close_one(f);
    return true;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct queue *q = ctx;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("the resolver sent what is no answer; its channel is closed");
    names_end(q);
    pn_control_missing(q->control, PN_ROLE_RESOLVER, 0);
}

void names_end(struct queue *q)
{
    struct lookup *lost = q->lookups;
    pn_channel_free(&q->resolver);
    q->lookups = NULL;
    while (lost != NULL) {
        struct lookup *l = lost;
        lost = l->next;
        unsure(l->finding, l->type, l->host);
        close_one(l->finding);
        free(l);
    }
}

void names_peer(struct queue *q, struct pn_peer *from)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    names_end(q);
    q->resolver = pn_channel_new(q->loop, from->fd, &ops, q, QUEUE_PEER_BYTES);
    from->fd = -1;
}

/* "host:port", "host". */
static struct pn_str split_port(struct pn_str name, uint16_t *port)
{
    size_t colon = pn_str_find(name, ':', 0);
    uint64_t n;
    *port = SMTP_PORT;
    if (colon == SIZE_MAX || !pn_str_u64(pn_str_slice(name, colon + 1, name.len), UINT16_MAX, &n) ||
        n == 0)
        return name;
    *port = (uint16_t)n;
    return pn_str_slice(name, 0, colon);
}

/* An address literal: a user's or a stranger's, so the rules of MX hold. */
static void find_literal(struct hop *hop)
{
    const struct queue *q = hop->queue;
    struct hop_address to = {.port = SMTP_PORT};
    bool good = mx_literal(pn_str_of(hop->name), &to.ip);
    if (!q->settings.literals)
        hop_fail(hop, 550, PN_STR("5.1.2 No mail goes to address literals from here"), false);
    else if (!good || !mx_may_go(&to.ip))
        hop_fail(hop, 550, PN_STR("5.1.2 No mail goes to that address literal"), false);
    else if (is_ours(q, &to.ip))
        hop_fail(hop, 554, PN_STR("5.4.6 That address is this server's: a loop"), false);
    else
        set_addresses(hop, &to, 1, FIXED_TTL_S);
}

void names_find(struct hop *hop)
{
    struct queue *q = hop->queue;
    struct hop_address fixed;
    struct pn_str name = pn_str_of(hop->name);
    bool mx = hop->via == PN_VIA_MX;
    if (mx && pn_str_starts(name, PN_STR("["))) {
        find_literal(hop);
        return;
    }
    if (!mx && written(name, &fixed)) {
        set_addresses(hop, &fixed, 1, FIXED_TTL_S);
        return;
    }
    struct finding *f = pn_calloc(1, sizeof *f);
    *f = (struct finding){.hop = hop, .open = 1, .port = SMTP_PORT, .ttl_s = TTL_MAX_S};
    f->mx.seed = q->mx_seed++;
    hop->resolving = true;
    if (mx) {
        ask(f, name, PN_DNS_MX, 0);
    } else {
        struct pn_str host = split_port(name, &f->port);
        (void)mx_alone(&f->mx, host, PN_STR("")); /* where an operator sends it, it goes */
        ask_host(f, host, 0);
    }
    close_one(f);
}

void names_init(struct queue *q)
{
    if (getrandom(&q->mx_seed, sizeof q->mx_seed, 0) < 0)
        q->mx_seed = pn_clock_mono_ns();
}

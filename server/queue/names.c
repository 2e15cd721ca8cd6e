/*
 * The addresses of a next hop: as written, or asked of the resolver. A domain (PN_VIA_MX)
 * is asked for MX first (RFC 5321, section 5.1; RFC 7505), then its hosts for A and AAAA.
 */
#include "hop.h"

#include "clock.h"
#include "dns.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum { HOSTS_MAX = 8, SMTP_PORT = 25, TTL_MIN_S = 30, TTL_MAX_S = 3600, FIXED_TTL_S = 24 * 3600 };

/* One question that is out. */
struct lookup {
    struct lookup *next, **at;
    struct finding *finding;
    uint64_t id;
    uint16_t type;
    unsigned rank; /* of the host it is about: the order of trying */
};

/* All that is asked for one hop at a time. */
struct finding {
    struct hop *hop;
    unsigned open; /* questions, and one while more are being put */
    uint16_t port;
    bool temporary; /* a question failed that may be answered later */
    uint32_t ttl_s;
    struct hop_address found[HOP_ADDRESSES_MAX];
    unsigned ranks[HOP_ADDRESSES_MAX];
    size_t count;
    uint16_t refusal; /* a reply code of its own, or 0 */
    const char *why;
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
static bool literal(struct pn_str name, struct hop_address *out)
{
    out->port = SMTP_PORT;
    if (pn_endpoint_parse(name, &out->ip, &out->port) || pn_ip_parse(name, &out->ip))
        return true;
    if (name.len < 3 || name.p[0] != '[' || name.p[name.len - 1] != ']')
        return false;
    struct pn_str inside = pn_str_slice(name, 1, name.len - 1);
    if (pn_str_istarts(inside, PN_STR("IPv6:")))
        inside = pn_str_slice(inside, 5, inside.len);
    return pn_ip_parse(inside, &out->ip);
}

/* Lowest rank first; a stable insertion, the list is short. */
static void add_found(struct finding *f, const struct pn_ip *ip, unsigned rank)
{
    if (f->count == HOP_ADDRESSES_MAX)
        return;
    size_t at = f->count++;
    for (; at > 0 && f->ranks[at - 1] > rank; at--) {
        f->found[at] = f->found[at - 1];
        f->ranks[at] = f->ranks[at - 1];
    }
    f->found[at] = (struct hop_address){*ip, f->port};
    f->ranks[at] = rank;
}

static void finish(struct finding *f)
{
    struct hop *hop = f->hop;
    hop->resolving = false;
    if (f->count > 0)
        set_addresses(hop, f->found, f->count,
                      f->ttl_s < TTL_MIN_S   ? TTL_MIN_S
                      : f->ttl_s > TTL_MAX_S ? TTL_MAX_S
                                             : f->ttl_s);
    else if (f->refusal != 0)
        hop_fail(hop, f->refusal, pn_str_of(f->why), false);
    else if (f->temporary || hop->via != PN_VIA_MX)
        hop_fail(hop, 451, PN_STR("4.4.3 The next hop's name can't be resolved now"), true);
    else
        hop_fail(hop, 550, PN_STR("5.1.2 The domain has no mail server"), false);
    free(f);
}

static void ask(struct finding *f, struct pn_str name, uint16_t type, unsigned rank)
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
    f->temporary |= !asked;
    if (asked && !body.overflow) {
        struct lookup *l = pn_calloc(1, sizeof *l);
        *l = (struct lookup){q->lookups, &q->lookups, f, question.id, type, rank};
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

static void ask_host(struct finding *f, struct pn_str host, unsigned rank)
{
    ask(f, host, PN_DNS_AAAA, rank * 2 + 1);
    ask(f, host, PN_DNS_A, rank * 2);
}

static void use_mx(struct finding *f, const struct pn_dns_answer *answer)
{
    unsigned rank = 0;
    if (answer->rcode == PN_DNS_NXDOMAIN ||
        (answer->rcode == PN_DNS_NOERROR && answer->count == 0)) {
        if (answer->rcode == PN_DNS_NOERROR) /* the domain itself is its server */
            ask_host(f, pn_str_of(f->hop->name), 0);
        return;
    }
    f->temporary |= answer->rcode != PN_DNS_NOERROR;
    for (uint32_t i = 0; i < answer->count && rank < HOSTS_MAX; i++) {
        struct pn_str host = pn_str_slice(answer->records[i].data, 2, answer->records[i].data.len);
        if (answer->count == 1 && (host.len == 0 || pn_str_eq(host, PN_STR(".")))) {
            f->refusal = 556;
            f->why = "5.1.10 The domain takes no mail";
            return;
        }
        ask_host(f, host, rank++); /* sorted by data, and so by preference */
    }
}

/* A stranger's domain may not send us to ourselves: loopback, "this network", multicast. */
static bool may_go(const struct pn_ip *ip)
{
    bool v4 = pn_ip_is_v4(ip);
    unsigned char first = v4 ? pn_ip_v4(ip)[0] : ip->b[0];
    static const struct pn_ip any6;
    if (v4)
        return first != 0 && first != 127 && first < 224;
    return first != 0xff && !pn_ip_is_loopback(ip) && !pn_ip_eq(ip, &any6);
}

static void use_addresses(struct finding *f, const struct lookup *l,
                          const struct pn_dns_answer *answer)
{
    f->temporary |= answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN;
    for (uint32_t i = 0; i < answer->count; i++) {
        struct pn_str data = answer->records[i].data;
        struct pn_ip ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
        if (l->type == PN_DNS_A && data.len == 4)
            memcpy(ip.b + 12, data.p, 4);
        else if (l->type == PN_DNS_AAAA && data.len == 16)
            memcpy(ip.b, data.p, 16);
        else
            continue;
        if (f->hop->via == PN_VIA_MX && !may_go(&ip))
            continue;
        if (answer->records[i].ttl < f->ttl_s)
            f->ttl_s = answer->records[i].ttl;
        add_found(f, &ip, l->rank);
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
        l->finding->temporary = true;
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

void names_find(struct hop *hop)
{
    struct hop_address fixed;
    struct pn_str name = pn_str_of(hop->name);
    if (literal(name, &fixed)) {
        set_addresses(hop, &fixed, 1, FIXED_TTL_S);
        return;
    }
    struct finding *f = pn_calloc(1, sizeof *f);
    *f = (struct finding){.hop = hop, .open = 1, .port = SMTP_PORT, .ttl_s = TTL_MAX_S};
    hop->resolving = true;
    if (hop->via == PN_VIA_MX)
        ask(f, name, PN_DNS_MX, 0);
    else
        ask_host(f, split_port(name, &f->port), 0);
    close_one(f);
}

/*
 * The addresses of a next hop: as written, or asked of the resolver. A domain (PN_VIA_MX)
 * is asked for MX first (RFC 5321, section 5.1; RFC 7505), then its hosts for A and AAAA, and
 * those in signed zones for TLSA (tls_search.h).
 */
#include "hop.h"

#include "clock.h"
#include "dns.h"
#include "log.h"
#include "mem.h"
#include "mx.h"
#include "tls_search.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMTP_PORT = 25, TTL_MIN_S = 30, TTL_MAX_S = 3600, FIXED_TTL_S = 24 * 3600 };
enum { NO_TLSA_TTL_S = 300 }; /* a host that has no records may get some */

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
    struct tls_search tls;
};

void names_forget(struct hop *hop)
{
    for (size_t i = 0; i < hop->address_count; i++)
        tls_host_unref(&hop->hosts[i]);
    hop->address_count = 0;
}

static void add_address(struct hop *hop, const struct pn_ip *ip, uint16_t port,
                        struct tls_host *host)
{
    size_t i = hop->address_count++;
    hop->addresses[i] = (struct hop_address){*ip, port};
    hop->hosts[i] = host;
    hop->broke[i] = false;
}

static void use_found(struct hop *hop, uint32_t ttl_s)
{
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
    struct mx_address found[HOP_ADDRESSES_MAX];
    size_t count = mx_addresses(&f->mx, found, HOP_ADDRESSES_MAX);
    hop->resolving = false;
    names_forget(hop);
    for (size_t i = 0; i < count; i++)
        add_address(hop, &found[i].ip, f->port, tls_search_found(&f->tls, found[i].host));
    tls_search_fini(&f->tls);
    if (count > 0) {
        use_found(hop, f->ttl_s < TTL_MIN_S   ? TTL_MIN_S
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

static const struct pn_dns_answer not_now = {.rcode = PN_DNS_TIMEOUT};
static const struct pn_dns_answer no_such_name = {.rcode = PN_DNS_NXDOMAIN};

/* A question that is not out is answered at once: by not_now or no_such_name. */
static void use_answer(struct finding *f, uint16_t type, unsigned host,
                       const struct pn_dns_answer *answer);

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
    bool possible = !body.overflow;
    if (asked && possible) {
        struct lookup *l = pn_calloc(1, sizeof *l);
        *l = (struct lookup){q->lookups, &q->lookups, f, question.id, type, host};
        if (l->next != NULL)
            l->next->at = &l->next;
        q->lookups = l;
        f->open++;
    }
    pn_buf_fini(&body);
    if (!possible)
        use_answer(f, type, host, &no_such_name);
    else if (!asked)
        use_answer(f, type, host, &not_now);
}

static void close_one(struct finding *f)
{
    if (--f->open == 0)
        finish(f);
}

static void ask_host(struct finding *f, struct pn_str name, unsigned host)
{
    tls_search_begin(&f->tls, host, name, 2);
    ask(f, name, PN_DNS_AAAA, host);
    ask(f, name, PN_DNS_A, host);
}

static void use_mx(struct finding *f, const struct pn_dns_answer *answer)
{
    struct pn_str ourselves = pn_str_of(f->hop->queue->settings.hostname);
    struct pn_str domain = pn_str_of(f->hop->name), names[MX_HOSTS_MAX];
    unsigned count = mx_list(&f->mx, answer, ourselves, names);
    tls_search_listed(&f->tls, domain, answer);
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

static bool address_of(uint16_t type, struct pn_str data, struct pn_ip *ip)
{
    *ip = (struct pn_ip){{[10] = 0xff, [11] = 0xff}};
    if (type == PN_DNS_A && data.len == 4)
        memcpy(ip->b + 12, data.p, 4);
    else if (type == PN_DNS_AAAA && data.len == 16)
        memcpy(ip->b, data.p, 16);
    else
        return false;
    return true;
}

static void hold_for(struct finding *f, uint32_t ttl_s)
{
    if (ttl_s < f->ttl_s)
        f->ttl_s = ttl_s;
}

static void ask_of_tls(struct finding *f, unsigned host)
{
    struct pn_buf name;
    uint16_t type;
    pn_buf_init(&name, TLS_QUESTION_MAX);
    if (tls_search_next(&f->tls, host, &type, &name))
        ask(f, pn_buf_str(&name), type, host);
    pn_buf_fini(&name);
}

static void use_addresses(struct finding *f, uint16_t type, unsigned host,
                          const struct pn_dns_answer *answer)
{
    bool stranger = f->hop->via == PN_VIA_MX;
    if (answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN)
        f->mx.hosts[host].unsure = true;
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct pn_dns_record *r = &answer->records[i];
        struct pn_ip ip;
        if (!address_of(type, r->data, &ip) || (stranger && !mx_may_go(&ip)))
            continue;
        hold_for(f, r->ttl);
        f->mx.hosts[host].ours |= stranger && is_ours(f->hop->queue, &ip);
        mx_add(&f->mx, host, &ip);
    }
    tls_search_addresses(&f->tls, host, answer);
    ask_of_tls(f, host);
}

static void use_tls(struct finding *f, uint16_t type, unsigned host,
                    const struct pn_dns_answer *answer)
{
    bool told = answer->rcode == PN_DNS_NOERROR || answer->rcode == PN_DNS_NXDOMAIN;
    for (uint32_t i = 0; i < answer->count; i++)
        hold_for(f, answer->records[i].ttl);
    if (!told)
        hold_for(f, TTL_MIN_S); /* until then no mail goes there */
    else if (type == PN_DNS_TLSA && answer->count == 0)
        hold_for(f, NO_TLSA_TTL_S);
    tls_search_answer(&f->tls, host, type, answer);
    ask_of_tls(f, host);
}

static void use_answer(struct finding *f, uint16_t type, unsigned host,
                       const struct pn_dns_answer *answer)
{
    if (type == PN_DNS_MX)
        use_mx(f, answer);
    else if (type == PN_DNS_A || type == PN_DNS_AAAA)
        use_addresses(f, type, host, answer);
    else
        use_tls(f, type, host, answer);
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
    use_answer(f, l->type, l->host, &answer);
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
        use_answer(l->finding, l->type, l->host, &not_now);
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

/* It has no name that anything could be published of. */
static void use_fixed(struct hop *hop, const struct pn_ip *ip, uint16_t port)
{
    names_forget(hop);
    add_address(hop, ip, port, tls_host_new(PN_STR(""), TLS_NOTHING));
    use_found(hop, FIXED_TTL_S);
}

/* An address literal: a user's or a stranger's, so the rules of MX hold. */
static void find_literal(struct hop *hop)
{
    const struct queue *q = hop->queue;
    struct pn_ip to = {0};
    bool good = mx_literal(pn_str_of(hop->name), &to);
    if (!q->settings.literals)
        hop_fail(hop, 550, PN_STR("5.1.2 No mail goes to address literals from here"), false);
    else if (!good || !mx_may_go(&to))
        hop_fail(hop, 550, PN_STR("5.1.2 No mail goes to that address literal"), false);
    else if (is_ours(q, &to))
        hop_fail(hop, 554, PN_STR("5.4.6 That address is this server's: a loop"), false);
    else
        use_fixed(hop, &to, SMTP_PORT);
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
        use_fixed(hop, &fixed.ip, fixed.port);
        return;
    }
    struct finding *f = pn_calloc(1, sizeof *f);
    *f = (struct finding){.hop = hop, .open = 1, .port = SMTP_PORT, .ttl_s = TTL_MAX_S};
    f->mx.seed = q->mx_seed++;
    f->tls.port = SMTP_PORT;
    hop->resolving = true;
    if (mx) {
        ask(f, name, PN_DNS_MX, 0);
    } else {
        struct pn_str host = split_port(name, &f->port);
        (void)mx_alone(&f->mx, host, PN_STR("")); /* where an operator sends it, it goes */
        tls_search_trusted(&f->tls);
        f->tls.port = f->port;
        ask_host(f, host, 0);
    }
    close_one(f);
}

void names_init(struct queue *q)
{
    if (getrandom(&q->mx_seed, sizeof q->mx_seed, 0) < 0)
        q->mx_seed = pn_clock_mono_ns();
}

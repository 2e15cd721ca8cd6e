#include "net.h"

#include "assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool pn_ip_parse(struct pn_str text, struct pn_ip *out)
{
    char z[PN_IP_TEXT_MAX];
    if (text.len == 0 || text.len >= sizeof z || memchr(text.p, '\0', text.len) != NULL)
        return false;
    memcpy(z, text.p, text.len);
    z[text.len] = '\0';
    struct pn_ip ip;
    memcpy(ip.b, mapped, sizeof mapped);
    if (inet_pton(AF_INET, z, ip.b + 12) != 1 && inet_pton(AF_INET6, z, ip.b) != 1)
        return false;
    *out = ip;
    return true;
}

bool pn_ip_is_v4(const struct pn_ip *ip)
{
    return memcmp(ip->b, mapped, sizeof mapped) == 0;
}

const unsigned char *pn_ip_v4(const struct pn_ip *ip)
{
    pn_assert(pn_ip_is_v4(ip));
    return ip->b + 12;
}

const char *pn_ip_text(const struct pn_ip *ip, char text[PN_IP_TEXT_MAX])
{
    const char *got = pn_ip_is_v4(ip) ? inet_ntop(AF_INET, ip->b + 12, text, PN_IP_TEXT_MAX)
                                      : inet_ntop(AF_INET6, ip->b, text, PN_IP_TEXT_MAX);
    pn_assert(got != NULL);
    return got;
}

void pn_ip_print(struct pn_buf *out, const struct pn_ip *ip)
{
    char text[PN_IP_TEXT_MAX];
    (void)pn_buf_addz(out, pn_ip_text(ip, text));
}

bool pn_ip_eq(const struct pn_ip *a, const struct pn_ip *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool pn_ip_is_loopback(const struct pn_ip *ip)
{
    static const unsigned char v6[16] = {[15] = 1};
    return pn_ip_is_v4(ip) ? ip->b[12] == 127 : memcmp(ip->b, v6, sizeof v6) == 0;
}

/* Clears the bits behind the prefix; true if none was set. */
static bool clear_host_bits(struct pn_ip *ip, unsigned bits)
{
    bool clean = true;
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits >= (i + 1) * 8 ? 8 : bits <= i * 8 ? 0 : bits - i * 8;
        unsigned char mask = (unsigned char)(0xff00U >> keep);
        if ((ip->b[i] & ~mask & 0xff) != 0)
            clean = false;
        ip->b[i] &= mask;
    }
    return clean;
}

bool pn_net_parse(struct pn_str text, struct pn_net *out)
{
    struct pn_net net = {.bits = 128};
    size_t slash = pn_str_find(text, '/', 0);
    struct pn_str host = slash == SIZE_MAX ? text : pn_str_slice(text, 0, slash);
    if (!pn_ip_parse(host, &net.ip))
        return false;
    if (slash != SIZE_MAX) {
        bool v4 = pn_ip_is_v4(&net.ip) && pn_str_find(host, ':', 0) == SIZE_MAX;
        uint64_t bits;
        if (!pn_str_u64(pn_str_slice(text, slash + 1, text.len), v4 ? 32 : 128, &bits))
            return false;
        net.bits = (uint8_t)(v4 ? bits + 96 : bits);
    }
    if (!clear_host_bits(&net.ip, net.bits))
        return false;
    *out = net;
    return true;
}

bool pn_net_has(const struct pn_net *net, const struct pn_ip *ip)
{
    struct pn_ip head = *ip;
    (void)clear_host_bits(&head, net->bits);
    return pn_ip_eq(&head, &net->ip);
}

void pn_net_print(struct pn_buf *out, const struct pn_net *net)
{
    bool v4 = pn_ip_is_v4(&net->ip) && net->bits >= 96;
    pn_ip_print(out, &net->ip);
    (void)pn_buf_addf(out, "/%u", v4 ? net->bits - 96U : net->bits);
}

struct pn_net pn_net_of(const struct pn_ip *ip, unsigned bits4, unsigned bits6)
{
    bool v4 = pn_ip_is_v4(ip);
    pn_assert(v4 ? bits4 <= 32 : bits6 <= 128);
    struct pn_net net = {*ip, (uint8_t)(v4 ? 96 + bits4 : bits6)};
    (void)clear_host_bits(&net.ip, net.bits);
    return net;
}

struct pn_net pn_net_of_client(const struct pn_ip *ip)
{
    return pn_net_of(ip, 24, 64);
}

bool pn_endpoint_parse(struct pn_str text, struct pn_ip *ip, uint16_t *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct pn_str host = pn_str_slice(text, 0, colon - 1);
    uint64_t n;
    if (!pn_str_u64(pn_str_slice(text, colon, text.len), 65535, &n) || n == 0)
        return false;
    bool bracketed = host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']';
    if (bracketed)
        host = pn_str_slice(host, 1, host.len - 1);
    else if (pn_str_find(host, ':', 0) != SIZE_MAX)
        return false;
    if (!pn_ip_parse(host, ip))
        return false;
    *port = (uint16_t)n;
    return true;
}

void pn_endpoint_print(struct pn_buf *out, const struct pn_ip *ip, uint16_t port)
{
    char text[PN_IP_TEXT_MAX];
    (void)pn_buf_addf(out, pn_ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", pn_ip_text(ip, text),
                      (unsigned)port);
}

socklen_t pn_endpoint_to_sockaddr(const struct pn_ip *ip, uint16_t port,
                                  struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (pn_ip_is_v4(ip)) {
        struct sockaddr_in *sin = (struct sockaddr_in *)out;
        sin->sin_family = AF_INET;
        sin->sin_port = htons(port);
        memcpy(&sin->sin_addr, pn_ip_v4(ip), 4);
        return sizeof *sin;
    }
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;
    sin6->sin6_family = AF_INET6;
    sin6->sin6_port = htons(port);
    memcpy(&sin6->sin6_addr, ip->b, 16);
    return sizeof *sin6;
}

bool pn_endpoint_of_sockaddr(const struct sockaddr *sa, struct pn_ip *ip, uint16_t *port)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in sin;
        memcpy(&sin, sa, sizeof sin);
        memcpy(ip->b, mapped, sizeof mapped);
        memcpy(ip->b + 12, &sin.sin_addr, 4);
        *port = ntohs(sin.sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 sin6;
        memcpy(&sin6, sa, sizeof sin6);
        memcpy(ip->b, &sin6.sin6_addr, 16);
        *port = ntohs(sin6.sin6_port);
        return true;
    }
    return false;
}

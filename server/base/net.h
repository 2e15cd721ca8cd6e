/*
 * Addresses and networks, as data: no sockets here.
 *
 * An address is kept in one form: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291,
 * section 2.5.5.2), so that a mapped client is the IPv4 client it is. Printing
 * gives the dotted form back. Prefix lengths count in that form too; parsing and
 * printing translate (10.0.0.0/8 is kept as /104).
 */
#ifndef PN_NET_H
#define PN_NET_H

#include "buf.h"

#include <sys/socket.h>

struct pn_ip {
    unsigned char b[16];
};

struct pn_net {
    struct pn_ip ip; /* host bits are zero */
    uint8_t bits;    /* 0 to 128 */
};

enum { PN_IP_TEXT_MAX = 46 };

bool pn_ip_parse(struct pn_str text, struct pn_ip *out);
bool pn_ip_is_v4(const struct pn_ip *ip);
/* The four IPv4 bytes; only where pn_ip_is_v4. */
const unsigned char *pn_ip_v4(const struct pn_ip *ip);
void pn_ip_print(struct pn_buf *out, const struct pn_ip *ip);
/* NUL-terminated, in a buffer of the caller's; returns it. */
const char *pn_ip_text(const struct pn_ip *ip, char text[PN_IP_TEXT_MAX]);
bool pn_ip_eq(const struct pn_ip *a, const struct pn_ip *b);
bool pn_ip_is_loopback(const struct pn_ip *ip);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone (a network of one). Set host
 * bits are refused. */
bool pn_net_parse(struct pn_str text, struct pn_net *out);
bool pn_net_has(const struct pn_net *net, const struct pn_ip *ip);
void pn_net_print(struct pn_buf *out, const struct pn_net *net);
/* The network of so many bits that ip lies in: at most 32 for IPv4, 128 for IPv6. */
struct pn_net pn_net_of(const struct pn_ip *ip, unsigned bits4, unsigned bits6);
/* The network that limits count by: IPv4 /24, IPv6 /64. */
struct pn_net pn_net_of_client(const struct pn_ip *ip);

/* "127.0.0.1:2525", "[::1]:2525". */
bool pn_endpoint_parse(struct pn_str text, struct pn_ip *ip, uint16_t *port);
void pn_endpoint_print(struct pn_buf *out, const struct pn_ip *ip, uint16_t port);
/* To and from socket addresses; returns the length. IPv4 becomes AF_INET. */
socklen_t pn_endpoint_to_sockaddr(const struct pn_ip *ip, uint16_t port,
                                  struct sockaddr_storage *out);
bool pn_endpoint_of_sockaddr(const struct sockaddr *sa, struct pn_ip *ip, uint16_t *port);

#endif

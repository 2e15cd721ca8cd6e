/*
 * Which hosts take a domain's mail, and in which order their addresses are tried (RFC 5321,
 * section 5.1; RFC 7505). Answers of the resolver go in, addresses or a refusal come out;
 * nothing here asks or connects.
 *
 * Hosts go by preference, equal ones in a random order, and so do a host's addresses, IPv6
 * and IPv4 in turn, IPv6 first (RFC 8305, section 4). A list that names this server, by its
 * name or by an address, ends before the preference of that host: who is behind it would
 * only hand the mail to us again. What is random comes from the seed alone.
 */
#ifndef PN_QUEUE_MX_H
#define PN_QUEUE_MX_H

#include "dns.h"
#include "net.h"

enum { MX_HOSTS_MAX = 8, MX_FAMILY_MAX = 4 };

enum mx_family { MX_IPV6, MX_IPV4, MX_FAMILIES };

struct mx_host {
    uint16_t preference;
    bool unsure;                /* a question about it failed that may be answered later */
    bool ours;                  /* an address of it is this server's */
    uint32_t seen[MX_FAMILIES]; /* addresses; the first MX_FAMILY_MAX places hold some of them */
    struct pn_ip ips[MX_FAMILIES][MX_FAMILY_MAX];
};

struct mx {
    uint64_t seed;
    struct mx_host hosts[MX_HOSTS_MAX];
    unsigned count;
    bool unsure;  /* of the list itself */
    bool missing; /* there is no such domain */
    bool listed;  /* there are MX records; else the domain is its own host */
    bool null;    /* RFC 7505 */
    bool loop;    /* the list named this server */
};

struct mx_address {
    struct pn_ip ip;
    unsigned host; /* whose */
};

/* What is said where no address is left. */
struct mx_refusal {
    uint16_t code;
    const char *text; /* begins with the enhanced status */
};

/*
 * Takes the answer to MX; `ourselves` is this server's name. Returns how many hosts are to be
 * asked for addresses, and their names, borrowed from the answer. 0 with mx->listed false and
 * neither `missing` nor `unsure`: the domain itself is to be asked for (mx_alone).
 */
unsigned mx_list(struct mx *mx, const struct pn_dns_answer *answer, struct pn_str ourselves,
                 struct pn_str names[MX_HOSTS_MAX]);
/* One host, the hop or the domain itself. False: it is ourselves, and nobody is to be asked. */
bool mx_alone(struct mx *mx, struct pn_str name, struct pn_str ourselves);
/* One more address of a host. */
void mx_add(struct mx *mx, unsigned host, const struct pn_ip *ip);
/* All addresses in the order of trying, at most max of them. */
size_t mx_addresses(const struct mx *mx, struct mx_address *out, size_t max);
/* Why there are none. */
struct mx_refusal mx_refusal(const struct mx *mx);

/* The domain of an address, as a literal: "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321,
 * section 4.1.3). Nothing else is one. */
bool mx_literal(struct pn_str domain, struct pn_ip *ip);
/* A stranger's domain may not send us to ourselves: loopback, "this network", multicast. */
bool mx_may_go(const struct pn_ip *ip);

#endif

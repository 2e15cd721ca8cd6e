/*
 * A DNS reply (RFC 1035, section 4) as struct pn_dns_answer: the records of the asked
 * type behind the question's name, CNAMEs followed within the reply.
 *
 * The packet is a stranger's: every length is checked, compression pointers may only
 * lead backwards, a name is at most 255 bytes, and at most REPLY_CNAMES_MAX are
 * followed. What is malformed is refused whole. Records beyond the limits of dns.h
 * are left out.
 *
 * An answer holds for as long as all that it was made of: the least time to live of its
 * records and of the CNAMEs before them. That there is none holds for what the zone's SOA
 * says (RFC 2308, section 5), and nothing else than NOERROR and NXDOMAIN holds at all.
 */
#ifndef RESOLVER_REPLY_H
#define RESOLVER_REPLY_H

#include "dns.h"

enum { REPLY_CNAMES_MAX = 16 };

/* Room for one answer; the views in it point here. */
struct reply {
    struct pn_dns_answer answer;
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    char data[PN_DNS_DATA_MAX];
    size_t used;
    char target[4 * PN_DNS_NAME_MAX]; /* as text */
    uint32_t ttl; /* seconds that the answer as a whole holds; 0: nothing says so */
};

/* answer.secure is left false: the packet does not say. False: malformed. */
bool reply_parse(struct reply *r, struct pn_str packet, uint16_t type);

#endif

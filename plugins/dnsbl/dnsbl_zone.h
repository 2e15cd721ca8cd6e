/*
 * Zones of DNS lists (RFC 5782): what the operator says of each, what to ask, and what an
 * answer means. Pure: no host here.
 */
#ifndef DNSBL_ZONE_H
#define DNSBL_ZONE_H

#include <postern/plugin.h>

#include <stdbool.h>

enum { DNSBL_NAME_MAX = 253, DNSBL_ZONE_MAX = 180 };

/* What of a message is looked up; bits 1 << DNSBL_... in a zone. */
enum dnsbl_kind { DNSBL_CLIENT, DNSBL_HELO, DNSBL_FROM, DNSBL_HEADER_FROM, DNSBL_URL, DNSBL_KINDS };

/* Answers that mean something: within a network, or with a bit in the last byte. */
struct dnsbl_code {
    unsigned char ip[4];
    unsigned bits; /* of the prefix */
    unsigned mask; /* not 0: this instead */
    int32_t weight;
};

struct dnsbl_zone {
    char name[DNSBL_ZONE_MAX + 1];
    size_t name_len;
    unsigned kinds;
    bool allow, parents, url_addresses;
    bool any; /* answers that no code names count too, with this weight */
    int32_t weight;
    struct dnsbl_code *codes; /* owned by the instance */
    size_t code_count;
};

enum dnsbl_meaning { DNSBL_NOTHING, DNSBL_HIT, DNSBL_TROUBLE };

struct dnsbl_result {
    enum dnsbl_meaning meaning;
    int32_t weight;           /* of a hit */
    unsigned char trouble[4]; /* the address that can't be an answer */
};

/*
 * One answer's addresses. Those outside 127.0.0.0/8 (a zone that was sold) and within
 * 127.255.255.0/24 (one that refuses us) never list anything, nor does 127.0.0.1 unless
 * a code names it (RFC 5782, section 2.1). Of several hits the heaviest counts.
 */
void dnsbl_judge(const struct dnsbl_zone *zone, const struct postern_dns_answer *answer,
                 struct dnsbl_result *out);

/* "127.0.0.2" or "127.0.0.0/24", within 127.0.0.0/8 and outside 127.255.255.0/24. */
bool dnsbl_code_parse(struct postern_str text, struct dnsbl_code *out);
/* A zone's own name: lower-cased, without the last dot. */
bool dnsbl_zone_name(struct dnsbl_zone *zone, struct postern_str text);

/* Names to ask, NUL-terminated, in room of DNSBL_NAME_MAX + 1. False: not for this zone. */
bool dnsbl_ask_address(const struct dnsbl_zone *zone, const unsigned char ip[16], bool is_ipv4,
                       char *room);
bool dnsbl_ask_name(const struct dnsbl_zone *zone, struct postern_str name, char *room);

/* A domain name that lists may know: lower-cased into room, two labels at least, letters,
 * digits, "-" and "_", and no address. Returns its length or 0. */
size_t dnsbl_domain(struct postern_str text, char room[DNSBL_NAME_MAX + 1]);
/* Dotted IPv4, as ::ffff:a.b.c.d. */
bool dnsbl_ipv4(struct postern_str text, unsigned char ip[16]);

#endif

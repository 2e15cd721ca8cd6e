/*
 * Zones of DNS lists (RFC 5782): what the operator says of each, what to ask, and what an
 * answer means. Pure: no host here.
 */
#ifndef DNSBL_ZONE_H
#define DNSBL_ZONE_H

#include "dnsbl_name.h"

enum { DNSBL_ZONE_MAX = 180 };

/* What of a message is looked up; bits 1 << DNSBL_... in a zone. */
enum dnsbl_kind { DNSBL_CLIENT, DNSBL_HELO, DNSBL_FROM, DNSBL_HEADER_FROM, DNSBL_URL, DNSBL_KINDS };

/* Of a name, what is asked for; bits. */
enum dnsbl_ask {
    DNSBL_ASK_DOMAIN = 1,  /* the registered domain */
    DNSBL_ASK_HOST = 2,    /* the name as it stands */
    DNSBL_ASK_PARENTS = 4, /* that, and those above it from four labels down to two */
};

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
    unsigned kinds, ask;
    bool allow, spares, proof, reason;
    bool ipv4, ipv6;
    bool url_addresses, url_names;
    bool any; /* answers that no code names count too, with this weight */
    int32_t weight;
    unsigned max_questions;   /* in a message */
    struct dnsbl_code *codes; /* owned by the instance */
    size_t code_count;
    bool unproved;   /* the tick's alone: its last proof had no answer, */
    int64_t said_ms; /* and when that was said */
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
/* Is it an address that a list answers in place of listing: outside 127.0.0.0/8, or within
 * 127.255.255.0/24? */
bool dnsbl_is_trouble(const unsigned char ip[4]);

/* "127.0.0.2" or "127.0.0.0/24", within 127.0.0.0/8 and outside 127.255.255.0/24. */
bool dnsbl_code_parse(struct postern_str text, struct dnsbl_code *out);
/* A zone's own name: lower-cased, without the last dot. */
bool dnsbl_zone_name(struct dnsbl_zone *zone, struct postern_str text);

/* Names to ask, NUL-terminated, in room of DNSBL_NAME_MAX + 1. False: not for this zone. */
bool dnsbl_ask_address(const struct dnsbl_zone *zone, const unsigned char ip[16], bool is_ipv4,
                       char *room);
bool dnsbl_ask_name(const struct dnsbl_zone *zone, struct postern_str name, char *room);

#endif

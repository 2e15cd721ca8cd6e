/*
 * DNS questions and answers between roles: PN_REC_DNS_ASK and PN_REC_DNS_ANSWER.
 *
 * One answer is what a caller needs of a reply: the rcode, whether DNSSEC proved
 * it, and the records of the asked type after CNAMEs were followed. Failure to
 * get any reply in time is rcode PN_DNS_TIMEOUT; a bogus answer is SERVFAIL.
 */
#ifndef PN_DNS_H
#define PN_DNS_H

#include "wire.h"

enum pn_dns_type {
    PN_DNS_A = 1,
    PN_DNS_NS = 2,
    PN_DNS_CNAME = 5,
    PN_DNS_SOA = 6,
    PN_DNS_PTR = 12,
    PN_DNS_MX = 15,
    PN_DNS_TXT = 16,
    PN_DNS_AAAA = 28,
    PN_DNS_TLSA = 52
};

enum {
    PN_DNS_NOERROR = 0,
    PN_DNS_SERVFAIL = 2,
    PN_DNS_NXDOMAIN = 3,
    PN_DNS_REFUSED = 5,
    PN_DNS_TIMEOUT = 256, /* ours: no reply in time */
    PN_DNS_NAME_MAX = 255,
    PN_DNS_RECORDS_MAX = 256,
    PN_DNS_TXT_MAX = 16 * 1024, /* a record's strings joined; longer ones are cut away whole */
    PN_DNS_DATA_MAX = 48 * 1024 /* an answer's data in all, so that it fits a channel's record */
};

/*
 * data by type: A 4 bytes, AAAA 16 bytes; TXT the strings joined; PTR, NS, CNAME the
 * name in presentation form without the last dot, small letters; MX two bytes of preference (big
 * endian), then the name; others the wire form of the rdata.
 */
struct pn_dns_record {
    uint32_t ttl;
    struct pn_str data;
};

struct pn_dns_answer {
    uint16_t rcode; /* RFC 1035 section 4.1.1, or PN_DNS_TIMEOUT */
    bool secure;
    uint32_t count;
    const struct pn_dns_record *records; /* sorted by data, so that runs can be compared */
    struct pn_str target; /* where CNAMEs led, in the form of names above; empty: there was none */
};

struct pn_dns_ask {
    uint64_t id; /* the asker's own, given back in the answer */
    uint16_t type;
    uint32_t deadline_ms; /* 0: the resolver's default */
    struct pn_str name;   /* without the last dot; letters as given */
};

const char *pn_dns_type_name(uint16_t type);             /* "TXT"; "TYPE99" is not made: NULL */
bool pn_dns_type_of(struct pn_str name, uint16_t *type); /* without case */
const char *pn_dns_rcode_name(uint16_t rcode);           /* "NXDOMAIN", "TIMEOUT" */

/*
 * Names. As text: RFC 1035's presentation form, where \X is X and \DDD a byte, so that
 * a label may hold any byte, a dot too. On the wire (RFC 1035, section 3.1): length
 * byte and label, ended by an empty label. In wire form letters are lower case here,
 * so that equal names are equal bytes.
 */

/* A name that can be asked: labels of 1 to 63 bytes, 255 bytes on the wire (253 as
 * plain text), no empty label. One last dot is allowed. */
bool pn_dns_name_ok(struct pn_str name);
/* Without a last dot, unless an escape makes that part of a label. */
struct pn_str pn_dns_name_undotted(struct pn_str name);
/* The wire form's length, or 0 where pn_dns_name_ok says no. "." is a name here. */
size_t pn_dns_name_to_wire(struct pn_str name, unsigned char wire[PN_DNS_NAME_MAX]);
/* Back to text, without the last dot; the root is "". wire must be a whole name. */
void pn_dns_name_to_text(struct pn_buf *out, const unsigned char *wire);
/* 4.3.2.1.SUFFIX, or 32 nibbles for IPv6. suffix is a DNSBL zone, or empty:
 * in-addr.arpa, ip6.arpa. */
struct pn_ip;
void pn_dns_reverse(struct pn_buf *out, const struct pn_ip *ip, struct pn_str suffix);
/* Into the order of struct pn_dns_answer; drops repeated data. Returns how many stay. */
uint32_t pn_dns_sort(struct pn_dns_record *records, uint32_t count);

/*
 * A record holds one question or several, behind one another; and so do answers to such:
 * the _next functions read the next one (false: malformed), until pn_rd_done. Who asks
 * one at a time gets them one at a time.
 */
bool pn_dns_ask_next(struct pn_rd *r, struct pn_dns_ask *ask);
/* Calls fn for each question; false: there is none, or it is malformed from some on. */
bool pn_dns_asks_each(struct pn_str body, void (*fn)(void *ctx, const struct pn_dns_ask *ask),
                      void *ctx);
bool pn_dns_answer_next(struct pn_rd *r, uint64_t *id, struct pn_dns_answer *answer,
                        struct pn_dns_record *records);
void pn_dns_ask_put(struct pn_buf *out, const struct pn_dns_ask *ask);
bool pn_dns_ask_get(struct pn_str body, struct pn_dns_ask *ask);
void pn_dns_answer_put(struct pn_buf *out, uint64_t id, const struct pn_dns_answer *answer);
/* records is the caller's array of PN_DNS_RECORDS_MAX; views borrow from body. */
bool pn_dns_answer_get(struct pn_str body, uint64_t *id, struct pn_dns_answer *answer,
                       struct pn_dns_record *records);

#endif

/*
 * `postern doctor`, inside: what is looked at, and how a finding is said.
 *
 *   doctor.c          words and options
 *   doctor_ask.c      names, from the configuration's resolver or a DNS file
 *   doctor_host.c     this server: its name, addresses, pointers, lists, clock
 *   doctor_tls.c      its certificate, and DANE
 *   doctor_relay.c    does it take what it should not?
 *   doctor_domain.c   a domain: MX, SPF, DKIM, DMARC
 *
 * A finding is ok, fix (mail suffers by it), or note: what could not be looked at, or what could be
 * better and need not. A fix ends with the record to publish wherever a record mends it.
 */
#ifndef PN_DOCTOR_H
#define PN_DOCTOR_H

#include "dns.h"
#include "json.h"
#include "net.h"
#include "policy.h"
#include "pool.h"

enum { DOCTOR_ADDRESSES_MAX = 32, DOCTOR_ZONES_MAX = 32, DOCTOR_NAME_MAX = 256 };

enum finding { DOCTOR_OK, DOCTOR_FIX, DOCTOR_NOTE };

struct doctor {
    const struct pn_policy *policy;
    const char *config, *root, *dns_path; /* as said; NULL: not */
    struct pn_pool *pool;                 /* of answers */
    struct doctor_names *names;
    struct pn_str hostname;
    struct pn_ip addresses[DOCTOR_ADDRESSES_MAX]; /* by which others know us */
    size_t address_count;
    struct pn_str zones[DOCTOR_ZONES_MAX]; /* DNSBLs beside the configured ones */
    size_t zone_count;
    bool json;
    size_t found[3]; /* how many of each kind */
};

/* doctor.c: one finding, in a line; what: "mx", "ptr". */
void doctor_say(struct doctor *d, enum finding how, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Behind a finding: the record that mends it, as a line of a zone's file. */
void doctor_publish(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* doctor_ask.c. NULL with a sentence in err. policy_fd: borrowed, the mapping. */
struct doctor_names *doctor_names_new(const struct doctor *d, int policy_fd, struct pn_buf *err);
void doctor_names_free(struct doctor_names **names);
/* Blocks; never without an answer. Its data is pooled. */
struct pn_dns_answer doctor_ask(struct doctor *d, uint16_t type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "it does not exist", "no answer": why an answer has no records. */
const char *doctor_none(const struct pn_dns_answer *answer);
/* No answer could be had, which says nothing. */
bool doctor_unsure(const struct pn_dns_answer *answer);

void doctor_addresses(struct doctor *d); /* those of the configuration, if none was said */
void doctor_host(struct doctor *d);
void doctor_tls(struct doctor *d);
void doctor_relay(struct doctor *d);
void doctor_domain(struct doctor *d, struct pn_str domain);

#endif

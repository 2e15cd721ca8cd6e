/*
 * What is asked of DNS about TLS while a next hop's addresses are looked for: names.c puts the
 * questions and brings the answers, tls_host.h says what they mean. No question is put about a
 * host that has no address, or whose zone is not signed.
 *
 * A host is settled once tls_search_next has nothing more to ask and no address is waited for.
 * What is not settled at the end is TLS_UNSURE: it never goes without TLS for want of an
 * answer.
 */
#ifndef PN_QUEUE_TLS_SEARCH_H
#define PN_QUEUE_TLS_SEARCH_H

#include "mx.h"
#include "tls_host.h"

struct tls_search_host {
    char *name, *target; /* owned; NULL: none */
    struct tls_way way;
    unsigned waits; /* questions about addresses that are out */
    bool has_address;
    bool alias_known;      /* way.secure_alias is */
    unsigned tried;        /* bases that have no records */
    struct tls_host *host; /* settled; counted */
};

/* All zero at the beginning, but for the port. */
struct tls_search {
    uint16_t port;
    bool secure_list, trusted;
    char *domain, *domain_target; /* owned; NULL: none */
    struct tls_search_host hosts[MX_HOSTS_MAX];
};

/* The hosts come from this answer to MX, or the domain is its own. */
void tls_search_listed(struct tls_search *s, struct pn_str domain,
                       const struct pn_dns_answer *answer);
/* The host comes from the operator. */
void tls_search_trusted(struct tls_search *s);
/* A host is asked for addresses, by so many questions. */
void tls_search_begin(struct tls_search *s, unsigned host, struct pn_str name, unsigned questions);
void tls_search_addresses(struct tls_search *s, unsigned host, const struct pn_dns_answer *answer);
/* The next question about it; false: there is none, now or any more. */
bool tls_search_next(struct tls_search *s, unsigned host, uint16_t *type, struct pn_buf *name);
/* The answer to that. */
void tls_search_answer(struct tls_search *s, unsigned host, uint16_t type,
                       const struct pn_dns_answer *answer);
/* What is known of it now; counted for the caller. */
struct tls_host *tls_search_found(struct tls_search *s, unsigned host);
void tls_search_fini(struct tls_search *s);

#endif

/*
 * What a next hop's host says of TLS by DNS: its TLSA records, if DNSSEC proves them (RFC
 * 7672, section 2.2; RFC 7671). Answers of the resolver go in, a struct comes out; nothing
 * here asks or connects. tls_names.c asks, tls_plan.h decides by it.
 *
 * Where TLSA records are looked for (section 2.2.3): nowhere, unless the way to the host's name
 * is secure (the MX list, or an operator's word). At a host whose addresses are secure, below
 * its name; at an alias all of which is secure, below the name that it leads to, then below its
 * own; at an alias of which only the first step is secure, below its own name. So an unsigned
 * zone, whose servers may choke on TLSA, is never asked.
 *
 * An answer that is none (SERVFAIL, as what is bogus is; no answer in time) makes the host one
 * that no mail goes to: only a proof that there are no records lets us do without.
 */
#ifndef PN_QUEUE_TLS_HOST_H
#define PN_QUEUE_TLS_HOST_H

#include "dns.h"
#include "tls.h"

enum { TLS_BASES_MAX = 2, TLS_NAMES_MAX = 4, TLS_QUESTION_MAX = 4 * PN_DNS_NAME_MAX + 16 };

enum tls_found {
    TLS_NOTHING,  /* not looked for, not secure, or proved not to be there */
    TLS_UNSURE,   /* it can't be known now */
    TLS_UNUSABLE, /* records, none of which we can go by: TLS, of whomever */
    TLS_USABLE    /* TLS, of whom a record matches */
};

/* Of one host; counted, never changed once it is made. */
struct tls_host {
    unsigned refs;
    enum tls_found found;
    bool trusted;               /* its name is the operator's word */
    char *name;                 /* of the host; owned; "": none, it is an address */
    char *base;                 /* where the records were found; owned; NULL: none were */
    char *names[TLS_NAMES_MAX]; /* that a certificate may have, base first; owned */
    size_t name_count;
    struct pn_tlsa *records; /* those that are usable; owned, with their data */
    size_t record_count;
};

struct tls_host *tls_host_new(struct pn_str name, enum tls_found found);
struct tls_host *tls_host_ref(struct tls_host *host);
void tls_host_unref(struct tls_host **host);

/* What was learned on the way to a host's addresses. */
struct tls_way {
    bool secure_list;     /* the host's name was come by securely */
    bool secure;          /* and so were addresses, by all aliases */
    bool secure_alias;    /* the host's name is an alias, and that at least is secure */
    struct pn_str name;   /* without the last dot; borrowed */
    struct pn_str target; /* what the alias leads to in the end; empty: it is none; borrowed */
};

/* Below which names TLSA records are to be looked for, in order. Returns how many. */
unsigned tls_bases(const struct tls_way *way, struct pn_str bases[TLS_BASES_MAX]);
/* "_25._tcp.mx.example.net". False: it would be too long to be a name. */
bool tls_question(uint16_t port, struct pn_str base, struct pn_buf *out);

/*
 * The host by the answer to that question. TLS_NOTHING: the next base is to be asked.
 * domain: the next hop that an MX list was asked for (section 3.2.2), empty for none;
 * domain_target: what that is an alias of, empty for none.
 */
struct tls_host *tls_host_of(const struct tls_way *way, struct pn_str base,
                             const struct pn_dns_answer *answer, struct pn_str domain,
                             struct pn_str domain_target);

/* What a stream is to be told of it. Borrows from host. */
struct pn_tls_want tls_want_of(const struct tls_host *host, enum pn_tls_verified verify);

#endif

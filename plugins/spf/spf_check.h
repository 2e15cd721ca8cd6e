/*
 * Inside the engine, shared by spf_check.c (records and mechanisms), spf_dns.c (lookups) and
 * spf_names.c (names of the client and of terms).
 */
#ifndef SPF_CHECK_H
#define SPF_CHECK_H

#include "spf_engine.h"
#include "spf_text.h"

enum { SPF_EXPANDED_MAX = 2048 };

/* One check, over all records that it leads to. */
struct spf_check {
    const struct spf_query *q;
    struct spf_outcome *out;
    unsigned lookups, voids;
    int status; /* POSTERN_DEADLINE: unwind */
    /* %{p}, for the domain it was last asked for */
    char validated[SPF_NAME_MAX], validated_for[SPF_NAME_MAX];
    size_t validated_len, validated_for_len;
};

/* What became of a term; the error is the whole check's. */
enum spf_match { SPF_MATCH_NO, SPF_MATCH_YES, SPF_MATCH_TEMPERROR, SPF_MATCH_PERMERROR };
enum spf_match spf_error_with(struct spf_check *c, enum spf_match error, const char *problem);

/* Labels of 1 to 63 bytes, two at least (section 4.3). */
bool spf_domain_ok(struct postern_str domain);

/* ---- spf_dns.c */
/* POSTERN_OK with an answer, POSTERN_NONE: no such name or no such record (void), else an
 * error. A name that can't be has no records. */
int spf_lookup(struct spf_check *c, struct postern_str name, uint32_t type,
               const struct postern_dns_answer **answer);
void spf_start(struct spf_check *c, struct postern_str name, uint32_t type);
/* A lookup of a term: too many without an answer are an error (section 4.6.4). */
enum spf_match spf_term_lookup(struct spf_check *c, struct postern_str name, uint32_t type,
                               const struct postern_dns_answer **answer);
/* The same outside of a check: POSTERN_OK, POSTERN_NONE, POSTERN_DEADLINE, POSTERN_ERROR. */
int spf_ask(const struct spf_query *q, struct postern_str name, uint32_t type,
            const struct postern_dns_answer **answer);
uint32_t spf_address_type(const struct spf_check *c); /* of the client */
/* The first bits of both; of IPv4 those of the last four bytes. */
bool spf_in_network(const struct spf_check *c, const unsigned char *network, unsigned bits);
bool spf_has_address(const struct spf_check *c, const struct postern_dns_answer *a, unsigned bits);

/* ---- spf_names.c */
enum spf_match spf_match_ptr(struct spf_check *c, struct postern_str domain);
void spf_expand(struct spf_check *c, struct postern_str spec, struct postern_str domain,
                struct spf_text *out);
/* The term's domain: the current one without a spec. Names over 253 bytes lose labels from
 * the left (section 7.3). False: it does not fit even so. */
bool spf_target(struct spf_check *c, struct postern_str spec, struct postern_str domain,
                char room[SPF_EXPANDED_MAX], struct postern_str *out);

#endif

/*
 * DMARC (RFC 9989) for one author domain: policy discovery, organizational domains and
 * alignment, with DNS through a callback.
 *
 * Organizational domains are found by the tree walk (section 4.10: at most eight lookups
 * for a domain, all started at once), or, as RFC 7489 did, by a list of public suffixes.
 * An identifier that is not at or below the author's organizational domain can't align, so
 * nothing is asked for it. Nothing is allocated.
 */
#ifndef DMARC_ENGINE_H
#define DMARC_ENGINE_H

#include "dmarc_name.h"
#include "dmarc_record.h"

enum { DMARC_WALK_MAX = 8 };

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR };

/* A domain that SPF or DKIM authenticated, or could not now. */
struct dmarc_identifier {
    struct dmarc_name domain;
    bool dkim;      /* else SPF */
    bool temporary; /* its check had a temporary error */
};

struct dmarc_query {
    struct dmarc_name author;
    const struct dmarc_identifier *identifiers;
    size_t identifier_count;
    /* As postern_host's. */
    int (*lookup)(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer);
    void (*start)(void *ctx, struct postern_str name, uint32_t type);
    /* The registrable part of a name, NUL-terminated, or NULL for a public suffix. NULL
     * here: the tree walk. */
    const char *(*registrable)(void *ctx, const char *name);
    void *ctx;
};

struct dmarc_outcome {
    enum dmarc_result result;
    enum dmarc_policy policy;      /* of p, sp or np, whichever applies */
    enum dmarc_policy disposition; /* what it asks for: none unless the result is fail; one
                                    * step less with t=y */
    struct dmarc_name org_domain;
    struct dmarc_name record_domain; /* empty: no record */
    struct dmarc_record record;      /* what it publishes; of a usable one */
    bool spf_aligned, dkim_aligned;  /* with a pass */
    const char *problem;             /* of an error or a record left aside; else NULL */
};

/* Starts what dmarc_check will look up first. */
void dmarc_start(const struct dmarc_query *query);
/* The record at _dmarc.domain. POSTERN_OK; POSTERN_NONE: there is none, or there are several,
 * which count as none (section 4.10); else why it can't be known. */
int dmarc_get_record(const struct dmarc_query *query, const struct dmarc_name *domain,
                     struct dmarc_record *out);
/* The organizational domain by query->registrable; a public suffix is its own. */
void dmarc_registrable(const struct dmarc_query *query, const struct dmarc_name *domain,
                       struct dmarc_name *org);
/* POSTERN_OK, or POSTERN_DEADLINE with no outcome. */
int dmarc_check(const struct dmarc_query *query, struct dmarc_outcome *out);
/* Section 4.4: do the two align? Strict by comparing, relaxed by organizational domain.
 * POSTERN_OK, POSTERN_NONE: they do not, or what a lookup failed with. */
int dmarc_align(const struct dmarc_query *query, const struct dmarc_name *author,
                const struct dmarc_name *identifier, bool strict);
/* RFC 8601's word. */
const char *dmarc_result_name(enum dmarc_result result);

#endif

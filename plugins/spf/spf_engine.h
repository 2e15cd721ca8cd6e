/*
 * SPF (RFC 7208): check_host(), with DNS through a callback, so that it runs the same in
 * the plugin, in unit tests and over a suite's zone data.
 *
 * A record is checked whole before any of it is evaluated (section 4.6). The limits of
 * section 4.6.4 hold over the whole check, whatever is included: 10 terms that ask DNS, 10
 * names of an "mx", 10 of a "ptr", void lookups as set. Nothing is allocated; recursion
 * is by "include" and "redirect", so at most 11 deep.
 *
 * A name given to the callbacks is text as <postern/plugin.h> has it (RFC 1035's escapes).
 */
#ifndef SPF_ENGINE_H
#define SPF_ENGINE_H

#include <postern/plugin.h>

#include <stdbool.h>

enum {
    SPF_LOOKUPS_MAX = 10,
    SPF_MX_MAX = 10,
    SPF_PTR_MAX = 10,
    SPF_VOIDS_MAX = 2, /* the default */
    SPF_NAME_MAX = 253,
    SPF_EXPLANATION_MAX = 1000
};

enum spf_result {
    SPF_NONE,
    SPF_NEUTRAL,
    SPF_PASS,
    SPF_FAIL,
    SPF_SOFTFAIL,
    SPF_TEMPERROR,
    SPF_PERMERROR
};

/* What is asked; all borrowed. */
struct spf_query {
    unsigned char ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    bool is_ipv4;
    struct postern_str ip_text;
    struct postern_str local;  /* of <sender>; empty: "postmaster" */
    struct postern_str domain; /* of <sender>, and where the check begins; no last dot */
    struct postern_str helo;
    struct postern_str receiver; /* our name; empty: "unknown" */
    int64_t now;                 /* seconds since 1970 */
    unsigned voids_max;
    /* As postern_host's: POSTERN_INVALID is a name that can't be, POSTERN_DEADLINE ends the
     * check, any other failure is a temporary error. */
    int (*lookup)(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer);
    /* Tells what will probably be looked up; may be NULL. */
    void (*start)(void *ctx, struct postern_str name, uint32_t type);
    void *ctx;
};

struct spf_outcome {
    enum spf_result result;
    const char *problem; /* of an error: a few words; else NULL */
    char explanation[SPF_EXPLANATION_MAX];
    size_t explanation_len; /* 0: the record has none (or none that is right) */
};

/* POSTERN_OK, or POSTERN_DEADLINE with no outcome. */
int spf_check(const struct spf_query *query, struct spf_outcome *out);
/* RFC 8601's word. */
const char *spf_result_name(enum spf_result result);

#endif

/*
 * What stands between a resolver and an SPF library that trusts what DNS says.
 *
 * libspf2 writes past its buffers where a record is long enough (CVE-2023-42118), limits
 * lookups a level of includes and not a check (66,430 of them, by records of one domain), and
 * counts no void lookups. So each of its questions goes through here:
 *   - a record reaches it only if it is right by our own grammar (spf_record.h) and its
 *     terms are short; else the check is a permanent error
 *   - lookups, voids, names of "mx" and of "ptr" are counted over the whole check, as
 *     RFC 7208, section 4.6.4 has it, and all questions together besides
 *   - names and texts have no NUL, which ends a string there
 *
 * States: open, and closed. Closed by a limit or by a record (`refused` says why), or by
 * the deadline (`status`); then every question is answered with an error, which ends the
 * library's evaluation. Nothing is allocated. Views are the resolver's.
 */
#ifndef SPF_GUARD_H
#define SPF_GUARD_H

#include "spf_engine.h"

enum {
    SPF_GUARD_RECORD_MAX = 2048,
    SPF_GUARD_TERMS_MAX = 200,
    /* A macro of four bytes becomes 16 in the library's buffer of 4,096. */
    SPF_GUARD_TERM_MAX = 400,
    /* The record, and ten terms with ten names each. */
    SPF_GUARD_ASKED_MAX = 1 + 10 * 11,
    SPF_GUARD_NAMES_MAX = 2 * SPF_GUARD_ASKED_MAX
};

struct spf_guard {
    const struct spf_query *q;
    const char *refused; /* NULL: open */
    int status;          /* POSTERN_OK, or POSTERN_DEADLINE */
    unsigned asked, terms, voids;
    bool begun; /* the first record is no term's */
    struct {
        uint32_t hash;
        bool of_ptr;
    } names[SPF_GUARD_NAMES_MAX]; /* of mx and ptr: their addresses are no terms of their own */
    size_t name_count;
};

void spf_guard_init(struct spf_guard *g, const struct spf_query *q);
/* Names come as the library has them, without escapes. POSTERN_OK: what it may see;
 * POSTERN_NONE: no such name or record; POSTERN_ERROR: DNS failed, or the guard closed. */
/* count is 2 where there are more: the library only needs to see that. */
int spf_guard_record(struct spf_guard *g, struct postern_str name, struct postern_str records[2],
                     size_t *count);
int spf_guard_explanation(struct spf_guard *g, struct postern_str name, struct postern_str *text);
/* A, AAAA, MX, PTR. *count: how many of the answer's records it may see. */
int spf_guard_lookup(struct spf_guard *g, struct postern_str name, uint32_t type,
                     const struct postern_dns_answer **answer, size_t *count);
/* May this record reach the library? NULL, or why not. */
const char *spf_guard_screen(struct postern_str txt);
/* A string of C: no NUL. */
bool spf_guard_text_ok(struct postern_str s);

#endif

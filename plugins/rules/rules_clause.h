/*
 * The "from" clause of a Received field in pieces (RFC 5321, 4.4): the first word, the comments
 * behind it, an address, and what begins with "by". Pure; views into the field.
 */
#ifndef RULES_CLAUSE_H
#define RULES_CLAUSE_H

#include "rules_relay.h"

enum { RULES_COMMENTS = 4 };

struct rules_clause {
    struct postern_str line;                    /* behind "from " */
    struct postern_str word;                    /* the first */
    struct postern_str comment[RULES_COMMENTS]; /* what stands in brackets behind it, before "by" */
    size_t comments;
    struct postern_str bracket_ip; /* "[1.2.3.4]" outside of them */
    struct postern_str tail;       /* from "by" on */
    bool other;                    /* other words stand between */
    bool glued;                    /* "NAME(…)" */
};

/* Of what stands behind "from ". */
struct rules_clause rules_clause_split(struct postern_str line);
/* What stands before the first of these bytes. */
struct postern_str rules_until(struct postern_str s, const char *stop);
/* "[1.2.3.4]", "1.2.3.4", "[IPv6:::1]", "[1.2.3.4:25]": the address at the beginning of s, and
 * how many bytes that took; .p NULL: none is there. */
struct postern_str rules_ip_at(struct postern_str s, size_t *took);

#endif

/*
 * SPF records (RFC 7208, sections 4.5, 4.6 and 12): terms, one at a time. Views borrow
 * from the record.
 */
#ifndef SPF_RECORD_H
#define SPF_RECORD_H

#include "spf_text.h"

enum spf_kind {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT, /* modifiers from here */
    SPF_EXP,
    SPF_UNKNOWN
};

struct spf_term {
    enum spf_kind kind;
    char qualifier;            /* + - ~ ?; of a mechanism */
    struct postern_str spec;   /* domain-spec; empty: the current domain */
    unsigned char network[16]; /* ip4 (as ::ffff:a.b.c.d) and ip6 */
    unsigned bits4, bits6;     /* prefix lengths; 32 and 128 where none is given */
};

/* "v=spf1", and then a space or nothing. */
bool spf_record_is(struct postern_str txt);

/* What a right record says besides its mechanisms. */
struct spf_record {
    struct postern_str terms;    /* behind the version */
    struct postern_str redirect; /* domain-spec; empty: none */
    struct postern_str exp;      /* domain-spec; empty: none */
    bool has_all;
};

/* Checks the whole. False: a syntax error; *problem says which. */
bool spf_record_read(struct postern_str txt, struct spf_record *out, const char **problem);
/* The next term of a record that was read; false at the end. */
bool spf_record_next(struct postern_str *terms, struct spf_term *out);

#endif

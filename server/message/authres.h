/*
 * Authentication-Results (RFC 8601): built from neutral inputs, and read again.
 *
 * Reading is tolerant as the RFC asks: comments, folds, a version, quoted strings. It
 * serves the removal of forged lines, `scan --auth` and, later, ARC's own form.
 */
#ifndef PN_AUTHRES_H
#define PN_AUTHRES_H

#include "buf.h"

struct pn_authres_property {
    struct pn_str ptype;    /* "smtp", "header", "body", "policy" */
    struct pn_str property; /* "mailfrom", "d" */
    struct pn_str value;    /* any bytes: quoted when written, as written when read */
};

struct pn_authres {
    struct pn_str method; /* "spf" */
    struct pn_str result; /* "pass" */
    struct pn_str reason;
    struct pn_str comment; /* written in brackets behind the result; not read */
    const struct pn_authres_property *properties; /* for writing */
    size_t property_count;
};

/* Appends the field's value, folded with CRLF before each method; count 0: "none". Bytes
 * that can't be (CR, LF, NUL, other controls, what is no UTF-8) become "?", and of a value
 * 400 bytes are written. */
bool pn_authres_value(struct pn_str authserv_id, const struct pn_authres *results, size_t count,
                      struct pn_buf *out);

/* Appends the authserv-id: unquoted, in lower case, without a last dot. False: there is
 * none that can be read. */
bool pn_authres_id(struct pn_str value, struct pn_buf *out);
/* Does this line speak in the name of id? Also if it is malformed but its first word
 * begins so. */
bool pn_authres_claims(struct pn_str value, struct pn_str id);

enum pn_authres_item_kind { PN_AUTHRES_METHOD, PN_AUTHRES_REASON, PN_AUTHRES_PROPERTY };

/* What a walk finds, one thing at a time: a method with its result, then what belongs to it. */
struct pn_authres_item {
    enum pn_authres_item_kind kind;
    struct pn_str name;  /* method; or property */
    struct pn_str ptype; /* of a property */
    struct pn_str value; /* result; reason; or value: without quotes, escapes still in it */
};

struct pn_authres_walk {
    struct pn_str value;
    size_t at;
    bool fresh;     /* a method comes next */
    bool malformed; /* at the end: was anything not as RFC 8601 has it? */
};

/* id: skip an authserv-id first; without it the value begins with a method. */
void pn_authres_start(struct pn_authres_walk *walk, struct pn_str value, bool id);
bool pn_authres_next(struct pn_authres_walk *walk, struct pn_authres_item *out);

#endif

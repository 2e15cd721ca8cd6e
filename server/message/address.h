/*
 * Address lists of RFC 5322, section 3.4, with the obsolete forms of 4.4 (routes,
 * blanks and comments within an address) and UTF-8 (RFC 6532): From, To, Sender...
 *
 * A walk over the value as it stands; views borrow from it. It never fails: what
 * breaks the grammar is flagged and something sensible is made of it, so that the
 * caller may show a list and yet refuse to trust it. Linear, no allocation, no
 * recursion.
 */
#ifndef PN_ADDRESS_H
#define PN_ADDRESS_H

#include "buf.h"

enum pn_address_kind {
    PN_ADDRESS_MAILBOX,
    PN_ADDRESS_GROUP,     /* display is the group's name; its mailboxes follow */
    PN_ADDRESS_GROUP_END, /* nothing set */
};

enum pn_address_flag {
    PN_ADDRESS_OBSOLETE = 1,  /* route, or blanks or comments within the address */
    PN_ADDRESS_MALFORMED = 2, /* breaks the grammar, the obsolete one too */
    PN_ADDRESS_QUOTED = 4,    /* the local part holds a quoted string */
    PN_ADDRESS_LITERAL = 8,   /* the domain is [...] */
    PN_ADDRESS_COMMENT = 16,  /* display comes from a comment behind a bare address */
    PN_ADDRESS_UTF8 = 32,     /* bytes beyond ASCII in local part or domain */
};

struct pn_address {
    enum pn_address_kind kind;
    unsigned flags;
    struct pn_str raw;     /* the whole, trimmed */
    struct pn_str display; /* as written: quotes, escapes, encoded words and folds in it */
    struct pn_str route;   /* "@a,@b", obsolete; mostly empty */
    struct pn_str local;   /* as written; with OBSOLETE set it may hold blanks and comments */
    struct pn_str domain;  /* as written; empty with MALFORMED: there was no "@" */
};

struct pn_address_walk {
    struct pn_str value;
    size_t at;
    bool group;     /* within one */
    bool malformed; /* at the end: was anything in the list not as RFC 5322 has it? */
    /* A quote or comment that never ends was met: such signs are plain bytes from there on. */
    bool quotes_end, comments_end;
};

void pn_address_start(struct pn_address_walk *walk, struct pn_str value);
/* The next one; false at the end. Empty list elements (obsolete) are left out. */
bool pn_address_next(struct pn_address_walk *walk, struct pn_address *out);

/* One addr-spec and nothing else, by the strict grammar of RFC 5322 and 6532 (no
 * comments, no blanks around it). */
bool pn_addr_spec_parse(struct pn_str text, struct pn_address *out);

/* Appends local@domain in one form: comments and blanks out, needless quotes and
 * escapes out, the domain in lower case without its last dot; letters of the local
 * part stay. False (nothing appended) without local part or domain, or at the limit. */
bool pn_address_spec(const struct pn_address *address, struct pn_buf *out);
/* The domain alone, in that form. */
bool pn_address_domain(const struct pn_address *address, struct pn_buf *out);
/* The display name as people read it: unquoted, encoded words decoded, UTF-8. */
bool pn_address_display(const struct pn_address *address, struct pn_buf *out);

#endif

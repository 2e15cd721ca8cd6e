/*
 * The grammar of SMTP's arguments: paths, mailboxes, domains, address literals,
 * ESMTP parameters, HELO names (RFC 5321, sections 4.1.2 and 4.1.3; SMTPUTF8: RFC 6531,
 * section 3.3). Pure functions on views; what they return borrows from the input.
 *
 * Where good mail is seen to break the letter of the RFC and nothing is risked by
 * taking it, it is taken: a space after "FROM:", a path without angle brackets, an
 * underscore in a domain, a local-part over 64 octets as long as the path's 256
 * hold (bounce addresses that carry a recipient's). Source routes are read and
 * dropped (RFC 5321, appendix F.2).
 */
#ifndef PN_SMTP_GRAMMAR_H
#define PN_SMTP_GRAMMAR_H

#include "buf.h"
#include "net.h"

/* RFC 5321, section 4.5.3.1; all count octets. */
enum {
    PN_SMTP_LABEL_MAX = 63,
    PN_SMTP_DOMAIN_MAX = 255,
    PN_SMTP_PATH_MAX = 256,  /* brackets included */
    PN_SMTP_REPLY_MAX = 512, /* a reply line, CR LF included */
    PN_SMTP_LINE_MAX = 2048  /* a command line, CR LF included: 512 and what extensions add */
};

struct pn_smtp_mailbox {
    struct pn_str address; /* local@domain as given, no route, no brackets; empty for <> */
    struct pn_str local;   /* as given, quotes included */
    struct pn_str domain;  /* as given, [] of a literal included; empty for <> and <postmaster> */
    bool quoted;           /* local is a quoted string */
    bool literal;          /* domain is an address literal */
    bool utf8;             /* holds bytes outside ASCII, all valid UTF-8 */
};

enum pn_smtp_path_error {
    PN_SMTP_PATH_OK,
    PN_SMTP_PATH_SYNTAX,
    PN_SMTP_PATH_LONG,   /* over PN_SMTP_PATH_MAX */
    PN_SMTP_PATH_DOMAIN, /* the domain is none */
    PN_SMTP_PATH_BARE    /* no domain, where one must be */
};

enum pn_smtp_path_kind {
    PN_SMTP_REVERSE, /* <> is one */
    PN_SMTP_FORWARD  /* <postmaster> is one */
};

/* Reads the path that *rest begins with (spaces before it are skipped) and leaves in
 * *rest what follows it: nothing, or a space and parameters. */
enum pn_smtp_path_error pn_smtp_path(struct pn_str *rest, enum pn_smtp_path_kind kind,
                                     struct pn_smtp_mailbox *out);
/* The whole of text as local@domain, without brackets: for addresses of other origin. */
bool pn_smtp_mailbox_parse(struct pn_str text, struct pn_smtp_mailbox *out);
/* The one spelling to compare and look up by: the local-part quoted only if it must
 * be, the domain in lower case. The local-part's letters stay. */
void pn_smtp_mailbox_canonical(struct pn_buf *out, const struct pn_smtp_mailbox *mailbox);

/* Labels of letters, digits, hyphens and underscores, or UTF-8 beyond ASCII; *utf8
 * tells which. A name of one label is one; a dot at the end is not. */
bool pn_smtp_domain_ok(struct pn_str text, bool *utf8);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]". */
bool pn_smtp_literal(struct pn_str text, struct pn_ip *out);

enum pn_smtp_helo_kind {
    PN_SMTP_HELO_NONE,    /* empty, too long, or not one printable word: 501 */
    PN_SMTP_HELO_DOMAIN,  /* a domain */
    PN_SMTP_HELO_LITERAL, /* an address literal */
    PN_SMTP_HELO_ODD      /* a word that is neither, or beyond ASCII: policy's to judge */
};
enum pn_smtp_helo_kind pn_smtp_helo(struct pn_str text);

struct pn_smtp_param {
    struct pn_str key;
    struct pn_str value; /* empty without "=" */
    bool has_value;
};
/* The bytes of xtext (RFC 3461, section 4) behind what out holds; false: it is none, or out is
 * full. */
bool pn_smtp_xtext(struct pn_str text, struct pn_buf *out);
/* The next of " KEY=VALUE KEY ...": 1 and *out, 0 at the end, -1 when it is none. */
int pn_smtp_param_next(struct pn_str *rest, struct pn_smtp_param *out);

#endif

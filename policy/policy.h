/*
 * The compiled policy: configuration and policy of one generation, as a sealed
 * mapping that every role reads. Offsets, no pointers; no secrets. The compile role
 * makes it (compile.h); here is how it is read.
 *
 * pn_policy_open checks the whole mapping once (magic, version, every offset and
 * index), so that readers need no checks: a mapping that is not whole is refused.
 * Views borrow from the mapping and live as long as the pn_policy. It is counted:
 * a transaction keeps the generation that it began with.
 */
#ifndef PN_POLICY_H
#define PN_POLICY_H

#include "net.h"

struct pn_policy;
struct pn_domain;     /* a domain block, or the defaults for all others */
struct pn_plugin_row; /* a plugin that the configuration loads */
struct postern_block; /* settings of a plugin: <postern/plugin.h> */

/* Takes fd. NULL with a sentence in err. */
struct pn_policy *pn_policy_open(int fd, struct pn_buf *err);
/* The same over memory that the caller keeps (aligned to 8) for as long as it lives:
 * for tests, and for a command line that compiled it itself. */
struct pn_policy *pn_policy_of(struct pn_str bytes, struct pn_buf *err);
struct pn_policy *pn_policy_ref(struct pn_policy *p);
void pn_policy_unref(struct pn_policy **p);
/* A hash of its sources: the same files give the same generation. */
struct pn_str pn_policy_generation(const struct pn_policy *p);

/* ---- server settings: one struct of rows, read once at start and reload ---- */

enum pn_listen_kind {
    PN_LISTEN_SMTP,
    PN_LISTEN_SMTPS,
    PN_LISTEN_SUBMISSION,
    PN_LISTEN_SUBMISSIONS,
    PN_LISTEN_LMTP,
    PN_LISTEN_IMAP,
    PN_LISTEN_IMAPS,
    PN_LISTEN_POP3,
    PN_LISTEN_POP3S,
    PN_LISTEN_ADMIN
};

struct pn_listen {
    enum pn_listen_kind kind;
    struct pn_ip ip;
    uint16_t port;
    uint32_t proxy_count; /* networks that may send PROXY headers (they then must) */
};

size_t pn_policy_listen_count(const struct pn_policy *p);
void pn_policy_listen(const struct pn_policy *p, size_t i, struct pn_listen *out);
struct pn_net pn_policy_listen_proxy(const struct pn_policy *p, size_t i, size_t n);

struct pn_tls_row {
    struct pn_str name;             /* SNI; empty: default */
    struct pn_str certificate, key; /* paths, absolute */
};

size_t pn_policy_tls_count(const struct pn_policy *p);
void pn_policy_tls(const struct pn_policy *p, size_t i, struct pn_tls_row *out);

/* A setting of the core by its full name, "limits.message-size", "smtp.hostname",
 * "resolver.forward", "workers.count": the rows of rows.c; `postern config show`. A name that no
 * row has is our own bug (assertion). Lists: n counts, false past the end. */
int64_t pn_policy_int(const struct pn_policy *p, const char *name);
bool pn_policy_bool(const struct pn_policy *p, const char *name);
struct pn_str pn_policy_str(const struct pn_policy *p, const char *name);
bool pn_policy_str_at(const struct pn_policy *p, const char *name, size_t n, struct pn_str *out);
bool pn_policy_int_at(const struct pn_policy *p, const char *name, size_t n, int64_t *out);
bool pn_policy_net_at(const struct pn_policy *p, const char *name, size_t n, struct pn_net *out);

/* ---- plugins, in the order of the plan ---- */

/* What the operator lets a plugin change. */
enum {
    PN_EDITS_HEADERS = 1,
    PN_EDITS_BODY = 2,
    PN_EDITS_RECIPIENTS = 4,
    PN_EDITS_SENDER = 8,
    PN_EDITS_ALL = 15
};

/* Of the methods whose results a plugin states, those that somebody else looks at. */
enum { PN_METHOD_IPREV = 1 };

size_t pn_policy_plugin_count(const struct pn_policy *p);
const struct pn_plugin_row *pn_policy_plugin(const struct pn_policy *p, size_t i);
struct pn_str pn_plugin_name(const struct pn_plugin_row *row);
struct pn_str pn_plugin_file(const struct pn_plugin_row *row);  /* the .so, absolute */
unsigned pn_plugin_needs(const struct pn_plugin_row *row);      /* granted; with PN_NEED_LOCAL */
unsigned pn_plugin_edits(const struct pn_plugin_row *row);      /* PN_EDITS_* granted */
unsigned pn_plugin_methods(const struct pn_plugin_row *row);    /* PN_METHOD_* */
unsigned pn_plugin_stages(const struct pn_plugin_row *row);     /* bits 1 << POSTERN_* it has */
unsigned pn_plugin_rank(const struct pn_plugin_row *row);       /* 0, or behind its `after` */
uint64_t pn_plugin_after(const struct pn_plugin_row *row);      /* bits of those it waits for */
unsigned pn_plugin_group(const struct pn_plugin_row *row);      /* worker group number */
unsigned pn_plugin_on_failure(const struct pn_plugin_row *row); /* enum postern_on_failure */
uint32_t pn_plugin_deadline_ms(const struct pn_plugin_row *row);
bool pn_plugin_alone(const struct pn_plugin_row *row); /* one message a process */
const struct postern_block *pn_plugin_settings(const struct pn_policy *p,
                                               const struct pn_plugin_row *row);
size_t pn_policy_group_count(const struct pn_policy *p);

/* ---- domains ---- */

/* The block for a recipient's domain, in U-labels or A-labels (its own, else a parent written
 * ".x.test", else NULL: not ours, relaying is refused). */
const struct pn_domain *pn_policy_domain(const struct pn_policy *p, struct pn_str domain);
/* How many blocks there are, the defaults not counted. */
size_t pn_policy_domain_count(const struct pn_policy *p);
/* Name of the i-th block: A-labels in lower case; ".x.test": all below x.test. */
struct pn_str pn_policy_domain_name(const struct pn_policy *p, size_t i);
/* The defaults: what `scan` uses for domains that no block names. */
const struct pn_domain *pn_policy_default_domain(const struct pn_policy *p);

/* For mail that users submit: the `submitted` block; without one the defaults. */
const struct pn_domain *pn_policy_submitted(const struct pn_policy *p);

enum pn_recipients { PN_RCPT_LIST, PN_RCPT_VERIFY, PN_RCPT_LOCAL, PN_RCPT_ANY };
enum pn_route_kind { PN_ROUTE_LOCAL, PN_ROUTE_SMTP, PN_ROUTE_LMTP };

struct pn_route {
    enum pn_route_kind kind;
    struct pn_ip ip; /* of SMTP and LMTP next hops */
    uint16_t port;
    struct pn_str host; /* as written */
};

enum pn_recipients pn_domain_recipients(const struct pn_domain *d);
/* Whether list, or local users, hold this local part; postmaster and abuse always do. */
bool pn_domain_has_user(const struct pn_policy *p, const struct pn_domain *d, struct pn_str local);
/* Whose the local part is: its own where they hold it as it is, else without its tag. d NULL: it is
 * none of ours. */
struct pn_str pn_domain_user(const struct pn_policy *p, const struct pn_domain *d,
                             struct pn_str local);
void pn_domain_route(const struct pn_policy *p, const struct pn_domain *d, struct pn_route *out);
/* Its mailboxes are here. */
bool pn_domain_is_local(const struct pn_domain *d);
bool pn_domain_mixed_split(const struct pn_domain *d);
bool pn_domain_wants_plugin(const struct pn_policy *p, const struct pn_domain *d, size_t plugin);
/* Domains whose policy is the same have the same group number (mixed envelopes). */
uint32_t pn_domain_group(const struct pn_domain *d);

#endif

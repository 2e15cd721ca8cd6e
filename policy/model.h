/*
 * What the compiler knows between parsing and emitting; private to policy/. Pooled,
 * but for the tables, which model_fini frees.
 */
#ifndef PN_MODEL_H
#define PN_MODEL_H

#include "compile.h"
#include "image.h"
#include "intern.h"
#include "tree.h"

/* A block whose body waits until what it depends on is known. */
struct model_later {
    struct model_later *next;
    enum { LATER_PLUGINS, LATER_DEFAULTS, LATER_DOMAIN, LATER_SUBMITTED } kind;
    struct pn_lex lex; /* behind the name */
    struct pn_place at;
};

struct model_plugin {
    struct pn_str name, file;
    struct pn_place at;
    const struct postern_plugin *desc;
    struct pn_tree_block *block;
    unsigned order; /* as configured */
    unsigned needs, edits, methods, stages, rank, group, on_failure;
    uint32_t deadline_ms;
    bool alone;
    uint64_t after; /* plugins that it waits for, in plan order */
};

struct model_rule {
    struct model_rule *next;
    struct pn_place at;
    uint32_t symbol; /* its number in model.symbols */
    bool has_detail, has_weight, takes_back, its_reply;
    struct pn_str detail, reply, text;
    int32_t weight; /* of one that has a weight, else it has an action, or `none` */
    enum pn_outcome outcome;
};

struct model_entry {
    struct model_entry *next;
    struct pn_place at;
    enum img_entry_kind kind;
    enum img_condition condition;
    struct pn_str pattern, reply, text; /* pattern: domains by their A-labels */
    struct pn_net net;
};

struct model_threshold {
    struct pn_place at; /* nowhere: not set */
    int32_t weight;
    struct pn_str reply, text;
};

/* Pooled, all of it. */
struct model_alias {
    struct model_alias *next;
    struct pn_place at;
    struct pn_str name;     /* in lower case; empty: the catch-all */
    struct pn_str domain;   /* of a file's `name@domain`: for that one alone; else empty */
    struct pn_str *targets; /* domains by their A-labels; without an @: of the same domain */
    uint32_t count, cap, order;
    struct pn_str text;
};

/* What a domain or the defaults say; a place that is nowhere means: not said. */
struct model_policy {
    struct model_rule *rules, *last_rule;
    uint32_t rule_count;
    struct model_entry *deny, *last_deny, *allow, *last_allow;
    struct model_threshold thresholds[IMG_THRESHOLDS];
    struct pn_place mixed_at;
    bool mixed_split;
    uint64_t off, on; /* plugins, by their index in the plan */
    bool any;         /* it says something of the above */

    struct pn_place recipients_at, route_at, list_at;
    enum pn_recipients recipients;
    struct pn_str list; /* path, as given */
    enum pn_route_kind route;
    struct pn_str host;
    struct pn_ip ip;
    uint16_t port;

    struct model_alias *aliases, *last_alias, *catch_all;
    uint32_t alias_count;
    struct pn_tree_block *settings; /* of rows: its `mailbox`; NULL: it has none */

    struct model_alias **by_name; /* by model_sort_aliases: as the image has them */
    uint32_t by_name_count;
};

struct model_domain {
    struct pn_str name; /* lower case */
    struct pn_place at;
    struct model_policy *policy;
};

/* A file of recipients; sorted by domain (empty: for all), then local part. */
struct model_user {
    struct pn_str local, domain;
};

struct model_list {
    struct model_user *users; /* owned */
    size_t count, cap;
};

struct model {
    struct pn_parser p;
    const struct pn_compile *c;
    struct pn_sources sources;
    struct pn_tree_block *core;
    struct model_later *later, *last_later;
    struct model_plugin plugins[IMG_PLUGINS_MAX]; /* as configured, then in plan order */
    size_t plugin_count;
    unsigned groups;
    struct model_policy defaults;
    struct model_domain *domains; /* owned */
    size_t domain_count, domain_cap;
    struct pn_intern domain_names, symbols, list_paths;
    struct model_list *lists; /* owned; by the number of their path */
    size_t list_cap;
    const char **known_symbols; /* owned; declared ones, ended by NULL */
    size_t known_count, known_cap;
    const struct model_plugin **symbol_owners; /* owned; by the order of declaration */
    size_t owners_cap;
};

/* plugins.c: the body of a plugins block. */
void model_plugins(struct model *m, struct pn_lex *lex, struct pn_place at);
struct model_plugin *model_plugin_find(struct model *m, struct pn_str name);
/* plugins_plan.c: once all are read. */
void model_plan(struct model *m);
/* statements.c: the body of a domain's block, or of the defaults'. */
void model_policy_body(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                       struct pn_place open);
/* users.c: the local parts that a list of recipients has for a domain, lower case and
 * sorted, each once; owned. *shared: every domain that it does not name has the same. */
struct pn_str *model_users(struct model *m, struct pn_str path, struct pn_place at,
                           struct pn_str domain, uint32_t *count, bool *shared);
/* compile.c: labels parted by dots, a dot in front for all below; lower case, pooled. */
bool model_domain_name_ok(struct pn_str s);
struct pn_str model_lower(struct pn_pool *pool, struct pn_str s);
/* rows_destination.c: settles their titles, and says what does not fit. */
void model_destinations(struct model *m);
/* rows_sign.c: the same. */
void model_signs(struct model *m);
/* rows_forward.c: settles the sender's domain, and says what does not fit. */
void model_forward(struct model *m);
/* rows_mailbox.c: a statement of a domain; then what does not fit, of all of them. */
void model_parse_mailbox(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                         struct pn_token name);
/* Its `mailbox`; NULL: it has none. */
const struct pn_tree_value *model_mailbox(const struct model_policy *policy);
void model_mailboxes(struct model *m);
/* aliases.c: statements of a domain; then those for one domain in order, each once; and, once
 * the image stands, whether each of them leads to somebody. */
void model_parse_alias(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                       struct pn_token name);
void model_parse_alias_file(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                            struct pn_token name);
void model_parse_catch_all(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                           struct pn_token name);
void model_sort_aliases(struct model *m, struct model_policy *policy, struct pn_str domain);
void model_try_aliases(struct model *m, const struct pn_policy *p);
/* emit.c */
bool model_emit(struct model *m, struct pn_buf *image);

/* The statements of a domain, for the manual; ended by a NULL usage. */
struct model_statement {
    const char *name;
    void (*parse)(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                  struct pn_token name);
    const char *usage, *help;
};
extern const struct model_statement model_statements[];

#endif

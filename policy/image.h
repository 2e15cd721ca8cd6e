/*
 * The layout of the compiled policy, private to policy/: one flat piece of memory.
 *
 * Everything is found by offsets from its beginning; numbers are the machine's own (it
 * never leaves the machine); structs are aligned to 8. Strings are followed by a NUL
 * that is not counted. image_check() walks all of it once, so that readers need not
 * look again; whatever it takes for granted elsewhere it proves there.
 *
 * Settings are blocks of rows of values, the core's and each plugin's alike. A block
 * begins with its own offset, so that a pointer to it is enough to read it.
 */
#ifndef PN_IMAGE_H
#define PN_IMAGE_H

#include "expand.h"

#include <postern/plugin.h>

enum {
    IMG_VERSION = 1,
    IMG_PLUGINS_MAX = PN_FACTS_RUNS_MAX, /* masks are 64 bits wide */
    IMG_BLOCK_DEPTH = 16
};

#define IMG_MAGIC_BYTES                                                                            \
    {                                                                                              \
        'p', 'n', 'p', 'o', 'l', 'i', 'c', 'y'                                                     \
    }
/* Among the domains, the one whose policy is that of submitted mail; no domain has such a name. */
#define IMG_SUBMITTED "@submitted"
#define IMG_NONE      UINT32_MAX

struct img_str {
    uint32_t off, len;
};

struct img_list {
    uint32_t off, count;
};

struct img_value {
    int64_t number; /* of a block: its title's */
    struct img_str text;
    struct img_str where; /* empty: the default */
    uint32_t block;       /* 0: none */
    uint8_t ip[16];
    uint32_t bits;
};

struct img_row {
    struct img_str name;
    struct img_list values;
    uint32_t type; /* enum postern_type, or the core's own */
    uint32_t flags;
};

/* struct postern_block of <postern/plugin.h> is this one. */
struct postern_block {
    uint32_t self; /* its own offset */
    struct img_list rows;
    struct img_str title;
    struct img_str where;
    uint32_t unused;
};

/* TAKES_BACK: `none`, an action that is none. ITS_REPLY: the fact's own, where it has one. */
enum img_flag {
    IMG_HAS_WEIGHT = 1,
    IMG_HAS_ACTION = 2,
    IMG_HAS_DETAIL = 4,
    IMG_TAKES_BACK = 8,
    IMG_ITS_REPLY = 16,
    IMG_FLAGS = 31
};

/* `on SYMBOL ...`; sorted by symbol, within a symbol those with a detail first. */
struct img_rule {
    uint32_t symbol; /* index */
    uint32_t flags;
    int32_t weight;
    uint32_t outcome;
    struct img_str detail; /* glob */
    struct img_str reply;  /* empty: the general one */
    struct img_str where, text;
};

enum img_entry_kind { IMG_FROM, IMG_CLIENT, IMG_AUTH, IMG_ENTRY_KINDS };
enum img_condition { IMG_ALWAYS, IMG_IF_SPF, IMG_IF_DKIM, IMG_IF_DMARC, IMG_CONDITIONS };

/* An allow or deny line. */
struct img_entry {
    uint32_t kind, condition;
    struct img_str pattern;       /* FROM, AUTH: glob */
    struct img_str local, domain; /* FROM: the pattern's parts; domain empty for "<>" */
    uint8_t ip[16];
    uint32_t bits;
    uint32_t unused;
    struct img_str reply, where, text;
};

enum { IMG_REJECT, IMG_QUARANTINE, IMG_JUNK, IMG_THRESHOLDS };

struct img_threshold {
    int32_t at;
    uint32_t set;
    struct img_str reply, where, text;
};

struct img_policy {
    struct img_list rules, deny, allow; /* this block's own; the defaults' come behind */
    struct img_threshold thresholds[IMG_THRESHOLDS]; /* the defaults' where it has none */
    uint64_t masked;                                 /* bit i: the facts of plugin i do not count */
};

/* Sorted by name, each once; in lower case. targets: of struct img_str; without an @ they are
 * of the domain that was written to. */
struct img_alias {
    struct img_str name; /* of a catch-all: empty */
    struct img_list targets;
    struct img_str where, text;
};

/* struct pn_domain is this one. */
struct pn_domain {
    struct img_str name;   /* lower case; ".x.test": all below x.test; empty: the defaults */
    struct img_list users; /* of struct img_str, lower case, sorted */
    uint32_t policy;       /* index */
    uint32_t recipients;   /* enum pn_recipients */
    uint32_t route;        /* enum pn_route_kind */
    uint32_t port;
    uint8_t ip[16];
    struct img_str host;
    struct img_str list;                          /* path of a list of recipients */
    struct img_str recipients_where, route_where; /* empty: nothing said it */
    uint32_t group;
    uint32_t mixed_split;               /* 0 or 1 */
    struct img_list aliases, catch_all; /* of struct img_alias; its own; catch_all: none or one */
    uint32_t mailbox;                   /* offset of its `mailbox` block; 0: none */
    uint32_t unused;                    /* 0 */
};

/* struct pn_plugin_row is this one. */
struct pn_plugin_row {
    uint64_t after; /* bits of plugins before it */
    struct img_str name, file, version, where;
    uint32_t needs, stages, rank, group;
    uint32_t on_failure, deadline_ms;
    uint32_t alone;    /* 0 or 1 */
    uint32_t settings; /* offset of its block */
    uint32_t self;     /* its own offset */
    uint32_t edits;    /* PN_EDITS_* */
    uint32_t methods;  /* PN_METHOD_* */
    uint32_t none;     /* 0 */
};

enum img_reply {
    IMG_REPLY_ACCEPT,
    IMG_REPLY_REJECT,
    IMG_REPLY_DEFER,
    IMG_REPLY_FAILURE,
    IMG_REPLIES
};

struct img_header {
    char magic[8];
    uint32_t version, size;
    struct img_str generation;
    uint32_t core; /* offset of the core's block */
    uint32_t groups;
    struct img_list plugins;  /* of pn_plugin_row, in plan order */
    struct img_list domains;  /* of pn_domain; the first is the defaults' */
    struct img_list policies; /* of img_policy; the first is the defaults' */
    struct img_list symbols;  /* of img_str */
    /* Open addressing, a power of two with a free slot: uint32_t index + 1, 0 is free. */
    struct img_list domain_slots, symbol_slots;
    struct img_str replies[IMG_REPLIES];
};

/* Memory that image_check has passed. */
struct image {
    const char *base;
    size_t size;
};

bool image_check(const char *base, size_t size, struct pn_buf *err);

static inline const void *img_at(const char *base, uint32_t off)
{
    return base + off;
}
static inline struct pn_str img_text(const char *base, struct img_str s)
{
    return (struct pn_str){base + s.off, s.len};
}
static inline const struct img_header *img_header(const char *base)
{
    return (const void *)base;
}
static inline const char *img_block_base(const struct postern_block *block)
{
    return (const char *)block - block->self;
}
const char *img_policy_base(const struct pn_policy *p);
/* The local part without its tag. */
struct pn_str img_untagged(const struct pn_policy *p, struct pn_str local);
/* Do the domain's list or local users name this local part, as it is? */
bool img_user_listed(const struct pn_policy *p, const struct pn_domain *d, struct pn_str local);
/* expand.c: of an alias itself, as if mail came for it. */
enum pn_expand_end img_expand(const struct pn_policy *p, const struct img_alias *a,
                              struct pn_str domain, struct pn_pool *pool, struct pn_expansion *out);
const struct img_row *img_row_find(const struct postern_block *block, struct pn_str name);
/* Index in the table that the slots belong to, or IMG_NONE. names: offset of struct
 * img_str as first field in entries of `stride` bytes. */
uint32_t img_lookup(const char *base, struct img_list slots, struct img_list names, size_t stride,
                    struct pn_str name, bool fold);

#endif

/*
 * Aliases: who has the mail for an address in the end, and which lines say so. Pure: the same
 * policy and address give the same.
 *
 * What stands for a name, the first that there is: the domain's own alias; its own user or
 * list entry of that name; an alias of the defaults; for postmaster and abuse themselves; the
 * catch-all. With a tag (info+x) the whole is looked up first, then what stands before it.
 *
 * A target is looked up in turn, by its own domain's aliases. An alias that names itself means
 * the mailbox (`alias "anna" to "anna" "bert@example.org"` keeps a copy). Whoever comes twice is
 * kept once. A circle, more steps than forward.depth, more addresses than forward.recipients and
 * a name that its domain does not know are found when the configuration is compiled; here they
 * are found again, for tags and domains below ".x.test" that only the mail shows.
 */
#ifndef PN_EXPAND_H
#define PN_EXPAND_H

#include "decide.h"
#include "pool.h"

/* All pooled, but for what borrows from the policy. */
struct pn_expand_target {
    struct pn_str address;          /* domain in lower case, by A-labels */
    struct pn_str local;            /* in lower case, without its tag */
    const struct pn_domain *domain; /* NULL: none of ours */
    const struct pn_because *by;    /* the lines that led here, in their order */
    size_t by_count;
};

struct pn_expansion {
    struct pn_expand_target *targets;
    size_t count, cap;
    struct pn_str culprit; /* where it did not end well: that address */
};

enum pn_expand_end {
    PN_EXPAND_PLAIN, /* nothing stands for it: it has a mailbox, a next hop, or is nobody */
    PN_EXPAND_DONE,
    PN_EXPAND_LOOP,
    PN_EXPAND_DEEP,
    PN_EXPAND_MANY,
    PN_EXPAND_UNKNOWN, /* culprit: no user of its domain */
    PN_EXPAND_MEMORY   /* the pool's limit */
};

/* domain: the address's block. */
enum pn_expand_end pn_expand(const struct pn_policy *p, const struct pn_domain *domain,
                             struct pn_str address, struct pn_pool *pool, struct pn_expansion *out);
/* "conf:12:5 alias "info", then conf:13:5 alias "office"": a target's lines, in words. */
void pn_expand_print(struct pn_buf *out, const struct pn_expand_target *target);

#endif

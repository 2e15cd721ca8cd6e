/*
 * Destinations by name (policy/destination.h says what one is): which block a recipient's
 * domain has. Its own, else that of the nearest parent (".example.net"), else "*", else
 * nobody's, which queue.* alone makes. "*" speaks for strangers only: a domain that a
 * `domain` block gives a route was not meant by a smarthost's.
 *
 * A dest is counted: who works by one keeps it through a reload, until he takes the new one
 * of the same name (dests_same).
 */
#ifndef PN_QUEUE_DEST_H
#define PN_QUEUE_DEST_H

#include "destination.h"
#include "passwords.h"

struct dest {
    unsigned refs;
    struct dest *next_same; /* in the table */
    struct pn_destination is;
    struct pn_str password; /* of is.user; empty: it was not to be had */
    struct pn_pool *pool;   /* of its strings; wiped */
};

struct dests;

/* policy NULL: nobody's only, by the rows' defaults. Passwords are copied. */
struct dests *dests_new(const struct pn_policy *policy, const struct pn_hop_password *passwords,
                        size_t count);
void dests_free(struct dests **dests);
/* What holds for a domain as an address has it; never NULL. Borrowed from dests. */
struct dest *dests_find(const struct dests *dests, struct pn_str domain, bool stranger);
/* The one of the same name, or NULL. */
struct dest *dests_same(const struct dests *dests, const struct dest *dest);
/* The longest wait between tries that any of them has. */
uint64_t dests_longest_retry_ms(const struct dests *dests);

struct dest *dest_ref(struct dest *dest);
void dest_unref(struct dest **dest);
/* How long to wait after the n-th failed try, n from 1. */
uint64_t dest_retry_ms(const struct dest *dest, unsigned n);
/* How long what could not be reached is left alone: half of the first wait, so that the
 * next try is one. */
uint64_t dest_shun_ms(const struct dest *dest);

/* What stands behind the last @; empty: there is none. */
struct pn_str dest_domain(struct pn_str address);

#endif

/*
 * decide(): from facts to an outcome for one recipient. Pure: the same policy, facts
 * and recipient give the same decision, on any machine, at any time.
 *
 * Order, first match wins: deny entries; allow entries (only where their condition
 * holds); plugins that failed with on_failure defer or quarantine; `on SYMBOL`
 * actions, the strictest first; thresholds (reject, quarantine, junk) on the sum of
 * the weights of the facts that count for this recipient; accept. A domain's own lines
 * come before the defaults' at each step, and a domain's line on a fact, weight or action,
 * takes the place of the defaults' action for it. Sums are of thousandths, in plan order, and
 * never overflow.
 *
 * Mail that a user submits is never marked as junk for its recipients: what would be, is
 * held (quarantine), and so is all of an account that sends too much, unless it is refused.
 *
 * A condition (`if dmarc pass`) holds for the domain that passed and for no other: see
 * vouched() in decide.c. Before content it is not known yet; then an entry whose pattern
 * the reverse-path matches holds an early reject back.
 */
#ifndef PN_DECIDE_H
#define PN_DECIDE_H

#include "facts.h"
#include "policy.h"

/* Rising strictness. */
enum pn_outcome { PN_ACCEPT, PN_JUNK, PN_QUARANTINE, PN_DISCARD, PN_DEFER, PN_REJECT };

const char *pn_outcome_name(enum pn_outcome outcome);
/* Nobody takes the message then. */
static inline bool pn_outcome_refuses(enum pn_outcome outcome)
{
    return outcome == PN_DEFER || outcome == PN_REJECT;
}

struct pn_decide_input {
    const struct pn_facts *facts;
    struct pn_str sender;    /* reverse-path, may be empty */
    struct pn_str recipient; /* address */
    uint32_t rcpt;           /* its index in the envelope */
    struct pn_ip client;
    struct pn_str auth_id; /* the user who submits it; empty: nobody logged in */
    struct pn_str held;    /* why all that this user sends is held; empty: it is not */
    bool early; /* before content: only `on SYMBOL reject|defer`, deny and failures act */
};

struct pn_because {
    struct pn_str where; /* "policy/here.test.conf:12:3"; empty for what no file says */
    struct pn_str text;  /* "reject when score >= 15" */
};

enum { PN_BECAUSE_MAX = 16, PN_REPLY_MAX = 512 };

struct pn_decision {
    enum pn_outcome outcome;
    int32_t score;       /* thousandths */
    struct pn_str reply; /* "550 5.7.1 Message refused as spam"; pooled */
    struct pn_because because[PN_BECAUSE_MAX];
    size_t because_count;
};

/* Strings of the decision live in pool. domain may be the default domain. */
void pn_decide(const struct pn_policy *p, const struct pn_domain *domain,
               const struct pn_decide_input *in, struct pn_pool *pool, struct pn_decision *out);
/* May a plugin's fact refuse a recipient of this domain before content (a failure apart, which
 * may as well be told of later)? */
bool pn_domain_acts_early(const struct pn_policy *p, const struct pn_domain *domain);
/* What a fact weighs for a recipient of this domain; *counts is false where it is masked. */
int32_t pn_decide_weight(const struct pn_policy *p, const struct pn_domain *domain,
                         const struct pn_fact *fact, bool *counts);

#endif

/*
 * Signing: which domains' mail is signed, by which keys, and whose mail counts as theirs.
 *
 *   sign "example.net" { key "s1"   key "s2" file "dkim/s2.pem"   clients 192.0.2.0/28 }
 *
 * A block signs for its domain and all below it, with d= the block's domain: DMARC takes that
 * for aligned (RFC 9989, section 4.4.1). Of several the longest name counts. Names are A-labels
 * in lower case.
 *
 * Strings are borrowed from the policy. No key is here: its file's name is.
 */
#ifndef PN_SIGN_H
#define PN_SIGN_H

#include "policy.h"

struct pn_sign_row {
    struct pn_str selector, file; /* file empty: where `postern dkim new` put it */
};

size_t pn_policy_sign_count(const struct pn_policy *p);
struct pn_str pn_policy_sign_domain(const struct pn_policy *p, size_t i);
size_t pn_policy_sign_key_count(const struct pn_policy *p, size_t i);
void pn_policy_sign_key(const struct pn_policy *p, size_t i, size_t n, struct pn_sign_row *out);
/* The block that signs mail of that domain (U- or A-labels); false: none does. */
bool pn_policy_sign_find(const struct pn_policy *p, struct pn_str domain, size_t *i);
/* Is the address among its clients? */
bool pn_policy_sign_client(const struct pn_policy *p, size_t i, const struct pn_ip *ip);

#endif

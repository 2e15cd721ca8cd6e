/*
 * Domain names as DNS has them: U-labels ("bücher.test") become A-labels
 * ("xn--bcher-kva.test", RFC 5890), so that a name is found whichever way it was written.
 * By libidn2: IDNA2008 with the mapping of UTS 46 (letters' case, width, composition).
 *
 * Views of ASCII names are given back as they are; what had to be converted lies in *room
 * and lives as long as that. Only domains change: the local part of an address is its
 * owner's business (RFC 6531, section 3.3), whatever its letters.
 */
#ifndef PN_ALABEL_H
#define PN_ALABEL_H

#include "str.h"

enum { PN_ALABEL_MAX = 1100 }; /* an address: a domain's 255 bytes behind a long local part */

struct pn_alabel {
    char p[PN_ALABEL_MAX];
};

/* A domain; a dot in front (".x.test") stays. .p NULL: IDNA has no such name. */
struct pn_str pn_alabel_domain(struct pn_str domain, struct pn_alabel *room);
/* A pattern for domains: * and ? may stand in labels of ASCII, not in others. */
struct pn_str pn_alabel_pattern(struct pn_str pattern, struct pn_alabel *room);
/* An address, or a pattern for addresses: what stands behind the last @. */
struct pn_str pn_alabel_address(struct pn_str address, struct pn_alabel *room);

#endif

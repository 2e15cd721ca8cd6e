/*
 * Whether the trust anchor holds: the zone that it is of is asked for now and then, and has to
 * come back proved. If it does not, the key has changed, or a forwarder between drops what
 * DNSSEC needs; then all below it is taken for forged, and that is said, once, until it is
 * proved again. What is answered to others does not depend on it.
 */
#ifndef RESOLVER_ANCHOR_H
#define RESOLVER_ANCHOR_H

#include "upstream.h"

struct anchor;

/* file: of DNSKEY or DS records, as libunbound reads it. NULL: no zone's name stands there. */
struct anchor *anchor_new(struct pn_loop *loop, const char *file);
void anchor_free(struct anchor **anchor);
/* From now on by this backend, which has to outlive it or be replaced here first. */
void anchor_watch(struct anchor *anchor, const struct asks_backend *backend);
/* When it was last looked at. */
bool anchor_holds(const struct anchor *anchor);

/* The owner of the first record in such a file; false: there is none. */
bool anchor_zone(struct pn_str text, char zone[PN_DNS_NAME_MAX + 1]);

#endif

/* Inside the message folder only: the pieces of links. */
#ifndef PN_LINK_PRIV_H
#define PN_LINK_PRIV_H

#include "link.h"

enum { LINK_HOST_MAX = 253 };

/* Is label a top-level domain that makes a bare name a link? */
bool link_tld(struct pn_str label);
/* Is name (ASCII letters, digits, "-", "_", dots; bytes beyond ASCII) a domain under one? */
bool link_is_domain(struct pn_str name);
/* Appends a host as written (percent escapes, any script, numbers) in its one form. False,
 * nothing appended: it is none. */
bool link_host(struct pn_str raw, struct pn_buf *out);

#endif

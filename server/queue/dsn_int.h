/* What dsn.c and dsn_status.c share. Nobody else includes it. */
#ifndef PN_QUEUE_DSN_INT_H
#define PN_QUEUE_DSN_INT_H

#include "dsn.h"

/* One line's worth of foreign text; wide: with UTF-8 beyond ASCII. */
void dsn_put_text(struct pn_buf *out, struct pn_str s, bool wide);
/* "mx.a.test", "[192.0.2.1]", "[IPv6:2001:db8::1]" of a next hop (RFC 3464, section 2.3.5). */
void dsn_put_server(struct pn_buf *out, struct pn_str hop);
/* Addresses beyond ASCII have a report of their own kind (RFC 6533, section 4). */
bool dsn_is_wide(const struct dsn *d);
/* The body of the part about recipients. */
void dsn_put_status(struct pn_buf *out, const struct dsn *d, bool wide);

#endif

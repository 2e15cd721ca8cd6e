/* ID (RFC 2971), which may be asked before login and after it. */
#ifndef PN_IMAP_ID_H
#define PN_IMAP_ID_H

#include "imap_token.h"

/* The arguments, all that is left: NIL, or a list of up to 30 fields and values. */
bool pn_imap_id_args(struct pn_imap_args *args);
/* The untagged answer: who we are. */
void pn_imap_id_put(struct pn_buf *out);

#endif

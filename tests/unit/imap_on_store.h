/* The real store below imap_rig.h: made before the first user, gone after the last. */
#ifndef IMAP_ON_STORE_H
#define IMAP_ON_STORE_H

#include "store.h"

void imap_store_begin(void);
void imap_store_end(void);
struct pn_store *imap_rig_store(void);
/* Called with each new user; NULL: nobody cares. */
extern void (*imap_store_made)(struct pn_user *user);

#endif

/* Which engines there are. Apart, so that tests have their own. */
#include "mailbox_int.h"

struct pn_engine *(*const mailbox_imap_engine)(const struct pn_engine_start *start) = NULL;
struct pn_engine *(*const mailbox_pop3_engine)(const struct pn_engine_start *start) = NULL;

struct pn_user *mailbox_user(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why)
{
    (void)store;
    (void)name;
    *status = PN_STORE_TEMPORARY;
    (void)pn_buf_addz(why, "no engine is there");
    return NULL;
}

bool mailbox_index(struct pn_store *store, struct pn_str user, struct pn_str folder, unsigned ms)
{
    (void)store, (void)user, (void)folder, (void)ms;
    return false;
}

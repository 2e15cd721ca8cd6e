/* Which engines there are, and what they open. Apart, so that tests have their own. */
#include "folders.h"
#include "log.h"
#include "mailbox_int.h"
#include "textsearch.h"

struct pn_engine *(*const mailbox_imap_engine)(const struct pn_engine_start *start) = pn_imap_new;
struct pn_engine *(*const mailbox_pop3_engine)(const struct pn_engine_start *start) = pn_pop3_new;

struct pn_user *mailbox_user(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why)
{
    struct pn_user *user = pn_user_open(store, name, status, why);
    if (user != NULL && pn_folders_make_special(user) != PN_STORE_OK)
        pn_warn("the usual folders of %.*s can't be made now", PN_FMT(name));
    return user;
}

bool mailbox_index(struct pn_store *store, struct pn_str user, struct pn_str folder, unsigned ms)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    struct pn_user *u = pn_user_open(store, user, &status, &why);
    bool more = u != NULL && pn_text_work(u, folder, ms);
    if (u != NULL)
        pn_user_close(&u);
    pn_buf_fini(&why);
    return more;
}

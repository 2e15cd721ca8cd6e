/* The dialogues of imap_on_fake.c's programs on the real store: its users have the same folders. */
#include "assert.h"
#include "folders.h"
#include "imap_on_store.h"

#include <stdlib.h>

static void make_folders(struct pn_user *user)
{
    pn_assert(pn_folder_create(user, PN_STR("Archive"), PN_USE_ARCHIVE) == PN_STORE_OK);
    pn_assert(pn_folder_create(user, PN_STR("Junk"), PN_USE_JUNK) == PN_STORE_OK);
}

/* Before main, which knows nothing of stores. */
__attribute__((constructor)) static void begin(void)
{
    imap_store_made = make_folders;
    imap_store_begin();
    (void)atexit(imap_store_end);
}

/* The rig's users are of a real store, in a folder of the test's own. */
#include "imap_on_store.h"
#include "assert.h"
#include "imap_rig.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const bool imap_rig_cuts = false;

void (*imap_store_made)(struct pn_user *user);

static char path[32];
static int root = -1;
static struct pn_store *store;
static unsigned users;

struct pn_user *imap_rig_user(bool again)
{
    char name[32];
    enum pn_store_status status;
    struct pn_buf why;
    users += !again;
    (void)snprintf(name, sizeof name, "u%u@here.test", users);
    pn_buf_init(&why, 500);
    struct pn_user *user = pn_user_open(store, pn_str_of(name), &status, &why);
    pn_assert(user != NULL);
    pn_buf_fini(&why);
    if (!again && imap_store_made != NULL)
        imap_store_made(user);
    return user;
}

struct pn_store *imap_rig_store(void)
{
    return store;
}

void imap_store_begin(void)
{
    (void)snprintf(path, sizeof path, "imapstore.XXXXXX");
    pn_assert(mkdtemp(path) != NULL);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    store = pn_store_new(root, PN_STR("here.test"));
}

static int remove_it(const char *name, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(name);
}

void imap_store_end(void)
{
    pn_store_free(&store);
    (void)close(root);
    (void)nftw(path, remove_it, 8, FTW_DEPTH | FTW_PHYS);
}

/* What the files of folders share: store_int.h is what they stand on. */
#ifndef PN_FOLDERS_INT_H
#define PN_FOLDERS_INT_H

#include "folders.h"
#include "store_int.h"

/* A directory of a user that is a folder. Names and components borrow from the pool. */
struct on_disk {
    struct pn_str component; /* ".Lists.Dev"; never the INBOX */
    struct pn_str name;
    enum pn_special_use use;
};

struct on_disk_list {
    struct on_disk *v; /* owned */
    size_t count, cap;
};

/* All folders but the INBOX, sorted by name; where two directories have one name, the proper one.
 * dir: the user's. with_use: their uses are read, too. 0 or errno. ENOMEM: the pool's limit. */
int folders_scan(int dir, bool with_use, struct pn_pool *pool, struct on_disk_list *out);
/* name: clean. NULL: it is not there. */
const struct on_disk *folders_find(const struct on_disk_list *list, struct pn_str name);
void folders_scan_fini(struct on_disk_list *list);

/* ---- folders_gone.c ---- */

/* Takes the directory out of the user's, at once and durably, and then removes it with all that is
 * in it, a step at a time: after a crash _sweep does the rest. 0 or errno. */
int folders_remove(int dir, const char *component);
/* Removes what earlier removals left behind. */
void folders_sweep(int dir);

/* ---- folders_rename.c ---- */

/* A rename of several directories that a crash cut in two is brought to its end. Cheap where there
 * is none; folders_lock is held. 0 or errno. */
int folders_finish(struct pn_user *user, int dir);

#endif

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
/* Removes a folder, or what a crash left of making one, that has no message and nothing of others.
 * 0, ENOTEMPTY or another errno: then it stays, with its marks or new ones. folders_lock is held.
 */
int folders_remove_empty(struct pn_user *user, int dir, const char *component);
/* Removes what earlier removals left behind. */
void folders_sweep(int dir);

/* ---- folders_change.c ---- */

/* For who holds folders_lock; dir: the user's. name: clean. EXISTS, LIMIT, ...; made, where it may.
 */
enum pn_store_status folders_may_create(struct pn_user *user, int dir, struct pn_str name);
enum pn_store_status folders_create(struct pn_user *user, int dir, struct pn_str name);

/* ---- folders_plan.c: lines, `from` and `to`; of INBOX its UIDVALIDITY, and a UID ---- */

enum { PLAN_MAX = 2 * PN_FOLDER_NAME_MAX + 32 };

struct renaming {
    char text[PLAN_MAX];
    struct pn_str from, to; /* of text; from: empty for INBOX */
    bool of_inbox;
    uint32_t uidvalidity, below; /* what is below that UID is meant */
};

/* Durable. dir: the user's. 0 or errno. */
int renaming_write(int dir, struct pn_str from, struct pn_str to, uint32_t uidvalidity,
                   uint32_t below);
int renaming_end(int dir);
/* ENOENT: there is none. */
int renaming_read(int dir, struct renaming *out);

/* ---- folders_inbox.c: for who holds folders_lock ---- */

enum pn_store_status inbox_rename(struct pn_user *user, int dir, struct pn_str to);
/* 0 or errno; 0 too where it must be tried again later. */
int inbox_finish(struct pn_user *user, int dir, const struct renaming *plan);

/* ---- folders_rename.c ---- */

/* A rename of several directories that a crash cut in two is brought to its end. Cheap where there
 * is none; folders_lock is held. 0 or errno. */
int folders_finish(struct pn_user *user, int dir);

#endif

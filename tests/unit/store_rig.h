/*
 * A real store on a mail root of the test's own, one user, two views; and calls of the system that
 * fail, or call the test, where it says so. Programs that use it are linked with --wrap for those.
 */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include "store_int.h"

struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user; /* "u@here.test" */
    struct pn_view *a, *b;
    struct pn_buf said;
};

void rig_init(struct rig *r);
void rig_fini(struct rig *r);
void rig_open(struct rig *r);
void rig_close(struct rig *r);
void rig_reopen(struct rig *r);

struct pn_view *rig_view(struct rig *r, const char *folder);
enum pn_store_status rig_deliver(const struct rig *r, const char *folder);
void rig_append(struct rig *r, const char *folder, unsigned messages);
uint32_t rig_messages(struct rig *r, const char *folder);
uint32_t rig_uidnext(struct rig *r, const char *folder);
/* "-2(5) =3 f1(1:8)": expunge of number 2, UID 5, then three messages, then flags of number 1. */
void rig_sync(struct rig *r, struct pn_view *v);
void rig_sync_says(struct rig *r, struct pn_view *v, const char *want);
enum pn_store_status rig_store(struct pn_view *v, const char *uids, uint32_t flags);
enum pn_store_status rig_remove(struct pn_view *v, const char *uids);
enum pn_store_status rig_move(struct pn_view *v, const char *uids, const char *to, size_t *moved);
/* Below the user's directory. */
const char *rig_at(const char *name);
unsigned rig_files(const struct rig *r, const char *sub);

/* ---- what the system is to answer ---- */

enum rig_call { RIG_NONE, RIG_FSYNC, RIG_OPEN, RIG_LINK, RIG_UNLINK };

/* Of the next such call on a path that ends so: fn is called, and what it returns, an errno, is the
 * answer; 0: the call is made. Once. A call of a name in a directory has that name as its path. */
void rig_hook(enum rig_call call, const char *end, int (*fn)(struct rig *r), struct rig *r);
bool rig_hooked(void); /* it was not called yet */
/* No new file, no block more in one that is there. */
void rig_full(bool full);

#endif

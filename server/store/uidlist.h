/*
 * postern-uids: the UIDs of strangers' files that are not in their names yet. A Maildir that others
 * filled may have a hundred thousand at once; to rename each before any is shown would take
 * seconds. So they are written down here, synced, before any is shown, and the renames follow
 * later; then the file goes (strangers.c, later.c). Text, replaced whole:
 *
 *   postern-uids 1
 *   uidvalidity 1764000000
 *   1 1700000000.M0P1.other,S=512      a UID, and what stands before the colon in the file's name
 *   sum 3c2a90bd                       CRC32C of all before it
 *
 * A name has one UID for good, also when the message is gone. Results are 0 or errno.
 */
#ifndef PN_STORE_UIDLIST_H
#define PN_STORE_UIDLIST_H

#include "buf.h"

struct uidlist;

struct uidlist *uidlist_new(void); /* empty; owned */
void uidlist_free(struct uidlist **list);
/* The part of a file's name that does not change when its flags do. */
struct pn_str uidlist_key(struct pn_str name);
/* 0: it is not there. */
uint32_t uidlist_get(const struct uidlist *list, struct pn_str key);
/* False: it has a UID already, or can't be written down. */
bool uidlist_add(struct uidlist *list, struct pn_str key, uint32_t uid);
size_t uidlist_count(const struct uidlist *list);
/* Takes back all but the first count. */
void uidlist_cut(struct uidlist *list, size_t count);

/* Of the folder's directory. ENOENT: there is none, or of another UIDVALIDITY; EBADMSG: it is
 * damaged. Owned. */
int uidlist_read(int dir, uint32_t uidvalidity, struct uidlist **out);
/* Synced. */
int uidlist_write(int dir, uint32_t uidvalidity, const struct uidlist *list);
/* Nobody waits for it: one that comes back says nothing wrong. */
int uidlist_remove(int dir);

#endif

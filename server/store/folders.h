/*
 * A user's folders: what IMAP calls mailboxes (RFC 9051, section 5.1). Maildir++ is flat on disk:
 * "Lists/Dev" is .Lists.Dev, and "Lists" need not be there (then it is \NonExistent). Characters
 * that a Maildir++ name can't hold are written in modified UTF-7 as other servers do
 * (folder_name.h). All results are of enum pn_store_status; why may be NULL.
 */
#ifndef PN_FOLDERS_H
#define PN_FOLDERS_H

#include "folder_name.h"
#include "pool.h"
#include "store.h"

enum pn_special_use { /* RFC 6154, section 2; one a folder */
                      PN_USE_NONE,
                      PN_USE_ARCHIVE,
                      PN_USE_DRAFTS,
                      PN_USE_FLAGGED,
                      PN_USE_JUNK,
                      PN_USE_SENT,
                      PN_USE_TRASH,
                      PN_USES
};

enum {
    PN_FOLDERS_MAX = 10000 /* a user may have */
};

struct pn_folder_entry {
    struct pn_str name; /* UTF-8 */
    enum pn_special_use use;
    bool exists; /* false: it only has children, or a subscription */
    bool subscribed;
    bool children;
};

struct pn_folder_list {
    struct pn_folder_entry *v; /* INBOX first, then by name */
    size_t count;
};

struct pn_folder_status {
    uint32_t messages, unseen, deleted, uidnext, uidvalidity;
    uint64_t highestmodseq, size; /* size: sum of RFC822.SIZE (RFC 8438) */
};

/* pooled. */
enum pn_store_status pn_folders_list(struct pn_user *user, struct pn_pool *pool,
                                     struct pn_folder_list *out);
/* Does not open the folder for a session: an index row's work where nothing has changed on disk. */
enum pn_store_status pn_folder_status(struct pn_user *user, struct pn_str name,
                                      struct pn_folder_status *out);
/* Missing levels above are not made. use: PN_USE_NONE mostly. */
enum pn_store_status pn_folder_create(struct pn_user *user, struct pn_str name,
                                      enum pn_special_use use);
/* RFC 9051, 6.3.5: its children stay; INBOX: REFUSED. */
enum pn_store_status pn_folder_delete(struct pn_user *user, struct pn_str name);
/* RFC 9051, 6.3.6: children go along; of INBOX the messages go, and it stays, empty. The
 * UIDVALIDITY of what was renamed stays. */
enum pn_store_status pn_folder_rename(struct pn_user *user, struct pn_str from, struct pn_str to);
enum pn_store_status pn_folder_subscribe(struct pn_user *user, struct pn_str name, bool subscribed);
/* At first login: makes and subscribes the folders that are not there and whose use no folder has.
 */
enum pn_store_status pn_folders_make_special(struct pn_user *user);
/* "\\Junk"...; "" for none. And back, without case; PN_USES: unknown. */
const char *pn_special_use_name(enum pn_special_use use);
enum pn_special_use pn_special_use_find(struct pn_str name);

#endif

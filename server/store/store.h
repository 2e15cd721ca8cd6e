/*
 * The store: mailboxes below one mail root. This header has the root and its users, and
 * deliveries; folders.h a user's folders, view.h a folder as a session sees it, textsearch.h the
 * words in it.
 *
 * Maildir++ is the truth, so that other tools may share it:
 *
 *   ROOT/DOMAIN/LOCAL/          tmp new cur: INBOX; .Junk/ with its own tmp new cur, ...
 *   ROOT/-/USER/                a user without a domain
 *   .../postern-folder          small and synced, in INBOX and each folder: UIDVALIDITY, a mark
 *                               above every UID that was given, keyword letters, special use
 *   .../postern-uids            for a while, where others left many files: UIDs not in names yet
 *   .../postern-user            small and synced, once a user: subscriptions, quota, the mark of
 *                               HIGHESTMODSEQ, the last UIDVALIDITY
 *   .../postern-*.spare         what is written over when one of them is written next
 *   ROOT/.postern-quotas        empty: some user has, or had, a quota of his own
 *   .../postern/index.db        SQLite, a cache: rebuilt from the above with nothing lost but
 *                               which changes are how old (modseqs, vanished UIDs)
 *
 * Files have LF line ends; that loses nothing, since a bare CR or LF never gets in. Names:
 * SECONDS.MMICROSECONDSPPIDQCOUNT.HOST,S=BYTES,W=BYTES-WITH-CRLF,U=UIDVALIDITY.UID. The UID is in
 * the name before the rename that makes the message visible; a file without U, or with that of
 * another folder, is a stranger's: it is given a UID and renamed when it is noticed; of many the
 * UIDs are written down at once (uidlist.h), and the renames follow when nobody waits. Flags stand
 * behind ":2," as the Maildir description has them, keywords as its letters a to z.
 *
 * A delivery or an append is done when the file and the folder it was renamed into are synced. A
 * crash before leaves at most a file in tmp, which is removed when it is old. No UID is ever
 * used twice in a UIDVALIDITY: numbers are given below a synced mark, and after a crash they go
 * on above it. HIGHESTMODSEQ likewise.
 *
 * User and folder names become path components in one way (maildir.h); nothing leaves the root, and
 * no symbolic link below it is followed: neither a folder nor a message can be one. The root may be
 * a link, or lie behind one, as an operator likes.
 *
 * A user has one writing process (users belong to mailbox workers by hash). In it all calls are
 * thread-safe: calls of one user may wait for each other, those of two users never do. Calls
 * block on the disk: they are for pool threads. Names of folders are UTF-8 with '/' between
 * levels; "INBOX" in any case is the INBOX, and "" too.
 */
#ifndef PN_STORE_H
#define PN_STORE_H

#include "buf.h"
#include "edit.h"

struct pn_store;
struct pn_user; /* an opened mailbox account; shared by its sessions and deliveries */

enum pn_store_status {
    PN_STORE_OK,
    PN_STORE_TEMPORARY, /* I/O error, too many open files: later it may be right */
    PN_STORE_FULL,      /* disk space; temporary too */
    PN_STORE_BAD_NAME,  /* no mailbox, or no folder, can have this name */
    PN_STORE_NO_FOLDER, /* there is none of that name */
    PN_STORE_EXISTS,    /* there is one already */
    PN_STORE_QUOTA,     /* the user's quota leaves no room (RFC 9208: OVERQUOTA) */
    PN_STORE_LIMIT,     /* a limit of ours: keywords of a folder, folders of a user, size */
    PN_STORE_REFUSED    /* what is asked can't be done to this folder: to delete INBOX, ... */
};

/* root: a directory, borrowed, must stay open. host: for file names. Owned. */
struct pn_store *pn_store_new(int root, struct pn_str host);
/* All users are closed. */
void pn_store_free(struct pn_store **store);

/* ---- users ---- */

/* Opens the account of "u@here.test", made with its INBOX if it is not there. The same one for
 * all who ask; each _open has its _close. An account that nobody has open keeps what it has in
 * memory for a while, within a limit over all. NULL with a sentence in why. */
struct pn_user *pn_user_open(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why);
void pn_user_close(struct pn_user **user);
struct pn_str pn_user_address(const struct pn_user *user); /* borrowed from it */

/* Bytes are counted as RFC822.SIZE is: with CRLF. */
struct pn_quota {
    uint64_t bytes, messages;             /* used, all folders together */
    uint64_t bytes_limit, messages_limit; /* 0: none */
    bool own;                             /* the limits are the user's own */
};

/* What holds for a user as far as he has nothing of his own; asked each time that it matters. From
 * any thread, under locks of the store: no call of the store may be made. */
struct pn_store_rules {
    void (*quota)(void *ctx, struct pn_str user, uint64_t *bytes, uint64_t *messages);
    /* Appends the name of the folder for that use (enum pn_special_use of folders.h). */
    void (*folder)(void *ctx, struct pn_str user, unsigned use, struct pn_buf *name);
};
/* Both borrowed; before any user is opened. Without it: pn_store_quota_default, and folders
 * called Drafts, Sent, Junk, Trash, Archive. */
void pn_store_rules(struct pn_store *store, const struct pn_store_rules *rules, void *ctx);
void pn_store_quota_default(struct pn_store *store, uint64_t bytes, uint64_t messages);
enum pn_store_status pn_user_quota(struct pn_user *user, struct pn_quota *out);
/* Of his own from now on, durably; own false: none, the default is his. */
enum pn_store_status pn_user_quota_set(struct pn_user *user, bool own, uint64_t bytes,
                                       uint64_t messages);
/* Has, or had, any user a quota of his own? Remembered in the root (.postern-quotas); of a root
 * that was copied without it, once such a user was looked at. From any thread. */
bool pn_store_has_quotas(const struct pn_store *store);
/* Would a message of so many bytes have room? For RCPT and for the check before an append. */
enum pn_store_status pn_user_room(struct pn_user *user, uint64_t bytes);

/* ---- deliveries ---- */

struct pn_delivery {
    struct pn_str user;         /* "u@here.test" or "u" */
    struct pn_str folder;       /* "" INBOX, "Junk", "Lists/Dev" */
    struct pn_str reverse_path; /* for Return-Path */
    struct pn_str content;      /* CRLF, as received */
    struct pn_edits *edits;     /* borrowed; may be NULL. Return-Path is the store's own */
};

/* Blocks until it is synced. A sentence in why unless OK. Folders are made on demand. */
enum pn_store_status pn_store_deliver(struct pn_store *store, const struct pn_delivery *delivery,
                                      struct pn_buf *why);

#endif

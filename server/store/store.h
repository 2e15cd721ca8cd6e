/*
 * The store: mailboxes below one mail root. Here: delivery (this part's share of it).
 *
 * Maildir++ is the truth, so that other tools may share it:
 *
 *   ROOT/DOMAIN/LOCAL/          tmp new cur: INBOX; .Junk/ with its own tmp new cur, ...
 *   ROOT/-/USER/                a user without a domain
 *
 * Files have LF line ends; that loses nothing, since a bare CR or LF never gets in. Names:
 * SECONDS.MMICROSECONDSPPIDQCOUNT.HOST,S=BYTES,W=BYTES-WITH-CRLF. A delivery is done when
 * the file and the folder it was renamed into are synced. A crash before leaves at most
 * a file in tmp, which readers of a Maildir remove when it is old.
 *
 * User and folder names become path components in one way (maildir_component): what is
 * not harmless is written as %XX; nothing leaves the root (RESOLVE_BENEATH).
 *
 * Thread-safe: deliveries run in parallel, so that their syncs share the disk's work.
 */
#ifndef PN_STORE_H
#define PN_STORE_H

#include "buf.h"
#include "edit.h"

struct pn_store;

enum pn_store_status {
    PN_STORE_OK,
    PN_STORE_TEMPORARY, /* disk full, I/O error: later it may be right */
    PN_STORE_FULL,      /* quota or disk space; temporary too */
    PN_STORE_BAD_NAME   /* no mailbox can have this name */
};

struct pn_delivery {
    struct pn_str user;         /* "u@here.test" or "u" */
    struct pn_str folder;       /* "" INBOX, "Junk", "Lists/Dev" */
    struct pn_str reverse_path; /* for Return-Path */
    struct pn_str content;      /* CRLF, as received */
    struct pn_edits *edits;     /* borrowed; may be NULL. Return-Path is the store's own */
};

/* root: a directory, borrowed, must stay open. host: for file names. Owned. */
struct pn_store *pn_store_new(int root, struct pn_str host);
void pn_store_free(struct pn_store **store);
/* Blocks until it is synced. A sentence in why unless OK. Folders are made on demand. */
enum pn_store_status pn_store_deliver(struct pn_store *store, const struct pn_delivery *delivery,
                                      struct pn_buf *why);

#endif

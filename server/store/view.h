/*
 * A folder as one session sees it: messages by number, as RFC 9051, section 2.3.1.2 wants them.
 * Between two pn_view_sync calls its numbers do not change, whatever others do meanwhile; sync
 * tells what did. A view is used by one thread at a time; views of one folder share what can be
 * shared, so that a hundred sessions on one mailbox, and an idle one, cost little.
 *
 * A message that is gone, but not yet told of, still answers pn_view_mail (with `gone`); its
 * content answers NO_FOLDER-like EXPUNGED below.
 */
#ifndef PN_VIEW_H
#define PN_VIEW_H

#include "store.h"
#include "uidset.h"

struct pn_view;

/* System flags (RFC 9051, 2.3.2) as bits; keywords are bits of their own, numbered by folder. */
enum {
    PN_SEEN = 1,
    PN_ANSWERED = 2,
    PN_FLAGGED = 4,
    PN_DELETED = 8,
    PN_DRAFT = 16,
    PN_KEYWORDS_MAX = 26, /* letters a to z */
    PN_KEYWORD_LEN_MAX = 100,
};

struct pn_flags {
    uint32_t system;
    uint32_t keywords; /* bit n: keyword n of the folder */
};

struct pn_mail {
    uint32_t uid;
    struct pn_flags flags;
    uint64_t modseq; /* RFC 7162 */
    int64_t date;    /* INTERNALDATE, seconds since 1970 UTC */
    uint32_t size;   /* RFC822.SIZE: with CRLF, of what the view shows */
    bool guessed;    /* size is that of its file, which nobody has read yet */
    bool downgraded; /* what the view shows is a surrogate */
    bool gone;
};

struct pn_view_info {
    uint32_t uidvalidity, uidnext, messages;
    uint64_t highestmodseq; /* all up to it was told */
    bool holds_back;        /* expunges behind it are not, though flags behind them may be */
    bool read_only;
    bool can_add_keywords; /* there is a letter left */
};

/* ---- opening and change ---- */

/* changed: called when there is something to sync; from any thread, under locks of the store: it
 * may only note it and wake somebody. Once, until the next sync. May be NULL. */
enum pn_store_status pn_view_open(struct pn_user *user, struct pn_str folder, bool read_only,
                                  void (*changed)(void *ctx), void *ctx, struct pn_view **out);
void pn_view_close(struct pn_view **view);
struct pn_str pn_view_folder(const struct pn_view *view); /* its name; borrowed */
struct pn_user *pn_view_user(const struct pn_view *view); /* borrowed */
void pn_view_info(struct pn_view *view, struct pn_view_info *out);
/* Keyword n of the folder, or an empty view; borrowed from the store for good. */
struct pn_str pn_view_keyword(struct pn_view *view, unsigned n);
unsigned pn_view_keywords(struct pn_view *view); /* how many */

/* From now on this view shows, or does not show any more, internationalized messages downgraded
 * (downgrade.h): for a session whose client did not ask for UTF-8. It goes for sizes, for
 * pn_view_show and for PN_CACHED_SHOWN; all else is of the messages as they are stored. */
void pn_view_downgrade(struct pn_view *view, bool on);

struct pn_view_ops {
    /* In the order that may be sent: expunges (number as of this moment, highest first or each
     * adjusted, as `seq` says), then the new count if it grew, then changed flags. */
    void (*expunged)(void *ctx, uint32_t seq, uint32_t uid);
    void (*exists)(void *ctx, uint32_t messages);
    void (*flags)(void *ctx, uint32_t seq, const struct pn_mail *mail);
};

/* Looks at the disk too where something there has changed. may_expunge false: messages that are
 * gone stay numbered (RFC 9051, 5.5; RFC 2180). False: the folder itself is gone. */
bool pn_view_sync(struct pn_view *view, bool may_expunge, const struct pn_view_ops *ops, void *ctx);

/* ---- reading ---- */

uint32_t pn_view_count(const struct pn_view *view);
uint32_t pn_view_uid(const struct pn_view *view, uint32_t seq); /* 1 to count; ascending */
/* 0: no message has it. floor: the number of the first at or above uid, count + 1 if none. */
uint32_t pn_view_seq(const struct pn_view *view, uint32_t uid);
uint32_t pn_view_floor(const struct pn_view *view, uint32_t uid);
/* Constant time, from memory. seq is 1 to count. */
void pn_view_mail(struct pn_view *view, uint32_t seq, struct pn_mail *out);
/* For whoever tells or compares sizes: counted, not guessed, reading files where need be; some of
 * those up to number last, which are asked for next, with it. */
void pn_view_mail_sized(struct pn_view *view, uint32_t seq, uint32_t last, struct pn_mail *out);

/* What the index keeps of content as of delivery; made now where it is missing (and kept). */
enum {
    PN_CACHED_ENVELOPE = 1,  /* as IMAP prints it, without the word: "(...)" (envelope.h) */
    PN_CACHED_STRUCTURE = 2, /* BODYSTRUCTURE, extensible form (structure.h); BODY is cut from it */
    PN_CACHED_HEADER = 4,    /* selected header fields: From To Cc Subject Date Message-ID
                              * References In-Reply-To ..., CRLF, each as it stands: for SEARCH,
                              * SORT, THREAD and FETCH BODY.PEEK[HEADER.FIELDS (...)] */
    PN_CACHED_SHOWN = 8      /* of what the view shows, not of what is stored */
};

struct pn_cached {
    uint32_t seq;
    struct pn_str envelope, structure, header; /* borrowed for the call */
    bool whole; /* false: it could not be read (gone, I/O error): the views are empty */
};

/* Calls fn for first to last (numbers) in order, until it returns false; the number it stopped
 * at, or last + 1. Made for long ranges: one statement for all of them. */
uint32_t pn_view_cached(struct pn_view *view, uint32_t first, uint32_t last, unsigned what,
                        bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx);

/* Is it one of the fields that PN_CACHED_HEADER has, wherever a message has it? */
bool pn_cached_has_field(struct pn_str name);

/* A message's bytes, LF ends as in its file, mapped or read; until _done. */
struct pn_content {
    struct pn_str bytes;
    void *own; /* the store's */
};
enum pn_read { PN_READ_OK, PN_READ_EXPUNGED, PN_READ_ERROR };
enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out);
/* *whole: they are all that the file had when it came, as far as that is known. What is made of
 * those of a file that was cut is not to be kept. */
enum pn_read pn_view_read_whole(struct pn_view *view, uint32_t seq, struct pn_content *out,
                                bool *whole);
/* What the view shows of it. A surrogate is made in memory, as long as the message. */
enum pn_read pn_view_show(struct pn_view *view, uint32_t seq, struct pn_content *out);
/* No byte was missing while they were read, up to now: a file can be cut meanwhile. */
bool pn_content_is_whole(const struct pn_content *content);
void pn_content_done(struct pn_content *content);
/* Nothing is read for a while: lets go of what makes the next read cheaper than the first. */
void pn_view_rest(struct pn_view *view);

/* ---- changing ---- */

enum pn_flag_op { PN_FLAGS_SET, PN_FLAGS_ADD, PN_FLAGS_REMOVE };

/* The bit of a keyword, made if need be. LIMIT: no letter is left. */
enum pn_store_status pn_view_add_keyword(struct pn_view *view, struct pn_str name, uint32_t *bit);

/* A command means what its session was told of: the messages of the view, no others of those UIDs.
 * uids: which. unchanged_since: UINT64_MAX for no condition (RFC 7162, 3.1.3). Those that failed
 * the condition are added to `modified`. All are renamed, then the folder is synced once. Who asked
 * is not told by the next sync, but for what others had changed before. */
enum pn_store_status pn_view_store(struct pn_view *view, const struct pn_uidset *uids,
                                   enum pn_flag_op op, struct pn_flags flags,
                                   uint64_t unchanged_since, struct pn_uidset *modified);
/* Removes those that are \Deleted, of `uids` where that is not NULL. */
enum pn_store_status pn_view_expunge(struct pn_view *view, const struct pn_uidset *uids);
/* Removes these, \Deleted or not; what is gone already is no error. */
enum pn_store_status pn_view_remove(struct pn_view *view, const struct pn_uidset *uids);

/* Two sets of as many UIDs, one by one: COPYUID (RFC 4315). */
struct pn_copied {
    uint32_t uidvalidity;
    struct pn_uidset from, to;
};
void pn_copied_fini(struct pn_copied *copied);
/* All or, but for a crash, none; flags and dates go along. A file is linked, not copied, where it
 * may be. move: the source goes when the copy is durable; what another moved or removed meanwhile
 * is left out. */
enum pn_store_status pn_view_copy(struct pn_view *view, const struct pn_uidset *uids,
                                  struct pn_str folder, bool move, struct pn_copied *out);

/* ---- history (RFC 7162) ---- */

/* Adds the UIDs of messages in the view that changed after modseq. */
void pn_view_changed_since(struct pn_view *view, uint64_t modseq, struct pn_uidset *out);
/* Adds UIDs expunged after modseq, of `known` where that is not NULL; more than were there where
 * history does not go back so far (RFC 7162, 3.2.5.2 allows it), never one that is there. */
void pn_view_vanished_since(struct pn_view *view, uint64_t modseq, const struct pn_uidset *known,
                            struct pn_uidset *out);

/* ---- APPEND ---- */

/* Messages on their way in, one after the other; all appear together at _commit (RFC 3502), or
 * none. Bytes go to a file of tmp as they come: CRLF becomes LF. Owned. */
struct pn_append;
struct pn_append *pn_append_new(struct pn_user *user, struct pn_str folder,
                                enum pn_store_status *status);
/* date: INT64_MIN for now. keywords: names, made in the folder if need be. */
enum pn_store_status pn_append_begin(struct pn_append *append, uint32_t system_flags,
                                     const struct pn_str *keywords, size_t keyword_count,
                                     int64_t date);
/* False: it failed (NUL byte, disk, size); _commit says which. More may be fed, and is dropped. */
bool pn_append_feed(struct pn_append *append, struct pn_str bytes);
enum pn_store_status pn_append_commit(struct pn_append *append, uint32_t *uidvalidity,
                                      struct pn_uidset *uids, struct pn_buf *why);
/* The special use of its folder: an enum pn_special_use (folders.h). */
unsigned pn_append_use(const struct pn_append *append);
/* Without _commit: everything is taken back. */
void pn_append_free(struct pn_append **append);

#endif

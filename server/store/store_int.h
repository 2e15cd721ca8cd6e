/*
 * Inside the store: what its files share. Outside of server/store nobody includes this.
 *
 * Locks, in the order in which they may be taken (each is optional, none is taken twice):
 *
 *   folder->lock   what is known of one folder; held over renames and scans, never over an fsync
 *                  but that of its mark
 *   user->lock     the user's folders, its small file, its quota
 *   index->lock    the SQLite handle; a statement at a time
 *   index->queue_lock, store->lock
 *
 * No callback of a caller runs below any of them, but a view's `changed`.
 *
 * A folder in memory is known (its small file was read: enough to give a UID) or loaded (its
 * messages are in memory too, and follow what is on disk). A folder is found by its place, the name
 * of its directory below the user's; `gone` is set when that was deleted or renamed: whoever holds
 * it finds NO_FOLDER in all it does, and its views end.
 */
#ifndef PN_STORE_INT_H
#define PN_STORE_INT_H

#include "index.h"
#include "maildir.h"
#include "marks.h"
#include "store.h"
#include "view.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    UID_BLOCK = 1000,                     /* UIDs below one synced mark */
    STORE_MEMORY_MAX = 256 * 1024 * 1024, /* of folders that nobody has open */
    PLACE_MAX = 3 * (MAILDIR_COMPONENT_MAX + 1)
};

struct pn_store {
    int root;
    char *host;
    atomic_uint count;                         /* of file names */
    atomic_ullong quota_bytes, quota_messages; /* defaults */
    pthread_mutex_t lock;                      /* the users */
    struct pn_user **users;                    /* hashed by name; owned */
    size_t user_slots, user_count;
    uint64_t turn;            /* for the least recently used */
    atomic_size_t idle_bytes; /* of folders loaded that nobody has open */
    struct keeper *keeper;    /* the thread that writes indices and closes what is idle */
};

struct pn_user {
    struct pn_store *store;
    struct pn_user *next; /* in its slot */
    char *name;           /* as it was given */
    char *place;          /* below the root: "here.test/u" */
    unsigned refs;        /* store->lock */
    pthread_mutex_t lock;
    struct folder *folders;  /* all in memory, a list */
    struct user_marks marks; /* postern-user */
    bool marks_read;
    uint64_t modseq;     /* the last given */
    struct index *index; /* thread-safe by itself */
    bool used_known;     /* used counts what is there */
    uint64_t used_bytes, used_messages;
};

/* One message, as memory has it. */
struct msg {
    uint32_t uid, size; /* size: with CRLF */
    uint64_t modseq;
    int64_t date;
    uint32_t keywords;
    uint32_t name; /* offset in folder->names; NUL-terminated */
    uint8_t system;
    bool in_new;
    bool seen_now; /* of a scan under way */
};

/* UIDs of a folder at some time: what a view counts by. Shared, and what is below any view's count
 * never changes. */
struct uids {
    unsigned refs; /* folder->lock */
    size_t cap;
    uint32_t v[];
};

/* What one of the two directories looked like when it was read. */
struct seen {
    int64_t mtime_ns;
    bool soon; /* the clock of the disk might not tell a later change from it */
};

/* Renames into a directory that wait for its sync. */
struct group {
    uint64_t asked, done; /* tickets */
    uint64_t failed;      /* the last ticket of a sync that failed */
    int error;
    bool running;
    pthread_cond_t wake;
};

enum { DIR_NEW, DIR_CUR };

/* A message with its name in place, its rename not yet known to be durable. */
struct coming;

struct folder {
    struct folder *next; /* user->lock */
    struct pn_user *user;
    char *place;   /* below the user's: "" is INBOX, ".Junk" */
    char *name;    /* UTF-8 as IMAP has it */
    unsigned refs; /* user->lock */
    uint64_t turn; /* when it was last let go */
    pthread_mutex_t lock;
    bool gone;
    struct folder_marks marks; /* postern-folder as it is on disk */
    uint32_t uidnext;          /* the next to give, below marks.uidnext */
    uint64_t modseq;           /* the highest of its messages and expunges */
    uint64_t history;          /* expunges after this modseq are all in the index */

    bool loaded;
    struct msg *msgs; /* by UID; owned */
    size_t count, cap;
    struct uids *uids; /* theirs */
    char *names;       /* owned */
    size_t names_len, names_cap, names_waste;
    struct msg *dead; /* expunged, but numbered in some view; by UID */
    size_t dead_count, dead_cap;
    uint64_t unseen, deleted, bytes;
    struct seen seen[2];
    uint64_t scan_ns, scanned_at; /* how long the last one took, and when it was */

    struct group group[2];
    struct coming *coming, *coming_last; /* in order of UID */
    struct pn_view *views;
};

/* ---- names and errors (names.c) ---- */

/* What stands in a file's name behind its first comma, and behind ":2,". */
struct mail_name {
    struct pn_str base;        /* before the first comma or colon */
    uint32_t size;             /* W=; 0: not said */
    uint64_t file_size;        /* S=; 0: not said */
    uint32_t uidvalidity, uid; /* U=; 0: not said */
    uint32_t keywords;
    uint8_t system;
};
void mail_name_parse(struct pn_str file, struct mail_name *out);
/* "cur" names; with only_new and no flags nothing stands behind the base. Letters of others' making
 * behind ":2," are kept from `before`, a file name or empty. */
bool mail_name_flags(struct pn_buf *out, struct pn_str before, uint32_t system, uint32_t keywords);

/* errno as a status; a sentence into why, which may be NULL. */
enum pn_store_status store_failed(struct pn_buf *why, const char *what, int error);

/* ---- users (user.c) ---- */

/* Appends the user's place and a folder's below the root. */
bool user_path(const struct pn_user *user, const char *place, struct pn_buf *out);
/* The user's directory, opened; -1 with errno. */
int user_open_dir(const struct pn_user *user);
/* Reads postern-user if that is not done; user->lock is held. 0 or errno. */
int user_marks(struct pn_user *user);
/* Writes user->marks, synced; user->lock is held. 0 or errno. */
int user_marks_write(struct pn_user *user);
/* A UIDVALIDITY that no folder of the user ever had, durably so. 0: errno says why. Takes
 * user->lock. */
uint32_t user_new_uidvalidity(struct pn_user *user);
/* A modseq above all others of the user's. 0: its mark could not be written. Takes user->lock. */
uint64_t user_new_modseq(struct pn_user *user);
void user_count(struct pn_user *user, int64_t bytes, int64_t messages);

/* ---- folders (folder.c) ---- */

/* The folder of that name, referenced: its directory is there, and its small file was read or made.
 * NO_FOLDER if there is none, or it is made with create. */
enum pn_store_status folder_get(struct pn_user *user, struct pn_str name, bool create,
                                struct folder **out);
void folder_put(struct folder **folder);
/* Loads it if it is not, and looks at what others did on disk. folder->lock is held. OK or
 * TEMPORARY, NO_FOLDER. */
enum pn_store_status folder_look(struct folder *folder);
/* What STATUS wants, from memory where it is loaded, else from the index if the disk is as that
 * knows it, else loaded. Locks. */
enum pn_store_status folder_counts(struct folder *folder, uint32_t *messages, uint32_t *unseen,
                                   uint32_t *deleted, uint64_t *bytes);
/* For deletion and renaming, before the directory goes: takes it out of memory; its views end.
 * place: the name of its directory. Nothing happens if it is not there. Takes the locks. */
void folder_forget(struct pn_user *user, const char *place);
/* The folder's directory. -1 with errno. */
int folder_open_dir(const struct folder *folder);

#endif

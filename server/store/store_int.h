/*
 * Inside the store: what its files share. Outside of server/store nobody includes this.
 *
 * Locks, in the order in which they may be taken (each is optional, none is taken twice):
 *
 *   folder->moves  who moves messages out of a folder waits for who does so, too
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
    MODSEQ_BLOCK = 100000,                /* modseqs likewise */
    STORE_MEMORY_MAX = 256 * 1024 * 1024, /* of folders that nobody has open */
    STORE_USERS_IDLE = 4096,              /* accounts in memory that nobody has open */
    INDICES_OPEN = 64,                    /* SQLite handles */
    PLACE_MAX = 3 * (MAILDIR_COMPONENT_MAX + 1)
};

struct pn_store {
    int root;
    char *host;
    atomic_uint count;                  /* of file names */
    const struct pn_store_rules *rules; /* NULL: these defaults */
    void *rules_ctx;
    atomic_ullong quota_bytes, quota_messages;
    atomic_bool has_quotas;
    pthread_mutex_t lock;   /* the users */
    struct pn_user **users; /* hashed by name; owned */
    size_t user_slots, user_count;
    size_t users_idle;       /* STORE_USERS_IDLE */
    struct pn_user *leaving; /* out of users, but not yet written: who opens it waits for `left` */
    pthread_cond_t left;
    atomic_ullong turn; /* for the least recently used */
    struct keeper *keeper;
    struct team *team;
    atomic_uint watched;  /* views whose owners are told of changes */
    atomic_uint watch_ms; /* so often their folders are looked at */
};

struct pn_user {
    struct pn_store *store;
    struct pn_user *next;         /* in its slot; store->lock */
    unsigned refs;                /* store->lock */
    uint64_t turn;                /* when it was last let go; store->lock */
    atomic_bool busy;             /* the keeper is to look at it */
    atomic_bool later;            /* it has folders where later.due is set */
    atomic_uint watched;          /* as the store's */
    char *name;                   /* as it was given */
    char *place;                  /* below the root: "here.test/u" */
    pthread_mutex_t folders_lock; /* first of all: who makes, deletes or renames folders */
    bool finished;                /* a rename that was cut in two; folders_lock */
    pthread_mutex_t lock;
    struct folder *folders;  /* all in memory, a list */
    struct user_marks marks; /* postern-user */
    bool made;               /* its directory is there */
    bool marks_read;
    uint64_t modseq; /* the last given */
    struct index *index;
    pthread_mutex_t counting; /* held by who counts what is there: first of all locks */
    bool used_known;          /* used counts what is there */
    int64_t used_bytes, used_messages;
    unsigned count_round;  /* of the count under way, or of the last; 0: none yet */
    unsigned folder_turns; /* grows when a folder goes, or has another name: a count begins again */
};

/* Whether it is an internationalized message (downgrade.h). Known from delivery; of strangers'
 * files once somebody read them. */
enum { FORM_UNKNOWN, FORM_PLAIN, FORM_INTERNATIONAL };

enum { FORM_SIZE_MAX = (1 << 30) - 1 }; /* what is longer has no surrogate, and goes as it is */

struct form {
    uint32_t kind : 2;
    uint32_t size : 30; /* INTERNATIONAL: of its surrogate, with CRLF */
};

/* One message, as memory has it. */
struct msg {
    uint32_t uid, size; /* size: with CRLF */
    uint64_t modseq;
    int64_t date;
    uint32_t keywords;
    uint32_t name; /* offset in folder->names; NUL-terminated */
    uint8_t system;
    bool in_new : 1;
    bool seen_now : 1;    /* of a scan or a removal under way */
    bool seen_before : 1; /* that: before a scan that may fail */
    bool guessed : 1;     /* size: of its file, not counted yet */
    bool foreign : 1;     /* its UID is in postern-uids, not in its name yet */
    struct form form;
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

/* Who made renames in a directory and waits for its sync. */
struct sync_ask {
    struct sync_ask *next;
    int fd; /* of that directory; borrowed */
    bool done;
    int error;
};

struct group {
    struct sync_ask *asks; /* that no sync has taken up */
    bool running;
    pthread_cond_t wake;
};

enum { DIR_NEW, DIR_CUR };

/* A message with its name in place, its rename not yet known to be durable. */
struct coming {
    struct coming *next;
    struct msg msg;          /* modseq and name are set when it is published */
    char *name;              /* of the file; owned */
    bool done, dropped;      /* durable; or taken back */
    struct pn_buf cached[3]; /* as in struct index_cached; empty: not known */
};

/* Where the work stands that follows when nobody waits. */
struct later {
    atomic_bool due;
    uint32_t fill_to;     /* what the index lacks is made of those below it, downwards */
    uint32_t rename_from; /* then those from it on are renamed */
    uint64_t begun_ns;
};

struct folder {
    struct folder *next; /* user->lock */
    struct pn_user *user;
    char *place;   /* below the user's: "" is INBOX, ".Junk" */
    char *name;    /* UTF-8 as IMAP has it */
    unsigned refs; /* user->lock */
    uint64_t turn; /* when it was last let go; user->lock */
    pthread_mutex_t lock;
    pthread_mutex_t moves; /* held by who moves messages away, to the end: see copy.c */
    atomic_bool gone;
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
    struct msg *dead;                       /* expunged, but numbered in some view; by UID */
    size_t dead_count, dead_cap, dead_kept; /* kept: when they were last thinned */
    uint64_t unseen, deleted, bytes;
    uint64_t guessed, guessed_bytes; /* messages whose size is one, and their part of bytes */
    uint64_t grown_bytes;            /* by so many surrogates are longer than their messages */
    struct uidlist *list;            /* UIDs that are not in names; NULL: none. Owned */
    struct later later;
    struct seen seen[2];
    uint64_t looked_ns;                  /* when somebody last had it looked at */
    uint64_t scan_ns, scanned_at;        /* how long the last one took, and when it was */
    unsigned index_serial;               /* when its rows were last known to be in the index */
    uint32_t epoch;                      /* of the user's marks */
    bool given;                          /* UIDs, since it was opened */
    bool row_old;                        /* the index's row of the folder says something else */
    unsigned count_round;                /* the user's, when it was counted; folder->lock */
    int64_t since_bytes, since_messages; /* what came and went after that; user->lock */

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

/* Appends a name that no other file has, as the Maildir description wants it: the base. */
void store_unique(struct pn_store *store, struct pn_buf *out);
/* Appends base,S=..,W=..,U=... */
bool mail_name_make(struct pn_buf *out, struct pn_str base, uint64_t file_size, uint32_t size,
                    uint32_t uidvalidity, uint32_t uid);

/* errno as a status; a sentence into why, which may be NULL. */
enum pn_store_status store_status(int error);
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
/* The same for who holds user->lock. */
uint32_t user_give_uidvalidity(struct pn_user *user);
/* The index begins from nothing, as after damage; folders and views stay as they are. */
void user_forget_index(struct pn_user *user);
/* A modseq above all others of the user's. 0: its mark could not be written. Takes user->lock. */
uint64_t user_new_modseq(struct pn_user *user);
/* The same for what others did, or what is done already: where no mark can be written, the last one
 * that was given. Never 0 (RFC 7162, section 3.1). */
uint64_t user_any_modseq(struct pn_user *user);
/* Have so many more room? */
enum pn_store_status user_room(struct pn_user *user, uint64_t bytes, uint64_t messages);
/* quota.c: what pn_store_has_quotas says; _note: from now on, durably. 0 or errno. */
void store_quotas_begin(struct pn_store *store);
int store_quotas_note(struct pn_store *store);
/* What came and went; folder->lock is held, user->lock taken. (used.c) */
void folder_used(struct folder *folder, int64_t bytes, int64_t messages);
/* What was counted of it may be wrong; the same locks. (used.c) */
void user_count_again(const struct folder *folder);
/* Something is queued for the index: it is written soon. */
void user_busy(struct pn_user *user);

/* Writes what is to be written of one whom nobody has, or finds; and frees it then. */
void user_rest(struct pn_user *user);
void user_free(struct pn_user *user);

/* ---- the keeper (keeper.c): a thread that writes what is queued and lets go what is idle ---- */

void keeper_start(struct pn_store *store);
void keeper_stop(struct pn_store *store);
void keeper_wake(struct pn_store *store);
/* Frees what nobody has open, the least recently used first, to the limits. What it writes it
 * writes below no lock of the store: who opens another mailbox does not wait for it. (trim.c) */
void store_trim(struct pn_store *store);

/* ---- folders (folder.c) ---- */

/* Appends the name of the directory that a folder has, or would have, below the user's; nothing
 * for the INBOX. 0; ENAMETOOLONG: no folder can have that name; or why it can't be known now. Takes
 * no lock. (folders.c) */
int folder_place(struct pn_user *user, struct pn_str name, struct pn_buf *out);

/* The folder of that name, referenced: its directory is there, and its small file was read or made.
 * NO_FOLDER if there is none, or it is made with create. */
enum pn_store_status folder_get(struct pn_user *user, struct pn_str name, bool create,
                                struct folder **out);
void folder_put(struct folder **folder);
/* What STATUS wants, from memory where it is loaded, else from the index if the disk is as that
 * knows it, else loaded. round: of a count of all that the user has, in which this folder is now;
 * 0: of none. Locks. */
enum pn_store_status folder_counts(struct folder *folder, unsigned round,
                                   struct pn_folder_status *out);
/* For deletion and renaming, before the directory goes: takes it out of memory; its views end.
 * place: the name of its directory. Nothing happens if it is not there. Takes the locks. */
void folder_forget(struct pn_user *user, const char *place);
/* Frees one that is in no list and that nobody has open. */
void folder_free(struct folder *folder);
size_t folder_bytes(const struct folder *folder);
/* The folder's directory, or one in it ("new", "cur", "tmp"). -1 with errno. */
int folder_open_dir(const struct folder *folder, const char *sub);
/* tmp, new and cur, where they are missing. 0 or errno. */
int folder_make_dirs(const struct folder *folder);
/* Its first UID of n, all below a synced mark; folder->lock is held. 0: errno says why. */
uint32_t folder_give_uids(struct folder *folder, uint32_t n);

/* Is the folder in dir, whose small file was just read, a copy that another program made of one
 * that is still there? The index would hold the rows of both for those of one. user->lock is held.
 * (twins.c) */
bool folder_is_copy(const struct folder *folder, int dir);

/* What follows is for who holds folder->lock. */

/* Loads it if it is not, and looks at what others did on disk; hard: even where nothing seems to
 * have changed. OK, TEMPORARY or NO_FOLDER. */
enum pn_store_status folder_look(struct folder *folder, bool hard);
/* Index of a message in msgs, or of the first above uid; found may be NULL. */
size_t folder_find(const struct folder *folder, uint32_t uid, bool *found);
/* Appends a message, whose UID is above all others; name is copied. */
void folder_append(struct folder *folder, const struct msg *msg, const char *name);
void folder_rename_msg(struct folder *folder, struct msg *msg, const char *name);
/* Removes those with seen_now not set, as expunged at modseq. */
void folder_remove_unseen(struct folder *folder, uint64_t modseq);
const char *folder_msg_name(const struct folder *folder, const struct msg *msg);
void folder_count_msg(struct folder *folder, const struct msg *msg, int sign);
/* Its row for the index's queue, and the folder's. */
void folder_put_msg(struct folder *folder, const struct msg *msg);
void folder_put_row(struct folder *folder);
/* Views may sync. */
void folder_notify(struct folder *folder);
/* Before and after own changes in new and cur, so that they are not taken for those of others. */
void folder_change_begin(struct folder *folder, struct seen before[2]);
void folder_change_end(struct folder *folder, const struct seen before[2]);

/* ---- reading the directories (scan.c) ---- */

int scan_stat(const struct folder *folder, struct seen out[2]);
enum pn_store_status scan_folder(struct folder *folder);

/* ---- strangers' files (strangers.c, later.c) ---- */

/* The name that a message of another's is to have. */
bool stranger_name(struct folder *folder, const struct msg *msg, const char *was,
                   uint64_t file_size, struct pn_buf *out);
/* Some of the folder's messages are foreign, or their sizes guessed: the keeper sees to it. The
 * lock is held. */
void later_begin(struct folder *folder);
/* For about so long. When it is to go on, in ms; 0: nothing is left. Takes the locks. */
unsigned later_work(struct pn_user *user, unsigned ms);

/* ---- what others do while nobody asks (watch.c) ---- */

/* A view is there whose owner wants to be told; it is not. */
void watch_begin(struct pn_user *user);
void watch_end(struct pn_user *user);
bool watch_is_wanted(const struct pn_user *user);
/* By the keeper: looks at the folders that views have. */
void watch_look(struct pn_user *user);
/* The size that was counted; the lock is held. */
void folder_set_size(struct folder *folder, struct msg *msg, uint32_t size);
/* Counts those of uids that are guessed; forms: and those whose form is not known. Takes the lock.
 */
void folder_sizes(struct folder *folder, const struct pn_uidset *uids, bool forms);

/* ---- forms (shown.c) ---- */

/* That of a message, as far as it is known. Takes folder->lock. */
struct form folder_form(struct folder *folder, uint32_t uid);
/* It is known now, if it was not; folder->lock is held. */
void folder_set_form(struct folder *folder, struct msg *msg, struct form form);

/* ---- durable renames (group.c); folder->lock is held, and let go meanwhile ---- */

/* A rename in that directory was made, by fd: who calls must wait, and ask lives until then, as
 * does fd. */
void group_ask(struct folder *folder, int dir, int fd, struct sync_ask *ask);
/* Until a sync that began after it is done: 0 or errno. One sync for all that wait. */
int group_wait(struct folder *folder, int dir, struct sync_ask *ask);
/* In order of UIDs. */
void coming_add(struct folder *folder, struct coming *coming);
bool coming_has(const struct folder *folder, uint32_t uid);
/* Those at the front that are done are messages of the folder now. */
void coming_publish(struct folder *folder);

/* ---- what comes in (arrive.c) ---- */

struct arrival {
    char *tmp; /* name in tmp, which is its base from now on; owned */
    uint64_t file_size;
    uint32_t size;
    uint8_t system;
    uint32_t keywords;
    int64_t date;
    struct form form;
    struct pn_buf cached[3]; /* empty: made when it is asked for */
};

/* Renames n files of tmp, synced, into new or cur under UIDs one after the other, and makes the
 * directory durable. All or none: who was answered an error comes again, and finds nothing of the
 * first time. Takes folder->lock. */
enum pn_store_status arrive(struct folder *folder, struct arrival *v, size_t n, int dir,
                            uint32_t *first, struct pn_buf *why);
void arrival_fini(struct arrival *arrival);
/* Removes these, as pn_view_remove does. Takes folder->lock. */
enum pn_store_status folder_remove(struct folder *folder, const struct pn_uidset *uids);
/* The bit of a keyword in a folder, made if need be; folder->lock is held. */
enum pn_store_status folder_keyword(struct folder *folder, struct pn_str name, uint32_t *bit);

/* ---- contents (mail.c) ---- */

/* Size with CRLF of bytes with LF, or mixed, ends. */
uint64_t mail_size(struct pn_str bytes);
/* A file's; UINT64_MAX: it can't be read. form: UNKNOWN where that costs more than the size. */
uint64_t mail_size_of(int dir, const char *name, struct form *form);
/* Envelope, structure and header of a message, as the index keeps them; and its form. */
void mail_describe(struct pn_str bytes, struct pn_buf parts[3], struct form *form);
struct form mail_form(struct pn_str bytes);
/* What is larger is not read into memory, but mapped. */
enum { MAIL_READ_MAX = 256 * 1024 };
/* The message's file, opened; it is looked for again where it was renamed. -1 with errno, ENOENT:
 * it is gone. Takes folder->lock. */
int mail_open(struct folder *folder, uint32_t uid);

/* What is known of a file before it is read, and may have changed. */
struct mail_known {
    uint32_t size;      /* with CRLF: no file with LF ends is longer */
    uint64_t file_size; /* by its name; 0: not said */
};
void mail_know(const struct folder *folder, const struct msg *msg, struct mail_known *known);
/* Whether bytes are all that the file had when it came. What is made of others, of a file that was
 * cut, is not to be kept: it may be mended. */
bool mail_is_whole(struct pn_str bytes, const struct mail_known *known);
/* All of it, mapped or read; closes fd. known: NULL, or what saves a question for its size. 0 or
 * errno, EFBIG where it is larger than any message; for pn_content_done. */
int mail_read(int fd, const struct mail_known *known, struct pn_content *out);

/* One who reads message after message: the directories that are open for that. */
struct reading {
    int fd[2]; /* new, cur; -1: not open */
    bool begun;
};
#define READING_NONE ((struct reading){.fd = {-1, -1}})
void reading_rest(struct reading *reading);

/* ---- views (view.c; what they show: shown.c) ---- */

struct pn_view {
    struct pn_view *next; /* of the folder; folder->lock */
    struct folder *folder;
    bool read_only, told; /* told: `changed` was called, no sync since */
    bool plain;           /* internationalized messages are shown downgraded */
    void (*changed)(void *ctx);
    void *ctx;
    struct uids *uids; /* by number; NULL: none */
    size_t count;
    uint64_t modseq;  /* what happened up to here was told, */
    uint64_t whole;   /* expunges, too; below it where some are held back */
    uint64_t *silent; /* modseqs of own changes that are not told; owned */
    size_t silent_count, silent_cap;
    struct pn_uidset loud; /* of them, those that had changed before and were not told */
    struct reading reading;
};

#endif

/*
 * Inside the IMAP engine: one session, its command at hand, and what commands share. A command is
 * a row of imap_commands.c and a function; a big one has a file of its own (cmd_fetch.c ...).
 *
 * A command runs in slices. Its function is called with everything parsed away in front of its
 * arguments; it returns IMAP_AGAIN once command->out is beyond PN_ENGINE_OUT, and is called again
 * when that is sent, with `work` as it left it. Text, pool and arguments live until it is done.
 * It never writes the tagged line: imap_ok, imap_no and imap_bad set what the engine says at the
 * end, behind the untagged updates that may be told then.
 */
#ifndef PN_IMAP_INT_H
#define PN_IMAP_INT_H

#include "engine.h"
#include "folders.h"
#include "imap_lex.h"
#include "imap_token.h"
#include "json.h"
#include "uidset.h"
#include "view.h"

#include <stdatomic.h>

enum {
    IMAP_TEXT_MAX = 64 * 1024,  /* bytes of a command, kept literals included */
    IMAP_POOL_MAX = 512 * 1024, /* bytes of what a command keeps */
    IMAP_TAG_MAX = 100
};

enum imap_state { /* bits, for rows */
                  IMAP_AUTH = 1,
                  IMAP_SELECTED = 2,
                  IMAP_ANY = 3
};

struct imap_command;

struct imap {
    struct pn_engine engine; /* first */
    const struct pn_engine_host *host;
    void *ctx;
    struct pn_user *user; /* owned */
    struct pn_imap_lex lex;
    struct pn_view *view;         /* owned; NULL: nothing is selected */
    struct imap_command *command; /* owned; the one under way */
    struct fetch_kept *kept;      /* owned; of cmd_fetch.c, from one FETCH to the next */
    /* SEARCHRES: UIDs of the last SEARCH RETURN (SAVE); empty where nothing is selected. */
    struct pn_uidset saved;
    /* Changed flags there was no room to tell of: UIDs. */
    struct pn_uidset untold;
    /* Message numbers whose EXPUNGE there was no room for: told before anything else is done. */
    struct imap_late {
        uint32_t *numbers; /* owned */
        size_t count, cap, told;
        uint32_t exists; /* then so many are there; 0: that is not to be told */
    } late;
    unsigned keywords_told;              /* so many of the folder's are in the last FLAGS */
    unsigned errors;                     /* BAD commands in a row */
    bool greeted, over, running;         /* running: the command wants a further slice */
    bool finishing;                      /* only its tagged line is due, behind what is late */
    bool cut;                            /* which goes on within what was said */
    bool rev2, utf8, condstore, qresync; /* ENABLEd, or by a command that implies it */
    bool deflate;                        /* is on */
    atomic_bool idling;                  /* the store may wake the host */
    char tag[IMAP_TAG_MAX + 1];          /* the login's, then that of the command at hand */
};

enum imap_result {
    IMAP_DONE,  /* the reply is set; OK NAME completed where none was */
    IMAP_AGAIN, /* call again when out is sent */
    IMAP_WAIT,  /* IDLE: until DONE */
    IMAP_SYNTAX /* the arguments are none of this command: BAD */
};

struct imap_command {
    const struct imap_row *row;
    struct pn_imap_args args; /* behind the name and a space; args.pool is the command's */
    struct pn_str spelled;    /* the name of imap_mailbox(), as the client has it */
    bool uid;                 /* it came with UID in front */
    bool quiet;               /* no updates in front of the tagged line (LOGOUT, SELECT) */
    struct pn_buf *out;       /* of the run at hand */
    struct pn_buf reply;      /* "OK ...", "NO ...", "BAD ..." */
    void *work;               /* the command's own between slices */
    void (*work_free)(void *work);
};

typedef enum imap_result imap_run(struct imap *imap, struct imap_command *command);

enum imap_shape {
    IMAP_NO_ARGS,
    IMAP_ARGS,      /* a space is there and taken away */
    IMAP_MAYBE_ARGS /* none, or as above */
};

enum imap_row_flag {
    IMAP_UID = 1,       /* exists with UID in front, too */
    IMAP_BY_NUMBER = 2, /* without UID no EXPUNGE may be told before its end (RFC 9051, 7.5.1) */
    IMAP_STREAM = 4     /* takes literals itself: APPEND */
};

/* A row is the dispatch. */
struct imap_row {
    const char *name;
    unsigned states; /* enum imap_state */
    enum imap_shape shape;
    unsigned flags;
    imap_run *run;
};

const struct imap_row *imap_row_find(struct pn_str name);

/* ---- replies; each returns IMAP_DONE ---- */

enum imap_result imap_reply(struct imap_command *command, const char *word, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The command, then "[CODE] text" as printf has it: without OK, NO, BAD. */
#define imap_ok(command, ...)  imap_reply(command, "OK ", __VA_ARGS__)
#define imap_no(command, ...)  imap_reply(command, "NO ", __VA_ARGS__)
#define imap_bad(command, ...) imap_reply(command, "BAD ", __VA_ARGS__)
/* BAD, and near what: the command's arguments are as far as they were read. */
enum imap_result imap_syntax(struct imap_command *command);
/* The NO (or OK) that a status of the store is, with its response code (RFC 5530, 9208). Where a
 * folder is not there: [TRYCREATE] if `into`, as COPY and APPEND want it, else [NONEXISTENT]. */
enum imap_result imap_said(struct imap_command *command, enum pn_store_status status, bool into);

/* ---- arguments ---- */

/* A mailbox name as UTF-8: modified UTF-7 unless UTF-8 is on. "INBOX" in any case is "INBOX", also
 * as a first level; command->spelled has that as it was said. False: malformed. What no folder can
 * be called, is the store's to say. */
bool imap_mailbox(struct imap *imap, struct imap_command *command, struct pn_str *name);
/* A name or pattern that is already read, likewise. */
bool imap_mailbox_decode(struct imap *imap, struct imap_command *command, struct pn_str raw,
                         struct pn_str *name);
/* Appends a name as this client reads it: astring, modified UTF-7 unless UTF-8 is on. */
void imap_put_mailbox(const struct imap *imap, struct pn_buf *out, struct pn_str name);
/* Appends to command->out an untagged LIST with this name, and what the client called it where that
 * is another (RFC 9051, 6.3.9.7). */
void imap_put_list(const struct imap *imap, const struct imap_command *command, struct pn_str name);
/* The client reads UTF-8, in names as in messages (RFC 9755, and RFC 9051, which has all of it). */
bool imap_speaks_utf8(const struct imap *imap);
/* Quoted or literal, UTF-8 quoted where it may be. */
void imap_put_string(const struct imap *imap, struct pn_buf *out, struct pn_str s);

enum { IMAP_FLAG_WORDS_MAX = 2 * PN_KEYWORDS_MAX };
struct imap_flag_words {
    uint32_t system;
    struct pn_str keywords[IMAP_FLAG_WORDS_MAX]; /* pooled; each once */
    size_t count;
};
/* "(\\Seen $Junk)"; and, as STORE has it, the same without parentheses. */
bool imap_flag_list(struct imap_command *command, struct imap_flag_words *out);
bool imap_flag_list_or_words(struct imap_command *command, struct imap_flag_words *out);
/* As bits of the selected mailbox; unknown keywords are made there, or passed over. */
enum pn_store_status imap_flag_bits(struct imap *imap, const struct imap_flag_words *words,
                                    bool make, struct pn_flags *out);

/* What a sequence-set names, as UIDs of messages in the view: numbers, or UIDs if `uid`; `$` is
 * what SEARCH saved. Numbers beyond the last message are an error (RFC 9051, section 9), UIDs of
 * nobody are not. *out is initialised here. False: malformed; _fini it all the same. */
bool imap_set(struct imap *imap, struct pn_str text, bool uid, struct pn_uidset *out);

/* ---- updates ---- */

/* "* n EXPUNGE" or "* VANISHED", EXISTS, FETCH (FLAGS ...). Called by the engine in front of each
 * tagged line, and while idling. False: the folder is gone; it is closed with a BYE. */
bool imap_updates(struct imap *imap, struct pn_buf *out, bool may_expunge, bool with_uid);
/* Where an EXPUNGE waits that is older than a MODSEQ which was told: how far the client may go by
 * that (RFC 7162, section 3.2), lest it never hears of the EXPUNGE when the line is lost. */
void imap_put_held_back(struct imap *imap, struct pn_buf *out);
/* EXPUNGEs that are late. False: out is full, and there are more. */
bool imap_tell_late(struct imap *imap, struct pn_buf *out);
/* "(\\Seen $Junk)". */
void imap_put_flags(struct imap *imap, struct pn_buf *out, struct pn_flags flags);
/* The bit of "\\Seen"..., 0 for another word. */
uint32_t imap_system_flag(struct pn_str word);
/* "* FLAGS (...)" and, if permanent, PERMANENTFLAGS. */
void imap_put_known_flags(struct imap *imap, struct pn_buf *out);
/* A command that shows CONDSTORE to be understood was heard (RFC 7162, section 3.1). */
void imap_condstore_on(struct imap *imap, struct pn_buf *out);
/* "* VANISHED (EARLIER) ...", unless it is empty. */
void imap_put_vanished(struct pn_buf *out, const struct pn_uidset *uids);
enum { IMAP_TELL_UID = 1, IMAP_TELL_FLAGS = 2, IMAP_TELL_MODSEQ = 4 };
/* Of a message whose flags changed. Who knows CONDSTORE hears MODSEQ with it (RFC 7162, 3.1), and
 * who knows QRESYNC the UID, too (3.2.10); so does who knows IMAP4rev2 (RFC 9051, 7.5.2). */
unsigned imap_told_of_flags(const struct imap *imap, bool with_uid);
/* FETCH with what is wanted of each of them that is in the view, from *next on (a UID; 0 to begin).
 * False: out is full, *next says where to go on. */
bool imap_put_changed(struct imap *imap, struct pn_buf *out, const struct pn_uidset *uids,
                      unsigned what, uint32_t *next);
/* Closes what is selected; expunges nothing. */
void imap_unselect(struct imap *imap);
/* Messages came into that folder. */
void imap_grew(const struct imap *imap, struct pn_str folder);
/* Closes the message that FETCH left open; before any other command. */
void fetch_forget(struct imap *imap);
/* Between two slices: it is a FETCH, and within a message's answer. */
bool fetch_within(const struct imap_command *command);

void imap_put_number(struct pn_buf *out, uint64_t n);
/* out is beyond what one run may bring. */
bool imap_full(const struct imap_command *command);
/* "01-Feb-1994 21:52:25 +0000" with its quotes. */
void imap_put_date(struct pn_buf *out, int64_t unix_s);
bool imap_date_time(struct pn_imap_args *args, int64_t *unix_s);

/* ---- imap_junk.c ---- */

struct imap_junk {
    bool from, to;     /* are they the folder for junk? */
    struct pn_buf ids; /* a JSON array */
    struct pn_json json;
};

/* Before messages of the view go to another folder: which they are. */
void imap_junk_look(struct imap_junk *junk, struct imap *imap, struct pn_pool *pool,
                    struct pn_str to, const struct pn_uidset *uids);
/* So many went. Once, unless it is none. */
void imap_junk_tell(const struct imap_junk *junk, struct imap *imap, struct pn_str to,
                    uint64_t messages);
void imap_junk_fini(struct imap_junk *junk);
/* These came into the folder for junk by APPEND. */
void imap_junk_appended(struct imap *imap, struct pn_str to, const struct pn_uidset *uids);

/* ---- commands ---- */

imap_run imap_append, imap_capability, imap_check, imap_close, imap_compress, imap_copy,
    imap_create, imap_delete, imap_enable, imap_examine, imap_expunge, imap_fetch, imap_getquota,
    imap_getquotaroot, imap_id, imap_idle, imap_list, imap_login, imap_logout, imap_lsub, imap_move,
    imap_namespace, imap_noop, imap_rename, imap_search, imap_select, imap_setquota, imap_sort,
    imap_status, imap_store, imap_subscribe, imap_thread, imap_unselect_command, imap_unsubscribe;
/* A literal of APPEND is announced: streams or refuses it. False: it is a name's, to be kept. */
bool imap_append_literal(struct imap *imap, struct imap_command *command);
/* IMAP_STREAM: bytes of one. */
void imap_append_bytes(struct imap *imap, struct imap_command *command, struct pn_str bytes);

#endif

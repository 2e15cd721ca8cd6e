/*
 * Replay scripts (*.rpl): a whole session with a server, as text that reads as
 * documentation. rpl.c reads them, rpl_play.c plays them on a server of their own,
 * rpl_case.c takes out of them what a plugin would see. The lines:
 *
 *   # words                 a comment
 *   conf TEXT               configuration (a line or a part of one, in order)
 *   dns  TEXT               a line of the DNS file
 *   file NAME TEXT          a line of a file in the server's root ("{root}/NAME" in conf)
 *   time UNIX | +SECONDS    the wall clock stands there, or moves on; first before any session
 *   client ADDRESS          a new session of that client (PROXY)
 *   < LINE                  sent, with CRLF; \r \n \t \0 \\ and \xNN stand for bytes
 *   <| BYTES                sent as it stands, nothing added
 *   > PREFIX                the next reply line begins so
 *   >| PREFIX               as >, and lines before it are passed over
 *   drop                    the client is gone, without a word
 *   closed                  the server closes the connection
 *   event KEY=VALUE ...     the next message event: outcome score reply symbol because auth
 *                           dns plugin, or a.b for a member; "!symbol=X" where it must not be;
 *                           symbol=X:TEXT that symbol with that detail
 *   refused TEXT            the next "refused" event's detail holds the text
 *   mail N                  so many messages are in the mailboxes by now
 *   mail has TEXT           the newest of them holds the text; "lacks" the other way round
 *   mail at PATH has TEXT   the newest below that path of the mail folder
 *
 * Errors are sentences "file:line: what, what was expected". A script owns its bytes; what
 * it hands out is borrowed from it.
 */
#ifndef PN_RPL_H
#define PN_RPL_H

#include "buf.h"
#include "net.h"
#include "pool.h"

enum rpl_word {
    RPL_CONF,
    RPL_DNS,
    RPL_FILE,
    RPL_TIME,
    RPL_CLIENT,
    RPL_SEND,
    RPL_SEND_RAW,
    RPL_EXPECT,
    RPL_EXPECT_PAST,
    RPL_DROP,
    RPL_CLOSED,
    RPL_EVENT,
    RPL_REFUSED,
    RPL_MAIL,
    RPL_WORDS
};

enum { RPL_BYTES_MAX = 64 * 1024 * 1024, RPL_LINES_MAX = 1000 * 1000 };

struct rpl_line {
    unsigned number; /* in the file, from 1 */
    enum rpl_word word;
    struct pn_str rest; /* behind the word and a blank */
    unsigned column;    /* where that begins, from 0 */
};

struct rpl {
    const char *path;
    struct pn_pool *pool;
    struct rpl_line *lines; /* without comments and empty ones */
    size_t count;
};

/* Owned. NULL with a sentence in err. path is borrowed. */
struct rpl *rpl_read(const char *path, struct pn_buf *err);
/* The same of bytes. */
struct rpl *rpl_parse(const char *path, struct pn_str text, struct pn_buf *err);
void rpl_free(struct rpl **script);
/* Appends all lines of one word (conf, dns), each with its end. */
void rpl_collect(const struct rpl *script, enum rpl_word word, struct pn_buf *out);
/* Text that names places of a file made of the lines of one word, behind `own` lines of another's:
 * "PATH:7:3" becomes the script's own line and column. */
struct rpl_made {
    const char *path;
    enum rpl_word word;
    unsigned own;
};
void rpl_places(const struct rpl *script, const struct rpl_made *made, struct pn_str text,
                struct pn_buf *out);
/* Appends s with its escapes undone. */
void rpl_unescape(struct pn_str s, struct pn_buf *out);
/* Splits "NAME TEXT" at the first blank; text may be empty. */
struct pn_str rpl_first(struct pn_str *rest);
/* The clock behind a `time` line that was at now_ms before. False: not a time. */
bool rpl_time(struct pn_str rest, int64_t now_ms, int64_t *out);

/* ---- what plugins would see of a script */

enum { RPL_CASE_RCPTS_MAX = 1000 };

/* One session up to one message: of a session with several, each is a case. */
struct rpl_case {
    unsigned line; /* of its MAIL FROM, or of what ends a session without one */
    int64_t now_ms;
    struct pn_ip ip;
    struct pn_str helo;
    bool has_mail, has_content;
    struct pn_str from;
    size_t rcpt_count;
    const struct pn_str *rcpts;
    struct pn_str content; /* CRLF ends, dots undone */
};

/* In the script's pool. now_ms: the clock where no line sets it. */
size_t rpl_cases(const struct rpl *script, int64_t now_ms, struct rpl_case **out);

/* ---- playing (rpl_play.c) */

struct rpl_options {
    const char *name; /* the plugin that `file` is; NULL: none, the script's own conf is all */
    const char *file;
};

/* Plays it on a server of its own, below a temporary folder, and compares every answer.
 * False with a sentence, and the end of the server's log, in err. */
bool rpl_play(const struct rpl *script, const struct rpl_options *options, struct pn_buf *err);

#endif

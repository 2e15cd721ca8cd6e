/*
 * What `postern scan` is asked to judge: one case a message, from options, from a batch
 * of JSON lines, from files, folders (walked, in order of names) and mbox files.
 *
 * Values are taken as they are (an address may be "@example.net", hold spaces or be
 * empty). Content: LF becomes CRLF, CRLF stays, an mbox "From " line in front goes. A
 * file that begins with such a line is an mbox and may hold many messages.
 * Files are read as streams: an mbox may be of any size, a message of it has a limit.
 * In folders only regular files count, and those whose names begin with no dot.
 *
 * Everything of a case is borrowed for the callback.
 */
#ifndef PN_SCAN_INPUT_H
#define PN_SCAN_INPUT_H

#include "facts.h"
#include "net.h"
#include "runner.h"

enum { PN_SCAN_RCPTS_MAX = 1000, PN_SCAN_MESSAGE_MAX = 256 * 1024 * 1024 };

/* What a plugin's tick had left, from that step on. */
struct pn_scan_standing {
    struct pn_str plugin, value;
    uint32_t step;
};

enum { PN_SCAN_STANDINGS_MAX = 64 };

/* A command that the server did not know: plugins are told from that step on. */
struct pn_scan_unknown {
    struct pn_str line;
    uint32_t step;
    char room[POSTERN_UNKNOWN_BYTES]; /* of a line that came in base64 */
};

struct pn_scan_case {
    struct pn_str file; /* where it comes from; "mbox:3" for the third of an mbox */
    struct pn_ip ip;
    uint16_t port;
    struct pn_str helo, from;
    struct pn_str mail_args; /* as an event's; empty: none */
    struct pn_check_tls tls_info;
    struct pn_ip local;
    uint16_t local_port; /* 0: local is not known */
    const struct pn_str *rcpts;
    size_t rcpt_count;
    struct pn_str auth_id;
    struct pn_str held; /* why all of that user's is held; empty: it is not */
    bool tls;
    uint32_t early;                         /* POSTERN_EARLY_*: what the client did not wait for */
    int64_t time_ms;                        /* -1: now */
    struct pn_str id, session_id, hostname; /* what plugins are told; empty: as ever */
    int64_t session_time_ms;                /* before MAIL; -1: as time_ms */
    uint64_t seed[2];                       /* before MAIL, from then on */
    bool has_seed;                          /* else by the case's number */
    struct pn_str dns;                      /* path of a DNS FILE; empty: the one of the options */
    struct pn_str zone;                     /* the text of one, in a batch line; .p is NULL: none */
    struct pn_str auth;                     /* as in --auth; empty: none */
    struct pn_scan_standing standings[PN_SCAN_STANDINGS_MAX];
    size_t standing_count;
    struct pn_scan_unknown unknown[POSTERN_UNKNOWN_MAX];
    size_t unknown_count;
    struct pn_str state;               /* as in --state; .p is NULL: none */
    const struct pn_str *refusals;     /* beside rcpts: what RCPT got; .p is NULL: it was taken */
    bool each_replies;                 /* as in LMTP */
    bool before_content;               /* all were refused then: there is no content */
    const struct pn_scan_event *event; /* NULL: none */
    struct pn_str content;
};

/* One case from the options, whose content is filled in from each path. */
struct pn_scan_source {
    struct pn_scan_case base;
    const char *const *paths; /* files, folders, mboxes; "-" is standard input */
    size_t path_count;
    const char *batch; /* a file of JSON lines, or "-"; then paths are none */
};

/* Counts what will come, for a progress bar: files, and messages of mboxes; 0 where that
 * can't be known (standard input, a pipe, a batch). */
size_t pn_scan_count(const struct pn_scan_source *source);

/* Calls fn for each case until it returns false. False with a sentence in err (file:line:
 * what, what was expected): the rest is not done, but for files that can't be read, which
 * are named, a line each, and passed over. */
bool pn_scan_each(const struct pn_scan_source *source,
                  bool (*fn)(void *ctx, const struct pn_scan_case *c), void *ctx,
                  struct pn_buf *err);

/* Into facts: what an event's line (of the server, or of scan), a reproducer, or the list of
 * its "state" says was read and taken. what: the text's name in err. */
bool pn_scan_state(struct pn_str text, const char *what, struct pn_facts *facts,
                   struct pn_buf *err);
enum { PN_SCAN_STATE_KEY_MAX = 320, PN_SCAN_STATE_MAX = 1024 };

/* "spf=pass smtp.mailfrom=D; dkim=pass header.d=D header.s=S" into facts, as if plugins of
 * these names had found it, each with a run of status "given". */
bool pn_scan_auth(struct pn_str text, struct pn_facts *facts, struct pn_buf *err);

#endif

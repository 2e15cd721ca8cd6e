/*
 * The SMTP and LMTP server engine (RFC 5321, RFC 2033): bytes in, replies and calls
 * out; no sockets, no clock, no allocation but itself and the replies at hand.
 *
 * It owns the protocol: the grammar, the order of commands, pipelining (RFC 2920),
 * the limits, the words of EHLO, the end of DATA, chunks, the lines of AUTH. Its owner decides and
 * keeps the mail: at each stage (connect, helo, auth, mail, rcpt, data, content, starttls) the
 * engine calls the owner, who answers exactly once, at once or later. Until then no
 * further input is consumed. A command is a row of one table (server_commands.c):
 * check -> stage -> proceed.
 *
 * States of a session:
 *
 *   new --start--> connect asked --2yz--> greeted --helo--> ready --mail--> in a
 *   transaction --data--> content --answer--> ready ... ; --5yz at connect--> refusing
 *   (503 to all but QUIT); closed after QUIT, any 421, pn_smtp_server_drop.
 *
 * Replies gather while pipelined commands wait in the input and are written in one
 * piece where the client would have to wait, or when there are many.
 *
 * The engine is owned by its maker. It may be freed from outside its callbacks, and
 * inside `close`, which is the last thing it does. Views given to callbacks are
 * borrowed for the call. Sizes are octets.
 */
#ifndef PN_SMTP_SERVER_H
#define PN_SMTP_SERVER_H

#include "content_scan.h"
#include "dsn_param.h"
#include "grammar.h"
#include "reply.h"

struct pn_smtp_server;

enum {
    PN_SMTP_RESERVE_MAX = 512 * 1024,
    PN_SMTP_AUTH_LINE_MAX =
        12288 + 2 /* RFC 4954, section 4 and 4.3: AUTH and responses, CR LF included */
};

struct pn_smtp_helo {
    struct pn_str name;
    enum pn_smtp_helo_kind kind; /* never NONE */
    bool esmtp;                  /* EHLO or LHLO */
};

struct pn_smtp_auth {
    struct pn_str mechanism; /* as the settings have it */
    bool has_initial;
    struct pn_str initial; /* decoded; wiped behind the call */
};

struct pn_smtp_mail {
    struct pn_smtp_mailbox from; /* empty address: <> */
    uint64_t size;               /* declared, 0: not */
    bool body_8bit;
    bool smtputf8;
    struct pn_smtp_dsn_mail dsn;
    bool auth;          /* AUTH= is there: read and not believed (RFC 4954, section 5) */
    struct pn_str args; /* the parameters that say so, as written */
};

struct pn_smtp_rcpt {
    struct pn_smtp_mailbox to; /* no domain: <postmaster> */
    struct pn_smtp_dsn_rcpt dsn;
};

struct pn_smtp_server_ops {
    /* For the peer; copy it. False: the peer has enough to read, so no further command
     * is consumed now. */
    bool (*write)(void *ctx, struct pn_str bytes);
    /* The engine takes input again: show what it left. Not called from inside
     * pn_smtp_server_input. */
    void (*resume)(void *ctx);
    /* All is written; close once it is sent. */
    void (*close)(void *ctx);

    /* The stages. Each is answered once: pn_smtp_server_accept, _answer or _drop. */
    void (*connect)(void *ctx);
    void (*helo)(void *ctx, const struct pn_smtp_helo *helo);
    void (*mail)(void *ctx, const struct pn_smtp_mail *mail);
    void (*rcpt)(void *ctx, const struct pn_smtp_rcpt *rcpt);
    void (*data)(void *ctx); /* content comes next; accept to get it */
    /* It is all there; in LMTP answered once a taken recipient, in the order of RCPT: one by
     * one, or those left together. A 421 among them closes behind the last. */
    void (*content)(void *ctx);
    void (*starttls)(void *ctx);
    /* AUTH, and what the client says to a challenge (decoded; wiped behind the call). Answered
     * as the others are (accept: 235), or by pn_smtp_server_challenge. All three may be NULL
     * where nothing is offered. */
    void (*auth)(void *ctx, const struct pn_smtp_auth *auth);
    void (*auth_response)(void *ctx, struct pn_str response);
    /* The client gave the exchange up, or its response was none. */
    void (*auth_cancel)(void *ctx);
    /* After an accepted starttls: 220 is written. Make TLS, then pn_smtp_server_tls. */
    void (*tls)(void *ctx);

    /* Where content goes: room for n bytes (at most PN_SMTP_RESERVE_MAX, and so by as
     * much beyond size_max), then how many of them were filled. NULL: no room; the
     * message is refused with 452. */
    char *(*reserve)(void *ctx, size_t n);
    void (*commit)(void *ctx, size_t n);

    /* The transaction that an accepted `mail` began is over: its content was answered,
     * or it was given up. Not called by pn_smtp_server_free. */
    void (*done)(void *ctx);
    /* A line whose command is none that this server knows; it is refused. Without its end, no
     * control bytes. Not what follows a refused AUTH: it may be a password. May be NULL. */
    void (*unknown)(void *ctx, struct pn_str line);
    /* The engine itself refuses something. For the record; command is the row's name.
     * May be NULL. */
    void (*refused)(void *ctx, struct pn_str command, const struct pn_smtp_reply *reply);
};

/* Borrowed by its engines; what changes while they live holds from the next command. */
struct pn_smtp_server_config {
    struct pn_str name;   /* ours, in greeting and EHLO */
    struct pn_str banner; /* words after it in the greeting; may be empty */
    uint64_t size_max;    /* a message */
    uint32_t rcpt_max;    /* recipients a transaction */
    uint32_t mail_max;    /* transactions a session */
    uint32_t error_max;   /* 5yz replies since the last message taken; LMTP's about content,
                           * of which there may be many to one message, are not counted */
    uint32_t unknown_max; /* unknown commands */
    uint32_t line_max;    /* a command line, CR LF included; 0: PN_SMTP_LINE_MAX */
    uint32_t idle_max;    /* commands since the last message taken that move nothing */
    uint32_t auth_max;    /* failed logins, then AUTH gets 421 */
    struct pn_str auth;   /* mechanisms offered over TLS, parted by spaces; empty: no AUTH */
    bool auth_needed;     /* for MAIL: submission */
    bool lmtp;
    bool starttls;  /* offer it */
    bool dsn;       /* offer it (RFC 3461); else its parameters are refused as unknown ones */
    bool normalize; /* this client may end lines with LF */
};

/* What the engine knows; borrowed, kept current. */
struct pn_smtp_server_info {
    bool greeted;
    bool helo;  /* said */
    bool esmtp; /* and it was EHLO or LHLO */
    bool tls;
    bool auth;       /* logged in: 235 is said */
    bool mail;       /* in a transaction */
    bool content;    /* DATA or a chunk is being read */
    bool waiting;    /* for the owner's answer: no input is consumed */
    bool early_helo; /* input stood behind EHLO, LHLO or HELO: its answer was not awaited */
    bool early;      /* or behind another command that must end a group (RFC 2920, 3.1): any,
                      * after HELO */
    uint32_t mails;  /* taken in this session, this one included */
    uint32_t rcpts;  /* taken in this transaction */
    uint32_t rcpts_refused;
    uint32_t errors;
    uint64_t size;      /* content so far, as stored */
    uint64_t octets;    /* of it as they came, kept or not */
    bool content_begun; /* the transaction's, or that of a chunk out of place */
    uint32_t lines;     /* of commands, good or bad */
    bool eight;         /* bytes beyond ASCII are in it */
};

struct pn_smtp_server *pn_smtp_server_new(const struct pn_smtp_server_config *config,
                                          const struct pn_smtp_server_ops *ops, void *ctx);
void pn_smtp_server_free(struct pn_smtp_server **server);
/* Asks `connect`. With implicit TLS call pn_smtp_server_tls first. */
void pn_smtp_server_start(struct pn_smtp_server *server);
/* Returns how many bytes were consumed; the rest is to be shown again, with more
 * behind it, but not before `resume` while info->waiting. At most line_max bytes (in AUTH
 * PN_SMTP_AUTH_LINE_MAX) are ever left when not waiting, unless `write` said that the peer has
 * enough. */
size_t pn_smtp_server_input(struct pn_smtp_server *server, struct pn_str bytes);

/* Answers. accept: with the stage's own words. A 421 closes. At `data` an accepting
 * answer must be accept. */
void pn_smtp_server_accept(struct pn_smtp_server *server);
void pn_smtp_server_answer(struct pn_smtp_server *server, const struct pn_smtp_reply *reply);
/* At `content`: the same for all recipients that are not answered yet, which in SMTP is one
 * reply. */
void pn_smtp_server_answer_rest(struct pn_smtp_server *server, const struct pn_smtp_reply *reply);
/* An answer of auth and auth_response: what the client says to these bytes is the next
 * response. What SCRAM's server says last (v=) is one too, to which the client says nothing.
 * At most 9216 bytes. */
void pn_smtp_server_challenge(struct pn_smtp_server *server, struct pn_str bytes);
/* A last reply, as an answer or at any other time (a timeout, a stop), then close. */
void pn_smtp_server_drop(struct pn_smtp_server *server, const struct pn_smtp_reply *reply);

/* The connection has TLS now: the session begins anew, with EHLO (RFC 3207, 4.2). */
void pn_smtp_server_tls(struct pn_smtp_server *server);
/* Other settings, from the next command on: between transactions, or at `mail`. */
void pn_smtp_server_configure(struct pn_smtp_server *server,
                              const struct pn_smtp_server_config *config);
const struct pn_smtp_server_info *pn_smtp_server_info(const struct pn_smtp_server *server);
/* The i-th word that EHLO can announce, NULL at the end: for the test that each is
 * tested. */
const char *pn_smtp_server_word(size_t i);

#endif

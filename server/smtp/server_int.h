/* The engine's inside, shared by server.c (the loop), server_commands.c (the table),
 * server_content.c (DATA and BDAT) and server_auth.c (AUTH). Nobody else includes it. */
#ifndef PN_SMTP_SERVER_INT_H
#define PN_SMTP_SERVER_INT_H

#include "server.h"

/* What a command line said; views into the line. */
struct smtp_args {
    struct pn_str line; /* behind the command's name, trimmed */
    bool more;          /* input stands behind the line */
    struct pn_smtp_helo helo;
    struct pn_smtp_auth auth;
    struct pn_smtp_mail mail;
    struct pn_smtp_rcpt rcpt;
};

enum smtp_flag {
    SMTP_NEEDS_HELO = 1,
    SMTP_NEEDS_MAIL = 2,
    SMTP_NO_MAIL = 4, /* not inside a transaction */
    SMTP_NO_ARGS = 8, /* 501 with any */
    SMTP_SYNC = 16,   /* ends a group of pipelined commands */
    SMTP_IDLE = 32,   /* moves nothing: counted */
    SMTP_ONLY_SMTP = 64,
    SMTP_ONLY_LMTP = 128,
    SMTP_CHUNK = 256,   /* octets follow the line, whatever becomes of the command */
    SMTP_FOREIGN = 512, /* another protocol's: answered, then closed */
    SMTP_RECIPIENT = 1024,
    SMTP_HELLO = 2048,
    SMTP_LOGIN = 4096,
    SMTP_NEEDS_AUTH = 8192 /* where the settings say so */
};

enum smtp_line { SMTP_LINE_GOOD, SMTP_LINE_LONG, SMTP_LINE_BARE_LF, SMTP_LINE_CONTROL };

/*
 * A command. The engine looks at the flags, calls check, then stage (the owner), and
 * when the owner accepts, proceed. check returns NULL or the reply that refuses; stage
 * NULL asks nobody. proceed gets the owner's accepting reply, NULL for the default.
 */
struct smtp_command {
    struct pn_str name;
    unsigned flags;
    const struct pn_smtp_reply *(*check)(struct pn_smtp_server *s, struct smtp_args *args);
    void (*stage)(struct pn_smtp_server *s, const struct smtp_args *args);
    void (*proceed)(struct pn_smtp_server *s, const struct pn_smtp_reply *answer);
};

struct pn_smtp_server {
    const struct pn_smtp_server_config *config; /* borrowed */
    const struct pn_smtp_server_ops *ops;
    void *ctx;
    struct pn_smtp_server_info info;
    struct pn_buf out;                  /* replies to be written */
    const struct smtp_command *waiting; /* for the owner's answer */
    uint64_t chunk_left;                /* octets of this BDAT still to come */
    struct pn_smtp_scan scan;
    const struct pn_smtp_reply *trouble; /* why the content is read but not kept; NULL: it is */
    uint64_t wasted;                     /* octets read and not kept */
    uint32_t unknown, idle, logins_failed;
    bool refused_login;   /* AUTH, and no command since: what comes may be what it asks for */
    bool exchange;        /* the next line is a response of AUTH's */
    struct pn_buf secret; /* what AUTH's client said; empty but within a call */
    uint32_t answers;     /* the content stage still waits for */
    bool helo_esmtp;      /* the EHLO at hand, until it is accepted */
    bool smtputf8;        /* MAIL had it */
    bool bdat;            /* the transaction's content comes in chunks */
    bool bdat_failed;     /* one was refused: so is all up to RSET */
    bool chunk;           /* info.content: a chunk is read, not DATA */
    bool chunk_last;      /* this chunk is */
    bool chunk_skip;      /* this chunk was refused: read past it */
    bool running;         /* inside pn_smtp_server_input */
    bool held;            /* commands wait in the input: replies may gather */
    bool full;            /* the peer has enough to read: no command is consumed now */
    bool skipping;        /* a command line that is too long, up to its end */
    bool refusing;        /* the greeting was 5yz */
    bool tls_next;        /* 220 is to be written, then `tls` called */
    bool handshake;       /* that was done: what comes in is not ours */
    bool closing;         /* write what there is, then close */
    bool closed;
};

extern const struct smtp_command smtp_greeting, smtp_content;
/* The row of a command's name, or NULL. */
const struct smtp_command *smtp_command_find(struct pn_str name);

/* Puts a reply out. A refusal by the engine itself goes through smtp_refuse, which
 * counts and records it. A 421 closes. */
void smtp_reply(struct pn_smtp_server *s, const struct pn_smtp_reply *reply);
void smtp_refuse(struct pn_smtp_server *s, struct pn_str command,
                 const struct pn_smtp_reply *reply);
/* The same n times, for as many recipients of LMTP; it is recorded once, and not counted. */
void smtp_refuse_each(struct pn_smtp_server *s, struct pn_str command,
                      const struct pn_smtp_reply *reply, uint32_t n);
/* An answer of the owner: counted, put out. */
void smtp_answered(struct pn_smtp_server *s, const struct pn_smtp_reply *reply);
/* Behind an answer: what it came to is written, and input is taken again. */
void smtp_answer_end(struct pn_smtp_server *s);
/* Ends the transaction, if there is one. */
void smtp_transaction_end(struct pn_smtp_server *s);
/* Calls the row's stage and waits, or proceeds at once. */
void smtp_ask(struct pn_smtp_server *s, const struct smtp_command *row,
              const struct smtp_args *args);

/* AUTH is announced now. */
bool smtp_auth_offered(const struct pn_smtp_server *s);
void smtp_auth_args(const struct pn_smtp_server *s, struct pn_buf *out);
/* The refusal of who is not logged in and must be; NULL: go on. */
const struct pn_smtp_reply *smtp_auth_needed(const struct pn_smtp_server *s);
/* The line without what stands behind AUTH's mechanism: that may be a password. */
struct pn_str smtp_auth_public(struct pn_str line);
/* How long the line may be that bytes begin with, for a max of other commands. */
size_t smtp_auth_line_max(const struct pn_smtp_server *s, struct pn_str bytes, size_t max);
const struct pn_smtp_reply *smtp_auth_check(struct pn_smtp_server *s, struct smtp_args *args);
void smtp_auth_stage(struct pn_smtp_server *s, const struct smtp_args *args);
void smtp_auth_proceed(struct pn_smtp_server *s, const struct pn_smtp_reply *answer);
/* A line of the exchange; without its end. */
void smtp_auth_line(struct pn_smtp_server *s, struct pn_str line, enum smtp_line how);
/* AUTH= of MAIL (RFC 4954, section 5): an address or <> in xtext. */
bool smtp_auth_param(struct pn_str value);

void smtp_data_begin(struct pn_smtp_server *s);
void smtp_chunk_begin(struct pn_smtp_server *s);
/* Consumes content; info.content says whether more is wanted. */
size_t smtp_content_input(struct pn_smtp_server *s, struct pn_str bytes);

#endif

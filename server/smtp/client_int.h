/* The client engine's inside: client.c (the session) and client_mail.c (a mail). Nobody
 * else includes it. */
#ifndef PN_SMTP_CLIENT_INT_H
#define PN_SMTP_CLIENT_INT_H

#include "client.h"

enum smtp_client_state {
    SMTP_C_GREETING,
    SMTP_C_EHLO,
    SMTP_C_HELO,
    SMTP_C_STARTTLS,
    SMTP_C_HANDSHAKE,
    SMTP_C_LOGIN, /* AUTH: the next word is our side's */
    SMTP_C_AUTH,  /* or the server's */
    SMTP_C_READY,
    SMTP_C_COMMANDS, /* of a mail: up to DATA's reply, or to all of RCPT's with BDAT */
    SMTP_C_HELD,     /* a mail's transaction stands open */
    SMTP_C_CONTENT,  /* being sent, or its reply waited for */
    SMTP_C_QUIT,
    SMTP_C_ENDED
};

/* The commands of a mail are steps: RSET, MAIL, a RCPT each, DATA. */
enum { SMTP_STEP_RSET, SMTP_STEP_MAIL, SMTP_STEP_RCPT };

enum smtp_rcpt_state { SMTP_RCPT_OPEN, SMTP_RCPT_TAKEN, SMTP_RCPT_SETTLED };

struct pn_smtp_client {
    struct pn_smtp_client_config config;
    const struct pn_smtp_client_ops *ops;
    void *ctx;
    enum smtp_client_state state;
    struct pn_smtp_offer offer;
    bool tls;
    bool was_ready;
    bool login_begun, login_last, logged_in;
    struct pn_smtp_reply_reader reader;
    uint64_t replies;  /* so many came, whole ones */
    struct pn_buf out; /* commands to be written */

    struct pn_smtp_outgoing mail;
    uint8_t *rcpts;   /* enum smtp_rcpt_state of each; NULL between mails */
    size_t taken;     /* recipients whose RCPT was accepted and that are not settled */
    size_t sent;      /* the step to be sent next */
    size_t answered;  /* the step whose reply comes next */
    size_t next_rcpt; /* LMTP: whose reply comes next */
    bool chunk;       /* BDAT, not DATA */
    bool mail_taken;
    bool need_rset; /* a transaction stands open */
    bool finishing, again;

    /* content: where the next byte to be sent is */
    size_t segment, offset;
    bool line_start; /* it starts a line */
    bool stuffed;    /* its dot was doubled already */
    bool sent_all;
};

/* Writes the commands that gathered. */
void smtp_client_flush(struct pn_smtp_client *c);
/* The session is over: settles what is open with reply (from), then `ended`. */
void smtp_client_end(struct pn_smtp_client *c, enum pn_smtp_end how, enum pn_smtp_from from,
                     const struct pn_smtp_reply *reply);

/* A reply in COMMANDS or CONTENT; false: the session ended. */
bool smtp_client_mail_reply(struct pn_smtp_client *c, const struct pn_smtp_reply *reply);
void smtp_client_settle_all(struct pn_smtp_client *c, enum pn_smtp_from from,
                            const struct pn_smtp_reply *reply);
void smtp_client_content(struct pn_smtp_client *c);
/* What the reply that is waited for will answer. */
enum pn_smtp_from smtp_client_awaits(const struct pn_smtp_client *c);

#endif

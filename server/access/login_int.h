/* The inside of login_engine.h, shared by login_engine.c (the loop, what IMAP and POP3 have in
 * common), login_imap.c and login_pop3.c. Nobody else includes it. */
#ifndef PN_LOGIN_INT_H
#define PN_LOGIN_INT_H

#include "imap_lex.h"
#include "login_engine.h"

enum {
    LOGIN_LINE_MAX = 12288 + 2, /* of an exchange: RFC 4954's and RFC 5034's length, with CRLF */
    LOGIN_USER_MAX = 254
};

/* What is answered, in both protocols' words; text is common. */
struct login_reply {
    const char *imap; /* "NO [PRIVACYREQUIRED]", behind the tag */
    const char *pop3; /* "-ERR" */
    const char *text;
};

struct login_kind {
    void (*greet)(struct pn_login *l);
    /* Works on what is at the front, as far as one command goes; it advances. False: more must
     * come first. */
    bool (*input)(struct pn_login *l, struct pn_str *in);
    /* An answer to the command at hand. */
    void (*reply)(struct pn_login *l, const struct login_reply *reply);
    /* A last line that no command asked for. */
    void (*bye)(struct pn_login *l, const struct login_reply *reply);
    /* Forgets what the client said. */
    void (*reset)(struct pn_login *l);
};

struct pn_login {
    const struct login_kind *kind;
    const struct pn_login_config *config; /* borrowed */
    const struct pn_login_ops *ops;
    void *ctx;
    struct pn_login_info info;
    struct pn_buf out;              /* replies to be written */
    char tag[PN_LOGIN_TAG_MAX + 1]; /* IMAP: of the command at hand */
    struct pn_imap_lex lex;         /* IMAP */
    const struct login_reply *lost; /* IMAP: what a lost command is answered; NULL: too long */
    char user[LOGIN_USER_MAX + 1];  /* POP3: USER's */
    bool utf8;                      /* POP3: UTF8 was said */
    bool skipping;                  /* POP3: a line that is too long, up to its end */
    bool running;                   /* inside pn_login_input */
    bool full;                      /* the peer has enough to read */
    bool handed;                    /* waiting for what becomes of a hand-over */
    bool tls_next;                  /* OK is to be written, then `tls` called */
    bool handshake;                 /* that was done: what comes in is not ours */
    bool closing;                   /* write what there is, then close */
    bool closed;
};

extern const struct login_kind login_imap, login_pop3;
extern const struct login_reply login_unknown, login_too_long, login_bad_args, login_first;

/* Answers that refuse, and count. */
void login_refuse(struct pn_login *l, const struct login_reply *reply);
/* The first word of a line is of HTTP or SMTP: a browser, mostly, that was made to speak to us.
 * True: it is said, and closed. */
bool login_foreign(struct pn_login *l, struct pn_str word);
/* A command came. False: it was one too many, and that is said. */
bool login_count(struct pn_login *l);
/* Says so and closes. */
void login_flood(struct pn_login *l);
/* Does config have the mechanism? As it is written there, or empty. */
struct pn_str login_mechanism(const struct pn_login *l, struct pn_str name);
/* LOGIN, USER and PASS can be had here. */
bool login_plain(const struct pn_login *l);
bool login_starttls_offered(const struct pn_login *l);

/* The commands of both. more: input stands behind the line. */
void login_starttls(struct pn_login *l, bool more);
/* False: refused, as it can't be had here. */
bool login_plain_check(struct pn_login *l);
void login_password(struct pn_login *l, struct pn_str user, struct pn_str password);
/* initial: base64, or "="; p NULL: none. */
void login_sasl(struct pn_login *l, struct pn_str mechanism, struct pn_str initial);
/* A line of the exchange, without its end; p NULL: it was too long. */
void login_response(struct pn_login *l, struct pn_str line);

#endif

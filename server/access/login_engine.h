/*
 * The engine before login, of IMAP (RFC 9051, RFC 3501) and POP3 (RFC 1939): bytes in, replies and
 * calls out; no sockets, no clock, no mail. Edge drives it; who logged in goes to his mailbox
 * worker with all bytes that were not consumed.
 *
 *   new --start--> greeted --a command--> ... --STARTTLS, STLS--> handshake --_tls--> commands ...
 *   commands --LOGIN, AUTHENTICATE, PASS, AUTH--> asked --_challenge--> the client says --> asked
 *   asked --_said: no--> commands
 *   asked --_said: OK--> hand_over: waiting --_said: BUSY--> commands; or the owner frees it
 *   any --LOGOUT, QUIT, a limit, _drop--> closed
 *
 * The owner is asked by `password` or `sasl`, then by `response` for each challenge, and answers
 * each once, at once or later: pn_login_challenge or pn_login_said. Until then no input is
 * consumed. The tagged OK of a login is never said here: the mailbox's engine begins with it, so
 * that no client learns of a login whose mailbox can't be had.
 *
 * What a client may have been made to send ahead (STARTTLS injection): bytes behind STARTTLS or
 * STLS that stand there when it is read make it refused; those that come later are the
 * handshake's. Behind a login bytes may stand: they are worked on in turn by the engine that is
 * next, as RFC 2449, section 6.6 promises, or by this one where the login fails.
 *
 * Passwords and SASL messages are wiped here behind each call; input is the owner's to wipe.
 * Lines, bytes, commands, errors and failed logins have limits; time is the owner's (_drop).
 *
 * Owned by its maker; may be freed from outside its callbacks, inside `close`, which is the last
 * thing it does. Views are borrowed for the call.
 */
#ifndef PN_LOGIN_ENGINE_H
#define PN_LOGIN_ENGINE_H

#include "buf.h"

struct pn_login;

enum pn_login_protocol { PN_LOGIN_IMAP, PN_LOGIN_POP3 };

enum {
    PN_LOGIN_INPUT_MAX = 16 * 1024, /* bytes that are ever left when it waits for more */
    PN_LOGIN_SASL_MAX = 9216,       /* bytes of a decoded message: a line of 12288 */
    PN_LOGIN_PASSWORD_MAX = 1024,   /* bytes; and of a name 254 */
    PN_LOGIN_TAG_MAX = 64           /* bytes: of what hand_over is given */
};

struct pn_login_ops {
    /* For the peer; copy it. False: the peer has enough to read, no further command is consumed
     * in this call of _input. */
    bool (*write)(void *ctx, struct pn_str bytes);
    /* The engine takes input again: show what it left. Not called from inside _input. */
    void (*resume)(void *ctx);
    /* All is written; close once it is sent. */
    void (*close)(void *ctx);
    /* The OK of STARTTLS is written: make TLS, then pn_login_configure and pn_login_tls. */
    void (*tls)(void *ctx);
    /* Ask auth. password: IMAP's LOGIN, POP3's USER and PASS, which are begun as PLAIN
     * (pn_sasl_plain). sasl: mechanism is a word of config->mechanisms; initial: decoded. */
    void (*password)(void *ctx, struct pn_str user, struct pn_str password);
    void (*sasl)(void *ctx, struct pn_str mechanism, bool has_initial, struct pn_str initial);
    void (*response)(void *ctx, struct pn_str message);
    /* The client gave the exchange up: it was his turn. The owner says nothing to it. */
    void (*cancel)(void *ctx);
    /* He is in; it waits on. tag: for pn_engine_start.tag, to be said by the next engine: IMAP's
     * tag; POP3's is "UTF8" where the client said UTF8 (RFC 6856), else empty. All input that was
     * not consumed goes along. Taken: free the engine. Not taken: pn_login_said with BUSY. */
    void (*hand_over)(void *ctx, struct pn_str tag);
};

/* Borrowed; what changes in it holds from the next command. */
struct pn_login_config {
    struct pn_str name; /* ours, for the greeting */
    /* What may be begun on this connection as it is now, parted by spaces, the strongest first.
     * Without PLAIN no LOGIN, USER and PASS either; empty over plain text, mostly: then IMAP says
     * LOGINDISABLED and all that ask for a login hear PRIVACYREQUIRED. */
    struct pn_str mechanisms;
    bool starttls;         /* there is a certificate: offered while the connection is plain */
    uint32_t failures_max; /* failed logins: the next that fails closes */
    uint32_t errors_max;   /* commands that are refused, logins not counted */
    uint32_t commands_max; /* of all kinds, before login */
    uint32_t bytes_max;    /* consumed before login; 0: 256 KiB */
};

/* Kept current; borrowed. */
struct pn_login_info {
    bool tls;
    bool waiting; /* for the owner's answer: no input is consumed */
    bool asked;   /* it is the client's turn in a SASL exchange */
    uint32_t commands, errors, failures;
    uint64_t bytes; /* consumed */
};

enum pn_login_status {
    PN_LOGIN_OK,
    PN_LOGIN_REFUSED,   /* wrong: NO [AUTHENTICATIONFAILED], -ERR [AUTH] */
    PN_LOGIN_MALFORMED, /* no message of this mechanism: BAD, -ERR */
    PN_LOGIN_SHUT,      /* too many failures lately: NO [UNAVAILABLE], -ERR [SYS/TEMP] */
    PN_LOGIN_BUSY,      /* nobody knows now, or no mailbox worker takes him: the same codes */
    PN_LOGIN_STATUSES
};

enum pn_login_why { PN_LOGIN_TIMEOUT, PN_LOGIN_SHUTDOWN, PN_LOGIN_TOO_MANY, PN_LOGIN_WHYS };

struct pn_login *pn_login_new(enum pn_login_protocol protocol, const struct pn_login_config *config,
                              const struct pn_login_ops *ops, void *ctx);
void pn_login_free(struct pn_login **login);
/* The greeting. With implicit TLS call pn_login_tls first. */
void pn_login_start(struct pn_login *login);
/* Returns how many bytes were consumed; the rest is to be shown again with more behind it, but
 * not before `resume` while info->waiting. */
size_t pn_login_input(struct pn_login *login, struct pn_str bytes);

/* An answer: bytes for the client, at most PN_LOGIN_SASL_MAX; he says the next response. */
void pn_login_challenge(struct pn_login *login, struct pn_str bytes);
/* The answer that ends the exchange. */
void pn_login_said(struct pn_login *login, enum pn_login_status status);

/* The connection has TLS now. What the client said before is forgotten (RFC 9051, 6.2.1; RFC
 * 2595, section 4). */
void pn_login_tls(struct pn_login *login);
void pn_login_configure(struct pn_login *login, const struct pn_login_config *config);
/* Last words, at any time, then close. */
void pn_login_drop(struct pn_login *login, enum pn_login_why why);
const struct pn_login_info *pn_login_info(const struct pn_login *login);

#endif

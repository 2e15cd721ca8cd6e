/*
 * From a login to a session in a mailbox. Edge is what faces the network: it opens no mailbox by
 * its own word. Auth, which saw the password, tells the user's mailbox worker beforehand:
 *
 *   auth -> mailbox    PASS            struct pn_pass: who, by which service, and a random token
 *   mailbox -> auth    PASS_KNOWN      struct pn_pass_known: it is noted, for PN_PASS_MS
 *   auth -> edge       SASL_SAID       OK, with token and worker (sasl.h): not before that word
 *   edge -> mailbox    SESSION         struct pn_session, fd: the client's socket, or one end of
 *                                      a pair whose other end edge relays to and from TLS
 *   mailbox -> edge    SESSION_TAKEN   struct pn_session_taken: the session is the worker's, or
 *                                      why not; until then edge keeps a descriptor of its own
 *                                      and reads nothing from it
 *   edge -> mailbox    SESSION_YOURS   struct pn_session_taken: of a client's own socket, that the
 *                                      worker has it (TAKEN), or that edge does (any other word).
 *                                      Before the first neither reads nor writes there but edge,
 *                                      behind it edge never does; a worker that does not hear it
 *                                      closes its descriptor without a word
 *   mailbox -> edge    SESSION_ASK     struct pn_session_left without bytes: of one that edge
 * relays, edge -> mailbox    SESSION_LEFT    how much of what the worker said the client's side has
 * not acknowledged yet edge -> mailbox    SESSIONS_END    the edge stops: those that it relays are
 * told so
 *
 * A token opens one session of its user and service, once, within PN_PASS_MS. Whoever shows a
 * token uses it up, right or wrong in the rest. A token dies with the worker. SESSION goes as
 * handover.h's large records do (pn_handover_send), since it carries what the client sent ahead.
 * Views borrow from the body.
 */
#ifndef PN_PASS_H
#define PN_PASS_H

#include "sasl.h"

enum {
    PN_PASS_TOKEN = PN_SASL_TOKEN, /* bytes */
    PN_PASS_MS = 10 * 1000,        /* from PASS to SESSION */
    PN_PASS_WAIT_MS = 5000,        /* for PASS_KNOWN; then the login is BUSY */
    PN_PASS_OPEN_MAX = 4096,       /* of one worker; more: not noted */
    PN_SESSION_TAG_MAX = 255,
    PN_SESSION_TLS_MAX = 64,           /* bytes of a protocol's or cipher's name */
    PN_SESSION_AHEAD_MAX = 256 * 1024, /* bytes read behind the login */
    PN_SESSION_WAIT_MS = 10 * 1000,    /* for SESSION_TAKEN; then the client hears UNAVAILABLE */
    PN_SESSION_YOURS_MS = 20 * 1000    /* for SESSION_YOURS */
};

struct pn_pass {
    unsigned char token[PN_PASS_TOKEN];
    uint8_t service; /* PN_SASL_IMAP or PN_SASL_POP3 */
    struct pn_str user;
};

struct pn_pass_known {
    unsigned char token[PN_PASS_TOKEN];
    bool noted; /* false: too many logins, or the worker ends */
};

struct pn_session {
    uint64_t id; /* edge's, for the answer */
    unsigned char token[PN_PASS_TOKEN];
    uint8_t service;
    struct pn_str user;    /* as SAID named him: the token must be his */
    struct pn_str session; /* its name in events */
    struct pn_str tag;     /* of the command that is not answered yet (engine.h) */
    struct pn_ip ip;
    uint16_t port;
    bool relayed;              /* the fd is a pair's end: edge has the client */
    struct pn_str tls, cipher; /* empty: plain */
    struct pn_str ahead;       /* what the client sent behind its login */
};

enum pn_session_word {
    PN_SESSION_TAKEN,
    PN_SESSION_NO_PASS,  /* the token is none, or of somebody else */
    PN_SESSION_TOO_MANY, /* of this user, or of all */
    PN_SESSION_ENDING,   /* the worker ends */
    PN_SESSION_LOST,     /* no descriptor came with it */
    PN_SESSION_WORDS
};

struct pn_session_taken {
    uint64_t id;
    uint8_t word; /* enum pn_session_word */
};

struct pn_session_left {
    uint64_t id;
    uint32_t serial; /* of the question; comes back */
    uint64_t bytes;  /* UINT64_MAX: the client is gone */
};

/* Each _get: false for what is malformed, or beyond a limit above. */
void pn_pass_put(struct pn_buf *out, const struct pn_pass *pass);
bool pn_pass_get(struct pn_str body, struct pn_pass *pass);
void pn_pass_known_put(struct pn_buf *out, const struct pn_pass_known *known);
bool pn_pass_known_get(struct pn_str body, struct pn_pass_known *known);
void pn_session_put(struct pn_buf *out, const struct pn_session *session);
bool pn_session_get(struct pn_str body, struct pn_session *session);
void pn_session_taken_put(struct pn_buf *out, const struct pn_session_taken *taken);
bool pn_session_taken_get(struct pn_str body, struct pn_session_taken *taken);
void pn_session_left_put(struct pn_buf *out, const struct pn_session_left *left);
bool pn_session_left_get(struct pn_str body, struct pn_session_left *left);

#endif

/* An owner of the engine before login, and whole dialogues with it: each runs whole, split at
 * every byte, byte by byte, and with every answer of the owner given late; the client sees the
 * same. */
#ifndef LOGIN_OWNER_H
#define LOGIN_OWNER_H

#include "unit.h"

#include "login_engine.h"

/* Who logs in is "u" with "pw"; "later", "shut" and "odd" hear BUSY, SHUT and MALFORMED; "gone"
 * has no worker. PLAIN takes one message, LOGIN two, SCRAM-SHA-256 has last words. */
struct login_owner {
    struct pn_login *engine;
    struct pn_login_config config;
    bool late;
    struct pn_buf in;   /* shown and not consumed */
    struct pn_buf out;  /* all that was written */
    struct pn_buf told; /* what was asked of it: "password(u,pw) in(a1) " */
    struct pn_str challenge;
    char user[64], mechanism[32];
    enum pn_login_status status;
    bool owes_challenge, owes_status, tls_due, closed, handed, no_worker, full;
};

struct login_row {
    const char *label;
    struct pn_str input; /* \1 parts packets that are never joined, as by a client that waits */
    const char *want;    /* all output behind the greeting */
    const char *told;
    const char *left; /* what goes with the hand-over; NULL: there is none */
    void (*set)(struct login_owner *o);
    bool closed;
    bool whole; /* depends on what stands in one packet: not split */
};

void login_owner_init(struct login_owner *o, enum pn_login_protocol protocol,
                      void (*set)(struct login_owner *o));
void login_owner_fini(struct login_owner *o);
void login_talk(struct login_owner *o, struct pn_str input, size_t split, size_t step);
void login_rows(enum pn_login_protocol protocol, const struct login_row *rows, size_t count);
/* TLS from the first byte, where it is given as `set`. */
void login_secure(struct login_owner *o);

#define LOGIN_ROWS(protocol, rows) login_rows(protocol, rows, sizeof(rows) / sizeof(rows)[0])
#define SAY(text)                  PN_STR_INIT(text)

#endif

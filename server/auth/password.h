/*
 * A password, and the verifiers that are made of it: yescrypt (crypt(5)) and SCRAM-SHA-256's
 * (RFC 5802, 7677), both of the password as SASLprep has it (RFC 4013, by libidn), so that
 * it is the same whichever way a keyboard composes its letters.
 *
 * Nothing here allocates for an ASCII password, and what it was worked with is wiped. Beyond
 * ASCII libidn works in memory of its own, which it frees without wiping. Each call that
 * hashes takes tens of milliseconds: not for an event loop.
 */
#ifndef PN_PASSWORD_H
#define PN_PASSWORD_H

#include "userfile.h"

enum {
    PN_PASSWORD_MAX = 256, /* bytes; crypt's own limit is 511 */
    /* 16 times RFC 7677's least. The client pays, once a login: 50 ms or less with a good
     * library, 150 ms with a slow one. We keep the keys, and pay nothing. */
    PN_PASSWORD_ITERATIONS = 65536
};

struct pn_password {
    char bytes[PN_PASSWORD_MAX + 1]; /* a NUL behind them */
    size_t len;
};

void pn_password_wipe(struct pn_password *password);
/* By SASLprep, in place. NULL, or a sentence that says why it is no password. */
const char *pn_password_prepare(struct pn_password *password);

/* With a salt of their own each. False: the system has no randomness or no memory. */
bool pn_password_yescrypt(const struct pn_password *password, struct pn_buf *out);
bool pn_password_scram(const struct pn_password *password, struct pn_scram *out);
/* The keys for the salt and the iterations that scram has already. */
bool pn_password_scram_keys(const struct pn_password *password, struct pn_scram *scram);

/* Compared in constant time. */
bool pn_password_is_yescrypt(const struct pn_password *password, struct pn_str verifier);
bool pn_password_is_scram(const struct pn_password *password, const struct pn_scram *scram);

#endif

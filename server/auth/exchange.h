/*
 * One login as its mechanism sees it, by libgsasl: messages in, messages out. No channel, no
 * clock, no thread; what takes long (a password against yescrypt) is left to the caller.
 *
 *   new -> step ... CHALLENGE ... step -> PASSWORD: the caller checks it and says which
 *                                 step -> PROVED: out is SCRAM's last word, a challenge whose
 *                                         answer is to be empty: step -> OK
 *                                 step -> REFUSED, MALFORMED: over
 *
 * Nothing depends on whether there is such a user: who is none, or has no verifier for SCRAM,
 * gets a salt made of his name by the salt key, always the same, and keys that no password
 * fits; a PASSWORD of nobody's is to be hashed against auth_sasl_nobody.
 *
 * The name and the password are the exchange's, wiped with it. libgsasl frees copies of both
 * unwiped: the role's process wipes what is freed (ipc/launch.h).
 */
#ifndef AUTH_EXCHANGE_H
#define AUTH_EXCHANGE_H

#include "auth_users.h"
#include "password.h"
#include "sasl.h"

enum { AUTH_SALT_KEY = 32 };

struct auth_sasl; /* one a process: libgsasl's own state, and the salt key */
struct auth_exchange;

/* NULL: with a sentence in err. Before the jail: libraries look for their files. */
struct auth_sasl *auth_sasl_new(const unsigned char salt_key[AUTH_SALT_KEY], struct pn_buf *err);
void auth_sasl_free(struct auth_sasl **sasl);
/* A verifier of yescrypt that no password fits. Borrowed. */
struct pn_str auth_sasl_nobody(const struct auth_sasl *sasl);

enum auth_step {
    AUTH_CHALLENGE,
    AUTH_PASSWORD,
    AUTH_PROVED,
    AUTH_OK,
    AUTH_REFUSED,
    AUTH_MALFORMED
};

/* exporter: as in struct pn_sasl_begin. A reference to users is taken. NULL: no memory. */
struct auth_exchange *auth_exchange_new(struct auth_sasl *sasl, enum pn_sasl_mechanism mechanism,
                                        struct pn_str exporter, struct auth_users *users);
void auth_exchange_free(struct auth_exchange **exchange);
/* What the client said; has_message: he said something, if only the empty string (false only
 * at the first step). out is cleared and then holds the challenge, of CHALLENGE and PROVED. */
enum auth_step auth_exchange_step(struct auth_exchange *exchange, bool has_message,
                                  struct pn_str message, struct pn_buf *out);

/* What is known once the client named himself; all borrowed until it is freed. */
bool auth_exchange_named(const struct auth_exchange *exchange);
/* In the one form; empty where what he said is no user's name. */
struct pn_str auth_exchange_name(const struct auth_exchange *exchange);
/* As he said it: not for the log, it may be a password in the wrong field. */
struct pn_str auth_exchange_claim(const struct auth_exchange *exchange);
const struct pn_user *auth_exchange_user(const struct auth_exchange *exchange); /* NULL: none */
/* After PASSWORD; prepared (SASLprep), or NULL: it is none at all. */
const struct pn_password *auth_exchange_password(const struct auth_exchange *exchange);
/* Over: nothing is stepped any more, and no password is kept. What is known stays. */
void auth_exchange_wipe(struct auth_exchange *exchange);
/* After REFUSED and MALFORMED: a word for the event, "password", "no-user"; for nobody else. */
const char *auth_exchange_why(const struct auth_exchange *exchange);

#endif

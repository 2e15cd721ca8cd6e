/*
 * Logins under way, of one edge each: exchange.h's steps with what they wait for.
 *
 *   CLIENT   a challenge was said; the client's answer, or ten minutes, end it
 *   HASHING  its password is with a thread
 *   PASSING  it is right; his mailbox worker is told, and its word awaited (IMAP, POP3)
 *   LATE     its outcome is known, and told when its time has come
 *
 * The account's name known, the guard is asked, before any password is looked at. A login that
 * is cancelled while it hashes is judged all the same, so that nobody guesses for free.
 */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include "auth_settings.h"
#include "channel.h"
#include "exchange.h"
#include "passes.h"
#include "threads.h"

struct auth_desk; /* one edge's */

/* Whom and how an outcome was of; borrowed for the call. */
struct auth_outcome {
    enum pn_sasl_status status;
    const struct pn_sasl_begin *begin; /* without its message */
    struct pn_str name;                /* in the one form; empty: he gave none that is one */
    const char *why;                   /* a word; "" with OK */
};

/* What all desks share; the role's. */
struct auth_house {
    struct pn_loop *loop;
    struct auth_sasl *sasl;
    struct auth_guard *guard;
    struct auth_users *users; /* NULL: no file of them; nobody can be judged */
    struct pn_threads *threads;
    struct auth_passes *passes; /* NULL: no mailbox can be opened */
    struct auth_settings settings;
    size_t open; /* logins */
    void (*on_outcome)(void *ctx, const struct auth_outcome *outcome);
    void *ctx;
};

struct auth_desk *auth_desk_new(struct auth_house *house, struct pn_channel *channel);
/* Its logins are dropped; what hashes is judged yet. The house must outlive that: free its
 * threads first (pn_threads_free), then it. */
void auth_desk_free(struct auth_desk **desk);
/* Each: false, the edge broke the rules of sasl.h. The message is not wiped here. */
bool auth_desk_begin(struct auth_desk *desk, const struct pn_sasl_begin *begin);
bool auth_desk_answer(struct auth_desk *desk, const struct pn_sasl_answer *answer);
void auth_desk_cancel(struct auth_desk *desk, uint64_t id);

#endif

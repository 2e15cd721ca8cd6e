/*
 * How a role comes up and goes: the order, written once for all that serve.
 *
 *   loop      made first, freed last
 *   begin     what the jail will forbid: settings, files, plugins
 *   jail      the role's row, with what begin added to it
 *   open      what begins inside: threads, the first foreign byte
 *   control   from here on the supervisor may speak
 *   peers     those that came with the environment, by on_peer like any later one
 *   join      the listeners that came with it, and what needs control or peers
 *   READY     (the role says it itself, later, if it asks for that), and the loop runs
 *   end       always, however far it came: it frees what is there
 *
 * begin and open may refuse, with a sentence: the supervisor is told, and the process ends
 * with 1. The compile role, which serves nobody, has no use for this.
 */
#ifndef PN_ROLE_H
#define PN_ROLE_H

#include "control.h"
#include "jail.h"
#include "loop.h"

/* Owned by pn_role_run; who copies loop or control borrows them until `end` is over. */
struct pn_role_life {
    struct pn_role_env *env;
    struct pn_loop *loop;
    struct pn_control *control; /* NULL before join */
    struct pn_jail jail;        /* begin may add to it; what it names lives until open */
    void *ctx;
};

struct pn_role_steps {
    enum pn_jail_kind jail;
    bool says_ready;               /* the role calls pn_control_ready by itself */
    struct pn_control_ops control; /* called with ctx */
    /* Each but `end` may be NULL. */
    bool (*begin)(struct pn_role_life *life, struct pn_buf *err);
    bool (*open)(struct pn_role_life *life, struct pn_buf *err);
    void (*join)(struct pn_role_life *life);
    void (*end)(struct pn_role_life *life);
};

/* The process's exit status. env is fini'd by the caller. */
int pn_role_run(struct pn_role_env *env, const struct pn_role_steps *steps, void *ctx);

#endif

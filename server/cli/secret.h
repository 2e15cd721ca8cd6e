/*
 * Asking for a password: on the terminal without echo, or as all of standard input. Never
 * on the command line, where everybody on the machine can read it.
 */
#ifndef PN_SECRET_H
#define PN_SECRET_H

#include "password.h"

/* PN_EXIT_DONE and a prepared password; else what the command shall exit with, having said
 * why. To be wiped in all cases. twice: typed again, and the same. Standard input may end
 * with one line feed, which is not part of it. */
int pn_secret_ask(struct pn_password *password, bool twice);
int pn_secret_read(struct pn_password *password);

#endif

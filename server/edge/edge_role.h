/* The edge role's entry: called by posternd's main in a fresh process. */
#ifndef PN_EDGE_ROLE_H
#define PN_EDGE_ROLE_H

#include "control.h"

/* Serves until it is told to stop; the exit code. env is read to GO and not jailed. */
int pn_edge_role(struct pn_role_env *env);

#endif

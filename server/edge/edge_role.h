/* The edge role's entry: called by posternd's main in a fresh process. */
#ifndef PN_EDGE_ROLE_H
#define PN_EDGE_ROLE_H

#include "control.h"

/* Serves until it is told to stop; returns the exit code. env is read to GO, not jailed. */
pn_role_main pn_edge_main;

#endif

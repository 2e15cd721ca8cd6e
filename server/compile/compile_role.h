/*
 * The compile role: a process that reads configuration, policy and plugins' settings rows,
 * sends the sealed mapping or every error it found, and ends. It is the only one that
 * parses what an operator wrote, unprivileged and jailed.
 */
#ifndef PN_COMPILE_ROLE_H
#define PN_COMPILE_ROLE_H

#include "control.h"

pn_role_main pn_compile_main;

#endif

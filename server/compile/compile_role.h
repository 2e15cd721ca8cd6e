/*
 * The compile role: short-lived, at start and at each reload. It reads configuration and
 * policy, loads plugins for their settings rows, and answers with a sealed image
 * (PN_REC_COMPILED) or one PN_REC_COMPILE_ERROR a problem; then it ends. Plugins run
 * nothing of theirs here but what loading a shared object runs, in a jail that may read
 * files and nothing else.
 *
 * The plugins' folder is the configuration's, else the environment's POSTERN_PLUGINS (a
 * build tree), else where they were installed.
 */
#ifndef PN_COMPILE_ROLE_H
#define PN_COMPILE_ROLE_H

#include "control.h"

pn_role_main pn_compile_main;

#endif

/*
 * The compiled policy of a command-line tool: of a configuration file, or, without one,
 * of the shipped default policy with every plugin that is built and can run without
 * settings, and any recipient.
 */
#ifndef PN_SCAN_COMPILE_H
#define PN_SCAN_COMPILE_H

#include "buf.h"

/* plugins: names parted by commas or blanks that are to be loaded, "" for none; NULL: all.
 * A sealed mapping, or -1 with all problems in err; *usage: it is `plugins` that is wrong. */
int pn_scan_compile(const char *config, const char *plugins, bool *usage, struct pn_buf *err);

#endif

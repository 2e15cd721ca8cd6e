/*
 * Whose a crash is, when an allocation was made to fail: a library's, where it asked for the
 * memory and crashed before it returned to the plugin, which then had no say in it. So it is
 * if the same call stood innermost in the plugin's own code both times. In all other cases it
 * is the plugin's: it may have handed on what it should have looked at.
 */
#ifndef PN_PROVE_BLAME_H
#define PN_PROVE_BLAME_H

#include <stdbool.h>
#include <stddef.h>

/* Once; in memory that is shared with children from now on. */
void blame_init(void);
/* `symbol` lies in the plugin, which stays loaded. */
void blame_plugin(const void *symbol);
void blame_reset(void);
/* An allocation is refused here. */
void blame_refused(void);
/* In a child that has its other handlers of crashes: where it crashes is noted, and goes its
 * way. */
void blame_watch(void);
/* The library's file name, or NULL: nobody crashed, or it was the plugin. */
const char *blame_library(char *out, size_t size);
/* The system call that the jail refused; -1: nobody knows. */
int blame_call(void);

#endif

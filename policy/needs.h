/*
 * What a plugin may need beyond memory and time: one row a bit of its manifest, with the
 * word for it in a configuration, and what the sandbox leaves open for it.
 */
#ifndef PN_NEEDS_H
#define PN_NEEDS_H

#include <postern/plugin.h>

/* Of our own making, beside POSTERN_NEED_*: sockets of this machine by path, for a plugin
 * that needs the network where one of its settings names such a path. */
enum { PN_NEED_LOCAL = 1 << 30 };

struct pn_need {
    unsigned bit;
    const char *name;  /* NULL ends the list; a word of the row `grant`, but for "alone" */
    const char *opens; /* a sentence's part */
};
extern const struct pn_need pn_needs[];

#endif

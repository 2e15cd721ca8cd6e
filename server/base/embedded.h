/* Files of the tree that a program carries with it, as contrib/embed.sh writes them. */
#ifndef PN_EMBEDDED_H
#define PN_EMBEDDED_H

#include <stddef.h>

struct pn_embedded {
    const char *name; /* NULL ends the list */
    const unsigned char *text;
    size_t len;
};

#endif

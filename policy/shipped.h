/* The policies in policy/defaults, as they stand in the tree; made by the build. */
#ifndef PN_SHIPPED_H
#define PN_SHIPPED_H

#include "str.h"

struct pn_shipped {
    const char *name; /* NULL ends the list */
    const unsigned char *text;
    size_t len;
};
extern const struct pn_shipped pn_shipped[];

#endif

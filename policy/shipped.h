/* The policies in policy/defaults, as they stand in the tree; made by the build. */
#ifndef PN_SHIPPED_H
#define PN_SHIPPED_H

#include "embedded.h"

extern const struct pn_embedded pn_shipped[];

#endif

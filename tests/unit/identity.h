/* A self-signed certificate of the test's own, valid for an hour. */
#ifndef UNIT_IDENTITY_H
#define UNIT_IDENTITY_H

#include "buf.h"

/* PEM, appended to both. */
void identity_make(const char *name, struct pn_buf *cert, struct pn_buf *key);

#endif

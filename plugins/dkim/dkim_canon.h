/*
 * Canonical forms (RFC 6376, section 3.4), given piece by piece to whoever hashes them.
 *
 * A line ends at CRLF; a bare CR or LF is a byte like any other in the body, and folds
 * of header fields may end in either. Time is linear, no memory is used. What stands
 * unchanged in the message is handed on as it lies there, in long runs.
 */
#ifndef DKIM_CANON_H
#define DKIM_CANON_H

#include "dkim_message.h"

typedef void dkim_emit(void *arg, const char *p, size_t n);

void dkim_canon_body(bool relaxed, struct postern_str body, dkim_emit *emit, void *arg);
/* One header field with its CRLF. */
void dkim_canon_field(bool relaxed, const struct dkim_field *f, dkim_emit *emit, void *arg);
/* The signature's own field: bytes [from, to) of it taken out, no CRLF. */
void dkim_canon_own(bool relaxed, const struct dkim_field *f, size_t from, size_t to,
                    dkim_emit *emit, void *arg);

#endif

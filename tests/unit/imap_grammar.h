/*
 * What IMAP's grammar says of ENVELOPE and BODY(STRUCTURE) (RFC 3501 and 9051, section 9), checked
 * by a reader of its own: for unit tests, fuzzers and the conformance suite.
 */
#ifndef PN_IMAP_GRAMMAR_H
#define PN_IMAP_GRAMMAR_H

#include "str.h"

/* Is s one envelope, or one body (extensible or not), and nothing else? NULL if it is, else what
 * is wrong with it; *at is where. */
const char *grammar_envelope(struct pn_str s, size_t *at);
const char *grammar_body(struct pn_str s, bool extensible, size_t *at);

#endif

/*
 * What a subject is without "Re:", "[list]" and "(fwd)": RFC 5256, section 2.1, by which SORT and
 * THREAD compare. On folded text (fold.h), for they compare without case.
 */
#ifndef PN_BASE_SUBJECT_H
#define PN_BASE_SUBJECT_H

#include "buf.h"

enum { PN_SUBJECT_MAX = 1000 }; /* bytes that are looked at */

/* A part of folded. *reply (may be NULL): there was a sign of a reply or a forward. */
struct pn_str pn_base_subject(struct pn_str folded, bool *reply);

#endif

/*
 * One form for text that is compared or searched, so that what people take for the same is the
 * same bytes: needle and haystack both go through here.
 *
 * Letters are folded as i;unicode-casemap does (RFC 5051: simple titlecase mapping, then canonical
 * and compatibility decomposition), with the lower-case form written; of the decompositions some
 * rare blocks are left out (contrib/fold_table.py has the list). Beyond that collation, for
 * text that was wrapped and marked up: a run of blanks, line ends and control characters is one
 * space; soft hyphens, zero width spaces and byte order marks are dropped.
 *
 * So no byte below 0x20 is ever in the output: callers may put marks of their own between texts.
 * What is no UTF-8 becomes U+FFFD. Each character is folded by itself: a part of a text
 * folds to a part of the folded text, but for the blanks at its ends.
 */
#ifndef PN_FOLD_H
#define PN_FOLD_H

#include "buf.h"

/* Appends the form of s. False at out's limit: it then ends with the last character that fits. */
bool pn_fold(struct pn_str s, struct pn_buf *out);

#endif

/*
 * One set of rules, run in both ways: as it is, with rules tried only where a string of theirs
 * stands and asked for only where they matter; and plainly, all rules on all of the text. What
 * they state must be the same.
 */
#ifndef RULES_BOTH_H
#define RULES_BOTH_H

#include "fakehost.h"

struct rules_both;

struct rules_both *rules_both_new(void);
void rules_both_free(struct rules_both **both);
/* Reads one file's text, which is copied. */
void rules_both_read(struct rules_both *b, const char *name, struct pn_str text);
/* When all are read, perhaps: sub-rules, "__NAME", shall be stated too, as "S__NAME". */
void rules_both_state_all(struct rules_both *b);
/* When all are read; false: memory ran out. */
bool rules_both_finish(struct rules_both *b);
/* The facts of a message, borrowed until the next. LF becomes CRLF. */
void rules_both_run(struct rules_both *b, struct pn_str message, struct pn_str *searched,
                    struct pn_str *plain);

#endif

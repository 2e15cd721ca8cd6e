/*
 * The words for what a client did not wait for (POSTERN_EARLY_*), the same in events, in
 * kept cases and in what `postern scan` is given: greeting, helo, command.
 */
#ifndef PN_EARLY_H
#define PN_EARLY_H

#include "json.h"

/* The member "early", a list of words; none where it waited. */
void pn_early_json(struct pn_json *j, uint32_t early);
/* Adds the bit of a word; false: no such word. */
bool pn_early_add(uint32_t *early, struct pn_str word);

#endif

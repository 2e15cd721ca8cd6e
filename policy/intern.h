/*
 * Strings to dense numbers: the n-th new string gets n. For the compile role, where
 * strings come from the operator. Owned; the strings are borrowed.
 */
#ifndef PN_INTERN_H
#define PN_INTERN_H

#include "str.h"

struct pn_intern {
    struct pn_str *strings; /* by number */
    uint32_t count;
    size_t cap;
    uint32_t *slots; /* number + 1; 0 is free */
    uint32_t slot_count;
};

void pn_intern_init(struct pn_intern *t);
void pn_intern_fini(struct pn_intern *t);
/* The number of s; *is_new (may be NULL) says whether it got one now. */
uint32_t pn_intern_add(struct pn_intern *t, struct pn_str s, bool *is_new);
/* False: not there. */
bool pn_intern_find(const struct pn_intern *t, struct pn_str s, uint32_t *number);

#endif

/* What scan prints: a JSON line or a few lines for people, in the order of the cases,
 * and below them a progress bar where standard error is a terminal. */
#ifndef PN_SCAN_SHOW_H
#define PN_SCAN_SHOW_H

#include "verdict.h"

#include <stdio.h>

struct pn_scan_show {
    FILE *to;
    bool json, bar, over;      /* over: what is printed goes to a terminal too */
    size_t total;              /* 0: not known */
    uint64_t next;             /* the number that is printed next */
    struct pn_scan_held *held; /* results that came before their turn */
    uint64_t outcomes[PN_REJECT + 1];
};

/* Whether anybody would see a bar: else nobody needs to count. */
bool pn_scan_show_wants_total(void);
void pn_scan_show_init(struct pn_scan_show *show, bool json, size_t total, FILE *to);
/* number counts the cases from 0. */
void pn_scan_show_verdict(struct pn_scan_show *show, uint64_t number, const struct pn_verdict *v);
/* Prints the sum, for people and more than one case. */
void pn_scan_show_fini(struct pn_scan_show *show);

#endif

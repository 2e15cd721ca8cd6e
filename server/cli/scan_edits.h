/* What plugins propose to change, as scan shows it: by the server's rules, but for recipients,
 * of whom scan takes any. */
#ifndef PN_SCAN_EDITS_H
#define PN_SCAN_EDITS_H

#include "scan_event.h"

struct pn_scan_rcpt {
    struct pn_str address;
    bool added, removed;
    uint32_t edit; /* that did it */
    bool refused;  /* at RCPT */
};

struct pn_scan_envelope {
    const struct pn_str *rcpts, *refusals; /* as a case has them */
    size_t count;
    const struct pn_scan_recorded *recorded; /* beside the facts' edits; NULL: no event */
};

/* Judges the edits of v->facts; returns the recipients that there are then, in pool, and
 * counts them in *count. NULL: the pool's limit. */
struct pn_scan_rcpt *
pn_scan_edits(struct pn_verdict *v, const struct pn_scan_envelope *envelope, size_t *count,
              struct pn_pool *pool,
              const struct pn_domain *(*domain_of)(void *ctx, struct pn_str address), void *ctx);

#endif

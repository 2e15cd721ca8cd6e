/*
 * `engine libspf2`: check_host() by libspf2 1.2.10, for sites that want its answers. It is
 * given what spf_guard.h lets through, and corrected where it would be dangerous: it calls
 * all mail from loopback addresses a pass, so those are checked by our own evaluator.
 *
 * Its faults and its answers that differ stand in the README. Uses the heap.
 */
#ifndef SPF_LIBSPF2_H
#define SPF_LIBSPF2_H

#include "spf_engine.h"

/* Once a process, before there are threads: what it has to say goes nowhere. */
void spf_libspf2_init(void);
/* As spf_check(). %{t} is the time of day, not the query's. */
int spf_libspf2_check(const struct spf_query *query, struct spf_outcome *out);

#endif

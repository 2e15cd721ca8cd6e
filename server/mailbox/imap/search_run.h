/*
 * A search program at work on a view: sets of messages at a time, the cheapest keys first. What
 * memory knows costs nothing; then come cached header fields, the index of words (textsearch.h),
 * and last the messages themselves, each read once for all keys that want it. Done in slices, so
 * that a thread of the pool is not held and the session can end; the view must not be synced
 * between them.
 */
#ifndef PN_SEARCH_RUN_H
#define PN_SEARCH_RUN_H

#include "search_bits.h"
#include "search_key.h"

struct search_run;

enum { SEARCH_SLICE_MS = 200 };

/* All are borrowed. user: whose view it is, for the index of words; NULL: by scan alone. Owned. */
struct search_run *search_run_new(struct pn_user *user, struct pn_view *view,
                                  const struct search_program *program);
void search_run_free(struct search_run **run);
/* Works for about so long. True: it is done. */
bool search_run_step(struct search_run *run, unsigned ms);
/* Messages that are there could not be read: they were taken for empty ones. */
bool search_run_failed(const struct search_run *run);
/* The numbers that match, once it is done. Borrowed. */
const struct search_bits *search_run_result(const struct search_run *run);

#endif

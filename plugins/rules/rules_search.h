/*
 * Many strings sought at once: one pass over a text says where any of them stands, in
 * whatever case. Built once, read by many threads.
 *
 * Each string is known by three bytes of it that are seldom in plain text. The pass hashes
 * every three bytes into a small set that lies in the nearest cache, with no step waiting for
 * the one before; what is in the set is compared in full.
 */
#ifndef RULES_SEARCH_H
#define RULES_SEARCH_H

#include "rules_str.h"

enum { RULES_SEARCH_MIN = 3 };

struct rules_search;

/* NULL when memory ran out. */
struct rules_search *rules_search_new(void);
void rules_search_free(struct rules_search *s);
/* Seeks `text` (lower case, at least RULES_SEARCH_MIN bytes, borrowed) on behalf of `id`, in
 * texts of that kind alone; ids are small numbers, several strings may have one. Returns
 * its mark: how many bytes of it reach to the end of the three; 0 when memory ran out. `lead` is
 * the caller's: what may stand before it. */
size_t rules_search_add(struct rules_search *s, struct postern_str text, uint32_t kind, uint32_t id,
                        size_t lead);
/* When all are added; false when memory ran out. */
bool rules_search_finish(struct rules_search *s);
/* Calls fn for each id of which a string stands in the text, with the place of its mark,
 * in the order of marks, and how far its lead reaches before the mark. */
typedef void rules_hit(void *arg, uint32_t id, size_t mark, size_t reach);
void rules_search_run(const struct rules_search *s, struct postern_str text, uint32_t kind,
                      rules_hit *fn, void *arg);

#endif

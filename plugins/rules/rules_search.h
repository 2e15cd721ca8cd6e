/*
 * Many strings sought at once (Aho and Corasick): one pass over a text says which of them
 * it holds, in whatever case. Built once, read by many threads. Linear in the text.
 */
#ifndef RULES_SEARCH_H
#define RULES_SEARCH_H

#include "rules_str.h"

struct rules_search;

/* NULL when memory ran out. */
struct rules_search *rules_search_new(void);
void rules_search_free(struct rules_search *s);
/* Seeks `text` (lower case, not empty) on behalf of `id`; ids are small numbers, several
 * strings may have one. False when memory ran out. */
bool rules_search_add(struct rules_search *s, struct postern_str text, uint32_t id);
/* No more is added. False when memory ran out. */
bool rules_search_finish(struct rules_search *s);
/* Calls fn for each id of which a string ends `to` bytes into the text, in the order of `to`. */
typedef void rules_hit(void *arg, uint32_t id, size_t to);
void rules_search_run(const struct rules_search *s, struct postern_str text, rules_hit *fn,
                      void *arg);

#endif

/*
 * A pool: memory that lives and dies together, with a hard limit.
 *
 * Session and transaction data live in one. Allocation is a bump of a pointer;
 * nothing is freed alone. Cleanups run in reverse order at pn_pool_free. "Pooled"
 * in a header means: valid until the pool named there goes.
 *
 * pn_pool_alloc returns NULL when the limit would be passed: the caller answers
 * the peer (452, 552), so a stranger can't make us use more than the limit.
 */
#ifndef PN_POOL_H
#define PN_POOL_H

#include "str.h"

struct pn_pool;

/* limit: bytes in all, the pool's own blocks included. */
struct pn_pool *pn_pool_new(size_t limit);
/* As above, and every block is wiped before it is freed: for secrets. */
struct pn_pool *pn_pool_new_secret(size_t limit);
/* Runs the cleanups, frees everything, sets *pool to NULL. NULL inside is fine. */
void pn_pool_free(struct pn_pool **pool);
/* Runs the cleanups and empties it, keeping the first block for reuse. */
void pn_pool_reset(struct pn_pool *pool);
/* Aligned for any type, zeroed. */
void *pn_pool_alloc(struct pn_pool *pool, size_t n);
/* NUL-terminated copy; NULL past the limit. */
char *pn_pool_strdup(struct pn_pool *pool, struct pn_str s);
/* Copy as a view; .p is NULL past the limit (an empty s gives an empty view, p set). */
struct pn_str pn_pool_dup(struct pn_pool *pool, struct pn_str s);
/* fn(arg) runs when the pool goes; false past the limit. */
bool pn_pool_cleanup(struct pn_pool *pool, void (*fn)(void *arg), void *arg);
size_t pn_pool_used(const struct pn_pool *pool);

#endif

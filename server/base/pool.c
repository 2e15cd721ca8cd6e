#include "pool.h"

#include "assert.h"
#include "mem.h"

#include <stdalign.h>
#include <stdlib.h>

enum { FIRST_BLOCK = 1024, MAX_BLOCK = 64 * 1024 };

struct block {
    struct block *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

struct pn_pool {
    struct block *blocks; /* newest first; the last one is the first made */
    struct cleanup *cleanups;
    size_t limit;
    size_t total; /* bytes of all blocks */
    size_t used;  /* bytes handed out */
    bool secret;
};

static struct pn_pool *pool_new(size_t limit, bool secret)
{
    struct pn_pool *pool = pn_calloc(1, sizeof *pool);
    pool->limit = limit;
    pool->secret = secret;
    return pool;
}

struct pn_pool *pn_pool_new(size_t limit)
{
    return pool_new(limit, false);
}

struct pn_pool *pn_pool_new_secret(size_t limit)
{
    return pool_new(limit, true);
}

static void block_free(struct pn_pool *pool, struct block *b)
{
    if (pool->secret)
        explicit_bzero(b->data, b->used);
    free(b);
}

static void run_cleanups(struct pn_pool *pool)
{
    while (pool->cleanups != NULL) {
        struct cleanup *c = pool->cleanups;
        pool->cleanups = c->next;
        c->fn(c->arg);
    }
}

void pn_pool_free(struct pn_pool **poolp)
{
    struct pn_pool *pool = *poolp;
    if (pool == NULL)
        return;
    run_cleanups(pool);
    while (pool->blocks != NULL) {
        struct block *b = pool->blocks;
        pool->blocks = b->next;
        block_free(pool, b);
    }
    free(pool);
    *poolp = NULL;
}

void pn_pool_reset(struct pn_pool *pool)
{
    run_cleanups(pool);
    while (pool->blocks != NULL && pool->blocks->next != NULL) {
        struct block *b = pool->blocks;
        pool->blocks = b->next;
        pool->total -= b->size;
        block_free(pool, b);
    }
    if (pool->blocks != NULL) {
        if (pool->secret)
            explicit_bzero(pool->blocks->data, pool->blocks->used);
        pool->blocks->used = 0;
    }
    pool->used = 0;
}

static struct block *block_add(struct pn_pool *pool, size_t n)
{
    size_t left = pool->limit - pool->total;
    size_t size = pool->blocks == NULL ? FIRST_BLOCK : pool->blocks->size * 2;
    if (size > MAX_BLOCK)
        size = MAX_BLOCK;
    if (size > left)
        size = left;
    if (size < n)
        size = n;
    if (size > left)
        return NULL;
    struct block *b = pn_alloc(sizeof *b + size);
    *b = (struct block){.next = pool->blocks, .size = size};
    pool->blocks = b;
    pool->total += size;
    return b;
}

void *pn_pool_alloc(struct pn_pool *pool, size_t n)
{
    const size_t align = alignof(max_align_t);
    if (n > pool->limit)
        return NULL;
    n = n == 0 ? align : (n + align - 1) / align * align;
    struct block *b = pool->blocks;
    if (b == NULL || b->size - b->used < n)
        b = block_add(pool, n);
    if (b == NULL)
        return NULL;
    void *p = b->data + b->used;
    b->used += n;
    pool->used += n;
    memset(p, 0, n);
    return p;
}

char *pn_pool_strdup(struct pn_pool *pool, struct pn_str s)
{
    if (s.len == SIZE_MAX)
        return NULL;
    char *copy = pn_pool_alloc(pool, s.len + 1);
    if (copy != NULL && s.len != 0)
        memcpy(copy, s.p, s.len);
    return copy;
}

struct pn_str pn_pool_dup(struct pn_pool *pool, struct pn_str s)
{
    const char *copy = pn_pool_strdup(pool, s);
    return (struct pn_str){copy, copy == NULL ? 0 : s.len};
}

bool pn_pool_cleanup(struct pn_pool *pool, void (*fn)(void *arg), void *arg)
{
    struct cleanup *c = pn_pool_alloc(pool, sizeof *c);
    if (c == NULL)
        return false;
    *c = (struct cleanup){pool->cleanups, fn, arg};
    pool->cleanups = c;
    return true;
}

size_t pn_pool_used(const struct pn_pool *pool)
{
    return pool->used;
}

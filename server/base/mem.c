#include "mem.h"

#include "assert.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void pn_assert_failed(const char *cond, const char *file, int line, const char *func)
{
    fprintf(stderr, "postern: bug: %s:%d: %s: assertion failed: %s\n", file, line, func, cond);
    abort();
}

static void *checked(void *p, size_t n)
{
    if (p == NULL && n != 0) {
        fprintf(stderr, "postern: out of memory (%zu bytes asked)\n", n);
        abort();
    }
    return p;
}

void *pn_alloc(size_t n)
{
    return checked(malloc(n == 0 ? 1 : n), n);
}

void *pn_calloc(size_t count, size_t n)
{
    return checked(calloc(count == 0 ? 1 : count, n == 0 ? 1 : n), 1);
}

void *pn_realloc(void *p, size_t n)
{
    return checked(realloc(p, n == 0 ? 1 : n), n);
}

char *pn_strdup(const char *s)
{
    return pn_strndup(s, strlen(s));
}

char *pn_strndup(const char *s, size_t n)
{
    char *copy = pn_alloc(n + 1);
    if (n != 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void *pn_grow(void *array, size_t *cap, size_t count, size_t elem)
{
    if (count < *cap)
        return array;
    size_t want = *cap == 0 ? 8 : *cap * 2;
    pn_assert(want > *cap && want <= SIZE_MAX / elem);
    *cap = want;
    return pn_realloc(array, want * elem);
}

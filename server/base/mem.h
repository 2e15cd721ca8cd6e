/*
 * Allocation that can't fail. The daemon bounds its memory by limits on what it
 * takes in (sessions, messages, bytes in flight), so running out here is our own
 * bug or a machine in ruins: the role says so and dies; the supervisor restarts it.
 */
#ifndef PN_MEM_H
#define PN_MEM_H

#include <stddef.h>

void *pn_alloc(size_t n);                  /* uninitialised; owned */
void *pn_calloc(size_t count, size_t n);   /* zeroed; overflow of the product is fatal; owned */
void *pn_realloc(void *p, size_t n);       /* owned */
char *pn_strdup(const char *s);            /* owned */
char *pn_strndup(const char *s, size_t n); /* owned, NUL-terminated */
/* Grows an array so that it holds one more than count: doubles *cap. */
void *pn_grow(void *array, size_t *cap, size_t count, size_t elem);

#endif

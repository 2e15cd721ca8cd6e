/*
 * A few threads of a store that help whoever has many small things to do at once, and waits: files
 * to be read. Who asks does the work himself, and those who are free take a part of it; so nobody
 * waits for a helper that is busy for another, and a user has at most one caller and all helpers.
 * Thread-safe. The helpers are started when they are wanted first.
 */
#ifndef PN_STORE_TEAM_H
#define PN_STORE_TEAM_H

#include <stddef.h>

struct team;

struct team *team_new(void);        /* owned */
void team_free(struct team **team); /* nobody runs */
/* fn for each number below count, on several threads, in no order; back when all are done. team
 * may be NULL: no help. */
void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t i), void *ctx);

#endif

/*
 * Large content: a file a message in a folder of its own. A file is synced, and so is the
 * folder, before a record names it; a file that no live record names is an orphan.
 *
 * A file that an edge fills is the edge's: it may change it at any time, and cut it short
 * under whoever maps it. So it is copied into one of ours when its message is taken; the
 * edge's never reaches the disk as a rule, for nobody syncs it.
 *
 * Numbers are given out by who calls; a number is used once while its file exists. The
 * CRC32C here begins from 0: it is over the content alone. Everything blocks; results
 * are 0 or errno.
 */
#ifndef PN_QUEUE_CONTENT_H
#define PN_QUEUE_CONTENT_H

#include "buf.h"

/* A new, empty file: its owner's read-write descriptor and a read-only one for others. */
int content_create(int folder, uint64_t number, int *rw, int *ro);
/* Copies size bytes of from into a new file, and makes that durable; *ro is the caller's, and
 * no other descriptor of it is left: it never changes. EMSGSIZE: from has less, or more. */
int content_copy(int folder, uint64_t number, int from, uint64_t size, uint32_t *crc, int *ro);
/* Read-only; -1 with errno (EBADMSG: not of that size or sum). Reads all of it. */
int content_open(int folder, uint64_t number, uint64_t size, uint32_t crc);
/* Whatever is there of it. */
int content_open_as_is(int folder, uint64_t number);
/* The folder is not synced: what comes back after a crash is an orphan. */
int content_remove(int folder, uint64_t number);
/* Removes every file for which wanted() is false; sets *next above all numbers there. */
int content_sweep(int folder, bool (*wanted)(void *ctx, uint64_t number), void *ctx, uint64_t *next,
                  uint64_t *removed);

#endif

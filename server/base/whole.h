/*
 * Reads and writes of a file that are whole or fail: an interrupted call is made again, a
 * short one goes on. For regular files and memory files, not for sockets: who would have to
 * wait fails with EAGAIN. All return 0 or an errno, but where said.
 */
#ifndef PN_WHOLE_H
#define PN_WHOLE_H

#include "str.h"

/* At the descriptor's place, or at this one. EIO where nothing is written any more. */
int pn_write_whole(int fd, struct pn_str bytes);
int pn_write_whole_at(int fd, struct pn_str bytes, uint64_t at);
/* n bytes. early: what it is called that the file ends before. */
int pn_read_whole_at(int fd, void *to, size_t n, uint64_t at, int early);

/* A file for the owner alone, open for writing, that is to take another's place. What has that
 * name is unlinked, not written over: where a power cut came between the two steps of a rename,
 * it is the very file that must stay whole. flags: O_DIRECT, or 0. -1 with errno. */
int pn_make_anew(int folder, const char *name, int flags);
/* The file `name` has these bytes, synced, or is what it was: they are written to `fresh` beside
 * it first, which nobody else writes to. The folder is not synced: that is the caller's. */
int pn_replace_whole(int folder, const char *name, const char *fresh, struct pn_str bytes);

#endif

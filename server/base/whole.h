/*
 * Reads and writes of a file that are whole or fail: an interrupted call is made again, a
 * short one goes on. For regular files and memory files, not for sockets: who would have to
 * wait fails with EAGAIN. All return 0 or an errno.
 */
#ifndef PN_WHOLE_H
#define PN_WHOLE_H

#include "str.h"

/* At the descriptor's place, or at this one. EIO where nothing is written any more. */
int pn_write_whole(int fd, struct pn_str bytes);
int pn_write_whole_at(int fd, struct pn_str bytes, uint64_t at);
/* n bytes. early: what it is called that the file ends before. */
int pn_read_whole_at(int fd, void *to, size_t n, uint64_t at, int early);

#endif

/*
 * Files of messages in memory as they lie on disk, however others treat them meanwhile. A file that
 * somebody cuts, or a disk that can't give a page back, would end the process where it looks there
 * (SIGBUS); here what is not to be had reads as zeros, for whoever looks, on whatever thread, and
 * other users' sessions go on. Owned by the caller until mapped_close.
 */
#ifndef STORE_MAPPED_H
#define STORE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>

/* size > 0 bytes of fd, which is the caller's. NULL, errno: EMFILE where too many are mapped; it is
 * to be read then. */
const char *mapped_open(int fd, size_t size);
/* bytes: where a mapping begins. False: some of it was not to be had when somebody looked there. */
bool mapped_is_whole(const char *bytes);
void mapped_close(const char *bytes, size_t size);

#endif

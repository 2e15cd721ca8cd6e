/*
 * The file calls of the code under test, on their way to the kernel: noted in a log with
 * their data, failed where a fault was planned. Linked with --wrap (see Makefile.am), so it
 * stands before every call of our own code and of nobody else's.
 *
 * Known are openat, write, pwrite, pwritev, posix_fallocate, mkdirat, renameat, linkat, unlinkat,
 * fsync and fdatasync below one folder. What could change a file in another way ends the
 * program there: the model would not know of it. No sync reaches the kernel.
 */
#ifndef POWER_CALLS_H
#define POWER_CALLS_H

#include "log.h"

/* Begins to note what is done below the folder root into log. What lies there already must
 * have been introduced by calls_know. NULL ends it. */
void calls_record(struct log *log);
/* A file or folder that is there: path below root, its inode in the log. */
void calls_know(int root, const char *path, uint32_t inode);
/* Forgets all that is known. */
void calls_forget(void);
/* Notes what the code was told, or told. */
void calls_event(enum event_type type, uint32_t id, uint32_t who, uint32_t value);

enum fault_call { FAULT_WRITE, FAULT_SYNC, FAULT_ROOM, FAULT_STOP };

/* The next call of that kind to what has a name beginning with prefix fails, after `skip`
 * of them; FAULT_ROOM: it and all that follow, until the plan is taken back (prefix NULL);
 * FAULT_STOP: the next sync never returns, and nothing was synced.
 * half: of a write, the first half is written by the call before. */
void calls_fail(enum fault_call call, const char *prefix, unsigned skip, bool half);
#endif

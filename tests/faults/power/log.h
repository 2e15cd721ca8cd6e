/*
 * What happened, in order: the changes that the code under test made to its files, its
 * syncs, and what it answered.
 */
#ifndef POWER_LOG_H
#define POWER_LOG_H

#include "oracle.h"

#include <stddef.h>

enum { LOG_ROOT = 0 /* the inode of the folder that all is in */, LOG_NONE = UINT32_MAX };

enum entry_type {
    LOG_MAKE,      /* a new inode, empty; it has no name yet */
    LOG_WRITE,     /* bytes [at, at + size) */
    LOG_SIZE,      /* it is size long now */
    LOG_NAME,      /* name in the folder inode is target now, LOG_NONE: nothing */
    LOG_SYNC,      /* what is pending of inode is durable */
    LOG_SYNC_LOST, /* a sync failed: what was pending may or may not reach the disk ever */
    LOG_EVENT
};

struct entry {
    uint8_t type;
    bool folder;    /* MAKE */
    bool data_only; /* SYNC: fdatasync */
    uint16_t site;  /* SYNC: see sites.h */
    uint32_t pair;  /* NAME: of the two names of one rename that comes whole; 0: by itself */
    uint32_t inode;
    uint32_t target;
    uint64_t at, size;
    char *name; /* owned */
    char *data; /* owned */
    struct event event;
};

struct log {
    struct entry *v; /* owned, with what they own */
    size_t count, cap;
    uint32_t inodes; /* made so far, with those that were there */
};

void log_free(struct log *log);
/* The new entry, zeroed but for its type. */
struct entry *log_add(struct log *log, enum entry_type type);

/* A line an entry, numbered as in the reports of losses. */
void log_print(const struct log *log);

#endif

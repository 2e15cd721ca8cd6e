/*
 * A disk and what is on its way to it. The promises it keeps are those of POSIX and of no
 * journal; a file system that keeps more is on the safe side of it:
 *
 *   - A sector of 512 bytes is written whole or not at all, but for the one that is being
 *     written when the power goes: of that one any number of first bytes, and where the
 *     drive's own block is larger (4096), anything at all in the block around it.
 *   - What was written and not synced reaches the disk or does not: each sector by itself,
 *     in any order, in any of its versions. A file's size is another such thing; what lies
 *     within a size that came before its bytes is zeros, or whatever was there before.
 *   - So is each name in a folder: made, removed, or pointed elsewhere. A rename is two of
 *     them, its new name and the end of its old one, and either may come without the other.
 *     The name of a file or folder says nothing about what is in it. Only a message that is
 *     renamed in its mailbox (in or between new and cur), or a folder, has both or neither: every
 *     file system of today does so, and a Maildir on one that does not could keep no flag.
 *   - fsync and fdatasync of a file make durable what was written to it before, and its size;
 *     not its name. fsync of a folder makes durable all names in it at that time, and
 *     nothing of what they name.
 *   - What was pending when a sync failed is adrift: no later sync makes it durable, yet it
 *     may reach the disk at any time, until the same sector or name is made durable anew.
 *
 * A cut is a moment in the log; disk_cut's image is one of the many disks that may be found
 * then. Numbers of inodes are those of the log.
 */
#ifndef POWER_DISK_H
#define POWER_DISK_H

#include "log.h"

enum { SECTOR = 512, BLOCK = 4096 };

struct name {
    char *name; /* owned */
    uint32_t target;
};

struct names {
    struct name *v; /* owned */
    size_t count, cap;
};

struct inode {
    bool folder;
    char *bytes; /* durable; owned */
    uint64_t size, cap;
    char *now; /* as the running code sees it; owned */
    uint64_t now_size, now_cap;
    struct names names; /* durable */
};

enum pending_type { PENDING_SECTOR, PENDING_SIZE, PENDING_NAME };

struct pending {
    uint8_t type;
    bool adrift;
    uint32_t inode;
    uint64_t at;  /* of a sector; or the size */
    char *sector; /* SECTOR bytes; owned */
    char *name;   /* owned */
    uint32_t target;
    uint32_t pair; /* as in the log */
};

struct disk {
    struct inode *inodes; /* owned */
    size_t count, cap;
    struct pending *pending; /* owned; oldest first */
    size_t pending_count, pending_cap;
    bool slow; /* an fdatasync found the size of its file pending: whoever waits for it waits
                  for the file system's bookkeeping */
};

struct cut;
void disk_free(struct disk *disk);
/* Makes inode number `inode`, durable and empty, without a name. */
void disk_make(struct disk *disk, uint32_t inode, bool folder);
/* Durable bytes and names, for how a disk begins. */
void disk_put_bytes(struct disk *disk, uint32_t inode, const char *bytes, uint64_t size);
void disk_put_name(struct disk *disk, uint32_t folder, const char *name, uint32_t target);
/* What reached the disk of a rename that comes whole is both its names. */
void disk_pair(const struct disk *disk, struct cut *cut);
/* The next thing that happened. A sync at the site `removed` is none. */
void disk_apply(struct disk *disk, const struct entry *e, unsigned removed);

/* Which of what is pending reached the disk. */
struct cut {
    const char *plan;  /* its name, for a report */
    unsigned char *on; /* one a pending thing; owned by whoever draws it */
    bool garbage;      /* within a size without bytes lies what was there before, not zeros */
    uint64_t seed;     /* of garbage */
    size_t torn;       /* this sector, on its way: torn_bytes of it came; SIZE_MAX: none */
    unsigned torn_bytes;
    size_t spoilt; /* the block around this sector, on its way, is garbage; SIZE_MAX: none */
};

/* A disk as it is found. Inodes as in the disk; those without a name are left out. */
void disk_cut(const struct disk *disk, const struct cut *cut, struct disk *image);
/* Writes an image below the empty folder root; which is inode LOG_ROOT. known:
 * is told of each, may be NULL. */
typedef void disk_known(int root, const char *path, uint32_t inode);
void disk_write(const struct disk *image, int root, disk_known *known);
void disk_copy(const struct disk *from, struct disk *to);

#endif

/*
 * What the processes of a live server did to their files, in one mapped file that all of them
 * write: recorder.c (preloaded) adds to it, blackout.c makes of it the disk that a power cut
 * would have left.
 *
 * Each change of a file, each sync and what it does in the kernel happen under `lock`, so the
 * order on the tape is the order in which they took effect, and whoever kills a process under
 * the lock kills it between two of them. Inodes are the kernel's; a number that is made again
 * is another file. Records lie one after the other, each a multiple of 8 bytes; behind it its
 * name, its other name (both with their NUL), its bytes.
 */
#ifndef POWER_TAPE_H
#define POWER_TAPE_H

#include <pthread.h>
#include <stdint.h>

enum { TAPE_BEGIN = 4096 /* of the first record */ };
#define TAPE_SIZE ((uint64_t)1 << 33) /* sparse: what is used is what is there */

struct tape_head {
    pthread_mutex_t lock; /* of all processes */
    uint64_t end;         /* of the last record */
    uint64_t device;      /* files of others are none of ours */
};

enum tape_type {
    TAPE_THERE,   /* at the begin, durable: name in the folder inode is target, with these bytes */
    TAPE_MADE,    /* name in the folder inode is target, which is new and empty */
    TAPE_LINK,    /* name in the folder inode is target, which was there */
    TAPE_GONE,    /* name in the folder inode is nothing */
    TAPE_MOVED,   /* name in the folder inode is other in the folder `at` now: target */
    TAPE_SWAPPED, /* as MOVED, and what was other is name now: back */
    TAPE_WRITE,   /* bytes of inode at `at` */
    TAPE_SIZE_IS, /* inode is `at` long */
    TAPE_SYNC,    /* of inode: file or folder */
    TAPE_DATA_SYNC
};

struct tape_record {
    uint32_t type, size; /* size: all of it */
    uint64_t inode, target, at;
    uint64_t back;
    uint64_t bytes;       /* behind the names */
    uint16_t name, other; /* lengths with their NUL; 0: none */
    uint8_t folder;       /* target is one */
    uint8_t unused[3];
};

#endif

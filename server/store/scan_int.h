/* A reading of new and cur, as scan.c, load.c and strangers.c share it. folder->lock is held. */
#ifndef PN_STORE_SCAN_INT_H
#define PN_STORE_SCAN_INT_H

#include "store_int.h"

struct found {
    uint32_t uid; /* 0: a stranger's */
    uint32_t size, keywords;
    uint32_t name; /* offset */
    uint8_t system, dir;
    bool listed; /* the UID is from postern-uids, not in its name */
    bool plain;  /* of a stranger's: we may read it */
    bool drop;   /* not one of the folder's messages */
};

struct listing {
    struct folder *folder;
    int fd[2];
    uint32_t euid;   /* ours */
    struct found *v; /* by UID; owned */
    size_t count, cap;
    struct pn_buf names;
    size_t strangers; /* the first ones */
    uint32_t highest; /* UID in a name of the folder's; 0: all were given */
    bool full;        /* there are more than memory has room for */
    struct seen before[2];
};

static inline const char *found_name(const struct listing *l, const struct found *found)
{
    return l->names.p + found->name;
}

/* Those that are strangers' now come first again. */
void listing_sort(struct listing *l);
/* What its name and its inode say; without a W= in the name the size is a guess. True: we may
 * surely read it. (strangers.c) */
bool found_stat(const struct listing *l, const struct found *found, struct msg *out);
/* The first reading: against the index. (load.c) */
void load_folder(struct listing *l);
/* UIDs for the strangers. OK, or why they have to wait. (strangers.c) */
enum pn_store_status strangers_adopt(struct listing *l, uint64_t *modseq);

#endif
